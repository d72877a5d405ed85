"""Names that a trial's file may have: no path that leads elsewhere."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparksweep_core.contract.run_layout import earlier_name, grows, is_sendable, segments


@pytest.mark.parametrize(
    "path",
    ["stdout.log", "tensorboard/train/events.out.tfevents.1", "modèle.keras", "a b/c-d_e.1", "~x"],
)
def test_ordinary_names_are_taken(path: str) -> None:
    assert segments(path) == path.split("/")


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/etc/passwd",
        "../other",
        "a/../../b",
        "a//b",
        "a/",
        "./a",
        ".hidden",
        "a/.hidden/b",
        "a\x00b",
        "a\nb",
        "a\u202eb",
        "..\\b",
        "a\udcffb",
        "/".join("a" * 17),
        "x" * 201,
        "/".join(["x" * 150] * 8),
        "sparksweep.log",
    ],
)
def test_names_that_lead_elsewhere_or_hide_are_refused(path: str) -> None:
    assert not is_sendable(path)
    with pytest.raises(ValueError, match=r"^(is|has) "):
        segments(path)


@given(st.text(max_size=40))
def test_whatever_is_taken_stays_below_its_directory(path: str) -> None:
    if is_sendable(path):
        assert not set(segments(path)) & {"", ".", ".."}
        assert not path.startswith("/")


def test_logs_and_events_grow_and_anything_else_is_replaced() -> None:
    for path in ("stdout.log", "metrics.jsonl", "output.times", "tensorboard/a/b"):
        assert grows(path)
    for path in ("model.keras", "sub/stdout.log", "history.csv"):
        assert not grows(path)


def test_an_earlier_attempts_log_keeps_its_suffix() -> None:
    assert earlier_name("stdout.log", 2) == "stdout.attempt-2.log"
    assert earlier_name("output.times", 1) == "output.attempt-1.times"
