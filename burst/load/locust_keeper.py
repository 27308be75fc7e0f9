"""Keeps what Locust writes at its end, with the totals of its very end: Locust's own files may lack the last seconds,
and a task that is ended by TERM has no page at all."""

import csv
import io
from collections.abc import Callable
from typing import Any

from locust import html, runners, stats

from burst.load import kept_files, locust_account


class LocustKeeper:
    """Writes the files of one process into its account. A worker of Locust's leaves that to its master."""

    def __init__(
        self, kinds: tuple[str, ...], account: locust_account.LocustAccount, process: int | None = None
    ) -> None:
        self._kinds = kinds
        self._process = process
        self._account = account
        self._environment: Any = None

    def attach(self, events: Any) -> None:
        """Listen to the events of Locust; the account has to listen to them first."""
        events.init.add_listener(self._begin)
        events.quit.add_listener(self._keep)  # after the last user has ended

    def _begin(self, environment: Any, **_: Any) -> None:
        self._environment = environment

    def _keep(self, **_: Any) -> None:
        if self._environment is None or isinstance(self._environment.runner, runners.WorkerRunner):
            return
        writers: dict[str, Callable[[], str]] = {
            "stats.csv": lambda: self._write_table("requests_csv"),
            "failures.csv": lambda: self._write_table("failures_csv"),
            "exceptions.csv": lambda: self._write_table("exceptions_csv"),
            "report.html": self._render_page,
        }
        for name in kept_files.list_names(self._kinds):
            self._account.keep(kept_files.name_file(name, self._process), writers[name]())

    def _render_page(self) -> str:
        page: str = html.get_html_report(self._environment, show_download_link=False)
        return page

    def _write_table(self, table: str) -> str:
        text = io.StringIO()
        tables = stats.StatsCSV(self._environment, stats.PERCENTILES_TO_REPORT)
        getattr(tables, table)(csv.writer(text))
        return text.getvalue()
