"""Session keys: whether the credentials of a run outlive it, from their kind and their end."""

import re
import urllib.parse
from dataclasses import dataclass
from datetime import UTC, datetime

from burst.domain.basics import instants
from burst.domain.preflight import findings

_SIGNED_AT = re.compile(r"X-Amz-Date=([0-9]{8}T[0-9]{6}Z)")
_LASTS_SECONDS = re.compile(r"X-Amz-Expires=([0-9]{1,9})(?![0-9])")


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionKeys:
    """The credentials in use. `source` is botocore's name of where they come from.

    `ends_at` is None where nothing names an end. Keys of a `temporary` session that are not `renewable` end all the
    same.
    """

    source: str
    temporary: bool
    renewable: bool
    ends_at: datetime | None = None


def judge_expiry(keys: SessionKeys, now: datetime, needed_seconds: float) -> findings.Finding:
    """Whether the credentials outlive the run; a warning where they end at an instant that nobody names."""
    if keys.renewable:
        return findings.report_pass("credentials-expiry", f"they renew themselves ({keys.source})")
    if keys.ends_at is not None:
        left_seconds = instants.seconds_between(now, keys.ends_at)
        problem = f"they end in {left_seconds:.0f} s, and the run may take {needed_seconds:.0f} s ({keys.source})"
        summary = f"they last {left_seconds:.0f} s, longer than the {needed_seconds:.0f} s of the run ({keys.source})"
        return findings.report_problem("credentials-expiry", "" if left_seconds > needed_seconds else problem, summary)
    words = (
        f"keys with a session token cannot renew themselves, and nothing names their end ({keys.source}); the run may "
        f"take {needed_seconds:.0f} s"
    )
    return findings.report_problem(
        "credentials-expiry", words if keys.temporary else "", f"they have no end ({keys.source})", required=False
    )


def read_token_end(dsn: str) -> datetime | None:
    """The end of the token that a DSN holds as its password, as RDS makes them for IAM users; None for any other."""
    words = urllib.parse.unquote(urllib.parse.unquote(dsn))
    signed_at, lasts = _SIGNED_AT.search(words), _LASTS_SECONDS.search(words)
    if signed_at is None or lasts is None:
        return None
    try:
        begin = datetime.strptime(signed_at[1], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None
    return instants.later(begin, float(lasts[1]))


def warn_of_token(reference: str, ends_at: datetime | None, now: datetime, needed_seconds: float) -> str:
    """Why the token behind a reference may fail the run; empty where it lasts, or a new one can take its place.

    The reference is resolved again at a login refusal: a file or a secret store then gives the new token, a variable of
    this process cannot.
    """
    if ends_at is None or not reference.startswith("env:"):
        return ""
    left_seconds = instants.seconds_between(now, ends_at)
    if left_seconds > needed_seconds:
        return ""
    return (
        f"{reference} holds a token that ends in {left_seconds:.0f} s, the run may take {needed_seconds:.0f} s, and a "
        "variable cannot be renewed; let receipts.dsn name a file or a secret store that is kept up to date"
    )
