"""The help of each command: every option says what it means, its default, and whether it can be repeated."""

import click
import pytest

from burst.cli import main
from tests.reference_pages import commands

OPTIONS = [
    pytest.param(option, id=f"{command.words} {option.opts[-1]}")
    for command in commands.list_commands()
    for option in command.options
]


@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_says_what_it_means_and_whether_it_can_be_repeated(option: click.Option) -> None:
    assert option.help is not None
    assert option.help.endswith(".")
    assert ("repeated" in option.help) == option.multiple


def test_the_help_shows_the_default_of_an_option() -> None:
    (init,) = [command.command for command in commands.list_commands() if command.words == "burst init"]
    settings = {**main.cli.context_settings, "terminal_width": 200, "max_content_width": 200}
    with click.Context(main.cli, **settings) as parent:
        help_text = init.get_help(click.Context(init, parent=parent, info_name="init"))

    assert "[default: plan.yaml]" in help_text
    assert "[default: local]" in help_text
