"""Notices for people by Apprise: Slack, mail and many more, each by an address that holds a secret."""

from burst.domain.basics import errors, redaction
from burst.domain.verdict import run_messages

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
        import apprise

        asset = apprise.AppriseAsset(http_redirects=False)  # a redirect could lead the notice to another host
        service = apprise.Apprise.instantiate(self._address.reveal(), asset=asset, suppress_exceptions=True)
        if service is None:
            raise errors.Refused("its address (hidden, it holds a secret) is none that Apprise reads")
        kind = apprise.NotifyType.SUCCESS if message.verdict == "PASS" else apprise.NotifyType.FAILURE
        blockers = f"\nopen: {', '.join(message.blockers)}" if message.blockers else ""
        # Words of a run are text: where a mail is HTML, or Slack would call everybody, Apprise escapes them.
        text, words = apprise.NotifyFormat.TEXT, f"{message.words}{blockers}"
        if not service.notify(title=message.title, body=words, notify_type=kind, body_format=text):
            raise errors.Unavailable("the notice was not taken")
