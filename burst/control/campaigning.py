"""The shell of campaigns: performs what `course_decisions` decides, each intent journalled before its act.

Nothing is remembered but by the journal. So a process that is killed at any line is followed by another one that goes
on there: an attempt that was intended is looked for by its id and continued, and never launched a second time.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

from burst import ports
from burst.domain.basics import canonical, errors, redaction
from burst.domain.course import (
    campaign_files,
    campaign_journals,
    course_acts,
    course_decisions,
    course_events,
    courses,
    override_rows,
)

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepEnd:
    """The end of an attempt: its verdict with the snapshot, or FAILED where it was refused."""

    end: courses.EndWord
    exit_code: int
    reason: str
    snapshot: courses.CitedSnapshot | None = None
    blockers: tuple[str, ...] = ()
    measures: Mapping[str, Any] = field(default_factory=dict)
    cut_before_load: bool = False
    """Whether its controller died before the load began, so that the run was stopped and settled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepCut:
    """An attempt without its end: a verdict that is not published, or a task that may still run."""

    exit_code: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NeverBegan:
    """Nothing of an attempt was launched, and nothing will be."""

    reason: str


StepAnswer: TypeAlias = StepEnd | StepCut | NeverBegan


class StepDriver(Protocol):
    """What the steps of a campaign act on."""

    def make_run_id(self, step: campaign_files.StepSection, number: int, course: courses.Course) -> str:
        """A new id for an attempt."""
        ...

    def check_entry(
        self, step: campaign_files.StepSection, course: courses.Course
    ) -> tuple[course_events.EntryRef, ...]:
        """Verifies the snapshot behind every entry gate. Raises a `BurstError` where one does not hold."""
        ...

    def take(
        self, step: campaign_files.StepSection, attempt: courses.StepAttempt, course: courses.Course
    ) -> StepEnd | StepCut:
        """Takes an attempt that nobody began, to its end. Raises `errors.ControllerAtWork`."""
        ...

    def go_on(
        self, step: campaign_files.StepSection, attempt: courses.StepAttempt, course: courses.Course
    ) -> StepAnswer:
        """Continues an attempt that was intended, by its id. Raises `errors.ControllerAtWork` while another controller
        drives it."""
        ...

    def stop(
        self, step: campaign_files.StepSection, attempt: courses.StepAttempt, course: courses.Course
    ) -> StepAnswer:
        """Ends what an attempt has running, and settles it. Raises `errors.StillRunning` where a task may run on."""
        ...

    def set_override(self, step: campaign_files.StepSection, course: courses.Course) -> None:
        """Changes settings of a database; done again it is the same. Raises a `BurstError` where it cannot."""
        ...

    def put_back(self, step: campaign_files.StepSection, course: courses.Course) -> None:
        """Puts them back; done again it is the same. Raises `errors.StillRunning` where they are not as they were."""
        ...

    def find_regressions(self, step: campaign_files.StepSection, course: courses.Course) -> tuple[str, ...]:
        """The gates that got worse since the step before it, in words. Raises a `BurstError` where nobody can tell."""
        ...

    def undo(self, step: campaign_files.StepSection, course: courses.Course) -> str:
        """Takes a step back; returns why it is not known to be, and nothing where it is. Done again it is the same."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignParts:
    """The outside world of a campaign. `read_stop`: the order to end it, where somebody gave one."""

    driver: StepDriver
    journal: ports.CourseJournal[course_events.CampaignEvent]
    documents: ports.EvidenceStore
    clock: ports.Clock
    read_stop: Callable[[], courses.StopOrder | None]
    say: Say
    redactor: redaction.Redactor


class CampaignRunner:
    """Performs the acts of one campaign until it ends, or pauses. The lock is held by the caller."""

    def __init__(self, terms: course_decisions.CourseTerms, parts: CampaignParts) -> None:
        self._terms = terms
        self._parts = parts
        self._driver = parts.driver
        self.course = campaign_journals.fold(parts.journal.lines())

    def note(self, event: course_events.CampaignEvent) -> None:
        """Journals an event durably."""
        line = self._parts.journal.append(event)
        self.course = campaign_journals.fold([line], self.course)

    def drive(self) -> courses.Course:
        """Performs act after act; returns at the end, or at a pause."""
        while True:
            self._obey_stop()
            act = course_decisions.decide(self.course, self._parts.clock.now(), self._terms)
            if isinstance(act, course_acts.NothingLeft | course_acts.WaitForOperator):
                return self.course
            self._perform(act)

    def _obey_stop(self) -> None:
        if self.course.stop is not None or self.course.outcome is not None:
            return
        order = self._parts.read_stop()
        if order is not None:
            self._say(f"the campaign is stopped: {order.reason}")
            self.note(course_events.StopAsked(by=self._clean(order.by), reason=self._clean(order.reason)))

    def _perform(self, act: course_decisions.CourseAct) -> None:
        match act:
            case course_decisions.AskEntryGates():
                self._check_entry(act.step)
            case course_decisions.SetOverride():
                self._set_override(act.step)
            case course_decisions.PutBack():
                self._say(f"step {act.step}: its settings are put back")
                self._driver.put_back(self._section(act.step), self.course)
                self.note(course_events.OverridePutBack(step=act.step))
            case course_decisions.BeginStep():
                self._begin(act)
            case course_decisions.ContinueStep():
                self._say(f"step {act.step}: attempt {act.attempt.number} goes on ({act.attempt.run_id})")
                answer = self._driver.go_on(self._section(act.step), act.attempt, self.course)
                self._note_answer(act.step, act.attempt, answer)
            case course_decisions.StopStep():
                self._stop_step(act)
            case course_decisions.LookForRegression():
                self._look(act.step)
            case course_decisions.WriteTable():
                self._write_table(act.step)
            case course_decisions.PassStep():
                self._say(f"step {act.step}: PASS")
                self.note(course_events.StepPassed(step=act.step))
            case course_decisions.PauseCampaign():
                self._pause(act.step, act.kind, act.reason, act.exit_code)
            case course_decisions.UndoStep():
                self._undo(act.step)
            case course_decisions.ReachCampaignOutcome():
                self.note(course_events.CampaignOutcomeReached(outcome=act.outcome))
            case course_decisions.EndCampaign():
                self.note(course_events.CampaignEnded(exit_code=act.exit_code))

    def _section(self, step: str) -> campaign_files.StepSection:
        return self._terms.file.step(step)

    def _pause(self, step: str, kind: courses.PauseKind, reason: str, exit_code: int) -> None:
        words = self._clean(reason)
        self._say(f"step {step}: {words}")
        self.note(course_events.CampaignPaused(step=step, kind=kind, reason=words, exit_code=exit_code))

    def _check_entry(self, step: str) -> None:
        try:
            refs = self._driver.check_entry(self._section(step), self.course)
        except errors.BurstError as exc:
            self._pause(step, "entry", str(exc), errors.Refused.exit_code)
            return
        self.note(course_events.EntryChecked(step=step, refs=refs))

    def _set_override(self, step: str) -> None:
        overrides = self._section(step).overrides
        settings = overrides.database.settings if overrides is not None and overrides.database is not None else {}
        words = tuple(self._clean(f"{name}={value}") for name, value in settings.items())
        self._say(f"step {step}: {', '.join(words)}")
        self.note(course_events.OverrideIntended(step=step, words=words))
        try:
            self._driver.set_override(self._section(step), self.course)
        except (errors.UsageError, errors.Refused, errors.Unavailable) as exc:
            self._driver.put_back(self._section(step), self.course)
            self.note(course_events.OverridePutBack(step=step))
            self._pause(step, "entry", f"its settings could not be made: {exc}", errors.Refused.exit_code)
            return
        self.note(course_events.OverrideSet(step=step))

    def _begin(self, act: course_decisions.BeginStep) -> None:
        section = self._section(act.step)
        run_id = self._driver.make_run_id(section, act.number, self.course)
        words = f", {', '.join(act.settings)}" if act.settings else ""
        self._say(f"step {act.step}: attempt {act.number} begins ({run_id}{self._clean(words)})")
        self.note(
            course_events.StepIntended(
                step=act.step,
                number=act.number,
                index=act.index,
                run_id=run_id,
                settings=act.settings,
                only=act.only,
                prior_place=act.prior.place if act.prior else None,
                prior_sha256=act.prior.sha256 if act.prior else None,
                cost_usd=act.cost_usd,
            )
        )
        attempt = self.course.require_attempt(act.step)
        self._note_answer(act.step, attempt, self._driver.take(section, attempt, self.course))

    def _note_answer(self, step: str, attempt: courses.StepAttempt, answer: StepAnswer) -> None:
        match answer:
            case NeverBegan():
                self.note(course_events.StepLost(step=step, number=attempt.number, reason=self._clean(answer.reason)))
            case StepCut():
                self._pause(step, "cut", answer.reason, answer.exit_code)
            case StepEnd():
                self.note(
                    course_events.StepEnded(
                        step=step,
                        number=attempt.number,
                        end=answer.end,
                        exit_code=answer.exit_code,
                        place=answer.snapshot.place if answer.snapshot else None,
                        sha256=answer.snapshot.sha256 if answer.snapshot else None,
                        blockers=answer.blockers,
                        reason=self._clean(answer.reason),
                        measures=dict(answer.measures),
                        cut_before_load=answer.cut_before_load,
                    )
                )

    def _stop_step(self, act: course_decisions.StopStep) -> None:
        """Ends an attempt for good. One whose end cannot be had now stays open for the next resume."""
        answer = self._driver.stop(self._section(act.step), act.attempt, self.course)
        if isinstance(answer, StepCut):
            raise (errors.StillRunning if answer.exit_code == 6 else errors.PublicationFailed)(answer.reason)
        self._note_answer(act.step, act.attempt, answer)

    def _look(self, step: str) -> None:
        try:
            regressions = self._driver.find_regressions(self._section(step), self.course)
        except errors.BurstError as exc:
            self._pause(step, "regression-unknown", str(exc), 3)
            return
        words = tuple(self._clean(regression) for regression in regressions)
        self.note(course_events.RegressionLooked(step=step, regressions=words))

    def _write_table(self, step: str) -> None:
        table = override_rows.build_table(self.course, self._section(step))
        content, name = table.content(), override_rows.make_table_name(step, len(self.course.step(step).attempts))
        self._parts.documents.put_once(name, content)
        self.note(course_events.TableWritten(step=step, name=name, sha256=canonical.digest(content)))

    def _undo(self, step: str) -> None:
        self._say(f"step {step} is taken back")
        self.note(course_events.UndoIntended(step=step))
        problem = self._driver.undo(self._section(step), self.course)
        if problem:
            self._say(f"step {step}: {problem}")
        self.note(course_events.UndoDone(step=step, problem=self._clean(problem)))

    def _clean(self, words: str) -> str:
        return self._parts.redactor.text(words)

    def _say(self, words: str) -> None:
        self._parts.say(self._clean(words))
