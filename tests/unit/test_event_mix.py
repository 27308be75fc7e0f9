"""The mix of a load: exact shares over any number of tasks, each duplicate after its own event, weights and sizes."""

import itertools
import json
import math
from collections import Counter
from fractions import Fraction

import hypothesis
import pytest
from hypothesis import strategies as st

from burst.load import event_bodies, event_kinds, event_mix, load_events

SHARES = st.fractions(0, Fraction(1, 8), max_denominator=40)
SHARDS = st.one_of(st.integers(1, 12), st.integers(1, 1000))
"""Few and many tasks."""


def list_deliveries(duplicates: Fraction, malformed: Fraction, shards: int, count: int) -> list[event_mix.Delivery]:
    """The first deliveries of a whole burst, in the order in which they are due."""
    rules = [
        event_mix.ShareRule(duplicates=duplicates, malformed=malformed, shard_index=index, shard_count=shards)
        for index in range(shards)
    ]
    return [rules[number % shards].look(number // shards) for number in range(count)]


def count_kinds(deliveries: list[event_mix.Delivery]) -> Counter[event_mix.DeliveryKind]:
    return Counter(delivery.kind for delivery in deliveries)


@pytest.mark.parametrize(
    ("shards", "count"), [(1, 200), (2, 200), (3, 2000), (7, 1000), (8, 20_000), (40, 600), (999, 2000), (1000, 2000)]
)
def test_two_and_a_half_percent_of_all_deliveries_are_duplicates_and_one_percent_malformed(
    shards: int, count: int
) -> None:
    kinds = count_kinds(list_deliveries(Fraction(25, 1000), Fraction(1, 100), shards, count))

    assert kinds[event_mix.DeliveryKind.DUPLICATE] == count * 25 // 1000
    assert kinds[event_mix.DeliveryKind.MALFORMED] == count // 100


@hypothesis.given(duplicates=SHARES, malformed=SHARES, shards=SHARDS, more=st.integers(0, 2))
@hypothesis.settings(max_examples=60, deadline=None)
def test_the_first_deliveries_have_both_shares_exactly_wherever_they_are_whole(
    duplicates: Fraction, malformed: Fraction, shards: int, more: int
) -> None:
    """Also where the tasks have not sent equally many: after a round of theirs is begun, and before it ends."""
    step = math.lcm(duplicates.denominator, malformed.denominator)
    count = step * (-(-2 * shards // step) + more)

    kinds = count_kinds(list_deliveries(duplicates, malformed, shards, count))

    assert kinds[event_mix.DeliveryKind.DUPLICATE] == duplicates * count
    assert kinds[event_mix.DeliveryKind.MALFORMED] == malformed * count


@hypothesis.given(duplicates=SHARES, malformed=SHARES, shards=st.integers(1, 60))
@hypothesis.settings(max_examples=60, deadline=None)
def test_any_number_of_first_deliveries_has_the_shares_to_one_or_two(
    duplicates: Fraction, malformed: Fraction, shards: int
) -> None:
    counted = Counter[event_mix.DeliveryKind]()
    for number, delivery in enumerate(list_deliveries(duplicates, malformed, shards, 6 * shards + 50), 1):
        counted[delivery.kind] += 1
        if number >= 2 * shards:
            special = counted[event_mix.DeliveryKind.DUPLICATE] + counted[event_mix.DeliveryKind.MALFORMED]
            assert abs(special - (duplicates + malformed) * number) <= 1
            assert abs(counted[event_mix.DeliveryKind.DUPLICATE] - duplicates * number) < 2


@hypothesis.given(duplicates=SHARES, malformed=SHARES, shards=SHARDS)
@hypothesis.settings(max_examples=60, deadline=None)
def test_a_duplicate_repeats_an_earlier_new_event_of_its_task_and_none_is_repeated_twice(
    duplicates: Fraction, malformed: Fraction, shards: int
) -> None:
    for index in {0, shards // 2, shards - 1}:
        rule = event_mix.ShareRule(duplicates=duplicates, malformed=malformed, shard_index=index, shard_count=shards)
        deliveries = [rule.look(sequence) for sequence in range(150)]
        repeated = [
            (sequence, delivery.number)
            for sequence, delivery in enumerate(deliveries)
            if delivery.kind is event_mix.DeliveryKind.DUPLICATE
        ]
        assert all(sequence - event_mix.MOST_BACK <= number < sequence for sequence, number in repeated)
        assert all(deliveries[number].kind is event_mix.DeliveryKind.NEW for _, number in repeated)
        assert len({number for _, number in repeated}) == len(repeated)


@hypothesis.given(duplicates=SHARES, malformed=SHARES, shards=SHARDS)
@hypothesis.settings(max_examples=60, deadline=None)
def test_a_new_event_lies_between_two_special_deliveries_of_a_task_and_its_first_one_is_new(
    duplicates: Fraction, malformed: Fraction, shards: int
) -> None:
    for index in {0, shards // 2, shards - 1}:
        rule = event_mix.ShareRule(duplicates=duplicates, malformed=malformed, shard_index=index, shard_count=shards)
        kinds = [rule.look(sequence).kind for sequence in range(150)]
        assert kinds[0] is event_mix.DeliveryKind.NEW
        assert all(event_mix.DeliveryKind.NEW in pair for pair in itertools.pairwise(kinds))


@hypothesis.given(duplicates=SHARES, malformed=SHARES, shards=st.integers(1, 60))
@hypothesis.settings(max_examples=60, deadline=None)
def test_new_and_special_deliveries_of_the_burst_are_numbered_without_gaps(
    duplicates: Fraction, malformed: Fraction, shards: int
) -> None:
    deliveries = list_deliveries(duplicates, malformed, shards, 6 * shards)

    new = [delivery.ordinal for delivery in deliveries if delivery.kind is event_mix.DeliveryKind.NEW]
    special = [delivery.ordinal for delivery in deliveries if delivery.kind is not event_mix.DeliveryKind.NEW]
    assert new == list(range(len(new)))
    assert sorted(special) == list(range(len(special)))


@pytest.mark.parametrize("shards", [2, 3, 7, 12])
def test_every_task_has_its_turn_at_the_special_deliveries(shards: int) -> None:
    deliveries = list_deliveries(Fraction(25, 1000), Fraction(1, 100), shards, shards * 2000)

    special = Counter(
        number % shards for number, delivery in enumerate(deliveries) if delivery.kind is not event_mix.DeliveryKind.NEW
    )
    assert all(35 <= special[index] <= 105 for index in range(shards))  # 70 each


def test_shares_of_more_than_a_quarter_together_are_refused() -> None:
    with pytest.raises(ValueError, match="at most 1/4"):
        event_mix.ShareRule(duplicates=Fraction(1, 4), malformed=Fraction(1, 100), shard_index=0, shard_count=1)


@hypothesis.given(choices=st.integers(1, 12), shards=st.integers(1, 40))
def test_each_round_of_choices_has_every_one_and_so_has_every_task(choices: int, shards: int) -> None:
    turns = [event_mix.choose_turn(number, choices, shards) for number in range(choices * math.lcm(choices, shards))]

    every = list(range(choices))
    assert all(sorted(turns[first : first + choices]) == every for first in range(0, len(turns), choices))
    assert all(sorted(set(turns[index::shards])) == every for index in range(shards))


@hypothesis.given(weights=st.lists(st.integers(1, 20), min_size=1, max_size=6))
def test_one_round_has_each_kind_as_often_as_its_weight(weights: list[int]) -> None:
    assert Counter(event_mix.spread_weights(tuple(weights))) == dict(enumerate(weights))


def make_kinds(duplicates: str = "0", malformed: str = "0", **sizes: object) -> event_kinds.EventKinds:
    templates = [
        {"body": event_kinds.describe_reference(name, sized=name in sizes), "weight": weight, "sizes": sizes.get(name)}
        for name, weight in (("order", 3), ("payment", 1))
    ]
    return event_kinds.read_kinds(
        json.dumps({"templates": templates, "duplicates": duplicates, "malformed": malformed})
    )


@pytest.mark.parametrize("shards", [1, 3, 4])
def test_kinds_have_their_weights_exactly_among_new_events_whatever_the_special_ones_are(shards: int) -> None:
    kinds = make_kinds("1/40", "1/100")
    streams = [
        load_events.EventStream(scope="s", shard_index=index, shard_count=shards, kinds=kinds)
        for index in range(shards)
    ]

    types = Counter(
        json.loads(streams[number % shards].encode(number // shards))["event_type"]
        for number in range(4000)
        if streams[number % shards].look(number // shards).kind is event_mix.DeliveryKind.NEW
    )

    assert types == {"order": 3860 * 3 // 4, "payment": 3860 // 4}


def test_a_duplicate_has_the_bytes_of_the_event_that_it_repeats() -> None:
    stream = load_events.EventStream(scope="s", shard_index=0, kinds=make_kinds("1/10", order=[[0, 300], [1, 900]]))
    duplicates = [each for each in range(400) if stream.look(each).kind is event_mix.DeliveryKind.DUPLICATE]

    assert len(duplicates) == 40
    for sequence in duplicates:
        first = stream.look(sequence).number
        assert stream.encode(sequence) == stream.encode(first)
        assert stream.event_id(sequence) == stream.event_id(first)


def test_sizes_follow_their_curve_without_chance_and_are_those_of_the_body() -> None:
    kinds = make_kinds(order=[[0, 200], [0.5, 400], [1, 2000]], payment=[[0, 512], [1, 512]])
    streams = [load_events.EventStream(scope="s", shard_index=index, shard_count=2, kinds=kinds) for index in (0, 1)]
    bodies = [stream.encode(sequence) for stream, sequence in itertools.product(streams, range(2000))]
    lengths = {name: sorted(len(body) for body in bodies if f'"{name}"' in body) for name in ("order", "payment")}

    assert set(lengths["payment"]) == {512}
    assert lengths["order"][len(lengths["order"]) // 2] == pytest.approx(400, rel=0.05)
    assert 200 <= lengths["order"][0] < 220
    assert 1900 < lengths["order"][-1] <= 2000


def test_a_body_is_a_pure_function_of_scope_shard_and_sequence() -> None:
    stream = load_events.EventStream(scope='a "scope"', shard_index=7, shard_count=9)

    body = json.loads(stream.encode(12))

    assert body == {
        "event_id": 'a "scope":0007:000000000012',
        "event_type": "burst.load",
        "event_class": "traffic",
        "platform_run_id": 'a "scope"',
        "payload": {"shard": 7, "sequence": 12},
    }


def test_a_body_of_another_ingest_takes_every_placeholder() -> None:
    template = event_bodies.BodyTemplate(
        {"id": "{event_id}", "key": "{dedupe_key}", "at": "{sent_at}", "where": "{scope}/{shard}", "n": "{sequence}"}
    )
    filling = event_bodies.Filling(event_id="e", scope="s", shard=2, sequence=3, spread=5, sent_at=0.5)

    body = json.loads(template.fill(filling))

    assert (body["id"], body["at"], body["where"], body["n"]) == ("e", "1970-01-01T00:00:00.500Z", "s/2", 3)
    assert len(body["key"]) == 64


def test_a_number_in_the_name_of_a_field_keeps_its_quotes() -> None:
    template = event_bodies.BodyTemplate({"id": "{event_id}", "{shard}": ["{sequence}"], "said": '"{sequence}"'})
    filling = event_bodies.Filling(event_id="e", scope="s", shard=2, sequence=3, spread=5, sent_at=0.5)

    assert json.loads(template.fill(filling)) == {"id": "e", "2": [3], "said": '"3"'}


@pytest.mark.parametrize(
    ("body", "sized", "problem"),
    [
        ({"id": "{event_id}", "x": "{nothing}"}, False, "{nothing} is not known"),
        ({"id": "x"}, False, "{event_id} is missing"),
        ({"id": "{event_id}"}, True, "{filler} has to stand there once"),
        ({"id": "{event_id}", "a": "{filler}", "b": "{filler}"}, True, "{filler} has to stand there once"),
        ({"id": "{event_id}", "a": "{no placeholder}"}, False, ""),
        ({"id": "{event_id}", "a": [float("nan")]}, False, "a number that JSON does not have"),
    ],
)
def test_a_body_that_cannot_be_used_says_why(body: dict[str, object], sized: bool, problem: str) -> None:
    assert problem in event_bodies.find_problem(body, sized=sized)
    assert bool(problem) == bool(event_bodies.find_problem(body, sized=sized))


@pytest.mark.parametrize("text", ["[]", "{}", '{"templates": [{}]}', '{"templates": [{"body": {}, "weight": 1}]}', "x"])
def test_a_text_of_kinds_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"template|JSON|event_id|Expecting|list"):
        event_kinds.read_kinds(text)
