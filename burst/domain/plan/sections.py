"""What every section of a plan, or of another file of the operator's, is made of."""

import pydantic


class Section(pydantic.BaseModel):
    """The base of every section: frozen, strict, no unknown keys, no NaN."""

    model_config = pydantic.ConfigDict(
        frozen=True,
        strict=True,
        extra="forbid",
        allow_inf_nan=False,
        populate_by_name=True,
        str_max_length=4096,
        defer_build=True,
    )


STRICT = Section.model_config
"""The same for a section with a list or a mapping for a default: the linter knows pydantic's own base alone."""
