"""The table of a step's overrides, made of the campaign alone: made again, it is the same bytes."""

from burst.domain.course import campaign_files, courses
from burst.domain.documents import override_tables

NAME_FORM = "table_{step}_{number}.json"


def build_table(course: courses.Course, step: campaign_files.StepSection) -> override_tables.OverrideTable:
    """The table of every attempt that has its end."""
    overrides = step.overrides or campaign_files.Overrides()
    database = {} if overrides.database is None else dict(overrides.database.settings)
    return override_tables.OverrideTable(
        campaign_id=course.campaign_id,
        step=step.name,
        swept=step.sweep.key if step.sweep else None,
        measure=step.sweep.measure if step.sweep else None,
        rows=[
            override_tables.OverrideRow(
                attempt=attempt.number,
                execution_id=attempt.run_id,
                settings=list(attempt.settings),
                services=dict(overrides.services),
                database=database,
                snapshot_sha256=attempt.snapshot.sha256 if attempt.snapshot else None,
                verdict=attempt.end,
                blockers=list(attempt.blockers),
                measures=dict(attempt.measures),
            )
            for attempt in course.step(step.name).attempts
            if attempt.end is not None
        ],
    )


def make_table_name(step: str, number: int) -> str:
    """The name of the table that ends with this attempt."""
    return NAME_FORM.format(step=step, number=number)
