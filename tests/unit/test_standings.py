"""The state of a run of another machine, as its lease, its tasks and its published verdict tell it."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from burst.domain.documents import run_records
from burst.domain.tasks import leases, tasks
from burst.evidence import verification
from burst.wiring import standings
from tests import cases, fakes_evidence
from tests.evidence import evidencing

NOW = datetime(2026, 2, 21, 2, 0, tzinfo=UTC)
LEASE = leases.Lease(
    execution_id="m10_1", state=leases.LeaseState.WAIT, deadline=NOW, beat=3, heartbeat_at=NOW, go_at=None
)
ANNOUNCEMENT = run_records.Announcement(
    execution_id="m10_1", created_utc=NOW, deadline_utc=NOW, early_stop=True, barrier=True, plan_sha256="0" * 64
)
ENDED, RUNNING = (
    tasks.TaskTruth(task=tasks.Task(task_id=str(shard), shard_index=shard), status=status, started_at=NOW)
    for shard, status in enumerate((tasks.TaskStatus.STOPPED, tasks.TaskStatus.RUNNING))
)
STATUS = standings.RemoteStatus(
    plan=cases.plan(), announcement=ANNOUNCEMENT, lease=LEASE, lease_problem="", truths=(ENDED, RUNNING), verdict=None
)


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({}, "starting"),
        ({"lease": replace(LEASE, state=leases.LeaseState.GO, go_at=NOW)}, "bursting"),
        (
            {"lease": replace(LEASE, state=leases.LeaseState.STOP, go_at=NOW)},
            "stopping: STOP in the lease, 1 of 2 stopped",
        ),
        ({"lease": None}, "unknown: it has no lease"),
        ({"lease": None, "lease_problem": "its lease cannot be read: x"}, "unknown: its lease cannot be read: x"),
    ],
)
def test_a_run_that_has_published_nothing_is_where_its_lease_says(changes: cases.Value, state: str) -> None:
    status = replace(STATUS, **changes)

    assert (status.state, status.exit_code) == (state, None)


def test_a_published_verdict_says_how_the_run_ended_only_where_it_holds() -> None:
    documents = evidencing.published(evidencing.case(evidencing.run_id(1), passing=False))
    broken = documents | {cases.METRICS: b"{}"}

    sound, spoiled = (
        replace(STATUS, verdict=verification.verify(fakes_evidence.MemoryEvidenceStore(each)))
        for each in (documents, broken)
    )

    assert (sound.state, sound.exit_code) == ("finished (exit 3)", 3)
    assert (spoiled.state, spoiled.exit_code) == ("published evidence is corrupt", None)
