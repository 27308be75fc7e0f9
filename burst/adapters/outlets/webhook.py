"""A webhook: the message as JSON, signed in the form of Standard Webhooks.

`webhook-signature` is `v1,` and the base64 of the HMAC-SHA256, under the key, of `ID.TIMESTAMP.BODY`; `webhook-id` is
the same however often a message comes, so that a receiver counts it once. A key that begins with `whsec_` is written as
that form writes keys: the rest is base64 of its bytes. Any other key is its own bytes.
"""

import base64
import binascii
import hashlib
import hmac

from burst import ports
from burst.adapters.outlets import posts
from burst.domain.basics import errors, redaction
from burst.domain.verdict import run_messages

_ENCODED_KEY = "whsec_"


class Webhook:
    """`ports.Outlet` that posts each message to an address."""

    name = "webhook"

    def __init__(self, address: redaction.Secret, key: redaction.Secret | None, clock: ports.Clock) -> None:
        """Raises `errors.UsageError` for a key whose bytes cannot be told."""
        self._address = address
        self._key_bytes = read_key(key) if key is not None else None
        self._clock = clock

    def send(self, message: run_messages.RunMessage) -> None:
        """Posts it. Raises as `posts.post`."""
        body, timestamp = message.content(), str(int(self._clock.now().timestamp()))
        headers = {
            "content-type": "application/json",
            "user-agent": "burst",
            "webhook-id": message.id,
            "webhook-timestamp": timestamp,
        }
        if self._key_bytes is not None:
            headers["webhook-signature"] = sign(self._key_bytes, message.id, timestamp, body)
        posts.post(self._address, body, headers)


def sign(key_bytes: bytes, message_id: str, timestamp: str, body: bytes) -> str:
    """The signature of a body."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    return f"v1,{base64.b64encode(hmac.new(key_bytes, signed, hashlib.sha256).digest()).decode()}"


def read_key(key: redaction.Secret) -> bytes:
    """The bytes that sign. Raises `errors.UsageError`, which does not hold them."""
    text = key.reveal()
    if not text.startswith(_ENCODED_KEY):
        return text.encode()
    try:
        return base64.b64decode(text.removeprefix(_ENCODED_KEY), validate=True)
    except binascii.Error:
        raise errors.UsageError(
            f"the key of a webhook (hidden) begins with {_ENCODED_KEY} and the rest is no base64; "
            "copy it whole from the receiver"
        ) from None
