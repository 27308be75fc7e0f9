"""Settings of a load program: their names in the environment, what each means, and how a wrong value is refused."""

import math
import os
import re
from collections.abc import Mapping
from typing import Any

SCOPE = "BURST_SCOPE"
SHARD_INDEX = "BURST_SHARD_INDEX"
SHARD_COUNT = "BURST_SHARD_COUNT"
RATE_PER_MINUTE = "BURST_RATE_PER_MINUTE"
RATE_PLAN = "BURST_RATE_PLAN"
EVENTS = "BURST_EVENTS"
ROUTE = "BURST_ROUTE"
KEY_HEADER = "BURST_KEY_HEADER"
PROFILE = "BURST_PROFILE"
SOURCE_EVENTS = "BURST_SOURCE_EVENTS"
HOST = "BURST_HOST"
ARRIVALS = "BURST_ARRIVALS"
MOST_SENDERS = "BURST_MOST_SENDERS"
GO_FILE = "BURST_GO_FILE"
READY_FILE = "BURST_READY_FILE"
API_KEY = "IG_API_KEY"

SETTINGS: Mapping[str, tuple[str | None, str]] = {
    SCOPE: ("fresh", "the platform run whose receipts count; fresh makes a new one"),
    SHARD_INDEX: ("0", "which task of the burst this is, from 0"),
    SHARD_COUNT: ("1", "how many tasks the burst has"),
    RATE_PER_MINUTE: ("600", "events per minute of the whole burst, or such as 1500/s; this task sends its share"),
    RATE_PLAN: (None, "steps of rates from GO on, as JSON; in place of one rate, for the whole burst"),
    EVENTS: (None, "kinds of events with their shares, as JSON; in place of the one reference body"),
    ROUTE: ("/v1/ingest/push", "where events are posted, below the host"),
    KEY_HEADER: ("X-IG-Api-Key", "the header that holds the key"),
    PROFILE: ("steady", "steady: new events; replay: the scope's events from the first, once each"),
    SOURCE_EVENTS: (None, "the most events the whole burst can send; needed by replay"),
    ARRIVALS: ("even", "even: at equal distances, the tasks in turn; poisson: with random pauses"),
    MOST_SENDERS: ("1000", "the most events that a task may have on their way at a time"),
    GO_FILE: (None, "wait for this file before the first event"),
    READY_FILE: (None, "make this file once ready to send"),
}
"""The default of each setting (None: it may be absent) and its help."""

OPTIONS: Mapping[str, str] = {
    SCOPE: "--burst-scope",
    SHARD_INDEX: "--burst-shard-index",
    SHARD_COUNT: "--burst-shard-count",
    RATE_PER_MINUTE: "--burst-rate",
    RATE_PLAN: "--burst-rate-plan",
    EVENTS: "--burst-events",
    ROUTE: "--burst-route",
    KEY_HEADER: "--burst-key-header",
    PROFILE: "--burst-profile",
    SOURCE_EVENTS: "--burst-source-events",
    ARRIVALS: "--burst-arrivals",
    MOST_SENDERS: "--burst-most-senders",
    GO_FILE: "--burst-go-file",
    READY_FILE: "--burst-ready-file",
}
"""Each setting as an option of Locust."""

_PLACEHOLDER = re.compile(r"REPLACE_ME|CHANGE_?ME|TO_PIN|\bTBD\b|<[^<>]*>", re.IGNORECASE)


class SettingError(Exception):
    """A setting is missing or wrong. The message names the setting, the value and the allowed values; no secret."""


def fill_defaults(settings: Mapping[str, str]) -> dict[str, str | None]:
    """Every setting with its value or its default; an empty value counts as absent."""
    return {name: settings.get(name) or default for name, (default, _) in SETTINGS.items()}


def read_api_key() -> str:
    """The key of the ingest, from the environment and nowhere else; a missing key or a placeholder is refused."""
    key = read_secret(API_KEY, "the ingest's API key")
    if not key.isascii() or not key.isprintable():
        raise SettingError(f"{API_KEY} holds characters that cannot stand in a header (it is not shown)")
    return key


def read_options(options: Any) -> dict[str, str]:
    """Every setting from the parsed options of a program that has `OPTIONS`."""
    return {name: getattr(options, option.removeprefix("--").replace("-", "_")) for name, option in OPTIONS.items()}


def read_secret(name: str, meaning: str) -> str:
    """A secret from the environment; a missing one or a placeholder is refused."""
    secret = os.environ.get(name, "")
    if not secret.strip():
        raise SettingError(f"{name} is not set: put {meaning} in the environment under that name")
    if _PLACEHOLDER.search(secret):
        raise SettingError(f"{name} holds a placeholder, not a value (it is not shown): put {meaning} there")
    return secret


def parse_positive(values: Mapping[str, str | None], name: str) -> float:
    """A setting as a finite number over 0."""
    text = values[name] or ""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and number > 0):
        raise SettingError(f"{name} is {text!r}; it must be a number over 0")
    return number


def parse_rate(values: Mapping[str, str | None], name: str) -> float:
    """A setting as events a minute: a number, or one with its unit, such as 1500/s or 1500/min."""
    text = values[name] or ""
    number, slash, unit = text.partition("/")
    if slash and unit not in ("s", "min"):
        raise SettingError(f"{name} is {text!r}; it must be events a minute, or with a unit such as 1500/s or 1500/min")
    return parse_positive({name: number}, name) * (60 if unit == "s" else 1)


def parse_whole(values: Mapping[str, str | None], name: str, *, least: int) -> int:
    """A setting as a whole number of at least `least`."""
    text = values[name] or ""
    if not (text.isascii() and text.isdigit()) or int(text) < least:
        raise SettingError(f"{name} is {text!r}; it must be a whole number of at least {least}")
    return int(text)
