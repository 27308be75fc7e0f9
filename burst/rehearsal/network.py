"""The network of a plan: subnets and security groups of the simulation, under the ids that the plan names.

moto makes ids of its own, but a plan has to run unchanged. So the plan's ids are answered here, and moto answers for
all others. All the subnets lie in one VPC, whose main route table leads to a NAT gateway.
"""

import threading
import urllib.parse
from collections.abc import Iterable
from xml.sax import saxutils

from burst.rehearsal import aws_requests

_ID_PARAMETERS = {"DescribeSubnets": "SubnetId.", "DescribeSecurityGroups": "GroupId."}
_DOCUMENT_TAGS = {
    "DescribeSubnets": ("subnetSet", "subnetId"),
    "DescribeSecurityGroups": ("securityGroupInfo", "groupId"),
}
VPC = "vpc-0rehearsal"
ROUTE_TABLE, NAT_GATEWAY = "rtb-0rehearsal", "nat-0rehearsal"
FREE_ADDRESSES = 4091
"""Of an empty subnet of /20."""
_ROUTE_TABLES = (
    f"<item><routeTableId>{ROUTE_TABLE}</routeTableId><vpcId>{VPC}</vpcId><associationSet><item><main>true</main></item>"
    "</associationSet><routeSet><item><destinationCidrBlock>10.0.0.0/16</destinationCidrBlock><gatewayId>local</gatewayId>"
    "<state>active</state></item><item><destinationCidrBlock>0.0.0.0/0</destinationCidrBlock>"
    f"<natGatewayId>{NAT_GATEWAY}</natGatewayId><state>active</state></item></routeSet></item>"
)
_NAMESPACE = "http://ec2.amazonaws.com/doc/2016-11-15/"


class Network:
    """The ids of the plan's subnets and security groups."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ids: set[str] = set()

    def add(self, ids: Iterable[str]) -> None:
        """Adds subnets and security groups with these ids."""
        with self._lock:
            self._ids.update(ids)

    def answer(self, request: aws_requests.HttpRequest, operation: str) -> aws_requests.HttpAnswer | None:
        """The answer to a request for some of these ids, and for no other id, or for the route tables of their VPC.
        None for any other request."""
        prefix = _ID_PARAMETERS.get(operation)
        body = dict(urllib.parse.parse_qsl(request.body.decode("ascii", "replace")))
        if operation == "DescribeRouteTables" and VPC in body.values():
            return _answer(f"<routeTableSet>{_ROUTE_TABLES}</routeTableSet>", operation)
        if prefix is None:
            return None
        ids = [value for name, value in body.items() if name.startswith(prefix)]
        with self._lock:
            if not ids or not self._ids.issuperset(ids):
                return None
        set_tag, id_tag = _DOCUMENT_TAGS[operation]
        facts = f"<vpcId>{VPC}</vpcId>"
        if operation == "DescribeSubnets":
            facts += f"<availableIpAddressCount>{FREE_ADDRESSES}</availableIpAddressCount>"
        rules = (lambda _: "") if operation == "DescribeSubnets" else _open_to_itself
        items = "".join(
            f"<item><{id_tag}>{saxutils.escape(name)}</{id_tag}>{facts}{rules(name)}</item>" for name in ids
        )
        return _answer(f"<{set_tag}>{items}</{set_tag}>", operation)


def _open_to_itself(group: str) -> str:
    """Rules that let everything in from the group itself, and out to it."""
    pair = f"<groups><item><groupId>{saxutils.escape(group)}</groupId></item></groups>"
    rule = f"<item><ipProtocol>-1</ipProtocol>{pair}</item>"
    return f"<ipPermissions>{rule}</ipPermissions><ipPermissionsEgress>{rule}</ipPermissionsEgress>"


def _answer(content: str, operation: str) -> aws_requests.HttpAnswer:
    document = f'<{operation}Response xmlns="{_NAMESPACE}">{content}</{operation}Response>'
    return aws_requests.HttpAnswer(status=200, body=document.encode(), headers=(("Content-Type", "text/xml"),))
