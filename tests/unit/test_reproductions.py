"""Reproducibility of reports: equal key sets, share deltas within their tolerance, semantics that hold in both."""

from typing import Any

import pytest

from burst.domain.closure import closures
from tests import closing

SECTION = {
    "keyset": {"path": "/anchors"},
    "counts": {"path": "/ingress"},
    "shares_within": 0.05,
    "invariants": [{"name": "fail_open", "path": "/fail_open", "equals": 0}],
    "lag": {"path": "/max_lag", "at_most": 10},
}
FIRST: dict[str, Any] = {
    "anchors": {f"anchor_{number}": number for number in range(12)},
    "ingress": {"ADMIT": 49_000_000, "DUPLICATE": 48_000_000, "QUARANTINE": 3_000_000},
    "fail_open": 0,
    "max_lag": 3,
}
SECOND: dict[str, Any] = {
    **FIRST,
    "max_lag": 4,
    "ingress": {"ADMIT": 48_807_689, "DUPLICATE": 48_059_848, "QUARANTINE": 3_132_463},
}
"""The shares of the field's second run: DUPLICATE 0.00059848 more, QUARANTINE 0.00132463."""


def _score(second: dict[str, Any], first: dict[str, Any] | None = None, **section: Any) -> closures.Closure:
    file = closing.parse_score(
        measures=None,
        vetoes=None,
        reproducibility={**SECTION, **section},
        decision={"unlock": "UNLOCK_M10_J", "hold": "HOLD_M10_I_REOPEN"},
    )
    return closing.score(file, first or FIRST, second)


def _list_failures(closure: closures.Closure) -> list[str]:
    return [failure.split()[0] for failure in closure.failures]


FILES = ["same_profile", "same_contract"]
"""Two files state neither profile nor contract, so nobody can tell that they are the same."""


def test_the_deltas_of_the_field_pass() -> None:
    closure = _score(SECOND)

    assert closure.comparisons is not None
    assert closure.comparisons.anchor_keyset_match is True
    assert closure.comparisons.duplicate_share_delta == 0.00059848
    assert closure.comparisons.quarantine_share_delta == 0.00132463
    assert closure.comparisons.semantic_invariant_pass is True
    assert closure.comparisons.lag_pass is True
    assert closure.comparisons.missing_required_surfaces == []
    assert closing.find_check(closure, "anchor_keyset_match").why == "12 = 12 keys"
    assert _list_failures(closure) == FILES
    assert closure.candidate_vector is not None
    assert closure.candidate_vector.max_lag_window == 4
    assert closure.candidate_vector.decision_shares is not None
    assert closure.candidate_vector.decision_shares["DUPLICATE"] == 0.48059848


def test_files_without_profile_and_contract_hold() -> None:
    closure = _score(SECOND)

    assert closure.decision.result == "HOLD_M10_I_REOPEN"
    assert closing.find_check(closure, "same_contract").status == "INVALID"


@pytest.mark.parametrize(
    ("changes", "name", "status"),
    [
        ({"anchors": {**FIRST["anchors"], "anchor_12": 1}}, "anchor_keyset_match", "FAIL"),
        ({"anchors": {}}, "anchor_keyset_match", "INVALID"),
        ({"anchors": None}, "anchor_keyset_match", "INVALID"),
        (
            {"ingress": {"ADMIT": 42_999_999, "DUPLICATE": 53_000_001, "QUARANTINE": 4_000_000}},
            "duplicate_share",
            "FAIL",
        ),
        ({"fail_open": 1}, "fail_open", "FAIL"),
        ({"fail_open": False}, "fail_open", "FAIL"),
        ({"fail_open": None}, "fail_open", "FAIL"),
        ({"max_lag": 11}, "lag", "FAIL"),
        ({"max_lag": "4"}, "lag", "INVALID"),
    ],
)
def test_each_part_holds_by_itself(changes: dict[str, Any], name: str, status: str) -> None:
    closure = _score({**SECOND, **changes})

    failing = [failure for failure in closure.failures if failure.split()[0] not in FILES]
    assert [failure.split()[0] for failure in failing] == [f"{name}_delta" if name == "duplicate_share" else name]
    assert failing[0].split()[1] == f"{status}:"


def test_counts_that_nobody_has_are_missing_surfaces() -> None:
    closure = _score({key: value for key, value in SECOND.items() if key != "ingress"})

    assert closure.comparisons is not None
    assert closure.comparisons.duplicate_share_delta is None
    assert closure.comparisons.missing_required_surfaces == ["candidate.decision_shares"]
    assert "duplicate_share_delta" in _list_failures(closure)


def test_a_delta_at_the_tolerance_passes() -> None:
    closure = _score({**FIRST, "ingress": {"ADMIT": 44, "DUPLICATE": 53, "QUARANTINE": 3}, "max_lag": 4})

    assert _list_failures(closure) == FILES
