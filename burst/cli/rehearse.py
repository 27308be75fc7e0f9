"""`burst rehearse`: an ECS plan, unchanged, against a simulated AWS on this machine, with faults."""

from pathlib import Path

import click

from burst.cli import common


@click.command(
    epilog="""\b
Examples:
  burst rehearse plan.yaml
  burst rehearse plan.yaml --fault ecs-down@5+20 --fault controller-kill@8
  burst rehearse plan.yaml --fault ecs-down@bursting+5+10 --fault denied:ecs:StopTask@stopping
  burst rehearse --list-faults
"""
)
@click.argument("plan_file", metavar="PLAN", type=common.PLAN_FILE, required=False)
@click.option(
    "--fault",
    "ordered",
    multiple=True,
    metavar="NAME@WHEN",
    shell_complete=common.complete_faults,
    help="A fault; can be repeated. WHEN is SECONDS[+SECONDS], from when since the run began and for how long, or "
    "PHASE[+SECONDS[+SECONDS]], from when since the phase began; the phases are "
    "arming, launching, starting, bursting, stopping and reconciling (burst resume).",
)
@click.option("--list-faults", is_flag=True, help="Print every fault and what it does.")
@common.set_option
@common.options
def rehearse(
    output: common.Output,
    plan_file: Path | None,
    ordered: tuple[str, ...],
    list_faults: bool,
    overrides: tuple[str, ...],
) -> int:
    """Run an ECS plan against a simulated AWS whose containers are real processes of this machine.

    The plan is run unchanged, but for its host where that is not on loopback: a reference gateway stands in for it.
    A controller that a fault kills is followed by `burst resume`. Every permission the run would have needed on AWS
    stands in permissions.json of its folder, by role. Exits as `burst run` does.
    """
    from burst.cli import rehearsing
    from burst.domain.basics import errors
    from burst.rehearsal import faults
    from burst.wiring import preparing

    if list_faults:
        output.result(faults.FAULTS, "\n".join(f"{name:22} {effect}" for name, effect in faults.FAULTS.items()))
        return 0
    if plan_file is None:
        raise errors.UsageError("give a PLAN, or --list-faults")
    request = preparing.RunRequest(plan_file=plan_file, overrides=overrides, command=output.words)
    return rehearsing.rehearse(output, request, faults.parse_faults(ordered))
