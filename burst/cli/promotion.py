"""`burst baseline promote` and `demote`, and the verification of a promotion: parse, one call, render."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from burst.cli import common

if TYPE_CHECKING:
    from burst.domain.verdict import promotions

_EXITS = """
\b
Exit codes:
  0 promoted                        2 no block of runs, or FILE holds another document
  3 judged and refused              4 a run without a counted window, or of burst 0.1.0
  7, 8, 9 the evidence of a run does not hold
"""


@click.command(
    short_help="Judge whether runs are alike enough to make a gate required.",
    epilog=f"""\b
Examples:
  burst baseline promote RUN RUN RUN RUN RUN -o promotions/p95.json
  burst baseline promote --measure rate s3://bucket/run_control/ID ... -o promotions/rate.json
  burst verify promotions/p95.json --runs runs
{_EXITS}""",
)
@click.argument("runs", nargs=-1, required=True, metavar="RUN...", shell_complete=common.complete_runs)
@click.option("-o", "--output", "file", type=click.Path(path_type=Path), required=True, help="The file for it.")
@click.option(
    "--measure",
    default="latency_p95",
    show_default=True,
    help="latency_p95, latency_p99, rate, or DOCUMENT:/POINTER, such as snapshot:/runtime_budget/elapsed_seconds.",
)
@click.option("--gate", metavar="NAME", help="The gate that it makes required. Default: the one of the measure.")
@common.trusted_key_option("The public key that signatures of the runs have to be by.")
@common.signing_key_option("--sign", words="Sign it: FILE.dsse.json is written beside it.")
@common.runs_dir_option
@common.options
def promote(
    output: common.Output,
    runs: tuple[str, ...],
    file: Path,
    measure: str,
    gate: str | None,
    runs_dir: Path,
    **keys: str | None,
) -> int:
    """Judge a block of RUNs (folders, execution ids, bundles, S3 places), in whatever order they are named.

    They have to be 5, or as many as their plan declares: each a PASS whose evidence holds, of one contract and one
    setting, with none left out between them and none of an earlier block. The figures have to be alike: coefficient of
    variation up to 0.15, the greatest up to 1.25 times the least, and no order visible in them.

    A refusal is written too: the runs of a block are used up by it. So exit 3 leaves a document, as a HOLD leaves a
    snapshot, and 2 and 7 to 9 leave none: nothing was judged. The same runs give the same bytes, and a file that holds
    them already is left as it is.
    """
    from burst import evidence
    from burst.domain.verdict import promotions

    places = [str(common.run_path(run, runs_dir)) if "://" not in run else run for run in runs]
    promotion = evidence.promote(places, measure=measure, gate=gate, key=keys["key"])
    content = promotion.content()
    written = write_once(file, content)
    signed = _sign(file, promotion, content, keys["sign"]) if keys["sign"] else None
    output.say(f"{'wrote' if written else 'left as it is:'} {file}{f' and {signed}' if signed else ''}")
    value = {"file": str(file), "sha256": promotions.find_digest(content), **promotion.document()}
    output.result(value, render(file, promotion, content))
    return promotion.exit_code


@click.command(
    short_help="Make a promoted gate informational again, and say why.",
    epilog="""\b
Example:
  burst baseline demote promotions/p95.json --reason "the gateway was replaced" -o promotions/p95_demotion.json
""",
)
@click.argument("promoted", metavar="PROMOTION", type=click.Path(path_type=Path))
@click.option("--reason", required=True, help="Why, in a sentence: the document keeps it.")
@click.option("-o", "--output", "file", type=click.Path(path_type=Path), required=True, help="The file for it.")
@common.options
def demote(output: common.Output, promoted: Path, reason: str, file: Path) -> int:
    """Write the demotion of the gate in PROMOTION: with it a plan may set mode: informational again.

    Exits 0, also where FILE holds this demotion already; 2 where FILE holds another document or PROMOTION refuses; 8
    where PROMOTION was changed.
    """
    from datetime import UTC, datetime

    from burst.domain.basics import errors
    from burst.domain.verdict import promotions
    from burst.kit import files

    content = files.read_named(promoted, "PROMOTION")
    demotion = promotions.make_demotion(content, reason, datetime.now(UTC))
    written = True
    try:
        common.write_new(file, demotion.content())
    except errors.UsageError:
        present = files.read_named(file, "FILE") if file.is_file() else b""
        if not promotions.is_demotion_of(present, demotion):
            raise
        written, demotion = False, promotions.read_demotion(present)
    digest = promotions.find_digest(demotion.content())
    output.say(f"{'wrote' if written else 'left as it is:'} {file}")
    output.result(
        {"file": str(file), "sha256": digest, **demotion.document()},
        f"DEMOTED {demotion.gate} of {demotion.phase}: {demotion.reason}\n"
        f"  in the plan: gates.modes.{demotion.gate}: {{mode: informational, demoted_by: {digest}}}",
    )
    return 0


def write_once(file: Path, content: bytes) -> bool:
    """Writes a file that may hold these very bytes already; whether it was written now.

    Raises `errors.UsageError` where it holds others.
    """
    from burst.kit import files

    if file.is_file() and files.read_named(file, "FILE") == content:
        return False
    common.write_new(file, content)
    return True


def _sign(file: Path, promotion: "promotions.Promotion", content: bytes, key: str) -> Path:
    """The signature beside the document; one that is there already has to speak of exactly this document."""
    from burst.adapters import signing
    from burst.adapters.local import system_clock
    from burst.domain.verdict import attestations, promotion_statements
    from burst.kit import files

    beside = file.with_name(file.name + promotion_statements.SUFFIX)
    statement = promotion_statements.make_statement(promotion, content)
    if beside.is_file():
        envelope = attestations.read(files.read_named(beside, "the signature"))
        promotion_statements.check_statement(envelope.statement, statement)
        return beside
    common.write_new(beside, signing.open_signer(key, system_clock.SystemClock()).sign(statement))
    return beside


def render(file: Path, promotion: "promotions.Promotion", content: bytes) -> str:
    """A promotion as text."""
    from burst.domain.verdict import promotions

    lines = [f"{promotion.decision} {promotion.gate} of {promotion.phase}: {promotion.statement}"]
    unit = f" {promotion.unit}" if promotion.unit else ""
    for run in promotion.runs:
        value = "no figure" if run.value is None else f"{run.value:.6g}{unit}"
        attempt = f", attempt {run.attempt}" if run.attempt else ""
        lines.append(f"  {run.execution_id}: {promotion.measure} {value}{attempt}, snapshot {run.sha256[:12]}")
    figures = promotion.figures
    if figures is not None:
        bound = "none" if figures.cv_upper is None else f"{figures.cv_upper:.3g}"
        lines.append(
            f"  mean {figures.mean:.6g}{unit}, cv {figures.cv:.4g} (true one up to {bound}), "
            f"max/min {figures.max_over_min:.4g}, trend p {figures.trend_p:.4g}"
        )
    if promotion.promoted:
        digest = promotions.find_digest(content)
        lines.append(f"  in the plan: gates.modes.{promotion.gate}: {{mode: required, promoted_by: {digest}}}")
    return "\n".join(lines)


def verify(output: common.Output, file: Path, search: Sequence[str], key: str | None, required: bool) -> int:
    """Derives the promotion in a file again, and shows it."""
    from burst import evidence
    from burst.kit import files

    content = files.read_named(file, "FILE")
    promotion = evidence.verify_promotion(file, search, key=key, require_signature=required)
    value = {"state": "ok", "place": str(file), "exit_code": promotion.exit_code, "promotion": promotion.document()}
    output.result(value, f"ok: {render(file, promotion, content)}")
    return promotion.exit_code


def verify_demotion(output: common.Output, file: Path, search: Sequence[str], key: str | None, required: bool) -> int:
    """Shows the demotion in a file, once its bytes hold: it rests on the reason in it, and cites a promotion by digest.

    Raises `errors.EvidenceCorrupt` where a signature is required: a demotion has none.
    """
    from burst.domain.basics import errors
    from burst.domain.verdict import promotions
    from burst.kit import files

    demotion = promotions.read_demotion(files.read_named(file, "FILE"))
    if required:
        raise errors.EvidenceCorrupt(f"bad-signature: {file} has no signature, and one was required")
    value = {"state": "ok", "place": str(file), "exit_code": 0, "demotion": demotion.document()}
    cited = f"promotion {demotion.promotion_sha256[:12]}"
    output.result(value, f"ok: DEMOTED {demotion.gate} of {demotion.phase} ({cited}): {demotion.reason}")
    return 0
