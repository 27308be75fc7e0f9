"""The forms of the evidence of one run, for people, programs and CI systems: on stdout, and in files beside it."""

import functools
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from burst.cli import common

if TYPE_CHECKING:
    from burst.report import outcomes

FOR_CI = ("junit", "sarif", "markdown", "github")


@dataclass(frozen=True, slots=True, kw_only=True)
class Forms:
    """What stdout gets, and the files that get another form of the same outcome."""

    shown: str
    written: tuple[tuple[str, Path], ...] = ()
    passes: bool = False

    @property
    def for_ci(self) -> bool:
        """Whether stdout gets a form for CI systems."""
        return self.shown in FOR_CI

    @property
    def are_asked_for(self) -> bool:
        """Whether any form for CI systems is to be given."""
        return self.for_ci or bool(self.written)

    def refuse_for(self, document: str) -> None:
        """Raises a usage error where a form for CI systems is asked for of a document that is no run's evidence."""
        if self.are_asked_for:
            option = f"--format {self.shown}" if self.for_ci else f"--write {self.written[0][0]}"
            raise click.UsageError(
                f"{option}: {document} cites runs and has no gates of its own; allowed for it: --format text or json"
            )

    def give(self, output: common.Output, outcome: "outcomes.EvidenceOutcome") -> None:
        """Writes every file, then the form of stdout where it is one for CI systems.

        A file that is there is replaced, unless it is evidence. Raises `errors.UsageError` for one that cannot be
        written.
        """
        from burst.domain.basics import errors
        from burst.kit import files

        for form, path in self.written:
            _refuse_evidence(form, path, outcome.place)
            try:
                files.replace(path, self._render(form, outcome))
            except OSError as failure:
                words = f"--write {form}={path}: {failure.strerror}; name a file that can be written"
                raise errors.UsageError(words) from failure
        if self.for_ci:
            output.content(self._render(self.shown, outcome))

    def _render(self, form: str, outcome: "outcomes.EvidenceOutcome") -> bytes:
        from burst.report import junit, markdown, sarif, workflow_commands

        if form == "junit":
            return junit.render(outcome)
        if form == "sarif":
            return json.dumps(sarif.render(outcome, passes=self.passes), indent=2).encode() + b"\n"
        if form == "markdown":
            return markdown.render(outcome).encode()
        return workflow_commands.render(outcome).encode()


def forms_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options that say which forms are given; the command gets them as one value, `forms`."""

    @click.option(
        "--format",
        "shown",
        type=common.Choice(["text", "json", *FOR_CI]),
        default="text",
        show_default=True,
        help="Form of the result; json is the same as --json, github prints annotations.",
    )
    @click.option(
        "--write",
        "written",
        multiple=True,
        metavar="FORM=FILE",
        callback=_read_written,
        help=f"Writes this form to a file too: {', '.join(FOR_CI)}. Can be repeated.",
    )
    @click.option(
        "--passes", is_flag=True, help="SARIF names what passes too; code scanning would show it as an alert."
    )
    @functools.wraps(command)
    def with_forms(*words: Any, shown: str, written: tuple[tuple[str, Path], ...], passes: bool, **options: Any) -> Any:
        return command(*words, forms=Forms(shown=shown, written=written, passes=passes), **options)

    return with_forms


def _read_written(
    context: click.Context, parameter: click.Parameter, words: tuple[str, ...]
) -> tuple[tuple[str, Path], ...]:
    forms = tuple(_read_form(word) for word in words)
    paths = [path.absolute() for _, path in forms]
    twice = next((path for path in paths if paths.count(path) > 1), None)
    if twice is not None:
        raise click.BadParameter(f"saw {twice.name} twice; allowed: a file of its own for each form")
    return forms


def _refuse_evidence(form: str, path: Path, place: str) -> None:
    """Raises `errors.UsageError` for a file that is the evidence itself, or lies in the folder of a run."""
    from burst.domain.basics import errors
    from burst.domain.documents import document_names

    try:
        is_bundle = path.exists() and Path(place).exists() and path.samefile(place)
        names = os.listdir(path.parent)
    except OSError:
        return  # a folder that cannot be read takes no file either
    in_run = document_names.JOURNAL in names or any(map(document_names.is_snapshot_name, names))
    if is_bundle or in_run:
        raise errors.UsageError(f"--write {form}={path}: evidence lies there, which nothing may replace; name another")


def _read_form(word: str) -> tuple[str, Path]:
    form, equals, path = word.partition("=")
    if form not in FOR_CI or not equals or not path:
        raise click.BadParameter(f"saw {word!r}; allowed: FORM=FILE with a form of {', '.join(FOR_CI)}")
    return form, Path(path)
