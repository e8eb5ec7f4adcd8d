"""The lines under the panes: a cue's caption, the app's own word, the narrator's sentence."""

from __future__ import annotations

from pfviz.views import narrator
from pfviz.views.cues import Caption
from pfviz.views.painters import Scene
from pfviz.views.rows import Row, Rows, fit_rows, wrap


def paint_sentence(scene: Scene, message: str, caption: Caption, width: int, lines: int) -> Rows:
    """At most `lines` rows: what the app has to say goes before a caption and the narration."""
    rows: list[Row] = []
    if message:
        rows += [((text, "say-text"),) for text in wrap(message, width - 1, lines)]
    if caption.text and len(rows) < lines:
        # The sentence is never cut for the caption's sake: it ends with whom all wait for.
        needed = narrator.lines_needed(scene.frame, width, scene.look)
        text = f"earlier: {caption.text}" if caption.is_past else caption.text
        room = 1 if caption.is_past else max(lines - len(rows) - needed, 1)
        said = wrap(text, width - 2, room)
        marks = ["◇ ", *["  "] * len(said)]
        styles = ("dim", "dim") if caption.is_past else ("seek-cue", "strong")
        rows += [
            ((mark, styles[0]), (text, styles[1])) for mark, text in zip(marks, said, strict=False)
        ]
    left = lines - len(rows)
    if left > 0:
        rows += narrator.paint(scene.frame, width, left, scene.look)
    return fit_rows(rows, width, lines, scene.look.glyphs.ascii_only)
