"""The truth about an ECS task, for every way ECS has of saying, and not saying, how one ended."""

import dataclasses
from datetime import datetime, timedelta, timezone
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from burst.domain.basics import instants
from burst.domain.documents import task_records_document, task_results
from burst.domain.run import runs, task_result_builder
from burst.domain.tasks import ecs_truths, task_records, tasks
from tests import fakes

TASK = tasks.Task(task_id="arn:aws:ecs:us-east-1:1:task/burst/" + "a" * 32, shard_index=3)
STARTED, STOPPED = fakes.START, instants.later(fakes.START, 60)
GUARD, SIDECAR, LEASE, CONTROLLER = tasks.Layer.GUARD, tasks.Layer.SIDECAR, tasks.Layer.LEASE, tasks.Layer.CONTROLLER


def container(name: str = "burst", exit_code: int | None = None, reason: str = "") -> dict[str, Any]:
    made: dict[str, Any] = {"name": name, "lastStatus": "STOPPED"}
    return made | ({} if exit_code is None else {"exitCode": exit_code}) | ({"reason": reason} if reason else {})


def ended(stop_code: str | None, *containers: dict[str, Any], reason: str = "") -> dict[str, Any]:
    described: dict[str, Any] = {
        "lastStatus": "STOPPED",
        "desiredStatus": "STOPPED",
        "startedAt": STARTED,
        "stoppedAt": STOPPED,
        "containers": list(containers),
        "stoppedReason": reason,
    }
    return described | ({} if stop_code is None else {"stopCode": stop_code})


def record(by: tasks.Layer | None, exit_code: int, detail: str = "") -> task_records.GuardRecord:
    return task_records.GuardRecord(
        shard_index=3,
        guard_pid=1,
        guard_started=1.0,
        started_at=STARTED,
        stopped_at=STOPPED,
        exit_code=exit_code,
        stopped_by=by,
        detail=detail,
    )


def judged(
    described: dict[str, Any], *, guarded: bool = True, left: task_records.Record | None = None
) -> tasks.TaskTruth:
    told = task_records.Lacking.ABSENT if left is None else left
    return ecs_truths.judge_task(TASK, described, container="burst", guarded=guarded, record=told)


ESSENTIAL = "EssentialContainerExited"


@pytest.mark.parametrize(
    ("described", "left", "exit_code", "stopped_by"),
    [
        (ended(ESSENTIAL, container(exit_code=0)), None, 0, None),
        (ended(ESSENTIAL, container(exit_code=3)), None, 3, None),
        (ended(ESSENTIAL, container(exit_code=124)), None, 124, GUARD),
        (ended(ESSENTIAL, container(exit_code=124)), record(GUARD, 124), 124, GUARD),
        (ended(ESSENTIAL, container(exit_code=124)), record(LEASE, 124), 124, LEASE),
        (ended(ESSENTIAL, container(exit_code=137)), record(LEASE, 137), 137, LEASE),
        (ended(ESSENTIAL, container(exit_code=137)), None, 137, None),
        (ended(ESSENTIAL, container(exit_code=137, reason="OutOfMemoryError: killed")), None, 137, None),
        (ended(ESSENTIAL, container(exit_code=0)), record(None, 0), 0, None),
        (ended(ESSENTIAL, container(exit_code=143), container("lifespan", 64)), None, 64, SIDECAR),
        (ended(ESSENTIAL, container(), container("lifespan", 64)), None, 64, SIDECAR),
        (ended(ESSENTIAL, container(exit_code=1), container("lifespan", 0)), None, 1, None),
        (ended(ESSENTIAL, container(exit_code=64)), None, 64, None),
        (ended("UserInitiated", container(exit_code=143), reason="burst: controller"), None, 143, CONTROLLER),
        (ended("UserInitiated", container(), reason="burst: schedule"), None, None, tasks.Layer.SCHEDULE),
        (ended("UserInitiated", container(), reason="burst: sweeper"), None, None, tasks.Layer.SWEEPER),
        (ended("UserInitiated", container(exit_code=143), reason="by hand"), None, 143, None),
        (ended("UserInitiated", container(), reason="burst: nobody"), None, None, None),
        (ended("UserInitiated", container(), container("lifespan", 64), reason="burst: controller"), None, 64, SIDECAR),
        (ended("TaskFailedToStart", reason="CannotPullContainerError: x"), None, None, None),
        (ended("SpotInterruption", container(exit_code=124)), record(GUARD, 124), 124, None),
        (ended("TerminationNotice", container(exit_code=143)), None, 143, None),
        (ended("InfrastructureHealth", container(exit_code=1)), None, 1, None),
        (ended("SomethingOfTheFuture"), None, None, None),
        (ended(None, container()), None, None, None),
    ],
)  # fmt: skip
def test_the_layer_and_the_exit_code_of_every_end(
    described: dict[str, Any],
    left: task_records.GuardRecord | None,
    exit_code: int | None,
    stopped_by: tasks.Layer | None,
) -> None:
    truth = judged(described, left=left)

    assert (truth.status, truth.exit_code, truth.stopped_by) == (tasks.TaskStatus.STOPPED, exit_code, stopped_by)
    assert truth.stop_code == described.get("stopCode")


def test_exit_124_of_a_program_without_our_guard_is_its_own() -> None:
    assert judged(ended(ESSENTIAL, container(exit_code=124)), guarded=False).stopped_by is None


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        ("PROVISIONING", tasks.TaskStatus.PENDING),
        ("PENDING", tasks.TaskStatus.PENDING),
        ("ACTIVATING", tasks.TaskStatus.PENDING),
        ("RUNNING", tasks.TaskStatus.RUNNING),
        ("DEACTIVATING", tasks.TaskStatus.RUNNING),
        ("STOPPING", tasks.TaskStatus.RUNNING),
        ("DEPROVISIONING", tasks.TaskStatus.RUNNING),
        ("STOPPED", tasks.TaskStatus.STOPPED),
        ("DELETED", tasks.TaskStatus.STOPPED),
        ("A_STATUS_OF_THE_FUTURE", tasks.TaskStatus.RUNNING),
        ("", tasks.TaskStatus.UNKNOWN),
    ],
)
def test_only_what_was_seen_to_end_is_stopped(last: str, expected: tasks.TaskStatus) -> None:
    assert judged({"lastStatus": last}).status is expected


def test_times_are_those_ecs_tells_in_utc() -> None:
    local = timezone(timedelta(hours=5))
    described = ended(ESSENTIAL, container(exit_code=0)) | {"startedAt": STARTED.astimezone(local)}

    truth = judged(described)

    assert (truth.started_at, truth.stopped_at) == (STARTED, STOPPED)
    assert truth.started_at is not None
    assert truth.started_at.utcoffset() == timedelta(0)


def test_without_a_stop_time_the_end_of_execution_counts_and_without_both_there_is_none() -> None:
    described = ended(ESSENTIAL, container(exit_code=0))
    del described["stoppedAt"]

    assert judged(described).stopped_at is None
    assert judged(described | {"executionStoppedAt": STOPPED}).stopped_at == STOPPED


def test_the_load_ended_when_its_guard_recorded_it_and_not_when_the_network_was_gone() -> None:
    left, execution = record(GUARD, 124), instants.later(STOPPED, 0.3)
    on_fargate = ended(ESSENTIAL, container(exit_code=124)) | {
        "executionStoppedAt": execution,
        "stoppedAt": instants.later(STOPPED, 25),
    }

    assert judged(on_fargate, left=left).stopped_at == STOPPED


@pytest.mark.parametrize(
    ("change", "exit_code", "recorded"),
    [
        ({}, 143, 124),
        ({}, 137, 137),
        ({}, None, None),
        ({"executionStoppedAt": instants.later(STOPPED, 10.1)}, 124, 124),
        ({"executionStoppedAt": None}, 124, 124),
        ({"stoppedAt": instants.later(STOPPED, -0.1)}, 124, 124),
    ],
    ids=[
        "the container left with another code",
        "it was killed, by whomever",
        "it left with none",
        "it ended long after the record",
        "nobody knows when the first container ended",
        "the task stopped before the record",
    ],
)
def test_where_anything_speaks_against_the_record_ecs_says_when_the_task_stopped(
    change: dict[str, Any], exit_code: int | None, recorded: int | None
) -> None:
    times = {"executionStoppedAt": STOPPED, "stoppedAt": instants.later(STOPPED, 25), **change}
    left = dataclasses.replace(record(GUARD, 124), exit_code=recorded)

    truth = judged(ended(ESSENTIAL, container(exit_code=exit_code)) | times, left=left)

    assert truth.stopped_at == times["stoppedAt"]


def test_the_record_of_a_program_without_our_guard_tells_no_end() -> None:
    times = {"executionStoppedAt": STOPPED, "stoppedAt": instants.later(STOPPED, 25)}

    truth = judged(ended(ESSENTIAL, container(exit_code=124)) | times, guarded=False, left=record(GUARD, 124))

    assert truth.stopped_at == times["stoppedAt"]


def test_the_reasons_of_task_and_containers_are_kept() -> None:
    described = ended(ESSENTIAL, container(exit_code=137, reason="OutOfMemoryError: killed"), reason="Essential exited")

    assert judged(described).detail == "Essential exited; burst: OutOfMemoryError: killed"


def test_a_task_that_is_stopping_says_why() -> None:
    described = {"lastStatus": "STOPPING", "desiredStatus": "STOPPED", "stoppedReason": "burst: sweeper"}

    assert judged(described).detail == "stopping, not stopped yet (STOPPING: burst: sweeper)"


@pytest.mark.parametrize("layer", list(tasks.Layer))
def test_a_reason_we_gave_is_known_again(layer: tasks.Layer) -> None:
    assert ecs_truths.read_layer(ecs_truths.stop_reason(layer)) is layer


def test_a_task_ecs_forgot_is_unknown_until_its_guard_says_otherwise() -> None:
    begun = task_records.GuardRecord(shard_index=3, guard_pid=1, guard_started=1.0, started_at=STARTED)

    without = ecs_truths.judge_undescribed_task(TASK, task_records.Lacking.ABSENT, answer="MISSING")
    only_begun = ecs_truths.judge_undescribed_task(TASK, begun, answer="MISSING")
    told = ecs_truths.judge_undescribed_task(TASK, record(GUARD, 124, "the budget was used up"), answer="MISSING")

    assert (without.status, only_begun.status) == (tasks.TaskStatus.UNKNOWN, tasks.TaskStatus.UNKNOWN)
    assert only_begun.started_at == STARTED
    assert (told.status, told.stop_code, told.exit_code) == (tasks.TaskStatus.STOPPED, tasks.StopCode.GONE, 124)
    assert (told.stopped_by, told.stopped_at) == (GUARD, STOPPED)
    assert told.detail == "MISSING; known from its guard's record: the budget was used up"


@pytest.mark.parametrize(
    ("lacking", "said"),
    [
        (task_records.Lacking.ABSENT, "its guard left no record"),
        (task_records.Lacking.OUT_OF_REACH, "its guard's record could not be read"),
        (task_records.Lacking.MALFORMED, "its guard's record makes no sense"),
    ],
)
def test_why_a_guards_record_does_not_tell_is_said(lacking: task_records.Lacking, said: str) -> None:
    forgotten = ecs_truths.judge_undescribed_task(TASK, lacking, answer="MISSING")
    ended_by_guard = judged(ended(ESSENTIAL, container(exit_code=124)), left=lacking)

    assert (forgotten.status, forgotten.detail) == (tasks.TaskStatus.UNKNOWN, f"MISSING; {said}")
    assert (ended_by_guard.stopped_by, ended_by_guard.detail) == (GUARD, f"known from exit 124; {said}")


def test_a_guard_that_recorded_its_start_alone_is_not_said_to_have_left_nothing() -> None:
    begun = task_records.GuardRecord(shard_index=3, guard_pid=1, guard_started=1.0, started_at=STARTED)

    assert judged(ended(ESSENTIAL, container(exit_code=124)), left=begun).detail == (
        "known from exit 124; its guard has recorded no end"
    )


def test_naive_times_never_enter() -> None:
    naive = datetime(2026, 2, 21, 2, 0)  # noqa: DTZ001 (it is to be refused)

    with pytest.raises(ValueError, match="time zone"):
        judged(ended(ESSENTIAL, container(exit_code=0)) | {"stoppedAt": naive})


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"reason": "Capacity is unavailable at this time. Please try again later"}, tasks.Shortage.CAPACITY),
        ({"reason": "RESOURCE:CPU"}, tasks.Shortage.CAPACITY),
        ({"reason": "You've reached the limit on the number of vCPUs you can run concurrently"}, tasks.Shortage.QUOTA),
        ({"reason": "AGENT"}, tasks.Shortage.PASSING),
        ({"reason": "ATTRIBUTE", "detail": "no such attribute"}, tasks.Shortage.OTHER),
        ({}, tasks.Shortage.OTHER),
    ],
    ids=lambda value: value.value if isinstance(value, tasks.Shortage) else str(value.get("reason", "none"))[:20],
)
def test_a_failure_to_launch_says_what_may_be_tried_next(entry: dict[str, str], expected: tasks.Shortage) -> None:
    failure = ecs_truths.read_failure(entry)

    assert failure.shortage is expected
    assert failure.reason


# How it ended, and when its load did

TAKEN_DOWN = {"executionStoppedAt": instants.later(STOPPED, 0.3), "stoppedAt": instants.later(STOPPED, 25)}


def caused(cause: tasks.EndCause, stopped_by: tasks.Layer | None, exit_code: int, **changes: Any) -> Any:
    return dataclasses.replace(record(stopped_by, exit_code), cause=cause, **changes)


SIGNAL = caused(tasks.EndCause.SIGNAL, CONTROLLER, 143)


@pytest.mark.parametrize(
    ("described", "left", "cause", "stopped_by"),
    [
        pytest.param(
            ended("UserInitiated", container(exit_code=124), reason="burst: controller"),
            caused(tasks.EndCause.LEASE_STOP, LEASE, 124), tasks.EndCause.LEASE_STOP, LEASE,
            id="StopTask was answered and did nothing",
        ),
        pytest.param(
            ended("UserInitiated", container(exit_code=124), reason="burst: controller"),
            caused(tasks.EndCause.LEASE_STALE, LEASE, 124), tasks.EndCause.LEASE_STALE, LEASE,
            id="its lease was stale before StopTask came",
        ),
        pytest.param(
            ended("UserInitiated", container(exit_code=143), reason="burst: controller"),
            SIGNAL, tasks.EndCause.STOP_TASK, CONTROLLER, id="StopTask was obeyed",
        ),
        pytest.param(
            ended("UserInitiated", container(exit_code=143), reason="console: operator"),
            SIGNAL, tasks.EndCause.STOP_TASK, None, id="a stranger stopped it",
        ),
        pytest.param(
            ended(ESSENTIAL, container(exit_code=143)), SIGNAL, tasks.EndCause.SIGNAL, None, id="TERM from outside"
        ),
        pytest.param(
            ended("InfrastructureHealth", container(exit_code=143)), SIGNAL, tasks.EndCause.PLATFORM, None,
            id="taken for its host's health",
        ),
        pytest.param(
            ended("CometStrike", container(exit_code=143)), SIGNAL, tasks.EndCause.PLATFORM, None,
            id="a code of the future",
        ),
        pytest.param(
            ended("InfrastructureHealth", container(exit_code=143), reason="burst: controller"), None,
            tasks.EndCause.PLATFORM, None, id="a forged reason beside a code of AWS",
        ),
    ],
)  # fmt: skip
def test_the_cause_of_an_end_is_what_the_guard_recorded_and_a_signal_is_nobodys_until_somebody_asked(
    described: dict[str, Any],
    left: task_records.GuardRecord | None,
    cause: tasks.EndCause,
    stopped_by: tasks.Layer | None,
) -> None:
    truth = judged(described, left=left)

    assert truth.end is not None
    assert (truth.end.cause, truth.stopped_by) == (cause, stopped_by)
    assert truth.end.record == (None if left is None else left.facts)


def load_end(described: dict[str, Any], **facts: Any) -> tuple[float, tasks.EndSource | None]:
    """The earliest end of the load, in seconds after the guard's end, and the evidence for it."""
    end = judged(described, **facts).end
    assert end is not None
    assert end.load_ended_at is not None
    return round(instants.seconds_between(STOPPED, end.load_ended_at), 3), end.source


def test_the_load_ended_when_its_guard_recorded_it() -> None:
    described = ended(ESSENTIAL, container(exit_code=124)) | TAKEN_DOWN

    assert load_end(described, left=record(GUARD, 124)) == (0.0, tasks.EndSource.RECORD)
    assert load_end(described, left=record(GUARD, 137)) == (0.0, tasks.EndSource.RECORD)


def test_without_a_record_the_load_of_a_guarded_task_may_have_ended_while_its_guard_tried_to_write_one() -> None:
    described = ended(ESSENTIAL, container(exit_code=124)) | TAKEN_DOWN | {"startedAt": instants.later(STOPPED, -60)}

    assert load_end(described) == (-9.7, tasks.EndSource.CONTAINER)
    assert load_end(described | {"executionStoppedAt": None}) == (15.0, tasks.EndSource.TASK)
    assert load_end(described | {"startedAt": instants.later(STOPPED, -3)}) == (-3.0, tasks.EndSource.CONTAINER)
    assert load_end(described, guarded=False) == (0.3, tasks.EndSource.CONTAINER)


def test_a_task_that_left_with_the_code_of_a_signal_ran_until_ecs_began_to_stop_it() -> None:
    times = {"startedAt": instants.later(STOPPED, -60), "stoppingAt": instants.later(STOPPED, -1)}

    for code, seconds in ((143, -1.0), (137, -1.0), (124, -9.7), (0, -9.7)):
        described = ended("UserInitiated", container(exit_code=code), reason="burst: controller")
        assert load_end(described | TAKEN_DOWN | times) == (seconds, tasks.EndSource.CONTAINER)


EXIT_CODES = st.sampled_from([None, 0, 1, 3, 64, 124, 137, 143])
MOMENTS = st.none() | st.integers(-5, 90).map(lambda seconds: instants.later(STARTED, seconds))
RECORDS = st.builds(
    task_records.GuardRecord,
    shard_index=st.just(3), guard_pid=st.just(1), guard_started=st.just(1.0), started_at=st.just(STARTED),
    stopped_at=MOMENTS, exit_code=EXIT_CODES, stopped_by=st.sampled_from([None, GUARD, LEASE, CONTROLLER]),
    cause=st.sampled_from([None, *list(tasks.EndCause)[:7]]), asked_at=MOMENTS,
)  # fmt: skip


@st.composite
def ends_by_ecs(draw: st.DrawFn) -> dict[str, Any]:
    """A stopped task as ECS may describe it: with any stop code, any exit codes, and any of its instants."""
    described = {
        "lastStatus": "STOPPED",
        "stopCode": draw(st.sampled_from([*tasks.StopCode, None, "SomethingNew"])),
        "stoppedReason": draw(st.sampled_from(["", "burst: controller", "burst: schedule", "by hand"])),
        "containers": [container(exit_code=draw(EXIT_CODES)), container("lifespan", draw(EXIT_CODES))],
        **{name: draw(MOMENTS) for name in ("startedAt", "stoppingAt", "executionStoppedAt", "stoppedAt")},
    }
    return {name: value for name, value in described.items() if value is not None}


@hypothesis.given(described=ends_by_ecs(), left=st.sampled_from(task_records.Lacking) | RECORDS, guarded=st.booleans())
def test_no_task_is_judged_to_have_ended_otherwise_than_its_record_may_stand_beside(
    described: dict[str, Any], left: task_records.Record, guarded: bool
) -> None:
    truth = judged(described, guarded=guarded, left=left)
    assert truth.end is not None
    recorded = truth.end.record
    entries = [task_records_document.TaskRecordEntry.from_record(TASK, recorded)] if recorded else []
    records = task_records_document.TaskRecords(execution_id="m10", platform_run_id="platform", records=entries)
    result = task_results.TaskResult(
        execution_id="m10", platform_run_id="platform", started_utc=None, stopped_utc=None,
        tasks=[task_result_builder.task_entry(runs.Run(execution_id="m10"), truth)],
    )  # fmt: skip

    assert task_records_document.find_contradiction(records, result) == ""
