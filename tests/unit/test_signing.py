"""Key files: used where nobody else can read them, refused by name otherwise, and never shown."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization as forms
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from burst.adapters import signing
from burst.adapters.local import system_clock
from burst.domain.basics import errors
from burst.domain.verdict import attestations

CLOCK = system_clock.SystemClock()


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """A key pair in files, the private one its owner's alone."""
    private, public = tmp_path / "key.pem", tmp_path / "key.pem.pub"
    for path, content in zip((private, public), signing.generate_key_pair(), strict=True):
        path.write_bytes(content)
    private.chmod(0o600)
    return private, public


def test_what_a_key_file_signs_its_public_file_verifies(pair: tuple[Path, Path]) -> None:
    private, public = pair

    envelope = attestations.read(signing.open_signer(f"file:{private}", CLOCK).sign(b"{}"))

    assert signing.read_public_key(str(public)).check(envelope) == signing.read_public_key(f"file:{public}").check(
        envelope
    )
    assert envelope.statement == b"{}"


def test_the_public_half_of_a_key_file_is_the_one_it_was_made_with(pair: tuple[Path, Path]) -> None:
    private, public = pair

    assert signing.read_public_pem(f"file:{private}") == public.read_bytes()


def test_a_key_made_by_other_tools_signs(tmp_path: Path) -> None:
    path, key = tmp_path / "key.pem", ec.generate_private_key(ec.SECP256R1())
    path.write_bytes(
        key.private_bytes(forms.Encoding.PEM, forms.PrivateFormat.TraditionalOpenSSL, forms.NoEncryption())
    )
    path.chmod(0o400)

    envelope = attestations.read(signing.open_signer(f"file:{path}", CLOCK).sign(b"{}"))

    public = key.public_key().public_bytes(forms.Encoding.PEM, forms.PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "key.pub").write_bytes(public)
    assert signing.read_public_key(str(tmp_path / "key.pub")).check(envelope)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660, 0o610])
def test_a_private_key_that_others_can_reach_is_refused(pair: tuple[Path, Path], mode: int) -> None:
    pair[0].chmod(mode)

    with pytest.raises(errors.UsageError, match=rf"mode {mode:04o}.*chmod 600"):
        signing.open_signer(f"file:{pair[0]}", CLOCK)


def _encrypted() -> bytes:
    key = ed25519.Ed25519PrivateKey.generate()
    return key.private_bytes(forms.Encoding.PEM, forms.PrivateFormat.PKCS8, forms.BestAvailableEncryption(b"word"))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param(b"", "no private key in PEM", id="empty"),
        pytest.param(b"MC4CAQAwBQYDK2VwBCIEIPrivate", "no private key in PEM", id="no PEM"),
        pytest.param(signing.generate_key_pair()[1], "no private key in PEM", id="a public key"),
        pytest.param(_encrypted(), "is encrypted", id="encrypted"),
        pytest.param(
            ec.generate_private_key(ec.SECP256K1()).private_bytes(
                forms.Encoding.PEM, forms.PrivateFormat.PKCS8, forms.NoEncryption()
            ),
            "that can sign here",
            id="a curve nobody verifies",
        ),
    ],
)
def test_what_cannot_sign_is_refused_and_not_shown(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(content)
    path.chmod(0o600)

    with pytest.raises(errors.UsageError, match=said) as refusal:
        signing.open_signer(f"file:{path}", CLOCK)

    assert not any(line and line in str(refusal.value) for line in content.decode().splitlines())


@pytest.mark.parametrize("reference", ["env:KEY", "key.pem", "file:", "kms:", "", "file:/no/such/key.pem"])
def test_a_reference_that_leads_to_no_key_is_refused(reference: str) -> None:
    with pytest.raises(errors.UsageError):
        signing.open_signer(reference, CLOCK)


def test_a_folder_is_no_key(tmp_path: Path) -> None:
    with pytest.raises(errors.UsageError):
        signing.open_signer(f"file:{tmp_path}", CLOCK)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)

    with pytest.raises(errors.UsageError, match="not a regular file"):
        signing.open_signer(f"file:{tmp_path / 'pipe'}", CLOCK)


def test_a_private_key_is_refused_where_a_public_one_belongs(pair: tuple[Path, Path]) -> None:
    with pytest.raises(errors.UsageError, match="holds a private key"):
        signing.read_public_key(str(pair[0]))


def test_without_the_extra_both_sides_say_what_to_install(pair: tuple[Path, Path]) -> None:
    program = (
        "import sys; sys.modules['securesystemslib'] = None\n"
        "from burst.adapters import signing\n"
        "from burst.domain.basics import errors\n"
        "open_signer, read_key = lambda: signing.open_signer('file:x', None), lambda: signing.read_public_key('x')\n"
        "for act in (open_signer, read_key, signing.generate_key_pair):\n"
        "    try: act()\n"
        "    except errors.BurstError as exc: print(exc.exit_code, exc)\n"
    )

    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    install = "signatures need the extra sign: pip install 'burst[sign]'"
    assert answer.stdout.splitlines() == [f"2 {install}", f"9 {install}", f"2 {install}"]
