"""The figures that only one kind of phase has, in rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from burst.domain.verdict import phase_sections
from burst.report import figures

if TYPE_CHECKING:
    from burst.domain.verdict import snapshots


def list_all(snapshot: snapshots.Snapshot) -> list[tuple[str, str]]:
    """Every figure that only this kind of phase has, by its name in the snapshot; checks are among the gates."""
    document = snapshot.document()
    names = phase_sections.SECTIONS.get(snapshot.kind, {})
    return [row for name in names for row in _list_rows(name, document[name])]


def _list_rows(name: str, value: object) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, part in value.items():
            yield from _list_rows(f"{name}.{key}", part)
    elif isinstance(value, list):
        texts = [str(part) for part in value if not isinstance(part, dict)]
        if texts:
            yield name, ", ".join(texts)
    elif isinstance(value, bool | int | float | str | None):
        yield name, figures.number(value)
