"""Where in the maple tree somebody wants to go: an address, a VMA or a thread, as it is typed."""

from __future__ import annotations

from typing import Final

from pfviz.scenario.errors import hint
from pfviz.sim.event import unsigned
from pfviz.views.frame import Frame

EXAMPLES: Final = (
    ("7f1040000000", "the leaf that covers an address"),
    ("0x7f10_4000_0000", "the same"),
    ("heap", "the leaf of a VMA, by its name or how it begins"),
    ("T3", "the leaf of the address that a thread looked up last"),
)
"""What can be typed; the prompt and the help page show these."""


def address_of(text: str, frame: Frame, mm: int) -> int:
    """The address that a text names.

    Raises:
        ValueError: it names none, with the nearest name that there is.
    """
    word = text.strip()
    if not word:
        raise ValueError("which address? such as: 7f1040000000, heap")
    names = {vma.label: vma.start for vma in frame.mms[mm].vmas.values() if vma.detached_ns < 0}
    threads = {frame.label(task.id): task for task in frame.people()}
    if word in names:
        return names[word]
    if word in threads:
        if threads[word].walk_ns < 0:
            raise ValueError(f"{word} has not walked the tree yet")
        return unsigned(threads[word].walk_index)
    try:
        address = int(word.replace("_", ""), 16)
    except ValueError:
        # Imported processes have long names: how they begin is enough for the lowest of them.
        starts = [start for name, start in names.items() if name.startswith(word)]
        if starts:
            return min(starts)
        reason = f'"{word}" is neither an address nor a VMA nor a thread'
        raise ValueError(reason + hint(word, [*names, *threads])) from None
    if not 0 <= address < 1 << 64:
        raise ValueError("an address has at most 16 hexadecimal digits")
    return address
