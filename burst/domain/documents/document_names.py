"""Document names: every file a run writes or reads, and the names that carry the phase's slug."""

from collections.abc import Sequence
from typing import Final

from burst.domain.plan import catalogues

PLAN = "plan.json"
JOURNAL = "journal.jsonl"
SNAPSHOT_SCHEMA: Final = "burst.snapshot/v1"
JOURNAL_SCHEMA: Final = "burst.journal/v1"
"""Stands in the journal's first line."""
JOURNAL_MINOR = 4
"""Stands beside it; raised with every event, or field of one, that is added. Journals of burst 0.1.0 have none: 0."""
BASELINE = "baseline.json"
CLOSURE_SUFFIX = "_closure.json"
PRIOR = "prior_snapshot.json"
PRIOR_PLAN = "prior_plan.json"
"""The plan of the run that the prior snapshot is of."""
GATE_RECORDS = "gate_records.json"
"""The promotions and demotions of gates that the plan names by digest."""
REFERENCE = "reference_snapshot.json"
"""The snapshot of the run that this one reproduces."""
REFERENCE_PLAN = "reference_plan.json"
REPORT = "report.html"
RUN = "run.json"
"""Lets another machine take a run over; no evidence, and no part of a snapshot."""
ALIAS = "alias.json"
"""Under an id with a time in it: names the run that has none in its own, so that run control is ordered by time."""
HALT = "halt.json"
"""Directly under run control: while it stands, no run begins there and every run there stops; no evidence."""
DATABASE = "database_check.json"
"""The usual name of a file of `burst db check -o FILE`; it stands in no run's folder."""
PUBLICATION = "publication.json"
"""The receipt of a publication, in the run's own folder only; no evidence, and no part of a snapshot."""
TOLD = "told.json"
"""The record of the outlets that took how the run ended, in the run's own folder only; no evidence."""
PRUNED = "pruned.json"
"""The receipt of `burst evidence prune` for the documents it removed; the snapshot stays."""
PINNED = "pinned"
"""A file of this name beside the documents of a run keeps it from being pruned."""
_SERVICES, _SERVICES_BACK = ".json", ".back.json"
_SNAPSHOT = "_snapshot"


def task_result_name(slug: str) -> str:
    """The document with the start and end of every task."""
    return f"{slug}_task_result.json"


def task_records_name(slug: str) -> str:
    """The document with the record of every task's guard."""
    return f"{slug}_task_records.json"


def metrics_name(slug: str) -> str:
    """The document that holds the counts of the attempt window."""
    return f"{slug}_receipts_window_metrics.json"


def load_name(slug: str) -> str:
    """The document with what the generator was due to send, sent, and was answered."""
    return f"{slug}_load.json"


def facts_name(slug: str) -> str:
    """The document with the answers of the fact queries."""
    return f"{slug}_facts.json"


def observations_name(slug: str) -> str:
    """The document with every sample of the observed series."""
    return f"{slug}_observations.json"


def preflight_name(slug: str) -> str:
    """The document with the findings of preflight."""
    return f"{slug}_preflight.json"


def attempt_name(slug: str) -> str:
    """The document with the number of the run among the attempts of its phase."""
    return f"{slug}_attempt.json"


def reproduction_name(slug: str) -> str:
    """The document with the key sets of the reference run and of this one."""
    return f"{slug}_reproduction.json"


def locust_files_name(slug: str) -> str:
    """The document with what Locust wrote at its end, where the plan keeps it."""
    return f"{slug}_locust_files.json"


def adjudicated_names(slug: str) -> tuple[str, ...]:
    """The documents a verdict is made from, beside the plan."""
    measured = task_result_name, task_records_name, metrics_name, load_name, facts_name, observations_name
    own = *measured, preflight_name, attempt_name, reproduction_name, locust_files_name
    return *(name(slug) for name in own), BASELINE, PRIOR, PRIOR_PLAN, GATE_RECORDS, REFERENCE, REFERENCE_PLAN


def snapshot_name(slug: str, kind: catalogues.Kind) -> str:
    """The snapshot: written last, its existence is the commit."""
    return f"{slug}_{kind}{_SNAPSHOT}.json"


def is_snapshot_name(name: str) -> bool:
    """Whether a document is the snapshot of a phase, of any kind."""
    return find_snapshot_slug(name) is not None


def find_snapshot_slug(name: str) -> str | None:
    """The slug in the name of a snapshot, of any kind; None where the name is of no snapshot."""
    endings = (snapshot_name("", kind) for kind in catalogues.Kind)
    return next((name.removesuffix(ending) for ending in endings if name.endswith(ending)), None)


def find_unpublished_slug(name: str) -> str | None:
    """The slug in the name of a document that speaks for a snapshot; None where the name is of none."""
    endings = (unpublished_name("", kind) for kind in catalogues.Kind)
    return next((name.removesuffix(ending) for ending in endings if name.endswith(ending)), None)


def services_name(execution_id: str) -> str:
    """The counts services had before a run: kept among those of all runs, under run control, before they are scaled."""
    return f"{execution_id}{_SERVICES}"


def services_back_name(execution_id: str) -> str:
    """Stands beside them once the services are put back."""
    return f"{execution_id}{_SERVICES_BACK}"


def runs_with_services(names: Sequence[str]) -> tuple[str, ...]:
    """The runs whose services are not put back yet, by the names of all documents about services."""
    restored = {name.removesuffix(_SERVICES_BACK) for name in names if name.endswith(_SERVICES_BACK)}
    kept = [name.removesuffix(_SERVICES) for name in names if not name.endswith(_SERVICES_BACK)]
    return tuple(execution_id for execution_id in kept if execution_id not in restored)


def drill_name(execution_id: str, drill: str) -> str:
    """The fault of a drill: kept among those of all runs, under run control, before it is caused."""
    return f"{execution_id}.{drill}{_SERVICES}"


def drill_back_name(execution_id: str, drill: str) -> str:
    """Stands beside it once nothing of the fault is left to take back."""
    return f"{execution_id}.{drill}{_SERVICES_BACK}"


def drills_left(names: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """The run and the drill of each fault that is not taken back yet, by the names of all documents about drills."""
    return tuple((run, drill) for run, _, drill in (name.partition(".") for name in runs_with_services(names)))


def signature_name(slug: str, kind: catalogues.Kind) -> str:
    """The signature over the snapshot and every document it names, where the plan asks for one."""
    return f"{slug}_{kind}{_SNAPSHOT}.dsse.json"


def unpublished_name(slug: str, kind: catalogues.Kind) -> str:
    """Speaks for the snapshot in the run's own folder while its publication has failed; published nowhere."""
    return f"{slug}_{kind}{_SNAPSHOT}.unpublished.json"
