"""The matrix on the screen: what it shows, how one moves along the kernels, and plays a cell."""

import pytest
from textual.pilot import Pilot

from pfviz.scenario import matrix
from pfviz.scenario.fault_kinds import KINDS
from pfviz.scenario.matrix import KERNELS
from pfviz.tui import at_work, matrix_grid
from pfviz.tui.app import LabApp
from pfviz.tui.cell_store import ALL, CellStore
from pfviz.tui.matrix_grid import LINES, Place
from pfviz.tui.screens.gallery import Gallery
from pfviz.tui.screens.lab import Lab
from pfviz.tui.screens.matrix import Matrix
from pfviz.tui.sources import entries
from pfviz.views.fault_codes import meaning
from pfviz.views.glyphs import ASCII
from pfviz.views.rows import plain, row_width

from .runs import race
from .screen_text import settle, text_of

SIZES = ((80, 24), (120, 40), (200, 60))


def matrix_of(app: LabApp) -> Matrix:
    assert isinstance(app.screen, Matrix), app.screen
    return app.screen


async def known(pilot: Pilot[None]) -> None:
    """Wait until every cell has been run."""
    for _ in range(400):
        await pilot.pause(0.02)
        screen = pilot.app.screen
        if isinstance(screen, Matrix) and screen.store.finished:
            break
    await pilot.pause(0.1)


def app_at(kind: str = "file_read_miss", kernel: str = "6.6", **options: object) -> LabApp:
    return LabApp(entries=entries(), matrix=(kind, kernel, ()), **options)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def store() -> CellStore:
    made = CellStore()
    while made.work(1.0):
        pass
    return made


# The screen


@pytest.mark.parametrize("size", SIZES)
async def test_the_cell_under_the_cursor_is_explained(size: tuple[int, int]) -> None:
    app = app_at(kernel="6.7")
    async with app.run_test(size=size) as pilot:
        await known(pilot)
        text = text_of(app)
        assert "read that needs the disk" in text
        assert "V(io)>M" in text
        assert "Sent back by maybe_unlock_mmap_for_io: I/O needed" in text
        assert "vma_lock_retry" in text
        assert "5d74b2ab2c15" in text
        assert all(len(line) <= size[0] for line in text.split("\n"))


@pytest.mark.parametrize("size", SIZES)
async def test_one_key_goes_to_the_next_kernel_and_says_which_commit_changed_what(
    size: tuple[int, int],
) -> None:
    app = app_at()
    async with app.run_test(size=size) as pilot:
        await known(pilot)
        assert "5d74b2ab2c15" not in text_of(app)
        await pilot.press("v")
        await pilot.pause(0.3)
        assert matrix_of(app).place.kernel == "6.7"
        assert "5d74b2ab2c15" in text_of(app)
        assert ("◆V(io)>M" if size[0] >= 200 else "◆V~>M") in text_of(app)
        assert "◆ differs from 6.6" in text_of(app)
        await pilot.press("V")
        await pilot.pause(0.3)
        assert matrix_of(app).place.kernel == "6.6"
        if size[0] >= 100:
            assert "Back from 6.7 to 6.6" in text_of(app)
            assert "undone: misses, copies" in text_of(app)


async def test_a_kernel_that_leaves_the_cell_alone_still_says_its_commit_at_80_columns() -> None:
    app = app_at(kernel="6.7")
    async with app.run_test(size=(80, 24)) as pilot:
        await known(pilot)
        await pilot.press("right")
        await pilot.pause(0.3)
        assert "From 6.7 to 6.8: fork copies the tree with __mt_dup (6e553c6bcb77)" in text_of(app)
        await pilot.press("tab")
        await pilot.pause(0.3)
        assert "No cell differs." in text_of(app)


async def test_enter_plays_the_fault_in_that_kernel_and_escape_comes_back() -> None:
    app = app_at(kernel="6.7")
    async with app.run_test(size=(120, 40)) as pilot:
        await known(pilot)
        await pilot.press("enter")
        for _ in range(100):
            await pilot.pause(0.03)
            if isinstance(app.screen, Lab):
                break
        lab = app.screen
        assert isinstance(lab, Lab)
        assert lab.player.run.recipe is not None
        assert lab.player.run.recipe.kernel == "6.7"
        assert lab.player.run.recipe.scenario.name == "file_read_miss"
        await pilot.press("escape")
        await pilot.pause()
        assert "leaves this run for the matrix" in text_of(app)
        await pilot.press("escape")
        await pilot.pause()
        assert matrix_of(app).place.kind == "file_read_miss"
        await pilot.press("escape")
        await pilot.pause()
        assert isinstance(app.screen, Gallery)


async def test_a_fault_is_seen_at_work_in_a_scenario_of_that_kernel() -> None:
    app = app_at(kernel="6.18")
    async with app.run_test(size=(200, 60)) as pilot:
        await known(pilot)
        told = plain(matrix_of(app).panes["why"].rows)
        assert "At work among others: A fault that must wait for a disk (o plays it)" in told
        await pilot.press("o")
        for _ in range(200):
            await pilot.pause(0.03)
            if isinstance(app.screen, Lab):
                break
        assert isinstance(app.screen, Lab)
        recipe = app.screen.player.run.recipe
        assert recipe is not None
        assert (recipe.scenario.name, recipe.kernel) == ("file-io-wait", "6.18")


async def test_the_lab_opens_the_matrix_at_its_own_kernel() -> None:
    app = LabApp(run=race(kernel="6.4"), play=False)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press("E")
        await pilot.pause(0.2)
        assert matrix_of(app).place.kernel == "6.4"
        await pilot.press("E")
        await pilot.pause()
        assert isinstance(app.screen, Lab)


async def test_back_from_the_lab_the_kernel_is_compared_with_the_one_beside_it() -> None:
    app = app_at(kernel="6.5")
    async with app.run_test(size=(120, 40)) as pilot:
        await known(pilot)
        app.push_screen(Lab(race(kernel="6.7")))
        await settle(pilot)
        await pilot.press("E")
        await pilot.pause(0.2)
        assert matrix_of(app).place.kernel == "6.7"
        assert "From 6.6 to 6.7" in text_of(app)


async def test_the_gallery_opens_the_matrix_although_letters_filter() -> None:
    app = LabApp(entries=entries())
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("E")
        assert isinstance(app.screen, Gallery)
        await pilot.press("f2")
        await pilot.pause()
        assert isinstance(app.screen, Matrix)


@pytest.mark.parametrize("size", SIZES)
async def test_the_keys_that_matter_are_named_and_the_way_back_first(
    size: tuple[int, int],
) -> None:
    app = app_at()
    async with app.run_test(size=size) as pilot:
        await known(pilot)
        *_, hints = text_of(app).split("\n")
        assert hints.split()[:2] == ["esc", "back"]
        for said in ("enter  play", "n  next ◆", "P  policy", "?  codes"):
            assert said in hints
        assert "V>M V given up for M" in text_of(app)
        assert ("~ (io), at the device" in text_of(app)) == (size[0] < 200)
        await pilot.press("question_mark")
        await pilot.pause(0.3)
        assert "Codes of the matrix" in text_of(app)
        assert "this kernel has no VMA locks" in text_of(app)


async def test_arrows_stop_at_the_ends_and_say_so() -> None:
    app = app_at(kind=KINDS[0].id, kernel=KERNELS[-1])
    async with app.run_test(size=(80, 24)) as pilot:
        await known(pilot)
        await pilot.press("up", "right")
        await pilot.pause(0.1)
        assert "newest kernel" in text_of(app)
        await pilot.press("home", "end", "home")
        assert matrix_of(app).place.kernel == KERNELS[0]


async def test_one_key_goes_from_one_cell_that_differs_to_the_next() -> None:
    app = app_at(kind=KINDS[0].id, kernel="6.7")
    async with app.run_test(size=(80, 24)) as pilot:
        await known(pilot)
        screen = matrix_of(app)
        changed = screen.store.changed("6.6", "6.7")
        assert len(changed) > 4
        for kind in (*changed, changed[0]):
            await pilot.press("n")
            assert screen.place.kind == kind
        await pilot.press("N")
        assert screen.place.kind == changed[-1]
        await pilot.press("right", "n")
        await pilot.pause(0.1)
        assert "No fault is known to differ" in text_of(app)


async def test_ascii_alone_is_painted_where_nothing_else_can_be() -> None:
    app = app_at(kernel="6.7", ascii_only=True)
    async with app.run_test(size=(120, 40)) as pilot:
        await known(pilot)
        text = text_of(app)
        assert text.isascii()
        assert "*V~>M" in text


async def test_a_click_goes_to_a_cell() -> None:
    app = app_at()
    async with app.run_test(size=(120, 40)) as pilot:
        await known(pilot)
        screen = matrix_of(app)
        x = screen.place.shown[0] + 2
        await pilot.click("#cells", offset=(x, 4))
        await pilot.pause(0.1)
        assert screen.place.kernel == KERNELS[screen.place.left]
        assert screen.place.kind != "file_read_miss"


def test_every_scenario_that_shows_a_fault_at_work_is_there() -> None:
    assert set(at_work.SCENARIOS) <= {kind.id for kind in KINDS}
    assert all(at_work.title_of(kind) for kind in at_work.SCENARIOS)


# The grid


@pytest.mark.parametrize("width", [24, 60, 80, 120, 200])
@pytest.mark.parametrize("height", [3, 10, 60])
def test_the_cursor_is_seen_wherever_it_goes(store: CellStore, width: int, height: int) -> None:
    place = Place()
    for kind in (KINDS[0], KINDS[-1], KINDS[20]):
        for number in (0, len(KERNELS) - 1, 5, 0):
            place.kind = kind.id
            place.go_kernel(number)
            rows = matrix_grid.paint(store, place, width, height)
            assert len(rows) == height
            assert {row_width(row) for row in rows} == {width}
            assert 0 <= place.column - place.left < len(place.shown)
            assert 0 <= place.line - place.top < height - 1


def test_from_however_far_a_kernel_is_compared_with_its_neighbour() -> None:
    place = Place(kernel="6.5")
    for kernel, beside in (("6.8", "6.7"), ("6.8", "6.7"), ("6.5", "6.6"), ("beyond", "7.2")):
        place.go_kernel(KERNELS.index(kernel))
        assert (place.kernel, place.before) == (kernel, beside)


def test_a_cell_that_differs_and_was_made_so_by_a_policy_has_both_marks() -> None:
    made = CellStore((("restart_lock", "vma"),))
    where = ("file_read_miss", "6.7"), ("file_read_miss", "6.6")
    for one in where:
        made.want(*one)
        made.work(0.0)
    made.released[where[0]] = "V(io)>M"
    place = Place("file_read_miss", "6.7", "6.6")
    assert made.code(*where[0]) == "V(io)>V"
    assert made.changed("6.6", "6.7")
    text = plain(matrix_grid.paint(made, place, 200, len(LINES) + 1))
    assert "+◆V(io)>V" in text
    heads, line = text.split("\n")[0], next(row for row in text.split("\n") if "+◆" in row)
    assert heads.index("6.7") == line.index("V(io)>V")


def test_every_row_and_kernel_of_the_matrix_is_there(store: CellStore) -> None:
    text = plain(matrix_grid.paint(store, Place(), 250, len(LINES) + 1, ASCII))
    assert all(kind.title in text for kind in KINDS)
    assert text.split("\n")[0].split()[1:] == list(KERNELS)


def test_codes_are_those_that_runs_gave(store: CellStore) -> None:
    assert len(store.cells) == len(ALL)
    for kind, kernel in (("file_read_miss", "6.7"), ("anon_write", "6.0"), ("gup", "7.2")):
        assert store.code(kind, kernel) == matrix.cell(kind, kernel).code


def test_every_code_that_comes_up_has_a_meaning(store: CellStore) -> None:
    for cell in store.cells.values():
        if cell.code:
            assert all(said for _, said in meaning(cell.code)), cell
            assert "".join(part for part, _ in meaning(cell.code)) == cell.code


def test_a_run_that_fails_is_shown_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(kind: str, kernel: str, policy: object = ()) -> object:
        raise ValueError("no such thing")

    monkeypatch.setattr(matrix, "cell", broken)
    made = CellStore()
    while made.work(1.0):
        pass
    assert made.code("anon_write", "6.7") == "!"
    assert made.cells["anon_write", "6.7"].cause == "no such thing"


def test_work_is_given_back_after_a_moment() -> None:
    made = CellStore()
    assert made.work(0.0)
    assert 0 < len(made.cells) < 5


def test_the_cell_that_is_looked_at_is_run_first() -> None:
    made = CellStore()
    made.want("gup", "7.2")
    made.work(0.0)
    assert list(made.cells) == [("gup", "7.2")]


@pytest.mark.parametrize(("width", "kernels"), [(78, 7), (118, 12), (196, len(KERNELS))])
def test_codes_get_short_before_kernels_are_hidden(width: int, kernels: int) -> None:
    store, place = CellStore(), Place("file_read_miss", "6.12")
    cell = matrix.Cell("", "", "V(io)>M")
    store.cells.update({(kind.id, name): cell for kind in KINDS for name in KERNELS})
    rows = matrix_grid.paint(store, place, width, 20)
    assert len(place.shown) >= kernels
    assert ("V~>M" in plain(rows)) == (width < 196)
