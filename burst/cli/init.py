"""`burst init`: a commented plan to start from."""

from pathlib import Path

import click

from burst.cli import common
from burst.domain.basics import errors

_STDIN = Path("/dev/stdin")
_EXAMPLES = Path(__file__).parent / "examples"
_HOST = "http://127.0.0.1:8080"
"""`load.host` in the examples: where `burst sandbox up` listens unless it is told otherwise."""
_ROLLUP = "rollup"
"""It is no run, so what is written for it is a campaign file."""
_KINDS = ("burst", "window", "soak", "recovery", "reproducibility", "drill", _ROLLUP)


@click.command(
    epilog="""\b
Examples:
  burst init
  burst init --short -o first.yaml       a first try of seconds
  burst init --target ecs -o burst.yaml
  burst init --kind soak -o soak.yaml
  burst init --steps -o steps.yaml       a load of several rates, on this machine
  terraform output -json > outputs.json && burst init --target ecs --from-terraform outputs.json
  terraform output -json | burst init --target ecs --from-terraform -
"""
)
@click.option(
    "--target", type=common.Choice(["local", "ecs"]), default="local", help="Where tasks run: here, or on ECS."
)
@click.option(
    "--kind",
    type=common.Choice(_KINDS),
    default=_KINDS[0],
    help="The kind of phase; all but burst go with --target local.",
)
@click.option("--steps", is_flag=True, help="A load of several rates on one clock, in place of one rate.")
@click.option(
    "--short", is_flag=True, help="A first try of seconds with two tasks; the contract's own figures stand beside."
)
@click.option(
    "-o",
    "--output",
    "file",
    type=click.Path(path_type=Path),
    default=Path("plan.yaml"),
    help="A new file for the plan.",
)
@click.option(
    "--from-terraform",
    "outputs",
    type=click.Path(path_type=Path),
    metavar="OUTPUTS.json",
    help="With ecs: the names that infra/ made, as `terraform output -json` prints them; - reads them from stdin.",
)
@common.options
def init(
    output: common.Output, target: str, kind: str, steps: bool, short: bool, file: Path, outputs: Path | None
) -> None:
    """Write a commented plan. A file that exists is not overwritten.

    For rollup a campaign file is written, because a roll-up is a step of a campaign. Where `burst sandbox up` keeps a
    gateway, a plan for this machine names its address.
    Exits 0, or 2 where the file exists, or OUTPUTS are not those of infra/.
    """
    if kind != _KINDS[0] and target != "local":
        raise errors.UsageError(
            f"--kind {kind} goes with --target local; take `target` and `layers` of `burst init --target ecs`"
        )
    if outputs is not None and target != "ecs":
        raise errors.UsageError("--from-terraform goes with --target ecs: Terraform makes nothing for the local target")
    if steps and (target, kind) != ("local", _KINDS[0]):
        raise errors.UsageError("--steps goes with --target local and --kind burst; take its `load.rate` for others")
    if short and (kind != _KINDS[0] or steps or outputs is not None):
        raise errors.UsageError("--short goes with --target alone, and with no other option of the plan")
    text = _read_shipped("steps" if steps else target) if steps or short else _read_example(target, kind)
    host = _find_sandbox() if target == "local" else None
    if host is not None:
        text = text.replace(_HOST, host)
    common.write_new(file, (text if outputs is None else _fill_in(text, outputs)).encode())
    follows = (
        f"`burst campaign run {file}` runs it" if kind == _ROLLUP else f"`burst plan {file}` says what it would do"
    )
    changes = "change it, then" if host is None else f"its host is the sandbox's, {host};"
    output.say(f"wrote {file}; {changes} {follows}")
    output.result({"plan": str(file), "target": target, "kind": kind}, "")


def _read_shipped(name: str) -> str:
    """A short example plan, as the pages name it."""
    from burst.report import runbook_pages

    return runbook_pages.find_plan(Path(f"runbooks/plans/{name}.yaml")).read_text()


def _read_example(target: str, kind: str) -> str:
    return (_EXAMPLES / f"{target if kind == _KINDS[0] else f'{target}-{kind}'}.yaml").read_text()


def _find_sandbox() -> str | None:
    """The address of the gateway that `burst sandbox up` keeps; None where none is up."""
    from burst.sandbox import sandbox_folders, standing_sandbox

    sandbox = standing_sandbox.find_standing(sandbox_folders.SandboxFolder(sandbox_folders.default_folder()))
    return None if sandbox is None else sandbox.url


def _fill_in(example: str, outputs: Path) -> str:
    from burst.domain.plan import terraform
    from burst.kit import files

    place = _STDIN if str(outputs) == "-" else outputs
    return terraform.write(
        example, terraform.parse(files.read_named_text(place, "--from-terraform"), source=str(place))
    )
