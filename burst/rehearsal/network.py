"""The network a plan names: subnets and security groups that the simulation is told of, under the plan's own ids.

moto makes ids of its own, and a plan has to run unchanged: so those it names are answered here, all others by moto.
"""

import threading
import urllib.parse
from collections.abc import Iterable
from xml.sax import saxutils

from burst.rehearsal import aws_requests, endpoint

_ASKED = {"DescribeSubnets": ("SubnetId.", "subnet"), "DescribeSecurityGroups": ("GroupId.", "group")}
_NAMESPACE = "http://ec2.amazonaws.com/doc/2016-11-15/"


class Network:
    """The ids there are."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: set[str] = set()

    def know(self, ids: Iterable[str]) -> None:
        """These are there from now on."""
        with self._lock:
            self._known.update(ids)

    def answer(self, request: aws_requests.HttpRequest, operation: str) -> endpoint.HttpAnswer | None:
        """The answer to a question about ids that are all known; None for any other."""
        prefix, kind = _ASKED.get(operation, ("", ""))
        if not prefix:
            return None
        body = dict(urllib.parse.parse_qsl(request.body.decode("ascii", "replace")))
        asked = [value for name, value in body.items() if name.startswith(prefix)]
        with self._lock:
            if not asked or not self._known.issuperset(asked):
                return None
        return endpoint.HttpAnswer(
            status=200, body=_document(operation, kind, asked).encode(), headers=(("Content-Type", "text/xml"),)
        )


def _document(operation: str, kind: str, ids: list[str]) -> str:
    name, of = ("subnetId", "subnetSet") if kind == "subnet" else ("groupId", "securityGroupInfo")
    items = "".join(f"<item><{name}>{saxutils.escape(one)}</{name}></item>" for one in ids)
    return f'<{operation}Response xmlns="{_NAMESPACE}"><{of}>{items}</{of}></{operation}Response>'
