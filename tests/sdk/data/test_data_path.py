"""`data.path`: local files as they are, remote ones as copies that are fetched once, current, whole and bounded."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from sparksweep import data
from sparksweep.data import _cache as caching
from sparksweep.data._stores import Remote
from sparksweep.errors import MissingDependency


def test_a_local_path_is_itself_and_a_relative_one_is_the_projects(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPARKSWEEP_PROJECT_PATH", str(tmp_path))
    (tmp_path / "Resources").mkdir()
    (tmp_path / "Resources" / "train.csv").write_text("1")
    expected = str(tmp_path / "Resources" / "train.csv")
    assert data.path("Resources/train.csv") == expected
    assert data.path(expected) == expected
    assert data.path(f"file://{expected}") == expected
    with pytest.raises(FileNotFoundError, match="no-such-file does not exist"):
        data.path("no-such-file")


def test_a_remote_file_is_fetched_once_and_again_when_it_has_changed(
    bucket: Any, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched: list[Any] = []
    original = Remote.download

    def download(self: Remote, file: Any, target: Any) -> None:
        fetched.append(file)
        original(self, file, target)

    monkeypatch.setattr(Remote, "download", download)
    uri = bucket.put("train.csv", b"a,b\n1,2\n")
    first = data.path(uri)
    assert Path(first).name == "train.csv"
    assert Path(first).read_bytes() == b"a,b\n1,2\n"
    assert data.path(uri) == first
    assert len(fetched) == 1
    # As long as before: the etag alone tells.
    bucket.put("train.csv", b"a,b\n3,4\n")
    second = data.path(uri)
    assert Path(second).read_bytes() == b"a,b\n3,4\n"
    # Who reads the first one goes on reading it.
    assert Path(first).read_bytes() == b"a,b\n1,2\n"
    assert len(fetched) == 2


def test_a_folder_is_copied_with_everything_below_it(bucket: Any, cache: Path) -> None:
    for name in ("images/a/1.png", "images/a/2.png", "images/b/1.png"):
        bucket.put(name, name.encode())
    root = Path(data.path(bucket.uri("images")))
    found = {str(path.relative_to(root)): path.read_text() for path in root.rglob("*.png")}
    assert found == {name: f"images/{name}" for name in ("a/1.png", "a/2.png", "b/1.png")}


def test_what_is_not_there_is_named(bucket: Any, cache: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no-such-object"):
        data.path(bucket.uri("no-such-object"))
    assert list(cache.glob("*")) == []


PROCESS = """
import sys, time
from sparksweep import data
from sparksweep.data._stores import Remote
download = Remote.download
def slowly(self, file, target):
    print("fetched", flush=True)
    time.sleep(1)
    download(self, file, target)
Remote.download = slowly
print(open(data.path(sys.argv[1])).read(), flush=True)
time.sleep(float(sys.argv[2]))
"""


def process(uri: str, hold_s: float = 0) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PROCESS, uri, str(hold_s)], stdout=subprocess.PIPE, text=True
    )


def test_two_slots_that_ask_at_the_same_time_fetch_it_once(bucket: Any, cache: Path) -> None:
    uri = bucket.put("shared.txt", b"shared")
    slots = [process(uri) for _ in range(3)]
    said = [slot.communicate(timeout=60)[0].split() for slot in slots]
    assert sorted(said, key=len) == [["shared"], ["shared"], ["fetched", "shared"]]


def test_a_process_killed_in_the_middle_leaves_nothing_that_looks_whole(
    bucket: Any, cache: Path
) -> None:
    uri = bucket.put("torn.txt", b"whole")
    torn = process(uri)
    assert torn.stdout is not None
    assert torn.stdout.readline() == "fetched\n"
    torn.kill()
    torn.communicate()
    assert Path(data.path(uri)).read_text() == "whole"


def test_copies_make_room_but_for_those_in_use(
    bucket: Any, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPARKSWEEP_DATA_CACHE_SIZE", "2500")
    uris = [bucket.put(f"{n}.bin", bytes([n]) * 1000) for n in range(4)]
    for uri in uris[:2]:
        done = subprocess.run(
            [sys.executable, "-c", f"from sparksweep import data; data.path({uri!r})"], check=True
        )
        assert done.returncode == 0
        time.sleep(0.02)
    kept = [path.name for path in cache.iterdir() if path.is_dir()]
    assert len(kept) == 2
    # The first is the one not used for longest.
    third = data.path(uris[2])
    assert len([path for path in cache.iterdir() if path.is_dir()]) == 2
    second = data.path(uris[1])
    with pytest.raises(OSError, match=r"copies that are in use take 2.* of 2") as caught:
        data.path(uris[3])
    assert caught.value.errno == errno.ENOSPC
    assert Path(second).stat().st_size == Path(third).stat().st_size == 1000
    with pytest.raises(OSError, match=r"more than the .* that copies may take"):
        data.path(bucket.put("large.bin", bytes(3000)))


@pytest.fixture(autouse=True)
def let_go() -> Any:
    """Release the locks of a test's copies."""
    yield
    for lock in caching._in_use:
        lock.close()
    caching._in_use.clear()


def test_hdfs_without_hadoops_client_says_what_would_help(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HADOOP_HOME", raising=False)
    monkeypatch.delenv("ARROW_LIBHDFS_DIR", raising=False)
    with pytest.raises(MissingDependency, match=r"libhdfs.*webhdfs://NAMENODE:9870"):
        data.path("hdfs://namenode:8020/Projects/mine/train.csv")


def test_a_uri_that_nobody_knows_is_an_error(cache: Path) -> None:
    with pytest.raises(OSError, match="nfs"):
        data.path("nfs://server/train.csv")
    assert os.listdir(cache.parent) == []
