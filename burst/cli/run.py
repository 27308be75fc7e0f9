"""The commands about one run: preflight, run, resume, status, stop, reconcile."""

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from burst.cli import common
from burst.domain.basics import errors

if TYPE_CHECKING:
    from burst.wiring import preparing

F = TypeVar("F", bound=Callable[..., Any])


_execution_id_option = click.option(
    "--execution-id", metavar="ID", help="The id of the run, in place of one that burst makes."
)


_new_runs_dir_option = click.option(
    "--runs-dir",
    envvar=common.RUNS_DIR_VARIABLE,
    metavar="FOLDER",
    help=f"Where the run's folder is made, in place of evidence.local (or {common.RUNS_DIR_VARIABLE}).",
)


def add_runs_dir(runs_dir: str | None, overrides: tuple[str, ...]) -> tuple[str, ...]:
    """The changes to a plan, first the folder of its runs, so that `--set evidence.local` still has the last word."""
    return overrides if not runs_dir else (f"evidence.local={runs_dir}", *overrides)


def _unite_request(function: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a command one request in place of the options that say what to run."""

    @functools.wraps(function)
    def command(
        output: common.Output,
        *,
        plan_file: Path,
        overrides: tuple[str, ...],
        only: tuple[str, ...],
        prior: str | None,
        execution_id: str | None,
        runs_dir: str | None,
        **named: Any,
    ) -> Any:
        from burst.wiring import preparing

        request = preparing.RunRequest(
            plan_file=plan_file,
            overrides=add_runs_dir(runs_dir, overrides),
            only=common.split_words(only),
            prior=prior,
            execution_id=execution_id,
            command=output.words,
        )
        return function(output, request, **named)

    return command


def _add_run_control(act: str) -> Callable[[F], F]:
    """Adds `--run-control`, for runs launched on another machine."""
    return click.option(
        "--run-control",
        envvar="BURST_RUN_CONTROL",
        metavar="S3_PLACE",
        help=f"{act} from here where it is not on this machine (or BURST_RUN_CONTROL).",
    )


_run_control_option = _add_run_control("Take the run over")


@click.command(
    epilog="""\b
Examples:
  burst run plan.yaml
  burst run plan.yaml --set budget.operator_cap=16m
  burst run plan.yaml --only M10F-B1,M10F-B5,M10F-B8 --prior runs/EXECUTION_ID
"""
)
@click.argument("plan_file", metavar="PLAN", type=common.PLAN_FILE)
@common.set_option
@common.only_option
@common.prior_option
@_execution_id_option
@_new_runs_dir_option
@click.option("--no-early-stop", is_flag=True, help="Run the whole window even when it cannot pass any more.")
@common.options
@_unite_request
def run(output: common.Output, request: "preparing.RunRequest", no_early_stop: bool) -> int:
    """Run a plan: launch, hold to the budget, count, adjudicate, publish.

    Exits 0 on PASS, 3 on HOLD, 2 or 4 where nothing was launched, 6 where a task may still be running.
    """
    from burst.cli import running
    from burst.wiring import driving

    outcome = driving.run(dataclasses.replace(request, early_stop=not no_early_stop), running.RunReporter(output))
    return running.render(output, outcome)


@click.command(
    epilog="""\b
Examples:
  burst preflight plan.yaml
  burst preflight plan.yaml --json > findings.json
  burst preflight plan.yaml --only M10F-B1,M10F-B5,M10F-B8 --prior runs/EXECUTION_ID
"""
)
@click.argument("plan_file", metavar="PLAN", type=common.PLAN_FILE)
@common.set_option
@common.only_option
@common.prior_option
@_execution_id_option
@_new_runs_dir_option
@common.options
@_unite_request
def preflight(output: common.Output, request: "preparing.RunRequest") -> None:
    """Every check before a run, side by side, with its finding. Launches nothing.

    Where the plan names a host, one event is pushed there, and must produce its receipt; it precedes any window.
    Exits 0, or 4 where a check refuses. A warning tells of a fault, or of a question without an answer: it refuses
    nothing, and is no pass.
    """
    from burst.cli import running

    running.check(output, request)


@click.command(
    epilog="""\b
Example:
  burst resume m10_20260221T020923Z_4f7a1c
"""
)
@click.argument("run_name", metavar="RUN", shell_complete=common.complete_runs)
@_run_control_option
@common.runs_dir_option
@common.options
def resume(output: common.Output, run_name: str, runs_dir: Path, run_control: str | None) -> int:
    """Continue a run whose controller died, from whatever line of its journal.

    Launches nothing: a burst under way is continued, one that had not begun is settled. A finished run prints its
    verdict again. Exits as `burst run` does.
    """
    from burst.cli import running
    from burst.wiring import driving

    address = running.find_run(run_name, runs_dir, run_control)
    return running.render(output, driving.resume(address, running.RunReporter(output)))


@click.command(
    epilog="""\b
Examples:
  burst status m10_20260221T020923Z_4f7a1c --json
  burst status m10_20260221T020923Z_4f7a1c --watch
  burst status m10_20260221T020923Z_4f7a1c --run-control s3://bucket/evidence/run_control
"""
)
@click.argument("run_name", metavar="RUN", shell_complete=common.complete_runs)
@click.option("--watch", is_flag=True, help="Show it until it is finished.")
@_add_run_control("Look at the run")
@common.runs_dir_option
@common.options
def status(output: common.Output, run_name: str, runs_dir: Path, run_control: str | None, watch: bool) -> None:
    """Where a run stands: from its journal, and from the processes themselves. Changes nothing.

    Of a run on another machine: from its lease, its tasks and its published verdict. With --watch it is shown as
    `burst run` shows it, from any terminal and any machine; Ctrl-C ends that, and not the run.

    Exits 0, 7 where no run began, or 6 where its tasks cannot be seen. Of a finished run whose folder is damaged, or
    of an unknown version, it exits 7, 8 or 9 as burst verify does.
    """
    from burst.cli import running
    from burst.wiring import driving

    address = running.find_run(run_name, runs_dir, run_control)
    if watch:
        from burst.cli import following

        if output.json:
            raise errors.UsageError("--json is one document; for a line a change: --watch --log-format json")
        running.render_status(output, following.follow(output, address))
    else:
        running.render_status(output, driving.inspect(address))


@click.command(
    epilog="""\b
Example:
  burst stop m10_20260221T020923Z_4f7a1c
"""
)
@click.argument("run_name", metavar="RUN", shell_complete=common.complete_runs)
@click.option("--reason", default="burst stop", show_default=True, help="Why, for the record.")
@_run_control_option
@click.option(
    "--cluster",
    envvar="BURST_CLUSTER",
    metavar="NAME",
    help="Where the run has no folder here: look for its tasks in this ECS cluster too (or BURST_CLUSTER).",
)
@common.runs_dir_option
@common.options
def stop(
    output: common.Output, run_name: str, runs_dir: Path, reason: str, run_control: str | None, cluster: str | None
) -> None:
    """Stop every task of a run, and say so only when each was seen to stop.

    Needs neither the process that launched nor the database, nor the run's folder: without it the tasks are found by
    their marks. A living controller goes on to the verdict by itself; without one, services are put back here, and
    `burst resume` makes the verdict.

    Exits 0, 6 where a task may still be running or a service was not put back, or 7 where there is no such run and
    none of its tasks runs.
    """
    from burst.cli import running

    running.stop_anywhere(output, running.StopRequest(run_name, runs_dir, run_control, cluster, reason))


@click.command(
    epilog="""\b
Example:
  burst reconcile m10_20260221T020923Z_4f7a1c
"""
)
@click.argument("run_name", metavar="RUN", shell_complete=common.complete_runs)
@_run_control_option
@common.runs_dir_option
@common.options
def reconcile(output: common.Output, run_name: str, runs_dir: Path, run_control: str | None) -> int:
    """Settle a run by the present state of its tasks; stops none of them.

    Once every task has ended it counts and adjudicates as `burst resume` does, with the same exit code. While a task
    runs, or a controller is alive, it only shows the tasks, and exits 0.
    """
    from burst.cli import running

    return running.reconcile(output, running.find_run(run_name, runs_dir, run_control))
