"""The shell: performs what `burst.domain.lifecycle` decides, and journals every intent before its act."""
