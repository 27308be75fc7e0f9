"""Networks: a subnet's way out by its routes and endpoints, and its free addresses, judged from EC2's answers."""

import pytest

from burst.domain.preflight import networks
from tests import cases

ECR = "123456789012.dkr.ecr.eu-west-2.amazonaws.com/burst@sha256:0"
OUTWARD = networks.read_outward({"s3": True, "logs": True, "ssm": False}, [ECR])
PLAIN = networks.Subnet(name="subnet-a", vpc="vpc-1", free_addresses=100)


def table(*routes: tuple[str, str, bool], main: bool = True, **fields: object) -> networks.RouteTable:
    made = [networks.Route(destination=where, target=target, active=active) for where, target, active in routes]
    local = networks.Route(destination="10.0.0.0/16", target="local", active=True)
    named = {"name": "rtb-1", "vpc": "vpc-1", "subnets": frozenset[str]()} | fields
    return networks.RouteTable(main=main, routes=(local, *made), **named)  # type: ignore[arg-type]


def endpoint(service: str, *, private_names: bool = True, tables: frozenset[str] | None = None) -> networks.VpcEndpoint:
    return networks.VpcEndpoint(service=service, vpc="vpc-1", private_names=private_names, tables=tables)


INTERFACES = [endpoint(name) for name in ("ecr.api", "ecr.dkr", "logs")]
GATEWAY = endpoint("s3", tables=frozenset({"rtb-1"}))


def test_the_services_that_tasks_reach_are_those_of_the_image_the_lease_and_the_definition() -> None:
    assert OUTWARD.services == ("ecr.api", "ecr.dkr", "s3", "logs")
    assert networks.read_outward({}, ["public.ecr.aws/burst:1", "burst:1"]).images == (
        "burst:1",
        "public.ecr.aws/burst:1",
    )


@pytest.mark.parametrize(
    ("route", "public", "status"),
    [
        (("0.0.0.0/0", "nat-1", True), False, "passed"),
        (("0.0.0.0/0", "nat-1", False), False, "refused"),
        (("0.0.0.0/0", "igw-1", True), True, "passed"),
        (("0.0.0.0/0", "igw-1", True), False, "refused"),
        (("0.0.0.0/0", "tgw-1", True), False, "warning"),
        (("0.0.0.0/0", "eni-1", True), True, "warning"),
        (("10.0.0.0/8", "pcx-1", True), False, "warning"),
        (("pl-1", "vpce-1", True), False, "refused"),
        (("0.0.0.0/0", "vpce-1", True), False, "warning"),
        (("0.0.0.0/1", "igw-1", True), True, "warning"),
        (("0.0.0.0/1", "igw-1", True), False, "refused"),
        (("0.0.0.0/1", "nat-1", True), False, "warning"),
        (("::/0", "eigw-1", True), False, "refused"),
    ],
)
def test_a_route_is_a_way_out_by_its_target(route: tuple[str, str, bool], public: bool, status: str) -> None:
    finding = networks.judge_ways([PLAIN], [table(route)], [], OUTWARD, public=public)

    assert finding.status == status
    assert "subnet-a" in finding.seen


def test_a_subnets_own_route_table_counts_before_the_main_one() -> None:
    dead, main = table(main=False, name="rtb-2", subnets=frozenset({"subnet-a"})), table(("0.0.0.0/0", "nat-1", True))

    assert networks.judge_ways([PLAIN], [main], [], OUTWARD, public=False).passed
    assert networks.judge_ways([PLAIN], [main, dead], [], OUTWARD, public=False).refused


@pytest.mark.parametrize(
    ("endpoints", "status", "words"),
    [
        ([*INTERFACES, GATEWAY], "passed", "subnet-a by endpoints"),
        ([*INTERFACES], "refused", "nor an endpoint for s3"),
        ([*INTERFACES[1:], GATEWAY], "refused", "nor an endpoint for ecr.api"),
        ([*INTERFACES, endpoint("s3", tables=frozenset({"rtb-9"}))], "refused", "nor an endpoint for s3"),
        ([*INTERFACES, endpoint("s3", private_names=False)], "warning", "nor an endpoint for s3"),
    ],
)
def test_without_a_route_each_service_needs_its_endpoint(
    endpoints: list[networks.VpcEndpoint], status: str, words: str
) -> None:
    finding = networks.judge_ways([PLAIN], [table()], endpoints, OUTWARD, public=False)

    assert finding.status == status
    assert words in finding.seen


def test_an_image_of_another_registry_has_no_endpoint() -> None:
    outward = networks.read_outward({"s3": True}, ["docker.io/burst:1"])

    assert networks.judge_ways([PLAIN], [table()], [GATEWAY], outward, public=False).refused


def test_one_subnet_without_a_way_out_refuses_because_a_task_may_be_placed_there() -> None:
    second = networks.Subnet(name="subnet-b", vpc="vpc-1", free_addresses=100)
    dead = table(main=False, name="rtb-2", subnets=frozenset({"subnet-b"}))

    finding = networks.judge_ways(
        [PLAIN, second], [table(("0.0.0.0/0", "nat-1", True)), dead], [], OUTWARD, public=False
    )

    assert finding.refused
    assert finding.seen.startswith("subnet-b (rtb-2) has no route out")


@pytest.mark.parametrize(
    ("free", "status"), [((4, 4), "passed"), ((7, 1), "warning"), ((4, 3), "refused"), ((0, 0), "refused")]
)
def test_every_task_and_the_command_beside_it_takes_an_address(free: tuple[int, int], status: str) -> None:
    shot = {"name": "report", "task_definition": "report:1", "command": ["report"], "timeout": "30s"}
    plan = cases.plan(
        target=cases.ECS | {"tasks": 7, "min_tasks": 7}, before=[shot], evidence={"run_control": "s3://bucket/rc"}
    )
    subnets = [
        networks.Subnet(name=f"subnet-{number}", vpc="vpc-1", free_addresses=count) for number, count in enumerate(free)
    ]

    assert networks.judge_addresses(plan, subnets).status == status
