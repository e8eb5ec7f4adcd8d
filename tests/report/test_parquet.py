"""Parquet: read back with pyarrow, equal to the table, with types and the facts of the run."""

from __future__ import annotations

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pfviz.report import parquet
from pfviz.report.tables import TABLES
from tests.report.runs import recorded, written

SHORT_NS = 100_000


@pytest.mark.parametrize("name", sorted(TABLES))
def test_a_table_is_read_back_as_it_was(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    monkeypatch.setattr(parquet, "ROWS_A_GROUP", 3_000)  # Several row groups, also of a short run.
    recording = recorded("writer-convoy", SHORT_NS)
    read = pq.read_table(io.BytesIO(written(parquet.pieces(recording, table=name))))
    made = TABLES[name](recording)
    rows = [row for _, rows in made.pieces for row in rows]
    assert read.column_names == [column.name for column in made.columns]
    assert list(zip(*(column.to_pylist() for column in read.columns), strict=True)) == [
        tuple(row) for row in rows
    ]
    about = read.schema.metadata
    assert about[b"pfviz.kernel"].decode() == recording.log.meta["kernel"]


def test_columns_have_types() -> None:
    data = written(parquet.pieces(recorded("writer-convoy", SHORT_NS), table="faults"))
    schema = pq.read_table(io.BytesIO(data)).schema
    assert schema.field("latency_ns").type == pa.int64()
    assert schema.field("address").type == pa.uint64()
    assert schema.field("error").type == pa.bool_()
    assert schema.field("kind").type == pa.string()
