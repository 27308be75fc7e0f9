"""Questions to a page that a browser shows: words broken inside, content beyond the edge, rules of axe-core."""

import json
from pathlib import Path
from typing import Any

from tests.reports import browser

AXE = Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js"
WHAT_TO_DO = "npm ci --prefix tests/reports installs axe-core"

_WIDER_THAN_THE_PAGE = """
(() => {
  const wide = document.documentElement.clientWidth;
  const inside = node => { for (let at = node; at; at = at.parentElement)
    if (at !== node && getComputedStyle(at).overflowX === 'auto') return true; return false; };
  const found = [...document.querySelectorAll('body *')].filter(node => {
    const box = node.getBoundingClientRect();
    return box.width > 0 && box.right > wide + 1 && !inside(node) && !node.closest('thead');
  });
  return found.map(node => node.tagName + ' ' + (node.textContent || '').trim().slice(0, 40))
    .concat(document.documentElement.scrollWidth > wide ? ['the page scrolls sideways'] : []);
})()
"""
_BROKEN_WORDS = """
(() => {
  const found = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const range = document.createRange();
  while (walk.nextNode()) {
    const node = walk.currentNode, parent = node.parentElement;
    if (parent.closest('svg')) continue;
    const values = parent.closest('code, pre, .value');
    const block = parent.closest('td, th, p, li, dd, dt, pre, h1, h2, h3') || parent, style = getComputedStyle(block);
    const room = block.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
    for (const match of node.textContent.matchAll(values ? /[^\\s\\-]+/g : /[^\\s\\-\\u2013\\/?]+/g)) {
      range.setStart(node, match.index);
      range.setEnd(node, match.index + match[0].length);
      const boxes = [...range.getClientRects()].filter(box => box.width > 0);
      if (new Set(boxes.map(box => Math.round(box.top))).size < 2) continue;
      const width = boxes.reduce((sum, box) => sum + box.width, 0);
      if (values && width > room) continue;  // a value that no line holds, such as a digest, has to break
      found.push(match[0]);
    }
  }
  return found;
})()
"""
_OPEN_ALL = "document.querySelectorAll('details').forEach(one => { one.open = true; })"


def find_wider(page: browser.Browser) -> list[str]:
    """What lies beyond the right edge of the page, but for what scrolls by itself."""
    found: list[str] = page.evaluate(_WIDER_THAN_THE_PAGE)
    return found


def find_broken_words(page: browser.Browser) -> list[str]:
    """Words that go on in another line without a mark at which words may part."""
    found: list[str] = page.evaluate(_BROKEN_WORDS)
    return found


def open_all(page: browser.Browser) -> None:
    """Unfold everything."""
    page.evaluate(_OPEN_ALL)


def find_violations(page: browser.Browser) -> list[str]:
    """The rules of axe-core that the page breaks, with the first element of each."""
    page.evaluate(f"{AXE.read_text()}; 0")
    answer: list[dict[str, Any]] = json.loads(
        page.evaluate("axe.run(document).then(found => JSON.stringify(found.violations))")
    )
    return [f"{rule['id']}: {rule['nodes'][0]['html'][:120]}" for rule in answer]
