"""Judgements of preflight about the whole database: the settings of its role, and the check that a plan requires."""

from burst.domain.database import database_findings
from burst.domain.documents import database_checks
from burst.domain.preflight import findings

ROLE_SETTINGS, CHECK = "role-settings", "database-check"
_OWN_FINDINGS = frozenset({ROLE_SETTINGS})
"""Findings of a check that preflight has under an id of their own, whatever the plan says."""


def judge_role_settings(role: database_checks.RoleEntry) -> findings.Finding:
    """Whether sessions of the role have the settings that keep one of them from holding the server."""
    judged = database_findings.judge_role(role)
    mend = f"; {judged.mend}" if judged.mend else ""
    problem = "" if judged.status == "passed" else f"{judged.seen}{mend}"
    return findings.report_problem(ROLE_SETTINGS, problem, "" if problem else judged.seen, required=False)


def judge_check(check: database_checks.DatabaseCheck) -> findings.Finding:
    """Whether the check of a database lets a burst begin: neither where it refuses nor where it cannot tell."""
    refusing = [finding for finding in check.findings if finding.status in ("refused", "unknown")]
    if refusing:
        return findings.report_refusal(CHECK, _join(refusing))
    warning = [
        finding for finding in check.findings if finding.status == "warning" and finding.check not in _OWN_FINDINGS
    ]
    words = f"{check.checked}: none of {len(check.findings)} findings refuses"
    return findings.report_problem(CHECK, _join(warning), words, required=False)


def _join(judged: list[database_checks.DatabaseFinding]) -> str:
    return "; ".join(
        f"{finding.check}: {finding.seen}{f' (mend: {finding.mend})' if finding.mend else ''}" for finding in judged
    )
