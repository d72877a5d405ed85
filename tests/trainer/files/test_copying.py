"""The run directory's copy elsewhere: what has changed, when it has, and whole in the end."""

import os
import threading
from pathlib import Path

import pytest

from sparksweep_trainer.files import copying
from sparksweep_trainer.files.copying import Copier, CopyThread
from support.trainer.fake_api_server import eventually


@pytest.fixture
def run(tmp_path: Path) -> Path:
    directory = tmp_path / "digits-1234abcd"
    for number in (1, 2):
        trial = directory / "trials" / f"{number:04d}" / "tensorboard"
        trial.mkdir(parents=True)
        (trial / "events").write_text(f"events of {number}")
        (trial.parent / "stdout.log").write_text(f"trial {number}")
        (trial.parent / ".model.bin.part").write_text("not whole")
        (trial.parent / "link").symlink_to("/etc/passwd")
    (directory / "results.parquet").write_text("table")
    return directory


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Provide the directory of the copy."""
    return tmp_path / "store" / "deep" / "digits-1234abcd"


@pytest.fixture
def copier(run: Path, store: Path) -> Copier:
    return Copier(run, f"file://{store.parent}")


def files(directory: Path) -> dict[str, str]:
    files = [path for path in directory.rglob("*") if path.is_file()]
    return {str(path.relative_to(directory)): path.read_text() for path in files}


def test_a_trial_is_copied_without_the_others_hidden_files_and_links(
    copier: Copier, store: Path
) -> None:
    assert copier.trial(2)
    assert files(store) == {
        "trials/0002/stdout.log": "trial 2",
        "trials/0002/tensorboard/events": "events of 2",
    }


def test_everything_is_copied_once_and_again_when_it_has_changed(
    copier: Copier, run: Path, store: Path
) -> None:
    assert copier.everything()
    assert len(files(store)) == 5
    for file in files(store):
        (store / file).unlink()
    (run / "trials/0001/stdout.log").write_text("trial 1 and more")
    assert copier.everything()
    assert files(store) == {"trials/0001/stdout.log": "trial 1 and more"}


def test_a_trial_that_has_sent_nothing_is_no_failure(copier: Copier) -> None:
    assert copier.trial(9)


def test_a_store_that_refuses_is_complained_of_once(
    run: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("no directory")
    copier = Copier(run, f"file://{tmp_path}/file/below")
    assert not copier.everything()
    assert not copier.trial(1)
    assert len(caplog.records) == 1
    assert "can't be copied to file://" in caplog.text


@pytest.mark.parametrize("trial", ["0001", "0002"])
def test_files_that_the_store_refuses_keep_no_other_waiting(
    trial: str, copier: Copier, run: Path, store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Names that no store takes, more than the failures in a row after which it counts as away."""
    directory = os.fsencode(run / "trials" / trial)
    for number in range(2 * copying.AWAY):
        (Path(os.fsdecode(directory + b"/a-%d-\xff" % number))).write_text("x")
    assert not copier.trial(int(trial))
    assert [copier.everything() for _ in range(3)] == [False] * 3
    assert len(files(store)) == 5
    assert len(caplog.records) == 1
    assert "a-0-" in caplog.text


def test_a_file_that_vanishes_before_it_is_sent_costs_that_file_alone(
    copier: Copier, run: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = Copier._send

    def vanish(self: Copier, path: str) -> None:
        (run / "trials/0001/stdout.log").unlink(missing_ok=True)
        send(self, path)

    monkeypatch.setattr(Copier, "_send", vanish)
    assert not copier.everything()
    assert set(files(store)) == {
        "results.parquet",
        "trials/0001/tensorboard/events",
        "trials/0002/stdout.log",
        "trials/0002/tensorboard/events",
    }
    assert copier.everything()


@pytest.mark.parametrize("below", ["..", ".", "trials", "trials/0001/new"])
def test_a_run_directory_is_never_copied_onto_itself(
    below: str, run: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "link").symlink_to(run)
    before = files(run)
    for root in (run, tmp_path / "link"):
        copier = Copier(run, f"file://{root}/{below}" if below != ".." else f"file://{run.parent}/")
        assert not copier.everything()
        assert not copier.trial(1)
    assert files(run) == before
    assert "in the run directory itself" in caplog.text


def test_a_scheme_that_is_not_known_is_a_refusal_and_no_crash(run: Path) -> None:
    assert not Copier(run, "nowhere://bucket/path").everything()


def test_trials_are_copied_as_they_end_and_the_rest_at_the_end(
    copier: Copier, run: Path, store: Path
) -> None:
    thread = CopyThread(copier, table="results.parquet", pause_s=0.01)
    thread.start()
    thread.trial_ended(1)
    eventually(lambda: set(files(store)) == {"trials/0001/stdout.log", "trials/0001/tensorboard/events"})  # fmt: skip
    thread.table_written()
    eventually(lambda: (store / "results.parquet").exists())
    assert thread.close(flush_s=10)
    assert len(files(store)) == 5


def test_what_could_not_be_copied_is_tried_again(
    copier: Copier, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = threading.Event()
    away.set()
    send = Copier._send

    def refuse(self: Copier, path: str) -> None:
        if away.is_set():
            raise OSError("the store is away")
        send(self, path)

    monkeypatch.setattr(Copier, "_send", refuse)
    thread = CopyThread(copier, table="results.parquet", pause_s=0.01)
    thread.start()
    thread.trial_ended(1)
    assert files(store) == {}
    away.clear()
    eventually(lambda: (store / "trials/0001/stdout.log").exists())
    assert thread.close(flush_s=10)


def test_a_store_that_takes_too_long_does_not_keep_the_driver(
    copier: Copier, monkeypatch: pytest.MonkeyPatch
) -> None:
    over = threading.Event()
    monkeypatch.setattr(copying.Copier, "_send", lambda *_: over.wait(10))
    thread = CopyThread(copier, table="results.parquet")
    thread.start()
    assert not thread.close(flush_s=0.1)
    over.set()


def test_credentials_are_never_in_a_warning(caplog: pytest.LogCaptureFixture, run: Path) -> None:
    uri = "s3://user:secret@bucket/path?endpoint_override=127.0.0.1:1&scheme=http"
    copier = Copier(run, uri)
    copier._warn(OSError("no"))
    assert "secret" not in caplog.text
