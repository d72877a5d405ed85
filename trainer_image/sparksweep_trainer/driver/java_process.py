"""Spark's Java: a process that waits for PySpark to connect.

A local run starts it by `command_line`, before PySpark is imported. `spark-submit`, which a driver's pod uses, starts another
Java first to compute that command line.
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

MAIN_CLASS = "org.apache.spark.api.python.PythonGatewayServer"
"""The class that PySpark connects to; it ends when its standard input does."""
OPENED = (
    "java.base/java.lang",
    "java.base/java.lang.invoke",
    "java.base/java.lang.reflect",
    "java.base/java.io",
    "java.base/java.net",
    "java.base/java.nio",
    "java.base/java.util",
    "java.base/java.util.concurrent",
    "java.base/java.util.concurrent.atomic",
    "java.base/jdk.internal.ref",
    "java.base/sun.nio.ch",
    "java.base/sun.nio.cs",
    "java.base/sun.security.action",
    "java.base/sun.util.calendar",
    "java.security.jgss/sun.security.krb5",
)
"""Packages that Spark reads by reflection: those of its `JavaModuleOptions`."""
PROPERTIES = (
    "-Dio.netty.tryReflectionSetAccessible=true",
    "-Dio.netty.allocator.type=pooled",
    "-Dio.netty.handler.ssl.defaultEndpointVerificationAlgorithm=NONE",
)
"""System properties of `JavaModuleOptions`."""
POLL_S = 0.01
"""Seconds between two looks for the file that Java writes when it listens."""
_CONNECTION_FILE = "connection"
_CONNECTION_FILE_ENV = "_PYSPARK_DRIVER_CONN_INFO_PATH"


class JavaEnded(Exception):
    """Java ended before PySpark could connect; the message has its exit code."""


@dataclass(frozen=True)
class Connection:
    """Address of a waiting Java, and the secret that it expects."""

    port: int
    secret: str


def spark_home() -> Path:
    """Return the directory of the installed PySpark, without importing it.

    Raises:
        ModuleNotFoundError: PySpark is not installed.
    """
    spec = find_spec("pyspark")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("pyspark is not installed")
    return Path(spec.origin).parent


def class_path(home: Path) -> str:
    """Return Spark's jars in a fixed order, which an archive of their classes requires."""
    return os.pathsep.join(str(jar) for jar in sorted((home / "jars").glob("*.jar")))


def command_line(java: Path, classes: str, options: Sequence[str]) -> list[str]:
    """Return the command that starts Java for PySpark.

    Args:
        java: the program.
        classes: the class path.
        options: further options of the virtual machine.
    """
    opened = [f"--add-opens={package}=ALL-UNNAMED" for package in OPENED]
    always = ["-XX:+IgnoreUnrecognizedVMOptions", *opened, *PROPERTIES]
    return [str(java), *always, *options, "-cp", classes, MAIN_CLASS]


class JavaProcess:
    """A Java that waits for PySpark. It ends when this process does."""

    def __init__(
        self, command: Sequence[str], *, log_file: Path | None, environment: Mapping[str, str]
    ) -> None:
        """Start it.

        Args:
            command: `command_line`, or Spark's own script.
            log_file: file of its output; None: this process's output.
            environment: see `spark_environment`.
        """
        # Java writes here where it listens.
        self._directory = Path(tempfile.mkdtemp(prefix="sparksweep-java-"))
        with ExitStack() as stack:
            output = None if log_file is None else stack.enter_context(log_file.open("ab"))
            self.process = subprocess.Popen(
                command,
                env={**environment, _CONNECTION_FILE_ENV: str(self._directory / _CONNECTION_FILE)},
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=None if output is None else subprocess.STDOUT,
                # Ctrl-C is for the run, which then ends Spark.
                start_new_session=True,
            )

    def connection(self, give_up: Callable[[], bool] = lambda: False) -> Connection | None:
        """Wait until Java listens; return None if `give_up` returned True first.

        Raises:
            JavaEnded: it ended instead.
        """
        file = self._directory / _CONNECTION_FILE
        # Java renames the file into place, so that it is whole once it is there.
        while not file.exists():
            if give_up():
                return None
            code = self.process.poll()
            if code is not None:
                raise JavaEnded(f"Java ended with exit code {code}")
            time.sleep(POLL_S)
        content = file.read_bytes()
        (port, size) = struct.unpack_from(">ii", content)
        return Connection(port, content[8 : 8 + size].decode())

    def close(self, patience_s: float = 0.0) -> int:
        """End Java through its standard input; kill it if it has not ended after `patience_s`. Return its exit code."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        try:
            code = self.process.wait(patience_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        shutil.rmtree(self._directory, ignore_errors=True)
        return code
