"""The blocker register: every blocker of the phase with its state and why, fail-closed.

A blocker is cleared only where every gate behind it passes. A blocker without a gate is not-evaluated, which counts as
open. In a bounded rerun only the named blockers may change: the rest are carried from the prior snapshot as they
stood there, and without a prior they stay open.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from burst.domain.basics import errors
from burst.domain.plan import plans
from burst.domain.verdict import gates

TITLES = {
    "B1": "profile not achieved",
    "B2": "semantic drift",
    "B3": "evidence publication failed",
    "B4": "dependency snapshot or plan invalid",
    "B5": "baseline or required evidence missing, unreadable or not attempt-scoped",
    "B6": "scope mismatch or unresolved publish ambiguity",
    "B7": "lag or checkpoint unstable",
    "B8": "runtime budget breached or stop not proven",
    "B9": "task execution failed",
}

_COUNTED = ("B1", "B9")
"""Blockers whose gates are answered from the counts of the window."""


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
    prior_state: str | None = None


def prior_states(snapshot: Mapping[str, object], blockers: Sequence[str]) -> dict[str, str]:
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


def register(plan: plans.Plan, answers: Sequence[gates.Gate], prior: Prior | None) -> tuple[BlockerEntry, ...]:
    """The state of every blocker of the phase, from the gates' answers and the prior snapshot."""
    return tuple(_entry(plan, short, answers, prior) for short in plans.BLOCKERS)


def _entry(plan: plans.Plan, short: str, answers: Sequence[gates.Gate], prior: Prior | None) -> BlockerEntry:
    blocker = plan.blocker(short)
    own_answers = [gate for gate in answers if gate.blocker == short]
    own_answers += _answers_outside(plan, short, answers)
    failing = [gate for gate in own_answers if not gate.passed]
    why = "; ".join(f"{gate.name}: {gate.why}" for gate in failing or own_answers)
    names = tuple(gate.name for gate in own_answers)

    def entry(state: BlockerState, is_open: bool, why: str, prior_state: str | None = None) -> BlockerEntry:
        return BlockerEntry(
            blocker=blocker,
            title=TITLES[short],
            state=state,
            is_open=is_open,
            why=why,
            gates=names,
            prior_state=prior_state,
        )

    if plan.rerun is not None and blocker not in plan.rerun.only:
        if prior is None:
            return entry(BlockerState.OPEN, True, "outside the rerun, and there is no prior snapshot to carry it from")
        prior_state = prior.states.get(blocker, BlockerState.OPEN)
        outside = f"outside the rerun; {prior_state} in {prior.execution_id}"
        if any(gate.name in (gates.STOP_PROVEN, gates.SERVICES_BACK, gates.NOT_HALTED) for gate in failing):
            # A task or service may be running now, or the burst was stopped for its harm, whatever the prior says.
            return entry(BlockerState.OPEN, True, f"{outside}, but {why}", prior_state)
        return entry(BlockerState.CARRIED, prior.was_open(blocker), outside, prior_state)
    if failing:
        return entry(BlockerState.OPEN, True, why)
    if not _asked_enough(short, own_answers, plan):
        return entry(BlockerState.NOT_EVALUATED, True, "the plan declares no fact for it")
    return entry(BlockerState.CLEARED, False, why)


def _answers_outside(plan: plans.Plan, short: str, answers: Sequence[gates.Gate]) -> list[gates.Gate]:
    """Answers of blockers outside a rerun which say that the facts behind this blocker are not of this attempt.

    A carried B5 or B6 speaks of the prior attempt: without this, the counts of another run or day would clear B1.
    """
    only = plan.rerun.only if plan.rerun else plan.blockers
    if plan.blocker(short) not in only:
        return []
    outside = [gate for gate in answers if plan.blocker(gate.blocker) not in only]
    needed = {gates.RUN_SCOPE}
    if short in _COUNTED:
        needed |= gates.COUNTS_SOUND
    if short in plans.FACT_BLOCKERS:
        needed |= {gates.FACTS_SCOPE}
    refreshed = gates.AFTER if short in plans.FACT_BLOCKERS else None
    return [
        gate
        for gate in outside
        if (gate.name in needed or (refreshed is not None and gate.name.startswith(refreshed))) and not gate.passed
    ]


def _asked_enough(short: str, answers: Sequence[gates.Gate], plan: plans.Plan) -> bool:
    """B2, B6 and B7 rest on what the plan asks: an answer nobody asked for may open them, and never clears them."""
    declared = short not in plans.FACT_BLOCKERS or any(fact.blocker == plan.blocker(short) for fact in plan.facts)
    return declared and bool(answers)
