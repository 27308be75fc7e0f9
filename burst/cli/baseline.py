"""`burst baseline`: reference rates, made from passed runs and checked before use."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from burst.cli import common, promotion

if TYPE_CHECKING:
    from burst.domain.verdict import baselines


@click.group(
    epilog="""\b
Examples:
  burst baseline make EXECUTION_ID -o baselines/m10_e.json
  burst baseline verify baselines/m10_e.json
  burst baseline promote RUN RUN RUN RUN RUN -o promotions/p95.json

Exit codes stand in the help of each command.
"""
)
def baseline() -> None:
    """Make and verify baselines, promote and demote gates."""


baseline.add_command(promotion.promote)
baseline.add_command(promotion.demote)


@baseline.command(
    short_help="Make a baseline from a passed run, or from several.",
    epilog="""\b
Examples:
  burst baseline make runs/m10_20260220T120000Z -o baselines/m10_e.json --max-age 720h
  burst baseline make RUN RUN RUN -o baselines/m10_e.json
""",
)
@click.argument("runs", nargs=-1, required=True, metavar="RUN...", shell_complete=common.complete_runs)
@click.option("-o", "--output", "file", type=click.Path(path_type=Path), required=True, help="A new file for it.")
@click.option(
    "--max-age",
    "max_age_seconds",
    type=common.DURATION,
    default="720h",
    show_default=True,
    help="The age at which burst refuses it.",
)
@common.runs_dir_option
@common.options
def make(output: common.Output, runs: tuple[str, ...], file: Path, max_age_seconds: float, runs_dir: Path) -> None:
    """Make a baseline from each RUN (a folder, or an execution id), which must be a PASS whose evidence is sound.

    Of several runs it keeps each one's rate and buckets, so that an interval of the multiplier sees how they vary. They
    have to be of one phase and setting, and not to overlap.

    Exits 0, 2 where FILE exists or a RUN stands twice, 4 where a RUN is no PASS or unlike the others, or 7, 8 or 9
    where its evidence is not sound.
    """
    from burst import evidence
    from burst.adapters.local import folder_store
    from burst.domain.verdict import baselines
    from burst.evidence import reference_runs
    from burst.wiring.targets import local_terms

    folders = [common.run_folder(run, runs_dir) for run in runs]
    for folder in folders:
        evidence.verify(folder).finding.require()
    content = reference_runs.make(
        *map(folder_store.FolderStore, folders),
        created_at=datetime.now(UTC),
        max_age_seconds=max_age_seconds,
        environment=local_terms.fingerprint(),
    )
    common.write_new(file, content)
    output.say(f"wrote {file}")
    _show(output, file, baselines.read(content))


@baseline.command(
    short_help="Whether a baseline may be used now.",
    epilog="""\b
Example:
  burst baseline verify baselines/m10_e.json
""",
)
@click.argument("file", type=click.Path(path_type=Path))
@common.options
def verify(output: common.Output, file: Path) -> None:
    """Whether the baseline in FILE may be used now.

    Exits 0, 8 where it was changed, 9 where its schema is not known, or 4 where it is too old.
    """
    from burst.domain.basics import errors
    from burst.evidence import reference_runs
    from burst.kit import files

    content = files.read_named(file, "FILE")
    try:
        document = reference_runs.verify(content, now=datetime.now(UTC))
    except errors.EvidenceCorrupt as exc:
        raise errors.EvidenceCorrupt(f"{file} is no sound baseline: {exc}") from exc
    _show(output, file, document)


def _show(output: common.Output, file: Path, document: "baselines.Document") -> None:
    from burst.domain.basics import instants
    from burst.domain.verdict import baselines

    value = {
        "baseline": str(file),
        "admits": document.admits,
        "seconds": document.seconds,
        "admits_per_minute": document.admits / document.seconds * 60,
        "admit_ratio": document.admit_ratio,
        "created_utc": instants.text(document.created_utc),
        "max_age_seconds": document.max_age_seconds,
        "execution_id": document.provenance.execution_id,
        "runs": [
            {"execution_id": run.provenance.execution_id, "admits_per_minute": run.admits_per_minute}
            for run in document.runs or ()
        ],
        "checksum": document.checksum,
    }
    text = (
        f"{file}: {value['admits']} admits in {value['seconds']} s, {value['admits_per_minute']} a minute, "
        f"from {baselines.describe_source(document)}, made {value['created_utc']}"
    )
    output.result(value, text)
