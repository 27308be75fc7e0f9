"""The section `observations` of the snapshot: each observed series in short, with its rules and a line to draw."""

from typing import Self

from burst.domain.basics import instants
from burst.domain.documents import models, observation_series
from burst.domain.observations import limits
from burst.domain.verdict import cases

MOST_POINTS = 200
"""Points of one line; of a longer series each part keeps its largest and its smallest."""


class LinePoint(models.Model):
    """One point of a line: seconds since GO, and the value."""

    seconds: float
    """Seconds from GO to the instant that the sample speaks of."""
    value: float
    """The value of the sample."""


class ObservedSeries(models.Model):
    """One observed series in short. `silent`: how many of its samples have no value."""

    name: str
    """The name of the series in the plan."""
    source: str
    """What is asked, as the plan states it: a query, a document, a command, a service or a metric."""
    every_seconds: float
    """How often the plan samples it."""
    samples: models.Count
    """How many samples were taken, with a value or without."""
    silent: models.Count
    """How many of them have no value."""
    first_utc: models.Instant | None
    """The instant that the first sample with a value speaks of; None where none has one."""
    last_utc: models.Instant | None
    """The instant that the last sample with a value speaks of; None where none has one."""
    last_value: models.Value
    """The value of that last sample; None where none has one."""
    line: list[LinePoint]
    """Points to draw, at most 200: of a longer series each part keeps its largest and its smallest."""

    @classmethod
    def list_case(cls, case: cases.Case) -> list[Self] | None:
        """Every series of the case's observations; None where the plan observes nothing."""
        if case.plan.observe is None:
            return None
        result, document = case.task_result.value, case.observations.value
        go_at = result.attempt.start if result and result.attempt else None
        return [cls._from_entry(entry, go_at) for entry in (document.series if document else [])]

    @classmethod
    def _from_entry(cls, entry: observation_series.SeriesEntry, go_at: models.Instant | None) -> Self:
        valued = sorted(
            (sample.sample for sample in entry.samples if sample.value is not None),
            key=lambda sample: (sample.instant, sample.number),
        )
        points = [
            LinePoint(seconds=instants.seconds_between(go_at, sample.instant), value=float(number))
            for sample in valued
            if go_at is not None and (number := limits.finite(sample.value)) is not None
        ]
        return cls(
            name=entry.name,
            source=entry.source,
            every_seconds=entry.every_seconds,
            samples=len(entry.samples),
            silent=len(entry.samples) - len(valued),
            first_utc=valued[0].instant if valued else None,
            last_utc=valued[-1].instant if valued else None,
            last_value=valued[-1].value if valued else None,
            line=thin(points),
        )


def thin(points: list[LinePoint]) -> list[LinePoint]:
    """At most `MOST_POINTS` of the points, among them the largest and the smallest of each part."""
    if len(points) <= MOST_POINTS:
        return points
    parts = MOST_POINTS // 2
    kept = []
    for part in range(parts):
        chunk = points[part * len(points) // parts : (part + 1) * len(points) // parts]
        extremes = {id(point): point for point in (min(chunk, key=_value), max(chunk, key=_value))}
        kept.extend(sorted(extremes.values(), key=lambda point: point.seconds))
    return kept


def _value(point: LinePoint) -> float:
    return point.value
