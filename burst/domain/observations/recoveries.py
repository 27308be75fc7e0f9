"""Recoveries: when a system had recovered from a fault, by the samples of one series.

It has recovered at the first sample of the first good stretch that lasts long enough: each sample in it keeps the
limit, came in time, and lies nearer to the one before it than two periods. No sample counts that speaks of an instant
before the fault itself was over, and none after the burst: a system without load recovers from anything.
"""

from dataclasses import dataclass
from datetime import datetime

from burst.domain.basics import instants, wording
from burst.domain.observations import judgement, limits, samples


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
    problem = _find_problem(series)
    if problem:
        return _unknown(problem)
    ordered = sorted(series.samples, key=lambda sample: (sample.instant, sample.number))
    candidates = [sample for sample in ordered if over_at <= sample.instant <= ended_at]
    if not any(_is_usable(series, sample) for sample in candidates):
        return _unknown(f"no usable sample of {series.name} between the fault and the end of the burst")
    return _search(series, candidates, terms)


def _find_problem(series: samples.Series) -> str:
    """Why no sample of a series can be believed; empty where they can."""
    if sorted(sample.number for sample in series.samples) != list(range(1, series.taken + 1)):
        return f"{len(series.samples)} of the {wording.format_count(series.taken, 'sample')} taken are here"
    spoken = [sample for sample in series.samples if sample.value is not None or sample.scope is not None]
    strange = sorted({str(sample.scope) for sample in spoken if sample.scope != series.scope})
    if series.scope and strange:
        return f"samples of another scope than {series.scope}: {', '.join(strange)}"
    return judgement.find_clock_problem(series)


def _is_usable(series: samples.Series, sample: samples.Sample) -> bool:
    """Whether a sample says anything of its instant: it has a value, came within its period, and is not stale."""
    if sample.value is None or sample.took_seconds >= series.every_seconds or (series.dated and sample.of is None):
        return False
    if sample.of is None:
        return True
    most = series.every_seconds if series.max_age_seconds is None else series.max_age_seconds
    age = instants.seconds_between(sample.of, sample.asked_at)
    return age <= most and instants.seconds_between(sample.answered_at, sample.of) <= series.max_skew_seconds


def _search(series: samples.Series, candidates: list[samples.Sample], terms: RecoveryTerms) -> Recovery:
    """The first stretch that lasts long enough. A sample that cannot be used ends a stretch, as a bad one does."""
    longest, stretch = 0.0, None
    for sample in candidates:
        kept = limits.meets(sample.value, terms.limit.comparison, terms.limit.required)
        if not (kept and _is_usable(series, sample)):
            stretch = None
            continue
        joined = stretch is not None and (
            instants.seconds_between(stretch.end, sample.instant) < judgement.GAP_PERIODS * series.every_seconds
        )
        stretch = _Stretch(start=stretch.start if stretch and joined else sample.instant, end=sample.instant)
        longest = max(longest, stretch.seconds)
        if stretch.seconds >= terms.sustained_seconds:
            return Recovery(recovered_at=stretch.start, held_to=stretch.end, why=_tell(stretch, candidates, terms))
    needed, seconds = instants.exact(terms.sustained_seconds), instants.exact(longest)
    last = "nothing" if candidates[-1].value is None else candidates[-1].value
    return _unknown(
        f"{series.name} was never good for {needed} s without a break: for {seconds} s at the longest, in "
        f"{wording.format_count(len(candidates), 'sample')}; the last one says {last}"
    )


def _tell(stretch: _Stretch, candidates: list[samples.Sample], terms: RecoveryTerms) -> str:
    count = sum(stretch.start <= sample.instant <= stretch.end for sample in candidates)
    kept = f"{terms.limit.comparison} {terms.limit.required} from {instants.text(stretch.start)} on"
    return f"{kept}, in {wording.format_count(count, 'sample')} over {instants.exact(stretch.seconds)} s"


def _unknown(why: str) -> Recovery:
    return Recovery(recovered_at=None, held_to=None, why=why)
