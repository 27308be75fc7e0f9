"""`burst report`: a run's report, made from evidence that holds."""

from pathlib import Path

import click

from burst.cli import common


@click.command(
    epilog="""\b
Examples:
  burst report runs/m10_20260221T020923Z -o report.html
  burst report m10_20260221T020923Z > report.html
"""
)
@click.argument("run")
@click.option("-o", "--output", "file", type=click.Path(path_type=Path), help="A new file, in place of stdout.")
@common.priors_option
@common.runs_dir_option
@common.options
def report(output: common.Output, run: str, file: Path | None, ignore_priors: bool, runs_dir: Path) -> None:
    """Write the report of RUN (a folder, or an execution id) as one self-contained HTML page.

    The evidence is verified first. Evidence that does not hold gives no report, and exits 7, 8 or 9 as `burst verify`
    does.
    """
    from burst import evidence
    from burst.adapters.local import folder_store
    from burst.domain.basics import canonical
    from burst.domain.documents import document_names, window_metrics
    from burst.report import html

    folder = common.run_folder(run, runs_dir)
    finding = evidence.verify(folder, priors=not ignore_priors).finding
    verdict, store = finding.require_verdict(), folder_store.FolderStore(folder)
    name = document_names.metrics_name(finding.slug)
    content = store.read(name) if name in store.names() else None
    page = html.render(verdict, window_metrics.read_usable(content))
    described = {"sha256": canonical.digest(page), "size": len(page)}
    if file is None:
        output.result({**described, "html": page.decode()}, "")
        if not output.json:
            output.content(page)
        return
    common.write_new(file, page)
    output.say(f"wrote {file}")
    output.result({**described, "file": str(file)}, "")
