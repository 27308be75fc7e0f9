"""The load of a plan: the program of each task, its rate, and what the program is given."""

import pathlib
import re
import urllib.parse
from typing import Annotated, Any, Literal, Self

import pydantic

from burst.domain.plan import event_sections, field_types, playback_sections, rate_sections, sections
from burst.load import event_kinds, rate_plans, shard_values, task_processes

OWN_PROFILE = "locustfiles/ingest.py"
"""The path, or the end of it, under which plans name burst's own locustfile. It reads rate, profile and source."""
PLAYBACK_PROFILE = "locustfiles/playback.py"
"""The path, or the end of it, under which plans name burst's own playback."""
OWN_PROFILES = ("steady", "replay", *rate_plans.NAMED)
LOCUST_OPTIONS_OF_BURST = (
    *("-f", "--locustfile", "--config", "--headless", "--headful", "--autostart", "--autoquit", "-H", "--host"),
    *("-u", "--users", "-r", "--spawn-rate", "-t", "--run-time", "-T", "--tags", "--master", "--worker"),
    *("--master-host", "--master-port", "--master-bind-host", "--master-bind-port"),
    *("--expect-workers", "--expect-workers-max-wait"),
    *("-l", "--list", "-h", "--help", "-V", "--version", "--show-task-ratio", "--show-task-ratio-json"),
)
"""Options of Locust that burst gives itself, that a key of the plan stands for, or that start no load."""


def name_program(value: str | int | float | None) -> str | int | float | None:
    """A value, burst's own profile by its own name, wherever it lies."""
    own = isinstance(value, str) and f"/{value}".endswith(f"/{OWN_PROFILE}")
    return OWN_PROFILE if own else value


def port_fits(host: str) -> bool:
    """Whether the port of a host is one, or there is none."""
    try:
        return urllib.parse.urlsplit(host).port != 0
    except ValueError:
        return False


_STANDS_FOR = {
    "-H": "load.host says it", "--host": "load.host says it",
    "-u": "load.users says it", "--users": "load.users says it",
    "-r": "load.spawn_rate says it", "--spawn-rate": "load.spawn_rate says it",
    "-T": "load.tags says it", "--tags": "load.tags says it",
    "-t": "budget.window ends the load", "--run-time": "budget.window ends the load",
    "--master": "load.topology distributed starts it", "--worker": "load.topology distributed starts it",
    "--master-host": "load.topology distributed says it", "--master-port": "load.topology distributed says it",
    "--expect-workers": "load.topology distributed says it",
    "--config": "a plan holds the whole load; give its options here",
}  # fmt: skip


def _find_taken_option(word: str) -> str | None:
    """The option of burst's that a word for Locust is, or is short for: Locust takes every unambiguous beginning."""
    flag = word.partition("=")[0]
    if flag.startswith("--"):
        return next((taken for taken in LOCUST_OPTIONS_OF_BURST if len(flag) > 2 and taken.startswith(flag)), None)
    return next((taken for taken in LOCUST_OPTIONS_OF_BURST if len(taken) == 2 and word.startswith(taken)), None)


class LoadSection(pydantic.BaseModel):
    """The program of each task: a locustfile with host, profile and rate, or any command."""

    model_config = sections.STRICT

    locustfile: Annotated[
        str | Annotated[list[str], pydantic.Field(min_length=1)] | None,
        pydantic.Field(description="A file of Locust's, or several; an ordinary one is started at GO."),
    ] = None
    host: str | None = None
    """The system under load: scheme, host and port; the load program adds the route."""
    profile: field_types.Name = "steady"
    """The shape of the load of burst's own program, such as steady or replay."""
    rate: rate_sections.RateOrSteps | None = None
    """Events a minute of all tasks, a rate with its unit (1500/s), steps, or auto: multiplier x baseline x headroom."""
    warmup: Annotated[
        field_types.PositiveDuration | None,
        pydantic.Field(description="Sent at the first rate from GO on, and not counted: the counted window follows."),
    ] = None
    headroom: Annotated[float, pydantic.Field(ge=1.0, le=10.0)] = 1.1
    """How much more than is required a rate of auto sends."""
    source_events: field_types.PositiveWhole | None = None
    """The most events that the whole burst can send; replay needs it."""
    api_key: field_types.SecretReference | None = None
    """A reference to the key of the ingest: env:NAME, file:PATH, or a secret of AWS."""
    command: list[str] | None = None
    """Any program in place of a locustfile, as a list of words."""
    environment: dict[str, str] = {}
    """Variables of the load programs."""
    waits_for_go: bool = False
    """true: the command says when it is ready, and waits for GO itself."""
    arrivals: Literal["even", "poisson"] | None = None
    """even: at equal distances. poisson: with random pauses."""
    users: Annotated[int, pydantic.Field(ge=1, le=1_000_000)] | None = None
    """Locust users of a task."""
    spawn_rate: Annotated[float, pydantic.Field(gt=0, le=1e6)] | None = None
    """Users that a task starts a second."""
    arguments: list[str] | None = None
    """Further words on Locust's command line."""
    tags: Annotated[list[field_types.Name], pydantic.Field(min_length=1)] | None = None
    """Only Locust tasks with one of these tags run."""
    user_classes: Annotated[
        list[field_types.Name] | None,
        pydantic.Field(min_length=1, description="The users of the locustfiles that run, by name; all unless said."),
    ] = None
    keep: Annotated[
        list[Literal["csv", "html"]] | None,
        pydantic.Field(min_length=1, description="What Locust writes at its end, as a document of the run."),
    ] = None
    per_shard: Annotated[
        dict[str, Annotated[str, pydantic.Field(min_length=1)] | list[Annotated[str, pydantic.Field(min_length=1)]]]
        | None,
        pydantic.Field(
            min_length=1,
            description="Variables, with a value for each task, or a text with {index}. HOST is a task's own host.",
        ),
    ] = None
    canary: Annotated[
        bool | event_sections.CanarySection,
        pydantic.Field(description="Whether preflight sends one event, and which: the first template's unless said."),
    ] = True
    events: event_sections.EventsSection | None = None
    """The kinds of events to send, instead of burst's own event."""
    route: Annotated[
        str | None,
        pydantic.Field(description="Where events are posted, below the host: /v1/ingest/push unless said."),
    ] = None
    key_header: Annotated[
        str | None,
        pydantic.Field(description="The header that holds the key: X-IG-Api-Key unless said."),
    ] = None
    topology: Annotated[
        Literal["independent", "distributed"] | None,
        pydantic.Field(
            description="distributed: Locust's own master, beside the workers of task 0, leads those of all tasks."
        ),
    ] = None
    processes: Annotated[
        int | None,
        pydantic.Field(
            ge=1,
            le=task_processes.MOST_PROCESSES,
            description="How many processes a task has, each with its part of the task's load; 1 unless said.",
        ),
    ] = None
    playback: playback_sections.PlaybackSection | None = None
    """A recorded stream that is sent again."""
    continues: Annotated[
        bool | None,
        pydantic.Field(description="Whether the playback of the scope goes on behind its checkpoint."),
    ] = None

    @pydantic.field_validator("locustfile")
    @classmethod
    def _apart(cls, value: str | list[str] | None) -> str | list[str] | None:
        files = value if isinstance(value, list) else [value or ""]
        if any("," in file for file in files):
            raise ValueError("expected a list of files, each without a comma, by which Locust parts them")
        if len(set(files)) < len(files):
            raise ValueError("expected each file once")
        return value

    @pydantic.field_validator("user_classes")
    @classmethod
    def _distinct_users(cls, value: list[str] | None) -> list[str] | None:
        if value is not None and len(set(value)) < len(value):
            raise ValueError("expected each user once: its share of the users is its weight in the file")
        return value

    @pydantic.field_validator("keep")
    @classmethod
    def _distinct_kinds(cls, value: list[str] | None) -> list[str] | None:
        if value is not None and len(set(value)) < len(value):
            raise ValueError("expected each kind once")
        return value

    @pydantic.field_validator("host")
    @classmethod
    def _plain_host(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"https?://[^/\s@?#:][^/\s@?#]*(/[^\s@?#]*)?", value):
            raise ValueError("expected http://HOST[:PORT] or https://HOST[:PORT], without user, query or fragment")
        if value is not None and not port_fits(value):
            raise ValueError("expected a port from 1 to 65535, or none")
        if value is not None and "/v1/ingest/push" in value:
            raise ValueError("expected the host alone: the profile adds /v1/ingest/push itself, and twice gives 404")
        return value.rstrip("/") if value is not None else None

    @pydantic.field_validator("route")
    @classmethod
    def _plain_route(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"(/[A-Za-z0-9_.~-]+)+", value):
            raise ValueError("expected a path such as /v1/ingest/push, without query or a / at its end")
        return value

    @pydantic.field_validator("key_header")
    @classmethod
    def _plain_header(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"[A-Za-z][A-Za-z0-9-]{0,63}", value):
            raise ValueError("expected the name of a header, such as X-IG-Api-Key")
        return value

    @pydantic.field_validator("environment")
    @classmethod
    def _own_environment(cls, value: dict[str, str]) -> dict[str, str]:
        for name in value:
            if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) or name.startswith("BURST_"):
                raise ValueError(f"expected names of letters, digits and _, without burst's own BURST_, not {name!r}")
            if field_types.SECRET_NAME.search(name) and not field_types.SECRET_REFERENCE.fullmatch(value[name]):
                raise field_types.Misfit((name,), field_types.REFERENCE_ALLOWED)
        return value

    @pydantic.field_validator("per_shard")
    @classmethod
    def _own_variables(cls, value: dict[str, str | list[str]] | None) -> dict[str, str | list[str]] | None:
        for name, values in (value or {}).items():
            if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) or name.startswith(("BURST_", "LOCUST_")):
                why = "a name of letters, digits and _, without BURST_ and LOCUST_ before it"
                raise field_types.Misfit((name,), why)
            if field_types.SECRET_NAME.search(name):
                raise field_types.Misfit((name,), "no secret: each task would hold those of all")
            if isinstance(values, str) and shard_values.INDEX not in values:
                raise field_types.Misfit(
                    (name,), f"a list with a value for each task, or a text with {shard_values.INDEX}"
                )
        hosts = (value or {}).get(shard_values.HOST, [])
        for index, host in enumerate([hosts] if isinstance(hosts, str) else hosts):
            try:
                cls._plain_host(host.replace(shard_values.INDEX, "0"))
            except ValueError as exc:
                key = (shard_values.HOST,) if isinstance(hosts, str) else (shard_values.HOST, index)
                raise field_types.Misfit(key, str(exc).removeprefix("expected ")) from None
        return value

    def find_shard_values(self, shard_index: int) -> dict[str, str]:
        """The per-shard values of one task, by name; none where there are none, or not for it."""
        try:
            return shard_values.choose_values(self.per_shard or {}, shard_index)
        except IndexError:
            return {}

    @pydantic.model_validator(mode="after")
    def _one_program(self) -> Self:
        if (self.locustfile is None) == (self.command is None):
            raise field_types.Misfit(("locustfile",), "either locustfile or command, and not both")
        if self.command is not None and not self.command:
            raise field_types.Misfit(("command",), "at least a program")
        if self.locustfile is not None and self.host is None:
            raise field_types.Misfit(("host",), "this key is required with a locustfile")
        if self.runs_own_profile and self.rate is None:
            raise field_types.Misfit(("rate",), f"this key is required with {OWN_PROFILE}")
        if self.runs_own_profile and self.profile not in OWN_PROFILES:
            raise field_types.Misfit(("profile",), f"{' or '.join(OWN_PROFILES)}, which {OWN_PROFILE} knows")
        return self

    @pydantic.model_validator(mode="after")
    def _fit_rates(self) -> Self:
        if isinstance(self.rate, list):
            if self.named_profile:
                raise field_types.Misfit(("profile",), f"none that is a rate plan itself, as {self.profile} is")
            try:
                rate_sections.refuse_unfit_steps(self.rate, has_warmup=self.warmup is not None)
            except field_types.Misfit as exc:
                raise field_types.Misfit(("rate", *exc.key), str(exc)) from None
        return self

    @pydantic.model_validator(mode="after")
    def _fit_playback(self) -> Self:
        playback = self.playback
        if self.runs_playback and playback is None:
            raise field_types.Misfit(("playback",), f"this key is required with {PLAYBACK_PROFILE}")
        if self.continues and (playback is None or playback.checkpoint is None):
            raise field_types.Misfit(("continues",), "true only with playback.checkpoint, which says where to go on")
        if playback is None:
            return self
        if self.locustfile is None or self.runs_own_profile:
            raise field_types.Misfit(("playback",), f"nothing: it is played by {PLAYBACK_PROFILE}")
        if self.events is not None:
            raise field_types.Misfit(("events",), "nothing with playback, which sends what was recorded")
        if (self.rate is None) == (playback.speed_up is None):
            raise field_types.Misfit(("rate",), "either a rate or playback.speed_up, and not both")
        if self.profile != "steady":
            raise field_types.Misfit(("profile",), "steady, or none: the recording says what is sent")
        if self.topology == "distributed":
            raise field_types.Misfit(("topology",), "independent, or none: a task plays the keys of its own shard")
        for index, word in enumerate(self.arguments or ()):
            if word.partition("=")[0] == "--processes":
                raise field_types.Misfit(("arguments", index), "no --processes: load.processes says it")
        return self

    @property
    def named_profile(self) -> str | None:
        """The profile of burst's own program that is a rate plan itself; None for another."""
        return self.profile if self.runs_own_profile and self.profile in rate_plans.NAMED else None

    @property
    def steps(self) -> tuple[rate_sections.RateStepSection, ...]:
        """The steps of `rate`, none where it is one rate."""
        return tuple(self.rate) if isinstance(self.rate, list) else ()

    @property
    def waits_for_baseline(self) -> bool:
        """Whether a rate is `auto`, which the baseline replaces when the run begins."""
        return "auto" in (self.rate, *(rate for step in self.steps for rate in (step.rate, step.to)))

    @pydantic.model_validator(mode="after")
    def _fit_locust(self) -> Self:
        for name in ("users", "spawn_rate", "arguments", "tags", "user_classes", "keep"):
            if self.locustfile is None and getattr(self, name) is not None:
                raise field_types.Misfit((name,), "nothing: it is an option of Locust, and a command has its own")
        for index, word in enumerate(self.arguments or ()):
            taken = _find_taken_option(word)
            if taken is not None:
                raise field_types.Misfit(
                    ("arguments", index), f"no {taken}: {_STANDS_FOR.get(taken, 'burst gives it')}"
                )
        return self

    @pydantic.model_validator(mode="after")
    def _fit_processes(self) -> Self:
        if self.is_distributed and self.locustfile is None:
            raise field_types.Misfit(("topology",), "independent: a command has no master of Locust's")
        if self.keep is not None and self.is_distributed:
            raise field_types.Misfit(("keep",), "nothing with topology distributed: its workers write no such files")
        for index, word in enumerate(self.arguments or () if self.needs_guard else ()):
            if word.partition("=")[0] == "--processes":
                raise field_types.Misfit(("arguments", index), "no --processes: load.processes says it")
        if self.users is not None and self.users < self.processes_per_task:
            raise field_types.Misfit(("processes",), f"at most users, which is {self.users}: each has one or more")
        return self

    def list_hosts(self, tasks: int) -> tuple[str, ...]:
        """Every host that so many tasks send to, once each: their own ones, where they have such."""
        if shard_values.HOST not in (self.per_shard or {}):
            return () if self.host is None else (self.host,)
        own = (self.find_shard_values(index).get(shard_values.HOST, "") for index in range(tasks))
        return tuple(dict.fromkeys(host.rstrip("/") for host in own if host))

    @property
    def push_route(self) -> str:
        """Where events are posted, below the host."""
        return self.route or event_kinds.PUSH_PATH

    @property
    def canary_body(self) -> dict[str, Any]:
        """The body of the canary, with its placeholders."""
        if isinstance(self.canary, event_sections.CanarySection):
            return dict(self.canary.body)
        own = self.events.canary_body if self.events else None
        return own or {**event_kinds.describe_reference("burst.canary"), "payload": {"purpose": "preflight"}}

    @property
    def new_share(self) -> float:
        """The share of deliveries that can become ADMIT: all but the duplicates and malformed events asked for."""
        return float(self.events.new) if self.events else 1.0

    @property
    def is_distributed(self) -> bool:
        """Whether Locust's own master leads the processes of all tasks."""
        return self.topology == task_processes.DISTRIBUTED

    @property
    def processes_per_task(self) -> int:
        """How many processes send the load of a task."""
        return self.processes or 1

    @property
    def needs_guard(self) -> bool:
        """Whether only burst's guard can start the processes of a task."""
        return self.is_distributed or self.processes_per_task > 1

    @property
    def locustfiles(self) -> tuple[str, ...]:
        """The locustfiles; none where the plan gives a command."""
        if self.locustfile is None:
            return ()
        return (self.locustfile,) if isinstance(self.locustfile, str) else tuple(self.locustfile)

    @property
    def runs_own_profile(self) -> bool:
        """Whether the locustfile is burst's own, by its path; preflight shows that it takes the barrier's files."""
        own = pathlib.PurePosixPath(OWN_PROFILE).parts
        return isinstance(self.locustfile, str) and pathlib.PurePosixPath(self.locustfile).parts[-len(own) :] == own

    @property
    def runs_playback(self) -> bool:
        """Whether the locustfile is burst's own playback, by its path."""
        own = pathlib.PurePosixPath(PLAYBACK_PROFILE).parts
        return isinstance(self.locustfile, str) and pathlib.PurePosixPath(self.locustfile).parts[-len(own) :] == own

    @property
    def plays_at_speed_up(self) -> bool:
        """Whether the recording decides when its records are due, so that the plan knows no rate."""
        return self.playback is not None and self.playback.speed_up is not None

    @property
    def holds_barrier(self) -> bool:
        """Whether the program itself waits for GO, or Locust's master does for it. The guard starts any other program
        at GO."""
        return self.waits_for_go or self.runs_own_profile or self.runs_playback or self.is_distributed
