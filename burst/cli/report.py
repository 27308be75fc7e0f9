"""`burst report`: a run's report, made from evidence that holds."""

from pathlib import Path

import click

from burst.cli import common


@click.command(
    epilog="""\b
Examples:
  burst report runs/m10_20260221T020923Z -o report.html
  burst report m10_20260221T020923Z > report.html
  burst report bundle.zip -o report.html
  burst report s3://bucket/evidence/run_control/m10_20260221T020923Z -o report.html
"""
)
@click.argument("run", shell_complete=common.complete_runs)
@click.option(
    "-o", "--output", "file", type=click.Path(path_type=Path), help="A new file for the page. Default: stdout."
)
@common.priors_option
@common.runs_dir_option
@common.options
def report(output: common.Output, run: str, file: Path | None, ignore_priors: bool, runs_dir: Path) -> None:
    """Write the report of RUN as one self-contained HTML page.

    RUN is a folder, an execution id, a bundle, or an s3:// place. The evidence is verified first. Evidence that does
    not hold gives no report, and exits 7, 8 or 9 as `burst verify` does.
    """
    from burst import evidence
    from burst.domain.basics import canonical
    from burst.report import html

    held: list[evidence.HeldEvidence] = []
    verified = evidence.verify(common.find_place(run, runs_dir), priors=not ignore_priors, checks=[held.append])
    verdict = verified.finding.require_verdict()
    page = html.render(verdict, held[0].documents)
    described = {"sha256": canonical.digest(page), "size": len(page)}
    if file is None:
        output.result({**described, "html": page.decode()}, "")
        if not output.json:
            output.content(page)
        return
    common.write_new(file, page)
    output.say(f"wrote {file}")
    output.result({**described, "file": str(file)}, "")
