"""The play of `burst demo`: a reference run, its baseline, and a burst, by steps that a user could type.

Apart from the command, because all that it needs is imported here: `--help` is not to wait for it.
"""

import contextlib
import os
import secrets
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from burst.adapters.local import folder_store
from burst.cli import common, running
from burst.domain.basics import errors, instants
from burst.domain.documents import models, window_metrics
from burst.domain.verdict import baselines
from burst.evidence import reference_runs
from burst.load import shipped_profiles
from burst.report import campaign_text
from burst.sandbox import demo_campaigns, demo_faults, demo_plans, embedded_postgres, gateway, reached_rates
from burst.wiring import campaigns, preparing
from burst.wiring.targets import local_terms

INTERRUPTED = (130, 143)
_HOLD = 3
BASELINE_SECONDS = 20
BURST_SECONDS = 30
REPLAY_SECONDS = 5
"""Short enough that the events admitted by the reference run could fill it, were they new."""


def play(output: common.Output, runs_dir: Path, *, replay: bool) -> int:
    """The story, in a new folder under `runs_dir`; returns the exit code of its last run."""
    place = _make_place(runs_dir)
    with _sandbox(output) as sandbox:
        stage = demo_plans.DemoPlaces(host=sandbox.host, locustfile=shipped_profiles.INGEST, runs=place)
        rate = _choose_rate(output, sandbox, demo_plans.DEMO_RATES)
        output.say(f"\n1. A reference run of {BASELINE_SECONDS} s at {rate:,.0f} events a minute becomes the baseline.")
        folder, code = _play(
            output, place, "baseline", demo_plans.render_baseline_plan(stage, rate, window_seconds=BASELINE_SECONDS)
        )
        if code in INTERRUPTED:
            return code
        if code:
            raise errors.Refused(f"the baseline run ended with exit {code}; see {place}")
        baseline = place / "baseline.json"
        store = folder_store.FolderStore(folder)
        content = reference_runs.make(
            store, created_at=datetime.now(UTC), max_age_seconds=3600.0, environment=local_terms.fingerprint()
        )
        common.write_new(baseline, content)
        output.say(f"baseline: {common.shorten_path(baseline)}")
        if replay:
            scope, events = _read_admitted(store)
            output.say(f"\n2. A burst that replays {events} events already admitted in scope {scope}.")
            reference_baseline = baselines.read(content)
            plan = demo_plans.render_replay_plan(
                stage,
                (reference_baseline.admits, reference_baseline.seconds),
                scope=scope,
                events=events,
                window_seconds=REPLAY_SECONDS,
            )
        else:
            output.say(
                f"\n2. A burst of {BURST_SECONDS} s. It has to reach {demo_plans.MULTIPLIER:g} times the baseline, and "
                f"sends {demo_plans.BURST_FACTOR:g} times as much, so that a busy machine may lose half of it."
            )
            plan = demo_plans.render_burst_plan(stage, baseline, window_seconds=BURST_SECONDS)
        return _run(output, place, "burst", plan)


def _choose_rate(output: common.Output, sandbox: "_Sandbox", rates: demo_plans.BaselineRates) -> float:
    """The rate of the reference run, in events a minute, after what the machine reaches now; says both."""
    output.say(f"Measuring what this machine reaches now ({reached_rates.SECONDS:g} s of sending without a pause).")
    reached = reached_rates.measure_reached_rate(host=sandbox.host, api_key=sandbox.api_key, dsn=sandbox.dsn)
    rate = rates.choose(reached)
    burst_rate = rate * rates.burst_factor
    words = f"It admits about {reached:,.0f} events a minute now, and the demo's burst sends {burst_rate:,.0f}."
    if not rates.can_carry(reached):
        words += (
            " That is more than it reaches: the demo may end with HOLD. Try it again when the machine is less busy."
        )
    output.say(words)
    return rate


def _make_place(runs_dir: Path) -> Path:
    """A new folder for one demo. Raises `errors.UsageError` where it cannot be made."""
    place = runs_dir.absolute() / f"demo_{instants.stamp(datetime.now(UTC))}_{secrets.token_hex(2)}"
    try:
        place.mkdir(parents=True)
    except OSError as exc:
        raise errors.UsageError(f"--runs-dir {runs_dir} cannot hold runs: {exc.strerror}; name another folder") from exc
    return place


def play_campaign(output: common.Output, runs_dir: Path) -> int:
    """A campaign whose burst is on HOLD and is reopened, in a new folder; returns its exit code."""
    place = _make_place(runs_dir)
    with _sandbox(output) as sandbox:
        stage = demo_plans.DemoPlaces(host=sandbox.host, locustfile=shipped_profiles.INGEST, runs=place)
        rate = _choose_rate(output, sandbox, demo_campaigns.RATES)
        path, reporter = demo_campaigns.write_campaign(stage, place, rate), running.RunReporter(output)
        request = campaigns.CampaignRequest(command=output.words)
        output.say("\n1. The campaign runs until its burst is on HOLD: publishes of another scope are stuck in flight.")
        demo_faults.plant_stuck_publishes(sandbox.dsn)
        os.environ[demo_faults.OWNER_DSN_NAME] = sandbox.dsn
        view = campaigns.begin(path.read_text(), str(path), None, request, reporter)
        if campaign_text.find_exit_code(view.course) == _HOLD:
            output.say(
                "\n2. They are resolved. The burst is taken again, bounded to that blocker, and the rest follows."
            )
            demo_faults.resolve_stuck_publishes(sandbox.dsn)
            order = campaigns.Reopen(step=demo_campaigns.REOPENED, only=demo_campaigns.ONLY)
            view = campaigns.resume(campaigns.CampaignAddress(folder=view.folder), request, reporter, order)
    words = campaign_text.render(view.file, view.course, common.shorten_path(view.folder), at_work=False)
    output.result(campaign_text.list_fields(view.file, view.course, at_work=False), words)
    return campaign_text.find_exit_code(view.course)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sandbox:
    """The address of the gateway and its key, and the DSN of the database's owner."""

    host: str
    api_key: str
    dsn: str


@contextlib.contextmanager
def _sandbox(output: common.Output) -> Iterator[_Sandbox]:
    """Starts a Postgres and a gateway for the demo; their secrets stay in the environment of this process."""
    output.say("Starting a Postgres and a reference gateway of the demo's own.")
    api_key = secrets.token_urlsafe(24)
    with embedded_postgres.start() as server:
        dsn = server.create_database()
        embedded_postgres.apply_schema(dsn)
        os.environ |= {demo_plans.DSN_NAME: server.create_reader(dsn), demo_plans.API_KEY_NAME: api_key}
        output.hide(api_key)
        try:
            with gateway.start(dsn=dsn, api_key=api_key) as running:
                yield _Sandbox(host=running.url, api_key=api_key, dsn=dsn)
        finally:
            for name in (demo_plans.DSN_NAME, demo_plans.API_KEY_NAME, demo_faults.OWNER_DSN_NAME):
                os.environ.pop(name, None)


def _prepare(place: Path, name: str, plan: str) -> preparing.Prepared:
    path = place / f"{name}.yaml"
    common.write_new(path, plan.encode())
    return preparing.prepare(preparing.RunRequest(plan_file=path), datetime.now(UTC))


def _run(output: common.Output, place: Path, name: str, plan: str) -> int:
    return running.launch(output, _prepare(place, name, plan))


def _play(output: common.Output, place: Path, name: str, plan: str) -> tuple[Path, int]:
    """Runs a stage with its result kept off stdout; returns its folder and exit code."""
    prepared = _prepare(place, name, plan)
    stage_output = common.Output()
    stage_output.quiet, stage_output.log_json = output.quiet, output.log_json
    with contextlib.redirect_stdout(sys.stderr):
        code = running.launch(stage_output, prepared)
    return place / str(prepared.plan.execution_id), code


def _read_admitted(store: folder_store.FolderStore) -> tuple[str, int]:
    """The scope of a run and how many of its events can be replayed: nine tenths, so that every shard has its share."""
    name = next(name for name in store.names() if name.endswith("_receipts_window_metrics.json"))
    metrics = models.read(window_metrics.Metrics, store.read(name))
    return metrics.platform_run_id, int(metrics.counts.admit * 0.9)
