"""Snapshots: facts to verdict, as a pure function from documents to bytes.

`adjudicate` reads nothing and knows no clock: everything the snapshot says comes from the documents of the case, so
anybody who has them can make the same bytes again. A document that is missing or unreadable leaves blockers open;
it is never an exception, because a verdict must always be reached.

A snapshot is held to every byte by the version that made it. Another version may word a sentence otherwise, and holds
it to all that it judged: ids, states, figures, names, digests and the exit code.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

import pydantic

from burst.domain.basics import canonical, errors, wording
from burst.domain.documents import (
    attempts,
    driver_entries,
    entry_answers,
    models,
    task_results,
    window_metrics,
)
from burst.domain.plan import catalogues, plans
from burst.domain.verdict import (
    baselines,
    blockers,
    cases,
    contracts,
    drill_checks,
    entry_verdicts,
    gates,
    observed_sections,
    phase_sections,
    rules,
    snapshot_sections,
    step_sections,
)

_SINCE_0_2_0 = (
    *("kind", "rules", "contract", "attempt", "command_line", "hold", "deliveries", "duplicates", "driver"),
    *("dependency_refs", "observations", "multiplier_interval", "drills", "rate_steps"),
)
"""The fields of a snapshot that one judged by the rules of 0.1.0 does not have."""
_LAG_CHECKPOINT_ROLES = (catalogues.Role.LAG, catalogues.Role.CHECKPOINT)


class Snapshot(phase_sections.PhaseSections):
    """The snapshot as its consumers may rely on it."""

    schema_: Literal["burst.snapshot/v1"] = pydantic.Field(alias="schema")
    phase: str
    """The phase as the plan names it, such as `M10.F`; blockers and documents are named after it."""
    kind: Annotated[catalogues.Kind, pydantic.Field(strict=False)] = catalogues.Kind.BURST
    """The kind of the phase, which says what its blockers mean; burst 0.1.0 knew one, and did not state it."""
    execution_id: str | None
    """The run that was judged; None where no document names it."""
    platform_run_id: str | None
    """The scope whose receipts were counted; None where no document names it."""
    burst_target: snapshot_sections.BurstTarget
    """What the plan asks for: multiple, shortest window, admit ratio."""
    baseline_extract: snapshot_sections.BaselineExtract | None
    """The rate that the multiplier is taken of; None where no baseline can be used."""
    burst_execution_window: snapshot_sections.ExecutionWindow
    """When the tasks ran, and the window that was counted."""
    burst_load_checks: snapshot_sections.LoadChecks
    """The figures of the counted window beside what they were held to."""
    runtime_budget: snapshot_sections.RuntimeBudget
    """The seconds allowed and used, and the layers that kept them."""
    cost: snapshot_sections.Cost | None
    """What the tasks cost at list prices; None where preflight did not know their size."""
    semantic_drift_checks: snapshot_sections.Checks
    """The gates and facts that say whether the platform still means the same."""
    run_scope_coherence_checks: snapshot_sections.Checks
    """The gates and facts that say whether everything is of this run and scope."""
    lag_checkpoint_checks: snapshot_sections.Checks
    """The gates and facts of consumer lag and of checkpoints."""
    source_snapshot_refs: snapshot_sections.SourceRefs
    """The snapshots that this one rests on: that of the prior, that of the reference run."""
    evidence_refs: list[snapshot_sections.EvidenceRef]
    """Every document of the evidence by digest, in the order of their names."""
    gates: list[snapshot_sections.GateEntry]
    """Every question that was asked, with its answer."""
    blocker_register: list[snapshot_sections.RegisterEntry]
    """Every blocker of the phase with its state, also those that are not open."""
    blockers: list[str]
    """The ids of the open blockers, sorted; none on PASS."""
    overall_pass: bool
    """Whether no blocker is open: PASS, else HOLD."""
    decision: snapshot_sections.Decision
    """Why the burst ended; the verdict is `overall_pass`."""
    non_goals: list[str]
    """What the plan says a bounded rerun does not show; none where the run is no rerun."""
    supersedes: models.Digest | None
    """The digest of the frozen verdict that this one takes the place of; None of a verdict that was published."""
    exit_code: int
    """0 PASS, 3 HOLD, 5 not published, 6 a task may run or something is not put back, 130 and 143 a signal."""
    exit_reason: models.Words
    """Why the run ended with this exit code, in words."""
    rules: str = rules.RULES_0_1_0.version
    """The version of the rules it was judged by; burst 0.1.0 did not state it."""
    contract: snapshot_sections.ContractEntry | None = None
    """The terms that it was judged by; burst 0.1.0 did not state them."""
    attempt: snapshot_sections.AttemptEntry | None = None
    """The number of the run among the attempts of its phase; None where no document says it."""
    command_line: list[str] | None = None
    """The words of the command line that began the run, with every `--set`; None where no document says them."""
    hold: snapshot_sections.Hold | None = None
    """The signature of a HOLD, and the command that repeats the run; None on PASS."""
    deliveries: window_metrics.DeliveriesEntry | None = None
    """Deliveries sent and acknowledged beside the decisions that the table holds; None where the counts do not say."""
    duplicates: window_metrics.DuplicatesEntry | None = None
    """The duplicates of the window by the first ADMIT of their event; None where the counts do not say."""
    driver: driver_entries.DriverEntry | None = None
    """What the driver of the database did for the run; None where the counts do not say."""
    dependency_refs: list[entry_answers.DependencyRef] = pydantic.Field(default_factory=list)
    """The phases and documents that the run rested on before it began, each by its digest."""
    observations: list[observed_sections.ObservedSeries] | None = None
    """The observed series in short; None where the plan observes nothing."""
    multiplier_interval: snapshot_sections.MultiplierInterval | None = None
    """Where the multiplier would lie were burst and reference run repeated; None where the buckets do not tell."""
    drills: list[drill_checks.DrillCheck] | None = None
    """Each fault that the run caused, with its recovery; None where the plan has no drill."""
    rate_steps: list[step_sections.RateStepEntry] | None = None
    """Each step of the load with its figures; None where the load has one rate, or declares none."""
    verifier: snapshot_sections.Verifier
    """The program and the version that reached the verdict."""

    @property
    def open_entries(self) -> list[snapshot_sections.RegisterEntry]:
        """The register's entries that count as open."""
        return [entry for entry in self.blocker_register if entry.open]

    def document(self) -> dict[str, Any]:
        """The JSON value, without the sections of other kinds, and by the rules of 0.1.0 without what that left out."""
        value = super().document()
        for name in phase_sections.list_foreign(self.kind):
            del value[name]
        if self.rules == rules.RULES_0_1_0.version:
            for name in _SINCE_0_2_0:
                del value[name]
        return value

    def judged_value(self, *, only_set: bool = False) -> dict[str, Any]:
        """The JSON value without its sentences. Gates are in the order of blocker and name, which identify them."""
        value = super().judged_value(only_set=only_set)
        value["gates"].sort(key=lambda gate: (gate["blocker"], gate["name"]))
        for entry in value["blocker_register"]:
            entry["gates"].sort()
        for section in ("semantic_drift_checks", "run_scope_coherence_checks", "lag_checkpoint_checks"):
            value[section]["checks"].sort(key=lambda check: check["name"])
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A snapshot and its canonical bytes; a later minor version's bytes may hold more than the model."""

    snapshot: Snapshot
    content: bytes

    @classmethod
    def read(cls, content: bytes) -> Self:
        """The verdict that a snapshot's bytes hold. Raises as `models.read` does."""
        return cls(snapshot=models.read(Snapshot, content), content=content)

    @property
    def sha256(self) -> str:
        """The digest of the bytes."""
        return canonical.digest(self.content)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judgement:
    """The answers to the questions of some rules, and the blockers that they open."""

    judged_by: rules.Rules
    prior: blockers.Prior | None
    contract: contracts.Contract | None
    attempt: snapshot_sections.AttemptEntry | None
    answers: Sequence[gates.Gate]
    register: Sequence[blockers.BlockerEntry]

    @property
    def open_ids(self) -> list[str]:
        return sorted(entry.blocker for entry in self.register if entry.is_open)


def adjudicate(case: cases.Case, judged_by: rules.Rules = rules.CURRENT) -> Verdict:
    """The verdict of a case: same documents and rules, same bytes.

    Raises `errors.UsageError` only where a bounded rerun names a blocker that is not open in its prior snapshot.
    """
    snapshot = _build_snapshot(case, _judge(case, judged_by))
    return Verdict(snapshot=snapshot, content=snapshot.content())


def _judge(case: cases.Case, judged_by: rules.Rules) -> _Judgement:
    prior, _ = cases.find_prior(case.plan, case.prior)
    blockers.refuse_rerun_of_cleared(case.plan, prior)
    answers = judged_by.ask(case)
    contract = None if judged_by is rules.RULES_0_1_0 else contracts.from_case(case, judged_by.version)
    attempt = snapshot_sections.AttemptEntry.from_case(case)
    register = blockers.make_register(case.plan, answers, prior, _note_terms(contract, prior, attempt))
    return _Judgement(
        judged_by=judged_by, prior=prior, contract=contract, attempt=attempt, answers=answers, register=register
    )


def _build_snapshot(case: cases.Case, judged: _Judgement) -> Snapshot:
    plan, result, answers, contract = case.plan, case.task_result.value, judged.answers, judged.contract
    baseline, _ = cases.find_baseline(case)
    exit_code, exit_reason = _choose_exit(result, judged.open_ids, _describe_pass(judged))
    return Snapshot(
        schema_="burst.snapshot/v1",
        phase=plan.phase,
        kind=plan.kind,
        execution_id=case.execution_id,
        platform_run_id=case.scope,
        burst_target=snapshot_sections.BurstTarget.from_plan(plan),
        baseline_extract=snapshot_sections.BaselineExtract.from_baseline(baseline) if baseline else None,
        burst_execution_window=snapshot_sections.ExecutionWindow.from_case(case),
        burst_load_checks=snapshot_sections.LoadChecks.from_case(case, answers),
        runtime_budget=snapshot_sections.RuntimeBudget.from_case(case, answers),
        cost=snapshot_sections.Cost.from_case(case),
        semantic_drift_checks=snapshot_sections.Checks.from_gates(plan, answers, catalogues.Role.DRIFT),
        run_scope_coherence_checks=snapshot_sections.Checks.from_gates(plan, answers, catalogues.Role.SCOPE),
        lag_checkpoint_checks=snapshot_sections.Checks.from_gates(plan, answers, *_LAG_CHECKPOINT_ROLES),
        source_snapshot_refs=snapshot_sections.SourceRefs.from_sources(plan, baseline, judged.prior),
        evidence_refs=snapshot_sections.EvidenceRef.list_case(case),
        gates=[snapshot_sections.GateEntry.from_gate(plan, gate) for gate in answers],
        blocker_register=[snapshot_sections.RegisterEntry.from_blocker(entry) for entry in judged.register],
        blockers=judged.open_ids,
        overall_pass=not judged.open_ids,
        decision=snapshot_sections.Decision.from_result(result),
        non_goals=list(plan.rerun.non_goals) if plan.rerun else [],
        supersedes=None,
        exit_code=exit_code,
        exit_reason=exit_reason,
        rules=judged.judged_by.version,
        attempt=judged.attempt if contract else None,
        command_line=(result.command or None) if result else None,
        hold=snapshot_sections.Hold.from_register(judged.register, result),
        contract=snapshot_sections.ContractEntry.from_contract(contract) if contract else None,
        verifier=dict(case.verifier),
        **_fill_measured(case, baseline, contract),
        **phase_sections.fill_sections(case, answers),
    )


def _fill_measured(
    case: cases.Case, baseline: baselines.Baseline | None, contract: contracts.Contract | None
) -> dict[str, Any]:
    """The sections of what a plan may ask to be measured beside the counts; null or empty where it was not."""
    metrics = case.metrics.value
    return {
        "deliveries": metrics.deliveries if metrics else None,
        "duplicates": metrics.duplicates if metrics else None,
        "driver": metrics.driver if metrics else None,
        "dependency_refs": entry_verdicts.list_dependencies(case),
        "observations": observed_sections.ObservedSeries.list_case(case),
        "multiplier_interval": (
            snapshot_sections.MultiplierInterval.from_case(case, baseline) if contract is not None else None
        ),
        "drills": drill_checks.DrillCheck.list_case(case),
        "rate_steps": step_sections.RateStepEntry.list_case(case),
    }


def adjudicate_again(
    published: Snapshot, plan: plans.Plan, plan_content: bytes, contents: Mapping[str, bytes]
) -> Verdict:
    """The verdict that a published snapshot's documents give under its own rules, in this version's words.

    Raises `errors.EvidenceUnknown` for rules that this version does not know, else as `adjudicate` does.
    """
    judged_by = rules.find_rules(published.rules)
    if judged_by is rules.RULES_0_1_0 and plan.kind is not catalogues.Kind.BURST:
        raise errors.EvidenceCorrupt(f"rules {judged_by.version} judge no phase of kind {plan.kind}")
    case = cases.from_documents(plan, plan_content, contents, verifier=published.verifier)
    return adjudicate(case, judged_by)


def differing_sections(reached: Snapshot, published: Snapshot) -> list[str]:
    """The sections in which a published snapshot judges otherwise than the one reached again; none where no more than
    sentences differ.

    Only fields that both hold are compared: a later minor version adds some, and an earlier one lacks some.
    """
    theirs = published.judged_value(only_set=True)
    ours = _keep_shared(reached.judged_value(), theirs)
    return sorted(name for name in theirs if canonical.encode(ours.get(name)) != canonical.encode(theirs[name]))


def same_sentences(reached: Snapshot, published: Snapshot) -> bool:
    """Whether a published snapshot holds the sentences of the one reached again, in the fields that both hold."""
    theirs = published.model_dump(mode="json", by_alias=True, exclude_unset=True)
    return canonical.encode(_keep_shared(reached.document(), theirs)) == canonical.encode(theirs)


def _keep_shared(value: Any, published: Any) -> Any:
    """The value without the fields that the published one does not have, at any depth."""
    if isinstance(value, dict) and isinstance(published, dict):
        return {key: _keep_shared(part, published[key]) for key, part in value.items() if key in published}
    if isinstance(value, list) and isinstance(published, list) and len(value) == len(published):
        return [_keep_shared(ours, theirs) for ours, theirs in zip(value, published, strict=True)]
    return value


def _note_terms(
    contract: contracts.Contract | None,
    prior: blockers.Prior | None,
    attempt: snapshot_sections.AttemptEntry | None,
) -> blockers.TermsNote | None:
    """What the register says of the terms: of a rerun those that are not its prior's, and of any run whose earlier
    attempts held by others; None by the rules of 0.1.0."""
    if contract is None:
        return None
    other_terms = attempts.count_other_terms(attempt.earlier, contract.terms.sha256) if attempt else 0
    held = f"{wording.format_count(other_terms, 'earlier attempt')} held by other terms" if other_terms else ""
    if contract.comparison is None and contract.problem and prior is None:
        words = "; ".join(filter(None, ["its terms were compared with no prior's", held]))
        return blockers.TermsNote(words=words, unstated=tuple(sorted(contract.terms.values)))
    words = "; ".join(filter(None, [contract.note, held]))
    return blockers.TermsNote(words=words, changed=contract.changed, unstated=contract.unstated)


def _describe_pass(judged: _Judgement) -> str:
    """What a PASS has to say of itself: the terms that were changed for it, the attempts that held before it, and the
    informational gates that do not pass."""
    parts = ["PASS: no blocker open"]
    if any(entry.note.changed for entry in judged.register):
        parts.append("judged by changed terms")
    if judged.attempt is not None and judged.attempt.words:
        parts.append(judged.attempt.words)
    missed = [f"{gate.name} {gate.status}" for gate in judged.answers if gate.informational and not gate.passed]
    if missed:
        parts.append(f"informational: {', '.join(missed)}")
    return ", ".join(parts)


def _choose_exit(result: task_results.TaskResult | None, open_ids: list[str], passed: str) -> tuple[int, str]:
    """The exit code the run ends with and why, `passed` where it passes; the worst wins."""
    if result is not None and result.unproven:
        return 6, f"{wording.format_count(len(result.unproven), 'task')} not seen to stop"
    if result is not None and result.not_restored:
        return 6, f"{wording.format_count(len(result.not_restored), 'service')} not put back"
    if result is not None and result.not_undone:
        return 6, f"{wording.format_count(len(result.not_undone), 'drill')} not undone"
    if result is not None and result.interruption is not None:
        code = {"SIGINT": 130, "SIGTERM": 143, "SIGHUP": 143}[result.interruption.signal]
        return code, f"interrupted by {result.interruption.signal}"
    if open_ids:
        return 3, f"HOLD: {wording.format_count(len(open_ids), 'blocker')} open"
    return 0, passed
