"""Postgres: connections that can change nothing, the statements about receipts, and their failures."""
