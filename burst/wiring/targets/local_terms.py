"""The terms of the local target: what a plan whose tasks are processes of this machine asks and costs.

They follow from the plan, so `burst plan` and the preparation of a run need nothing of what a run is made of.
"""

from __future__ import annotations

import os
import platform
from typing import TYPE_CHECKING

import burst
from burst.control import pausing
from burst.domain.basics import errors
from burst.domain.preflight import findings
from burst.domain.tasks import leases, worst_ends

if TYPE_CHECKING:
    from collections.abc import Sequence

    from burst.domain.plan import plans

LAYERS = ("guard", "lease", "sidecar", "controller")
FREE = findings.report_pass("cost", "nothing: tasks are processes of this machine")


class LocalTerms:
    """`targets.TargetTerms` for a plan whose tasks are processes of this machine."""

    def __init__(self, plan: plans.Plan) -> None:
        self._plan = plan
        self.layers = LAYERS
        self.simulated_by_rehearsal = False
        self.safe_lease_ttl_seconds = None

    def require_valid(self) -> None:
        """Raises `errors.UsageError` for a key that belongs to the ecs target."""
        if self._plan.evidence.run_control or self._plan.evidence.run_scoped:
            raise errors.UsageError("evidence.run_control and run_scoped belong to the ecs target; leave them out")
        if self._plan.receipts.via == "task":
            raise errors.UsageError("receipts.via task belongs to the ecs target; allowed here: direct")

    def fingerprint(self) -> dict[str, str | int | float | None]:
        """What of this machine a baseline keeps."""
        return fingerprint()

    def cost(self) -> findings.Finding:
        """Nothing."""
        return FREE

    def worst_ends(self) -> Sequence[worst_ends.WorstEnd]:
        """From the plan alone."""
        budget = self._plan.budget
        times = worst_ends.EndTimes(
            grace_seconds=budget.stop_grace,
            lease_ttl_seconds=self._plan.layers.lease_ttl,
            beat_seen_seconds=leases.GUARD_POLL_SECONDS,
            look_seconds=pausing.POLL_SECONDS + worst_ends.FORCE_AFTER_GRACE_SECONDS,
        )
        return worst_ends.list_ends(self.layers, times, None)


def fingerprint() -> dict[str, str | int | float | None]:
    """What of this machine a baseline keeps: rates of unlike machines are not to be compared."""
    return {
        "machine": platform.machine(),
        "system": platform.system(),
        "python": platform.python_version(),
        "cpus": os.cpu_count(),
        "burst": burst.__version__,
    }
