"""`burst timing`: the seconds of a run by lane."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from burst.cli import common

if TYPE_CHECKING:
    from burst.domain.closure import timings


@click.command(
    short_help="What a run spent its time on, lane by lane.",
    epilog="""\b
Examples:
  burst timing m10_20260221T020923Z_a1b2c3
  burst timing s3://bucket/evidence/run_control/m10_20260221T020923Z_a1b2c3 --json
""",
)
@click.argument("run", metavar="RUN", shell_complete=common.complete_runs)
@common.runs_dir_option
@common.options
def timing(output: common.Output, run: str, runs_dir: Path) -> None:
    """The seconds of RUN by lane, and their share of the whole; the lane that took most is named.

    The lanes are arm, before, launch, start, burst, stop, after, count and publish, read from the journal, and add up
    to it. Markers of the load account are lanes within the burst, each up to the next. RUN is a folder, an execution
    id, a bundle or an S3 place; its evidence is not verified, so that a run under way can be looked at. Exits 0, 7
    where there is no journal, 8 where it is broken, or 9 where it cannot be told.
    """
    from burst.evidence import run_timings
    from burst.report import closure_text

    timed = run_timings.measure(common.find_place(run, runs_dir))
    dominant = timed.table.dominant
    value = {
        "execution_id": timed.execution_id,
        "seconds": timed.table.seconds,
        "dominant": dominant.name if dominant else None,
        "lanes": [_describe_lane(lane) for lane in timed.table.lanes],
        "markers": timed.markers,
        "marker_lanes": [_describe_lane(lane) for lane in timed.marked],
    }
    output.result(value, closure_text.render_lanes(timed.table, timed.execution_id, timed.markers, timed.marked))


def _describe_lane(lane: "timings.TimeLane") -> dict[str, Any]:
    return {"lane": lane.name, "seconds": lane.seconds, "share": lane.share, "percent": lane.percent}
