"""`burst db`: the database of receipts, its group of commands. The table imports none of them before it is used."""

from burst.cli import common, main

COMMANDS = {
    "check": ("burst.cli.db_check:check", "Health, settings, indexes, connections, role, and which DSNs reach it."),
    "advise": ("burst.cli.db_advise:advise", "Print the index that would make a count cheap, and never run it."),
    "diff": ("burst.cli.db_check:diff", "The changes from one check of a database to another."),
    "stage": ("burst.cli.db_stage:stage", "Change it in stages, each with a red line and a proven way back."),
    "resume": ("burst.cli.db_stage:resume", "Go on with stages: after a pause, or where a process died."),
    "status": ("burst.cli.db_stage:status", "Where stages stand."),
}

db = main.LazyGroup(
    table=COMMANDS,
    name="db",
    help="The database that holds the receipts: how it stands, what changed, and changes in stages.",
    epilog="""\b
Examples:
  burst db check --dsn env:IG_ADMISSION_DSN
  burst db check --plan plan.yaml -o before.json
  burst db diff before.json after.json
  burst db stage stages.yaml --dsn env:IG_ADMIN_DSN
  burst db resume stages/STAGING_ID

\b
Exit codes: those of each command, in its own --help.
""",
    params=[common.version_option()],
)
