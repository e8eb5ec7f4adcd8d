"""Casts: what an emulator shows is what was painted, at every moment, on every machine."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyte
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pfviz.report import cast
from pfviz.report.cells import changed_spans, line_of, row_of
from pfviz.views.composition import screen
from pfviz.views.rows import Rows, plain
from tests.report.films import SMALL, film


@pytest.fixture(scope="module")
def written() -> list[Any]:
    data = b"".join(piece for _, piece in cast.pieces(film(fps=5))).decode()
    return [json.loads(line) for line in data.splitlines()]


def test_the_header_says_size_title_and_colours_and_no_date(written: list[Any]) -> None:
    header = written[0]
    assert (header["version"], header["width"], header["height"]) == (2, 80, 24)
    assert header["title"].startswith("Hello, fault")
    assert len(header["theme"]["palette"].split(":")) == 16
    assert "timestamp" not in header


def test_a_marker_stands_at_each_cue_with_its_caption(written: list[Any]) -> None:
    marks = [event[2] for event in written[1:] if event[1] == "m"]
    assert marks == [mark.caption for mark in film().marks]
    assert marks
    times = [event[0] for event in written[1:]]
    assert times == sorted(times)
    stand = [event[0] for event in written[1:] if event[1] == "m"]
    assert stand == [mark.at_us / 1e6 for mark in film(fps=5).marks]


def test_a_caption_of_a_file_does_nothing_to_who_plays_it() -> None:
    shown = film(fps=1, end="cue 2")
    evil = "a\x1b]0;pwned\x07\x1b[2J\u202eb"
    reel = shown.parts[0].reel
    marks = tuple(replace(mark, caption=evil) for mark in reel.marks)
    parts = (replace(shown.parts[0], reel=replace(reel, marks=marks)),)
    lines = b"".join(
        piece for _, piece in cast.pieces(replace(shown, title=evil, parts=parts))
    ).decode().splitlines()  # fmt: skip
    header, *events = map(json.loads, lines)
    said = [header["title"], *(event[2] for event in events if event[1] == "m")]
    assert len(said) > 1
    assert all(text.isprintable() and "pwned" in text for text in said)


def test_the_emulator_shows_what_was_painted_at_every_moment(written: list[Any]) -> None:
    emulator = pyte.Screen(80, 24)
    stream = pyte.Stream(emulator)
    events = [event for event in written[1:] if event[1] == "o"]
    for at_us, rows in film(fps=5).pictures():
        while events and round(events[0][0] * 1e6) <= at_us:
            stream.feed(events.pop(0)[2])
        assert [line.rstrip() for line in emulator.display] == [
            line.ljust(0) for line in plain(rows).split("\n")
        ], at_us
    stream.feed(events.pop(0)[2])  # What ends the film leaves the last picture as it is.
    assert [line.rstrip() for line in emulator.display] == plain(rows).split("\n")
    assert not events


def test_colours_are_those_of_the_palette() -> None:
    shown = film(at="end", is_still=True)
    emulator = pyte.Screen(80, 24)
    stream = pyte.Stream(emulator)
    for line in b"".join(piece for _, piece in cast.pieces(shown)).decode().splitlines()[1:]:
        _, kind, data = json.loads(line)
        if kind == "o":
            stream.feed(data)
    brand = emulator.buffer[0][1]
    ink = shown.inks["brand"]
    assert (brand.data, f"#{brand.fg}", f"#{brand.bg}") == ("p", ink.color, ink.ground)
    assert brand.bold
    assert f"#{emulator.buffer[23][79].bg}" == shown.palette.ground


def test_asciinema_reads_it(tmp_path: Path) -> None:
    player = shutil.which("asciinema", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if player is None:
        pytest.skip("asciinema is not installed here")
    path = tmp_path / "run.cast"
    path.write_bytes(b"".join(piece for _, piece in cast.pieces(film())))
    done = subprocess.run([player, "cat", str(path)], capture_output=True, timeout=30, check=True)
    emulator = pyte.Screen(80, 24)
    pyte.ByteStream(emulator).feed(done.stdout)
    *_, (_, last) = film().pictures()
    assert [line.rstrip() for line in emulator.display] == plain(last).split("\n")


CELLS = st.sampled_from(["a", "é", "宽", " ", "│", "e\u0301"])
ROWS = st.lists(
    st.lists(st.tuples(CELLS, st.sampled_from(["text", "bad", "brand"])), max_size=14).map(tuple),
    min_size=3, max_size=3,
).map(lambda rows: screen(tuple(rows), 11, 3))  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.lists(ROWS, min_size=1, max_size=5))
def test_any_pictures_come_through_wide_letters_included(pictures: list[Rows]) -> None:
    pen = cast.Pen(film().inks, film().palette)
    emulator = pyte.Screen(12, 3)  # One column more: at the edge it loses accents.
    stream = pyte.Stream(emulator)
    before: tuple[Any, ...] = ()
    for rows in pictures:
        lines = tuple(line_of(row) for row in rows)
        assert tuple(row_of(line) for line in lines) == rows
        stream.feed(pen.difference(before, lines))
        before = lines
        shown = ["".join(emulator.buffer[y][x].data for x in range(11)) for y in range(3)]
        painted = ["".join(text for text, _ in row) for row in rows]
        assert shown == [_composed(line) for line in painted]


def _composed(text: str) -> str:
    """The emulator puts accents together with their letters."""
    import unicodedata

    return unicodedata.normalize("NFC", text)


def test_only_what_changed_is_written() -> None:
    line = line_of((("the same line but for one digit: 1", "text"),))
    other = (*line[:-1], ("2", "text"))
    assert list(changed_spans(line, other)) == [(33, 34)]
    assert list(changed_spans(line, line)) == []


def test_the_bytes_are_the_same_whatever_the_machine_is_set_to() -> None:
    digests = set()
    for changes in (
        {"PYTHONHASHSEED": "1", "TZ": "Asia/Tokyo", "LANG": "C", "COLUMNS": "40"},
        {"PYTHONHASHSEED": "77", "TZ": "America/Lima", "LANG": "de_DE.UTF-8", "NO_COLOR": "1"},
    ):
        done = subprocess.run(
            [sys.executable, "-m", "pfviz", "export", "cast", "hello-fault", "--fps", "3"],
            env={**os.environ, **changes}, capture_output=True, timeout=60, check=True,
        )  # fmt: skip
        digests.add(hashlib.sha256(done.stdout).hexdigest())
    own = b"".join(piece for _, piece in cast.pieces(film(fps=3, size=_default_size())))
    assert digests == {hashlib.sha256(own).hexdigest()}


def _default_size() -> object:
    from pfviz.report.shoot import SIZE

    assert SIZE != SMALL
    return SIZE
