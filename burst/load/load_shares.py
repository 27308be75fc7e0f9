"""One task's share of a burst: its events, its rate, its part of a limited source, and the files it starts by.

The shares of all tasks add up to the whole rate and the whole source. A task makes its ready file, then waits for the
GO file, so that all tasks send their first event together.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from burst.load import event_kinds, load_events, load_settings, rate_plans

GO_POLL_SECONDS = 0.01
EVEN, POISSON = "even", "poisson"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadShare:
    """One task's part of a burst. `event_count` is None for a source without an end."""

    stream: load_events.EventStream
    events_per_second: float
    event_count: int | None
    arrivals: str = EVEN
    phase: float = 0.0
    """How far into its first pause the first event is due, from 0 to 1: the tasks of a burst share it among them."""
    shard_count: int = 1
    rate_plan: rate_plans.RatePlan | None = None
    """The steps of the whole burst, where it has more than one rate; `events_per_second` is then the mean."""
    route: str = event_kinds.PUSH_PATH
    """Where events are posted, below the host."""
    key_header: str = event_kinds.KEY_HEADER
    go_file: Path | None
    ready_file: Path | None
    most_senders: int = 1000
    """How far a program may raise the number of its senders, where answers take long."""

    def announce_ready(self) -> None:
        """Make the ready file where one is named. It is empty, so it is complete as soon as it exists."""
        if self.ready_file is not None:
            self.ready_file.touch()

    def may_start(self) -> bool:
        """Whether the first event may be sent."""
        return self.go_file is None or self.go_file.exists()


def read_share(settings: Mapping[str, str]) -> LoadShare:
    """Read a task's share from settings as the environment holds them.

    Raises `load_settings.SettingError` for a setting that is wrong.
    """
    values = load_settings.fill_defaults(settings)
    shard_count = load_settings.parse_whole(values, load_settings.SHARD_COUNT, least=1)
    shard_index = load_settings.parse_whole(values, load_settings.SHARD_INDEX, least=0)
    if shard_index >= shard_count:
        raise load_settings.SettingError(
            f"{load_settings.SHARD_INDEX} is {shard_index}; "
            f"it must be under {load_settings.SHARD_COUNT}, which is {shard_count}"
        )
    _check_profile(values)
    go_file, ready_file = values[load_settings.GO_FILE], values[load_settings.READY_FILE]
    rate_per_minute = load_settings.parse_rate(values, load_settings.RATE_PER_MINUTE)
    rate_plan = _read_rate_plan(values)
    if rate_plan is not None:
        rate_per_minute = float(rate_plan.events / rate_plan.seconds * 60)
    return LoadShare(
        stream=_read_stream(values, shard_index, shard_count),
        events_per_second=rate_per_minute / 60 / shard_count,
        event_count=_count_events(values, shard_index, shard_count),
        arrivals=_read_arrivals(values),
        phase=shard_index / shard_count,
        shard_count=shard_count,
        rate_plan=rate_plan,
        most_senders=load_settings.parse_whole(values, load_settings.MOST_SENDERS, least=1),
        route=values[load_settings.ROUTE] or event_kinds.PUSH_PATH,
        key_header=values[load_settings.KEY_HEADER] or event_kinds.KEY_HEADER,
        go_file=Path(go_file) if go_file else None,
        ready_file=Path(ready_file) if ready_file else None,
    )


def _read_stream(values: Mapping[str, str | None], shard_index: int, shard_count: int) -> load_events.EventStream:
    text = values[load_settings.EVENTS]
    try:
        return load_events.EventStream(
            scope=_read_scope(values),
            shard_index=shard_index,
            shard_count=shard_count,
            kinds=event_kinds.REFERENCE if text is None else event_kinds.read_kinds(text),
        )
    except ValueError as exc:
        raise load_settings.SettingError(f"{load_settings.EVENTS} describes no events: {exc}") from exc


def _read_rate_plan(values: Mapping[str, str | None]) -> rate_plans.RatePlan | None:
    text = values[load_settings.RATE_PLAN]
    if text is None:
        return None
    try:
        return rate_plans.read_plan(text)
    except (ValueError, ZeroDivisionError) as exc:
        raise load_settings.SettingError(
            f"{load_settings.RATE_PLAN} is no list of steps ({exc}); a step is "
            '{"name": "steady", "for": "90", "rate": "90000"}, in seconds and events a minute'
        ) from exc


def _check_profile(values: Mapping[str, str | None]) -> None:
    profile, source_events = values[load_settings.PROFILE], values[load_settings.SOURCE_EVENTS]
    if profile not in ("steady", "replay"):
        raise load_settings.SettingError(f"{load_settings.PROFILE} is {profile!r}; it must be steady or replay")
    if profile == "replay" and source_events is None:
        raise load_settings.SettingError(
            f"{load_settings.PROFILE} is replay: "
            f"{load_settings.SOURCE_EVENTS} must say how many events there are to send again"
        )


def _read_arrivals(values: Mapping[str, str | None]) -> str:
    arrivals = values[load_settings.ARRIVALS] or EVEN
    if arrivals not in (EVEN, POISSON):
        raise load_settings.SettingError(f"{load_settings.ARRIVALS} is {arrivals!r}; it must be {EVEN} or {POISSON}")
    return arrivals


def _read_scope(values: Mapping[str, str | None]) -> str:
    scope = values[load_settings.SCOPE] or ""
    return datetime.now(UTC).strftime("platform_%Y%m%dT%H%M%SZ") if scope == "fresh" else scope


def _count_events(values: Mapping[str, str | None], shard_index: int, shard_count: int) -> int | None:
    if values[load_settings.SOURCE_EVENTS] is None:
        return None
    source_events = load_settings.parse_whole(values, load_settings.SOURCE_EVENTS, least=0)
    events_per_shard, remainder = divmod(source_events, shard_count)
    return events_per_shard + (shard_index < remainder)
