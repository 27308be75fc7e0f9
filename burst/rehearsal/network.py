"""The network of a plan: subnets and security groups of the simulation, under the ids that the plan names.

moto makes ids of its own, but a plan has to run unchanged. So the plan's ids are answered here, and moto answers for
all others.
"""

import threading
import urllib.parse
from collections.abc import Iterable, Sequence
from xml.sax import saxutils

from burst.rehearsal import aws_requests

_ID_PARAMETERS = {"DescribeSubnets": "SubnetId.", "DescribeSecurityGroups": "GroupId."}
_DOCUMENT_TAGS = {
    "DescribeSubnets": ("subnetSet", "subnetId"),
    "DescribeSecurityGroups": ("securityGroupInfo", "groupId"),
}
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
        """The answer to a request for some of these ids, and for no other id. None for any other request."""
        prefix = _ID_PARAMETERS.get(operation)
        if prefix is None:
            return None
        body = dict(urllib.parse.parse_qsl(request.body.decode("ascii", "replace")))
        ids = [value for name, value in body.items() if name.startswith(prefix)]
        with self._lock:
            if not ids or not self._ids.issuperset(ids):
                return None
        return aws_requests.HttpAnswer(
            status=200, body=_render_document(operation, ids).encode(), headers=(("Content-Type", "text/xml"),)
        )


def _render_document(operation: str, ids: Sequence[str]) -> str:
    set_tag, id_tag = _DOCUMENT_TAGS[operation]
    items = "".join(f"<item><{id_tag}>{saxutils.escape(resource_id)}</{id_tag}></item>" for resource_id in ids)
    return f'<{operation}Response xmlns="{_NAMESPACE}"><{set_tag}>{items}</{set_tag}></{operation}Response>'
