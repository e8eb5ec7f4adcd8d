"""The keys of the tree pane: a cursor, opening and folding, jumping, one node in detail."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from pfviz.tui.screens.lab_exports import LabExports
from pfviz.tui.screens.prompt import TREE_PROMPT
from pfviz.tui.tree_place import address_of
from pfviz.views import tree, tree_shape
from pfviz.views.frame import Frame
from pfviz.views.look import Look, TreeLook
from pfviz.views.memory_state import MmState
from pfviz.views.tree_choice import tree_mm

PANE: Final = "tree"
OPEN_ALL_MAX: Final = 5_000
"""Trees of more nodes are not opened all at once."""


class LabTree(LabExports):
    """Actions on the tree pane; elsewhere they say where they work."""

    def inner_size(self, name: str) -> tuple[int, int]:
        """The room inside a pane's border."""
        raise NotImplementedError

    def scene_look(self) -> Look:
        """How the tree pane is looked at now."""
        raise NotImplementedError

    def action_row(self, direction: int) -> None:
        """In the tree: the node above or below; elsewhere as everywhere."""
        mm = self._tree() if self.pane_name == PANE else None
        if mm is None or self._is_detail_alone():
            super().action_row(direction)
            return
        ids = tree.node_ids(self.player.frame, self.inner_size(PANE)[1], self.scene_look())
        cursor = self.look.tree.cursor
        if not ids:
            return
        at = ids.index(cursor) + direction if cursor in ids else 0
        self._look_at(ids[max(0, min(at, len(ids) - 1))])
        self.moved()

    def action_tree_open(self) -> None:
        """Show or fold what is below the node at the cursor."""
        mm = self._asked()
        if mm is None:
            return
        look = self.look.tree
        cursor = look.cursor if look.cursor in mm.nodes else mm.root
        if mm.nodes[cursor].dead_ns >= 0:
            self.say(f"Node #{cursor} is dead: {{tree.slots}} shows its slots as they were.")
        elif tree.is_opened(self.player.frame, cursor, self.inner_size(PANE)[1], self.scene_look()):
            look = replace(look, opened=look.opened - {cursor}, folded=look.folded | {cursor})
        else:
            look = replace(look, opened=look.opened | {cursor}, folded=look.folded - {cursor})
        self._set(replace(look, cursor=cursor))

    def action_tree_open_all(self) -> None:
        """Open every inner node; again: show what there is room for."""
        mm = self._asked()
        if mm is None:
            return
        look = self.look.tree
        if look.opened or look.folded:
            self.say("The tree is folded to the room there is.")
            self._set(replace(look, opened=frozenset(), folded=frozenset()))
        elif len(mm.nodes) > OPEN_ALL_MAX:
            self.say(
                f"{len(mm.nodes):,} nodes are too many to open at once; {{tree.open}} opens one."
            )
            self.moved()
        else:
            inner = frozenset(
                node.id for node in mm.nodes.values() if node.is_rb or not node.is_leaf
            )
            self.say(
                "Every node is shown; {row.down} and {row.up} go through them. "
                "{tree.open-all} folds the tree again."
            )
            self._set(TreeLook(inner, frozenset(), max(look.cursor, 0) or mm.root))

    def action_tree_slots(self) -> None:
        """Show the node at the cursor slot by slot, or the tree again."""
        mm = self._asked()
        if mm is None:
            return
        if mm.has_rb_tree:
            self.say("A node of a red-black tree is one VMA: its row says it all.")
            self.moved()
            return
        look = self.look.tree
        cursor = look.cursor if look.cursor in mm.nodes or look.shows_slots else mm.root
        self.tops.pop(PANE, None)
        self._set(replace(look, cursor=cursor, shows_slots=not look.shows_slots))

    def action_tree_walker(self) -> None:
        """The cursor to the node under the next thread that walks, or walked last."""
        mm = self._asked()
        if mm is None:
            return
        frame = self.player.frame
        walkers = [task for task in frame.people() if task.walk_at in mm.nodes]
        if not walkers:
            self.say("No thread has walked this tree yet, or its nodes are gone.")
            self.moved()
            return
        walkers.sort(key=lambda task: (-task.walk_ns, task.id))
        nodes = list(dict.fromkeys(task.walk_at for task in walkers))
        cursor = self.look.tree.cursor
        node = nodes[(nodes.index(cursor) + 1) % len(nodes)] if cursor in nodes else nodes[0]
        names = ", ".join(frame.label(task.id) for task in walkers if task.walk_at == node)
        self.say(f"Node #{node}: {names} walked here last.")
        self._look_at(node)
        self.moved()

    def action_tree_address(self) -> None:
        """Ask for an address and go to the leaf that covers it."""
        if self._asked() is None:
            return

        def jump(text: str) -> None:
            frame = self.player.frame
            mm = frame.mms[tree_mm(frame, self.look)]
            path = tree_shape.path_to(mm, address_of(text, frame, mm.id))
            if not path:
                raise ValueError("the tree has no nodes now")
            look = self.look.tree
            opened = look.opened | set(path[:-1])
            self.look = replace(self.look, tree=replace(look, opened=opened))
            self._look_at(path[-1])

        self._ask(TREE_PROMPT, jump)

    def go_back(self) -> None:
        """First from a node in detail to the tree, then as everywhere."""
        if self.look.tree.shows_slots and self.pane_name == PANE and self.player.errand is None:
            self._set(replace(self.look.tree, shows_slots=False))
            return
        super().go_back()

    # Helpers of these actions

    def _tree(self) -> MmState | None:
        """The address space shown, when its tree is known."""
        frame: Frame = self.player.frame
        mm = frame.mms.get(tree_mm(frame, self.look))
        is_known = mm is not None and mm.root in mm.nodes
        return mm if is_known else None

    def _asked(self) -> MmState | None:
        """The same, or a word on why the key does nothing."""
        self.hush()
        if self.pane_name != PANE:
            self.say("This key acts in the tree; 4 goes there.")
            self.moved()
            return None
        mm = self._tree()
        if mm is None:
            self.say("No tree is known here: a capture does not tell its nodes.")
            self.moved()
        return mm

    def _is_detail_alone(self) -> bool:
        return self.look.tree.shows_slots and self.inner_size(PANE)[0] < tree.SIDE_BY_SIDE

    def _look_at(self, node: int) -> None:
        self.tops.pop(PANE, None)
        self.look = replace(self.look, tree=replace(self.look.tree, cursor=node))

    def _set(self, look: TreeLook) -> None:
        self.look = replace(self.look, tree=look)
        self.moved()
