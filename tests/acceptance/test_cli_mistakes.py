"""Mistakes of the command line, told as such: what was typed, what is meant perhaps, one exit code for one cause."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click import shell_completion

from burst.cli import common, main, painting
from burst.domain.basics import errors, runbooks
from burst.wiring import inputs
from tests import cases
from tests.reference_pages import commands

Shown = pytest.CaptureFixture[str]


def _takes_json(command: click.Command) -> bool:
    return any("--json" in parameter.opts for parameter in command.params)


OLD, NEW = "m10_20260220T020923Z_aaaaaa", "m10_20260221T020923Z_bbbbbb"


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a run, and one of a demo below it, which is newer."""
    monkeypatch.chdir(tmp_path)
    for folder in (OLD, f"demo_20260221T020920Z_cc/{NEW}", "attempts/m10_f"):
        (tmp_path / "runs" / folder).mkdir(parents=True)
    for folder in (OLD, f"demo_20260221T020920Z_cc/{NEW}"):
        (tmp_path / "runs" / folder / "plan.json").write_text("{}")
    return tmp_path / "runs"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["verfy", "x"], "there is no command verfy; did you mean burst verify"),
        (["diff", "a", "b"], "burst evidence diff"),
        (["evidence", "verfy"], "there is no command verfy; did you mean burst evidence verify?"),
        (["zzzz"], "there is no command zzzz\n"),
        (["--json", "status", "x"], "--json stands behind the command, as in: burst status RUN --json"),
        (["-q", "status", "x"], "-q stands behind the command"),
        (["status", "--jsn", "x"], "Did you mean '--json'"),
        (["schema", "plans"], "saw 'plans'; did you mean plan?; allowed: plan, snapshot"),
        (["init", "--target", "ecss"], "saw 'ecss'; did you mean ecs?; allowed: local, ecs"),
        (["latest", "runs", "--max-age", "soon"], "saw 'soon'"),
    ],
)
def test_a_mistake_is_told_with_what_is_meant_perhaps(words: list[str], told: str, capsys: Shown) -> None:
    assert main.main(words) == 2

    shown = capsys.readouterr()
    assert told in shown.err
    assert shown.err.count("allowed: plan, snapshot") <= 1
    assert (shown.out == "") == ("--json" not in words)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--only", "M10F-B77"], "--only: saw 'M10F-B77'; allowed: a blocker of M10.F"),
        (["--prior", "x"], "--prior needs --only"),
        (["--set", "budget.min_window=20"], "--set budget.min_window: saw 20; allowed: a duration with units"),
        (["--set", "budgt.max=5m"], "--set budgt.max: budgt: saw an unknown key"),
        (["--set", "facts=7"], "--set facts: saw"),
        (["--set", "="], "--set =: allowed: KEY=VALUE"),
    ],
)
def test_a_mistake_in_an_option_names_the_option_and_no_line(
    words: list[str], told: str, tmp_path: Path, capsys: Shown
) -> None:
    (tmp_path / "plan.yaml").write_text(str(cases.plan_value()).replace("None", "null"))

    assert main.main(["plan", str(tmp_path / "plan.yaml"), *words]) == 2

    shown = capsys.readouterr().err
    assert told in shown
    assert "command line's words" not in shown
    assert "plan.yaml:1" not in shown


@pytest.mark.parametrize(
    ("command", "launches"), [("plan", False), ("preflight", False), ("run", True), ("demo", True)]
)
def test_only_a_command_that_launches_says_that_it_launched_nothing(
    command: str, launches: bool, tmp_path: Path, capsys: Shown
) -> None:
    words = [command, "--no-such-option"] if command == "demo" else [command, str(tmp_path / "none.yaml")]

    assert main.main(words) == 2

    assert ("what to do: nothing was launched; mend what" in capsys.readouterr().err) == launches


@pytest.mark.parametrize("words", [["run", "--execution-id"], ["evidence", "diff", "--format"], ["plan"]])
def test_a_word_that_is_missing_is_told_with_the_help_of_its_command(words: list[str], capsys: Shown) -> None:
    assert main.main(words) == 2

    named = " ".join(word for word in words if not word.startswith("--"))
    assert f"Try `burst {named} --help`." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("named", "told"),
    [
        ("plan.yml", "is not there; did you mean {folder}/plan.yaml?"),
        ("nowhere/plan.yaml", "is not there; {folder}/nowhere is no folder"),
        (".", "is a folder; allowed: a file"),
        ("campaign.yaml", "saw 'burst.campaign/v1'; allowed: 'burst.plan/v1'; a campaign is for: burst campaign run"),
    ],
)
def test_a_plan_that_is_none_is_told_with_what_may_be_meant(
    named: str, told: str, tmp_path: Path, capsys: Shown
) -> None:
    (tmp_path / "plan.yaml").write_text(str(cases.plan_value()).replace("None", "null"))
    (tmp_path / "campaign.yaml").write_text("schema: burst.campaign/v1\nname: x\nsteps: []\n")

    assert main.main(["plan", str(tmp_path / named)]) == 2

    shown = capsys.readouterr().err
    assert told.replace("{folder}", str(tmp_path)) in shown
    assert shown.count("allowed:") <= 1


@pytest.mark.parametrize("command", [["verify"], ["report"], ["timing"], ["evidence", "bundle", "-o", "new.zip"]])
@pytest.mark.parametrize(
    ("run", "told"),
    [
        ("notes.txt", "notes.txt is a file, and no bundle of a run"),
        ("runs", f"runs is a folder of runs and no run; name one of them, the newest are: {NEW}, {OLD}"),
        (f"runs/{OLD[:-1]}", f"did you mean {OLD}?"),
        ("s3:/bucket/x", "an address begins with s3://"),
    ],
)
def test_what_is_no_run_is_not_taken_for_broken_evidence(
    command: list[str], run: str, told: str, runs: Path, capsys: Shown
) -> None:
    (runs.parent / "notes.txt").write_text("a note")

    assert main.main([*command, run]) == 7

    shown = capsys.readouterr()
    assert told in shown.out + shown.err
    assert "do not rely" not in shown.err
    assert "what to do: name a run by its id, its folder, or `last`" in shown.err


_FIND_AS_NOBODY = """
import os, pathlib, sys
from burst.cli import common
os.chdir(sys.argv[1])
if os.geteuid() == 0:  # root may list everything
    os.setuid(65534)
print(common.find_place(".", pathlib.Path("runs")))
"""


def test_a_folder_that_may_not_be_listed_is_left_to_verification_which_says_unknown(tmp_path: Path) -> None:
    tmp_path.chmod(0o111)

    sought = subprocess.run([sys.executable, "-c", _FIND_AS_NOBODY, str(tmp_path)], capture_output=True, text=True)
    tmp_path.chmod(0o700)

    assert (sought.stdout, sought.stderr) == (".\n", "")


_WRITE_TOO_MUCH = """
import pathlib, resource, sys
from burst.cli import common
from burst.domain.basics import errors
resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))
try:
    common.write_new(pathlib.Path(sys.argv[1]), b"more than ten bytes")
except errors.UsageError as exc:
    print(exc)
"""


def test_a_file_that_could_be_written_in_part_alone_is_left_out(tmp_path: Path) -> None:
    file = tmp_path / "new.json"

    written = subprocess.run([sys.executable, "-c", _WRITE_TOO_MUCH, str(file)], capture_output=True, text=True)

    assert (written.stdout, written.stderr) == (f"{file} cannot be written: File too large\n", "")
    assert not file.exists()


def test_a_frozen_plan_that_is_torn_is_broken_evidence_and_no_bug(runs: Path, capsys: Shown) -> None:
    (runs / OLD / "plan.json").write_bytes(b"\xff\xfe")
    (runs / OLD / "journal.jsonl").write_text("")

    with pytest.raises(errors.EvidenceCorrupt, match="is not the plan that was frozen: it is no UTF-8 text"):
        inputs.frozen_plan(runs / OLD)
    assert main.main(["status", OLD]) == 7, "by its journal no run began"
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("command", ["status", "stop", "resume", "reconcile", "report"])
def test_a_run_that_is_not_there_is_told_with_those_that_are(command: str, runs: Path, capsys: Shown) -> None:
    assert main.main([command, NEW.replace("bbbbbb", "bbbbbc")]) == 7

    shown = capsys.readouterr().err
    assert f"did you mean {NEW}?" in shown
    assert f"the newest there: {NEW}, {OLD}" in shown
    assert "name a run by its id, its folder, or `last`" in shown
    assert "burst resume" not in shown


@pytest.mark.parametrize(
    "words",
    [
        *(
            ["status"],
            ["stop"],
            ["resume"],
            ["reconcile"],
            ["verify"],
            ["report"],
            ["timing"],
            ["evidence", "hotspots"],
        ),
        *(["evidence", "bundle", "-o", "new.zip"], ["baseline", "make", "-o", "new.json"], ["evidence", "diff", OLD]),
    ],
)
def test_the_advice_for_a_run_that_is_not_there_names_only_options_of_the_command(
    words: list[str], runs: Path, capsys: Shown
) -> None:
    command = next(each.command for each in commands.list_commands() if each.words == " ".join(["burst", *words[:2]]))

    assert main.main([*words, "no-such-run"]) == 7

    (advice,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("what to do: ")]
    options = {name for parameter in command.params for name in parameter.opts}
    assert set(re.findall(r"--[a-z-]+", advice)) == options & {"--runs-dir", "--run-control"}


@pytest.mark.parametrize(
    "words",
    [
        *(["evidence", "ls"], ["latest"], ["history", "--phase", "M10.F"], ["evidence", "site", "-o", "pages"]),
        *(["evidence", "risks", "-o", "risks.md"], ["evidence", "prune", "--keep", "1"]),
    ],
)
@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("nowhere", "nowhere is not there, so it is no folder of runs"),
        (f"runs/{OLD}", f"runs/{OLD} is the folder of one run, and no folder of runs; the one above it is runs"),
    ],
)
def test_a_place_without_runs_is_told_as_such_and_not_as_a_run_that_has_to_be_resumed(
    words: list[str], place: str, told: str, runs: Path, capsys: Shown
) -> None:
    (runs / OLD / "tasks").mkdir()

    assert main.main([*words, place]) == 7

    shown = capsys.readouterr()
    assert told in shown.out + shown.err
    assert "what to do: name a folder of runs" in shown.err
    assert "burst resume" not in shown.err


@pytest.mark.parametrize("command", [each for each in commands.list_commands() if _takes_json(each.command)], ids=str)
def test_a_command_line_that_is_wrong_is_one_document_with_json(command: commands.Command, capsys: Shown) -> None:
    assert main.main([*command.words.split()[1:], "--json", "--no-such-option"]) == 2

    shown = capsys.readouterr()
    told = json.loads(shown.out)
    assert told == {
        "error": told["error"],
        "exit_code": 2,
        "what_to_do": told["what_to_do"],
        "see": "burst runbook exit-2",
    }
    assert told["error"].startswith("No such option '--no-such-option'.")
    assert f"burst: {told['error']}\nwhat to do: {told['what_to_do']}; see: {told['see']}\n" == shown.err


@pytest.mark.parametrize(
    ("words", "exit_code", "told"),
    [
        (["run", "nowhere.yaml", "--json"], 2, "plan nowhere.yaml is not there"),
        (["status", "nowhere", "--json"], 7, "no run nowhere"),
        (["evidence", "ls", "nowhere", "--json"], 7, "nowhere is not there"),
        (["evidence", "diff", OLD, "nowhere", "--format", "json"], 7, "no run nowhere"),
        (["evidence", "diff", OLD, "nowhere", "--format=json"], 7, "no run nowhere"),
        (["--json", "status", OLD], 2, "--json stands behind the command"),
        (["campaign", "--json"], 2, "No such option '--json'."),
        (["no-such-command", "--json"], 2, "there is no command no-such-command"),
    ],
)
def test_a_failure_is_one_document_with_json(
    words: list[str], exit_code: int, told: str, runs: Path, capsys: Shown
) -> None:
    assert main.main(words) == exit_code

    document = json.loads(capsys.readouterr().out)
    assert document["exit_code"] == exit_code
    assert document["error"].startswith(told)


@pytest.mark.parametrize(
    ("words", "documents"),
    [
        (["verify", "nowhere"], 0),
        (["verify", "nowhere", "--json"], 1),
        (["locust", "nowhere.py", "--", "--json"], 0),
        (["run", "nowhere.yaml", "--quiet"], 0),
    ],
)
def test_a_failure_is_at_most_one_document_and_none_without_json(
    words: list[str], documents: int, runs: Path, capsys: Shown
) -> None:
    main.main(words)

    assert capsys.readouterr().out.count('"exit_code"') == documents


@pytest.mark.parametrize(
    ("raised", "exit_code", "told"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (OSError(28, "No space left on device", "/full"), 4, "this machine refused what the command needs"),
        (errors.StillRunning("task 1 may run"), 6, "task 1 may run"),
        (errors.ControllerAtWork("host x drives the run"), 4, "host x drives the run"),
    ],
    ids=["interrupted", "the machine", "still running", "another controller"],
)
def test_whatever_ends_a_command_is_one_document_with_json(
    raised: BaseException, exit_code: int, told: str, monkeypatch: pytest.MonkeyPatch, capsys: Shown
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise raised

    monkeypatch.setattr(main.cli, "main", fail)

    assert main.main(["stop", "last", "--json"]) == exit_code

    document = json.loads(capsys.readouterr().out)
    assert (document["exit_code"], document["see"]) == (exit_code, f"burst runbook exit-{exit_code}")
    assert document["error"].startswith(told)


_COMMAND = re.compile(r": (burst [a-z]+[^;,]*)|(burst [a-z]+ [A-Z-][^;,]*)")
_ADVICE = [
    *runbooks.WHAT_TO_DO.values(),
    *(each.advice for each in vars(errors).values() if isinstance(each, type) and issubclass(each, errors.BurstError)),
]


@pytest.mark.parametrize("advice", [advice for advice in _ADVICE if _COMMAND.search(advice)])
def test_every_command_that_an_advice_names_is_there_and_has_its_argument(advice: str) -> None:
    known = {each.words: each.command for each in commands.list_commands()}

    for typed in map("".join, _COMMAND.findall(advice)):
        words, command = max((words, command) for words, command in known.items() if typed.startswith(words))
        needed = [each for each in command.params if isinstance(each, click.Argument) and each.required]
        given = [word for word in typed.removeprefix(words).split() if word.isupper()]
        assert len(given) >= len(needed), typed


def test_a_run_is_found_wherever_it_lies_and_last_is_the_newest(runs: Path) -> None:
    nested = runs / "demo_20260221T020920Z_cc" / NEW
    places = {name: common.run_path(name, Path("runs")) for name in (OLD, NEW, "last", "elsewhere")}

    assert places == {
        OLD: Path("runs") / OLD,
        NEW: Path("runs") / nested.relative_to(runs),
        "last": Path("runs") / nested.relative_to(runs),
        "elsewhere": Path("elsewhere"),
    }


def test_without_a_run_there_is_no_last_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Shown) -> None:
    monkeypatch.chdir(tmp_path)

    assert main.main(["status", "last"]) == 7
    assert "no run has been begun under runs" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["plan", "preflight", "run"])
def test_a_missing_variable_ends_every_command_with_2(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Shown
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BURST_TEST_DSN", raising=False)
    (tmp_path / "plan.yaml").write_text(str(cases.plan_value()).replace("None", "null"))

    assert main.main([command, "plan.yaml"]) == 2

    told = capsys.readouterr()
    assert "BURST_TEST_DSN is not set" in told.err + told.out


def test_what_the_machine_refuses_is_no_bug_of_burst(monkeypatch: pytest.MonkeyPatch, capsys: Shown) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", "/full/file")

    monkeypatch.setattr(main.cli, "main", refuse)

    assert main.main(["schema"]) == 4
    assert "this machine refused what the command needs: No space left on device: /full/file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("environment", "coloured"),
    [
        ({"TERM": "xterm"}, True),
        ({"TERM": "xterm", "NO_COLOR": "1"}, False),
        ({"TERM": "xterm", "NO_COLOR": ""}, True),
        ({"TERM": "dumb"}, False),
    ],
)
def test_colour_is_for_terminals_of_users_who_do_not_forbid_it(
    environment: dict[str, str], coloured: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    ours, theirs = os.openpty()
    with os.fdopen(theirs, "w") as terminal, os.fdopen(ours, "rb"):
        assert painting.is_coloured(terminal) is coloured


def test_colour_is_for_no_pipe() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as pipe:
        assert not painting.is_coloured(pipe)


def test_the_first_word_of_a_line_alone_is_painted() -> None:
    painted = painting.paint("PASS  M10.F\n  FAIL  a\nthe word PASS\n      HOLD deep\n")

    assert painted == "\x1b[32mPASS\x1b[0m  M10.F\n  \x1b[31mFAIL\x1b[0m  a\nthe word PASS\n      HOLD deep\n"


@pytest.mark.parametrize(
    ("words", "answers"),
    [
        ("burst status m10_20260221", [NEW]),
        ("burst verify l", ["last"]),
        ("burst report m10", [NEW, OLD]),
        ("burst resume zz", []),
        ("burst run plan.yaml --only M10F-B1", ["M10F-B1"]),
        ("burst plan plan.yaml --only M10F-B1,M10F-B8", ["M10F-B1,M10F-B8"]),
        ("burst plan nothing.yaml --only M", []),
        ("burst run plan.yaml --prior m10", [NEW, OLD]),
        (f"burst evidence diff {OLD} m10", [NEW, OLD]),
        (f"burst compare {OLD} m10_20260221", [NEW]),
        ("burst doctor reh", ["rehearse"]),
        ("burst rehearse plan.yaml --fault ecs-d", ["ecs-down@"]),
    ],
)
def test_a_shell_completes_runs_and_blockers(
    words: str, answers: list[str], runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: Shown
) -> None:
    (runs.parent / "plan.yaml").write_text("schema: burst.plan/v1\nphase: M10.F\n")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(len(words.split()) - 1))

    completed = shell_completion.BashComplete(main.cli, {}, "burst", "_BURST_COMPLETE").complete()

    assert completed.split() == [f"plain,{answer}" for answer in answers]


def test_a_locustfile_that_is_not_there_is_a_warning_of_the_plan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Shown
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("IG_API_KEY", "a-key")
    monkeypatch.setenv("IG_ADMISSION_DSN", "postgresql://127.0.0.1/ig")
    main.main(["init", "--short"])
    capsys.readouterr()

    assert main.main(["plan", "plan.yaml", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["program_problem"] == ""
    assert main.main(["plan", "plan.yaml", "--set", "load.locustfile=locustfiles/ingst.py"]) == 0
    told = f"load.locustfile: locustfiles/ingst.py is not there, looked for from {tmp_path}"
    assert f"warning    preflight will refuse: {told}" in capsys.readouterr().out


def test_a_document_of_a_run_is_told_with_the_command_that_verifies_the_run(runs: Path, capsys: Shown) -> None:
    (runs / OLD / "m10_f_burst_snapshot.json").write_text('{"schema": "burst.snapshot/v1"}')

    assert main.main(["verify", f"runs/{OLD}/m10_f_burst_snapshot.json"]) == 9

    assert f"what to do: a document of a run is verified with all others of it: burst verify runs/{OLD}; " in (
        capsys.readouterr().err
    )
