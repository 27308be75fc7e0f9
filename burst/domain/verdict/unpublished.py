"""The unpublished verdict: the snapshot that stands beside a frozen one until its publication is whole.

A snapshot says that its publication blocker is cleared, because it is only committed after its documents were read
back. Where that failed the frozen bytes are kept for `burst resume`, and this successor speaks for them: it supersedes
them by digest, holds, and is made of them and a reason alone, so that anybody can make it again. A receipt of the
publication (`publication.json`) takes it back.
"""

from burst.domain.basics import errors, wording
from burst.domain.plan import catalogues
from burst.domain.verdict import gates, snapshot_sections, snapshots

GATE = "published"


def why(failed: errors.Unwritten | None) -> str:
    """Which document could not be published, from the typed parts of the failure alone."""
    if failed is None:
        return "a document could not be kept in the run folder"
    answer = failed.code or "no answer"
    answer += f" (HTTP {failed.http_status})" if failed.http_status else ""
    attempts = f" after {wording.format_count(failed.attempts, 'attempt')}" if failed.attempts else ""
    return f"{failed.name} is not published in {failed.place}: {answer}{attempts}"


def make_successor(frozen: snapshots.Verdict, reason: str) -> snapshots.Verdict:
    """The snapshot that holds in place of the frozen one."""
    before = frozen.snapshot
    publication = catalogues.CATALOGUES[before.kind].find_short(catalogues.Role.PUBLICATION)
    blocker = next(
        entry.blocker for entry in before.blocker_register if entry.blocker.rpartition("-")[2] == publication
    )
    gate = snapshot_sections.GateEntry(
        name=GATE,
        blocker=blocker,
        status=gates.GateStatus.FAIL.value,
        measured=None,
        required=None,
        comparison=None,
        unit=None,
        why=reason,
    )
    still_running = before.exit_code == errors.StillRunning.exit_code
    snapshot = before.model_copy(
        update={
            "gates": [*before.gates, gate],
            "blocker_register": [_open_entry(entry, blocker, reason) for entry in before.blocker_register],
            "blockers": sorted({*before.blockers, blocker}),
            "overall_pass": False,
            "hold": _add_to_signature(before.hold, blocker),
            "supersedes": frozen.sha256,
            "exit_code": before.exit_code if still_running else errors.PublicationFailed.exit_code,
            "exit_reason": f"the verdict is not published: {reason}; `burst resume` finishes it",
        }
    )
    return snapshots.Verdict(snapshot=snapshot, content=snapshot.content())


def _add_to_signature(hold: snapshot_sections.Hold | None, blocker: str) -> snapshot_sections.Hold:
    """The signature of the frozen verdict, with the publication's blocker in its place."""
    parts = [*(hold.signature.split() if hold else ()), f"{blocker.rpartition('-')[2]}:{GATE}"]
    return snapshot_sections.Hold(signature=" ".join(sorted(parts)), command=hold.command if hold else None)


def _open_entry(entry: snapshot_sections.RegisterEntry, blocker: str, reason: str) -> snapshot_sections.RegisterEntry:
    if entry.blocker != blocker:
        return entry
    opened = {"state": "open", "open": True, "why": f"{GATE}: {reason}", "gates": [*entry.gates, GATE]}
    return entry.model_copy(update=opened)


def find_reason(successor: snapshots.Snapshot) -> str | None:
    """Why a successor says the verdict is not published; None where it does not say so."""
    return next((gate.why for gate in successor.gates if gate.name == GATE), None)
