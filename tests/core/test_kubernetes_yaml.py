"""YAML as kubectl reads it, errors with their line, and texts that are meant to hurt."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sparksweep.errors import FieldError, InvalidExperiment
from sparksweep_core.kubernetes_yaml import MAX_CHARACTERS, dump_yaml, parse_yaml


def error_of(text: str) -> FieldError:
    with pytest.raises(InvalidExperiment) as caught:
        parse_yaml(text)
    (error,) = caught.value.errors
    return error


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1.5", 1.5),
        (".5", 0.5),
        ("-3", -3),
        ("0x1F", 31),
        ("0o17", 15),
        ("017", 15),
        ("08", 8.0),
        ("12:30", "12:30"),
        ("2026-01-01", "2026-01-01"),
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
        ("yes", True),
        ("off", False),
        ("n", False),
        ("Y", True),
        ("true", True),
        ("TRUE", True),
        ("tRUE", "tRUE"),
        ("=", "="),
        ("1_000", 1000),
        ("0o8", "0o8"),
        ("~", None),
        ("", None),
        ("'1e-3'", "1e-3"),
        ('"yes"', "yes"),
        ("1.2.3", "1.2.3"),
        ("relu", "relu"),
    ],
)
def test_plain_scalars_are_what_kubectl_takes_them_for(text: str, value: object) -> None:
    read = parse_yaml(f"a: {text}")["a"]
    assert read == value
    assert type(read) is type(value)


def test_json_is_yaml() -> None:
    assert parse_yaml('{"a": [1, "x"], "b": {"c": null}}') == {"a": [1, "x"], "b": {"c": None}}


def test_anchors_and_merges_are_read() -> None:
    text = "a: &a {x: 1, z: 2}\nb: {<<: *a, z: 3}\nc: *a\n"
    assert parse_yaml(text)["b"] == {"x": 1, "z": 3}


@pytest.mark.parametrize("text", ["---\na: 1\n", "# comment\n---\na: 1\n---\n", "a: 1\n...\n"])
def test_an_empty_document_beside_the_one_does_not_count(text: str) -> None:
    assert parse_yaml(text) == {"a": 1}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("# nothing\n", "is empty"),
        ("a: 1\n---\nb: 2\n", "line 3: a second document; put each Experiment into a file of its own"),
        ("- a\n", "is a list: an Experiment is a mapping"),
        ("text", "is a str: "),
        ("a: [1\nb: 2\n", "line 2, column 2: "),
        ("a: 1\n\tb: 2\n", "line 2, column 1: "),
        ("a: *b\n", "line 1, column 4: "),
        ("a: !!python/object/apply:os.system [ls]\n", "line 1, column 4: could not determine a constructor"),
        ("? [a, b]\n: 1\n", "line 1: a key must be text"),
        ("a: 1\nyes: 2\n", "line 2: a key must be text: write 'yes'"),
        ("a: \x00\n", "is not YAML: "),
        pytest.param("a: " + "9" * 5000, "has a number that can't be read", id="digits"),
        pytest.param("a: " + "[" * 5000, "is nested too deeply", id="nested"),
        ("a: &a [*a]", "its aliases expand to more than"),
        pytest.param("a: " + "x" * MAX_CHARACTERS, "has 1,500,003 characters", id="large"),
    ],
)  # fmt: skip
def test_what_can_not_be_read_is_refused_with_its_place(text: str, message: str) -> None:
    error = error_of(text)
    assert error.path == "document"
    assert message in error.message


def test_aliases_that_multiply_are_refused_before_they_do() -> None:
    levels = [f"l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 10)}]" for i in range(1, 30)]
    assert "aliases" in error_of("\n".join(["l0: &l0 [x]", *levels])).message


def test_a_key_given_twice_is_refused_with_both_lines() -> None:
    text = "spec:\n  parameters:\n  - name: a\n    min: 1\n    name: b\n"
    assert error_of(text) == FieldError(
        "spec.parameters[0].name", "is given twice, in lines 3 and 5: keep one"
    )


def json_documents() -> st.SearchStrategy[dict[str, Any]]:
    # Surrogates are no text that a file could hold.
    text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
        ["a\n", "\n a\n\n", "a:\n\n  b\n", "\ta\n", " a\n#b", "a \nb", "a\r\nb", "- a\n...\n", "1e-3", "1e5", "yes", "n", "Y", "08", "0o7", "12:30", "2026-01-01", "null", "~", "", "=", "<<", ".5", "1_0"]
    )  # fmt: skip
    scalars = (
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text
    )  # fmt: skip
    return st.dictionaries(
        text,
        st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(text, inner), max_leaves=8),
        max_size=4,
    )  # fmt: skip


@given(document=json_documents())
def test_what_is_written_is_read_as_the_same(document: dict[str, Any]) -> None:
    assert parse_yaml(dump_yaml(document)) == document


def test_text_that_looks_like_a_number_to_kubectl_is_written_in_quotes() -> None:
    assert dump_yaml({"min": "1e-3", "unit": "y"}) == "min: '1e-3'\nunit: 'y'\n"
    assert yaml.safe_dump({"min": "1e-3"}) == "min: 1e-3\n"  # what the difference is about


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("def f(x):\n    return x\n", "a: |\n  def f(x):\n      return x\n"),
        ("def f(x):\n\n    return x", "a: |-\n  def f(x):\n\n      return x\n"),
        ("\ndef f(x): ...\n", "a: |2\n\n  def f(x): ...\n"),
        ("# größe\n", "a: |\n  # größe\n"),
        ("if x:\n\treturn\n", 'a: "if x:\\n\\treturn\\n"\n'),
        ("trailing \nblank\n", 'a: "trailing \\nblank\\n"\n'),
    ],
)
def test_text_of_several_lines_is_written_line_by_line_if_yaml_can(text: str, written: str) -> None:
    assert dump_yaml({"a": text}) == written
    assert parse_yaml(written) == {"a": text}
