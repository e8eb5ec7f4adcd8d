"""Where keys stand in a file."""

from __future__ import annotations

from pfviz.scenario.positions import line_of, positions

TEXT = '''\
# a comment with = and [brackets]
title = "a # b ]" # more
story = """
[[not]]
a = table
"""
"quoted key" = 'x'
dotted.key = 1
list = [
  "one", # comment ]
  [2, 3],
]
table = { a = 1, b = { c = 2 } }

[[thread]]
name = "a"
[[thread.op]]
do = "read"
[[thread.op]]
do = "write"
[[thread]]
[[thread.op]]
do = "exit"
[thread.workload]
name = "x"
[policy] # trailing
merge = true
'''


def test_every_key_has_its_line() -> None:
    lines = positions(TEXT)
    assert lines[("title",)] == 2
    assert lines[("story",)] == 3
    assert lines[("quoted key",)] == 7
    assert lines["dotted", "key"] == 8
    assert lines["list", 1] == 11
    assert lines["table", "b", "c"] == 13
    assert lines["thread", 0, "op", 1, "do"] == 20
    assert lines["thread", 1] == 21
    assert lines["thread", 1, "op", 0, "do"] == 23
    assert lines["thread", 1, "workload", "name"] == 25
    assert lines["policy", "merge"] == 27
    assert ("a",) not in lines


def test_what_is_not_written_down_is_where_its_table_is() -> None:
    lines = positions(TEXT)
    assert line_of(lines, ("policy", "missing")) == 26
    assert line_of(lines, ("nowhere",)) == 1
