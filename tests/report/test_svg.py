"""Pictures: valid XML, text as text at its columns, and what moves shows what was painted."""

from __future__ import annotations

import re
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pfviz.report import svg
from pfviz.report.drawing import CELL_HEIGHT, CELL_WIDTH, DRAWN, Pen, escaped
from pfviz.report.strips import strips_of
from pfviz.views.inks import ink_table
from pfviz.views.palettes import PALETTES
from pfviz.views.rows import cell_width, plain
from tests.report.films import film

NAME = "{http://www.w3.org/2000/svg}"


def written(**wishes: object) -> ET.Element:
    data = b"".join(piece for _, piece in svg.pieces(film(**wishes)))
    return ET.fromstring(data.decode())


def letters(group: ET.Element) -> dict[int, str]:
    """Column -> words, of one row."""
    return {
        int(text.get("x", "0")) // CELL_WIDTH: text.text or "" for text in group.iter(f"{NAME}text")
    }


@pytest.fixture(scope="module")
def still() -> ET.Element:
    return written(is_still=True, at="cue 2")


def test_a_still_says_in_words_what_it_shows(still: ET.Element) -> None:
    assert still.findtext(f"{NAME}title") == "Hello, fault"
    said = still.findtext(f"{NAME}desc") or ""
    *_, last = film(is_still=True, at="cue 2").marks
    assert last.caption in said
    assert last.said in said
    assert last.caption
    assert still.get("role") == "img"


def test_every_word_is_text_and_stands_at_its_column(still: ET.Element) -> None:
    *_, (_, rows) = film(is_still=True, at="cue 2").pictures()
    lines = [
        "".join(" " if char in DRAWN else char for char in line)
        for line in plain(rows).split("\n")
    ]  # fmt: skip
    for group in still.iter(f"{NAME}g"):
        top = int(re.findall(r"translate\(\d+,(\d+)\)", group.get("transform", ""))[0])
        y = (top - svg.MARGIN) // CELL_HEIGHT
        line = lines[y]
        for column, words in letters(group).items():
            assert line[column : column + len(words)] == words
            line = line[:column] + " " * len(words) + line[column + len(words) :]
        lines[y] = line
    assert not "".join(lines).strip()


def test_each_run_is_as_wide_as_its_cells(still: ET.Element) -> None:
    for text in still.iter(f"{NAME}text"):
        if len(text.text or "") > 1:
            assert int(text.get("textLength", "0")) == cell_width(text.text or "") * CELL_WIDTH


def test_a_moving_picture_shows_at_each_time_what_was_painted() -> None:
    pictures = list(film(fps=2, begin="start", end="cue 2").pictures())
    cut = strips_of(pictures, 3)
    assert cut.strips
    for at_us, rows in pictures:
        lines = [list(line.ljust(80)) for line in plain(cut.background).split("\n")]
        for strip in cut.strips:
            shown = max(number for number, (us, _) in enumerate(strip.changes) if us <= at_us)
            text = "".join(word for word, _ in strip.contents[strip.changes[shown][1]])
            lines[strip.y][strip.x : strip.x + strip.width] = text
        assert ["".join(line).rstrip() for line in lines] == plain(rows).split("\n"), at_us


def test_what_moves_a_strip_shows_each_content_at_its_time() -> None:
    shown = film(fps=2, begin="start", end="cue 2")
    pictures = list(shown.pictures())
    data = svg.moving(shown, pictures)
    poster = svg.poster_of(shown, pictures)
    assert pictures[poster][0] == max(us for us, _ in pictures if us <= shown.marks[-1].at_us)
    cut = strips_of(pictures, poster)
    assert sum(len(strip.changes) > 2 for strip in cut.strips) > 3
    for index, strip in enumerate(cut.strips):
        rule = re.search(rf"@keyframes m-{index}{{(.*?}})}}", data)
        assert rule is not None
        found = re.findall(r"([\d.]+)%{translate:0 (-?\d+)px}", rule[1])
        steps = [
            (float(share) * shown.lasts_us / 100, int(down) // -svg.STRIDE) for share, down in found
        ]
        assert [content for _, content in steps] == [content for _, content in strip.changes]
        for (at_us, _), (us, _) in zip(steps, strip.changes, strict=True):
            assert abs(at_us - us) <= shown.lasts_us / 10_000, "a hundredth of a percent"
        # Where nothing moves, the first content stands: that of the poster.
        rows = plain(pictures[poster][1]).split("\n")
        words = "".join(text for text, _ in strip.contents[0])
        assert rows[strip.y].ljust(80)[strip.x : strip.x + strip.width] == words


def test_a_moving_picture_is_small_has_no_script_and_rests_for_who_wants_rest() -> None:
    data = b"".join(
        piece for _, piece in svg.pieces(film(fps=4, begin="start", end="cue 2"))
    ).decode()  # fmt: skip
    root = ET.fromstring(data)
    assert len(data) < 400_000
    assert "<script" not in data
    assert "http" not in data.replace("http://www.w3.org/2000/svg", "")
    assert "prefers-reduced-motion" in data
    strips = [one.get("class", "").split()[-1] for one in root.iter(f"{NAME}g") if one.get("class")]
    assert strips
    for name in strips:
        rule = re.search(rf"@keyframes {name}{{(.*?}})}}", data)
        assert rule is not None
        shares = [float(share) for share in re.findall(r"([\d.]+)%", rule[1])]
        assert shares[0] == 0
        assert shares == sorted(shares)
        assert shares[-1] <= 100


@pytest.mark.parametrize("wishes", [{"is_still": True, "at": "cue 1"}, {"end": "cue 2"}])
def test_a_title_and_captions_of_a_file_are_only_text(wishes: dict[str, object]) -> None:
    evil = "<script>alert(1)</script>&'\"]]></title>\x1b"
    shown = film(fps=1, **wishes)
    parts = tuple(
        replace(part, reel=replace(part.reel, marks=tuple(
            replace(mark, caption=evil, said=evil) for mark in part.reel.marks)))
        for part in shown.parts
    )  # fmt: skip
    shown = replace(shown, title=evil, story=evil, parts=parts)
    root = ET.fromstring(b"".join(piece for _, piece in svg.pieces(shown)).decode())
    assert not list(root.iter(f"{NAME}script"))
    title, about = root.find(f"{NAME}title"), root.find(f"{NAME}desc")
    assert title is not None
    assert about is not None
    assert (title.text or "")[:-1] == evil[:-1]
    assert (about.text or "").count("<script>alert(1)</script>") == 1 + 2 * len(shown.marks)


@given(st.text())
def test_no_text_of_a_file_becomes_markup(text: str) -> None:
    said = f"<svg xmlns='http://www.w3.org/2000/svg' a='{escaped(text)}'>{escaped(text)}</svg>"
    parsed = ET.fromstring(said)
    assert not list(parsed)


@pytest.mark.parametrize("name", PALETTES)
def test_every_style_can_be_drawn_in_every_palette(name: str) -> None:
    palette = PALETTES[name]
    inks = ink_table(palette)
    pen = Pen(inks, palette)
    markup = "".join(pen.row((("a█░╭", style),)) for style in inks)
    ET.fromstring(f"<svg>{markup}</svg>")
    classes = set(re.findall(r"class='(\w+)'", markup))
    assert classes == set(re.findall(r"\.(\w+)\{", pen.css()))
