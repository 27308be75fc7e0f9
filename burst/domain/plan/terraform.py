"""The plan of a real account: the output `plan` of burst's Terraform module, written into the commented example.

The example stays the one text that explains a plan: values are put in place, and its comments stand. A plan made from
an account then reads like the documentation.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import pydantic

from burst.domain.basics import errors
from burst.domain.plan import field_types, plans, target_sections

OUTPUT = "plan"
_MARK = "\ufeff"
"""Some shells put it before text that they redirect."""
_CHANGE_NAMES = "# Change every name below `target`, `load.host` and the places below `evidence` to your own.\n"
_KEY_LINE = "#   export IG_API_KEY=...          the ingest's key\n"
_DSN_LINE = (
    "#   export IG_ADMISSION_DSN=...    the Postgres with its receipts: postgresql://USER:PASSWORD@HOST/NAME "
    "(it is only read)\n"
)
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
    reaper: target_sections.ReaperSection


class _Load(_Part):
    host: str
    api_key: bool


class _Evidence(_Part):
    run_control: str
    run_scoped: str


class Outputs(_Part):
    """The output `plan` of the module. Its form is checked here; `write` checks the whole plan that comes of it."""

    environment: str
    region: str
    target: _Target
    load: _Load
    evidence: _Evidence


def parse(text: str, *, source: str) -> Outputs:
    """The outputs in a file of `terraform output -json`. Raises `errors.UsageError` for any other file."""
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
        problem = "it is no object" if first["type"] == "model_type" else first["msg"]
        raise errors.UsageError(
            f"{source}: {where}: {problem}; is it the output of burst's module, of the same version as this burst?"
        ) from exc


def write(example: str, outputs: Outputs) -> str:
    """The example with every value of the module in place. Raises `errors.UsageError` where the result is no plan."""
    target = outputs.target.model_dump(exclude_none=True)
    text = _replace(example, _CHANGE_NAMES, f"# Names are those that Terraform made in {outputs.region}.\n")
    # The database can be reached by the module's counter, whose task definition holds the DSN.
    text = _remove_key(_replace(text, _DSN_LINE, ""), "receipts", "dsn")
    text = _put_value(text, "receipts", "via", "task")
    text = _put_value(text, "", "environment", outputs.environment)
    for key in ("cluster", "task_definition", "container", "capacity", "subnets", "security_groups"):
        text = _put_value(text, "target", key, target[key])
    text = _insert_after(text, "target", "security_groups", _write_reaper(target["reaper"]))
    text = _put_value(text, "load", "host", outputs.load.host)
    if not outputs.load.api_key:
        text = _remove_key(_replace(text, f":\n{_KEY_LINE}", ".\n"), "load", "api_key")
    for key in ("run_control", "run_scoped"):
        text = _put_value(text, "evidence", key, getattr(outputs.evidence, key))
    plans.parse(text, source="the plan made of the outputs")
    return text


def _write_reaper(reaper: Mapping[str, str]) -> str:
    lines = [f"    {key}: {_write_flow(value)}" for key, value in reaper.items()]
    return "\n".join(
        ("  reaper:                     # the task that ends tasks past their deadline, and its schedule", *lines)
    )


def _match_line(section: str, key: str) -> re.Pattern[str]:
    """The line of a key, with its value and the comment after it apart: at the margin, or in a section."""
    if not section:
        return re.compile(rf"(?m)^({key}: )(.*?)( +#.*)?$")
    return re.compile(rf"(?m)(?<=^{section}:\n)((?:^(?: .*)?\n)*?  {key}: )(.*?)( +#.*)?$")


def _put_value(text: str, section: str, key: str, value: Any) -> str:
    """The value in place; a comment after it keeps its column where the value is short enough."""
    flow = _write_flow(value)

    def change(line: re.Match[str]) -> str:
        comment = (line[3] or "").lstrip()
        gap = len(line[2] + (line[3] or "")) - len(comment) - len(flow)
        return f"{line[1]}{flow}{' ' * max(2, gap) if comment else ''}{comment}"

    return _change_line(_match_line(section, key), change, text)


def _insert_after(text: str, section: str, key: str, lines: str) -> str:
    return _change_line(_match_line(section, key), lambda line: f"{line[0]}\n{lines}", text)


def _remove_key(text: str, section: str, key: str) -> str:
    whole_line = re.compile(rf"{_match_line(section, key).pattern}\n")
    return _change_line(whole_line, lambda line: line[1].rpartition(f"  {key}: ")[0], text)


def _change_line(pattern: re.Pattern[str], change: Callable[[re.Match[str]], str], text: str) -> str:
    changed, times = pattern.subn(change, text, count=1)
    if times != 1:
        raise LookupError(f"the example has no line {pattern.pattern}")
    return changed


def _replace(text: str, words: str, replacement: str) -> str:
    """Other words of the example's comments, which must be there."""
    if words not in text:
        raise LookupError(f"the example does not say {words!r}")
    return text.replace(words, replacement, 1)


def _write_flow(value: Any) -> str:
    """A value on one line of YAML: bare where it can be read no other way, otherwise as JSON."""
    if isinstance(value, list):
        return "[" + ", ".join(_write_flow(item) for item in value) + "]"
    return value if re.fullmatch(r"[A-Za-z][A-Za-z0-9_./:-]*[A-Za-z0-9_/-]", value) else json.dumps(value)
