"""The network of tasks, as preflight asks EC2 for it: subnets, route tables, VPC endpoints. Nothing is changed."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from burst.domain.preflight import master_ports, networks
from burst.kit import aws

_TARGETS = (
    "NatGatewayId",
    "GatewayId",
    "TransitGatewayId",
    "VpcPeeringConnectionId",
    "NetworkInterfaceId",
    "InstanceId",
    "LocalGatewayId",
    "CarrierGatewayId",
    "CoreNetworkArn",
    "EgressOnlyInternetGatewayId",
)
"""The keys under which a route names its target."""
_DESTINATIONS = ("DestinationCidrBlock", "DestinationIpv6CidrBlock", "DestinationPrefixListId")


def describe_subnets(ec2: Any, ids: Sequence[str]) -> list[networks.Subnet]:
    """The subnets of these ids. Raises `errors.UsageError` with EC2's words where one is not there."""
    answer = aws.call("ec2:DescribeSubnets", ec2.describe_subnets, SubnetIds=list(ids))
    return [
        networks.Subnet(
            name=subnet["SubnetId"],
            vpc=subnet["VpcId"],
            free_addresses=int(subnet["AvailableIpAddressCount"]),
            addresses=subnet.get("CidrBlock") or "",
        )
        for subnet in answer["Subnets"]
    ]


def describe_group_rules(ec2: Any, groups: Sequence[str]) -> master_ports.GroupRules:
    """The rules of these security groups."""
    answer = aws.call("ec2:DescribeSecurityGroups", ec2.describe_security_groups, GroupIds=list(groups))

    def read(side: str) -> tuple[master_ports.GroupRule, ...]:
        return tuple(_read_rule(rule) for group in answer["SecurityGroups"] for rule in group.get(side) or ())

    return master_ports.GroupRules(inward=read("IpPermissions"), outward=read("IpPermissionsEgress"))


def _read_rule(rule: Mapping[str, Any]) -> master_ports.GroupRule:
    return master_ports.GroupRule(
        protocol=rule["IpProtocol"],
        ports=(rule["FromPort"], rule["ToPort"]) if "FromPort" in rule else None,
        groups=tuple(pair["GroupId"] for pair in rule.get("UserIdGroupPairs") or ()),
        ranges=tuple(each["CidrIp"] for each in rule.get("IpRanges") or ()),
    )


def describe_route_tables(ec2: Any, vpcs: Iterable[str]) -> list[networks.RouteTable]:
    """Every route table of these VPCs."""
    answers = _read_pages("ec2:DescribeRouteTables", ec2.describe_route_tables, vpcs)
    return [_read_table(table) for answer in answers for table in answer["RouteTables"]]


def _read_table(table: Mapping[str, Any]) -> networks.RouteTable:
    associations = table.get("Associations") or ()
    return networks.RouteTable(
        name=table["RouteTableId"],
        vpc=table["VpcId"],
        main=any(association.get("Main", False) for association in associations),
        subnets=frozenset(association["SubnetId"] for association in associations if association.get("SubnetId")),
        routes=tuple(
            networks.Route(
                destination=next((route[key] for key in _DESTINATIONS if route.get(key)), ""),
                target=next((route[key] for key in _TARGETS if route.get(key)), "local"),
                active=route.get("State", "active") == "active",
            )
            for route in table.get("Routes") or ()
        ),
    )


def describe_endpoints(ec2: Any, vpcs: Iterable[str]) -> list[networks.VpcEndpoint]:
    """Every available endpoint of these VPCs."""
    answers = _read_pages("ec2:DescribeVpcEndpoints", ec2.describe_vpc_endpoints, vpcs)
    return [
        networks.VpcEndpoint(
            # com.amazonaws.REGION.ecr.api; in China with cn. in front.
            service=endpoint["ServiceName"].partition("amazonaws.")[2].partition(".")[2],
            vpc=endpoint["VpcId"],
            private_names=bool(endpoint.get("PrivateDnsEnabled", False)),
            tables=frozenset(endpoint.get("RouteTableIds") or ())
            if endpoint.get("VpcEndpointType", "Gateway") == "Gateway"
            else None,
        )
        for answer in answers
        for endpoint in answer["VpcEndpoints"]
        if str(endpoint.get("State", "available")).lower() == "available"
    ]


def _read_pages(action: str, operation: Any, vpcs: Iterable[str]) -> list[Mapping[str, Any]]:
    parameters: dict[str, Any] = {"Filters": [{"Name": "vpc-id", "Values": sorted(set(vpcs))}]}
    answers = [aws.call(action, operation, **parameters)]
    while answers[-1].get("NextToken"):
        answers.append(aws.call(action, operation, NextToken=answers[-1]["NextToken"], **parameters))
    return answers
