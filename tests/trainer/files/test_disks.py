"""Files of trials on a disk that is full or fails: nothing waits, what is lost is said, and later files are whole."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pyarrow.parquet as pq
import pytest

from sparksweep_core.api import Parameter, Trial, TrialSpec, TrialState, TrialStatus
from sparksweep_core.api.search_spec import FeasibleSpace, ParameterType
from sparksweep_trainer.files import openat
from sparksweep_trainer.files.quotas import Quotas
from sparksweep_trainer.files.store import TROUBLE_S, FileStore
from sparksweep_trainer.kubernetes.run_files import RunFiles
from sparksweep_trainer.protocol import Chunk, ChunkTaken
from support.small_disk import fill, free, small_disk

DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS)


def send(store: FileStore, path: str, data: bytes, offset: int = 0, total: int | None = None) -> ChunkTaken:  # fmt: skip
    chunk = Chunk(slot=0, number=7, attempt=1, path=path, offset=offset, total=total)
    return store.take(chunk, data)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> FileStore:
    return FileStore(tmp_path / "run", monotonic=clock)


def failing(patch: pytest.MonkeyPatch, code: int, call: str) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    patch.setattr(*((openat, call) if call == "write_at" else (os, call)), fail)


@pytest.mark.parametrize("code", DISK_ERRORS, ids=errno.errorcode.get)
@pytest.mark.parametrize("call", ["write_at", "mkdir", "rename"])
def test_a_file_that_the_disk_does_not_take_is_asked_for_later_and_is_whole_then(
    store: FileStore, clock: Clock, tmp_path: Path, code: int, call: str
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        failing(patch, code, call)
        whole = send(store, "model/weights.bin", b"abc", total=3)
        assert whole == ChunkTaken(taken=True, later=True)
        if call != "rename":
            assert send(store, "stdout.log", b"one\n").later
        assert store.problem == f"files of trials can't be stored: {os.strerror(code)}"
        assert store.used == 0, "what is not stored takes no quota"
    assert send(store, "model/weights.bin", b"abc", total=3) == ChunkTaken(taken=True, size=3)
    assert send(store, "stdout.log", b"one\n").size == 4
    directory = tmp_path / "run/trials/0007"
    assert (directory / "model/weights.bin").read_bytes() == b"abc"
    assert (directory / "stdout.log").read_bytes() == b"one\n"
    assert store.used == 7
    clock.now += TROUBLE_S + 1
    assert store.problem is None


@pytest.mark.parametrize("code", DISK_ERRORS, ids=errno.errorcode.get)
def test_a_log_goes_on_where_the_disk_stopped_it(store: FileStore, tmp_path: Path, code: int) -> None:  # fmt: skip
    send(store, "stdout.log", b"one\n")
    with pytest.MonkeyPatch.context() as patch:
        failing(patch, code, "write_at")
        assert send(store, "stdout.log", b"two\n", 4).later
        assert store.used == 4
    assert send(store, "stdout.log", b"two\n", 4).size == 8
    assert (tmp_path / "run/trials/0007/stdout.log").read_bytes() == b"one\ntwo\n"


def test_a_note_waits_for_room(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "run", quotas=Quotas(trial_bytes=2))
    send(store, "stdout.log", b"one\n")
    with pytest.MonkeyPatch.context() as patch:
        failing(patch, errno.ENOSPC, "write")
        assert send(store, "large.bin", b"abc", total=3).full
    notes = tmp_path / "run/trials/0007/sparksweep.log"
    assert not notes.exists() or not notes.read_bytes()
    send(store, "stdout.log", b"two\n", 4)
    assert b"large.bin is not kept" in notes.read_bytes()


def test_what_is_no_trouble_of_the_disk_is_refused_for_good(store: FileStore, tmp_path: Path) -> None:  # fmt: skip
    send(store, "stdout.log", b"one\n")
    (tmp_path / "run/trials/0007/sub").write_text("in the way")
    assert send(store, "sub/file", b"abc", total=3).full
    assert store.problem is None


# ---------------------------------------------------------------------- a real disk


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk") as path:
        yield path


class Described:
    parameters = [
        Parameter(
            name="x",
            parameter_type=ParameterType.DOUBLE,
            feasible_space=FeasibleSpace(min="0", max="1"),
        )
    ]
    objective = None


def trial(number: int, state: TrialState = TrialState.SUCCEEDED) -> Trial:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    status = TrialStatus(
        number=number, state=state, attempt=1, metrics={"loss": 0.5}, start_time=now,
        completion_time=now if state.is_finished else None,
    )  # fmt: skip
    return Trial(TrialSpec(number=number, parameters={"x": "0.5"}), status)


def test_a_run_directory_on_a_full_claim_goes_on_and_says_so(disk: Path) -> None:
    files = RunFiles(disk / "run", cast(Any, Described()), results_s=0.05)
    files.add([trial(7, TrialState.RUNNING)])
    files.start()
    large = os.urandom(300 * 1024)
    assert send(files.files, "before.bin", b"abc", total=3).size == 3
    fill(disk)
    assert send(files.files, "large.bin", large, total=len(large)).later
    assert send(files.files, "stdout.log", b"x" * 8192).later
    files.record([trial(8)])
    _until(lambda: (files.problem or "").startswith("results.parquet can't be written"))
    assert "No space left on device" in (files.problem or "")
    free(disk)
    assert send(files.files, "large.bin", large, total=len(large)).size == len(large)
    assert send(files.files, "stdout.log", b"x" * 8192).size == 8192
    files.record([trial(7)])
    _until(lambda: not (files.problem or "").startswith("results.parquet"))
    files.close(flush_s=10, copy_s=1)
    table = pq.read_table(disk / "run/results.parquet")
    assert table["state"].to_pylist() == ["Succeeded", "Succeeded"]
    assert (disk / "run/trials/0007/large.bin").read_bytes() == large
    assert (disk / "run/trials/0007/before.bin").read_bytes() == b"abc"
    assert not list(disk.glob("run/**/.*.part")), "an unfinished file gives its room back"


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
