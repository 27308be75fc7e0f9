"""Shared by all commands: the common options, the two output streams, and the way to a run's folder.

stdout is the result, stderr is the story. With `--json` the result is one JSON document and nothing else.
"""

import contextlib
import errno
import functools
import itertools
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click

import burst
from burst.domain.basics import errors, instants, rates, runbooks
from burst.kit import run_folders

RUNS_DIR_VARIABLE = "BURST_RUNS_DIR"

TYPED_VARIABLE = "BURST_TYPED_COMMAND"
"""The command that a user typed, where it starts another command of burst: a run names the one that repeats it."""

LAUNCHING = ("run", "rehearse", "demo", "campaign", "find-rate", "locust", "guard")
"""The commands that launch load."""

FEW_CHOICES = 8
"""More words than these are not listed in the usage of a command."""

F = TypeVar("F", bound=Callable[..., Any])


class Output:
    """The output of a command. Secrets given to `hide` are masked in all of it."""

    def __init__(self) -> None:
        self.json = False
        self.quiet = False
        self.log_json = False
        self.words: tuple[str, ...] = ()
        """The words of the command line as the user typed it, `burst` the first."""
        self.advice = ""
        """What to do after a result that calls for an act, where that is another one than its exit code's."""
        self._hidden: list[str] = []
        self._gave = False

    @property
    def is_for_programs(self) -> bool:
        """Whether JSON is asked for, also where the words are wrong and no command has read its options."""
        words = self.words[: self.words.index("--")] if "--" in self.words else self.words
        of_format = "--format=json" in words or ("--format", "json") in itertools.pairwise(words)
        return self.json or "--json" in words or of_format

    @property
    def launches(self) -> bool:
        """Whether the command is one that launches something, when all goes well."""
        return any(word in LAUNCHING for word in self.words[1:2])

    def hide(self, value: str) -> None:
        """Masks a secret in all output from now on."""
        if value:
            self._hidden.append(value)

    def say(self, text: str, **fields: Any) -> None:
        """One part of the story, to stderr; nothing with `--quiet`. `fields` are added to a JSON log line."""
        if not self.quiet:
            self._log("info", text, fields)

    def error(self, text: str) -> None:
        """An error, to stderr, with `--quiet` too."""
        self._log("error", text, {})

    def result(self, value: Any, text: str) -> None:
        """The result, to stdout: `value` as one JSON document with `--json`, else `text`, unless it is empty."""
        words = self._encode(value, indent=2) if self.json else self.redact(self._colour(text, sys.stdout))
        if words:
            self._write_result((words.removesuffix("\n") + "\n").encode())

    def item(self, value: Any, text: str) -> None:
        """One of many results that come one after the other: with `--json` a document in a line."""
        self._write_result(((self._encode(value) if self.json else self.redact(text)) + "\n").encode())

    def content(self, content: bytes) -> None:
        """Bytes to stdout, as they are. Raises `errors.Unavailable` where they cannot be written there."""
        self._write_result(self.redact(content.decode("utf-8", "replace")).encode() if self._hidden else content)

    def _encode(self, value: Any, indent: int | None = None) -> str:
        """A JSON document without secrets: its texts are masked, and no sign of JSON itself, which a secret may be."""
        return json.dumps(self._redact_texts(value), indent=indent, allow_nan=False)

    def _redact_texts(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.redact(value)
        if isinstance(value, Mapping):
            return {name: self._redact_texts(part) for name, part in value.items()}
        return [self._redact_texts(part) for part in value] if isinstance(value, list | tuple) else value

    def _write_result(self, content: bytes) -> None:
        self._gave = True
        try:
            _write(sys.stdout, content)
        except OSError as exc:
            raise errors.Unavailable(f"the result cannot be written to stdout: {exc.strerror}") from exc

    def fail(self, words: str, exit_code: int, *, driven: bool = False, advice: str = "") -> None:
        """The end of a command that failed: words on stderr, and with `--json` the same as one document on stdout,
        unless the command gave its own before. The arguments are those of `with_ending`."""
        self.error(with_ending(words, exit_code, driven=driven, launches=self.launches, advice=advice))
        if not self.is_for_programs or self._gave:
            return
        act = runbooks.choose_act(exit_code, driven=driven, launches=self.launches, advice=advice)
        page = runbooks.page_command(runbooks.PageKind.EXIT, exit_code)
        value = {"error": strip_controls(words), "exit_code": exit_code, "what_to_do": act, "see": page}
        with contextlib.suppress(errors.Unavailable):  # nobody reads stdout, and stderr has said it
            self._write_result((self._encode(value) + "\n").encode())

    def _log(self, level: str, text: str, fields: dict[str, Any]) -> None:
        if self.log_json:
            told = self._redact_texts({"message": text, **fields})
            line = {"at_utc": instants.text(datetime.now(UTC)), "level": level, **told}
            words = json.dumps(line, default=lambda value: self.redact(str(value)))
        else:
            words = self.redact(self._colour(f"burst: {text}" if level == "error" else text, sys.stderr))
        with contextlib.suppress(OSError):  # there is no other stream for the message
            _write(sys.stderr, (words + "\n").encode())

    def _colour(self, text: str, stream: Any) -> str:
        """A text whose words from outside move no cursor, in colour where the stream shows it."""
        from burst.cli import painting

        plain = strip_controls(text)
        return painting.paint(plain) if painting.is_coloured(stream) else plain

    def redact(self, text: str) -> str:
        """The text with every hidden secret masked."""
        if not self._hidden:
            return text
        from burst.adapters import secrets
        from burst.domain.basics import redaction

        return secrets.redact(text, [redaction.Secret(value) for value in self._hidden])


def strip_controls(text: str) -> str:
    """Text that moves no cursor and holds no terminal command: names and documents may come from anybody."""
    return "".join(letter if letter.isprintable() or letter in "\n\t" else "?" for letter in text)


def _write(stream: Any, content: bytes) -> None:
    """Writes and flushes. A reader that has gone away changes nothing: the exit code still tells the outcome."""
    if stream is None:  # closed by the parent process
        return
    try:
        binary = getattr(stream, "buffer", None)
        if binary is None:
            stream.write(content.decode())
        else:
            stream.flush()
            binary.write(content)
        stream.flush()
    except OSError as exc:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # so that it does not fail again when Python ends
        if not isinstance(exc, BrokenPipeError):
            raise


def version_option() -> click.Option:
    """`--version`, as every command has it."""

    def show(ctx: click.Context, _: click.Parameter, is_set: bool) -> None:
        if is_set and not ctx.resilient_parsing:
            click.echo(f"burst {burst.__version__}")
            ctx.exit()

    return click.Option(
        ["--version"], is_flag=True, expose_value=False, is_eager=True, callback=show, help="Show the version and exit."
    )


def options(function: F) -> F:
    """Adds `--json`, `--quiet`, `--log-format` and `--version`, and gives the command its `Output` first."""

    @functools.wraps(function)
    def command(*arguments: Any, json: bool, quiet: bool, log_format: str, **named: Any) -> Any:
        output = click.get_current_context().find_object(Output) or Output()
        output.json, output.quiet, output.log_json = json, quiet, log_format == "json"
        answer = function(output, *arguments, **named)
        code = answer if isinstance(answer, int) else 0
        ending = runbooks.ending(code, launches=output.launches, advice=output.advice)
        if ending:
            output.say(ending)
        return answer

    wrapped: Any = command
    for decorate in (
        click.option("--json", is_flag=True, help="One JSON document on stdout and nothing else there."),
        click.option("-q", "--quiet", is_flag=True, help="Say nothing on stderr but errors."),
        click.option(
            "--log-format", type=Choice(["text", "json"]), default="text", help="Form of the lines on stderr."
        ),
    ):
        wrapped = decorate(wrapped)
    wrapped.__click_params__.insert(0, version_option())
    return wrapped  # type: ignore[no-any-return]


def with_ending(words: str, exit_code: int, *, driven: bool = False, launches: bool = False, advice: str = "") -> str:
    """A message whose last line names the next step and the page of its exit code.

    `driven`: whether another controller drives the run, whose tasks then may be running. `launches`: whether the
    command is one that launches something. `advice`: the step, where it is another than the exit code's.
    """
    ending = runbooks.ending(exit_code, driven=driven, launches=launches, advice=advice)
    return f"{words}\n{ending}" if ending else words


class _Parsed(click.ParamType[Any]):
    """A value that a function of `burst.domain.basics` parses; its ValueError names the allowed forms."""

    def __init__(self, name: str, parse: Callable[[str], Any]) -> None:
        self.name = name
        self._parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The value, or click's usage error with the allowed forms."""
        if not isinstance(value, str):
            return value
        try:
            return self._parse(value)
        except ValueError as exc:
            words = str(exc)
            allowed = f"saw {value!r}; allowed: {words.removeprefix('expected ')}"
            self.fail(allowed if words.startswith("expected ") else words, param, ctx)


def _parse_share(text: str) -> float:
    """A share from `5%` or `0.05`. Raises ValueError."""
    try:
        share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        share = 0.0
    if not 0.001 <= share <= 1:
        raise ValueError("expected a share from 0.1% to 100%, such as 5%")
    return share


DURATION = _Parsed("duration", instants.parse_duration)
AGE = _Parsed("age", instants.parse_age)
INSTANT = _Parsed("instant", instants.parse)
RATE = _Parsed("rate", rates.parse_text)
SHARE = _Parsed("share", _parse_share)


class Choice(click.Choice[str]):
    """One of some words; a word that is none of them is told with those that are like it."""

    def get_invalid_choice_message(self, value: Any, ctx: click.Context | None) -> str:
        """The word that was typed, the ones that it may mean, and the ones that are allowed."""
        from burst.cli import mistakes

        meant = mistakes.suggest(str(value), self.choices)
        return f"saw {value!r}{meant}; allowed: {', '.join(self.choices)}"

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str | None:
        """The words where they are few; the help and a mistake name the others."""
        return super().get_metavar(param, ctx) if len(self.choices) <= FEW_CHOICES else None


class _PlanFile(click.Path):
    """A plan's path; the path of an example plan, as the runbooks name it, is found in a folder without it too."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path, or the place of the example plan that ships with burst."""
        from burst.report import runbook_pages

        return runbook_pages.find_plan(Path(os.fsdecode(super().convert(value, param, ctx))))


PLAN_FILE = _PlanFile(path_type=Path)

set_option = click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change one key of the plan; can be repeated."
)


def complete_runs(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[Any]:
    """The ids of runs that begin so, for a shell."""
    from burst.cli import completing

    return completing.complete_runs(context, parameter, incomplete)


def complete_commands(_: click.Context, __: click.Parameter, incomplete: str) -> list[Any]:
    """The commands that begin so, for a shell."""
    from burst.cli import completing, main

    return completing.complete_words(main.COMMANDS, incomplete)


def complete_faults(_: click.Context, __: click.Parameter, incomplete: str) -> list[Any]:
    """The faults of a rehearsal that begin so, for a shell; when they strike is typed behind."""
    from burst.cli import completing
    from burst.rehearsal import faults

    return completing.complete_words([f"{name}@" for name in faults.FAULTS], incomplete)


def _complete_blockers(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[Any]:
    from burst.cli import completing

    return completing.complete_blockers(context, parameter, incomplete)


only_option = click.option(
    "--only",
    multiple=True,
    metavar="ID,...",
    shell_complete=_complete_blockers,
    help="A bounded rerun: only these blockers may change; can be repeated.",
)
prior_option = click.option(
    "--prior",
    metavar="SNAPSHOT",
    shell_complete=complete_runs,
    help="What the other blockers are carried from: a run, or a snapshot.",
)


def trusted_key_option(words: str) -> Callable[[F], F]:
    """Adds `--key`, a public key that signatures have to be by; one that cannot be read ends the command at once."""

    def refuse_unreadable(_: click.Context, __: click.Parameter, key: str | None) -> str | None:
        if key is not None:
            from burst.adapters import signing

            signing.refuse_unreadable_key(key)
        return key

    return click.option("--key", metavar="FILE|kms:ARN", callback=refuse_unreadable, help=words)


def signing_key_option(*names: str, words: str) -> Callable[[F], F]:
    """Adds the option of a key that signs; one that cannot sign ends the command before anything is made."""

    def refuse_unusable(_: click.Context, __: click.Parameter, key: str | None) -> str | None:
        if key is not None:
            from burst.adapters import signing
            from burst.adapters.local import system_clock

            signing.open_signer(key, system_clock.SystemClock())
        return key

    return click.option(*names, metavar="file:PATH|kms:ARN", callback=refuse_unusable, help=words)


priors_option = click.option(
    "--ignore-priors", is_flag=True, help="Do not look at cited priors: what is carried from them is believed."
)


def runs_dir_option(function: F) -> F:
    """Adds `--runs-dir`, the folder of the runs."""
    return click.option(
        "--runs-dir",
        type=click.Path(path_type=Path),
        envvar=RUNS_DIR_VARIABLE,
        default=Path("runs"),
        show_default=True,
        help=f"Where execution ids are looked up (or {RUNS_DIR_VARIABLE}).",
    )(function)


def run_path(run: str, runs_dir: Path) -> Path:
    """The path of a run: the name itself where there is such a file or folder; else the run of that id under
    `runs_dir`, or in a folder of a demo or a rehearsal there; `last` is the newest. The name where there is none.

    Raises `errors.UsageError` for an empty name, which would be `runs_dir` itself.
    """
    if not run:
        raise errors.UsageError("RUN is empty; allowed: a folder, an execution id, or last")
    if os.path.exists(run):
        return Path(run)
    return runs_dir / run if os.path.isdir(runs_dir / run) else _find_below(run, runs_dir) or Path(run)


def _find_below(run: str, runs_dir: Path) -> Path | None:
    folders = _find_folders(runs_dir)
    if run == run_folders.LAST:
        return next((folders[name] for name in run_folders.order_newest(folders)), None)
    return folders.get(run)


def _find_folders(runs_dir: Path) -> Mapping[str, Path]:
    try:
        return run_folders.find_folders(runs_dir)
    except OSError:
        return {}


def find_place(run: str, runs_dir: Path) -> str:
    """The place of a run: an address as it is, else its folder or bundle, by its path or its id under `runs_dir`.

    Raises `errors.NoSuchRun` for a file that is no bundle, for a folder of runs, and where there is no such run.
    """
    if "://" in run:
        return run
    path = run_path(run, runs_dir)
    if os.path.isfile(path):
        if not (path.suffix == ".zip" or _begins_as_zip(path)):
            from burst.cli import mistakes

            raise mistakes.describe_no_run(
                f"{run} is a file, and no bundle of a run (a zip file of burst evidence bundle)"
            )
        return str(path)
    if os.path.isdir(path):
        _refuse_many(path)
        return str(path)
    return str(run_folder(run, runs_dir) if _is_missing(path) else path)


def _is_missing(path: Path) -> bool:
    """Whether there is surely nothing: not where the system does not let it be looked for."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError as exc:
        return exc.errno == errno.ENAMETOOLONG
    except ValueError:  # the name holds a NUL
        return True
    return False


def _begins_as_zip(path: Path) -> bool:
    """Whether a file may be a bundle; one that cannot be read may be."""
    try:
        with path.open("rb") as file:
            return file.read(2) == b"PK"
    except OSError:
        return True


def _refuse_many(folder: Path) -> None:
    """Raises `errors.NoSuchRun` for a folder that is no run and in which there are runs."""
    try:
        names = os.listdir(folder)
    except OSError:  # the command that reads it says what is wrong
        return
    if any(name.endswith(".json") or name == run_folders.SIGNS[0] for name in names):
        return
    newest = run_folders.order_newest(_find_folders(folder))
    if newest:
        from burst.cli import mistakes

        named = ", ".join(newest[: mistakes.MOST_NAMED])
        raise mistakes.describe_no_run(
            f"{folder} is a folder of runs and no run; name one of them, the newest are: {named}"
        )


def shorten_path(path: Path) -> str:
    """A path as it is typed in the working folder: relative where it lies below."""
    working_folder = Path.cwd()
    return str(path.relative_to(working_folder) if path.is_relative_to(working_folder) else path)


def run_folder(run: str, runs_dir: Path) -> Path:
    """The folder of a run: a path to it, an execution id under `runs_dir`, or `last`.

    Raises `errors.NoSuchRun` where there is none.
    """
    folder = run_path(run, runs_dir)
    if os.path.isdir(folder):
        return folder
    from burst.cli import mistakes

    raise mistakes.describe_missing_run(run, runs_dir, _find_folders(runs_dir))


def split_words(values: Sequence[str]) -> tuple[str, ...]:
    """The words of an option that takes a list with commas and can be repeated."""
    return tuple(word.strip() for value in values for word in value.split(",") if word.strip())


def refuse_unwritable(path: Path) -> None:
    """Raises `errors.UsageError` where `write_new` could not write: for what is told to others before it is written."""
    if os.path.lexists(path):
        raise errors.UsageError(f"{path} exists; nothing was overwritten; choose another name")
    folder = next(parent for parent in path.absolute().parents if os.path.lexists(parent))
    if not (os.path.isdir(folder) and os.access(folder, os.W_OK | os.X_OK)):
        raise errors.UsageError(f"{path} cannot be written: {folder} is no folder that takes a file")


def write_new(path: Path, content: bytes, *, mode: int = 0o666) -> None:
    """Writes a file that must not exist yet, and makes its folder where needed; the umask limits `mode`.

    Raises `errors.UsageError` where the file exists or cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        try:
            with open(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        except BaseException:  # a file that is written in part would stand in the way of the next attempt
            path.unlink(missing_ok=True)
            raise
    except FileExistsError as exc:
        raise errors.UsageError(f"{exc.filename} exists; nothing was overwritten; choose another name") from None
    except OSError as exc:
        raise errors.UsageError(f"{path} cannot be written: {exc.strerror}") from exc
