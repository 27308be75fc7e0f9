"""Every command of the command line, its arguments and its options, from the commands themselves."""

from collections.abc import Iterator
from dataclasses import dataclass

import click

from burst.cli import common, main

COMMON = ("--json", "--quiet", "--log-format", "--version", "--help")
"""What almost every command has, so that the table of options names them once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command or a group of them, with all its words, such as `burst evidence verify`."""

    words: str
    command: click.Command

    @property
    def does(self) -> str:
        """The first paragraph of its help."""
        return (self.command.help or "").strip().split("\n\n")[0].replace("\b", "")

    @property
    def form(self) -> str:
        """The command as it is typed, its options left out."""
        context = click.Context(self.command, info_name=self.words)
        pieces = [piece for piece in self.command.collect_usage_pieces(context) if piece != "[OPTIONS]"]
        return " ".join([self.words, *pieces])

    @property
    def options(self) -> list[click.Option]:
        """Its own options."""
        return [
            option
            for option in self.command.params
            if isinstance(option, click.Option) and not option.hidden and option.opts[-1] not in COMMON
        ]


def list_commands() -> list[Command]:
    """Every command, in the order of the help; each group before its commands."""
    return list(_list_within("burst", main.cli))


def _list_within(words: str, group: click.Group) -> Iterator[Command]:
    context = click.Context(group, info_name=words)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is None or command.hidden:
            continue
        yield Command(words=f"{words} {name}", command=command)
        if isinstance(command, click.Group):
            yield from _list_within(f"{words} {name}", command)


def name_option(option: click.Option) -> str:
    """An option as it is typed, with the name of its value."""
    names = ", ".join([*option.opts, *option.secondary_opts])
    if option.is_flag or option.count:
        return names
    return f"{names} {option.make_metavar(click.Context(click.Command('burst')))}"


def describe_option(option: click.Option) -> str:
    """What it means, the variable that stands for it, and its default."""
    variable = option.envvar if isinstance(option.envvar, str) else ""
    help_text = option.help or _DESCRIPTIONS.get(option.opts[-1], "")
    named = f" (or {variable})" if variable and variable not in help_text else ""
    default = option.to_info_dict().get("default")
    told = default is None or default == () or option.is_flag or "Default:" in help_text
    return f"{help_text.rstrip('.')}{named}." + ("" if told else f" Default: `{default}`.")


_DESCRIPTIONS = {"--runs-dir": f"The folder of the runs (or {common.RUNS_DIR_VARIABLE})"}
