"""What `pfviz scenario new` writes: a small scenario that runs, every table explained."""

from __future__ import annotations

from typing import Final

TEMPLATE: Final = """\
#:schema ./pfviz-scenario-1.json
# Save what `pfviz scenario schema` prints under that name, and your editor knows every key.
schema_version = 1
title = "@TITLE@"
story = \"\"\"
What is to be seen here, and why anybody should care.
\"\"\"
sources = ["where this was reported"]
kernel = "6.12"       # 6.0, 6.1, 6.4, 6.12, 6.18
mode = "per-vma"      # mmap_lock, per-vma, lockless
machine = "demo"      # or laptop, server, ..., or SOCKETSxCPUS such as "2x4"
seed = 1              # who goes first among equals

[policy]              # switches of the modelled kernel; left out, it does what it always did
merge = true

[[vma]]               # memory that exists when the run begins
name = "arena"
pages = 64
gap = 16              # pages left free on either side

[[thread]]            # a thread, or a group of them
name = "worker"
count = 2
scales = true         # --threads changes this count
stagger = "500ns"     # each next one starts so much later

[[thread.op]]         # what it does: read write execute mmap munmap mprotect brk madvise fork
do = "write"          #               exit proc compute sleep
at = "arena"
pages = 8
apart = 8             # each next thread of the group works 8 pages further on

[[thread]]
name = "mapper"
background = true     # ends when all others have ended
[thread.workload]     # or a workload by name instead of ops
name = "malloc_churn"
rounds = 0
pause = "2us"

[[cue]]               # a moment worth stopping at: `at` a time, or `when` something happens
when = "lock_acquired lock=mmap_lock mode=write"
caption = "The mapper holds mmap_lock for writing."
focus = "locks"
modes = ["per-vma"]   # where that is true, and kernels = [...]; left out: wherever it happens

[[expect]]            # a claim that `pfviz check` holds the scenario to
that = "faults.count >= 16 and len(broken_rules) == 0"
because = "every page is touched once"
"""
