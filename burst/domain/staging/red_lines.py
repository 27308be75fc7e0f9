"""Red lines: a figure of a check held against its limit, or against the same figure before the changes.

Unknown is never a pass: a figure that was not measured, before or after, breaks the line.
"""

from collections.abc import Mapping

from burst.domain.documents import database_snapshots, database_stages
from burst.domain.staging import changes, setting_amounts, stage_files

Figures = Mapping[str, float]


def judge(stage: stage_files.StageSection, before: Figures, after: Figures) -> tuple[database_stages.JudgedLine, ...]:
    """Every red line of a stage with its answer."""
    return tuple(_judge_line(stage, line, before, after) for line in stage.red_lines)


def _judge_line(
    stage: stage_files.StageSection, line: stage_files.RedLine, before: Figures, after: Figures
) -> database_stages.JudgedLine:
    earlier, later = before.get(line.figure), after.get(line.figure)
    return database_stages.JudgedLine(
        figure=line.figure,
        limit=_describe_limit(line),
        before=earlier,
        after=later,
        holds=later is not None and _holds(stage, line, earlier, later),
    )


def _holds(stage: stage_files.StageSection, line: stage_files.RedLine, before: float | None, after: float) -> bool:
    if line.at_most is not None:
        return after <= line.at_most
    if line.at_least is not None:
        return after >= line.at_least
    worse = measure_regression(stage, line, before, after)
    return worse is not None and line.not_worse_than is not None and worse <= line.not_worse_than


def measure_regression(
    stage: stage_files.StageSection, line: stage_files.RedLine, before: float | None, after: float | None
) -> float | None:
    """By which fraction a figure is worse than before, negative where it is better; None where nobody can tell."""
    better = stage.tell_better(line)
    if before is None or after is None or better is None:
        return None
    if before == after:
        return 0.0
    if before <= 0:
        return None
    return (after - before) / before * (1 if better == "lower" else -1)


def _describe_limit(line: stage_files.RedLine) -> str:
    if line.at_most is not None:
        return f"at most {line.at_most:g}"
    if line.at_least is not None:
        return f"at least {line.at_least:g}"
    return f"not worse than {(line.not_worse_than or 0.0) * 100:g} % against before"


def find_regressions(stage: stage_files.StageSection, before: Figures, after: Figures) -> tuple[str, ...]:
    """The figures that are worse than the file lets pass without a person, or of which nobody can tell, in words."""
    limits = [each.regression for each in stage.pause_when if each.regression is not None]
    words = []
    for limit in limits:
        for line in stage.compared_lines:
            earlier, later = before.get(line.figure), after.get(line.figure)
            worse = measure_regression(stage, line, earlier, later)
            if worse is None:
                was, is_ = ("not measured" if each is None else f"{each:g}" for each in (earlier, later))
                seen = f"{line.figure} was {was} before and is {is_} now, so by which share it is worse cannot be told"
                words.append(f"{seen}; the file asks for a person above {limit * 100:g} %")
            elif worse > limit:
                words.append(
                    f"{line.figure} is {worse * 100:.2f} % worse than before; {limit * 100:g} % asks for a person"
                )
    return tuple(words)


def find_conditions(stage: stage_files.StageSection, snapshot: database_snapshots.DatabaseSnapshot) -> tuple[str, ...]:
    """The settings that are, or would be, above what the file lets pass without a person, or of which that cannot be
    told, in words."""
    words = []
    for condition in stage.pause_when:
        if condition.setting is None or condition.above is None:
            continue
        row = next((row for row in snapshot.settings if row.name == condition.setting), None)
        amounts = [*_list_planned(stage, condition.setting, row), _read_effective(row)]
        known_amounts = [amount for amount in amounts if amount is not None]
        if len(known_amounts) < len(amounts):
            words.append(f"{condition.setting} cannot be told, and the file asks for a person above a limit")
        elif max(known_amounts) > condition.above:
            words.append(f"{condition.setting} is or would be {max(known_amounts):g}, above {condition.above:g}")
    return tuple(words)


def _list_planned(
    stage: stage_files.StageSection, setting: str, row: database_snapshots.EffectiveSetting | None
) -> list[float | None]:
    """The amounts that the changes give a setting, in the unit of `_read_effective`; None for one that nobody knows,
    as that after a RESET."""
    changed = [change for change in stage.changes if isinstance(change, changes.SetParameter)]
    return [
        None if change.values is None or row is None else setting_amounts.read_amount(change.values[0], row.unit)
        for change in changed
        if change.name == setting
    ]


def _read_effective(row: database_snapshots.EffectiveSetting | None) -> float | None:
    """The amount in effect: a size in bytes, a time in the unit that the server names, any other as it is."""
    return None if row is None or row.value is None else setting_amounts.read_amount(row.value, row.unit)
