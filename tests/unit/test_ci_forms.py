"""SARIF by its schema and by the rules of code scanning, JUnit by a parser of it, annotations by their grammar,
Markdown by a renderer, CSV by a reader."""

import csv
import dataclasses
import functools
import html
import io
import json
import re
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis
import jsonschema
import junitparser
import markdown_it
import pytest
from hypothesis import strategies

from burst.domain.verdict import differences
from burst.report import comparison, history_csv, junit, markdown, outcomes, sarif, workflow_commands
from tests import cases

SCHEMA = Path(__file__).parents[1] / "fixtures" / "sarif" / "sarif-schema-2.1.0.json"
FILE = "m10_f_burst_snapshot.json"
HOSTILE = "::error::x\r\n::add-mask::y % , : \x1b[2J | <img src=x> [a](http://b) @team `c`"


@functools.cache
def held() -> dict[str, Any]:
    """The snapshot of a run that missed its profile, and of which nobody asked about B2."""
    asked = [fact for fact in cases.plan_value()["facts"] if not fact["blocker"].endswith("B2")]
    return cases.passing(facts=asked).having(metrics=cases.metrics(counts=cases.counts(0, 10002))).document()


@functools.cache
def passed() -> dict[str, Any]:
    """The snapshot of a run that passed."""
    return cases.passing().document()


def of(document: dict[str, Any]) -> outcomes.EvidenceOutcome:
    """The outcome of sound evidence."""
    snapshot = cases.read_back(document).snapshot
    return outcomes.EvidenceOutcome(
        state="ok",
        why="PASS" if snapshot.overall_pass else "HOLD",
        exit_code=snapshot.exit_code,
        place="/home/me/runs/m10_x",
        execution_id=snapshot.execution_id,
        document=FILE,
        snapshot=snapshot,
    )


def changed() -> outcomes.EvidenceOutcome:
    """A run that held, after one that passed."""
    change = differences.compare(cases.read_back(passed()).snapshot, cases.read_back(held()).snapshot)
    return dataclasses.replace(of(held()), change=change)


BROKEN = outcomes.EvidenceOutcome(
    state="corrupt", why="/home/me/runs/m10_x: a document has another digest", exit_code=8, place="/home/me/runs/m10_x"
)
OUTCOMES: dict[str, Callable[[], outcomes.EvidenceOutcome]] = {
    "a pass": lambda: of(passed()),
    "a hold": lambda: of(held()),
    "a regression": changed,
    "not compared": lambda: dataclasses.replace(of(held()), uncompared="other schemas"),
    "broken": lambda: BROKEN,
}
every_outcome = pytest.mark.parametrize("name", OUTCOMES)


# SARIF


@functools.cache
def schema() -> jsonschema.Draft4Validator:
    """The schema that OASIS publishes."""
    return jsonschema.Draft4Validator(json.loads(SCHEMA.read_bytes()))


@every_outcome
@pytest.mark.parametrize("passes", [False, True])
def test_sarif_keeps_its_schema_and_the_rules_of_code_scanning(name: str, passes: bool) -> None:
    log = sarif.render(OUTCOMES[name](), passes=passes)

    assert [error.message for error in schema().iter_errors(log)] == []
    (run,) = log["runs"]
    rules = {rule["id"]: rule for rule in run["tool"]["driver"]["rules"]}
    assert len(rules) == len(run["tool"]["driver"]["rules"])
    for rule in rules.values():
        assert 0 < len(rule["shortDescription"]["text"]) <= 1024
        assert 0 < len(rule["fullDescription"]["text"]) <= 1024
        assert "burst runbook " in rule["help"]["text"]
        assert len(rule["properties"]["tags"]) <= 20
    for result in run["results"]:
        assert result["ruleId"] in rules
        assert result["message"]["text"]
        assert result["level"] in ("none", "note", "warning", "error")
        (location,) = result["locations"]
        uri = urllib.parse.urlsplit(location["physicalLocation"]["artifactLocation"]["uri"])
        assert (uri.scheme, uri.netloc) == ("", "")
        assert not uri.path.startswith("/")
        assert ".." not in uri.path.split("/")
        assert location["physicalLocation"]["region"]["startLine"] >= 1
    assert "/home/" not in json.dumps(log)


def test_sarif_shows_no_alert_for_what_passes_unless_it_is_asked_for() -> None:
    def kinds(outcome: outcomes.EvidenceOutcome, *, passes: bool) -> set[str]:
        return {result["kind"] for result in sarif.render(outcome, passes=passes)["runs"][0]["results"]}

    assert kinds(of(passed()), passes=False) == set()
    assert kinds(of(passed()), passes=True) == {"pass"}
    assert kinds(of(held()), passes=False) <= {"fail", "open"}
    assert kinds(BROKEN, passes=False) == {"fail"}


def test_no_word_of_a_document_is_a_link_or_a_control_character_of_an_alert() -> None:
    document = json.loads(json.dumps(passed()))
    document["gates"][0].update(status="FAIL", why=f"{HOSTILE} [mend it](https://b.example)")

    texts = [result["message"]["text"] for result in sarif.render(of(document))["runs"][0]["results"]]

    assert any("mend it" in text for text in texts)
    assert not any(re.search(r"\]\(|[\x00-\x08\x1b]", text) for text in texts)


def test_a_gate_that_was_lost_is_a_problem() -> None:
    document = passed()
    fewer = {**document, "gates": [gate for gate in document["gates"] if gate["name"] != "max_lag"]}
    change = differences.compare(cases.read_back(document).snapshot, cases.read_back(fewer).snapshot)

    (result,) = sarif.render(dataclasses.replace(of(fewer), change=change))["runs"][0]["results"]

    assert (result["ruleId"], result["kind"], result["baselineState"]) == ("B7/max_lag", "fail", "absent")


# JUnit


@every_outcome
def test_junit_is_read_by_a_parser_of_it_with_time_and_file(name: str) -> None:
    outcome = OUTCOMES[name]()

    (suite,) = junitparser.JUnitXml.fromstring(junit.render(outcome))

    read = list(suite)
    assert suite.tests == len(read)
    assert suite.failures + suite.errors == sum(bool(case.result) for case in read) - suite.skipped
    assert (suite.failures + suite.errors > 0) == (outcome.exit_code != 0)
    if outcome.snapshot is not None:
        assert suite.time == 990
        assert suite.timestamp == "2026-02-21T02:00:00"
        assert {case._elem.get("file") for case in read} == {FILE}


def test_a_blocker_that_its_own_gate_opened_fails_once_and_one_without_a_gate_fails_too() -> None:
    (suite,) = junitparser.JUnitXml.fromstring(junit.render(of(held())))

    failed = [(case.classname, case.name) for case in suite if case.result]
    assert ("M10F-B2", "blocker: semantic drift") in failed
    assert ("M10F-B1", "admit_ratio") in failed
    assert not [name for blocker, name in failed if blocker == "M10F-B1" and name.startswith("blocker")]


# Annotations

COMMAND = re.compile(
    r"::(?P<name>error|warning|notice) "
    r"(?P<properties>[a-zA-Z]+=[^,:\r\n]*(,[a-zA-Z]+=[^,:\r\n]*)*)"
    r"::(?P<message>[^\r\n]*)"
)


def read_command(line: str) -> dict[str, str]:
    """A workflow command, undone as the runner undoes it."""
    found = COMMAND.fullmatch(line)
    assert found is not None, line
    properties = dict(part.split("=", 1) for part in found["properties"].split(","))
    return {name: urllib.parse.unquote(text) for name, text in {**properties, **found.groupdict()}.items()}


@every_outcome
def test_every_annotation_keeps_the_grammar_of_workflow_commands(name: str) -> None:
    outcome = OUTCOMES[name]()

    commands = [read_command(line) for line in workflow_commands.render(outcome).splitlines()]

    assert commands
    assert all(command["line"] == "1" and not command["file"].startswith("/") for command in commands)
    assert ("error" in {command["name"] for command in commands}) == (outcome.exit_code != 0)


def test_each_open_blocker_has_an_error_with_its_name_and_reason() -> None:
    commands = [read_command(line) for line in workflow_commands.render(of(held())).splitlines()]

    titles = {command["title"]: command["message"] for command in commands}
    assert titles["M10F-B2 semantic drift"] == "the plan declares no fact for it"
    assert "M10F-B1 profile not achieved" in titles


@hypothesis.given(words=strategies.text())
@hypothesis.example(words=HOSTILE)
def test_no_text_of_a_document_begins_a_command_or_moves_a_cursor(words: str) -> None:
    document = json.loads(json.dumps(passed()))
    document["blocker_register"][0].update(open=True, why=words, title=f"t {words}")

    shown = workflow_commands.render(of(document))

    assert all(letter.isprintable() or letter == "\n" for letter in shown)
    for line in shown.splitlines():
        read_command(line)


def gates_like(document: dict[str, Any], count: int, **changed: Any) -> dict[str, Any]:
    """The document with so many more gates, each like the first one but for its name and what is changed."""
    more = [{**document["gates"][0], "name": f"fact_{number}", **changed} for number in range(count)]
    return {**document, "gates": [*document["gates"], *more]}


@pytest.mark.parametrize(("count", "counted"), [(10, False), (11, True), (300, True)])
def test_annotations_that_github_would_leave_out_are_counted_first(count: int, counted: bool) -> None:
    """GitHub shows the first ten of a level."""
    document = gates_like(json.loads(json.dumps(passed())), count, status="FAIL", mode="informational")

    commands = [read_command(line) for line in workflow_commands.render(of(document)).splitlines()]

    warnings = [command for command in commands if command["name"] == "warning"]
    assert ("GitHub shows 10" in warnings[0]["message"]) == counted
    assert len(warnings) == count + counted
    assert [command["name"] for command in commands if command["name"] != "warning"] == ["notice"]


def test_a_regression_comes_before_the_blockers_that_may_be_too_many() -> None:
    commands = [read_command(line) for line in workflow_commands.render(changed()).splitlines()]

    assert commands[0]["title"].startswith("regressed since ")


# Lengths


def test_words_without_end_and_gates_without_number_fit_what_a_forge_shows() -> None:
    """A fact may answer with a megabyte; a summary of a step holds one, and a comment 65,536 characters."""
    words = "a|&<`" * 1000
    document = gates_like(json.loads(json.dumps(passed())), 300, status="FAIL", measured=words, why=words)
    for entry in document["blocker_register"]:
        entry.update(open=True, why=words * 200)
    outcome = of(document)

    text = markdown.render(outcome)
    assert len(text) <= 65_536
    assert re.search(r"^\d+ gates more: ", text, re.MULTILINE)
    assert max(map(len, workflow_commands.render(outcome).splitlines())) < 10_000
    results = sarif.render(outcome)["runs"][0]["results"]
    assert max(len(result["message"]["text"]) for result in results) <= 5000
    suite = next(iter(junitparser.JUnitXml.fromstring(junit.render(outcome))))
    assert max(len(str(result.message)) for case in suite for result in case.result) <= 1000


# Markdown


@pytest.mark.parametrize(
    "words",
    [
        *("#12", "a/b#12", "GH-12", "gh-12", "!34", "@team", "~label", "%milestone", "$5", '%"a b"'),
        *("https://b.example", "HTTP://b.example", "www.b.example", "mailto:a", "ssh://b.example"),
    ],
)
def test_no_forge_finds_a_reference_in_words_of_a_document(words: str) -> None:
    """A forge looks for references in the page that the Markdown became, where no backslash stands any more."""
    document = json.loads(json.dumps(passed()))
    document["blocker_register"][0].update(open=True, why=f"see {words} there")

    page = markdown_it.MarkdownIt("gfm-like", {"linkify": False}).render(markdown.render(of(document)))

    assert "see " in page
    assert f"see {words}" not in html.unescape(page)


@hypothesis.given(words=strategies.text(min_size=1))
@hypothesis.example(words=HOSTILE)
@hypothesis.example(words="| a | b |\n|---|---|\n<script>alert(1)</script>")
def test_what_a_document_says_is_text_and_no_markup(words: str) -> None:
    document = json.loads(json.dumps(passed()))
    document["blocker_register"][0].update(open=True, why=words)
    document["gates"][0].update(name=words, why=words, status="FAIL")

    page = markdown_it.MarkdownIt("gfm-like", {"linkify": False}).render(markdown.render(of(document)))

    assert re.findall(r"<(?!/?(h3|p|ul|li|strong|code|table|thead|tbody|tr|th|td|details|summary)\b)[a-z]", page) == []
    assert "@team" not in page


@every_outcome
def test_the_summary_begins_with_the_answer_and_names_every_open_blocker(name: str) -> None:
    outcome = OUTCOMES[name]()
    text = markdown.render(outcome)

    first = text.splitlines()[0]
    word = {0: "PASS", 3: "HOLD", 8: "no verdict"}[outcome.exit_code]
    assert first.startswith(f"### burst: {word}")
    for entry in outcome.snapshot.open_entries if outcome.snapshot else ():
        assert f"burst runbook blocker-{entry.blocker.rpartition('-')[2].lower()}" in text


# CSV


@pytest.mark.parametrize("words", ["=1+1", "+1", "-1", "@x", "\t=1", "\n=1", " =1", "\uff1d1+1"])
def test_no_text_in_the_history_is_a_formula(words: str) -> None:
    run = comparison.ListedRun(execution_id=words, state="corrupt", snapshot=None)

    (row,) = csv.DictReader(io.StringIO(history_csv.render([run])))

    assert row["execution_id"] == f"'{words}"


def test_history_as_csv_has_a_row_an_attempt_and_nothing_where_nothing_is_known() -> None:
    runs = [
        comparison.ListedRun(execution_id="one", state="ok", snapshot=cases.read_back(passed()).snapshot),
        comparison.ListedRun(execution_id="two", state="ok", snapshot=cases.read_back(held()).snapshot),
        comparison.ListedRun(execution_id="=cmd()", state="corrupt", snapshot=None),
    ]

    one, two, three = csv.DictReader(io.StringIO(history_csv.render(runs)))

    assert (one["verdict"], one["multiplier"], one["admits"]) == ("PASS", "3.000026613439787", "18840")
    assert (two["verdict"], two["admits"], two["open_blockers"]) == ("HOLD", "0", "M10F-B1 M10F-B2")
    assert (three["execution_id"], three["evidence"], three["admits"]) == ("'=cmd()", "corrupt", "")
    assert one["started_utc"] == "2026-02-21T02:00:00Z"
