"""Outlets of a run: those of its plan, or of the file that `BURST_OUTLETS` names where the plan has none.

Made before anything is launched, so that a mistake is told in time; once a run goes on, no outlet can stop it.
"""

import contextlib
import importlib.util
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pydantic
import yaml

from burst import ports
from burst.adapters import secrets
from burst.adapters.local import folder_store, system_clock
from burst.adapters.outlets import cd_events, event_bridge, notices, open_metrics_file, telemetry, webhook
from burst.control import telling
from burst.domain.basics import errors, redaction
from burst.domain.documents import document_names, models, run_records
from burst.domain.plan import outlet_sections, plans
from burst.domain.verdict import run_messages
from burst.kit import files

VARIABLE = "BURST_OUTLETS"
_LIBRARIES = {
    "cdevents": ("cloudevents",),
    "otlp": ("opentelemetry.exporter.otlp.proto.common", "opentelemetry.sdk.metrics"),
    "openmetrics": ("prometheus_client",),
    "notify": ("apprise",),
}


def open_outlets(plan: plans.Plan) -> tuple[ports.Outlet, ...]:
    """The outlets of a plan. Raises `errors.UsageError` where one cannot be made: nothing is launched then."""
    section = plan.outlets or _read_variable()
    return tuple(_list_outlets(section)) if section is not None else ()


def begin(outlets: tuple[ports.Outlet, ...], told_before: Collection[str] = ()) -> telling.Telling:
    """Outlets that can be told; words about one that failed hold no secret."""
    return telling.Telling(outlets, redactor=redaction.Redactor(secrets.RESOLVED), told_before=told_before)


def begin_again(plan: plans.Plan, say: Callable[[str], None], told_before: Collection[str] = ()) -> telling.Telling:
    """The outlets of a run that goes on, but for those that were told already. Where one cannot be made any more, that
    is said, and none is told: the run comes first."""
    try:
        return begin(open_outlets(plan), told_before)
    except errors.BurstError as failure:
        say(f"no outlet is told of this run: {failure}; the verdict does not depend on it")
        return begin(())


def begin_record(folder: Path, execution_id: str) -> None:
    """Begins the record of the outlets that were told how a run ended: none yet.

    Where it cannot be written, the run goes on, and a resume tells no outlet again.
    """
    with contextlib.suppress(OSError):
        files.replace(folder / document_names.TOLD, run_records.ToldOutlets(execution_id=execution_id).content())


def tell_end(
    teller: telling.Telling, folder: Path, message: run_messages.RunMessage, say: Callable[[str], None]
) -> None:
    """Tells how a run ended, waits for the outlets, and keeps in the folder of the run which of them took it."""
    teller.tell(message)
    teller.close(say)
    names = teller.list_told(message)
    if not names:
        return
    record = run_records.ToldOutlets(
        execution_id=message.execution_id,
        message_id=message.id,
        outlets=sorted({*names, *(_read_told(folder, message) or ())}),
        told_utc=datetime.now(UTC),
    )
    try:
        files.replace(folder / document_names.TOLD, record.content())
    except OSError as failure:
        say(f"{folder / document_names.TOLD} cannot be written: {failure.strerror}; a resume tells the outlets again")


def tell_end_again(
    plan: plans.Plan, folder: Path, message: run_messages.RunMessage, say: Callable[[str], None]
) -> None:
    """Tells how a finished run ended to each outlet that did not take it: its controller may have died before."""
    names = _read_told(folder, message)
    if names is not None:
        tell_end(begin_again(plan, say, names), folder, message, say)


def _read_told(folder: Path, message: run_messages.RunMessage) -> Sequence[str] | None:
    """The outlets that took the message, none where the record cannot be read: a message that comes twice has one id.

    None where there is no record.
    """
    try:
        record = models.read(run_records.ToldOutlets, folder_store.FolderStore(folder).read(document_names.TOLD))
    except errors.EvidenceIncomplete:
        return None
    except errors.BurstError:
        return ()
    return record.outlets if record.message_id == message.id else ()


def _read_variable() -> outlet_sections.OutletsSection | None:
    named = os.environ.get(VARIABLE, "")
    if not named:
        return None
    text = files.read_named_text(Path(named), VARIABLE)
    try:
        return outlet_sections.OutletsSection.model_validate(yaml.safe_load(text))
    except yaml.YAMLError as failure:
        raise errors.UsageError(f"{VARIABLE}={named}: no YAML; allowed: the keys of outlets in a plan") from failure
    except pydantic.ValidationError as failure:
        words = "; ".join(
            f"{'.'.join(map(str, problem['loc'])) or 'outlets'}: {problem['msg']}"
            for problem in failure.errors(include_input=False)
        )
        raise errors.UsageError(f"{VARIABLE}={named}: {words}") from None


def _list_outlets(section: outlet_sections.OutletsSection) -> Iterator[ports.Outlet]:
    for name, libraries in _LIBRARIES.items():
        if getattr(section, name) is not None:
            _require(name, libraries)
    clock = system_clock.SystemClock()
    for hook in section.webhook or ():
        yield webhook.Webhook(_resolve(hook.url), secrets.resolve(hook.key) if hook.key else None, clock)
    for receiver in section.cdevents or ():
        yield cd_events.CdEvents(_resolve(receiver.url))
    if section.eventbridge is not None:
        yield event_bridge.EventBridge(section.eventbridge.bus, region=section.eventbridge.region)
    if section.otlp is not None:
        yield telemetry.Telemetry(_resolve(section.otlp.endpoint))
    if section.openmetrics is not None:
        yield open_metrics_file.OpenMetricsFile(Path(section.openmetrics))
    for address in section.notify or ():
        yield notices.Notices(secrets.resolve(address))


def _resolve(address: str) -> redaction.Secret:
    """An address as it stands, or the secret that it names."""
    return secrets.resolve(address) if secrets.is_reference(address) else redaction.Secret(address)


def _require(name: str, libraries: Sequence[str]) -> None:
    with contextlib.suppress(ModuleNotFoundError):
        if all(importlib.util.find_spec(library) is not None for library in libraries):
            return
    raise errors.UsageError(f"outlets.{name} needs the extra outlets: pip install 'burst[outlets]', or leave it out")
