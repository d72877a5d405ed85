"""Files that a trial leaves are gone before the next one, and those of anybody else stay."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sparksweep_core.api.environment import EnvVar
from sparksweep_core.contract.environment import CLEARED_ENV
from sparksweep_trainer.protocol import Assignment, Chunk, ChunkTaken, NextOrder, Report
from sparksweep_trainer.slot import slot
from sparksweep_trainer.slot.environment import MAX_TEMPORARY_PATH, temporary_environment
from sparksweep_trainer.slot.leftovers import Leftovers, cleared_directories
from sparksweep_trainer.slot.stop_signal import StopSignal
from sparksweep_trainer.trial.removal import remove_tree
from support.trainer.trial_rig import Rig, program

# ---------------------------------------------------------------------- removal


def deep(path: Path) -> None:
    """Nest directories deeper than Python recurses and than a path may be long."""
    subprocess.run(
        ["python3", "-c", "import os\nfor _ in range(1200): os.mkdir('nested'); os.chdir('nested')\nopen('x', 'w')"],
        cwd=path, check=True,
    )  # fmt: skip


def unreadable(path: Path) -> None:
    (path / "closed" / "inner").mkdir(parents=True)
    (path / "closed" / "inner" / "file").touch(mode=0)
    (path / "closed" / "inner").chmod(0)
    (path / "closed").chmod(0o500)


def links(path: Path) -> None:
    (path / "up").symlink_to("..")
    (path / "root").symlink_to("/")
    (path / "nowhere").symlink_to("nowhere")
    os.mkfifo(path / "pipe")
    (path / "n\udcff\n").touch()


@pytest.mark.parametrize("fill", [deep, unreadable, links, lambda _: None])
def test_a_directory_is_removed_whatever_is_in_it(tmp_path: Path, fill: object) -> None:
    beside = tmp_path / "beside"
    beside.touch()
    filled = tmp_path / "filled"
    filled.mkdir()
    assert callable(fill)
    fill(filled)
    user = os.geteuid()
    if user == 0:
        # Modes don't stop root.
        user = 12345
        subprocess.run(["chown", "-Rh", str(user), str(tmp_path)], check=True)
    child = os.fork()
    if child == 0:
        os.chdir(tmp_path)
        os.setuid(user)
        os._exit(0 if remove_tree(Path("filled")) else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert [path.name for path in tmp_path.iterdir()] == ["beside"]


def test_a_file_or_a_link_is_removed_alone(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "file")
    assert remove_tree(tmp_path / "link")
    assert (tmp_path / "file").exists()
    assert remove_tree(tmp_path / "file")
    assert remove_tree(tmp_path / "file"), "there is nothing left of what was not there"


# ---------------------------------------------------------------------- comparison


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[Path]:
    """Yield a directory of the executor with files of Java, of Spark, and of a library that the fork server imported."""
    directory = tmp_path / "shared"
    for name in ("hsperfdata_user/7", ".cache/library/index", "native.so"):
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text("before")
    yield directory
    remove_tree(directory)


def names(directory: Path) -> set[str]:
    return {str(path.relative_to(directory)) for path in directory.rglob("*")}


SPARKS = "spark-0a1b2c3d-0a1b-0a1b-0a1b-0a1b2c3d4e5f"
LEFT = {
    "file": ["big"],
    "directory": ["d", "d/e", "d/e/f"],
    "hidden": [".keras", ".keras/datasets"],
    "in-a-directory-from-before": [".cache/library/model", ".cache/other", ".cache/other/x"],
    "with-odd-names": ["a b", "n\n", "$(x)", "-rf"],
    "almost-sparks": ["spark-events", "spark-events/x", "hsperf", "blockmgr-x"],
}


@pytest.mark.parametrize("left", LEFT.values(), ids=LEFT)
def test_new_entries_are_removed_and_others_stay(shared: Path, left: list[str]) -> None:
    before = names(shared)
    leftovers = Leftovers([shared])
    for _ in range(2):
        leftovers.begin()
        for name in left:
            path = shared / name
            if any(other.startswith(f"{name}/") for other in left):
                path.mkdir(parents=True)
            else:
                path.write_text("left")
        leftovers.clear()
        assert names(shared) == before


@pytest.mark.parametrize(
    "name", [SPARKS, f"{SPARKS}/x", "blockmgr-" + SPARKS[6:], "hsperfdata_user/8", ".java_pid7",
             "sparksweep-slot-3-abc/t1"],
)  # fmt: skip
def test_entries_of_java_spark_and_other_slots_stay(shared: Path, name: str) -> None:
    leftovers = Leftovers([shared])
    leftovers.begin()
    (shared / name).parent.mkdir(exist_ok=True)
    (shared / name).touch()
    assert leftovers.clear() == []
    assert (shared / name).exists()


def test_entries_that_a_process_uses_stay_until_it_does_not(shared: Path) -> None:
    leftovers = Leftovers([shared])
    leftovers.begin()
    (shared / "d").mkdir()
    (shared / "w").mkdir()
    (shared / "free").touch()
    with (shared / "d" / "open").open("w"):
        worker = subprocess.Popen(["sleep", "60"], cwd=shared / "w")
        try:
            assert leftovers.clear() == [str(shared / "free")]
        finally:
            worker.kill()
            worker.wait()
    assert {"d/open", "w"} <= names(shared)


def test_kept_entries_stay_wherever_they_are(shared: Path) -> None:
    leftovers = Leftovers([shared], kept=[shared / "cache" / "data"])
    leftovers.begin()
    for name in ("cache/data/copy", "cache/junk", "trials/0001/checkpoint", "trials/0002/x"):
        (shared / name).parent.mkdir(parents=True, exist_ok=True)
        (shared / name).touch()
    leftovers.clear(kept=[shared / "trials" / "0001"])
    assert {"cache/data/copy", "trials/0001/checkpoint"} <= names(shared)
    assert not {"cache/junk", "trials/0002"} & names(shared)


def test_nothing_is_removed_while_another_trial_of_the_executor_runs(shared: Path) -> None:
    ours, other = Leftovers([shared]), Leftovers([shared])
    other.begin()
    ours.begin()
    (shared / "whose").touch()
    assert ours.clear() == []
    assert (shared / "whose").exists()
    assert other.clear() == [str(shared / "whose")]


def test_a_link_is_removed_and_not_followed(shared: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "file").touch()
    leftovers = Leftovers([shared])
    leftovers.begin()
    (shared / "link").symlink_to(tmp_path / "outside")
    leftovers.clear()
    assert "link" not in names(shared)
    assert (tmp_path / "outside" / "file").exists()


def test_without_directories_or_without_a_trial_nothing_is_removed(shared: Path) -> None:
    before = names(shared)
    assert Leftovers([shared]).clear() == []
    leftovers = Leftovers([])
    leftovers.begin()
    assert leftovers.clear() == []
    assert names(shared) == before
    assert cleared_directories({}) == []
    assert cleared_directories({CLEARED_ENV: "/a:/b"}) == [Path("/a"), Path("/b")]


# ---------------------------------------------------------------------- trials

SOURCE = """
    import os, subprocess, tempfile
    from pathlib import Path

    def training(x):
        own = tempfile.gettempdir()
        assert own == os.environ["TMPDIR"] and not os.listdir(own)
        handle, path = tempfile.mkstemp()
        subprocess.run("mktemp -d; touch $TMPDIR/y", shell=True, check=True)
        for directory in SHARED:
            assert not Path(directory, "left").exists(), directory
            Path(directory, "left").mkdir()
            Path(directory, "left", "file").write_bytes(bytes(1000))
        print(own)
        if x == 2:
            os.chmod(own, 0)
            os.kill(os.getpid(), 9)
        return x
"""


def test_each_trial_has_a_temporary_directory_of_its_own_that_ends_with_it(tmp_path: Path) -> None:
    """So it does in a local run, where no other directory is touched."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    # A module that the fork server imports has asked for the directory before.
    source = SOURCE.replace("SHARED", "()")
    own = []
    with Rig(tmp_path, source, parameters={"x": int}, preload=["tempfile", "random"]) as rig:
        for number in (1, 2, 3):
            rig.run(number=number, x=number)
            own.append(Path(rig.log(number=number).split()[-1]))
    assert len(set(own)) == 3
    assert not any(path.exists() for path in own)
    assert all(Path(tempfile.gettempdir()) in path.parents for path in own)


def test_directories_of_the_executor_are_as_before_each_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = [tmp_path / "tmp", tmp_path / "shm"]
    for directory in shared:
        directory.mkdir()
        (directory / "java").touch()
    monkeypatch.setenv(CLEARED_ENV, ":".join(map(str, shared)))
    source = SOURCE.replace("SHARED", repr([str(path) for path in shared]))
    with Rig(tmp_path, source, parameters={"x": int}) as rig:
        assert rig.runner.check() is None
        for number in (1, 2, 3):
            outcome = rig.run(number=number, x=number)
            assert outcome.reason == ("Signalled" if number == 2 else "Completed"), outcome
            assert (shared[0] / "left").exists(), "until its files were sent"
            rig.runner.clear()
            assert [names(path) for path in shared] == [{"java"}] * 2


def test_a_commands_temporary_files_end_with_it_too(tmp_path: Path) -> None:
    command = ["sh", "-c", "f=$(mktemp); echo $f; test -f $f && echo score=1"]
    with Rig(tmp_path, None, command=command) as rig:
        assert rig.metrics() == {"score": 1}
        path = Path(rig.log().split()[0])
    assert not path.exists()
    assert not path.parent.exists()


def test_a_template_keeps_the_directory_that_it_names(tmp_path: Path) -> None:
    given = tmp_path / "given"
    given.mkdir()
    source = """
        import os, tempfile
        def training():
            open(os.path.join(tempfile.gettempdir(), "mine"), "w")
            return 1
    """
    with Rig(tmp_path, source, env=[EnvVar(name="TMPDIR", value=str(given))]) as rig:
        rig.metrics()
    assert [path.name for path in given.iterdir()] == ["mine"]


def test_sockets_can_be_made_in_a_temporary_directory_or_it_is_not_set(tmp_path: Path) -> None:
    template = program(tmp_path, "x = 1").trial_template
    for length, is_set in ((MAX_TEMPORARY_PATH, True), (MAX_TEMPORARY_PATH + 1, False)):
        directory = Path("/" + "d" * (length - 1))
        variables = temporary_environment({}, template, directory=directory, shared=tmp_path)
        assert ("TMPDIR" in variables) == is_set


def test_copies_of_remote_data_outlive_the_trial(tmp_path: Path) -> None:
    source = """
        import os
        def training():
            print(os.environ["SPARKSWEEP_DATA_CACHE"])
            return 1
    """
    with Rig(tmp_path, source) as rig:
        rig.metrics()
        assert rig.log().strip() == f"{tempfile.gettempdir()}/sparksweep-data-{os.getuid()}"
    env = [EnvVar(name="SPARKSWEEP_DATA_CACHE", value="/mnt/cache")]
    with Rig(tmp_path, source, env=env) as rig:
        rig.metrics(number=2)
        assert rig.log(number=2).strip() == "/mnt/cache"


# ---------------------------------------------------------------------- a slot on a cluster


class _Driver:
    """A driver that orders some attempts, and takes every file."""

    def __init__(self, assignments: list[Assignment]) -> None:
        self._orders = [NextOrder(order="run", assignment=item) for item in assignments]
        self.reasons: list[str] = []

    def next(self, slot: int) -> NextOrder:
        return self._orders.pop(0) if self._orders else NextOrder(order="leave")

    def report(self, report: Report) -> bool:
        self.reasons.append(f"{report.outcome.reason}: {report.outcome.message}")
        return True

    def send_file(self, chunk: Chunk, data: bytes) -> ChunkTaken:
        return ChunkTaken(taken=True, size=chunk.offset + len(data))


class _NoHeartbeats:
    def begin(self, assignment: Assignment) -> StopSignal:
        self._stop = StopSignal()
        return self._stop

    def end(self) -> None:
        self._stop.close()


def test_directories_of_failed_trials_stay_for_their_next_attempt_alone(tmp_path: Path) -> None:
    source = """
        import os
        from pathlib import Path
        def training():
            here = sorted(path.name for path in Path("..").iterdir() if path.name.isdigit())
            saved = Path("checkpoint").exists()
            Path("checkpoint").touch()
            raise ValueError(f"{here} {saved}")
    """
    attempts = [
        (1, 1, False),
        (1, 2, True),
        (2, 1, False),
        (3, 1, False),
        (3, 2, False),
        (4, 1, True),
    ]
    driver: Any = _Driver(
        [Assignment(number=n, attempt=a, parameters={}, is_last=last) for n, a, last in attempts]
    )
    heartbeats: Any = _NoHeartbeats()
    with Rig(tmp_path, source, max_retries=2) as rig:
        slot._serve(0, driver, rig.runner, heartbeats, driver)
        assert list(rig.trials.iterdir()) == []
    assert [reason.splitlines()[0].partition("[")[2] for reason in driver.reasons] == [
        "'0001'] False", "'0001'] True", "'0002'] False", "'0003'] False", "'0003'] True", "'0004'] False",
    ]  # fmt: skip
