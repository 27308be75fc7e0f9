"""Execution ids in the order of time: what their stamps say, and how the newest is found where lists only go forwards.

An id burst makes is `{group}_{UTC stamp}_{hex}`, so within a group the order of keys is the order of time. S3 lists
forwards only; so the end is found by asking what stands after an instant, first shortly before now, then ever earlier,
and by halving the time between a full page and an empty one. Ten thousand runs cost a handful of pages, not a scan.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from burst.domain.basics import canonical, instants

_STAMPED = re.compile(r"([A-Za-z0-9]+)_([0-9]{8}T[0-9]{6}Z)(?:_[A-Za-z0-9_-]+)?", re.ASCII)
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{2,99}", re.ASCII)
_LOOK_BACK = tuple(timedelta(days=days) for days in (1, 10, 100, 1000, 10000))
_AHEAD = timedelta(days=1)
_ONE_SECOND = timedelta(seconds=1)
_LAST = datetime.max.replace(microsecond=0, tzinfo=UTC)
AFTER_STAMPS = ":"
"""Sorts after every digit: what begins with a group and this comes after all its stamped ids."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some of the names after a start, in order. `whole`: nothing comes after them."""

    names: Sequence[str]
    whole: bool


def is_plain(execution_id: str) -> bool:
    """Whether a text is an execution id, as plans allow them."""
    return _PLAIN.fullmatch(execution_id) is not None


def parse(execution_id: str) -> tuple[str, datetime] | None:
    """The group of an id and the instant in its stamp; None for one that carries no time."""
    match = _STAMPED.fullmatch(execution_id)
    if match is None:
        return None
    try:
        return match[1], datetime.strptime(match[2], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None


def made_at(execution_id: str) -> datetime | None:
    """The instant in an id's stamp, None where it carries none."""
    parsed = parse(execution_id)
    return parsed[1] if parsed else None


def is_of(execution_id: str, group: str, began_at: datetime) -> bool:
    """Whether an id tells the group of a run, and when it began to within a day."""
    parsed = parse(execution_id)
    return parsed is not None and parsed[0] == group and abs(parsed[1] - began_at) <= timedelta(days=1)


def alias(execution_id: str, group: str, began_at: datetime) -> str:
    """An id that tells when a run began, for one whose own does not; the same again for the same run."""
    return f"{group}_{instants.stamp(began_at)}_{canonical.digest(execution_id.encode())[:6]}"


def newest_first(group: str, page: Callable[[str], Page], now: datetime) -> Iterator[str]:
    """The stamped ids of a group, the newest first.

    `page` gives the names from a given text on, in the order of their bytes. `now` only says where to look first: an
    id with a later stamp is found too.
    """
    before: str | None = None
    while True:
        names = _last_before(group, page, before, now)
        if not names:
            return
        yield from reversed(names)
        before = names[0]


def _last_before(group: str, page: Callable[[str], Page], before: str | None, now: datetime) -> Sequence[str]:
    """The last stamped ids that come before `before` (all of them, where None), as many as one page holds."""
    latest = _time(before) if before else now
    found, end = Page(names=(), whole=True), _time(before) if before else _LAST
    for back in _LOOK_BACK:
        start = _earlier(latest, back)
        found = _from(group, page, f"{group}_{instants.stamp(start)}", before)
        if found.names:
            break
        end = start.replace(microsecond=0)
    else:
        found = _from(group, page, f"{group}_", before)
    middle = (now + _AHEAD).replace(microsecond=0) if before is None else None
    while not found.whole:
        start = _time(found.names[-1])
        if middle is None or not start < middle < end:
            middle = (start + (end - start) / 2).replace(microsecond=0)
        if end - start <= _ONE_SECOND:
            later = _from(group, page, f"{found.names[-1]}/~", before)
            if not later.names:
                break
            found, middle = later, None
            continue
        later = _from(group, page, f"{group}_{instants.stamp(middle)}", before)
        if later.names:
            found = later
        else:
            end = middle
        middle = None
    return found.names


def _from(group: str, page: Callable[[str], Page], start: str, before: str | None) -> Page:
    """The group's stamped ids from `start` to `before`; `whole` where no more of them can follow."""
    bound = f"{before}/" if before else f"{group}_{AFTER_STAMPS}"
    while True:
        found = page(start)
        inside = [name for name in found.names if f"{name}/" < bound]  # the order of keys, not of names
        whole = found.whole or len(inside) < len(found.names)
        stamped = [name for name in inside if _belongs(name, group)]
        if stamped or whole or not inside:
            return Page(names=stamped, whole=whole)
        start = f"{inside[-1]}/~"


def _belongs(name: str, group: str) -> bool:
    parsed = parse(name)
    return parsed is not None and parsed[0] == group


def _time(name: str) -> datetime:
    moment = made_at(name)
    if moment is None:
        raise ValueError(f"{name} carries no time")
    return moment


def _earlier(moment: datetime, back: timedelta) -> datetime:
    try:
        return moment - back
    except OverflowError:
        return datetime.min.replace(tzinfo=UTC)
