"""Prior terms: those that a rerun is held to, read from the snapshot of its prior.

A snapshot states them in its contract. One without a contract is of an earlier version: its plan states them where it
is here, and else its figures do, as far as they go.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pydantic

from burst.domain.basics import errors, magnitudes
from burst.domain.documents import document_names
from burst.domain.plan import plan_keys, plans
from burst.domain.verdict import contract_terms


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorContract:
    """The terms that a rerun is held to, and how they came about along the chain of its priors."""

    terms: contract_terms.Terms
    changes: tuple[plan_keys.ChangeSection, ...] = ()
    """The changes that the reruns before named, the first one first."""
    unstated: tuple[str, ...] = ()
    """Terms that one of those priors did not state."""


def from_snapshot(snapshot: Mapping[str, Any], plan: plans.Plan | None) -> PriorContract:
    """The contract of a prior by its snapshot: as stated there, else by its plan where that is here, else by its
    figures.

    Raises `errors.EvidenceCorrupt` where the snapshot's contract is none, or missing though its rules have one.
    """
    contract = snapshot.get("contract")
    return _read_contract(contract) if contract is not None else PriorContract(terms=_infer(snapshot, plan))


def _infer(snapshot: Mapping[str, Any], plan: plans.Plan | None) -> contract_terms.Terms:
    """The terms of a snapshot without a contract."""
    if contract_terms.RULES in snapshot:
        raise errors.EvidenceCorrupt("the prior snapshot states its rules and no contract")
    extract = snapshot.get("baseline_extract")
    admits, seconds = (_number(_at(extract, name)) for name in ("admits", "seconds"))
    checksum = _at(extract, "checksum")
    stated = {} if plan is None else contract_terms.state_plan(plan)
    if admits is not None and seconds is not None:
        stated[contract_terms.BASELINE] = contract_terms.state_baseline(
            int(admits), seconds, checksum if isinstance(checksum, str) else None
        )
    if plan is None:
        stated |= _read_figures(snapshot)
        return contract_terms.Terms(values=stated, unknown=contract_terms.NOTHING.unknown)
    return contract_terms.Terms(
        values=stated,
        unknown=(contract_terms.RULES, *((contract_terms.BASELINE,) if plan.baseline is not None else ())),
    )


def _read_contract(contract: Any) -> PriorContract:
    """The terms that a rerun of this contract is held to: its own, or those that it was held to and did not keep."""
    own, held_to = _read_terms(contract), _at(contract, "held_to")
    changes, unstated = _at(contract, "changes") or [], _at(contract, "unstated") or []
    if not isinstance(changes, list) or not _are_texts(unstated):
        raise errors.EvidenceCorrupt("the prior snapshot's contract has no lists of changes and unstated terms")
    try:
        named = tuple(plan_keys.ChangeSection.model_validate(change) for change in changes)
    except pydantic.ValidationError as exc:
        raise errors.EvidenceCorrupt("the prior snapshot's contract names a change that is none") from exc
    terms = own if held_to is None else _read_terms(held_to)
    return PriorContract(terms=terms, changes=named, unstated=tuple(unstated))


def _read_terms(value: Any) -> contract_terms.Terms:
    values, unknown = _at(value, "terms"), _at(value, "unknown") or []
    if not isinstance(values, Mapping) or not _are_texts(unknown) or not (values or unknown):
        raise errors.EvidenceCorrupt("the prior snapshot's contract has no terms")
    terms = contract_terms.Terms(values=values, unknown=tuple(unknown))
    if terms.sha256 != _at(value, "sha256"):
        raise errors.EvidenceCorrupt("the prior snapshot's contract is not the one its digest names")
    return terms


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(text, str) for text in value)


def _read_figures(snapshot: Mapping[str, Any]) -> dict[str, Any]:
    """The terms that a snapshot without a contract states among its figures."""
    checks, target, budget = (snapshot.get(name) for name in ("burst_load_checks", "burst_target", "runtime_budget"))
    minutes = _number(_at(target, "duration_minutes"))
    cap, most = (_number(_at(budget, name)) for name in ("operator_cap_seconds", "budget_seconds"))
    figures: dict[str, Any] = {
        "phase": snapshot.get("phase"),
        "gates.multiplier": _number(_at(target, "ingest_multiplier")),
        "gates.admit_ratio": _number(_at(target, "min_successful_admit_ratio")),
        "budget.min_window": None if minutes is None else round(minutes * 60, 6),
        "budget.max": most,
        "budget.operator_cap": None if cap == most else cap,
    }
    thresholds = {"gates.multiplier": "achieved_multiplier", "budget.min_window": "duration_seconds"}
    figures |= {
        key: threshold
        for key, name in thresholds.items()
        if (threshold := _number(_at(_at(checks, name), "threshold"))) is not None
    }
    return {key: value for key, value in figures.items() if value is not None}


def _at(value: Any, key: str) -> Any:
    return value.get(key) if isinstance(value, Mapping) else None


def _number(value: Any) -> float | None:
    return value if magnitudes.is_number(value) else None


def read_plan(content: bytes) -> plans.Plan | None:
    """The plan of a prior run; None where this version cannot read it."""
    try:
        return plans.parse(content.decode(), source=document_names.PRIOR_PLAN)
    except (UnicodeDecodeError, plans.PlanError):
        return None
