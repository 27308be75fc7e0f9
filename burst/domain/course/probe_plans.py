"""Probe plans: the plan of a search, made into the plan of one run at one rate, and what of a plan can be searched.

A probe keeps target, load, layers, receipts, commands and services of the plan. It has the rate, a window of its own,
and no gate beside its criteria and those of sound evidence. Its phase ends in PROBE, so that no probe is an attempt of
the plan's own phase.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from burst.domain.basics import canonical, errors, instants, rates
from burst.domain.course import criteria
from burst.domain.plan import catalogues, plans

PHASE = "PROBE"
_DROPPED = ("baseline", "rerun", "reproduces", "during", "execution_id", "facts", "observe")
_SPARE_SECONDS = 10.0
"""Between the end of the window and the deadline: tasks that begin late end late."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeTerms:
    """The terms that every probe of a search shares. `folder`: where the runs lie."""

    criteria: tuple[criteria.Criterion, ...]
    seconds: float
    folder: PurePath


def choose_criteria(plan: plans.Plan, written: Sequence[str]) -> tuple[criteria.Criterion, ...]:
    """The criteria as they are written, with the limits of the plan where they name none; all limits of the plan
    where none is written. Raises `errors.UsageError`."""
    limits = {name: getattr(plan.gates, name) for name in criteria.LIMITS if getattr(plan.gates, name) is not None}
    asked_names = {fact.name for fact in plan.facts} | plan.observed_gates
    chosen: dict[str, criteria.Criterion] = {}
    for words in written:
        name, limit = criteria.parse(words)
        if name not in limits and name not in asked_names and limit is None:
            allowed = ", ".join(sorted({*limits, *asked_names})) or "none"
            raise errors.UsageError(
                f"--criterion {words}: the plan has no such gate; it has: {allowed}; set a limit, such as "
                "admit_ratio>=0.995"
            )
        if name in chosen:
            raise errors.UsageError(f"--criterion {words}: {name} stands twice")
        chosen[name] = criteria.Criterion(name=name, limit=limits.get(name) if limit is None else limit)
    for name, limit in limits.items() if not written else ():
        chosen[name] = criteria.Criterion(name=name, limit=limit)
    if not chosen:
        raise errors.UsageError("--criterion is missing, and the plan sets no limit; say what has to hold: errors")
    return tuple(chosen.values())


def refuse_unfit(plan: plans.Plan) -> None:
    """Raises `errors.UsageError` where a plan has no rate to be searched, or its probes could not be told apart."""
    if isinstance(plan.load.rate, list) or plan.load.named_profile:
        raise errors.UsageError("load.rate: a search needs one rate; the steps of a rate plan have their own")
    if plan.load.rate is None:
        raise errors.UsageError("load.rate is missing: the program decides its rate, so none can be searched")
    if plan.scope != "fresh":
        raise errors.UsageError(
            f"scope: saw {plan.scope}; allowed: fresh, because each probe sends its events anew; --set scope=fresh"
        )


def make_plan(plan: plans.Plan, rate: float, terms: ProbeTerms) -> plans.Plan:
    """The plan of a run at a rate in events a minute. Raises `errors.UsageError` where it does not fit together."""
    written = {key: part for key, part in plan.document().items() if key not in _DROPPED}
    limits = {criterion.name: criterion.limit for criterion in terms.criteria if criterion.limit is not None}
    kind = catalogues.Kind.BURST if "admit_ratio" in limits else catalogues.Kind.WINDOW
    phase = ".".join([*plan.phase.split(".")[:3], PHASE])
    blocker = f"{phase.replace('.', '')}-{catalogues.CATALOGUES[kind].find_short(catalogues.Role.PROFILE)}"
    written |= {
        "kind": kind.value,
        "phase": phase,
        "load": written["load"] | {"rate": rates.write(rate)},
        "budget": _write_budget(plan, terms.seconds),
        "gates": limits | _keep(written["gates"], "offered_load"),
        "evidence": written["evidence"] | {"local": str(terms.folder)},
        **_keep_questions(plan, {criterion.name for criterion in terms.criteria}, blocker),
    }
    return plans.parse(canonical.encode(written).decode(), source="the plan of a probe")


def _write_budget(plan: plans.Plan, seconds: float) -> dict[str, Any]:
    window = instants.duration_text(seconds)
    needed = (plan.load.warmup or 0.0) + seconds + plan.budget.start_timeout + _SPARE_SECONDS
    cap = instants.duration_text(min(needed, plan.budget.cap_seconds))
    kept = _keep(plan.document()["budget"], "start_timeout", "stop_grace", "cost_cap_usd")
    return kept | {"max": cap, "operator_cap": cap, "min_window": window, "window": window}


def _keep(section: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: section[name] for name in names if name in section}


def _keep_questions(plan: plans.Plan, names: set[str], blocker: str) -> dict[str, Any]:
    """The facts and the observed series that are criteria, behind the blocker of the profile."""
    document = plan.document()
    facts = [fact | {"blocker": blocker} for fact in document.get("facts", []) if fact["name"] in names]
    series = []
    for section in plan.observed_series:
        rules = [rule for rule in section.rules if f"observed:{section.name}.{rule.name}" in names]
        entry = section.model_dump(mode="json", by_alias=True, exclude_none=True)
        kept = [rule.model_dump(mode="json", by_alias=True, exclude_none=True) | {"blocker": blocker} for rule in rules]
        series += [entry | {"rules": kept}] if kept else []
    observe = {"observe": document["observe"] | {"series": series}} if series else {}
    return {"facts": facts, **observe}
