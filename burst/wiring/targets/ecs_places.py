"""Where an ECS run keeps what other machines read: its lease and its documents, in folders on S3.

The names come from the plan. Nothing here asks ECS, so a run whose tasks cannot be seen still finds its lease.
"""

import threading
from datetime import datetime
from typing import Any, Protocol

from burst.adapters.aws import s3_halts, s3_leases, s3_store
from burst.domain.basics import errors, instants
from burst.domain.plan import evidence_sections, plans
from burst.kit import aws


def run_control_folder(plan: plans.Plan) -> str:
    """The folder of run control. Raises `errors.UsageError` where the plan names none."""
    if plan.evidence.authority is None:
        raise errors.UsageError("target.kind ecs needs evidence.run_control: the lease of its tasks lies there")
    return plan.evidence.authority


def lease_store(plan: plans.Plan) -> s3_leases.S3LeaseStore:
    """The lease of one run."""
    return s3_leases.from_uri(f"{run_control_folder(plan)}/{plan.execution_id}/control.json")


def halt_switch(run_control: str) -> s3_halts.S3HaltSwitch:
    """The switch of every run under run control."""
    return s3_halts.S3HaltSwitch(run_control)


def run_place(run_control: str, execution_id: str) -> s3_store.S3Store:
    """The place of one run under run control, for reading."""
    return s3_store.S3Store(f"{run_control.rstrip('/')}/{execution_id}")


def services_place(run_control: str) -> s3_store.S3Store:
    """Where every run keeps the counts its services had before, so that a sweeper finds them."""
    return s3_store.S3Store(f"{run_control.rstrip('/')}/services")


def drills_place(run_control: str) -> s3_store.S3Store:
    """Where every run keeps the faults that it causes, so that another machine and a sweeper find them."""
    return s3_store.S3Store(f"{run_control.rstrip('/')}/drills")


def publication_places(plan: plans.Plan, deadline: datetime, now: datetime) -> tuple[s3_store.S3Store, ...]:
    """Where documents are published, the authority last: its snapshot commits."""
    opener = PlaceOpener(plan, deadline, now)
    return tuple(opener.open(folder) for folder in reversed(plan.folders(plan.execution_id)))


class KeptOnS3(Protocol):
    """What keeps documents on S3: a plan, or a roll-up with the evidence of its campaign."""

    @property
    def evidence(self) -> evidence_sections.EvidenceSection:
        """The places, and how S3 keeps documents in them."""
        ...

    @property
    def execution_id(self) -> str | None:
        """The run, or the roll-up."""
        ...


class PlaceOpener:
    """Opens folders in the plan's places, to keep documents there as the plan says; usable on any thread.

    S3 refuses a lock that ends before `now`, so a run resumed that late publishes without a lock.
    """

    def __init__(self, kept: KeptOnS3, deadline: datetime, now: datetime) -> None:
        self._evidence = kept.evidence
        self._settings = _store_settings(kept, deadline, now)
        self._lock = threading.Lock()
        self._clients: dict[str | None, Any] = {}

    def open(self, folder: str) -> s3_store.S3Store:
        """The store of a folder, with the client of its bucket's region."""
        region = self._evidence.regions.get(folder.split("/")[2])
        with self._lock:
            if region not in self._clients:
                self._clients[region] = aws.client("s3", checksums=self._evidence.checksums, region_name=region)
            client = self._clients[region]
        return s3_store.S3Store(folder, settings=self._settings, client=client)


def _store_settings(kept: KeptOnS3, deadline: datetime, now: datetime) -> s3_store.StoreSettings:
    evidence = kept.evidence
    lock_until = instants.later(deadline, evidence.object_lock.retain) if evidence.object_lock else now
    lock = evidence.object_lock if lock_until > now else None
    return s3_store.StoreSettings(
        execution_id=kept.execution_id,
        kms_key_id=evidence.kms_key,
        bucket_owner=evidence.bucket_owner,
        lock_mode=lock.mode if lock else None,
        lock_until=lock_until if lock else None,
        checksums=evidence.checksums,
    )
