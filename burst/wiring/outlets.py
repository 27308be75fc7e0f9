"""Outlets of a run: those of its plan, or of the file that `BURST_OUTLETS` names where the plan has none.

Made before anything is launched, so that a mistake is told in time; once a run goes on, no outlet can stop it.
"""

import contextlib
import importlib.util
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pydantic
import yaml

from burst import ports
from burst.adapters import secrets
from burst.adapters.local import system_clock
from burst.adapters.outlets import cd_events, event_bridge, notices, open_metrics_file, telemetry, webhook
from burst.control import telling
from burst.domain.basics import errors, redaction
from burst.domain.plan import outlet_sections, plans
from burst.kit import files

VARIABLE = "BURST_OUTLETS"
_LIBRARIES = {
    "cdevents": "cloudevents",
    "otlp": "opentelemetry.exporter",
    "openmetrics": "prometheus_client",
    "notify": "apprise",
}


def open_outlets(plan: plans.Plan) -> tuple[ports.Outlet, ...]:
    """The outlets of a plan. Raises `errors.UsageError` where one cannot be made: nothing is launched then."""
    section = plan.outlets or _read_variable()
    return tuple(_list_outlets(section)) if section is not None else ()


def begin(outlets: tuple[ports.Outlet, ...]) -> telling.Telling:
    """Outlets that can be told; words about one that failed hold no secret."""
    return telling.Telling(outlets, redactor=redaction.Redactor(secrets.RESOLVED))


def begin_again(plan: plans.Plan, say: Callable[[str], None]) -> telling.Telling:
    """The outlets of a run that goes on. Where one cannot be made any more, that is said, and none is told: the run
    comes first."""
    try:
        return begin(open_outlets(plan))
    except errors.BurstError as failure:
        say(f"no outlet is told of this run: {failure}; the verdict does not depend on it")
        return begin(())


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
    for name, library in _LIBRARIES.items():
        if getattr(section, name) is not None:
            _require(name, library)
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


def _require(name: str, library: str) -> None:
    with contextlib.suppress(ModuleNotFoundError):
        if importlib.util.find_spec(library) is not None:
            return
    raise errors.UsageError(f"outlets.{name} needs the extra outlets: pip install 'burst[outlets]', or leave it out")
