"""Pairs: a cold run and a warm one. A warm run without recorded hits is a failure of the measurement, not a pass."""

from collections.abc import Iterator
from fractions import Fraction

from burst.domain.basics import instants
from burst.domain.closure import compared_runs, exact_numbers, score_checks, score_files, score_measures
from burst.domain.verdict import gates

GROUP: score_checks.Group = "pair"


def ask_pair(
    pair: score_files.PairSection, cold: compared_runs.ComparedRun, warm: compared_runs.ComparedRun
) -> Iterator[score_checks.Check]:
    """The answers for a pair: order of two runs, improvement, hits with their bound, percentiles, members and rows."""
    yield from _ask_order(cold, warm)
    yield _ask_improvement(pair, cold, warm)
    yield from _ask_hits(pair.hits, warm)
    yield _ask_percentile("p95_cold", pair.p95, cold, pair.p95.cold_below, None)
    yield _ask_percentile("p95_warm", pair.p95, warm, pair.p95.warm_below, pair.p95.warm_alert)
    yield _ask_members(pair, cold, warm)
    yield _ask_rows(pair.rows, cold, warm)


def _ask_order(cold: compared_runs.ComparedRun, warm: compared_runs.ComparedRun) -> Iterator[score_checks.Check]:
    """Whether the warm run began after the cold one, which fills the cache. Files have no time, and are not asked."""
    if cold.verdict is None or warm.verdict is None:
        return
    ended = cold.verdict.snapshot.burst_execution_window.end_utc
    begun = warm.verdict.snapshot.burst_execution_window.start_utc
    if ended is None or begun is None:
        yield score_checks.make_invalid(
            GROUP, "cold_before_warm", "a run has no window, so nobody can tell their order"
        )
        return
    words = f"the cold run ended {instants.text(ended)}, the warm one began {instants.text(begun)}"
    if begun < ended:
        yield score_checks.make_invalid(GROUP, "cold_before_warm", f"{words}: it read what nobody had put there")
        return
    yield score_checks.Check(group=GROUP, name="cold_before_warm", status=gates.GateStatus.PASS, why=words)


def _ask_improvement(
    pair: score_files.PairSection, cold: compared_runs.ComparedRun, warm: compared_runs.ComparedRun
) -> score_checks.Check:
    before, after = (compared_runs.read_number(run, pair.measure) for run in (cold, warm))
    if not before.known or not after.known:
        return score_checks.make_invalid(GROUP, "improvement", before.problem, after.problem, required=pair.improvement)
    if before.value <= 0 or after.value <= 0:
        why = f"cold {before.value}, warm {after.value}: nothing was measured"
        return score_checks.make_invalid(GROUP, "improvement", why, required=pair.improvement)
    gain = exact_numbers.find_improvement(exact_numbers.read_exact(before.value), exact_numbers.read_exact(after.value))
    return score_checks.Check(
        group=GROUP,
        name="improvement",
        status=score_checks.choose_status(gain >= exact_numbers.read_exact(pair.improvement)),
        baseline=before.value,
        candidate=after.value,
        required=pair.improvement,
        improvement=float(gain),
        why=f"cold {before.value}, warm {after.value}: {score_measures.format_percent(gain)}",
    )


def _ask_hits(section: score_files.HitsSection, warm: compared_runs.ComparedRun) -> Iterator[score_checks.Check]:
    hits, lookups = (compared_runs.read_count(warm, place) for place in (section.hits, section.lookups))
    problems = [hits.problem, lookups.problem]
    if hits.known and lookups.known:
        if hits.value == 0 or lookups.value == 0:
            problems.append(f"{hits.value} hits of {lookups.value} lookups: the warm run recorded none")
        elif hits.value > lookups.value:
            problems.append(f"{hits.value} hits of {lookups.value} lookups: more than there can be")
    if any(problems):
        yield score_checks.make_invalid(GROUP, "hit_ratio", *problems, required=section.at_least)
        if section.bound == "decides":
            yield score_checks.make_invalid(GROUP, "hit_ratio_lower_bound", *problems, required=section.at_least)
        return
    ratio = Fraction(int(hits.value), int(lookups.value))
    bound = exact_numbers.find_lower_bound(int(hits.value), int(lookups.value), section.confidence)
    least = exact_numbers.read_exact(section.at_least)
    words = f"{hits.value} of {lookups.value}"
    confidence = f"{section.confidence:.0%} lower bound {bound:.6f}"
    yield score_checks.Check(
        group=GROUP,
        name="hit_ratio",
        status=score_checks.choose_status(ratio >= least),
        candidate=float(ratio),
        required=section.at_least,
        why=f"{words}, {confidence}",
    )
    if section.bound == "decides":
        yield score_checks.Check(
            group=GROUP,
            name="hit_ratio_lower_bound",
            status=score_checks.choose_status(exact_numbers.read_exact(bound) >= least),
            candidate=bound,
            required=section.at_least,
            why=f"{confidence} of {words}",
        )


def _ask_percentile(
    name: str,
    section: score_files.LatencySection,
    run: compared_runs.ComparedRun,
    below: int | float,
    alert_over: int | float | None,
) -> score_checks.Check:
    reading = compared_runs.read_number(run, section)
    if not reading.known or reading.value <= 0:
        problem = reading.problem or f"{run.run_id}: {section.words} is {reading.value}: nothing was measured"
        return score_checks.make_invalid(GROUP, name, problem, required=below)
    alert = alert_over is not None and reading.value > alert_over
    status = score_checks.choose_status(reading.value < below)
    words = f"{reading.value}, has to be below {below}"
    if alert:
        words += f"; ALERT: above {alert_over}"
    is_cold = name.endswith("cold")
    return score_checks.Check(
        group=GROUP,
        name=name,
        status=status,
        baseline=reading.value if is_cold else None,
        candidate=None if is_cold else reading.value,
        required=below,
        alert=alert,
        why=words,
    )


def _ask_members(
    pair: score_files.PairSection, cold: compared_runs.ComparedRun, warm: compared_runs.ComparedRun
) -> score_checks.Check:
    name = "members_covered"
    readings = [compared_runs.read_keys(run, pair.members) for run in (cold, warm)]
    if any(not reading.known for reading in readings):
        return score_checks.make_invalid(GROUP, name, *(reading.problem for reading in readings))
    every = frozenset(pair.declared).union(*(reading.value for reading in readings))
    if not every:
        return score_checks.make_invalid(GROUP, name, "neither run names a member")
    lacking = [every - reading.value for reading in readings]
    parts = [
        f"{word} run lacks {score_checks.list_keys(keys)}"
        for word, keys in zip(("the cold", "the warm"), lacking, strict=True)
        if keys
    ]
    return score_checks.Check(
        group=GROUP,
        name=name,
        status=gates.GateStatus.FAIL if parts else gates.GateStatus.PASS,
        baseline=len(readings[0].value),
        candidate=len(readings[1].value),
        required=len(every),
        why="; ".join(parts) or f"each run covers all {len(every)}",
    )


def _ask_rows(
    rows: score_files.RowsSection, cold: compared_runs.ComparedRun, warm: compared_runs.ComparedRun
) -> score_checks.Check:
    before, after = (compared_runs.read_count(run, rows) for run in (cold, warm))
    if not before.known or not after.known:
        return score_checks.make_invalid(GROUP, "rows_within", before.problem, after.problem, required=rows.within)
    if before.value == 0 or after.value == 0:
        why = f"cold {before.value} rows, warm {after.value}: a run read nothing"
        return score_checks.make_invalid(GROUP, "rows_within", why, required=rows.within)
    delta = Fraction(abs(int(after.value) - int(before.value)), int(before.value))
    return score_checks.Check(
        group=GROUP,
        name="rows_within",
        status=score_checks.choose_status(delta <= exact_numbers.read_exact(rows.within)),
        baseline=before.value,
        candidate=after.value,
        required=rows.within,
        why=f"{before.value} -> {after.value} rows, {float(delta):.4%} apart",
    )
