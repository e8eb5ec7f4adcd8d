"""pfviz in a real browser: Chromium without a window draws it, and its keyboard drives it.

The page paints the terminal on a canvas, where no text can be read. What the page was sent goes
through a terminal of our own (pyte), and that the canvas shows something is asked of its pixels.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.serve.test_server import PATIENCE_S, served

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pyte = pytest.importorskip("pyte", reason="pyte is not installed")

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM, reason="no Chromium is on PATH: apt-get install chromium"),
]

QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


class Page:
    """A page that shows a pfviz, and what stands on it."""

    def __init__(self, page: Any, url: str) -> None:
        self.page = page
        self.asked: list[str] = []
        self.trouble: list[str] = []
        self.screen = pyte.Screen(80, 24)
        self.stream = pyte.ByteStream(self.screen)
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("pageerror", lambda error: self.trouble.append(str(error)))
        page.on(
            "console", lambda said: self.trouble.append(said.text) if said.type == "error" else 0
        )
        page.on("websocket", self._listen)
        page.goto(url)

    def _listen(self, socket: Any) -> None:
        socket.on("framereceived", self._received)
        socket.on("framesent", self._sent)

    def _received(self, frame: bytes | str) -> None:
        if isinstance(frame, bytes):
            # pyte takes the final letter of these sequences for text.
            self.stream.feed(re.sub(rb"\x1b\[[?>=<][0-9;]*[^hl0-9;]|\x1b\[\?2026\$p", b"", frame))

    def _sent(self, frame: bytes | str) -> None:
        size = re.match(r'\["resize",\{"width":(\d+),"height":(\d+)\}\]', str(frame))
        if size:
            self.screen.resize(int(size[2]), int(size[1]))

    def text(self) -> str:
        return "\n".join(self.screen.display)

    def until(self, come: Callable[[str], object], what: str) -> None:
        """Wait until what is drawn is so."""
        for _ in range(PATIENCE_S * 20):
            if come(self.text()):
                return
            self.page.wait_for_timeout(50)
        raise AssertionError(f"{what} never came:\n{self.text()}")

    def shows(self, text: str) -> None:
        self.until(lambda shown: text in shown, text)

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def clock(self) -> str:
        """The simulated time in the header's second line."""
        found = re.search(r"([0-9][0-9.,]* [nµm]?s)  ", self.screen.display[1])
        return found[1] if found else ""

    def picture(self) -> bytes:
        """What the page looks like."""
        return bytes(self.page.screenshot())


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield opened
        opened.close()


def test_the_gallery_opens_a_scenario_plays_and_keys_work(browser: Any, tmp_path: Path) -> None:
    with served(folder=tmp_path) as (_, url):
        page = Page(browser.new_page(viewport={"width": 1200, "height": 800}), url)
        page.shows("Preview")
        assert page.page.title() == "pfviz"
        page.page.wait_for_selector("body.-first-byte canvas", state="attached")
        gallery = page.picture()
        page.press(*"whose fault")
        page.shows("Linux 6.12 · per-VMA · 7 threads")  # Chosen, and in the preview.
        page.press("Enter")
        page.shows("1 Threads")
        page.shows("playing")
        assert page.picture() != gallery
        begun = page.clock()
        page.until(lambda _: page.clock() != begun, f"a later time than {begun}")
        page.press("Space")
        page.shows("paused")
        page.press("m")
        page.shows("Now lockless")
        page.press("Escape", "?")
        page.shows("↑/↓ scroll")
        page.press("Escape")
        # The help page has the words of the lab in it, too.
        page.until(lambda shown: "How to read the screen" not in shown, "the way out of help")
        page.press("Y")
        page.shows("pfviz play pf1:driver-faults:")
        columns = page.screen.columns
        page.page.set_viewport_size({"width": 700, "height": 500})
        page.until(lambda _: page.screen.columns < columns, "a smaller terminal")
        page.shows("1 Threads")
        with page.page.expect_download() as download:
            page.press("s")
        assert download.value.suggested_filename == "pfviz.svg"
        assert "1 Threads" in Path(download.value.path()).read_text().replace("&#160;", " ")
        page.press("e")
        page.shows("Export")
        with page.page.expect_download() as download:
            page.press("Enter")
        assert download.value.suggested_filename.startswith("driver-faults.")
        assert list(tmp_path.iterdir()) == []
        assert all(one.startswith((url, "data:")) for one in page.asked), page.asked
        page.press("Escape", "Escape", "Escape")
        page.shows("Preview")
        assert page.trouble == []
        page.press("Control+q")
        page.page.get_by_text("This pfviz has ended.").wait_for()
