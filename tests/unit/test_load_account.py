"""The load account: what is counted, how lines of a file add up, and how accounts of tasks merge to one document."""

import itertools
import json
import math
import resource
import time
import types
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from burst.control import load_accounts
from burst.domain.documents import load_documents, models
from burst.load import histograms, load_account, load_shares, locust_account, send_account, send_schedule

AT = 1_772_000_000.0
STATUSES = st.none() | st.sampled_from([200, 204, 301, 404, 409, 500, 503])
REQUESTS = st.fixed_dictionaries(
    {"at": st.floats(AT, AT + 100)},
    optional={
        "status": STATUSES,
        "error": st.none() | st.sampled_from(["timeout", "tls"]),
        "latency": st.none() | st.floats(0, 60),
        "due": st.none() | st.floats(AT, AT + 100),
        "name": st.sampled_from(["order", "look"]),
        "marker": st.sampled_from(["batch"]),
    },
)


def read(*lines: Any) -> load_account.LoadAccount:
    """The account of a file with these lines."""
    account = load_account.LoadAccount()
    for line in lines:
        account.add_line(line if isinstance(line, bytes) else json.dumps(line).encode())
    return account


@hypothesis.given(seconds=st.floats(0, 100_000))
def test_a_bucket_of_a_histogram_is_never_more_than_a_128th_wide(seconds: float) -> None:
    micros = round(seconds * 1_000_000)

    highest = round(histograms.find_highest(histograms.find_bucket(seconds)) * 1_000_000)

    assert micros <= highest <= micros + micros * histograms.RESOLUTION


def test_an_account_says_which_processes_of_its_task_wrote_it(tmp_path: Path) -> None:
    path = str(tmp_path / "a.jsonl")
    for index in ("0", "2", "2"):
        variables = {load_account.ACCOUNT_FILE: path, "BURST_PROCESS_INDEX": index, "BURST_PROCESS_COUNT": "3"}
        load_account.open_writer(variables).write(AT)
    load_account.open_writer({load_account.ACCOUNT_FILE: path}).write(AT)
    reader = load_account.AccountReader(path)
    reader.read()

    merged = read(reader.account.to_value())

    assert merged.processes == reader.account.processes == {0, 2}
    assert "processes" not in read().to_value()


@hypothesis.given(seconds=st.floats(0, 100_000))
def test_a_wide_bucket_holds_what_its_buckets_do_and_is_an_eighth_wide_at_most(seconds: float) -> None:
    wide = histograms.widen(histograms.find_bucket(seconds))
    micros, highest = round(seconds * 1_000_000), round(histograms.find_highest_wide(wide) * 1_000_000)

    assert micros <= highest <= max(15, micros + micros * histograms.WIDE_RESOLUTION)


def test_latencies_are_told_by_the_ten_seconds_in_which_the_answers_came() -> None:
    sent = [(0.0, 0.02), (9.5, 1.0), (9.6, 0.1), (30.0, 2.0)]
    account = read(*({"at": AT + at, "status": 200, "latency": latency} for at, latency in sent))

    document = load_accounts.build_document({0: account, 1: account}, execution_id="a_run", scope="platform_a")

    assert document is not None
    parts = [(part.start_utc.timestamp() - AT, part.seconds, len(part.latency)) for part in document.latency_over_time]
    assert parts == [(0.0, 10.0, 2), (10.0, 10.0, 1), (30.0, 10.0, 1)]
    assert [bucket.count for part in document.latency_over_time for bucket in part.latency] == [2, 2, 2, 2]


@hypothesis.given(first=st.lists(REQUESTS, max_size=8), second=st.lists(REQUESTS, max_size=8))
def test_accounts_of_two_processes_add_up_to_the_account_of_all_their_requests(
    first: list[Any], second: list[Any]
) -> None:
    merged = read(read(*first).to_value(), read(*second).to_value())

    assert merged.to_value() == read(*first, *second).to_value()


@hypothesis.given(requests=st.lists(REQUESTS, max_size=12))
def test_every_answer_is_acknowledged_refused_or_failed_and_none_twice(requests: list[Any]) -> None:
    answered = [entry for entry in requests if entry.get("status") is not None or entry.get("error") is not None]

    account = read(*requests)

    outcomes = [account.seconds[second] for second in account.seconds]
    assert sum(part["acknowledged"] + part["refused"] + part["failed"] for part in outcomes) == len(answered)
    assert sum(account.refused.values()) == sum(part["refused"] for part in outcomes)
    assert sum(account.failed.values()) == sum(part["failed"] for part in outcomes)


def test_a_request_is_told_by_any_program_in_one_line() -> None:
    account = read(
        {"at": AT, "due": AT - 0.25, "status": 200, "latency": 0.02, "name": "order"},
        {"at": AT + 1, "due": AT - 3, "status": 503, "latency": 0.3, "name": "order"},
        {"at": AT + 2, "error": "timeout", "latency": 10},
        {"at": AT + 3, "marker": "batch-1"},
    )

    assert (account.late, account.latest_seconds) == (1, 4.0)
    assert (dict(account.refused), dict(account.failed)) == ({"5xx": 1}, {"timeout": 1})
    assert dict(account.markers) == {"batch-1": 1}
    assert account.names["order"]["outcomes"] == {"acknowledged": 1, "refused": 1}
    assert (account.first_at, account.last_at, account.bad_lines) == (AT + 0.02, AT + 12, 0)


@pytest.mark.parametrize(
    "line", [b"", b"nonsense", b"[]", b"7", b'{"at": "soon"}', b'{"status": 200}', b'{"tally": 1}']
)
def test_a_line_that_makes_no_sense_is_counted_and_changes_nothing_else(line: bytes) -> None:
    account = read({"at": AT, "status": 200}, line)

    expected = read({"at": AT, "status": 200}).to_value()
    assert account.to_value() == expected | {"bad_lines": 1}


def tally(**changes: Any) -> dict[str, Any]:
    """A tally of one beat, with changes."""
    account = load_account.LoadAccount()
    account.note_beat(AT)
    return {**account.to_value(), **changes}


def name_with(**parts: Any) -> dict[str, Any]:
    return {"names": {"order": {"outcomes": {}, "refused": {}, "failed": {}, "latency": {}, **parts}}}


@pytest.mark.parametrize(
    "line",
    [
        {"at": AT * 1000, "status": 200},
        {"at": 12_345.6, "status": 200},
        {"at": -AT, "status": 200},
        {"at": math.nan, "due": AT, "status": 200, "marker": "batch"},
        {"at": math.inf, "status": 200},
        {"at": AT, "due": AT * 1000, "status": 200},
        {"at": AT, "latency": math.nan, "status": 200, "marker": "batch"},
        {"at": AT, "latency": 1e300, "status": 200},
        {"at": AT, "latency": 1e8, "status": 200},
        {"at": AT, "latency": -5, "status": 200},
        {"at": AT, "status": "none", "marker": "batch"},
        tally(last_at=math.nan),
        tally(first_at="x"),
        tally(last_at=AT * 1000),
        tally(late=-3),
        tally(latest_seconds=-1),
        tally(latest_seconds=math.nan),
        tally(seconds={str(int(AT)): [-5, 0, 0, 0, 0, 0]}),
        tally(seconds={str(int(AT)): [1]}),
        tally(seconds={"7": [1, 1, 1, 1, 0, 0]}),
        tally(refused={"4xx": -1}),
        tally(markers={"batch": 10**40}),
        tally(bad_lines=-2),
        tally(latency_over_time={"7": {"3": 1}}),
        tally(latency_over_time={str(int(AT)): {"3": -1}}),
        tally(**name_with(latency={"-3": 1})),
        tally(**name_with(latency={"99999999": 1})),
        tally(**name_with(latency={"3": -1})),
    ],
    ids=str,
)
def test_a_line_with_an_odd_value_changes_nothing_and_no_document_breaks_by_it(line: dict[str, Any]) -> None:
    good = {"at": AT, "due": AT, "status": 200, "latency": 0.02}
    account = read(good, line)

    document = load_accounts.build_document({0: account}, execution_id="a_run", scope="platform_a")

    assert account.to_value() == read(good).to_value() | {"bad_lines": 1}
    assert document is not None
    assert document.tasks[0].bad_lines == 1


@hypothesis.given(
    lines=st.lists(
        st.fixed_dictionaries(
            {"at": st.floats() | st.integers()},
            optional={
                "due": st.none() | st.floats(),
                "latency": st.none() | st.floats(),
                "status": st.none() | st.integers() | st.booleans() | st.floats(),
                "error": st.none() | st.text(max_size=5),
                "name": st.text(max_size=3) | st.none() | st.integers(),
                "marker": st.text(max_size=3) | st.none(),
            },
        ),
        max_size=6,
    )
)
@hypothesis.example(lines=[{"at": 9e9, "due": 1.5e9, "latency": 1e6, "status": 200}])
def test_whatever_a_program_writes_its_account_is_read_again_and_becomes_a_document(lines: list[Any]) -> None:
    account = read(*lines)

    again = read(account.to_value())
    document = load_accounts.build_document({0: again}, execution_id="a_run", scope="platform_a")

    assert again.to_value() == account.to_value()
    assert document is None or document.model_dump_json()


def test_a_name_that_is_no_text_or_has_no_end_is_one_that_a_document_can_hold() -> None:
    account = read({"at": AT, "status": 200, "name": "\ud800" + "x" * 1000, "marker": "\ud801"})

    document = load_accounts.build_document({0: account}, execution_id="a_run", scope="platform_a")

    assert document is not None
    assert document.model_dump_json()
    assert [len(entry.name) for entry in document.requests] == [load_account.LONGEST_NAME]


@pytest.mark.parametrize("status", [0, -1, True, 99, 1000])
def test_a_status_that_is_none_acknowledges_nothing(status: int) -> None:
    account = read({"at": AT, "status": status})

    assert (dict(account.failed), dict(account.refused)) == ({"other": 1}, {})


def test_a_hundred_names_have_figures_of_their_own_and_the_others_share_one() -> None:
    account = read(*({"at": AT, "status": 200, "name": f"page {number}"} for number in range(150)))

    assert len(account.names) == load_account.MOST_NAMES + 1
    assert account.names[load_account.MORE_NAMES]["outcomes"] == {"acknowledged": 50}


def test_an_account_file_is_read_as_it_grows_and_half_a_line_waits_for_its_end(tmp_path: Path) -> None:
    path = tmp_path / "load.account.jsonl"
    reader = load_account.AccountReader(str(path))
    assert reader.read() is False
    line = json.dumps({"at": AT, "status": 200}).encode()
    path.write_bytes(line + b"\n" + line[:9])

    assert reader.read() is True
    assert reader.account.seconds[int(AT)]["sent"] == 1
    with path.open("ab") as file:
        file.write(line[9:] + b"\n")
    reader.read()
    assert (reader.account.seconds[int(AT)]["sent"], reader.account.bad_lines) == (2, 0)


def test_a_long_account_file_is_read_in_parts_to_the_same_account(tmp_path: Path) -> None:
    """A guard reads its lease between the parts."""
    path, whole = tmp_path / "load.account.jsonl", load_account.LONGEST_LINE
    line = json.dumps({"at": AT, "status": 200, "name": "x" * 1000}).encode() + b"\n"
    path.write_bytes(line * (5 * whole // 2 // len(line)))
    in_parts, at_once = (load_account.AccountReader(str(path)) for _ in range(2))

    parts = sum(in_parts.read(whole) for _ in range(5))
    at_once.read()

    assert parts == 3
    assert in_parts.account.to_value() == at_once.account.to_value()


def test_a_line_without_an_end_is_one_bad_line_and_is_not_read_again(tmp_path: Path) -> None:
    path = tmp_path / "load.account.jsonl"
    path.write_bytes(b"x" * (2 * load_account.LONGEST_LINE + 5))
    reader = load_account.AccountReader(str(path))

    for _ in range(4):
        reader.read(load_account.LONGEST_LINE)
    with path.open("ab") as file:
        file.write(b"x\n" + json.dumps({"at": AT, "status": 200}).encode() + b"\n")
    reader.read()

    assert reader.account.to_value() == read({"at": AT, "status": 200}).to_value() | {"bad_lines": 1}


def test_what_could_not_be_written_stands_in_the_next_line(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "load.account.jsonl"
    writer = load_account.AccountWriter(str(path))
    writer.pending.note_sent(AT)
    writer.write(AT)
    path.parent.mkdir()
    writer.pending.note_sent(AT + 1)

    writer.write(AT + 1)

    reader = load_account.AccountReader(str(path))
    reader.read()
    assert sum(counts["sent"] for counts in reader.account.seconds.values()) == 2


def test_a_line_that_was_written_in_part_takes_no_other_with_it(tmp_path: Path) -> None:
    path = tmp_path / "load.account.jsonl"
    writer = load_account.AccountWriter(str(path))
    writer.pending.note_sent(AT)
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20, limit[1]))
    try:
        writer.write(AT)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    for second in (1, 2):
        writer.pending.note_sent(AT + second)
        writer.write(AT + second)

    reader = load_account.AccountReader(str(path))
    reader.read()

    assert sum(counts["sent"] for counts in reader.account.seconds.values()) == 3
    assert reader.account.bad_lines == 1


class Hook:
    """A hook of Locust's events."""

    def __init__(self) -> None:
        self._listeners: list[Any] = []

    def add_listener(self, listener: Any) -> None:
        self._listeners.append(listener)

    def fire(self, **values: Any) -> None:
        for listener in self._listeners:
            listener(**values)


def test_an_odd_event_of_a_locustfile_takes_no_other_out_of_its_second(tmp_path: Path) -> None:
    """A locustfile may fire events of its own, with any name and the time of any clock."""
    path = tmp_path / "load.account.jsonl"
    hooks = {name: Hook() for name in ("init", "request", "user_error", "quitting", "quit")}
    locust_account.LocustAccount(str(path)).attach(types.SimpleNamespace(**hooks))

    for response_time, start_time in [
        (20.0, time.time()),
        (20.0, time.perf_counter()),
        (20.0, time.time_ns()),
        (math.nan, time.time()),
        (1e13, math.nan),
        (-1.0, None),
    ]:
        for name in ("order", None):
            hooks["request"].fire(name=name, response_time=response_time, start_time=start_time)
    hooks["quitting"].fire()

    reader = load_account.AccountReader(str(path))
    reader.read()
    account = reader.account
    assert account.bad_lines == 0
    assert {name: parts["outcomes"]["acknowledged"] for name, parts in account.names.items()} == {"order": 6, "None": 6}
    assert sum(counts["sent"] for counts in account.seconds.values()) == 12
    assert sum(account.latency.values()) == 6


def test_nothing_is_due_to_a_load_that_ends(tmp_path: Path) -> None:
    """Locust's users end within a second of its end, and send nothing then; answers still come, and are counted."""
    path, dues = tmp_path / "load.account.jsonl", []
    hooks = {name: Hook() for name in ("init", "request", "user_error", "quitting", "quit")}
    account = locust_account.LocustAccount(str(path))
    account.before_write = lambda: dues.append(time.monotonic())
    account.attach(types.SimpleNamespace(**hooks))

    hooks["quitting"].fire()
    hooks["request"].fire(name="order", response_time=900.0, start_time=time.time() - 0.9)
    hooks["quit"].fire()

    reader = load_account.AccountReader(str(path))
    reader.read()
    assert len(dues) == 1
    assert sum(counts["acknowledged"] for counts in reader.account.seconds.values()) == 1


def test_a_line_is_written_once_a_beat(tmp_path: Path) -> None:
    path = tmp_path / "load.account.jsonl"
    writer = load_account.AccountWriter(str(path))

    for quarter in range(9):
        writer.write_if_due(AT + quarter / 4)

    assert path.read_bytes().count(b"\n") == 3


# The schedule and its account


def share(**settings: object) -> load_shares.LoadShare:
    return load_shares.read_share({f"BURST_{name.upper()}": str(value) for name, value in settings.items()})


def test_what_is_due_is_counted_in_its_second_also_where_nobody_sent_it(tmp_path: Path) -> None:
    writer = load_account.AccountWriter(str(tmp_path / "load"))
    load = share(rate_per_minute=600)
    account = send_account.SendAccount(load, writer)
    schedule = send_schedule.SendSchedule(load, started=100.0)
    account.begin(schedule, 100.0)

    slot = schedule.take_slot()
    assert slot is not None
    account.record(slot, 100.0)
    account.count_due(103.5)

    tally = writer.pending
    assert sum(counts["due"] for counts in tally.seconds.values()) == 35
    assert sum(counts["in_time"] for counts in tally.seconds.values()) == 1
    assert max(counts["due"] for counts in tally.seconds.values()) <= 11


def test_no_more_is_due_than_the_source_has() -> None:
    schedule = send_schedule.SendSchedule(share(rate_per_minute=600, source_events=7), started=0.0)

    assert [schedule.count_due(0.35), schedule.count_due(60.0), schedule.count_due(90.0)] == [4, 3, 0]


@pytest.mark.parametrize("arrivals", ["even", "poisson"])
def test_what_is_due_follows_the_slots_however_they_arrive(arrivals: str) -> None:
    schedule = send_schedule.SendSchedule(share(rate_per_minute=6000, arrivals=arrivals, scope="s"), started=50.0)
    slots = [slot for slot in (schedule.take_slot() for _ in range(5000)) if slot is not None]

    assert schedule.count_due(70.0) == sum(slot.due < 70.0 for slot in slots)


def test_poisson_arrivals_keep_the_rate_with_pauses_of_their_own_that_are_the_same_again() -> None:
    load = share(rate_per_minute=6000, arrivals="poisson", scope="s")
    first, again = (send_schedule.SendSchedule(load, started=0.0) for _ in range(2))
    dues = [slot.due for slot in (first.take_slot() for _ in range(20_000)) if slot is not None]
    pauses = [later - earlier for earlier, later in itertools.pairwise(dues)]

    mean = sum(pauses) / len(pauses)
    deviation = math.sqrt(sum((pause - mean) ** 2 for pause in pauses) / len(pauses))
    assert mean == pytest.approx(0.01, rel=0.05)
    assert deviation == pytest.approx(mean, rel=0.05)  # as of an exponential distribution
    assert [slot.due for slot in (again.take_slot() for _ in range(100)) if slot is not None] == dues[:100]


def test_a_hundred_shards_together_send_at_even_distances() -> None:
    dues = []
    for index in range(100):
        load = share(rate_per_minute=60_000, shard_index=index, shard_count=100)
        schedule = send_schedule.SendSchedule(load, started=0.0)
        dues += [slot.due for slot in (schedule.take_slot() for _ in range(100)) if slot is not None]

    bins = [0] * 1000
    for due in dues:
        bins[int(due * 100)] += 1
    expected = len(dues) / len(bins)
    chi_square = sum((count - expected) ** 2 / expected for count in bins)
    # 999 degrees of freedom: 1143 is exceeded once in a thousand times by chance alone; in phase it would be 90,000.
    assert chi_square < 1143


def test_an_unknown_arrival_is_refused() -> None:
    with pytest.raises(Exception, match="must be even or poisson"):
        share(arrivals="bunched")


# The document of a run


def test_accounts_of_tasks_merge_exactly_to_the_document_of_the_run() -> None:
    first = read({"at": AT, "due": AT, "status": 200, "latency": 0.01, "name": "a"}, {"at": AT + 5, "marker": "x"})
    second = read({"at": AT, "due": AT, "status": 500, "latency": 0.01, "name": "a"}, {"at": AT + 9, "marker": "x"})

    document = load_accounts.build_document({1: second, 0: first}, execution_id="run", scope="scope")

    assert document is not None
    assert [(task.shard_index, task.due, task.in_time, task.sent) for task in document.tasks] == [
        (0, 1, 1, 1),
        (1, 1, 1, 1),
    ]
    assert [(entry.due, entry.sent, entry.acknowledged, entry.refused) for entry in document.seconds] == [(2, 2, 1, 1)]
    assert [bucket.count for bucket in document.latency] == [2]
    assert (document.markers, document.name_failures()) == ({"x": 2}, "1 5xx")
    assert models.read(load_documents.Load, document.content()) == document


def test_what_was_due_last_and_not_sent_is_undecided() -> None:
    account = read(*({"at": AT + 9.9, "due": AT + second} for second in range(10)))
    account.note_due(AT + 9.5, 5)

    document = load_accounts.build_document({0: account}, execution_id="run", scope="scope")

    assert document is not None
    (task,) = document.tasks
    # Sent at AT + 9.9: the nine that were due more than a second before are late, the last is in time.
    assert (task.due, task.in_time, task.late, task.undecided) == (15, 1, 9, 6)
    assert document.decided_due == 9


def test_without_a_line_there_is_no_document() -> None:
    assert load_accounts.build_document({0: read()}, execution_id="run", scope="scope") is None


@pytest.mark.parametrize(("percent", "milliseconds"), [(50, 10.0), (94, 10.0), (95, 10.0), (96, 500.0), (100, 500.0)])
def test_a_percentile_is_the_end_of_its_bucket(percent: float, milliseconds: float) -> None:
    latency = [
        load_documents.LatencyBucket(up_to_us=10_000, count=95),
        load_documents.LatencyBucket(up_to_us=500_000, count=5),
    ]

    assert load_documents.find_percentile_ms(latency, percent) == milliseconds
    assert load_documents.find_percentile_ms([], percent) is None


ENDS = st.tuples(
    st.floats(AT, AT + 3), st.floats(0, 3), st.none() | st.sampled_from(["steady", "burst"]), st.floats(0, 60)
)


@hypothesis.given(ends=st.lists(ENDS, max_size=12))
def test_counts_that_are_taken_quickly_are_those_of_the_account(ends: list[Any]) -> None:
    writer, account = load_account.AccountWriter(None), load_account.LoadAccount()

    for at, late_seconds, step, latency_seconds in ends:
        writer.note_sent(at, at - late_seconds, step)
        account.note_sent(at, at - late_seconds, step=step)
        writer.quick.note_success(at, "order", latency_seconds, step)
        account.note_answer(at, "order", latency_seconds=latency_seconds, status=200, error=None, step=step)

    assert writer.pending.to_value() == account.to_value()
    assert writer.pending.to_value() == account.to_value()  # taken over once
