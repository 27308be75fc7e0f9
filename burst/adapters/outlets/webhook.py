"""A webhook: the message as JSON, signed in the form of Standard Webhooks.

`webhook-signature` is `v1,` and the base64 of the HMAC-SHA256, under the key, of `ID.TIMESTAMP.BODY`; `webhook-id` is
the same however often a message comes, so that a receiver counts it once.
"""

import base64
import hashlib
import hmac

from burst import ports
from burst.adapters.outlets import posts
from burst.domain.basics import redaction
from burst.domain.verdict import run_messages


class Webhook:
    """`ports.Outlet` that posts each message to an address."""

    name = "webhook"

    def __init__(self, address: redaction.Secret, key: redaction.Secret | None, clock: ports.Clock) -> None:
        self._address = address
        self._key = key
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
        if self._key is not None:
            signed = f"{message.id}.{timestamp}.".encode() + body
            digest = hmac.new(self._key.reveal().encode(), signed, hashlib.sha256).digest()
            headers["webhook-signature"] = f"v1,{base64.b64encode(digest).decode()}"
        posts.post(self._address, body, headers)
