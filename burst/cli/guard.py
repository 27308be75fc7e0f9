"""`burst guard`: hands its words unread to the guard, which has a parser of its own and is light enough for PID 1."""

import click


@click.command(
    add_help_option=False,
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
def guard(words: tuple[str, ...]) -> int:
    """Run a command and hold it to its budget."""
    from burst.task import guard as guards

    return guards.main(words)
