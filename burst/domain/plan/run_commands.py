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
    return sweep(plan.execution_id, cluster=plan.target.cluster, run_control=plan.evidence.authority)


def sweep(run: str | None, *, cluster: str | None, run_control: str | None) -> str:
    """The command that ends what outlived its deadline, of one run or of all, in a cluster or on this machine."""
    words = ["burst reap", f"--run {run}" if run else "--all"]
    words += [f"--cluster {cluster}"] if cluster else []
    words += [f"--run-control {run_control}"] if run_control else []
    return " ".join(words)


def _run_control(plan: plans.Plan) -> str:
    place = plan.evidence.authority
    return f" --run-control {place}" if place else ""
