"""`burst completion`: the script that makes a shell complete burst's words (click's own)."""

import click
from click import shell_completion

from burst.cli import common


@click.command()
@click.argument("shell", type=common.Choice(["bash", "zsh", "fish"]))
@common.options
def completion(output: common.Output, shell: str) -> None:
    """Print the completion script of SHELL. Exits 0, or 2 for a shell it does not know.

    \b
    Example:
      burst completion bash >> ~/.bashrc
    """
    from burst.cli import main

    completion_class = shell_completion.get_completion_class(shell)
    if completion_class is None:
        raise click.UsageError(f"click knows no completion for {shell}")
    script = completion_class(main.cli, {}, "burst", "_BURST_COMPLETE").source()
    output.result({"shell": shell, "script": script}, script)
