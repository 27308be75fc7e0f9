"""The state of a database: the settings that may be shown, the findings, and the differences of two checks."""
