"""A launch without an answer: no task that it started is taken for one that never was."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from burst import ports
from burst.domain.basics import errors, instants
from burst.domain.run import appearances, runs
from burst.domain.run.events import launch_events
from burst.domain.tasks import tasks
from burst.wiring import standings
from tests import fakes, fakes_journal, simulation

APPEARS_SECONDS = 60.0
SHARDS = (0, 1)


@dataclass(slots=True)
class SlowList(simulation.Launcher):
    """A control plane that neither lists nor describes a task until so many seconds after its launch."""

    missing_seconds: Mapping[int, float] = field(default_factory=dict)
    refusal: errors.BurstError | None = None

    def launch(self, request: tasks.LaunchRequest, goes_on: ports.GoesOn = ports.go_on) -> Sequence[tasks.Task]:
        if self.refusal is not None:
            raise self.refusal
        return super(SlowList, self).launch(request, goes_on)

    def find(self, execution_id: str) -> Sequence[tasks.Task]:
        self._require_sight()
        return [truth.task for truth in self.launched.values() if self._is_shown(truth.task)]

    def inspect(self, known: Sequence[tasks.Task]) -> Sequence[tasks.TaskTruth]:
        unknown = tasks.TaskStatus.UNKNOWN
        truths = super(SlowList, self).inspect(known)
        return [
            truth if self._is_shown(truth.task) else tasks.TaskTruth(task=truth.task, status=unknown)
            for truth in truths
        ]

    def _is_shown(self, task: tasks.Task) -> bool:
        truth = self.launched.get(task.task_id)
        if truth is None or truth.started_at is None:
            return False
        shown_at = instants.later(truth.started_at, self.missing_seconds.get(task.shard_index, 0.0))
        return self.clock.now() >= shown_at


@dataclass(slots=True)
class ClaimedLease(simulation.Lease):
    """A lease beside which tasks claim their shards some seconds after their start; without a figure they never do."""

    claimed_after: Mapping[int, float] = field(default_factory=dict)

    def claims(self) -> Mapping[str, int]:
        self._require_up()
        now = self.clock.now()
        launched = self.launcher.launched.values() if self.launcher else ()
        return {
            truth.task.task_id: truth.task.shard_index
            for truth in launched
            if truth.task.shard_index in self.claimed_after and truth.started_at is not None
            and instants.later(truth.started_at, self.claimed_after[truth.task.shard_index]) <= now
        }  # fmt: skip


def world(
    missing: Mapping[int, float],
    *,
    claimed: Mapping[int, float] | None = None,
    refusal: errors.BurstError | None = None,
) -> simulation.World:
    """A run whose launch starts both tasks and is not answered."""
    made = simulation.World()
    made.appears_seconds = APPEARS_SECONDS
    made.launcher = SlowList(made.clock, missing_seconds=missing, refusal=refusal, answers_lost=0 if refusal else 1)
    made.lease = ClaimedLease(
        clock=made.clock,
        launcher=made.launcher,
        claimed_after=claimed or {},
        ready_after=dict.fromkeys(SHARDS),
    )
    return made


def test_tasks_that_claim_their_shards_are_known_although_nobody_lists_them() -> None:
    hidden = world({0: 1e6, 1: 1e6}, claimed={0: 0.5, 1: 0.5})

    hidden.run()

    assert len(hidden.outcome.truths) == 2
    assert hidden.document["exit_code"] == 6
    assert {task for task, _, _ in hidden.launcher.stops} == set(hidden.launcher.launched)
    assert not hidden.disarmed


def test_tasks_that_appear_late_are_found_stopped_and_only_then_is_the_run_disarmed() -> None:
    late = world({0: 40.0, 1: 45.0})

    late.run()

    assert late.document["exit_code"] == 3
    assert len(late.outcome.truths) == 2
    assert late.running() == []
    assert late.disarmed
    assert 45 < late.elapsed_seconds < APPEARS_SECONDS


def test_a_launch_of_which_every_task_is_found_is_not_waited_for() -> None:
    prompt = world({})

    prompt.run()

    assert prompt.document["exit_code"] == 3
    assert prompt.elapsed_seconds < 10


def test_a_shard_that_is_ready_speaks_of_a_task_and_the_launch_is_not_accounted_for() -> None:
    ready = world({0: 1e6, 1: 1e6})
    ready.lease.ready_after = {0: 1.0, 1: None}

    ready.run()

    assert ready.document["exit_code"] == 6
    assert not ready.disarmed
    assert ready.elapsed_seconds >= APPEARS_SECONDS


def test_a_controller_that_dies_between_intent_and_launch_is_followed_by_one_that_waits_for_tasks() -> None:
    dead = simulation.World()
    dead.appears_seconds = APPEARS_SECONDS
    dead.begin()
    dead.journal.crash_after = simulation.World().run().journal.kinds.index(launch_events.LaunchIntended) + 1
    with pytest.raises(fakes_journal.Crashed):
        dead.drive()
    dead.journal.revive()

    dead.drive(resumed=True)

    assert dead.document["exit_code"] == 3
    assert dead.launcher.launched == {}
    assert APPEARS_SECONDS <= dead.elapsed_seconds < APPEARS_SECONDS + 10
    assert dead.disarmed


@pytest.mark.parametrize("refusal", [errors.Refused("denied"), errors.UsageError("no such subnet")])
def test_a_launch_that_was_refused_is_an_answer_and_nothing_is_waited_for(refusal: errors.BurstError) -> None:
    refused = world({}, refusal=refusal)

    refused.run()

    assert (refused.reason, refused.document["exit_code"]) == ("launch-failed", 3)
    assert refused.elapsed_seconds < 10
    assert refused.disarmed


def test_a_lease_out_of_reach_may_speak_of_tasks() -> None:
    cut = world({0: 1e6, 1: 1e6})
    cut.lease.outages = [cut.at(0.05, 1e6)]

    cut.run()

    assert cut.document["exit_code"] == 6
    assert not cut.disarmed


seconds = st.sampled_from([0.0, 3.0, 20.0, 50.0, 1e6])


@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    missing=st.fixed_dictionaries(dict.fromkeys(SHARDS, seconds)),
    claimed=st.dictionaries(st.sampled_from(SHARDS), seconds),
)
def test_no_run_is_settled_while_a_task_of_its_launch_runs(
    missing: Mapping[int, float], claimed: Mapping[int, float]
) -> None:
    """A task that shows within the time that its platform needs, or that claims a shard before its end."""
    shown = {shard: min(wait, 50.0) if shard not in claimed else wait for shard, wait in missing.items()}
    played = world(shown, claimed={shard: min(wait, 20.0) for shard, wait in claimed.items()})

    played.run()

    assert not (played.running() and played.disarmed)
    assert played.document["exit_code"] == 6 or not played.running()
    assert len(played.outcome.truths) == 2


# The rule


def unanswered(*shards: int) -> runs.Run:
    attempt = runs.LaunchAttempt(at=fakes.START, shards=shards)
    return runs.Run(attempts=(attempt,), unaccounted=True, asked_last_at=fakes.START)


TERMS = appearances.TaskSearchTerms(planned_tasks=2, appears_seconds=300.0)


def is_accounted(known: int, signs: appearances.Signs | None, *, after: float, run: runs.Run | None = None) -> bool:
    now = instants.later(fakes.START, after)
    return appearances.is_accounted(run or unanswered(0, 1), known=known, signs=signs, now=now, terms=TERMS)


def test_a_run_that_was_taken_over_is_accounted_for_by_go_or_by_all_of_its_claims() -> None:
    nothing, both = appearances.Signs(), appearances.Signs(claims={"arn:a": 0, "arn:b": 1})
    before_go = runs.Run(unaccounted=True, asked_last_at=fakes.START)
    after_go = replace(before_go, go_at=fakes.START)

    assert not is_accounted(2, nothing, after=1, run=before_go)
    assert is_accounted(2, both, after=1, run=before_go)
    assert is_accounted(2, both, after=1, run=after_go)
    assert not is_accounted(1, both, after=1e6, run=after_go)


def test_a_launch_is_accounted_for_by_all_of_its_tasks_or_by_time_and_never_against_a_sign() -> None:
    nothing, one = appearances.Signs(), appearances.Signs(claims={"arn:a": 1}, ready=frozenset({1}))

    assert is_accounted(2, nothing, after=1)
    assert not is_accounted(1, nothing, after=299)
    assert is_accounted(0, nothing, after=300)
    assert not is_accounted(0, one, after=1e6)
    assert is_accounted(1, one, after=300)
    assert not is_accounted(2, None, after=1e6)


def test_the_claim_of_a_task_without_a_name_becomes_a_task_of_its_own_only_for_its_record() -> None:
    signs = appearances.Signs(claims={"task-0a1b": 0, "arn:b": 1})

    assert [task.task_id for task in appearances.list_unknown(unanswered(0, 1), (), signs)] == ["arn:b"]
    assert [task.task_id for task in appearances.list_nameless(unanswered(0, 1), signs)] == ["task-0a1b"]


STATUSES = st.sampled_from(tasks.TaskStatus)


@given(statuses=st.lists(st.tuples(STATUSES, st.booleans()), max_size=5), late=st.booleans(), known=st.booleans())
def test_a_run_of_another_machine_is_stopped_only_when_no_task_lives_and_none_may_appear(
    statuses: list[tuple[tasks.TaskStatus, bool]], late: bool, known: bool
) -> None:
    truths = [
        tasks.TaskTruth(
            task=tasks.Task(task_id=f"t{number}", shard_index=number),
            status=status,
            started_at=fakes.START if started else None,
        )
        for number, (status, started) in enumerate(statuses)
    ]
    until = instants.later(fakes.START, 300)
    now = instants.later(until, 0 if late else -1)

    left = appearances.explain_left(truths, planned_tasks=2, may_appear_until=None if known else until, now=now)

    over = all(status is tasks.TaskStatus.STOPPED for status, _ in statuses)
    all_seen = late or known or sum(started for _, started in statuses) >= 2
    assert (left is None) == (over and all_seen)


@pytest.mark.parametrize(
    ("after_seconds", "finished", "may_appear"),
    [(10, True, True), (59, True, True), (61, True, False), (61, False, True)],
)
def test_tasks_may_appear_after_a_run_whose_end_was_not_waited_for(
    after_seconds: float, finished: bool, may_appear: bool
) -> None:
    run = runs.Run(unaccounted=True, asked_last_at=fakes.START, exit_code=6 if finished else None)

    now = instants.later(fakes.START, after_seconds)

    assert appearances.may_appear(run, appears_seconds=APPEARS_SECONDS, now=now) is may_appear
    assert not appearances.may_appear(replace(run, unaccounted=False), appears_seconds=APPEARS_SECONDS, now=now)


def test_a_run_is_not_called_stopped_while_tasks_of_it_may_appear() -> None:
    status = standings.RunStatus(
        run=runs.Run(), newer=None, plan=simulation.plan(), baseline=None, truths=(), controller_alive=False,
        may_appear=True,
    )  # fmt: skip

    assert status.unstopped == ["tasks of a launch that was not answered, which may appear minutes later"]
    assert replace(status, may_appear=False).unstopped == []
