"""Targets: what each kind of target arms, launches, finds and stops tasks with, chosen once for a plan."""
