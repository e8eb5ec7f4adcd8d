"""What is said on the way from one kernel to another, and of modes that a kernel cannot have."""

from __future__ import annotations

from pfviz.mm.presets import mode_of, preset
from pfviz.report.matrix import known_from
from pfviz.scenario import matrix
from pfviz.scenario.fault_kinds import BY_ID
from pfviz.scenario.matrix import KERNELS


def name_of(kernel: str) -> str:
    """What to call a kernel in a sentence."""
    return f"Linux {kernel}" if kernel[:1].isdigit() else f"kernel {kernel}"


def is_back(before: str, kernel: str) -> bool:
    """Whether the way leads to an older kernel."""
    return KERNELS.index(before) > KERNELS.index(kernel)


def why_not(mode: str, kernel: str) -> str:
    """Why a kernel cannot run in a mode; empty when it can."""
    try:
        mode_of(mode, preset(kernel))
    except ValueError as error:
        reason = str(error).partition(";")[0]
        return reason if reason.startswith("Linux") else f"Kernel {reason}"
    return ""


def step_words(before: str, kernel: str) -> str:
    """Where the way led, and the change between the two that matters most, with its commit."""
    changes = matrix.changes_between(before, kernel)
    where = f"{'Back to' if is_back(before, kernel) else 'Now'} {name_of(kernel)}"
    if not changes:
        return f"{where}."
    # What the model acts on is told before what is only known of the release.
    first = next((change for change in changes if change.knob), changes[0])
    more = f", and {len(changes) - 1} more (E tells)" if len(changes) > 1 else ""
    undone = "Undone: " if is_back(before, kernel) else ""
    return f"{where}{'.' if undone else ':'} {undone}{first.what} ({known_from(first)}){more}."


def cell_words(kind: str, before: str, kernel: str) -> str:
    """What became of a fault of the matrix on the way; empty for any other scenario."""
    if kind not in BY_ID or BY_ID[kind].missing:
        return ""
    was, now = matrix.cell(kind, before).code, matrix.cell(kind, kernel).code
    return f"This fault stays {now}." if was == now else f"This fault was {was} and is {now}."
