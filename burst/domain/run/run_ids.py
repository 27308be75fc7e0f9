"""Execution ids in the order of time: the instants in them, and a search for the newest in a list that goes forwards.

An id burst makes is `{group}_{UTC stamp}_{hex}`, so within a group the order of keys is the order of time. S3 lists
forwards only. So the search asks for the ids after an instant, first shortly before now, then ever earlier, and halves
the time between a full page and an empty one. Ten thousand runs cost a handful of pages, not a scan.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from burst.domain.basics import canonical, instants, naming

_STAMPED = re.compile(r"([A-Za-z0-9]+)_([0-9]{8}T[0-9]{6}Z)(?:_[A-Za-z0-9_-]+)?", re.ASCII)
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{2,99}", re.ASCII)
_LOOK_BACK = tuple(timedelta(days=days) for days in (1, 10, 100, 1000, 10000))
_AHEAD = timedelta(days=1)
_ONE_SECOND = timedelta(seconds=1)
_LAST = datetime.max.replace(microsecond=0, tzinfo=UTC)
AFTER_STAMPS = ":"
"""Sorts after every digit: a group's name followed by this comes after all stamped ids of the group."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some of the names after a start, in order. `whole`: there are no names after them."""

    names: Sequence[str]
    whole: bool


def is_plain(execution_id: str) -> bool:
    """Whether a plan may have this text as its execution id."""
    return _PLAIN.fullmatch(execution_id) is not None and execution_id not in naming.FOLDERS_OF_ALL_RUNS


def parse(execution_id: str) -> tuple[str, datetime] | None:
    """The group of an id and the instant in its stamp; None for one that carries no time."""
    match = _STAMPED.fullmatch(execution_id)
    if match is None:
        return None
    try:
        return match[1], datetime.strptime(match[2], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None


def read_stamp(execution_id: str) -> datetime | None:
    """The instant in an id's stamp; None where it carries none."""
    parsed = parse(execution_id)
    return parsed[1] if parsed else None


def tells_start(execution_id: str, group: str, began_at: datetime) -> bool:
    """Whether an id names the group of a run, and the instant at which it began to within a day."""
    parsed = parse(execution_id)
    return parsed is not None and parsed[0] == group and abs(parsed[1] - began_at) <= timedelta(days=1)


def make_alias(execution_id: str, group: str, began_at: datetime) -> str:
    """An id that tells when a run began, for a run whose own id does not. The same run always gets the same alias."""
    return f"{group}_{instants.stamp(began_at)}_{canonical.digest(execution_id.encode())[:6]}"


def newest_first(group: str, list_from: Callable[[str], Page], now: datetime) -> Iterator[str]:
    """The stamped ids of a group, the newest first.

    `list_from` gives the names from a text on, in the order of their bytes. `now` only says where to look first: an id
    with a later stamp is found too.
    """
    before: str | None = None
    while True:
        names = _last_before(group, list_from, before, now)
        if not names:
            return
        yield from reversed(names)
        before = names[0]


def _last_before(group: str, list_from: Callable[[str], Page], before: str | None, now: datetime) -> Sequence[str]:
    """The last stamped ids that come before `before` (of all ids, where None), as many as one page holds."""
    latest = _time(before) if before else now
    page, end = Page(names=(), whole=True), _time(before) if before else _LAST
    for back in _LOOK_BACK:
        start = _earlier(latest, back)
        page = _list_stamped(group, list_from, f"{group}_{instants.stamp(start)}", before)
        if page.names:
            break
        end = start.replace(microsecond=0)
    else:
        page = _list_stamped(group, list_from, f"{group}_", before)
    middle = (now + _AHEAD).replace(microsecond=0) if before is None else None
    while not page.whole:
        start = _time(page.names[-1])
        if middle is None or not start < middle < end:
            middle = (start + (end - start) / 2).replace(microsecond=0)
        if end - start <= _ONE_SECOND:
            later = _list_stamped(group, list_from, f"{page.names[-1]}/~", before)
            if not later.names:
                break
            page, middle = later, None
            continue
        later = _list_stamped(group, list_from, f"{group}_{instants.stamp(middle)}", before)
        if later.names:
            page = later
        else:
            end = middle
        middle = None
    return page.names


def _list_stamped(group: str, list_from: Callable[[str], Page], start: str, before: str | None) -> Page:
    """The group's stamped ids from `start` to `before`; `whole` where no more of them can follow."""
    bound = f"{before}/" if before else f"{group}_{AFTER_STAMPS}"
    while True:
        page = list_from(start)
        inside = [name for name in page.names if f"{name}/" < bound]  # the order of keys, not of names
        whole = page.whole or len(inside) < len(page.names)
        stamped = [name for name in inside if _belongs(name, group)]
        if stamped or whole or not inside:
            return Page(names=stamped, whole=whole)
        start = f"{inside[-1]}/~"


def _belongs(name: str, group: str) -> bool:
    parsed = parse(name)
    return parsed is not None and parsed[0] == group


def _time(name: str) -> datetime:
    moment = read_stamp(name)
    if moment is None:
        raise ValueError(f"{name} carries no time")
    return moment


def _earlier(moment: datetime, back: timedelta) -> datetime:
    try:
        return moment - back
    except OverflowError:
        return datetime.min.replace(tzinfo=UTC)
