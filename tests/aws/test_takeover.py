"""Taking a run over from S3: never from a living controller, however wrong this machine's clock is."""

import dataclasses
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from burst.adapters.aws import s3_leases
from burst.adapters.local import folder_store, journal_file
from burst.cli import main
from burst.control import ownership, run_documents
from burst.domain.basics import canonical, errors, instants
from burst.domain.documents import document_names, run_records
from burst.domain.plan import plans
from burst.domain.run import journals
from burst.domain.tasks import leases
from burst.wiring import announcements, takeover
from burst.wiring.targets import ecs_places
from tests import fixtures_aws
from tests.fixtures_aws import Cloud


@dataclass(slots=True, kw_only=True)
class Clock:
    """`ports.Clock`, off by some seconds. While this machine sleeps, the controller on the other machine beats, if it
    lives."""

    off_seconds: float
    lease: s3_leases.S3LeaseStore
    living: bool
    slept_seconds: float = 0.0

    def now(self) -> datetime:
        return instants.later(datetime.now(UTC), self.off_seconds)

    def monotonic(self) -> float:
        return self.slept_seconds

    def sleep(self, seconds: float) -> None:
        present_lease = self.lease.read()
        assert present_lease is not None
        self.off_seconds += seconds
        self.slept_seconds += seconds
        if self.living:
            self.lease.write(present_lease)


def take_over(plan: plans.Plan, runs: Path, clock: Clock) -> Path:
    """The folder of a run that a machine with this clock takes over."""
    with ownership.Ownership(clock, clock.monotonic) as own:
        return takeover.take_over(str(plan.execution_id), str(plan.evidence.authority), runs, clock, own)


def announce_run(cloud: Cloud, folder: Path) -> plans.Plan:
    """A run that another machine announced, with its lease."""
    text = (
        "schema: burst.plan/v1\nphase: M10.F\nscope: platform_a\nenvironment: dev\n"
        f"execution_id: m10_{cloud.name}\n"
        f"target: {{kind: ecs, tasks: 1, cluster: {fixtures_aws.CLUSTER}, task_definition: 'burst:1', "
        "subnets: [subnet-a], security_groups: [sg-a]}\n"
        "load: {command: [send], host: 'http://ingest.internal'}\nlayers: {lease_ttl: 6s}\nreceipts: {dsn: 'env:DSN'}\n"
        "budget: {max: 60s, operator_cap: 60s, min_window: 20s}\ngates: {admit_ratio: 0.9}\n"
        f"evidence: {{local: here, run_control: '{cloud.place}/rc', run_scoped: '{cloud.place}/runs'}}\n"
    )
    plan, now = plans.parse(text, source="a test"), datetime.now(UTC)
    store = folder_store.FolderStore.create(folder, str(plan.execution_id))
    for name, content in run_documents.input_documents(plan, None, None):
        store.put_once(name, content)
    announcements.announce(
        plan,
        store,
        run_records.Announcement(
            execution_id=str(plan.execution_id), created_utc=now, deadline_utc=instants.later(now, 60),
            early_stop=True, barrier=True, plan_sha256=canonical.digest(store.read(document_names.PLAN)),
        ),
    )  # fmt: skip
    ecs_places.lease_store(plan).create(
        leases.Lease(
            execution_id=str(plan.execution_id), state=leases.LeaseState.WAIT, deadline=instants.later(now, 60), beat=0,
            heartbeat_at=now,
        )
    )  # fmt: skip
    return plan


@pytest.mark.parametrize("off_seconds", [-600.0, 0.0, 600.0], ids=["behind", "right", "ahead"])
def test_a_takeover_depends_on_whether_the_heartbeat_moves_and_not_on_its_age(
    cloud: Cloud, tmp_path: Path, off_seconds: float
) -> None:
    plan = announce_run(cloud, tmp_path / "here")
    lease, place = ecs_places.lease_store(plan), f"{cloud.place}/rc"
    second_folder = tmp_path / "there"

    with pytest.raises(errors.ControllerAtWork, match=f"burst stop {plan.execution_id} --run-control {place}"):
        take_over(plan, second_folder, Clock(off_seconds=off_seconds, lease=lease, living=True))
    folder = take_over(plan, second_folder, Clock(off_seconds=off_seconds, lease=lease, living=False))

    assert folder == second_folder / str(plan.execution_id)
    assert (folder / document_names.JOURNAL).exists()


def stop(plan: plans.Plan) -> int:
    """The exit code of `burst stop` on a machine that has no folder of the run."""
    return main.main(["stop", str(plan.execution_id), "--run-control", str(plan.evidence.authority)])


def test_a_run_of_another_machine_is_not_called_stopped_while_its_launch_may_be_under_way(
    cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    plan = announce_run(cloud, tmp_path / "here")

    assert stop(plan) == 6

    assert "0 of 1 tasks were seen, and all of them stopped; ECS may list others until" in capsys.readouterr().err
    present = ecs_places.lease_store(plan).read()
    assert present is not None
    assert present.state is leases.LeaseState.STOP


def test_a_run_of_another_machine_is_stopped_whatever_stands_in_the_place_of_its_lease(
    cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    plan = announce_run(cloud, tmp_path / "here")
    store = ecs_places.lease_store(plan)
    bucket, _, key = store.uri.removeprefix("s3://").partition("/")
    content = cloud.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    cloud.s3.put_object(Bucket=bucket, Key=key, Body=content.replace(b'"state": "', b'"state": "~'))

    assert stop(plan) == 6

    shown = capsys.readouterr().err
    assert "ECS may list others until" in shown, "a launch may be under way"
    present = store.read()
    assert present is not None
    assert present.state is leases.LeaseState.STOP


def test_a_controller_with_the_slowest_heartbeat_that_tasks_accept_is_alive(cloud: Cloud, tmp_path: Path) -> None:
    plan = announce_run(cloud, tmp_path / "here")
    lease, began = ecs_places.lease_store(plan), datetime.now(UTC)

    class Slow(Clock):
        """While this machine sleeps, the other controller is in a write that takes nearly as long as its lease.
        No other call takes time."""

        def now(self) -> datetime:
            return instants.later(began, self.off_seconds)

        def sleep(self, seconds: float) -> None:
            self.living = self.off_seconds > plan.layers.lease_ttl - 2.0
            super().sleep(seconds)

    with pytest.raises(errors.ControllerAtWork, match="is driven by"):
        take_over(plan, tmp_path / "there", Slow(off_seconds=0.0, lease=lease, living=False))


def test_an_unanswered_read_of_the_lease_does_not_prevent_a_takeover(cloud: Cloud, tmp_path: Path) -> None:
    plan = announce_run(cloud, tmp_path / "here")
    lease = ecs_places.lease_store(plan)

    class Cut(Clock):
        """While this machine sleeps for the second time, S3 goes away; then it is back."""

        def sleep(self, seconds: float) -> None:
            cloud.world.faults.disarm("s3-down")
            super().sleep(seconds)
            if 0.5 < self.off_seconds < 1.5:
                cloud.world.faults.arm("s3-down")

    folder = take_over(plan, tmp_path / "there", Cut(off_seconds=0.0, lease=lease, living=False))

    assert (folder / document_names.JOURNAL).exists()


def test_a_run_whose_controller_has_not_made_its_lease_yet_is_alive(cloud: Cloud, tmp_path: Path) -> None:
    plan = announce_run(cloud, tmp_path / "here")
    lease = ecs_places.lease_store(plan)
    present_lease = lease.read()
    assert present_lease is not None
    first = present_lease
    cloud.s3.delete_object(Bucket=fixtures_aws.BUCKET, Key=lease.uri.removeprefix(f"s3://{fixtures_aws.BUCKET}/"))

    class Arming(Clock):
        """While this machine sleeps, the other controller creates the lease."""

        def sleep(self, seconds: float) -> None:
            lease.create(first)

    with pytest.raises(errors.ControllerAtWork, match="is driven by"):
        take_over(plan, tmp_path / "there", Arming(off_seconds=0.0, lease=lease, living=True))


def test_of_two_machines_that_see_no_heartbeat_one_takes_the_run_over(cloud: Cloud, tmp_path: Path) -> None:
    plan = announce_run(cloud, tmp_path / "here")
    lease, first = ecs_places.lease_store(plan), list[Path]()

    class Slower(Clock):
        """The clock of a machine that waits while another one takes the run over from beginning to end."""

        def sleep(self, seconds: float) -> None:
            if not first:
                clock = Clock(off_seconds=0.0, lease=lease, living=False)
                first.append(take_over(plan, tmp_path / "first", clock))
            super().sleep(seconds)

    with pytest.raises(errors.ControllerAtWork, match=r"is driven by controller [0-9a-f]{8} on "):
        take_over(plan, tmp_path / "second", Slower(off_seconds=0.0, lease=lease, living=False))

    assert (first[0] / document_names.JOURNAL).exists()
    assert not (tmp_path / "second").exists()
    run = journals.fold(journal_file.read(first[0] / document_names.JOURNAL))
    assert run.layers == {"lease": "armed"}


def show_status(plan: plans.Plan, *words: str) -> int:
    """The exit code of `burst status` on a machine that has no folder of the run."""
    return main.main(["status", str(plan.execution_id), "--run-control", str(plan.evidence.authority), *words])


def test_status_of_a_run_of_another_machine_tells_what_lease_and_tasks_tell_and_changes_nothing(
    cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    plan = announce_run(cloud, tmp_path / "here")
    store = ecs_places.lease_store(plan)

    def tell() -> dict[str, Any]:
        assert show_status(plan, "--json") == 0
        value: dict[str, Any] = json.loads(capsys.readouterr().out)
        return value

    starting, before = tell(), store.read()
    assert before is not None
    now = datetime.now(UTC)
    store.write(dataclasses.replace(before, state=leases.LeaseState.GO, go_at=now))
    bursting, between = tell(), store.read()
    store.write(dataclasses.replace(before, state=leases.LeaseState.STOP, reason="the pager rang"))
    stopping = tell()
    assert show_status(plan) == 0
    text = capsys.readouterr().out

    assert [each["state"] for each in (starting, bursting, stopping)] == [
        "starting",
        "bursting",
        "stopping: the pager rang, 0 of 0 stopped",
    ]
    assert (bursting["go_utc"], bursting["tasks"], bursting["exit_code"]) == (instants.text(now), [], None)
    assert between is not None
    assert between.beat == before.beat + 1  # a look is no beat
    assert f"burst resume {plan.execution_id} --run-control {plan.evidence.authority}" in text
    assert "s ago by this machine's clock" in text
    assert not (tmp_path / "runs").exists()


def test_status_of_a_run_that_nobody_announced_is_exit_7(
    cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    assert main.main(["status", "m10_nowhere", "--run-control", f"{cloud.place}/rc"]) == 7

    assert "no run m10_nowhere was announced under" in capsys.readouterr().err


def test_status_of_a_run_of_another_machine_whose_tasks_cannot_be_seen_is_exit_6(
    cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    plan = announce_run(cloud, tmp_path / "here")
    monkeypatch.setenv("AWS_ENDPOINT_URL_ECS", "http://127.0.0.1:9")

    assert show_status(plan) == 6

    again = f"Try again: burst status {plan.execution_id} --run-control {plan.evidence.authority}"
    assert again in capsys.readouterr().err
