"""The gates of the load: what the generator withheld is its own blame, and answers have the limits that a plan sets."""

from collections.abc import Callable
from typing import Any

import pytest

from burst.domain.plan import plans
from burst.domain.verdict import load_gates, snapshots
from burst.load import load_shares, send_schedule
from tests import cases

PROGRAM = {"command": ["push-events"], "rate": 1200}
SHOP = {"locustfile": "shop.py", "host": "http://shop.internal"}
FEW = cases.metrics(counts=cases.counts(600))


def verdict(*, load: cases.Value | None = None, **documents: Any) -> snapshots.Verdict:
    """Of a plan with 20 events a second over two tasks and 900 s: 17,980 are due."""
    case = cases.passing(load=PROGRAM).having(**documents)
    return (case if load is None else case.having(load=load)).verdict()


def test_a_load_that_was_offered_in_time_passes() -> None:
    judged = verdict(load=cases.load())

    gate = cases.gate(judged, load_gates.OFFERED_LOAD)
    assert (gate["status"], gate["measured"], gate["required"]) == ("PASS", 1.0, 0.99)
    assert gate["why"] == "sent 18,000 of 18,000 due in time, latest 0.1 s late"
    assert judged.snapshot.blockers == []


def test_a_generator_that_withholds_opens_b9_with_figures_and_b1_names_it() -> None:
    withholding = cases.load(in_time=600, sent=700, late=100, latest_seconds=9.14, failed={"tls": 51})

    judged = verdict(load=withholding, metrics=FEW)

    words = "sent 1,200 of 18,000 due, latest 9.1 s late (in time is up to 1 s after it was due)"
    assert cases.open_shorts(judged) == {"B1", "B9"}
    assert (
        f"the generator withheld load: {words}; answers that were no success: 102 tls"
        in cases.entry(judged, "B9")["why"]
    )
    assert words in cases.gate(judged, "achieved_multiplier")["why"]


def test_a_load_that_is_late_fails_though_every_receipt_is_there() -> None:
    judged = verdict(load=cases.load(in_time=8000, late=1000, latest_seconds=3.0))

    assert cases.gate(judged, "achieved_multiplier")["status"] == "PASS"
    assert cases.open_shorts(judged) == {"B9"}


PLAYED: dict[str, Any] = {
    "locustfile": "locustfiles/playback.py",
    "host": "http://h",
    "playback": {"source": "r.jsonl", "key": "k", "at": "t", "speed_up": 120.0},
}


@pytest.mark.parametrize(
    ("load", "status", "words"),
    [
        (cases.load(), "PASS", "sent 18,000 of 18,000 recorded due in time"),
        (cases.load(in_time=600, sent=700), "FAIL", "sent 1,200 of 18,000 recorded due in time"),
        (None, "INVALID", "0 of 2 tasks say what of the recording was due"),
        (cases.load(knows_due=False, due=0, in_time=0), "INVALID", "0 of 2 tasks say what of the recording was due"),
    ],
)
def test_a_recording_at_a_speed_up_was_offered_only_where_every_task_says_what_was_due(
    load: cases.Value | None, status: str, words: str
) -> None:
    case = cases.passing(load=PLAYED)

    gate = cases.gate((case if load is None else case.having(load=load)).verdict(), load_gates.OFFERED_LOAD)

    assert gate["status"] == status
    assert words in gate["why"]


@pytest.mark.parametrize(
    ("kind", "withheld"),
    [
        ("EMFILE Too many open files", True),
        ("EADDRNOTAVAIL Cannot assign requested address", True),
        ("name not resolved", True),
        ("certificate not trusted", True),
        ("ECONNREFUSED Connection refused", False),
        ("timeout", False),
        ("tls", False),
    ],
)
@pytest.mark.parametrize("scheduled", [True, False], ids=["a schedule", "no schedule"])
def test_what_failed_on_the_generators_own_machine_was_not_sent(kind: str, withheld: bool, scheduled: bool) -> None:
    """A reference run has no multiplier, so nothing else would notice."""
    whose: cases.Value = {} if scheduled else {"knows_due": False, "due": 0, "in_time": 0, "undecided": 0}
    load = cases.load(acknowledged=300, refused={}, failed={kind: 8700}, **whose)
    case = cases.passing(load=PROGRAM, gates={"admit_ratio": 0.995}, baseline=None).without("baseline")

    judged = case.having(metrics=FEW, load=load).verdict()

    assert cases.open_shorts(judged) == ({"B9"} if withheld else set())
    if withheld:
        why = cases.entry(judged, "B9")["why"]
        assert "sent 600 of" in why
        assert f"answers that were no success: 17400 {kind}" in why


@pytest.mark.parametrize("program", [PROGRAM, {"command": ["push-events"]}], ids=["a rate", "no rate"])
def test_a_load_of_which_nothing_arrived_names_what_kept_it_away(program: cases.Value) -> None:
    load = cases.load(acknowledged=0, refused={"4xx": 40}, failed={"tls": 51, "timeout": 1})
    case = cases.passing(load=program).having(load=load, metrics=cases.metrics(counts=cases.counts(0)))

    why = cases.gate(case.verdict(), "load_delivered")["why"]

    words = "no load delivered: not one receipt in the window; answers that were no success: 102 tls, 80 4xx, 2 timeout"
    assert why.startswith(words)


def test_an_account_that_is_left_out_passes_nothing() -> None:
    late = cases.load(in_time=8000, late=1000)
    result = cases.task_result(load_accounts=2)

    assert cases.open_shorts(verdict(load=late, task_result=result)) == {"B9"}
    judged = verdict(task_result=result)
    assert cases.open_shorts(judged) == {"B9"}
    assert cases.gate(judged, load_gates.OFFERED_LOAD)["status"] == "INVALID"


def test_without_an_account_the_receipts_have_to_show_the_load() -> None:
    judged = verdict()

    assert cases.gate(judged, load_gates.OFFERED_LOAD)["why"] == (
        "18,840 receipts of 17,980 due in 900 s, and 2 tasks left no account of what was sent"
    )
    assert judged.snapshot.blockers == []
    assert cases.open_shorts(verdict(metrics=FEW)) == {"B1", "B9"}


def test_a_reference_run_without_a_multiplier_does_not_pass_on_a_part_of_its_load() -> None:
    case = cases.passing(load=PROGRAM, gates={"admit_ratio": 0.995}, baseline=None).without("baseline")

    judged = case.having(metrics=cases.metrics(counts=cases.counts(60))).verdict()

    assert cases.open_shorts(judged) == {"B9"}
    assert "60 receipts of 17,980 due" in cases.entry(judged, "B9")["why"]


def test_an_account_of_one_task_of_two_is_no_account_of_the_load() -> None:
    judged = verdict(load=cases.load(tasks=1), metrics=FEW)

    assert "600 receipts of 17,980 due in 900 s, and 1 task left no account" in cases.entry(judged, "B9")["why"]


def write_seconds(due: int, sent: Callable[[int], int], seconds: int, *, since: float = 60) -> list[cases.Value]:
    """A load second by second: so many due in each, and what `sent` says; all of it in time."""
    return [
        {
            "start_utc": cases.at(since + number),
            "due": due,
            "in_time": sent(number),
            "sent": sent(number),
            "acknowledged": sent(number),
            "refused": 0,
            "failed": 0,
        }
        for number in range(seconds)
    ]


SHORT = {"max": "5m", "operator_cap": "2m", "min_window": "10s", "window": "10s"}


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        pytest.param(lambda _: 1000, "PASS", id="all"),
        pytest.param(lambda second: 0 if second == 4 else 2000 if second == 5 else 1000, "PASS", id="a stall, made up"),
        pytest.param(lambda second: 600 if second == 9 else 1000, "PASS", id="a stall at the very end"),
        pytest.param(lambda second: 990 if second == 0 else 1000, "PASS", id="a few on their way"),
        pytest.param(lambda _: 910, "FAIL", id="nine of a hundred never"),
        pytest.param(lambda _: 950, "FAIL", id="five of a hundred never"),
        pytest.param(lambda second: 100 if second < 6 else 1000, "FAIL", id="a start that was never made up"),
    ],
)
def test_a_window_of_seconds_in_which_every_event_was_in_time_and_a_part_was_never_sent_is_withheld(
    sent: Callable[[int], int], status: str
) -> None:
    """What is late by less than a second is in time: at nine in ten of the rate, all that was due for ten seconds."""
    plan = cases.plan(load={"command": ["push-events"], "rate": "1000/s"}, budget=SHORT, gates={"admit_ratio": 0.995})
    window = {"start_utc": cases.at(60), "end_utc": cases.at(70)}
    total = sum(map(sent, range(10)))
    load = cases.load(tasks=1, due=10_000, in_time=total, sent=total, undecided=10_000 - total, last_utc=cases.at(70))
    load |= {"seconds": write_seconds(1000, sent, 10)}

    case = cases.passing().having(load=load, metrics=cases.metrics(window=window)).under(plan)
    result = cases.task_result(load_accounts=1, go_tasks=1)
    gate = cases.gate(case.having(task_result=result).verdict(), load_gates.OFFERED_LOAD)

    assert gate["status"] == status, gate["why"]
    if status == "FAIL":
        assert "it stayed behind in the window" in gate["why"]
        assert gate["measured"] < 0.99


def test_a_schedule_with_less_due_than_the_plan_is_another_load() -> None:
    judged = verdict(load=cases.load(due=4510, in_time=4500, sent=4500))

    assert "own accounts end with 9,000 due, and the plan made 17,980 due" in cases.entry(judged, "B9")["why"]


def test_a_program_without_a_schedule_is_held_to_its_sum() -> None:
    by_itself: dict[str, Any] = {"knows_due": False, "due": 0, "in_time": 0, "undecided": 0}

    enough = cases.gate(verdict(load=cases.load(**by_itself), metrics=FEW), load_gates.OFFERED_LOAD)
    short = cases.gate(verdict(load=cases.load(**by_itself | {"sent": 300}), metrics=FEW), load_gates.OFFERED_LOAD)

    assert (enough["status"], enough["why"]) == ("PASS", "sent 18,000 of 17,980 due in 900 s")
    assert short["status"] == "FAIL"


def test_where_go_was_given_to_a_part_of_the_tasks_their_share_is_due() -> None:
    result = cases.task_result(planned_tasks=2, go_tasks=1, tasks=[cases.task(0)])

    judged = cases.gate(verdict(load=cases.load(tasks=1), task_result=result), load_gates.OFFERED_LOAD)

    assert (judged["status"], judged["why"]) == ("PASS", "sent 9,000 of 9,000 due in time, latest 0.1 s late")


def test_the_source_of_tasks_that_had_no_go_is_not_due() -> None:
    """Each of two tasks has 2,000 of 4,000 events: the one that had GO has sent all of its own."""
    result = cases.task_result(planned_tasks=2, go_tasks=1, tasks=[cases.task(0)])
    spent = cases.load(tasks=1, due=2000, in_time=2000, sent=2000, undecided=0)
    case = cases.passing(load=PROGRAM | {"source_events": 4000}).having(task_result=result, load=spent)

    judged = cases.gate(case.verdict(), load_gates.OFFERED_LOAD)

    assert (judged["status"], judged["why"]) == ("PASS", "sent 2,000 of 2,000 due in time, latest 0.1 s late")


@pytest.mark.parametrize("arrivals", [load_shares.EVEN, load_shares.POISSON])
def test_a_schedule_that_chance_kept_below_its_mean_is_no_other_load(arrivals: str) -> None:
    """Each of the plan's schedules was kept to the event. Even ones make all due, Poisson ones now fewer, now more."""
    seconds, rate = cases.WINDOW_SECONDS, 60
    for number in range(40):
        settings = {"BURST_SCOPE": f"scope-{number}", "BURST_RATE_PER_MINUTE": str(rate), "BURST_ARRIVALS": arrivals}
        share = load_shares.read_share(settings)
        due = send_schedule.SendSchedule(share, 0.0).count_due(seconds)
        kept = cases.load(tasks=1, due=due, in_time=due, sent=due, undecided=0)
        plan = {"load": PROGRAM | {"rate": rate, "arrivals": arrivals}, "target": {"kind": "local", "tasks": 1}}

        judged = cases.gate(cases.passing(**plan).having(load=kept).verdict(), load_gates.OFFERED_LOAD)

        assert judged["status"] == "PASS", judged["why"]


def test_chance_has_no_part_in_a_source_that_is_spent_long_before_the_end() -> None:
    short = cases.load(due=1900, in_time=1900, sent=1900, undecided=0)
    case = cases.passing(load=PROGRAM | {"arrivals": "poisson", "source_events": 4000})

    assert cases.gate(case.having(load=short).verdict(), load_gates.OFFERED_LOAD)["status"] == "FAIL"


def test_a_poisson_schedule_with_half_of_what_the_plan_makes_due_is_another_load() -> None:
    half = cases.load(due=4510, in_time=4500, sent=4500)
    case = cases.passing(load=PROGRAM | {"arrivals": "poisson"})

    assert cases.gate(case.having(load=half).verdict(), load_gates.OFFERED_LOAD)["status"] == "FAIL"
    assert cases.gate(case.having(metrics=FEW).verdict(), load_gates.OFFERED_LOAD)["status"] == "FAIL"


def test_what_one_task_says_beyond_its_due_is_not_sent_for_another() -> None:
    load = cases.load()
    load["tasks"][0] |= {"in_time": 17_000, "sent": 17_000}
    load["tasks"][1] |= {"in_time": 1000, "sent": 1000}

    judged = cases.gate(verdict(load=load), load_gates.OFFERED_LOAD)

    assert judged["status"] == "FAIL"
    assert "sent 10,010 of 18,000 due" in judged["why"]


def test_a_plan_may_ask_for_more_or_less_of_the_load() -> None:
    part = cases.load(in_time=8100, late=900)
    case = cases.passing(load=PROGRAM, gates={"multiplier": 3.0, "admit_ratio": 0.995, "offered_load": 0.9})

    assert case.having(load=part).verdict().snapshot.blockers == []


def test_without_a_declared_rate_nobody_can_tell_what_was_offered() -> None:
    judged = cases.passing().having(load=cases.load(knows_due=False)).verdict()

    assert load_gates.OFFERED_LOAD not in {gate.name for gate in judged.snapshot.gates}
    assert load_gates.NOBODY_CAN_TELL in cases.entry(judged, "B9")["why"]
    assert judged.snapshot.blockers == []


# Answers


LIMITS: dict[str, float] = {
    "latency_p95_ms": 401.0,
    "latency_p99_ms": 401.0,
    "error_ratio": 0.0012,
    "client_error_ratio": 0.0,
    "server_error_ratio": 0.001,
}


def judge_answers(load: cases.Value | None, **gates: Any) -> snapshots.Verdict:
    plan_gates = {"multiplier": 3.0, "admit_ratio": 0.995, **gates}
    case = cases.passing(gates=plan_gates)
    return (case if load is None else case.having(load=load)).verdict()


def test_answers_within_every_limit_pass() -> None:
    assert judge_answers(cases.load(), **LIMITS).snapshot.blockers == []


@pytest.mark.parametrize("name", LIMITS)
def test_each_limit_on_answers_opens_b1_where_it_is_exceeded(name: str) -> None:
    worse = cases.load(refused={"4xx": 20, "5xx": 20})
    worse["latency"][1]["up_to_us"] = 500_000

    judged = judge_answers(worse, **{name: LIMITS[name]})

    assert cases.open_shorts(judged) == {"B1"}
    assert cases.gate(judged, name)["status"] == "FAIL"


@pytest.mark.parametrize("name", LIMITS)
def test_a_limit_that_nobody_measured_is_never_kept(name: str) -> None:
    nothing = cases.load(acknowledged=0, refused={}, failed={}) | {"latency": []}

    assert cases.gate(judge_answers(None, **{name: 1.0}), name)["status"] == "INVALID"
    assert cases.gate(judge_answers(nothing, **{name: 1.0}), name)["status"] == "INVALID"


@pytest.mark.parametrize("name", LIMITS)
def test_a_limit_is_not_kept_by_a_part_of_the_answers(name: str) -> None:
    """The task without an account, or the line without sense, may hold the answers that break it."""
    one_task = cases.gate(judge_answers(cases.load(tasks=1), **LIMITS), name)
    torn = cases.gate(judge_answers(cases.load(bad_lines=1), **LIMITS), name)

    assert (one_task["status"], one_task["why"]) == (
        "INVALID",
        "1 task left no account, so not every answer is known",
    )
    assert (torn["status"], torn["why"]) == (
        "INVALID",
        "2 lines of the accounts make no sense, so not every answer is known",
    )


@pytest.mark.parametrize(
    ("load", "processes", "why"),
    [
        (SHOP, 2, ""),
        (SHOP, 1, "2 of the tasks' processes left no account"),
        (SHOP, None, "2 of the tasks' processes left no account"),
        (PROGRAM, 1, "2 of the tasks' processes left no account"),
        (PROGRAM, None, ""),
    ],
)
def test_a_limit_is_not_kept_by_a_part_of_the_processes(load: dict[str, Any], processes: int | None, why: str) -> None:
    """An account of another program may not say which process wrote it."""
    case = cases.passing(
        load=load | {"processes": 2}, gates={"multiplier": 3.0, "admit_ratio": 0.995, "error_ratio": 1.0}
    )

    judged = cases.gate(case.having(load=cases.load(processes=processes)).verdict(), "error_ratio")

    assert judged["status"] == ("INVALID" if why else "PASS")
    assert why in judged["why"]


@pytest.mark.parametrize(("known", "status"), [(10, "INVALID"), (17_830, "PASS")])
def test_an_answer_without_a_duration_may_have_taken_longest(known: int, status: str) -> None:
    """99 of 100 of 18,000 answers are 17,820."""
    load = cases.load() | {"latency": [{"up_to_us": 20_000, "count": known}]}

    judged = cases.gate(judge_answers(load, latency_p99_ms=401.0), "latency_p99_ms")

    assert judged["status"] == status
    assert status == "PASS" or "the duration of 10 of 18,000 answers is known" in judged["why"]


def hang(since: int) -> cases.Value:
    """20 events a second are sent for 900 s, and none is answered that was sent after so many seconds."""
    seconds = [
        {"start_utc": cases.at(61 + number), "due": 20, "in_time": 20, "sent": 20, "refused": 0, "failed": 0}
        | {"acknowledged": 20 if number < since else 0}
        for number in range(900)
    ]
    load = cases.load(acknowledged=10 * since, refused={}, failed={})
    return load | {"seconds": seconds, "latency": [{"up_to_us": 20_000, "count": 20 * since}]}


@pytest.mark.parametrize(
    ("since", "name", "status"),
    [
        pytest.param(900, "latency_p99_ms", "PASS", id="all were answered"),
        pytest.param(890, "latency_p99_ms", "INVALID", id="nine seconds of requests waited longer than a limit"),
        pytest.param(892, "latency_p99_ms", "PASS", id="too few to matter"),
        pytest.param(898, "error_ratio", "PASS", id="on their way when the load ended"),
        pytest.param(880, "error_ratio", "FAIL", id="never answered"),
    ],
)
def test_a_request_that_was_never_answered_is_no_fast_one_and_no_success(since: int, name: str, status: str) -> None:
    judged = cases.gate(judge_answers(hang(since), **{name: LIMITS[name]}), name)

    assert judged["status"] == status, judged["why"]


def test_a_limit_on_latency_states_its_resolution_and_warns_before_it_fails() -> None:
    judged = judge_answers(cases.load(), latency_p99_ms=450.0, warn_at={"latency_p99_ms": 300.0})

    why = cases.gate(judged, "latency_p99_ms")["why"]
    assert why == (
        "400 ms of at most 450 ms, over 18,000 answers; a bucket of latency is 0.8% wide at most, and counts as its "
        "end; over warn_at 300 ms"
    )


@pytest.mark.parametrize("warn_at", [{"latency_p95_ms": 500.0}, {"latency_p95_ms": 600.0}, {"error_ratio": 0.1}])
def test_a_warning_lies_below_a_limit_that_the_plan_sets(warn_at: dict[str, float]) -> None:
    with pytest.raises(plans.PlanError, match="warn_at"):
        judge_answers(None, latency_p95_ms=500.0, warn_at=warn_at)
