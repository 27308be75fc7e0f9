"""`python -m tests.reports.pictures [FOLDER]` makes the pictures of the pages again, by a headless Chromium.

A screen has few colours, so a picture is written with a palette of them, which takes a third of the bytes.
"""

import struct
import sys
import tempfile
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.reports import browser, stories

FOLDER = Path(__file__).parents[2] / "docs" / "pictures"
A4_WIDTH, A4_HEIGHT = 794, 1123
"""The pixels of a page of paper at 96 a inch."""
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_MOST_COLOURS = 96
_APART = 14**2
"""How far the colours of a palette are from each other (`_measure`): shades of a grey leave room for a rare green."""
Colour = tuple[int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """One picture: the story, how wide and high, in which light, on screen or on paper."""

    name: str
    story: str
    width: int = 900
    height: int = 1120
    dark: bool = False
    medium: str = "screen"


SHOTS = (
    Shot(name="report-pass", story="pass", height=1140),
    Shot(name="report-hold-dark", story="hold", height=1466, dark=True),
    Shot(name="report-soak", story="soak", height=1980),
    Shot(name="report-ecs-outage", story="ecs-outage", height=1260),
    Shot(name="report-pass-360", story="pass", width=360, height=1400),
    Shot(name="report-hold-360-dark", story="hold", width=360, height=1400, dark=True),
    Shot(name="report-pass-print", story="pass", width=A4_WIDTH, height=A4_HEIGHT, medium="print"),
    Shot(name="history", story="phase", height=1200),
    Shot(name="history-360-dark", story="phase", width=360, height=1400, dark=True),
    Shot(name="site", story="index", height=340),
)


def shrink(content: bytes) -> bytes:
    """A PNG of eight bits a channel, written again with a palette."""
    width, height, rows = _read(content)
    counts = Counter(colour for row in rows for colour in row)
    palette = _choose([colour for colour, _ in counts.most_common()])
    indexes = {colour: index for index, colour in enumerate(palette)}
    for colour in counts:
        if colour not in indexes:
            indexes[colour] = min(range(len(palette)), key=lambda index: _measure(colour, palette[index]))
    lines = b"".join(b"\0" + bytes(indexes[colour] for colour in row) for row in rows)
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
        (b"PLTE", b"".join(bytes(colour) for colour in palette)),
        (b"IDAT", zlib.compress(lines, 9)),
        (b"IEND", b""),
    )
    return _SIGNATURE + b"".join(_write_chunk(kind, chunk) for kind, chunk in parts)


def _choose(colours: Sequence[Colour]) -> list[Colour]:
    """The palette: of the colours, the most common first, those that are far enough from each one before."""
    palette: list[Colour] = []
    for colour in colours:
        if len(palette) < _MOST_COLOURS and all(_measure(colour, other) >= _APART for other in palette):
            palette.append(colour)
    return palette


def _measure(first: Colour, second: Colour) -> int:
    """How far two colours are from each other."""
    return sum((one - other) ** 2 for one, other in zip(first, second, strict=True))


def _write_chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _read(content: bytes) -> tuple[int, int, list[list[Colour]]]:
    """Width, height and rows of a PNG."""
    width = height = channels = 0
    packed = b""
    for kind, chunk in _list_chunks(content):
        if kind == b"IHDR":
            width, height, depth, form = struct.unpack(">IIBB", chunk[:10])
            channels = {2: 3, 6: 4}[form]
            if depth != 8:
                raise ValueError(f"{depth} bits a channel; allowed: 8")
        if kind == b"IDAT":
            packed += chunk
    lines = zlib.decompress(packed)
    stride = width * channels
    before = bytearray(stride)
    rows = []
    for start in range(0, len(lines), stride + 1):
        before = _unfilter(lines[start], lines[start + 1 : start + 1 + stride], before, channels)
        rows.append(list(zip(before[0::channels], before[1::channels], before[2::channels], strict=True)))
    return width, height, rows


def _list_chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(_SIGNATURE)
    while at < len(content):
        (length,) = struct.unpack(">I", content[at : at + 4])
        yield content[at + 4 : at + 8], content[at + 8 : at + 8 + length]
        at += length + 12


def _unfilter(kind: int, line: bytes, before: bytearray, channels: int) -> bytearray:
    """A line without its filter (https://www.w3.org/TR/png-3/#9Filters)."""
    found = bytearray(line)
    for index, value in enumerate(line):
        left = found[index - channels] if index >= channels else 0
        up = before[index]
        corner = before[index - channels] if index >= channels else 0
        predicted = (0, left, up, (left + up) // 2, _predict(left, up, corner))[kind]
        found[index] = (value + predicted) & 0xFF
    return found


def _predict(left: int, up: int, corner: int) -> int:
    """The neighbour that is nearest to left + up - corner."""
    guess = left + up - corner
    return min((left, up, corner), key=lambda neighbour: abs(guess - neighbour))


def main(folder: Path) -> None:
    """Make every picture in a folder."""
    program = browser.find_program()
    if program is None:
        raise SystemExit("no Chromium: not on PATH, and BURST_CHROMIUM names none")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place, browser.start(program, Path(place)) as chromium:
        for shot in SHOTS:
            file = Path(place) / f"{shot.story}.html"
            file.write_bytes(stories.PAGES[shot.story]())
            chromium.show(file, width=shot.width, dark=shot.dark, medium=shot.medium)
            content = shrink(chromium.picture(height=shot.height))
            (folder / f"{shot.name}.png").write_bytes(content)
            sys.stdout.write(f"{shot.name}.png {len(content)}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
