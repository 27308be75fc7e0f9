"""This machine behind ports: its processes, files, locks and clock."""
