"""Events of a campaign: what a line of its journal says, and what it changes.

An event is written before the act that it intends, or after the fact that it states:

    campaign-began, campaign-resumed      operator, file, plans by digest; the step to be taken again
    stop-asked                            the campaign ends: runs are stopped, and steps are undone
    entry-checked                         every entry gate holds, with the digest of each snapshot
    override-intended, override-set       before settings of a database are changed, and after
    override-put-back                     they were put back, or are not as they were
    step-intended                         before anything of an attempt is launched, with its id
    step-lost                             nothing of the attempt was launched, and nothing will be
    step-ended                            the attempt has its verdict, or was refused
    regression-looked                     the step was held against the one before it
    table-written                         the document of its overrides beside its measures
    step-passed                           the next one may begin
    paused                                nothing goes on until the operator says so
    undo-intended, undo-done              before the command that takes a step back, and after
    outcome-reached, campaign-ended       how it ended
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

import pydantic

from burst.domain.basics import instants
from burst.domain.course import course_journals, courses
from burst.domain.documents import models

SCHEMA: Literal["burst.campaign-journal/v1"] = "burst.campaign-journal/v1"


class CampaignEvent(course_journals.CourseEvent[courses.Course]):
    """One thing that happened to a campaign, or is about to."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignBegan(CampaignEvent):
    """The operator, the file, and the plan of each step by digest."""

    wire_name = "campaign-began"
    schema: Literal["burst.campaign-journal/v1"]
    minor: int
    campaign_id: str
    file_sha256: str
    plans: dict[str, str]
    operator: str
    until: str | None

    def apply(self, course: courses.Course, at: datetime) -> courses.Course:
        if course.campaign_id:
            raise ValueError("a campaign begins once")
        return replace(
            course,
            campaign_id=self.campaign_id,
            file_sha256=self.file_sha256,
            plans=dict(self.plans),
            operators=(self.operator,),
            began_at=at,
            until=self.until,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignResumed(CampaignEvent):
    """Somebody goes on: after a pause, or after the process before died. `reopen`: the step to be taken again, where
    one is named, bounded to the blockers `only` where some are, with these further overrides of its plan."""

    wire_name = "campaign-resumed"
    operator: str
    until: str | None
    reopen: str | None
    only: tuple[str, ...]
    settings: tuple[str, ...]

    def apply(self, course: courses.Course, at: datetime) -> courses.Course:
        operators = course.operators if self.operator in course.operators else (*course.operators, self.operator)
        course = replace(course, operators=operators, until=self.until)
        course = _leave_pause(course, at)
        if self.reopen is None:
            return course
        reopening = courses.Reopening(only=self.only, settings=self.settings)
        state = course.step(self.reopen)
        return course.with_step(
            self.reopen,
            replace(state, reopening=reopening, passed=False, entry_checked=False, regressions=None, refused=False),
        )


def _leave_pause(course: courses.Course, at: datetime) -> courses.Course:
    """The campaign after its pause: what the operator allows by going on, and what is tried again."""
    pause = course.pause
    if pause is None:
        return course
    paused_seconds = course.paused_seconds + max(0.0, instants.seconds_between(pause.since, at))
    course = replace(course, pause=None, paused_seconds=paused_seconds)
    state = course.step(pause.step)
    if pause.kind in ("before", "regression"):
        state = replace(state, allowed=state.allowed | {pause.kind})
    if pause.kind == "failed":
        state = replace(state, tries_again=True, refused=False, entry_checked=False)
    if pause.kind == "regression-unknown":
        state = replace(state, regressions=None)
    return course.with_step(pause.step, state)


@dataclass(frozen=True, slots=True, kw_only=True)
class StopAsked(CampaignEvent):
    """The campaign ends here."""

    wire_name = "stop-asked"
    by: str
    reason: str

    def apply(self, course: courses.Course, at: datetime) -> courses.Course:
        if course.pause is not None:
            seconds = max(0.0, instants.seconds_between(course.pause.since, at))
            course = replace(course, pause=None, paused_seconds=course.paused_seconds + seconds)
        return replace(course, stop=courses.StopOrder(by=self.by, reason=self.reason))


class EntryRef(models.Model):
    """One snapshot that was verified at the entry of a step."""

    name: str
    """The step, or the place."""
    sha256: models.Digest
    verdict: Literal["PASS", "HOLD"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryChecked(CampaignEvent):
    """Every entry gate of a step holds."""

    wire_name = "entry-checked"
    step: str
    refs: tuple[EntryRef, ...]

    def apply(self, course: courses.Course, at: datetime) -> courses.Course:
        return course.with_step(self.step, replace(course.step(self.step), entry_checked=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class OverrideIntended(CampaignEvent):
    """Settings of a database are about to be changed for a step."""

    wire_name = "override-intended"
    step: str
    words: tuple[str, ...]

    def apply(self, course: courses.Course, at: datetime) -> courses.Course:
        return course.with_step(self.step, replace(course.step(self.step), overridden=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class OverrideSet(CampaignEvent):
    """The settings are in effect."""

    wire_name = "override-set"
    step: str

    def apply(self, course: courses.Course, at: datetime) -> courses.Course:
        return course.with_step(self.step, replace(course.step(self.step), override_set=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class OverridePutBack(CampaignEvent):
    """The settings were put back, and the database was read again to prove it."""

    wire_name = "override-put-back"
    step: str

    def apply(self, course: courses.Course, at: datetime) -> courses.Course:
        state = replace(course.step(self.step), overridden=False, override_set=False)
        return course.with_step(self.step, state)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepIntended(CampaignEvent):
    """An attempt is about to begin under this id."""

    wire_name = "step-intended"
    step: str
    number: int
    index: int
    run_id: str
    settings: tuple[str, ...]
    only: tuple[str, ...]
    prior_place: str | None
    prior_sha256: str | None
    cost_usd: float

    def apply(self, course: courses.Course, at: datetime) -> courses.Course:
        state = course.step(self.step)
        if state.attempts and state.attempts[-1].is_open:
            raise ValueError(f"attempt {state.attempts[-1].number} of {self.step} is still open")
        prior = None
        if self.prior_place is not None and self.prior_sha256 is not None:
            prior = courses.CitedSnapshot(place=self.prior_place, sha256=self.prior_sha256)
        attempt = courses.StepAttempt(
            number=self.number,
            index=self.index,
            run_id=self.run_id,
            intended_at=at,
            settings=self.settings,
            only=self.only,
            prior=prior,
            cost_usd=self.cost_usd,
        )
        return course.with_step(
            self.step, replace(state, attempts=(*state.attempts, attempt), tries_again=False, table_sha256=None)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StepLost(CampaignEvent):
    """Nothing of the attempt was launched: the process died before. Another one takes its place."""

    wire_name = "step-lost"
    step: str
    number: int
    reason: str

    def apply(self, course: courses.Course, at: datetime) -> courses.Course:
        _require_number(course, self.step, self.number)
        state = course.step(self.step).with_last(lost=True, reason=self.reason)
        return course.with_step(self.step, replace(state, tries_again=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class StepEnded(CampaignEvent):
    """The attempt has its end: a verdict with its snapshot, or none where it was refused. `cut_before_load`: its
    controller died before any load, so that the step is taken again by itself."""

    wire_name = "step-ended"
    step: str
    number: int
    end: courses.EndWord
    exit_code: int
    place: str | None
    sha256: str | None
    blockers: tuple[str, ...]
    reason: str
    measures: dict[str, pydantic.JsonValue]
    cut_before_load: bool

    def apply(self, course: courses.Course, at: datetime) -> courses.Course:
        _require_number(course, self.step, self.number)
        snapshot = None
        if self.place is not None and self.sha256 is not None:
            snapshot = courses.CitedSnapshot(place=self.place, sha256=self.sha256)
        state = course.step(self.step).with_last(
            end=self.end,
            exit_code=self.exit_code,
            snapshot=snapshot,
            blockers=self.blockers,
            reason=self.reason,
            measures=dict(self.measures),
            ended_at=at,
            cut_before_load=self.cut_before_load,
        )
        cuts = sum(attempt.cut_before_load for attempt in state.attempts)
        if self.cut_before_load and cuts <= courses.MOST_CUTS:
            return course.with_step(self.step, replace(state, tries_again=state.reopening is None))
        if self.end == "FAILED":
            return course.with_step(self.step, replace(state, refused=True))
        return course.with_step(self.step, replace(state, reopening=None))


def _require_number(course: courses.Course, step: str, number: int) -> None:
    attempt = course.require_attempt(step)
    if attempt.number != number or not attempt.is_open:
        raise ValueError(f"attempt {number} of {step} is not open")


@dataclass(frozen=True, slots=True, kw_only=True)
class RegressionLooked(CampaignEvent):
    """What got worse from the step before to this one, in words; nothing where nothing did."""

    wire_name = "regression-looked"
    step: str
    regressions: tuple[str, ...]

    def apply(self, course: courses.Course, at: datetime) -> courses.Course:
        return course.with_step(self.step, replace(course.step(self.step), regressions=self.regressions))


@dataclass(frozen=True, slots=True, kw_only=True)
class TableWritten(CampaignEvent):
    """The table of a step is in the folder."""

    wire_name = "table-written"
    step: str
    name: str
    sha256: str

    def apply(self, course: courses.Course, at: datetime) -> courses.Course:
        return course.with_step(self.step, replace(course.step(self.step), table_sha256=self.sha256))


@dataclass(frozen=True, slots=True, kw_only=True)
class StepPassed(CampaignEvent):
    """The step is done."""

    wire_name = "step-passed"
    step: str

    def apply(self, course: courses.Course, at: datetime) -> courses.Course:
        last = course.step(self.step).last
        if last is None or last.end != "PASS":
            raise ValueError(f"the last attempt of {self.step} did not pass")
        return course.with_step(self.step, replace(course.step(self.step), passed=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignPaused(CampaignEvent):
    """Nothing goes on until the operator says so."""

    wire_name = "paused"
    step: str
    kind: courses.PauseKind
    reason: str
    exit_code: int

    def apply(self, course: courses.Course, at: datetime) -> courses.Course:
        pause = courses.CampaignPause(
            kind=self.kind, step=self.step, reason=self.reason, exit_code=self.exit_code, since=at
        )
        return replace(course, pause=pause)


@dataclass(frozen=True, slots=True, kw_only=True)
class UndoIntended(CampaignEvent):
    """The command that takes a step back is about to run."""

    wire_name = "undo-intended"
    step: str

    def apply(self, course: courses.Course, at: datetime) -> courses.Course:
        return course


@dataclass(frozen=True, slots=True, kw_only=True)
class UndoDone(CampaignEvent):
    """The command ended. `problem`: why the step is not known to be taken back; empty where it is."""

    wire_name = "undo-done"
    step: str
    problem: str

    def apply(self, course: courses.Course, at: datetime) -> courses.Course:
        course = course.with_step(self.step, replace(course.step(self.step), undone=True))
        return replace(course, exit_code=6) if self.problem else course


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignOutcomeReached(CampaignEvent):
    """How it ended."""

    wire_name = "outcome-reached"
    outcome: courses.Outcome

    def apply(self, course: courses.Course, at: datetime) -> courses.Course:
        return replace(course, outcome=self.outcome)


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignEnded(CampaignEvent):
    """Nothing is left to do."""

    wire_name = "campaign-ended"
    exit_code: int

    def apply(self, course: courses.Course, at: datetime) -> courses.Course:
        return replace(course, exit_code=self.exit_code, ended_at=at)


EVENTS: dict[str, type[CampaignEvent]] = {event.wire_name: event for event in CampaignEvent.__subclasses__()}
"""Every event by its name in the journal."""
