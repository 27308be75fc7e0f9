"""The table of gates: which invariant each one holds, by which documents it is answered, and which role it has.

The catalogue of the plan's kind says which blocker stands for a role (`catalogues`).

A blocker rests on the documents of its gates and on no other. So one that is missing, or is another run's, opens the
blockers that rest on it alone. `burst schema gates` prints the table.
"""

from dataclasses import dataclass

from burst.domain.documents import document_names
from burst.domain.plan import catalogues
from burst.domain.verdict import gates, load_gates, volume_gates

TASK_RESULT, METRICS, FACTS, PREFLIGHT = "task-result", "metrics", "facts", "preflight"
BASELINE, PRIOR, PRIOR_PLAN, TASK_RECORDS = "baseline", "prior", "prior-plan", "task-records"
ATTEMPT, LOAD, OBSERVATIONS, GATE_RECORDS = "attempt", "load", "observations", "gate-records"
REFERENCE, REFERENCE_PLAN, REPRODUCTION = "reference", "reference-plan", "reproduction"
KINDS = (
    *(TASK_RESULT, TASK_RECORDS, METRICS, LOAD, FACTS, OBSERVATIONS),
    *(BASELINE, PRIOR, PRIOR_PLAN, PREFLIGHT, ATTEMPT, GATE_RECORDS),
    *(REFERENCE, REFERENCE_PLAN, REPRODUCTION),
)
"""The kinds of documents beside the plan, each as `burst adjudicate` names its option."""


Role = catalogues.Role


@dataclass(frozen=True, slots=True, kw_only=True)
class GateLine:
    """One gate of the table. A name that ends in `*` stands for every name that the plan puts there."""

    name: str
    role: Role | None
    """None: it stands behind the blocker that the plan names."""
    invariant: str
    documents: tuple[str, ...]
    """The kinds of documents that answer it, beside the plan."""

    def stands_behind(self, catalogue: catalogues.Catalogue, short: str, *, takes_facts: bool) -> bool:
        """Whether it stands behind a blocker of a kind; `takes_facts`: whether facts do."""
        return takes_facts if self.role is None else catalogue.find_short(self.role) == short

    def fits(self, name: str) -> bool:
        """Whether it is the line of a gate of this name."""
        return name.startswith(self.name[:-1]) if self.name.endswith("*") else name == self.name

    @property
    def verifier(self) -> str:
        """The command that answers the gate again from its documents."""
        options = "".join(f" --{kind} {find_name(kind, '{slug}')}" for kind in self.documents)
        return f"burst adjudicate --plan {document_names.PLAN}{options}"


def _line(role: Role | None, name: str, invariant: str, *documents: str) -> GateLine:
    return GateLine(name=name, role=role, invariant=invariant, documents=documents)


GATES = (
    _line(
        *(Role.PROFILE, "achieved_multiplier", "admits a second reach the multiple of the baseline"),
        *(METRICS, BASELINE, TASK_RESULT),
    ),
    _line(
        Role.PROFILE, "duration_seconds", "the load lasted the shortest window that passes", METRICS, TASK_RESULT, LOAD
    ),
    _line(
        *(Role.PROFILE, "multiplier_lower", "the lower bound of the multiplier's interval keeps the limit of the plan"),
        *(METRICS, BASELINE, TASK_RESULT),
    ),
    _line(Role.PROFILE, "admit_ratio", "enough of the decided receipts are ADMIT", METRICS),
    *(_line(Role.PROFILE, name, "answers keep the limit that the plan sets", LOAD) for name in load_gates.ANSWER_GATES),
    _line(
        *(Role.PROFILE, "multiplier@*", "admits a second of a step reach the multiple of the baseline"),
        *(METRICS, BASELINE, TASK_RESULT),
    ),
    _line(Role.PROFILE, "admit_ratio@*", "enough of the decided receipts of a step are ADMIT", METRICS, TASK_RESULT),
    *(
        _line(Role.PROFILE, f"{name}@*", "answers of a step keep the limit that the plan sets", LOAD)
        for name in load_gates.ANSWER_GATES
    ),
    _line(Role.PROFILE, volume_gates.MIN_ADMITS, "the window holds enough ADMIT", METRICS),
    _line(Role.CONTIGUITY, volume_gates.CONTIGUITY, "receipts came through the whole window", METRICS),
    _line(Role.PROFILE, f"{volume_gates.SHARES}*", "the share of a decision keeps the limit of the plan", METRICS),
    _line(Role.OUTCOME, volume_gates.EXPECT_DUPLICATES, "the duplicates that a drill injects are there", METRICS),
    _line(Role.PUBLICATION, "evidence_readable", "every document that is there was read back", *KINDS),
    _line(
        Role.DEPENDENCY, "dependencies", "the prior can be rested on, and preflight did not refuse", PRIOR, PREFLIGHT
    ),
    _line(
        *(
            Role.DEPENDENCY,
            gates.SAME_CONTRACT,
            "a rerun is judged by its prior's terms, or by changes that its plan names",
        ),
        *(PRIOR, PRIOR_PLAN, BASELINE),
    ),
    _line(Role.DEPENDENCY, f"{gates.ENTRY}*", "an entry of requires is as the plan says", PREFLIGHT),
    _line(Role.DEPENDENCY, gates.STORE_POLICY, "the environment allows how the evidence is kept", PREFLIGHT),
    _line(
        *(
            Role.DEPENDENCY,
            gates.GATE_MODES,
            "no gate is informational that a promotion made required",
        ),
        *(GATE_RECORDS, ATTEMPT, PRIOR),
    ),
    _line(Role.DEPENDENCY, "before:*", "a command before the burst ended as it should", TASK_RESULT),
    _line(Role.BASELINE, "baseline", "the baseline is whole and not too old", BASELINE, TASK_RESULT),
    _line(Role.EVIDENCE, f"{gates.REQUIRED_DOCUMENT}*", "a required document was there, by its digest", PREFLIGHT),
    _line(Role.BASELINE, gates.REFERENCE, "the reference run passed, and is the one that the plan names", REFERENCE),
    _line(Role.MATCH, gates.PROFILE_MATCH, "both runs have one load", REFERENCE, REFERENCE_PLAN),
    _line(Role.MATCH, gates.CONTRACT_MATCH, "both runs are counted and timed by the same terms", REFERENCE),
    _line(Role.KEYSET, gates.ANCHOR_KEYSET, "the key sets of both scopes are equal", REFERENCE, REPRODUCTION),
    *(
        _line(Role.SHARES, name, "the share of a decision is near the reference's", REFERENCE, METRICS)
        for name in gates.SHARE_DELTAS
    ),
    _line(
        *(Role.INVARIANT, gates.INVARIANTS_KEPT, "every invariant that the reference run was asked is asked again"),
        *(REFERENCE, FACTS),
    ),
    _line(Role.EVIDENCE, "window_metrics", "the attempt window was counted", METRICS),
    _line(Role.EVIDENCE, "attempt_scoped", "the counted window lies inside the attempt", METRICS, TASK_RESULT),
    _line(Role.EVIDENCE, "bound_as_said", "the statement was bound to the window and scope that it states", METRICS),
    _line(Role.EVIDENCE, "settled", "two counts agreed", METRICS),
    _line(Role.EVIDENCE, "none_vanished", "no receipt was gone in a later count", METRICS),
    _line(Role.EVIDENCE, "known_decisions", "every receipt has a decision that burst knows", METRICS),
    _line(Role.EVIDENCE, "buckets_add_up", "the buckets add up to the whole", METRICS),
    _line(Role.EVIDENCE, "clock_skew_seconds", "the database's clock agrees with burst's", METRICS),
    _line(
        *(
            Role.EVIDENCE,
            f"{gates.DRILL_WINDOWS}*",
            "the receipts around a drill add up to the whole",
        ),
        *(METRICS, TASK_RESULT, OBSERVATIONS),
    ),
    _line(Role.EVIDENCE, f"{gates.AFTER}*", "a command after the burst ended as it should", TASK_RESULT),
    _line(
        *(Role.SCOPE, gates.RUN_SCOPE, "the documents of a run are of this run and scope"),
        *(TASK_RESULT, METRICS, LOAD, PREFLIGHT, ATTEMPT),
    ),
    _line(
        *(Role.SCOPE, gates.FACTS_SCOPE, "the facts are of this run and scope"),
        *(FACTS, TASK_RESULT, METRICS, PREFLIGHT),
    ),
    _line(None, "*", "a fact of the plan is as expected", FACTS, TASK_RESULT),
    _line(
        *(None, f"{gates.OBSERVED}*", "an observed series of the plan keeps its rule over its period"),
        *(OBSERVATIONS, TASK_RESULT),
    ),
    _line(Role.BUDGET, gates.RUNTIME_BUDGET, "first start to last stop is within the budget", TASK_RESULT),
    _line(Role.BUDGET, gates.STOP_PROVEN, "every task was seen to stop", TASK_RESULT),
    _line(Role.BUDGET, gates.SERVICES_BACK, "no service is still scaled for the burst", TASK_RESULT),
    _line(Role.BUDGET, f"{gates.DRILL_UNDONE}*", "nothing of a drill's fault is left to take back", TASK_RESULT),
    _line(Role.BUDGET, "deadline_kept", "the last task ended by deadline and grace", TASK_RESULT),
    _line(Role.EXECUTION, "load_delivered", "receipts are there in the window", METRICS, TASK_RESULT, LOAD),
    _line(Role.EXECUTION, "tasks_held", "enough tasks held until they were due", TASK_RESULT, LOAD),
    _line(
        *(Role.EXECUTION, load_gates.OFFERED_LOAD, "the generator sent what was due in time"),
        *(METRICS, TASK_RESULT, LOAD),
    ),
    _line(Role.EXECUTION, gates.NOT_HALTED, "no halt and no stop sign ended the run", TASK_RESULT),
    _line(Role.RESTART, f"{gates.RESTART}*", "the fault of a drill was caused as it should be", TASK_RESULT),
    _line(Role.RTO, f"{gates.RTO}*", "the system recovered from a drill in time", OBSERVATIONS, TASK_RESULT),
)
"""The table, in the order of the blockers. A gate has its line here before rules may name it."""


def find_line(name: str) -> GateLine:
    """The line of a gate, by its name. Raises KeyError for a gate without one."""
    try:
        return next(line for line in GATES if line.name == name)
    except StopIteration:
        raise KeyError(f"gate {name} has no line in gate_table.GATES: invariant and documents") from None


def find_invariant(name: str) -> str | None:
    """What a gate of a snapshot holds; None for one that an older table had, or a newer one will have."""
    lines = [
        line for line in GATES if line.name == name or (line.name.endswith("*") and name.startswith(line.name[:-1]))
    ]
    return max(lines, key=lambda line: len(line.name)).invariant if lines else None


def list_documents(
    catalogue: catalogues.Catalogue, short: str, *, takes_facts: bool, rerun: bool = False
) -> tuple[str, ...]:
    """The kinds of documents that a blocker of a kind rests on beside the plan, by its short id.

    A blocker of a `rerun` rests on the contract with the prior too.
    """
    lines = [line for line in GATES if line.stands_behind(catalogue, short, takes_facts=takes_facts)]
    lines += [find_line(gates.SAME_CONTRACT)] if rerun else []
    named = {kind for line in lines for kind in line.documents}
    return tuple(kind for kind in KINDS if kind in named)


def find_name(kind: str, slug: str) -> str:
    """The file name of a kind of document, in a phase by its slug."""
    names = {
        TASK_RESULT: document_names.task_result_name(slug),
        TASK_RECORDS: document_names.task_records_name(slug),
        METRICS: document_names.metrics_name(slug),
        FACTS: document_names.facts_name(slug),
        OBSERVATIONS: document_names.observations_name(slug),
        PREFLIGHT: document_names.preflight_name(slug),
        BASELINE: document_names.BASELINE,
        PRIOR: document_names.PRIOR,
        PRIOR_PLAN: document_names.PRIOR_PLAN,
        ATTEMPT: document_names.attempt_name(slug),
        GATE_RECORDS: document_names.GATE_RECORDS,
        LOAD: document_names.load_name(slug),
        REFERENCE: document_names.REFERENCE,
        REFERENCE_PLAN: document_names.REFERENCE_PLAN,
        REPRODUCTION: document_names.reproduction_name(slug),
    }
    return names[kind]
