"""The page that plays: nothing of a file acts in it, and in a browser it does what it says."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pfviz.report import html
from pfviz.report.drawing import DRAWN, colors_of
from pfviz.report.film import Film
from pfviz.report.strips import strips_of
from pfviz.views.rows import plain
from tests.report.films import film

if TYPE_CHECKING:
    from collections.abc import Iterator

CHROMIUM = ("/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome")
EVIL = "<script>alert(1)</script><img src=x onerror=alert(1)>]]>&'\"</title>"


def page_of(shown: Film) -> str:
    return b"".join(piece for _, piece in html.pieces(shown)).decode()


def test_what_comes_from_a_file_is_escaped_everywhere() -> None:
    shown = replace(film(fps=1, end="cue 2"), title=EVIL, story=EVIL)
    marks = tuple(replace(mark, caption=EVIL, said=EVIL) for mark in shown.parts[0].reel.marks)
    reel = replace(shown.parts[0].reel, marks=marks)

    class Evil:
        """A camera before which somebody holds a poster."""

        def rows(self, shot: Any) -> Any:
            return (((f"{EVIL}{shot.index}", "bad"),),)

    page = page_of(replace(shown, parts=(replace(shown.parts[0], reel=reel, camera=Evil()),)))
    assert "<img" not in page
    assert page.count("<script") == 2
    assert page.count("</script>") == 2
    assert page.count("</title>") == 1
    data = json.loads(re.findall(r'id="film">(.*?)</script>', page, re.S)[0])
    assert data["captions"][0] == EVIL


def test_the_page_needs_no_network_and_says_so_to_the_browser() -> None:
    page = page_of(film(fps=1, end="cue 2"))
    policy = re.findall(r'Content-Security-Policy" content="(.*?)"', page)[0]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert not re.search(r"(src|href)=", page)
    assert " style=" not in page


def test_without_javascript_picture_and_captions_are_there() -> None:
    shown = film(fps=1, end="cue 2")
    page = page_of(shown)
    before = page[: page.index("<script")]
    for mark in shown.marks:
        assert html.escaped(mark.caption) in before
        assert html.escaped(mark.said) in before
    assert ">pfviz</text>" in before
    assert "aria-live" in before


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, list[str]]]:
    """The page in a browser, and what it complained of."""
    driver = pytest.importorskip("playwright.sync_api", reason="playwright is not installed here")
    found = next((path for path in CHROMIUM if Path(path).exists()), None)
    if found is None:
        pytest.skip("there is no Chromium here")
    path = tmp_path_factory.mktemp("page") / "film.html"
    path.write_text(page_of(film(fps=2)), encoding="utf-8")
    complaints: list[str] = []
    with driver.sync_playwright() as playing:
        browser = playing.chromium.launch(
            executable_path=found,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking",
                  "--disable-component-update", "--disable-sync", "--no-first-run"],
        )  # fmt: skip
        tab = browser.new_page()
        tab.on("console", lambda message: complaints.append(message.text))
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.goto(path.as_uri())
        yield tab, complaints
        browser.close()


def test_a_jump_to_a_cue_shows_its_caption_and_its_picture(tab: tuple[Any, list[str]]) -> None:
    page, complaints = tab
    shown = film(fps=2)
    pictures = dict(shown.pictures())
    looked_at = 0
    for number in (2, 0):
        page.locator("#cues button").nth(number).click()
        mark = shown.marks[number]
        assert page.inner_text("#caption") == mark.caption
        lines = plain(pictures[mark.at_us]).split("\n")
        assert _drawn(page) == [
            "".join(" " if char in DRAWN else char for char in line).rstrip() for line in lines
        ]
        looked_at += _grounds_are_drawn(page, shown, list(pictures.items()), mark.at_us)
    assert looked_at, "a picture without a ground of its own shows nothing here"
    assert complaints == []


def test_it_plays_pauses_and_obeys_the_keys(tab: tuple[Any, list[str]]) -> None:
    page, complaints = tab
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("Home")
    assert page.input_value("#seek") == "0"
    page.keyboard.press(" ")
    for _ in range(100):
        if int(page.input_value("#seek")) > 200:
            break
        page.wait_for_timeout(50)
    assert page.inner_text("#play") == "Pause"
    page.keyboard.press(" ")
    at = page.input_value("#seek")
    assert page.inner_text("#play") == "Play"
    page.keyboard.press("ArrowRight")
    assert int(page.input_value("#seek")) == int(at) + 2000
    page.keyboard.press("Home")
    page.keyboard.press("]")
    page.keyboard.press("]")
    assert page.inner_text("#caption") == film(fps=2).marks[1].caption
    assert page.locator("[aria-current]").count() == 1
    page.keyboard.press("[")
    page.keyboard.press("End")
    assert page.input_value("#seek") == str(film(fps=2).lasts_us // 1000)
    assert complaints == []


def _drawn(page: Any) -> list[str]:
    """The words of the picture as they stand in it, by their places."""
    found = page.evaluate("""[...document.querySelectorAll('#picture text')].map(text => {
        const place = text.parentNode.transform.baseVal[0].matrix;
        return [place.f, place.e + Number(text.getAttribute('x') ?? 0), text.textContent];
    })""")
    lines = [[" "] * 80 for _ in range(24)]
    for y, x, words in found:
        row, column = (int(y) - html.MARGIN) // 20, (int(x) - html.MARGIN) // 10
        lines[row][column : column + len(words)] = words
    return ["".join(line).rstrip() for line in lines]


def _grounds_are_drawn(page: Any, shown: Film, pictures: list[tuple[int, Any]], at_us: int) -> int:
    """Look at what the script has drawn anew: how many pieces have a ground of their own."""
    found = 0
    for index, strip in enumerate(strips_of(pictures).strips):
        content = [number for us, number in strip.changes if us <= at_us][-1]
        inks = [shown.inks[style] for _, style in strip.contents[content] if style in shown.inks]
        wanted = {colors_of(ink, shown.palette)[1] for ink in inks} - {""}
        if content == strip.changes[0][1] or not wanted:
            continue
        drawn = page.evaluate(
            f"[...document.querySelectorAll('#s{index} path')].map(p => p.getAttribute('fill'))"
        )
        assert wanted <= set(drawn), (index, strip.contents[content])
        found += 1
    return found
