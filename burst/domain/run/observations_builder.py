"""The observations of a run, built from its own events, so that verification builds them again from the journal; and
the series that they hold, as rules are asked of them."""

from burst.domain.basics import errors
from burst.domain.documents import observation_series
from burst.domain.observations import samples
from burst.domain.plan import plans
from burst.domain.run import runs


def build_observations(plan: plans.Plan, run: runs.Run) -> observation_series.Observations | None:
    """Every sample of every series of the plan; None where the plan observes nothing."""
    if plan.observe is None:
        return None
    entries = []
    for series in plan.observe.series:
        taken = run.observed.get(series.name, ())
        entries.append(
            observation_series.SeriesEntry(
                name=series.name,
                source=series.source_words(plan.scope),
                question_sha256=series.question_sha256,
                every_seconds=plan.observe.every,
                taken=len(taken),
                samples=[observation_series.SeriesSampleEntry.from_sample(sample) for sample in taken],
            )
        )
    return observation_series.Observations(
        execution_id=run.execution_id,
        platform_run_id=plan.scope,
        settle_seconds=plan.observe.settle,
        series=entries,
    )


def read_series(plan: plans.Plan, entry: observation_series.SeriesEntry) -> samples.Series:
    """The series of one entry, held to what the plan asks of its samples.

    Raises `errors.UsageError` for a plan that observes nothing.
    """
    if plan.observe is None:
        raise errors.UsageError(f"the plan observes no series, so nothing can be asked of {entry.name}")
    return plan.observe.make_series(
        entry.name,
        [sample.sample for sample in entry.samples],
        count=entry.taken,
        scope=plan.scope,
        max_skew_seconds=plan.receipts.max_skew,
    )
