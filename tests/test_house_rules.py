"""House rules that a machine can check: size, names, clocks and dice, steps with a sentence."""

import ast
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "pfviz"
FILES = sorted([*PACKAGE.rglob("*.py"), *(ROOT / "tests").rglob("*.py")])
FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 60
VAGUE_NAMES = {"util", "utils", "helpers", "common", "misc", "manager"}
CLOCKS_AND_DICE = {"time", "datetime", "random", "secrets", "threading", "asyncio", "uuid"}


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", FILES, ids=named)
def test_files_and_functions_fit_on_the_screen(path: Path) -> None:
    source = path.read_text()
    assert source.count("\n") <= FILE_LINES_MAX, "two ideas share this file"
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            assert node.end_lineno - node.lineno < FUNCTION_LINES_MAX, node.name


@pytest.mark.parametrize("path", FILES, ids=named)
def test_every_module_says_what_it_is(path: Path) -> None:
    source = path.read_text()
    if source.strip():
        assert ast.get_docstring(ast.parse(source)), "a module opens with what it is"
    assert path.stem not in VAGUE_NAMES


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize(
    "package", ["sim", "sync", "mm", "stats", "scenario", "trace", "views", "report"]
)
def test_nothing_below_the_screen_reads_a_clock_or_rolls_dice(package: str) -> None:
    for path in sorted((PACKAGE / package).rglob("*.py")):
        assert not imported(path) & CLOCKS_AND_DICE, named(path)


@pytest.mark.parametrize("path", sorted((PACKAGE / "mm").rglob("*.py")), ids=named)
def test_every_step_names_its_source(path: Path) -> None:
    tree = ast.parse(path.read_text())
    named = {
        node.target.id: node.value
        for node in tree.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef):
            continue
        for decorator in node.decorator_list:
            if isinstance(decorator, ast.Call) and getattr(decorator.func, "id", "") == "step":
                source: ast.expr | None = decorator.args[0]
                if isinstance(source, ast.Name):  # A file that many steps of a module share.
                    source = named.get(source.id)
                assert isinstance(source, ast.Constant), node.name
                assert isinstance(source.value, str), node.name
                in_user_mode = source.value == "user mode"
                assert in_user_mode or "/" in source.value, (node.name, source.value)
                assert ast.get_docstring(node), f"{node.name} has no sentence"


def test_the_engine_keeps_no_module_globals_that_change() -> None:
    for package in ("sim", "sync", "mm"):
        for path in sorted((PACKAGE / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                assert not isinstance(node, ast.Global), named(path)


def test_no_two_test_files_hide_one_another() -> None:
    """Outside packages pytest imports a file by its bare name, and fails on the second."""
    files = (ROOT / "tests").rglob("test_*.py")
    bare = [path for path in files if not (path.parent / "__init__.py").exists()]
    names = Counter(path.name for path in bare)
    assert [name for name, times in names.items() if times > 1] == []
