"""Whether a VMA permits an access (access_error in arch/x86/mm/fault.c); no locks, no events."""

from __future__ import annotations

from pfviz.mm.thread import Fault
from pfviz.mm.vma import VM_ACCESS, VM_EXEC, VM_WRITE


def access_error(fault: Fault, vm_flags: int) -> bool:
    """Whether the kind of access is not among what the VMA's flags permit."""
    if fault.write:
        return not vm_flags & VM_WRITE
    if fault.exec:
        return not vm_flags & VM_EXEC
    return not vm_flags & VM_ACCESS
