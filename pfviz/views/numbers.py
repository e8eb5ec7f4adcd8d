"""Times, counts, sizes and addresses as short text; knows units, not what is measured."""

from __future__ import annotations

_UNITS = ((1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "µs"))


def duration(ns: int) -> str:
    """A duration with three significant digits: `999 ns`, `1.21 µs`, `12.4 ms`, `412 s`."""
    if ns < 0:
        return "-" + duration(-ns)
    if ns < 1_000:
        return f"{ns} ns"
    for unit_ns, unit in reversed(_UNITS):
        value = ns / unit_ns
        digits = 2 if value < 9.995 else 1 if value < 99.95 else 0
        if value < 999.5 or unit == "s":
            return f"{value:,.{digits}f} {unit}"
    raise AssertionError("the last unit takes everything")


def round_duration(ns: int) -> str:
    """A duration that is a round number, without the zeros after the point: `2 ms`."""
    number, _, unit = duration(ns).partition(" ")
    return f"{number.rstrip('0').rstrip('.') if '.' in number else number} {unit}"


def clock(ns: int) -> str:
    """A moment to the thousandth of its unit: `431 ns`, `12.431 µs`, `1.213 ms`."""
    if abs(ns) < 1_000:
        return f"{ns} ns"
    for unit_ns, unit in _UNITS:
        if abs(ns) >= unit_ns:
            return f"{ns / unit_ns:,.3f} {unit}"
    raise AssertionError("a microsecond is the smallest unit here")


def minutes(seconds: float) -> str:
    """A stretch of a talk in minutes and seconds: `4:05`, `61:00`, `-0:30`."""
    whole, rest = divmod(abs(round(seconds)), 60)
    return f"{'-' if round(seconds) < 0 else ''}{whole}:{rest:02}"


def count(number: int) -> str:
    """A count with thousands separators."""
    return f"{number:,}"


def counted(number: int, what: str, several: str = "") -> str:
    """A count of things in the grammar of English: `1 fault`, `1,204 faults`."""
    return f"{number:,} {what if number == 1 else several or what + 's'}"


def size(pages: int) -> str:
    """The size of so many 4 KiB pages: `4 KiB`, `2 MiB`, `1.5 GiB`, `87.9 TiB`."""
    value = float(pages * 4)
    for unit in ("KiB", "MiB", "GiB", "TiB"):
        if value < 1024 or unit == "TiB":
            break
        value /= 1024
    return f"{value:,.0f} {unit}" if value >= 100 or value == int(value) else f"{value:.1f} {unit}"


def address(value: int) -> str:
    """An address as /proc/PID/maps and the kernel's %lx write it: `7f1040000000`."""
    return f"{value:x}"


def address_short(value: int) -> str:
    """An address, or `max` for the last one there is: the upper end of a tree's range."""
    return "max" if value >= (1 << 64) - 1 else address(value)


def percent(part: int, whole: int) -> str:
    """A share in whole percent; `-` of nothing."""
    return f"{100 * part / whole:.0f}%" if whole else "-"
