"""Publishing: a small run with its verdict to publish to two places on a versioned bucket, and S3 calls that go wrong.

A fault strikes one call of a client, by number, whatever the call is. What it does there is what networks and S3 do:
the call is carried out or not, and its caller is told the truth, something else, or dies.
"""

import contextlib
import dataclasses
import functools
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import moto
import pytest
from botocore import exceptions as foreign
from moto.core import base_backend, botocore_stubber
from moto.core import models as mock_models

from burst import ports
from burst.adapters.aws import s3_store
from burst.adapters.local import folder_store, journal_file
from burst.control import recorder, run_documents
from burst.domain.basics import canonical
from burst.domain.documents import document_names
from burst.domain.plan import catalogues, plans
from burst.domain.run.events import ending_events
from burst.domain.verdict import snapshots
from burst.evidence import soundness, verification
from burst.report import html
from burst.wiring import takeover
from tests import cases, fakes, fakes_evidence, fakes_journal

Call = Callable[[], Any]
Fault = Callable[[Call], Any]
"""What happens to one call: given the call, it answers, fails, or does both."""
SNAPSHOT = document_names.snapshot_name("m10_f", catalogues.Kind.BURST)
UNPUBLISHED = document_names.unpublished_name("m10_f", catalogues.Kind.BURST)


@contextlib.contextmanager
def aws_in_this_process(region: str, patch: pytest.MonkeyPatch) -> Iterator[None]:
    """moto in place of AWS for one test, whatever this process was set up for; `patch` is the test's own."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        patch.delenv(name)
    patch.setenv("AWS_DEFAULT_REGION", region)
    patch.setenv("AWS_ACCESS_KEY_ID", "made-up")
    patch.setenv("AWS_SECRET_ACCESS_KEY", "made-up")
    with simulated_account():
        yield


@contextlib.contextmanager
def simulated_account() -> Iterator[None]:
    """moto in place of AWS for clients with a region and credentials of their own: the environment stays as it is.

    It answers one request at a time. By itself moto looks whether an object is there and then writes it, so that of
    several writers on threads more than one may be told that it created the object.
    It lists the addresses of a service once. By itself moto lists them anew at each request, and at its beginning those
    of every service for `requests`, which none of these clients uses.
    """
    answer, one_at_a_time = botocore_stubber.BotocoreStubber.process_request, threading.Lock()
    list_addresses = functools.cache(vars(base_backend.BaseBackend)["urls"].fget)

    def answer_alone(stubber: botocore_stubber.BotocoreStubber, request: Any) -> Any:
        with one_at_a_time:
            return answer(stubber, request)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mock_models, "RESPONSES_METHODS", ())
        patch.setattr(base_backend.BaseBackend, "urls", property(list_addresses))
        patch.setattr(botocore_stubber.BotocoreStubber, "process_request", answer_alone)
        with moto.mock_aws(config={"core": {"mock_credentials": False}}):
            yield


def answered(code: str, status: int) -> foreign.ClientError:
    """An answer of S3's that carried nothing out, or says so."""
    about: Any = {"HTTPStatusCode": status, "RequestId": "r-1"}
    return foreign.ClientError({"Error": {"Code": code, "Message": "as told"}, "ResponseMetadata": about}, "S3")


def not_applied(failure: Exception) -> Fault:
    """The call is not carried out."""

    def strike(_: Call) -> Any:
        raise failure

    return strike


def applied(failure: Exception) -> Fault:
    """The call is carried out, and its caller is not told."""

    def strike(call: Call) -> Any:
        call()
        raise failure

    return strike


class Striking:
    """A client on which one call, by number, goes wrong; `calls` counts all of them."""

    def __init__(self, real: Any, *, at: int = 0, fault: Fault | None = None) -> None:
        self._real = real
        self._at = at
        self._fault = fault
        self.calls = 0

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        def call(**parameters: Any) -> Any:
            self.calls += 1
            through: Call = functools.partial(getattr(self._real, operation), **parameters)
            return self._fault(through) if self._fault and self.calls == self._at else through()

        return call


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run up to the verdict, its own folder, and the two places it is published to."""

    plan: plans.Plan
    store: ports.EvidenceStore
    journal: ports.Journal
    bucket: str
    signer: Callable[[], ports.Signer] | None = None

    @classmethod
    def begin(
        cls, bucket: str, *, folder: Path | None = None, execution_id: str = cases.EXECUTION_ID, mark: str = ""
    ) -> "Run":
        """A run whose controller has come to publishing; without `folder` in memory, which waits for no disk. `mark`
        makes its journal another one's."""
        places = {"run_control": f"s3://{bucket}/control", "run_scoped": f"s3://{bucket}/runs"}
        plan = cases.plan(
            execution_id=execution_id, evidence=places, baseline={"admits": 600, "seconds": 600, "source": "a test"}
        )
        store: ports.EvidenceStore = fakes_evidence.MemoryEvidenceStore()
        journal: ports.Journal = fakes_journal.MemoryJournal(fakes.TickingClock().now)
        if folder is not None:
            store = folder_store.FolderStore.create(folder, execution_id)
            path = store.folder / document_names.JOURNAL
            journal = journal_file.FileJournal.create(path, fakes.TickingClock().now)
        run = cls(plan=plan, store=store, journal=journal, bucket=bucket)
        for name, content in run_documents.input_documents(plan, None, None):
            run.store.put_once(name, content)
        recorder.Recorder(journal).note(
            cases.run_created(
                execution_id=execution_id,
                scope=f"{cases.SCOPE}{mark}",
                deadline=cases.moment(5400),
                plan_sha256=canonical.digest(run.store.read(document_names.PLAN)),
            )
        )
        return run

    def with_documents(self, case: cases.Case) -> "Run":
        """The same with two tasks that held, and documents frozen already, as a controller that died leaves them before
        it made the task result."""
        record = recorder.Recorder(self.journal)
        for event in cases.events_of_launch(cases.task(0), cases.task(1)):
            record.note(event)
        for name, content in case.without("task_result").contents.items():
            self.store.put_once(name, content)
        return self

    def publish(self, client: Any) -> snapshots.Verdict:
        """What a controller does with the run, whether it is the first or resumes it."""
        record = recorder.Recorder(self.journal)
        record.note(ending_events.PublishIntended())
        verdict = run_documents.RunDocuments(
            plan=self.plan,
            record=record,
            store=self.store,
            render=html.render,
            places=self.places(client),
            signer=self.signer,
        ).publish(layers=[])
        record.note(ending_events.Published(sha256=canonical.digest(verdict.content)))
        return verdict

    def lost(self, client: Any) -> "Run":
        """The run on another machine, with nothing but what its places hold."""
        found = takeover.recover(
            self.plan, canonical.digest(self.store.read(document_names.PLAN)), self.places(client)[::-1]
        )
        again = Run.begin(self.bucket, execution_id=str(self.plan.execution_id), mark="_of_another_machine")
        for name, content in found.items():
            if name != document_names.JOURNAL:
                again.store.put_once(name, content)
        if document_names.JOURNAL not in found:
            return again
        journal = fakes_journal.MemoryJournal.of(found[document_names.JOURNAL], fakes.TickingClock().now)
        takeover.note_recovered(journal, found[document_names.JOURNAL])
        return dataclasses.replace(again, journal=journal)

    def places(self, client: Any) -> Sequence[s3_store.S3Store]:
        """Its places, the authority last."""
        settings = s3_store.StoreSettings(execution_id=self.plan.execution_id)
        folders = reversed(self.plan.folders(self.plan.execution_id))
        return tuple(s3_store.S3Store(folder, settings=settings, client=client) for folder in folders)

    def here(self) -> soundness.Verification:
        """What a reader of the run's own folder finds."""
        if not isinstance(self.store, fakes_evidence.MemoryEvidenceStore):
            return verification.verify(self.store, render=html.render)
        everything = {**self.store.documents, document_names.JOURNAL: self.journal.prefix()}
        return verification.verify(fakes_evidence.MemoryEvidenceStore(everything), render=html.render)

    def there(self, client: Any) -> list[soundness.Verification]:
        """What a reader of each place finds, the authority last."""
        return [verification.verify(place) for place in self.places(client)]


def versions(client: Any, bucket: str) -> dict[str, int]:
    """How many versions, and marks of deletion, each key of a bucket has, but for the lease, which every beat
    replaces."""
    listed = client.list_object_versions(Bucket=bucket)
    found: dict[str, int] = {}
    for entry in (*listed.get("Versions", ()), *listed.get("DeleteMarkers", ())):
        if not entry["Key"].endswith("/control.json"):
            found[entry["Key"]] = found.get(entry["Key"], 0) + 1
    return found


CRASH = fakes_journal.Crashed("the controller died")
