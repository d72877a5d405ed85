"""Two streams and the times of their bursts, as one sequence of lines."""

from hypothesis import given
from hypothesis import strategies as st

from sparksweep._runs.log_lines import Line, LogLines


def test_lines_come_in_the_order_of_their_times() -> None:
    lines = LogLines()
    lines.feed("stdout", b"one\nthree\n")
    lines.feed("stderr", b"two\n")
    lines.feed_times(b"10.000 stdout 0\n11.000 stderr 0\n12.000 stdout 4\n")
    assert lines.take() == [
        Line("stdout", b"one\n", 10.0),
        Line("stderr", b"two\n", 11.0),
        Line("stdout", b"three\n", 12.0),
    ]


def test_a_line_waits_for_its_end_unless_nothing_more_comes() -> None:
    lines = LogLines()
    lines.feed("stdout", b"whole\npar")
    assert [line.text for line in lines.take()] == [b"whole\n"]
    lines.feed("stdout", b"tial")
    assert lines.take() == []
    assert [line.text for line in lines.take(final=True)] == [b"partial"]
    assert lines.take(final=True) == []


def test_a_line_has_the_time_of_its_beginning() -> None:
    lines = LogLines()
    lines.feed("stdout", b"slow ")
    lines.feed_times(b"10.000 stdout 0\n20.0")
    assert lines.take() == []
    lines.feed("stdout", b"line\nnext\n")
    lines.feed_times(b"00 stdout 5\n")
    assert [(line.text, line.moment) for line in lines.take()] == [
        (b"slow line\n", 10.0),
        (b"next\n", 20.0),
    ]


def test_notes_of_the_driver_are_lines_of_their_own() -> None:
    lines = LogLines()
    lines.feed("stdout", b"one\ntwo\n")
    lines.feed_times(b"10 stdout 0\n12 stdout 4\n")
    lines.feed_notes(b"11.000 big.bin is not kept: too big\ndamaged\n")
    texts = [line.text for line in lines.take()]
    assert texts == [b"one\n", b"[sparksweep: big.bin is not kept: too big]\n", b"two\n"]


def test_what_is_damaged_is_passed_over_and_without_times_streams_follow_each_other() -> None:
    lines = LogLines()
    lines.feed_times(b"\xff\n1 2\nx stdout 0\n5 other 0\n")
    lines.feed("stderr", b"b\n")
    lines.feed("stdout", b"a\n")
    assert [line.text for line in lines.take()] == [b"a\n", b"b\n"]


def test_a_stamp_is_utc_with_milliseconds_or_as_wide() -> None:
    assert Line("stdout", b"", 1764078000.123).stamp == "2025-11-25T13:40:00.123Z"
    assert Line("stdout", b"", 0.0).stamp == " " * 24


bursts = st.lists(st.tuples(st.sampled_from(["stdout", "stderr"]), st.binary(max_size=12)))


@given(bursts, st.integers(1, 5))
def test_nothing_is_lost_or_changed_however_it_is_fed(
    bursts: list[tuple[str, bytes]], at_once: int
) -> None:
    lines, taken = LogLines(), []
    printed = {"stdout": b"", "stderr": b""}
    for number, (stream, data) in enumerate(bursts):
        lines.feed_times(f"{number} {stream} {len(printed[stream])}\n".encode())
        lines.feed(stream, data)
        printed[stream] += data
        if number % at_once == 0:
            taken += lines.take()
    taken += lines.take(final=True)
    for stream, output in printed.items():
        assert b"".join(line.text for line in taken if line.stream == stream) == output
