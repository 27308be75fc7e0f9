"""Observations: series of samples through a burst, the rules that they have to keep, and how they are judged."""
