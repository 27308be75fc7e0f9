"""`burst campaign run`, `status`, `resume`, `stop`, `rollup`: phases in their order, with one journal as the state.

Each parses its words, makes one call, and renders how the campaign stands.
"""

import dataclasses
import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from burst.cli import common

if TYPE_CHECKING:
    from burst.wiring import campaigns


_EXITS = """
\b
Exit codes:
  0 every step passed, or --until is reached
  3 a step is on HOLD or pauses: the message says how to go on
  4 a step was refused or cannot end inside the budget, or another process drives the campaign
  5 a verdict is not published    6 a task may still run, or something is not put back: act now
"""
_operator_option = click.option("--operator", metavar="NAME", help="Who asks, for the journal.")
_yes_option = click.option("--yes", is_flag=True, help="In staging, pilot and prod: do change the databases.")
_until_option = click.option("--until", metavar="STEP", help="Stop after this step.")
_run_control_option = click.option(
    "--run-control",
    envvar="BURST_RUN_CONTROL",
    metavar="S3_PLACE",
    help="Where the campaign is, when it is not on this machine (or BURST_RUN_CONTROL).",
)
_new_runs_dir_option = click.option(
    "--runs-dir",
    envvar=common.RUNS_DIR_VARIABLE,
    metavar="FOLDER",
    help=f"Where campaign and runs get their folders, in place of evidence.local (or {common.RUNS_DIR_VARIABLE}).",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Words:
    """The words of a command that drives a campaign: how far, which step is taken again and how, and who asks."""

    until: str | None
    reopen: str | None
    only: tuple[str, ...]
    settings: tuple[str, ...]
    operator: str | None
    yes: bool

    def make_request(self, output: common.Output) -> "campaigns.CampaignRequest":
        """The request that they are."""
        from burst.wiring import campaigns

        return campaigns.CampaignRequest(
            operator=self.operator, said_yes=self.yes, until=self.until, command=output.words
        )

    def make_reopen(self) -> "campaigns.Reopen | None":
        """The step that is taken again; None where none is. Raises `click.UsageError` for words about none."""
        from burst.wiring import campaigns

        if self.reopen is None:
            if self.only or self.settings:
                raise click.UsageError("--only and --set change a step that is taken again: name it with --reopen STEP")
            return None
        return campaigns.Reopen(step=self.reopen, only=common.split_words(self.only), settings=self.settings)


def _driving_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options of a command that drives a campaign, which gets them as one value, `words`."""

    @functools.wraps(function)
    def command(*arguments: Any, **options: Any) -> Any:
        names = [field.name for field in dataclasses.fields(_Words)]
        words = _Words(**{name: options.pop(name) for name in names})
        return function(*arguments, words=words, **options)

    united: Callable[..., Any] = command
    for option in (
        _yes_option,
        _operator_option,
        click.option(
            "--set",
            "settings",
            multiple=True,
            metavar="KEY=VALUE",
            help="Change one key of the reopened step's plan; can be repeated.",
        ),
        common.only_option,
        click.option("--reopen", metavar="STEP", help="Take this step again, which is on HOLD."),
        _until_option,
    ):
        united = option(united)
    return united


@click.command(
    epilog=f"""\b
Examples:
  burst campaign run campaign.yaml
  burst campaign run campaign.yaml --until burst
  burst campaign run campaign.yaml --reopen burst --only B1,B5
{_EXITS}"""
)
@click.argument("file", type=common.PLAN_FILE)
@_driving_options
@_new_runs_dir_option
@common.options
def run(output: common.Output, file: Path, runs_dir: str | None, *, words: _Words) -> None:
    """Run the steps of FILE in their order, each once the ones before it passed.

    A step that is on HOLD holds the campaign. With --reopen the newest campaign of exactly this file goes on: its step
    is taken again, as a rerun bounded to the blockers of --only, resting on the snapshot that it ended with.
    """
    from burst.cli import running
    from burst.kit import files
    from burst.wiring import campaigns

    content, reporter = files.read_named_text(file, "FILE"), running.RunReporter(output)
    request, order = words.make_request(output), words.make_reopen()
    if order is None:
        _show(output, campaigns.begin(content, str(file), runs_dir, request, reporter))
        return
    folder = campaigns.find_campaign(content, str(file), runs_dir)
    _show(output, campaigns.resume(campaigns.CampaignAddress(folder=folder), request, reporter, order))


@click.command(
    epilog=f"""\b
Examples:
  burst campaign resume dev_min_20260221T020923Z_4f7a1c
  burst campaign resume dev_min_20260221T020923Z_4f7a1c --reopen burst --only B1,B5 --set load.rate=5000
{_EXITS}"""
)
@click.argument("campaign_name", metavar="CAMPAIGN")
@_driving_options
@_run_control_option
@common.runs_dir_option
@common.options
def resume(
    output: common.Output, campaign_name: str, run_control: str | None, runs_dir: Path, *, words: _Words
) -> None:
    """Go on with a campaign: after a pause, or where a process died, on any machine.

    A run that is under way is continued as `burst resume` does, and never launched again.
    """
    from burst.cli import running
    from burst.wiring import campaigns

    address, request, order = (
        _find(campaign_name, runs_dir, run_control),
        words.make_request(output),
        words.make_reopen(),
    )
    _show(output, campaigns.resume(address, request, running.RunReporter(output), order))


@click.command(
    epilog="""\b
Examples:
  burst campaign status dev_min_20260221T020923Z_4f7a1c
  burst campaign status dev_min_20260221T020923Z_4f7a1c --run-control s3://bucket/evidence/run_control --json
"""
)
@click.argument("campaign_name", metavar="CAMPAIGN")
@_run_control_option
@common.runs_dir_option
@common.options
def status(output: common.Output, campaign_name: str, run_control: str | None, runs_dir: Path) -> None:
    """Where a campaign stands, from its journal alone. Changes nothing.

    Exits 0, or 7 where no campaign began.
    """
    from burst.report import campaign_text
    from burst.wiring import campaigns

    view = campaigns.look_anywhere(_find(campaign_name, runs_dir, run_control))
    output.result(
        campaign_text.list_fields(view.file, view.course, at_work=view.at_work),
        campaign_text.render(view.file, view.course, common.shorten_path(view.folder), at_work=view.at_work),
    )


@click.command(
    epilog="""\b
Example:
  burst campaign stop dev_min_20260221T020923Z_4f7a1c --reason "the window is over"
"""
)
@click.argument("campaign_name", metavar="CAMPAIGN")
@click.option("--reason", default="burst campaign stop", show_default=True, help="Why, for the record.")
@_run_control_option
@common.runs_dir_option
@common.options
def stop(output: common.Output, campaign_name: str, reason: str, run_control: str | None, runs_dir: Path) -> None:
    """End a campaign: stop what runs, settle it, put back what was overridden, and undo its steps, the last one first.

    Works from any machine that reaches the campaign's run control. Exits 3 once it has ended, 6 where a task may still
    run or something is not put back, or 4 where its process has not come to the end yet.
    """
    from burst.cli import running
    from burst.domain.basics import errors
    from burst.wiring import campaigns

    view = campaigns.stop(_find(campaign_name, runs_dir, run_control), reason, running.RunReporter(output))
    if view.course.ended_at is None and view.at_work:
        raise errors.ControllerAtWork(
            "the process of the campaign was asked to end it, and works on it still; look again with: "
            f"burst campaign status {campaign_name}"
        )
    _show(output, view)


@click.command(
    epilog="""\b
Examples:
  burst campaign rollup runs/m10_20260222T080908Z_4f7a1c/rollup_order.json --snapshots runs/m10_one,runs/m10_two
  burst campaign rollup order.json --snapshots runs/m10_one --snapshots runs/m10_two -o snapshot.json

\b
Exit codes:
  0 ADVANCE    3 HOLD    2 the order cannot be read, or a snapshot is of none of its lanes
"""
)
@click.argument("order", metavar="ORDER", type=click.Path(path_type=Path))
@click.option(
    "--snapshots", multiple=True, required=True, metavar="PLACE,...", help="The runs of the lanes; can be repeated."
)
@click.option("-o", "--output", "file", type=click.Path(path_type=Path), help="A new file for the snapshot.")
@common.options
def rollup(output: common.Output, order: Path, snapshots: tuple[str, ...], file: Path | None) -> int:
    """Reach the verdict of a roll-up again from its ORDER and the evidence of its lanes. Publishes nothing.

    The same documents give the same bytes. The file of the campaign is the one beside ORDER. The evidence of each lane
    is verified; a lane that is not named is missing, and nothing advances without it.
    """
    from burst.domain.documents import rollup_documents
    from burst.kit import files
    from burst.report import campaign_text
    from burst.wiring import campaign_rollups

    beside = order.parent / rollup_documents.CAMPAIGN
    verdict = campaign_rollups.derive(
        files.read_named(order, "ORDER"),
        common.split_words(snapshots),
        files.read_named(beside, "the campaign of ORDER:") if beside.exists() else None,
    )
    if file is not None:
        common.write_new(file, verdict.content)
        output.say(f"wrote {file}")
    if output.json:
        output.content(verdict.content + b"\n")
    else:
        output.result(None, campaign_text.render_rollup(verdict.snapshot))
    return verdict.snapshot.exit_code


def _find(campaign_name: str, runs_dir: Path, run_control: str | None) -> "campaigns.CampaignAddress":
    """The address of a campaign: a path to its folder, or an id beneath the runs."""
    from burst.wiring import campaigns

    path = common.run_path(campaign_name, runs_dir / campaigns.CAMPAIGNS)
    if not path.is_dir():
        path = runs_dir / campaigns.CAMPAIGNS / path.name
    return campaigns.CampaignAddress(folder=path, run_control=run_control)


def _show(output: common.Output, view: "campaigns.CampaignView") -> None:
    """Shows a campaign, and ends the command with its exit code."""
    from burst.report import campaign_text

    folder = common.shorten_path(view.folder)
    output.result(
        campaign_text.list_fields(view.file, view.course, at_work=False),
        campaign_text.render(view.file, view.course, folder, at_work=False),
    )
    click.get_current_context().exit(campaign_text.find_exit_code(view.course))


@click.group(
    epilog="""\b
Examples:
  burst campaign run campaign.yaml
  burst campaign status CAMPAIGN

Exit codes stand in the help of each command.
"""
)
def campaign() -> None:
    """Campaigns: phases in their order, with entry gates, pauses, the reopening of one step, and a roll-up."""


for _command in (run, status, resume, stop, rollup):
    campaign.add_command(_command)
