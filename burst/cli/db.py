"""`burst db`: the database of receipts, its group of commands. The table imports none of them before it is used."""

from burst.cli import main

COMMANDS = {
    "check": ("burst.cli.db_check:check", "Health, settings, indexes, connections, role, and which DSNs reach it."),
    "diff": ("burst.cli.db_check:diff", "The changes from one check of a database to another."),
}

db = main.LazyGroup(
    table=COMMANDS,
    name="db",
    help="The database that holds the receipts: how it stands, and what changed.",
    epilog="""\b
Examples:
  burst db check --dsn env:IG_ADMISSION_DSN
  burst db check --plan plan.yaml -o before.json
  burst db diff before.json after.json

\b
Exit codes: those of each command, in its own --help.
""",
)
