"""`burst demo`: the whole story on this machine, on a real Postgres and a reference gateway of its own."""

from pathlib import Path

import click

from burst.cli import common


@click.command(
    epilog="""\b
Examples:
  burst demo
  burst demo --replay
  burst demo --campaign
"""
)
@click.option("--replay", is_flag=True, help="Play the rerun that sends only what was admitted before: HOLD, exit 3.")
@click.option("--campaign", is_flag=True, help="Play a campaign: window, burst on HOLD, its reopening, and the rest.")
@click.option(
    "--runs-dir", type=click.Path(path_type=Path), default=Path("runs"), help="Where its runs get their folders."
)
@common.options
def demo(output: common.Output, replay: bool, campaign: bool, runs_dir: Path) -> int:
    """The whole story on this machine: a reference run, its baseline, a burst at three times its rate, the verdict.

    Starts a Postgres and a reference gateway of its own, and ends them again. Exits 0 on PASS, 3 on HOLD.
    """
    from burst.cli import demonstrating

    if campaign and replay:
        raise click.UsageError("give --campaign or --replay, not both")
    if campaign:
        return demonstrating.play_campaign(output, runs_dir)
    return demonstrating.play(output, runs_dir, replay=replay)
