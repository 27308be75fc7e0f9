"""`burst plan`: validates a plan and describes a run of it. Starts nothing."""

from datetime import UTC, datetime
from pathlib import Path

import click

from burst.cli import common
from burst.domain.basics import errors


@click.command(
    epilog="""\b
Examples:
  burst plan plan.yaml
  burst plan plan.yaml --set budget.operator_cap=16m --only M10F-B1,M10F-B8 --prior runs/EXECUTION_ID
"""
)
@click.argument("plan_file", metavar="PLAN", type=common.PLAN_FILE)
@common.set_option
@common.only_option
@common.prior_option
@common.options
def plan(
    output: common.Output, plan_file: Path, overrides: tuple[str, ...], only: tuple[str, ...], prior: str | None
) -> None:
    """Validate PLAN and print what would run: tasks, rate, window, deadline, layers, cost, blockers. Starts nothing.

    On ECS the cost is that of the pinned task definition's size, which is asked of AWS where it is configured here.

    Exits 2 where the plan or a secret it refers to is wrong, 4 where its baseline cannot be used.
    """
    from burst.cli import plan_fields, plan_text
    from burst.wiring import preparing

    request = preparing.RunRequest(plan_file=plan_file, overrides=overrides, only=common.split_words(only), prior=prior)
    written = preparing.read_plan(request)
    missing = preparing.find_missing_secret(written)
    if missing:
        raise errors.UsageError(missing)
    value = plan_fields.list_fields(written, preparing.prepare(request, datetime.now(UTC)))
    value["warnings"] = plan_text.list_warnings(value)
    output.result(value, plan_text.render(str(plan_file), value))
