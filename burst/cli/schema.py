"""`burst schema`: the documents' JSON Schemas, made from the models that read them."""

import click

from burst.cli import common

KINDS = ("plan", "snapshot", "metrics", "task-result", "facts", "baseline", "journal")


@click.command(
    epilog="""\b
Examples:
  burst schema plan
  burst schema snapshot > burst.snapshot.v1.json
"""
)
@click.argument("kind", type=click.Choice(KINDS))
@common.options
def schema(output: common.Output, kind: str) -> None:
    """Print the JSON Schema of a document (of one line, where it is the journal)."""
    import json

    from burst.report import schemas

    value = schemas.of(kind)
    output.result(value, json.dumps(value, indent=2))
