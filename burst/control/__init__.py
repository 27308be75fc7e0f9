"""The shell: performs what `burst.domain.run.lifecycle` decides, and journals every intent before its act."""
