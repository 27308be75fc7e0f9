"""The looks at the load accounts: what they say is journalled, and a generator that withholds ends its run early."""

import json

import pytest

from burst.control import load_accounts
from burst.domain.receipts import early_stops
from burst.domain.run import runs
from burst.load import load_account
from tests import simulation

AT = 1_772_000_000.0


def terms(**changes: float) -> early_stops.EarlyStopTerms:
    return early_stops.EarlyStopTerms(
        admit_ratio=0.995,
        window_seconds=changes.get("window_seconds", 100.0),
        min_window_seconds=60.0,
        required_admits_per_second=None,
        offered_per_second=changes.get("offered_per_second", 10.0),
        source_events=None,
        no_receipts_seconds=10.0,
        offered_load=changes.get("offered_load", 0.99),
    )


@pytest.mark.parametrize(
    ("due", "in_time", "withheld"),
    [
        pytest.param(100, 100, False, id="all in time"),
        pytest.param(100, 90, False, id="a hundredth of the whole may be missed"),
        pytest.param(100, 88, True, id="more is missed than the rest can mend"),
        pytest.param(5000, 4960, False, id="more is due than declared"),
    ],
)
def test_a_generator_withholds_once_no_rest_of_the_burst_can_mend_it(due: int, in_time: int, withheld: bool) -> None:
    reason = early_stops.find_withheld(due, in_time, terms())

    assert (reason is not None) is withheld
    if reason is not None:
        assert reason.rule == early_stops.LOAD_WITHHELD
        assert reason.detail == "the generator sent 88 of 100 due in time, and at most 1,001 are due in all"


def test_without_a_declared_rate_nothing_is_known_to_be_withheld() -> None:
    unknown = early_stops.EarlyStopTerms(
        admit_ratio=0.995, window_seconds=100.0, min_window_seconds=60.0, required_admits_per_second=None,
        offered_per_second=None, source_events=None, no_receipts_seconds=10.0, offered_load=0.99,
    )  # fmt: skip

    assert early_stops.find_withheld(100, 0, unknown) is None


def leave_accounts(world: simulation.World, *, due: int, sent: int) -> None:
    """Each task's account: so many were due in the first second and sent at once, and the account has gone on since."""
    account = load_account.LoadAccount()
    account.note_due(AT, due)
    for _ in range(sent):
        account.note_sent(AT, AT)
    account.note_beat(AT + 60)
    for shard in range(2):
        world.accounts.contents[shard] = json.dumps(account.to_value()).encode()


def test_a_generator_that_withholds_ends_its_run_early_and_is_not_called_hopeless() -> None:
    world = simulation.World()
    leave_accounts(world, due=20, sent=15)

    world.run()

    simulation.sound(world)
    early = world.document["decision"]["early_stop"]
    assert early["rule"] == early_stops.LOAD_WITHHELD
    assert "sent 30 of 40 due in time" in early["detail"]
    assert world.outcome.load is not None
    assert world.outcome.load == runs.LoadView(
        at=world.outcome.load.at, tasks=2, due=40, in_time=30, sent=30, answered=0, unsuccessful=0, late_tasks=0
    )
    assert {"B1", "B9"} <= world.blockers


def test_a_task_without_a_schedule_leaves_open_how_much_was_due() -> None:
    """The gate then goes by the sum of what was sent, late or not, which may still pass."""
    late = load_account.LoadAccount()
    late.note_due(AT, 100)
    late.note_beat(AT + 60)
    unscheduled = load_account.LoadAccount()
    unscheduled.note_sent(AT)
    unscheduled.note_beat(AT)
    document = load_accounts.build_document({0: late, 1: unscheduled}, execution_id="a_run", scope="platform_a")

    assert document is not None
    counted = load_accounts.summarize(document)
    assert (counted.tasks, counted.due, counted.in_time, counted.sent) == (2, 0, 0, 1)


def test_a_run_whose_accounts_say_that_all_was_sent_goes_on_to_its_end() -> None:
    world = simulation.World()
    leave_accounts(world, due=20, sent=20)

    world.run()

    simulation.sound(world)
    assert world.blockers == set()
    assert world.document["decision"]["early_stop"] is None


def test_accounts_that_cannot_be_read_stop_nothing() -> None:
    world = simulation.World()
    world.accounts.down = True

    world.run()

    simulation.sound(world)
    assert world.blockers == set()
    assert world.outcome.load is None


def test_a_look_says_how_long_the_answers_took_since_the_look_before_and_how_many_were_none() -> None:
    account = load_account.LoadAccount()
    for _ in range(100):
        account.note_sent(AT, AT)
        account.note_answer(AT, "push", latency_seconds=0.010, status=202, error=None)
    account.note_beat(AT + 5)
    before = load_accounts.build_document({0: account}, execution_id="a_run", scope="platform_a")
    for _ in range(10):
        account.note_sent(AT + 5, AT + 2)
        account.note_answer(AT + 5, "push", latency_seconds=0.500, status=503, error=None)
    document = load_accounts.build_document({0: account}, execution_id="a_run", scope="platform_a")
    assert before is not None
    assert document is not None

    since, in_all = load_accounts.summarize(document, before), load_accounts.summarize(document)

    assert (since.answered, since.unsuccessful, since.late_tasks) == (110, 10, 1)
    assert since.p95_ms == pytest.approx(500, rel=0.05)
    assert load_accounts.summarize(before).p95_ms == pytest.approx(10, rel=0.05)
    assert in_all.p95_ms == pytest.approx(500, rel=0.05)
