"""The sum of preflight: whether the tasks of a plan can send its rate at all.

By Little's law so many events are on their way at a time as become due while one answer takes. The canary says how
long an answer takes, and whether the ingest keeps the connection open for the next event.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from burst.domain.basics import wording
from burst.domain.plan import plans
from burst.domain.preflight import findings
from burst.domain.tasks import ecs_definitions

SENDERS = 1000
"""The most senders of burst's own profile in a task, where `load.users` says none."""
OWN_FILES = 64
"""The files that a load program has open beside its connections."""
EVENTS_PER_CORE_SECOND = 4300.0
"""The events a second that the shipped profile may send on one core: an event took 0.23 ms of processor time at a slow
pace on a busy machine, and 0.10 ms close to the limit, by `make bench ARGS=load`, Python 3.11 on x86, without TLS."""
FASTEST_CORE = 4.0
"""How many times faster a processor may be than the measured one; a load that needs more cannot be sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryAnswer:
    """The ingest's answer to the canary. `seconds` are those of an event as the burst's own take them: from the
    sending, or from the connecting where the ingest closes each connection."""

    status: int
    seconds: float
    keeps_connection: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class SendingHost:
    """A host of load programs: the machine of all local tasks, or the network interface and vCPUs of one ECS task."""

    tasks: int
    """How many tasks share it."""
    cores: float | None
    files: int | None
    """How many files each program may have open."""
    ports: int
    """How many connections it may have to one address."""
    port_rest_seconds: float
    """How long a port rests after its connection was closed."""

    @property
    def busy_cores(self) -> float | None:
        """The cores that the programs can use: each is one process, which keeps to one core."""
        return None if self.cores is None else min(self.cores, float(self.tasks))


LINUX_PORTS = 28232
"""The ports of an outgoing connection on Linux by default, 32768 to 60999."""
LINUX_PORT_REST_SECONDS = 60.0
"""How long Linux keeps a closed connection's port (TIME_WAIT)."""
FARGATE_FILES = 65535
"""The nofile limit of a Fargate container whose definition names none."""


def describe_ecs_host(definition: ecs_definitions.Definition) -> SendingHost:
    """The host of one ECS task: an interface of its own."""
    return SendingHost(
        tasks=1,
        cores=None if definition.size is None else definition.size.vcpu,
        files=definition.files or FARGATE_FILES,
        ports=LINUX_PORTS,
        port_rest_seconds=LINUX_PORT_REST_SECONDS,
    )


def judge_sending(plan: plans.Plan, answer: CanaryAnswer | None, host: SendingHost) -> findings.Finding:
    """Whether the tasks can send the rate. Without an answer of the canary only the cores are judged."""
    if plan.highest_rate is None:
        return findings.report_pass("sending", "the program decides its rate")
    each = plan.highest_rate / 60 / plan.target.tasks
    share = f"{each:.4g} events a second a task{' at most' if plan.rate_plan else ''}"
    problems = [*_judge_cores(plan, each, host)]
    if answer is None and not problems:
        doubt = f"{share}; no canary was answered, so nobody knows how many senders that takes"
        return findings.report_warning("sending", doubt, mend="mend what the finding of the canary names")
    if answer is None:
        return _report(share, problems, "")
    problems += [*_judge_senders(plan, each, answer, host), *_judge_ports(plan, each, answer, host)]
    share = f"{share}, each answered in {answer.seconds * 1000:.3g} ms"
    return _report(share, problems, _doubt_cores(plan, each, host))


def _report(share: str, problems: list[str], doubt: str) -> findings.Finding:
    if problems:
        return findings.report_refusal("sending", "; ".join([share, *problems]))
    if doubt:
        return findings.report_warning("sending", f"{share}; {doubt}")
    return findings.report_pass("sending", f"{share}; the tasks can send that")


def _judge_cores(plan: plans.Plan, each: float, host: SendingHost) -> Iterator[str]:
    if not plan.load.runs_own_profile or host.busy_cores is None:
        return
    rate, most = each * host.tasks, host.busy_cores * EVENTS_PER_CORE_SECOND * FASTEST_CORE
    if rate > most:
        tasks = wording.format_count(host.tasks, "task")
        yield (
            f"{tasks} on {host.busy_cores:g} cores would send {rate:.0f} a second, and no processor sends more than "
            f"about {most:.0f}"
        )


def _doubt_cores(plan: plans.Plan, each: float, host: SendingHost) -> str:
    """Why the cores may not carry the rate; empty where they do. ECS tasks have the check of their size."""
    if not plan.load.runs_own_profile or host.busy_cores is None or plan.target.kind != "local":
        return ""
    carried = host.busy_cores * EVENTS_PER_CORE_SECOND
    if each * host.tasks <= carried:
        return ""
    return f"{host.busy_cores:g} cores of this machine were to send about {carried:.0f} a second at most"


def _judge_senders(plan: plans.Plan, each: float, answer: CanaryAnswer, host: SendingHost) -> Iterator[str]:
    """By the senders of burst's own profile, and the files that any program has open for as many events."""
    needed, most = math.ceil(_limit_by_source(plan, each * answer.seconds, 1)), plan.load.users or SENDERS
    if plan.load.runs_own_profile and needed > most:
        yield f"that takes {needed} senders a task, and a task has {most} at most (load.users)"
    if host.files is not None and needed + OWN_FILES > host.files:
        yield f"that takes {needed} connections a task, and a program may open {host.files} files"


def _judge_ports(plan: plans.Plan, each: float, answer: CanaryAnswer, host: SendingHost) -> Iterator[str]:
    """No port is free again before it has rested: a window that is shorter takes one for each of its events."""
    if answer.keeps_connection:
        return
    rate = each * host.tasks
    seconds = min(host.port_rest_seconds, plan.budget.window_seconds)
    taken = _limit_by_source(plan, rate * seconds, host.tasks)
    if taken > host.ports:
        yield (
            f"the ingest closes each connection, and each port rests {host.port_rest_seconds:g} s after it: "
            f"{rate:.0f} connections a second take {taken:.0f} ports of {host.ports}"
        )


def _limit_by_source(plan: plans.Plan, events: float, tasks: int) -> float:
    """The events of so many tasks, which are no more than their part of the source."""
    source = plan.load.source_events
    return events if source is None else min(events, source * tasks / plan.target.tasks)
