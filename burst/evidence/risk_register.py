"""The risk register of a place: every run under it verified, and its gates that slipped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from burst.domain.basics import errors
from burst.domain.verdict import risks
from burst.evidence import newest

if TYPE_CHECKING:
    from burst.domain.documents import risk_documents
    from burst.domain.verdict import owner_files
    from burst.evidence import places


def make_register(
    place: str,
    opener: places.Opener,
    run_filter: newest.Filter,
    *,
    limit: int,
    owners: owner_files.OwnerFile | None,
    owners_sha256: str | None,
) -> risk_documents.RiskRegister:
    """The register of at most `limit` runs, the newest ones.

    Raises `errors.EvidenceIncomplete` where there is none: a register of nothing would say that there is no risk.
    """
    attempts = newest.page(place, opener, run_filter, limit=limit, before=None, priors=True)
    if not attempts:
        raise errors.NoSuchPlace(f"absent: no run under {place}, so nobody can tell which gates slipped")
    return risks.build_register([_read_attempt(attempt) for attempt in attempts], owners, owners_sha256)


def _read_attempt(attempt: newest.Attempt) -> risks.JudgedRun:
    finding = attempt.verified.finding
    if finding.shown is not None:
        return risks.read_run(attempt.execution_id, finding.sha256, finding.shown)
    return risks.JudgedRun(
        execution_id=attempt.execution_id,
        phase=None,
        kind=None,
        sha256=None,
        ended_at=None,
        problem=f"its evidence is {finding.state}: {finding.why}",
    )
