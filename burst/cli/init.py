"""`burst init`: a commented plan to start from."""

from pathlib import Path

import click

from burst.cli import common

_EXAMPLES = Path(__file__).parent / "examples"


@click.command(
    epilog="""\b
Examples:
  burst init
  burst init --target ecs -o burst.yaml
"""
)
@click.option("--target", type=click.Choice(["local", "ecs"]), default="local", help="Where tasks run.")
@click.option(
    "-o", "--output", "file", type=click.Path(path_type=Path), default=Path("plan.yaml"), help="Where the plan goes."
)
@common.options
def init(output: common.Output, target: str, file: Path) -> None:
    """Write a commented plan. A file that exists is not overwritten."""
    common.write_new(file, (_EXAMPLES / f"{target}.yaml").read_bytes())
    output.say(f"wrote {file}; change it, then `burst plan {file}` says what it would do")
    output.result({"plan": str(file), "target": target}, "")
