"""Sizes as Go's encoder stores values: the table of its rules, and shortening to a size."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparksweep_core.stored_size import (
    end_within,
    shortened,
    start_within,
    stored_bytes,
    text_bytes,
)
from support.hypothesis_profiles import examples

TEXTS = st.text(st.characters(codec=None), max_size=60)


def go(value: object) -> str:
    """Encode as Go does, by its documentation; strings by the characters' classes."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return "".join("\ufffd" if "\ud800" <= item <= "\udfff" else item for item in text)


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        ("", '""'),
        ("a", '"a"'),
        ('"\\', '"\\"\\\\"'),
        ("\n\r\t", '"\\n\\r\\t"'),
        ("<", '"\\u003c"'),
        (">&", '"\\u003e\\u0026"'),
        ("\u2028\u2029", '"\\u2028\\u2029"'),
        ("\x00\x1b", '"\\u0000\\u001b"'),
        ("\b\f", '"\\u0008\\u000c"'),
        ("\x7f", '"\x7f"'),
        ("é", '"é"'),
        ("文", '"文"'),
        ("🙂", '"🙂"'),
        ("\ud800", '"\ufffd"'),
        (None, "null"),
        (True, "true"),
        (False, "false"),
        (0, "0"),
        (-12, "-12"),
        (3.0, "3"),
        (-0.0, "-0"),
        (0.1, "0.1"),
        (1e-05, "0.00001"),
        (1e-06, "0.000001"),
        (1e-07, "1e-7"),
        (2.5e-300, "2.5e-300"),
        (1e16, "10000000000000000"),
        (1e20, "100000000000000000000"),
        (1e21, "1e+21"),
        (-1.7976931348623157e308, "-1.7976931348623157e+308"),
        ([], "[]"),
        ({}, "{}"),
        ([1, "a"], '[1,"a"]'),
        ({"a": [{"b": None}], "c": {}}, '{"a":[{"b":null}],"c":{}}'),
    ],
)
def test_a_value_counts_the_bytes_that_go_writes(value: object, stored: str) -> None:
    assert stored_bytes(value) == len(stored.encode())


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | TEXTS,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
        max_leaves=20,
    )
)
@examples(300)
def test_any_value_counts_what_the_encoders_rules_say(value: Any) -> None:
    text = go(value)
    # A backslash before a b may be itself escaped.
    short = text.replace("\\\\", "")
    assert stored_bytes(value) == len(text.encode()) + 4 * (short.count("\\b") + short.count("\\f"))


def test_other_types_are_no_json() -> None:
    with pytest.raises(TypeError, match="set"):
        stored_bytes({"a": {1}})


@given(TEXTS, st.integers(0, 200))
@examples(300)
def test_starts_and_ends_are_the_longest_that_fit(text: str, limit: int) -> None:
    start, end = start_within(text, limit), end_within(text, limit)
    assert text.startswith(start)
    assert text.endswith(end)
    for part, longer in ((start, text[: len(start) + 1]), (end, text[-len(end) - 1 :])):
        assert text_bytes(part) <= limit
        assert part == text or text_bytes(longer) > limit


@given(TEXTS, st.integers(10, 200))
@examples(300)
def test_a_shortened_text_fits_and_keeps_its_beginning_and_its_end(text: str, limit: int) -> None:
    short = shortened(text, limit)
    assert text_bytes(short) <= limit
    if text_bytes(text) > limit:
        start, end = short.split("\n...", maxsplit=1) if "\n..." in short else (short, "")
        assert text.startswith(start)
        assert text.endswith(end)
    else:
        assert short == text


def test_a_long_message_keeps_its_first_line_and_the_end_of_the_rest() -> None:
    short = shortened("ValueError: <x>\n" + "<" * 100 + "end", 50)
    assert short == "ValueError: <x>\n..." + "<" * 2 + "end"
