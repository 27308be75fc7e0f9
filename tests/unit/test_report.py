"""Reports: the same bytes for the same documents, everything escaped, nothing fetched, no figure that flatters."""

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

import hypothesis
import pytest
from hypothesis import strategies as st

from burst.domain.basics import canonical, errors, instants
from burst.domain.documents import models
from burst.domain.verdict import snapshots
from burst.report import figures, html, junit, outcomes, pages, sarif, terminal
from tests import cases

HOSTILE = "</td><script>alert(1)</script><img src=x onerror=alert(2)>'\"&"
BUCKETS = [{**cases.window(60 + 300 * index, 300), "counts": cases.counts(6280, 7 * index)} for index in range(3)]
METRICS = cases.metrics(
    bucket_seconds=300.0, buckets=BUCKETS, counts=cases.counts(18840, 21), sql="select 1", binds={"scope": cases.SCOPE}
)


def passing() -> cases.Case:
    return cases.passing().having(metrics=METRICS)


def holding() -> cases.Case:
    return passing().having(metrics=cases.metrics(counts=cases.counts(0, 10002)))


class Page(HTMLParser):
    """The tags, attributes and text of a page, as a browser would take them apart."""

    INLINE = ("span", "wbr", "code", "a")
    """The tags that part no words."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(content.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        self.words.append("" if tag in self.INLINE else " ")

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).split())


def test_the_verdict_comes_first_in_words() -> None:
    assert terminal.render(passing().verdict().snapshot).startswith("PASS  M10.F  run m10_20260221T020923Z")
    assert terminal.render(holding().verdict().snapshot).startswith("HOLD  M10.F")


def test_the_words_name_each_open_blocker_with_why_and_where_things_lie() -> None:
    shown = terminal.render(holding().verdict().snapshot, folder="runs/m10_20260221T020923Z")

    assert "M10F-B1  profile not achieved (open)" in shown
    assert "0 of 10002 admitted" in shown
    assert re.search(r"FAIL +admit_ratio +measured 0, required at least 0\.995", shown)
    assert "[2026-02-21T02:01:00Z, 2026-02-21T02:16:00Z)" in shown
    assert "ADMIT 0, DUPLICATE 10,002" in shown
    assert "runs/m10_20260221T020923Z" in shown


def test_the_figures_of_gates_stand_in_one_column_however_long_a_name_is() -> None:
    document = passing().document()
    named = {**document["gates"][0], "name": "unresolved_publishes_of_the_whole_scope"}

    shown = terminal.render(cases.read_back({**document, "gates": [*document["gates"], named]}).snapshot).splitlines()

    rows = [line for line in shown if line.startswith("  PASS")]
    column = len("  PASS         ") + len(named["name"]) + 1
    assert len(rows) > 5
    assert {line[column - 1 : column + 1].isspace() or line[column - 1] != " " for line in rows} == {False}


def test_the_window_from_the_first_start_is_not_called_the_attempt_which_begins_with_go() -> None:
    document = passing().document()

    (line,) = [
        line
        for line in terminal.render(cases.read_back(document).snapshot).splitlines()
        if line.startswith("tasks ran")
    ]

    assert document["burst_execution_window"]["start_utc"] in line


def test_a_verdict_of_nothing_can_be_shown() -> None:
    document = cases.Case(plan=cases.plan(), contents={}).document()

    assert terminal.render(cases.read_back(document).snapshot).startswith("HOLD")
    assert "not known" in Page(html.render(cases.read_back(document), {})).text


def test_a_hostile_text_moves_no_cursor() -> None:
    document = passing().document()
    document["blocker_register"][0].update(open=True, why="\x1b[2Jcleared\nPASS\u202e")

    shown = terminal.render(cases.read_back(document).snapshot)

    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert "?[2Jcleared PASS?" in shown


def test_the_words_call_a_window_what_it_is() -> None:
    """The attempt window begins at GO; the tasks ran longer, and the budget is measured on them."""
    shown = terminal.render(passing().verdict().snapshot)
    page = Page(html.render(passing().verdict(), cases.counted(METRICS))).text

    assert "tasks ran       [2026-02-21T02:00:00Z, 2026-02-21T02:16:30Z), 990 s" in shown
    assert "Tasks ran [2026-02-21T02:00:00Z, 2026-02-21T02:16:30Z), 990 s, first start to last stop" in page


def test_seconds_are_said_to_be_seconds_and_a_most_is_no_least() -> None:
    measured = {**METRICS, "clock_skew_seconds": 0.25, "clock_round_trip_seconds": 0.0}
    shown = terminal.render(passing().having(metrics=measured).verdict().snapshot)
    nothing = terminal.render(cases.Case(plan=cases.plan(), contents={}).verdict().snapshot)

    assert "measured 900 s, required at least 900 s\n" in shown
    assert "measured 0.25 s, required at most 2 s\n" in shown
    assert "measured 990 s, required at most 5,400 s\n" in shown
    assert "measured not known, required at most 5,400 s\n" in nothing


def outcome(document: dict[str, Any] | None) -> outcomes.EvidenceOutcome:
    """Sound evidence of a snapshot, or none."""
    return outcomes.EvidenceOutcome(
        state="ok",
        why="PASS",
        exit_code=0,
        place="here",
        execution_id=cases.EXECUTION_ID,
        snapshot=cases.read_back(document).snapshot if document is not None else None,
    )


@pytest.mark.parametrize(
    ("name", "measured", "required"),
    [
        ("max_lag", "3", "at most 10"),
        ("publish_ambiguous", "0", "equals 0"),
        ("achieved_multiplier", "3.000026613", "at least 3"),
        ("runtime_budget", "990 s", "at most 5,400 s"),
        ("tasks_held", "2", "at least 2"),
    ],
)
def test_every_form_says_in_which_direction_a_gate_is_asked(name: str, measured: str, required: str) -> None:
    document = passing().document()
    (gate,) = [gate for gate in document["gates"] if gate["name"] == name]
    words = f"measured {measured}, required {required}"

    suite = junit.render(outcome(spoiled(document, name))).decode()
    (result,) = [
        one
        for one in sarif.render(outcome(document), passes=True)["runs"][0]["results"]
        if one["ruleId"].endswith(name)
    ]

    assert re.search(rf"{name} +{re.escape(words)}\n", terminal.render(cases.read_back(document).snapshot))
    assert f"{measured} {required} {gate['why']}" in Page(html.render(cases.read_back(document), {})).text
    assert words in suite
    assert words in result["message"]["text"]
    assert result["properties"]["comparison"] == gate["comparison"]
    assert (result["properties"]["measured"], result["properties"]["unit"]) == (gate["measured"], gate["unit"])


def spoiled(document: dict[str, Any], name: str) -> dict[str, Any]:
    """The document with one gate failing, so that JUnit has words for it."""
    told = [{**gate, "status": "FAIL"} if gate["name"] == name else gate for gate in document["gates"]]
    return {**document, "gates": told}


def test_a_document_of_before_gates_told_their_direction_is_read_and_shown_without_one() -> None:
    document = passing().document()
    for entry in [*document["gates"], *document["lag_checkpoint_checks"]["checks"]]:
        entry.pop("comparison")
        entry.pop("unit", None)

    read = models.read(snapshots.Snapshot, canonical.encode(document))

    assert {gate.comparison for gate in read.gates} == {None}
    assert "measured 3, required 10\n" in terminal.render(cases.read_back(document).snapshot)
    assert "measured 3, required 10" in junit.render(outcome(spoiled(document, "max_lag"))).decode()


@pytest.mark.parametrize("status", ["INCONCLUSIVE", "MARGINAL", "pass", ""])
def test_an_answer_no_gate_of_this_version_gives_is_nowhere_shown_as_a_pass(status: str) -> None:
    """Such a snapshot has no model, so no report can be made of it, and evidence without one is an error."""
    document = passing().document()
    document["gates"] = [{**document["gates"][0], "status": status}]

    with pytest.raises(errors.EvidenceCorrupt, match="status"):
        cases.read_back(document)
    (suite,) = ElementTree.fromstring(junit.render(outcome(None)))  # noqa: S314 (made here)
    (result,) = sarif.render(outcome(None))["runs"][0]["results"]
    assert [case.find("error") is not None for case in suite] == [True]
    assert result["kind"] == "fail"


def test_what_misses_a_limit_by_less_than_is_shown_is_shown_whole() -> None:
    document = passing().document()
    (gate,) = [gate for gate in document["gates"] if gate["name"] == "achieved_multiplier"]
    gate.update(status="FAIL", measured=2.9999999999999996)

    assert "measured 2.9999999999999996, required at least 3" in terminal.render(cases.read_back(document).snapshot)
    assert "2.9999999999999996" in Page(html.render(cases.read_back(document), {})).text


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        pytest.param({}, "UserInitiated 0 controller", id="by a layer"),
        pytest.param({"stopped_by": None, "stop_code": "X"}, "X 0 itself", id="by itself"),
        pytest.param({"stopped_by": None}, "UserInitiated 0 somebody", id="by a person, or what burst does not know"),
        pytest.param(
            {"stopped_by": None, "stop_code": "SpotInterruption"}, "SpotInterruption 0 AWS", id="a Spot task, taken"
        ),
        pytest.param(
            {"stopped_by": None, "stop_code": "TaskFailedToStart", "exit_code": None},
            "TaskFailedToStart nobody, it never started",
            id="failed to start",
        ),
        pytest.param({"stopped_by": None, "stopped_utc": None}, "not seen UserInitiated 0 not known", id="not seen"),
    ],
)
def test_the_page_says_of_each_task_who_stopped_it_as_far_as_that_is_known(changes: dict[str, Any], words: str) -> None:
    tasks = [cases.task(0), cases.task(1, **changes)]

    page = Page(html.render(passing().having(task_result=cases.task_result(tasks=tasks)).verdict(), {}))

    assert words in page.text.partition("task-1")[2]


def test_the_page_says_how_counting_came_to_rest_and_what_it_cost() -> None:
    rounds = [{"counted_utc": cases.at(1000), "counts": cases.counts(admit)} for admit in (18830, 18840, 18839)]
    metrics = {**METRICS, "settled": False, "settle_rounds": rounds, "late": cases.counts(9), "vanished": None}

    page = Page(html.render(passing().having(preflight=cases.preflight()).verdict(), cases.counted(metrics))).text

    assert "Counting 3 counts, settled: no; late: ADMIT 9, DUPLICATE 0, QUARANTINE 0, other 0; vanished:" in page
    assert "Cost 0.0264 USD estimated, 0.1000 USD at most" in page


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "not known"),
        (True, "yes"),
        (False, "no"),
        (3, "3"),
        (3.0, "3"),
        (0.995, "0.995"),
        (18840, "18,840"),
        (418.66295264623955, "418.6629526"),
        (2.99999999, "2.99999999"),
        ("settled", "settled"),
    ],
)
def test_a_figure_is_printed_without_regard_to_its_type(value: models.Value, shown: str) -> None:
    assert figures.number(value) == shown


def test_the_page_is_the_same_from_memory_and_from_the_published_bytes() -> None:
    verdict = passing().verdict()

    from_memory = html.render(verdict, cases.counted(METRICS))
    from_files = html.render(
        snapshots.Verdict.read(verdict.content), cases.counted(canonical.decode(canonical.encode(METRICS)))
    )

    assert from_memory == from_files == html.render(verdict, cases.counted(METRICS))


def test_the_page_says_the_verdict_in_words_with_its_digest() -> None:
    verdict = holding().verdict()
    page = Page(html.render(verdict, {}))

    assert page.text.startswith("HOLD: M10.F, run m10_20260221T020923Z")
    assert canonical.digest(verdict.content) in page.text
    assert "profile not achieved" in page.text
    assert "0 of 10002 admitted" in page.text


def test_the_page_runs_no_script_and_fetches_nothing() -> None:
    content = html.render(passing().verdict(), cases.counted(METRICS))
    page = Page(content)
    policy = next(attributes for tag, attributes in page.tags if "http-equiv" in attributes)

    assert policy == {
        "http-equiv": "Content-Security-Policy",
        "content": "default-src 'none'; style-src 'unsafe-inline'",
    }
    assert not {"script", "link", "img", "iframe", "object", "base", "form"}.intersection(tag for tag, _ in page.tags)
    names = {name for _, attributes in page.tags for name in attributes}
    assert not [name for name in names if name == "src" or name.startswith("on")]
    targets = [str(attributes["href"]) for _, attributes in page.tags if "href" in attributes]
    sections = {attributes["id"] for _, attributes in page.tags if attributes.get("id")}
    assert {target.removeprefix("#") for target in targets} <= sections
    assert b"url(" not in content
    assert b"://" not in content


def test_the_chart_has_a_bar_for_each_bucket_and_the_required_rate() -> None:
    page = Page(html.render(passing().verdict(), cases.counted(METRICS)))
    drawn = {str(attributes["class"]): str(attributes["d"]) for tag, attributes in page.tags if tag == "path"}

    assert drawn["admit"].count("M") == len(BUCKETS)
    assert drawn["duplicate"].count("M") == len([bucket for bucket in BUCKETS if bucket["counts"]["DUPLICATE"]])
    assert "required: 1,255.989 a minute" in page.text
    assert "baseline: 418.663 a minute" in page.text
    assert page.text.count(" 0 1,256 ") == len(BUCKETS)


def test_every_figure_of_the_chart_stands_in_a_table_with_caption_and_scopes() -> None:
    page = Page(html.render(passing().verdict(), cases.counted(METRICS)))
    tables = [tag for tag, _ in page.tags if tag == "table"]

    assert len(tables) == len([tag for tag, _ in page.tags if tag == "caption"])
    assert all("scope" in attributes for tag, attributes in page.tags if tag == "th")
    assert "details" in [tag for tag, _ in page.tags]
    assert "10:00 02:11:00 300" in page.text


def test_a_page_says_which_task_counted_and_that_both_ways_brought_its_answer() -> None:
    counting = {"via": "task", "task_id": "arn:task/1", "answer": "count-002-answer_0003", "answer_sha256": "a" * 64}
    metrics = {**METRICS, "counting": {**counting, "agreed": ["log", "object"]}}

    counted_there = Page(html.render(passing().verdict(), cases.counted(metrics))).text
    counted_here = Page(html.render(passing().verdict(), cases.counted(METRICS))).text

    assert "By the task arn:task/1; its log and its object brought the same answer" in counted_there
    assert "a" * 64 in counted_there
    assert "By the task" not in counted_here


def test_counts_that_are_no_metrics_document_give_a_page_without_a_chart() -> None:
    page = Page(html.render(passing().verdict(), cases.counted({"schema": "burst.metrics/v1", "buckets": "none"})))

    assert "svg" not in [tag for tag, _ in page.tags]


SPOTS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "why of a blocker": lambda value: value["blocker_register"][0].update(why=HOSTILE),
    "why of a gate": lambda value: value["gates"][0].update(why=HOSTILE, measured=HOSTILE),
    "scope": lambda value: value.update(platform_run_id=HOSTILE),
    "execution id": lambda value: value.update(execution_id=HOSTILE),
    "task id": lambda value: value["burst_execution_window"]["tasks"][0].update(id=HOSTILE, stopped_by=HOSTILE),
    "baseline source": lambda value: value["baseline_extract"].update(source=HOSTILE),
    "document name": lambda value: value["evidence_refs"][0].update(name=HOSTILE),
    "layer": lambda value: value["runtime_budget"].update(layers=[{"name": "x", "state": "armed", "detail": HOSTILE}]),
    "early stop": lambda value: value["decision"].update(
        early_stop={"rule": HOSTILE, "at_utc": cases.at(1), "receipts_seen": 0, "seconds_saved": 1, "detail": HOSTILE}
    ),
    "verifier": lambda value: value["verifier"].update(name=HOSTILE),
}


@pytest.mark.parametrize("spoil", SPOTS.values(), ids=SPOTS.keys())
def test_a_hostile_text_stays_text(spoil: Callable[[dict[str, Any]], Any]) -> None:
    document = json.loads(passing().verdict().content)
    spoil(document)

    content = html.render(cases.read_back(document), cases.counted(METRICS))
    page = Page(content)

    assert b"<script" not in content
    assert b"<img" not in content
    assert "alert(1)" in page.text
    assert len(page.tags) >= len(Page(html.render(passing().verdict(), cases.counted(METRICS))).tags)


def test_hostile_sql_and_binds_stay_text() -> None:
    page = html.render(passing().verdict(), cases.counted({**METRICS, "sql": HOSTILE, "binds": {HOSTILE: HOSTILE}}))

    assert page.count(b"&lt;script&gt;alert(1)&lt;/script&gt;") == 3
    assert b"<script" not in page


@hypothesis.settings(max_examples=40)
@hypothesis.given(st.text(max_size=40))
def test_any_text_gives_the_same_tags_but_for_marks_at_which_it_may_break(words: str) -> None:
    document = json.loads(passing().verdict().content)
    document["gates"][0]["why"] = "why"
    plain = list_tags(html.render(cases.read_back(document), {}))
    document["gates"][0]["why"] = words

    assert list_tags(html.render(cases.read_back(document), {})) == plain


def list_tags(content: bytes) -> list[str]:
    """The tags of a page without the marks at which a word may break."""
    return [tag for tag, attributes in Page(content).tags if tag != "wbr" and attributes.get("class") != "t"]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("2026-02-21T02:00:41.048213Z", "2026-02-21T|02:00:41.048213Z"),
        ("platform_20260219T234150Z_2942ab", "platform_|20260219T234150Z_|2942ab"),
        ("runs/last/halt.json", "runs/|last/|halt.json"),
        ("admit_ratio of <b>3</b>", "admit_ratio of <b>3</|b>"),
    ],
)
def test_a_text_breaks_before_the_time_of_an_instant_and_of_an_id_and_after_a_slash(text: str, parts: str) -> None:
    marked = Page(pages.breakable(text).replace("<wbr>", "|").encode())

    assert marked.text == parts


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, "0s"), (0.5, "0.5s"), (20, "20s"), (60, "1m"), (990, "16m30s"), (5400, "90m")]
)
def test_a_duration_is_shown_as_plans_are_written(seconds: float, shown: str) -> None:
    assert figures.duration(seconds) == shown
    assert instants.parse_duration(shown) == seconds
