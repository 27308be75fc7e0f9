"""`burst halt`: one switch that stops every run under a run control, and lets none begin."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from burst.cli import common

if TYPE_CHECKING:
    from burst import ports
    from burst.domain.documents import halts


@click.command(
    epilog="""\b
Examples:
  burst halt                                   whether the local runs are halted
  burst halt --reason "customers see errors" --run-control s3://bucket/evidence/dev/run_control
  burst halt --lift --plan plan.yaml
"""
)
@click.option("--reason", metavar="TEXT", help="Stop every run there, and let none begin, for this reason.")
@click.option("--lift", is_flag=True, help="Let runs begin again. Starts none.")
@click.option(
    "--run-control",
    envvar="BURST_RUN_CONTROL",
    metavar="S3_PLACE",
    help="The run control of the runs (or BURST_RUN_CONTROL).",
)
@click.option("--plan", "plan_file", metavar="PLAN", type=common.PLAN_FILE, help="A plan whose run control it is.")
@click.option(
    "--runs-dir",
    type=click.Path(path_type=Path),
    envvar=common.RUNS_DIR_VARIABLE,
    default=Path("runs"),
    show_default=True,
    help=f"Without a run control: the folder whose local runs it stops (or {common.RUNS_DIR_VARIABLE}).",
)
@common.options
def halt(
    output: common.Output,
    reason: str | None,
    lift: bool,
    run_control: str | None,
    plan_file: Path | None,
    runs_dir: Path,
) -> None:
    """Stop every run under a run control and let none begin, until the halt is lifted. Without --reason and --lift:
    whether it is halted.

    Runs on ECS obey the switch under their run control (`halt.json`), local runs the one in the folder of their runs.
    Every controller stops its run within two heartbeats, preflight refuses, and no such run passes. A second halt
    changes nothing, and says who halted first. Lifting starts no run again.

    Exits 0 where the command did its work, whether halted or not; 9 where nobody can tell.
    """
    from burst.domain.basics import errors

    if lift and reason is not None:
        raise errors.UsageError("give --reason or --lift, not both")
    switch = _open_switch(run_control, plan_file, runs_dir)
    if lift:
        _lift(output, switch)
    elif reason is not None:
        _set(output, switch, reason)
    else:
        current_halt = switch.read()
        words = (
            f"not halted: {switch.address} is not there"
            if current_halt is None
            else _words(current_halt, switch.address)
        )
        output.result(_fields(switch, current_halt), words)


def _open_switch(run_control: str | None, plan_file: Path | None, runs_dir: Path) -> "ports.HaltSwitch":
    """The switch of the words given: what stands on the command line comes before a variable of the environment.

    Raises `errors.UsageError` where the command line names two run controls.
    """
    from burst.domain.basics import errors
    from burst.wiring import halting, preparing

    context = click.get_current_context()
    named = [
        name
        for name in ("run_control", "plan_file", "runs_dir")
        if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
    ]
    if len(named) > 1:
        options = ", ".join("--" + name.removesuffix("_file").replace("_", "-") for name in named)
        raise errors.UsageError(f"{options}: each names a run control; give one")
    if plan_file is not None:
        return halting.switch_of(preparing.read_plan(preparing.RunRequest(plan_file=plan_file)))
    return halting.open_switch(str(runs_dir) if named == ["runs_dir"] else run_control or str(runs_dir))


def _set(output: common.Output, switch: "ports.HaltSwitch", reason: str) -> None:
    from burst.domain.basics import errors
    from burst.wiring import halting
    from burst.wiring.preflight import halt_checks

    wanted_halt = halting.make_halt(reason, datetime.now(UTC))
    try:
        current_halt = switch.set_halt(wanted_halt)
    except errors.EvidenceUnknown as exc:
        lift = halt_checks.lift_command(switch.address)
        raise errors.EvidenceUnknown(
            f"nothing was written: {exc}. No run begins while it stands there, and running ones go on: {lift}, "
            "then halt again"
        ) from exc
    if current_halt != wanted_halt:
        output.result(
            {**_fields(switch, current_halt), "set": False},
            f"{_words(current_halt, switch.address)}; nothing was changed",
        )
        return
    output.result({**_fields(switch, current_halt), "set": True}, _words(current_halt, switch.address))
    output.say(
        "every run there stops within two heartbeats, at most 4 s and its grace, and none begins; "
        f"see each stopped: {halt_checks.status_command(switch.address)}; "
        f"once it is over: {halt_checks.lift_command(switch.address)}"
    )


def _lift(output: common.Output, switch: "ports.HaltSwitch") -> None:
    from burst.domain.basics import errors

    try:
        before, doubt = switch.read(), ""
    except errors.EvidenceUnknown as exc:
        before, doubt = None, str(exc)
    lifted = switch.lift()
    if not lifted:
        words = f"not halted: {switch.address} is not there; nothing to lift"
    elif before is None:
        words = f"lifted {switch.address}, which nobody could read: {doubt}"
    else:
        words = f"lifted; it was {_words(before, switch.address)}"
    output.result({**_fields(switch, None), "lifted": lifted, "was": _document(before)}, words)


def _words(current_halt: "halts.Halt", address: str) -> str:
    from burst.domain.basics import instants

    return f"halted by {current_halt.by} since {instants.text(current_halt.at_utc)} ({address}): {current_halt.reason}"


def _fields(switch: "ports.HaltSwitch", current_halt: "halts.Halt | None") -> dict[str, Any]:
    return {"place": switch.address, "halted": current_halt is not None, "halt": _document(current_halt)}


def _document(current_halt: "halts.Halt | None") -> dict[str, Any] | None:
    return None if current_halt is None else current_halt.document()
