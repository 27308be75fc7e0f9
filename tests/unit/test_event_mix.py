"""The mix of a load: exact shares over any number of tasks, each duplicate after its own event, weights and sizes."""

import itertools
import json
from collections import Counter
from fractions import Fraction

import hypothesis
import pytest
from hypothesis import strategies as st

from burst.load import event_bodies, event_kinds, event_mix, load_events

SHARES = st.fractions(0, Fraction(1, 6), max_denominator=400)
SHARDS = st.integers(1, 40)


def list_rules(duplicates: Fraction, malformed: Fraction, shards: int) -> list[event_mix.ShareRule]:
    return [
        event_mix.ShareRule(duplicates=duplicates, malformed=malformed, shard_index=index, shard_count=shards)
        for index in range(shards)
    ]


def count_kinds(rules: list[event_mix.ShareRule], each: int) -> Counter[event_mix.Kind]:
    return Counter(rule.look(sequence).kind for rule in rules for sequence in range(each))


@pytest.mark.parametrize("shards", [1, 2, 3, 7, 40, 1000])
def test_two_and_a_half_percent_of_all_deliveries_are_duplicates_and_one_percent_malformed(shards: int) -> None:
    rules = list_rules(Fraction(25, 1000), Fraction(1, 100), shards)

    kinds = count_kinds(rules, 200)

    assert kinds[event_mix.Kind.DUPLICATE] == 5 * shards
    assert kinds[event_mix.Kind.MALFORMED] == 2 * shards


@hypothesis.given(duplicates=SHARES, malformed=SHARES, shards=SHARDS, each=st.integers(2, 60))
def test_all_tasks_together_send_the_shares_exactly_after_any_number_of_rounds(
    duplicates: Fraction, malformed: Fraction, shards: int, each: int
) -> None:
    kinds = count_kinds(list_rules(duplicates, malformed, shards), each)

    special = kinds[event_mix.Kind.DUPLICATE] + kinds[event_mix.Kind.MALFORMED]
    assert special == int((duplicates + malformed) * each * shards)
    missing = duplicates * each * shards - kinds[event_mix.Kind.DUPLICATE]
    whole = (duplicates * each * shards).denominator == (malformed * each * shards).denominator == 1
    assert missing == 0 if whole else 0 <= missing < 2


@hypothesis.given(duplicates=SHARES, malformed=SHARES, shards=SHARDS)
def test_a_duplicate_repeats_an_earlier_new_event_of_its_task_and_none_is_repeated_twice(
    duplicates: Fraction, malformed: Fraction, shards: int
) -> None:
    for rule in list_rules(duplicates, malformed, shards):
        deliveries = [rule.look(sequence) for sequence in range(150)]
        repeated = [
            (sequence, delivery.number)
            for sequence, delivery in enumerate(deliveries)
            if delivery.kind is event_mix.Kind.DUPLICATE
        ]
        assert all(number < sequence for sequence, number in repeated)
        assert all(deliveries[number].kind is event_mix.Kind.NEW for _, number in repeated)
        assert len({number for _, number in repeated}) == len(repeated)


@hypothesis.given(duplicates=SHARES, malformed=SHARES, shards=SHARDS)
def test_new_and_special_deliveries_are_numbered_without_gaps(
    duplicates: Fraction, malformed: Fraction, shards: int
) -> None:
    for rule in list_rules(duplicates, malformed, shards)[:3]:
        deliveries = [rule.look(sequence) for sequence in range(150)]
        new = [delivery.ordinal for delivery in deliveries if delivery.kind is event_mix.Kind.NEW]
        special = [delivery.ordinal for delivery in deliveries if delivery.kind is not event_mix.Kind.NEW]
        assert new == list(range(len(new)))
        assert special == list(range(len(special)))


def test_shares_of_more_than_a_third_together_are_refused() -> None:
    with pytest.raises(ValueError, match="at most 1/3"):
        event_mix.ShareRule(duplicates=Fraction(1, 3), malformed=Fraction(1, 100), shard_index=0, shard_count=1)


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


def test_kinds_have_their_weights_among_new_events_whatever_the_special_ones_are() -> None:
    stream = load_events.EventStream(scope="s", shard_index=1, shard_count=3, kinds=make_kinds("1/40", "1/100"))

    types = Counter(
        json.loads(stream.encode(sequence))["event_type"]
        for sequence in range(2000)
        if stream.look(sequence).kind is event_mix.Kind.NEW
    )

    assert types["order"] == pytest.approx(3 * types["payment"], abs=4)


def test_a_duplicate_has_the_bytes_of_the_event_that_it_repeats() -> None:
    stream = load_events.EventStream(scope="s", shard_index=0, kinds=make_kinds("1/10", order=[[0, 300], [1, 900]]))
    duplicates = [each for each in range(400) if stream.look(each).kind is event_mix.Kind.DUPLICATE]

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


@pytest.mark.parametrize(
    ("body", "sized", "problem"),
    [
        ({"id": "{event_id}", "x": "{nothing}"}, False, "{nothing} is not known"),
        ({"id": "x"}, False, "{event_id} is missing"),
        ({"id": "{event_id}"}, True, "{filler} has to stand there once"),
        ({"id": "{event_id}", "a": "{filler}", "b": "{filler}"}, True, "{filler} has to stand there once"),
        ({"id": "{event_id}", "a": "{no placeholder}"}, False, ""),
    ],
)
def test_a_body_that_cannot_be_used_says_why(body: dict[str, object], sized: bool, problem: str) -> None:
    assert problem in event_bodies.find_problem(body, sized=sized)
    assert bool(problem) == bool(event_bodies.find_problem(body, sized=sized))


@pytest.mark.parametrize("text", ["[]", "{}", '{"templates": [{}]}', '{"templates": [{"body": {}, "weight": 1}]}', "x"])
def test_a_text_of_kinds_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"template|JSON|event_id|Expecting|list"):
        event_kinds.read_kinds(text)
