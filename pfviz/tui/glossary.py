"""The words of the screen in one or two sentences each, for the help page. Data only."""

from __future__ import annotations

from typing import Final

READING: Final = (
    ("The line on top", "What runs: scenario, kernel, lock mode, seed. Below it: playing or "
     "paused, the simulated time, how much of it passes in one of your seconds, the step, and the "
     "seek bar. The bar counts events, not time, so that a long sleep takes no room: the number at "
     "its end is the last event's. Brighter is the part you have seen, dotted what is not known "
     "yet. ◇ is a cue, + a search hit, ! a breakpoint, ♦ a bookmark, ≠ where compared runs part."),
    ("1 Threads", "A lane per thread; time flows to the right, up to the line of now. Colour, "
     "glyph and letter say what it did: V in a fault under a VMA lock, M under mmap_lock, L "
     "without a lock, r/w waiting to read/write. A cell shows what took most of its time, but "
     "waits count more, and user mode or sleep never hide a fault or a wait, however short. Beside "
     "it stands the kernel function it is in, then its lock: R held for read, W for write."),
    ("2 Lock wait queues", "Who holds each lock, for how long, and who waits in which order. "
     "Circles read, squares write. Locks that one thread has to itself are only counted."),
    ("3 Address space", "The process's VMAs as strips, the pages that are present, who has which "
     "VMA's lock, and where threads fault."),
    ("4 Maple tree", "The tree in which the kernel looks VMAs up, a node a row: type, number, "
     "slots in use, range, largest gap, who walks there. A struck-out node is dead: "
     "the one it points to took its place. It waits for those who were in RCU sections when it "
     "died, fades as they leave, and is given back when its grace period ends. "
     "{tree.open} opens and folds, {tree.slots} shows a node slot by slot, {tree.walker} goes "
     "to the node under a thread, {tree.address} to an address."),
    ("5 Fault latency", "How long faults took, on a logarithmic scale, by the lock they ended "
     "under."),
    ("6 Steps", "The selected thread's way through the kernel, the current step lit, the likely "
     "next ones grey, and why a faster path was left."),
    ("7 Counters", "What /proc/vmstat would show, fallbacks by cause, cache-line transfers."),
    ("The matrix ({matrix.open})", "A row per kind of fault, a column per kernel; the code says "
     "which lock served that fault in that kernel, letter by letter in the colour of the lock: M "
     "or X mmap_lock, V the VMA lock, T the VMA lock with mmap_lock tried for a moment, L none; "
     "V>M was begun under V and started again under M, V~>M or V(io)>M when its page had been "
     "asked for. Below stand whose check sent it back, and what the kernel changed against the one "
     "beside it, with its commit; ◆ marks cells that differ. Every cell is a run of that fault, "
     "and enter plays it."),
    ("The sentence", "The moment in plain words: who waits for whom and why."),
)  # fmt: skip
"""How to read the screen, from top to bottom."""

WORDS: Final = (
    ("page fault", "The CPU touches a page that the page tables do not map yet; the kernel has to "
     "find the VMA, check it, get a page and map it, while other threads go on."),
    ("VMA", "A range of the address space with one kind of contents and rights, such as the heap "
     "or a mapped file: what /proc/PID/maps lists, one a line."),
    ("mmap_lock", "One reader-writer lock for a whole address space. Before 6.4 every fault took "
     "it for reading; mmap, munmap and fork take it for writing."),
    ("VMA lock", "One lock per VMA (Linux 6.4 and later): a fault locks only the VMA it is in. A "
     "writer marks each VMA it changes; a fault that meets a marked VMA falls back to mmap_lock."),
    ("lockless", "A fault that takes no lock at all: it reads a sequence number, works, and starts "
     "again if a writer came by. Not in Linux; the third mode of this laboratory."),
    ("fallback", "A fault leaves its fast path for a slower one, always for a cause that has a "
     "name: it is shown in the Steps and counted in the Counters."),
    ("hand-over", "A lock goes from one thread to another that waited for it."),
    ("handoff", "A writer that waited too long (4 ms) is promised the lock: nobody may steal it."),
    ("optimistic spinning", "A writer burns CPU instead of sleeping as long as the owner runs: "
     "sleeping and waking would take longer."),
    ("downgrade", "A writer keeps the lock for reading only, so that readers come in at once."),
    ("rwsem", "The kernel's reader-writer semaphore: mmap_lock is one. Readers that come after a "
     "waiting writer wait behind it; that is why one slow reader can stop everybody."),
    ("seq", "A sequence number that a writer changes. A VMA whose seq equals that of its mm "
     "(`seq 6 / mm 6`) is being written; the end of the write raises the mm's, which unlocks all "
     "VMAs at once."),
    ("word", "The count inside an rwsem as the kernel keeps it: bit 0 a writer, bit 1 somebody "
     "waits, bit 2 handoff, from bit 8 on the number of readers. 0x100 is one reader."),
    ("PTL", "Page-table lock: a spinlock for one page of the page tables; its name is the first "
     "address that page maps. Addresses are written as /proc/PID/maps writes them."),
    ("RCU", "Readers go without a lock; what they might still see is freed after a grace period, "
     "when all readers of that time are done."),
    ("maple tree", "The B-tree with ranges as keys that has kept the VMAs since 6.1. A change "
     "replaces nodes; the old ones die and wait for their grace period."),
    ("red-black tree", "What kept the VMAs until 6.0: one VMA a node, half of them on each side, "
     "changed in place. Each node knows the largest gap below it."),
    ("vmacache", "Until 6.0 each thread remembered the four VMAs that it found last. Any unmap "
     "made all of these caches void."),
    ("minor, major fault", "Major: the page had to be read from a device. Minor: it did not."),
    ("userfaultfd", "A way for a program to serve its own page faults: a monitor thread is told of "
     "the fault, puts a page in, and wakes the thread that waits (a in the lanes)."),
    ("cache line", "64 bytes that move between CPUs as a whole. Taking a lock means owning its "
     "line, so a busy lock costs time even when nobody has to wait for it."),
    ("priority inversion", "A low-priority thread holds what a high-priority one needs, and loses "
     "its CPU to somebody in between."),
    ("step", "One indivisible thing that a thread does; a kernel function is one or several."),
    ("PAST", "You look at an earlier moment than the last one played. Play goes on from there; "
     "{go.end} goes back at once."),
)  # fmt: skip
"""What the words mean."""
