"""A signer in memory whose signatures are real; the contract suite keeps it honest."""

from cryptography.hazmat.primitives.asymmetric import ec
from securesystemslib.signer import CryptoSigner

from burst import ports
from burst.adapters import signing
from burst.domain.basics import errors


class CountingSigner:
    """`ports.Signer` whose every signature is another, as ECDSA's are, and which fails so many times first."""

    def __init__(self, *, failures: int = 0) -> None:
        self.signed = 0
        self.failures = failures
        self._signer = signing.KeySigner(CryptoSigner(ec.generate_private_key(ec.SECP256R1())))
        self.key_id = self._signer.key_id
        self.public_key = signing.PublicKey(self._signer.public_key)

    def sign(self, statement: bytes) -> bytes:
        if self.failures:
            self.failures -= 1
            raise errors.Unavailable("kms:Sign was not answered")
        self.signed += 1
        return self._signer.sign(statement)

    def get(self) -> ports.Signer:
        """Itself, as a plan's signer is handed over: made when it is needed."""
        return self
