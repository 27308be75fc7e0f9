"""The reference pages are what the program says today."""

from pathlib import Path
from typing import Literal

import pydantic
import pytest

from burst.cli import main
from burst.domain.documents import models
from burst.domain.preflight import findings
from burst.domain.run.events import codec
from burst.rehearsal import faults
from burst.report import schemas
from tests.reference_pages import fields, pages

OF_EVERY_LINE = ("sequence", "at", "event")
"""What every event of the journal has, which is listed once."""


class _Part(models.Model):
    bare: int
    said: int = pydantic.Field(description="Said.")


class _Planted(models.Model):
    """A document with one field that nothing explains."""

    schema_: Literal["burst.planted/v1"] = pydantic.Field(alias="schema")
    parts: list[_Part] = pydantic.Field(description="Said.")


def test_no_reference_page_is_stale() -> None:
    assert pages.find_stale() == [], f"write docs/reference again with: {pages.COMMAND}"


def test_every_field_has_a_meaning() -> None:
    assert pages.find_unexplained() == []


@pytest.mark.parametrize("kind", sorted(schemas.KINDS))
def test_every_part_of_a_schema_is_listed(kind: str) -> None:
    listed = list(fields.list_fields(kind))
    if kind == "journal":
        listed += [field for event in fields.list_events() for field in event.fields]
    said = {(field.name.rpartition(".")[2], field.meaning) for field in listed}
    parts = schemas.make_schema(kind).get("$defs", {}).values()
    properties = [each for part in parts for each in part.get("properties", {}).items()]
    described = [(key, value["description"]) for key, value in properties if "description" in value]

    assert [each for each in described if each not in said and each[0] not in OF_EVERY_LINE] == []


def test_a_field_without_a_meaning_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    planted = schemas.DocumentKind(model=_Planted, name="planted.json", schema="burst.planted/v1")
    monkeypatch.setitem(schemas.KINDS, "planted", planted)

    assert pages.find_unexplained(["planted"]) == ["planted parts[].bare"]


def test_each_page_has_a_line_for_everything_it_is_about() -> None:
    made = pages.make_pages()

    assert [name for name in findings.FINDING_KINDS if f"| `{name}` |" not in made["findings.md"]] == []
    assert [name for name in faults.FAULTS if f"| `{name}` |" not in made["faults.md"]] == []
    assert [name for name in main.COMMANDS if f"| `burst {name}" not in made["commands.md"]] == []
    assert [name for name in codec.EVENTS if f"| `{name}` |" not in made["document-fields.md"]] == []
    assert "| `task-seen` | `end.record.cause` |" in made["document-fields.md"]
    keys = {field.name for field in fields.list_fields("plan")}
    assert {"budget.max", "facts[].sql", "load.rate[].for", "gates.modes.KEY.mode", "evidence.sign.key"} <= keys
    assert [key for key in keys if f"| `{key}` |" not in made["plan-keys.md"]] == []


def test_a_page_that_is_changed_missing_or_left_over_is_stale(tmp_path: Path) -> None:
    pages.write(tmp_path)
    (tmp_path / "faults.md").write_text("# Faults\n")
    (tmp_path / "gates.md").unlink()
    (tmp_path / "old.md").write_text("# Old\n")

    assert pages.find_stale(tmp_path) == ["faults.md", "gates.md", "old.md"]
    pages.write(tmp_path)
    assert pages.find_stale(tmp_path) == []
