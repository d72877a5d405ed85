"""A trial's output on disk: through at once, bounded, with the beginning and the end of a flood."""

import re
import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from sparksweep_trainer.slot.trial_logs import REMEMBERED_BYTES, Tail, TrialLog, keep_earlier_logs
from sparksweep_trainer.slot.trial_times import OutputTimes


def test_what_is_written_is_in_the_file_at_once(tmp_path: Path) -> None:
    log = TrialLog(tmp_path / "stdout.log")
    log.write(b"epoch 1\n")
    assert (tmp_path / "stdout.log").read_bytes() == b"epoch 1\n"
    log.close()


def test_an_earlier_log_of_the_same_name_is_begun_anew(tmp_path: Path) -> None:
    (tmp_path / "stdout.log").write_bytes(b"old")
    TrialLog(tmp_path / "stdout.log").close()
    assert (tmp_path / "stdout.log").read_bytes() == b""


def logged(directory: Path, chunks: list[bytes], *, head: int, tail: int) -> bytes:
    log = TrialLog(directory / "stdout.log", head_bytes=head, tail_bytes=tail)
    for chunk in chunks:
        log.write(chunk)
    log.close()
    assert log.error is None
    # The ring is gone.
    assert [path.name for path in directory.iterdir()] == ["stdout.log"]
    return (directory / "stdout.log").read_bytes()


def notice(bound: int) -> bytes:
    text = (
        f"more than {bound} bytes: the middle is dropped, and the end follows when the attempt ends"
    )
    return f"\n[sparksweep: {text}]\n".encode()


@given(
    chunks=st.lists(st.binary(max_size=40), max_size=20),
    head=st.integers(0, 30),
    tail=st.integers(1, 30),
)
def test_a_log_is_whole_or_its_beginning_and_end_with_the_number_of_bytes_between(
    chunks: list[bytes], head: int, tail: int
) -> None:
    output = b"".join(chunks)
    with tempfile.TemporaryDirectory() as directory:
        content = logged(Path(directory), chunks, head=head, tail=tail)
    if len(output) <= head + tail:
        assert content == output
    else:
        left_out = len(output) - head - tail
        gap = notice(head + tail) + f"[sparksweep: {left_out} bytes left out here]\n".encode()
        assert content == output[:head] + gap + output[-tail:]


def test_a_flood_takes_no_more_disk_than_its_bounds_while_it_goes_on(tmp_path: Path) -> None:
    log = TrialLog(tmp_path / "stdout.log", head_bytes=1000, tail_bytes=500)
    for _ in range(1000):
        log.write(b"x" * 333)
        used = sum(path.stat().st_size for path in tmp_path.iterdir())
        assert used <= 1500 + len(notice(1500))
    assert (tmp_path / "stdout.log").read_bytes().endswith(notice(1500)), "said at once"
    log.close()


def test_a_killed_slots_ring_is_removed_by_the_next_attempt(tmp_path: Path) -> None:
    log = TrialLog(tmp_path / "stdout.log", head_bytes=1, tail_bytes=1)
    log.write(b"abc")
    # As after a SIGKILL: nothing closed it.
    assert len(list(tmp_path.iterdir())) == 2
    TrialLog(tmp_path / "stdout.log").close()
    assert [path.name for path in tmp_path.iterdir()] == ["stdout.log"]
    log.close()


def test_a_full_disk_loses_the_log_and_not_the_trial(tmp_path: Path) -> None:
    full = tmp_path / "stdout.log"
    full.symlink_to("/dev/full")
    log = TrialLog(full)
    log.write(b"lost\n")
    log.write(b"lost too\n")
    assert log.error is not None
    assert log.error.strerror == "No space left on device"
    assert log.text == "lost\nlost too"
    log.close()


def test_the_tail_is_the_last_lines_without_the_one_that_is_cut() -> None:
    tail = Tail()
    assert tail.text == ""
    tail.write(b"first\nsecond\n")
    assert tail.text == "first\nsecond"
    tail.write(b"y" * 10 + b"\n" + b"x" * (REMEMBERED_BYTES - 7) + b"\nlast\n")
    assert re.fullmatch(r"x+\nlast|last", tail.text)
    tail.write(b"z" * REMEMBERED_BYTES)
    assert tail.text == "z" * REMEMBERED_BYTES


def test_a_tail_that_is_no_text_is_shown_all_the_same() -> None:
    tail = Tail()
    tail.write(b"\xff\xfeok")
    assert tail.text.endswith("ok")


def test_the_logs_of_an_earlier_attempt_are_kept(tmp_path: Path) -> None:
    (tmp_path / "stdout.log").write_text("one")
    (tmp_path / "metrics.jsonl").write_text("{}")
    keep_earlier_logs(tmp_path, 1)
    assert (tmp_path / "stdout.log").exists()
    keep_earlier_logs(tmp_path, 2)
    assert (tmp_path / "stdout.attempt-1.log").read_text() == "one"
    assert not (tmp_path / "stdout.log").exists()
    # The second attempt was lost before it wrote anything.
    keep_earlier_logs(tmp_path, 3)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"stdout.attempt-1.log", "metrics.attempt-1.jsonl"}


class Clock:
    """Seconds that a test sets."""

    def __init__(self) -> None:
        self.now = 1764078000.0

    def __call__(self) -> float:
        return self.now


def test_each_burst_of_output_has_its_time_and_place(tmp_path: Path) -> None:
    clock = Clock()
    times = OutputTimes(tmp_path / "output.times", clock=clock)
    stdout = TrialLog(tmp_path / "stdout.log", times=times)
    stderr = TrialLog(tmp_path / "stderr.log", times=times)
    for after, log, data in ((0, stdout, b"1\n"), (0.01, stdout, b"2\n"), (0.01, stderr, b"!\n"),
                             (1, stdout, b"3\n")):  # fmt: skip
        clock.now += after
        log.write(data)
    stdout.close()
    stderr.close()
    times.close()
    assert (tmp_path / "output.times").read_text().splitlines() == [
        "1764078000.000 stdout 0", "1764078000.020 stderr 0", "1764078001.020 stdout 4",
    ]  # fmt: skip


def test_the_end_of_a_flood_has_its_times_where_it_is_put(tmp_path: Path) -> None:
    clock = Clock()
    times = OutputTimes(tmp_path / "output.times", clock=clock)
    log = TrialLog(tmp_path / "stdout.log", times=times, head_bytes=4, tail_bytes=4)
    for letter in b"abcdefgh":
        log.write(bytes([letter, 10]))
        clock.now += 1
    log.close()
    times.close()
    content = (tmp_path / "stdout.log").read_bytes()
    times_of = {}
    for line in (tmp_path / "output.times").read_text().splitlines():
        moment, _, offset = line.split()
        times_of[content[int(offset) : int(offset) + 2]] = float(moment) - 1764078000
    assert times_of == {b"a\n": 0, b"b\n": 1, b"g\n": 6, b"h\n": 7}
