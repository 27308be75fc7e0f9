"""`burst evidence site`: the runs of a place as pages that a browser shows, with no server behind them."""

from datetime import UTC, datetime
from pathlib import Path

import click

from burst.cli import common


@click.command(
    short_help="Pages of all runs, with trends and reports.",
    epilog="""\b
Examples:
  burst evidence site runs -o site
  burst evidence site s3://bucket/evidence/run_control -o site --publish s3://bucket/evidence/site
""",
)
@click.argument("place")
@click.option("-o", "--output", "folder", type=click.Path(path_type=Path), required=True, help="A new folder for it.")
@click.option("--phase", metavar="PHASE", help="Only this phase, such as M10.F.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True, help="At most so many runs.")
@click.option(
    "--publish", "published", metavar="s3://PLACE", help="Write it there too, in a new folder named by the instant."
)
@common.priors_option
@common.options
def site(
    output: common.Output,
    place: str,
    folder: Path,
    phase: str | None,
    limit: int,
    published: str | None,
    ignore_priors: bool,
) -> None:
    """Write pages of the runs under PLACE: all phases, each phase with its trend, and the report of each run.

    Each run is verified, and only sound evidence has figures and a report. A site is never changed: with --publish it
    goes to a folder of its own, named by the instant, in which each file is created once and the index last. Exits 0,
    2 where the folder exists, 7 where there is no such place, or 9 where it cannot be read.
    """
    from burst import evidence
    from burst.domain.basics import canonical, errors, instants, wording

    if published is not None and not published.startswith("s3://"):
        raise click.UsageError(f"--publish {published!r}: allowed: s3://BUCKET/PREFIX")
    if folder.exists():
        raise errors.UsageError(f"{folder} exists; nothing was overwritten; choose another name")
    now = datetime.now(UTC)
    files = evidence.site(place, phase=phase, limit=limit, priors=not ignore_priors, now=now)
    for name, content in files.items():
        common.write_new(folder / name, content)
    output.say(f"wrote {wording.format_count(len(files), 'page')}; open {folder / 'index.html'}")
    address = None
    if published is not None:
        address = f"{published.rstrip('/')}/{instants.stamp(now)}"
        evidence.publish_site(address, files)
        output.say(f"published to {address}/index.html")
    described = [{"name": name, "sha256": canonical.digest(content)} for name, content in sorted(files.items())]
    output.result({"folder": str(folder), "published": address, "pages": described}, "")
