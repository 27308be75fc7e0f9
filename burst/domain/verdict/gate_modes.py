"""Gate modes: whether a gate may be informational, which opens nothing, and by which document another is required.

A limit that nobody has proven to be stable may be answered and shown without opening its blocker. Once a promotion made
it required, it stays so in every later attempt of the phase, until a demotion says why not.
"""

from collections.abc import Iterator, Mapping

from burst.domain.basics import errors
from burst.domain.documents import gate_records
from burst.domain.plan import catalogues, gate_sections, plans
from burst.domain.verdict import cases, contract_terms, gates, prior_terms, promotions

Record = promotions.Promotion | promotions.Demotion


def read_record(content: bytes) -> Record:
    """A promotion or a demotion from its bytes. Raises as `promotions.read` does."""
    try:
        return promotions.read(content)
    except errors.EvidenceUnknown:
        return promotions.read_demotion(content)


def ask_gate_modes(case: cases.Case) -> Iterator[gates.Gate]:
    """Asked where the plan gives a gate a mode, or an attempt before was held to a promotion."""
    promoted = find_promoted(case)
    modes = case.plan.gates.modes or {}
    if not modes and not promoted:
        return
    records, unreadable = _read_records(case)
    problems = [unreadable] if unreadable else []
    for name, mode in modes.items():
        problems.append(_find_problem(case.plan, name, mode, records.get(mode.promoted_by or mode.demoted_by or "")))
    problems = [*filter(None, problems), *_list_dropped(case.plan, promoted, records)]
    question = gates.GateQuestion(
        name=gates.GATE_MODES, blocker=catalogues.Role.DEPENDENCY, required=0, comparison=gates.Comparison.EQUALS
    )
    status = gates.GateStatus.PASS if not problems else gates.GateStatus.FAIL
    if unreadable:
        status = gates.GateStatus.INVALID
    yield question.answer(status, len(problems), "; ".join(problems) or _describe(modes))


def _describe(modes: Mapping[gate_sections.ModalGate, gate_sections.ModeSection]) -> str:
    words = [
        f"{name} is informational" + (f" by demotion {mode.demoted_by[:12]}" if mode.demoted_by else "")
        if mode.mode == gate_sections.INFORMATIONAL
        else f"{name} is required by promotion {(mode.promoted_by or '')[:12]}"
        for name, mode in modes.items()
    ]
    return "; ".join(words) or "no gate was promoted"


def find_promoted(case: cases.Case) -> dict[str, str]:
    """The gates that were required by a promotion in an earlier attempt, or in the prior: each with the latest."""
    promoted: dict[str, str] = {}
    if case.attempt.value is not None:
        for entry in case.attempt.value.earlier:
            promoted |= entry.promoted
    if case.prior.value is not None:
        try:
            promoted |= contract_terms.find_promoted(prior_terms.from_snapshot(case.prior.value, None).terms)
        except errors.EvidenceCorrupt:
            return promoted  # another gate says that the prior cannot be used
    return promoted


def _read_records(case: cases.Case) -> tuple[dict[str, Record], str]:
    """The records by digest, and why they cannot be read where they cannot."""
    if case.gate_records.value is None:
        named = any(mode.promoted_by or mode.demoted_by for mode in (case.plan.gates.modes or {}).values())
        return {}, case.gate_records.problem if named or case.gate_records.unreadable else ""
    try:
        return _list_records(case.gate_records.value), ""
    except (errors.EvidenceCorrupt, errors.EvidenceUnknown) as exc:
        return {}, f"{case.gate_records.name}: {exc}"


def _list_records(document: gate_records.GateRecords) -> dict[str, Record]:
    return {digest: read_record(content) for digest, content in document.contents.items()}


def find_mode_problems(plan: plans.Plan, document: gate_records.GateRecords) -> str:
    """In what the modes of a plan are not as the records say; empty where they are. Raises as `read_record` does."""
    records = _list_records(document)
    problems = [
        _find_problem(plan, name, mode, records.get(mode.promoted_by or mode.demoted_by or ""))
        for name, mode in (plan.gates.modes or {}).items()
    ]
    return "; ".join(filter(None, problems))


def _find_problem(plan: plans.Plan, name: str, mode: gate_sections.ModeSection, record: Record | None) -> str:
    """Why a mode is not as its record says; empty where it is, or names none."""
    digest = mode.promoted_by or mode.demoted_by
    if digest is None:
        return ""
    kind = "promotion" if mode.promoted_by else "demotion"
    if record is None:
        return f"{name}: {kind} {digest[:12]} is not among the records"
    if isinstance(record, promotions.Promotion) is not bool(mode.promoted_by):
        return f"{name}: {digest[:12]} is no {kind}"
    if (record.gate, record.phase) != (name, plan.phase):
        return f"{name}: {kind} {digest[:12]} is of {record.gate} in {record.phase}"
    if isinstance(record, promotions.Promotion) and not record.promoted:
        return f"{name}: {digest[:12]} refused to promote it"
    return ""


def _list_dropped(plan: plans.Plan, promoted: Mapping[str, str], records: Mapping[str, Record]) -> list[str]:
    """The gates that were promoted and are required no more, without a demotion of that promotion."""
    problems = []
    for name, digest in sorted(promoted.items()):
        mode = next((mode for gate, mode in (plan.gates.modes or {}).items() if gate == name), None)
        demotion = records.get(mode.demoted_by or "") if mode is not None else None
        demoted = isinstance(demotion, promotions.Demotion) and demotion.promotion_sha256 == digest
        required = getattr(plan.gates, name, None) is not None and not plan.gates.is_informational(name)
        if not required and not demoted:
            was = f"{name} was required by promotion {digest[:12]}"
            problems.append(f"{was}, and no demotion of it is named: burst baseline demote PROMOTION --reason ...")
    return problems
