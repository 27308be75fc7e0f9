"""`burst adjudicate`: documents to verdict. Reads the files it is given and nothing else, no clock and no network."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from burst.cli import common

if TYPE_CHECKING:
    from burst.domain.plan import plans


_FILE = click.Path(path_type=Path)


def _file_option(*names: str, help: str, path: click.Path = _FILE, required: bool = False) -> click.Option:
    return click.Option(names, type=path, metavar="FILE", help=help, required=required)


@click.command(
    params=[
        _file_option("--plan", "plan_file", help="The plan.", path=common.PLAN_FILE, required=True),
        _file_option("--task-result", help="What became of every task."),
        _file_option("--task-records", help="What the guard of each task recorded of it."),
        _file_option("--metrics", help="The counts of the attempt window."),
        _file_option("--load", help="What the tasks' programs counted of their load."),
        _file_option("--facts", help="What the fact queries answered."),
        _file_option("--observations", help="The samples of the series that the plan observes."),
        _file_option("--baseline", help="The baseline document, where the plan does not give it inline."),
        _file_option("--prior", help="The prior snapshot of a bounded rerun."),
        _file_option("--prior-plan", help="The plan of the run that the prior is of, as that names it by digest."),
        _file_option("--reference", help="The snapshot of the run that this one reproduces."),
        _file_option("--reference-plan", help="The plan of that run, as its snapshot names it by digest."),
        _file_option("--reproduction", help="The key sets of both runs."),
        _file_option("--preflight", help="What preflight found before the launch."),
        _file_option("--attempt", help="The number of the run among the attempts of its phase."),
        _file_option("--gate-records", help="The promotions and demotions of gates that the plan names by digest."),
    ],
    epilog="""\b
Examples:
  burst adjudicate --plan plan.json --task-result m10_f_task_result.json \\
      --metrics m10_f_receipts_window_metrics.json > snapshot.json
  burst adjudicate --plan plan.yaml --only M10F-B1,M10F-B8 --prior prior.json -o snapshot.json
""",
)
@common.only_option
@click.option(
    "-o", "--output", "file", type=click.Path(path_type=Path), help="A new file for the snapshot. Default: stdout."
)
@common.options
def adjudicate(
    output: common.Output,
    plan_file: Path,
    only: tuple[str, ...],
    file: Path | None,
    **documents: Path | None,
) -> int:
    """Make the snapshot from documents: canonical bytes on stdout, the verdict in words on stderr.

    A document that is missing or unreadable leaves its blockers open. Exits 0 on PASS and 3 on HOLD, or as the
    snapshot says.
    """
    from burst.domain.basics import canonical
    from burst.domain.verdict import cases, gate_table, snapshots
    from burst.kit import files
    from burst.report import terminal

    plan = _plan(plan_file, common.split_words(only))
    files_by_kind = {name.replace("_", "-"): path for name, path in documents.items() if path is not None}
    contents = {
        gate_table.find_name(kind, plan.slug): files.read_named(path, f"--{kind}")
        for kind, path in files_by_kind.items()
    }
    verdict = snapshots.adjudicate(cases.from_documents(plan, canonical.encode(plan.document()), contents))
    if file is not None:
        common.write_new(file, verdict.content)
    if file is None or output.json:
        output.content(verdict.content)
    output.say(terminal.render(verdict.snapshot))
    return verdict.snapshot.exit_code


def _plan(path: Path, only: tuple[str, ...]) -> "plans.Plan":
    from burst.domain.basics import canonical
    from burst.domain.plan import plans
    from burst.kit import files

    plan = plans.parse(files.read_named_text(path, "--plan"), source=str(path))
    if not only:
        return plan
    value = plan.document()
    value["rerun"] = {**value.get("rerun", {}), "only": list(only)}
    return plans.parse(canonical.encode(value).decode(), source=f"{path} with --only")
