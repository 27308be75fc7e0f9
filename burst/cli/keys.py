"""`burst evidence keygen` and `public-key`: key pairs that sign evidence, and their public halves for verifiers."""

import os
from pathlib import Path

import click

from burst.cli import common
from burst.domain.basics import errors


@click.command(
    short_help="Make a key pair that signs evidence.",
    epilog="""\b
Examples:
  burst evidence keygen -o signing.pem
  burst run plan.yaml --set evidence.sign.key=file:signing.pem
  burst verify EXECUTION_ID --require-signature --key signing.pem.pub
""",
)
@click.option(
    "-o", "--output", "file", type=click.Path(path_type=Path), required=True, help="A new file for the private key."
)
@common.options
def keygen(output: common.Output, file: Path) -> None:
    """Make an Ed25519 key pair: the private key in FILE, for its owner alone, and the public one in FILE.pub.

    The private key is not protected by a password. Where that will not do, keep the key in KMS: evidence.sign takes
    kms:ARN as well. Exits 0, or 2 where a file exists or cannot be written.
    """
    from burst.adapters import signing

    private, public = signing.generate_key_pair()
    public_file = Path(f"{file}.pub")
    if os.path.lexists(public_file):  # refused before a private key is written
        raise errors.UsageError(f"{public_file} exists; nothing was overwritten; choose another name")
    common.write_new(file, private, mode=0o600)
    common.write_new(public_file, public)
    output.say(f"wrote {file}, to be kept secret, and {public_file}, to be given to those who verify")
    output.result({"private_key": str(file), "public_key": str(public_file)}, "")


@click.command(
    short_help="The public half of a signing key.",
    name="public-key",
    epilog="""\b
Examples:
  burst evidence public-key kms:alias/burst > burst.pub
  burst evidence public-key file:signing.pem
""",
)
@click.argument("key", metavar="file:PATH|kms:ARN")
@common.options
def public_key(output: common.Output, key: str) -> None:
    """Print the public half of a signing key as PEM: with it, evidence verifies without KMS and without a network.

    Exits 0, 2 for a bad key, or 4 where KMS did not answer.
    """
    from burst.adapters import signing

    pem = signing.read_public_pem(key).decode()
    output.result({"key": key, "pem": pem}, pem)
