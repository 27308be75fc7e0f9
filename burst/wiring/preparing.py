"""Preparing: from a request to a plan resolved for one run, with the documents it starts from.

Nothing is launched and no folder is made here. A problem of the plan's words is raised at once; a problem of an input
can be kept, so that preflight finds it with every other.
"""

from __future__ import annotations

import contextlib
import dataclasses
import secrets as randomness
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from burst.adapters import secrets
from burst.adapters.local import system_clock
from burst.domain.basics import canonical, errors, instants
from burst.domain.plan import catalogues, plans, rate_sections
from burst.domain.verdict import baselines
from burst.kit import files
from burst.wiring import inputs
from burst.wiring.targets import targets

if TYPE_CHECKING:
    from burst.wiring import earlier_runs


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """A plan file, and the changes to it for one run."""

    plan_file: Path
    overrides: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    prior: str | None = None
    execution_id: str | None = None
    early_stop: bool = True
    command: tuple[str, ...] = ()
    """The words of the command line; none where a program asks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierRuns:
    """What earlier runs left that a plan rests on; most plans rest on none."""

    prior: earlier_runs.PriorInput | None = None
    gate_records: bytes | None = None
    reference: earlier_runs.PriorInput | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A plan read and resolved, the documents it starts from, and its baseline."""

    plan: plans.Plan
    baseline_content: bytes | None
    prior: earlier_runs.PriorInput | None
    baseline: baselines.Baseline | None
    gate_records: bytes | None = None
    """The promotions and demotions that the plan names by digest."""
    reference: earlier_runs.PriorInput | None = None
    """The run that this one reproduces."""
    command: tuple[str, ...] = ()
    """The words of the command line."""
    problems: Mapping[str, errors.BurstError] = dataclasses.field(default_factory=dict)
    """The problems of its inputs, by preflight check; where there is one, nothing may be launched."""

    @property
    def contract_problem(self) -> str:
        """Why a rerun by this plan opens B4, because its terms are not its prior's; empty where they are, or are named
        in `rerun.changes`, and where there is no prior."""
        if self.prior is None:
            return ""
        from burst.wiring import earlier_runs

        return earlier_runs.find_contract_problem(self.plan, self.prior, self.baseline_content)

    @property
    def baseline_problem(self) -> str:
        """In what this burst is not like its reference run, so that the multiple of its rate shows less; empty where
        nothing is known to differ."""
        return "; ".join(difference.text for difference in self.baseline_differences)

    @property
    def baseline_differences(self) -> tuple[baselines.LoadDifference, ...]:
        """In what this burst is known not to be like its reference run."""
        if self.baseline_content is None:
            return ()
        document = baselines.read(self.baseline_content)
        return tuple(baselines.list_differences(document, self.plan, self.machine))

    @property
    def machine(self) -> Mapping[str, str | int | float | None] | None:
        """The machine of the tasks; None where it is not known before they run."""
        return targets.read_terms(self.plan, system_clock.SystemClock()).fingerprint()

    @property
    def warnings(self) -> dict[str, str]:
        """The warnings about inputs that can be used, by preflight check; empty texts say nothing."""
        return {"prior": self.contract_problem, "baseline": self.baseline_problem}

    @property
    def required_admits_per_second(self) -> float | None:
        """The rate that the multiplier gate requires."""
        return required_rate(self.plan, self.baseline)


def read_plan(request: RunRequest) -> plans.Plan:
    """The plan with the changes of the request. Raises `errors.UsageError`."""
    plan = plans.parse(
        files.read_named_text(request.plan_file, "plan"), source=str(request.plan_file), overrides=request.overrides
    )
    if not request.only and request.prior is None and request.execution_id is None:
        return plan
    changed = plan.document()
    if request.only or request.prior is not None:
        rerun = changed.get("rerun", {})
        rerun |= {"only": list(request.only)} if request.only else {}
        rerun |= {"prior": request.prior} if request.prior is not None else {}
        changed["rerun"] = rerun
    if request.execution_id is not None:
        changed["execution_id"] = request.execution_id
    try:
        return plans.parse(canonical.encode(changed).decode(), source=str(request.plan_file))
    except plans.PlanError as exc:
        raise errors.UsageError(_describe_words(exc)) from exc


_OPTIONS = {"rerun.only": "--only", "rerun.prior": "--prior", "execution_id": "--execution-id"}
"""The options of the command line by the keys of the plan that they set."""


def _describe_words(exc: plans.PlanError) -> str:
    """The mistakes of a plan, which was valid without the words of the command line: they are theirs."""
    lines = []
    for problem in exc.problems:
        option = _OPTIONS.get(problem.key.partition("[")[0], "")
        if problem.key == "rerun.only" and problem.seen == "nothing":
            lines.append("--prior needs --only, the blockers that may change")
        elif option:
            lines.append(f"{option}: saw {problem.seen}; allowed: {problem.allowed}")
        else:
            lines.append(f"with these options {problem.key}: saw {problem.seen}; allowed: {problem.allowed}")
    return "; ".join(lines)


def find_missing_secret(plan: plans.Plan) -> str:
    """Why a secret that this machine holds does not resolve; empty where each does."""
    dsn = plan.receipts.dsn if plan.receipts.via == "direct" else None
    checkpoint = plan.load.playback.checkpoint_secret if plan.load.playback else None
    of_the_load = (plan.load.api_key, checkpoint, *plan.load.environment.values())
    for reference in (dsn, *(of_the_load if plan.target.kind == "local" else ())):
        if reference is not None and reference.startswith(("env:", "file:")):
            try:
                secrets.resolve(reference)
            except errors.UsageError as exc:
                return str(exc)
    return ""


def prepare(request: RunRequest, now: datetime) -> Prepared:
    """The plan resolved for a run starting now: ids made, `fresh` and `auto` replaced, inputs named by digest.

    Raises `errors.Refused` where an input is missing or cannot be trusted.
    """
    prepared = examine(request, now)
    for problem in prepared.problems.values():
        raise problem
    return prepared


def examine(request: RunRequest, now: datetime) -> Prepared:
    """As `prepare`, but problems of baseline and prior are kept in `problems`, for preflight to find."""
    plan = read_plan(request)
    _require_valid(plan)
    problems: dict[str, errors.BurstError] = {}
    baseline_content, baseline, earlier = None, None, EarlierRuns()
    with _keep_problem(problems, "baseline"):
        baseline_content, baseline = inputs.baseline(plan, now)
    if plan.rerun is not None or plan.reproduces is not None or plan.gates.records is not None:
        earlier = _read_earlier_runs(plan, now, problems)
    resolved = _resolve(plan, now, randomness.token_hex(3), baseline)
    if baseline_content is not None:
        resolved["baseline"]["sha256"] = canonical.digest(baseline_content)
    if earlier.prior is not None:
        resolved["rerun"]["prior_sha256"] = canonical.digest(earlier.prior.snapshot)
    if earlier.reference is not None:
        resolved["reproduces"]["sha256"] = canonical.digest(earlier.reference.snapshot)
    prepared = Prepared(
        plan=plans.parse(canonical.encode(resolved).decode(), source=str(request.plan_file)),
        baseline_content=baseline_content,
        prior=earlier.prior,
        baseline=baseline,
        gate_records=earlier.gate_records,
        reference=earlier.reference,
        command=request.command,
        problems=problems,
    )
    with _keep_problem(problems, "baseline"):
        _refuse_unlike_baseline(prepared)
    return prepared


def _read_earlier_runs(plan: plans.Plan, now: datetime, problems: dict[str, errors.BurstError]) -> EarlierRuns:
    """What earlier runs left for this one. `problems` gets the error of each input that cannot be used."""
    from burst.wiring import earlier_runs

    prior, gate_records, reference = None, None, None
    with _keep_problem(problems, "prior"):
        prior = earlier_runs.prior(plan)
    with _keep_problem(problems, "gate-modes"):
        gate_records = earlier_runs.read_gate_records(plan)
    with _keep_problem(problems, "reference"):
        reference = earlier_runs.reference(plan, now)
    return EarlierRuns(prior=prior, gate_records=gate_records, reference=reference)


def _refuse_unlike_baseline(prepared: Prepared) -> None:
    """Raises `errors.Refused` where the baseline is of another program, machine or environment, and no change of it is
    named in `rerun.changes`: the multiple of another rate proves nothing."""
    unlike = "; ".join(difference.text for difference in prepared.baseline_differences if difference.decisive)
    if not unlike:
        return
    from burst.domain.verdict import contract_terms

    rerun, reference = prepared.plan.rerun, prepared.plan.baseline
    is_declared = rerun is not None and any(change.key == contract_terms.BASELINE for change in rerun.term_changes)
    if not is_declared and reference is not None:
        evidence = prepared.plan.blocker(catalogues.Role.EVIDENCE)
        raise errors.Refused(
            f"{evidence}: baseline {reference.file}: the burst is not like its reference run: {unlike}; nothing was "
            "launched; make one like it with `burst baseline make RUN -o FILE`, or name the change of the baseline in "
            "rerun.changes"
        )


def _resolve(plan: plans.Plan, now: datetime, unique: str, baseline: baselines.Baseline | None) -> dict[str, Any]:
    """The plan's document with an id, and with a scope and a rate of its own where it says `fresh` and `auto`."""
    resolved = plan.document()
    if plan.execution_id is None:
        resolved["execution_id"] = f"{plan.group}_{instants.stamp(now)}_{unique}"
    if plan.scope == "fresh":
        resolved["scope"] = f"platform_{instants.stamp(now)}_{unique}"
    if baseline is not None:
        _resolve_rates(plan, resolved["load"], baseline)
    return resolved


def _resolve_rates(plan: plans.Plan, load: dict[str, Any], baseline: baselines.Baseline) -> None:
    """Replaces each `auto` by the rate that its multiple of the baseline needs."""

    def find_rate(step: str | None) -> float | None:
        multiplier = plan.gates.find_multiplier(step)
        if multiplier is None:
            return None
        return multiplier * baseline.rate_per_minute * plan.load.headroom / plan.load.new_share

    if load.get("rate") == "auto" and (rate := find_rate(None)) is not None:
        load["rate"] = rate
    names = rate_sections.name_steps(plan.load.steps)
    for name, step in zip(names, load["rate"] if plan.load.steps else (), strict=True):
        rate = find_rate(name)
        step |= {key: rate for key in ("rate", "to") if step.get(key) == "auto" and rate is not None}


@contextlib.contextmanager
def _keep_problem(problems: dict[str, errors.BurstError], name: str) -> Iterator[None]:
    """Keeps the problem of an input for preflight to find; a problem of the plan's words is raised."""
    try:
        yield
    except errors.UsageError:
        raise
    except errors.BurstError as exc:
        problems[name] = exc


def _require_valid(plan: plans.Plan) -> None:
    """Raises `errors.UsageError` where the plan asks for something that its target does not have."""
    target = targets.read_terms(plan, system_clock.SystemClock())
    target.require_valid()
    unknown = set(plan.layers.require).difference(target.layers)
    if unknown:
        raise errors.UsageError(
            f"layers.require: kind {plan.target.kind} cannot arm {', '.join(sorted(unknown))}; "
            f"allowed: {', '.join(target.layers)}"
        )


def required_rate(plan: plans.Plan, baseline: baselines.Baseline | None) -> float | None:
    """Admits a second that the multiplier gate requires; None where it requires none, or the baseline is unknown."""
    if baseline is None or plan.gates.multiplier is None:
        return None
    return plan.gates.multiplier * baseline.rate_per_second
