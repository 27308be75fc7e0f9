"""The live view drawn for a terminal by rich: rows that never wrap, as many as the terminal has.

What matters most comes first, and what has no room is left out from the end. Every colour has its word beside it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from rich import console as rich_console
from rich import text as rich_text

from burst.report import live_events, live_gates, live_series, live_views, plain_lines

TONES = {
    live_views.Tone.GOOD: "bold green",
    live_views.Tone.BUSY: "bold cyan",
    live_views.Tone.WARNING: "bold yellow",
    live_views.Tone.BAD: "bold red",
}
STANDINGS = {
    live_gates.Standing.HOLDS: "green",
    live_gates.Standing.SHORT: "yellow",
    live_gates.Standing.LOST: "bold red",
    live_gates.Standing.UNKNOWN: "dim",
}
CHECKS = {"passed": ("ok", "green"), "warning": ("warn", "yellow"), "refused": ("FAIL", "bold red")}
LEAST_COLUMNS, LEAST_ROWS = 20, 3
_FEW_COLUMNS, _FEW_ROWS = 60, 16
"""A terminal with less than these shows what decides, and no history."""
_NAME_COLUMNS = 15
_BETWEEN = " · "
_FIGURE_COLUMNS = 12
_CHECK_COLUMNS = 26
_LEAST_HAPPENINGS = _LEAST_GATES = 3
_ASCII = str.maketrans({"·": "-", "…": "~", "█": "#", "░": ".", "≤": "<", "≥": ">"})

Row = rich_text.Text


@dataclass(frozen=True, slots=True)
class LiveScreen:
    """A renderable of rich: the view in the size of the console."""

    view: live_views.LiveView
    clean: Callable[[str], str] = str
    """Masks secrets in a row."""

    def __rich_console__(
        self, console: rich_console.Console, options: rich_console.ConsoleOptions
    ) -> rich_console.RenderResult:
        """The rows, no wider than the console and no more than it has."""
        size = ScreenSize(
            columns=max(LEAST_COLUMNS, options.max_width),
            rows=max(LEAST_ROWS, options.height or console.size.height),
            plain=options.ascii_only,
        )
        for row in list_rows(self.view, size):
            text = self.clean(row.plain)
            text = text.translate(_ASCII) if size.plain else text
            if text != row.plain:
                row.plain = text
            row.no_wrap, row.overflow = True, "ellipsis"
            row.truncate(size.columns, overflow="crop" if size.plain else "ellipsis")
            yield row


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreenSize:
    """The room of a terminal, and whether it shows ASCII alone."""

    columns: int
    rows: int
    plain: bool = False


def list_rows(view: live_views.LiveView, size: ScreenSize) -> list[Row]:
    """The rows of the view, from the top, no more than there is room for."""
    top = [_draw_title(view), *_draw_state(view)]
    if view.checks:
        rows = [*top, *_draw_checks(view, size)]
        return rows[: size.rows]
    middle = [*_draw_blockers(view), *_draw_clocks(view, size), *_draw_rates(view), *_draw_tracks(view, size)]
    foot = [*_draw_tasks(view), *_draw_observed(view)]
    if size.rows < _FEW_ROWS:  # then the gates, of which the worst come first, say more than any history
        middle, foot = middle[: max(0, size.rows - len(top) - _LEAST_GATES)], []
    room = size.rows - len(top) - len(middle) - len(foot)
    gates = list(_draw_gates(view, max(room - _LEAST_HAPPENINGS, min(room, _LEAST_GATES), 0)))
    happenings = list(_draw_happenings(view, max(_LEAST_HAPPENINGS, room - len(gates))))
    return [*top, *middle, *gates, *foot, *happenings][: size.rows]


def _draw_title(view: live_views.LiveView) -> Row:
    return _row((view.title, "bold"), (f"  {view.at:%H:%M:%S} UTC", "dim"), (f"  scope {view.scope}", "dim"))


def _draw_state(view: live_views.LiveView) -> Iterator[Row]:
    due = f" · {view.next_due}" if view.next_due else ""
    yield _row((view.state, TONES[view.tone]), (due, ""))
    for words in view.blind:
        yield _row((words, TONES[live_views.Tone.BAD]))


def _draw_checks(view: live_views.LiveView, size: ScreenSize) -> Iterator[Row]:
    """Checks that do not pass have a row each, the others stand in columns."""
    yield _row()
    for check in view.checks:
        if check.seen:
            word, style = CHECKS[check.status]
            yield _row((f"{word:<5}", style), (f"{check.name}: {check.seen}", ""))
    quiet = [check for check in view.checks if not check.seen]
    columns = max(1, size.columns // _CHECK_COLUMNS)
    for start in range(0, len(quiet), columns):
        parts: list[tuple[str, str]] = []
        for check in quiet[start : start + columns]:
            word, style = CHECKS.get(check.status, ("...", "dim"))
            parts += [(f"{word:<5}", style), (f"{check.name:<{_CHECK_COLUMNS - 5}}", "")]
        yield _row(*parts)
    yield from (_row((note, "")) for note in view.notes)


def _draw_blockers(view: live_views.LiveView) -> Iterator[Row]:
    for words in view.open_blockers:
        yield _row(("open  ", "bold red"), (words, ""))


def _draw_clocks(view: live_views.LiveView, size: ScreenSize) -> Iterator[Row]:
    for clock in view.clocks:
        whole = live_gates.format_span(clock.whole_seconds)
        if clock.spent_seconds is None:
            yield _row((f"{clock.name:<{_NAME_COLUMNS}}", ""), (f"{whole}, not begun", "dim"))
            continue
        spent, left = live_gates.format_span(clock.spent_seconds), live_gates.format_span(clock.left_seconds)
        over = clock.spent_seconds > clock.whole_seconds
        rest = "over" if over else f"{left} left"
        if size.columns < _FEW_COLUMNS:
            yield _row((f"{clock.name:<{_NAME_COLUMNS}}{rest}, {spent} of {whole}", ""))
            continue
        words = f"{f'{spent} of {whole}':<20} {rest:<14}"
        share = min(1.0, clock.spent_seconds / clock.whole_seconds) if clock.whole_seconds else 1.0
        yield _row((f"{clock.name:<{_NAME_COLUMNS}}{words} ", ""), (_draw_bar(share), "cyan"))


def _draw_bar(share: float, columns: int = 24) -> str:
    filled = int(share * columns)
    return "█" * filled + "░" * (columns - filled)


def _draw_rates(view: live_views.LiveView) -> Iterator[Row]:
    named = [(name, getattr(view.rates, name)) for name in ("now", "needed", "offered", "sent")]
    if any(rate is not None for _, rate in named):
        begun = view.clocks and view.clocks[0].spent_seconds is not None
        now = "now ?" if begun and view.rates.now is None else ""
        rates = [f"{name} {rate:,.0f}" for name, rate in named if rate is not None]
        words = " · ".join([now, *rates] if now else rates)
        yield _row((f"{'rate/min':<{_NAME_COLUMNS}}{words}", "bold"))


def _draw_tracks(view: live_views.LiveView, size: ScreenSize) -> Iterator[Row]:
    room = max(0, size.columns - _NAME_COLUMNS - _FIGURE_COLUMNS - 1)
    for track in view.tracks:
        wide = max(1, min(4, room // max(1, len(track.values))))
        bars = live_series.draw_bars(track.values, track.highest, plain=size.plain)
        drawn = "".join(bar * wide for bar in bars)[:room]
        last = "-" if track.last is None else f"{track.last:,.0f}"
        yield _row(
            (f"{track.name:<{_NAME_COLUMNS}}", ""), (f"{drawn:<{room}}", "cyan"), (f" {last:>{_FIGURE_COLUMNS}}", "")
        )
    if not view.tracks and view.rates.now is not None:
        yield _row((f"{'receipts':<{_NAME_COLUMNS}}{_tell_counts(view).removeprefix(_BETWEEN)}", ""))
    if view.tracks:
        counts = "" if view.counts is None else _tell_counts(view)
        yield _row((f"{'':<{_NAME_COLUMNS}}one bar is {live_gates.format_span(view.bucket_seconds)}{counts}", "dim"))


def _tell_counts(view: live_views.LiveView) -> str:
    counts = view.counts
    if counts is None:
        return ""
    more = f" · QUARANTINE {counts.quarantine:,}" if counts.quarantine else ""
    return f"{_BETWEEN}in all ADMIT {counts.admit:,} · DUPLICATE {counts.duplicate:,}{more}"


_WORST_FIRST = [
    live_gates.Standing.LOST,
    live_gates.Standing.SHORT,
    live_gates.Standing.UNKNOWN,
    live_gates.Standing.HOLDS,
]


def _draw_gates(view: live_views.LiveView, most: int) -> Iterator[Row]:
    """The gates in their order; where there is no room for all, those that hold so far are left out first."""
    kept = sorted(view.gates, key=lambda gate: _WORST_FIRST.index(gate.standing))[:most]
    for gate in (gate for gate in view.gates if gate in kept):
        yield _row(
            (f"{gate.standing.value:<6}", STANDINGS[gate.standing]),
            (f"{gate.name:<18} {gate.value:>10} {gate.bound:<10}", ""),
            (f" {gate.needed}", "dim"),
        )
    if view.asked_later and len(view.gates) < most:
        facts = "1 fact is" if view.asked_later == 1 else f"{view.asked_later} facts are"
        yield _row((f"{'?':<6}", "dim"), (f"{facts} asked once the burst has ended", "dim"))


def _draw_tasks(view: live_views.LiveView) -> Iterator[Row]:
    states = " · ".join(f"{number} {status}" for status, number in sorted(view.task_states.items()))
    ready = f" · {view.ready[0]} of {view.ready[1]} ready" if view.ready else ""
    late = "" if view.late_tasks is None else f" · late senders {view.late_tasks}"
    if states:
        yield _row((f"{'tasks':<{_NAME_COLUMNS}}{states}{ready}{late}", ""))
    if view.layers:
        yield _row((f"{'layers':<{_NAME_COLUMNS}}", ""), *_tell_layers(view.layers))


def _tell_layers(layers: Sequence[live_views.LayerState]) -> Iterator[tuple[str, str]]:
    """The layers that fired, those that are armed, and those that are not with the reason."""
    fired = [f"{layer.name} at {layer.fired}" for layer in layers if layer.fired]
    armed = [layer.name for layer in layers if layer.armed]
    if fired:
        yield f"fired: {', '.join(fired)} · ", "yellow"
    yield f"armed: {', '.join(armed) or 'none'}", "green" if armed else "yellow"
    for layer in layers:
        if layer.why:
            yield f" · not {layer.name}: {layer.why}", "yellow"


def _draw_observed(view: live_views.LiveView) -> Iterator[Row]:
    for series in view.observed:
        yield _row(
            (f"{series.standing.value:<6}", STANDINGS[series.standing]),
            (f"{series.name} {series.value}", ""),
            (f"  {series.rule}", "dim"),
        )


def _draw_happenings(view: live_views.LiveView, most: int) -> Iterator[Row]:
    notes = [_row((note, "dim")) for note in view.notes[-2:]]
    latest: Sequence[live_events.Happening] = view.happenings[-max(1, most - len(notes)) :]
    for happening in latest:
        yield _row((f"{happening.at:%H:%M:%S}  ", "dim"), (happening.words, ""))
    yield from notes


def _row(*parts: tuple[str, str]) -> Row:
    """One row; words from outside move no cursor."""
    row = rich_text.Text(no_wrap=True, overflow="ellipsis")
    for words, style in parts:
        row.append(plain_lines.plain(words), style=style)
    return row
