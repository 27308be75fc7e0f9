"""The network of tasks, as EC2 describes it: subnets, route tables and endpoints of a simulated VPC."""

import pytest

from burst.adapters.aws import vpc_networks
from burst.domain.basics import errors
from burst.domain.preflight import master_ports, networks
from burst.kit import aws
from tests import fixtures_aws


def test_a_vpc_is_read_as_its_subnets_routes_and_endpoints(cloud: fixtures_aws.Cloud) -> None:
    ec2 = aws.client("ec2", read_seconds=60)  # the first call makes the simulation import all of EC2
    vpc = ec2.create_vpc(CidrBlock="10.8.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.8.0.0/28")["Subnet"]["SubnetId"]
    (main,) = (table["RouteTableId"] for table in ec2.describe_route_tables(Filters=_of(vpc))["RouteTables"])
    own = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    ec2.associate_route_table(RouteTableId=own, SubnetId=subnet)
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    ec2.create_route(RouteTableId=own, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
    ec2.create_vpc_endpoint(VpcId=vpc, ServiceName="com.amazonaws.eu-west-2.s3", RouteTableIds=[own])
    ec2.create_vpc_endpoint(
        VpcId=vpc, ServiceName="com.amazonaws.eu-west-2.ecr.api", VpcEndpointType="Interface", PrivateDnsEnabled=True
    )

    subnets = vpc_networks.describe_subnets(ec2, [subnet])
    tables = {table.name: table for table in vpc_networks.describe_route_tables(ec2, [vpc])}
    endpoints = {endpoint.service: endpoint for endpoint in vpc_networks.describe_endpoints(ec2, [vpc])}

    assert subnets == [networks.Subnet(name=subnet, vpc=vpc, free_addresses=11, addresses="10.8.0.0/28")]
    assert (tables[main].main, tables[own].main) == (True, False)
    assert tables[own].subnets == {subnet}
    assert networks.Route(destination="0.0.0.0/0", target=gateway, active=True) in tables[own].routes
    assert endpoints["s3"].tables == frozenset({own})
    assert (endpoints["ecr.api"].tables, endpoints["ecr.api"].private_names) == (None, True)


def test_the_rules_of_a_group_are_read_with_their_ports_groups_and_ranges(
    cloud: fixtures_aws.Cloud,
) -> None:
    ec2 = aws.client("ec2", read_seconds=60)
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    group = ec2.create_security_group(GroupName="tasks", Description="tasks", VpcId=vpc)["GroupId"]
    master = {"IpProtocol": "tcp", "FromPort": 5557, "ToPort": 5558}
    ec2.authorize_security_group_ingress(
        GroupId=group,
        IpPermissions=[
            master | {"UserIdGroupPairs": [{"GroupId": group}]},
            {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "10.9.0.0/16"}]},
        ],
    )

    rules = vpc_networks.describe_group_rules(ec2, [group])

    assert master_ports.GroupRule(protocol="tcp", ports=(5557, 5558), groups=(group,)) in rules.inward
    (every,) = (rule for rule in rules.inward if rule.protocol == master_ports.ANY_PROTOCOL)
    assert (every.opens_master, every.ranges) == (True, ("10.9.0.0/16",))
    (outward,) = rules.outward  # what AWS gives a new group
    assert (outward.opens_master, outward.ranges) == (True, ("0.0.0.0/0",))


def test_a_subnet_that_is_not_there_is_a_wrong_parameter(cloud: fixtures_aws.Cloud) -> None:
    with pytest.raises(errors.UsageError, match="subnet-0123456789abcdef0"):
        vpc_networks.describe_subnets(aws.client("ec2", read_seconds=60), ["subnet-0123456789abcdef0"])


def _of(vpc: str) -> list[dict[str, object]]:
    return [{"Name": "vpc-id", "Values": [vpc]}]
