"""Foreign changes: what somebody else changed while stages are at work, of what they touch and of everything else.

A stage knows the states that it may leave a thing in: as its snapshot shows it, and as each of its begun changes makes
it. Any other state is somebody else's. No stage changes such a thing further, and no way back overwrites it.
"""

from collections.abc import Sequence

from burst.domain.documents import database_snapshots
from burst.domain.staging import change_grammar, changes, way_back

Snapshot = database_snapshots.DatabaseSnapshot


def find_foreign(last: Snapshot, now: Snapshot, begun: Sequence[changes.Change]) -> tuple[str, ...]:
    """What somebody else changed of the configuration since the last snapshot, in words. `begun`: the changes that the
    stages made since then."""
    elsewhere = way_back.find_differences(_forget(last, begun), _forget(now, begun))
    return (*elsewhere, *way_back.find_unkept(now, begun))


def find_in_the_way(
    target: Snapshot, last: Snapshot, now: Snapshot, touched: Sequence[changes.Change]
) -> tuple[str, ...]:
    """What keeps a way back from ending at the target, in words: what somebody else changed since the last snapshot,
    but for what is as the target has it, such as a line that was taken out by hand so that the server starts."""
    elsewhere = way_back.find_differences(_forget(last, touched), _forget(now, touched))
    return (*elsewhere, *find_left(target, now, touched))


def find_left(before: Snapshot, now: Snapshot, touched: Sequence[changes.Change]) -> tuple[str, ...]:
    """What the way back leaves as somebody else made it, in words, each once."""
    seized = (find_seized(before, now, change, touched) for change in touched)
    return tuple(dict.fromkeys(words for words in seized if words is not None))


def list_own(before: Snapshot, now: Snapshot, touched: Sequence[changes.Change]) -> tuple[changes.Change, ...]:
    """The changes whose things are as the stages left them, so that the way back may undo them."""
    return tuple(change for change in touched if find_seized(before, now, change, touched) is None)


def find_seized(before: Snapshot, now: Snapshot, change: changes.Change, begun: Sequence[changes.Change]) -> str | None:
    """What somebody else did to the thing that a change touches, in words; None where it is as before, or as one of the
    begun changes leaves it."""
    match change:
        case changes.SetParameter():
            return _find_seized_setting(before, now, change, begun)
        case changes.CreateIndex():
            index_name = changes.TableName(schema=change.table.schema, name=change.name)
            return _find_seized_index(before, now, index_name, begun)
        case changes.DropIndex():
            return _find_seized_index(before, now, change.index, begun)
        case changes.CreateExtension():
            return _find_seized_extension(before, now, change.name, begun)
        case _:
            return None


def _find_seized_setting(
    before: Snapshot, now: Snapshot, change: changes.SetParameter, begun: Sequence[changes.Change]
) -> str | None:
    own = [way_back.read_values(before, change)]
    for each in begun:
        if isinstance(each, changes.SetParameter) and (each.place, each.name) == (change.place, change.name):
            own.append(each.values)
    if way_back.read_values(now, change) in own:
        return None
    return f"somebody else changed {change.name} during the stage ({change.place.words})"


def _find_seized_index(
    before: Snapshot, now: Snapshot, index_name: changes.TableName, begun: Sequence[changes.Change]
) -> str | None:
    was, is_ = way_back.find_index(before, index_name), way_back.find_index(now, index_name)
    if is_ is None:
        dropped = any(isinstance(each, changes.DropIndex) and each.index.name == index_name.name for each in begun)
        if was is None or dropped:
            return None
        return f"somebody else dropped index {index_name.words} during the stage"
    made = [each for each in begun if isinstance(each, changes.CreateIndex) and each.name == index_name.name]
    is_own = any(change_grammar.describes_index(is_.definition, each) for each in made)
    if is_own or (was is not None and was.definition == is_.definition):
        return None
    return f"somebody else made index {index_name.words} during the stage"


def _find_seized_extension(before: Snapshot, now: Snapshot, name: str, begun: Sequence[changes.Change]) -> str | None:
    was, is_ = (next((row for row in each.extensions if row.name == name), None) for each in (before, now))
    made = [each for each in begun if isinstance(each, changes.CreateExtension) and each.name == name]
    if was == is_ or (was is None and is_ is not None and any(way_back.shows_extension(is_, each) for each in made)):
        return None
    return f"somebody else {'dropped' if is_ is None else 'made or changed'} extension {name} during the stage"


def _forget(snapshot: Snapshot, begun: Sequence[changes.Change]) -> Snapshot:
    """The snapshot without the settings in effect, and without everything that changes touch."""
    settings = {(change.place, change.name) for change in begun if isinstance(change, changes.SetParameter)}
    system = {name for place, name in settings if place.is_system}
    indexes = {change.name for change in begun if isinstance(change, changes.CreateIndex)}
    indexes |= {change.index.name for change in begun if isinstance(change, changes.DropIndex)}
    extensions = {change.name for change in begun if isinstance(change, changes.CreateExtension)}
    configured = [row for row in snapshot.configured or () if row.name.lower() not in system]
    kept = {
        "settings": [],
        "tables": [],
        "configured": None if snapshot.configured is None else configured,
        "role_settings": [
            row
            for row in snapshot.role_settings
            if (changes.SettingPlace(role=row.role, database=row.database), row.name.lower()) not in settings
        ],
        "indexes": [row for row in snapshot.indexes if row.name not in indexes],
        "extensions": [row for row in snapshot.extensions if row.name not in extensions],
    }
    return snapshot.model_copy(update=kept)
