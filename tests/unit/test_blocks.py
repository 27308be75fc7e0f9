"""Blocks: a promotion depends on the runs alone, and no run can be left out of them unseen."""

import dataclasses
import random

import hypothesis
import pytest
from hypothesis import strategies as st

from burst.domain.basics import canonical, errors, windows
from burst.domain.documents import attempts
from burst.domain.verdict import blocks, promotions
from tests import cases

TERMS = blocks.BlockTerms(
    phase="M10.F", gate="latency_p95_ms", measure="latency_p95", unit="ms", runs=5, samples_at_least=72
)
SETTING = {"environment": "ci", "load.profile": "steady"}
CONTRACT, CLAIMED = "a" * 64, "c" * 64
ALIKE = (100.0, 104.0, 99.0, 101.0, 103.0)


def run(number: int, value: float = 100.0, *, attempt: int | None = None, **changes: object) -> blocks.BlockRun:
    start = number * 86_400.0
    given = blocks.BlockRun(
        execution_id=f"run-{number:03d}",
        scope=cases.SCOPE,
        snapshot="m10_f_burst_snapshot.json",
        sha256=f"{number:064x}",
        passed=True,
        contract=CONTRACT,
        setting=SETTING,
        window=windows.Window(cases.moment(start), cases.moment(start + 900)),
        value=value,
        samples=18_000,
        attempt=attempt,
        claimed=None if attempt is None else CLAIMED,
        earlier=() if attempt is None else tuple(earlier(before) for before in range(1, attempt)),
    )
    return dataclasses.replace(given, **changes)  # type: ignore[arg-type]


def earlier(number: int, verdict: str | None = "PASS", contract: str = CLAIMED) -> attempts.EarlierAttempt:
    sha256 = None if verdict is None else "0" * 64
    return attempts.EarlierAttempt.model_validate(
        {"execution_id": f"run-{number:03d}", "verdict": verdict, "sha256": sha256, "contract": contract}
    )


def show(*runs: blocks.BlockRun) -> list[blocks.PlaceRun]:
    return [
        blocks.PlaceRun(
            execution_id=each.execution_id, passed=each.passed, contract=each.contract, setting=each.setting
        )
        for each in runs
    ]


def numbered(values: tuple[float, ...] = ALIKE, first: int = 1) -> list[blocks.BlockRun]:
    return [run(first + at, value, attempt=first + at) for at, value in enumerate(values)]


def rules(promotion: promotions.Promotion) -> list[str]:
    return [reason.rule for reason in promotion.reasons]


def test_five_runs_that_are_alike_promote() -> None:
    promotion = blocks.judge(numbered(), TERMS, None)

    assert (promotion.decision, promotion.exit_code, promotion.reasons) == ("PROMOTED", 0, [])
    assert promotions.read(promotion.content()) == promotion


def test_a_spread_that_five_runs_cannot_prove_is_screened_with_the_bound_of_the_true_one() -> None:
    promotion = blocks.judge(numbered((100.0, 118.0, 97.0, 112.0, 101.0)), TERMS, None)

    assert promotion.promoted
    assert promotion.figures is not None
    assert promotion.figures.cv_upper is not None
    assert promotion.figures.cv_upper > 0.15 > promotion.figures.cv > promotion.figures.proving_cv
    assert promotion.statement.startswith("screened, not proved: ")
    assert f"{promotion.figures.cv_upper:.3g}" in promotion.statement


@pytest.mark.parametrize(
    ("changed", "rule"),
    [
        pytest.param({"passed": False}, "passed", id="a run that held"),
        pytest.param({"contract": "b" * 64}, "contract", id="another contract"),
        pytest.param({"setting": SETTING | {"environment": "dev"}}, "setting", id="another environment"),
        pytest.param({"value": None, "problem": "it has no load account"}, "figure", id="no figure"),
        pytest.param({"samples": 71}, "samples", id="too few answers for a percentile"),
        pytest.param({"value": 140.0}, "range", id="one run far off"),
        pytest.param({"attempt": 9, "earlier": ()}, "consecutive", id="of another run control"),
    ],
)
def test_one_run_that_is_unlike_the_others_refuses_the_block(changed: dict[str, object], rule: str) -> None:
    block = numbered()
    block[2] = dataclasses.replace(block[2], **changed)  # type: ignore[arg-type]

    promotion = blocks.judge(block, TERMS, None)

    assert promotion.exit_code == 3
    assert rule in rules(promotion)


def test_windows_that_overlap_are_no_runs_one_after_the_other() -> None:
    block = numbered()
    block[3] = dataclasses.replace(block[3], window=windows.Window(block[2].window.start, cases.moment(4e6)))

    assert "overlap" in rules(blocks.judge(block, TERMS, None))


def test_without_attempts_and_without_a_place_nobody_can_tell_what_was_left_out() -> None:
    block = [run(number, value) for number, value in enumerate(ALIKE)]

    assert rules(blocks.judge(block, TERMS, None)) == ["consecutive"]
    assert blocks.judge(block, TERMS, show(*block)).promoted


def test_a_run_between_them_is_named_by_attempts_and_by_the_place() -> None:
    whole = [run(number, 100.0 + number % 2, attempt=number) for number in range(1, 7)]
    block = whole[:2] + whole[3:]
    unnumbered = [dataclasses.replace(each, attempt=None, earlier=(), claimed=None) for each in whole]

    by_attempts = blocks.judge(block, TERMS, None)
    by_place = blocks.judge(unnumbered[:2] + unnumbered[3:], TERMS, show(*unnumbered))

    assert by_attempts.history.left_out == by_place.history.left_out == ["run-003"]
    assert rules(by_attempts) == rules(by_place) == ["consecutive"]


@pytest.mark.parametrize(("before", "promoted"), [(0, True), (1, False), (4, False), (5, True), (10, True)])
def test_blocks_follow_one_another_and_never_slide(before: int, promoted: bool) -> None:
    block = numbered(first=before + 1)
    place_runs = show(*(run(number) for number in range(1, before + 1)), *block)
    unnumbered = [dataclasses.replace(each, attempt=None, earlier=(), claimed=None) for each in block]

    for judged in (blocks.judge(block, TERMS, None), blocks.judge(unnumbered, TERMS, place_runs)):
        assert judged.promoted is promoted
        assert judged.history.runs_before == before
        assert rules(judged) == ([] if promoted else ["block"])


@pytest.mark.parametrize("breaks", [{"verdict": "HOLD"}, {"verdict": None}, {"contract": "d" * 64}])
def test_a_run_that_held_or_has_no_verdict_or_other_terms_begins_a_new_streak(breaks: dict[str, str | None]) -> None:
    block = numbered(first=4)
    before = (earlier(1), earlier(2), earlier(3, **breaks))  # type: ignore[arg-type]
    block = [dataclasses.replace(each, earlier=(*before, *each.earlier[3:])) for each in block]

    promotion = blocks.judge(block, TERMS, None)

    assert promotion.promoted
    assert promotion.history.runs_before == 0


@pytest.mark.parametrize(("count", "words"), [(4, "4 runs named"), (6, "6 runs named")])
def test_a_block_has_exactly_as_many_runs_as_were_declared(count: int, words: str) -> None:
    block = [run(number, attempt=number) for number in range(1, count + 1)]

    with pytest.raises(errors.UsageError, match=words):
        blocks.judge(block, TERMS, None)


def test_a_run_cannot_stand_for_two() -> None:
    block = numbered()

    with pytest.raises(errors.UsageError, match="run-001 stands twice"):
        blocks.judge([*block[:4], block[0]], TERMS, None)


@hypothesis.settings(max_examples=40)
@hypothesis.given(
    values=st.lists(st.sampled_from((90.0, 95.0, 100.0, 104.0, 108.0, 140.0)), min_size=5, max_size=5),
    shuffled=st.randoms(use_true_random=False),
)
def test_the_order_in_which_runs_are_named_changes_no_byte(values: list[float], shuffled: random.Random) -> None:
    block = numbered(tuple(values))
    mixed = block.copy()
    shuffled.shuffle(mixed)

    assert blocks.judge(mixed, TERMS, show(*block)).content() == blocks.judge(block, TERMS, show(*block)).content()


HISTORIES = st.lists(st.sampled_from(("alike", "alike", "alike", "far", "held")), min_size=6, max_size=13)


@hypothesis.settings(max_examples=60)
@hypothesis.given(history=HISTORIES, by_attempts=st.booleans(), chosen=st.data())
def test_no_choice_of_runs_promotes_but_a_block_of_its_streak(
    history: list[str], by_attempts: bool, chosen: st.DataObject
) -> None:
    """Runs that were far off or held cannot be left out: what promotes is a block of its streak."""
    whole = []
    for number, kind in enumerate(history, start=1):
        named = tuple(earlier(at, "HOLD" if history[at - 1] == "held" else "PASS") for at in range(1, number))
        value = 300.0 if kind == "far" else 100.0 + (number * 37) % 7
        each = run(number, value, attempt=number, earlier=named, passed=kind != "held")
        whole.append(each if by_attempts else dataclasses.replace(each, attempt=None, claimed=None, earlier=()))
    places = chosen.draw(st.permutations(range(len(whole))))[:5]

    promotion = blocks.judge([whole[place] for place in places], TERMS, None if by_attempts else show(*whole))

    first = min(places)
    streak = 0
    while first - streak > 0 and history[first - streak - 1] != "held":
        streak += 1
    allowed = sorted(places) == list(range(first, first + 5)) and streak % 5 == 0
    kinds = {history[place] for place in places}
    if promotion.promoted:
        assert allowed
        assert kinds <= {"alike"} or kinds == {"far"}
    elif allowed and kinds == {"alike"}:
        assert set(rules(promotion)) <= {"trend", "spread"}


def test_a_promotion_whose_decision_its_figures_do_not_give_is_not_read() -> None:
    refused = blocks.judge(numbered((100.0, 108.0, 116.6, 126.0, 136.0)), TERMS, None)
    forged = refused.model_copy(update={"decision": "PROMOTED", "reasons": []})
    slid = blocks.judge(numbered(first=2), TERMS, None).model_copy(update={"decision": "PROMOTED", "reasons": []})
    loose = refused.model_copy(update={"limits": refused.limits.model_copy(update={"max_over_min_at_most": 2.0})})

    scarce = [run(number, value, attempt=number, samples=71) for number, value in enumerate(ALIKE, start=1)]
    few = blocks.judge(scarce, TERMS, None).model_copy(update={"decision": "PROMOTED", "reasons": []})
    unasked = few.model_copy(update={"limits": few.limits.model_copy(update={"samples_at_least": None})})
    other = blocks.judge(numbered(), TERMS, None).model_copy(update={"gate": "admit_ratio"})
    spread = promotions.BlockFiguresEntry.from_values(values=(100.0, 100.1, 100.0, 100.2, 100.1))
    prettier = blocks.judge(numbered(), TERMS, None).model_copy(update={"figures": spread})
    bare = prettier.model_copy(update={"figures": None})
    tried = (
        *((prettier, "figures are not those of its runs"), (bare, "figures are not those of its runs")),
        *((forged, "range, trend"), (slid, "block"), (loose, "limits")),
        *((few, "samples"), (unasked, "limits"), (other, "admit_ratio is always required")),
    )
    for value, words in tried:
        with pytest.raises(errors.EvidenceCorrupt, match=words):
            promotions.read(value.content())


@pytest.mark.parametrize("value", [1e300, 1e-300])
def test_a_promotion_with_a_figure_that_nothing_measures_is_not_read(value: float) -> None:
    promotion = blocks.judge(numbered(), TERMS, None).document()
    promotion["runs"][0]["value"] = value

    with pytest.raises(errors.EvidenceCorrupt, match="value"):
        promotions.read(canonical.encode(promotion))
