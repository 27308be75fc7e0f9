"""What this machine gives the load programs of a local plan: cores, open files, ports."""

import ipaddress
import os
import resource
import urllib.parse
from pathlib import Path

from burst.domain.plan import plans
from burst.domain.preflight import sending

LOCUST_FILES = 10_000
"""The limit to which Locust raises its own, where the machine lets it."""
_PORTS = Path("/proc/sys/net/ipv4/ip_local_port_range")
_PORT_REUSE = Path("/proc/sys/net/ipv4/tcp_tw_reuse")
_REUSED_AFTER_SECONDS = 1.0
_REUSED_BY_ALL, _REUSED_ON_LOOPBACK = "1", "2"


def describe_machine(plan: plans.Plan) -> sending.SendingHost:
    """This machine, which all tasks of a local plan share."""
    return sending.SendingHost(
        tasks=plan.target.tasks,
        cores=float(_count_cores()),
        files=_read_files(),
        ports=_read_ports(),
        port_rest_seconds=_read_port_rest(is_loopback(plan.load.host or "")),
    )


def is_loopback(host: str) -> bool:
    """Whether a plan's host is this machine by its name or address."""
    name = urllib.parse.urlsplit(host).hostname or ""
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"


def _count_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _read_files() -> int | None:
    """The limit of a load program; None where there is none."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if resource.RLIM_INFINITY in (soft, hard):
        return None if soft == resource.RLIM_INFINITY else max(soft, LOCUST_FILES)
    return max(soft, min(hard, LOCUST_FILES))


def _read_ports() -> int:
    try:
        first, last = _PORTS.read_text().split()
    except OSError:
        return sending.LINUX_PORTS  # not Linux; others have about as many
    return int(last) - int(first) + 1


def _read_port_rest(loopback: bool) -> float:
    """Linux may use the port of a closed connection again after a second."""
    try:
        reuse = _PORT_REUSE.read_text().strip()
    except OSError:
        return sending.LINUX_PORT_REST_SECONDS
    reused = reuse == _REUSED_BY_ALL or (reuse == _REUSED_ON_LOOPBACK and loopback)
    return _REUSED_AFTER_SECONDS if reused else sending.LINUX_PORT_REST_SECONDS
