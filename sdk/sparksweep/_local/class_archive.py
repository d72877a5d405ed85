"""An archive of Spark's classes, from which Java starts in a third of the time (class-data sharing).

Java maps the archive instead of reading and verifying 8,000 classes of 280 jars. The first run that ends well leaves the
list of the classes that it loaded, and a process in the background writes the archive: 80 MB, 7 s of one CPU at the
lowest priority. Java itself checks that an archive fits its version and the jars, and starts without one that does not.
``python -m sparksweep._local.class_archive`` is the process in the background.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import stat
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sparksweep_core.contract.environment import JAVA_CACHE_ENV

LIMIT_S = 600
"""Seconds that writing an archive may take."""
KEPT_S = 30 * 24 * 3600
"""Seconds after whose last use an archive of other versions is removed."""
MOST_ARCHIVES = 3
"""Archives that are kept, of 80 MB each: those used last."""
_FLAG = "-XX:SharedArchiveFile="


@dataclass(frozen=True)
class ClassArchive:
    """The archive of one Java and one Spark; absent while nothing has made it."""

    java: Path
    class_path: str
    java_options: tuple[str, ...]
    file: Path | None
    """The archive's file; None where none can be stored."""

    @classmethod
    def of(cls, java: Path, class_path: str, java_options: Sequence[str]) -> ClassArchive:
        """Return the archive for a Java, Spark's jars and the options of the virtual machine."""
        directory = cache_directory()
        file = None if directory is None else directory / f"{_key(java, class_path)}.jsa"
        return cls(java, class_path, tuple(java_options), file)

    @property
    def options(self) -> list[str]:
        """Options to start Java with: the archive, or the file for the list of the classes that the archive lacks."""
        if self.file is None or _failed(self.file).exists():
            return []
        if self.file.exists():
            with contextlib.suppress(OSError):
                # The time of its last use.
                os.utime(self.file)
            # Not a word if the archive does not fit.
            return [f"{_FLAG}{self.file}", "-Xlog:cds=off"]
        return [f"-XX:DumpLoadedClassList={_listed(self.file)}"]

    def make(self) -> None:
        """Start to write the archive in the background, if the run has left a list for it."""
        if self.file is None or not _listed(self.file).exists():
            return
        arguments = [str(self.java), str(_listed(self.file)), str(self.file)]
        null = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in (0, 1, 2)]
        # Not `Popen`, which warns of a process that outlives it.
        os.posix_spawn(
            sys.executable,
            [sys.executable, "-m", __name__, *arguments],
            # The class path is longer than one argument should be.
            {
                **os.environ,
                _CLASS_PATH_ENV: self.class_path,
                _OPTIONS_ENV: " ".join(self.java_options),
            },
            file_actions=null,
            setsid=True,
        )

    def forget(self) -> None:
        """Remove the list of a run that did not end well: it may break off in a line."""
        if self.file is not None:
            _listed(self.file).unlink(missing_ok=True)


_CLASS_PATH_ENV = "SPARKSWEEP_CLASS_PATH"
_OPTIONS_ENV = "SPARKSWEEP_JAVA_OPTIONS"


def cache_directory() -> Path | None:
    """Return the directory of archives, made if need be; None if it can't be made, or others may write to it.

    `JAVA_CACHE_ENV` names it; set and empty, there is none.
    """
    named = os.environ.get(JAVA_CACHE_ENV)
    if named == "":
        return None
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    directory = Path(named or f"{cache}/sparksweep/java").expanduser()
    if not directory.is_absolute():
        # Without HOME, or with an XDG_CACHE_HOME that its specification says to ignore.
        return None
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = directory.stat()
    except OSError:
        return None
    # Java runs what is in the archive.
    is_safe = found.st_uid == os.geteuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return directory if is_safe and os.access(directory, os.W_OK) else None


def _key(java: Path, class_path: str) -> str:
    """Return a name that other versions of Java and Spark do not share."""
    digest = hashlib.sha256()
    for path in (str(java.resolve()), *class_path.split(os.pathsep)):
        status = os.stat(path)
        digest.update(f"{path}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]


def _listed(archive: Path) -> Path:
    """Return the file of this process's list of classes."""
    return archive.with_suffix(f".{os.getpid()}.classes")


def _failed(archive: Path) -> Path:
    """Return the file that says that this Java can't write an archive."""
    return archive.with_suffix(".failed")


def write_archive(java: Path, classes: Path, archive: Path) -> None:
    """Write the archive of a list of classes, unless another process does; remove the list."""
    try:
        with archive.with_suffix(".writing").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not archive.exists():
                _dump(java, classes, archive)
                _remove_old(archive)
    except BlockingIOError:
        pass  # Another process writes it.
    finally:
        classes.unlink(missing_ok=True)


def _dump(java: Path, classes: Path, archive: Path) -> None:
    unfinished = archive.with_suffix(".new")
    unfinished.unlink(missing_ok=True)
    options = os.environ[_OPTIONS_ENV].split()
    command = [
        *(str(java), "-Xshare:dump", *options, f"-XX:SharedClassListFile={classes}"),
        *(f"{_FLAG}{unfinished}", "-cp", os.environ[_CLASS_PATH_ENV]),
    ]
    try:
        done = subprocess.run(command, check=False, timeout=LIMIT_S, capture_output=True)
        is_written = done.returncode == 0 and unfinished.exists()
    except subprocess.TimeoutExpired:
        is_written = False
    if is_written:
        unfinished.replace(archive)
    else:
        unfinished.unlink(missing_ok=True)
        _failed(archive).touch()


def _remove_old(archive: Path) -> None:
    """Remove what other versions left, and lists of runs that were killed.

    Each virtual environment has an archive of its own, so that their number is limited, too.
    """
    archives = sorted(archive.parent.glob("*.jsa"), key=lambda file: -file.stat().st_mtime)
    for file in archives[MOST_ARCHIVES:]:
        with contextlib.suppress(OSError):
            file.unlink()
    oldest = time.time() - KEPT_S
    for path in archive.parent.iterdir():
        with contextlib.suppress(OSError):
            if path.stem.partition(".")[0] != archive.stem and path.stat().st_mtime < oldest:
                path.unlink()


def main(arguments: Sequence[str]) -> None:
    """Write an archive at the lowest priority: Java, the list of classes and the archive's file are the arguments."""
    os.nice(19)
    java, classes, archive = map(Path, arguments)
    write_archive(java, classes, archive)


if __name__ == "__main__":
    main(sys.argv[1:])
