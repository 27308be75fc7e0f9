"""The site of the pages: Sphinx reads the Markdown where it stands, and `make docs` builds it into build/site.

Nothing of a built page is asked of another host: the theme brings its style sheets and scripts along.
"""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]

project = "burst"
author = "The burst maintainers"
copyright = author
(release,) = re.findall(r'^__version__ = "(.+)"$', (ROOT / "burst" / "__init__.py").read_text(), re.MULTILINE)

extensions = ["myst_parser"]
root_doc = "docs/index"
include_patterns = [
    "*.md",
    "docs/**.md",
    "runbooks/*.md",
    "infra/*.md",
    "locustfiles/*.md",
]
exclude_patterns = ["build", ".venv", "**/.*"]
source_suffix = {".md": "markdown"}

myst_heading_anchors = 3
myst_links_external_new_tab = False

html_theme = "furo"
html_title = f"burst {release}"
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_extra_path = ["index.html"]
