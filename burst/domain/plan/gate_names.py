"""Gate names: those of burst's own gates, which no fact of a plan may have. `gate_table` has their meaning."""

GATE_NAMES = frozenset(
    {
        *("achieved_multiplier", "multiplier_lower", "duration_seconds", "admit_ratio"),
        *("min_admits", "contiguity", "expect_duplicates"),
        *("latency_p95_ms", "latency_p99_ms", "error_ratio", "client_error_ratio", "server_error_ratio"),
        *("evidence_readable", "published", "dependencies", "same_contract", "baseline", "window_metrics"),
        "gate_modes",
        *("attempt_scoped", "bound_as_said", "settled", "none_vanished", "known_decisions", "buckets_add_up"),
        *("clock_skew_seconds", "run_scope", "facts_scope", "runtime_budget", "stop_proven", "services_back"),
        *("reference", "profile_match", "contract_match", "anchor_keyset", "invariants_kept"),
        *("duplicate_share_delta", "quarantine_share_delta"),
        *("deadline_kept", "load_delivered", "tasks_held", "offered_load", "not_halted", "store_policy"),
    }
)
GATE_FAMILIES = (
    *("before:", "after:", "observed:", "restart:", "rto:", "drill_windows:", "drill_undone:"),
    *("entry:", "required:", "decision_shares:"),
)
"""How the names of those gates of burst's own begin whose names a plan ends: no fact may be named like one."""


def is_own(name: str) -> bool:
    """Whether a name is one of burst's own gates, or begins as those of one of its families do."""
    return name in GATE_NAMES or name.startswith(GATE_FAMILIES)
