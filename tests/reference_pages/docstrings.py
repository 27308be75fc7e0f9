"""The docstrings under the fields of a class, which Python itself does not keep: read from the source of its module."""

import ast
import functools
import inspect
import sys
from collections.abc import Iterator, Mapping

import pydantic


def read_field_docstrings(model: type[pydantic.BaseModel]) -> Mapping[str, str]:
    """The docstring under each field that has one, also of the classes that the model inherits from."""
    found: dict[str, str] = {}
    for kind in reversed(model.__mro__):
        if kind.__module__.startswith("burst."):
            found |= _read_classes(kind.__module__).get(kind.__qualname__, {})
    return found


@functools.cache
def _read_classes(module: str) -> Mapping[str, Mapping[str, str]]:
    tree = ast.parse(inspect.getsource(sys.modules[module]))
    return {node.name: dict(_list_documented(node)) for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}


def _list_documented(node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for field, following in zip(node.body, node.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(following, ast.Expr):
            value = following.value
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                yield field.target.id, " ".join(value.value.split())
