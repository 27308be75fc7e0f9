"""`burst guard`: passes its arguments on to the guard, which parses them itself and is light enough for PID 1."""

import click


@click.command(
    "guard",
    add_help_option=False,
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
def guard_command(words: tuple[str, ...]) -> int:
    """Run a command and hold it to its budget."""
    from burst.task import guard

    return guard.main(words)
