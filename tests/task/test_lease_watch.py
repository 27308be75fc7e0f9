"""The lease as a task judges it: pure, so every transition is a table of times."""

from dataclasses import replace
from datetime import datetime

from burst.domain.basics import instants
from burst.domain.tasks import leases
from burst.task import lease_watch
from tests import fakes

TTL_SECONDS = 10.0
HOLD = leases.Lease(
    execution_id="run-1",
    state=leases.LeaseState.WAIT,
    deadline=instants.later(fakes.START, 600),
    beat=1,
    heartbeat_at=fakes.START,
)
GO = replace(HOLD, state=leases.LeaseState.GO, go_at=fakes.START)
STOP = replace(HOLD, state=leases.LeaseState.STOP, reason="operator stop")


def watch() -> lease_watch.LeaseWatch:
    return lease_watch.LeaseWatch(ttl_seconds=TTL_SECONDS, readable_since=0.0)


def judge(
    watching: lease_watch.LeaseWatch, lease: leases.Lease | None, at: float, wall: datetime = fakes.START
) -> lease_watch.LeaseOrder:
    reading = lease_watch.LeaseReading() if lease is None else lease_watch.LeaseReading(lease=lease)
    return watching.judge(reading, monotonic=at, wall=wall)


def test_hold_waits_and_go_goes() -> None:
    watching = watch()

    answers = [judge(watching, HOLD, 0.0), judge(watching, replace(GO, beat=2), 1.0)]

    assert answers == [lease_watch.LeaseOrder(), lease_watch.LeaseOrder(go=True)]


def test_stop_ends_with_its_reason() -> None:
    assert judge(watch(), STOP, 0.0).end == "the lease says STOP: operator stop"
    assert judge(watch(), replace(STOP, reason=""), 0.0).end == "the lease says STOP"


def test_a_beat_that_does_not_change_for_longer_than_the_ttl_is_stale() -> None:
    watching = watch()
    judge(watching, GO, 0.0)

    at_the_ttl = judge(watching, GO, TTL_SECONDS)
    after_it = judge(watching, GO, TTL_SECONDS + 0.5)

    assert at_the_ttl.end is None
    assert after_it.end == "the lease's heartbeat was stale: no new beat for 10.5 s"


def test_a_heartbeat_is_a_change_of_beat_and_its_wall_time_does_not_matter() -> None:
    watching = watch()
    judge(watching, GO, 0.0)
    moved_clock_only = replace(GO, heartbeat_at=instants.later(fakes.START, 11))

    still_beating = [judge(watching, replace(GO, beat=n), 9.0 * n) for n in range(2, 6)]
    not_beating = judge(watching, replace(moved_clock_only, beat=5), 9.0 * 5 + 11)

    assert all(answer == lease_watch.LeaseOrder(go=True) for answer in still_beating)
    assert not_beating.end is not None


def test_an_old_wall_time_is_no_reason_once_beats_were_seen() -> None:
    watching = watch()
    judge(watching, HOLD, 0.0)

    answer = judge(watching, replace(GO, beat=2), 1.0, wall=instants.later(fakes.START, 3600))

    assert answer == lease_watch.LeaseOrder(go=True)


def test_a_go_already_old_when_first_read_never_starts_load() -> None:
    answer = judge(watch(), GO, 0.0, wall=instants.later(fakes.START, TTL_SECONDS + 1))

    assert answer.end == "the lease's GO was stale when first read: its heartbeat is 11.0 s old"


def test_a_waiting_lease_that_looks_old_when_first_read_is_waited_for_since_clocks_may_differ() -> None:
    watching, wall = watch(), instants.later(fakes.START, 3600)

    answers = [judge(watching, HOLD, 0.0, wall=wall), judge(watching, replace(GO, beat=2), 1.0, wall=wall)]

    assert answers == [lease_watch.LeaseOrder(), lease_watch.LeaseOrder(go=True)]


def test_a_late_task_joins_a_go_whose_heartbeat_is_fresh() -> None:
    long_ago = replace(GO, go_at=instants.later(fakes.START, -3600), beat=4000)

    assert judge(watch(), long_ago, 0.0) == lease_watch.LeaseOrder(go=True)


def test_a_lease_that_cannot_be_read_for_longer_than_the_ttl_ends_the_task() -> None:
    watching = watch()
    judge(watching, GO, 5.0)

    within = judge(watching, None, 15.0)
    after = judge(watching, None, 15.1)

    assert within.end is None
    assert after.end == "the lease was unreadable for 10.1 s: there is no control file"


def test_a_lease_never_read_is_given_the_same_time() -> None:
    watching = watch()

    assert judge(watching, None, 10.0).end is None
    assert judge(watching, None, 10.1).end is not None


def test_a_lease_read_again_with_the_same_beat_is_no_heartbeat() -> None:
    watching = watch()
    judge(watching, GO, 0.0)
    judge(watching, None, 5.0)

    answer = judge(watching, GO, 10.5)

    assert answer.end is not None
    assert "no new beat" in answer.end


def test_go_is_not_given_while_the_lease_cannot_be_read() -> None:
    watching = watch()
    judge(watching, HOLD, 0.0)

    assert judge(watching, None, 1.0) == lease_watch.LeaseOrder()


def test_the_deadline_of_the_last_lease_read_is_kept() -> None:
    watching = watch()
    judge(watching, HOLD, 0.0)
    judge(watching, None, 1.0)

    assert watching.deadline == HOLD.deadline
