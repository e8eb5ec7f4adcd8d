"""What the screen is shown with: flags over the environment over configuration files.

Read when a screen opens and not before: verbs without one start with any configuration.
"""

from __future__ import annotations

from typing import Any


def screen_words(
    theme: str | None = None,
    ascii_only: bool | None = None,
    fps: int | None = None,
    keymap: str | None = None,
    stage: bool = False,
) -> dict[str, Any]:
    """What `run_app` is to be called with; what is None was not given as a flag.

    `stage`: it begins on the stage, which can have a theme of its own.

    Raises ScenarioError (exit code 2): the configuration cannot be used.
    """
    from msgspec.structs import replace

    from pfviz.config.resolve import DEFAULT, resolve
    from pfviz.tui.keymap import keymap_of

    resolved = resolve({"theme": theme, "ascii": ascii_only, "fps": fps, "keymap": keymap})
    settings = resolved.settings
    if resolved.origins["theme"].layer == "flag":  # It is for every screen of this once.
        settings = replace(settings, stage_theme="")
    wears_own = stage and settings.stage_theme
    return {
        "theme": settings.stage_theme if wears_own else settings.theme,
        "ascii_only": settings.ascii,
        # Only a cap that somebody asked for holds back the answer to a key.
        "fps": None if resolved.origins["fps"] == DEFAULT else settings.fps,
        "keymap": keymap_of(resolved),
        "settings": settings,
    }
