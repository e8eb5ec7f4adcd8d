"""Which scenario shows a fault of the matrix at work, among others who want the same locks."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from pfviz.report.source import open_scenario

SCENARIOS: Final = {
    "anon_write": "fault-storm",
    "anon_write_first": "two-mallocs",
    "anon_read_no_anon_vma": "two-mallocs",
    "cow_after_fork": "fork-vs-faults",
    "anon_reuse": "fork-vs-faults",
    "file_read_miss": "file-io-wait",
    "shared_write_miss": "io-race",
    "swap_cached": "swap-in",
    "swap_async": "swap-in",
    "swap_sync": "swap-race",
    "uffd_missing": "userfaultfd",
    "uffd_wp": "userfaultfd",
    "uffd_minor": "userfaultfd",
    "anon_thp": "huge-pages",
    "anon_thp_first": "huge-pages",
    "driver": "driver-faults",
    "special_mapping": "driver-faults",
    "pfn_mkwrite": "driver-faults",
    "pfn_mkwrite_mapped": "driver-faults",
    "stack_growth": "stack-growth",
    "present": "first-touch",
    "gup": "page-table-free",
}
"""Kind -> the name of a bundled scenario."""


@lru_cache(maxsize=64)
def title_of(kind: str) -> str:
    """The title of the scenario that shows a kind at work; empty when there is none."""
    name = SCENARIOS.get(kind)
    return open_scenario(name).title if name else ""
