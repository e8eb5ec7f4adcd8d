"""The counters: /proc/vmstat names, causes of fallbacks, cache lines, TLB, RCU, rules, losses."""

from __future__ import annotations

from .frame import Frame
from .look import DEFAULT, Look, absent, message
from .numbers import count, duration, percent
from .rows import Cell, Row, Rows, cell_width, clip, fit_rows

Entry = tuple[str, str, str]
"""(name, value, style of the value); a name with two blanks before it belongs to the one above."""

_COLUMN_MIN = 28
_COLUMN_MAX = 38
_VMSTAT = (
    "pgfault",
    "pgmajfault",
    "vma_lock_success",
    "vma_lock_abort",
    "vma_lock_retry",
    "vma_lock_miss",
    "lockless_abort",
    # Captures only, as `pfviz trace stats` counts them, and what they are made of.
    "faults_with_mmap_lock",
    "  anon_vma trylock",
    "  from kernel mode",
    "  fell back",
)


def paint(frame: Frame, width: int, height: int, look: Look = DEFAULT) -> Rows:
    """Name and value, the most telling first, in as many columns as fit."""
    if why := absent(frame, "counters"):
        return message(why, width, height, look)
    listed = entries(frame)
    if not listed:
        return message("nothing was counted yet", width, height, look)
    columns = max(min(width // _COLUMN_MIN, 3, -(-len(listed) // max(height, 1))), 1)
    gap = 2
    # A number far from its name is hard to read.
    wide = min((width - gap * (columns - 1)) // columns, _COLUMN_MAX)
    top = min(max(look.top, 0), max(len(listed) - height * columns, 0))
    listed = listed[top : top + height * columns]
    rows: list[Row] = []
    for index in range(min(height, len(listed))):
        row: list[Cell] = []
        for column in range(columns):
            at = index + column * height
            if at < len(listed):
                row.extend(_entry(listed[at], wide))
                row.append((" " * gap if column < columns - 1 else "", "text"))
        rows.append(tuple(row))
    return fit_rows(rows, width, height, look.glyphs.ascii_only)


def summary(frame: Frame) -> str:
    """The pane's foot: broken rules and losses, when there are any."""
    parts = []
    if frame.broken:
        parts.append(f"{len(frame.broken)} broken rules")
    if frame.lost:
        parts.append(f"{count(frame.lost)} events lost")
    return " · ".join(parts)


def entries(frame: Frame) -> list[Entry]:
    """Every counter that has counted anything, in order."""
    found: list[Entry] = []
    if frame.broken:
        found.append(("broken rules", count(len(frame.broken)), "bad"))
        found.extend((f"  {rule}", str(number), "bad") for rule, number in _rules(frame))
    if frame.lost:
        found.append(("events lost", count(frame.lost), "bad"))
    known = [name for name in _VMSTAT if name in frame.counters]
    known.extend(sorted(set(frame.counters) - set(_VMSTAT)))
    found.extend((name, count(frame.counters[name]), _style(name)) for name in known)
    if frame.fallbacks:
        total = sum(frame.fallbacks.values())
        found.append(("fallbacks", count(total), "warn"))
        ordered = sorted(frame.fallbacks.items(), key=lambda item: (-item[1], item[0]))
        found.extend((f"  {cause}", count(number), "warn") for cause, number in ordered)
    found.extend(_machine(frame))
    found.extend(_operations(frame))
    return found


def _rules(frame: Frame) -> list[tuple[str, int]]:
    totals: dict[str, int] = {}
    for _, rule, _, _ in frame.broken:
        totals[rule] = totals.get(rule, 0) + 1
    return sorted(totals.items())


def _machine(frame: Frame) -> list[Entry]:
    found: list[Entry] = []
    if frame.line_moves_total:
        found.append(("lines moved", count(frame.line_moves_total), "number"))
        per_fault = frame.counters.get("pgfault", 0)
        if per_fault:
            found.append(("  per fault", f"{frame.line_moves_total / per_fault:.1f}", "number"))
        found.append(("  time on lines", duration(frame.line_ns_total), "number"))
        hottest = sorted(frame.line_moves, key=lambda line: (-frame.line_moves[line], line))
        for line in hottest[:3]:
            name = frame.line_names.get(line, f"line {line}").replace(" 0x", " ")
            share = percent(frame.line_moves[line], frame.line_moves_total)
            found.append((f"  {name}", share, "number"))
    plain = (
        ("lock hand-overs", frame.handovers),
        ("context switches", frame.switches),
        ("TLB flushes", frame.tlb_flushes),
        ("TLB IPIs", frame.ipis),
        ("RCU grace periods", frame.rcu_grace_periods),
        ("RCU callbacks due", frame.rcu_pending),
    )
    found.extend((name, count(value), "number") for name, value in plain if value)
    return found


def _operations(frame: Frame) -> list[Entry]:
    found: list[Entry] = []
    for name, histogram in sorted(frame.op_latency.items()):
        found.append((f"{name} done", count(histogram.n), "number"))
        if histogram.n:
            found.append(("  p50", duration(histogram.percentile(0.5) or 0), "number"))
            found.append(("  p99", duration(histogram.percentile(0.99) or 0), "number"))
    return found


def _style(name: str) -> str:
    if name == "vma_lock_success":
        return "good"
    return "warn" if name.startswith(("vma_lock", "lockless", "pgmaj")) else "number"


def _entry(entry: Entry, width: int) -> list[Cell]:
    name, value, style = entry
    room = max(width - cell_width(value) - 1, 0)
    shown = clip(name, room)
    blank = " " * max(width - cell_width(shown) - cell_width(value), 0)
    return [(shown, "dim" if name.startswith("  ") else "text"), (blank, "text"), (value, style)]
