"""`burst verify`, also as `burst evidence verify`: whether the evidence of a run holds."""

from pathlib import Path

import click

from burst.cli import common


@click.command(
    epilog="""\b
Examples:
  burst verify runs/m10_20260221T020923Z
  burst verify m10_20260221T020923Z --json

\b
Exit codes:
  0 sound, PASS    3 sound, HOLD    7 absent or incomplete
  8 integrity failed                9 cannot tell
"""
)
@click.argument("run", metavar="FOLDER")
@common.runs_dir_option
@common.options
def verify(output: common.Output, run: str, runs_dir: Path) -> int:
    """Whether the evidence in FOLDER (or of an execution id) holds.

    Compares every document with its digest, and reaches the verdict anew from the documents: it must be the same,
    byte for byte.
    """
    from burst.adapters import files
    from burst.control import verification
    from burst.report import html

    folder = common.run_path(run, runs_dir)
    finding = verification.verify(files.FolderStore(folder), render=html.render)
    snapshot = finding.snapshot or {}
    value = {
        "state": finding.state.value,
        "why": finding.why,
        "exit_code": finding.exit_code,
        "folder": str(folder),
        "snapshot": finding.name,
        "sha256": finding.sha256,
        "execution_id": snapshot.get("execution_id"),
        "overall_pass": snapshot.get("overall_pass"),
        "blockers": snapshot.get("blockers"),
    }
    output.result(value, f"{finding.state}: {finding.why}")
    return finding.exit_code


@click.group(
    epilog="""\b
Example:
  burst evidence verify runs/EXECUTION_ID
"""
)
def evidence() -> None:
    """The evidence of runs."""


evidence.add_command(verify)
