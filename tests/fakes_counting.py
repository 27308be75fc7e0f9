"""A counting task without a cloud: the real session in a thread, over a folder, and a log that a test may spoil."""

import contextlib
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from burst import ports
from burst.adapters import task_receipts
from burst.adapters.local import folder_store
from burst.task import answering


class QuickClock:
    """Real time, and no wait longer than a hundredth of a second."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        threading.Event().wait(min(seconds, 0.01))


class ThreadTask:
    """`task_receipts.CountingTask` whose program is a thread of this process. `why` says how it ended."""

    def __init__(self, session: answering.CountingSession, source: ports.ReceiptSource, log: list[str]) -> None:
        self.task_id = f"thread:{session.name}"
        self.why: str | None = None
        self._log = log
        self._read = 0
        self._thread = threading.Thread(target=self._serve, args=(session, source), daemon=True)
        self._thread.start()

    def _serve(self, session: answering.CountingSession, source: ports.ReceiptSource) -> None:
        with contextlib.suppress(Exception):
            answering.serve(session, source=source, clock=QuickClock())
        self.why = "it ended"

    def end_reason(self) -> str | None:
        return self.why

    def stop(self) -> None:
        """Its session is over, so it ends by itself."""

    def read_log(self, *, again: bool = False) -> Sequence[str]:
        begin, self._read = 0 if again else self._read, len(self._log)
        return self._log[begin : self._read]


class Counting:
    """Everything around a `TaskReceipts` over a source of this process."""

    def __init__(
        self, folder: Path, source: ports.ReceiptSource, *, live_database_seconds: float | None = None
    ) -> None:
        self._folder = folder
        self.source = source
        self.started: list[ThreadTask] = []
        self.receipts = task_receipts.TaskReceipts(
            start=self._start, place=self.place, clock=QuickClock(), live_database_seconds=live_database_seconds
        )

    def place(self, name: str) -> folder_store.FolderStore:
        folder = self._folder / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder_store.FolderStore(folder)

    def _start(self, name: str, until: datetime) -> ThreadTask:
        log: list[str] = []
        session = answering.CountingSession(
            name=name, place=self.place(name), until=until, idle_seconds=60.0, say=log.append
        )
        task = ThreadTask(session, self.source, log)
        self.started.append(task)
        return task
