"""Lines printed by a bpftrace script as `NSECS PID TID CPU COMM EVENT key=value ...`.

Per-CPU buffers come out as they fill, so these lines are not in order; the reader sorts them.
"""

from __future__ import annotations

import re

from pfviz.trace.ftrace import Place

# A name may hold blanks: it ends where one word and then `key=` follow, or the line ends.
_LINE = re.compile(r"(\d{1,18}) (\d+) (\d+) (\d+) (\S.{0,15}?) ([a-z]\w*)(?: (\w+=.*))?")


def split_line(line: str) -> tuple[Place, int, str, str] | None:
    """Return (place, nanoseconds, event, argument text) of one printed line, or None."""
    match = _LINE.fullmatch(line)
    if match is None:
        return None
    nsecs, pid, tid, cpu, comm, event, args = match.groups()
    place = Place(int(cpu), int(tid), comm.replace("\t", " "), int(pid))
    return place, int(nsecs), event, args or ""
