"""Rules: which gates a verdict is reached by, each version of them kept for the snapshots it made.

A snapshot states the version of its rules, and is adjudicated again by the same questions: a gate that came later is
not asked of it. A snapshot that states none was made by burst 0.1.0. A new gate is a new version here, with the
question in its place; a version that was released never changes.
"""

from dataclasses import dataclass

from burst.domain.basics import errors
from burst.domain.plan import catalogues, gate_sections
from burst.domain.verdict import (
    case_gates,
    cases,
    count_gates,
    drill_gates,
    entry_verdicts,
    gate_modes,
    gate_table,
    gates,
    interval_gates,
    load_gates,
    observation_gates,
    reproduction_gates,
    step_gates,
    volume_gates,
)

Role = catalogues.Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """One version of the rules: its questions, in the order in which a snapshot lists their gates."""

    version: str
    questions: tuple[case_gates.CaseQuestion, ...]

    def ask(self, case: cases.Case) -> tuple[gates.Gate, ...]:
        """The answers to every question, of this case."""
        return tuple(gate for question in self.questions for gate in question.ask(case))

    def names(self, catalogue: catalogues.Catalogue, short: str, name: str) -> bool:
        """Whether a gate, by the short id of its blocker and its name, is asked by these rules of a kind of phase."""
        return any(question.covers(catalogue, short, name) for question in self.questions)


def _question(role: Role, name: str, ask: case_gates.Ask) -> case_gates.CaseQuestion:
    """A question of one gate, which has its line in `gate_table`."""
    return case_gates.CaseQuestion(role=role, name=gate_table.find_line(name).name, ask=ask)


RULES_0_1_0 = Rules(
    version="0.1.0",
    questions=(
        _question(Role.PROFILE, "achieved_multiplier", case_gates.ask_multiplier),
        _question(Role.PROFILE, "duration_seconds", case_gates.ask_duration_0_1_0),
        _question(Role.PROFILE, "admit_ratio", case_gates.ask_admit_ratio),
        _question(Role.PUBLICATION, "evidence_readable", case_gates.ask_publication),
        _question(Role.DEPENDENCY, "dependencies", case_gates.ask_dependencies),
        _question(Role.BASELINE, "baseline", case_gates.ask_baseline),
        _question(Role.EVIDENCE, "window_metrics", case_gates.ask_metrics),
        _question(Role.EVIDENCE, "attempt_scoped", case_gates.ask_attempt),
        _question(Role.EVIDENCE, "bound_as_said", case_gates.ask_counts(count_gates.binding_gate)),
        _question(Role.EVIDENCE, "settled", case_gates.ask_counts(count_gates.settling_gate)),
        _question(Role.EVIDENCE, "none_vanished", case_gates.ask_counts(count_gates.vanished_gate)),
        _question(Role.EVIDENCE, "known_decisions", case_gates.ask_counts(count_gates.decisions_gate)),
        _question(Role.EVIDENCE, "buckets_add_up", case_gates.ask_counts(count_gates.buckets_gate)),
        _question(Role.EVIDENCE, "clock_skew_seconds", case_gates.ask_clock),
        _question(Role.SCOPE, gates.RUN_SCOPE, case_gates.ask_run_scope_0_1_0),
        _question(Role.SCOPE, gates.FACTS_SCOPE, case_gates.ask_facts_scope_0_1_0),
        case_gates.CaseQuestion(role=None, name="*", ask=case_gates.ask_facts),
        _question(Role.DEPENDENCY, "before:*", case_gates.ask_before),
        _question(Role.EVIDENCE, f"{gates.AFTER}*", case_gates.ask_after),
        _question(Role.BUDGET, gates.SERVICES_BACK, case_gates.ask_services),
        _question(Role.BUDGET, gates.RUNTIME_BUDGET, case_gates.ask_budget),
        _question(Role.BUDGET, gates.STOP_PROVEN, case_gates.ask_stop),
        _question(Role.EXECUTION, "load_delivered", case_gates.ask_load_0_1_0),
        _question(Role.EXECUTION, "tasks_held", case_gates.ask_tasks_0_1_0),
    ),
)


def _ask_otherwise(
    questions: tuple[case_gates.CaseQuestion, ...], *changed: case_gates.CaseQuestion
) -> tuple[case_gates.CaseQuestion, ...]:
    """The questions, those of `changed` in place of the ones with their names."""
    by_name = {question.name: question for question in changed}
    return tuple(by_name.get(question.name, question) for question in questions)


_VERSION_0_2_0 = "0.2.0"
RULES_0_2_0 = Rules(
    version=_VERSION_0_2_0,
    questions=(
        *_ask_otherwise(
            RULES_0_1_0.questions,
            _question(Role.PROFILE, "achieved_multiplier", case_gates.ask_multiplier_with_offer),
            _question(Role.PROFILE, "duration_seconds", case_gates.ask_duration),
            _question(Role.EXECUTION, "load_delivered", case_gates.ask_load),
            _question(Role.EXECUTION, "tasks_held", case_gates.ask_tasks),
            _question(Role.SCOPE, gates.RUN_SCOPE, case_gates.ask_run_scope),
            _question(Role.SCOPE, gates.FACTS_SCOPE, case_gates.ask_facts_scope),
        ),
        _question(Role.BUDGET, "deadline_kept", case_gates.ask_deadline),
        _question(Role.EXECUTION, gates.NOT_HALTED, case_gates.ask_halt),
        _question(Role.EXECUTION, load_gates.OFFERED_LOAD, case_gates.ask_offered_load),
        _question(Role.RESTART, f"{gates.RESTART}*", drill_gates.ask_restart),
        _question(Role.RTO, f"{gates.RTO}*", drill_gates.ask_rto),
        _question(Role.EVIDENCE, f"{gates.DRILL_WINDOWS}*", drill_gates.ask_windows),
        _question(Role.BUDGET, f"{gates.DRILL_UNDONE}*", drill_gates.ask_undone),
        case_gates.CaseQuestion(role=None, name=f"{gates.OBSERVED}*", ask=observation_gates.ask_observations),
        *(_question(Role.PROFILE, name, case_gates.ask_answers(name)) for name in load_gates.ANSWER_GATES),
        *(_question(Role.PROFILE, f"{name}@*", step_gates.ask_step_limit(name)) for name in gate_sections.STEP_LIMITS),
        _question(Role.DEPENDENCY, gates.SAME_CONTRACT, case_gates.ask_contract(_VERSION_0_2_0)),
        _question(Role.PROFILE, interval_gates.MULTIPLIER_LOWER, interval_gates.ask_multiplier_lower),
        _question(Role.DEPENDENCY, gates.GATE_MODES, gate_modes.ask_gate_modes),
        _question(Role.PROFILE, volume_gates.MIN_ADMITS, case_gates.ask_volume(volume_gates.min_admits_gate)),
        _question(Role.CONTIGUITY, volume_gates.CONTIGUITY, case_gates.ask_volume(volume_gates.contiguity_gate)),
        _question(Role.PROFILE, f"{volume_gates.SHARES}*", case_gates.ask_shares),
        _question(Role.OUTCOME, volume_gates.EXPECT_DUPLICATES, case_gates.ask_volume(volume_gates.duplicates_gate)),
        _question(Role.DEPENDENCY, f"{gates.ENTRY}*", entry_verdicts.ask_entry_gates),
        _question(Role.EVIDENCE, f"{gates.REQUIRED_DOCUMENT}*", entry_verdicts.ask_required_documents),
        _question(Role.DEPENDENCY, gates.STORE_POLICY, entry_verdicts.ask_store_policy),
        _question(Role.BASELINE, gates.REFERENCE, reproduction_gates.ask_reference),
        _question(Role.MATCH, gates.PROFILE_MATCH, reproduction_gates.ask_profile),
        _question(Role.MATCH, gates.CONTRACT_MATCH, reproduction_gates.ask_contract),
        _question(Role.KEYSET, gates.ANCHOR_KEYSET, reproduction_gates.ask_keyset),
        *(_question(Role.SHARES, name, reproduction_gates.ask_share(name)) for name in gates.SHARE_DELTAS),
        _question(Role.INVARIANT, gates.INVARIANTS_KEPT, reproduction_gates.ask_invariants),
    ),
)
"""The first rules that a snapshot states. They are not released yet: until then a question may still be added."""

CURRENT = RULES_0_2_0
"""The rules of a new run, and of an adjudication from files."""
_ALL = {version.version: version for version in (RULES_0_1_0, RULES_0_2_0)}


def find_rules(version: str) -> Rules:
    """The rules of a version. Raises `errors.EvidenceUnknown` for one that this burst does not know."""
    try:
        return _ALL[version]
    except KeyError:
        raise errors.EvidenceUnknown(
            f"judged by rules {version[:40]!r}, which this version does not know; it knows {', '.join(_ALL)}; "
            "verify it with the version that made it, or a later one"
        ) from None
