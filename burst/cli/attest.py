"""`burst evidence attest`: the verdict of a run in a form that tools read which know no burst."""

from datetime import UTC, datetime
from pathlib import Path

import click

from burst.cli import common


@click.command(
    short_help="The verdict as an in-toto test result or a VSA.",
    epilog="""\b
Examples:
  burst evidence attest EXECUTION_ID --predicate test-result -o test-result.json
  burst evidence attest EXECUTION_ID --predicate vsa --subject ghcr.io/acme/ingest@sha256:DIGEST --key file:signing.pem
  burst evidence attest EXECUTION_ID --predicate test-result --only-predicate -o predicate.json

\b
Exit codes:
  0 written, of a PASS or a HOLD    2 usage    7 absent or incomplete
  8 integrity failed                9 cannot tell
""",
)
@click.argument("run", metavar="RUN", shell_complete=common.complete_runs)
@click.option("--predicate", "word", type=click.Choice(["test-result", "vsa"]), required=True, help="Which form.")
@click.option(
    "--subject",
    metavar="NAME@sha256:DIGEST",
    help="The artifact that the burst was of, such as an image. Default: the snapshot.",
)
@click.option("--key", metavar="file:PATH|kms:ARN", help="Signs the statement with this key, in a DSSE envelope.")
@click.option("--only-predicate", is_flag=True, help="The predicate alone, for a tool that makes the statement itself.")
@click.option("-o", "--output", "file", type=click.Path(path_type=Path), help="A new file for it. Default: stdout.")
@common.runs_dir_option
@common.options
def attest(
    output: common.Output,
    run: str,
    word: str,
    subject: str | None,
    key: str | None,
    only_predicate: bool,
    file: Path | None,
    runs_dir: Path,
) -> None:
    """The verdict of a run whose evidence holds, as an in-toto test result or a verification summary (VSA).

    The evidence is verified first; where it is not sound, nothing is written. A HOLD is told as FAILED.
    """
    from burst import evidence

    if only_predicate and key is not None:
        raise click.UsageError("--only-predicate and --key: allowed: one of them; the tool that takes it signs")
    content = evidence.attest(
        common.find_place(run, runs_dir),
        word=word,
        subject=subject,
        key=key,
        only_predicate=only_predicate,
        now=datetime.now(UTC),
    )
    if file is None:
        output.content(content + b"\n")
        return
    common.write_new(file, content)
    output.say(f"wrote {file}")
    output.result({"file": str(file), "predicate": word}, "")
