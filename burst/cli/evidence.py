"""`burst verify` (also `burst evidence verify`), `latest`, `diff`, `ls`, `bundle`, `prune`, and `burst history`.

Each parses its words, calls `burst.evidence` once, and renders the result.
"""

import dataclasses
import functools
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from burst.cli import attest, cited, common, evidence_forms, hotspots, keys, risk_writing, site, verifying_closures
from burst.domain.basics import wording

if TYPE_CHECKING:
    from burst.domain.basics import errors
    from burst.domain.verdict import differences
    from burst.evidence import full_verification, newest, pruning
    from burst.report import comparison, outcomes

_MOST_CITED = 500
_EXITS = """
\b
Exit codes:
  0 sound, PASS    3 sound, HOLD    7 absent or incomplete
  8 integrity failed                9 cannot tell
"""


_phase_option = click.option("--phase", metavar="PHASE", help="Only this phase, such as M10.F.")
_scope_option = click.option("--scope", metavar="SCOPE", help="Only this scope.")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Demands:
    """What evidence is held to: a signature and its key, the run's other places, and its priors."""

    key: str | None
    require_signature: bool
    everywhere: bool | None
    priors: bool


def _demand_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options that say what evidence is held to; the command gets them as one value, `demands`."""

    @common.trusted_key_option("The public key (PEM) that a signature has to be by, or a key in KMS.")
    @click.option("--require-signature", is_flag=True, help="Evidence without a signature does not hold.")
    @click.option(
        "--places",
        type=common.Choice(["here", "all"]),
        help="all: compare the run's other places too; here: do not. Default: all where RUN is on S3, else here.",
    )
    @common.priors_option
    @functools.wraps(command)
    def with_demands(
        *words: Any, key: str | None, require_signature: bool, places: str | None, ignore_priors: bool, **options: Any
    ) -> Any:
        if require_signature and key is None:
            raise click.UsageError("--require-signature needs --key: anybody can sign")
        everywhere = None if places is None else places == "all"
        demands = _Demands(
            key=key, require_signature=require_signature, everywhere=everywhere, priors=not ignore_priors
        )
        return command(*words, demands=demands, **options)

    return with_demands


_limit_option = click.option(
    "--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="At most so many runs."
)


@click.command(
    short_help="Whether the evidence of a run holds.",
    epilog=f"""\b
Examples:
  burst verify runs/m10_20260221T020923Z_a1b2c3
  burst verify m10_20260221T020923Z_a1b2c3 --json
  burst verify bundle.zip --format junit > evidence.xml
  burst verify RUN --format github --write markdown=summary.md --write junit=evidence.xml
  burst verify bundle.zip --require-signature --key signing.pem.pub
  burst verify s3://bucket/evidence/run_control/m10_20260221T020923Z_a1b2c3
  burst verify promotions/p95.json --runs runs
{_EXITS}""",
)
@click.argument("run", metavar="RUN|FILE", shell_complete=common.complete_runs)
@_demand_options
@evidence_forms.forms_options
@click.option(
    "--runs",
    "search",
    multiple=True,
    metavar="PLACE",
    help="Where the runs lie that a FILE cites; can be repeated. Default: --runs-dir.",
)
@common.runs_dir_option
@common.options
def verify(
    output: common.Output,
    run: str,
    demands: _Demands,
    forms: evidence_forms.Forms,
    search: tuple[str, ...],
    runs_dir: Path,
) -> int:
    """Whether the evidence of RUN (a folder, an execution id, a bundle, or an s3:// place) holds.

    A FILE that ends in .json is a document that cites runs, such as a promotion or a closure: it is derived again from
    their evidence, which is looked for in the places of --runs, else in --runs-dir.

    Compares every document with its digest, and reaches the verdict anew from the documents: it must be the same,
    byte for byte; where another version made it, everything but its sentences, and the result says who worded them.
    On S3 the run's other place must hold the same bytes. Every prior that is cited, back to the first attempt, must
    hold too: where one cannot be had, the answer is 9, unless --ignore-priors says to believe it. A folder or a bundle
    is verified without a network. A signature always has to speak of exactly this evidence; its key is checked with
    --key."""
    from burst import evidence

    place, missing = _find_place(run, runs_dir)
    if cited.is_document(run) or evidence.is_closure(place):
        forms.refuse_for(run)
        output.json = output.json or forms.shown == "json"
        show = cited.verify if cited.is_document(run) else verifying_closures.verify
        return show(output, Path(run), search or (str(runs_dir),), key=demands.key, required=demands.require_signature)
    output.advice = missing.advice if missing else ""
    verified = evidence.unsound(place, missing) if missing else evidence.verify(place, **dataclasses.asdict(demands))
    return _show(output, forms, verified)


def _find_place(run: str, runs_dir: Path) -> tuple[str, "errors.NoSuchRun | None"]:
    """The place of a run, and why there is none; a document that cites runs is its own place."""
    from burst.domain.basics import errors

    if cited.is_document(run):
        return run, None
    try:
        return common.find_place(run, runs_dir), None
    except errors.NoSuchRun as exc:
        return run, exc


@click.command(
    short_help="The newest attempt, verified.",
    epilog=f"""\b
Examples:
  burst evidence latest runs
  burst evidence latest s3://bucket/evidence/run_control --phase M10.F
  burst latest s3://bucket/evidence/run_control --phase M10.J --max-age 8d
{_EXITS}""",
)
@click.argument("place")
@_phase_option
@_scope_option
@click.option(
    "--max-age",
    "max_age_seconds",
    type=common.AGE,
    help="Exit 7 where the newest is older, such as 8d: no run came. Default: any age.",
)
@_demand_options
@evidence_forms.forms_options
@common.options
def latest(
    output: common.Output,
    place: str,
    phase: str | None,
    scope: str | None,
    max_age_seconds: float | None,
    demands: _Demands,
    forms: evidence_forms.Forms,
) -> int:
    """The newest attempt under PLACE (a folder of runs, or run control on S3), verified.

    A newest attempt that fails is an error: an older one is never shown in its place. With --max-age it is one too
    where the last task of the newest ended longer ago: so a schedule that no longer runs is heard of.
    """
    from burst import evidence
    from burst.domain.basics import errors

    try:
        attempt = evidence.latest(
            place, phase=phase, scope=scope, max_age_seconds=max_age_seconds, **dataclasses.asdict(demands)
        )
        verified = attempt.verified
    except (errors.EvidenceIncomplete, errors.EvidenceCorrupt, errors.EvidenceUnknown) as exc:
        verified = evidence.unsound(place, exc)
        output.advice = exc.advice
    return _show(output, forms, verified)


@click.command(
    short_help="The changes from one run to another.",
    epilog="""\b
Examples:
  burst evidence diff runs/m10_one runs/m10_two
  burst evidence diff before.zip s3://bucket/evidence/run_control/m10_two --format sarif > burst.sarif

\b
Exit codes:
  0 both sound, nothing regressed    3 something regressed, a gate is lost, or a requirement was lowered
  7 absent or incomplete    8 integrity failed    9 cannot tell, or other schemas
""",
)
@click.argument("before", metavar="A", shell_complete=common.complete_runs)
@click.argument("after", metavar="B", shell_complete=common.complete_runs)
@evidence_forms.forms_options
@common.priors_option
@common.runs_dir_option
@common.options
def diff(
    output: common.Output, before: str, after: str, ignore_priors: bool, forms: evidence_forms.Forms, runs_dir: Path
) -> int:
    """The changes from run A to run B: gates, blockers, inputs, budget.

    A gate is new, unchanged, updated or absent. It regressed where it passes no longer, was fixed where it now does,
    and is lost where it is asked no more. A requirement that was lowered, and another baseline, is a regression too.
    Both runs are verified first; where one is not sound, every form for CI holds a failing result that says so.
    """
    from burst import evidence
    from burst.domain.basics import errors
    from burst.report import comparison

    places = common.find_place(before, runs_dir), common.find_place(after, runs_dir)
    verified_before, verified_after = (evidence.verify(place, priors=not ignore_priors) for place in places)
    try:
        change = evidence.difference_of(verified_before, verified_after)
    except errors.BurstError as exc:
        forms.give(output, _outcome(verified_after, uncompared=str(exc)))
        raise
    forms.give(output, _outcome(verified_after, change=change))
    if not forms.for_ci:
        output.json = output.json or forms.shown == "json"
        output.result(change.value(), comparison.difference(change))
    return 3 if change.regressed else 0


@click.command(
    short_help="The runs of a place, each verified.",
    epilog="""\b
Examples:
  burst evidence ls runs
  burst evidence ls s3://bucket/evidence/run_control --phase M10.F --limit 50
  burst evidence ls s3://bucket/evidence/run_control --before m10_20260221T020923Z_a1b2c3
  burst evidence ls runs --json | jq -r 'select(.overall_pass) | .execution_id'
""",
)
@click.argument("place")
@_phase_option
@_scope_option
@_limit_option
@click.option("--before", metavar="ID", help="Only runs older than this one: the next page.")
@common.priors_option
@common.options
def ls(
    output: common.Output,
    place: str,
    phase: str | None,
    scope: str | None,
    limit: int,
    before: str | None,
    ignore_priors: bool,
) -> None:
    """The runs under PLACE, the newest first, each verified where it lies. With --json one object a line.

    Exits 0 whatever the runs are worth, 7 where there is no such place, or 9 where it cannot be read.
    """
    from burst import evidence
    from burst.report import comparison

    attempts = evidence.ls(place, phase=phase, scope=scope, limit=limit, before=before, priors=not ignore_priors)
    if output.json:
        _lines(output, [attempt.figures for attempt in attempts])
        return
    output.result(None, comparison.attempts([_listed_run(attempt) for attempt in attempts]))
    _say_where(output, place, attempts, phase)
    if len(attempts) == limit:
        output.say(f"for more: --before {attempts[-1].execution_id}")


@click.command(
    short_help="The attempts of a phase, and their changes.",
    epilog="""\b
Examples:
  burst history runs --phase M10.F
  burst history s3://bucket/evidence/run_control --phase M10.F --json
  burst history runs --phase M10.F --csv > m10_f.csv
  burst history runs --phase M10.F --html > m10_f.html
""",
)
@click.argument("place")
@click.option("--phase", metavar="PHASE", required=True, help="The phase, such as M10.F.")
@_scope_option
@_limit_option
@click.option("--csv", "as_csv", is_flag=True, help="One row an attempt, for tools that look for a change.")
@click.option("--html", "as_html", is_flag=True, help="One page with the trend of multiplier, ratio, p95 and cost.")
@common.priors_option
@common.options
def history(
    output: common.Output,
    place: str,
    phase: str,
    scope: str | None,
    limit: int,
    as_csv: bool,
    as_html: bool,
    ignore_priors: bool,
) -> None:
    """The attempts of a phase under PLACE, the oldest first, and the changes from each to the next.

    Verdict, open blockers, multiplier, admit ratio, elapsed seconds, cost where it is known, the attempt's number, the
    prior a rerun cites, and terms that were changed. With --json one object a line. Exits 0 whatever the attempts are
    worth, 7 where there is no such place, or 9 where it cannot be read.
    """
    from burst import evidence
    from burst.report import comparison, history_csv

    if as_csv + as_html + output.json > 1:
        raise click.UsageError("--csv, --html and --json: allowed: one of them")
    steps = evidence.history(place, phase=phase, scope=scope, limit=limit, priors=not ignore_priors)
    if as_csv:
        output.content(history_csv.render([_listed_run(step.attempt) for step in steps]).encode())
        return
    if as_html:
        output.content(evidence.history_page(place, phase, steps))
        return
    if output.json:
        _lines(
            output,
            [{**step.attempt.figures, "change": step.change.value() if step.change else None} for step in steps],
        )
        return
    output.result(None, comparison.history([(_listed_run(step.attempt), step.change) for step in steps]))
    _say_where(output, place, steps, phase)


@click.command(
    short_help="One file that verifies without a network.",
    epilog="""\b
Examples:
  burst evidence bundle m10_20260221T020923Z_a1b2c3 -o m10.zip
  burst evidence bundle ROLLUP -o m10.zip --require semantic,scale --cite "report 2026-02, page 7"
  burst evidence verify m10.zip
""",
)
@click.argument("run", metavar="RUN", shell_complete=common.complete_runs)
@click.option("-o", "--output", "file", type=click.Path(path_type=Path), required=True, help="A new file for it.")
@click.option(
    "--cite",
    "citations",
    multiple=True,
    metavar="TEXT",
    help="Where it is cited, in words; kept in it. Can be repeated.",
)
@click.option(
    "--require",
    "families",
    multiple=True,
    metavar="FAMILY[,FAMILY...]",
    help="Families of evidence it has to hold; can be repeated.",
)
@common.priors_option
@common.runs_dir_option
@common.options
def bundle(
    output: common.Output,
    run: str,
    file: Path,
    citations: tuple[str, ...],
    families: tuple[str, ...],
    ignore_priors: bool,
    runs_dir: Path,
) -> None:
    """Make one zip file of RUN's sound evidence, of all it rests on, and a README: it verifies without a network.

    In it are its priors, the phases that its plan required, and the lanes of a roll-up. The families are semantic,
    incident_drill, scale and reproducibility; for each that --require names, a run in it has to stand that passed. The
    same evidence and words give the same bytes.

    Exits 0, 2 where the file exists, or 7, 8 or 9 where the evidence is not sound; 7 also where a family is missing.
    """
    from burst import evidence
    from burst.domain.basics import canonical

    content = evidence.bundle(
        common.find_place(run, runs_dir),
        priors=not ignore_priors,
        citations=_read_citations(citations),
        families=_read_families(families),
    )
    common.write_new(file, content)
    output.say(f"wrote {file}; anyone can now: burst evidence verify {file}")
    output.result({"bundle": str(file), "sha256": canonical.digest(content), "size": len(content)}, "")


@click.command(
    short_help="Remove the documents of old runs.",
    epilog="""\b
Examples:
  burst evidence prune runs --keep 10                       shows what would go
  burst evidence prune runs --keep 10 --yes                 removes it
  burst evidence prune s3://bucket/evidence/run_control --keep-set ids.txt --grace 30d --yes
""",
)
@click.argument("place")
@click.option("--keep", type=click.IntRange(0), metavar="N", help="Keep the newest N runs of each phase.")
@click.option(
    "--keep-set", type=click.Path(path_type=Path), metavar="FILE", help="Keep the runs named here, one a line."
)
@click.option(
    "--baseline",
    "baselines",
    type=click.Path(path_type=Path),
    multiple=True,
    help="Keep the run behind this baseline; can be repeated.",
)
@click.option(
    "--grace", "grace_seconds", type=common.AGE, default="7d", show_default=True, help="Keep runs that are younger."
)
@click.option("--yes", is_flag=True, help="Remove it. Without this, nothing is removed.")
@common.options
def prune(
    output: common.Output,
    place: str,
    keep: int | None,
    keep_set: Path | None,
    baselines: tuple[Path, ...],
    grace_seconds: float,
    yes: bool,
) -> None:
    """Remove the documents of old runs under PLACE. A snapshot is never removed.

    Never touched: a run that is younger than the grace, not committed, not published everywhere, pinned (a file
    `pinned` in the run), not sound, cited as a prior by any run, or behind a baseline. The documents that go are
    written to `pruned.json` in the run first. A snapshot that cannot be read stops it all.

    Exits 0, 2 where no option says what to keep, 4 where a document changed meanwhile, or 8 or 9 where a snapshot
    cannot be read.
    """
    from burst import evidence

    if keep is None and keep_set is None:
        raise click.UsageError("say what to keep: --keep N (the newest of each phase) or --keep-set FILE")
    named = _read_keep_set(keep_set) if keep_set else set()
    behind_baselines = {_run_behind(file) for file in baselines}
    kept = evidence.Keep(newest=keep, named=frozenset(named | behind_baselines), grace_seconds=grace_seconds)
    fates = evidence.prune(place, keep=kept, really=yes, tell=output.say)
    not_here = sorted(named - {fate.execution_id for fate in fates})
    if not_here:
        output.say(f"not under {place}, so not kept there: {', '.join(not_here)}")
    rows = [_fate_row(fate) for fate in fates]
    output.result({"place": place, "removed": yes, "not_here": not_here, "runs": rows}, _fates(fates, yes))


def _fate_row(fate: "pruning.Fate") -> dict[str, Any]:
    return {
        "execution_id": fate.execution_id,
        "kept": fate.kept,
        "documents": [document.name for document in fate.documents],
        "bytes": fate.size,
    }


@click.group(
    epilog=f"""\b
Examples:
  burst evidence verify runs/EXECUTION_ID
  burst evidence latest s3://bucket/evidence/run_control --phase M10.F
{_EXITS}"""
)
def evidence() -> None:
    """The evidence of runs: verify, follow, compare, list, bundle and prune it."""


for _command in (
    verify,
    latest,
    diff,
    ls,
    attest.attest,
    attest.verify_attestation,
    bundle,
    prune,
    hotspots.hotspots,
    risk_writing.risks,
    site.site,
    keys.keygen,
    keys.public_key,
):
    evidence.add_command(_command)


def _listed_run(attempt: "newest.Attempt") -> "comparison.ListedRun":
    from burst.report import comparison

    finding = attempt.verified.finding
    snapshot = finding.shown
    return comparison.ListedRun(execution_id=attempt.execution_id, state=finding.state.value, snapshot=snapshot)


def _outcome(
    verified: "full_verification.Verified",
    *,
    change: "differences.Difference | None" = None,
    uncompared: str | None = None,
) -> "outcomes.EvidenceOutcome":
    from burst.report import outcomes

    finding = verified.finding
    snapshot = finding.shown
    return outcomes.EvidenceOutcome(
        state=finding.state.value,
        why=finding.why,
        exit_code=finding.exit_code,
        place=verified.place,
        execution_id=snapshot.execution_id if snapshot else None,
        document=finding.name,
        snapshot=snapshot,
        change=change,
        uncompared=uncompared,
    )


def _value(verified: "full_verification.Verified") -> dict[str, Any]:
    finding, signature = verified.finding, verified.signature
    snapshot = finding.shown
    return {
        "state": finding.state.value,
        "why": finding.why,
        "exit_code": finding.exit_code,
        "place": verified.place,
        "snapshot": finding.name,
        "sha256": finding.sha256,
        "worded_by": finding.worded_by,
        "execution_id": snapshot.execution_id if snapshot else None,
        "overall_pass": snapshot.overall_pass if snapshot else None,
        "blockers": snapshot.blockers if snapshot else None,
        "signature": {"state": signature.state, "key_ids": list(signature.key_ids)} if signature else None,
        "places": [{"place": copy.place, "state": copy.state, "why": copy.why} for copy in verified.copies],
        "chain": [
            {"execution_id": link.execution_id, "sha256": link.sha256, "state": link.state, "why": link.why}
            for link in verified.chain
        ],
    }


def _show(output: common.Output, forms: evidence_forms.Forms, verified: "full_verification.Verified") -> int:
    if forms.are_asked_for:
        forms.give(output, _outcome(verified))
    if forms.for_ci:
        return verified.exit_code
    output.json = output.json or forms.shown == "json"
    output.result(_value(verified), "\n".join(_words(verified)))
    return verified.exit_code


def _words(verified: "full_verification.Verified") -> list[str]:
    signature, chain = verified.signature, verified.chain
    lines = [f"{verified.finding.state}: {verified.finding.why}"]
    if signature and signature.key_ids:
        keys = ", ".join(key_id[:16] for key_id in signature.key_ids)
        hint = "" if signature.state == "verified" else "; --key checks who made it"
        lines.append(f"signature by key {keys}: {signature.state}{hint}")
    lines += [f"place {copy.place}: {copy.state} {copy.why}".rstrip() for copy in verified.copies]
    lines += [f"prior {link.execution_id}: {link.state} {link.why}".rstrip() for link in chain]
    if chain and chain[-1].state in ("not-here", "unreachable"):
        lines.append("put its evidence beside this run's, or ask S3 (--places all), or believe it (--ignore-priors)")
    return lines


def _lines(output: common.Output, rows: list[dict[str, Any]]) -> None:
    text = "".join(json.dumps(row, allow_nan=False) + "\n" for row in rows)
    output.content(text.encode())


def _say_where(output: common.Output, place: str, runs: Sequence[object], phase: str | None) -> None:
    """No runs may mean that the place is another one, or the phase."""
    if not runs:
        of = "" if phase is None else f" of phase {phase}"
        output.say(f"looked for runs{of} in {place}, and in the folders of demos and rehearsals there")


def _read_families(families: tuple[str, ...]) -> tuple[str, ...]:
    from burst.domain.documents import rollup_documents

    allowed, named = rollup_documents.FAMILIES, common.split_words(families)
    strange = [family for family in named if family not in allowed]
    if strange:
        raise click.UsageError(f"--require {strange[0]}: allowed: {', '.join(allowed)}")
    return tuple(named)


def _read_citations(citations: tuple[str, ...]) -> tuple[str, ...]:
    """The citations. Raises a usage error for one that is no line of text, or that holds what must not be shown."""
    from burst.domain.basics import redaction

    for words in citations:
        if not words.strip() or len(words) > _MOST_CITED or not words.isprintable():
            raise click.UsageError(f"--cite: allowed: one line of 1 to {_MOST_CITED} printable characters")
        if redaction.Redactor(()).text(words) != words:
            raise click.UsageError(
                "--cite: saw what looks like a secret (hidden); allowed: words that anybody may read"
            )
    return citations


def _read_keep_set(keep_set: Path) -> set[str]:
    """The runs of a keep-set. Raises `errors.UsageError` for a line that names none: its run would not be kept."""
    from burst.domain.basics import errors
    from burst.domain.run import run_ids
    from burst.kit import files

    lines = (line.partition("#")[0].strip() for line in files.read_named_text(keep_set, "--keep-set").splitlines())
    named = {line for line in lines if line}
    odd = sorted(line for line in named if not run_ids.is_plain(line))
    if odd:
        raise errors.UsageError(
            f"--keep-set {keep_set}: {odd[0][:60]!r} is no execution id; allowed: one a line, # a comment"
        )
    return named


def _run_behind(file: Path) -> str:
    from burst.domain.verdict import baselines
    from burst.kit import files

    return baselines.read(files.read_named(file, "--baseline")).provenance.execution_id


def _amount(documents: int, size: int) -> str:
    return f"{wording.format_count(documents, 'document')}, {wording.format_count(size, 'byte')}"


def _fates(fates: "list[pruning.Fate]", done: bool) -> str:
    going = [fate for fate in fates if fate.kept is None]
    lines = [f"keep    {fate.execution_id}: {fate.kept}" for fate in fates if fate.kept is not None]
    word = "removed" if done else "remove "
    lines += [f"{word} {fate.execution_id}: {_amount(len(fate.documents), fate.size)}" for fate in going]
    size = wording.format_count(sum(fate.size for fate in going), "byte")
    total = f"{len(going)} of {wording.format_count(len(fates), 'run')}, {size}"
    lines.append(f"removed {total}" if done else f"would remove {total}; nothing was removed, --yes removes it")
    return "\n".join(lines)
