"""Every page in a headless Chromium: nothing fetched, nothing wider than the screen, no word and no rule of axe broken.

A machine without a Chromium, or without axe-core, passes over these tests, and says what is missing.
"""

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.reports import browser, looking, stories

PROGRAM = browser.find_program()
WIDTHS = (360, 800, 1200)
LARGEST_BYTES = 80_000
needs_chromium = pytest.mark.skipif(PROGRAM is None, reason="no Chromium: not on PATH, and BURST_CHROMIUM names none")
needs_axe = pytest.mark.skipif(not looking.AXE.is_file(), reason=f"no axe-core: {looking.WHAT_TO_DO}")


@pytest.fixture
def chromium(tmp_path: Path) -> Iterator[browser.Browser]:
    assert PROGRAM is not None
    with browser.start(PROGRAM, tmp_path) as started:
        yield started


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """Every page by the name of its story, as a file."""
    written = {name: tmp_path / f"{name}.html" for name in stories.PAGES}
    for name, file in written.items():
        file.write_bytes(stories.PAGES[name]())
    return written


@needs_chromium
def test_every_page_fits_every_screen_and_asks_for_nothing(
    files: Mapping[str, Path], chromium: browser.Browser
) -> None:
    found = {}
    for (name, file), width in itertools.product(files.items(), WIDTHS):
        chromium.show(file, width=width)
        looking.open_all(chromium)
        others = [address for address in chromium.requests if address != file.as_uri()]
        found[name, width] = [*looking.find_wider(chromium), *looking.find_broken_words(chromium), *others]

    assert {where: problems for where, problems in found.items() if problems} == {}


@needs_chromium
@needs_axe
def test_no_page_breaks_a_rule_of_axe(files: Mapping[str, Path], chromium: browser.Browser) -> None:
    found = {}
    for (name, file), (width, dark) in itertools.product(files.items(), ((360, False), (1200, True))):
        chromium.show(file, width=width, dark=dark)
        looking.open_all(chromium)
        found[name, width] = looking.find_violations(chromium)

    assert {where: problems for where, problems in found.items() if problems} == {}


@needs_chromium
def test_a_broken_word_and_a_wide_box_are_found(chromium: browser.Browser, tmp_path: Path) -> None:
    file = tmp_path / "bad.html"
    file.write_text(
        "<p style='width:3em;overflow-wrap:anywhere'>unbreakable</p><div style='width:2000px'>wide</div>"
        "<p style='width:3em;overflow-wrap:anywhere'><code>0123456789abcdef</code></p>"
    )
    chromium.show(file, width=800)

    assert looking.find_broken_words(chromium) == ["unbreakable"]
    assert "the page scrolls sideways" in looking.find_wider(chromium)


def test_a_report_of_ninety_buckets_is_small() -> None:
    case = stories.passed(seconds=10.0)

    content = stories.render(case)

    assert content.count(b'<tr><th scope="row">') >= 90
    assert len(content) <= LARGEST_BYTES


def find_colours(content: str, dark: bool) -> dict[str, str]:
    """The colours of a page's style by name, in the light or in the dark."""
    parts = content.split(":root {")[1:3]
    words = parts[1 if dark else 0].partition("}")[0]
    pairs = (entry.partition(":") for entry in words.split(";") if "--" in entry)
    return {name.strip(): value.strip() for name, _, value in pairs}


def find_contrast(first: str, second: str) -> float:
    """The ratio of two colours' luminance, as https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio defines it."""

    def luminance(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    bright, dim = sorted((luminance(first), luminance(second)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("name", ["--ink", "--muted", "--good", "--bad", "--warn", "--link"])
def test_text_of_every_colour_can_be_read(name: str, dark: bool) -> None:
    colours = find_colours(stories.PAGES["pass"]().decode(), dark)

    assert all(find_contrast(colours[name], colours[ground]) >= 4.5 for ground in ("--paper", "--panel"))


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("name", ["--admit", "--duplicate", "--rest", "--bad", "--good", "--muted"])
def test_what_is_drawn_stands_out_from_the_page(name: str, dark: bool) -> None:
    colours = find_colours(stories.PAGES["pass"]().decode(), dark)

    assert find_contrast(colours[name], colours["--paper"]) >= 3.0
