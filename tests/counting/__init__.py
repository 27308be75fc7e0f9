"""Counting, against a real Postgres: exact windows, failures, settling and the command."""
