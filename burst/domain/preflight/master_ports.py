"""The way to the master of a distributed burst: whether security groups let the workers of other tasks in.

Pure: from EC2's answer, as values, to a finding. Network ACLs and rules for what goes out are not looked at.
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from burst.domain.preflight import findings, networks
from burst.load import task_processes

ANY_PROTOCOL = "-1"


@dataclass(frozen=True, slots=True, kw_only=True)
class InwardRule:
    """One rule of a security group for what comes in. `ports` is its first and last one, None for all."""

    protocol: str
    ports: tuple[int, int] | None
    groups: tuple[str, ...] = ()
    ranges: tuple[str, ...] = ()
    """Address ranges, such as 10.0.0.0/16."""

    @property
    def opens_master(self) -> bool:
        """Whether it is for TCP and the master's port."""
        if self.protocol not in ("tcp", "6", ANY_PROTOCOL):
            return False
        return self.ports is None or self.ports[0] <= task_processes.LOCUST_PORT <= self.ports[1]


def judge_master_port(
    groups: Sequence[str], rules: Sequence[InwardRule], subnets: Sequence[networks.Subnet]
) -> findings.Finding:
    """Whether tasks in these groups and subnets reach the master, which runs in one of them."""
    port, opened = task_processes.LOCUST_PORT, [rule for rule in rules if rule.opens_master]
    own = sorted({group for rule in opened for group in rule.groups if group in groups})
    not_seen = "rules for what goes out and network ACLs are not looked at"
    if own:
        return findings.report_pass("master-port", f"TCP {port} is open from {', '.join(own)}; {not_seen}")
    ranges = sorted({each for rule in opened for each in rule.ranges})
    outside = [subnet.name for subnet in subnets if not any(_holds(each, subnet) for each in ranges)]
    if not outside:
        return findings.report_pass("master-port", f"TCP {port} is open from {', '.join(ranges)}; {not_seen}")
    words = f"no rule of {', '.join(groups)} lets TCP {port} in from the tasks themselves"
    return findings.report_refusal("master-port", f"{words}: not from {', '.join(outside)}")


def _holds(address_range: str, subnet: networks.Subnet) -> bool:
    """Whether a range holds every address of a subnet."""
    if not subnet.addresses:
        return False
    return ipaddress.IPv4Network(subnet.addresses).subnet_of(ipaddress.IPv4Network(address_range, strict=False))
