"""What burst's own profiles ask of Locust's HTTP client: it sends each event once, and trusts as the canary does."""

import functools
import ssl
from importlib import metadata
from typing import Any

from burst.load import load_settings

_CLIENT, _SENDS_ONCE_FROM = "geventhttpclient", (2, 6)


def require_client_that_sends_once() -> None:
    """Raises SettingError where Locust's client sends an event again when its connection breaks before the answer.

    The ingest may have taken the first one, and then one event is two.
    """
    version = metadata.version(_CLIENT)
    if tuple(map(int, version.split(".")[:2])) < _SENDS_ONCE_FROM:
        raise load_settings.SettingError(
            f"{_CLIENT} {version} sends an event again where its connection breaks, so that one becomes two: "
            f"install {'.'.join(map(str, _SENDS_ONCE_FROM))} or newer, as burst[load] does"
        )


def trust_as_canary(**_: Any) -> ssl.SSLContext:
    """The certificates that Python trusts by default, in OpenSSL's file and folder, as the canary of preflight does.

    The client would name the file alone, and that of certifi where there is none; so what it names is not taken.
    """
    return _make_context()


@functools.cache
def _make_context() -> ssl.SSLContext:
    """One for all senders: to read the certificates takes longer than to send an event."""
    return ssl.create_default_context()
