"""The journal of a campaign: the journal of a course, with the events of a campaign."""

from collections.abc import Iterable
from typing import TypeAlias

from burst.domain.course import course_events, course_journals, courses

MINOR = 0
NAME = "journal.jsonl"
CampaignLine: TypeAlias = course_journals.Line[course_events.CampaignEvent]
FORM: course_journals.Form[course_events.CampaignEvent, courses.Course] = course_journals.Form(
    named="a campaign",
    schema=course_events.SCHEMA,
    minor=MINOR,
    events=course_events.EVENTS,
    empty=courses.Course(),
    resumed=frozenset({course_events.CampaignResumed.wire_name, course_events.StopAsked.wire_name}),
)


def fold(lines: Iterable[CampaignLine], course: courses.Course | None = None) -> courses.Course:
    """The campaign that lines describe. Raises `errors.EvidenceCorrupt` for an event that cannot follow the others."""
    return FORM.fold(lines, course)
