"""Networks: whether the subnets of tasks have free addresses, and a way out for image, lease, records and logs.

Pure: from EC2's answers, as values, to findings. A way that EC2 does not tell (a transit gateway, a peering, an
endpoint without private names) is neither open nor closed: it is warned of.
"""

import enum
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from burst.domain.basics import wording
from burst.domain.plan import plans
from burst.domain.preflight import findings

EVERYWHERE = ("0.0.0.0/0", "::/0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Subnet:
    """One subnet of the plan."""

    name: str
    vpc: str
    free_addresses: int
    addresses: str = ""
    """Its range, such as 10.0.1.0/24; empty where EC2 does not tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One route. `target` is the id of its gateway; a route that is not `active` leads nowhere."""

    destination: str
    target: str
    active: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteTable:
    """One route table of a VPC, with the subnets that it is associated with; `main` serves every other subnet."""

    name: str
    vpc: str
    main: bool
    subnets: frozenset[str]
    routes: tuple[Route, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class VpcEndpoint:
    """One available VPC endpoint. `tables` are the route tables of a gateway endpoint, None for an interface."""

    service: str
    """As AWS ends its name: `ecr.api`, `s3`."""
    vpc: str
    private_names: bool
    tables: frozenset[str] | None


class Way(enum.IntEnum):
    """Whether a service can be reached; the larger is the better."""

    CLOSED = 0
    UNTOLD = 1
    OPEN = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Outward:
    """What tasks have to reach: services of AWS, and images of registries that have no endpoint."""

    services: tuple[str, ...]
    images: tuple[str, ...] = ()


def count_addresses(plan: plans.Plan) -> int:
    """The addresses that the plan takes at once: one a task, one for the task that counts, one for a one-shot."""
    return plan.target.tasks + (plan.receipts.via == "task") + bool(plan.before or plan.after)


def judge_addresses(plan: plans.Plan, subnets: Sequence[Subnet]) -> findings.Finding:
    """Whether the subnets have an address for each task, and each subnet for its share of them."""
    needed, free = count_addresses(plan), sum(subnet.free_addresses for subnet in subnets)
    each = ", ".join(f"{subnet.name} {subnet.free_addresses}" for subnet in subnets)
    addresses, at_once = f"{free} free addresses ({each})", f"{wording.format_count(needed, 'task')} at once"
    if free < needed:
        words = f"{needed} addresses are needed, one for each of {at_once}, and there are {addresses}"
        return findings.report_refusal("subnet-addresses", words)
    share = math.ceil(needed / len(subnets))
    scarce = [subnet.name for subnet in subnets if subnet.free_addresses < share]
    problem = (
        f"ECS spreads tasks over the subnets, and {', '.join(scarce)} cannot take {share} of {at_once}: {addresses}"
    )
    summary = f"{addresses} for {at_once}"
    return findings.report_problem("subnet-addresses", problem if scarce else "", summary, required=False)


def find_table(subnet: Subnet, tables: Sequence[RouteTable]) -> RouteTable | None:
    """The route table that serves a subnet: its own, else the main one of its VPC."""
    own = next((table for table in tables if subnet.name in table.subnets), None)
    return own or next((table for table in tables if table.main and table.vpc == subnet.vpc), None)


def judge_internet(subnet: Subnet, tables: Sequence[RouteTable], *, public: bool) -> tuple[Way, str]:
    """The way of a subnet's tasks to the internet, in words too. `public`: tasks get a public address."""
    table = find_table(subnet, tables)
    if table is None:
        return Way.UNTOLD, f"{subnet.name} has no route table that EC2 names"
    wide = [route for route in table.routes if route.destination in EVERYWHERE]
    for route in wide:
        if route.active and route.destination == EVERYWHERE[0]:
            if route.target.startswith("nat-"):
                return Way.OPEN, f"{subnet.name} by {route.target}"
            if route.target.startswith("igw-") and public:
                return Way.OPEN, f"{subnet.name} by {route.target}"
    where = f"{subnet.name} ({table.name})"
    by_gateway = [route.target for route in wide if route.active and route.target.startswith("igw-")]
    unclear = [route.target for route in table.routes if route.active and not _leads_nowhere(route, public=public)]
    if unclear:
        return Way.UNTOLD, f"{where} has a route to {', '.join(unclear)}, and what is behind it is not known"
    if by_gateway:
        return Way.CLOSED, f"{where} has {by_gateway[0]} alone, and tasks get no public address"
    dead = [route.target for route in wide if not route.active]
    return Way.CLOSED, f"{where} has no route out" + (f": {dead[0]} is a blackhole" if dead else "")


def _leads_nowhere(route: Route, *, public: bool) -> bool:
    """Whether a route is surely no way out: within the VPC, to a gateway endpoint, or an internet gateway for tasks
    without a public address. A `vpce-` behind other destinations is a firewall or a load balancer, which may be one."""
    if route.target.startswith("vpce-"):
        return route.destination.startswith("pl-")
    return route.target.startswith(("local", "eigw-")) or (route.target.startswith("igw-") and not public)


def needs_endpoints(subnets: Sequence[Subnet], tables: Sequence[RouteTable], *, public: bool) -> bool:
    """Whether a subnet's way out depends on VPC endpoints."""
    return any(judge_internet(subnet, tables, public=public)[0] is not Way.OPEN for subnet in subnets)


def judge_ways(
    subnets: Sequence[Subnet],
    tables: Sequence[RouteTable],
    endpoints: Sequence[VpcEndpoint],
    outward: Outward,
    *,
    public: bool,
) -> findings.Finding:
    """Whether the tasks of every subnet reach all that they have to: ECS may place a task in any of them."""
    closed, untold, opened = list[str](), list[str](), list[str]()
    for subnet in subnets:
        internet, words = judge_internet(subnet, tables, public=public)
        if internet is Way.OPEN:
            opened.append(words)
            continue
        table = find_table(subnet, tables)
        ways = {
            service: max(internet, _judge_endpoint(subnet, table, endpoints, service)) for service in outward.services
        }
        ways |= dict.fromkeys(outward.images, internet)
        for way, group in ((Way.CLOSED, closed), (Way.UNTOLD, untold)):
            unreached = [name for name, reached in ways.items() if reached is way]
            if unreached:
                group.append(f"{words}, nor an endpoint for {', '.join(unreached)}")
        if min(ways.values(), default=Way.OPEN) is Way.OPEN:
            opened.append(f"{subnet.name} by endpoints")
    if closed:
        return findings.report_refusal("way-out", "; ".join(closed))
    return findings.report_problem("way-out", "; ".join(untold), "; ".join(opened), required=False)


def _judge_endpoint(subnet: Subnet, table: RouteTable | None, endpoints: Sequence[VpcEndpoint], service: str) -> Way:
    ways = [Way.CLOSED]
    for endpoint in endpoints:
        if endpoint.service != service or endpoint.vpc != subnet.vpc:
            continue
        if endpoint.tables is not None:
            ways.append(Way.OPEN if table is not None and table.name in endpoint.tables else Way.CLOSED)
        else:
            ways.append(Way.OPEN if endpoint.private_names else Way.UNTOLD)
    return max(ways)


def read_outward(services: Mapping[str, bool], images: Sequence[str]) -> Outward:
    """What tasks have to reach, from the services with whether they are needed; images of ECR have endpoints."""
    ecr = [image for image in images if ".dkr.ecr." in image.partition("/")[0]]
    names = [*(("ecr.api", "ecr.dkr") if ecr else ()), *(name for name, needed in services.items() if needed)]
    return Outward(services=tuple(names), images=tuple(sorted(set(images) - set(ecr))))
