"""`burst evidence risks`: the risk register of a place, generated from its evidence."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from burst.cli import common
from burst.domain.basics import wording

if TYPE_CHECKING:
    from burst.domain.documents import risk_documents

_SUFFIXES = (".md", ".json")


@click.command(
    short_help="The risk register: a row for each gate that slipped.",
    epilog="""\b
Examples:
  burst evidence risks runs -o risks.md
  burst evidence risks s3://bucket/evidence/run_control -o risks.md --owners owners.yaml
  burst evidence risks runs -o risks.json --phase M10.F
""",
)
@click.argument("place")
@click.option("-o", "--output", "file", type=click.Path(path_type=Path), required=True, help="The file: .md or .json.")
@click.option(
    "--owners", type=click.Path(path_type=Path), metavar="FILE", help="Who owns which risk, and what is done about it."
)
@click.option("--phase", metavar="PHASE", help="Only this phase, such as M10.F.")
@click.option("--scope", metavar="SCOPE", help="Only this scope.")
@click.option(
    "--limit", type=click.IntRange(1, 10_000), default=1000, show_default=True, help="At most so many runs, the newest."
)
@common.options
def risks(
    output: common.Output,
    place: str,
    file: Path,
    owners: Path | None,
    phase: str | None,
    scope: str | None,
    limit: int,
) -> None:
    """Write the risk register of PLACE: a row for each gate that slipped in a run under it, each run verified.

    A row names the newest evidence by digest, since when the gate has not passed, in how many runs it did not, and
    owner and mitigation from the owner file. Evidence that does not hold is a row of its own. The same evidence gives
    the same bytes. A file of that name is replaced only where this command made it and nobody edited it.

    Exits 0, 2 where the file is another's or was edited, 7 where there is no run, or 8 or 9 where the place cannot be
    read.
    """
    from burst import evidence
    from burst.domain.basics import canonical
    from burst.domain.verdict import owner_files
    from burst.kit import files
    from burst.report import risk_text

    if file.suffix not in _SUFFIXES:
        raise click.UsageError(f"-o {file}: allowed: a name that ends in {' or '.join(_SUFFIXES)}")
    _refuse_foreign(file)
    text = files.read_named_text(owners, "--owners") if owners else None
    parsed = owner_files.parse(text, source=str(owners)) if text is not None else None
    sha256 = canonical.digest(text.encode()) if text is not None else None
    register = evidence.risks(place, phase=phase, scope=scope, limit=limit, owners=parsed, owners_sha256=sha256)
    content = risk_text.render(register, as_json=file.suffix == ".json")
    _write(file, content)
    output.say(f"wrote {file}: {_summarise(register)}")
    value = {"register": str(file), "sha256": canonical.digest(content), "open": len(register.open_rows)}
    output.result({**value, "rows": len(register.rows), "runs": register.runs}, "")


def _summarise(register: "risk_documents.RiskRegister") -> str:
    rows, opened = wording.format_count(len(register.rows), "risk"), register.open_rows
    unowned = [row for row in opened if row.owner is None]
    owned = f", {len(unowned)} of them without an owner" if unowned else ""
    return f"{rows} of {wording.format_count(register.runs, 'run')}, {len(opened)} open{owned}"


def _refuse_foreign(file: Path) -> None:
    """Raises `errors.UsageError` where a file of that name was not made here, or was edited since."""
    from burst.domain.basics import errors
    from burst.kit import files
    from burst.report import risk_text

    if file.exists() and not risk_text.is_untouched(files.read_named(file, "-o")):
        raise errors.UsageError(
            f"-o {file}: saw a file that burst evidence risks did not make, or that was edited since; allowed: a new "
            "name, or its own file untouched. What people know belongs in the owner file; nothing was overwritten"
        )


def _write(file: Path, content: bytes) -> None:
    from burst.domain.basics import errors
    from burst.kit import files

    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        files.replace(file, content)
    except OSError as exc:
        raise errors.UsageError(f"{file} cannot be written: {exc.strerror}") from exc
