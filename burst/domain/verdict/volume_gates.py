"""Volume gates: how many receipts there are, of which decisions, and whether they came without a gap.

They are optional: a plan asks them by a key of `gates`. Shares are compared as exact fractions, so the edge is exact.
"""

from collections.abc import Iterator
from fractions import Fraction

from burst.domain.basics import instants, wording
from burst.domain.documents import window_metrics
from burst.domain.plan import catalogues, plans
from burst.domain.receipts import gaps
from burst.domain.verdict import gates

MIN_ADMITS, CONTIGUITY, EXPECT_DUPLICATES = "min_admits", "contiguity", "expect_duplicates"
SHARES = "decision_shares:"
"""How the names of the gates of shares begin."""
_NO_COUNTS = "no counts of the attempt window"
Status = gates.GateStatus


def min_admits_gate(plan: plans.Plan, metrics: window_metrics.Metrics | None) -> gates.Gate | None:
    """Whether the window holds enough ADMIT; None where the plan sets no number."""
    return _judge_number(MIN_ADMITS, catalogues.Role.PROFILE, plan.gates.min_admits, metrics, "ADMIT")


def duplicates_gate(plan: plans.Plan, metrics: window_metrics.Metrics | None) -> gates.Gate | None:
    """Whether the window holds the DUPLICATE that a drill injects; None where the plan expects none."""
    return _judge_number(EXPECT_DUPLICATES, catalogues.Role.OUTCOME, plan.gates.expect_duplicates, metrics, "DUPLICATE")


def _judge_number(
    name: str, role: catalogues.Role, required: int | None, metrics: window_metrics.Metrics | None, decision: str
) -> gates.Gate | None:
    if required is None:
        return None
    question = gates.GateQuestion(name=name, blocker=role, required=required, comparison=gates.Comparison.AT_LEAST)
    if metrics is None:
        return question.answer(Status.INVALID, None, _NO_COUNTS)
    number = metrics.counts.counts.of(decision)
    why = f"{wording.format_count(number, 'receipt')} {'is' if number == 1 else 'are'} {decision}"
    if number >= required:
        return question.answer(Status.PASS, number, why)
    return question.answer(Status.FAIL, number, f"{why}, {required:,} required")


def contiguity_gate(plan: plans.Plan, metrics: window_metrics.Metrics | None) -> gates.Gate | None:
    """Whether receipts came through the whole window; None where the plan does not ask.

    By `max_gap` the longest gap counts, else each whole bucket without a receipt.
    """
    section = plan.gates.contiguity
    if section is None:
        return None
    by_gap = section.max_gap is not None
    question = gates.GateQuestion(
        name=CONTIGUITY,
        blocker=catalogues.Role.CONTIGUITY,
        required=section.max_gap if by_gap else 0,
        comparison=gates.Comparison.AT_MOST if by_gap else gates.Comparison.EQUALS,
        unit=gates.SECONDS if by_gap else None,
    )
    if metrics is None:
        return question.answer(Status.INVALID, None, _NO_COUNTS)
    buckets = [bucket.bucket for bucket in metrics.buckets]
    flaw = gaps.find_flaw(metrics.window.window, buckets, plan.receipts.bucket)
    if flaw:
        return question.answer(Status.INVALID, None, flaw)
    gap, empty = gaps.find_longest_gap(buckets), gaps.count_empty(buckets)
    gap_seconds = gap.seconds if gap else 0.0
    passed = gap_seconds <= section.max_gap if section.max_gap is not None else not empty
    listed = f"{wording.format_count(len(buckets), 'bucket')}, {empty} without a receipt"
    why = f"{listed}; the longest gap is {instants.exact(gap_seconds)} s, {gap}" if gap else listed
    return question.answer(Status.PASS if passed else Status.FAIL, gap_seconds if by_gap else empty, why)


def share_gates(plan: plans.Plan, metrics: window_metrics.Metrics | None) -> Iterator[gates.Gate]:
    """How large the share of each decision is that the plan limits, of all receipts of the window."""
    for decision, limit, required in plan.gates.share_limits:
        comparison = gates.Comparison(limit)
        question = gates.GateQuestion(
            name=f"{SHARES}{decision}:{limit}",
            blocker=catalogues.Role.PROFILE,
            required=required,
            comparison=comparison,
        )
        if metrics is None:
            yield question.answer(Status.INVALID, None, _NO_COUNTS)
            continue
        counts = metrics.counts.counts
        if not counts.total:
            yield question.answer(Status.INVALID, None, "NO_DATA: no receipts in the window")
            continue
        number = counts.of(decision)
        share, edge = Fraction(number, counts.total), Fraction(repr(required))
        passed = share <= edge if comparison is gates.Comparison.AT_MOST else share >= edge
        words = f"{number:,} of {wording.format_count(counts.total, 'receipt')} {decision}"
        why = words if passed else f"{words}, a share of {limit.replace('_', ' ')} {required} required"
        yield question.answer(Status.PASS if passed else Status.FAIL, number / counts.total, why)
