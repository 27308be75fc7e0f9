"""Where the documents of a run go, how they are kept, and who signs them."""

from typing import Annotated, Literal, Self

import pydantic

from burst.domain.plan import field_types, sections


class SignSection(sections.Section):
    """The key that signs the documents before they are published."""

    key: field_types.SigningKey
    """The private key: file:PATH, env:NAME or kms:ARN."""


class ObjectLockSection(sections.Section):
    """Object Lock on every document, in buckets that have it."""

    mode: Literal["GOVERNANCE", "COMPLIANCE"]
    """How strictly S3 keeps them."""
    retain: Annotated[
        field_types.Age,
        pydantic.Field(gt=0, description="How long, counted from the run's deadline, such as 365d."),
    ]


class EvidenceSection(pydantic.BaseModel):
    """Where the documents of a run go, and how S3 keeps them. A place may be a list: each gets every document."""

    model_config = sections.STRICT

    local: str = "runs"
    """The folder of the runs on this machine."""
    run_control: Annotated[
        field_types.Place | Annotated[list[field_types.Place], pydantic.Field(min_length=1)] | None,
        pydantic.Field(
            description="Documents go to PLACE/EXECUTION_ID. The first is the authority: its snapshot is the commit."
        ),
    ] = None
    run_scoped: Annotated[
        field_types.Place | Annotated[list[field_types.Place], pydantic.Field(min_length=1)] | None,
        pydantic.Field(
            description="Documents go to PLACE/SCOPE/GROUP, those of a bounded rerun to PLACE/SCOPE/GROUP/EXECUTION_ID."
        ),
    ] = None
    regions: Annotated[
        dict[str, Annotated[str, pydantic.Field(pattern=r"^[a-z]{2,4}(-[a-z]+)+-\d$")]],
        pydantic.Field(description="The region of a bucket, where it is not the one of the environment."),
    ] = {}
    kms_key: Annotated[
        field_types.Resource | None,
        pydantic.Field(description="The key documents are encrypted with (SSE-KMS): ARN, id or alias."),
    ] = None
    object_lock: ObjectLockSection | None = None
    """Keeps the documents from being deleted."""
    bucket_owner: Annotated[
        str | None, pydantic.Field(pattern=r"^\d{12}$", description="The account every bucket has to belong to.")
    ] = None
    checksums: Annotated[
        Literal["when_supported", "when_required"],
        pydantic.Field(description="when_required for compatible stores that know no SHA-256 checksums."),
    ] = "when_supported"
    sign: SignSection | None = None
    """Signs the documents before they are published."""

    @pydantic.model_validator(mode="after")
    def _fits(self) -> Self:
        places = (*self.control_places, *self.scoped_places)
        twice = next((place for place in places if places.count(place) > 1), None)
        if twice is not None:
            raise field_types.Misfit(("run_control",), f"each place once; {twice} is named twice")
        buckets = {place.split("/")[2] for place in places}
        for bucket in self.regions:
            if bucket not in buckets:
                raise field_types.Misfit(
                    ("regions", bucket), f"a bucket of a place: {', '.join(sorted(buckets)) or 'there is none'}"
                )
        kept = [name for name in ("kms_key", "object_lock", "bucket_owner") if getattr(self, name) is not None]
        if kept and not places:
            raise field_types.Misfit((kept[0],), "nothing: it says how S3 keeps documents, and no place on S3 is named")
        return self

    @property
    def control_places(self) -> tuple[str, ...]:
        """Every run control place, the authority first."""
        return _list_places(self.run_control)

    @property
    def scoped_places(self) -> tuple[str, ...]:
        """Every run-scoped place."""
        return _list_places(self.run_scoped)

    @property
    def authority(self) -> str | None:
        """The run control place whose snapshot is the commit, and where the lease lies."""
        return self.control_places[0] if self.control_places else None


def _list_places(places: str | list[str] | None) -> tuple[str, ...]:
    return (places,) if isinstance(places, str) else tuple(places or ())
