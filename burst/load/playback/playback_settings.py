"""The settings of a playback, as a task has them in one variable, and the shard that they make."""

import json
import os
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from burst.load import load_settings
from burst.load.playback import checkpoints, pacing, templates

PLAYBACK = "BURST_PLAYBACK"
EXECUTION_ID = "BURST_EXECUTION_ID"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaybackSettings:
    """`checkpoint` is `env:NAME` of a variable with a DSN, or `folder:PATH`; None keeps none."""

    source: str
    key: str
    at: str | None = None
    speed_up: float | None = None
    template: Mapping[str, str] = field(default_factory=dict)
    max_events: int | None = None
    checkpoint: str | None = None
    continues: bool = False


def write_settings(settings: PlaybackSettings) -> str:
    """Settings as text for `PLAYBACK`."""
    return json.dumps({name: value for name, value in asdict(settings).items() if value not in (None, {}, False)})


def read_settings(environment: Mapping[str, str]) -> PlaybackSettings:
    """The settings of a task. Raises `load_settings.SettingError`."""
    text = environment.get(PLAYBACK, "")
    example = '{"source": "recording.jsonl", "key": "account"}'
    if not text.strip():
        raise load_settings.SettingError(f"{PLAYBACK} is not set; it is JSON such as {example}")
    try:
        settings = PlaybackSettings(**json.loads(text))
    except (ValueError, TypeError) as exc:
        raise load_settings.SettingError(f"{PLAYBACK} is not such as {example}: {exc}") from None
    problem = _find_wrong_type(settings) or _find_problem(settings)
    if problem:
        raise load_settings.SettingError(f"{PLAYBACK}: {problem}")
    return settings


def _find_wrong_type(settings: PlaybackSettings) -> str:
    """The first setting whose value has another type than it may have; empty where each fits."""
    texts = {"source": settings.source, "key": settings.key, "at": settings.at, "checkpoint": settings.checkpoint}
    for name, value in texts.items():
        if not (isinstance(value, str) and value) and not (value is None and name in ("at", "checkpoint")):
            return f"{name} is {value!r}; it must be a text"
    fields: object = settings.template
    if not isinstance(fields, dict) or not all(isinstance(text, str) for text in fields.values()):
        return f"template is {fields!r}; it must be an object of texts by the paths of fields"
    if settings.max_events is not None and type(settings.max_events) is not int:
        return f"max_events is {settings.max_events!r}; it must be a whole number"
    if not isinstance(settings.continues, bool):
        return f"continues is {settings.continues!r}; it must be true or false"
    paths = {"key": settings.key, "at": settings.at or settings.key}
    wrong = next((name for name, path in paths.items() if not all(path.split("."))), None)
    return f"{wrong} is {paths[wrong]!r}; it must be a dotted path such as payload.account" if wrong else ""


def _find_problem(settings: PlaybackSettings) -> str:
    if settings.speed_up is not None:
        try:
            pacing.parse_speed_up(settings.speed_up)
        except ValueError as exc:
            return str(exc)
        if settings.at is None:
            return "speed_up needs at, the field that holds the instant of a record"
    if settings.max_events is not None and settings.max_events < 1:
        return f"max_events is {settings.max_events}; it must be at least 1"
    if settings.checkpoint is not None and checkpoints.describe_problem(settings.checkpoint):
        return f"checkpoint: {checkpoints.describe_problem(settings.checkpoint)}"
    if settings.continues and settings.checkpoint is None:
        return "continues needs checkpoint, which says where to go on"
    return templates.find_problem(settings.template)


def open_store(checkpoint: str | None) -> checkpoints.CheckpointStore | None:
    """The store behind `checkpoint`. Raises SettingError for a DSN that is missing or a placeholder."""
    if checkpoint is None:
        return None
    scheme, _, address = checkpoint.partition(":")
    if f"{scheme}:" == checkpoints.FOLDER_SCHEME:
        from burst.load.playback import checkpoint_files

        return checkpoint_files.FileCheckpoints(Path(address))
    from burst.load.playback import checkpoint_tables

    return checkpoint_tables.TableCheckpoints(load_settings.read_secret(address, "a DSN of the checkpoints' database"))


def name_attempt(environment: Mapping[str, str]) -> str:
    """The attempt that holds a checkpoint: the run's id, and the process, which a replaced task changes."""
    return f"{environment.get(EXECUTION_ID) or uuid.uuid4().hex}/{os.getpid()}"
