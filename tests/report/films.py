"""Small films that the tests of exports share."""

from __future__ import annotations

from pfviz.report.camera import Size
from pfviz.report.film import Film
from pfviz.report.shoot import Wish, film_of
from tests.report.runs import recorded

SMALL = Size(80, 24)


def film(name: str = "hello-fault", **wishes: object) -> Film:
    """A film of it, to be gone through once."""
    return film_of(recorded(name), Wish(**{"size": SMALL, "fps": 4, **wishes}))  # type: ignore[arg-type]
