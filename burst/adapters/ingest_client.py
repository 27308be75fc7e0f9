"""The ingest client of preflight: one event pushed over HTTP, as the burst's own are.

Of the answer it returns the status, and what sending more of them takes: its words prove nothing, and the receipt
decides.
"""

import http.client
import socket
import time
import urllib.parse

from burst.domain.basics import errors
from burst.domain.plan import plans
from burst.domain.preflight import sending
from burst.load import event_kinds

ANSWER_SECONDS = 10.0
"""How long one answer may take, as in the load profile."""


class Ingest:
    """One ingest. `host` is its address in the plan, `route` where events are posted."""

    def __init__(self, host: str, route: str = event_kinds.PUSH_PATH, key_header: str = event_kinds.KEY_HEADER) -> None:
        self.url = f"{host}{route}"
        self._key_header = key_header
        self._parts = urllib.parse.urlsplit(host)
        self._path = f"{self._parts.path}{route}"

    @classmethod
    def of_plan(cls, plan: plans.Plan, host: str) -> "Ingest":
        """The ingest at a host, by the plan's route and header."""
        return cls(host, plan.load.push_route, plan.load.key_header or event_kinds.KEY_HEADER)

    @property
    def _address(self) -> tuple[str, int]:
        return str(self._parts.hostname), self._parts.port or (443 if self._parts.scheme == "https" else 80)

    def reach(self) -> str:
        """Resolves the name and connects. Raises `errors.Unavailable` where either fails."""
        name, port = self._address
        try:
            with socket.create_connection((name, port), timeout=ANSWER_SECONDS):
                return f"{name}:{port} takes connections"
        except socket.gaierror as exc:
            raise errors.Unavailable(f"{name} cannot be resolved: {exc.strerror}") from exc
        except OSError as exc:
            raise errors.Unavailable(f"{name}:{port} cannot be reached: {exc.strerror or exc}") from exc

    def push(self, event: bytes, api_key: str | None) -> sending.CanaryAnswer:
        """Pushes one event. Raises `errors.Unavailable` where there is no answer."""
        name, port = self._address
        kind = http.client.HTTPSConnection if self._parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(name, port, timeout=ANSWER_SECONDS)
        headers = {"Content-Type": "application/json"} | ({self._key_header: api_key} if api_key is not None else {})
        try:
            began = time.monotonic()
            connection.connect()
            connected = time.monotonic()
            connection.request("POST", self._path, body=event, headers=headers)
            response = connection.getresponse()
            keeps_connection = not response.will_close
            response.read()
            seconds = time.monotonic() - (connected if keeps_connection else began)
            return sending.CanaryAnswer(status=response.status, seconds=seconds, keeps_connection=keeps_connection)
        except TimeoutError as exc:
            raise errors.Unavailable(f"POST {self.url} was not answered in {ANSWER_SECONDS:g} s") from exc
        except (OSError, http.client.HTTPException) as exc:
            raise errors.Unavailable(f"POST {self.url} was not answered: {type(exc).__name__}") from exc
        except ValueError as exc:
            raise errors.UsageError("load.api_key cannot be sent in a header (hidden): it is not one line") from exc
        finally:
            connection.close()
