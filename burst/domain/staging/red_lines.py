"""Red lines: a figure of a check held against its limit, or against the same figure before the changes.

Unknown is never a pass: a figure that was not measured, before or after, breaks the line.
"""

from collections.abc import Mapping

from burst.domain.documents import database_snapshots, database_stages
from burst.domain.staging import changes, stage_files

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
    better = line.better or (stage.check.direction(line.figure) if stage.check is not None else None)
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
    """The figures that are worse than the file lets pass without a person, in words."""
    limits = [each.regression for each in stage.pause_when if each.regression is not None]
    figures = {line.figure: line for line in stage.red_lines}
    if stage.check is not None and stage.check.main_figure is not None:
        figures.setdefault(stage.check.main_figure, stage_files.RedLine(figure=stage.check.main_figure, at_least=0))
    words = []
    for limit in limits:
        for name, line in figures.items():
            worse = measure_regression(stage, line, before.get(name), after.get(name))
            if worse is not None and worse > limit:
                words.append(f"{name} is {worse * 100:.2f} % worse than before; {limit * 100:g} % asks for a person")
    return tuple(words)


def find_conditions(stage: stage_files.StageSection, snapshot: database_snapshots.DatabaseSnapshot) -> tuple[str, ...]:
    """The settings that are, or would be, above what the file lets pass without a person, in words."""
    words = []
    for condition in stage.pause_when:
        if condition.setting is None or condition.above is None:
            continue
        amounts = [*_list_planned(stage, condition.setting), *_list_effective(snapshot, condition.setting)]
        if not amounts:
            words.append(f"{condition.setting} cannot be told, and the file asks for a person above a limit")
        elif max(amounts) > condition.above:
            words.append(f"{condition.setting} is or would be {max(amounts):g}, above {condition.above:g}")
    return tuple(words)


def _list_planned(stage: stage_files.StageSection, setting: str) -> list[float]:
    amounts = []
    for change in stage.changes:
        if isinstance(change, changes.SetParameter) and change.name == setting and change.values:
            try:
                amounts.append(stage_files.parse_amount(_as_number(change.values[0])))
            except ValueError:
                return []
    return amounts


def _list_effective(snapshot: database_snapshots.DatabaseSnapshot, setting: str) -> list[float]:
    for row in snapshot.settings:
        if row.name == setting and row.value is not None:
            try:
                return [float(row.value) * _unit_bytes(row.unit)]
            except ValueError:
                return []
    return []


def _as_number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _unit_bytes(unit: str | None) -> float:
    """The bytes of a unit of `pg_settings`, such as 8kB; 1 for one that is no size."""
    try:
        digits = len(unit or "") - len((unit or "").lstrip("0123456789"))
        count = int((unit or "")[:digits] or "1")
        return count * stage_files.parse_amount(f"1{(unit or '')[digits:]}")
    except ValueError:
        return 1.0
