"""Links that somebody plants in a run directory make nobody read or write elsewhere, in whatever place they are."""

from __future__ import annotations

import http.client
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from sparksweep_core.api import Trial
from sparksweep_core.api.columns import SearchDescription
from sparksweep_trainer.files.copying import Copier
from sparksweep_trainer.files.results import write_results
from sparksweep_trainer.files.store import FileStore
from sparksweep_trainer.protocol import Chunk
from sparksweep_trainer.viewer.server import ViewerServer
from support.operator.operator_objects import experiment

STDOUT_FILE = "stdout.log"
SECRET = b"the driver's own token"
NONE: list[Trial] = []


class Place:
    """A run directory with one trial, and a directory elsewhere that holds a secret."""

    def __init__(self, directory: Path) -> None:
        self.run = directory / "runs" / "digits-1"
        self.elsewhere = directory / "elsewhere"
        self.copies = directory / "copies"
        self.elsewhere.mkdir()
        (self.elsewhere / "token").write_bytes(SECRET)
        (self.elsewhere / "trials" / "0001").mkdir(parents=True)
        (self.elsewhere / "trials" / "0001" / STDOUT_FILE).write_bytes(SECRET)
        (self.elsewhere / "0001").mkdir()
        (self.elsewhere / "0001" / STDOUT_FILE).write_bytes(SECRET)
        (self.elsewhere / STDOUT_FILE).write_bytes(SECRET)
        self.store = FileStore(self.run)
        self.take(b"line\n")
        self.before = self.content()

    def take(self, data: bytes) -> None:
        chunk = Chunk(slot=1, number=1, attempt=1, path=STDOUT_FILE, offset=0, restart=True)
        self.store.take(chunk, data)

    def content(self) -> dict[str, bytes]:
        return {
            str(path.relative_to(self.elsewhere)): path.read_bytes()
            for path in self.elsewhere.rglob("*")
            if path.is_file()
        }

    def plant(self, path: str) -> None:
        """Replace a file or a directory of the run by a link."""
        place = self.run / path
        if place.is_dir() and not place.is_symlink():
            shutil.move(place, self.run.parent / "moved")
        else:
            place.unlink(missing_ok=True)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(
            self.elsewhere / "token"
            if path.endswith((".log", ".new", ".parquet", ".part"))
            else self.elsewhere
        )


def described() -> SearchDescription:
    return experiment().spec


def write(place: Place) -> None:
    place.take(b"other\n" * 10)


def copy(place: Place) -> None:
    Copier(place.run, place.copies.as_uri()).everything()
    for path in place.copies.rglob("*"):
        if path.is_file():
            assert SECRET not in path.read_bytes(), path


def results(place: Place) -> None:
    try:
        write_results(place.run / "results.parquet", described(), NONE)
    except OSError:
        return


def view(place: Place) -> None:
    server = ViewerServer(place.run)
    try:
        for path in ("token", "trials/0001/stdout.log", "0001/stdout.log", "results.parquet"):
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
            connection.request("GET", f"/v1/files/{path}")
            assert SECRET not in connection.getresponse().read()
            connection.close()
    finally:
        server.close()


def begin(place: Place) -> None:
    try:
        FileStore(place.run)
    except OSError:
        return


@pytest.mark.parametrize("act", [write, copy, view, begin])
@pytest.mark.parametrize("path", ["", "trials", "trials/0001", "trials/0001/stdout.log"])
def test_no_link_is_followed(path: str, act: Callable[[Place], None], tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.plant(path)
    act(place)
    assert place.content() == place.before
    assert not any(item.name.startswith(".") for item in place.elsewhere.rglob("*"))


@pytest.mark.parametrize("path", [".results.parquet.new", "results.parquet"])
def test_the_table_is_written_through_no_link(path: str, tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.plant(path)
    results(place)
    assert place.content() == place.before
    assert (place.run / "results.parquet").is_file()
    assert not (place.run / "results.parquet").is_symlink()
    copy(place)
    view(place)


def test_a_table_beside_a_directory_of_the_unfinished_ones_name_is_an_error(tmp_path: Path) -> None:
    place = Place(tmp_path)
    (place.run / ".results.parquet.new").mkdir()
    with pytest.raises(OSError, match="directory"):
        write_results(place.run / "results.parquet", described(), NONE)
    os.rmdir(place.run / ".results.parquet.new")
    results(place)
    assert (place.run / "results.parquet").is_file()
