"""The way to the master of a distributed burst: whether security groups let the workers of other tasks in.

Pure: from EC2's answer, as values, to a finding. Network ACLs are not looked at.
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from burst.domain.preflight import findings, networks
from burst.load import task_processes

ANY_PROTOCOL = "-1"


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupRule:
    """One rule of a security group, for what comes in or goes out. `ports` is its first and last one, None for all."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupRules:
    """The rules of all groups of the tasks."""

    inward: tuple[GroupRule, ...]
    outward: tuple[GroupRule, ...]


def judge_master_port(groups: Sequence[str], rules: GroupRules, subnets: Sequence[networks.Subnet]) -> findings.Finding:
    """Whether tasks in these groups and subnets reach the master, which runs in one of them."""
    port, names = task_processes.LOCUST_PORT, ", ".join(groups)
    problems = [
        f"no rule of {names} lets TCP {port} {words}: not {side} {', '.join(closed)}"
        for side, words, of_side in (("from", "in", rules.inward), ("to", "out", rules.outward))
        if (closed := _list_closed(groups, of_side, subnets))
    ]
    summary = f"{names} let TCP {port} through between the tasks; network ACLs are not looked at"
    return findings.report_problem("master-port", "; ".join(problems), summary)


def _list_closed(groups: Sequence[str], rules: Sequence[GroupRule], subnets: Sequence[networks.Subnet]) -> list[str]:
    """The subnets that no rule opens; none where one names a group of the tasks."""
    opened = [rule for rule in rules if rule.opens_master]
    if any(group in groups for rule in opened for group in rule.groups):
        return []
    ranges = [each for rule in opened for each in rule.ranges]
    return [subnet.name for subnet in subnets if not any(_holds(each, subnet) for each in ranges)]


def _holds(address_range: str, subnet: networks.Subnet) -> bool:
    """Whether a range holds every address of a subnet."""
    if not subnet.addresses:
        return False
    return ipaddress.IPv4Network(subnet.addresses).subnet_of(ipaddress.IPv4Network(address_range, strict=False))
