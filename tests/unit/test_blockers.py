"""The register: only what was asked and answered clears, and a bounded rerun changes nothing it does not name."""

import functools
import itertools
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from burst.domain.basics import errors
from burst.domain.plan import catalogues, plans
from burst.domain.verdict import blockers, gates
from tests import cases

SHORTS = st.sampled_from(catalogues.BURST.shorts)
ANSWERS = st.lists(
    st.builds(
        gates.Gate,
        name=st.just("a gate"),
        blocker=SHORTS,
        status=st.sampled_from(gates.GateStatus),
        measured=st.none(),
        required=st.none(),
        why=st.just("a reason"),
    ),
    max_size=14,
)
STATES = st.dictionaries(
    st.sampled_from(cases.ALL_BLOCKERS), st.sampled_from([blockers.BlockerState.OPEN, blockers.BlockerState.CLEARED])
)
PRIORS = st.none() | st.builds(
    blockers.Prior, execution_id=st.just(cases.PRIOR_EXECUTION_ID), sha256=st.just("0" * 64), states=STATES
)
RERUNS = st.none() | st.sets(SHORTS, min_size=1).map(sorted)


@functools.cache
def _bounded(only: tuple[str, ...]) -> plans.Plan:
    return cases.plan(rerun=cases.rerun(*only) if only else None)


def _plan(only: list[str] | None) -> plans.Plan:
    return _bounded(tuple(only or ()))


def _prior(**states: str) -> blockers.Prior:
    named = {f"M10F-{short}": state for short, state in states.items()}
    return blockers.Prior(execution_id=cases.PRIOR_EXECUTION_ID, sha256="0" * 64, states=named)


def _answer(short: str, status: gates.GateStatus) -> gates.Gate:
    return gates.Gate(name=f"{short} gate", blocker=short, status=status, measured=None, required=None, why="so")


@hypothesis.given(answers=ANSWERS, prior=PRIORS, only=RERUNS)
def test_every_blocker_of_the_phase_stands_in_the_register_once(
    answers: list[gates.Gate], prior: blockers.Prior | None, only: list[str] | None
) -> None:
    entries = blockers.make_register(_plan(only), answers, prior)

    assert tuple(entry.blocker for entry in entries) == cases.ALL_BLOCKERS
    assert all(entry.why for entry in entries)


@hypothesis.given(answers=ANSWERS, prior=PRIORS, only=RERUNS)
def test_a_blocker_is_cleared_by_passes_alone_or_carried_from_a_prior_that_cleared_it(
    answers: list[gates.Gate], prior: blockers.Prior | None, only: list[str] | None
) -> None:
    plan = _plan(only)

    for short, entry in zip(catalogues.BURST.shorts, blockers.make_register(plan, answers, prior), strict=True):
        asked = [gate for gate in answers if gate.blocker == short]
        if only is None or short in only:
            clear = bool(asked) and all(gate.status is gates.GateStatus.PASS for gate in asked)
            assert entry.is_open is not clear
        else:
            assert entry.is_open is (prior is None or prior.states.get(entry.blocker) != blockers.BlockerState.CLEARED)


@hypothesis.given(answers=ANSWERS, extra=ANSWERS, prior=PRIORS, only=RERUNS)
def test_one_more_answer_that_is_no_pass_never_clears(
    answers: list[gates.Gate], extra: list[gates.Gate], prior: blockers.Prior | None, only: list[str] | None
) -> None:
    plan = _plan(only)
    worse = [*answers, *(gate for gate in extra if gate.status is not gates.GateStatus.PASS)]

    before, after = blockers.make_register(plan, answers, prior), blockers.make_register(plan, worse, prior)

    assert all(later.is_open for earlier, later in zip(before, after, strict=True) if earlier.is_open)


@pytest.mark.parametrize("short", catalogues.BURST.shorts)
@pytest.mark.parametrize("status", [gates.GateStatus.FAIL, gates.GateStatus.INVALID])
def test_one_gate_that_does_not_pass_opens_its_blocker_and_no_other(short: str, status: gates.GateStatus) -> None:
    answers = [_answer(each, gates.GateStatus.PASS) for each in catalogues.BURST.shorts] + [_answer(short, status)]

    entries = blockers.make_register(cases.plan(), answers, None)

    assert [entry.blocker for entry in entries if entry.is_open] == [f"M10F-{short}"]


@pytest.mark.parametrize("short", catalogues.BURST.asked)
def test_a_blocker_the_plan_asks_nothing_about_is_not_evaluated_and_open(short: str) -> None:
    asked = [fact for fact in cases.plan_value()["facts"] if not fact["blocker"].endswith(short)]
    answers = [_answer(each, gates.GateStatus.PASS) for each in catalogues.BURST.shorts]

    entry = blockers.make_register(cases.plan(facts=asked), answers, None)[catalogues.BURST.shorts.index(short)]

    assert entry.state is blockers.BlockerState.NOT_EVALUATED
    assert entry.is_open


@pytest.mark.parametrize(
    "short", sorted(set(catalogues.BURST.shorts) - set(catalogues.CATALOGUES[catalogues.Kind.BURST].asked))
)
def test_a_blocker_no_gate_stands_behind_is_not_evaluated_and_open(short: str) -> None:
    answers = [_answer(each, gates.GateStatus.PASS) for each in catalogues.BURST.shorts if each != short]

    entry = blockers.make_register(cases.plan(), answers, None)[catalogues.BURST.shorts.index(short)]

    assert entry.state is blockers.BlockerState.NOT_EVALUATED
    assert entry.is_open


@pytest.mark.parametrize(
    ("stood", "is_open"), [(blockers.BlockerState.OPEN, True), (blockers.BlockerState.CLEARED, False), (None, True)]
)
def test_what_is_outside_a_rerun_is_carried_as_it_stood(stood: str | None, is_open: bool) -> None:
    prior = _prior(**({"B2": stood} if stood else {}), B1="open")
    answers = [_answer("B2", gates.GateStatus.FAIL if stood == "cleared" else gates.GateStatus.PASS)]

    entry = blockers.make_register(_plan(["B1"]), answers, prior)[1]

    assert entry.state is blockers.BlockerState.CARRIED
    assert entry.is_open is is_open
    assert entry.prior_state == (stood or "open")
    assert cases.PRIOR_EXECUTION_ID in entry.why


def test_a_rerun_without_a_prior_leaves_the_others_open() -> None:
    answers = [_answer(each, gates.GateStatus.PASS) for each in catalogues.BURST.shorts]

    entries = blockers.make_register(_plan(["B1", "B5", "B8"]), answers, None)

    assert [entry.blocker for entry in entries if not entry.is_open] == ["M10F-B1", "M10F-B5", "M10F-B8"]


PRIOR = _prior(B1="open", B2="cleared", B3="cleared", B4="cleared", B5="open")


@pytest.mark.parametrize(
    ("only", "named"),
    [(["B2"], "M10F-B2"), (["B1", "B2", "B3"], "M10F-B2, M10F-B3"), (["B4", "B5"], "M10F-B4")],
    ids=str,
)
def test_a_rerun_that_names_what_was_cleared_is_refused_by_name(only: list[str], named: str) -> None:
    with pytest.raises(errors.UsageError, match=rf"^rerun\.only names {named}, not open in .*M10F-B1, M10F-B5"):
        blockers.refuse_rerun_of_cleared(_plan(only), PRIOR)


@pytest.mark.parametrize("only", [["B1"], ["B1", "B5"], ["B9"]], ids=["open", "two open", "never spoken of"])
def test_a_rerun_of_what_was_open_is_not_refused(only: list[str]) -> None:
    blockers.refuse_rerun_of_cleared(_plan(only), PRIOR)


def test_without_a_rerun_or_a_prior_nothing_is_refused() -> None:
    blockers.refuse_rerun_of_cleared(cases.plan(), _prior(B1="cleared"))
    blockers.refuse_rerun_of_cleared(_plan(["B1"]), None)


# Reading a prior snapshot


def _states(**changes: Any) -> dict[str, str]:
    return blockers.read_states({**cases.prior("B1", "B5"), **changes}, cases.ALL_BLOCKERS)


def test_the_states_of_a_prior_are_its_open_list() -> None:
    states = _states()

    assert sorted(blocker for blocker, state in states.items() if state == "open") == ["M10F-B1", "M10F-B5"]
    assert set(states) == set(cases.ALL_BLOCKERS)


def test_a_prior_without_a_register_is_read_by_its_list() -> None:
    value = cases.prior("B1")
    del value["blocker_register"]

    assert blockers.read_states(value, cases.ALL_BLOCKERS)["M10F-B1"] == "open"


def test_an_id_taken_off_the_list_is_still_open_in_the_register() -> None:
    assert _states(blockers=["M10F-B1"])["M10F-B5"] == "open"


def test_an_id_taken_out_of_the_register_is_still_open_on_the_list() -> None:
    assert _states(blocker_register=[])["M10F-B5"] == "open"


@pytest.mark.parametrize("said", [True, None, "false", 0, "cleared"], ids=repr)
def test_a_register_entry_is_cleared_only_by_a_plain_false(said: object) -> None:
    states = _states(blocker_register=[{"blocker": "M10F-B2", "open": said}])

    assert states["M10F-B2"] == "open"


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"blockers": None}, id="no list"),
        pytest.param({"blockers": [], "overall_pass": False}, id="no pass, and no blocker open"),
        pytest.param({"blockers": {}}, id="a mapping for a list"),
        pytest.param({"blockers": "M10F-B1"}, id="a text for a list"),
        pytest.param({"blockers": [1]}, id="a number for an id"),
        pytest.param({"blockers": ["M10G-B1"]}, id="an id of another phase"),
        pytest.param({"blocker_register": {}}, id="a mapping for a register"),
        pytest.param({"blocker_register": ["M10F-B1"]}, id="ids for entries"),
        pytest.param({"blocker_register": [{"open": True}]}, id="an entry without an id"),
        pytest.param({"blocker_register": [{"blocker": "M10F-B10", "open": True}]}, id="an entry of no blocker"),
    ],
)
def test_a_prior_that_cannot_be_read_surely_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(errors.EvidenceCorrupt, match="prior snapshot"):
        _states(**changes)


@hypothesis.given(
    listed=st.sets(st.sampled_from(catalogues.BURST.shorts)),
    registered=st.sets(st.sampled_from(catalogues.BURST.shorts)),
)
def test_an_id_is_cleared_only_where_list_and_register_agree(listed: set[str], registered: set[str]) -> None:
    value = {**cases.prior(*listed), "blocker_register": cases.prior(*registered)["blocker_register"]}

    states = blockers.read_states(value, cases.ALL_BLOCKERS)

    for short in catalogues.BURST.shorts:
        assert (states[f"M10F-{short}"] == "cleared") is (short not in listed and short not in registered)


def test_every_blocker_has_a_title_of_its_own() -> None:
    assert set(catalogues.BURST.titles) == set(catalogues.BURST.shorts)
    assert all(one != other for one, other in itertools.combinations(catalogues.BURST.titles.values(), 2))
