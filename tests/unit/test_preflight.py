"""Preflight: every check is made side by side and named, and any that does not pass, or cannot be made, refuses."""

import dataclasses
import json
import math
import re
import threading
import urllib.parse
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from burst.control import preflight
from burst.domain.basics import errors, instants, runbooks, wording
from burst.domain.documents import database_checks
from burst.domain.preflight import (
    database_judgements,
    event_judgements,
    findings,
    judgements,
    sending,
    session_keys,
    vcpu_quotas,
    write_conditions,
)
from burst.domain.receipts import count_costs, receipt_table, receipts
from burst.domain.tasks import costs, ecs_definitions, tasks
from tests import cases, fakes, fakes_database, fakes_receipts

Found = dict[str, findings.Finding]


def check(name: str, *found: findings.Finding) -> preflight.PreflightCheck:
    return preflight.PreflightCheck(name=name, ask=lambda: found)


def raising(name: str, failure: Exception) -> preflight.PreflightCheck:
    def ask() -> findings.Finding:
        raise failure

    return preflight.PreflightCheck(name=name, ask=ask)


def found(source: fakes_receipts.MemoryReceiptSource, **plan_changes: object) -> dict[str, findings.Finding]:
    made = preflight.ReceiptChecks(cases.plan(**plan_changes), lambda: source, fakes.TickingClock()).checks()
    return {finding.check: finding for finding in preflight.run(made)}


def source(*rows: fakes_receipts.Receipt, skew_seconds: float = 0.0) -> fakes_receipts.MemoryReceiptSource:
    return fakes_receipts.MemoryReceiptSource(rows, now=fakes.TickingClock().now, skew_seconds=skew_seconds)


def receipt(
    seconds: float, scope: str = cases.SCOPE, decision: str | None = "ADMIT", event_id: str = "event-1"
) -> fakes_receipts.Receipt:
    at = instants.later(fakes.START, seconds)
    return fakes_receipts.Receipt(decision=decision, at=at, scope=scope, event_id=event_id)


# The runner


def test_checks_run_side_by_side_and_are_told_in_their_order() -> None:
    meeting = threading.Barrier(22)

    def waits_for_all(number: int) -> preflight.PreflightCheck:
        def ask() -> findings.Finding:
            meeting.wait(30)  # which breaks, and crashes the check, unless all of them are there at once
            return findings.report_pass("rate", f"check {number}")

        return preflight.PreflightCheck(name="rate", ask=ask)

    answers = preflight.run([waits_for_all(number) for number in range(22)])

    assert [finding.seen for finding in answers] == [f"check {number}" for number in range(22)]


def test_a_check_that_crashes_refuses_says_where_and_hides_no_other() -> None:
    answers = preflight.run(
        [raising("rate", ZeroDivisionError("secret")), check("host", findings.report_pass("host", "x"))]
    )

    assert [finding.status for finding in answers] == ["refused", "passed"]
    assert "a bug in burst: ZeroDivisionError test_preflight.py" in answers[0].seen
    assert "secret" not in answers[0].seen


def test_a_check_that_does_not_answer_refuses_and_holds_up_no_other() -> None:
    never = threading.Event()
    stuck = preflight.PreflightCheck(name="cluster", ask=lambda: findings.report_pass("cluster", str(never.wait(30))))

    answers = preflight.run([stuck, check("host", findings.report_pass("host", "x"))], seconds=0.2)
    never.set()

    assert [(finding.check, finding.status) for finding in answers] == [("cluster", "refused"), ("host", "passed")]
    assert answers[0].seen == "no answer within 0.2 s"


def test_a_machine_that_is_busy_with_other_work_has_a_minute_to_ask_everything() -> None:
    """Forty checks begin at once: in twenty seconds a third of them had no answer beside twenty jobs on two cores."""
    assert preflight.PATIENCE_SECONDS + preflight.OVERTIME_SECONDS >= 60


def test_a_check_with_extra_seconds_may_answer_after_another_was_given_up() -> None:
    given_up = threading.Event()

    def ask_later() -> findings.Finding:
        assert given_up.wait(10)
        return findings.report_pass("program", "imported")

    never = threading.Event()
    stuck = preflight.PreflightCheck(name="cluster", ask=lambda: findings.report_pass("cluster", str(never.wait(30))))
    program = preflight.PreflightCheck(name="program", ask=ask_later, extra_seconds=10)
    answers = preflight.run([stuck, program], seconds=0.2, observer=preflight.Observer(found=lambda _: given_up.set()))
    never.set()

    assert [(finding.check, finding.seen) for finding in answers] == [
        ("cluster", "no answer within 0.2 s"),
        ("program", "imported"),
    ]


def test_findings_come_in_the_order_of_the_checks_and_are_shown_as_they_come() -> None:
    first = threading.Event()

    def late() -> findings.Finding:
        assert first.wait(10)
        return findings.report_pass("rate", "late")

    def early() -> findings.Finding:
        return findings.report_pass("host", "early")

    shown: list[str] = []

    def observe(finding: findings.Finding) -> None:
        shown.append(finding.seen)
        first.set()

    made = [preflight.PreflightCheck(name="rate", ask=late), preflight.PreflightCheck(name="host", ask=early)]
    answers = preflight.run(made, observer=preflight.Observer(found=observe))

    assert shown == ["early", "late"]
    assert [finding.seen for finding in answers] == ["late", "early"]


def test_a_finding_shows_no_credentials_of_an_address_that_somebody_else_said() -> None:
    said = "RuntimeError: boom dsn=postgres://u:hunter2@h/d"
    shown: list[str] = []

    (answer,) = preflight.run(
        [check("program", findings.report_refusal("program", said))],
        observer=preflight.Observer(found=lambda finding: shown.append(finding.seen)),
    )

    assert answer.seen == "RuntimeError: boom dsn=postgres://***@h/d"
    assert shown == [answer.seen]


def test_a_check_that_another_process_answers_is_begun_before_those_that_keep_this_one_busy() -> None:
    here = check("rate", findings.report_pass("rate", "x"))
    elsewhere = dataclasses.replace(check("host", findings.report_pass("host", "x")), elsewhere=True)

    assert preflight.order_checks([here, here, elsewhere, here]) == [2, 0, 1, 3]


def test_the_checks_that_hold_up_the_others_are_named_while_they_are_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(preflight, "QUIET_SECONDS", 0.05)
    named: list[list[str]] = []
    enough = threading.Event()

    def waiting(names: Sequence[str]) -> None:
        named.append(list(names))
        if names == ["cluster"]:
            enough.set()

    def slow() -> findings.Finding:
        return findings.report_pass("cluster", str(enough.wait(10)))

    made = [check("host", findings.report_pass("host", "x")), preflight.PreflightCheck(name="cluster", ask=slow)]
    answers = preflight.run(made, observer=preflight.Observer(waiting=waiting))

    assert named[-1] == ["cluster"]
    assert [finding.seen for finding in answers] == ["x", "True"]


def test_the_refusal_names_every_refusing_finding_with_why_mending_and_page_and_no_other() -> None:
    answers = preflight.run(
        [
            check("rate", findings.report_pass("rate", "fine")),
            check("host", findings.report_refusal("host", "two routes")),
            check("quota", findings.report_warning("quota", "nobody knows")),
            raising("cluster", errors.Unavailable("ECS is away")),
        ]
    )

    with pytest.raises(errors.Refused) as refused:
        findings.refuse_launch(answers)

    lines = str(refused.value).splitlines()
    assert lines[0] == "preflight found 2 of 4 checks failing; nothing was launched:"
    assert [line for line in lines if line.startswith("FAIL")] == ["FAIL host: two routes", "FAIL cluster: ECS is away"]
    assert f"     mend: {findings.FINDING_KINDS['host'].mend}" in lines
    assert f"     why: {findings.FINDING_KINDS['cluster'].why}" in lines
    assert "     see: burst runbook preflight#cluster" in lines
    assert "quota" not in str(refused.value)
    assert refused.value.exit_code == 4


def test_warnings_alone_refuse_nothing_and_are_no_pass() -> None:
    answer = findings.report_warning("quota", "nobody knows")

    findings.refuse_launch([answer])

    assert not answer.passed
    assert answer.lines()[0] == "warn quota: nobody knows"


def test_a_finding_without_its_line_in_the_table_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="needs its line"):
        findings.report_pass("no-such-check", "")


@pytest.mark.parametrize("name", findings.FINDING_KINDS)
def test_every_finding_says_why_it_matters_and_how_to_mend_it(name: str) -> None:
    kind = findings.FINDING_KINDS[name]

    assert len(kind.title) > 10
    assert len(kind.why) > 20
    assert len(kind.mend) > 10
    assert runbooks.page_file(runbooks.PageKind.CHECK, name) == f"runbooks/preflight.md#{name}"


# The database


def test_a_fresh_scope_in_a_table_as_planned_passes_every_check() -> None:
    answers = found(source(receipt(-1.0, scope="another")))

    assert list(answers) == [
        "receipts",
        "clock-skew",
        "database",
        "database-role",
        "role-settings",
        "timestamps",
        "scope-freshness",
        "count-cost",
    ]
    assert {name: finding.status for name, finding in answers.items()} == dict.fromkeys(answers, "passed")


def test_what_is_wrong_with_the_table_is_said_all_at_once() -> None:
    wrong = source()
    wrong.table_problems = ["there is no table receipts", "there is no column decision"]

    finding = found(wrong)["receipts"]

    assert finding.refused
    assert finding.seen == "there is no table receipts; there is no column decision"


@pytest.mark.parametrize(
    ("skew_seconds", "passed"), [(0.0, True), (2.0, True), (-2.0, True), (2.001, False), (-2.001, False)]
)
def test_the_clocks_may_differ_by_what_the_plan_allows_in_either_direction(skew_seconds: float, passed: bool) -> None:
    assert found(source(skew_seconds=skew_seconds))["clock-skew"].passed == passed


@pytest.mark.parametrize("decision", ["ADMIT", "DUPLICATE", "QUARANTINE", "WEIRD", None])
@pytest.mark.parametrize("seconds", [-1e9, -1.0, 0.0, 3600.0], ids=["old", "just", "now", "ahead"])
def test_a_scope_with_any_receipt_in_it_is_not_fresh(seconds: float, decision: str | None) -> None:
    finding = found(source(receipt(seconds, decision=decision)))["scope-freshness"]

    assert finding.refused
    assert f"1 receipt of {cases.SCOPE}" in finding.seen


def test_receipts_of_another_scope_do_not_matter() -> None:
    assert found(source(receipt(-1.0, scope="platform_other")))["scope-freshness"].passed


def test_the_canaries_of_earlier_preflights_do_not_matter_and_anything_beside_them_does() -> None:
    canaries = [receipt(-2.0, event_id="burst-canary-1"), receipt(-1.0, event_id="burst-canary-2")]

    assert found(source(*canaries))["scope-freshness"].passed
    assert found(source(*canaries, receipt(-0.5)))["scope-freshness"].refused


def test_admissions_without_receipts_are_not_fresh_either() -> None:
    admitted = source()
    admitted.admissions = 5

    finding = found(admitted)["scope-freshness"]

    assert finding.refused
    assert "and 5 admissions" in finding.seen


def test_a_table_without_event_ids_and_admissions_is_judged_by_its_receipts_alone() -> None:
    fresh = receipt_table.ScopeContents(counts=receipts.Counts(), canaries=None, admissions=None)
    used = dataclasses.replace(fresh, counts=receipts.Counts(admit=1))

    assert judgements.judge_freshness(cases.plan(), fresh).passed
    assert judgements.judge_freshness(cases.plan(), used).refused
    assert "admissions" not in judgements.judge_freshness(cases.plan(), used).seen


def test_a_replay_is_warned_of_with_how_many_receipts_there_are() -> None:
    load = {"command": ["push-events"], "profile": judgements.REPLAY_PROFILE}

    finding = found(source(receipt(-1.0), receipt(-2.0)), load=load)["scope-freshness"]

    assert finding.status is findings.FindingStatus.WARNING
    assert "2 receipts" in finding.seen
    assert "the burst will hold" in finding.seen


def sample(seconds: float) -> count_costs.CountSample:
    """A sample by which every page takes so long, and nothing else takes any time."""
    return count_costs.CountSample(
        rows=1000, pages=40, pages_outside_buffers=0, page_seconds=seconds, row_seconds=0.0, receipt_seconds=0.0
    )


@pytest.mark.parametrize(
    ("page_seconds", "status"),
    [
        (13.7, findings.FindingStatus.PASSED),
        (13.8, findings.FindingStatus.WARNING),
        (110.0, findings.FindingStatus.WARNING),
        (110.1, findings.FindingStatus.REFUSED),
    ],
)
def test_a_final_count_that_cannot_fit_twice_is_refused_and_one_that_may_not_is_warned_of(
    page_seconds: float, status: findings.FindingStatus
) -> None:
    """(60 s of count_timeout - 5 s of settle) / 2 = 27.5 s for a count; the table has one page."""
    slow = source(receipt(-1.0, scope="another"))
    slow.sample = sample(page_seconds)

    finding = found(slow)["count-cost"]

    assert finding.status is status
    assert "27.5 s each within receipts.count_timeout" in finding.seen
    assert "Seq Scan of memory.receipts" in finding.seen


def test_live_counts_that_read_the_whole_window_are_warned_of_with_their_pace() -> None:
    view = source(receipt(-1.0, scope="another"))
    view.sample, view.live_problem = sample(1.5), "the receipts come from a view"

    finding = found(view)["count-cost"]

    assert finding.status is findings.FindingStatus.WARNING
    assert finding.seen.startswith(
        "the receipts come from a view: at the end one comes about every 1 min 15 s, and early"
    )


def test_a_count_whose_sample_could_not_be_counted_does_not_pass() -> None:
    unknown = source(receipt(-1.0, scope="another"))
    unknown.sample = None

    finding = found(unknown)["count-cost"]

    assert finding.status is findings.FindingStatus.WARNING
    assert "the seconds are not known: a sample could not be counted" in finding.seen


def test_the_receipts_of_the_burst_are_part_of_the_cost() -> None:
    each = dataclasses.replace(sample(0.0), receipt_seconds=1e-3)
    busy = source(receipt(-1.0, scope="another"))
    busy.sample = each

    finding = found(busy, load={"command": ["push-events"], "rate": 60_000.0})["count-cost"]

    receipts_due = math.ceil(1000 * cases.plan().budget.window_seconds)
    assert f"with the {receipts_due:,} receipts of the burst" in finding.seen
    assert finding.details["seconds"] == pytest.approx(receipts_due * 1e-3)


def test_a_database_that_is_away_is_told_once_and_no_check_of_it_passes() -> None:
    away = source(receipt(-1.0))
    away.failures = 100

    answers = found(away)
    entries = preflight.build_document(cases.plan(execution_id="m10_one"), list(answers.values()), fakes.START).findings

    assert [(entry.check, entry.status) for entry in entries] == [(name, "refused") for name in answers]
    assert [entry.check for entry in entries if entry.mend] == ["receipts"]
    root = answers.pop("receipts")
    assert root.refused
    assert "away" in root.seen
    assert len(root.lines()) == 4
    assert len(answers) == 7
    for name, finding in answers.items():
        assert finding.refused
        assert finding.lines() == (f"FAIL {name}: it could not be asked, for the reason that receipts gives",)
        assert (finding.mend, finding.runbook) == ("", root.runbook)


def test_a_table_that_is_not_there_is_told_once_and_no_question_about_it_advises_something_else() -> None:
    class Absent(fakes_receipts.MemoryReceiptSource):
        def problems(self, *, give_up_at: datetime) -> Sequence[str]:
            return ['table reciepts: relation "reciepts" does not exist']

        def privileges(self, *, give_up_at: datetime) -> receipt_table.TablePrivileges:
            raise errors.UsageError('relation "reciepts" does not exist')

        def clock(self, *, give_up_at: datetime) -> receipts.DatabaseClock:
            raise errors.Unavailable("it took too long")

    answers = found(Absent(now=fakes.TickingClock().now))

    assert answers["receipts"].seen == 'table reciepts: relation "reciepts" does not exist'
    assert answers["database-role"].refused
    assert answers["database-role"].because_of == "receipts"
    assert answers["clock-skew"].seen == "it took too long", "another failure than the table's"


def test_what_fails_in_another_way_than_the_table_says_itself_why() -> None:
    class Odd(fakes_receipts.MemoryReceiptSource):
        def problems(self, *, give_up_at: datetime) -> Sequence[str]:
            raise errors.Unavailable("it took too long")

        def clock(self, *, give_up_at: datetime) -> receipts.DatabaseClock:
            raise errors.Refused("grant EXECUTE on clock_timestamp")

    answers = found(Odd(now=fakes.TickingClock().now))

    assert answers["receipts"].seen == "it took too long"
    assert answers["clock-skew"].seen == "grant EXECUTE on clock_timestamp"
    assert answers["database"].passed


def test_what_fails_alone_says_why_though_the_table_answers_later() -> None:
    class Late(fakes_receipts.MemoryReceiptSource):
        def problems(self, *, give_up_at: datetime) -> Sequence[str]:
            assert refused.wait(10)
            return ()

        def clock(self, *, give_up_at: datetime) -> receipts.DatabaseClock:
            refused.set()
            raise errors.Unavailable("its clock stands still")

    refused = threading.Event()

    answers = found(Late(now=fakes.TickingClock().now))

    assert answers["receipts"].passed
    assert answers["clock-skew"].seen == "its clock stands still"


def test_no_question_is_given_longer_than_its_patience() -> None:
    given_up: list[datetime] = []

    class Patient(fakes_receipts.MemoryReceiptSource):
        def _answer(self, give_up_at: datetime) -> None:
            given_up.append(give_up_at)
            super()._answer(give_up_at)

    answers = found(Patient(now=fakes.TickingClock().now))

    assert [check for check, finding in answers.items() if not finding.passed] == ["timestamps"]
    assert len(given_up) == 9
    assert set(given_up) == {instants.later(fakes.START, preflight.PATIENCE_SECONDS)}


# Judgements


def test_the_arithmetic_of_a_scope_that_cannot_pass_is_shown() -> None:
    load = {"locustfile": "l.py", "host": "http://h", "rate": 1200, "source_events": 20000}
    used = receipt_table.ScopeContents(counts=receipts.Counts(admit=10001, duplicate=2), canaries=1, admissions=10000)

    finding = judgements.judge_freshness(cases.plan(load=load), used)

    assert finding.refused
    assert "of 18000 events at most 7998 can be new: a ratio of 0.4443 at best, required 0.995" in finding.seen


@pytest.mark.parametrize(
    ("host", "doubled"),
    [
        ("http://h:80", ""),
        ("http://h:80/v1", "/v1"),
        ("http://h/v1/ingest", "/v1/ingest"),
        ("http://h/base/v1/ingest", "/v1/ingest"),
        ("http://h/v1/ingest/push", "/v1/ingest/push"),
        ("http://h/elsewhere", ""),
        ("http://v1", ""),
    ],
)
def test_a_host_that_ends_in_the_beginning_of_the_route_doubles_it(host: str, doubled: str) -> None:
    assert judgements.find_doubled_route(host) == doubled


@pytest.mark.parametrize(
    ("status", "check"),
    [
        (200, None),
        (202, None),
        (401, "canary-unauthorised"),
        (403, "canary-unauthorised"),
        (404, "canary-route"),
        (405, "canary-route"),
        (302, "canary"),
        (429, "canary"),
        (500, "canary"),
        (503, "canary"),
    ],
)
def test_each_answer_to_the_canary_is_a_finding_of_its_own(status: int, check: str | None) -> None:
    finding = judgements.judge_push(status, "http://h/v1/ingest/push")

    assert (finding.check if finding else None) == check
    assert finding is None or finding.refused


@pytest.mark.parametrize(
    ("stamped_seconds", "check", "words"),
    [
        (-2.0, None, ""),
        (0.0, None, ""),
        (3.0, None, ""),
        (5.0, None, ""),
        (-2.1, "clock-skew", "stamped 2.1 s behind; allowed 2 s"),
        (5.1, "clock-skew", "stamped 2.1 s ahead"),
        (-400.0, "clock-skew", "stamped 6 min 40 s behind"),
        (3600.0, "timestamps", r"59 min 57 s ahead; allowed 2 s \(a local time without its offset\?\)"),
        (9 * 3600.0 + 3, "timestamps", r"stamped 9 h ahead; allowed 2 s \(a local time"),
        (-5.5 * 3600.0, "timestamps", r"stamped 5 h 30 min behind; allowed 2 s \(a local time"),
        (-7199.0, "timestamps", r"a local time without its offset"),
        (1.7e9, "timestamps", r"the column of the time, in its right unit"),
    ],
)
def test_a_receipt_is_stamped_between_its_sending_and_its_sight_or_the_difference_is_said(
    stamped_seconds: float, check: str | None, words: str
) -> None:
    sent_at = instants.later(fakes.START, 77.0)

    finding = judgements.judge_receipt_instant(
        "burst-canary-1",
        instants.later(sent_at, stamped_seconds),
        sent_at=sent_at,
        seen_at=instants.later(sent_at, 3.0),
        max_skew_seconds=2.0,
    )

    assert (finding.check if finding else None) == check
    assert finding is None or (finding.refused and re.search(words, finding.seen)), finding


def test_a_receipt_at_midnight_is_taken_for_a_date() -> None:
    sent_at = datetime(2026, 2, 21, 0, 40, tzinfo=UTC)
    midnight = datetime(2026, 2, 21, tzinfo=UTC)

    finding = judgements.judge_receipt_instant(
        "burst-canary-1", midnight, sent_at=sent_at, seen_at=sent_at, max_skew_seconds=2.0
    )

    assert finding is not None
    assert finding.check == "timestamps"
    assert "stamped 40 min behind; allowed 2 s (a date without its time of day?)" in finding.seen


def test_times_that_nobody_has_written_yet_are_warned_of_and_dates_are_refused() -> None:
    def judge(**sample: int) -> findings.Finding:
        counts = {"sampled": 0, "without_offset": 0, "without_time_of_day": 0, **sample}
        return judgements.judge_times(cases.plan(), receipt_table.TimesSample(**counts, textual=False))

    assert judge().status == "warning"
    assert "no receipt yet" in judge().seen
    assert judge(sampled=2, without_offset=2, without_time_of_day=2).status == "refused"
    assert judge(sampled=2, without_offset=2).status == "warning"
    assert judge(sampled=2).passed


def test_an_empty_table_is_sampled_again_once_the_canary_has_left_its_receipt() -> None:
    empty = source()

    def push(event: bytes) -> sending.CanaryAnswer:
        entry = json.loads(event)
        row = receipt(0.0, scope=entry["platform_run_id"], event_id=entry["event_id"])
        empty.rows.append(row)
        return sending.CanaryAnswer(status=200, seconds=0.01)

    made = preflight.ReceiptChecks(cases.plan(), lambda: empty, fakes.TickingClock())
    canary = made.canary([preflight.CanaryIngest(url="http://h/v1/ingest/push", push=push)])

    answers = {finding.check: finding for finding in preflight.run([*made.checks(), canary])}

    assert answers["timestamps"].seen == "all of 1 sampled in created_at_utc say their offset"
    assert answers["canary"].passed


@pytest.mark.parametrize(
    ("stamped_seconds", "check"), [(0.0, "canary"), (3600.0, "timestamps"), (-10.0, "clock-skew"), (1e9, "timestamps")]
)
def test_a_canary_whose_receipt_carries_another_instant_is_refused(stamped_seconds: float, check: str) -> None:
    clock, receipts_of_scope = fakes.TickingClock(), source()

    def push(event: bytes) -> sending.CanaryAnswer:
        entry = json.loads(event)
        at = instants.seconds_between(fakes.START, clock.now()) + stamped_seconds
        row = receipt(at, scope=entry["platform_run_id"], event_id=entry["event_id"])
        receipts_of_scope.rows.append(row)
        return sending.CanaryAnswer(status=200, seconds=0.01)

    made = preflight.ReceiptChecks(cases.plan(), lambda: receipts_of_scope, clock)

    (finding,) = preflight.run([made.canary([preflight.CanaryIngest(url="http://h/v1/ingest/push", push=push)])])

    assert (finding.check, finding.refused) == (check, check != "canary")


def test_every_host_of_the_tasks_is_asked_with_the_body_of_the_plan() -> None:
    clock, receipts_of_scope, bodies = fakes.TickingClock(), source(), list[dict[str, Any]]()

    def push(event: bytes) -> sending.CanaryAnswer:
        bodies.append(json.loads(event))
        at = instants.seconds_between(fakes.START, clock.now())
        receipts_of_scope.rows.append(receipt(at, scope=bodies[-1]["run"], event_id=bodies[-1]["id"]))
        return sending.CanaryAnswer(status=200, seconds=0.01 * len(bodies))

    load = {"command": ["x"], "canary": {"body": {"id": "{event_id}", "run": "{scope}"}}}
    made = preflight.ReceiptChecks(cases.plan(load=load), lambda: receipts_of_scope, clock)
    ingests = [preflight.CanaryIngest(url=f"http://lane-{index}/v1/ingest/push", push=push) for index in range(3)]

    (finding,) = preflight.run([made.canary(ingests)])

    assert finding.passed, finding.seen
    assert finding.seen.startswith("3 hosts, each with its own: ")
    assert len({body["id"] for body in bodies}) == 3


def test_a_host_of_one_task_that_does_not_know_the_route_refuses_and_is_named() -> None:
    def answer(status: int) -> Callable[[bytes], sending.CanaryAnswer]:
        return lambda _: sending.CanaryAnswer(status=status, seconds=0.01)

    made = preflight.ReceiptChecks(cases.plan(), source, fakes.TickingClock())
    ingests = [preflight.CanaryIngest(url=f"http://lane-{index}/x", push=answer((200, 404)[index])) for index in (0, 1)]

    (finding,) = preflight.run([made.canary(ingests)])

    assert (finding.check, finding.refused) == ("canary-route", True)
    assert "http://lane-1/x" in finding.seen


def test_the_hosts_of_the_tasks_are_asked_in_place_of_that_of_the_plan() -> None:
    own = {**OWN_LOAD, "per_shard": {"HOST": ["http://a:1", "http://b:1/", "http://a:1"]}}

    assert cases.plan(load=OWN_LOAD).load.list_hosts(3) == ("http://h:80",)
    assert cases.plan(load=own, target={"kind": "local", "tasks": 3}).load.list_hosts(3) == ("http://a:1", "http://b:1")


OWN_LOAD = {"locustfile": "locustfiles/ingest.py", "host": "http://h:80", "rate": 60}


@pytest.mark.parametrize(
    ("events", "gates", "words"),
    [
        (None, {"admit_ratio": 0.995}, ""),
        ({"duplicates": "0.5%"}, {"admit_ratio": 0.995}, ""),
        ({"malformed": "5%"}, {"admit_ratio": 0.995}, ""),
        ({"duplicates": "2.5%"}, {"admit_ratio": 0.975}, ""),
        (
            {"duplicates": "2.5%", "malformed": "1%"},
            {"admit_ratio": 0.995},
            "0.965 new / (0.965 new + 0.025 duplicates) = 0.974747 at most, and gates.admit_ratio requires 0.995",
        ),
        (
            {"malformed": "2%"},
            {"admit_ratio": 0.9, "decision_shares": {"QUARANTINE": {"at_most": 0.01}}},
            "makes QUARANTINE 0.02 of the receipts, and gates.decision_shares allows at most 0.01",
        ),
        (
            {"duplicates": "2%"},
            {"admit_ratio": 0.9, "decision_shares": {"ADMIT": {"at_least": 0.99}}},
            "makes ADMIT 0.98 of the receipts, and gates.decision_shares allows at least 0.99",
        ),
    ],
)
def test_gates_that_the_events_asked_for_cannot_pass_are_refused_with_the_arithmetic(
    events: Any, gates: dict[str, Any], words: str
) -> None:
    plan = cases.plan(load={**OWN_LOAD, **({"events": events} if events else {})}, gates={"multiplier": 3.0, **gates})

    finding = event_judgements.judge_events(plan)

    assert finding.refused == bool(words)
    assert words in finding.seen


def test_a_step_that_cannot_reach_its_own_multiple_is_refused_before_anything_is_sent() -> None:
    steps = [
        {"for": "10m", "rate": "30/s", "name": "steady"},
        {"for": "5m", "rate": "30/s", "to": "60/s", "shape": "spike", "name": "burst"},
    ]
    limits = {"multiplier": 2.0, "admit_ratio": 0.995, "multiplier@burst": 4.0}
    plan = cases.plan(load={"command": ["push-events"], "rate": steps}, gates=limits)

    enough, short = (judgements.judge_rate(plan, 20.0, baseline) for baseline in (11.25, 11.26))

    assert enough.passed
    assert short.refused
    assert (
        "step burst: only 2700.000 events a minute for 2702.400 admits a minute required: it cannot pass" in short.seen
    )


def test_only_new_events_count_for_the_rate_and_the_source_that_a_plan_needs() -> None:
    load = {**OWN_LOAD, "rate": 1000, "source_events": 15_000, "events": {"duplicates": "10%", "malformed": "10%"}}
    plan = cases.plan(load=load)

    assert judgements.judge_rate(plan, 799 / 60).passed
    assert judgements.judge_rate(plan, 801 / 60).refused
    assert judgements.judge_source(plan, 11_999 / 900).passed
    assert judgements.judge_source(plan, 12_001 / 900).refused


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.25, "0.25 s"),
        (59.9, "59.9 s"),
        (60.0, "1 min"),
        (90.0, "1 min 30 s"),
        (3600.0, "1 h"),
        (34200.0, "9 h 30 min"),
        (86400.0 + 5, "1 d"),
        (1e9, "11574 d 1 h"),
    ],
)
def test_a_span_is_said_in_its_two_largest_units(seconds: float, words: str) -> None:
    assert wording.format_span(seconds) == words


TOKEN = "b.us-east-1.rds.amazonaws.com:5432/?Action=connect&X-Amz-Date=20260221T020000Z&X-Amz-Expires=900&X-Amz-Sig=1"


@pytest.mark.parametrize(
    ("dsn", "ends"),
    [
        (f"postgresql://burst:{urllib.parse.quote(TOKEN, safe='')}@b:5432/ig", "2026-02-21T02:15:00Z"),
        (f"host=b user=burst password='{TOKEN}'", "2026-02-21T02:15:00Z"),
        ("postgresql://burst:word@b:5432/ig", None),
        ("postgresql://burst:X-Amz-Expires=900@b:5432/ig", None),
        ("postgresql://burst:X-Amz-Date=20261301T000000Z%26X-Amz-Expires=900@b:5432/ig", None),
    ],
)
def test_the_end_of_a_token_in_a_dsn_is_read(dsn: str, ends: str | None) -> None:
    ends_at = session_keys.read_token_end(dsn)

    assert (None if ends_at is None else instants.text(ends_at)) == ends


@pytest.mark.parametrize(
    ("reference", "left", "warned"),
    [
        ("env:DSN", 900.0, True),
        ("env:DSN", 1000.0, True),
        ("env:DSN", 1001.0, False),
        ("file:/run/dsn", 900.0, False),
        ("secretsmanager:dsn", 900.0, False),
        ("env:DSN", None, False),
    ],
)
def test_a_token_that_cannot_be_renewed_must_outlive_the_run(reference: str, left: float | None, warned: bool) -> None:
    ends_at = None if left is None else instants.later(fakes.START, left)

    words = session_keys.warn_of_token(reference, ends_at, fakes.START, 1000.0)

    assert bool(words) == warned
    assert not warned or f"{reference} holds a token that ends in {left:.0f} s, the run may take 1000 s" in words


@pytest.mark.parametrize(
    ("succeeded", "reads_back", "later_refused", "swap", "words"),
    [
        (1, True, True, (True, True), None),
        (1, True, True, None, None),
        (2, True, True, (True, True), "told 2 of 4 writers that each had created one key"),
        (4, True, False, None, "took a second write of one key"),
        (1, False, True, None, "holds other bytes than those of the one writer"),
        (1, True, True, (True, False), "replaced an object by a stale ETag"),
        (1, True, True, (False, True), "refused to replace an object by its present ETag"),
    ],
)
def test_a_place_that_breaks_its_word_is_refused_with_what_it_did(
    succeeded: int, reads_back: bool, later_refused: bool, swap: tuple[bool, bool] | None, words: str | None
) -> None:
    creates = write_conditions.CreatesTried(
        writers=4, succeeded=succeeded, reads_back=reads_back, later_refused=later_refused
    )
    swaps = write_conditions.SwapTried(present_taken=swap[0], stale_refused=swap[1]) if swap else None

    finding = write_conditions.judge_write_once("s3://b/p", creates, swaps, "Enabled")

    assert finding.refused == (words is not None)
    assert words is None or words in finding.seen


@pytest.mark.parametrize(("environment", "status"), [("local", "warning"), ("dev", "warning"), ("prod", "refused")])
def test_a_role_that_can_write_is_refused_where_it_matters_and_warned_of_elsewhere(
    environment: str, status: str
) -> None:
    plan = cases.plan(environment=environment)

    def judge(*writes: str, read_only: bool) -> findings.Finding:
        return judgements.judge_role(plan, receipt_table.TablePrivileges(writes=writes, read_only_sessions=read_only))

    assert judge("INSERT", "DELETE", read_only=False).status == status
    assert judge("INSERT", "DELETE", read_only=True).passed
    assert judge(read_only=False).passed


@pytest.mark.parametrize(
    ("source", "temporary", "renewable", "left", "status"),
    [
        ("env", False, False, None, "passed"),
        ("env", True, False, None, "warning"),
        ("env", True, False, 700.0, "passed"),
        ("env", True, False, 600.0, "refused"),
        ("shared-credentials-file", True, False, -5.0, "refused"),
        ("iam-role", True, True, None, "passed"),
        ("assume-role", True, True, 10.0, "passed"),
    ],
)
def test_credentials_must_outlive_the_run_or_renew_themselves(
    source: str, temporary: bool, renewable: bool, left: float | None, status: str
) -> None:
    ends_at = None if left is None else instants.later(fakes.START, left)
    keys = session_keys.SessionKeys(source=source, temporary=temporary, renewable=renewable, ends_at=ends_at)

    finding = session_keys.judge_expiry(keys, fakes.START, 600.0)

    assert finding.status == status
    assert source in finding.seen


def room(provider: str, allowed: float, used: float | None) -> vcpu_quotas.VcpuRoom:
    return vcpu_quotas.VcpuRoom(
        provider=provider, allowed=allowed, used=used, unknown="nobody says" if used is None else ""
    )


@pytest.mark.parametrize(
    ("rooms", "status"),
    [
        ([room("FARGATE", 16.0, 0.0)], "passed"),
        ([room("FARGATE", 15.0, 0.0)], "refused"),
        ([room("FARGATE", 16.0, 0.25)], "refused"),
        ([room("FARGATE", 15.0, None)], "refused"),
        ([room("FARGATE", 1000.0, None)], "warning"),
        ([room("FARGATE_SPOT", 16.0, 0.0), room("FARGATE", 0.0, 0.0)], "passed"),
        ([room("FARGATE_SPOT", 16.0, 8.0), room("FARGATE", 8.0, 0.0)], "warning"),
        ([room("FARGATE_SPOT", 16.0, 8.0), room("FARGATE", 8.0, 1.0)], "refused"),
        ([room("FARGATE_SPOT", 16.0, 8.0), room("FARGATE", 8.0, None)], "warning"),
    ],
)
def test_a_quota_has_room_for_the_tasks_beside_what_is_in_use_or_it_is_no_pass(
    rooms: list[vcpu_quotas.VcpuRoom], status: str
) -> None:
    plan = cases.plan(target={"kind": "local", "tasks": 8})

    finding = vcpu_quotas.judge_quota(plan, 2.0, rooms)

    assert finding.status == status
    assert all(each.words in finding.seen for each in rooms)


def test_a_quota_for_tasks_of_no_known_size_is_no_pass() -> None:
    assert vcpu_quotas.judge_quota(cases.plan(), None, [room("FARGATE", 1000.0, 0.0)]).status == "warning"


ROOT_READ_ONLY = ecs_definitions.RootFilesystem(read_only=True)


@pytest.mark.parametrize(
    ("root", "waits_for_go", "status"),
    [
        (ecs_definitions.RootFilesystem(), True, "passed"),
        (ROOT_READ_ONLY, True, "refused"),
        (ROOT_READ_ONLY, False, "warning"),
        (dataclasses.replace(ROOT_READ_ONLY, writable=("/usr/tmp",)), True, "passed"),
        (dataclasses.replace(ROOT_READ_ONLY, writable=("/var",)), True, "passed"),
        (dataclasses.replace(ROOT_READ_ONLY, writable=("/data",)), True, "warning"),
        (dataclasses.replace(ROOT_READ_ONLY, writable=("/data",), temporary=("/data/tmp",)), True, "passed"),
        (dataclasses.replace(ROOT_READ_ONLY, shares_volumes=True), True, "warning"),
    ],
)
def test_a_guard_that_cannot_write_its_barrier_is_refused_and_a_mount_of_no_known_use_warned_of(
    root: ecs_definitions.RootFilesystem, waits_for_go: bool, status: str
) -> None:
    definition = ecs_definitions.Definition(
        arn="t:1", container="burst", guarded=True, sidecar=True, stop_timeouts=(), secrets=frozenset(), root=root
    )

    assert judgements.judge_root(definition, waits_for_go=waits_for_go).status == status


@pytest.mark.parametrize(
    ("tasks_count", "timeout", "guarded", "status"),
    [
        (1000, "46s", True, "passed"),
        (1000, "45s", True, "refused"),
        (100, "1s", True, "passed"),
        (500, "20s", False, "refused"),
    ],
)
def test_a_start_timeout_shorter_than_the_launch_takes_is_refused_with_the_arithmetic(
    tasks_count: int, timeout: str, guarded: bool, status: str
) -> None:
    budget = {"max": "90m", "min_window": "15m", "start_timeout": timeout}

    finding = judgements.judge_start_timeout(
        cases.plan(target={"kind": "local", "tasks": tasks_count}, budget=budget), guarded=guarded
    )

    assert finding.status == status
    assert f"{tasks_count:,} tasks take" in finding.seen
    assert ("too short" in finding.seen) == finding.refused


@pytest.mark.parametrize(
    ("vcpu", "rate", "status"),
    [
        (0.25, 10_000, "passed"),
        (0.25, 11_000, "warning"),
        (1.0, 42_000, "passed"),
        (4.0, 43_000, "warning"),
        (None, 1e9, "passed"),
    ],
)
def test_a_task_whose_one_core_cannot_send_its_share_of_the_rate_is_warned_of(
    vcpu: float | None, rate: float, status: str
) -> None:
    load = {"locustfile": "locustfiles/ingest.py", "host": "http://h", "rate": rate}
    definition = ecs_definitions.Definition(
        arn="t:1", container="burst", guarded=True, sidecar=True, stop_timeouts=(), secrets=frozenset(),
        size=None if vcpu is None else costs.Size(vcpu=vcpu, memory_gb=2.0),
    )  # fmt: skip

    plan = cases.plan(target={"kind": "local", "tasks": 2}, load=load)

    assert judgements.judge_task_size(plan, definition).status == status


@pytest.mark.parametrize(
    ("execution_id", "deadline", "status"),
    [
        ("m10_other", 60.0, "warning"),
        ("m10_other", 0.0, "refused"),
        ("m10_other", None, "refused"),
        ("m10_other/report", -1.0, "refused"),
        ("m10_own", -1.0, "passed"),
        ("m10_own/counter", 60.0, "passed"),
    ],
)
def test_a_task_of_another_run_is_warned_of_and_one_past_its_deadline_refused_with_the_command_that_ends_it(
    execution_id: str, deadline: float | None, status: str
) -> None:
    plan = cases.plan(execution_id="m10_own", target=cases.ECS, evidence={"run_control": "s3://bucket/rc"})
    marked = tasks.MarkedTask(
        execution_id=execution_id,
        task=tasks.Task(task_id="arn:1", shard_index=0),
        deadline=None if deadline is None else instants.later(fakes.START, deadline),
        control_uri=None,
    )

    finding = judgements.judge_earlier_tasks(plan, [marked], fakes.START)

    command = f"burst reap --run m10_other --cluster {plan.target.cluster} --run-control s3://bucket/rc"
    assert finding.status == status
    assert (command in finding.seen) == finding.refused


@pytest.mark.parametrize(
    ("wrong", "bare", "schedule_problems", "status"),
    [
        ([], [], [], "passed"),
        ([], [], ["no group"], "passed"),
        ([], ["report"], [], "warning"),
        ([], ["report"], ["no group"], "refused"),
        (["report: it is INACTIVE"], [], [], "refused"),
    ],
)
def test_a_command_that_nothing_would_end_is_refused_and_one_that_only_the_schedule_ends_warned_of(
    wrong: list[str], bare: list[str], schedule_problems: list[str], status: str
) -> None:
    finding = judgements.judge_one_shots(wrong, bare, schedule_problems)

    assert finding.status == status
    assert all(words in finding.seen for words in wrong)
    assert ("report: neither guard nor sidecar" in finding.seen) == bool(bare)


def test_a_lease_shorter_than_the_slowest_heartbeat_is_warned_of_with_the_least_that_will_do() -> None:
    short, enough = (cases.plan(layers={"require": ["guard"], "lease_ttl": ttl}) for ttl in ("18s", "19s"))

    finding = judgements.judge_lease_ttl(short, 18.45)

    assert finding.status is findings.FindingStatus.WARNING
    assert "is 18 s" in finding.seen
    assert "allowed: 19s or more" in finding.seen
    assert judgements.judge_lease_ttl(enough, 18.45).passed


@pytest.mark.parametrize(("version", "standby", "status"), [(130011, False, "refused"), (160000, True, "refused")])
def test_an_old_server_is_refused_and_a_standby_too(version: int, standby: bool, status: str) -> None:
    assert (
        judgements.judge_server(receipt_table.DatabaseServer(version_number=version, standby=standby)).status == status
    )


# The role of the database, and the check that a plan requires


def without_limit(name: str) -> fakes_receipts.MemoryReceiptSource:
    table = source()
    safeguards = [row for row in fakes_database.role().safeguards if row.name != name]
    table.role_entry = fakes_database.role(safeguards=safeguards)
    return table


def test_a_role_with_its_own_limits_passes() -> None:
    assert found(source())["role-settings"].passed


def test_a_role_without_a_limit_is_warned_of_with_the_statement_that_gives_it() -> None:
    finding = found(without_limit("statement_timeout"))["role-settings"]

    assert finding.status is findings.FindingStatus.WARNING
    assert "ALTER ROLE \"burst_reader\" SET statement_timeout = '60s'" in finding.seen


def finding_of_database(status: str, check: str = "indexes") -> database_checks.DatabaseFinding:
    return database_checks.DatabaseFinding.model_validate(
        {"check": check, "status": status, "seen": f"{check} seen", "mend": "mend it"}
    )


@pytest.mark.parametrize(
    ("statuses", "status"),
    [
        (["passed", "note"], "passed"),
        (["passed", "warning"], "warning"),
        (["warning", "unknown"], "refused"),
        (["refused", "passed"], "refused"),
    ],
)
def test_a_required_check_refuses_where_it_refuses_and_where_it_cannot_tell(statuses: list[str], status: str) -> None:
    check_document = fakes_database.check(findings=[finding_of_database(each) for each in statuses])

    finding = database_judgements.judge_check(check_document)

    assert finding.status == status
    assert ("indexes seen (mend: mend it)" in finding.seen) == (status != "passed")


def test_the_settings_of_the_role_are_warned_of_under_their_own_id_alone() -> None:
    check_document = fakes_database.check(findings=[finding_of_database("warning", "role-settings")])

    assert database_judgements.judge_check(check_document).passed
