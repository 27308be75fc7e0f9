"""Samples: one answer each of an observed series, with the instants at which it was asked and answered, and the
instant of which it speaks.

A question that was not answered is a sample too: it has no value, and its `detail` says why.
"""

from dataclasses import dataclass
from datetime import datetime

from burst.domain.basics import instants
from burst.domain.observations import limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One answer. `number` counts the samples of its series from 1, so that a missing one is seen.

    `of`: the instant that the answer itself speaks of; None: it speaks of no other than the one it was asked at.
    `scope`: the scope that the answer is of, as the answer says; None: it does not say.
    """

    number: int
    asked_at: datetime
    answered_at: datetime
    of: datetime | None = None
    value: limits.Value = None
    scope: str | None = None
    detail: str = ""

    @property
    def instant(self) -> datetime:
        """The instant that the sample stands for: no later than the answer, whatever the answer says of itself."""
        return self.asked_at if self.of is None else min(self.of, self.answered_at)

    @property
    def took_seconds(self) -> float:
        """How long the answer took."""
        return instants.seconds_between(self.asked_at, self.answered_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """The samples of one series, in any order.

    `taken`: how many samples were taken, by the record of the run; where fewer are here, some are missing.
    `scope`: the scope that each sample has to say it is of; None: the samples do not say it.
    """

    name: str
    every_seconds: float
    taken: int
    samples: tuple[Sample, ...]
    scope: str | None = None
    max_age_seconds: float | None = None
    """How much earlier than it was asked for a sample may speak of; None: as much as `every_seconds`."""
    max_skew_seconds: float = 0.0
    """How far the clocks of sampler and system may differ."""
    dated: bool = False
    """Whether each answer has to say the instant that it speaks of."""
    settle_seconds: float = 0.0
    """How long the system has after the burst: a sample that was asked sooner says nothing of its end."""

    @property
    def in_order(self) -> tuple[Sample, ...]:
        """The samples with a value, by the instants that they stand for."""
        valued = [sample for sample in self.samples if sample.value is not None]
        return tuple(sorted(valued, key=lambda sample: (sample.instant, sample.number)))
