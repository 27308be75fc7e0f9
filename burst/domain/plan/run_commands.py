"""Run commands: the commands about one run as an operator can give them, whole, on this machine or another.

A run on ECS is found by its cluster and its run control: without them `burst reap` looks at this machine, where no task
of it runs, and says so. Every message that names such a command takes it from here.
"""

from burst.domain.plan import plans


def resume(run: str, plan: plans.Plan) -> str:
    """The command that continues a run; `run` is its folder or its id."""
    return f"burst resume {run}{_run_control(plan)}"


def stop(run: str, plan: plans.Plan) -> str:
    """The command that stops a run."""
    return f"burst stop {run}{_run_control(plan)}"


def reap(plan: plans.Plan) -> str:
    """The command that ends what outlived the run's deadline, without its folder."""
    cluster = f" --cluster {plan.target.cluster}" if plan.target.cluster else ""
    return f"burst reap --run {plan.execution_id}{cluster}{_run_control(plan)}"


def _run_control(plan: plans.Plan) -> str:
    place = plan.evidence.authority
    return f" --run-control {place}" if place else ""
