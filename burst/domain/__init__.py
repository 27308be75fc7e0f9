"""The pure core: values and decisions, no I/O and no clock, so every rule can be tested by a table."""
