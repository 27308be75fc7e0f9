"""Recoveries: when a system had recovered from a fault, by the samples of one series.

It has recovered at the first sample of the first good stretch that lasts long enough: each sample in it keeps the
limit, and no two neighbours are as far apart as two samples. No sample counts that speaks of an instant before the
fault itself was over, and none after the burst: a system without load recovers from anything.
"""

from dataclasses import dataclass
from datetime import datetime

from burst.domain.basics import instants
from burst.domain.observations import judgement, limits, periods, samples


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryTerms:
    """What a series has to keep, and for how long without a break."""

    limit: limits.Limit
    sustained_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """When a system had recovered, and until when that was seen; without `recovered_at` why nobody can tell."""

    recovered_at: datetime | None
    held_to: datetime | None
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stretch:
    """Good samples in a row, from the first to the last one so far."""

    start: datetime
    end: datetime

    @property
    def seconds(self) -> float:
        return instants.seconds_between(self.start, self.end)


def find_recovery(
    series: samples.Series, terms: RecoveryTerms, *, over_at: datetime | None, ended_at: datetime | None
) -> Recovery:
    """The recovery of a system whose fault was over at `over_at`, under a load that ended at `ended_at`."""
    if over_at is None:
        return _unknown("nobody saw the fault itself come to its end")
    if ended_at is None or ended_at <= over_at:
        return _unknown("the burst had ended when the fault was over")
    problems = list(judgement.find_record_problems(series, periods.Interval(start=over_at, end=ended_at)))
    if problems:
        return _unknown("; ".join(problems))
    seen = [sample for sample in series.in_order if over_at <= sample.instant <= ended_at]
    if not seen:
        return _unknown(f"no sample of {series.name} between the fault and the end of the burst")
    return _search(series.every_seconds, seen, terms)


def _search(every_seconds: float, seen: list[samples.Sample], terms: RecoveryTerms) -> Recovery:
    longest, stretch = 0.0, None
    for sample in seen:
        if not limits.meets(sample.value, terms.limit.comparison, terms.limit.required):
            stretch = None
            continue
        joined = stretch is not None and (
            instants.seconds_between(stretch.end, sample.instant) < judgement.GAP_PERIODS * every_seconds
        )
        stretch = _Stretch(start=stretch.start if stretch and joined else sample.instant, end=sample.instant)
        longest = max(longest, stretch.seconds)
        if stretch.seconds >= terms.sustained_seconds:
            return Recovery(recovered_at=stretch.start, held_to=stretch.end, why=_tell(stretch, seen, terms))
    needed, seconds = instants.exact(terms.sustained_seconds), instants.exact(longest)
    return _unknown(
        f"it was never good for {needed} s without a break: {seconds} s at the longest, in {len(seen)} samples; "
        f"the last one says {seen[-1].value}"
    )


def _tell(stretch: _Stretch, seen: list[samples.Sample], terms: RecoveryTerms) -> str:
    count = sum(stretch.start <= sample.instant <= stretch.end for sample in seen)
    kept = f"{terms.limit.comparison} {terms.limit.required} from {instants.text(stretch.start)} on"
    return f"{kept}, in {count} samples over {instants.exact(stretch.seconds)} s"


def _unknown(why: str) -> Recovery:
    return Recovery(recovered_at=None, held_to=None, why=why)
