"""The key that signs the evidence of a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from burst.adapters import signing

if TYPE_CHECKING:
    from burst import ports
    from burst.domain.plan import plans


def find_signer(plan: plans.Plan, clock: ports.Clock) -> Callable[[], ports.Signer] | None:
    """Opens the key that signs; None where the plan asks for no signature."""
    if plan.evidence.sign is None:
        return None
    reference = plan.evidence.sign.key
    return lambda: signing.open_signer(reference, clock)
