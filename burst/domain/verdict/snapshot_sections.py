"""Sections of a snapshot: a case and what its gates answered, as the values the document holds.

Each is what `snapshotparts` describes; inputs stand beside outputs, so that a reader can compute the verdict again.
"""

from typing import Any

from burst.domain.basics import canonical, instants
from burst.domain.documents import document_names, task_results, window_metrics
from burst.domain.plan import plans
from burst.domain.receipts import receipts
from burst.domain.tasks import costs
from burst.domain.verdict import baselines, blockers, cases, gates

_MEDIA_TYPE = "application/json"


def baseline_extract(baseline: baselines.Baseline | None) -> dict[str, Any] | None:
    if baseline is None:
        return None
    return {
        "admits": baseline.admits,
        "seconds": baseline.seconds,
        "admits_per_minute": baseline.rate_per_minute,
        "source": baseline.source,
        "checksum": baseline.checksum,
    }


def execution_window(given_case: cases.Case) -> dict[str, Any]:
    result, metrics = given_case.task_result.value, given_case.metrics.value
    window = result.window if result else None
    shown = (
        window_metrics.WindowEntry.of(window).model_dump(mode="json")
        if window
        else {"start_utc": None, "end_utc": None}
    )
    counted = metrics.window.model_dump(mode="json") if metrics else None
    return {
        **shown,
        "elapsed_seconds": window.seconds if window else None,
        "counted_window": counted,
        "tasks": [entry.model_dump(mode="json") for entry in result.tasks] if result else [],
    }


def load_checks(answers: tuple[gates.Gate, ...], given_case: cases.Case) -> dict[str, Any]:
    checks = {
        gate.name: {"value": gate.measured, "threshold": gate.required, "pass": gate.status is gates.GateStatus.PASS}
        for gate in answers
        if gate.blocker == "B1"
    }
    checks.setdefault("achieved_multiplier", {"value": None, "threshold": None, "pass": None})
    metrics = given_case.metrics.value
    counts = metrics.counts.counts if metrics else None
    rate = receipts.rate_per_second(counts.admit, metrics.window.window.seconds) if metrics and counts else None
    return {
        **checks,
        "counts": window_metrics.CountsEntry.of(counts).model_dump(mode="json", by_alias=True) if counts else None,
        "admits_per_minute": rate * 60 if rate is not None else None,
        "no_data": counts is None or counts.total == 0,
    }


def runtime_budget(answers: tuple[gates.Gate, ...], given_case: cases.Case) -> dict[str, Any]:
    plan, result = given_case.plan, given_case.task_result.value
    budget = next(gate for gate in answers if (gate.blocker, gate.name) == ("B8", gates.RUNTIME_BUDGET))
    last = max((task for task in result.tasks if task.stopped_utc), key=_stopped, default=None) if result else None
    return {
        "budget_seconds": plan.budget.max,
        "elapsed_seconds": budget.measured,
        "budget_pass": budget.status is gates.GateStatus.PASS,
        "operator_cap_seconds": plan.budget.cap_seconds,
        "overshoot_seconds": _overshoot(result),
        "stopped_by": last.stopped_by if last else None,
        "layers": [layer.model_dump(mode="json") for layer in result.layers] if result else [],
        "outages": [outage.model_dump(mode="json") for outage in result.outages] if result else [],
    }


def _overshoot(result: task_results.TaskResult | None) -> float | None:
    """Seconds from the deadline to the last stop, 0 where all had stopped before it, None where either is unknown."""
    window = result.window if result else None
    if result is None or window is None or result.deadline_utc is None or result.unproven:
        return None
    return max(0.0, instants.seconds_between(result.deadline_utc, window.end))


def _stopped(task: task_results.TaskEntry) -> float:
    return task.stopped_utc.timestamp() if task.stopped_utc else 0.0


def estimated_cost(given_case: cases.Case) -> dict[str, Any] | None:
    """What the tasks cost, estimated from how long each ran; None where preflight did not know their size."""
    known = given_case.preflight.value.cost if given_case.preflight.value else None
    result = given_case.task_result.value
    if known is None or result is None:
        return None
    seconds = [
        instants.seconds_between(task.started_utc, task.stopped_utc)
        for task in result.tasks
        if task.started_utc is not None and task.stopped_utc is not None
    ]
    price = costs.Price(vcpu_hour_usd=known.vcpu_hour_usd, gb_hour_usd=known.gb_hour_usd, source=known.price_source)
    size = costs.Size(vcpu=known.vcpu, memory_gb=known.memory_gb)
    return {
        "estimated_usd": None if result.unproven else costs.usd(size, price, seconds),
        "at_cap_usd": known.at_cap_usd,
        "cost_cap_usd": given_case.plan.budget.cost_cap_usd,
        "price_source": known.price_source,
    }


def checks(answers: tuple[gates.Gate, ...], short: str) -> dict[str, Any]:
    asked = [gate for gate in answers if gate.blocker == short]
    return {
        "checks": [
            {
                "name": gate.name,
                "value": gate.measured,
                "expected": gate.required,
                "comparison": gate.comparison.value if gate.comparison else None,
                "pass": gate.status is gates.GateStatus.PASS,
            }
            for gate in asked
        ],
        "pass": bool(asked) and all(gate.status is gates.GateStatus.PASS for gate in asked),
    }


def source_refs(
    given_case: cases.Case, baseline: baselines.Baseline | None, prior: blockers.Prior | None
) -> dict[str, Any]:
    rerun = given_case.plan.rerun
    return {
        "prior": {"execution_id": prior.execution_id, "sha256": prior.sha256, "key": rerun.prior if rerun else None}
        if prior
        else None,
        "baseline_snapshot_sha256": baseline.snapshot_sha256 if baseline else None,
    }


def evidence_refs(given_case: cases.Case) -> list[dict[str, Any]]:
    """Every document by digest. The journal's digest is of its prefix when the task result was frozen."""
    given_documents = [(document_names.PLAN, given_case.plan_content)]
    given_documents += [
        (document.name, document.content) for document in given_case.all_documents if document.content is not None
    ]
    refs = [
        {
            "name": name,
            "sha256": canonical.digest(content),
            "size": len(content),
            "media_type": _MEDIA_TYPE,
            "keys": _keys(given_case, name),
            "prefix": False,
        }
        for name, content in given_documents
    ]
    result = given_case.task_result.value
    if result is not None and result.journal is not None:
        refs.append(
            {
                "name": document_names.JOURNAL,
                "sha256": result.journal.sha256,
                "size": result.journal.size,
                "media_type": "application/jsonl",
                "keys": _keys(given_case, document_names.JOURNAL),
                "prefix": True,
            }
        )
    return sorted(refs, key=lambda ref: str(ref["name"]))


def _keys(given_case: cases.Case, name: str) -> list[str]:
    """Where the document stands in the plan's places, the authority first."""
    return [f"{folder}/{name}" for folder in given_case.plan.folders(given_case.execution_id)]


def gate_entry(plan: plans.Plan, gate: gates.Gate) -> dict[str, Any]:
    return {
        "name": gate.name,
        "blocker": plan.blocker(gate.blocker),
        "status": gate.status.value,
        "measured": gate.measured,
        "required": gate.required,
        "comparison": gate.comparison.value if gate.comparison else None,
        "unit": gate.unit,
        "why": gate.why,
    }


def register_entry(entry: blockers.BlockerEntry) -> dict[str, Any]:
    return {
        "blocker": entry.blocker,
        "title": entry.title,
        "state": entry.state.value,
        "open": entry.is_open,
        "why": entry.why,
        "gates": list(entry.gates),
        "prior_state": entry.prior_state,
    }


def decision(result: task_results.TaskResult | None) -> dict[str, Any]:
    early = result.early_stop if result else None
    return {
        "stop_reason": result.stop_reason if result else None,
        "early_stop": early.model_dump(mode="json") if early else None,
    }
