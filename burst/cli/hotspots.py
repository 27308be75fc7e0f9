"""`burst evidence hotspots`: where a run was slow, by bucket, task and endpoint."""

from pathlib import Path

import click

from burst.cli import common


@click.command(
    short_help="Where a run was slow: bucket, task, endpoint.",
    epilog="""\b
Examples:
  burst evidence hotspots runs/m10_one
  burst evidence hotspots runs/m10_two runs/m10_one --top 20 --csv hotspots.csv
""",
)
@click.argument("run", metavar="RUN", shell_complete=common.complete_runs)
@click.argument("base", metavar="[BASE]", required=False, shell_complete=common.complete_runs)
@click.option(
    "--top", type=click.IntRange(1, 10_000), default=10, show_default=True, help="How many rows, the slowest first."
)
@click.option("--csv", "csv_file", type=click.Path(path_type=Path), help="A new file for the same rows as CSV.")
@common.priors_option
@common.runs_dir_option
@common.options
def hotspots(
    output: common.Output,
    run: str,
    base: str | None,
    top: int,
    csv_file: Path | None,
    ignore_priors: bool,
    runs_dir: Path,
) -> None:
    """Where RUN was slow: its buckets by admits a minute, its tasks by their answers, its endpoints by p95.

    With BASE each is held against the same bucket, task or endpoint of that run: what got slower comes first. Without
    BASE it is held against the median of its kind. `slower_by` is the part of the speed that was lost. Both runs are
    verified first. Exits 0, 2 where FILE exists, or 7, 8 or 9 where evidence is not sound.
    """
    from burst.domain.closure import hotspot_ranking
    from burst.evidence import compared_places, places
    from burst.report import terminal

    opener = places.Opener()
    names = [run, *([base] if base else [])]
    runs = [
        compared_places.open_place(common.find_place(name, runs_dir), opener, priors=not ignore_priors)
        for name in names
    ]
    figures = [hotspot_ranking.list_figures(opened) for opened in runs]
    ranked = hotspot_ranking.rank(figures[0], figures[1] if base else None)[:top]
    if csv_file is not None:
        common.write_new(csv_file, hotspot_ranking.write_csv(ranked))
        output.say(f"wrote {csv_file}")
    rows = [{name: getattr(spot, name) for name in hotspot_ranking.HEAD} for spot in ranked]
    value = {"run": runs[0].run_id, "base": runs[1].run_id if base else None, "hotspots": rows}
    output.result(
        value, terminal.table([tuple(word.upper() for word in hotspot_ranking.HEAD), *(spot.row() for spot in ranked)])
    )
