"""The site of the pages builds without a warning, holds every page, and asks no other host for anything."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOADED = (
    re.compile(r'<(?:script|img|iframe|source|video|audio|embed)\b[^>]*?\ssrc="([^"]+)"'),
    re.compile(r'<link\b(?![^>]*rel="(?:next|prev|search|index)")[^>]*?\shref="([^"]+)"'),
)
LOADED_BY_STYLE = re.compile(r"""(?:@import\s*|url\()["']?([^"')\s]+)""")


@pytest.mark.timeout(600)
def test_the_site_builds_strictly_with_every_page_and_no_request_to_another_host(tmp_path: Path) -> None:
    words = ["--builder=html", "--fail-on-warning", "--keep-going", "--quiet", "--conf-dir=docs/site"]
    built = subprocess.run(
        [sys.executable, "-m", "sphinx", *words, f"--doctree-dir={tmp_path / 'trees'}", ".", str(tmp_path / "site")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert built.returncode == 0, built.stdout + built.stderr
    site = tmp_path / "site"
    sources = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "runbooks").glob("*.md")]
    pages = [site / source.relative_to(ROOT).with_suffix(".html") for source in sources]
    assert [page for page in pages if not page.is_file()] == []
    assert "docs/index.html" in (site / "index.html").read_text()
    loaded = {address for page in site.rglob("*.html") for form in LOADED for address in form.findall(page.read_text())}
    loaded |= {address for sheet in site.rglob("*.css") for address in LOADED_BY_STYLE.findall(sheet.read_text())}
    assert len(loaded) > 5
    assert [address for address in loaded if re.match(r"(?:[a-z]+:)?//", address)] == []
