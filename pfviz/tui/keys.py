"""Every key of the app in one table, from which bindings, hints, help and the palette are made.

An id names what a key does and stays when the key is rebound; nothing here acts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from .key_words import spelled

if TYPE_CHECKING:
    from textual.binding import BindingType

LAB: Final = "lab"
COMPARE: Final = "compare"
GALLERY: Final = "gallery"
MATRIX: Final = "matrix"
HELP: Final = "help"
LIST: Final = "list"
COST: Final = "cost"
PROMPT: Final = "prompt"
LOADING: Final = "loading"
QUESTION: Final = "question"
STAGE: Final = "stage"
NOTES: Final = "notes"
EVERYWHERE: Final = "everywhere"
SCREENS: Final = {
    LAB: "in the lab", COMPARE: "in compare", GALLERY: "in the gallery", MATRIX: "in the matrix",
    STAGE: "on the stage", NOTES: "in the notes",
    HELP: "on the help page", LIST: "in a list", COST: "in the table of costs",
    PROMPT: "where something is typed", QUESTION: "where a question is asked",
    LOADING: "while something opens",
}  # fmt: skip
"""Screen -> how a message says where that is."""
MODAL: Final = (LIST, COST, PROMPT, QUESTION, LOADING)
"""Screens over another one, to which the keys of everywhere do not get through."""
PANE_DIGITS: Final = tuple("123456789")

GROUPS: Final = (
    "Play", "Move", "Look", "In the tree (4)", "Change", "In the matrix", "On stage",
    "In the notes", "On pages and lists", "Take away", "The app",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Key:
    """One binding: `keys` in Textual's spelling, the action it calls, what help says of it."""

    id: str
    keys: str
    action: str
    label: str
    """One or two words, for the hint line and the palette."""
    help: str
    group: str
    screens: tuple[str, ...] = (LAB,)
    hint: str = ""
    """How the hint line writes the key; empty keeps it out of the hint line."""
    beside: str = ""
    """The id of the binding whose key stands before this one in the hint: `←/→`."""


BOTH: Final = (LAB, COMPARE)

KEYS: Final = (
    # Play
    Key("play.toggle", "space", "play", "play / pause",
        "Play or pause. In the past, play goes on from there until it is back in the present.",
        "Play", BOTH, "space"),
    Key("step.forward", "right,l,full_stop", "step(1)", "step",
        "One step forward: one indivisible thing that one thread does.",
        "Play", BOTH, "←/→", "step.back"),
    Key("step.back", "left,h", "step(-1)", "step back", "One step back.", "Play", BOTH),
    Key("step.unit", "u", "unit", "step by",
        "Choose what the arrows step by: step, event, fault or lock hand-over.", "Play", BOTH),
    Key("event.forward", "shift+right", "by('event', 1)", "next event",
        "One event forward; a step is one or more events.", "Play"),
    Key("event.back", "shift+left", "by('event', -1)", "event back", "One event back.", "Play"),
    Key("fault.next", "f", "by('fault', 1)", "next fault",
        "To where the next page fault ends.", "Play"),
    Key("fault.previous", "F", "by('fault', -1)", "previous fault",
        "To where the fault before ended.", "Play"),
    Key("handover.next", "o", "by('hand-over', 1)", "next hand-over",
        "To the next moment at which a waiting thread gets its lock.", "Play"),
    Key("handover.previous", "O", "by('hand-over', -1)", "previous hand-over",
        "To the hand-over before.", "Play"),
    Key("cue.next", "right_square_bracket,pagedown", "by('cue', 1)", "next cue",
        "To the next cue, a moment that the scenario's author marked.",
        "Play", BOTH, "[ ]", "cue.previous"),
    Key("cue.previous", "left_square_bracket,pageup", "by('cue', -1)", "previous cue",
        "To the cue before.", "Play", BOTH),
    Key("speed.slower", "less_than_sign,comma", "speed(-1)", "slower",
        "Less simulated time per second.", "Play", BOTH),
    Key("speed.faster", "greater_than_sign", "speed(1)", "faster",
        "More simulated time per second.", "Play", BOTH, "< >", "speed.slower"),
    # Move
    Key("go.start", "home", "go_start", "to the start",
        "To the start of the run.", "Move", BOTH),
    Key("go.g", "g", "prefix_g", "gg: start", "First half of `gg`.", "Move", BOTH),
    Key("go.end", "end,G", "go_end", "to the end",
        "From the past to the present; from the present to the end of the run.", "Move", BOTH),
    Key("go.to", "colon", "go_to", "go to",
        "Go to a time (`12.4us`), a step (`412`), an event (`e1200`), a share (`50%`), "
        "a cue (`cue 2`) or a bookmark (`mark 1`).", "Move", (LAB,), ":"),
    Key("search.start", "slash", "search", "find",
        "Find steps, events, threads, locks and addresses; every word must match.",
        "Move", (LAB,), "/"),
    Key("search.next", "n", "found(1)", "next hit", "To the next hit of the search.", "Move"),
    Key("search.previous", "N", "found(-1)", "previous hit", "To the hit before.", "Move"),
    Key("owner.follow", "right_curly_bracket", "follow_owner", "who holds it",
        "From a waiting thread to the thread that holds the lock it waits for.",
        "Move", (LAB,), "}"),
    Key("owner.back", "left_curly_bracket", "back_from_owner", "back to the waiter",
        "Back to the thread that you followed from.", "Move"),
    Key("mark.set", "M", "mark", "bookmark", "Set or remove a bookmark here.", "Move"),
    Key("mark.next", "apostrophe", "next_mark", "next bookmark",
        "To the next bookmark, then round to the first.", "Move"),
    Key("break.add", "b", "break_add", "break on",
        "Stop playing when a condition comes true.", "Move", (LAB,), "b"),
    Key("break.list", "B", "break_list", "breakpoints",
        "List the breakpoints; enter removes one.", "Move"),
    # Look
    Key("pane.focus", "1,2,3,4,5,6,7,8,9", "pane", "focus a pane", "Focus a pane by its number.",
        "Look"),
    Key("pane.next", "tab", "pane_next(1)", "next pane", "Focus the next pane.", "Look"),
    Key("pane.previous", "shift+tab", "pane_next(-1)", "previous pane",
        "Focus the pane before.", "Look"),
    Key("pane.zoom", "z", "zoom", "maximise",
        "Give the focused pane the whole screen; again or {back} gives it back.",
        "Look", (LAB,), "z"),
    Key("row.down", "j,down", "row(1)", "next thread",
        "Select the next thread (in 1), the next node (in 4); scroll down (elsewhere).", "Look"),
    Key("row.up", "k,up", "row(-1)", "previous thread",
        "Select the thread before (in 1), the node before (in 4); scroll up (elsewhere).", "Look"),
    Key("row.page_down", "ctrl+d", "row(10)", "ten threads on",
        "Ten threads or rows down.", "Look"),
    Key("row.page_up", "ctrl+u", "row(-10)", "ten threads back", "Ten threads or rows up.", "Look"),
    Key("lanes.wider", "minus", "window(1)", "longer lanes",
        "Show more time in the thread lanes.", "Look", BOTH),
    Key("lanes.closer", "plus", "window(-1)", "closer lanes",
        "Show less time in the thread lanes, in more detail.", "Look", BOTH),
    Key("captions", "C", "captions", "captions", "Captions of cues, and questions, on or off.",
        "Look"),
    # In the tree
    Key("tree.open", "x", "tree_open", "open / fold",
        "Show or fold what is below the node at the cursor ({row.down} and {row.up} move it); a "
        "leaf shows its slots.", "In the tree (4)"),
    Key("tree.open-all", "X", "tree_open_all", "open all",
        "Open the whole tree, or fold it to the room there is.", "In the tree (4)"),
    Key("tree.slots", "d,enter", "tree_slots", "node in detail",
        "The node at the cursor slot by slot, and its 256 bytes word by word; esc goes back.",
        "In the tree (4)"),
    Key("tree.walker", "w", "tree_walker", "node under a thread",
        "The cursor to the node on which a thread stands; again: the next thread's.",
        "In the tree (4)"),
    Key("tree.address", "A", "tree_address", "go to an address",
        "The cursor to the leaf that covers an address, a VMA or what a thread looked up.",
        "In the tree (4)"),
    # Change
    Key("mode.next", "m", "mode", "mode",
        "Next lock mode: mmap_lock, per-VMA, lockless. The run starts again with the same seed "
        "and goes to the same place in the workload.", "Change", (LAB,), "m"),
    Key("kernel.newer", "v", "kernel_step(1)", "newer kernel",
        "The next newer kernel, at the same place in the workload; says what it changed and which "
        "commit did.", "Change", (LAB,), "v"),
    Key("kernel.older", "V", "kernel_step(-1)", "older kernel",
        "The next older kernel, in the same way.", "Change"),
    Key("kernel.choose", "K", "kernel", "kernel",
        "Another kernel preset, at the same place in the workload.", "Change"),
    Key("policy.choose", "P", "policy", "policy",
        "Another choice of a kernel's policy, at the same place in the workload; what it costs "
        "faults and those they hold up is measured. In the matrix: cells that it changes get a +.",
        "Change", (LAB, MATRIX)),
    Key("policy.cost", "dollar_sign", "cost", "what it costs",
        "What the policy chosen last costs faults, and those they hold up.", "Change"),
    Key("compare", "equals_sign", "compare", "compare",
        "The same workload in each mode, side by side; again goes back.", "Change", BOTH, "="),
    Key("align", "a", "align", "align",
        "In compare: line the runs up by operations done, or by simulated time.", "Change",
        (COMPARE,), "a"),
    Key("divergence", "D", "divergence", "first divergence",
        "In compare: to the first operation that the modes do differently.", "Change",
        (COMPARE,), "D"),
    Key("runner.choose", "c", "choose", "who runs",
        "At the next moment at which several threads could run: choose which one does.",
        "Change"),
    Key("restart", "r", "restart", "restart", "Start again with the same seed.", "Change"),
    Key("reseed", "R", "reseed", "new seed", "Start again with the next seed.", "Change"),
    # In the matrix
    Key("matrix.play", "enter,space", "play_cell", "play it",
        "Play this fault in this kernel, in the lab. Esc comes back.",
        "In the matrix", (MATRIX,), "enter"),
    Key("matrix.down", "j,down", "cell(1, 0)", "fault", "The fault below.",
        "In the matrix", (MATRIX,), "↑/↓", "matrix.up"),
    Key("matrix.up", "k,up", "cell(-1, 0)", "fault before", "The fault above.",
        "In the matrix", (MATRIX,)),
    Key("matrix.newer", "l,right,right_square_bracket,v", "cell(0, 1)", "kernel",
        "The next newer kernel: what it changed, which commit did it, which cells differ (◆).",
        "In the matrix", (MATRIX,), "←/→", "matrix.older"),
    Key("matrix.older", "h,left,left_square_bracket,V", "cell(0, -1)", "older kernel",
        "The next older kernel.", "In the matrix", (MATRIX,)),
    Key("matrix.page_down", "pagedown", "cell(10, 0)", "ten faults on", "Ten faults down.",
        "In the matrix", (MATRIX,)),
    Key("matrix.page_up", "pageup", "cell(-10, 0)", "ten faults back", "Ten faults up.",
        "In the matrix", (MATRIX,)),
    Key("matrix.oldest", "home", "kernel_end(0)", "oldest kernel", "To the oldest kernel.",
        "In the matrix", (MATRIX,)),
    Key("matrix.newest", "end", "kernel_end(-1)", "newest kernel", "To the newest kernel.",
        "In the matrix", (MATRIX,)),
    Key("matrix.at_work", "o", "at_work", "at work",
        "Play the scenario that shows this fault at work among others, in this kernel.",
        "In the matrix", (MATRIX,), "o"),
    Key("matrix.next_changed", "n", "changed(1)", "next that differs",
        "To the next fault that differs (◆) from the kernel beside it, round to the first.",
        "In the matrix", (MATRIX,), "n"),
    Key("matrix.previous_changed", "N", "changed(-1)", "one before that differs",
        "To the one before.", "In the matrix", (MATRIX,)),
    Key("matrix.words", "tab", "words", "cell / kernel",
        "On narrow screens: what is said of the cell, or of its kernel.",
        "In the matrix", (MATRIX,), "tab"),
    Key("matrix.scroll_down", "J,shift+down", "scroll_words(3)", "read on",
        "Scroll what is said of cell and kernel.", "In the matrix", (MATRIX,)),
    Key("matrix.scroll_up", "K,shift+up", "scroll_words(-3)", "read back",
        "Scroll it back.", "In the matrix", (MATRIX,)),
    # On stage
    Key("stage.next", "pagedown,space,right,down,n,l", "next", "next",
        "Go on to the next stop, or after the last one to the next scene; what moves is finished "
        "at once. A click does it, too.", "On stage", (STAGE,)),
    Key("stage.previous", "pageup,left,up,p,h,backspace", "previous", "previous",
        "To the stop before, at once and exactly as it was, also in the scene before.",
        "On stage", (STAGE,)),
    Key("stage.blank", "b,B,full_stop", "blank", "blank",
        "Blank the screen; any key of a clicker brings it back.", "On stage", (STAGE,)),
    Key("stage.talk", "f5,shift+f5,f17", "talk", "the talk",
        "Back to the talk where it was, from a blank screen or from the lab. Never restarts.",
        "On stage", (STAGE,)),
    Key("stage.manual", "S", "manual", "take over",
        "The lab at this very moment, with all its keys; PgDn, F5 or esc is back where the talk "
        "was. Esc does the same. On a scenario's own stage: back to the lab at the same place.",
        "On stage", (STAGE,)),
    Key("stage.number", "colon", "number", "go to scene",
        "A number and enter go to that scene. Where a question is asked, a digit picks an answer "
        "and shows which is right; after : it is the number of a scene there, too.",
        "On stage", (STAGE,)),
    Key("stage.enter", "enter", "enter", "next, or go",
        "Next; after a number, to that scene.", "On stage", (STAGE,)),
    Key("stage.restart", "home", "restart", "restart", "To the beginning of the talk.",
        "On stage", (STAGE,)),
    Key("stage.g", "g", "prefix_g", "gg: restart", "First half of `gg`.", "On stage", (STAGE,)),
    # In the notes
    Key("notes.next", "pagedown,space,right,down,n,l,enter", "next", "next",
        "In the second terminal, `pfviz notes`: on to the next stop; the stage goes with it.",
        "In the notes", (NOTES,), "PgDn"),
    Key("notes.previous", "pageup,left,up,p,h,backspace", "previous", "previous",
        "To the stop before.", "In the notes", (NOTES,), "PgUp"),
    Key("notes.clock", "r", "clock", "clock from now", "The talk begins now.",
        "In the notes", (NOTES,), "r"),
    # On pages and lists
    Key("list.down", "j", "cursor(1)", "down", "In a list: the next line; so does the arrow.",
        "On pages and lists", (LIST,)),
    Key("list.up", "k", "cursor(-1)", "up", "The line before.", "On pages and lists", (LIST,)),
    Key("list.leave", "escape", "leave", "leave", "Leave a list with nothing chosen.",
        "On pages and lists", (LIST,)),
    Key("prompt.leave", "escape", "leave", "leave", "Leave a line without doing what it says.",
        "On pages and lists", (PROMPT,)),
    Key("question.go", "enter,space,pagedown,right", "go", "reveal, go on",
        "Where a scenario asks (captions off: it does not): show the right answer, then play on. "
        "A digit answers.", "On pages and lists", (QUESTION,)),
    Key("question.skip", "escape", "skip", "skip", "Play on without an answer.",
        "On pages and lists", (QUESTION,)),
    Key("loading.leave", "escape,q", "leave", "stop", "Give up what is being opened.",
        "On pages and lists", (LOADING,)),
    Key("page.down", "j,down", "scroll(1)", "down", "On this page: a line down.",
        "On pages and lists", (HELP,)),
    Key("page.up", "k,up", "scroll(-1)", "up", "A line up.", "On pages and lists", (HELP,)),
    Key("page.next", "space,pagedown", "scroll(15)", "page down", "On this page: a page down.",
        "On pages and lists", (HELP,)),
    Key("page.previous", "pageup", "scroll(-15)", "page up", "A page up.",
        "On pages and lists", (HELP,)),
    Key("page.first", "home,g", "scroll(-100000)", "top", "On this page: to its top.",
        "On pages and lists", (HELP,)),
    Key("page.last", "end,G", "scroll(100000)", "bottom", "To its bottom.",
        "On pages and lists", (HELP,)),
    Key("cost.leave", "escape,enter,space,dollar_sign", "leave", "back",
        "Leave the table of what a policy costs.", "On pages and lists", (COST,)),
    Key("cost.down", "down,j", "scroll_rows(1)", "down", "In the table of costs: a row down.",
        "On pages and lists", (COST,)),
    Key("cost.up", "up,k", "scroll_rows(-1)", "up", "A row up.", "On pages and lists", (COST,)),
    Key("cost.next", "pagedown", "scroll_rows(10)", "page down", "Ten rows down.",
        "On pages and lists", (COST,)),
    Key("cost.previous", "pageup", "scroll_rows(-10)", "page up", "Ten rows up.",
        "On pages and lists", (COST,)),
    Key("cost.first", "home", "scroll_rows(-1000)", "first", "To the first row.",
        "On pages and lists", (COST,)),
    Key("cost.last", "end", "scroll_rows(1000)", "last", "To the last row.",
        "On pages and lists", (COST,)),
    # Take away
    Key("copy", "y", "copy", "copy the sentence",
        "Copy the sentence of the moment to the clipboard.", "Take away"),
    Key("share", "Y", "share", "share token",
        "Copy a share token to the clipboard: `pfviz play TOKEN` is at this very moment again.",
        "Take away", BOTH),
    Key("screenshot", "s", "shot", "screenshot",
        "Save the screen as SVG in the current directory.", "Take away", (EVERYWHERE,)),
    Key("export", "e", "export", "export", "Export the run for other tools.", "Take away"),
    # The app
    Key("play.enter", "enter", "open", "play it", "Play the selected scenario.", "The app",
        (GALLERY,)),
    Key("matrix.open", "E,f2", "matrix", "matrix",
        "Every kind of fault in every kernel: which lock serves it. Again goes back.",
        "The app", (EVERYWHERE,)),
    Key("quit", "q,ctrl+q", "quit", "quit",
        "Quit; a talk asks once. Ctrl-C does it too, with exit code 130.", "The app",
        (EVERYWHERE,), "q"),
    Key("help", "question_mark,f1", "help", "help",
        "This page: how to read the screen, every key, every word.", "The app",
        (EVERYWHERE,), "?"),
    Key("palette", "ctrl+p", "command_palette", "commands",
        "All actions by name; type to find one.", "The app", (EVERYWHERE,)),
    Key("theme", "T", "theme", "theme",
        "Other colours: dark, light, high contrast, for a projector, your own.", "The app",
        (EVERYWHERE,)),
    Key("stage.open", "S", "stage", "stage",
        "This scenario on a large, quiet screen: its cues and questions are the stops.",
        "The app"),
    Key("back", "escape", "back", "back",
        "Stop what is under way, then back: from a prompt, a message, a search, a maximised pane, "
        "a followed thread. Pressed again it leaves the run.",
        "The app", (EVERYWHERE,)),
    Key("suspend", "ctrl+z", "suspend_process", "suspend", "Suspend; `fg` comes back.",
        "The app", (EVERYWHERE,)),
)  # fmt: skip


SECOND: Final = {"go.start": "go.g", "stage.restart": "stage.g"}
"""What a letter pressed twice does, too: the first press of it is a binding of its own."""
NO_COMMANDS: Final = ("palette", "pane.focus", *SECOND.values())
"""Keys that are no command of their own."""


def keys_of(screen: str, table: Sequence[Key] = KEYS) -> Iterator[Key]:
    """The keys that act on a screen, in the table's order."""
    for key in table:
        if screen in key.screens or (EVERYWHERE in key.screens and screen not in MODAL):
            yield key


def bindings_of(screen: str) -> list[BindingType]:
    """The bindings that a screen itself has; those of everywhere are the app's."""
    return bindings(key for key in KEYS if screen in key.screens)


def bindings(keys: Iterable[Key]) -> list[BindingType]:
    """Textual bindings; a pane digit passes its digit to the action."""
    from textual.binding import Binding  # The table alone is read without a terminal library.

    made: list[BindingType] = []
    for key in keys:
        if key.id == "pane.focus":
            made += [
                Binding(digit, f"pane({digit})", key.label, show=False, id=f"pane.{digit}")
                for digit in PANE_DIGITS
            ]
        else:
            made.append(Binding(key.keys, key.action, key.label, show=False, id=key.id))
    return made


def listed(group: str, table: Sequence[Key] = KEYS) -> list[tuple[str, str]]:
    """(keys as a person reads them, what they do) of one group; `gg` stands with its whole."""
    second = {key.id: key for key in table if key.id in SECOND.values()}
    found = []
    for key in table:
        if key.group == group and key.id not in second:
            more = f" {twice(second[SECOND[key.id]].keys)}" if key.id in SECOND else ""
            found.append((spelled(key.keys) + more, key.help))
    return found


def twice(keys: str) -> str:
    """How the two strokes of `gg` are written, for whichever key has the first half."""
    return " ".join(spelled(key) * 2 for key in keys.split(",") if key)
