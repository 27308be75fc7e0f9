"""The journal of staged changes: the journal of a course, with the events of stages."""

from collections.abc import Iterable
from typing import TypeAlias

from burst.domain.course import course_journals
from burst.domain.staging import stage_events, stagings

MINOR = 0
StageLine: TypeAlias = course_journals.Line[stage_events.StageEvent]
FORM: course_journals.Form[stage_events.StageEvent, stagings.Staging] = course_journals.Form(
    named="staged changes",
    schema=stage_events.SCHEMA,
    minor=MINOR,
    events=stage_events.EVENTS,
    empty=stagings.Staging(),
    resumed=frozenset({stage_events.StagingResumed.wire_name}),
)


def fold(lines: Iterable[StageLine], staging: stagings.Staging | None = None) -> stagings.Staging:
    """The staging that lines describe. Raises `errors.EvidenceCorrupt` for an event that cannot follow the others."""
    return FORM.fold(lines, staging)
