"""Gates: the value of a question and its answer, PASS only where the facts say so, and the names of gates.

INVALID (facts missing or not to be trusted) is worse than FAIL (facts say no). No gate is a matter of degree: the
window is counted whole, so no margin of error leaves an answer open.
Every comparison is written so that None and NaN fail it. A gate keeps the measured value beside the required one, and
how the two are compared, so that a reader can answer it again. A family of gates has a module of its own.
"""

import dataclasses
import math
from dataclasses import dataclass

from burst.domain.basics import canonical
from burst.domain.documents import models
from burst.domain.observations import limits
from burst.domain.plan import catalogues, plans

GateStatus = limits.AnswerStatus
"""The answer of a gate."""
Comparison = limits.Comparison
"""How the measured value has to stand to the required one."""
SECONDS = "s"
"""The unit of a gate that measures how long something took."""
Value = models.Value
REFERENCE, PROFILE_MATCH, CONTRACT_MATCH = "reference", "profile_match", "contract_match"
ANCHOR_KEYSET, INVARIANTS_KEPT = "anchor_keyset", "invariants_kept"
SHARE_DELTAS = {"duplicate_share_delta": "DUPLICATE", "quarantine_share_delta": "QUARANTINE"}
"""The gates of a run that reproduces another; those of shares with the decision that each is about."""
ENTRY, REQUIRED_DOCUMENT, STORE_POLICY = "entry:", "required:", "store_policy"
"""The gates of `requires`, each with the name of its entry behind it, and of the store policy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """One question and its answer. `blocker` is the one it stands behind: by its role, and of a fact by its short id.

    `comparison` None: the requirement is in words, and compared with nothing. `unit` None: there is none.
    A number that JSON cannot hold is kept as None, because a verdict must always reach its bytes; `why` still says it.
    """

    name: str
    blocker: catalogues.Role | str
    status: GateStatus
    measured: Value
    required: Value
    comparison: Comparison | None = None
    unit: str | None = None
    why: str
    informational: bool = False
    """Whether it is answered and shown alone, and opens nothing."""
    at_fault: tuple[str, ...] = ()
    """The documents because of which it does not pass, by file name; none: whatever it is answered by. No snapshot
    holds them."""

    def __post_init__(self) -> None:
        for name in ("measured", "required"):
            number = getattr(self, name)
            endless = isinstance(number, float) and not math.isfinite(number)
            inexact = isinstance(number, int) and abs(number) > canonical.LARGEST_INTEGER
            if endless or inexact:
                object.__setattr__(self, name, None)

    @property
    def passed(self) -> bool:
        """Whether the answer is PASS."""
        return self.status is GateStatus.PASS

    @property
    def opens(self) -> bool:
        """Whether it opens its blocker."""
        return not self.passed and not self.informational


@dataclass(frozen=True, slots=True, kw_only=True)
class GateQuestion:
    """The question of a gate, whatever the answer will be; its fields are the gate's."""

    name: str
    blocker: catalogues.Role | str
    required: Value
    comparison: Comparison | None = None
    unit: str | None = None

    def answer(self, status: GateStatus, measured: Value, why: str) -> Gate:
        """The gate."""
        return Gate(
            name=self.name,
            blocker=self.blocker,
            status=status,
            measured=measured,
            required=self.required,
            comparison=self.comparison,
            unit=self.unit,
            why=why,
        )


RUNTIME_BUDGET = "runtime_budget"
"""The gate that says whether the run kept its budget."""
STOP_PROVEN = "stop_proven"
"""The gate that says whether a task may still be running: no bounded rerun may carry it over."""
SERVICES_BACK = "services_back"
"""The gate that says whether a service is still scaled for the burst: no bounded rerun may carry it over either."""
NOT_HALTED = "not_halted"
"""The gate that says whether a halt, an alarm or a fact stopped the run: no bounded rerun may carry it over either."""
SAME_CONTRACT = "same_contract"
"""The gate that says whether a rerun is judged by its prior's terms: it opens the blocker of dependencies, and the
rerun's own."""
GATE_MODES = "gate_modes"
"""The gate that says whether a gate may be informational: opens the blocker of dependencies outside a rerun too."""
AFTER = "after:"
"""How the names of the gates of one-shots after the burst begin: facts rest on the evidence these refresh."""
RESTART, RTO, DRILL_WINDOWS, DRILL_UNDONE = "restart:", "rto:", "drill_windows:", "drill_undone:"
"""How the names of the gates of a drill begin; its name follows. No rerun may carry over an undo that failed."""
OBSERVED = "observed:"
"""How the names of the gates of observed series begin."""
RUN_SCOPE = "run_scope"
"""The gate that says whether the tasks and the counts are of this run."""
FACTS_SCOPE = "facts_scope"
"""The gate that says whether the facts are: only the blockers that rest on facts fall with it."""
COUNTS_SOUND = frozenset(
    {
        "window_metrics",
        "attempt_scoped",
        "bound_as_said",
        "settled",
        "none_vanished",
        "known_decisions",
        "buckets_add_up",
        "clock_skew_seconds",
    }
)
"""The gates that say whether the counts are of this attempt and to be trusted."""


def apply_mode(plan: plans.Plan, gate: Gate) -> Gate:
    """A gate as the plan's mode has it; an informational one says so."""
    if not plan.gates.is_informational(gate.name):
        return gate
    return dataclasses.replace(gate, informational=True, why=f"informational, opens nothing: {gate.why}")


def at_least(value: float | None, required: float) -> bool:
    """Whether a number reaches what is required; None, NaN and infinities never do."""
    return value is not None and math.isfinite(value) and value >= required
