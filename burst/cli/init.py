"""`burst init`: a commented plan to start from."""

from pathlib import Path

import click

from burst.cli import common
from burst.domain.basics import errors

_STDIN = Path("/dev/stdin")
_EXAMPLES = Path(__file__).parent / "examples"


@click.command(
    epilog="""\b
Examples:
  burst init
  burst init --target ecs -o burst.yaml
  terraform output -json > outputs.json && burst init --target ecs --from-terraform outputs.json
  terraform output -json | burst init --target ecs --from-terraform -
"""
)
@click.option("--target", type=click.Choice(["local", "ecs"]), default="local", help="Where tasks run.")
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
def init(output: common.Output, target: str, file: Path, outputs: Path | None) -> None:
    """Write a commented plan. A file that exists is not overwritten.

    Exits 0, or 2 where the file exists, or OUTPUTS are not those of infra/.
    """
    if outputs is not None and target != "ecs":
        raise errors.UsageError("--from-terraform goes with --target ecs: Terraform makes nothing for the local target")
    text = (_EXAMPLES / f"{target}.yaml").read_text()
    common.write_new(file, (text if outputs is None else _fill_in(text, outputs)).encode())
    output.say(f"wrote {file}; change it, then `burst plan {file}` says what it would do")
    output.result({"plan": str(file), "target": target}, "")


def _fill_in(example: str, outputs: Path) -> str:
    from burst.domain.plan import terraform
    from burst.kit import files

    place = _STDIN if str(outputs) == "-" else outputs
    return terraform.write(
        example, terraform.parse(files.read_named_text(place, "--from-terraform"), source=str(place))
    )
