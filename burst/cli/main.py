"""The entry point: the table of commands, and the only place where an error becomes a message and an exit code.

The table holds each command's place and its short help, so that `burst --help` imports no command.
"""

import gc
import importlib
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click
from click import shell_completion

from burst.cli import common, signal_ends
from burst.domain.basics import errors

COMMANDS = {
    "demo": ("burst.cli.demo:demo", "The whole story on this machine: baseline, burst, verdict, report."),
    "sandbox": ("burst.cli.sandbox:sandbox", "A gateway and a Postgres that stay up on this machine."),
    "init": ("burst.cli.init:init", "Write a commented plan."),
    "plan": ("burst.cli.plan:plan", "Validate a plan and print what would run. Starts nothing."),
    "preflight": ("burst.cli.run:preflight", "Every check before a run, with its finding."),
    "doctor": ("burst.cli.doctor:doctor", "What this machine has, and what is missing for which command."),
    "runbook": ("burst.cli.runbook:runbook", "Print the runbook page that a message names."),
    "run": ("burst.cli.run:run", "Run a plan: launch, hold to the budget, count, adjudicate, publish."),
    "status": ("burst.cli.run:status", "Where a run stands."),
    "stop": ("burst.cli.run:stop", "Stop every task of a run."),
    "halt": ("burst.cli.halt:halt", "Stop every run under a run control, and let none begin."),
    "resume": ("burst.cli.run:resume", "Continue a run whose controller died."),
    "reconcile": ("burst.cli.run:reconcile", "Compare a run's journal with what its tasks say."),
    "reap": ("burst.cli.reap:reap", "Stop what outlived its deadline."),
    "campaign": ("burst.cli.campaign:campaign", "Phases in their order: run, status, resume, stop, roll-up."),
    "count": ("burst.cli.count:count", "Count the receipts of one window."),
    "find-rate": ("burst.cli.find_rate:find_rate", "The highest rate at which criteria hold, by probes."),
    "receipts": ("burst.cli.receipt_tables:receipts", "Look at a table of receipts, before a burst is paid for."),
    "db": ("burst.cli.db:db", "The database of receipts: check it, compare checks, change it in stages."),
    "adjudicate": ("burst.cli.adjudicate:adjudicate", "Documents to verdict. Pure: same inputs, same bytes."),
    "verify": ("burst.cli.evidence:verify", "Whether the evidence of a run holds."),
    "latest": ("burst.cli.evidence:latest", "The newest attempt under a place, verified, and whether it is too old."),
    "evidence": ("burst.cli.evidence:evidence", "Verify, follow, compare, list, bundle and prune evidence."),
    "compare": ("burst.cli.compare:compare", "Score candidates against a baseline run: UNLOCK or HOLD."),
    "timing": ("burst.cli.timing:timing", "What a run spent its time on, lane by lane."),
    "history": ("burst.cli.evidence:history", "The attempts of a phase, and what changed from each to the next."),
    "baseline": ("burst.cli.baseline:baseline", "Make and verify baselines; promote and demote gates by their runs."),
    "report": ("burst.cli.report:report", "Write a run's report as one self-contained HTML page."),
    "schema": ("burst.cli.schema:schema", "Print the JSON Schema of a document."),
    "rehearse": (
        "burst.cli.rehearse:rehearse",
        "Run an ECS plan against a simulated AWS on this machine, with faults.",
    ),
    "locust": ("burst.cli.locust:locust", "Run load profiles of Locust here, under guard, without a plan."),
    "guard": ("burst.cli.guard_command:guard_command", "Run a command and hold it to its budget."),
    "completion": ("burst.cli.completion:completion", "Print the completion script of a shell."),
}

_EPILOG = """\b
Examples:
  burst demo                          the main job, end to end, on this machine
  burst init -o plan.yaml             a plan to start from
  burst plan plan.yaml                what would run
  burst run plan.yaml                 run it
  burst verify runs/EXECUTION_ID      whether the evidence holds

\b
Values:
  DURATION  30s, 15m, 1h30m; an AGE also 8d       RATE   1500 (a minute), 1500/min, 25/s
  INSTANT   2026-02-21T02:00:00Z                  SHARE  5% or 0.05
  PLACE     a folder, or s3://BUCKET/PREFIX       RUN    an execution id, `last`, or a folder of a run

\b
Exit codes:
  0 PASS or done   2 usage or plan wrong      3 HOLD              4 refused
  5 not published  6 a task may still run     7 evidence absent   8 evidence broken
  9 cannot tell    130, 143 interrupted       1 a bug in burst
"""


GARBAGE_AFTER = 100_000
"""The number of new objects after which Python collects garbage, in place of 700. A command keeps almost all that it
loads, and collecting over the descriptions of AWS's services took a fifth of a preflight's time."""


class LazyGroup(click.Group):
    """A group that imports a command when it is used, not before."""

    def __init__(self, *, table: Mapping[str, tuple[str, str]], **settings: Any) -> None:
        super().__init__(**settings)
        self._table = table

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of the table."""
        return list(self._table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, imported now."""
        if cmd_name not in self._table:
            return None
        module, _, attribute = self._table[cmd_name][0].partition(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)  # noqa: S101 (the table is ours)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The help's list of commands, from the short help in the table."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, short_help) for name, (_, short_help) in self._table.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[shell_completion.CompletionItem]:
        """The commands that begin with the incomplete word; none is imported."""
        return [
            shell_completion.CompletionItem(name, help=short_help)
            for name, (_, short_help) in self._table.items()
            if name.startswith(incomplete)
        ]


cli = LazyGroup(
    table=COMMANDS,
    name="burst",
    help="Launch a load burst, hold it to its budget, and prove what it achieved.",
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110, "show_default": True},
    params=[common.version_option()],
)


def _refuse_missing_folder() -> None:
    try:
        os.getcwd()
    except OSError as exc:
        raise errors.UsageError(f"the folder this shell is in cannot be found: {exc.strerror}; cd to another") from exc


def _read_typed() -> tuple[str, ...]:
    """The command that the user typed, where it was another one of burst that started this; empty otherwise."""
    typed = os.environ.pop(common.TYPED_VARIABLE, "")  # it is told once: no program below this one was typed so
    if not typed:
        return ()
    import shlex  # hardly any command needs it

    try:
        return tuple(shlex.split(typed))
    except ValueError:
        return ()


def _advise(exc: errors.BurstError) -> str:
    """What to do where this machine shows more than the error knows; empty where it does not."""
    if not isinstance(exc, errors.UsageError):
        return ""
    from burst.cli import mistakes

    return mistakes.advise_on_variables(str(exc))


def _describe_refusal(exc: OSError) -> str:
    """What the system refused, and of which file."""
    of = f": {exc.filename}" if exc.filename else ""
    return f"this machine refused what the command needs: {exc.strerror or exc}{of}"


def _read_notes(exc: BaseException) -> Sequence[str]:
    """What the command noted on its end by a signal: what it leaves behind. For INT click raises its own error."""
    return [*getattr(exc, "__notes__", ()), *getattr(exc.__cause__, "__notes__", ())]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code.

    Any other exception is a bug in burst: it leaves as Python's own traceback, with exit code 1.
    """
    output = common.Output()
    try:
        with signal_ends.unwind():
            words = list(sys.argv[1:] if arguments is None else arguments)
            output.words = _read_typed() or ("burst", *words)
            collect_seldom()
            _refuse_missing_folder()
            answer = cli.main(words, prog_name="burst", obj=output, standalone_mode=False)
    except signal_ends.Terminated as exc:
        output.fail("\n".join((f"terminated by {exc}", *_read_notes(exc))), 128 + signal.SIGTERM)
        return 128 + signal.SIGTERM
    except errors.BurstError as exc:
        driven = isinstance(exc, errors.ControllerAtWork)
        output.fail(str(exc), exc.exit_code, driven=driven, advice=exc.advice or _advise(exc))
        return exc.exit_code
    except (click.Abort, KeyboardInterrupt) as exc:
        output.fail("\n".join(("interrupted", *_read_notes(exc))), 128 + signal.SIGINT)
        return 128 + signal.SIGINT
    except click.ClickException as exc:
        from burst.cli import mistakes  # difflib, where it is needed

        output.fail(mistakes.describe(exc, output.words), exc.exit_code)
        return exc.exit_code
    except OSError as exc:
        # The machine's refusal: no bug of burst. What launches has ended its tasks before it lets such an error go.
        output.fail(_describe_refusal(exc), errors.Unavailable.exit_code)
        return errors.Unavailable.exit_code
    return int(answer or 0)


def collect_seldom() -> None:
    """Sets how often this process collects garbage: after `GARBAGE_AFTER` new objects."""
    gc.set_threshold(GARBAGE_AFTER, *gc.get_threshold()[1:])
