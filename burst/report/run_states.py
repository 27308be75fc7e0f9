"""States of a run in a word or two, for whoever watches it."""

from burst.domain.basics import instants
from burst.domain.run import runs


def describe(run: runs.Run) -> str:
    """The run's state in a word or two."""
    if run.exit_code is not None:
        return f"finished (exit {run.exit_code})"
    if run.measured:
        return "publishing"
    if run.stopping is not None:
        stopped = len(run.truths) - len(run.alive)
        return f"stopping: {run.stopping.reason}, {stopped} of {len(run.truths)} stopped" if run.alive else "counting"
    if run.count_blindness is not None:
        doubt_of_counts = f", count blind since {instants.text(run.count_blindness.since_utc)}"
        return f"{_course(run)}{doubt_of_counts}: early stop cannot act ({run.count_blindness.why})"
    doubt = f", {drilling}" if (drilling := _describe_drills(run)) else ""
    doubt += f", cannot read {', '.join(run.signs_in_doubt)}" if run.signs_in_doubt else ""
    return f"{_course(run)}{doubt}"


def name(run: runs.Run) -> str:
    """The state in the fewest words, for whoever sees its reasons elsewhere: that nobody can see is said with it."""
    sightless = run.blind_since is not None or run.count_blindness is not None or run.signs_in_doubt
    if run.exit_code is not None or run.measured or run.stopping is not None or not sightless:
        return describe(run)
    return "bursting, blind" if run.go_at is not None else "starting, blind"


def _describe_drills(run: runs.Run) -> str:
    """The last drill that the run came to, and how far its fault is; empty before the first."""
    if not run.strikes or run.go_at is None:
        return ""
    name, strike = list(run.strikes.items())[-1]
    shot = run.shots.get(name)
    if strike.refused is not None:
        return f"drill {name} was not caused: {strike.refused}"
    if shot is not None:
        return f"drill {name}: its command {'has ended' if shot.ended else 'runs'}"
    if strike.over_at is not None:
        return f"drill {name}: {strike.replaced} tasks replaced"
    if strike.struck_at is not None:
        return f"drill {name}: {strike.replaced} of {len(strike.tasks_before)} tasks replaced"
    return f"drill {name} is being caused"


def _course(run: runs.Run) -> str:
    """The state of a run that is not stopping."""
    if run.blind_since is not None:
        return f"blind since {instants.text(run.blind_since)}"
    if run.go_at is not None:
        return "bursting"
    if run.launching_at is not None:
        return _describe_start(run)
    return "arming"


def _describe_start(run: runs.Run) -> str:
    """How many tasks are ready of those that may still come, and how many failed."""
    failed = len(run.truths) - len(run.carriers)
    words = f"starting, {min(run.ready_count, len(run.carriers))} of {len(run.carriers)} tasks ready"
    words = f"{words}, {failed} failed to start" if failed else words
    return f"{words}, no answer yet of {', '.join(run.silent_series)}" if run.silent_series else words
