"""`burst doctor` as a user types it: what is there, what is missing for which command."""

import json
from importlib import metadata
from pathlib import Path

import pytest

from burst.cli import main
from burst.sandbox import postgres_programs
from burst.wiring.preflight import machine
from tests import fixtures_aws

Shown = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine on which nothing of AWS is set up, and a folder to write to."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.chdir(tmp_path)


def asked(shown: Shown, *words: str) -> tuple[int, dict[str, dict[str, object]], list[str]]:
    code = main.main(["doctor", *words, "--json"])
    document = json.loads(shown.readouterr().out)
    return code, {part["name"]: part for part in document["parts"]}, document["missing"]


def test_a_whole_machine_is_said_with_versions_and_exits_0(capsys: Shown) -> None:
    code, parts, missing = asked(capsys)

    assert (code, missing) == (0, [])
    assert parts["pydantic"]["seen"] == metadata.version("pydantic")
    assert parts["extra load"]["needed_by"] == ["demo", "run", "rehearse", "locust"]
    assert "Python 3." in str(parts["python"]["seen"])
    assert parts["postgres"]["seen"] == str(postgres_programs.find_programs().path)
    assert "not configured" in str(parts["aws"]["seen"])


def test_an_extra_that_is_missing_matters_to_its_commands_alone(monkeypatch: pytest.MonkeyPatch, capsys: Shown) -> None:
    monkeypatch.setitem(machine.EXTRAS, "load", ("no_such_module_at_all", ("demo", "run")))

    assert asked(capsys)[0] == 0
    assert asked(capsys, "verify")[0] == 0
    code, parts, missing = asked(capsys, "verify", "run")
    assert (code, missing) == (4, ["extra load"])
    assert parts["extra load"]["mend"] == "pip install 'burst[load]'"


def test_a_runs_folder_that_cannot_be_written_is_broken_for_what_writes_there(tmp_path: Path, capsys: Shown) -> None:
    (tmp_path / "taken").write_text("mine")

    code, parts, missing = asked(capsys, "--runs-dir", str(tmp_path / "taken" / "runs"))

    assert (code, missing) == (4, ["runs folder"])
    assert "cannot be written" in str(parts["runs folder"]["seen"])
    assert asked(capsys, "verify", "--runs-dir", str(tmp_path / "taken" / "runs"))[0] == 0
    assert asked(capsys, "run", "--runs-dir", str(tmp_path / "taken" / "runs"))[0] == 4
    assert sorted(path.name for path in tmp_path.iterdir()) == ["taken"]


def test_credentials_that_are_set_up_are_tried(cloud: fixtures_aws.Cloud, capsys: Shown) -> None:
    code, parts, _ = asked(capsys)

    assert code == 0
    assert "arn:aws:" in str(parts["aws"]["seen"])
    assert "clocks: they agree" in str(parts["aws"]["seen"])


def test_credentials_that_do_not_answer_exit_4(monkeypatch: pytest.MonkeyPatch, capsys: Shown) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIANOBODY")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "nothing")
    monkeypatch.setenv("AWS_REGION", "eu-west-2")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")

    code, parts, missing = asked(capsys)

    assert (code, missing) == (4, ["aws"])
    assert parts["aws"]["status"] == "refused"
    assert asked(capsys, "demo", "verify")[::2] == (0, [])
    assert asked(capsys, "demo", "reap")[::2] == (4, ["aws"])


def test_credentials_without_a_region_exit_4_and_say_so(monkeypatch: pytest.MonkeyPatch, capsys: Shown) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIANOBODY")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "nothing")
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)

    code, parts, missing = asked(capsys, "reap")

    assert (code, missing) == (4, ["aws"])
    assert parts["aws"]["seen"] == "no AWS region is set; set AWS_REGION"


def test_a_command_there_is_not_is_wrong_usage(capsys: Shown) -> None:
    assert main.main(["doctor", "fly"]) == 2
    assert "no command fly" in capsys.readouterr().err
