"""What Terraform made, in the words of a plan: the module's output `plan`, written into the commented example.

The example stays the one text that explains a plan: only values are put in place, and its comments stand. So whoever
reads the plan made from a real account reads the same words as in the documentation.
"""

import json
import re
from collections.abc import Mapping
from typing import Annotated, Any

import pydantic

from burst.domain.basics import errors
from burst.domain.plan import field_types, plans

OUTPUT = "plan"
_MARK = "\ufeff"
"""What some shells put before text that they redirect."""
_TO_CHANGE = "Change every name below `target` to your own."
_KEY_LINE = "#   export IG_API_KEY=...          the ingestion gateway's key\n"
_DSN_LINE = "#   export IG_ADMISSION_DSN=...    the database in which receipts are written\n"
_ALLOWED = (
    "what `terraform output -json`, without a name, prints where burst's module (infra/) was applied, "
    "whose output is named plan"
)


class _Part(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(frozen=True, strict=True, extra="forbid")


class _Target(_Part):
    cluster: field_types.Resource
    task_definition: field_types.Resource
    container: field_types.Name
    capacity: list[field_types.Name]
    subnets: Annotated[list[field_types.Name], pydantic.Field(min_length=1)]
    security_groups: Annotated[list[field_types.Name], pydantic.Field(min_length=1)]
    reaper: plans.ReaperSection


class _Load(_Part):
    host: str
    api_key: bool


class _Evidence(_Part):
    run_control: str
    run_scoped: str


class Outputs(_Part):
    """The output `plan` of the module, checked as far as it is no plan yet; the plan made of it is checked whole."""

    environment: str
    region: str
    target: _Target
    load: _Load
    evidence: _Evidence


def parse(text: str, *, source: str) -> Outputs:
    """The outputs in a file of `terraform output -json`. Raises `errors.UsageError`, which names what was seen."""
    try:
        value = json.loads(text.removeprefix(_MARK))[OUTPUT]["value"]
    except (ValueError, RecursionError) as exc:
        raise errors.UsageError(f"{source}: saw no JSON; allowed: {_ALLOWED}") from exc
    except (KeyError, TypeError, IndexError) as exc:
        raise errors.UsageError(f"{source}: saw no output named {OUTPUT} with a value; allowed: {_ALLOWED}") from exc
    try:
        return Outputs.model_validate(value)
    except pydantic.ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False)[0]
        where = ".".join((OUTPUT, *(str(step) for step in first["loc"])))
        what = "it is no object" if first["type"] == "model_type" else first["msg"]
        raise errors.UsageError(
            f"{source}: {where}: {what}; is it the output of burst's module, of the same version as this burst?"
        ) from exc


def write(example: str, outputs: Outputs) -> str:
    """The example with every value the module decides in place. Raises `errors.UsageError` where that is no plan."""
    target = outputs.target.model_dump(exclude_none=True)
    text = example.replace(_TO_CHANGE, f"Names are those that Terraform made in {outputs.region}.", 1)
    # The module's counter is told the DSN by its task definition, where the database can be reached.
    text = _put(_without(text.replace(_DSN_LINE, "", 1), "receipts", "dsn"), "receipts", "via", "task")
    text = _put(text, "", "environment", outputs.environment)
    for key in ("cluster", "task_definition", "container", "capacity", "subnets", "security_groups"):
        text = _put(text, "target", key, target[key])
    text = _after(text, "target", "security_groups", _reaper(target["reaper"]))
    text = _put(text, "load", "host", outputs.load.host)
    if not outputs.load.api_key:
        text = _without(text.replace(f":\n{_KEY_LINE}", ".\n", 1), "load", "api_key")
    for key in ("run_control", "run_scoped"):
        text = _put(text, "evidence", key, getattr(outputs.evidence, key))
    plans.parse(text, source="the plan made of the outputs")
    return text


def _reaper(reaper: Mapping[str, str]) -> str:
    lines = [f"    {key}: {_flow(value)}" for key, value in reaper.items()]
    return "\n".join(
        ("  reaper:                     # the task that ends what outlived the deadline, and its schedule", *lines)
    )


def _line(section: str, key: str) -> re.Pattern[str]:
    """The line of a key, its value and the comment after it apart: at the margin, or in a section."""
    if not section:
        return re.compile(rf"(?m)^({key}: )(.*?)( +#.*)?$")
    return re.compile(rf"(?m)(?<=^{section}:\n)((?:^(?: .*)?\n)*?  {key}: )(.*?)( +#.*)?$")


def _put(text: str, section: str, key: str, value: Any) -> str:
    """The value in place; a comment after it keeps its column as far as the value leaves it."""
    given = _flow(value)

    def change(found: re.Match[str]) -> str:
        comment = (found[3] or "").lstrip()
        gap = len(found[2] + (found[3] or "")) - len(comment) - len(given)
        return f"{found[1]}{given}{' ' * max(2, gap) if comment else ''}{comment}"

    return _one(_line(section, key), change, text)


def _after(text: str, section: str, key: str, line: str) -> str:
    return _one(_line(section, key), lambda found: f"{found[0]}\n{line}", text)


def _without(text: str, section: str, key: str) -> str:
    line = re.compile(rf"{_line(section, key).pattern}\n")
    return _one(line, lambda found: found[1].rpartition(f"  {key}: ")[0], text)


def _one(pattern: re.Pattern[str], change: Any, text: str) -> str:
    changed, times = pattern.subn(change, text, count=1)
    if times != 1:
        raise LookupError(f"the example has no line {pattern.pattern}")
    return changed


def _flow(value: Any) -> str:
    """A value on one line of YAML: as JSON, bare where it can be read no other way."""
    if isinstance(value, list):
        return "[" + ", ".join(_flow(each) for each in value) + "]"
    return value if re.fullmatch(r"[A-Za-z][A-Za-z0-9_./:-]*[A-Za-z0-9_/-]", value) else json.dumps(value)
