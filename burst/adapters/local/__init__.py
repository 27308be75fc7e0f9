"""This machine: its processes, files, locks and clock, behind ports."""
