"""Costs: the most that a burst on Fargate costs, from the task's size, so that a cap in dollars can be held.

Prices are on-demand prices, for Spot too, which is cheaper: an error of the estimate then refuses. Storage, logs,
addresses and the system under load are left out.
"""

from collections.abc import Iterable
from dataclasses import dataclass

PRICED_ON = "2026-03-10"
"""The day of the prices below: https://aws.amazon.com/fargate/pricing/, Linux on x86."""
BILLED_AT_LEAST_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """The price of one hour, in USD."""

    vcpu_hour_usd: float
    gb_hour_usd: float
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """The CPU and memory of a task."""

    vcpu: float
    memory_gb: float


_LISTED = {
    "us-east-1": (0.04048, 0.004445),
    "us-west-2": (0.04048, 0.004445),
    "eu-west-2": (0.04656, 0.00511),
    "ap-southeast-2": (0.04856, 0.00532),
    "sa-east-1": (0.0696, 0.0076),
}
_DEAREST = "sa-east-1"


def price_in(region: str) -> Price:
    """The listed price of a region; for any other region the dearest price, which `source` calls an assumption."""
    listed = _LISTED.get(region)
    vcpu_hour_usd, gb_hour_usd = listed or _LISTED[_DEAREST]
    source = (
        f"list price of {region}"
        if listed
        else f"assumed: burst has no price of {region}, so the dearest it has, {_DEAREST}'s"
    )
    return Price(vcpu_hour_usd=vcpu_hour_usd, gb_hour_usd=gb_hour_usd, source=f"{source}, {PRICED_ON}")


def usd(size: Size, price: Price, task_seconds: Iterable[float]) -> float:
    """The cost of tasks of one size, from the seconds that each ran; AWS bills at least a minute."""
    hours = sum(max(BILLED_AT_LEAST_SECONDS, seconds) for seconds in task_seconds) / 3600
    return hours * (size.vcpu * price.vcpu_hour_usd + size.memory_gb * price.gb_hour_usd)
