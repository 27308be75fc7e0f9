"""A target: where the tasks of a plan run. One object a kind answers everything that depends on the kind.

`choose` is the one place that turns the kind of a plan into its object. The controller never meets a target:
`run_target` gives it the ports and values of one run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from burst import ports
    from burst.control import controller, ownership, preflight, reaping
    from burst.domain.documents import run_records
    from burst.domain.plan import plans
    from burst.domain.preflight import findings
    from burst.domain.tasks import leases, worst_ends


class TargetTerms(Protocol):
    """What the plan alone says of its target; `burst plan` needs no more. Reading them starts nothing."""

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers of the hard stop that can be armed, in the order in which they are armed."""
        ...

    @property
    def simulated_by_rehearsal(self) -> bool:
        """Whether `burst rehearse` can run the plan unchanged."""
        ...

    @property
    def safe_lease_ttl_seconds(self) -> float | None:
        """The shortest `layers.lease_ttl` that slow answers cannot exceed; None where the lease is always near."""
        ...

    def require_valid(self) -> None:
        """Raises `errors.UsageError` where the plan asks for something this target does not have."""
        ...

    def fingerprint(self) -> Mapping[str, str | int | float | None] | None:
        """What of the machine of the tasks a baseline keeps; None where it is not known before they run."""
        ...

    def cost(self) -> findings.Finding:
        """What the burst costs at most, as far as it can be known without a preflight."""
        ...

    def worst_ends(self) -> Sequence[worst_ends.WorstEnd]:
        """When the last process of a task has ended at the latest, by each layer alone."""
        ...


class Target(TargetTerms, Protocol):
    """Everything that depends on where the tasks of one plan run. Making one asks nothing outside this process."""

    @property
    def give_up_seconds(self) -> float:
        """How long a task may take to be seen stopped after the last thing that can be done."""
        ...

    @property
    def claims_shards(self) -> bool:
        """Whether tasks claim their shards themselves."""
        ...

    @property
    def appears_seconds(self) -> float:
        """For how long after its launch a search may miss a task."""
        ...

    # Preflight

    def secret_references(self) -> Sequence[str]:
        """The references whose values this machine gives to the tasks."""
        ...

    def counter_check(self) -> Callable[[], findings.Finding] | None:
        """Asks whether the task that counts receipts can start; None where no task counts."""
        ...

    def checks(self, receipts: preflight.ReceiptChecks) -> Sequence[preflight.PreflightCheck]:
        """The preflight checks of this target, beside those of every plan."""
        ...

    # A run

    def waits_for_go(self) -> bool:
        """Whether tasks hold at the barrier until GO."""
        ...

    def announce(self, store: ports.EvidenceStore, announcement: run_records.Announcement) -> None:
        """Tells other machines of a run before its launch, where they can take it over. Raises what the store raises:
        nothing may be launched then."""
        ...

    def run_target(
        self, deadline: datetime, *, to_launch: bool, owner: leases.Owner | None = None
    ) -> controller.RunTarget:
        """The ports and values of one run. Without `to_launch` no secret is resolved, and no task can be launched;
        without `owner` the lease is written in nobody's name."""
        ...

    def launcher(self, deadline: datetime) -> ports.Launcher:
        """The launcher of one run."""
        ...

    def lease_store(self) -> ports.LeaseStore:
        """The lease of one run."""
        ...

    def halt_switch(self) -> ports.HaltSwitch:
        """The switch that stops every run under the run control of this one."""
        ...

    def run_lease(self, begun_at: datetime, deadline: datetime) -> ownership.RunLease:
        """The lease of one run, to be claimed."""
        ...

    def places(self, deadline: datetime) -> Sequence[ports.EvidencePlace]:
        """Where documents are published beside the run's folder, the authority last."""
        ...

    def living_tasks(self) -> list[reaping.LivingTask]:
        """Every living task of the run, found without its folder."""
        ...

    def list_living_runs(self) -> list[str]:
        """The other runs under this run control of which a task is alive. Raises where nobody can tell."""
        ...


def read_terms(plan: plans.Plan, clock: ports.Clock) -> TargetTerms:
    """The terms of a plan's target."""
    if plan.target.kind == "ecs":
        return choose(plan, clock)
    from burst.wiring.targets import local_terms

    return local_terms.LocalTerms(plan)


def choose(plan: plans.Plan, clock: ports.Clock, folder: Path | None = None) -> Target:
    """The target of a plan; `folder` is that of its run, where it lies elsewhere than the plan says."""
    # Each target is imported where it is meant: that of ECS brings the whole of AWS, which takes a second.
    if plan.target.kind == "ecs":
        from burst.wiring.targets import ecs_target

        return ecs_target.EcsTarget(plan, clock)
    from burst.wiring.targets import local_target

    return local_target.LocalTarget(plan, folder or Path(plan.evidence.local) / str(plan.execution_id), clock)


def find_living_tasks(clock: ports.Clock, cluster: str | None, execution_id: str | None) -> list[reaping.LivingTask]:
    """Every living burst task of an ECS cluster, or of this machine where none is named; of one run where one is named.

    For commands that have no plan: the schedule of the hard stop names a run, the sweeper looks at all.
    """
    if cluster:
        from burst.wiring.targets import ecs_target

        return ecs_target.find_living_tasks(clock, cluster, execution_id)
    from burst.wiring.targets import local_target

    return local_target.find_living_tasks(execution_id)
