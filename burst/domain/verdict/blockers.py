"""The blocker register: every blocker of the phase with its state and why, fail-closed.

A blocker is cleared only where every gate behind it passes. A blocker without a gate is not-evaluated, which counts as
open. In a bounded rerun only the named blockers may change: the rest are carried from the prior snapshot as they
stood there, and without a prior they stay open.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from burst.domain.basics import errors
from burst.domain.documents import document_names
from burst.domain.plan import catalogues, plans
from burst.domain.verdict import gate_table, gates

Role = catalogues.Role
_COUNTED = (Role.PROFILE, Role.EXECUTION, Role.CONTIGUITY, Role.OUTCOME)
"""The roles whose gates are answered from the counts of the window."""
_COHERENCE = (gates.RUN_SCOPE, gates.FACTS_SCOPE)
"""The gates that say of which run the documents are: they are asked of every plan, and clear nothing alone."""


_NEVER_CARRIED = (gates.STOP_PROVEN, gates.SERVICES_BACK, gates.NOT_HALTED, gates.SAME_CONTRACT, gates.GATE_MODES)
"""A task or service may be running now, the burst was stopped for its harm, or terms or modes of gates are others:
whatever the prior says, these gates open their blocker outside a rerun too."""


class BlockerState(StrEnum):
    """Where a blocker stands after adjudication."""

    OPEN = "open"
    CLEARED = "cleared"
    CARRIED = "carried"
    NOT_EVALUATED = "not-evaluated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prior:
    """The prior snapshot as a bounded rerun needs it: which blockers were open, and which snapshot it was."""

    execution_id: str
    sha256: str
    states: Mapping[str, str] = field(hash=False)
    """State of each blocker id in it; ids that it leaves out are absent."""
    notes: Mapping[str, "TermsNote"] = field(default_factory=dict, hash=False)
    """What its register says of the terms by which each blocker was judged; by blocker id."""

    def was_open(self, blocker: str) -> bool:
        """Whether the blocker was open in it; a blocker that it leaves out was."""
        return self.states.get(blocker, BlockerState.OPEN) != BlockerState.CLEARED


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockerEntry:
    """One blocker: its state, whether that counts as open, and why."""

    blocker: str
    title: str
    state: BlockerState
    is_open: bool
    why: str
    gates: tuple[str, ...]
    failing: tuple[str, ...] = ()
    """Those of its gates that do not pass."""
    prior_state: str | None = None
    note: "TermsNote" = field(default_factory=lambda: TermsNote())
    """Of the terms by which it was cleared, here or where it is carried from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TermsNote:
    """What the register says of the terms of a rerun beside each blocker that is cleared by them."""

    words: str = ""
    changed: tuple[str, ...] = ()
    """The keys of the terms that are others than those of the first attempt, as the plans named them."""
    unstated: tuple[str, ...] = ()
    """The keys of those that a prior did not state, so that nothing is known of a change."""


def read_notes(snapshot: Mapping[str, object]) -> dict[str, TermsNote]:
    """What the register of a prior snapshot says of the terms; no note where it says nothing of them."""
    register = snapshot.get("blocker_register")
    entries = [entry for entry in register if isinstance(entry, Mapping)] if isinstance(register, list) else []
    notes = {
        str(entry.get("blocker")): TermsNote(
            changed=_list_texts(entry.get("changed_terms")), unstated=_list_texts(entry.get("unstated_terms"))
        )
        for entry in entries
    }
    return {blocker: note for blocker, note in notes.items() if note != TermsNote()}


def _list_texts(value: object) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list) else ()


def read_states(snapshot: Mapping[str, object], blockers: Sequence[str]) -> dict[str, str]:
    """The state of each blocker in a prior snapshot: open or cleared.

    Its `blockers` lists all open ids. Where it has a register too, that must say of every other id that it is not open:
    a blocker that it leaves out was open. Raises `errors.EvidenceCorrupt` where it does not list them.
    """
    listed = snapshot.get("blockers")
    if listed == [] and snapshot.get("overall_pass") is False:
        raise errors.EvidenceCorrupt("the prior snapshot says it did not pass, and names no open blocker")
    if not isinstance(listed, list) or not all(isinstance(blocker, str) for blocker in listed):
        raise errors.EvidenceCorrupt("the prior snapshot has no list of blockers")
    open_ids = set(listed)
    register = snapshot.get("blocker_register")
    if register is not None:
        if not isinstance(register, list) or not all(isinstance(entry, Mapping) for entry in register):
            raise errors.EvidenceCorrupt("the prior snapshot's blocker_register is not a list of entries")
        open_ids.update(str(entry.get("blocker")) for entry in register if entry.get("open") is not False)
        open_ids.update(set(blockers) - {str(entry.get("blocker")) for entry in register})
    unknown = open_ids - set(blockers)
    if unknown:
        raise errors.EvidenceCorrupt(
            f"the prior snapshot names blockers of another phase: {', '.join(sorted(unknown))}"
        )
    return {blocker: BlockerState.OPEN if blocker in open_ids else BlockerState.CLEARED for blocker in blockers}


def refuse_rerun_of_cleared(plan: plans.Plan, prior: Prior | None) -> None:
    """Raises `errors.UsageError` when a bounded rerun names a blocker that is not open in the prior snapshot."""
    if plan.rerun is None or prior is None:
        return
    cleared = [blocker for blocker in plan.rerun.only if not prior.was_open(blocker)]
    if cleared:
        still_open = [blocker for blocker in plan.blockers if prior.was_open(blocker)]
        raise errors.UsageError(
            f"rerun.only names {', '.join(cleared)}, not open in the prior snapshot of {prior.execution_id}; "
            f"open there: {', '.join(still_open) or 'none'}. A rerun may only touch what is open."
        )


def make_register(
    plan: plans.Plan, answers: Sequence[gates.Gate], prior: Prior | None, note: TermsNote | None = None
) -> tuple[BlockerEntry, ...]:
    """The state of every blocker of the phase, from the gates' answers and the prior snapshot."""
    return tuple(_make_entry(plan, short, answers, prior, note or TermsNote()) for short in plan.catalogue.shorts)


def _make_entry(
    plan: plans.Plan, short: str, answers: Sequence[gates.Gate], prior: Prior | None, note: TermsNote
) -> BlockerEntry:
    blocker = plan.blocker(short)
    own_answers = [gate for gate in answers if plan.catalogue.find_short(gate.blocker) == short]
    own_answers += _list_outside_answers(plan, short, answers)
    own_answers += _list_contract_answers(plan, short, answers, prior)
    failing = [gate for gate in own_answers if gate.opens]
    why = _describe(failing or own_answers)
    entry = functools.partial(
        BlockerEntry,
        blocker=blocker,
        title=plan.catalogue.titles[short],
        gates=tuple(gate.name for gate in own_answers),
        failing=tuple(gate.name for gate in failing),
    )
    if plan.rerun is not None and blocker not in plan.rerun.only:
        return _carry_entry(entry, blocker, [gate for gate in failing if _is_urgent(plan, gate)], prior)
    if failing:
        return entry(state=BlockerState.OPEN, is_open=True, why=why)
    if not _asked_enough(short, own_answers, plan):
        return entry(state=BlockerState.NOT_EVALUATED, is_open=True, why=_explain_silence(plan))
    why = "; ".join(filter(None, [why, note.words]))
    return entry(state=BlockerState.CLEARED, is_open=False, why=why, note=note)


def _is_urgent(plan: plans.Plan, gate: gates.Gate) -> bool:
    """Whether a failing gate opens its blocker outside a rerun too. No blocker rests on the number of the attempt, so
    that of another run would else be nobody's fault, and hide how often the phase held."""
    attempt = document_names.attempt_name(plan.slug)
    never_carried = gate.name in _NEVER_CARRIED or gate.name.startswith(gates.DRILL_UNDONE)
    return never_carried or (gate.name == gates.RUN_SCOPE and attempt in gate.at_fault)


def _carry_entry(
    entry: Callable[..., BlockerEntry], blocker: str, urgent: Sequence[gates.Gate], prior: Prior | None
) -> BlockerEntry:
    """The entry of a blocker outside a rerun: the prior's, unless an urgent gate opens it."""
    if prior is None:
        why = "outside the rerun, and there is no prior snapshot to carry it from"
        return entry(state=BlockerState.OPEN, is_open=True, why=why)
    prior_state = prior.states.get(blocker, BlockerState.OPEN)
    outside = f"outside the rerun; {prior_state} in {prior.execution_id}"
    if urgent:
        why = f"{outside}, but {_describe(urgent)}"
        return entry(state=BlockerState.OPEN, is_open=True, why=why, prior_state=prior_state)
    carried = prior.notes.get(blocker, TermsNote())
    outside += f"; judged by changed terms there: {', '.join(carried.changed)}" if carried.changed else ""
    outside += "; judged there by terms that its own prior did not state" if carried.unstated else ""
    is_open = prior.was_open(blocker)
    return entry(state=BlockerState.CARRIED, is_open=is_open, why=outside, prior_state=prior_state, note=carried)


def _describe(answers: Sequence[gates.Gate]) -> str:
    return "; ".join(f"{gate.name}: {gate.why}" for gate in answers)


def _list_outside_answers(plan: plans.Plan, short: str, answers: Sequence[gates.Gate]) -> list[gates.Gate]:
    """Answers of blockers outside a rerun which say that the documents behind this blocker are not of this attempt.

    A carried blocker of evidence or scope speaks of the prior attempt: without this, the counts of another run or day
    would clear the blocker of the profile. An answer counts where a document is at fault on which this blocker rests.
    """
    only = plan.rerun.only if plan.rerun else plan.blockers
    if plan.blocker(short) not in only:
        return []
    outside = [gate for gate in answers if plan.blocker(gate.blocker) not in only]
    takes_facts = short in plan.fact_shorts
    documents = gate_table.list_documents(plan.catalogue, short, takes_facts=takes_facts)
    rests_on = {gate_table.find_name(kind, plan.slug) for kind in documents}
    outside = [gate for gate in outside if not gate.at_fault or rests_on.intersection(gate.at_fault)]
    needed = {gates.RUN_SCOPE}
    if short in map(plan.catalogue.find_short, _COUNTED):
        needed |= gates.COUNTS_SOUND
    if takes_facts:
        needed |= {gates.FACTS_SCOPE}
    refreshed = gates.AFTER if takes_facts else None
    return [
        gate
        for gate in outside
        if (gate.name in needed or (refreshed is not None and gate.name.startswith(refreshed))) and not gate.passed
    ]


def _list_contract_answers(
    plan: plans.Plan, short: str, answers: Sequence[gates.Gate], prior: Prior | None
) -> list[gates.Gate]:
    """The gate of the contract behind a blocker of the rerun other than its own, where other terms open that.

    A rerun that names no prior by digest, and is given none, has no terms to be compared with: the blocker of its
    dependencies is open for that.
    """
    rerun = plan.rerun
    if rerun is None or plan.blocker(short) not in rerun.only or (prior is None and rerun.prior_sha256 is None):
        return []
    contract = [gate for gate in answers if gate.name == gates.SAME_CONTRACT]
    contract = [gate for gate in contract if plan.catalogue.find_short(gate.blocker) != short]
    return [gate for gate in contract if not gate.passed]


def _asked_enough(short: str, answers: Sequence[gates.Gate], plan: plans.Plan) -> bool:
    """Some blockers rest on what the plan asks: an answer nobody asked for may open them, and never clears them."""
    declared = short not in plan.catalogue.asked or plan.blocker(short) in plan.named_blockers
    by_gate = any(isinstance(gate.blocker, Role) and gate.name not in _COHERENCE for gate in answers)
    return bool(answers) and (declared or by_gate)


def _explain_silence(plan: plans.Plan) -> str:
    """Why a blocker is not evaluated."""
    return "the plan declares no fact" + (" for it" if plan.kind is catalogues.Kind.BURST else " and no gate for it")
