"""Closures: the score of a candidate run against the active baseline, and what a run spent its time on."""
