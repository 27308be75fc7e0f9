"""Every command on what a hurried hand gives it: an exit code, words that say what to do, and never a traceback."""

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import click
import pytest

from burst.cli import demonstrating, main
from tests import hearing, waiting

Shown = pytest.CaptureFixture[str]
FILES: dict[str, Callable[[Path], object]] = {
    "nothing there": lambda path: None,
    "a folder": Path.mkdir,
    "empty": lambda path: path.write_bytes(b""),
    "not UTF-8": lambda path: path.write_bytes(b"\xff\xfe\x00\x01"),
    "broken YAML": lambda path: path.write_text("a: [1\nb: }"),
    "a list": lambda path: path.write_text("- a\n- b\n"),
    "deeper than Python goes": lambda path: path.write_text("[" * 10_000),
    "YAML that would run": lambda path: path.write_text("schema: !!python/object/apply:os.system [false]\n"),
    "a link to itself": lambda path: path.symlink_to(path.name),
    "a number no float holds": lambda path: path.write_text('{"schema":"burst.baseline/v1","admits":' + "9" * 5000),
    "half a character": lambda path: path.write_text('{"schema":"burst.baseline/v1","x":"\\ud800"}'),
}
ON_A_FILE = {
    "plan": ["plan", "FILE"],
    "preflight": ["preflight", "FILE"],
    "run": ["run", "FILE"],
    "rehearse": ["rehearse", "FILE"],
    "adjudicate": ["adjudicate", "--plan", "FILE"],
    "verify": ["verify", "FILE"],
    "report": ["report", "FILE"],
    "status": ["status", "FILE"],
    "stop": ["stop", "FILE"],
    "resume": ["resume", "FILE"],
    "reconcile": ["reconcile", "FILE"],
    "diff": ["evidence", "diff", "FILE", "FILE"],
    "bundle": ["evidence", "bundle", "FILE", "-o", "made"],
    "a baseline kept": ["evidence", "prune", ".", "--keep", "1", "--baseline", "FILE"],
    "public key": ["evidence", "public-key", "file:FILE"],
    "baseline make": ["baseline", "make", "FILE", "-o", "made"],
    "baseline verify": ["baseline", "verify", "FILE"],
    "outputs": ["init", "--target", "ecs", "--from-terraform", "FILE", "-o", "made"],
    "dsn": ["count", "--dsn", "file:FILE", "--from", "2026-01-01T00:00:00Z", "--to", "2026-01-01T00:01:00Z"],
}
WRONG_WORDS = {
    "no run to reap": ["reap", "--run", ""],
    "a run to reap that is none": ["reap", "--run", "/"],
    "neither one run nor all": ["reap"],
    "no place to prune": ["evidence", "prune", "", "--keep", "0", "--yes"],
    "no place to list": ["evidence", "ls", ""],
    "no run to verify": ["verify", ""],
    "no run to stop": ["stop", ""],
    "another kind of address": ["verify", "https://bucket/evidence"],
    "a bucket alone": ["verify", "s3://"],
    "a page after nothing": ["evidence", "ls", ".", "--before", "m10_20260221T020923Z_a1b2c3"],
    "no such fault": ["rehearse", "plan.yaml", "--fault", "meteor@1"],
    "no such command": ["lunch"],
    "a bare option": ["run", "plan.yaml", "--set"],
    "nothing to be kept": ["evidence", "prune", "."],
    **{
        f"a key that is not there: {' '.join(words[:2])}, to trust": [*words, "missing.pem"]
        for words in (
            ["verify", "RUN", "--key"],
            ["latest", ".", "--key"],
            ["evidence", "verify", "RUN", "--require-signature", "--key"],
            ["baseline", "promote", "RUN", "-o", "made", "--key"],
        )
    },
    **{
        f"a key that is not there: {' '.join(words[:2])}, to sign": [*words, "file:missing.pem"]
        for words in (
            ["baseline", "promote", "RUN", "-o", "made", "--sign"],
            ["compare", "RUN", "RUN", "--score", "score.yaml", "--sign"],
            ["evidence", "attest", "RUN", "--predicate", "vsa", "--key"],
        )
    },
    "a signature by anybody": ["verify", ".", "--require-signature"],
    "no name for a key": ["evidence", "keygen", "-o", ""],
}


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to be in, without credentials. What stands there afterwards, a test put there."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "BURST_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")  # nobody else is asked for credentials
    monkeypatch.chdir(tmp_path)
    return tmp_path


def burst(*words: str) -> int:
    """The exit code of a command; a traceback fails the test."""
    return main.main(words)


def every_command() -> Iterator[list[str]]:
    for name in main.COMMANDS:
        yield [name]
        command = main.cli.get_command(click.Context(main.cli), name)
        yield from ([name, each] for each in getattr(command, "commands", ()))


@pytest.mark.parametrize("words", list(every_command()), ids=" ".join)
def test_every_help_shows_an_example_and_the_exit_codes(words: list[str], capsys: Shown) -> None:
    with contextlib.suppress(SystemExit):
        burst(*words, "--help")

    shown = capsys.readouterr().out
    assert re.search(r"[Ee]xamples?:\n", shown)
    assert re.search(r"[Ee]xit codes|\b[Ee]xits\b", shown)


@pytest.mark.parametrize("content", FILES)
def test_no_file_is_too_bad_for_a_command(content: str, nowhere: Path, capsys: Shown) -> None:
    FILES[content](nowhere / "given")

    for name, words in ON_A_FILE.items():
        code = burst(*(word.replace("FILE", "given") for word in words))

        said = capsys.readouterr()
        assert code in (2, 4, 7, 8, 9), name
        assert said.err.splitlines()[-1].startswith("what to do: "), name
        assert f"see: burst runbook exit-{code}" in said.err, name
        assert [path.name for path in nowhere.iterdir()] == ([] if content == "nothing there" else ["given"]), name


@pytest.mark.parametrize("case", WRONG_WORDS)
def test_wrong_words_are_refused_with_what_to_do(case: str, nowhere: Path, capsys: Shown) -> None:
    code = burst(*WRONG_WORDS[case])

    said = capsys.readouterr().err
    assert code == 2
    assert said.startswith("burst: ")
    assert "see: burst runbook exit-2" in said.splitlines()[-1]
    assert list(nowhere.iterdir()) == []


@pytest.mark.parametrize("case", [name for name in WRONG_WORDS if name.startswith("a key that is not there")])
def test_a_key_that_is_not_there_is_the_mistake_before_any_other(case: str, capsys: Shown) -> None:
    assert burst(*WRONG_WORDS[case]) == 2
    assert "key missing.pem cannot be read: No such file or directory" in capsys.readouterr().err


def test_a_demo_whose_runs_can_lie_nowhere_starts_nothing(nowhere: Path, capsys: Shown) -> None:
    (nowhere / "given").touch()

    assert burst("demo", "--runs-dir", "given/below") == 2
    assert "--runs-dir given/below cannot hold runs: Not a directory" in capsys.readouterr().err


def test_what_never_ends_is_not_read_to_its_end(capsys: Shown) -> None:
    assert burst("plan", "/dev/zero") == 2
    assert "/dev/zero is larger than" in capsys.readouterr().err


def test_a_key_pair_is_made_whole_or_not_at_all(nowhere: Path, capsys: Shown) -> None:
    (nowhere / "signing.pem.pub").write_text("mine")

    assert burst("evidence", "keygen", "-o", "signing.pem") == 2
    assert [path.name for path in nowhere.iterdir()] == ["signing.pem.pub"]
    assert "nothing was overwritten" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("not an id!", 2, "'not an id!' is no execution id"),
        ("m10_typed_wrong", 0, "not under runs, so not kept there: m10_typed_wrong"),
    ],
)
def test_a_keep_set_says_which_of_its_lines_keep_nothing(
    line: str, code: int, said: str, nowhere: Path, capsys: Shown
) -> None:
    (nowhere / "runs").mkdir()
    (nowhere / "keep").write_text(f"{line}  # why\n")

    assert burst("evidence", "prune", "runs", "--keep-set", "keep") == code
    assert said in capsys.readouterr().err


ON_AWS = {
    "no region": ({}, ["reap", "--all", "--cluster", "burst-dev"], 2, "set AWS_REGION"),
    "an unknown profile": ({"AWS_PROFILE": "nope"}, ["verify", "s3://bucket/runs/m10"], 2, "profile (nope)"),
    "no credentials": ({"AWS_REGION": "eu-west-2"}, ["verify", "s3://bucket/runs/m10"], 9, "set up credentials"),
    "an endpoint that is none": (
        {"AWS_REGION": "eu-west-2", "AWS_ENDPOINT_URL": "nonsense"},
        ["verify", "s3://bucket/runs/m10"],
        2,
        "mend AWS_ENDPOINT_URL",
    ),
    "a cluster that may not be looked into": (
        {"AWS_REGION": "eu-west-2"},
        ["reap", "--all", "--cluster", "burst-dev"],
        6,
        "Cannot tell whether tasks still run",
    ),
    "a run that may not be looked for": (
        {"AWS_REGION": "eu-west-2"},
        ["stop", "m10_far_away", "--run-control", "s3://bucket/runs"],
        6,
        "Cannot tell whether tasks still run",
    ),
}


@pytest.mark.parametrize("case", ON_AWS)
def test_what_is_wrong_with_aws_is_told_and_nothing_is_taken_for_well(
    case: str, monkeypatch: pytest.MonkeyPatch, capsys: Shown
) -> None:
    settings, words, code, said = ON_AWS[case]
    for name, value in settings.items():
        monkeypatch.setenv(name, value)

    assert burst(*words) == code
    shown = capsys.readouterr()
    assert said in shown.out + shown.err
    assert f"see: burst runbook exit-{code}" in shown.err


def process(script: str) -> "subprocess.CompletedProcess[str]":
    """A command in a shell of its own, `burst` as it is installed here."""
    command = f'burst() {{ {sys.executable} -m burst "$@"; }}\n{script}'
    return subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=waiting.PROCESS_SECONDS)


@pytest.mark.parametrize(
    ("script", "code", "said"),
    [
        ("burst verify x >&-", 7, ""),
        ("burst verify x 2>&-", 7, ""),
        ("burst verify x 2>/dev/full", 7, ""),
        ("burst schema plan >/dev/full", 4, "cannot be written to stdout: No space left on device"),
        ("burst schema plan | true; exit ${PIPESTATUS[0]}", 0, ""),
        ("mkdir gone; cd gone; rmdir ../gone; burst verify x", 2, "the folder this shell is in cannot be found"),
    ],
    ids=["no stdout", "no stderr", "a full stderr", "a full stdout", "a reader gone", "a folder gone"],
)
def test_a_broken_terminal_changes_no_outcome(script: str, code: int, said: str) -> None:
    answer = process(script)

    assert answer.returncode == code, answer.stderr
    assert said in answer.stderr
    assert "Traceback" not in answer.stderr


@contextlib.contextmanager
def _reading_a_plan(ignored: signal.Signals | None) -> "Iterator[subprocess.Popen[str]]":
    """`burst plan` of a plan that is a pipe; started as a shell starts it that ignores a signal, where one is named."""
    os.mkfifo("plan")
    ignore = f"trap '' {ignored.name.removeprefix('SIG')}; " if ignored else ""
    words = ["sh", "-c", f'{ignore}exec "$@"', "sh", sys.executable, "-m", "burst", "plan", "plan"]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True, preexec_fn=hearing.hear_all) as command:
        try:
            yield command
        finally:
            command.kill()


@pytest.mark.parametrize("is_ignored", [False, True], ids=["heard", "ignored by the shell"])
@pytest.mark.parametrize(
    ("number", "code", "said"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated by SIGTERM")],
    ids=lambda value: value.name if isinstance(value, signal.Signals) else "",
)
def test_a_signal_ends_a_command_that_has_launched_nothing_also_where_a_shell_ignores_it(
    number: signal.Signals, code: int, said: str, is_ignored: bool, nowhere: Path
) -> None:
    # The pipe is open once the command has opened it to read its plan.
    with _reading_a_plan(number if is_ignored else None) as command, (nowhere / "plan").open("w"):
        command.send_signal(number)
        _, shown = command.communicate(timeout=waiting.PROCESS_SECONDS)

    assert command.returncode == code
    assert shown.strip() == f"burst: {said}"


def test_a_terminal_that_goes_away_ends_a_command_and_is_named(nowhere: Path) -> None:
    with _reading_a_plan(None) as command, (nowhere / "plan").open("w"):
        command.send_signal(signal.SIGHUP)
        _, shown = command.communicate(timeout=waiting.PROCESS_SECONDS)

    assert (command.returncode, shown.strip()) == (143, "burst: terminated by SIGHUP")


def test_a_command_under_nohup_outlives_its_terminal(nowhere: Path) -> None:
    with _reading_a_plan(signal.SIGHUP) as command, (nowhere / "plan").open("w") as plan:
        command.send_signal(signal.SIGHUP)
        plan.write("schema: burst.plan/v0\n")
        plan.close()
        _, shown = command.communicate(timeout=waiting.PROCESS_SECONDS)

    assert command.returncode == 2
    assert "burst.plan/v0" in shown


@pytest.mark.parametrize(("ended", "code"), [(130, 130), (143, 143), (3, 4)])
def test_a_demo_ends_as_its_reference_run_was_ended(
    ended: int, code: int, nowhere: Path, monkeypatch: pytest.MonkeyPatch, capsys: Shown
) -> None:
    def stopped(*_: object) -> tuple[Path, int]:
        return nowhere, ended

    unreached = SimpleNamespace(host="http://127.0.0.1:1")
    monkeypatch.setattr(demonstrating, "_play", stopped)
    monkeypatch.setattr(demonstrating, "_sandbox", lambda _: contextlib.nullcontext(unreached))
    monkeypatch.setattr(demonstrating, "_choose_rate", lambda *_: 600.0)

    assert burst("demo") == code
