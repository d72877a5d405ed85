"""The driver's side of trials' files: at least once, in any order, bounded, and never through a link."""

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparksweep_trainer.files.quotas import Quotas
from sparksweep_trainer.files.store import FileStore
from sparksweep_trainer.protocol import Chunk, ChunkTaken


def send(
    store: FileStore,
    path: str,
    data: bytes,
    offset: int = 0,
    *,
    number: int = 7,
    attempt: int = 1,
    restart: bool = False,
    total: int | None = None,
) -> ChunkTaken:
    chunk = Chunk(
        slot=0,
        number=number,
        attempt=attempt,
        path=path,
        offset=offset,
        restart=restart,
        total=total,
    )
    return store.take(chunk, data)


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "run", clock=lambda: 5.0)


def content(tmp_path: Path, path: str, number: int = 7) -> bytes:
    return (tmp_path / "run" / "trials" / f"{number:04d}" / path).read_bytes()


def test_a_growing_file_grows(store: FileStore, tmp_path: Path) -> None:
    assert send(store, "stdout.log", b"one\n") == ChunkTaken(taken=True, size=4)
    assert send(store, "stdout.log", b"two\n", 4).size == 8
    assert content(tmp_path, "stdout.log") == b"one\ntwo\n"
    assert store.used == 8


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 12)), max_size=25))
def test_whatever_comes_twice_or_too_early_the_file_is_a_beginning_of_what_was_printed(
    parts: list[tuple[int, int]],
) -> None:
    printed = bytes(range(60))
    with tempfile.TemporaryDirectory() as path:
        store = FileStore(Path(path))
        stored = 0
        for offset, length in parts:
            answer = send(store, "stdout.log", printed[offset : offset + length], offset)
            stored = max(stored, offset + length) if offset <= stored else stored
            assert answer.size == stored
        file = Path(path, "trials/0007/stdout.log")
        assert (file.read_bytes() if file.exists() else b"") == printed[:stored]
        assert store.used == stored


def test_a_file_that_began_anew_loses_what_was_there(store: FileStore, tmp_path: Path) -> None:
    send(store, "stdout.log", b"before before")
    for _ in range(2):
        assert send(store, "stdout.log", b"after", restart=True).size == 5
    assert content(tmp_path, "stdout.log") == b"after"
    assert store.used == 5


def test_a_whole_file_takes_its_place_when_all_of_it_is_there(
    store: FileStore, tmp_path: Path
) -> None:
    send(store, "model.keras", b"old", total=3)
    assert send(store, "model.keras", b"new", total=6).size == 3
    assert content(tmp_path, "model.keras") == b"old"
    assert send(store, "model.keras", b"er!", 3, total=6).size == 6
    assert content(tmp_path, "model.keras") == b"newer!"
    assert store.used == 6
    assert os.listdir(tmp_path / "run/trials/0007") == ["model.keras"]


def test_a_whole_file_with_a_part_missing_begins_again(store: FileStore, tmp_path: Path) -> None:
    send(store, "model.keras", b"abc", total=9)
    assert send(store, "model.keras", b"ghi", 6, total=9).size == 0
    for offset in (0, 3, 6):
        send(store, "model.keras", b"abcdefghi"[offset : offset + 3], offset, total=9)
    assert content(tmp_path, "model.keras") == b"abcdefghi"


def test_an_empty_whole_file_is_a_file(store: FileStore, tmp_path: Path) -> None:
    assert send(store, "done", b"", total=0) == ChunkTaken(taken=True, size=0)
    assert content(tmp_path, "done") == b""


def test_a_later_attempt_begins_its_logs_anew_and_drops_what_comes_late(
    store: FileStore, tmp_path: Path
) -> None:
    send(store, "stdout.log", b"first")
    send(store, "model.keras", b"saved", total=5)
    send(store, "stdout.log", b"second", attempt=2)
    assert not send(store, "stdout.log", b" late", 5).taken
    assert not send(store, "model.keras", b"late", total=4).taken
    assert content(tmp_path, "stdout.log") == b"second"
    assert content(tmp_path, "stdout.attempt-1.log") == b"first"
    assert content(tmp_path, "model.keras") == b"saved"
    assert store.used == 16


def test_the_next_driver_finds_what_the_one_before_has_stored(
    store: FileStore, tmp_path: Path
) -> None:
    send(store, "stdout.log", b"first")
    another = FileStore(tmp_path / "run")
    assert another.used == 5
    assert send(another, "stdout.log", b"second", attempt=2).size == 6
    assert content(tmp_path, "stdout.attempt-1.log") == b"first"
    assert another.used == 11


def test_what_is_over_a_bound_is_left_out_and_said_once(tmp_path: Path) -> None:
    quotas = Quotas(log_bytes=10, trial_bytes=8, run_bytes=100, files=4)
    store = FileStore(tmp_path / "run", quotas=quotas, clock=lambda: 5.0)
    assert not send(store, "stdout.log", b"x" * 10).full
    assert send(store, "stdout.log", b"y", 10).full
    assert send(store, "stdout.log", b"y", 10).full
    assert send(store, "big.bin", b"1234", total=9).full
    assert not send(store, "small.bin", b"12345678", total=8).full
    assert send(store, "more.bin", b"1", total=1).full
    notes = content(tmp_path, "sparksweep.log").decode().splitlines()
    assert notes == [
        "5.000 10 bytes of stdout.log are kept, and no more: it is over 10",
        "5.000 big.bin is not kept: the trial's files would be over 8",
        "5.000 more.bin is not kept: the trial's files would be over 8",
    ]
    assert store.used == 18


def test_a_full_run_has_room_for_logs_longer_than_for_files(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "run", quotas=Quotas(run_bytes=100))
    assert not send(store, "a.bin", b"x" * 85, total=85).full
    assert send(store, "b.bin", b"x" * 6, total=6, number=8).full
    assert not send(store, "stdout.log", b"x" * 15, number=8).full
    assert send(store, "stdout.log", b"x", number=9).full


def test_a_trial_has_so_many_files_and_no_more(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "run", quotas=Quotas(files=2))
    assert not send(store, "a", b"1", total=1).full
    assert not send(store, "b", b"1", total=1).full
    assert send(store, "c", b"1", total=1).full
    assert not send(store, "a", b"12", total=2).full


@pytest.mark.parametrize("path", ["../../out", "/out", "a/../b", ".x", "sparksweep.log"])
def test_names_that_lead_elsewhere_are_refused(store: FileStore, path: str) -> None:
    with pytest.raises(ValueError, match=r"^(is|has) "):
        send(store, path, b"x")


def test_links_are_never_followed_whoever_made_them(store: FileStore, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_bytes(b"untouched")
    trial = tmp_path / "run" / "trials" / "0007"
    trial.mkdir()
    (trial / "stdout.log").symlink_to(outside / "file")
    (trial / "sub").symlink_to(outside)
    (tmp_path / "run" / "trials" / "0008").symlink_to(outside)
    os.mkfifo(trial / "fifo.log")
    assert send(store, "stdout.log", b"x").full is False, "the link was put aside"
    assert send(store, "sub/file", b"x", total=1).full
    assert send(store, "stdout.log", b"x", number=8).full
    store.note(8, "a note")
    assert (outside / "file").read_bytes() == b"untouched"
    assert os.listdir(outside) == ["file"]


def test_what_a_trial_reports_is_told_as_it_comes(tmp_path: Path) -> None:
    heard: list[tuple[int, bytes]] = []
    store = FileStore(tmp_path / "run", listen=lambda number, data: heard.append((number, data)))
    send(store, "metrics.jsonl", b"abc")
    send(store, "metrics.jsonl", b"bcde", 1)
    send(store, "metrics.jsonl", b"abc")
    assert b"".join(data for _, data in heard) == b"abcde"


def test_a_full_disk_puts_files_off_and_loses_nothing_else(
    store: FileStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    assert send(store, "stdout.log", b"x").later
