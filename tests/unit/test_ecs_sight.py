"""The sight of tasks on ECS: a task that is wished to stop is no stopped task, whichever filters ListTasks takes."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burst.adapters.aws import ecs_tasks
from burst.control import reaping
from burst.domain.basics import errors, instants
from burst.domain.tasks import ecs_truths, tasks
from burst.wiring.targets import ecs_target
from tests import fakes, fakes_ecs

RUN = "m10_a"
OWN = f"burst/{RUN}"
STOPPING = ("RUNNING", "DEACTIVATING", "STOPPING", "DEPROVISIONING")
WISHES = ("RUNNING", "STOPPED")
STATES = ("PROVISIONING", "PENDING", "ACTIVATING", *STOPPING, "STOPPED")


def see(cluster: fakes_ecs.EcsCluster) -> ecs_tasks.EcsTasks:
    return ecs_tasks.EcsTasks(fakes_ecs.CLUSTER, clock=fakes.TickingClock(), client=cluster)


def task(number: int, **fields: object) -> fakes_ecs.EcsTask:
    return fakes_ecs.EcsTask(number=number, **{"started_by": OWN, **fields})  # type: ignore[arg-type]


def find_living(cluster: fakes_ecs.EcsCluster) -> Sequence[reaping.LivingTask]:
    return ecs_target.list_living_tasks(see(cluster), RUN)


def stop_all(cluster: fakes_ecs.EcsCluster) -> bool:
    """Whether a stop of the run, by somebody of little patience, may say that every task is stopped."""
    living_tasks = [replace(living, patience_seconds=0.5) for living in find_living(cluster)]
    outcomes = reaping.reap(living_tasks, fakes.TickingClock(), lambda words: None)
    return all(outcome.gone for outcome in outcomes)


@pytest.mark.parametrize("last", STOPPING)
def test_a_task_that_is_asked_to_stop_is_listed_until_it_is_stopped(last: str) -> None:
    cluster = fakes_ecs.EcsCluster([task(1, desired="STOPPED", last=last)])

    (marked,) = see(cluster).find_marked()
    cluster.tasks[0].last = "STOPPED"

    assert (marked.execution_id, marked.task.task_id) == (RUN, cluster.tasks[0].arn)
    assert "not stopped yet" in marked.stopping
    assert list(see(cluster).find_marked()) == []


def test_a_task_that_goes_on_is_not_called_stopping() -> None:
    (marked,) = see(fakes_ecs.EcsCluster([task(1)])).find_marked()

    assert marked.stopping == ""


def test_an_hour_of_ended_tasks_is_described_once_and_a_hundred_at_a_time() -> None:
    ended = [task(number, started_by="other", desired="STOPPED", last="STOPPED") for number in range(2, 452)]
    cluster = fakes_ecs.EcsCluster([task(1), *ended])
    cluster_tasks = see(cluster)

    first = cluster_tasks.find_marked()
    calls = list(cluster.calls)
    again = cluster_tasks.find_marked()

    assert [marked.task.task_id for marked in first] == [marked.task.task_id for marked in again] == [task(1).arn]
    assert (calls.count("ListTasks"), calls.count("DescribeTasks")) == (1 + 5, 5)
    assert cluster.described.count(ended[0].arn) == 1
    assert cluster.described.count(task(1).arn) == 2


# One filter or two


@pytest.mark.parametrize("manner", fakes_ecs.MANNERS)
@pytest.mark.parametrize(
    "states",
    [
        (("RUNNING", "RUNNING"), ("STOPPED", "STOPPING"), ("STOPPED", "STOPPED")),
        (("STOPPED", "STOPPING"), ("STOPPED", "RUNNING")),
        (("STOPPED", "STOPPED"),),
        (),
    ],
    ids=["some run", "all are stopping", "all are stopped", "none"],
)
def test_every_task_of_a_run_is_found_and_no_other_whichever_filters_ecs_takes(
    manner: str, states: tuple[tuple[str, str], ...]
) -> None:
    own = [task(number, desired=desired, last=last) for number, (desired, last) in enumerate(states)]
    others = [
        task(100, started_by="other"),
        task(101, started_by=f"{OWN}/count-001", desired="STOPPED", last="RUNNING"),
    ]
    cluster = fakes_ecs.EcsCluster([*own, *others], manner=manner)

    listed = see(cluster).find(RUN)

    assert [found.task_id for found in listed] == [each.arn for each in own]


def test_the_refusal_of_two_filters_is_met_once_in_the_life_of_an_adapter() -> None:
    cluster = fakes_ecs.EcsCluster([task(1), task(2, started_by="other")], manner=fakes_ecs.ONE_FILTER)
    cluster_tasks = see(cluster)

    cluster_tasks.find(RUN)
    first = cluster.calls.count("ListTasks")
    cluster_tasks.find(RUN)

    assert first == 1 + 2
    assert cluster.calls.count("ListTasks") == first + 2
    assert cluster.described.count(task(2, started_by="other").arn) == 1


def test_an_ecs_that_refuses_every_list_is_not_taken_for_an_empty_one() -> None:
    class Refusing(fakes_ecs.EcsCluster):
        def list_tasks(self, **_: object) -> dict[str, object]:
            return fakes_ecs.EcsCluster(manner=fakes_ecs.ONE_FILTER).list_tasks(
                cluster="x", maxResults=100, startedBy="burst/x"
            )

    with pytest.raises(errors.Unavailable, match="ecs:ListTasks"):
        see(Refusing()).find(RUN)


def test_a_task_that_ecs_lists_and_does_not_describe_is_found() -> None:
    cluster = fakes_ecs.EcsCluster([task(1, described=False)])

    listed = see(cluster).find(RUN)
    (truth,) = see(cluster).inspect(listed)

    assert [found.task_id for found in listed] == [task(1).arn]
    assert truth.status is tasks.TaskStatus.UNKNOWN


# A stop is said only once it was seen


def test_a_second_asker_waits_for_the_stop_that_a_first_one_asked_for() -> None:
    cluster = fakes_ecs.EcsCluster([task(1, desired="STOPPED", last="STOPPING", stops=False)])

    class Ending(fakes.TickingClock):
        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            if instants.seconds_between(fakes.START, self.moment) > 33:
                cluster.tasks[0].last = "STOPPED"

    clock = Ending()
    (outcome,) = reaping.reap(find_living(cluster), clock, lambda words: None)

    assert outcome.gone
    assert 33 < instants.seconds_between(fakes.START, clock.now()) < 35
    assert "StopTask" not in cluster.calls


def test_a_task_that_never_stops_is_left_over_in_words() -> None:
    cluster = fakes_ecs.EcsCluster([task(1, desired="STOPPED", last="RUNNING", stops=False)])

    (living,) = find_living(cluster)

    (outcome,) = reaping.reap([replace(living, patience_seconds=2.0)], fakes.TickingClock(), lambda words: None)

    assert not outcome.gone
    assert "not stopped yet" in outcome.living.words()


def test_a_task_that_ecs_no_longer_describes_is_not_called_gone() -> None:
    cluster = fakes_ecs.EcsCluster([task(1, stops=False)])
    (living,) = find_living(cluster)
    cluster.tasks[0].described = False
    cluster.tasks[0].started_by = "forgotten"

    (outcome,) = reaping.reap([replace(living, patience_seconds=2.0)], fakes.TickingClock(), lambda words: None)

    assert not outcome.gone


def test_a_task_in_time_that_somebody_else_is_stopping_is_not_overdue() -> None:
    later = instants.text(instants.later(fakes.START, 60))
    cluster = fakes_ecs.EcsCluster([task(1, desired="STOPPED", last="STOPPING", deadline=later)])

    (living,) = find_living(cluster)

    assert not living.overdue(fakes.START)
    assert "not stopped yet" in living.words()


@given(
    states=st.lists(
        st.tuples(st.sampled_from(("RUNNING", "STOPPED")), st.sampled_from(STATES), st.booleans()), max_size=6
    ),
    manner=st.sampled_from(fakes_ecs.MANNERS),
)
def test_whatever_wishes_and_states_its_tasks_have_a_run_is_called_stopped_only_when_none_is_alive(
    states: list[tuple[str, str, bool]], manner: str
) -> None:
    cluster = fakes_ecs.EcsCluster(
        [
            # A task that is stopped wishes nothing else.
            task(number, desired="STOPPED" if last == "STOPPED" else desired, last=last, stops=stops)
            for number, (desired, last, stops) in enumerate(states)
        ],
        manner=manner,
    )

    assert stop_all(cluster) == (not cluster.alive)


def test_words_of_a_stopping_task_name_since_when_its_state_and_why() -> None:
    described = {
        "lastStatus": "DEACTIVATING",
        "desiredStatus": "STOPPED",
        "stoppedReason": "burst: sweeper",
        "stoppingAt": fakes.START,
    }

    words = ecs_truths.describe_stopping(described)

    assert words == "stopping since 2026-02-21T02:00:00Z, not stopped yet (DEACTIVATING: burst: sweeper)"
    assert ecs_truths.describe_stopping(described | {"lastStatus": "STOPPED"}) == ""
    assert ecs_truths.describe_stopping(described | {"desiredStatus": "RUNNING"}) == ""
