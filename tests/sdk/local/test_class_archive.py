"""The archive of Spark's classes: who may store one, who makes it, and what happens where it can't be made."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from sparksweep._local.class_archive import ClassArchive, cache_directory, write_archive
from sparksweep._local.java import OPTIONS, find_java
from sparksweep_trainer.driver.java_process import class_path, spark_home


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    cache = tmp_path / "cache"
    monkeypatch.setenv("SPARKSWEEP_JAVA_CACHE", str(cache))
    monkeypatch.setenv("SPARKSWEEP_CLASS_PATH", "a.jar")
    monkeypatch.setenv("SPARKSWEEP_JAVA_OPTIONS", " ".join(OPTIONS))
    return cache


@pytest.fixture
def java(tmp_path: Path) -> Path:
    """Return a Java whose archive is a text."""
    return program(
        tmp_path / "java",
        'for flag do case $flag in *ArchiveFile=*) echo ok >"${flag#*=}";; esac; done',
    )


def program(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def archive(java: Path, jars: Path) -> ClassArchive:
    jar = jars / "a.jar"
    if not jar.exists():
        jar.touch()
    return ClassArchive.of(java, str(jar), OPTIONS)


def test_the_first_run_lists_its_classes_and_a_later_one_uses_the_archive(
    cache: Path, java: Path, tmp_path: Path
) -> None:
    made = archive(java, tmp_path)
    (option,) = made.options
    flag, _, listed = option.partition("=")
    assert flag == "-XX:DumpLoadedClassList"
    Path(listed).write_text("java/lang/Object\n")
    assert made.file is not None
    write_archive(java, Path(listed), made.file)
    assert made.options[0] == f"-XX:SharedArchiveFile={made.file}"
    assert made.file.read_text() == "ok\n"
    assert not Path(listed).exists()


def test_other_jars_and_another_java_have_another_archive(
    cache: Path, java: Path, tmp_path: Path
) -> None:
    first = archive(java, tmp_path).file
    assert archive(java, tmp_path).file == first
    (tmp_path / "a.jar").write_text("newer")
    second = archive(java, tmp_path).file
    java.write_text(java.read_text() + "\n")
    third = archive(java, tmp_path).file
    assert len({first, second, third}) == 3


def test_a_java_that_can_make_none_is_asked_once(cache: Path, tmp_path: Path) -> None:
    java = program(tmp_path / "java", "exit 1")
    made = archive(java, tmp_path)
    assert made.file is not None
    write_archive(java, tmp_path / "listed", made.file)
    assert made.options == []


def test_one_process_at_a_time_writes(cache: Path, java: Path, tmp_path: Path) -> None:
    made = archive(java, tmp_path)
    assert made.file is not None
    listed = tmp_path / "listed"
    listed.touch()
    with made.file.with_suffix(".writing").open("w") as lock:
        subprocess.run(["flock", str(lock.fileno())], check=True, pass_fds=[lock.fileno()])
        write_archive(java, listed, made.file)
    assert not made.file.exists()
    assert not listed.exists()


def test_a_run_that_did_not_end_well_leaves_no_list(
    cache: Path, java: Path, tmp_path: Path
) -> None:
    made = archive(java, tmp_path)
    listed = Path(made.options[0].partition("=")[2])
    listed.write_text("java/lang/Ob")
    made.forget()
    assert not listed.exists()
    made.forget()


def test_an_archive_of_an_earlier_version_is_removed_a_month_after_its_last_use(
    cache: Path, java: Path, tmp_path: Path
) -> None:
    made = archive(java, tmp_path)
    assert made.file is not None
    old, recent = cache / "old.jsa", cache / "recent.jsa"
    for file in (old, recent):
        file.touch()
    os.utime(old, (0, 0))
    write_archive(java, tmp_path / "listed", made.file)
    assert not old.exists()
    assert recent.exists()


def test_the_archives_used_last_are_kept(cache: Path, java: Path, tmp_path: Path) -> None:
    made = archive(java, tmp_path)
    assert made.file is not None
    recent = made.file.stat().st_mtime if made.file.exists() else time.time()
    for age in range(1, 6):
        file = cache / f"{age}.jsa"
        file.touch()
        os.utime(file, (recent - age * 60, recent - age * 60))
    write_archive(java, tmp_path / "listed", made.file)
    assert {file.name for file in cache.glob("*.jsa")} == {made.file.name, "1.jsa", "2.jsa"}


def test_no_archive_is_stored_where_others_may_write(
    cache: Path, java: Path, tmp_path: Path
) -> None:
    cache.mkdir()
    cache.chmod(0o777)
    assert archive(java, tmp_path).options == []


@pytest.mark.parametrize("name", ["", "/proc/nowhere", "/dev/null/x"])
def test_without_a_directory_for_it_there_is_no_archive(
    monkeypatch: pytest.MonkeyPatch, java: Path, tmp_path: Path, name: str
) -> None:
    monkeypatch.setenv("SPARKSWEEP_JAVA_CACHE", name)
    made = archive(java, tmp_path)
    assert made.options == []
    made.make()
    made.forget()


def test_the_directory_is_the_user_s_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("SPARKSWEEP_JAVA_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_directory() == tmp_path / "sparksweep" / "java"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_directory() is None


@pytest.mark.spark
def test_spark_s_java_starts_with_an_archive_that_does_not_fit(cache: Path) -> None:
    made = ClassArchive.of(find_java(), class_path(spark_home()), OPTIONS)
    assert made.file is not None
    made.file.write_bytes(b"not an archive" * 1000)
    shown = subprocess.run(
        [find_java(), *OPTIONS, *made.options, "-version"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert shown.stdout == ""
    assert "warning" not in shown.stderr
