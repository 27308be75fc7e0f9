"""Postgres: receipts counted where they are written, by a connection that can change nothing."""
