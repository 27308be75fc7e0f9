"""Preflight: the findings before a launch, and how each is judged."""
