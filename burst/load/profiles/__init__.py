"""Load programs that ship with burst, each a process of its own: `ingest` for Locust, `sender` without it.

Nothing in burst imports `ingest`: it imports Locust, which patches the standard library of its process.
"""
