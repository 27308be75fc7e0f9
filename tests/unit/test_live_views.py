"""The live view as a value: rates, bars, what gates still need, blindness, layers, and what happened."""

import dataclasses
import json
from datetime import datetime
from typing import Any

import pytest

from burst.cli import following
from burst.domain.basics import instants
from burst.domain.documents import run_records
from burst.domain.observations import samples
from burst.domain.preflight import findings
from burst.domain.receipts import early_stops, receipts
from burst.domain.run import lease_counts, runs
from burst.domain.tasks import leases, tasks
from burst.report import live_events, live_gates, live_screen, live_series, live_views, run_states
from burst.wiring import standings
from tests import cases, live_situations

GO = live_situations.at(live_situations.GO_SECONDS)
PLAN = live_situations.PLAN
STANDING = live_gates.Standing


def counted(admit: int, duplicate: int = 0, *, seconds: float = 30.0) -> runs.Run:
    """A run of which so many seconds were counted."""
    poll = early_stops.Poll(seconds=seconds, counts=receipts.Counts(admit=admit, duplicate=duplicate))
    return runs.Run(execution_id="m10_x", go_at=GO, polls=(poll,), counted_to=instants.later(GO, seconds))


def stand(run: runs.Run, name: str, now_seconds: float = 30.0, **changes: Any) -> live_gates.GateStanding:
    plan = PLAN if not changes else cases.plan(**changes)
    reckoning = live_gates.Reckoning(
        plan=plan, run=run, baseline_per_second=live_situations.BASELINE_PER_SECOND, now=instants.later(GO, now_seconds)
    )
    return next(gate for gate in live_gates.list_standings(reckoning) if gate.name == name)


@pytest.mark.parametrize(
    ("run", "name", "standing", "words"),
    [
        pytest.param(counted(12780), "multiplier", STANDING.HOLDS, "needs 25,560/min for 30 s", id="at the edge"),
        pytest.param(counted(12779), "multiplier", STANDING.SHORT, "needs 25,562/min for 30 s", id="one short"),
        pytest.param(counted(100, seconds=58.0), "multiplier", STANDING.SHORT, "needs 763,800/min for 2 s", id="late"),
        pytest.param(counted(0), "admit_ratio", STANDING.UNKNOWN, "", id="no receipts have no ratio"),
        pytest.param(
            counted(995, 5), "admit_ratio", STANDING.HOLDS, "0 more DUPLICATE may come", id="exactly the ratio"
        ),
        pytest.param(counted(994, 6), "admit_ratio", STANDING.SHORT, "200 ADMIT without a DUPLICATE", id="below it"),
        pytest.param(counted(0, 20000), "admit_ratio", STANDING.LOST, "", id="no rest can mend it"),
        pytest.param(counted(5), "duration", STANDING.SHORT, "30 s more", id="half the window"),
        pytest.param(counted(5), "offered_load", STANDING.UNKNOWN, "", id="no account was read"),
        pytest.param(counted(5), "latency_p95", STANDING.UNKNOWN, "of the last look", id="no answer was timed"),
    ],
)
def test_a_gate_says_how_it_stands_and_what_is_needed(
    run: runs.Run, name: str, standing: live_gates.Standing, words: str
) -> None:
    gate = stand(run, name)

    assert (gate.standing, words in gate.needed) == (standing, True), gate


def test_what_a_gate_needs_is_enough() -> None:
    """By the gates' own arithmetic: as many as are said mend the ratio, and one less does not."""
    for admit, duplicate in ((994, 6), (1, 1), (0, 3), (19_900, 101)):
        needed = int(stand(counted(admit, duplicate), "admit_ratio").needed.split()[0].replace(",", ""))

        assert stand(counted(admit + needed, duplicate), "admit_ratio").standing is STANDING.HOLDS
        assert stand(counted(admit + needed - 1, duplicate), "admit_ratio").standing is STANDING.SHORT


@pytest.mark.parametrize(
    ("load", "name", "standing"),
    [
        pytest.param({"due": 1000, "in_time": 990}, "offered_load", STANDING.HOLDS, id="offered"),
        pytest.param(
            {"due": 1000, "in_time": 980}, "offered_load", STANDING.SHORT, id="late, and the rest can mend it"
        ),
        pytest.param({"due": 20000, "in_time": 10000}, "offered_load", STANDING.LOST, id="withheld"),
        pytest.param({"p95_ms": 250.0}, "latency_p95", STANDING.HOLDS, id="at the limit"),
        pytest.param({"p95_ms": 250.1}, "latency_p95", STANDING.SHORT, id="above it"),
        pytest.param(
            {"answered": 1000, "unsuccessful": 1}, "error_ratio", STANDING.HOLDS, id="as many errors as may be"
        ),
        pytest.param({"answered": 1000, "unsuccessful": 2}, "error_ratio", STANDING.SHORT, id="one more"),
        pytest.param({"answered": 0, "unsuccessful": 0}, "error_ratio", STANDING.UNKNOWN, id="nothing was answered"),
    ],
)
def test_the_gates_of_the_load_follow_the_accounts(
    load: dict[str, Any], name: str, standing: live_gates.Standing
) -> None:
    view = runs.LoadView(**{"at": GO, "tasks": 4, "due": 0, "in_time": 0, "sent": 0, **load})

    assert stand(dataclasses.replace(counted(5), loads=(view,)), name).standing is standing


def test_a_bucket_that_is_counted_in_part_shows_no_collapse_and_one_that_is_not_shows_nothing() -> None:
    buckets = live_series.Buckets(start=GO, seconds=10.0, number=4)
    whole = live_series.CountedSpan(start=GO, end=instants.later(GO, 10), amount=1000)
    part = live_series.CountedSpan(start=instants.later(GO, 10), end=instants.later(GO, 11), amount=100)
    empty = live_series.CountedSpan(start=instants.later(GO, 20), end=instants.later(GO, 22), amount=0)

    assert buckets.find_rates([whole, part, empty]) == (6000.0, 6000.0, 0.0, None)


def test_spans_that_cross_the_edge_of_a_bucket_lose_and_gain_nothing() -> None:
    buckets = live_series.Buckets(start=GO, seconds=2.0, number=3)
    spans = [
        live_series.CountedSpan(
            start=instants.later(GO, 1.5 * index), end=instants.later(GO, 1.5 * (index + 1)), amount=index
        )
        for index in range(4)
    ]

    rates = buckets.find_rates(spans)

    assert sum(rate / 60 * 2 for rate in rates if rate is not None) == pytest.approx(6)


@pytest.mark.parametrize(
    ("values", "highest", "bars"),
    [
        ([0, 1, 50, 100], None, "_▁▅█"),
        ([None, 0, 0], None, " __"),
        ([10], 100, "▁"),
        ([200, 100], 100, "█▅"),
        ([], None, ""),
    ],
)
def test_bars_are_drawn_from_nothing_to_the_highest(
    values: list[float | None], highest: float | None, bars: str
) -> None:
    assert live_series.draw_bars(values, highest) == bars


@pytest.mark.parametrize(("window_seconds", "seconds"), [(30, 1), (60, 2), (900, 30), (5400, 120), (1e6, 1e6 / 48)])
def test_a_whole_window_fits_beside_its_words(window_seconds: float, seconds: float) -> None:
    buckets = live_series.Buckets.fit(GO, window_seconds, 48)

    assert buckets.seconds == pytest.approx(seconds)
    assert buckets.number <= 48
    assert buckets.number * buckets.seconds >= window_seconds


def test_while_no_count_comes_nobody_is_told_a_rate_of_now() -> None:
    view = live_situations.build("blind")

    assert view.rates.now is None
    assert [words.partition(": ")[2].partition(":")[0] for words in view.blind] == [
        "the tasks cannot be seen",
        "no count comes",
    ]
    assert view.blind[0].startswith("blind since 02:10:06 (13 s)")
    assert view.tone is live_views.Tone.BAD
    assert view.tracks[0].last is None


def test_a_layer_says_whether_it_is_armed_and_at_how_many_tasks_it_fired() -> None:
    layers = {layer.name: layer for layer in live_situations.build("stopping").layers}

    assert layers["lease"] == live_views.LayerState(name="lease", armed=True, fired=2)
    assert layers["guard"].fired == 0
    assert (layers["sidecar"].armed, layers["sidecar"].why) == (False, "the task definition has none")


def test_many_tasks_that_stop_at_once_are_one_line() -> None:
    view = live_situations.build("hold")

    told = [happening.words for happening in view.happenings]
    assert [words for words in told if "stopped" in words] == ["4 tasks stopped by lease, exit 0"]


def test_the_happenings_are_in_order() -> None:
    for name in live_situations.SITUATIONS:
        instants_told = [happening.at for happening in live_situations.build(name).happenings]

        assert instants_told == sorted(instants_told)


def test_tasks_that_stop_in_the_second_of_the_stop_come_after_it() -> None:
    situation, _ = live_situations.stopping()
    assert situation.run is not None

    words = [happening.words for happening in live_events.list_happenings(situation.run)]

    assert words.index("STOP: window-complete") < words.index("2 tasks stopped by lease, exit 0")


def test_a_start_that_waits_for_a_series_says_for_which() -> None:
    taken = samples.Sample(
        number=1, asked_at=GO, answered_at=GO, of=None, value=None, scope=None, detail="no such table"
    )
    run = runs.Run(execution_id="m10_x", launching_at=GO, observed={"lag": (taken,)})

    assert run_states.describe(run) == "starting, 0 of 0 tasks ready, no answer yet of lag"


def test_a_run_that_nobody_drives_says_so_at_the_top_and_has_no_rate_of_now() -> None:
    situation, now = live_situations.bursting()
    left = dataclasses.replace(situation, warnings=("no controller is at work on it; burst resume m10_x",), stale=True)

    view = live_views.build(left, now)
    rows = [row.plain for row in live_screen.list_rows(view, live_screen.ScreenSize(columns=40, rows=9))]

    assert view.tone is live_views.Tone.BAD
    assert (view.rates.now, view.rates.sent, view.tracks[0].last) == (None, None, None)
    assert view.rates.needed is not None
    assert rows[2].startswith("no controller is at work")
    assert live_views.build(situation, now).rates.now is not None


@pytest.mark.parametrize(("columns", "rows"), [(40, 9), (20, 9), (59, 15)])
def test_a_small_terminal_shows_what_is_left_of_the_time_and_the_worst_gates(columns: int, rows: int) -> None:
    situation, now = live_situations.bursting()

    view = live_views.build(situation, now)
    shown = [row.plain for row in live_screen.list_rows(view, live_screen.ScreenSize(columns=columns, rows=rows))]

    assert len(shown) <= rows
    assert "window         21 s left, 39 s of 60 s" in shown
    assert any(row.startswith("short duration") for row in shown)


def test_before_the_first_check_is_known_preflight_begins_and_counts_nothing() -> None:
    assert live_views.build(live_views.Situation(), GO).state == "preflight begins"


def test_a_hold_shows_its_open_blockers_first() -> None:
    view = live_situations.build("hold")

    assert view.state == "HOLD: 1 blocker open (exit 3)"
    assert view.open_blockers[0].startswith("M10F-B1  profile not achieved: ")


def test_checks_turn_green_one_by_one_in_their_places() -> None:
    passed = findings.Finding(check="rate", status=findings.FindingStatus.PASSED, seen="1")
    refused = findings.Finding(check="source", status=findings.FindingStatus.REFUSED, seen="too few events")
    state = live_views.PreflightProgress.begin(["rate", "program", "rate"])

    once = state.answer("rate", [passed])
    twice = once.answer("rate", [passed, refused])

    assert [check.status for check in once.checks] == ["passed", "waiting", "waiting"]
    assert [(check.status, check.seen) for check in twice.checks] == [
        ("passed", ""), ("waiting", ""), ("refused", "too few events")
    ]  # fmt: skip
    assert twice.answer("never-asked", [passed]) == twice


@pytest.mark.parametrize("name", live_situations.SITUATIONS)
def test_the_same_view_is_one_json_object_for_machines(name: str) -> None:
    fields = live_views.list_fields(live_situations.build(name))

    assert json.loads(json.dumps(fields, allow_nan=False)) == fields


def test_a_run_of_another_machine_shows_what_run_control_tells_and_says_what_it_cannot_know() -> None:
    truth = tasks.TaskTruth(task=tasks.Task(task_id="a", shard_index=0), status=tasks.TaskStatus.RUNNING)
    run = runs.Run(execution_id="m10_x", go_at=GO, deadline=live_situations.at(240), truths={"a": truth})
    situation = live_views.Situation(plan=PLAN, run=run, far=True)

    view = live_views.build(situation, instants.later(GO, 20))

    assert (view.counts, view.gates, view.tracks) == (None, (), ())
    assert view.task_states == {"RUNNING": 1}
    assert view.clocks[0].left_seconds == 40.0
    assert view.notes == (live_views.NO_COUNTS_HERE,)


def count_of_lease(**changes: Any) -> leases.LeaseCount:
    count = leases.LeaseCount(
        counted_to=instants.later(GO, 30),
        seconds=30.0,
        receipts=(12_000, 3, 0, 1),
        recent_seconds=5.0,
        recent_receipts=(2350, 0, 0, 0),
    )
    return dataclasses.replace(count, **changes)


def remote_status(*, heartbeat_at: datetime, counted: leases.LeaseCount | None) -> standings.RemoteStatus:
    lease = leases.Lease(
        execution_id="m10_x", state=leases.LeaseState.GO, deadline=live_situations.at(240), beat=9,
        heartbeat_at=heartbeat_at, go_at=GO, counted=counted,
    )  # fmt: skip
    announcement = run_records.Announcement(
        execution_id="m10_x", created_utc=GO, deadline_utc=live_situations.at(240), early_stop=True, barrier=True,
        plan_sha256="0" * 64,
    )  # fmt: skip
    return standings.RemoteStatus(
        plan=PLAN, announcement=announcement, lease=lease, lease_problem="", truths=(), verdict=None
    )


def test_the_last_count_in_the_lease_gives_rate_and_receipts_on_another_machine() -> None:
    now = instants.later(GO, 31)
    run = following.make_run(remote_status(heartbeat_at=now, counted=count_of_lease()), now)

    view = live_views.build(live_views.Situation(plan=PLAN, run=run, far=True), now)

    assert view.rates.now == 28_200.0
    assert view.counts == receipts.Counts(admit=12_000, duplicate=3, other=1)
    assert view.notes == (live_views.COUNTS_OF_THE_LEASE,)
    shown = "\n".join(row.plain for row in live_screen.list_rows(view, live_screen.ScreenSize(columns=100, rows=24)))
    assert "now 28,200" in shown
    assert "in all ADMIT 12,000 · DUPLICATE 3" in shown


def test_a_lease_that_nobody_writes_any_more_gives_no_rate_of_now() -> None:
    now = instants.later(GO, 31 + PLAN.layers.lease_ttl)
    status = remote_status(heartbeat_at=instants.later(GO, 30), counted=count_of_lease())

    view = live_views.build(
        live_views.Situation(
            plan=PLAN, run=following.make_run(status, now), warnings=following.list_notes(status, now), far=True
        ),
        now,
    )

    assert (view.rates.now, view.counts) == (None, None)
    assert "so what goes on now is not known" in view.blind[0]
    assert "ADMIT 12,000 DUPLICATE 3, 28,200 ADMIT a minute in its last 5 s" in view.blind[0]


def test_what_a_run_counted_comes_back_from_its_lease_with_the_same_sums() -> None:
    polls = tuple(
        early_stops.Poll(seconds=1.5, counts=receipts.Counts(admit=10 * number, duplicate=number))
        for number in range(9)
    )
    run = runs.Run(execution_id="m10_x", go_at=GO, counted_to=instants.later(GO, 13.5), polls=polls)
    count = lease_counts.read_count(run)
    assert count is not None

    lease = leases.Lease(
        execution_id="m10_x", state=leases.LeaseState.GO, deadline=GO, beat=1, heartbeat_at=GO, counted=count
    )
    read = leases.decode(leases.encode(lease)).counted
    assert read == count
    restored = dataclasses.replace(run, polls=lease_counts.restore_polls(read))

    assert (restored.counts, restored.counted_seconds) == (run.counts, run.counted_seconds)
    assert [live_series.find_recent_rate(live_series.list_counted(each, "ADMIT")) for each in (run, restored)] == [
        (80 + 70 + 60 + 50) / 6 * 60
    ] * 2


def test_a_run_that_has_counted_nothing_has_no_count_in_its_lease() -> None:
    assert lease_counts.read_count(runs.Run(execution_id="m10_x", go_at=GO)) is None


@pytest.mark.parametrize(
    "spoiled",
    ["x", 3, {}, {"counted_to": "yesterday"}, {"seconds": "NaN"}, {"seconds": -1}, {"receipts": {"ADMIT": -1}}],
    ids=str,
)
def test_a_count_in_the_lease_that_makes_no_sense_ends_no_task(spoiled: Any) -> None:
    lease = leases.Lease(
        execution_id="m10_x", state=leases.LeaseState.GO, deadline=GO, beat=1, heartbeat_at=GO,
        counted=count_of_lease(),
    )  # fmt: skip
    fields = json.loads(leases.encode(lease))
    whole = fields["counted"] | spoiled if isinstance(spoiled, dict) and spoiled else spoiled

    read = leases.decode(json.dumps(fields | {"counted": whole}).encode())

    assert read == dataclasses.replace(lease, counted=None)
