"""Duplicate figures: asks which duplicates of a counted window are retries and which are replays.

It is a figure and no gate: whatever keeps the answer away stands in its place in words, and the verdict waits no longer
for it than `DIRECT_SECONDS`, or `TASK_SECONDS` where the answer comes from a counting task.
"""

from burst import ports
from burst.domain.basics import errors, instants
from burst.domain.documents import window_metrics
from burst.domain.plan import plans
from burst.domain.receipts import duplicates
from burst.kit import measure

DIRECT_SECONDS = duplicates.DATABASE_SECONDS + 2.0
TASK_SECONDS = duplicates.DATABASE_SECONDS + 30.0
"""The answer has to come by the log too, which may be half a minute late."""


def ask_duplicates(
    plan: plans.Plan, source: ports.ReceiptSource, measured: measure.Measurement, clock: ports.Clock
) -> window_metrics.DuplicatesEntry:
    """The duplicates of a settled count by class, or why they are not told apart."""
    counted = measured.count
    if not measured.settled:
        return window_metrics.DuplicatesEntry.without("the counts have not settled")
    if not counted.counts.duplicate:
        return window_metrics.DuplicatesEntry.from_classes(duplicates.DuplicateClasses())
    seconds = TASK_SECONDS if plan.receipts.via == "task" else DIRECT_SECONDS
    event_column = plan.receipts.columns.event
    try:
        classes = source.classify_duplicates(
            counted.window,
            scope=plan.scope,
            event_column=event_column,
            give_up_at=instants.later(clock.now(), seconds),
        )
    except errors.BurstError as exc:
        return window_metrics.DuplicatesEntry.without(str(exc))
    if classes is None:
        return window_metrics.DuplicatesEntry.without(
            f"{plan.receipts.table} has no column {event_column} whose values can be compared; name the column of "
            "events in receipts.columns.event"
        )
    if classes.total != counted.counts.duplicate:
        return window_metrics.DuplicatesEntry.without(
            f"{classes.total} duplicates were told apart where {counted.counts.duplicate} were counted: the table has "
            "changed since"
        )
    return window_metrics.DuplicatesEntry.from_classes(classes)
