"""Closures: the field's worked cases to the digit, and that nothing that is taken away ever unlocks."""

import copy
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from burst.domain.basics import canonical, errors
from burst.domain.closure import closures, compared_runs, score_files
from burst.report import runbook_pages
from tests import closing


def _score_s5(**changes: Any) -> score_files.ScoreFile:
    measure = {"name": "s5", "path": "/runtime/s5", "unit": "s", "at_most": 180.0, "reduced_by": "20%", **changes}
    return closing.parse_score(name="s5", measures=[measure])


def test_s4_is_unlocked_by_87_98_percent() -> None:
    closure = closing.score(closing.parse_score(), closing.GOOD, closing.vary(runtime={"s4": 54.875}))

    assert (closure.decision.result, closure.exit_code) == ("UNLOCK_POPT4", 0)
    assert closure.runtime["s4"].baseline_s == 456.687
    assert closure.runtime["s4"].candidate_s == 54.875
    assert f"{closure.runtime['s4'].improvement_fraction:.4%}" == "87.9841%"
    assert "+87.98 %" in closing.find_check(closure, "s4").why
    assert closure.decision.all_veto_clear
    assert closure.decision.all_runtime_clear


@pytest.mark.parametrize(
    ("seconds", "percent", "unlocked"), [(221.969, "8.72", False), (208.937, "14.08", False), (32.235, "86.74", True)]
)
def test_s5_holds_or_unlocks_by_its_figure(seconds: float, percent: str, unlocked: bool) -> None:
    closure = closing.score(_score_s5(), closing.GOOD, closing.vary(runtime={"s5": seconds}))

    assert closure.unlocked is unlocked
    assert closure.decision.result == ("UNLOCK_POPT4" if unlocked else "HOLD_POPT3_REOPEN")
    assert closure.exit_code == (0 if unlocked else 3)
    assert f"{closure.runtime['s5'].improvement_fraction * 100:.2f}" == percent
    assert f"+{percent} %" in closing.find_check(closure, "s5").why


@pytest.mark.parametrize(
    ("decimals", "seconds", "unlocked"),
    [(3, 365.350, True), (3, 365.351, False), (None, 365.3496, True), (None, 365.3497, False), (None, 365.350, False)],
)
def test_the_boundary_of_a_reduction_is_exact(decimals: int | None, seconds: float, unlocked: bool) -> None:
    """20 % of 456.687 s leave 365.3496 s; figures of three decimals are quoted as 365.350 s."""
    measure = {"name": "s4", "path": "/runtime/s4", "unit": "s", "at_most": 360.0, "reduced_by": "20%"}
    file = closing.parse_score(measures=[measure | ({} if decimals is None else {"decimals": decimals})])

    closure = closing.score(file, closing.GOOD, closing.vary(runtime={"s4": seconds}))

    assert closure.unlocked is unlocked
    assert closing.find_check(closure, "s4").required == (365.35 if decimals else 365.3496)


def test_a_bound_of_its_own_is_enough() -> None:
    measure = {"name": "s4", "path": "/runtime/s4", "unit": "s", "at_most": 365.350}

    at_it, above = (
        closing.score(closing.parse_score(measures=[measure]), closing.GOOD, closing.vary(runtime={"s4": seconds}))
        for seconds in (365.350, 365.351)
    )

    assert at_it.unlocked
    assert not above.unlocked


def test_a_rate_has_to_rise() -> None:
    measure = {"name": "eps", "path": "/eps", "unit": "eps", "at_least": 6000, "raised_by": "20%"}
    file = closing.parse_score(measures=[measure])

    raised, fallen = (
        closing.score(file, closing.vary(eps=3000), closing.vary(eps=value)) for value in (3600, 3599.999)
    )

    assert raised.unlocked
    assert not fallen.unlocked


@pytest.mark.parametrize(
    ("name", "changes", "status"),
    [
        ("status_pass", {"status": "FAIL"}, "FAIL"),
        ("status_pass", {"status": 1}, "FAIL"),
        ("status_pass", {"status": None}, "INVALID"),
        ("counts_unchanged", {"counts": {"rows": 35_700_001, "cases": 412}}, "FAIL"),
        ("counts_unchanged", {"counts": {"rows": 35_700_000}}, "FAIL"),
        ("counts_unchanged", {"counts": {"rows": 35_700_000, "cases": "412"}}, "FAIL"),
        ("counts_unchanged", {"counts": None}, "INVALID"),
        ("warning_non_regression", {"warnings": 4}, "FAIL"),
        ("warning_non_regression", {"warnings": "3"}, "INVALID"),
        ("outputs", {"outputs": {"overlay": ""}}, "FAIL"),
        ("outputs", {"outputs": {}}, "INVALID"),
        ("keyset", {"anchors": {"anchor_00": 0}}, "FAIL"),
        ("keyset", {"anchors": 12}, "INVALID"),
        ("s4", {"runtime": {"s4": "54.875"}}, "INVALID"),
        ("s4", {"runtime": {"s4": True}}, "INVALID"),
        ("s4", {"runtime": {"s4": 0}}, "INVALID"),
        ("s4", {"runtime": {}}, "INVALID"),
    ],
)
def test_each_rail_holds_by_itself(name: str, changes: dict[str, Any], status: str) -> None:
    closure = closing.score(closing.parse_score(), closing.GOOD, closing.vary(**{"runtime": {"s4": 54.875}, **changes}))

    assert closing.find_check(closure, name).status == status
    assert [failure.split()[0] for failure in closure.failures] == [name]
    assert closure.decision.result == "HOLD_POPT3_REOPEN"


@pytest.mark.parametrize("baseline", [0, 0.0, -1.0])
def test_no_part_of_a_baseline_without_time_is_a_gain(baseline: float) -> None:
    closure = closing.score(
        closing.parse_score(), closing.vary(runtime={"s4": baseline}), closing.vary(runtime={"s4": 54.875})
    )

    assert closing.find_check(closure, "s4").status == "INVALID"
    assert not closure.unlocked


@pytest.mark.parametrize(
    ("baseline", "candidate"), [(1e-300, 1e300), (1e300, 1e-300), (5e-324, 1.0), (456.687, 1e308), (1e308, 54.875)]
)
def test_figures_that_nothing_measures_hold_and_end_nothing(baseline: float, candidate: float) -> None:
    measure = {"name": "s4", "path": "/runtime/s4", "at_least": 1, "raised_by": 1e6}
    file = closing.parse_score(measures=[measure])
    runs = [closing.vary(runtime={"s4": figure}) for figure in (baseline, candidate)]

    check = closing.find_check(closing.score(file, *runs), "s4")

    assert check.status == "INVALID"
    assert "which nothing measures; allowed: 0, or from 1e-100 to 1e+100 either way" in check.why


def test_no_rounding_makes_a_loss_of_a_gain() -> None:
    """A fifth less than 0.9 is 0.72, which is 1 without decimals: more than the baseline has."""
    measure = {"name": "s4", "path": "/runtime/s4", "reduced_by": "20%", "decimals": 0}
    file = closing.parse_score(measures=[measure])

    slower, faster = (
        closing.score(file, closing.vary(runtime={"s4": 0.9}), closing.vary(runtime={"s4": figure}))
        for figure in (1.0, 0.72)
    )

    assert not slower.unlocked
    assert faster.unlocked


def test_a_document_with_nan_is_no_document() -> None:
    scoring = closing.make_scoring(closing.parse_score(), closing.GOOD, closing.GOOD)
    spoiled = closing.make_file(closing.GOOD)
    content = spoiled.documents["report.json"].replace(b"456.687", b"NaN")
    candidate = compared_runs.ComparedRun(
        source="c", name="report.json", sha256="1" * 64, documents={"report.json": content}
    )

    closure = closures.score(
        closures.Scoring(file=scoring.file, sha256=scoring.sha256, baseline=scoring.baseline, candidates=(candidate,))
    )

    assert not closure.unlocked
    assert {check.status for check in closure.checks if check.name != "another_run"} == {"INVALID"}


def test_a_run_does_not_improve_on_itself() -> None:
    """A target that the baseline meets already would unlock for nothing."""
    closure = closing.score(
        closing.parse_score(), closing.vary(runtime={"s4": 54.0}), closing.vary(runtime={"s4": 54.0})
    )

    assert closing.find_check(closure, "another_run").status == "INVALID"
    assert not closure.unlocked


def test_tolerances_are_of_the_baseline() -> None:
    rails = [
        {"name": "rows", "rail": "same", "path": "/counts/rows", "tolerance": "1%"},
        {"name": "warns", "rail": "not_worse", "better": "lower", "path": "/warnings", "tolerance": 2},
    ]
    file = closing.parse_score(vetoes=rails)
    fast = {"runtime": {"s4": 54.875}}

    kept = closing.score(file, closing.GOOD, closing.vary(**fast, counts={"rows": 36_057_000}, warnings=5))
    lost = closing.score(file, closing.GOOD, closing.vary(**fast, counts={"rows": 36_057_001}, warnings=6))

    assert kept.unlocked
    assert [failure.split()[0] for failure in lost.failures] == ["rows", "warns"]


def test_the_best_valid_candidate_is_named_and_failures_are_listed() -> None:
    fastest_but_wrong = closing.vary(runtime={"s4": 10.0}, counts={"rows": 1})
    closure = closing.score(
        closing.parse_score(),
        closing.GOOD,
        closing.vary(runtime={"s4": 300.0}),
        fastest_but_wrong,
        closing.vary(runtime={"s4": 54.875}),
        closing.vary(runtime={"s4": 400.0}),
    )

    assert closure.candidate.run_root == "candidate_3/report.json"
    assert closure.best == closure.candidate.run_id
    assert [entry.decision.unlocked for entry in closure.candidates] == [True, False, True, False]
    assert [entry.failures[0].split()[0] for entry in closure.candidates if entry.failures] == [
        "counts_unchanged",
        "s4",
    ]


def test_anchors_hold_what_the_rails_compared() -> None:
    closure = closing.score(closing.parse_score(), closing.GOOD, closing.vary(runtime={"s4": 54.875}, warnings=2))

    assert closure.count_anchors.keys == ["counts_unchanged.cases", "counts_unchanged.rows"]
    assert closure.count_anchors.candidate_counts["counts_unchanged.rows"] == 35_700_000
    assert closure.warning_anchors.baseline_counts == {"warning_non_regression": 3}
    assert closure.veto == dict.fromkeys(closure.veto, True)
    assert closure.gates.runtime_gate_rule == "s4 <= 360.0 s or reduced by >= 20 %"


def test_a_text_that_must_not_be_shown_is_no_answer() -> None:
    rails = [{"name": "link", "rail": "same", "path": "/link"}]
    secret = {"link": "https://user:hunter2@host/x"}

    closure = closing.score(
        closing.parse_score(vetoes=rails), closing.vary(**secret), closing.vary(**secret, runtime={"s4": 54.0})
    )

    assert not closure.unlocked
    assert b"hunter2" not in closure.content()


def test_what_stands_beside_a_missing_figure_is_not_told() -> None:
    """A document may hold a secret anywhere; only what a pointer leads to is looked at before it is shown."""
    secret = {"status": "PASS", "note": "Authorization: Bearer c2VjcmV0LXRva2Vu"}

    closure = closing.score(closing.parse_score(), closing.GOOD, secret)

    assert "c2VjcmV0LXRva2Vu" not in closure.content().decode()
    assert (
        "nothing at /runtime/s4: the top is an object without the key 'runtime'"
        in closing.find_check(closure, "s4").why
    )


def test_same_evidence_gives_the_same_bytes() -> None:
    first, second = (
        closing.score(closing.parse_score(), closing.GOOD, closing.vary(runtime={"s4": 54.875})) for _ in range(2)
    )

    assert first.content() == second.content()
    assert closures.read(first.content()) == first
    assert canonical.encode(canonical.decode(first.content())) == first.content()


def _list_paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(value, dict):
        return [path, *(inner for key, part in value.items() for inner in _list_paths(part, (*path, key)))]
    return [path]


def _take_away(value: Any, path: tuple[Any, ...]) -> Any:
    spoiled = copy.deepcopy(value)
    at = spoiled
    for step in path[:-1]:
        at = at[step]
    del at[path[-1]]
    return spoiled


REPORTS = st.fixed_dictionaries(
    {
        "status": st.sampled_from(["PASS", "FAIL"]),
        "runtime": st.fixed_dictionaries({"s4": st.sampled_from([54.875, 365.3496, 365.35, 456.687, 0.0])}),
        "counts": st.fixed_dictionaries({"rows": st.integers(0, 2)}),
        "warnings": st.integers(2, 4),
        "outputs": st.fixed_dictionaries({"overlay": st.sampled_from(["", "overlay.parquet"])}),
        "anchors": st.dictionaries(st.sampled_from(["a", "b"]), st.just(1)),
    }
)


@hypothesis.given(data=st.data(), baseline=REPORTS, candidate=REPORTS)
def test_taking_something_away_never_unlocks(data: st.DataObject, baseline: Any, candidate: Any) -> None:
    """A member less in the baseline's document, in the candidate's, or a whole document less."""
    file = closing.parse_score()
    before = closing.score(file, baseline, candidate)
    side = data.draw(st.sampled_from(["baseline", "candidate"]))
    value = baseline if side == "baseline" else candidate
    path = data.draw(st.sampled_from([path for path in _list_paths(value) if path]))
    spoiled = _take_away(value, path)
    pair = (spoiled, candidate) if side == "baseline" else (baseline, spoiled)

    after = closing.score(file, *pair)

    hypothesis.note(f"{path} of the {side}: {before.decision.reason} -> {after.decision.reason}")
    assert before.unlocked or not after.unlocked or _is_only_lost_counter(path)


def _is_only_lost_counter(path: tuple[Any, ...]) -> bool:
    """A member of a compared object that only one side has differs; taken away there, both are equal. A rail names the
    members that it has to hold by paths of their own."""
    return path[0] in ("counts", "anchors") and len(path) > 1


@hypothesis.given(data=st.data(), baseline=REPORTS, candidate=REPORTS)
def test_a_score_that_drops_a_check_never_unlocks_for_the_active_baseline(
    data: st.DataObject, baseline: Any, candidate: Any
) -> None:
    value = closing.score_value()
    section = data.draw(st.sampled_from(["measures", "vetoes"]))
    dropped = data.draw(st.sampled_from(value[section]))
    value[section] = [entry for entry in value[section] if entry is not dropped]
    value["measures"] = value["measures"] or [{"name": "other", "path": "/warnings", "at_most": 100}]
    scoring = closing.make_scoring(closing.parse_score(**value), baseline, candidate)
    active = closures.ActiveRef(number=0, sha256="1" * 64, score=closures.ScoreRef(name="s.yaml", sha256="2" * 64))

    closure = closures.score(
        closures.Scoring(
            file=scoring.file,
            sha256=scoring.sha256,
            baseline=scoring.baseline,
            candidates=scoring.candidates,
            active=active,
            active_score=closing.parse_score(),
        )
    )

    assert not closure.unlocked
    assert closing.find_check(closure, "same_score").status == "INVALID"


@pytest.mark.parametrize(
    ("bound", "weaker"),
    [
        ({"at_most": 360.0, "reduced_by": "20%"}, False),
        ({"at_most": 350.0, "reduced_by": "25%"}, False),
        ({"at_most": 360.0}, False),
        ({"at_most": 361.0, "reduced_by": "20%"}, True),
        ({"at_most": 360.0, "reduced_by": "19%"}, True),
    ],
)
def test_only_a_looser_bound_is_weaker(bound: dict[str, Any], weaker: bool) -> None:
    measure = {"name": "s4", "path": "/runtime/s4", "unit": "s", **bound}

    changed = closures.list_weaker(closing.parse_score(), closing.parse_score(measures=[measure]))

    assert changed == (("s4",) if weaker else ())


def test_a_weaker_score_has_to_be_named_with_its_why() -> None:
    rails = closing.score_value()["vetoes"][:-1]
    file = closing.parse_score(vetoes=rails, weakened=[{"check": "keyset", "why": "anchors are gone since v7"}])
    scoring = closing.make_scoring(file, closing.GOOD, closing.vary(runtime={"s4": 54.875}))
    active = closures.ActiveRef(number=0, sha256="1" * 64, score=closures.ScoreRef(name="s.yaml", sha256="2" * 64))

    closure = closures.score(
        closures.Scoring(
            file=file, sha256=scoring.sha256, baseline=scoring.baseline, candidates=scoring.candidates, active=active,
            active_score=closing.parse_score(),
        )
    )  # fmt: skip

    assert closure.unlocked
    assert "weaker score: keyset" in closing.find_check(closure, "same_score").why


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"measures": None}, "a measure; or pair"),
        ({"vetoes": None}, "a veto rail beside measures"),
        ({"decision": {"unlock": "UNLOCK_X", "hold": "PASS"}}, "such as HOLD_M11"),
        ({"measures": [{"name": "s4", "path": "/a", "at_most": 1, "at_least": 2}]}, "at_most, reduced_by or both"),
        ({"measures": [{"name": "s4", "path": "a", "at_most": 1}]}, "a JSON pointer"),
        ({"measures": [{"name": "s4", "lane": "publish", "at_most": 1}]}, "'arm', 'before'"),
        ({"measures": [{"name": "s4", "path": "/a", "reduced_by": "100%"}]}, "less than 1"),
        ({"vetoes": [{"name": "s4", "rail": "present", "path": "/a"}]}, "s4 stands twice"),
        ({"vetoes": [{"name": "w", "rail": "not_worse", "path": "/a"}]}, "better: lower"),
        ({"vetoes": [{"name": "w", "rail": "same", "path": "/a", "tolerence": 1}]}, "did you mean tolerance?"),
    ],
)
def test_a_score_file_is_refused_with_its_line(changes: dict[str, Any], line: str) -> None:
    with pytest.raises(errors.UsageError) as refusal:
        closing.parse_score(**changes)

    assert "score.yaml:1: " in str(refusal.value)
    assert line in str(refusal.value)


def test_a_problem_is_at_its_own_line() -> None:
    text = "schema: burst.score/v1\nname: x\nmeasures:\n  - name: s4\n    path: /a\n    at_mst: 3\n"

    with pytest.raises(errors.UsageError, match=r"score.yaml:6: measures\[0\].at_mst: saw an unknown key"):
        score_files.parse(text, source="score.yaml")


@pytest.mark.parametrize("name", ["score-runs", "score-report", "score-pair", "score-reproducibility"])
def test_the_example_scores_are_score_files(name: str) -> None:
    path = runbook_pages.find_folder() / "plans" / f"{name}.yaml"

    assert score_files.parse(path.read_text(), source=path.name).decision.unlock.startswith("UNLOCK_")
