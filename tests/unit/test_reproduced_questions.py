"""Reproduced questions: a run that repeats another asks the same series, and holds their rules to as much."""

from typing import Any

import pytest

from burst.domain.verdict import reproduced_questions

STATED: dict[str, Any] = {
    "facts.M10G-B5.drift": {"sql": "select 0", "equals": 0},
    "observe.series.lag": {"sql": "select lag"},
    "observe.series.lag.max": {"blocker": "M10G-B2", "aggregate": "max", "over": "whole", "at_most": 10},
    "observe.series.lag.p95": {"blocker": "M10G-B2", "aggregate": "p95", "over": "whole", "at_most": 5},
}
OWN: dict[str, Any] = {
    "facts.M10I-B7.drift": {"sql": "select 0", "equals": 0},
    "observe.series.lag": {"sql": "select lag"},
    "observe.series.lag.max": {"blocker": "M10I-B7", "aggregate": "max", "over": "whole", "at_most": 10},
}
NAMES = ("drift", "observed:lag.max")


def weaken(key: str, **changes: Any) -> dict[str, Any]:
    return {**OWN, key: {**OWN[key], **changes}}


@pytest.mark.parametrize(
    ("own", "weaker"),
    [
        (OWN, []),
        (weaken("observe.series.lag.max", at_most=9), []),
        (weaken("observe.series.lag.max", at_most=11), ["observed:lag.max"]),
        (weaken("observe.series.lag.max", over="last 60s"), ["observed:lag.max"]),
        (weaken("observe.series.lag", sql="select 0"), ["observed:lag.max"]),
        (weaken("facts.M10I-B7.drift", equals=1), ["drift"]),
        ({key: value for key, value in OWN.items() if key != "observe.series.lag"}, ["observed:lag.max"]),
        ({**OWN, "facts.M10I-B7.observed:lag.max": OWN["observe.series.lag.max"]}, []),
        ({"facts.M10I-B7.observed:lag.max": {"sql": "select 0", "at_most": 10}}, ["drift", "observed:lag.max"]),
        ({}, ["drift", "observed:lag.max"]),
    ],
)
def test_every_invariant_is_asked_by_the_same_question_and_held_to_as_much(
    own: dict[str, Any], weaker: list[str]
) -> None:
    assert reproduced_questions.list_weaker(NAMES, STATED, own) == weaker
