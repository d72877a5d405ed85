"""The choice of a Java, and messages if there is none or an old one."""

import os
import re
import time
import zipfile
from pathlib import Path

import pytest

from sparksweep._local.java import find_java, java_version, running_java
from sparksweep.errors import MissingDependency
from sparksweep_trainer.driver.java_process import (
    OPENED,
    PROPERTIES,
    JavaEnded,
    JavaProcess,
    class_path,
    command_line,
    spark_home,
)
from support.trainer.fake_api_server import eventually


def fake_java(home: Path, version: str) -> Path:
    java = home / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2024-01-01' >&2\n")
    java.chmod(0o755)
    return home


def test_java_home_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = fake_java(tmp_path / "jdk", "21.0.2")
    monkeypatch.setenv("JAVA_HOME", str(home))
    assert find_java() == home / "bin" / "java"


@pytest.mark.parametrize(("version", "major"), [("17.0.15", 17), ("1.8.0_392", 8), ("25", 25)])
def test_versions_are_understood(tmp_path: Path, version: str, major: int) -> None:
    assert java_version(fake_java(tmp_path, version) / "bin" / "java") == major


def test_an_old_java_home_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = fake_java(tmp_path / "old", "1.8.0_392")
    monkeypatch.setenv("JAVA_HOME", str(home))
    with pytest.raises(MissingDependency, match=r"old, where there is Java 8.*sparksweep\[local\]"):
        find_java()


def test_a_java_home_without_java_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(MissingDependency, match="where there is no Java"):
        find_java()


def test_java_has_the_options_that_spark_gives_its_own() -> None:
    (jar,) = (spark_home() / "jars").glob("spark-launcher_*.jar")
    with zipfile.ZipFile(jar) as archive:
        options = archive.read("org/apache/spark/launcher/JavaModuleOptions.class").decode(
            "latin-1"
        )
    opened = set(re.findall(r"--add-opens=([\w./]+)=ALL-UNNAMED", options))
    properties = set(re.findall(r"-Dio[\w.]+=\w+", options))
    assert set(OPENED) == opened
    assert set(PROPERTIES) == properties


def test_the_class_path_has_every_jar_of_spark_in_one_order() -> None:
    jars = class_path(spark_home()).split(os.pathsep)
    assert jars == sorted(jars)
    assert len(jars) == len(list((spark_home() / "jars").glob("*.jar"))) > 100


def test_a_command_line_ends_with_the_class_that_waits_for_pyspark() -> None:
    line = command_line(Path("/jdk/bin/java"), "a.jar:b.jar", ["-Xmx1m"])
    assert line[0] == "/jdk/bin/java"
    assert line[-4:] == ["-Xmx1m", "-cp", "a.jar:b.jar", line[-1]]
    assert line[-1].endswith("PythonGatewayServer")


def test_a_java_that_ends_is_an_error_with_its_exit_code(tmp_path: Path) -> None:
    java = script(tmp_path, "echo no memory; exit 7")
    log = tmp_path / "spark.log"
    process = JavaProcess([str(java)], log_file=log, environment={})
    with pytest.raises(JavaEnded, match="exit code 7"):
        process.connection()
    assert process.close() == 7
    assert log.read_text() == "no memory\n"


def test_waiting_for_java_can_be_given_up(tmp_path: Path) -> None:
    java = script(tmp_path, "exec sleep 60")
    process = JavaProcess([str(java)], log_file=tmp_path / "log", environment={})
    started = time.monotonic()
    assert process.connection(lambda: time.monotonic() - started > 0.05) is None
    assert process.close() == -9


def test_the_address_and_the_secret_are_what_java_wrote(tmp_path: Path) -> None:
    write = """printf '\\0\\0\\220\\001\\0\\0\\0\\003abc' >$_PYSPARK_DRIVER_CONN_INFO_PATH.new
    mv $_PYSPARK_DRIVER_CONN_INFO_PATH.new $_PYSPARK_DRIVER_CONN_INFO_PATH; exec cat"""
    java = script(tmp_path, write)
    process = JavaProcess(
        [str(java)], log_file=tmp_path / "log", environment={"PATH": os.environ["PATH"]}
    )
    connection = process.connection()
    assert connection is not None
    assert (connection.port, connection.secret) == (0x9001, "abc")
    assert process.close(10) == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SPARK_HOME", "/not/there"),
        ("SPARK_CONF_DIR", "/not/there"),
        ("SPARK_LOCAL_DIRS", "/not/there"),
        ("SPARK_SUBMIT_OPTS", "-Xnonsense"),
        ("PYSPARK_SUBMIT_ARGS", "--master yarn pyspark-shell"),
        ("PYSPARK_GATEWAY_PORT", "1"),
    ],
)
def test_settings_of_another_spark_do_not_reach_java(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    monkeypatch.setenv("SPARKSWEEP_JAVA_CACHE", "")
    java = script(tmp_path, "env; exec cat")
    log = tmp_path / "log"
    with running_java(java, log):
        eventually(lambda: "SPARK_CONNECT_MODE" in log.read_text())
    environment = dict(line.split("=", 1) for line in log.read_text().splitlines() if "=" in line)
    assert environment.get(name) != value
    assert environment["SPARK_HOME"] == str(spark_home())


def script(directory: Path, text: str) -> Path:
    java = directory / "java"
    java.write_text(f"#!/bin/sh\n{text}\n")
    java.chmod(0o755)
    return java
