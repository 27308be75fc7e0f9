"""The settings of a load program as options of Locust: added once, whichever of several locustfiles need them."""

from typing import Any

from locust import events

from burst.load import load_settings

USERS = 32
"""Enough senders that plain `locust -f` keeps the rate."""
_SHOWN_IN_PAGE = frozenset(
    {load_settings.SCOPE, load_settings.RATE_PER_MINUTE, load_settings.SOURCE_EVENTS, load_settings.ARRIVALS}
)
"""The settings that a person changes between two starts from the web page; the others are those of the task."""
_offered: list[bool] = []


def offer_settings() -> None:
    """Offers every setting as an option too, with its variable as its twin; and users enough. A second call of a
    process changes nothing."""
    if not _offered:
        _offered.append(True)
        events.init_command_line_parser.add_listener(_add_options)


def _add_options(parser: Any) -> None:
    for name, (default, help_text) in load_settings.SETTINGS.items():
        parser.add_argument(
            load_settings.OPTIONS[name],
            env_var=name,
            default=default or "",
            help=help_text,
            metavar="VALUE",
            include_in_web_ui=name in _SHOWN_IN_PAGE,
        )
    parser.set_defaults(num_users=USERS, spawn_rate=USERS)
