"""How often the betting test ends a burst that is exactly at the gate, by the length of a bet and how duplicates come.

Simulated: a ratio of 0.995 and 21 receipts a second for 20 minutes; the duplicates of each 10 s share one probability,
which varies from storm to storm by the given correlation (beta-binomial).
"""

import itertools
from typing import Any

import numpy as np
import numpy.typing

from burst.domain.receipts import early_stops, receipts

Table = numpy.typing.NDArray[Any]

REPETITIONS = 2_000
RATE_PER_SECOND = 21.0
WINDOW_SECONDS = 1200
STORM_SECONDS = 10
RATIO = 0.995
CORRELATIONS = (0.02, 0.1)
TERMS = early_stops.EarlyStopTerms(
    admit_ratio=RATIO,
    window_seconds=WINDOW_SECONDS,
    min_window_seconds=WINDOW_SECONDS,
    required_admits_per_second=None,
    offered_per_second=RATE_PER_SECOND,
    source_events=None,
    no_receipts_seconds=60.0,
)


def run() -> dict[str, object]:
    """The share of good bursts that bets of 2 s and of 10 s end."""
    random = np.random.default_rng(20260221)
    return {
        f"stopped_by_bets_of_{seconds}_s_at_correlation_{correlation}": _share_stopped(random, seconds, correlation)
        for seconds, correlation in itertools.product((2, 10), CORRELATIONS)
    }


def _share_stopped(random: np.random.Generator, bet_seconds: int, correlation: float) -> float:
    bets = WINDOW_SECONDS // bet_seconds
    spread = (1 - correlation) / correlation
    storms = random.beta((1 - RATIO) * spread, RATIO * spread, size=(REPETITIONS, WINDOW_SECONDS // STORM_SECONDS))
    arrived = random.poisson(RATE_PER_SECOND * bet_seconds, size=(REPETITIONS, bets))
    duplicates = random.binomial(arrived, np.repeat(storms, STORM_SECONDS // bet_seconds, axis=1))
    capitals = _capitals(arrived, duplicates, bet_seconds)
    _require_the_shipped_capital(arrived[0], duplicates[0], bet_seconds, float(capitals[0, -1]))
    high = capitals >= 1 / early_stops.ALPHA
    return float((high[:, 1:] & high[:, :-1]).any(axis=1).mean())


def _capitals(arrived: Table, duplicates: Table, bet_seconds: int) -> Table:
    """The capital of each burst after each bet, as `early_stops.capital` has it."""
    cap = 1.5 * RATE_PER_SECOND * bet_seconds + 1
    lost = (RATIO * arrived - (arrived - duplicates)) / cap
    low, high = 0.5, 0.9 / (1 - RATIO)
    stakes = low * (high / low) ** (np.arange(24) / 23)
    with np.errstate(divide="ignore"):  # a stake that is lost stays lost
        logs = np.log(np.maximum(0.0, 1 + stakes[:, None, None] * lost))
    grown: Table = np.exp(np.cumsum(logs, axis=2)).mean(axis=0)
    return grown


def _require_the_shipped_capital(arrived: Table, duplicates: Table, bet_seconds: int, capital: float) -> None:
    polls = [
        early_stops.Poll(seconds=bet_seconds, counts=receipts.Counts(admit=int(n - d), duplicate=int(d)))
        for n, d in zip(arrived, duplicates, strict=True)
    ]
    shipped = early_stops.capital(polls, TERMS)
    assert shipped is not None
    assert abs(shipped - capital) <= 1e-6 * capital


if __name__ == "__main__":
    for name, value in run().items():
        print(f"{name}: {value}")
