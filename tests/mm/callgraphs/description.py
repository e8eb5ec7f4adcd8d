"""What `tables` leaves out, as `docs/model.md` shows it."""

from __future__ import annotations

from typing import Final

from tests.mm.callgraphs import tables

BEGIN: Final = "<!-- call order: begin (written by tests/mm/callgraphs) -->"
END: Final = "<!-- call order: end -->"

GROUPS: Final = (
    ("theirs, with all they call", tables.THEIRS_BELOW),
    ("theirs; what they call is compared", tables.THEIRS_LEFT_OUT),
    ("theirs, where that function itself calls it (`function:call`)", tables.THEIRS_WITHIN),
    ("theirs, RCU sections in which nothing happens, in", tables.THEIRS_IDLE_RCU),
    ("theirs, other spinlocks, in", tables.THEIRS_OTHER_LOCKS),
    ("theirs, done twice on end, counted once, in", tables.THEIRS_REPEATED),
    ("ours: steps", tables.OURS_BY_REASON),
    ("ours: events", tables.OUR_EVENTS_BY_REASON),
)


def lines() -> list[str]:
    """The rows of the table, with the marks around it; names in the order of the alphabet."""
    found = [BEGIN, "| not compared | why | which |", "|---|---|---|"]
    for what, reasons in GROUPS:
        for reason, names in reasons.items():
            shown = ", ".join(f"`{name.replace('~', ' ')}`" for name in sorted(names.split()))
            found.append(f"| {what} | {reason} | {shown} |")
    for title, same in (("theirs", tables.SAME), ("ours", tables.OURS_NAMED)):
        shown = ", ".join(f"`{one}` = `{other}`" for one, other in sorted(same.items()))
        found.append(f"| {title}, under another name | the same function | {shown} |")
    places = " and ".join(f"`{function}`" for function in tables.EMPTYING)
    found.append(
        f"| `ma_write` directly in {places}: which node | {tables.NODES} | compared as one |"
    )
    return [*found, END]
