"""Answers of the simulated AWS, held to the shapes of botocore's own service models before botocore reads them.

botocore validates requests and not answers: it drops a member that it does not know, and takes a wrong type as it is.
So a simulation could answer with something that AWS never sends, and every test would believe it. The answers of moto
are not held to anything here: they are not ours to change.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any
from xml.etree import ElementTree

OURS = frozenset({"ec2", "ecs", "service-quotas"})
"""The services that the simulation answers for itself, though moto answers a part of EC2 and the quotas of others."""
COMMON_ERRORS = frozenset(
    {
        "AccessDeniedException", "InternalFailure", "ServiceUnavailable", "ThrottlingException",
        "UnknownOperationException",
    }
)  # fmt: skip
"""Errors that any operation of AWS may answer with, by AWS's page on common errors; models do not list them."""
MADE_UP = frozenset({"HostRetired"})
"""Values of an enumeration that a fault makes up."""
_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "blob": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
    "timestamp": (int, float),  # in the JSON protocols
}


class ShapeCheck:
    """Checks the answers of the clients that it watches, and keeps the operations and members that they had."""

    def __init__(self) -> None:
        self.operations: set[str] = set()
        self.members: dict[str, set[str]] = defaultdict(set)

    def watch(self, client: Any) -> Any:
        """Checks every answer to this client from now on. A call whose answer does not fit raises AssertionError."""
        client.meta.events.register("before-parse", self._check_answer)
        return client

    def find_problems(self, value: object, shape: Any, place: str) -> list[str]:
        """Where a value of a JSON answer does not fit its shape."""
        match shape.type_name:
            case "structure":
                return self._find_structure_problems(value, shape, place)
            case "list":
                items = value if isinstance(value, list) else []
                problems = [each for item in items for each in self.find_problems(item, shape.member, f"{place}[]")]
                return problems if isinstance(value, list) else [f"{place}: {value!r} is no list"]
            case "map":
                pairs = value if isinstance(value, Mapping) else {}
                problems = [each for item in pairs.values() for each in self.find_problems(item, shape.value, place)]
                return problems if isinstance(value, Mapping) else [f"{place}: {value!r} is no map"]
        allowed = _TYPES[shape.type_name]
        if not isinstance(value, allowed) or (isinstance(value, bool) and bool not in allowed):
            return [f"{place}: {value!r} is no {shape.type_name}"]
        enumeration = getattr(shape, "enum", None)
        if enumeration and value not in enumeration and value not in MADE_UP:
            return [f"{place}: {value!r} is none of {', '.join(enumeration)}"]
        return []

    def _find_structure_problems(self, value: object, shape: Any, place: str) -> list[str]:
        if not isinstance(value, Mapping):
            return [f"{place}: {value!r} is no structure"]
        members = _by_wire_name(shape)
        problems = [f"{place}: botocore does not know {name}" for name in value if name not in members]
        problems += [
            f"{place}: {name} is missing" for name in shape.required_members if _wire_name(shape, name) not in value
        ]
        for name in members.keys() & value.keys():
            self.members[shape.name].add(name)
            problems += self.find_problems(value[name], members[name], f"{place}.{name}")
        return problems

    def _check_answer(self, *, operation_model: Any, response_dict: Mapping[str, Any], **_: object) -> None:
        self.operations.add(operation_model.name)
        service = operation_model.service_model
        find = _FINDERS[service.resolved_protocol] if service.service_name in OURS else None
        if find is not None and response_dict["status_code"] < 500:  # the simulation says there that it failed
            problems = find(self, operation_model, response_dict)
            assert not problems, f"{operation_model.name}: " + "; ".join(problems)


def _find_json_problems(check: ShapeCheck, operation: Any, response: Mapping[str, Any]) -> list[str]:
    body = json.loads(response["body"] or b"{}")
    if response["status_code"] < 300:
        return check.find_problems(body, operation.output_shape, operation.name) if operation.output_shape else []
    code = str(response["headers"].get("x-amzn-errortype") or body.get("__type")).rpartition("#")[2]
    declared = {shape.metadata.get("error", {}).get("code", shape.name) for shape in operation.error_shapes}
    names = {shape.name for shape in operation.error_shapes}
    return [] if code in declared | names | COMMON_ERRORS else [f"{code} is none of its errors"]


def _find_xml_problems(check: ShapeCheck, operation: Any, response: Mapping[str, Any]) -> list[str]:
    if response["status_code"] >= 300:
        return []
    answer = ElementTree.fromstring(response["body"])  # noqa: S314 - our own simulation wrote it
    return _find_element_problems(answer, operation.output_shape, operation.name)


def _find_element_problems(element: ElementTree.Element, shape: Any, place: str) -> list[str]:
    """Elements of an answer of EC2 that its shape does not have."""
    if shape.type_name == "list":
        return [each for item in element for each in _find_element_problems(item, shape.member, f"{place}[]")]
    if shape.type_name != "structure":
        return []
    members, problems = _by_wire_name(shape), []
    for child in element:
        name = child.tag.rpartition("}")[2]
        if name in members:
            problems += _find_element_problems(child, members[name], f"{place}.{name}")
        elif name != "requestId":
            problems.append(f"{place}: botocore does not know {name}")
    return problems


def _wire_name(shape: Any, name: str) -> str:
    return str(shape.members[name].serialization.get("name", name))


def _by_wire_name(shape: Any) -> dict[str, Any]:
    return {_wire_name(shape, name): member for name, member in shape.members.items()}


_FINDERS: dict[str, Callable[[ShapeCheck, Any, Mapping[str, Any]], list[str]]] = {
    "json": _find_json_problems,
    "ec2": _find_xml_problems,
}
