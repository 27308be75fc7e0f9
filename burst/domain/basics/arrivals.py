"""Arrivals: how many events a rate makes due, and how far chance may take that number from its mean.

Even arrivals keep the number to the event. The number of Poisson arrivals varies as the square root of its mean.
"""

import math

POISSON = "poisson"
DEVIATIONS = 5.0
"""Chance takes a number of Poisson arrivals further from its mean less than once in a million runs."""


def allow_for_chance(mean: float, arrivals: str | None) -> float:
    """By how many events more or fewer than the mean may become due."""
    return DEVIATIONS * math.sqrt(max(0.0, mean)) if arrivals == POISSON else 0.0


def share_source(source_events: int | None, planned_tasks: int, go_tasks: int) -> int | None:
    """The least that so many of the planned tasks have of a source, which is split evenly among all of them."""
    if source_events is None or go_tasks >= planned_tasks:
        return source_events
    each, remainder = divmod(source_events, planned_tasks)
    return go_tasks * each + max(0, remainder - (planned_tasks - go_tasks))
