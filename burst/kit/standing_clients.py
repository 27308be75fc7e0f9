"""Standing clients: clients of AWS that outlive their keys.

A controller, a guard and a store hold their clients for hours, and a client keeps for life the keys it was made with.
After AWS has refused those keys, the next call is made by a client of the credentials as they are then, from
variables, files or a role. A call is repeated at once only where these have changed already: a refused call did
nothing.
"""

import contextlib
import functools
import threading
from collections.abc import Callable
from typing import Any

from burst.domain.basics import errors


class StandingClient:
    """Every attribute of a botocore client; each operation goes to the newest client that the keys required."""

    def __init__(
        self,
        first: Any,
        *,
        renew: Callable[[], Any],
        read_sources: Callable[[], Any],
        note_refusal: Callable[[Any], None],
        is_refusal: Callable[[Exception], bool],
    ) -> None:
        self._renew = renew
        self._read_sources = read_sources
        self._note_refusal = note_refusal
        self._is_refusal = is_refusal
        self._changing = threading.Lock()
        self._keys_refused = False
        self._sources = read_sources()
        self._client = first

    def __getattr__(self, name: str) -> Any:
        """An operation that finds its client when it is called, or any other attribute of the present client."""
        if name.startswith("__") or name == "_client":
            raise AttributeError(name)
        if name in self._client.meta.method_to_api_mapping:
            return functools.partial(self._call, name)
        return getattr(self._client, name)

    def _call(self, operation: str, /, **parameters: Any) -> Any:
        client = self._take_client()
        try:
            return getattr(client, operation)(**parameters)
        except Exception as exc:
            if not self._is_refusal(exc):
                raise
            if not self._has_newer_keys(client):
                raise
        return getattr(self._take_client(), operation)(**parameters)

    def _has_newer_keys(self, client: Any) -> bool:
        """Whether a repeat of a call of this client, whose keys were refused, would have keys of other sources."""
        with self._changing:
            if client is not self._client:
                return True  # another thread has replaced it meanwhile
            self._keys_refused = True
            return bool(self._read_sources() != self._sources)

    def _take_client(self) -> Any:
        """The present client; a new one where its keys were refused. Where none can be made, the old one stays."""
        with self._changing:
            if self._keys_refused:
                self._note_refusal(self._sources)
                sources = self._read_sources()
                with contextlib.suppress(errors.BurstError):  # the refusal of its keys says enough
                    self._client = self._renew()
                    self._sources, self._keys_refused = sources, False
            return self._client
