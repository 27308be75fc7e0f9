"""A POST to an address of the operator's: one answer or one of burst's errors, and never the address in its words."""

import email.utils
import http
import urllib.parse
from collections.abc import Mapping

import urllib3

from burst.domain.basics import errors, redaction

CONNECT_SECONDS, READ_SECONDS = 3.0, 5.0
_PASSING = (http.HTTPStatus.REQUEST_TIMEOUT, http.HTTPStatus.TOO_EARLY, http.HTTPStatus.TOO_MANY_REQUESTS)
_SCHEMES = ("http", "https")
_MOST_DIGITS = 9


def post(address: redaction.Secret, body: bytes, headers: Mapping[str, str]) -> None:
    """Sends the body once; a redirect is not followed, because it could lead the message to another host.

    Of the answer only its head is read: a receiver can send a body without end. Raises `errors.Unavailable` where there
    is no answer, or one that asks for a repeat; `errors.Refused` for any other answer than a success, and for an
    address that is none.
    """
    url = address.reveal()
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in _SCHEMES or not parts.hostname:
        raise errors.Refused("its address (hidden, it may hold a secret) is no http:// or https:// URL")
    timeout = urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS)
    try:
        with urllib3.PoolManager(retries=False, timeout=timeout) as pool:
            answer = pool.request("POST", url, body=body, headers=dict(headers), redirect=False, preload_content=False)
            answer.close()
    except urllib3.exceptions.HTTPError as failure:
        raise errors.Unavailable(f"no answer from {parts.hostname}: {type(failure).__name__}") from None
    if not http.HTTPStatus.OK <= answer.status < http.HTTPStatus.MULTIPLE_CHOICES:
        repeated = answer.status >= http.HTTPStatus.INTERNAL_SERVER_ERROR or answer.status in _PASSING
        words = f"{parts.hostname} answered {answer.status}"
        if not repeated:
            raise errors.Refused(words)
        unavailable = errors.Unavailable(words)
        unavailable.wait_seconds = read_wait_seconds(answer.headers)
        raise unavailable


class SeveralPosts:
    """The posts of an outlet that has several for a message: one that was taken is not sent again with the others."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def post(self, id: str, address: redaction.Secret, body: bytes, headers: Mapping[str, str]) -> None:
        """Sends the body unless one of this id was taken. Raises as `post`."""
        if id not in self._taken:
            post(address, body, headers)
            self._taken.add(id)


def read_wait_seconds(headers: Mapping[str, str]) -> float | None:
    """What `Retry-After` says: seconds, or an instant, which counts from that of the answer; None for anything else."""
    words = headers.get("retry-after", "").strip()
    if words.isascii() and words.isdecimal():
        return float(words[:_MOST_DIGITS])
    try:
        until, answered = (email.utils.parsedate_to_datetime(each) for each in (words, headers.get("date", "")))
        return max((until - answered).total_seconds(), 0.0)
    except (ValueError, TypeError, OverflowError):
        return None
