"""Attempt places: where the attempts of a plan's phase are claimed: under run control, or in the folder of its runs."""

from datetime import datetime
from pathlib import Path

from burst.adapters.local import folder_store
from burst.control import attempting
from burst.domain.basics import errors
from burst.domain.documents import attempts
from burst.domain.plan import plans
from burst.wiring.targets import ecs_places


def open_places(plan: plans.Plan, deadline: datetime, now: datetime) -> attempting.AttemptPlaces:
    """The places of a plan. Raises `errors.Unavailable` where the folder of local claims cannot be made."""
    if plan.evidence.authority is not None:
        opener, place = ecs_places.PlaceOpener(plan, deadline, now), plan.evidence.authority
        return attempting.AttemptPlaces(
            claims=opener.open(f"{place}/{attempts.FOLDER}/{plan.slug}"),
            open_run=lambda execution_id: opener.open(f"{place}/{execution_id}"),
        )
    runs = Path(plan.evidence.local)
    folder = runs / attempts.FOLDER / plan.slug
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise errors.Unavailable(f"{folder} cannot be made: {exc.strerror}") from exc
    return attempting.AttemptPlaces(
        claims=folder_store.FolderStore(folder),
        open_run=lambda execution_id: folder_store.FolderStore(runs / execution_id),
    )
