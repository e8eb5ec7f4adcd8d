"""What must hold in every state of a world: invariants by number, checked on the state itself.

The list is in docs/model.md (I9 is checked where the tree is written, in `vma_tree`). A rule that
does not hold is reported, never asserted: worlds with a kernel's old bugs must run on to show them.
What may be wrong for a few steps only is caught in the act by `rules_watch`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from pfviz.mm import rules_locks, rules_pages, rules_swap, rules_uffd
from pfviz.mm.rules_watch import RuleWatch
from pfviz.mm.world import BrokenRule
from pfviz.sim.machine import FOREVER_NS

if TYPE_CHECKING:
    from pfviz.mm.world import Mm

Rule = Callable[["Mm"], Iterator[str]]

STATE_RULES: Final[dict[str, tuple[str, Rule]]] = {
    "I1": ("every page lies in a VMA", rules_pages.pages_lie_in_vmas),
    "I2": ("nobody holds a freed VMA", rules_locks.nobody_holds_a_freed_vma),
    "I6": ("no page is writable where its VMA forbids it", rules_pages.writable_pages_are_allowed),
    "I7": ("a VMA does not change under its readers", rules_locks.held_vmas_do_not_change),
    "I8": ("a write-locked VMA has no reader", rules_locks.write_locked_vmas_have_no_reader),
    "I10": ("lock words tell the truth", rules_locks.lock_words_are_true),
    "I12": ("vm_refcnt counts its users", rules_locks.vma_reference_counts_are_true),
    "I14": ("no TLB lets a page be written that is read-only", rules_pages.tlbs_are_not_stale),
    "I16": (
        "a page from swap has what its slot was given",
        rules_swap.cached_pages_have_their_slots_contents,
    ),
    "I18": (
        "nobody waits in a circle or with a wrong lock",
        rules_locks.waiting_is_allowed,
    ),
    "I20": (
        "mm_lock_seq is odd under a writer",
        rules_locks.sequences_are_odd_for_writers,
    ),
    "I26": (
        "who sleeps for a userfaultfd monitor can be woken, and needs to be",
        rules_uffd.sleepers_can_be_woken,
    ),
    "F1": ("no fault runs in a VMA that fork has copied", rules_locks.fork_keeps_faults_out),
}
"""Rules that hold between any two steps: number -> (sentence, what is wrong now)."""


ACT_RULES: Final[dict[str, str]] = {
    "I3": "no walk stands on a tree node that was given back",
    "I5": "no page table is freed while somebody walks in it",
    "I9": "the tree is stored to under the write lock only",
    "I11": "an anon_vma is prepared and dropped under mmap_lock",
    "I15": "a page is filled before it is mapped",
    "I16": "a swapped page comes back as it went",
    "I17": "an entry is cleared before another page is mapped there",
    "I19": "a fault that starts again holds no lock",
    "I21": "SIGSEGV goes to who may not touch the address",
    "I22": "a page is pinned only while it cannot be shared",
    "I27": "nobody writes between a downgrade and its unlock",
    "I28": "no reader of /proc sees a gap that never was",
    "T1": "a walk of the tree answers what it once held",
}
"""Rules that are asked only where they can be broken: number -> sentence."""


def nothing_is_left_behind(engine: Mm) -> Iterator[str]:
    """I24: ended processes, RCU and the tree keep nothing, and no lock is held."""
    yield from rules_pages.nothing_is_left_behind(engine)
    yield from rules_locks.locks_are_free(engine)


END_RULES: Final[dict[str, tuple[str, Rule]]] = {
    "I13": ("every anonymous page can be found", rules_pages.pages_can_be_found),
    "I23": ("RSS counters equal the pages", rules_pages.rss_counters_are_true),
    "I24": ("nothing is left behind", nothing_is_left_behind),
    "I25": ("everybody gets on", rules_locks.everybody_gets_on),
}
"""Rules that hold when nothing is due any more."""


def sentences() -> dict[str, str]:
    """Every rule that is checked, by number: what must hold."""
    stated = {number: text for number, (text, _) in (STATE_RULES | END_RULES).items()} | ACT_RULES
    return dict(sorted(stated.items(), key=lambda one: (one[0][0] != "I", int(one[0][1:]))))


def check(engine: Mm) -> list[BrokenRule]:
    """Every rule that does not hold now; at the end of a run (nothing due) the end rules too."""
    rules = dict(STATE_RULES)
    if engine.peek_ns() is None:
        rules |= END_RULES
    return [
        BrokenRule(number, text, engine.now_ns, -1)
        for number, (_, rule) in rules.items()
        for text in rule(engine)
    ]


def run(
    engine: Mm, until_ns: int = FOREVER_NS, steps_max: int = FOREVER_NS, every_steps: int = 64
) -> int:
    """Like `engine.run`, watched, and with a look at everything after every `every_steps` steps.

    Broken rules go to `world.broken` and, as RULE_BROKEN, to the log; each rule once. Returns how
    many steps ran.
    """
    watch(engine)
    done = 0
    while done < steps_max:
        ran = engine.run(until_ns, min(every_steps, steps_max - done))
        done += ran
        report(engine)
        if ran < every_steps:
            break
    return done


def watch(engine: Mm) -> None:
    """Check from now on the rules of `rules_watch` at the very steps that can break them."""
    if engine.world.watch is None:
        engine.watch = engine.world.watch = RuleWatch()


def report(engine: Mm) -> None:
    """Check the world as it is now; what is broken goes to `world.broken` and to the log, once."""
    for broken in check(engine):
        engine.world.break_rule(engine, broken.rule, broken.text)
