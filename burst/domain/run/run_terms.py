"""Terms of a run: what its plan and its target say of its course, as its decisions need it."""

from dataclasses import dataclass

from burst.domain.documents import holding
from burst.domain.plan import plans
from burst.domain.receipts import early_stops
from burst.domain.run import starts
from burst.domain.tasks import drills, one_shots, tasks, worst_ends

Shots = tuple[tasks.OneShot, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunTerms:
    """What the plan says about the run's course. Durations in seconds."""

    tasks: int
    least_tasks: int
    layers: tuple[str, ...]
    """Layers to arm before launch, in order."""
    required_layers: frozenset[str]
    cap_seconds: float
    window_seconds: float
    start_timeout_seconds: float
    grace_seconds: float
    early_stop: bool
    sequential: early_stops.EarlyStopTerms
    capacity: tuple[str, ...] = ()
    """Capacity providers in the order they are tried; empty: the target's own default."""
    barrier: bool = True
    """Whether tasks wait for GO. Without a barrier the attempt starts with the first task."""
    claims: bool = False
    """Whether tasks claim their shards themselves: then the number of ready tasks counts, and not which they are."""
    give_up_seconds: float = worst_ends.GIVE_UP_AFTER_FORCE_SECONDS
    """How long after the last attempt to stop a task it may take until it is seen stopped."""
    before: Shots = ()
    """One-shots to run in order before the launch."""
    after: Shots = ()
    """One-shots to run in order once every task was seen to stop."""
    scales: bool = False
    """Whether services are scaled for the burst."""
    planned_drills: tuple[drills.Drill, ...] = ()
    """The faults that the run causes in its window, in order."""
    appears_seconds: float = 0.0
    """How long after its start a search may miss a task."""
    tolerance_seconds: float = 0.0
    """By how much the clock that times the end of a task may differ from the controller's."""
    lead_seconds: float = 0.0
    """From GO to the beginning of the counted window."""
    replacements: int = 0
    """How many tasks that fail to start are replaced before GO, in all."""

    @property
    def holding(self) -> holding.HoldingTerms:
        """The promises that decide which tasks held."""
        return holding.HoldingTerms(
            least_tasks=self.least_tasks,
            window_seconds=self.window_seconds,
            min_window_seconds=self.lead_seconds + self.sequential.min_window_seconds,
            grace_seconds=self.grace_seconds,
            tolerance_seconds=self.tolerance_seconds,
        )

    @property
    def start(self) -> starts.StartTerms:
        """The terms from the launch to GO."""
        return starts.StartTerms(
            tasks=self.tasks,
            least_tasks=self.least_tasks,
            replacements=self.replacements,
            barrier=self.barrier,
            claims=self.claims,
        )

    @property
    def all_shots(self) -> Shots:
        """Every one-shot of the run: before the burst, after it, and those of its drills."""
        drilled = [shot for drill in self.planned_drills for shot in (drill.command, drill.undo) if shot is not None]
        return (*self.before, *self.after, *drilled)

    @property
    def shot_patience(self) -> one_shots.Patience:
        """How long the end of a one-shot may take."""
        return one_shots.Patience(
            grace_seconds=self.grace_seconds,
            give_up_seconds=self.give_up_seconds,
            appears_seconds=self.appears_seconds,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetLimits:
    """What a target can do: the layers it can arm, whether its tasks claim their shards, and how slow it may be."""

    layers: tuple[str, ...]
    claims: bool = False
    give_up_seconds: float = worst_ends.GIVE_UP_AFTER_FORCE_SECONDS
    """How long after a forced stop a task may still be running before nobody waits for it."""
    appears_seconds: float = 0.0
    """For how long after its launch a task may be missing from the launcher's list."""


def make_terms(
    plan: plans.Plan,
    limits: TargetLimits,
    *,
    required_admits_per_second: float | None,
    early_stop: bool,
    barrier: bool = True,
    shots: drills.PlannedShots = drills.NO_SHOTS,
) -> RunTerms:
    """The terms of a resolved plan on a target with these limits."""
    return RunTerms(
        tasks=plan.target.tasks,
        least_tasks=plan.target.least_tasks,
        layers=limits.layers,
        required_layers=frozenset(plan.layers.require),
        cap_seconds=plan.budget.cap_seconds,
        window_seconds=plan.load_seconds,
        lead_seconds=plan.lead_seconds,
        start_timeout_seconds=plan.budget.start_timeout,
        grace_seconds=plan.budget.stop_grace,
        early_stop=early_stop,
        sequential=make_early_stop_terms(plan, required_admits_per_second),
        capacity=tuple(plan.target.capacity or ()),
        barrier=barrier,
        claims=limits.claims,
        give_up_seconds=limits.give_up_seconds,
        before=shots.before,
        after=shots.after,
        scales=bool(plan.services),
        planned_drills=shots.drills,
        appears_seconds=limits.appears_seconds,
        tolerance_seconds=holding.HoldingTerms.from_plan(plan).tolerance_seconds,
        replacements=plan.target.most_replacements,
    )


def make_early_stop_terms(plan: plans.Plan, required_admits_per_second: float | None) -> early_stops.EarlyStopTerms:
    """What a plan promises, as the rules of early stop need it."""
    rate, admits = plan.highest_rate, (plan.gates.decision_shares or {}).get("ADMIT")
    steps = plan.rate_plan
    return early_stops.EarlyStopTerms(
        admit_ratio=plan.gates.admit_ratio,
        window_seconds=plan.budget.window_seconds,
        min_window_seconds=plan.budget.min_window,
        required_admits_per_second=required_admits_per_second,
        offered_per_second=rate / 60 if rate is not None else None,
        planned_events=steps.events if steps is not None else None,
        offered_load=plan.gates.least_offered,
        source_events=plan.load.source_events,
        no_receipts_seconds=_find_silence_seconds(plan),
        tail_seconds=plan.budget.stop_grace,
        arrivals=plan.load.arrivals,
        min_admits=plan.gates.min_admits,
        admit_share=admits.at_least if admits else None,
    )


_SURELY_DUE = 10
"""So many events are due at least before a window without a receipt is called silent."""


def _find_silence_seconds(plan: plans.Plan) -> float:
    """How long the counted window may be without a receipt: the start timeout, and longer where the rates make hardly
    anything due until then, as a slow first step does."""
    seconds, window, lead = plan.budget.start_timeout, plan.budget.window_seconds, plan.lead_seconds
    while seconds < window:
        due = plan.count_planned(lead, lead + seconds)
        if due is None or due >= _SURELY_DUE:
            break
        seconds *= 2
    return seconds
