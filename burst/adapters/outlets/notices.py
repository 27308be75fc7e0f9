"""Notices for people by Apprise: Slack, mail and many more, each by an address that holds a secret.

Apprise reads an answer whole, however long that is. So it works in a program of its own, which has little time and
memory (`burst/adapters/outlets/notice_client.py`).
"""

import json
import subprocess

from burst.domain.basics import errors, redaction
from burst.domain.verdict import run_messages
from burst.kit import own_programs

LONGEST_SECONDS = 10.0
"""Less than an outlet has for one attempt; the program counts it, once it has begun."""
_START_SECONDS = 20.0
"""How long a busy machine may take to begin the program."""
LARGEST_DATA_BYTES = 256 << 20
"""Several times what Apprise needs."""
_CLIENT = "burst.adapters.outlets.notice_client"
_TOLD = {
    run_messages.MessageKind.VERDICT,
    run_messages.MessageKind.HALTED,
    run_messages.MessageKind.UNPUBLISHED,
    run_messages.MessageKind.ACT_NOW,
}
"""People are not told of a start."""


class Notices:
    """`ports.Outlet` that tells one address."""

    name = "notify"

    def __init__(self, address: redaction.Secret) -> None:
        self._address = address

    def send(self, message: run_messages.RunMessage) -> None:
        """Tells it. Raises `errors.Refused` for an address that Apprise cannot read, `errors.Unavailable` where it
        could not be told."""
        if message.kind not in _TOLD:
            return
        blockers = f"\nopen: {', '.join(message.blockers)}" if message.blockers else ""
        order = {
            "address": self._address.reveal(),
            "title": message.title,
            "body": f"{message.words}{blockers}",
            "success": message.verdict == "PASS",
            "seconds": LONGEST_SECONDS,
            "data_bytes": LARGEST_DATA_BYTES,
        }
        answer = _ask(json.dumps(order).encode())
        if answer == "no-address":
            raise errors.Refused("its address (hidden, it holds a secret) is none that Apprise reads")
        if answer != "told":
            raise errors.Unavailable("the notice was not taken")


def _ask(order: bytes) -> str:
    """The answer of Apprise's program. Raises `errors.Unavailable` where it gives none within its time and memory."""
    words = own_programs.start_words(_CLIENT)
    try:
        done = subprocess.run(words, input=order, capture_output=True, timeout=_START_SECONDS + LONGEST_SECONDS)
        answer = json.loads(done.stdout)["answer"]
    except (subprocess.TimeoutExpired, ValueError):
        megabytes = LARGEST_DATA_BYTES >> 20
        raise errors.Unavailable(f"no whole answer within {LONGEST_SECONDS:g} s and {megabytes} MiB") from None
    except OSError as failure:
        raise errors.Unavailable(f"Apprise cannot be started: {failure.strerror}") from failure
    return str(answer)
