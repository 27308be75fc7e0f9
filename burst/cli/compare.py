"""`burst compare`: candidates scored against the active baseline."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from burst.cli import common

if TYPE_CHECKING:
    from burst import ports
    from burst.domain.closure import active_baselines


@dataclass(frozen=True, slots=True, kw_only=True)
class _Destination:
    """Where the closure goes, with which signature, and the chain of active baselines that it moves."""

    place: str
    chain: str | None
    key: str | None


def _destination_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options of what is written; the command gets them as one value, `destination`."""

    @click.option(
        "-o", "--output", "place", metavar="PLACE", default=".", show_default=True,
        help="The folder, or S3 place, of the closure.",
    )  # fmt: skip
    @click.option(
        "--active",
        "chain",
        metavar="PLACE",
        help="The records of the active baselines: an UNLOCK adds one, a HOLD none.",
    )
    @common.signing_key_option("--sign", "key", words="Sign the closure with this key.")
    @functools.wraps(command)
    def with_destination(*words: Any, place: str, chain: str | None, key: str | None, **options: Any) -> Any:
        return command(*words, destination=_Destination(place=place, chain=chain, key=key), **options)

    return with_destination


@click.command(
    short_help="Score candidates against a baseline run.",
    epilog="""\b
Examples:
  burst compare runs/BASE runs/CANDIDATE --score score.yaml
  burst compare base.json one.json two.json --score score.yaml -o closures
  burst compare active runs/CANDIDATE --score score.yaml --active baselines/s5 --sign file:signing.pem
  burst verify closures/NAME_closure.json

\b
Exit codes:
  0 UNLOCK    3 HOLD    2 the score file or the words are wrong    4 refused, or a document is in the way
  7 evidence absent or incomplete    8 integrity failed    9 cannot tell
""",
)
@click.argument("baseline", metavar="BASE", shell_complete=common.complete_runs)
@click.argument("candidates", metavar="CANDIDATE...", nargs=-1, required=True, shell_complete=common.complete_runs)
@click.option("--score", "score_file", type=common.PLAN_FILE, required=True, help="The rule: measures and veto rails.")
@_destination_options
@common.priors_option
@common.runs_dir_option
@common.options
def compare(
    output: common.Output,
    baseline: str,
    candidates: tuple[str, ...],
    score_file: Path,
    destination: _Destination,
    ignore_priors: bool,
    runs_dir: Path,
) -> int:
    """Score each CANDIDATE against BASE by a score file, and write the closure: UNLOCK, or HOLD.

    A run is a folder, an execution id, its snapshot, a bundle or an S3 place, and its evidence is verified first. Any
    other JSON file stands for itself. A CANDIDATE whose evidence does not hold is listed with its failure, and the
    others are scored; where that of none holds, nothing is. With --active, BASE has to be the active baseline (or the
    word `active`), the score may not be weaker than the one that was reached by, and an UNLOCK makes the best candidate
    the active one.
    The closure is named after the score file, and never overwritten.
    """
    from burst.evidence import comparing, places
    from burst.kit import files
    from burst.report import closure_text

    now, opener = datetime.now(UTC), places.Opener()
    is_chained = baseline == comparing.ACTIVE and destination.chain
    request = comparing.Request(
        baseline=baseline if is_chained else _find_compared(baseline, runs_dir),
        candidates=[_find_compared(candidate, runs_dir) for candidate in candidates],
        score=files.read_named(score_file, "--score"),
        score_source=str(score_file),
        chain=destination.chain,
        runs_dir=str(runs_dir),
        priors=not ignore_priors,
    )
    comparison = comparing.compare(request, opener, now=now)
    store = comparing.open_store(destination.place, opener)
    name = comparing.write(comparison, store, _open_signer(destination.key))
    moved_to = comparing.move_baseline(comparison, now=now)
    _say_written(output, f"{destination.place.rstrip('/')}/{name}", moved_to)
    output.result(comparison.closure.document(), closure_text.render_closure(comparison.closure))
    return comparison.closure.exit_code


def _find_compared(name: str, runs_dir: Path) -> str:
    """The place of what is compared, which may be any JSON file. Of several candidates one may be missing, so that
    nothing is refused here."""
    return name if "://" in name else str(common.run_path(name, runs_dir))


def _say_written(output: common.Output, address: str, moved_to: "active_baselines.ActiveBaseline | None") -> None:
    output.say(f"wrote {address}")
    if moved_to is not None:
        output.say(f"the active baseline is now {moved_to.run.run_id} (record {moved_to.number})")


def _open_signer(key: str | None) -> "ports.Signer | None":
    if key is None:
        return None
    from burst.adapters import signing
    from burst.adapters.local import system_clock

    return signing.open_signer(key, system_clock.SystemClock())
