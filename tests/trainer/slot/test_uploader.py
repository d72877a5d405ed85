"""Upload of a trial's files: what is new is sent, from the size that the driver has, while the trial runs."""

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from sparksweep_trainer.files.store import FileStore
from sparksweep_trainer.protocol import MAX_CHUNK_BYTES, Assignment, Chunk, ChunkTaken
from sparksweep_trainer.slot import uploader
from sparksweep_trainer.slot.trial_client import DriverGone
from sparksweep_trainer.slot.uploader import FileUploader
from support.trainer.stage import soon


class Driver:
    """Stands for the connection to a driver, and stores for real."""

    def __init__(self, directory: Path) -> None:
        self.store = FileStore(directory)
        self.trial = directory / "trials" / "0007"
        self.chunks: list[tuple[Chunk, int]] = []
        self.before: Callable[[Chunk], ChunkTaken | None] = lambda _: None

    def send_file(self, chunk: Chunk, data: bytes) -> ChunkTaken:
        self.chunks.append((chunk, len(data)))
        return self.before(chunk) or self.store.take(chunk, data)

    def has(self, path: str) -> bytes | None:
        file = self.trial / path
        return file.read_bytes() if file.exists() else None

    def sent(self, path: str) -> int:
        return sum(size for chunk, size in self.chunks if chunk.path == path)


@pytest.fixture
def driver(tmp_path: Path) -> Driver:
    return Driver(tmp_path / "run")


@pytest.fixture
def trial(tmp_path: Path) -> Path:
    directory = tmp_path / "executor" / "0007"
    directory.mkdir(parents=True)
    return directory


def uploading(driver: Driver, trial: Path, **arguments: float) -> FileUploader:
    assignment = Assignment(number=7, attempt=1, parameters={})
    arguments.setdefault("scan_interval_s", 0.02)
    return FileUploader(driver, trial, slot=0, assignment=assignment, **arguments)


def test_a_log_is_there_while_the_trial_runs_and_each_byte_is_sent_once(
    driver: Driver, trial: Path
) -> None:
    with uploading(driver, trial), (trial / "stdout.log").open("wb", buffering=0) as log:
        for line in (b"one\n", b"two\n", b"three\n"):
            log.write(line)
            assert soon(lambda line=line: (driver.has("stdout.log") or b"").endswith(line))  # type: ignore[misc]
    assert driver.has("stdout.log") == b"one\ntwo\nthree\n"
    assert driver.sent("stdout.log") == 14


def test_what_a_full_disk_does_not_take_is_sent_again(driver: Driver, trial: Path) -> None:
    full = threading.Event()
    full.set()
    driver.before = lambda _: ChunkTaken(taken=True, later=True) if full.is_set() else None
    with uploading(driver, trial), (trial / "stdout.log").open("wb", buffering=0) as log:
        log.write(b"one\n")
        (trial / "model.bin").write_bytes(b"weights")
        assert soon(lambda: len({chunk.path for chunk, _ in driver.chunks}) == 2)
        full.clear()
        assert soon(lambda: driver.has("stdout.log") == b"one\n")
        assert soon(lambda: driver.has("model.bin") == b"weights")
        full.set()
        log.truncate(0)
        log.seek(0)
        log.write(b"a\n")
        assert soon(lambda: driver.chunks[-1][0].restart)
        full.clear()
        assert soon(lambda: driver.has("stdout.log") == b"a\n")


def test_a_disk_that_stays_full_holds_no_slot_up_and_what_is_lost_is_said(
    driver: Driver, trial: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(uploader, "DISK_PATIENCE_S", 0.1)
    driver.before = lambda _: ChunkTaken(taken=True, later=True)
    with uploading(driver, trial):
        (trial / "stdout.log").write_bytes(b"one\n")
        (trial / "model.bin").write_bytes(b"weights")
    assert "the driver's disk takes nothing: model.bin, stdout.log" in caplog.text


def test_what_is_left_at_the_end_is_sent_then(driver: Driver, trial: Path) -> None:
    big = os.urandom(3 * MAX_CHUNK_BYTES + 5)
    with uploading(driver, trial, scan_interval_s=60):
        (trial / "stderr.log").write_bytes(b"last words")
        (trial / "model.keras").write_bytes(big)
        (trial / "tensorboard" / "train").mkdir(parents=True)
        (trial / "tensorboard" / "train" / "events").write_bytes(b"e")
        (trial / "empty").touch()
    assert driver.has("stderr.log") == b"last words"
    assert driver.has("model.keras") == big
    assert driver.has("tensorboard/train/events") == b"e"
    assert driver.has("empty") == b""


def test_a_file_that_is_being_written_is_sent_when_it_has_settled(
    driver: Driver, trial: Path
) -> None:
    (trial / "model.keras").write_bytes(b"first")
    with uploading(driver, trial):
        assert soon(lambda: driver.has("model.keras") == b"first")
        (trial / "model.keras").write_bytes(b"second!")
        assert soon(lambda: driver.has("model.keras") == b"second!")
    assert driver.sent("model.keras") == 12


def test_a_log_that_is_replaced_is_sent_from_its_beginning(driver: Driver, trial: Path) -> None:
    (trial / "stdout.log").write_bytes(b"of the attempt before")
    with uploading(driver, trial):
        assert soon(lambda: driver.has("stdout.log") is not None)
        (trial / "stdout.log").rename(trial / "stdout.attempt-1.log")
        (trial / "stdout.log").write_bytes(b"of this one, and longer than before")
    assert driver.has("stdout.log") == b"of this one, and longer than before"
    assert driver.has("stdout.attempt-1.log") == b"of the attempt before"


def test_hidden_files_links_and_pipes_stay_where_they_are(
    driver: Driver, trial: Path, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "token").write_text("secret")
    (trial / "token").symlink_to(secret / "token")
    (trial / "directory").symlink_to(secret)
    os.link(secret / "token", trial / ".hidden")
    os.mkfifo(trial / "pipe")
    (trial / ".stdout.log.tail").write_bytes(b"ring")
    (trial / "stdout.log").write_bytes(b"x")
    with uploading(driver, trial):
        pass
    assert {chunk.path for chunk, _ in driver.chunks} == {"stdout.log"}


def test_nothing_more_is_sent_of_an_attempt_that_is_given_up_on(
    driver: Driver, trial: Path
) -> None:
    driver.before = lambda _: ChunkTaken(taken=False)
    (trial / "stdout.log").write_bytes(b"x")
    (trial / "stderr.log").write_bytes(b"x")
    with uploading(driver, trial):
        assert soon(lambda: len(driver.chunks) == 1)
    assert len(driver.chunks) == 1


def test_a_file_without_room_is_not_sent_again_and_others_are(driver: Driver, trial: Path) -> None:
    driver.before = lambda chunk: ChunkTaken(taken=True, full=True) if chunk.path == "big" else None
    (trial / "big").write_bytes(b"x" * 3 * MAX_CHUNK_BYTES)
    (trial / "small").write_bytes(b"x")
    with uploading(driver, trial):
        assert soon(lambda: driver.has("small") == b"x")
        (trial / "big").write_bytes(b"y")
    assert [chunk.path for chunk, _ in driver.chunks].count("big") == 1


def test_a_driver_that_has_less_than_was_sent_gets_the_rest(driver: Driver, trial: Path) -> None:
    """As after a restart of a driver that still has the attempt."""
    lost = threading.Event()

    def lose_once(chunk: Chunk) -> ChunkTaken | None:
        if chunk.offset and not lost.is_set():
            lost.set()
            return ChunkTaken(taken=True, size=0)
        return None

    driver.before = lose_once
    with uploading(driver, trial), (trial / "stdout.log").open("wb", buffering=0) as log:
        log.write(b"one\n")
        assert soon(lambda: driver.has("stdout.log") == b"one\n")
        log.write(b"two\n")
        assert soon(lambda: driver.has("stdout.log") == b"one\ntwo\n")
    assert lost.is_set()


def test_a_driver_that_is_gone_costs_the_files_and_not_the_trial(
    driver: Driver, trial: Path
) -> None:
    def gone(_: Chunk) -> None:
        raise DriverGone("no answer")

    driver.before = gone
    (trial / "stdout.log").write_bytes(b"x")
    with uploading(driver, trial):
        assert soon(lambda: bool(driver.chunks))
    assert len(driver.chunks) == 1


def test_files_that_take_too_long_are_left(driver: Driver, trial: Path) -> None:
    (trial / "stdout.log").write_bytes(b"x")
    with uploading(driver, trial, scan_interval_s=60, finish_s=-1):
        pass
    assert driver.chunks == []


def test_a_directory_that_is_not_there_has_no_files(driver: Driver, tmp_path: Path) -> None:
    with uploading(driver, tmp_path / "nowhere"):
        pass
    assert driver.chunks == []
