"""Runs that were intended by id: whether one began, so that it is continued and never launched a second time."""

from burst.adapters.local import system_clock
from burst.domain.basics import canonical, errors
from burst.domain.plan import plans
from burst.wiring import driving, standings
from burst.wiring.targets import targets


def has_begun(address: driving.RunAddress) -> bool:
    """Whether the journal of a run, here or under run control, says that it began: nothing is launched before."""
    try:
        if address.folder.is_dir():
            standings.read_status(address.folder)
        elif address.run_control is not None:
            standings.inspect_remote(address.folder.name, address.run_control)
        else:
            return False
    except errors.EvidenceIncomplete:
        return False
    except errors.BurstError:
        return True  # something is there that cannot be read: resuming it says why
    return True


def describe_living(plan: plans.Plan, run_id: str) -> str:
    """The tasks of a run without a journal that are seen to live all the same, with what ends them; empty where none
    is."""
    own = plans.parse(canonical.encode(plan.document() | {"execution_id": run_id}).decode(), source=run_id)
    living = targets.choose(own, system_clock.SystemClock()).living_tasks()
    names = ", ".join(task.task.task_id for task in living)
    return f"run {run_id} has no journal, and tasks of it run: {names}; end them: burst stop {run_id}" if living else ""
