"""Owner files: who owns which risk and what is done about it, in one YAML or JSON file that a team keeps."""

from collections.abc import Iterator
from typing import Annotated, Literal, Self

import pydantic

from burst.domain.plan import catalogues, field_types, sections, written_files, yaml_lines

Sentence = Annotated[str, pydantic.Field(min_length=1, max_length=500, pattern=r"^[^\x00-\x1f]+$")]


class OwnerSection(sections.Section):
    """The owner of the gates that fit every key it names; the first entry that fits is the one that counts."""

    phase: Annotated[str | None, pydantic.Field(pattern=r"^[A-Z][A-Z0-9]{0,15}(\.[A-Z0-9]{1,16}){0,3}$")] = None
    """The phase whose gates are owned."""
    kind: Annotated[catalogues.Kind | None, pydantic.Field(strict=False)] = None
    """The kind of the phases whose gates are owned."""
    blocker: Annotated[str | None, pydantic.Field(pattern=r"^B\d{1,2}$", description="A short id, such as B1.")] = None
    gate: Annotated[
        str | None,
        pydantic.Field(min_length=1, description="The name of a gate; one that ends in * fits its beginning."),
    ] = None
    owner: Sentence
    """Who answers for the risk."""
    mitigation: Sentence
    """What is done about it."""

    @pydantic.model_validator(mode="after")
    def _names_something(self) -> Self:
        if all(key is None for key in (self.phase, self.kind, self.blocker, self.gate)):
            raise field_types.Misfit(("owner",), "beside owner: phase, kind, blocker or gate, to say whose risks")
        return self

    def fits(self, *, phase: str | None, kind: str | None, blocker: str | None, gate: str) -> bool:
        """Whether a gate of a phase is one of its owner's."""
        named_gate = self.gate or gate
        fits_gate = gate.startswith(named_gate[:-1]) if named_gate.endswith("*") else gate == named_gate
        pairs = ((self.phase, phase), (self.kind, kind), (self.blocker, blocker))
        return fits_gate and all(key is None or key == value for key, value in pairs)


class OwnerFile(sections.Section):
    """The whole file."""

    schema_: Annotated[Literal["burst.owners/v1"], pydantic.Field(alias="schema")]
    owners: Annotated[list[OwnerSection], pydantic.Field(min_length=1, max_length=1000)]
    """Owners, the first that fits a gate before the others."""

    def find(self, *, phase: str | None, kind: str | None, blocker: str | None, gate: str) -> OwnerSection | None:
        """The owner of a gate; None where nobody owns it."""
        fitting = (each for each in self.owners if each.fits(phase=phase, kind=kind, blocker=blocker, gate=gate))
        return next(fitting, None)


def _find_unfilled(_: yaml_lines.Source) -> Iterator[yaml_lines.Problem]:
    """None: every text stands for itself."""
    return iter(())


_FORM = written_files.FileForm(
    model=OwnerFile,
    schema="burst.owners/v1",
    name="owner file",
    undone="nothing was written",
    find_unfilled=_find_unfilled,
)


def parse(text: str, *, source: str) -> OwnerFile:
    """An owner file from its text; messages call it `source`. Raises as `written_files.FileForm.parse`."""
    return _FORM.parse(text, source)
