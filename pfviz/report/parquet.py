"""A table as Parquet, through pyarrow: typed columns, and the facts of the run as metadata."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from pfviz.report.recording import Piece, Recording
from pfviz.report.tables import ADDRESS, FLAG, INT, TABLES, TEXT, Cells, Column

ROWS_A_GROUP: Final = 100_000
_TYPES: Final = {INT: pa.int64(), ADDRESS: pa.uint64(), TEXT: pa.string(), FLAG: pa.bool_()}


def pieces(recording: Recording, table: str = "events") -> Iterator[Piece]:
    """The bytes of the file, a row group a piece; the last piece is its index."""
    made = TABLES[table](recording)
    fields = [pa.field(column.name, _TYPES[column.type]) for column in made.columns]
    about = {"pfviz.table": table, "pfviz.source": recording.name}
    about |= {f"pfviz.{key}": value for key, value in sorted(recording.log.meta.items())}
    schema = pa.schema(fields, metadata=about)
    sink = _Sink()
    done = 0
    with pq.ParquetWriter(pa.PythonFile(sink, mode="w"), schema, compression="zstd") as writer:
        waiting: list[Cells] = []
        for done, rows in made.pieces:
            waiting += rows
            if len(waiting) >= ROWS_A_GROUP:
                writer.write_table(_group(waiting, made.columns, schema))
                waiting = []
            yield done, sink.taken()
        writer.write_table(_group(waiting, made.columns, schema))
    yield len(recording.log), sink.taken()


def _group(rows: list[Cells], columns: tuple[Column, ...], schema: pa.Schema) -> pa.Table:
    arrays = [
        pa.array([row[place] for row in rows], type=_TYPES[column.type])
        for place, column in enumerate(columns)
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


class _Sink:
    """A file that hands over what was written to it; it only knows how long it is."""

    closed = False

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._length = 0

    def write(self, data: bytes) -> int:
        """Keep some bytes."""
        self._parts.append(bytes(data))
        self._length += len(data)
        return len(data)

    def tell(self) -> int:
        """How many bytes were written since the beginning."""
        return self._length

    def flush(self) -> None:
        """Nothing waits here."""

    def close(self) -> None:
        """Nothing is open here."""

    def taken(self) -> bytes:
        """What was written since the last call."""
        data = b"".join(self._parts)
        self._parts = []
        return data
