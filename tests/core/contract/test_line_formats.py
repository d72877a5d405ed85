"""Lines in trials' files: what one program writes, another one reads."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparksweep_core.contract import line_formats as lines
from sparksweep_core.contract.run_layout import STREAMS
from sparksweep_core.metric_names import is_metric_name

moments = st.integers(0, 4 * 10**12).map(lambda milliseconds: milliseconds / 1000)


@given(moments, st.sampled_from(STREAMS), st.integers(0, 2**60))
def test_a_time_is_read_as_it_was_written(moment: float, stream: str, offset: int) -> None:
    line = lines.times_line(moment, stream, offset)
    assert line.endswith(b"\n")
    assert lines.parse_times_line(line.removesuffix(b"\n")) == (moment, stream, offset)


@given(moments, st.text())
def test_a_note_is_one_line_whatever_its_text(moment: float, text: str) -> None:
    line = lines.note_line(moment, text.encode(errors="replace").decode())
    assert line.count(b"\n") == 1
    read, words = lines.parse_note_line(line.removesuffix(b"\n"))
    assert read == moment
    assert words.decode().split() == text.encode(errors="replace").decode().split()


@given(
    st.integers(1 - lines.MAX_STEP, lines.MAX_STEP - 1),
    moments,
    st.dictionaries(st.text().filter(is_metric_name), st.floats()),
)
def test_a_report_is_read_as_it_was_written(
    step: int, moment: float, metrics: dict[str, float]
) -> None:
    line = lines.report_line(step, moment, metrics)
    assert line.count("\n") == 1
    # As text: NaN is not equal to itself.
    assert str(lines.parse_report_line(line.encode())) == str((step, moment, metrics))


@pytest.mark.parametrize("line", [b"", b"1.5 stdout", b"x stdout 0", b"1 stdout y", b"1 \xff 0"])
def test_a_damaged_time_is_an_error(line: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the reader leaves the line out
        lines.parse_times_line(line)


@pytest.mark.parametrize(
    "line",
    [
        b"", b"text", b"{}", b'{"step": 1}', b"[]", b"1", b'{"step": 1, "time": 1}', b"[" * 100_000, b"\xff",
        b'{"step": true, "time": 1, "metrics": {}}', b'{"step": 1.5, "time": 1, "metrics": {}}',
        b'{"step": 9007199254740992, "time": 1, "metrics": {}}', b'{"step": 1, "time": 1e300, "metrics": {}}',
        b'{"step": 1, "time": NaN, "metrics": {}}', b'{"step": 1, "time": -1, "metrics": {}}',
        b'{"step": 1, "time": true, "metrics": {}}', b'{"step": 1, "time": 1, "metrics": [1]}',
    ],
)  # fmt: skip
def test_a_line_that_is_no_report_is_an_error(line: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the reader leaves the line out
        lines.parse_report_line(line)


def test_the_formats_are_those_of_files_that_earlier_versions_have_written() -> None:
    assert lines.times_line(1764078000.1234, "stdout", 4096) == b"1764078000.123 stdout 4096\n"
    assert lines.note_line(1764078000, "a\n b") == b"1764078000.000 a b\n"
    report = b'{"step": 3, "time": 1764078000.5, "metrics": {"loss": 0.25, "bad": null}}\n'
    read = lines.parse_report_line(report)
    assert str(read) == "(3, 1764078000.5, {'loss': 0.25, 'bad': nan})"
    assert lines.report_line(3, 1764078000.5, {"loss": 0.25}).encode() == report.replace(
        b', "bad": null', b""
    )
