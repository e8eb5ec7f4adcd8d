"""One run, or several side by side, as plain text: for terminals without the TUI, logs and mails.

No colour, no control characters; every line stands on its own. Units are those of the screen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from pfviz.scenario.errors import printable
from pfviz.views.numbers import duration

Run = Mapping[str, Any]

ROWS_MAX: Final = 8
OPERATIONS_SHOWN: Final = 12


def table(head: Sequence[str], body: Sequence[Sequence[str]], indent: str = "  ") -> list[str]:
    """Columns as wide as they must be: the first to the left, the others to the right."""
    rows = [tuple(head), *(tuple(row) for row in body)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = []
    for row in rows:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        lines.append((indent + "  ".join(cells)).rstrip())
    return lines


def summary(run: Run, title: str = "") -> list[str]:
    """What happened in a run, most telling first."""
    lines = [printable(title)] if title else []
    return [*lines, heading(run), _faults(run), *_sections(run), "", again(run)]


def recorded_summary(run: Run, title: str, path: str) -> list[str]:
    """The same of a run that was exported to `path` and read again."""
    words = {"kernel": "Linux ", "machine": "machine ", "seed": "seed "}
    facts = [
        words.get(name, "") + printable(str(run[name]))
        for name in ("scenario", "kernel", "mode", "machine", "seed")
        if name in run
    ]
    said = f"{', '.join([*facts, 'recorded'])}, digest {run['digest'][:12]}"
    lines = [printable(title)] if title else []
    again = [] if path == "-" else ["", f"To see it: pfviz play {printable(path)}"]
    return [*lines, said, _faults(run), *_sections(run), *again]


def _sections(run: Run) -> Iterator[str]:
    """The tables, those that have a line; a blank line before each."""
    for section in (
        _latency,
        _fallbacks,
        _locks,
        _operations,
        _cache_lines,
        _trouble,
        _rules,
        _claims,
    ):
        found = list(section(run))
        if found:
            yield ""
            yield from found


def again(run: Run) -> str:
    """How to see this run on the screen, or have somebody else see it."""
    which = f"Linux {run['kernel']}, {run['mode']}, seed {run['seed']}"
    return f"To see it: pfviz play {run['token']}  ({which})"


def heading(run: Run) -> str:
    """Which run this is: enough to make it again."""
    return (
        f"{run['scenario']}: Linux {run['kernel']}, {run['mode']}, machine {run['machine']}, "
        f"{_threads(run)}, seed {run['seed']}, digest {run['digest'][:12]}"
    )


def _threads(run: Run) -> str:
    """The threads that scale, and all where some do not."""
    scaling, every = run["threads"], run["threads_all"]
    if scaling == every:
        return f"{every} thread{'s' * (every != 1)}"
    return f"{every} threads, {scaling} of them scale{'s' * (scaling == 1)}"


def exact_duration(ns: int) -> str:
    """A duration with all its digits, to reckon with: `999 ns`, `47.545 µs`, `8.744908 ms`."""
    for size, digits, unit in ((1_000_000_000, 9, "s"), (1_000_000, 6, "ms"), (1_000, 3, "µs")):
        if ns >= size:
            return f"{ns // size:,}.{ns % size:0{digits}d} {unit}"
    return f"{ns} ns"


def _faults(run: Run) -> str:
    faults = run["faults"]
    kinds = [f"{faults['minor']:,} minor", f"{faults['major']:,} major"]
    if faults["errors"]:
        kinds.append(f"{faults['errors']:,} errors")
    under = ", ".join(
        f"{count:,} under {name}" if name != "lockless" else f"{count:,} lockless"
        for name, count in faults["completed_under"].items()
        if count
    )
    return (
        f"{faults['count']:,} faults ({', '.join(kinds)}{'; ' if under else ''}{under}) "
        f"in {exact_duration(run['now_ns'])}, {run['throughput_per_s']:,.0f} a second; "
        f"{run['steps']:,} steps, {run['events']:,} events"
    )


def _latency(run: Run) -> Iterator[str]:
    if run["faults"]["count"]:
        ranks = run["latency_ns"]
        yield "Fault latency"
        yield from table(tuple(ranks), [[duration(value) for value in ranks.values()]])


def _fallbacks(run: Run) -> Iterator[str]:
    causes = run["faults"]["fallbacks"]
    if causes:
        yield "What sent faults back"
        order = sorted(causes.items(), key=lambda item: (-item[1], item[0]))
        yield from table(("cause", "faults"), [(cause, f"{count:,}") for cause, count in order])


def _locks(run: Run) -> Iterator[str]:
    waited = [lock for lock in run["locks"] if lock["contended"] or lock["trylock_failed"]]
    shown = waited[:ROWS_MAX] or run["locks"][:3]
    if not shown:
        return
    yield "Locks, those waited for longest first" if waited else "Locks (nobody waited)"
    yield from table(
        ("lock", "reads", "writes", "waited", "refused", "wait p99", "wait max", "wait total",
         "hold max", "queue"),
        [
            (
                lock["name"], f"{lock['reads']:,}", f"{lock['writes']:,}",
                f"{lock['contended']:,}", f"{lock['trylock_failed']:,}",
                *(duration(lock["wait_ns"][rank]) for rank in ("p99", "max", "total")),
                duration(lock["hold_ns"]["max"]), str(lock["waiters_max"]),
            )
            for lock in shown
        ],
    )  # fmt: skip
    if len(waited) > len(shown):
        yield f"  and {len(waited) - len(shown)} more locks that somebody waited for"


def _operations(run: Run) -> Iterator[str]:
    operations = run["operations"]
    if operations:
        yield "Operations"
        yield from table(
            ("operation", "count", "p50", "p99", "max"),
            [
                (name, f"{one['count']:,}",
                 *(duration(one["latency_ns"][rank]) for rank in ("p50", "p99", "max")))
                for name, one in list(operations.items())[:OPERATIONS_SHOWN]
            ],
        )  # fmt: skip


def _cache_lines(run: Run) -> Iterator[str]:
    lines = run["cache_lines"][:ROWS_MAX]
    if lines:
        yield "Cache lines that moved between CPUs"
        yield from table(
            ("line", "transfers", "on its way"),
            [(line["name"], f"{line['transfers']:,}", duration(line["busy_ns"])) for line in lines],
        )


def _trouble(run: Run) -> Iterator[str]:
    broken = run["broken_rules"]
    if broken:
        yield f"BROKEN RULES: {len(broken)}"
        for one in broken[:ROWS_MAX]:
            yield f"  {duration(one['at_ns'])}: {one['rule']}{_where_broken(one)}"
    if run["unfinished"]:
        names = [
            one["task"] + (f" (asleep: {one['why']})" if one["why"] else "")
            for one in run["unfinished"][:ROWS_MAX]
        ]
        more = len(run["unfinished"]) - len(names)
        yield f"Not ended: {', '.join(names)}" + (f" and {more} more" if more else "")


def _where_broken(one: dict[str, Any]) -> str:
    """Whose step it was seen in; "" when that was nobody's."""
    whose = f"{one['task']}'s " if one["task"] else ""
    return f" (seen in {whose}step {one['step']})" if one["step"] else ""


def _rules(run: Run) -> Iterator[str]:
    verdicts = run.get("rules")
    if verdicts:
        held = sum(one["holds"] for one in verdicts)
        yield f"Rules asked after each of {run['steps']:,} steps: {held} of {len(verdicts)} held"
        for one in verdicts:
            yield f"  {'held  ' if one['holds'] else 'BROKEN'}  {one['rule']:<4}{one['text']}"


def _claims(run: Run) -> Iterator[str]:
    claims = run.get("expect")
    if claims:
        held = sum(one["holds"] for one in claims)
        yield f"Expectations: {held} of {len(claims)} hold"
        for one in claims:
            yield "  " + claim(one)


def claim(one: Mapping[str, Any]) -> str:
    """One expectation and whether it holds."""
    line = f"{'ok    ' if one['holds'] else 'FAILED'}  {one['text']}"
    if one["holds"]:
        return line
    why = one.get("error") or one.get("because")
    return f"{line}  ({why})" if why else line


def comparison(runs: Sequence[Run], title: str = "", token: str = "") -> list[str]:
    """The same workload under several modes, a column each; `token` shows them on the screen."""
    lines = [printable(title)] if title else []
    first = runs[0]
    kernels = list(dict.fromkeys(str(run["kernel"]) for run in runs))
    heads = [
        str(run["mode"]) if len(kernels) == 1 else f"{run['kernel']} {run['mode']}" for run in runs
    ]
    lines.append(
        f"{first['scenario']}: Linux {', '.join(kernels)}, machine {first['machine']}, "
        f"{_threads(first)}, seed {first['seed']}"
    )
    rows: list[tuple[str, ...]] = [
        ("faults", *(f"{run['faults']['count']:,}" for run in runs)),
        ("until the last step", *(exact_duration(run["now_ns"]) for run in runs)),
        ("faults a second", *(f"{run['throughput_per_s']:,.0f}" for run in runs)),
    ]
    base = first["throughput_per_s"]
    if base:
        rows.append(
            (f"  of {heads[0]}", *(f"{run['throughput_per_s'] / base:.2f}x" for run in runs))
        )
    rows += [
        (f"fault {rank}", *(duration(run["latency_ns"][rank]) for run in runs))
        for rank in ("p50", "p99", "max")
    ]
    rows += [
        (f"under {name}", *(f"{run['faults']['completed_under'][name]:,}" for run in runs))
        for name in ("vma_lock", "mmap_lock", "lockless")
    ]
    names = dict.fromkeys(name for run in runs for name in run["operations"])
    rows += [(f"{name} p99", *(_operation_p99(run, name) for run in runs)) for name in names]
    rows.append(("mmap_lock waited for", *(_waited(run, "mmap_lock") for run in runs)))
    rows.append(("VMA locks waited for", *(_waited(run, "vma_lock") for run in runs)))
    rows.append(("line transfers", *(_transfers(run) for run in runs)))
    rows.append(("hottest line", *(_hottest(run) for run in runs)))
    last = ["", f"To see them: pfviz play {token}"] if token else []
    return [*lines, "", *table(("", *heads), rows), *last]


def _operation_p99(run: Run, name: str) -> str:
    one = run["operations"].get(name)
    return duration(one["latency_ns"]["p99"]) if one else "-"


def _waited(run: Run, kind: str) -> str:
    total = sum(lock["wait_ns"]["total"] for lock in run["locks"] if lock["kind"] == kind)
    return duration(total)


def _transfers(run: Run) -> str:
    return f"{sum(line['transfers'] for line in run['cache_lines']):,}"


def _hottest(run: Run) -> str:
    return str(run["cache_lines"][0]["name"]) if run["cache_lines"] else "-"
