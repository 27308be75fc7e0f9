"""Decisions of a campaign: from the campaign, the time and its terms to the next act; the shell performs it and
journals.

A step that holds, is refused, or cannot be told from one, holds the campaign where it is. No step begins that could not
end inside the budget. What a step overrode is put back before anything else is done, and before any pause.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from burst.domain.basics import errors, instants
from burst.domain.course import campaign_files, course_acts, courses


@dataclass(frozen=True, slots=True, kw_only=True)
class CourseTerms:
    """What a decision needs of the file and of its plans: how long each step takes at most, and what it costs at most;
    None where nobody can tell."""

    file: campaign_files.CampaignFile
    longest_seconds: Mapping[str, float]
    most_usd: Mapping[str, float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class AskEntryGates:
    """Ask the entry gates of a step."""

    step: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SetOverride:
    """Change settings of a database for a step."""

    step: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PutBack:
    """Put them back, and prove it."""

    step: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BeginStep:
    """Begin an attempt of a step."""

    step: str
    number: int
    index: int
    settings: tuple[str, ...]
    only: tuple[str, ...]
    prior: courses.CitedSnapshot | None
    cost_usd: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ContinueStep:
    """Continue an attempt whose end is not known. Its first launch, if there was one, is the only one."""

    step: str
    attempt: courses.StepAttempt


@dataclass(frozen=True, slots=True, kw_only=True)
class StopStep:
    """End what an attempt has running, and settle it."""

    step: str
    attempt: courses.StepAttempt


@dataclass(frozen=True, slots=True, kw_only=True)
class LookForRegression:
    """Hold a step against the one before it."""

    step: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteTable:
    """Write what was overridden beside what was measured."""

    step: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PassStep:
    """The step is done."""

    step: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseCampaign:
    """Stop here until the operator says go."""

    step: str
    kind: courses.PauseKind
    reason: str
    exit_code: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UndoStep:
    """Run the command that takes a step back."""

    step: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReachCampaignOutcome:
    """Say how it ended."""

    outcome: courses.Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class EndCampaign:
    """Nothing is left but to say so."""

    exit_code: int


CourseAct: TypeAlias = (
    AskEntryGates
    | SetOverride
    | PutBack
    | BeginStep
    | ContinueStep
    | StopStep
    | LookForRegression
    | WriteTable
    | PassStep
    | PauseCampaign
    | UndoStep
    | ReachCampaignOutcome
    | EndCampaign
    | course_acts.WaitForOperator
    | course_acts.NothingLeft
)

_INTERRUPTED = (130, 143)


def decide(course: courses.Course, now: datetime, terms: CourseTerms) -> CourseAct:
    """The next act."""
    if course.ended_at is not None:
        return course_acts.NothingLeft()
    if course.outcome is not None:
        return EndCampaign(exit_code=_exit_code(course))
    if course.stop is not None:
        return next(_list_stopping_acts(course, terms))
    if course.pause is not None:
        return course_acts.WaitForOperator()
    for step in terms.file.steps:
        state = course.step(step.name)
        if not state.passed:
            return next(_list_acts(course, step, now, terms))
        if step.name == course.until and step is not terms.file.steps[-1]:
            return _pause(step.name, "until", f"{courses.PAUSE_WORDS['until']}: --until {step.name}", 0)
    return ReachCampaignOutcome(outcome="done")


def _exit_code(course: courses.Course) -> int:
    """0 where every step passed; of a campaign that was stopped 3, or 6 where something is not known to be undone."""
    if course.exit_code is not None:
        return course.exit_code
    return 0 if course.outcome == "done" else 3


def _pause(step: str, kind: courses.PauseKind, reason: str, exit_code: int) -> PauseCampaign:
    return PauseCampaign(step=step, kind=kind, reason=reason, exit_code=exit_code)


def _list_acts(
    course: courses.Course, step: campaign_files.StepSection, now: datetime, terms: CourseTerms
) -> Iterator[CourseAct]:
    """The acts of a step that are still to be done, the next one first."""
    state = course.step(step.name)
    if state.attempts and state.attempts[-1].is_open:
        yield ContinueStep(step=step.name, attempt=state.attempts[-1])
    if needs_attempt(state, step):
        yield from _list_acts_before(course, step, now, terms)
        yield make_attempt(state, step, terms)
    if state.overridden:
        yield PutBack(step=step.name)
    if step.is_tabled and state.table_sha256 is None:
        yield WriteTable(step=step.name)
    last = state.last
    if last is None or last.end != "PASS":
        yield _hold(step.name, last)
    if step.pause == "on_regression" and state.regressions is None:
        yield LookForRegression(step=step.name)
    if state.regressions and "regression" not in state.allowed:
        yield _pause(step.name, "regression", "; ".join(state.regressions), 3)
    yield PassStep(step=step.name)


def needs_attempt(state: courses.StepState, step: campaign_files.StepSection) -> bool:
    """Whether a step has to be taken: for the first time, again, or for the next value of its sweep."""
    last = state.last
    if last is None:
        return True
    if state.refused:
        return False
    if state.reopening is not None:
        return True
    if last.end == "PASS":
        return last.index + 1 < len(step.values)
    return state.tries_again


def _list_acts_before(
    course: courses.Course, step: campaign_files.StepSection, now: datetime, terms: CourseTerms
) -> Iterator[CourseAct]:
    """The acts before an attempt begins."""
    state = course.step(step.name)
    if not state.entry_checked:
        if state.overridden:  # the pause of an entry gate that does not hold may last for days
            yield PutBack(step=step.name)
        yield AskEntryGates(step=step.name)
    if step.pause == "before" and "before" not in state.allowed:
        yield _pause(step.name, "before", courses.PAUSE_WORDS["before"], 3)
    shortage = find_shortage(course, step.name, now, terms)
    if shortage:
        if state.overridden:
            yield PutBack(step=step.name)
        yield _pause(step.name, "budget", shortage, 4)
    if step.overrides is not None and step.overrides.database is not None and not state.override_set:
        yield SetOverride(step=step.name)


def find_shortage(course: courses.Course, step: str, now: datetime, terms: CourseTerms) -> str:
    """Why a step cannot begin inside the budget; empty where it can."""
    budget, runs = terms.file.budget, _count_runs(course, terms.file.step(step))
    longest, remaining = runs * terms.longest_seconds[step], budget.max - course.worked_seconds(now)
    if longest > remaining:
        return (
            f"{step} may take {instants.duration_text(longest)}, and {max(0.0, remaining):.0f} s are left of "
            f"budget.max, which is {instants.duration_text(budget.max)}"
        )
    if budget.cost_cap_usd is None:
        return ""
    cost = terms.most_usd[step]
    if cost is None:
        return f"nobody can tell what {step} costs at most, and budget.cost_cap_usd is {budget.cost_cap_usd:g}"
    if course.spent_usd + runs * cost > budget.cost_cap_usd:
        return (
            f"{step} may cost {runs * cost:.2f} USD after {course.spent_usd:.2f}, and budget.cost_cap_usd is "
            f"{budget.cost_cap_usd:g}"
        )
    return ""


def _count_runs(course: courses.Course, step: campaign_files.StepSection) -> int:
    """How many runs a step still needs: one, or one for each value left of its sweep."""
    return len(step.values) - _choose_index(course.step(step.name))


def _choose_index(state: courses.StepState) -> int:
    """Which value of the sweep the next attempt has."""
    last = state.last
    if last is None:
        return 0
    if last.end == "PASS":
        return 0 if state.reopening is not None else last.index + 1
    return last.index


def make_attempt(state: courses.StepState, step: campaign_files.StepSection, terms: CourseTerms) -> BeginStep:
    """The next attempt of a step: of a reopened one with the snapshot that it is bounded by."""
    reopening = state.reopening
    index = _choose_index(state)
    only = reopening.only if reopening is not None else ()
    settings = (*step.list_settings(index), *(reopening.settings if reopening is not None else ()))
    return BeginStep(
        step=step.name,
        number=len(state.attempts) + 1,
        index=index,
        settings=settings,
        only=only,
        prior=state.prior if only else None,
        cost_usd=terms.most_usd[step.name] or 0.0,
    )


def _hold(step: str, last: courses.StepAttempt | None) -> PauseCampaign:
    """The pause of a step whose last attempt did not pass."""
    if last is None:
        raise ValueError(f"step {step} has no attempt to hold")
    if last.end == "FAILED":
        return _pause(step, "failed", last.reason, last.exit_code or 4)
    code = last.exit_code if last.exit_code in (*_INTERRUPTED, 6) else 3
    words = f"{last.reason}: {', '.join(last.blockers)}" if last.blockers else last.reason
    return _pause(step, "hold", words, code)


def _list_stopping_acts(course: courses.Course, terms: CourseTerms) -> Iterator[CourseAct]:
    """The acts of a campaign that is to end: runs are stopped first, then steps are undone, the last one first."""
    begun = [step for step in terms.file.steps if course.step(step.name).attempts]
    for step in begun:
        last = course.step(step.name).attempts[-1]
        if last.is_open:
            yield StopStep(step=step.name, attempt=last)
    for step in terms.file.steps:
        if course.step(step.name).overridden:
            yield PutBack(step=step.name)
    for step in reversed(begun):
        if step.undo is not None and not course.step(step.name).undone:
            yield UndoStep(step=step.name)
    yield ReachCampaignOutcome(outcome="stopped")


def refuse_reopening(
    course: courses.Course, file: campaign_files.CampaignFile, step: str, only: tuple[str, ...]
) -> None:
    """Raises `errors.UsageError` or `errors.Refused` where a step cannot be taken again."""
    try:
        section = file.step(step)
    except LookupError as exc:
        raise errors.UsageError(f"--reopen {step}: {exc.args[0]}") from None
    state = course.step(step)
    last = state.last
    if last is None:
        raise errors.Refused(f"--reopen {step}: it was never begun; `burst campaign resume` comes to it")
    if last.is_open:
        raise errors.Refused(f"--reopen {step}: its attempt {last.number} has not ended; resume the campaign first")
    if only and (section.plan is None or state.prior is None):
        raise errors.UsageError(f"--only: step {step} has no snapshot that a bounded rerun could rest on; leave it out")
    following = file.steps[file.steps.index(section) + 1 :]
    later = [
        successor.name
        for successor in following
        if course.step(successor.name).attempts and (step in successor.depends_on or successor.rollup is not None)
    ]
    if later:
        raise errors.Refused(f"--reopen {step}: {', '.join(later)} rest on it and were begun; begin a new campaign")
