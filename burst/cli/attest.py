"""`burst evidence attest`: the verdict of a run in a form that tools read which know no burst; and
`verify-attestation`, which reads one that was signed without a key."""

import functools
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from burst.cli import common

if TYPE_CHECKING:
    from burst.evidence import Keyless, VerifiedAttestation

_subject_option = click.option(
    "--subject",
    metavar="NAME@sha256:DIGEST",
    help="The artifact that the burst was of, such as an image. Default: the snapshot.",
)
_trust_option = click.option(
    "--trust-config",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Keys and addresses of a private Sigstore. Default: the public one.",
)


def _signer_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options that say who signs; the command gets them as one value, `signer`: a key, `Keyless`, or None."""

    @common.signing_key_option("--key", words="Signs the statement with this key, in a DSSE envelope.")
    @click.option("--keyless", is_flag=True, help="Signs by a certificate for an identity, in a Sigstore bundle.")
    @click.option(
        "--identity-token",
        metavar="env:NAME|file:PATH",
        help="With --keyless: the identity. Default: the pipeline's own.",
    )
    @_trust_option
    @functools.wraps(command)
    def with_signer(
        *words: Any,
        key: str | None,
        keyless: bool,
        identity_token: str | None,
        trust_config: Path | None,
        **options: Any,
    ) -> Any:
        if keyless and key is not None:
            raise click.UsageError("--keyless and --key: allowed: one of them")
        if not keyless and (identity_token is not None or trust_config is not None):
            raise click.UsageError("--identity-token and --trust-config: allowed with --keyless")
        signer = _make_keyless(identity_token, trust_config) if keyless else key
        return command(*words, signer=signer, **options)

    return with_signer


def _make_keyless(identity_token: str | None, trust_config: Path | None) -> "Keyless":
    from burst import evidence

    return evidence.Keyless(identity_token=identity_token, trust_config=trust_config)


@click.command(
    short_help="The verdict as an in-toto test result or a VSA.",
    epilog="""\b
Examples:
  burst evidence attest EXECUTION_ID --predicate test-result -o test-result.json
  burst evidence attest EXECUTION_ID --predicate vsa --subject ghcr.io/acme/ingest@sha256:DIGEST --key file:signing.pem
  burst evidence attest EXECUTION_ID --predicate test-result --only-predicate -o predicate.json
  burst evidence attest EXECUTION_ID --predicate vsa --keyless -o vsa.sigstore.json
  burst evidence attest EXECUTION_ID --predicate vsa --keyless --identity-token env:TOKEN --trust-config trust.json

\b
Exit codes:
  0 written, of a PASS or a HOLD    2 usage    4 a run without a contract (vsa), or Sigstore gave no signature
  7 absent or incomplete            8 integrity failed    9 cannot tell
""",
)
@click.argument("run", metavar="RUN", shell_complete=common.complete_runs)
@click.option("--predicate", "word", type=click.Choice(["test-result", "vsa"]), required=True, help="Which form.")
@_subject_option
@_signer_options
@click.option("--only-predicate", is_flag=True, help="The predicate alone, for a tool that makes the statement itself.")
@click.option("-o", "--output", "file", type=click.Path(path_type=Path), help="A new file for it. Default: stdout.")
@common.runs_dir_option
@common.options
def attest(
    output: common.Output,
    run: str,
    word: str,
    subject: str | None,
    signer: "str | Keyless | None",
    only_predicate: bool,
    file: Path | None,
    runs_dir: Path,
) -> None:
    """The verdict of a run whose evidence holds, as an in-toto test result or a verification summary (VSA).

    The evidence is verified first; where it is not sound, nothing is written. A HOLD is told as FAILED.

    With --keyless two services are asked: one gives a certificate for the identity in a token, the other logs the
    signature. Identity and digests then stand in a log that, of the public Sigstore, everybody can read for ever.
    """
    from burst import evidence

    if only_predicate and signer is not None:
        raise click.UsageError(
            "--only-predicate with --key or --keyless: allowed: one of them; the tool that takes it signs"
        )
    if file is not None:
        common.refuse_unwritable(file)  # before anything is signed, which stands in a log for ever
    content = evidence.attest(
        common.find_place(run, runs_dir),
        word=word,
        subject=subject,
        key=signer,
        only_predicate=only_predicate,
        now=datetime.now(UTC),
        tell=output.say,
    )
    if file is None:
        output.content(content + b"\n")
        return
    common.write_new(file, content)
    output.say(f"wrote {file}")
    output.result({"file": str(file), "predicate": word}, "")


@click.command(
    name="verify-attestation",
    short_help="Whether a keyless attestation holds, and by whom it is.",
    epilog="""\b
Examples:
  burst evidence verify-attestation vsa.sigstore.json EXECUTION_ID --identity IDENTITY --issuer ISSUER
  burst evidence verify-attestation vsa.sigstore.json m10.zip --identity ci@acme.example \\
    --issuer https://accounts.acme.example --trust-config trust.json
  burst evidence verify-attestation FILE RUN --subject ghcr.io/acme/ingest@sha256:DIGEST --identity I --issuer I

\b
Exit codes:
  0 holds, PASS    2 usage    3 holds, HOLD    7 evidence absent or incomplete
  8 signature, statement or evidence does not hold    9 cannot tell
""",
)
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@click.argument("run", metavar="RUN", shell_complete=common.complete_runs)
@click.option("--identity", required=True, metavar="NAME", help="Who has to have signed, as the certificate has it.")
@click.option("--issuer", required=True, metavar="URL", help="Who has to have vouched for the identity.")
@_subject_option
@_trust_option
@common.runs_dir_option
@common.options
def verify_attestation(
    output: common.Output,
    file: Path,
    run: str,
    identity: str,
    issuer: str,
    trust_config: Path | None,
    **options: Any,
) -> int:
    """Whether FILE, a Sigstore bundle, is by that identity, and says of RUN what its evidence says.

    The evidence of RUN is verified, and the statement is made again from it: both have to be the same. A bundle without
    a statement has to be a signature of the snapshot itself, as `sigstore sign` writes it. Keys and proofs are checked
    by Sigstore's library; with --trust-config no network is needed.
    """
    from burst import evidence

    verified = evidence.verify_attestation(
        file,
        common.find_place(run, options["runs_dir"]),
        identity=identity,
        issuer=issuer,
        subject=options["subject"],
        keyless=evidence.Keyless(trust_config=trust_config),
    )
    _write_verified(output, verified)
    return verified.exit_code


def _write_verified(output: common.Output, verified: "VerifiedAttestation") -> None:
    verdict = "PASS" if verified.overall_pass else "HOLD"
    value = {
        "exit_code": verified.exit_code,
        "execution_id": verified.execution_id,
        "overall_pass": verified.overall_pass,
        "predicate": verified.word,
        "subject": verified.subject,
        "identity": verified.identity,
        "issuer": verified.issuer,
        "log_index": verified.log_index,
    }
    words = f"{verdict} of {verified.execution_id}: {verified.word} of {verified.subject}"
    output.result(
        value, f"{words}\nsigned by {verified.identity} of {verified.issuer}; entry {verified.log_index} of the log"
    )
