"""Volume gates: numbers and shares of receipts, and gaps between them, against their own definitions."""

import json
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from burst.domain.documents import models, window_metrics
from burst.domain.plan import plans
from burst.domain.receipts import early_stops, receipts
from burst.domain.verdict import contract_terms, gates, snapshots, term_changes, volume_gates
from tests import cases

Status = gates.GateStatus
FEW = st.integers(0, 6)


def plan(kind: str = "window", *, bucket: str = "60s", **asked: Any) -> plans.Plan:
    """A plan of a kind with these gates."""
    value = cases.plan_value(gates=asked, facts=[], baseline=None) | {"kind": kind}
    value["receipts"] |= {"bucket": bucket}
    return plans.parse(json.dumps(value), source="p")


def counted(*numbers: int, bucket: float = 60.0, last: float | None = None, **changes: Any) -> window_metrics.Metrics:
    """Counts of adjacent buckets with so many ADMIT each, the last one `last` seconds long."""
    lengths = [bucket] * (len(numbers) - 1) + [last or bucket]
    starts = [60 + bucket * index for index in range(len(numbers))]
    buckets = [
        {**cases.window(start, length), "counts": cases.counts(number)}
        for start, length, number in zip(starts, lengths, numbers, strict=True)
    ]
    metrics = cases.metrics(
        **{
            "window": cases.window(60, sum(lengths)),
            "counts": cases.counts(sum(numbers)),
            "buckets": buckets,
            **changes,
        }
    )
    return models.read(window_metrics.Metrics, cases.content(metrics))


def judge(asked: plans.Plan, metrics: window_metrics.Metrics | None) -> gates.Gate:
    gate = volume_gates.contiguity_gate(asked, metrics)
    assert gate is not None
    return gate


@pytest.mark.parametrize(
    ("numbers", "asked", "measured", "status"),
    [
        ((5, 1, 5), {}, 0, Status.PASS),
        ((5, 0, 5), {}, 1, Status.FAIL),
        ((0, 5, 0), {}, 2, Status.FAIL),
        ((5, 0, 5), {"max_gap": "60s"}, 60.0, Status.PASS),
        ((5, 0, 0, 5, 0), {"max_gap": "119s"}, 120.0, Status.FAIL),
        ((5, 0, 0, 5, 0), {"max_gap": "120s"}, 120.0, Status.PASS),
        ((0, 0, 0), {"max_gap": "120s"}, 180.0, Status.FAIL),
        ((5, 5), {"max_gap": "120s"}, 0.0, Status.PASS),
    ],
)
def test_a_gap_is_a_stretch_of_buckets_without_a_receipt(
    numbers: tuple[int, ...], asked: dict[str, str], measured: float, status: gates.GateStatus
) -> None:
    gate = judge(plan(contiguity=asked), counted(*numbers))

    assert (gate.measured, gate.status) == (measured, status)


@pytest.mark.parametrize(
    ("numbers", "asked", "measured", "status"),
    [
        ((5, 5, 0), {}, 0, Status.PASS),  # 30 s are too short to have to hold a receipt
        ((5, 0, 0), {}, 1, Status.FAIL),
        ((5, 0, 0), {"max_gap": "90s"}, 90.0, Status.PASS),
        ((5, 0, 0), {"max_gap": "89s"}, 90.0, Status.FAIL),
    ],
)
def test_a_last_bucket_that_is_shorter_counts_at_its_own_length(
    numbers: tuple[int, ...], asked: dict[str, str], measured: float, status: gates.GateStatus
) -> None:
    gate = judge(plan(contiguity=asked), counted(*numbers, last=30.0))

    assert (gate.measured, gate.status) == (measured, status)


def test_short_buckets_between_long_ones_hide_no_gap() -> None:
    """Of a document that was counted in buckets of several lengths."""
    lengths = [(60, 60, 5), (120, 30, 0), (150, 30, 0), (180, 30, 5), (210, 30, 5)]
    buckets = [{**cases.window(start, seconds), "counts": cases.counts(number)} for start, seconds, number in lengths]
    metrics = counted(15, window=cases.window(60, 180), buckets=buckets)

    assert judge(plan(contiguity={}), metrics).measured == 2
    assert judge(plan(contiguity={"max_gap": "60s"}), metrics).measured == 60.0


@given(numbers=st.lists(st.integers(0, 1), min_size=1, max_size=12), last=st.integers(1, 60), most=st.integers(60, 400))
def test_the_longest_gap_is_that_of_every_second_told_by_its_bucket(numbers: list[int], last: int, most: int) -> None:
    lengths = [60] * (len(numbers) - 1) + [last]
    seconds = [number > 0 for number, length in zip(numbers, lengths, strict=True) for _ in range(length)]
    longest = max(map(len, "".join("x" if held else "." for held in seconds).split("x")))

    gate = judge(plan(contiguity={"max_gap": f"{most}s"}), counted(*numbers, last=last))

    assert gate.measured == longest
    assert gate.passed is (longest <= most)


@pytest.mark.parametrize(
    "metrics",
    [
        pytest.param(None, id="no counts"),
        pytest.param(counted(5, 5, buckets=[]), id="no buckets"),
        pytest.param(counted(5, 5, window=cases.window(60, 180)), id="the last one is left out"),
        pytest.param(counted(5, 5, window=cases.window(0, 180)), id="the first one is left out"),
        pytest.param(counted(5, 5, bucket=61.0), id="longer than the plan's"),
        pytest.param(
            counted(5, 5, 5, buckets=[{**cases.window(at, 60), "counts": cases.counts(5)} for at in (60, 180)]),
            id="one in the middle is left out",
        ),
    ],
)
def test_buckets_that_are_not_the_windows_tell_nothing(metrics: window_metrics.Metrics | None) -> None:
    assert judge(plan(contiguity={}), metrics).status is Status.INVALID


def test_a_gap_that_is_shorter_than_a_bucket_cannot_be_asked() -> None:
    with pytest.raises(plans.PlanError, match="at least 1m, which"):
        plan(contiguity={"max_gap": "59s"})


@given(admit=FEW, duplicate=FEW, quarantine=FEW, share=st.sampled_from([0.0, 0.05, 0.1, 1 / 3, 0.5, 0.995, 1.0]))
@example(admit=1, duplicate=9, quarantine=0, share=0.1)
def test_a_share_is_compared_as_an_exact_fraction_of_all_receipts(
    admit: int, duplicate: int, quarantine: int, share: float
) -> None:
    asked = plan(decision_shares={"ADMIT": {"at_least": share}, "DUPLICATE": {"at_most": share}})
    metrics = counted(1, counts=cases.counts(admit, duplicate, quarantine))

    answers = {gate.name: gate for gate in volume_gates.share_gates(asked, metrics)}

    total, edge = admit + duplicate + quarantine, Fraction(repr(share))
    least, most = answers["decision_shares:ADMIT:at_least"], answers["decision_shares:DUPLICATE:at_most"]
    if not total:
        assert (least.status, most.status) == (Status.INVALID, Status.INVALID)
    else:
        assert least.passed is (Fraction(admit, total) >= edge)
        assert most.passed is (Fraction(duplicate, total) <= edge)


@pytest.mark.parametrize(
    ("asked", "admit", "duplicate", "status"),
    [
        ({"min_admits": 50000}, 50000, 0, Status.PASS),
        ({"min_admits": 50000}, 49999, 9, Status.FAIL),
        ({"expect_duplicates": 100}, 0, 320, Status.PASS),
        ({"expect_duplicates": 100}, 500, 99, Status.FAIL),
        ({"expect_duplicates": 100}, 500, 0, Status.FAIL),
    ],
)
def test_a_window_holds_as_many_as_are_asked(
    asked: dict[str, Any], admit: int, duplicate: int, status: gates.GateStatus
) -> None:
    metrics = counted(1, counts=cases.counts(admit, duplicate))

    (gate,) = filter(None, [ask(plan(**asked), metrics) for ask in NUMBERS])
    (silent,) = filter(None, [ask(plan(**asked), None) for ask in NUMBERS])

    assert gate.status is status
    assert silent.status is Status.INVALID


NUMBERS = (volume_gates.min_admits_gate, volume_gates.duplicates_gate)


@pytest.mark.parametrize(
    ("kind", "blockers"),
    [("burst", {"B1"}), ("window", {"B1", "B2", "B5"}), ("soak", {"B1", "B6"}), ("drill", {"B1", "B2", "B5"})],
)
def test_each_stands_behind_the_blocker_of_its_role(kind: str, blockers: set[str]) -> None:
    asked = plan(
        kind,
        admit_ratio=0.5,
        min_admits=9,
        expect_duplicates=9,
        contiguity={},
        decision_shares={"QUARANTINE": {"at_most": 0.1}},
    )
    verdict = cases.Case(plan=asked, contents={}).having(metrics=counted(1, 0, 1).document()).verdict()

    failed = [gate for gate in verdict.snapshot.gates if gate.name in (*NAMES, "decision_shares:QUARANTINE:at_most")]
    assert len(failed) == 4
    assert {gate.short for gate in failed} == blockers


NAMES = (volume_gates.MIN_ADMITS, volume_gates.CONTIGUITY, volume_gates.EXPECT_DUPLICATES)


# Terms


STRONG: dict[str, Any] = {
    "min_admits": 100,
    "expect_duplicates": 100,
    "contiguity": {},
    "decision_shares": {"ADMIT": {"at_least": 0.5}, "DUPLICATE": {"at_most": 0.5}},
}


@pytest.mark.parametrize(
    ("changes", "weaker"),
    [
        ({"min_admits": 99}, ["gates.min_admits"]),
        ({"min_admits": 101}, []),
        ({"min_admits": None}, ["gates.min_admits"]),
        ({"expect_duplicates": 99}, ["gates.expect_duplicates"]),
        ({"contiguity": None}, ["gates.contiguity"]),
        ({"contiguity": {"max_gap": "2m"}}, ["gates.contiguity"]),
        (
            {"decision_shares": {"ADMIT": {"at_least": 0.4}, "DUPLICATE": {"at_most": 0.6}}},
            ["gates.decision_shares.ADMIT.at_least", "gates.decision_shares.DUPLICATE.at_most"],
        ),
        ({"decision_shares": {"ADMIT": {"at_least": 0.6}, "DUPLICATE": {"at_most": 0.4}}}, []),
        ({"decision_shares": {"ADMIT": {"at_least": 0.5}}}, ["gates.decision_shares.DUPLICATE.at_most"]),
    ],
)
def test_less_that_is_asked_is_weaker(changes: dict[str, Any], weaker: list[str]) -> None:
    before, after = (
        contract_terms.from_plan(plan(**{key: value for key, value in asked.items() if value is not None}), "r", None)
        for asked in (STRONG, STRONG | changes)
    )

    assert [change.key for change in term_changes.list_weaker(after, before)] == weaker


def test_a_longer_gap_is_weaker_and_a_shorter_one_is_not() -> None:
    short, long = (contract_terms.from_plan(plan(contiguity={"max_gap": most}), "r", None) for most in ("2m", "3m"))

    assert [change.key for change in term_changes.list_weaker(long, short)] == ["gates.contiguity.max_gap"]
    assert term_changes.list_weaker(short, long) == ()


# Early stop


@given(
    admit=FEW, duplicate=FEW, further=FEW, required=st.integers(1, 12), share=st.sampled_from([0.1, 0.5, 1 / 3, 1.0])
)
def test_the_rail_of_admits_fires_exactly_when_no_continuation_passes(
    admit: int, duplicate: int, further: int, required: int, share: float
) -> None:
    """What follows may have any number of duplicates beside, because events are delivered again."""
    counts = receipts.Counts(admit=admit, duplicate=duplicate)
    ends = [counts + receipts.Counts(admit=more, duplicate=again) for more in range(further + 1) for again in range(8)]
    held = [end for end in ends if end.total]
    enough = any(end.admit >= required for end in ends)
    sharing = any(Fraction(end.admit, end.total) >= Fraction(repr(share)) for end in held)

    by_number = early_stops.admits_impossible(counts, further, _terms(min_admits=required))
    by_share = early_stops.admits_impossible(counts, further, _terms(admit_share=share))

    assert bool(by_number) is not enough
    assert bool(by_share) is (not sharing and bool(counts.total))


def _terms(**changes: Any) -> early_stops.EarlyStopTerms:
    return early_stops.EarlyStopTerms(
        admit_ratio=None,
        window_seconds=900.0,
        min_window_seconds=900.0,
        required_admits_per_second=None,
        offered_per_second=10.0,
        source_events=None,
        no_receipts_seconds=60.0,
        **changes,
    )


def test_a_hopeless_window_is_called_by_its_rail() -> None:
    poll = early_stops.Poll(seconds=10.0, counts=receipts.Counts(admit=10, duplicate=90))

    hopeless = early_stops.find_reason_to_stop([poll], 10.0, _terms(min_admits=100_000))

    assert hopeless is not None
    assert hopeless.rule == "admits-impossible"
    assert early_stops.find_reason_to_stop([poll], 10.0, _terms()) is None


# Snapshots


@given(kept=st.sets(st.sampled_from(sorted(cases.passing().contents))))
def test_no_volume_gate_passes_without_its_counts(kept: set[str]) -> None:
    asked = plan("drill", min_admits=1, expect_duplicates=1, contiguity={})
    whole = cases.passing().having(metrics=counted(5, 5, counts=cases.counts(9, 1)).document())
    contents = {name: content for name, content in whole.contents.items() if name in kept}

    verdict: snapshots.Verdict = cases.Case(plan=asked, contents=contents).verdict()

    asked_of = [gate for gate in verdict.snapshot.gates if gate.name in NAMES]
    assert len(asked_of) == 3
    assert all(gate.status == "PASS" for gate in asked_of) is (cases.METRICS in kept)
