"""Commands as the command line itself reads them, without running any: an option that is not there is found here."""

import contextlib
import itertools
import re
import shlex
from collections.abc import Iterator, Sequence

import click

from burst.cli import main
from burst.rehearsal import faults

_ENDS = frozenset("|&;()<>")
_REDIRECTION = re.compile(r"\s\d?>+\s?&?[^\s|;]+")


def invocations(text: str) -> Iterator[list[str]]:
    """The words after each `burst` that a shell line starts."""
    lexer = shlex.shlex(_REDIRECTION.sub(" ", text.replace("\\\n", " ")), posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words = list(lexer)
    for number, word in enumerate(words):
        if word == "burst" and (number == 0 or _starts_a_command(words[number - 1])):
            yield list(itertools.takewhile(lambda one: not set(one) <= _ENDS, words[number + 1 :]))


def _starts_a_command(before: str) -> bool:
    return set(before) <= _ENDS or before in ("do", "then", "!") or re.fullmatch(r"[A-Z_]+=\S*", before) is not None


def check(words: Sequence[str]) -> tuple[str, ...]:
    """The name of the command as a path of words; raises click's error, or burst's, for what it does not take."""
    command: click.Command = main.cli
    context, path, rest = click.Context(command, info_name="burst"), [], list(words)
    if list(words) == ["--version"]:
        return ("--version",)
    while isinstance(command, click.Group):
        name, found, rest = command.resolve_command(context, rest)
        assert found is not None
        path.append(str(name))
        context, command = click.Context(found, info_name=name, parent=context), found
    try:
        with _keys_unread(command):
            given = command.make_context(path[-1], rest, parent=context.parent).params
    except click.exceptions.Exit:  # --help and --version
        return tuple(path)
    if path == ["rehearse"]:
        faults.parse_faults(given["ordered"])
    return tuple(path)


@contextlib.contextmanager
def _keys_unread(command: click.Command) -> Iterator[None]:
    """The keys that a page names are its reader's, and not here."""
    of_keys = {parameter: parameter.callback for parameter in command.params if parameter.name in ("key", "sign")}
    for parameter in of_keys:
        parameter.callback = None
    try:
        yield
    finally:
        for parameter, callback in of_keys.items():
            parameter.callback = callback


def options(words: Sequence[str] = ()) -> frozenset[str]:
    """Every option of the command that the words begin with; without words, of every command."""

    def of(command: click.Command, name: str) -> Iterator[str]:
        context = click.Context(command, info_name=name)
        for parameter in command.get_params(context):
            if isinstance(parameter, click.Option):
                yield from (*parameter.opts, *parameter.secondary_opts)
        if isinstance(command, click.Group):
            for inner in command.list_commands(context):
                found = command.get_command(context, inner)
                assert found is not None
                yield from of(found, inner)

    command: click.Command = main.cli
    for word in words:
        found = command.get_command(click.Context(command), word) if isinstance(command, click.Group) else None
        if found is None:
            break
        command = found
    return frozenset(of(command, "burst"))
