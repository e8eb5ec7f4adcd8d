"""Which cells of the matrix a scene of a talk shows, and their codes, found by running each."""

from __future__ import annotations

from pfviz.scenario import matrix
from pfviz.scenario.errors import ScenarioError
from pfviz.scenario.fault_kinds import KINDS
from pfviz.scenario.talk import MatrixPart, Scene

from .fault_codes import BROKEN


def kinds_of(part: MatrixPart) -> tuple[str, ...]:
    """The rows by id, from the top."""
    return part.kinds or tuple(kind.id for kind in KINDS)


def kernels_of(part: MatrixPart) -> tuple[str, ...]:
    """The columns, from the left."""
    return part.kernels or matrix.KERNELS


def cells_of(scene: Scene) -> tuple[tuple[str, str], ...]:
    """(kind, kernel) of every cell that the scene shows, those that it talks about first."""
    part = scene.matrix
    if part is None:
        return ()
    kinds, kernels = kinds_of(part), kernels_of(part)
    views = [scene.view(scene.stops[:count]) for count in range(len(scene.stops) + 1)]
    told = [(view.kind or kinds[0], view.kernel or kernels[-1]) for view in views]
    return tuple(dict.fromkeys([*told, *((kind, one) for one in kernels for kind in kinds)]))


def code_of(kind: str, kernel: str) -> str:
    """The code of a cell; `BROKEN` where its run fails."""
    try:
        return matrix.cell(kind, kernel).code
    except (ScenarioError, ValueError):
        return BROKEN
