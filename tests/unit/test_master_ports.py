"""The way to the master of a distributed burst: which rules of security groups let the workers of other tasks in."""

import pytest

from burst.domain.preflight import findings, master_ports, networks

SUBNETS = [
    networks.Subnet(name="subnet-a", vpc="vpc-1", free_addresses=9, addresses="10.0.1.0/24"),
    networks.Subnet(name="subnet-b", vpc="vpc-1", free_addresses=9, addresses="10.0.2.0/24"),
]
UNTOLD = networks.Subnet(name="subnet-c", vpc="vpc-1", free_addresses=9)


def rule(
    *, protocol: str = "tcp", ports: tuple[int, int] | None = (5557, 5557), groups: str = "", ranges: str = ""
) -> master_ports.GroupRule:
    return master_ports.GroupRule(
        protocol=protocol, ports=ports, groups=tuple(groups.split()), ranges=tuple(ranges.split())
    )


ALL = rule(protocol="-1", ports=None, ranges="0.0.0.0/0")


def judge(*rules: master_ports.GroupRule, subnets: list[networks.Subnet] = SUBNETS) -> findings.Finding:
    """By these rules for what comes in, where everything may go out."""
    both = master_ports.GroupRules(inward=rules, outward=(ALL,))
    return master_ports.judge_master_port(["sg-a", "sg-b"], both, subnets)


@pytest.mark.parametrize(
    "opened",
    [
        rule(groups="sg-b"),
        rule(protocol="-1", ports=None, groups="sg-a"),
        rule(protocol="6", ports=(0, 65535), groups="sg-x sg-a"),
        rule(ranges="10.0.0.0/16"),
        rule(ranges="10.0.1.0/24 10.0.2.0/23"),
    ],
)
def test_a_rule_that_lets_the_tasks_in_opens_the_way(opened: master_ports.GroupRule) -> None:
    assert judge(opened).status is findings.FindingStatus.PASSED


@pytest.mark.parametrize(
    ("closed", "outside"),
    [
        (rule(groups="sg-x"), "subnet-a, subnet-b"),
        (rule(protocol="udp", groups="sg-a"), "subnet-a, subnet-b"),
        (rule(ports=(5558, 5560), groups="sg-a"), "subnet-a, subnet-b"),
        (rule(ranges="10.0.1.0/24"), "subnet-b"),
        (rule(ranges="10.0.1.0/25 10.0.2.0/24"), "subnet-a"),
    ],
)
def test_any_other_rule_leaves_it_closed_and_the_subnets_outside_are_named(
    closed: master_ports.GroupRule, outside: str
) -> None:
    finding = judge(closed)

    assert finding.status is findings.FindingStatus.REFUSED
    assert finding.seen == f"no rule of sg-a, sg-b lets TCP 5557 in: not from {outside}"


def test_a_way_in_is_none_without_the_way_out() -> None:
    rules = master_ports.GroupRules(
        inward=(rule(groups="sg-a"),), outward=(rule(ports=(443, 443), ranges="0.0.0.0/0"),)
    )

    finding = master_ports.judge_master_port(["sg-a"], rules, SUBNETS)

    assert finding.status is findings.FindingStatus.REFUSED
    assert finding.seen == "no rule of sg-a lets TCP 5557 out: not to subnet-a, subnet-b"


def test_a_subnet_whose_range_nobody_tells_is_outside_of_each() -> None:
    assert "not from subnet-c" in judge(ALL, subnets=[UNTOLD]).seen
