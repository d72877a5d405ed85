"""A real S3 API on this machine: moto's server, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyarrow import fs

PROGRAM = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
"""


class Bucket:
    """A bucket, and what was asked of its server."""

    def __init__(self, port: int) -> None:
        self.query = f"?endpoint_override=127.0.0.1:{port}&scheme=http&region=us-east-1"
        self._store = fs.S3FileSystem(
            endpoint_override=f"127.0.0.1:{port}", scheme="http", region="us-east-1", allow_bucket_creation=True
        )  # fmt: skip
        self._store.create_dir("data")

    def put(self, name: str, content: bytes) -> str:
        """Write an object; its URI."""
        with self._store.open_output_stream(f"data/{name}") as stream:
            stream.write(content)
        return self.uri(name)

    def uri(self, name: str) -> str:
        return f"s3://data/{name}{self.query}"


@pytest.fixture(scope="session")
def bucket() -> Iterator[Bucket]:
    os.environ.setdefault("AWS_ACCESS_KEY_ID", "testing")
    os.environ.setdefault("AWS_SECRET_ACCESS_KEY", "testing")
    server = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert server.stdout is not None
    port = int(server.stdout.readline())
    deadline = time.monotonic() + 30
    while True:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/moto-api/", timeout=5).close()
            break
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    yield Bucket(port)
    assert server.stdin is not None
    server.stdin.close()
    server.stdout.close()
    server.wait(10)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The node's copies."""
    directory = tmp_path / "cache"
    monkeypatch.setenv("SPARKSWEEP_DATA_CACHE", str(directory))
    monkeypatch.delenv("SPARKSWEEP_DATA_CACHE_SIZE", raising=False)
    return directory
