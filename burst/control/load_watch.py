"""The load watch: the controller's looks at the load accounts while the burst goes on.

They are read on a thread of their own, so that no look waits for them. An account that cannot be read says nothing: the
run goes on, and its gate is answered from what is read at the end.
"""

from burst import ports
from burst.control import load_accounts, questions_aside, recorder
from burst.domain.documents import load_documents
from burst.domain.run import runs
from burst.domain.run.events import watch_events

LOOK_SECONDS = 5.0
TASKS_A_SECOND = 20
"""A run of more than a hundred tasks is looked at less often: on S3 each account is a call."""


class LoadWatch:
    """Looks at the accounts of one run."""

    def __init__(
        self,
        *,
        accounts: ports.LoadAccounts | None,
        record: recorder.Recorder,
        clock: ports.Clock,
        scope: str,
        tasks: int,
    ) -> None:
        self._accounts = accounts
        self._record = record
        self._clock = clock
        self._scope = scope
        self._read_before: load_documents.Load | None = None
        self._question = questions_aside.Question(self._read, max(LOOK_SECONDS, tasks / TASKS_A_SECOND))

    def look(self) -> None:
        """Journals what the accounts said since the last look, and asks again where it is time to."""
        run = self._record.run
        if self._accounts is None or run.go_at is None or run.stopping is not None:
            return
        outcome = self._question.take(0.0)
        counted = None if outcome is None else outcome.answer
        if counted is not None and _has_news(run.load, counted):
            self._record.note(counted)
        self._question.begin(self._clock.now())

    def _read(self) -> watch_events.LoadCounted | None:
        if self._accounts is None:
            return None
        read = load_accounts.parse(self._accounts.read())
        run = self._record.run
        document = load_accounts.build_document(read, execution_id=run.execution_id, scope=self._scope)
        if document is None:
            return None
        before, self._read_before = self._read_before, document
        return load_accounts.summarize(document, before)


def _has_news(before: runs.LoadView | None, counted: watch_events.LoadCounted) -> bool:
    return before is None or (before.tasks, before.due, before.in_time, before.sent, before.answered) != (
        counted.tasks,
        counted.due,
        counted.in_time,
        counted.sent,
        counted.answered,
    )
