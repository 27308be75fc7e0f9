"""The unpublished verdict: what stands beside a frozen snapshot in its folder until the publication is whole.

A snapshot says that its publication blocker is cleared, because it is only committed after its documents were read
back. Where that failed the frozen bytes are kept for `burst resume`, and this successor speaks for them: it supersedes
them by digest, holds, and is made of them and a reason alone, so that anybody can make it again. A receipt of the
publication (`publication.json`) takes it back.
"""

from typing import Any

from burst.domain.basics import canonical, errors, wording
from burst.domain.verdict import gates

GATE = "published"


def why(failed: errors.Unwritten | None) -> str:
    """What could not be published, from the typed parts of the failure alone."""
    if failed is None:
        return "a document could not be kept in the run folder"
    answer = failed.code or "no answer"
    answer += f" (HTTP {failed.http_status})" if failed.http_status else ""
    tried = f" after {wording.format_count(failed.attempts, 'attempt')}" if failed.attempts else ""
    return f"{failed.name} is not published in {failed.place}: {answer}{tried}"


def successor(frozen: bytes, reason: str) -> bytes:
    """The snapshot that holds in place of the frozen one."""
    value: dict[str, Any] = canonical.decode(frozen)
    entry = next(one for one in value["blocker_register"] if one["blocker"].endswith("-B3"))
    entry |= {"state": "open", "open": True, "why": f"{GATE}: {reason}", "gates": [*entry["gates"], GATE]}
    gate = {"name": GATE, "blocker": entry["blocker"], "status": gates.GateStatus.FAIL.value, "why": reason}
    value["gates"].append({**gate, "measured": None, "required": None, "comparison": None, "unit": None})
    value["blockers"] = sorted({*value["blockers"], entry["blocker"]})
    still_running = value["exit_code"] == errors.StillRunning.exit_code
    value |= {
        "overall_pass": False,
        "supersedes": canonical.digest(frozen),
        "exit_code": value["exit_code"] if still_running else errors.PublicationFailed.exit_code,
        "exit_reason": f"the verdict is not published: {reason}; `burst resume` finishes it",
    }
    return canonical.encode(value)


def reason(document: dict[str, Any]) -> str | None:
    """Why a successor says the verdict is not published; None where it does not say so."""
    return next((str(gate["why"]) for gate in document["gates"] if gate["name"] == GATE), None)
