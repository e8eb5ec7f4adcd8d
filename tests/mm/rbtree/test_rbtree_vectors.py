"""The tree against the kernel's own code: same colours, same shape, same gaps, same answers."""

import gzip
from pathlib import Path

import pytest

from pfviz.mm.rbtree import NIL, RbTree, balance, gaps
from pfviz.mm.rbtree.node import BLACK, RbNode

VECTORS = Path(__file__).parents[2] / "data" / "rbtree" / "vectors.txt.gz"


def cases() -> dict[str, list[str]]:
    """The recorded runs by name; the format is told at the head of the file."""
    found: dict[str, list[str]] = {}
    name = ""
    for line in gzip.decompress(VECTORS.read_bytes()).decode().splitlines():
        if line.startswith("#"):
            name = line[2:]
        else:
            found.setdefault(name, []).append(line)
    return found


CASES = cases()


def dump(tree: RbTree, node_id: int) -> str:
    if not node_id:
        return "."
    node = tree.nodes[node_id]
    letter = "B" if node.color == BLACK else "R"
    below = f"{dump(tree, node.left)} {dump(tree, node.right)}"
    return f"({letter}{node.start:x}:{node.subtree_gap:x} {below})"


def hexadecimal(number: int | None) -> str:
    return "-" if number is None else f"{number:x}"


def replay(lines: list[str]) -> None:
    tree = RbTree()
    for number, line in enumerate(lines):
        what, _, answer = line.partition(" = ")
        verb, *words = what.split()
        numbers = [int(word, 16) for word in words]
        got = ""
        if verb == "i":
            tree.insert(numbers[0], numbers[1], None, numbers[2])
        elif verb == "e":
            for node in list(tree.between(*numbers)):
                tree.erase(node)
        elif verb == "r":
            tree.resize(node_at(tree, numbers[0]), numbers[1], numbers[2])
        elif verb == "t":
            got = hexadecimal(tree.gap_topdown(*numbers))
        elif verb == "u":
            got = hexadecimal(tree.gap_bottomup(*numbers))
        elif verb == "f":
            found = tree.find(numbers[0])
            got = hexadecimal(found.start if found is not None else None)
        else:
            got = dump(tree, tree.root)
        assert got == answer, f"line {number}: {line}"


def replay_all() -> None:
    for lines in CASES.values():
        replay(lines)


def node_at(tree: RbTree, address: int) -> RbNode:
    node = tree.find(address)
    assert node is not None
    return node


@pytest.mark.parametrize("name", CASES)
def test_the_tree_equals_the_kernels_node_for_node(name: str) -> None:
    replay(CASES[name])


def test_the_vectors_notice_an_erase_that_is_not_repaired(monkeypatch: pytest.MonkeyPatch) -> None:

    monkeypatch.setattr(balance, "erase_color", lambda tree, parent: None)
    with pytest.raises(AssertionError):
        replay_all()


def test_the_vectors_notice_a_gap_that_is_not_passed_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def only_here(tree: RbTree, node_id: int, stop: int = NIL) -> None:
        if node_id:
            tree.set_gap(tree.nodes[node_id], gaps.subtree_gap(tree, tree.nodes[node_id]))

    monkeypatch.setattr(gaps, "update_gap", only_here)
    with pytest.raises(AssertionError):
        replay_all()
