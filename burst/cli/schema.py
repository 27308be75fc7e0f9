"""`burst schema`: the documents' JSON Schemas, made from the models that read them."""

import click

from burst.cli import common

KINDS = (
    *(
        "plan",
        "snapshot",
        "message",
        "metrics",
        "task-result",
        "task-records",
        "load",
        "facts",
        "observations",
        "preflight",
        "baseline",
        "journal",
    ),
    *(
        "publication",
        "told",
        "publication-failure",
        "signature",
        "statement",
        "run",
        "halt",
        "services",
        "drill",
        "session",
    ),
    *("session-end", "question", "answer", "alias", "pruned", "bundle", "control", "attempt", "database"),
    *("stages", "database-snapshot", "database-stages", "promotion", "demotion", "score", "closure"),
    *("promotion-statement", "gate-records"),
    *("active-baseline", "closure-statement", "reproduction", "locust-files"),
    *("campaign", "campaign-stop", "override-table", "rollup-order", "rollup-lanes", "rollup-snapshot"),
    *("owners", "risks", "rate-search"),
)
PHASE_KINDS = ("burst", "window", "soak", "recovery", "reproducibility", "drill", "rollup")
GATES = "gates"
"""In the place of a kind: the table of gates."""


@click.command(
    epilog="""\b
Examples:
  burst schema                                          the kinds of documents
  burst schema plan > plan.schema.json                  for an editor: names a misspelled key
  burst schema snapshot > snapshot.schema.json          for a consumer
  burst schema metrics --strict > metrics.schema.json   for a program that writes one
  burst schema gates                                    every gate, with its documents and its verifier
  burst schema gates --kind soak                        the same by the blockers of a soak
"""
)
@click.argument("kind", type=common.Choice((*KINDS, GATES)), required=False)
@click.option("--strict", "form", flag_value="strict", help="For producers: every field there is, and no other.")
@click.option(
    "--lenient", "form", flag_value="lenient", help="For consumers: fields of later minor versions may stand."
)
@click.option(
    "--kind", "phase_kind", type=common.Choice(PHASE_KINDS), default=PHASE_KINDS[0], help="With gates: of which phase."
)
@common.options
def schema(output: common.Output, kind: str | None, form: str | None, phase_kind: str) -> None:
    """Print the JSON Schema of a document (of one line, where it is the journal); without KIND, list the kinds.

    `gates` prints the table of gates in place of a schema: the invariant of each, the blocker that rests on it, the
    documents that answer it, and the command that answers it again; and the documents of each blocker. The blockers are
    those of a burst, or of the phase that --kind names.

    Without --strict or --lenient it is the one burst reads with: strict for plans, lenient for everything else. Both
    refuse another major version. Exits 0, or 2 for an unknown kind.
    """
    import json

    from burst.report import gate_lines, schemas

    if kind == GATES:
        from burst.domain.plan import catalogues

        chosen = catalogues.Kind(phase_kind)
        output.result(gate_lines.value(chosen), gate_lines.text(chosen))
        return
    if kind is not None:
        value = schemas.make_schema(kind, "strict" if form == "strict" else "lenient" if form else None)
        output.result(value, json.dumps(value, indent=2))
        return
    rows = [
        {
            "kind": kind_name,
            "document": document.name,
            "schema": document.schema,
            "lenient": schemas.identity(kind_name, "lenient"),
            "strict": schemas.identity(kind_name, "strict"),
        }
        for kind_name, document in schemas.KINDS.items()
    ]
    output.result(rows, "\n".join(f"{row['kind']:<20} {row['schema']:<29} {row['document']}" for row in rows))
