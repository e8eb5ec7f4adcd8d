"""A share token says all that a run is made from, and is refused when a letter of it is wrong."""

from __future__ import annotations

import re
import shlex
from binascii import crc_hqx
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pfviz.mm.presets import PRESETS
from pfviz.scenario import policies
from pfviz.scenario.errors import ScenarioError
from pfviz.scenario.overrides import Overrides
from pfviz.scenario.schema import MODES
from pfviz.scenario.token import SWITCHES, Moment, Token, TokenError, decode, encode, is_token
from pfviz.scenario.token_bytes import LETTERS, bytes_of, letters_of

COUNTS = st.integers(0, (1 << 40))
NAMES = st.one_of(
    st.sampled_from(("smaps-monitor", "dax", "file_cow_mapped_first")),
    st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=20),
)


@st.composite
def switches(draw: Any) -> tuple[tuple[str, Any], ...]:
    names = draw(st.lists(st.sampled_from(policies.NAMES), unique=True, max_size=4))
    found = []
    for name in names:
        values = policies.values_of(name)
        found.append((name, draw(st.sampled_from(values) if values else st.integers(1, 99))))
    return tuple(found)


@st.composite
def choices(draw: Any) -> tuple[tuple[int, int], ...]:
    numbers = draw(st.lists(st.integers(0, 10**6), unique=True, max_size=5))
    return tuple((number, draw(st.integers(0, 64))) for number in sorted(numbers))


OVERRIDES = st.builds(
    Overrides,
    kernel=st.none() | st.sampled_from((*PRESETS, "6.12.1", "x")),
    mode=st.none() | st.sampled_from(MODES),
    machine=st.none() | st.sampled_from(("server", "2x16")),
    seed=st.none() | st.integers(0, (1 << 63) - 1),
    threads=st.none() | st.integers(1, 4096),
    until_ns=st.none() | st.integers(1, 1 << 50),
    without=st.lists(st.sampled_from(("smaps", "mapper", "bäcker")), max_size=2).map(tuple),
    policy=switches(),
    choices=choices(),
)
MOMENTS = st.none() | st.builds(Moment, COUNTS, COUNTS, COUNTS, COUNTS, st.integers(0, 0xFFFF))
TOKENS = st.builds(
    Token, NAMES, st.integers(0, 0xFFFF), OVERRIDES, MOMENTS,
    st.lists(st.sampled_from(MODES), max_size=3, unique=True).map(tuple),
    st.none() | st.tuples(COUNTS, COUNTS),
)  # fmt: skip
FEW = settings(max_examples=120, deadline=None)


@given(TOKENS)
@FEW
def test_what_is_written_is_read(token: Token) -> None:
    assert decode(encode(token)) == token


@given(TOKENS)
@FEW
def test_a_token_needs_no_quotes_in_a_shell_and_no_escapes_in_an_address(token: Token) -> None:
    word = encode(token)
    assert shlex.quote(word) == word
    assert re.fullmatch(r"[A-Za-z0-9:@._-]+", word)


@given(TOKENS, st.data())
@FEW
def test_any_single_character_that_is_wrong_is_told(token: Token, data: st.DataObject) -> None:
    word = encode(token)
    place = data.draw(st.integers(0, len(word) - 1))
    letter = data.draw(st.characters(min_codepoint=33, max_codepoint=126))
    damaged = word[:place] + letter + word[place + 1 :]
    if _as_read(damaged) == _as_read(word):
        return
    with pytest.raises(TokenError):
        decode(damaged)


def _as_read(word: str) -> tuple[str, ...]:
    """The parts of a token as they are read: either case, l for 1, o for 0."""
    version, _, rest = word.partition(":")
    name, _, letters = rest.rpartition(":")
    meant = letters.casefold().replace("i", "1").replace("l", "1").replace("o", "0")
    return version.casefold(), name, meant


def test_every_other_letter_is_told_at_every_place_of_one_token() -> None:
    word = encode(Token("dax", 0xBEEF, Overrides(kernel="6.12"), Moment(41208, 0, 12, 3, 77)))
    for place in range(word.rindex(":") + 1, len(word)):
        for letter in LETTERS:
            if letter != word[place]:
                with pytest.raises(TokenError):
                    decode(word[:place] + letter + word[place + 1 :])
    for end in range(4, len(word)):
        with pytest.raises(TokenError, match="missing or mistyped"):
            decode(word[:end])


def test_a_neighbour_s_swap_and_a_doubled_letter_are_told() -> None:
    word = encode(Token("dax", 0x1234, Overrides(seed=7)))
    swapped = [
        word[:at] + word[at + 1] + word[at] + word[at + 2 :] for at in range(4, len(word) - 1)
    ]
    doubled = [word[: at + 1] + word[at:] for at in range(4, len(word))]
    for damaged in {*swapped, *doubled} - {word}:
        with pytest.raises(TokenError):
            decode(damaged)


@given(st.text(max_size=60) | st.text(st.sampled_from(LETTERS + ":@%"), max_size=60))
@settings(max_examples=300, deadline=None)
def test_no_text_is_more_than_an_error(text: str) -> None:
    for word in (text, f"pf1:{text}", f"pf1:dax:{text}", f"pf7:{text}"):
        try:
            decode(word)
        except ScenarioError as error:
            said = str(error)
        else:
            said = ""
        assert said.isprintable()


@given(st.binary(max_size=40))
@settings(max_examples=300, deadline=None)
def test_bytes_with_a_right_check_may_still_mean_nothing(data: bytes) -> None:
    whole = data + crc_hqx(data, crc_hqx(b"dax:", 0xFFFF)).to_bytes(2, "big")
    with suppress(TokenError):
        assert decode(f"pf1:dax:{letters_of(whole)}").name == "dax"


def test_a_mail_may_break_the_line_and_a_reader_may_shout() -> None:
    token = Token("dax", 0xBEEF, Overrides(kernel="6.12"), Moment(41208, 5, 12, 3, 77))
    word = encode(token)
    assert decode(f"  {word[:9]}\r\n\t{word[9:14]} {word[14:]}\u200b\n") == token
    head, _, letters = word.rpartition(":")
    assert decode(f"{head}:{letters.upper().replace('1', 'I').replace('0', 'O')}") == token


def test_another_version_is_named() -> None:
    assert is_token("pf2:dax:00")
    with pytest.raises(TokenError, match=r"another pfviz \(pf2\); this one reads pf1"):
        decode("pf2:dax:00")


def test_more_than_the_command_line_allows_is_refused() -> None:
    for changes in (Overrides(threads=1 << 40), Overrides(seed=1 << 63), Overrides(until_ns=0)):
        with pytest.raises(TokenError):
            decode(encode(Token("dax", 0, changes)))


def test_every_policy_has_its_number() -> None:
    assert set(SWITCHES) == set(policies.NAMES)


def test_tokens_that_were_given_away_keep_their_meaning() -> None:
    changes = Overrides(
        kernel="6.18", mode="lockless", machine="server", seed=7, threads=32, until_ns=20_000,
        without=("smaps",), choices=((12, 1), (40, 0)),
        policy=(("merge", False), ("page_table_free", "rcu"), ("thp", "always")),
    )  # fmt: skip
    whole = Token("smaps-monitor", 0x1234, changes, Moment(41208, 120, 1212, 7, 0xABCD), MODES)
    assert decode(GIVEN) == whole
    assert encode(whole) == GIVEN


GIVEN = (
    "pf1:smaps-monitor:28tfyfwj0fwc20nw143tqk83040ge0ga083j01kkcns7csbjm2e0"
    "21bkdngq0wr21g0hp003000g4y4qbw"
)


@given(st.binary(max_size=30))
def test_letters_hold_bytes(data: bytes) -> None:
    assert bytes_of(letters_of(data)) == data
