"""The section `requires` of a plan: the conditions of the beginning of a run, each entry an entry gate.

An entry gate has a name of its own, such as `fact:queue_empty`. Some wait: until they are as expected, or until their
time is over.
"""

from collections.abc import Iterator
from typing import Annotated, Self

import pydantic

from burst.domain.basics import naming
from burst.domain.plan import catalogues, field_types, question_sections, sections

LONGEST_WAIT_SECONDS = 6 * 3600.0
ANY_SCOPE = "any"
NOTHING_ALIVE = "nothing_alive"
MOST_ENTRIES = 50
"""Each is asked on a thread of its own."""

Wait = Annotated[
    field_types.PositiveDuration,
    pydantic.Field(
        le=LONGEST_WAIT_SECONDS, description="Asked again for so long, such as 10m; without it, asked once."
    ),
]


class EntrySection(pydantic.BaseModel):
    """The base of an entry of `requires`."""

    model_config = sections.STRICT

    name: field_types.Name
    """The name of the entry gate."""


class RequiredPhaseSection(EntrySection):
    """A phase that has to have passed: the newest run of it in a scope, or the one whose snapshot has a digest."""

    place: Annotated[
        str, pydantic.Field(min_length=1, description="Where its runs lie: s3://BUCKET/PREFIX, or a folder of runs.")
    ]
    phase: Annotated[str, pydantic.Field(pattern=r"^[A-Z][A-Z0-9]{0,15}(\.[A-Z0-9]{1,16}){0,3}$")]
    """The phase that has to have passed."""
    kind: Annotated[catalogues.Kind, pydantic.Field(strict=False)] = catalogues.Kind.BURST
    """Its kind."""
    scope: Annotated[
        field_types.Name | None,
        pydantic.Field(description="The scope it ran in; the plan's, where it is left out. any: with sha256 alone."),
    ] = None
    sha256: Annotated[
        str | None, pydantic.Field(pattern=r"^[0-9a-f]{64}$", description="The digest of its snapshot.")
    ] = None

    @pydantic.model_validator(mode="after")
    def _fits(self) -> Self:
        if "://" in self.place and not self.place.startswith("s3://"):
            raise field_types.Misfit(("place",), "s3://BUCKET/PREFIX, or a folder of runs")
        if self.scope == ANY_SCOPE and self.sha256 is None:
            raise field_types.Misfit(("scope",), "a scope: any is allowed beside sha256, which names one run")
        return self

    def choose_scope(self, scope: str) -> str:
        """The scope that the phase has to have run in, for a run in `scope`; `any` where the digest alone decides."""
        return self.scope or scope


class RequiredDocumentSection(EntrySection):
    """A document that has to be there, and the one value in it that is expected, where there is an expectation."""

    document: Annotated[
        str,
        pydantic.Field(min_length=1, description="s3://BUCKET/KEY, or a file; {scope} in it is the run's scope."),
    ]
    path: Annotated[str, pydantic.Field(pattern=r"^/")] | None = None
    """Where the answer stands in the document, as a JSON pointer."""
    equals: field_types.Scalar = None
    """What the answer has to be; one of equals, at_most and at_least."""
    at_most: field_types.Number | None = None
    """What a number may be at most."""
    at_least: field_types.Number | None = None
    """What a number has to be at least."""
    until: Wait | None = None
    """How long preflight waits for it."""

    @pydantic.model_validator(mode="after")
    def _fits(self) -> Self:
        if "://" in self.document and not question_sections.S3_OBJECT.fullmatch(self.document):
            raise field_types.Misfit(("document",), f"s3://BUCKET/KEY ({naming.BUCKET_ALLOWED}), or a file")
        expectations = sum(value is not None for value in (self.equals, self.at_most, self.at_least))
        if expectations != (0 if self.path is None else 1):
            raise field_types.Misfit(("path",), "path with exactly one of equals, at_most, at_least; or none of them")
        return self

    def address(self, scope: str) -> str:
        """Where the document of a run's scope lies."""
        return self.document.replace("{scope}", scope)


class RequiredFactSection(question_sections.QuestionSection):
    """A fact that has to be as expected before the run begins."""

    name: field_types.Name
    """The name of the entry gate."""
    until: Wait | None = None
    """How long preflight waits for it."""

    @pydantic.model_validator(mode="after")
    def _one_question(self) -> Self:
        self.require_one_question()
        return self


class RequiredServiceSection(EntrySection):
    """An ECS service that has to run, by its image or its task definition, with enough tasks and its environment."""

    running: Annotated[int, pydantic.Field(ge=1, le=10_000, description="At least so many tasks, all that it wants.")]
    image: Annotated[
        str | None,
        pydantic.Field(pattern=r"^sha256:[0-9a-f]{64}$", description="The digest of the image that its tasks run."),
    ] = None
    task_definition: Annotated[
        str | None, pydantic.Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_:/-]*:\d+$", description="Such as gateway:12.")
    ] = None
    environment: Annotated[
        dict[str, str],
        pydantic.Field(description="Variables of its task definition; {scope} in a value is the run's scope."),
    ] = {}
    until: Wait | None = None
    """How long preflight waits for it."""

    @pydantic.model_validator(mode="after")
    def _one_identity(self) -> Self:
        if self.image is None and self.task_definition is None:
            raise field_types.Misfit(("image",), "image, task_definition or both: a name alone may run anything")
        return self

    def variables(self, scope: str) -> dict[str, str]:
        """The variables that its containers have to have, for a run in `scope`."""
        return {name: value.replace("{scope}", scope) for name, value in self.environment.items()}


EntryQuestion = RequiredPhaseSection | RequiredDocumentSection | RequiredFactSection | RequiredServiceSection
"""An entry of `requires` with a name."""


class RequiresSection(pydantic.BaseModel):
    """The conditions of the beginning of a run. All are asked before anything is launched or sent."""

    model_config = sections.STRICT

    phases: Annotated[list[RequiredPhaseSection], pydantic.Field(max_length=MOST_ENTRIES)] = []
    """Phases that have to have passed."""
    documents: Annotated[list[RequiredDocumentSection], pydantic.Field(max_length=MOST_ENTRIES)] = []
    """Documents that have to be there, and say what they have to."""
    facts: Annotated[list[RequiredFactSection], pydantic.Field(max_length=MOST_ENTRIES)] = []
    """Facts that have to hold."""
    services: Annotated[list[RequiredServiceSection], pydantic.Field(max_length=MOST_ENTRIES)] = []
    """ECS services that have to run."""
    nothing_alive: Annotated[
        bool, pydantic.Field(description="true: no task of another run under this run control may be alive.")
    ] = False

    @pydantic.model_validator(mode="after")
    def _distinct_names(self) -> Self:
        for section in ("phases", "documents", "facts", "services"):
            earlier = set[str]()
            for index, entry in enumerate(getattr(self, section)):
                if entry.name in earlier:
                    raise field_types.Misfit(
                        (section, index, "name"), f"distinct names, but {entry.name!r} stands twice"
                    )
                earlier.add(entry.name)
        return self

    @property
    def questions(self) -> dict[str, EntryQuestion | None]:
        """Every entry by the name of its gate; None: no task may be alive."""
        return dict(self._list_questions())

    def _list_questions(self) -> Iterator[tuple[str, EntryQuestion | None]]:
        yield from ((f"phase:{entry.name}", entry) for entry in self.phases)
        yield from ((f"document:{entry.name}", entry) for entry in self.documents)
        yield from ((f"fact:{entry.name}", entry) for entry in self.facts)
        yield from ((f"service:{entry.name}", entry) for entry in self.services)
        if self.nothing_alive:
            yield NOTHING_ALIVE, None
