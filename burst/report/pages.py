"""Pages: the templates of every HTML page that burst writes, and the filters that they share."""

import functools
import re
import shlex

import jinja2
import markupsafe

from burst.report import compiled_templates, figures

_INSTANT = re.compile(r"(\d{4}-\d\d-\d\dT)(\d\d:\d\d:\d\d(?:\.\d+)?Z)")
_BREAKS = re.compile(r"(/|_(?=\d))")
_FILTERS = (
    figures.phase,
    figures.number,
    figures.instant,
    figures.measured_value,
    figures.required_value,
    figures.span,
    figures.decisions,
    figures.deliveries,
    figures.drill,
    figures.duplicates,
    figures.driver,
    figures.cost,
    figures.ended_by,
    figures.asked_by,
    figures.quorum,
    figures.attempt,
    figures.changed_terms,
    figures.mode,
    figures.interval,
    figures.duration,
    figures.against,
)


def find_template(name: str) -> jinja2.Template:
    """A template by its file name; all that it prints is escaped."""
    return _environment().get_template(name)


def list_templates() -> list[str]:
    """The file names of all templates."""
    return _environment().list_templates()


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("burst.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        optimized=False,  # else what a filter makes of a constant would be kept with the compiled template
    )
    environment.bytecode_cache = compiled_templates.find_cache(__file__, environment)
    environment.filters |= {print_figure.__name__: print_figure for print_figure in (*_FILTERS, breakable)}
    environment.filters["shell_words"] = shlex.join
    return environment


def breakable(text: str) -> markupsafe.Markup:
    """A text that breaks where people break one: an instant and an id before their time, a path after a slash.

    A browser breaks an instant at the hyphens of its day, and an id or a path nowhere, so that a table grows beyond the
    screen.
    """
    escaped = _BREAKS.sub(r"\1<wbr>", str(markupsafe.escape(text)))
    parted = _INSTANT.sub(r'<span class="t">\1</span><wbr><span class="t">\2</span>', escaped)
    return markupsafe.Markup(parted)  # noqa: S704  (escaped above)
