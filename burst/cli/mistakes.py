"""Mistakes of the command line, told as such: the word typed, the word perhaps meant, and the right command.

Imported once there is a mistake.
"""

import difflib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import click

from burst.domain.basics import errors
from burst.kit import run_folders

MOST_NAMED = 3
"""Runs that are named beside one that is not there."""
OF_EVERY_COMMAND = ("--json", "-q", "--quiet", "--log-format")
"""The options that stand behind a command."""


def describe(exc: click.ClickException, words: Sequence[str]) -> str:
    """The message of click with what is meant perhaps, and the way to the help. `words`: the whole command line."""
    if isinstance(exc, click.exceptions.NoArgsIsHelpError):
        return f"a command is missing\n{exc.format_message()}"
    context = getattr(exc, "ctx", None)
    command = context.command_path if context is not None else _find_command(words)
    hint = f"\nTry `{command} --help`." if isinstance(exc, click.UsageError) else ""
    return f"{_explain(exc, context)}{hint}"


def _find_command(words: Sequence[str]) -> str:
    """The command of a command line: the words before the first that names none."""
    from burst.cli import main

    command: click.Command = main.cli
    path = [words[0]] if words else ["burst"]
    for word in words[1:]:
        inner = command.get_command(click.Context(command), word) if isinstance(command, click.Group) else None
        if inner is None:
            break
        command, path = inner, [*path, word]
    return " ".join(path)


def _explain(exc: click.ClickException, context: click.Context | None) -> str:
    if isinstance(exc, click.exceptions.NoSuchOption) and context is not None and context.parent is None:
        name = exc.option_name.partition("=")[0]
        if name in OF_EVERY_COMMAND:
            return f"{name} stands behind the command, as in: burst status RUN {name}"
    if isinstance(exc, click.exceptions.NoSuchCommand) and context is not None:
        meant = list(suggest_commands(exc.command_name, context.command))
        return f"there is no command {exc.command_name}{say_meant(f'burst {name}' for name in meant)}"
    return exc.format_message()


def suggest_commands(typed: str, group: click.Command) -> Iterator[str]:
    """The commands that a word may mean: those of a group that are spelled alike, and those of groups in it."""
    if not isinstance(group, click.Group):
        return
    names = _list_names(group)
    prefix = "" if group.name in (None, "burst") else f"{group.name} "
    alike = difflib.get_close_matches(typed, names, n=2)
    yield from (f"{prefix}{name}" for name in alike)
    for name in names:
        inner = group.get_command(click.Context(group), name)
        if isinstance(inner, click.Group):
            within = _list_names(inner)
            like = [] if alike else difflib.get_close_matches(typed, within, n=1, cutoff=0.8)
            yield from (f"{prefix}{name} {each}" for each in ([typed] if typed in within else like))


def _list_names(group: click.Group) -> list[str]:
    return group.list_commands(click.Context(group))


def suggest(typed: str, allowed: Iterable[str]) -> str:
    """A question behind a message: the allowed word that is most like the typed one; empty where none is."""
    return say_meant(difflib.get_close_matches(typed, list(allowed), n=1))


def say_meant(meant: Iterable[str]) -> str:
    """A question behind a message; empty where nothing is like it."""
    names = list(dict.fromkeys(meant))
    return f"; did you mean {' or '.join(names)}?" if names else ""


def describe_no_run(words: str) -> errors.NoSuchRun:
    """The error for a run that is none, with the options by which the command at work looks elsewhere."""
    context = click.get_current_context(silent=True)
    options = {parameter.name for parameter in context.command.params} if context is not None else set()
    elsewhere = [
        *(["--runs-dir names another folder"] if "runs_dir" in options else []),
        *(["--run-control the S3 place of another machine's runs"] if "run_control" in options else []),
    ]
    return errors.NoSuchRun(words, elsewhere=f"; {', '.join(elsewhere)}" if elsewhere else "")


def advise_on_variables(words: str) -> str:
    """What to do about a variable that is not set here, where the sandbox that is up has its value; else empty."""
    if "is not set" not in words:
        return ""
    from burst.sandbox import sandbox_folders, standing_sandbox

    missing = [name for name in sandbox_folders.SECRETS if name in words and name not in os.environ]
    try:
        folder = sandbox_folders.SandboxFolder(sandbox_folders.default_folder())
        is_up = bool(missing) and standing_sandbox.find_standing(folder) is not None
    except (errors.BurstError, OSError, RuntimeError):  # RuntimeError: nobody can tell the home of this user
        return ""
    return 'the sandbox is up, and has it: eval "$(burst sandbox up)", then give the command again' if is_up else ""


def describe_missing_run(run: str, runs_dir: Path, folders: Mapping[str, Path]) -> errors.NoSuchRun:
    """The error for a run that is not there: where it was looked for, and which runs there are."""
    newest = run_folders.order_newest(folders)
    if run == run_folders.LAST:
        return describe_no_run(
            f"no run has been begun under {runs_dir}, or in the folders of demos and rehearsals there"
        )
    if run.startswith("s3:/"):
        return describe_no_run(f"no run {run}: an address begins with s3://, as in s3://BUCKET/PREFIX/EXECUTION_ID")
    meant = say_meant(difflib.get_close_matches(Path(run).name, newest, n=1, cutoff=0.7))
    others = f"; the newest there: {', '.join(newest[:MOST_NAMED])}" if newest else "; there is no run at all"
    return describe_no_run(f"no run {run}: it is no folder, and none of the runs under {runs_dir}{meant}{others}")
