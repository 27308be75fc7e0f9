"""Measuring: counts the attempt window, asks the facts, and freezes both as documents of the run."""

from collections.abc import Callable

from burst import ports
from burst.control import (
    drill_windows,
    driver_watch,
    duplicate_figures,
    facts,
    live_counting,
    pausing,
    recorder,
    reproducing,
    run_documents,
)
from burst.domain.basics import errors, instants, windows
from burst.domain.plan import plans
from burst.domain.run.events import ending_events
from burst.kit import measure


class Measuring:
    """The measuring of one run, once its tasks have ended."""

    def __init__(
        self,
        *,
        plan: plans.Plan,
        record: recorder.Recorder,
        source: ports.ReceiptSource,
        driver: driver_watch.DriverWatch,
        documents: run_documents.RunDocuments,
        read_document: facts.ReadDocument,
        clock: ports.Clock,
    ) -> None:
        self._plan = plan
        self._record = record
        self._source = source
        self._driver = driver
        self._documents = documents
        self._read_document = read_document
        self._clock = clock

    def freeze_figures(
        self, window: windows.Window, freeze_load: Callable[[], None], is_interrupted: Callable[[], bool]
    ) -> None:
        """Counts and asks, and journals the counts, or why there are none. The load is frozen before them: the counts
        state its end."""
        try:
            measured = self._freeze_answers(window, freeze_load, is_interrupted)
        except errors.PublicationFailed:
            raise
        except errors.BurstError as exc:
            self._driver.note()
            self._record.note(ending_events.MeasureFailed(why=str(exc)))
            return
        self._driver.note()
        self._record.note(
            ending_events.Measured(counts=measured.count.counts, rounds=len(measured.rounds), settled=measured.settled)
        )

    def _freeze_answers(
        self, window: windows.Window, freeze_load: Callable[[], None], is_interrupted: Callable[[], bool]
    ) -> measure.Measurement:
        plan, source, clock = self._plan, self._source, self._clock
        give_up_at = instants.later(clock.now(), plan.receipts.patience_seconds)
        patience = pausing.QuestionPatience(clock=clock, give_up_at=give_up_at, is_interrupted=is_interrupted)
        measured = self._count(window, patience)
        self._driver.look()
        answers = facts.ask_facts(plan, source, self._read_document, patience)
        driver_of_facts = self._driver.describe()
        duplicates = duplicate_figures.ask_duplicates(plan, source, measured, clock)
        parts = drill_windows.count_parts(plan, self._record.run, window, source, patience)
        # Last of all that is counted: no gate rests on it, and it takes no time from those that do.
        live = live_counting.check_slices(self._record.run, measured, source, patience, lead_seconds=plan.lead_seconds)
        self._driver.look()
        freeze_load()
        driver = self._driver.describe(measured.count.pages or driver_watch.PAGES_NOT_TOLD)
        self._documents.freeze_metrics(measured, live, driver=driver, duplicates=duplicates, drills=parts)
        self._documents.freeze_facts(answers, driver=driver_of_facts)
        self._ask_reproduction(patience)
        return measured

    def _count(self, window: windows.Window, patience: pausing.QuestionPatience) -> measure.Measurement:
        """Counts a window; a count without an answer is repeated."""
        settling = measure.Settling(settle_seconds=self._plan.receipts.settle, give_up_at=patience.give_up_at)
        return patience.ask(
            lambda: measure.measure(
                self._source,
                window=window,
                scope=self._plan.scope,
                bucket_seconds=self._plan.receipts.bucket,
                settling=settling,
                clock=self._clock,
                is_interrupted=patience.is_interrupted,
            )
        )

    def _ask_reproduction(self, patience: pausing.QuestionPatience) -> None:
        """Asks the key sets of both scopes, where the run reproduces another."""
        section = self._plan.reproduces
        if section is None:
            return
        self._documents.freeze_reproduction(
            lambda reference: reproducing.ask_reproduction(
                self._plan, section, reference, self._source, self._read_document, patience
            )
        )
