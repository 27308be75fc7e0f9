"""Reaping: what is overdue is asked, killed, and called gone only when it was seen gone."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from burst.control import reaping
from burst.domain.basics import errors, instants, windows
from burst.domain.tasks import tasks
from tests import fakes

RUN = "run-1"
PATIENCE_SECONDS = 5.0


@dataclass(slots=True)
class Cluster(fakes.FakeLauncher):
    """A launcher that counts looks, does not list tasks `unlisted`, and takes no stop of `untouchable` ones."""

    unlisted: frozenset[int] = frozenset()
    untouchable: frozenset[int] = frozenset()
    looks: list[str] = field(default_factory=list)

    def find(self, execution_id: str) -> Sequence[tasks.Task]:
        self.looks.append(execution_id)
        found = super(Cluster, self).find(execution_id)
        return [task for task in found if task.shard_index not in self.unlisted]

    def stop(self, task: tasks.Task, *, by: tasks.Layer, force: bool = False) -> bool:
        if task.shard_index in self.untouchable:
            raise errors.Unavailable(f"{task.task_id} cannot be stopped")
        return super(Cluster, self).stop(task, by=by, force=force)


def overdue(cluster: Cluster, *, shards: int, execution_id: str = RUN) -> list[reaping.LivingTask]:
    """Tasks of a run that run, and whose deadline has passed."""
    request = tasks.LaunchRequest(
        execution_id=execution_id, token="a", shards=tuple(range(shards)), shard_count=shards, command=("load",),
        environment=(), budget_seconds=1e6, grace_seconds=1.0, child_waits=False, lease_ttl_seconds=30.0,
    )  # fmt: skip
    return [
        reaping.LivingTask(
            execution_id=execution_id, task=task, deadline=fakes.START, launcher=cluster,
            patience_seconds=PATIENCE_SECONDS,
        )
        for task in cluster.launch(request)
    ]  # fmt: skip


def reap(cluster: Cluster, found: Sequence[reaping.LivingTask], said: list[str] | None = None) -> dict[int, str]:
    """What became of each task, by shard."""
    heard: list[str] = [] if said is None else said
    outcomes = reaping.reap(found, cluster.clock, heard.append)
    return {outcome.living.task.shard_index: outcome.why for outcome in outcomes}


def test_what_ends_when_it_is_asked_is_gone_and_killed_by_nobody() -> None:
    cluster = Cluster(fakes.TickingClock())

    became = reap(cluster, overdue(cluster, shards=2))

    assert became == {0: "gone", 1: "gone"}
    assert [force for _, _, force in cluster.stops] == [False, False]


def test_only_what_outlives_its_patience_is_killed_and_what_outlives_that_is_left() -> None:
    deaf, undying = fakes.Script(ignores_stop=True), fakes.Script(ignores_stop=True, ignores_force=True)
    cluster = Cluster(fakes.TickingClock(), scripts={1: deaf, 2: undying})

    became = reap(cluster, overdue(cluster, shards=3))

    assert became == {0: "gone", 1: "gone", 2: "alive"}
    assert [task.rpartition(":")[2] for task, _, force in cluster.stops if force] == ["1", "2"]
    assert instants.seconds_between(fakes.START, cluster.clock.now()) <= 2 * PATIENCE_SECONDS + 1


def test_one_that_takes_no_stop_is_said_and_keeps_no_other_from_its_own() -> None:
    cluster, said = Cluster(fakes.TickingClock(), untouchable=frozenset({0})), list[str]()

    became = reap(cluster, overdue(cluster, shards=2), said)

    assert became == {0: "alive", 1: "gone"}
    assert len(said) == 2
    assert all("cannot be stopped" in words for words in said)


def test_what_cannot_be_seen_is_not_gone() -> None:
    cluster = Cluster(fakes.TickingClock())
    found = overdue(cluster, shards=1)
    cluster.blind = [windows.Window(fakes.START, instants.later(fakes.START, 1e6))]

    became = reap(cluster, found)

    assert became == {0: "the control plane does not answer"}


def test_a_task_that_is_not_listed_under_its_run_is_gone_only_when_it_is_seen_to_end() -> None:
    undying = fakes.Script(ignores_stop=True, ignores_force=True)
    cluster = Cluster(fakes.TickingClock(), scripts={0: undying}, unlisted=frozenset({0, 1}))

    became = reap(cluster, overdue(cluster, shards=2))

    assert became == {0: "alive", 1: "gone"}


def test_fifty_tasks_of_a_run_are_looked_at_together() -> None:
    cluster = Cluster(fakes.TickingClock())
    found = [*overdue(cluster, shards=50), *overdue(cluster, shards=1, execution_id="run-2")]

    became = reap(cluster, found)

    assert set(became.values()) == {"gone"}
    assert sorted(cluster.looks) == [RUN, "run-2"]
