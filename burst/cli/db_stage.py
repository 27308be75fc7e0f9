"""`burst db stage`, `burst db resume` and `burst db status`: changes of a database in stages.

Each parses its words, makes one call, and renders how the stages stand.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from burst.cli import common

if TYPE_CHECKING:
    from burst.domain.documents import database_stages
    from burst.domain.staging import stagings
    from burst.wiring import staged_changes

_EXITS = """
\b
Exit codes:
  0 every stage stays                    2 an option, a reference or the file is wrong
  3 a pause: go on with `burst db resume`; or a red line was broken, and the database is as it was
  4 refused, or the database did not answer: `burst db resume` goes on
  6 a red line was broken, and the database is NOT as it was; or a snapshot of the folder cannot be read,
    so that nobody can go back: act now
  7 nothing was begun in the folder       8 its journal or its file is not what was written
"""
_PROOFS = {
    True: "the database is byte for byte the snapshot before",
    False: "the database IS NOT the snapshot before",
    None: "no stage was at work, so nothing was changed and nothing was compared",
}
"""What a roll-back says of the database: equal, not equal, or never looked at."""
_yes_option = click.option("--yes", is_flag=True, help="In staging, pilot and prod: do change this database.")
_operator_option = click.option("--operator", metavar="NAME", help="Who asks; needed in staging, pilot and prod.")


@click.command(
    epilog=f"""\b
Examples:
  burst db stage stages.yaml --dsn env:ADMIN_DSN
  burst db stage stages.yaml --dsn env:ADMIN_DSN --operator ada --yes
{_EXITS}"""
)
@click.argument("file", type=common.PLAN_FILE)
@click.option("--dsn", required=True, metavar="REF", help="env:NAME, file:PATH, ssm:NAME or secretsmanager:ARN.")
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    help="A new folder for the journal. Default: one named by the id, in stages/.",
)
@_operator_option
@_yes_option
@common.options
def stage(output: common.Output, file: Path, dsn: str, folder: Path | None, operator: str | None, yes: bool) -> None:
    """Change a database in stages: settings, indexes, extensions, each with a check and a red line.

    Before a stage the settings, indexes and extensions are written down. Where its red line is broken, or a change is
    refused, they go back to that, byte for byte, and are read again to prove it. A stage with `restart`, `confirm` or
    `pause_when` waits for `burst db resume`.
    """
    from burst.kit import files
    from burst.wiring import staged_changes

    content = files.read_named_text(file, "FILE")
    request = staged_changes.StagingRequest(operator=operator, said_yes=yes, dsn_reference=dsn)
    _show(output, staged_changes.begin(content, str(file), folder, request, output.say))


@click.command(
    epilog=f"""\b
Examples:
  burst db resume stages/stage_20260221T020923Z_4f7a1c
  burst db resume stages/stage_20260221T020923Z_4f7a1c --roll-back
{_EXITS}"""
)
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--dsn", metavar="REF", help="Where the reference of the journal is not the one of this machine.")
@click.option("--roll-back", is_flag=True, help="Go back to the snapshot, in place of going on.")
@_operator_option
@_yes_option
@common.options
def resume(
    output: common.Output, folder: Path, dsn: str | None, roll_back: bool, operator: str | None, yes: bool
) -> None:
    """Go on with staged changes: after a pause, or where a process died.

    Where the server had to be restarted, that is looked at first. Where somebody else changed the database during a
    pause, nothing goes on.
    """
    from burst.wiring import staged_changes

    request = staged_changes.StagingRequest(operator=operator, said_yes=yes, dsn_reference=dsn, rolls_back=roll_back)
    _show(output, staged_changes.resume(folder, request, output.say))


@click.command(
    epilog="""\b
Example:
  burst db status stages/stage_20260221T020923Z_4f7a1c --json
"""
)
@click.argument("folder", type=click.Path(path_type=Path))
@common.options
def status(output: common.Output, folder: Path) -> None:
    """Where staged changes stand, from their journal alone. Changes nothing.

    Exits 0, or 7 where nothing was staged in the folder.
    """
    from burst.wiring import staged_changes

    view = staged_changes.look(folder)
    output.result(_fields(view), _text(view))


def _show(output: common.Output, view: "staged_changes.StagingView") -> None:
    """Shows a staging, and ends the command with its exit code."""
    from burst.domain.staging import stage_results

    output.result(_fields(view), _text(view))
    outcome = view.staging.outcome
    if outcome == "not-rolled-back":
        output.error(
            "THE DATABASE IS NOT AS IT WAS BEFORE THE STAGE; put back what differs: burst runbook staged-changes"
        )
    code = stage_results.PAUSED if outcome is None else stage_results.EXIT_CODES[outcome]
    click.get_current_context().exit(code)


def _state(staging: "stagings.Staging") -> str:
    if staging.outcome is not None:
        return staging.outcome
    return "paused" if staging.pause is not None else "cut"


def _fields(view: "staged_changes.StagingView") -> dict[str, Any]:
    from burst.domain.documents import database_stages
    from burst.domain.staging import stage_decisions, stage_results

    staging = view.staging
    pause, back = staging.pause, staging.roll_back
    return {
        "staging_id": staging.staging_id,
        "folder": common.shorten_path(view.folder),
        "environment": staging.environment,
        "operators": list(staging.operators),
        "state": _state(staging),
        "pause": None if pause is None else {"stage": pause.stage, "kind": pause.kind, "reason": pause.reason},
        "stages": [
            {**entry.model_dump(mode="json", by_alias=True), "end": stage_results.describe_end(entry)}
            for entry in (stage_results.build_stage(name, staging, view.file) for name in view.file.stages)
        ],
        "roll_back": None
        if back is None
        else {
            "stage": stage_decisions.name_rolled_back(staging, back, view.file),
            "reason": back.reason,
            "equal": back.equal,
            "differences": list(back.differences),
        },
        "document": database_stages.NAME if staging.ended else None,
    }


def _text(view: "staged_changes.StagingView") -> str:
    from burst.domain.staging import stage_results

    staging, folder = view.staging, common.shorten_path(view.folder)
    lines = [f"{staging.staging_id}  {staging.environment}  {_state(staging)}"]
    for name in view.file.stages:
        lines += _stage_lines(stage_results.build_stage(name, staging, view.file))
    if staging.pause is not None:
        lines.append(f"pause in stage {staging.pause.stage}: {staging.pause.reason}")
        lines.append(f"go on: burst db resume {folder}   or go back: burst db resume {folder} --roll-back")
    back = staging.roll_back
    if back is not None and staging.outcome is not None:
        lines.append(f"rolled back: {back.reason}; {_PROOFS[back.equal]}")
        lines += [f"  not taken back: {words}" for words in stage_results.list_programs(staging, back, view.file)]
        lines += [f"  differs: {words}" for words in back.differences]
    if staging.outcome is None and staging.pause is None:
        lines.append(f"its process works on it, or has died; then go on: burst db resume {folder}")
    return "\n".join(lines)


def _stage_lines(entry: "database_stages.StageEntry") -> list[str]:
    from burst.domain.staging import stage_decisions, stage_results

    lines = [f"stage {entry.name}: {stage_results.describe_end(entry)}" + (f": {entry.reason}" if entry.reason else "")]
    for change in entry.changes:
        lines.append(f"  {'back: ' if change.rolling_back else ''}{change.words}{'' if change.done_utc else '  (cut)'}")
    for line in entry.red_lines:
        lines.append(f"  {'holds' if line.holds else 'BROKEN'}: {stage_decisions.describe_line(line)}")
    return lines
