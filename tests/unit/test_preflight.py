"""Preflight: every check is made and named, and any that does not pass, or cannot be made, refuses the run."""

import pytest

from burst.control import preflight
from burst.domain import errors, instants
from tests import cases, fakes, fakes_receipts


def refusing(words: str) -> str:
    raise errors.Refused(words)


def checks(source: fakes_receipts.MemoryReceiptSource, **plan_changes: object) -> dict[str, preflight.Finding]:
    made = preflight.receipts_checks(cases.plan(**plan_changes), source, fakes.TickingClock())
    return {finding.check: finding for finding in preflight.run(made)}


def source(*rows: fakes_receipts.Receipt, skew_seconds: float = 0.0) -> fakes_receipts.MemoryReceiptSource:
    clock = fakes.TickingClock()
    return fakes_receipts.MemoryReceiptSource(rows, now=clock.now, skew_seconds=skew_seconds)


def receipt(seconds: float, scope: str = cases.SCOPE, decision: str | None = "ADMIT") -> fakes_receipts.Receipt:
    return fakes_receipts.Receipt(decision=decision, at=instants.later(fakes.START, seconds), scope=scope)


def test_a_fresh_scope_in_a_table_as_planned_passes_every_check() -> None:
    findings = checks(source())

    assert list(findings) == ["receipts", "clock-skew", "scope-freshness"]
    assert all(finding.passed and finding.seen and not finding.mend for finding in findings.values())
    preflight.refuse(tuple(findings.values()))


def test_what_is_wrong_with_the_table_is_said_all_at_once() -> None:
    wrong = source()
    wrong.found_wrong = ["there is no table receipts", "there is no column decision"]

    finding = checks(wrong)["receipts"]

    assert not finding.passed
    assert finding.seen == "there is no table receipts; there is no column decision"
    assert "receipts.columns" in finding.mend


@pytest.mark.parametrize(
    ("skew_seconds", "passed"), [(0.0, True), (2.0, True), (-2.0, True), (2.001, False), (-2.001, False)]
)
def test_the_clocks_may_differ_by_what_the_plan_allows_in_either_direction(skew_seconds: float, passed: bool) -> None:
    assert checks(source(skew_seconds=skew_seconds))["clock-skew"].passed == passed


@pytest.mark.parametrize("decision", ["ADMIT", "DUPLICATE", "QUARANTINE", "WEIRD", None])
@pytest.mark.parametrize("seconds", [-1e9, -1.0, 0.0, 3600.0], ids=["old", "just", "now", "ahead"])
def test_a_scope_with_any_receipt_in_it_is_not_fresh(seconds: float, decision: str | None) -> None:
    finding = checks(source(receipt(seconds, decision=decision)))["scope-freshness"]

    assert not finding.passed
    assert f"1 receipts of {cases.SCOPE}" in finding.seen
    assert "scope: fresh" in finding.mend


def test_receipts_of_another_scope_do_not_matter() -> None:
    assert checks(source(receipt(-1.0, scope="platform_other")))["scope-freshness"].passed


def test_a_replay_says_how_many_receipts_there_are_to_replay() -> None:
    load = {"command": ["push-events"], "profile": preflight.REPLAY_PROFILE}

    finding = checks(source(receipt(-1.0), receipt(-2.0)), load=load)["scope-freshness"]

    assert finding.passed
    assert finding.seen == f"2 receipts of {cases.SCOPE} to replay"


def test_a_check_that_cannot_be_made_does_not_pass_and_does_not_hide_the_others() -> None:
    away = source(receipt(-1.0))
    away.failures = 1

    findings = checks(away)

    assert not findings["receipts"].passed
    assert "away" in findings["receipts"].seen
    assert findings["clock-skew"].passed
    assert not findings["scope-freshness"].passed


def test_no_check_waits_longer_than_its_patience() -> None:
    given_up: list[float] = []

    class Impatient(fakes_receipts.MemoryReceiptSource):
        def problems(self, *, give_up_at: object) -> list[str]:
            assert give_up_at == instants.later(fakes.START, preflight.PATIENCE_SECONDS)
            given_up.append(preflight.PATIENCE_SECONDS)
            return []

    findings = checks(Impatient(now=fakes.TickingClock().now))

    assert findings["receipts"].passed
    assert given_up == [preflight.PATIENCE_SECONDS]


def test_the_refusal_names_every_failing_check_with_its_mending_and_no_passing_one() -> None:
    asked = (
        preflight.Check(name="one", ask=lambda: "fine", mend="mend one"),
        preflight.Check(name="two", ask=lambda: refusing("two is wrong"), mend="mend two"),
        preflight.Check(name="three", ask=lambda: refusing("three is wrong"), mend="mend three"),
    )
    findings = preflight.run(asked)

    with pytest.raises(errors.Refused) as refused:
        preflight.refuse(findings)

    assert str(refused.value).splitlines() == [
        "preflight found 2 of 3 checks failing; nothing was launched:",
        "  two: two is wrong",
        "    mend two",
        "  three: three is wrong",
        "    mend three",
    ]
    assert refused.value.exit_code == 4


def test_a_bug_in_a_check_is_not_taken_for_a_finding() -> None:
    broken = preflight.Check(name="broken", ask=lambda: str(1 // 0), mend="")

    with pytest.raises(ZeroDivisionError):
        preflight.run([broken])
