"""A campaign in words and as JSON, from its file and its journal."""

from typing import Any

from burst.domain.basics import canonical, instants, wording
from burst.domain.course import campaign_files, courses
from burst.domain.verdict import rollup_snapshots


def find_exit_code(course: courses.Course) -> int:
    """The exit code of a campaign that ended or pauses; 4 where its process died."""
    if course.exit_code is not None and course.ended_at is not None:
        return course.exit_code
    return 4 if course.pause is None else course.pause.exit_code


def describe_state(course: courses.Course, *, at_work: bool) -> str:
    """The state of a campaign in a word or two."""
    if course.ended_at is not None:
        return f"{course.outcome} (exit {course.exit_code})"
    if course.pause is not None:
        return f"paused: {course.pause.kind}"
    return "at work" if at_work else "cut"


def list_fields(file: campaign_files.CampaignFile, course: courses.Course, *, at_work: bool) -> dict[str, Any]:
    """The campaign as JSON."""
    pause = course.pause
    return {
        "campaign_id": course.campaign_id,
        "environment": file.environment,
        "state": describe_state(course, at_work=at_work),
        "operators": list(course.operators),
        "began_utc": None if course.began_at is None else instants.text(course.began_at),
        "ended_utc": None if course.ended_at is None else instants.text(course.ended_at),
        "exit_code": find_exit_code(course) if course.ended_at or pause else None,
        "pause": None
        if pause is None
        else {"step": pause.step, "kind": pause.kind, "reason": pause.reason, "exit_code": pause.exit_code},
        "stop": None if course.stop is None else {"by": course.stop.by, "reason": course.stop.reason},
        "steps": [_list_step(step, course.step(step.name)) for step in file.steps],
    }


def _list_step(step: campaign_files.StepSection, state: courses.StepState) -> dict[str, Any]:
    return {
        "name": step.name,
        "kind": step.kind,
        "state": describe_step(state),
        "lost_to_hold_seconds": canonical.shorten(state.lost_to_hold_seconds),
        "attempts": [
            {
                "number": attempt.number,
                "run_id": attempt.run_id,
                "end": attempt.end,
                "exit_code": attempt.exit_code,
                "reason": attempt.reason,
                "blockers": list(attempt.blockers),
                "only": list(attempt.only),
                "settings": list(attempt.settings),
                "place": attempt.snapshot.place if attempt.snapshot else None,
                "sha256": attempt.snapshot.sha256 if attempt.snapshot else None,
                "prior_sha256": attempt.prior.sha256 if attempt.prior else None,
                "measures": dict(attempt.measures),
            }
            for attempt in state.attempts
            if not attempt.lost
        ],
    }


def describe_step(state: courses.StepState) -> str:
    """The state of a step in a word."""
    if state.passed:
        return "PASS"
    last = state.last
    if last is None:
        return "not begun"
    return "running" if last.is_open else str(last.end)


def render(file: campaign_files.CampaignFile, course: courses.Course, folder: str, *, at_work: bool) -> str:
    """The campaign in words, with what to do next."""
    lines = [f"{course.campaign_id}  {file.environment}  {describe_state(course, at_work=at_work)}"]
    for step in file.steps:
        lines += _render_step(step, course.step(step.name))
    lines += _advise(course, folder, at_work=at_work)
    return "\n".join(lines)


def _render_step(step: campaign_files.StepSection, state: courses.StepState) -> list[str]:
    lines = [f"{step.name:<16} {step.kind:<8} {describe_step(state)}"]
    for attempt in state.attempts:
        if attempt.lost:
            continue
        words = [f"  {attempt.number}. {attempt.run_id}", str(attempt.end or "open")]
        words += [f"open {', '.join(attempt.blockers)}"] if attempt.blockers else []
        words += [f"only {', '.join(attempt.only)}"] if attempt.only else []
        words += [f"{pointer}={value}" for pointer, value in attempt.measures.items()]
        lines.append("  ".join(words))
    if state.lost_to_hold_seconds:
        lines.append(f"  {wording.format_count(round(state.lost_to_hold_seconds), 'second')} lost to a HOLD")
    return lines


def _advise(course: courses.Course, folder: str, *, at_work: bool) -> list[str]:
    pause = course.pause
    if course.ended_at is not None:
        return []
    if pause is None:
        return [] if at_work else [f"its process works on it elsewhere, or has died: burst campaign resume {folder}"]
    again = f"burst campaign resume {folder}"
    if pause.kind == "hold":
        again += f" --reopen {pause.step} --only ID,..."
    return [f"pause at {pause.step}: {pause.reason}", f"go on: {again}   or end it: burst campaign stop {folder}"]


def render_rollup(snapshot: rollup_snapshots.RollupSnapshot) -> str:
    """A roll-up in words: its verdict, its lanes, its families, and what is open."""
    lines = [f"{snapshot.execution_id}  {snapshot.phase}  {snapshot.exit_reason}"]
    for name, outcome in snapshot.lane_outcomes.items():
        blockers = f"  open {', '.join(outcome.blockers)}" if outcome.blockers else ""
        lines.append(f"{name:<16} {outcome.verdict}{blockers}")
    for family, entry in snapshot.evidence_family_index.items():
        lines.append(f"family {family}: {', '.join(entry.passed) or 'nothing passed'}")
    if snapshot.hold_time.total_seconds:
        lines.append(f"{wording.format_count(round(snapshot.hold_time.total_seconds), 'second')} lost to HOLDs")
    lines += [f"open {entry.blocker}: {entry.why}" for entry in snapshot.open_entries]
    return "\n".join(lines)
