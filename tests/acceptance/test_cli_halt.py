"""`burst halt`: sets, shows and lifts the switch of a run control, here and on S3, and says whose it is."""

import json
from pathlib import Path
from typing import Any

import pytest

from burst.cli import main
from burst.domain.documents import halts, models
from tests import cases, fixtures_aws

REASON = "customers see errors"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own, and no run control in the environment."""
    monkeypatch.chdir(tmp_path)
    for name in ("BURST_RUN_CONTROL", "BURST_RUNS_DIR"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def answer(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, Any, str]:
    """Exit code, the document on stdout, and stderr."""
    code = main.main(["halt", *words, "--json"])
    said = capsys.readouterr()
    return code, json.loads(said.out) if said.out else None, said.err


def test_local_runs_are_halted_in_their_folder_until_it_is_lifted(capsys: pytest.CaptureFixture[str]) -> None:
    before = answer(capsys)
    halted = answer(capsys, "--reason", REASON)
    written = models.read(halts.Halt, Path("runs/halt.json").read_bytes())
    shown = answer(capsys)
    lifted = answer(capsys, "--lift")
    again = answer(capsys, "--lift")

    assert before[:2] == (0, {"place": "runs/halt.json", "halted": False, "halt": None})
    assert (halted[0], halted[1]["set"], halted[1]["halt"]) == (0, True, written.document())
    assert "burst halt --lift --runs-dir runs" in halted[2]
    assert (written.reason, "@" in written.by) == (REASON, True)
    assert shown[:2] == (0, {"place": "runs/halt.json", "halted": True, "halt": written.document()})
    assert (lifted[0], lifted[1]["lifted"], lifted[1]["was"]) == (0, True, written.document())
    assert (again[0], again[1]["lifted"], again[1]["was"]) == (0, False, None)
    assert not Path("runs/halt.json").exists()


def test_a_second_halt_names_the_first_and_changes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    first = answer(capsys, "--reason", REASON)
    content = Path("runs/halt.json").read_bytes()

    second = answer(capsys, "--reason", "me too")

    assert (second[0], second[1]["set"], second[1]["halt"]) == (0, False, first[1]["halt"])
    assert Path("runs/halt.json").read_bytes() == content


@pytest.mark.parametrize("words", [(), ("--reason", REASON)], ids=["shown", "halted again"])
def test_what_is_no_halt_cannot_be_told_and_can_only_be_lifted(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("runs").mkdir()
    Path("runs/halt.json").write_text('{"schema":"burst.halt/v9"}')

    code, _, said = answer(capsys, *words)
    lifted = answer(capsys, "--lift")

    assert code == 9
    assert "runs/halt.json" in said
    assert (lifted[0], lifted[1]["lifted"], lifted[1]["was"]) == (0, True, None)


@pytest.mark.parametrize(
    "words",
    [
        ("--reason", REASON, "--lift"),
        ("--reason", ""),
        ("--reason", " \n"),
        ("--reason", "x" * 1001),
        ("--run-control", "s3://bucket/x", "--runs-dir", "runs"),
        ("--run-control", "s3://Bucket/x"),
        ("--run-control", "s3://bucket"),
    ],
    ids=str,
)
def test_words_that_do_not_fit_are_refused_and_nothing_is_written(
    words: tuple[str, ...], here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert answer(capsys, *words)[0] == 2
    assert list(here.rglob("halt.json")) == []


def test_a_secret_in_the_reason_is_not_written(capsys: pytest.CaptureFixture[str]) -> None:
    answer(capsys, "--reason", "see postgresql://burst:hunter2@db/x?password=hunter2")

    assert "hunter2" not in Path("runs/halt.json").read_text()


def test_runs_on_s3_are_halted_under_their_run_control_by_place_variable_or_plan(
    cloud: fixtures_aws.Cloud, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = cases.plan(
        execution_id=None,
        target=fixtures_aws.target().model_dump(mode="json", exclude_none=True),
        evidence={"run_control": cloud.place},
    )
    (here / "plan.json").write_text(json.dumps(plan.document()))
    place = f"{cloud.place}/halt.json"

    halted = answer(capsys, "--reason", REASON, "--run-control", cloud.place)
    by_plan = answer(capsys, "--plan", "plan.json")
    monkeypatch.setenv("BURST_RUN_CONTROL", cloud.place)
    by_variable = answer(capsys)
    local = answer(capsys, "--runs-dir", "runs")
    lifted = answer(capsys, "--lift")

    assert (halted[0], halted[1]["place"]) == (0, place)
    assert f"burst halt --lift --run-control {cloud.place}" in halted[2]
    assert f"see each stopped: burst status RUN --run-control {cloud.place}" in halted[2]
    assert by_plan[1] == by_variable[1] == {"place": place, "halted": True, "halt": halted[1]["halt"]}
    assert local[1]["halted"] is False
    assert (lifted[0], lifted[1]["was"]) == (0, halted[1]["halt"])
    assert answer(capsys)[1]["halted"] is False
