"""How often the intervals of the multiplier hold the true one, beside what was measured for other methods before.

Simulated: minutes whose mean follows a gamma distribution that remembers the minute before, so that the burst's counts
vary `phi` times as much as independent events do, with an autocorrelation of about `rho`; 1300 admits a minute against
418, whose means vary by the same share. The reference figures are those of 400 repetitions of such a model; both stand
in `docs/intervals.md`.
"""

import math
from typing import Any

import numpy as np
from scipy import special, stats

from burst.domain.verdict import intervals

REPETITIONS = 2_000
BURST_PER_MINUTE, BASELINE_PER_MINUTE = 1300.0, 418.0
CASES = ((17, 30, 1, 0.0), (17, 30, 10, 0.0), (17, 30, 10, 0.5), (17, 30, 50, 0.5), (60, 60, 10, 0.5))
"""Minutes of burst and baseline, phi, rho."""
REFERENCE: dict[tuple[int, int, int, float], dict[str, float]] = {
    (17, 30, 1, 0.0): {"poisson": 0.93, "quasi-poisson": 0.95, "batch-means": 0.94, "half_width": 0.027},
    (17, 30, 10, 0.0): {"poisson": 0.60, "quasi-poisson": 0.96, "batch-means": 0.97, "half_width": 0.073},
    (17, 30, 10, 0.5): {"poisson": 0.41, "quasi-poisson": 0.79, "batch-means": 0.90, "half_width": 0.089},
    (17, 30, 50, 0.5): {"poisson": 0.18, "quasi-poisson": 0.73, "batch-means": 0.93, "half_width": 0.23},
    (60, 60, 10, 0.5): {"poisson": 0.45, "quasi-poisson": 0.80, "batch-means": 0.94, "half_width": 0.048},
}
"""What was measured before; `half_width` is that of the batch means."""


def run() -> dict[str, Any]:
    """The coverage of each method at a nominal 95 %, measured and as it was before, by case."""
    random = np.random.default_rng(20260221)
    return {
        f"{burst}/{baseline} min, phi {phi}, rho {rho:g}": {
            "measured": measure_case(random, burst, baseline, phi, rho, REPETITIONS),
            "before": REFERENCE[(burst, baseline, phi, rho)],
        }
        for burst, baseline, phi, rho in CASES
    }


def measure_case(
    random: np.random.Generator, burst: int, baseline: int, phi: float, rho: float, repetitions: int
) -> dict[str, float]:
    """The share of intervals that hold the true multiplier, and their mean half width."""
    true = BURST_PER_MINUTE / BASELINE_PER_MINUTE
    methods = ("poisson", "quasi-poisson", "batch-means", "wider")
    held, widths = dict.fromkeys(methods, 0), dict.fromkeys(methods, 0.0)
    for _ in range(repetitions):
        own = _draw(random, burst, BURST_PER_MINUTE, phi, rho)
        theirs = _draw(random, baseline, BASELINE_PER_MINUTE, phi, rho)
        for method, (low, high) in _bound(own, theirs).items():
            held[method] += low <= true <= high
            widths[method] += math.sqrt(high / low) - 1
    coverage = {method: round(held[method] / repetitions, 3) for method in methods}
    return coverage | {f"half_width_{method}": round(widths[method] / repetitions, 4) for method in methods[1:]}


def _draw(random: np.random.Generator, minutes: int, mean: float, phi: float, rho: float) -> list[int]:
    """The counts of so many minutes."""
    if phi <= 1:
        return [int(count) for count in random.poisson(mean, minutes)]
    shape = BURST_PER_MINUTE / (phi - 1)
    noise = random.standard_normal(minutes)
    for minute in range(1, minutes):
        noise[minute] = rho * noise[minute - 1] + math.sqrt(1 - rho**2) * noise[minute]
    means = stats.gamma.ppf(special.ndtr(noise), shape, scale=mean / shape)
    return [int(count) for count in random.poisson(means)]


def _bound(own: list[int], theirs: list[int]) -> dict[str, tuple[float, float]]:
    burst, baseline = (intervals.make_series((60.0, count) for count in counts) for counts in (own, theirs))
    multiplier = (sum(own) / len(own)) / (sum(theirs) / len(theirs))
    interval = intervals.find_interval(multiplier, burst, [baseline])
    assert interval is not None
    bounds = {str(each.method): (each.low, each.high) for each in interval.methods}
    half = special.ndtri(0.975) * math.sqrt(1 / sum(own) + 1 / sum(theirs))
    poisson = (multiplier * math.exp(-half), multiplier * math.exp(half))
    return {"poisson": poisson, **bounds, "wider": (interval.wider.low, interval.wider.high)}


if __name__ == "__main__":
    for name, value in run().items():
        print(f"{name}: {value}")
