"""The consumer's commands as a user types them: exit codes, stdout, formats."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from burst.cli import main
from burst.domain.documents import document_names
from burst.kit import aws
from tests import cases, fixtures_aws
from tests.evidence import evidencing
from tests.evidence.evidencing import SNAPSHOT
from tests.fixtures_aws import Cloud

Shown = pytest.CaptureFixture[str]
FIRST, SECOND = evidencing.run_id(1), evidencing.run_id(2)


def run(*arguments: str | Path) -> int:
    """`burst` within this process, for speed."""
    return main.main([str(word) for word in arguments])


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A PASS, and after it a HOLD."""
    folder = tmp_path / "runs"
    evidencing.folder(folder, FIRST, evidencing.published(evidencing.case(FIRST)))
    evidencing.folder(folder, SECOND, evidencing.published(evidencing.case(SECOND, passing=False)))
    return folder


def test_latest_shows_the_newest_and_exits_by_its_verdict(runs: Path, capsys: Shown) -> None:
    code = run("evidence", "latest", runs, "--phase", "M10.F", "--json")
    value = json.loads(capsys.readouterr().out)

    assert code == value["exit_code"] == 3
    assert (value["execution_id"], value["blockers"]) == (SECOND, ["M10F-B1"])


@pytest.mark.parametrize("form", ["text", "json", "junit", "sarif"])
def test_no_name_reaches_the_terminal_as_a_command_to_it(form: str, capsys: Shown) -> None:
    code = run("verify", "nowhere\x1b]0;owned\x07\x9b2J\udcff", "--format", form)
    shown = "".join(capsys.readouterr())

    assert code == 7
    assert "nowhere" in shown
    assert all(letter.isprintable() or letter == "\n" for letter in shown)


def test_a_name_longer_than_any_file_has_is_absent_or_unknown_and_no_crash(tmp_path: Path, capsys: Shown) -> None:
    assert run("verify", "x" * 5000) == 7
    assert run("report", "x" * 5000) == 7


def test_latest_of_nothing_and_of_a_place_on_s3_that_is_none(tmp_path: Path, cloud: Cloud, capsys: Shown) -> None:
    assert run("evidence", "latest", tmp_path / "nowhere", "--json") == 7
    assert json.loads(capsys.readouterr().out)["state"] == "absent"
    assert run("evidence", "latest", "s3://no-such-bucket-here/control", "--json") == 9
    assert json.loads(capsys.readouterr().out)["state"] == "unknown"


class Unordered:
    """A client of a store that lists in no order, as directory buckets do."""

    def __init__(self, real: Any) -> None:
        self._real = real

    def __getattr__(self, operation: str) -> Any:
        return getattr(self._real, operation)

    def list_objects_v2(self, **parameters: Any) -> Any:
        answer = self._real.list_objects_v2(**parameters)
        for kind in ("CommonPrefixes", "Contents"):
            answer[kind] = answer.get(kind, [])[::-1]
        return answer


@pytest.mark.parametrize(
    "words",
    [
        ("evidence", "latest", "--phase", "M10.F"),
        ("evidence", "ls"),
        ("history", "--phase", "M10.F"),
        ("evidence", "prune", "--keep", "1", "--grace", "0s", "--yes"),
    ],
    ids=["latest", "ls", "history", "prune"],
)
def test_no_command_names_a_newest_run_where_the_store_does_not_list_in_order(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, capsys: Shown, words: tuple[str, ...]
) -> None:
    for execution_id, passing in ((FIRST, True), (SECOND, False)):
        made = evidencing.published(evidencing.case(execution_id, passing=passing))
        evidencing.on_s3(cloud.s3, f"{cloud.place}/{execution_id}", made)
    real = aws.client
    monkeypatch.setattr(aws, "client", lambda *names, **settings: Unordered(real(*names, **settings)))

    code = run(*words, cloud.place)
    shown = capsys.readouterr()

    assert code == 9, shown
    assert "does not list in order" in shown.out + shown.err
    assert "PASS" not in shown.out
    listed = cloud.s3.list_objects_v2(Bucket=fixtures_aws.BUCKET, Prefix=f"{cloud.name}/{FIRST}/")
    assert listed["KeyCount"] > 3  # nothing was removed


def test_everything_works_alike_on_s3(cloud: Cloud, tmp_path: Path, capsys: Shown) -> None:
    place = f"{cloud.place}/control"
    for execution_id, passing in ((FIRST, True), (SECOND, False)):
        made = evidencing.published(evidencing.case(execution_id, passing=passing))
        evidencing.on_s3(cloud.s3, f"{place}/{execution_id}", made)
    one, two = f"{place}/{FIRST}", f"{place}/{SECOND}"

    assert run("verify", one) == 0
    assert run("evidence", "latest", place, "--phase", "M10.F") == 3
    assert run("evidence", "diff", one, two) == 3
    assert run("evidence", "ls", place) == 0
    assert run("history", place, "--phase", "M10.F") == 0
    assert run("evidence", "bundle", one, "-o", tmp_path / "b.zip") == 0
    assert run("verify", tmp_path / "b.zip") == 0
    assert run("evidence", "prune", place, "--keep", "0", "--grace", "0s", "--yes") == 0
    assert run("verify", one) == 8
    assert "pruned, see pruned.json" in capsys.readouterr().out


def test_diff_tells_the_regression_and_exits_3(runs: Path, capsys: Shown) -> None:
    code = run("evidence", "diff", runs / FIRST, runs / SECOND)
    shown = capsys.readouterr().out

    assert code == 3
    assert shown.startswith(f"{FIRST} -> {SECOND}: regressed\nopened B1\n")
    assert "updated   B1 admit_ratio, regressed: PASS 1 -> FAIL 0 (-1)" in shown
    assert run("evidence", "diff", runs / SECOND, runs / FIRST) == 0


def spoil_a_document(folder: Path) -> None:
    (folder / cases.METRICS).write_bytes(b"{}")


def spoil_the_schema(folder: Path) -> None:
    (folder / SNAPSHOT).write_bytes(b'{"schema":"burst.snapshot/v2"}')


def remove_the_snapshot(folder: Path) -> None:
    (folder / SNAPSHOT).unlink()


@pytest.mark.parametrize(
    ("spoil", "code"), [(spoil_a_document, 8), (spoil_the_schema, 9), (remove_the_snapshot, 7)], ids=["8", "9", "7"]
)
def test_diff_exits_by_what_does_not_hold(runs: Path, spoil: Any, code: int, capsys: Shown) -> None:
    spoil(runs / SECOND)

    assert run("evidence", "diff", runs / FIRST, runs / SECOND) == code
    assert capsys.readouterr().err.startswith("burst: ")


@pytest.mark.parametrize("side", [FIRST, SECOND])
@pytest.mark.parametrize(
    ("spoil", "state", "code"),
    [
        (spoil_a_document, "corrupt", 8),
        (spoil_the_schema, "unsupported-schema", 9),
        (remove_the_snapshot, "incomplete", 7),
    ],
    ids=["8", "9", "7"],
)
def test_a_diff_for_ci_holds_what_is_not_sound_as_a_failing_result(
    runs: Path, spoil: Any, state: str, code: int, side: str, capsys: Shown
) -> None:
    spoil(runs / side)

    assert run("evidence", "diff", runs / FIRST, runs / SECOND, "--format", "junit") == code
    junit = capsys.readouterr()
    assert run("evidence", "diff", runs / FIRST, runs / SECOND, "--format", "sarif") == code
    sarif = capsys.readouterr()

    (suite,) = ElementTree.fromstring(junit.out)  # noqa: S314 (made here)
    (told,) = suite.iterfind("testcase[@name='comparison']/error")
    (result,) = [one for one in json.loads(sarif.out)["runs"][0]["results"] if one["ruleId"] == "difference"]
    assert (result["kind"], result["level"]) == ("fail", "error")
    assert state in result["message"]["text"]
    assert str(told.get("message")).startswith(f"{runs / side}: {state}: ")
    assert junit.err == sarif.err
    assert junit.err.startswith("burst: ")


@pytest.mark.parametrize("spoil", [None, remove_the_snapshot], ids=["sound", "without a snapshot"])
def test_every_result_of_sarif_lies_in_a_file_because_a_forge_shows_no_other(
    runs: Path, spoil: Any, capsys: Shown
) -> None:
    if spoil is not None:
        spoil(runs / SECOND)

    run("evidence", "diff", runs / FIRST, runs / SECOND, "--format", "sarif")

    (log,) = json.loads(capsys.readouterr().out)["runs"]
    places = [location["physicalLocation"] for result in log["results"] for location in result["locations"]]
    assert len(places) == len(log["results"])
    name = SNAPSHOT if spoil is None else "plan.json"
    assert all(place == {"artifactLocation": {"uri": name}, "region": {"startLine": 1}} for place in places)


def test_ls_prints_a_table_and_with_json_one_object_a_line(runs: Path, capsys: Shown) -> None:
    assert run("evidence", "ls", runs, "--limit", "1") == 0
    table = capsys.readouterr()
    assert run("evidence", "ls", runs, "--json") == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    assert table.out.splitlines()[1].split()[:3] == [SECOND, "HOLD", "ok"]
    assert f"--before {SECOND}" in table.err
    assert [(line["execution_id"], line["exit_code"]) for line in lines] == [(SECOND, 3), (FIRST, 0)]


def test_history_shows_the_chain_and_what_changed(tmp_path: Path, capsys: Shown) -> None:
    held = evidencing.published(evidencing.case(FIRST, passing=False))
    evidencing.folder(tmp_path, FIRST, held)
    evidencing.folder(tmp_path, SECOND, evidencing.published(evidencing.case(SECOND, prior=held[SNAPSHOT])))

    assert run("history", tmp_path, "--phase", "M10.F") == 0
    lines = capsys.readouterr().out.splitlines()

    assert [line.split()[0] for line in lines] == ["RUN", FIRST, SECOND, "cleared"]
    assert FIRST in lines[2]
    assert lines[3] == "    cleared B1"


def test_formats_for_ci_go_to_stdout_with_the_same_exit_code(runs: Path, capsys: Shown) -> None:
    assert run("verify", runs / SECOND, "--format", "junit") == 3
    suite = ElementTree.fromstring(capsys.readouterr().out)[0]  # noqa: S314 (made here)
    assert run("evidence", "diff", runs / FIRST, runs / SECOND, "--format", "sarif") == 3
    log = json.loads(capsys.readouterr().out)
    assert run("verify", runs / SECOND, "--format", "json") == 3
    assert json.loads(capsys.readouterr().out)["state"] == "ok"

    failed = {case.get("name") for case in suite if case.find("failure") is not None}
    assert {"achieved_multiplier", "admit_ratio"} <= failed
    states = {result["ruleId"]: result["baselineState"] for result in log["runs"][0]["results"]}
    assert states["B1/admit_ratio"] == "updated"


def test_where_no_run_is_it_is_said_where_they_were_looked_for(tmp_path: Path, capsys: Shown) -> None:
    (tmp_path / "runs" / "deeper").mkdir(parents=True)
    evidencing.folder(tmp_path / "runs" / "deeper", FIRST, evidencing.published(evidencing.case(FIRST)))

    assert run("evidence", "ls", tmp_path) == 0
    assert run("history", tmp_path, "--phase", "M10.F") == 0

    shown = capsys.readouterr()
    assert shown.out == "no runs\nno runs\n"
    where = f" in {tmp_path}, and in the folders of demos and rehearsals there\n"
    assert shown.err == f"looked for runs{where}looked for runs of phase M10.F{where}"


def test_runs_of_a_folder_below_such_as_that_of_a_demo_are_found(runs: Path, capsys: Shown) -> None:
    assert run("evidence", "ls", runs.parent) == 0

    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["RUN", SECOND, FIRST]


def test_prune_is_a_dry_run_until_it_is_told_yes(runs: Path, tmp_path: Path, capsys: Shown) -> None:
    keep = tmp_path / "keep.txt"
    keep.write_text(f"# what the release rests on\n{SECOND}  # the last one\n")
    words = ("evidence", "prune", runs, "--keep-set", keep, "--grace", "0s")

    assert run(*words) == 0
    dry = capsys.readouterr().out
    assert (runs / FIRST / document_names.PLAN).exists()
    assert run(*words, "--yes", "--json") == 0
    told = {one["execution_id"]: one["kept"] for one in json.loads(capsys.readouterr().out)["runs"]}

    assert "nothing was removed, --yes removes it" in dry
    assert told == {SECOND: "it is named to be kept", FIRST: None}
    assert not (runs / FIRST / document_names.PLAN).exists()
    assert (runs / FIRST / SNAPSHOT).exists()


def test_prune_needs_to_be_told_what_to_keep(runs: Path, capsys: Shown) -> None:
    assert run("evidence", "prune", runs) == 2
    assert "--keep N" in capsys.readouterr().err


def test_prune_keeps_the_run_behind_a_baseline_file(runs: Path, tmp_path: Path, capsys: Shown) -> None:
    provenance = {**cases.baseline_value()["provenance"], "execution_id": FIRST}
    (tmp_path / "b.json").write_bytes(cases.baseline(provenance=provenance))

    words = ("--keep", "0", "--grace", "0s", "--baseline", tmp_path / "b.json", "--json")
    assert run("evidence", "prune", runs, *words) == 0

    told = {one["execution_id"]: one["kept"] for one in json.loads(capsys.readouterr().out)["runs"]}
    assert told == {SECOND: None, FIRST: "it is named to be kept"}


def test_a_bundle_is_never_written_over_a_file(runs: Path, tmp_path: Path, capsys: Shown) -> None:
    (tmp_path / "b.zip").write_bytes(b"mine")

    assert run("evidence", "bundle", runs / FIRST, "-o", tmp_path / "b.zip") == 2
    assert (tmp_path / "b.zip").read_bytes() == b"mine"
    assert "nothing was overwritten" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", [["verify"], ["report", "-o", "r.html"], ["evidence", "bundle", "-o", "b.zip"]], ids=lambda words: words[0]
)
def test_a_rerun_away_from_its_prior_is_believed_only_when_told_so(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Shown
) -> None:
    monkeypatch.chdir(tmp_path)
    held = evidencing.published(evidencing.case(FIRST, passing=False))
    rerun = evidencing.folder(tmp_path, SECOND, evidencing.published(evidencing.case(SECOND, prior=held[SNAPSHOT])))

    assert run(*words, rerun) == 9
    assert sorted(path.name for path in tmp_path.iterdir()) == [SECOND]
    assert run(*words, rerun, "--ignore-priors") == 0
    assert f"prior {FIRST} is not-here" in "".join(capsys.readouterr())
    assert run("baseline", "make", rerun, "-o", "b.json") == 9
