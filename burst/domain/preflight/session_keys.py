"""Session keys: whether the credentials of this machine outlive a run, from their kind and their end."""

from dataclasses import dataclass
from datetime import datetime

from burst.domain.basics import instants
from burst.domain.preflight import findings


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
        summary = f"they end in {left_seconds:.0f} s, and the run may take {needed_seconds:.0f} s ({keys.source})"
        return findings.report_problem("credentials-expiry", "" if left_seconds > needed_seconds else summary, summary)
    words = (
        f"keys with a session token cannot renew themselves, and nothing names their end ({keys.source}); the run may "
        f"take {needed_seconds:.0f} s"
    )
    return findings.report_problem(
        "credentials-expiry", words if keys.temporary else "", f"they have no end ({keys.source})", required=False
    )
