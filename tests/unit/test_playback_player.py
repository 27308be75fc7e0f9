"""One shard of a playback without clock and network: order per key, what a checkpoint holds, kills at any point."""

import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burst.load.playback import flushing, key_order, pacing, player, progress, records


def _record(ordinal: int, key: str, recorded_at: float | None = None) -> records.Record:
    mark = records.RecordPlace(file="r.jsonl", row=ordinal, recorded_at=recorded_at)
    return records.Record(ordinal=ordinal, mark=mark, key=key, raw=b"{}")


def _even(per_second: float) -> Iterator[tuple[float, str | None]]:
    number = 0
    while True:
        yield number / per_second, None
        number += 1


# Progress


@given(st.permutations(range(12)), st.integers(0, 12))
def test_progress_holds_exactly_what_was_acknowledged_and_survives_its_text(order: list[int], count: int) -> None:
    grown = progress.Progress(progress.Checkpoint())
    for ordinal in order[:count]:
        grown.acknowledge(ordinal, _record(ordinal, "k").mark)
        grown.acknowledge(ordinal, _record(ordinal, "k").mark)
    kept = grown.to_checkpoint()

    read = progress.Checkpoint(
        low_water=kept.low_water, last=kept.last, beyond=progress.read_beyond(kept.write_beyond())
    )

    again = progress.Progress(read)
    assert {ordinal for ordinal in range(12) if again.is_acknowledged(ordinal)} == set(order[:count])
    assert kept.acknowledged == count
    assert (kept.last.row if kept.last else -1) == kept.low_water - 1


@pytest.mark.parametrize(
    ("low_water", "last", "beyond"),
    [(-1, None, ""), (3, None, ""), (3, _record(2, "k").mark, "1-2"), (0, None, "2-1")],
)
def test_a_checkpoint_that_would_send_again_or_skip_is_none(
    low_water: int, last: records.RecordPlace | None, beyond: str
) -> None:
    with pytest.raises(ValueError, match=r"."):
        progress.read_checkpoint(low_water, last, beyond)


@pytest.mark.parametrize("text", ["3", "5-4", "4-4", "1-3 2-5", "x-y", "5-6 1-2"])
def test_ranges_that_make_no_sense_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        progress.read_beyond(text)


def test_the_mark_waits_until_a_run_that_goes_on_has_read_where_a_range_ends() -> None:
    grown = progress.Progress(progress.Checkpoint(low_water=0, beyond=((1, 4),)))

    grown.acknowledge(0, _record(0, "k").mark)
    before = grown.to_checkpoint()
    grown.acknowledge(3, _record(3, "k").mark)

    assert (before.low_water, before.beyond, before.last) == (0, ((0, 4),), None)
    assert (grown.low_water, grown.to_checkpoint().last) == (4, _record(3, "k").mark)


# Pace


def test_at_a_speed_up_the_recorded_pauses_are_divided_and_the_order_stays() -> None:
    schedule = pacing.PlaybackSchedule(pacing.SpeedUp(10.0, 100.0))
    placed = [schedule.place(_record(number, "k", at)) for number, at in enumerate((50.0, 60.0, 55.0, 80.0))]

    assert [sending.slot.due for sending in placed if sending] == [100.0, 101.0, 101.0, 103.0]
    assert [schedule.count_due(until) for until in (100.0, 101.5, 200.0)] == [0, 3, 1]


def test_a_rate_plan_that_ends_before_the_recording_ends_the_playback() -> None:
    schedule = pacing.PlaybackSchedule(iter([(0.0, "a"), (1.0, "b")]))
    reading = iter([_record(number, str(number)) for number in range(3)])
    playing = player.Player(reading, progress.Checkpoint(), schedule, 0.0)

    playing.read_ahead(5.0)
    playing.release(5.0)

    assert (playing.ended, playing.order.ready, schedule.count_due(5.0)) == (True, 2, 2)
    assert schedule.take_step_counts() == Counter(a=1, b=1)


def test_what_became_due_while_reading_paused_counts_as_due_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(player, "MOST_HELD_BYTES", 100)
    reading = iter([_record(number, "k") for number in range(1000)])
    schedule = pacing.PlaybackSchedule(_even(100.0))
    playing = player.Player(reading, progress.Checkpoint(), schedule, 0.0)
    for step in range(50):
        playing.read_ahead(step / 10)
        playing.release(step / 10)
    paused_at = schedule.count_due(5.0)

    while playing.read_unsent(5.0):
        pass

    assert paused_at < 500
    assert paused_at + schedule.count_due(5.0) == 500


# Order per key


def test_while_a_record_has_no_answer_no_later_one_of_its_key_is_sent() -> None:
    order = key_order.KeyOrder()
    schedule = pacing.PlaybackSchedule(_even(10.0))
    for number, key in enumerate("aab"):
        sending = schedule.place(_record(number, key))
        assert sending is not None
        order.add(sending)

    first, other, none = order.take(), order.take(), order.take()
    assert first is not None
    order.put_back(first)
    again = order.take()
    assert again is first
    order.finish(first)
    second = order.take()

    assert [each.record.ordinal for each in (first, other, second) if each] == [0, 2, 1]
    assert none is None
    assert order.held_bytes == 0


def test_a_key_that_is_stopped_leaves_its_later_records_and_no_other() -> None:
    reading = iter([_record(number, key) for number, key in enumerate("abab")])
    playing = player.Player(reading, progress.Checkpoint(), pacing.PlaybackSchedule(_even(1000.0)), 0.0)
    playing.read_ahead(1.0)
    playing.release(1.0)
    refused, taken = playing.take(), playing.take()
    assert refused is not None
    assert taken is not None

    playing.stop_key(refused)
    playing.acknowledge(taken)
    last = playing.take()
    assert last is not None
    playing.acknowledge(last)

    assert playing.take() is None
    assert playing.order.left == 1
    assert playing.progress.to_checkpoint().beyond == ((1, 2), (3, 4))


def test_a_run_that_goes_on_fills_gaps_however_many_it_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(player, "MOST_GAPS", 3)
    kept = progress.Checkpoint(beyond=((1, 2), (3, 4), (5, 6), (7, 8)))
    reading = iter([_record(number, str(number)) for number in range(12)])
    playing = player.Player(reading, kept, pacing.PlaybackSchedule(_even(1000.0)), 0.0)

    playing.read_ahead(1.0)
    stuck_at = playing.has_too_many_gaps
    sent = []
    playing.release(1.0)
    while (taken := playing.take()) is not None:
        sent.append(taken.record.ordinal)
        playing.acknowledge(taken)
        playing.read_ahead(1.0)
        playing.release(1.0)

    assert stuck_at
    assert sent == [0, 2, 4, 6, 8, 9, 10, 11]
    assert playing.progress.to_checkpoint().low_water == 12


@pytest.mark.parametrize(
    ("status", "for_good"),
    [(400, True), (401, True), (404, True), (422, True), (408, False), (425, False), (429, False), (500, False)],
)  # fmt: skip
def test_only_a_refusal_that_would_come_again_stops_a_key(status: int, for_good: bool) -> None:
    assert player.is_refused_for_good(status) is for_good


# Flushes


def test_a_checkpoint_is_due_after_a_hundred_acknowledgements_or_a_second() -> None:
    pacer = flushing.FlushPacer(0.0)
    assert not pacer.is_due(5.0)
    pacer.note_acknowledged()
    assert (pacer.is_due(0.9), pacer.is_due(1.0)) == (False, True)
    for _ in range(99):
        pacer.note_acknowledged()
    assert pacer.is_due(0.01)
    pacer.begin()
    pacer.note_acknowledged()
    pacer.note_saved(0.02)

    assert (pacer.unflushed, pacer.is_due(0.5), pacer.is_due(1.1)) == (1, False, True)


def test_sending_goes_on_without_a_store_until_a_thousand_would_be_repeated() -> None:
    reading = iter([_record(number, str(number)) for number in range(3000)])
    playing = player.Player(reading, progress.Checkpoint(), pacing.PlaybackSchedule(_even(1e6)), 0.0)
    while playing.read_ahead(1.0):
        pass
    playing.release(1.0)
    tries = 0
    while (sending := playing.take()) is not None:
        playing.acknowledge(sending)
        if playing.flushes.is_due(0.5):
            playing.flushes.begin()
            playing.flushes.note_away(0.5)
            tries += 1

    assert (playing.acknowledged, playing.flushes.away_since, tries) == (1000, 0.5, 1)
    assert [playing.flushes.is_due(at) for at in (0.55, 0.6)] == [False, True]
    playing.flushes.begin()
    playing.flushes.note_saved(0.7)
    assert playing.take() is not None


# Kills at any point


@dataclass(kw_only=True)
class World:
    """An ingest that takes some, and a store: what a simulation of runs sends, was answered, and kept."""

    keys: list[str]
    luck: random.Random
    received: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    acknowledged: set[int] = field(default_factory=set)
    kept: progress.Checkpoint = field(default_factory=progress.Checkpoint)

    def play(self, most_steps: int) -> bool:
        """One run, killed after so many steps; whether it was done before."""
        durable = self._list_kept()
        reading = iter([_record(number, key) for number, key in enumerate(self.keys)][self.kept.low_water :])
        playing = player.Player(reading, self.kept, pacing.PlaybackSchedule(_even(1000.0)), 0.0)
        in_flight: list[key_order.Sending] = []
        for step in range(most_steps):
            now = step / 100
            playing.read_ahead(now)
            playing.release(now)
            if (sending := playing.take()) is not None:
                ordinal = sending.record.ordinal
                assert ordinal not in durable, "what the last flush held was sent again"
                earlier = [number for number, key in enumerate(self.keys[:ordinal]) if key == self.keys[ordinal]]
                assert self.acknowledged.issuperset(earlier), "a later one of its key was sent first"
                self.received[sending.record.key].append(ordinal)
                in_flight.append(sending)
            if in_flight and self.luck.random() < 0.6:
                self._answer(playing, in_flight.pop(self.luck.randrange(len(in_flight))), now)
            if playing.flushes.unflushed and self.luck.random() < 0.2:
                playing.flushes.begin()
                self.kept = playing.progress.to_checkpoint()
                playing.flushes.note_saved(now)
                durable = self._list_kept()
            if len(self.acknowledged) == len(self.keys) == self.kept.low_water:
                return True
        return False

    def _list_kept(self) -> set[int]:
        kept = progress.Progress(self.kept)
        return {ordinal for ordinal in range(len(self.keys)) if kept.is_acknowledged(ordinal)}

    def _answer(self, playing: player.Player, sending: key_order.Sending, now: float) -> None:
        if self.luck.random() < 0.2:
            playing.retry(sending, now)
        else:
            self.acknowledged.add(sending.record.ordinal)
            playing.acknowledge(sending)


@given(
    st.lists(st.sampled_from("abcde"), min_size=1, max_size=40), st.lists(st.integers(1, 60), max_size=6), st.randoms()
)
def test_runs_that_are_killed_anywhere_send_all_in_order_and_repeat_only_what_was_not_kept(
    keys: list[str], kills: list[int], luck: random.Random
) -> None:
    world = World(keys=keys, luck=random.Random(luck.random()))

    for steps in kills:
        world.play(steps)
    done = world.play(100_000)

    assert done
    assert world.kept.acknowledged == len(keys)
    for key, received in world.received.items():
        firsts = list(dict.fromkeys(received))
        assert firsts == [number for number, each in enumerate(keys) if each == key]
