"""Runbooks: one rule from a situation to its page, and messages that end with what to do and the page."""

import pytest

from burst.cli import common, main
from burst.domain.basics import errors, runbooks

Shown = pytest.CaptureFixture[str]
KINDS = runbooks.PageKind


@pytest.mark.parametrize(
    ("kind", "subject", "name", "file"),
    [
        (KINDS.EXIT, 4, "exit-4", "runbooks/exit-4.md"),
        (KINDS.BLOCKER, "M10F-B5", "blocker-b5", "runbooks/blocker-b5.md"),
        (KINDS.BLOCKER, "B5", "blocker-b5", "runbooks/blocker-b5.md"),
        (KINDS.FAULT, "ecs-down", "fault-ecs-down", "runbooks/fault-ecs-down.md"),
        (KINDS.FAULT, "response-lost:RunTask", "fault-response-lost", "runbooks/fault-response-lost.md"),
        (KINDS.CHECK, "canary-route", "preflight#canary-route", "runbooks/preflight.md#canary-route"),
    ],
)
def test_each_situation_has_its_page_by_one_rule(
    kind: runbooks.PageKind, subject: str | int, name: str, file: str
) -> None:
    assert runbooks.page_name(kind, subject) == name
    assert runbooks.page_file(kind, subject) == file
    assert runbooks.page_command(kind, subject) == f"burst runbook {name}"


@pytest.mark.parametrize("error", [error for error in vars(errors).values() if isinstance(error, type)])
def test_a_message_of_every_error_ends_with_what_to_do_and_the_page_of_its_exit_code(
    error: type[errors.BurstError],
) -> None:
    if not issubclass(error, errors.BurstError):
        return

    last = common.with_ending("words", error.exit_code).splitlines()[-1]

    assert last == f"what to do: {runbooks.WHAT_TO_DO[error.exit_code]}; see: burst runbook exit-{error.exit_code}"


@pytest.mark.parametrize("exit_code", [0, 1, 130, 143])
def test_what_asks_nothing_of_anybody_has_no_ending(exit_code: int) -> None:
    assert common.with_ending("words", exit_code) == "words"


@pytest.mark.parametrize(
    ("words", "exit_code", "advice"),
    [
        (["plan", "no-such-plan.yaml"], 2, ""),
        (["plan", "--no-such-option"], 2, ""),
        (["report", "no-such-run"], 7, f"{errors.NoSuchRun.advice}; --runs-dir names another folder"),
        (["verify", "no-such-run"], 7, f"{errors.NoSuchRun.advice}; --runs-dir names another folder"),
        (["evidence", "ls", "no-such-place"], 7, errors.NoSuchPlace.advice),
        (["latest", "no-such-place"], 7, errors.NoSuchPlace.advice),
    ],
    ids=[
        *("an error of burst's", "wrong usage", "an error about evidence", "a verdict about evidence"),
        *("an error about a place", "a verdict about a place"),
    ],
)
def test_what_a_command_says_ends_with_what_to_do(words: list[str], exit_code: int, advice: str, capsys: Shown) -> None:
    code = main.main(words)

    assert code == exit_code
    assert capsys.readouterr().err.splitlines()[-1] == runbooks.ending(exit_code, advice=advice)
