"""The choice of a Java, and messages if there is none or an old one."""

import subprocess
from pathlib import Path

import pytest

from sparksweep._local.java import find_java_home, java_version
from sparksweep.errors import MissingDependency


def fake_java(home: Path, version: str) -> Path:
    java = home / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2024-01-01' >&2\n")
    java.chmod(0o755)
    return home


def test_java_home_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = fake_java(tmp_path / "jdk", "21.0.2")
    monkeypatch.setenv("JAVA_HOME", str(home))
    assert find_java_home(tmp_path) == home


@pytest.mark.parametrize(("version", "major"), [("17.0.15", 17), ("1.8.0_392", 8), ("25", 25)])
def test_versions_are_understood(tmp_path: Path, version: str, major: int) -> None:
    assert java_version(fake_java(tmp_path, version) / "bin" / "java") == major


def test_an_old_java_home_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = fake_java(tmp_path / "old", "1.8.0_392")
    monkeypatch.setenv("JAVA_HOME", str(home))
    with pytest.raises(MissingDependency, match=r"old, where there is Java 8.*sparksweep\[local\]"):
        find_java_home(tmp_path)


def test_a_java_home_without_java_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(MissingDependency, match="where there is no Java"):
        find_java_home(tmp_path)


def test_the_bundled_java_starts_with_the_flag_that_spark_gives_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    java = find_java_home(tmp_path) / "bin" / "java"
    asked: list[str | Path] = [
        java,
        "--add-modules=jdk.incubator.vector",
        "-Dtext=two words",
        "-version",
    ]
    shown = subprocess.run(asked, capture_output=True, text=True, check=False)
    assert shown.returncode == 0, shown.stderr
    assert (java_version(java) or 0) >= 17
