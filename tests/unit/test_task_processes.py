"""The processes of a task: their parts add up to its shard, exactly, and each has the options of its role."""

import itertools
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from burst.load import load_settings, load_shares, rate_plans, task_processes
from tests.unit import test_rate_plans

SHAPES = st.tuples(st.integers(1, 40), st.integers(1, task_processes.MOST_PROCESSES))
"""Tasks, and processes in each."""


def list_parts(tasks: int, processes: int) -> dict[int, list[int]]:
    """The parts of each task."""
    return {
        shard: [task_processes.find_part(shard, tasks, process) for process in range(processes)]
        for shard in range(tasks)
    }


@given(test_rate_plans.PLANS, SHAPES)
@settings(max_examples=60, deadline=None)
def test_the_parts_of_all_processes_are_the_whole_in_each_step(
    plan: rate_plans.RatePlan, shape: tuple[int, int]
) -> None:
    tasks, processes = shape
    parts = itertools.chain.from_iterable(list_parts(tasks, processes).values())
    sent = Counter(
        (arrival.step, arrival.seconds) for part in parts for arrival in plan.list_arrivals(part, tasks * processes)
    )

    assert sent == Counter((arrival.step, arrival.seconds) for arrival in plan.list_arrivals(0, 1))
    assert sum(sent.values()) == plan.events


@given(test_rate_plans.PLANS, SHAPES)
@settings(max_examples=40, deadline=None)
def test_the_parts_of_a_task_are_exactly_its_shard(plan: rate_plans.RatePlan, shape: tuple[int, int]) -> None:
    tasks, processes = shape
    for shard, parts in list_parts(tasks, processes).items():
        sent = sorted(arrival.seconds for part in parts for arrival in plan.list_arrivals(part, tasks * processes))
        assert sent == [arrival.seconds for arrival in plan.list_arrivals(shard, tasks)]


@given(SHAPES, st.integers(0, 100_000))
def test_the_source_of_a_task_is_that_of_its_processes(shape: tuple[int, int], source_events: int) -> None:
    tasks, processes = shape

    def count(index: int, shards: int) -> int:
        settings = {load_settings.SOURCE_EVENTS: str(source_events), load_settings.SHARD_INDEX: str(index)}
        return load_shares.read_share(settings | {load_settings.SHARD_COUNT: str(shards)}).event_count or 0

    for shard, parts in list_parts(tasks, processes).items():
        assert sum(count(part, tasks * processes) for part in parts) == count(shard, tasks)


@given(st.integers(0, 10_000), st.integers(1, 100))
def test_the_shares_of_a_whole_number_add_up_and_differ_by_one_at_most(whole: int, count: int) -> None:
    shares = [task_processes.split_whole(whole, index, count) for index in range(count)]

    assert sum(shares) == whole
    assert max(shares) - min(shares) <= 1


def test_independent_processes_share_the_users_of_their_task() -> None:
    words = ["-f", "shop.py", "-u", "7", "-r", "3", "--tags", "a"]
    shared = [
        task_processes.fit_words(words, {"BURST_PROCESS_INDEX": str(index), "BURST_PROCESS_COUNT": "2"})
        for index in range(2)
    ]

    assert shared == [
        ["-f", "shop.py", "-u", "4", "-r", "1.5", "--tags", "a"],
        ["-f", "shop.py", "-u", "3", "-r", "1.5", "--tags", "a"],
    ]
    assert task_processes.fit_words(words, {}) == words


def test_independent_processes_write_documents_of_their_own_names() -> None:
    words = ["--csv", "out/stats", "--html=report.html", "--json-file", "totals"]
    second = {"BURST_PROCESS_INDEX": "1", "BURST_PROCESS_COUNT": "2"}

    numbered = ["--csv", "out/stats.1", "--html=report.1.html", "--json-file", "totals.1"]
    assert task_processes.fit_words(words, second) == numbered


MASTER = {"BURST_ROLE": "master", "BURST_WORKER_COUNT": "6"}
WORKER = {"BURST_ROLE": "worker", "BURST_MASTER_ADDRESS": "10.0.0.7:5557", "BURST_PROCESS_COUNT": "2"}


def test_a_role_has_the_options_of_locust() -> None:
    everywhere = ["--master-bind-host", "*", "--master-bind-port", "5557"]
    assert task_processes.list_options(MASTER) == ["--master", *everywhere, "--expect-workers", "6"]
    on_loopback = {"BURST_MASTER_PORT": "0", "BURST_MASTER_BIND": "127.0.0.1"}
    assert task_processes.list_options(MASTER | on_loopback)[1:5:2] == ["--master-bind-host", "--master-bind-port"]
    assert task_processes.list_options(MASTER | on_loopback)[2:6:2] == ["127.0.0.1", "0"]
    assert task_processes.list_options(WORKER) == ["--worker", "--master-host", "10.0.0.7", "--master-port", "5557"]
    assert task_processes.list_options({}) == []


def test_a_master_tells_each_worker_its_users_and_writes_the_documents_of_locust_alone() -> None:
    words = ["-f", "a.py", "-u", "8", "--csv", "stats", "--html=report.html", "--csv-full-history", "--own", "x"]

    assert task_processes.fit_words(words, MASTER) == words
    assert task_processes.fit_words(words, WORKER) == ["-f", "a.py", "-u", "8", "--own", "x"]


def test_a_worker_of_another_version_may_not_join() -> None:
    masters = WORKER | {"BURST_MASTER_VERSION": "locust 2.47.0, burst 0.2.0"}

    assert task_processes.explain_other_version(masters, "locust 2.47.0, burst 0.2.0") == ""
    assert "pinned by its digest" in task_processes.explain_other_version(masters, "locust 2.46.0, burst 0.2.0")
    assert task_processes.explain_other_version(MASTER, "locust 2.46.0, burst 0.2.0") == ""


@pytest.mark.parametrize(
    ("own", "words"),
    [
        (MASTER, "the master"),
        (WORKER | {"BURST_PROCESS_INDEX": "1"}, "worker 2 of 2"),
        ({"BURST_ROLE": "worker"}, "the worker"),
        ({"BURST_PROCESS_INDEX": "0", "BURST_PROCESS_COUNT": "3"}, "process 1 of 3"),
        ({}, ""),
    ],
)
def test_a_process_has_a_name_where_it_is_not_the_only_one(own: dict[str, str], words: str) -> None:
    assert task_processes.describe(own) == words


def test_a_master_is_read_as_it_was_written() -> None:
    opened = task_processes.OpenMaster(port=41234, version="locust 2.47.0, burst 0.2.0")

    assert task_processes.read_master(task_processes.write_master(opened)) == opened
    for text in ("", "[]", "{}", '{"port": "x", "version": "1"}'):
        with pytest.raises(ValueError, match=r".*"):
            task_processes.read_master(text)
