"""DSN places: which texts read as the DSN of a Postgres database, and how one is shown without any credential."""

import re

import psycopg
from psycopg import conninfo

from burst.adapters.postgres import connections
from burst.domain.basics import errors, redaction

# As programs write them: with the driver of SQLAlchemy behind a plus, or as Java does.
_URL = re.compile(r"(?:jdbc:)?postgres(?:ql)?(?:\+\w+)?://(?P<place>.+)", re.IGNORECASE | re.DOTALL)
_KEYWORD = re.compile(r"(^|\s)(host|hostaddr|dbname|service)\s*=\s*\S")
_DEFAULTS = {"host": "libpq's default host", "dbname": "libpq's default database", "user": "libpq's default role"}


def reads_as_dsn(text: str) -> bool:
    """Whether a text is the DSN of a Postgres database: a URL, or keywords of which one names host or database."""
    if _URL.fullmatch(text.strip()):
        return True
    if "://" in text or not _KEYWORD.search(text):
        return False
    try:
        return bool(conninfo.conninfo_to_dict(text))
    except psycopg.Error:
        return False


def write_for_libpq(text: str) -> str:
    """The DSN of another program as libpq takes it: its address without the name of a driver, and without white space
    around it. What libpq does not know of it stays, and is then refused."""
    match = _URL.fullmatch(text.strip())
    return f"postgresql://{match['place']}" if match else text.strip()


def describe_dsn(dsn: redaction.Secret) -> str:
    """Host, port, database and role of a DSN, and nothing else of it. Raises `errors.UsageError` for no DSN."""
    parameters = {name: str(value) for name, value in connections.read_parameters(dsn.reveal()).items()}
    if "service" in parameters:
        return f"libpq's service {parameters['service']}"
    hosts = (parameters.get("host") or parameters.get("hostaddr") or _DEFAULTS["host"]).split(",")
    ports = (parameters.get("port") or "").split(",")
    ports = ports * len(hosts) if len(ports) == 1 else ports
    places = ",".join(f"{host}:{port}" if port else host for host, port in zip(hosts, ports, strict=False))
    role = parameters.get("user") or _DEFAULTS["user"]
    return f"{places}/{parameters.get('dbname') or parameters.get('user') or _DEFAULTS['dbname']} as {role}"


def describe_reference(dsn: redaction.Secret) -> str:
    """As `describe_dsn`, in words where the DSN cannot be read."""
    try:
        return describe_dsn(dsn)
    except errors.UsageError:
        return "no readable DSN"
