"""Output of trials in the executor's own log."""

import os
from collections.abc import Iterator

import pytest

from sparksweep_trainer.slot.echo import Echo


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    read, write = os.pipe()
    yield read, write
    os.close(read)
    os.close(write)


def test_each_line_has_its_trial_before_it(pipe: tuple[int, int]) -> None:
    echo = Echo(7, descriptor=pipe[1])
    for part in (b"epoch 1\nepo", b"ch 2\r\n", b"no end"):
        echo.write(part)
    echo.close()
    assert os.read(pipe[0], 1000) == b"[trial 7] epoch 1\n[trial 7] epoch 2\n[trial 7] no end\n"


def test_a_flood_is_cut_off_and_says_so(pipe: tuple[int, int]) -> None:
    echo = Echo(7, descriptor=pipe[1], max_bytes=10)
    echo.write(b"12345\n67890\nmore\n")
    echo.write(b"and more\n")
    echo.close()
    shown = os.read(pipe[0], 1000).decode().splitlines()
    assert shown[:2] == ["[trial 7] 12345", "[trial 7] 67890"]
    assert "sparksweep logs" in shown[2]
    assert len(shown) == 3


def test_nobody_waits_for_a_reader_that_does_not_read(pipe: tuple[int, int]) -> None:
    echo = Echo(7, descriptor=pipe[1])
    for _ in range(1000):
        echo.write(b"x" * 1000 + b"\n")


def test_a_line_without_an_end_is_shown_in_pieces(pipe: tuple[int, int]) -> None:
    echo = Echo(7, descriptor=pipe[1])
    echo.write(b"x" * 5000)
    assert os.read(pipe[0], 10000) == b"[trial 7] " + b"x" * 4000 + b"\n"
