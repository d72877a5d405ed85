"""Names of metrics: one rule for pydantic, for the API server's schema and for what trials import."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from sparksweep_core.api.search_spec import MetricName
from sparksweep_core.metric_names import MAX_METRIC_NAME, composed, is_metric_name

NAME: TypeAdapter[str] = TypeAdapter(MetricName)
VALID = ["a", "val acc", "pr\xe9cision", "\u635f\u5931", "R\xb2", "metrics/mAP50-95(B)", "it's", 'a "b"', "x=y", "a, b", "\U0001f680",
         "\u0939\u093f\u0928\u094d\u0926\u0940", "a\xa0b", "0", "-", "a" * MAX_METRIC_NAME]  # fmt: skip
INVALID = ["", " ", " a", "a ", "a\n", "a\nb", "\ta", "a\tb", "\x00", "\x1b[31m", "\x7f", "\x85", "\xa0a", "a\xa0", "a\x9bb",
           "a" * (MAX_METRIC_NAME + 1), "\udcff"]  # fmt: skip


def is_accepted(name: str) -> bool:
    try:
        NAME.validate_python(name)
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize("name", VALID)
def test_a_name_is_any_text_of_one_line(name: str) -> None:
    assert is_metric_name(name)
    assert is_accepted(name)


@pytest.mark.parametrize("name", INVALID)
def test_control_characters_and_blanks_at_the_ends_are_refused(name: str) -> None:
    assert not is_metric_name(name)
    assert not is_accepted(name)


@given(st.text(max_size=MAX_METRIC_NAME + 2) | st.text("a \n\x1b\x85\xa0\u2028\ud800", max_size=4))
def test_both_forms_of_the_rule_agree(name: str) -> None:
    assert is_metric_name(name) == is_accepted(name)


def test_an_accent_may_be_a_character_of_its_own() -> None:
    assert composed("pre\u0301cision") == composed("pr\xe9cision") == "pr\xe9cision"
