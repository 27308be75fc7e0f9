"""`burst init`: a commented plan to start from."""

from pathlib import Path

import click

from burst.cli import common
from burst.domain.basics import errors

_STDIN = Path("/dev/stdin")
_EXAMPLES = Path(__file__).parent / "examples"
_ROLLUP = "rollup"
"""It is no run, so what is written for it is a campaign file."""
_KINDS = ("burst", "window", "soak", "recovery", "reproducibility", "drill", _ROLLUP)


@click.command(
    epilog="""\b
Examples:
  burst init
  burst init --target ecs -o burst.yaml
  burst init --kind soak -o soak.yaml
  terraform output -json > outputs.json && burst init --target ecs --from-terraform outputs.json
  terraform output -json | burst init --target ecs --from-terraform -
"""
)
@click.option("--target", type=click.Choice(["local", "ecs"]), default="local", help="Where tasks run.")
@click.option("--kind", type=click.Choice(_KINDS), default=_KINDS[0], help="The kind of phase; others run locally.")
@click.option(
    "-o", "--output", "file", type=click.Path(path_type=Path), default=Path("plan.yaml"), help="Where the plan goes."
)
@click.option(
    "--from-terraform",
    "outputs",
    type=click.Path(path_type=Path),
    metavar="OUTPUTS.json",
    help="With ecs: the names that infra/ made, as `terraform output -json` prints them; - reads them from stdin.",
)
@common.options
def init(output: common.Output, target: str, kind: str, file: Path, outputs: Path | None) -> None:
    """Write a commented plan. A file that exists is not overwritten.

    A plan of another kind than burst is written for this machine. A roll-up is a step of a campaign file.
    Exits 0, or 2 where the file exists, or OUTPUTS are not those of infra/.
    """
    if kind != _KINDS[0] and target != "local":
        raise errors.UsageError(
            f"--kind {kind} goes with --target local; take `target` and `layers` of `burst init --target ecs`"
        )
    if outputs is not None and target != "ecs":
        raise errors.UsageError("--from-terraform goes with --target ecs: Terraform makes nothing for the local target")
    name = target if kind == _KINDS[0] else f"{target}-{kind}"
    text = (_EXAMPLES / f"{name}.yaml").read_text()
    common.write_new(file, (text if outputs is None else _fill_in(text, outputs)).encode())
    follows = (
        f"`burst campaign run {file}` runs it" if kind == _ROLLUP else f"`burst plan {file}` says what it would do"
    )
    output.say(f"wrote {file}; change it, then {follows}")
    output.result({"plan": str(file), "target": target, "kind": kind}, "")


def _fill_in(example: str, outputs: Path) -> str:
    from burst.domain.plan import terraform
    from burst.kit import files

    place = _STDIN if str(outputs) == "-" else outputs
    return terraform.write(
        example, terraform.parse(files.read_named_text(place, "--from-terraform"), source=str(place))
    )
