"""A log that pfviz itself wrote as text, being read again: its head, its rows, what is missing.

What a line looks like is known to `jsonl` and `own_ftrace`; here are the values.
"""

from __future__ import annotations

from typing import Any, Final

from pfviz.sim.event import LOSS, NOBODY, EventLog, StepInfo
from pfviz.trace.named_rows import RowReader, kind_of

SCHEMA: Final = "events/1"
"""Which head, rows and details these are; another number is another format."""


class OwnLog:
    """Takes objects and rows in the order of the file; `finish` gives the log."""

    def __init__(self) -> None:
        self.log = EventLog()
        self.rows_expected = 0
        self._reader = RowReader(self.log)

    def take_head(self, value: dict[str, Any]) -> None:
        """Take an object that is no event; KeyError, TypeError, ValueError when it is none."""
        log = self.log
        if "pfviz" in value:
            if value["pfviz"] != SCHEMA:
                raise ValueError(f"{value['pfviz']!r} is not {SCHEMA}, which this pfviz reads")
            log.meta.update(value["meta"])
            self.rows_expected = int(value["rows"])
        elif "step_number" in value:
            del value["step_number"]
            log.steps.append(StepInfo(**value))
        elif "texts" in value:
            for text in value["texts"]:
                known = len(log.texts)
                if log.text(text) < known:
                    log.texts.append(text)  # A capture gave a thread a name that was there.
        elif "unused_details" in value:
            for number, detail in value["unused_details"]:
                self._reader.put_detail(number, detail)
        else:
            raise KeyError("event")

    def add(self, now_ns: int, name: str, task: int, payload: dict[str, Any]) -> None:
        """Append an event; the errors are those of `RowReader.add` and `kind_of`."""
        self._reader.add(now_ns, kind_of(name), task, payload)

    @property
    def is_cut(self) -> bool:
        """Whether rows are missing still."""
        return len(self.log) < self.rows_expected

    def finish(self) -> EventLog:
        """The log; when the file ended too early, with a loss at its end that says so."""
        log = self._reader.finish()
        missing = self.rows_expected - len(log)
        if missing > 0:
            last_ns = log.row(len(log) - 1)[0] if len(log) else 0
            text = f"the file ends here: {missing} of {self.rows_expected} events are missing"
            log.append(last_ns, LOSS, NOBODY, -1, missing, log.text(text))
            log.meta |= {"lossy": "yes", "losses": text}
        return log
