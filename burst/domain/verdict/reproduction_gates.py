"""The gates of a run that reproduces another: reference, profile, contract, key sets, shares of decisions, invariants.

Each is asked where the plan has `reproduces`, and answered from documents: the reference's snapshot and plan, which
were frozen when the run began, the key sets of both scopes, and the counts of this run. What nobody has is INVALID.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

import pydantic

from burst.domain.basics import canonical, magnitudes
from burst.domain.documents import document_names, models, reproduction_vectors, window_metrics
from burst.domain.plan import plans
from burst.domain.plan.catalogues import Role
from burst.domain.verdict import baselines, cases, contract_terms, gates, prior_terms, reproduced_questions

_MATCHED = ("receipts.", "load.", "target.", "budget.min_window", "budget.window")
"""How the terms begin by which both runs were loaded, timed and counted; no two kinds set the same limits."""
_DRIFT, _LAG, _SCOPE = "semantic_drift_checks", "lag_checkpoint_checks", "run_scope_coherence_checks"
"""The sections of the reference's snapshot that hold its invariants."""
_MOST_KEYS = 20


def _answer(
    name: str,
    role: Role,
    status: gates.GateStatus,
    why: str,
    *,
    measured: models.Value = None,
    required: models.Value = None,
    comparison: gates.Comparison | None = None,
) -> gates.Gate:
    question = gates.GateQuestion(name=name, blocker=role, required=required, comparison=comparison)
    return question.answer(status, measured, why)


def _choose_status(passed: bool) -> gates.GateStatus:
    return gates.GateStatus.PASS if passed else gates.GateStatus.FAIL


def find_reference(case: cases.Case) -> tuple[Mapping[str, Any] | None, str]:
    """The reference's snapshot, or why it cannot be used. It has to be the named one, of another run, and a PASS."""
    section, document = case.plan.reproduces, case.reference
    if document.value is None or document.content is None:
        return None, document.problem
    if section is not None and section.sha256 is not None and canonical.digest(document.content) != section.sha256:
        return None, f"{document_names.REFERENCE} is not the snapshot that the plan names by digest"
    snapshot = document.value
    if snapshot.get("schema") != document_names.SNAPSHOT_SCHEMA:
        return None, f"{document_names.REFERENCE} is no snapshot"
    if snapshot.get("execution_id") in (None, case.execution_id):
        return None, "a run does not reproduce itself, nor one without an id"
    if snapshot.get("overall_pass") is not True:
        return None, f"run {snapshot.get('execution_id')} did not pass"
    return snapshot, ""


def ask_reference(case: cases.Case) -> Iterator[gates.Gate]:
    """Asked where the plan reproduces a run."""
    section = case.plan.reproduces
    if section is None:
        return
    snapshot, problem = find_reference(case)
    is_present = case.reference.content is not None
    yield _answer(
        gates.REFERENCE,
        Role.BASELINE,
        gates.GateStatus.INVALID if problem else gates.GateStatus.PASS,
        problem or f"reproduces run {(snapshot or {}).get('execution_id')}, which passed",
        measured=canonical.digest(case.reference.content) if is_present and case.reference.content else None,
        required=section.sha256,
        comparison=gates.Comparison.EQUALS if section.sha256 else None,
    )


def ask_profile(case: cases.Case) -> Iterator[gates.Gate]:
    """Asked where the plan reproduces a run: both have one load program, rate and number of tasks."""
    if case.plan.reproduces is None:
        return
    plan, problem = _read_reference_plan(case)
    if plan is None:
        yield _answer(gates.PROFILE_MATCH, Role.MATCH, gates.GateStatus.INVALID, problem)
        return
    differing = _list_load_differences(plan, case.plan)
    yield _answer(
        gates.PROFILE_MATCH,
        Role.MATCH,
        _choose_status(not differing),
        f"another load: {'; '.join(differing)}" if differing else "one load",
        measured=len(differing),
        required=0,
        comparison=gates.Comparison.EQUALS,
    )


def _list_load_differences(before: plans.Plan, after: plans.Plan) -> list[str]:
    was, now = baselines.describe_load(before), baselines.describe_load(after)
    names = dict.fromkeys((*now, *was))
    return [f"{name} {was.get(name)} -> {now.get(name)}" for name in names if was.get(name) != now.get(name)]


def _read_reference_plan(case: cases.Case) -> tuple[plans.Plan | None, str]:
    snapshot, problem = find_reference(case)
    if snapshot is None:
        return None, problem
    content = case.reference_plan.content
    if content is None:
        return None, case.reference_plan.problem
    if canonical.digest(content) != cases.find_digest(snapshot, document_names.PLAN):
        return None, f"{document_names.REFERENCE_PLAN} is not the plan that the reference names by digest"
    plan = prior_terms.read_plan(content)
    return plan, "" if plan else f"{document_names.REFERENCE_PLAN} is a plan that this version cannot read"


def ask_contract(case: cases.Case) -> Iterator[gates.Gate]:
    """Asked where the plan reproduces a run: both are loaded, timed and counted by the same terms."""
    if case.plan.reproduces is None:
        return
    snapshot, problem = find_reference(case)
    terms = _read_terms(snapshot)
    if not problem and terms is None:
        problem = "the reference's snapshot states no contract"
    if problem or terms is None:
        yield _answer(gates.CONTRACT_MATCH, Role.MATCH, gates.GateStatus.INVALID, problem)
        return
    own = contract_terms.from_plan(case.plan, "", None).values
    keys = sorted(key for key in {*own, *terms} if key.startswith(_MATCHED) and not contract_terms.rests_on_limits(key))
    differing = [key for key in keys if canonical.encode(own.get(key)) != canonical.encode(terms.get(key))]
    yield _answer(
        gates.CONTRACT_MATCH,
        Role.MATCH,
        _choose_status(not differing),
        f"other terms than the reference's: {', '.join(differing)}" if differing else f"{len(keys)} terms are the same",
        measured=len(differing),
        required=0,
        comparison=gates.Comparison.EQUALS,
    )


def _read_terms(snapshot: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    contract = snapshot.get("contract") if snapshot is not None else None
    terms = contract.get("terms") if isinstance(contract, Mapping) else None
    return terms if isinstance(terms, Mapping) and terms else None


def ask_keyset(case: cases.Case) -> Iterator[gates.Gate]:
    """Asked where the plan reproduces a run."""
    if case.plan.reproduces is None:
        return
    before, after, problem = _read_keysets(case)
    if problem or not before or not after:
        why = problem or "a run has no key at all"
        yield _answer(gates.ANCHOR_KEYSET, Role.KEYSET, gates.GateStatus.INVALID, why)
        return
    gone, new = before - after, after - before
    parts = [f"{len(after)} of {len(before)} keys"]
    parts += [f"{word}: {_list_keys(keys)}" for word, keys in (("gone", gone), ("new", new)) if keys]
    yield _answer(
        gates.ANCHOR_KEYSET,
        Role.KEYSET,
        _choose_status(not gone and not new),
        "; ".join(parts),
        measured=len(gone) + len(new),
        required=0,
        comparison=gates.Comparison.EQUALS,
    )


def _read_keysets(case: cases.Case) -> tuple[frozenset[str], frozenset[str], str]:
    """The key sets of the reference and of this run, or why one is not known."""
    snapshot, problem = find_reference(case)
    nothing: frozenset[str] = frozenset()
    if snapshot is None or case.reference.content is None:
        return nothing, nothing, problem
    document = case.reproduction.value
    if document is None:
        return nothing, nothing, case.reproduction.problem
    if document.reference_sha256 != canonical.digest(case.reference.content):
        return nothing, nothing, f"{case.reproduction.name} is about another reference"
    if (document.execution_id, document.platform_run_id) != (case.execution_id, case.scope):
        return nothing, nothing, f"{case.reproduction.name} is of another run"
    if snapshot.get("platform_run_id") == case.scope:
        return nothing, nothing, f"both runs are of scope {case.scope}: its key set is always equal to itself"
    section = case.plan.reproduces
    scopes = ((document.baseline, snapshot.get("platform_run_id")), (document.candidate, case.scope))
    for answer, scope in scopes:
        if answer.platform_run_id != scope:
            return nothing, nothing, f"the key set of scope {answer.platform_run_id} was asked, and not that of {scope}"
        if section is not None and answer.source != section.keyset.describe_source(answer.platform_run_id):
            return nothing, nothing, "the key set was asked by another question than the plan's"
        if answer.keys is None:
            return nothing, nothing, f"scope {answer.platform_run_id}: {answer.detail or 'no key set'}"
    return frozenset(document.baseline.keys or ()), frozenset(document.candidate.keys or ()), ""


def _list_keys(keys: frozenset[str]) -> str:
    ordered = sorted(keys)
    more = f" and {len(ordered) - _MOST_KEYS} more" if len(ordered) > _MOST_KEYS else ""
    return ", ".join(key[:100] for key in ordered[:_MOST_KEYS]) + more


def ask_share(name: str) -> Callable[[cases.Case], Iterator[gates.Gate]]:
    """Asked where the plan reproduces a run: how far the share of one decision is from the reference's."""

    def ask(case: cases.Case) -> Iterator[gates.Gate]:
        section = case.plan.reproduces
        if section is None:
            return
        before, after = make_vectors(case, ())
        delta = reproduction_vectors.find_share_delta(gates.SHARE_DELTAS[name], before, after)
        required, comparison = section.shares_within, gates.Comparison.AT_MOST
        if delta is None:
            _, problem = find_reference(case)
            why = problem or case.metrics_problem or "a run has no receipts"
            yield _answer(name, Role.SHARES, gates.GateStatus.INVALID, why, required=required, comparison=comparison)
            return
        yield _answer(
            name,
            Role.SHARES,
            _choose_status(delta <= Fraction(repr(required))),
            f"{float(delta):.8f} from the reference's share",
            measured=float(delta),
            required=required,
            comparison=comparison,
        )

    return ask


def ask_invariants(case: cases.Case) -> Iterator[gates.Gate]:
    """Asked where the plan reproduces a run: each invariant that the reference was asked is asked of this one too, by
    the same question and held to as much."""
    if case.plan.reproduces is None:
        return
    name, role = gates.INVARIANTS_KEPT, Role.INVARIANT
    snapshot, problem = find_reference(case)
    if snapshot is None:
        yield _answer(name, role, gates.GateStatus.INVALID, problem)
        return
    blocker = case.plan.blocker(role)
    plan = case.plan
    own = {fact.name for fact in plan.facts if fact.blocker == blocker} | _list_observed(plan, blocker)
    if not own:
        yield _answer(name, role, gates.GateStatus.INVALID, f"the plan asks no fact behind {blocker}")
        return
    invariants = _list_invariants(snapshot)
    missing = sorted(invariants - {fact.name for fact in plan.facts} - _list_observed(plan, None))
    terms = contract_terms.from_plan(plan, "", None).values
    weaker = reproduced_questions.list_weaker(invariants.difference(missing), _read_terms(snapshot) or {}, terms)
    words = [f"the reference was asked, and this run was not: {', '.join(missing)}"] if missing else []
    words += [f"asked otherwise than the reference, or held to less: {', '.join(weaker)}"] if weaker else []
    yield _answer(
        name,
        role,
        _choose_status(not missing and not weaker),
        "; ".join(words) or f"{len(own)} asked",
        measured=len(missing) + len(weaker),
        required=0,
        comparison=gates.Comparison.EQUALS,
    )


def _list_observed(plan: plans.Plan, blocker: str | None) -> set[str]:
    """The gates of observed series, those behind one blocker where it is named."""
    return {
        f"{gates.OBSERVED}{series.name}.{rule.name}"
        for series in plan.observed_series
        for rule in series.rules
        if blocker in (None, rule.blocker)
    }


def _list_invariants(snapshot: Mapping[str, Any]) -> frozenset[str]:
    """The facts and observed series that the reference's semantics, scope and lag rested on, by name."""
    names: set[str] = set()
    for section in (_DRIFT, _LAG, _SCOPE):
        part = snapshot.get(section)
        entries = part.get("checks") if isinstance(part, Mapping) else None
        names.update(
            str(entry.get("name"))
            for entry in entries or ()
            if isinstance(entry, Mapping) and _is_fact(snapshot, entry)
        )
    return frozenset(names)


def _is_fact(snapshot: Mapping[str, Any], entry: Mapping[str, Any]) -> bool:
    """Whether a check is a fact's, for which the reference's contract has a term, or an observed series'."""
    if str(entry.get("name")).startswith(gates.OBSERVED):
        return True
    terms = _read_terms(snapshot) or {}
    return any(key.startswith("facts.") and key.endswith(f".{entry.get('name')}") for key in terms)


def make_vectors(
    case: cases.Case, answers: Sequence[gates.Gate]
) -> tuple[reproduction_vectors.Vector, reproduction_vectors.Vector]:
    """The vectors of the reference and of this run, as far as the documents and the answers tell."""
    snapshot = find_reference(case)[0] or {}
    before, after, problem = _read_keysets(case)
    metrics, lags = case.metrics.value, _read_flags(snapshot, _LAG)
    own = {gate.name: gate.measured for gate in _list_own_invariants(case, answers)}
    return (
        reproduction_vectors.make_vector(
            counts=_read_counts(snapshot),
            keyset=None if problem else sorted(before),
            lag=_find_largest(lags),
            flags=_read_flags(snapshot, _DRIFT) | _read_flags(snapshot, _SCOPE),
        ),
        reproduction_vectors.make_vector(
            counts=metrics.counts if metrics else None,
            keyset=None if problem else sorted(after),
            lag=_find_largest({name: value for name, value in own.items() if name in lags}),
            flags={name: value for name, value in own.items() if name not in lags},
        ),
    )


def _list_own_invariants(case: cases.Case, answers: Sequence[gates.Gate]) -> list[gates.Gate]:
    """The answers of the facts and observed series behind the blocker of invariants."""
    short = case.plan.catalogue.find_short(Role.INVARIANT)
    return [gate for gate in answers if gate.blocker == short]


def _read_counts(snapshot: Mapping[str, Any] | None) -> window_metrics.CountsEntry | None:
    checks = snapshot.get("burst_load_checks") if snapshot else None
    counts = checks.get("counts") if isinstance(checks, Mapping) else None
    try:
        return window_metrics.CountsEntry.model_validate(counts)
    except pydantic.ValidationError:
        return None


def _read_flags(snapshot: Mapping[str, Any], section: str) -> dict[str, models.Value]:
    part = snapshot.get(section)
    entries = part.get("checks") if isinstance(part, Mapping) else None
    return {
        str(entry.get("name")): entry.get("value")
        for entry in entries or ()
        if isinstance(entry, Mapping) and _is_fact(snapshot, entry)
    }


def _find_largest(flags: Mapping[str, models.Value]) -> float | None:
    """The largest number among facts."""
    values = flags.values()
    numbers = [float(value) for value in values if magnitudes.is_number(value)]
    return max(numbers, default=None)


def compare_vectors(case: cases.Case, answers: Sequence[gates.Gate]) -> reproduction_vectors.Comparisons:
    """How the two runs stand to each other, by the answers of the gates."""
    before, after = make_vectors(case, answers)
    lags = _read_flags(find_reference(case)[0] or {}, _LAG)
    own = {gate.name: gate for gate in _list_own_invariants(case, answers)}
    invariants = [gate.passed for name, gate in own.items() if name not in lags]
    deltas = {
        name: reproduction_vectors.find_share_delta(word, before, after) for name, word in gates.SHARE_DELTAS.items()
    }

    def has_passed(name: str) -> bool | None:
        gate = next((gate for gate in answers if gate.name == name), None)
        return None if gate is None or gate.status is gates.GateStatus.INVALID else gate.passed

    return reproduction_vectors.Comparisons(
        anchor_keyset_match=has_passed(gates.ANCHOR_KEYSET),
        duplicate_share_delta=_to_float(deltas["duplicate_share_delta"]),
        quarantine_share_delta=_to_float(deltas["quarantine_share_delta"]),
        semantic_invariant_pass=bool(has_passed(gates.INVARIANTS_KEPT)) and all(invariants) if invariants else None,
        lag_pass=all(name in own and own[name].passed for name in lags) if lags else None,
        profile_match=has_passed(gates.PROFILE_MATCH),
        contract_match=has_passed(gates.CONTRACT_MATCH),
        missing_required_surfaces=reproduction_vectors.find_missing(before, after),
    )


def _to_float(value: Any) -> float | None:
    return None if value is None else float(value)


def refer_runs(case: cases.Case) -> tuple[reproduction_vectors.RunRef | None, reproduction_vectors.RunRef]:
    """The reference run by the digest of its snapshot, None without a usable one; and this run, which has none yet."""
    snapshot, _ = find_reference(case)
    own = reproduction_vectors.RunRef(execution_id=case.execution_id, platform_run_id=case.scope, snapshot_sha256=None)
    if snapshot is None or case.reference.content is None:
        return None, own
    scope = snapshot.get("platform_run_id")
    reference = reproduction_vectors.RunRef(
        execution_id=str(snapshot.get("execution_id")),
        platform_run_id=scope if isinstance(scope, str) else None,
        snapshot_sha256=canonical.digest(case.reference.content),
    )
    return reference, own
