"""`burst db check` and `burst db diff`: how a database stands, and the changes between two checks of it."""

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from burst.cli import common

if TYPE_CHECKING:
    from burst.domain.documents import database_checks
    from burst.domain.plan import plans

_CODES = {"passed": 0, "refused": 4, "unknown": 9}
_DIFFER = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sought:
    """The DSNs to look at: the one that is checked, more that should reach the same, and those of the environment."""

    dsn: str | None
    also: tuple[str, ...]
    environment: dict[str, str]


def _dsn_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options that name DSNs; the command gets them as one value, `sought`."""

    @click.option("--dsn", metavar="REF", help="env:NAME or file:PATH. Default: receipts.dsn of the plan.")
    @click.option(
        "--also",
        multiple=True,
        metavar="REF",
        help="One more DSN that should reach the same database; can be repeated.",
    )
    @click.option(
        "--environment/--no-environment", default=True, help="Look through the environment for DSNs, or do not."
    )
    @functools.wraps(command)
    def with_sought(*words: Any, dsn: str | None, also: tuple[str, ...], environment: bool, **options: Any) -> Any:
        sought = _Sought(dsn=dsn, also=also, environment=dict(os.environ) if environment else {})
        return command(*words, sought=sought, **options)

    return with_sought


@click.command(
    epilog="""\b
Examples:
  burst db check --dsn env:IG_ADMISSION_DSN
  burst db check --dsn file:/run/secrets/dsn --table ingest.receipts --json
  burst db check --plan plan.yaml -o before.json
  burst db check --plan plan.yaml --also file:/etc/ingest/dsn

\b
Exit codes:
  0 all well; warnings and notes too      2 a reference or a plan is wrong
  4 a finding refuses: a standby, an index that is not valid, no connection left, a login refused,
    a table that the role may not read or of which a policy may hide rows,
    or DSNs that reach different databases where receipts.require_check of the plan is true
  9 cannot tell: the database does not answer, or what may refuse is not visible to the role
"""
)
@_dsn_options
@click.option("--plan", "plan_file", type=common.PLAN_FILE, metavar="FILE", help="The plan whose DSNs should reach it.")
@click.option("--table", metavar="NAME", help="The receipts table, perhaps with its schema. Default: the plan's.")
@click.option(
    "--give-up",
    type=common.DURATION,
    default="30s",
    show_default=True,
    help="How long to try at most, three times a DSN.",
)
@click.option("-o", "--output", "file", type=click.Path(path_type=Path), help="A new file for the document.")
@common.options
def check(
    output: common.Output,
    sought: _Sought,
    plan_file: Path | None,
    table: str | None,
    give_up: float,
    file: Path | None,
) -> int:
    """How the database of receipts stands, as the role of its DSN sees it. Read-only.

    Health and clock, version, standby and its lag, settings that differ from their default, the role with its own
    settings, connections left, the receipts table with its vacuum state and its indexes, and the statements on it that
    took longest. What the role may not see is named with the grant that shows it, and is never a zero.

    Beside it, which DSNs reach the same database: of the plan, of the environment (by the names of variables), and of
    --also. None is shown: only host, database and role. Two are the same database where system identifier, start of
    the server and oid of the database are the same; where the role sees no system identifier, address and port decide;
    what nobody can tell is never the same. The DSN of --dsn, those of the plan, those of --also and BURST_RECEIPTS_DSN
    should reach one database: another is a warning, and refuses where receipts.require_check of the plan is true.
    """
    from burst.adapters.local import system_clock
    from burst.wiring import checking_databases

    _hide_values(output, sought)
    request = checking_databases.CheckRequest(
        dsn=sought.dsn,
        plan=_read_plan(plan_file),
        table=table,
        also=sought.also,
        environment=sought.environment,
        give_up_seconds=give_up,
    )
    checked = checking_databases.check_database(request, system_clock.SystemClock())
    _write_check(output, checked, file)
    return _CODES[checked.status]


def _write_check(output: common.Output, checked: "database_checks.DatabaseCheck", file: Path | None) -> None:
    from burst.report import database_text

    if file is not None:
        common.write_new(file, checked.content())
        output.say(f"wrote {file}")
    output.result(checked.document(), database_text.render_check(checked))


def _hide_values(output: common.Output, sought: _Sought) -> None:
    """Keeps a DSN that was given in place of a reference to it out of every message."""
    from burst.adapters import secrets

    for reference in (sought.dsn, *sought.also):
        if reference and not secrets.is_reference(reference):
            output.hide(reference)


def _read_plan(plan_file: Path | None) -> "plans.Plan | None":
    if plan_file is None:
        return None
    from burst.wiring import preparing

    return preparing.read_plan(preparing.RunRequest(plan_file=plan_file))


@click.command(
    epilog="""\b
Examples:
  burst db diff before.json after.json
  burst db diff before.json after.json --json

\b
Exit codes:
  0 nothing that was compared differs     2 a file cannot be read
  3 something differs                     8 a file is no such document
  9 cannot tell: one role saw less than the other, the checks looked at two tables, or a database was not read
"""
)
@click.argument("before", metavar="A", type=click.Path(path_type=Path))
@click.argument("after", metavar="B", type=click.Path(path_type=Path))
@common.options
def diff(output: common.Output, before: Path, after: Path) -> int:
    """The changes from check A to check B, two files of `burst db check -o`.

    Compared are version, settings, the role's own settings and its safeguards, extensions, and indexes. A setting that
    may hold a secret is compared by whether it is set. What only one of the two roles could see is not compared, and
    named.
    """
    from burst.domain.database import database_differences
    from burst.report import database_text

    difference = database_differences.compare(_read_check(before, "A"), _read_check(after, "B"))
    output.result(difference.value(), database_text.render_difference(difference))
    if difference.changes:
        raise click.exceptions.Exit(_DIFFER)  # which is no verdict, so that no blocker is spoken of
    return 0 if difference.known else 9


def _read_check(path: Path, option: str) -> "database_checks.DatabaseCheck":
    from burst.domain.basics import errors
    from burst.domain.documents import database_checks, models
    from burst.kit import files

    try:
        return models.read(database_checks.DatabaseCheck, files.read_named(path, option))
    except (errors.EvidenceCorrupt, errors.EvidenceUnknown) as exc:
        raise type(exc)(f"{option} {path}: {exc}") from exc
