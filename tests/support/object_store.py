"""A real S3 API on this machine, moto's server, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from pyarrow import fs

PROGRAM = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address=sys.argv[1], port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
"""
KEYS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}


class ObjectStore:
    """The server, with one bucket."""

    def __init__(self, host: str, port: int) -> None:
        self.endpoint = f"{host}:{port}"
        self.query = f"?endpoint_override={self.endpoint}&scheme=http&region=us-east-1"
        self._store = fs.S3FileSystem(
            access_key=KEYS["AWS_ACCESS_KEY_ID"], secret_key=KEYS["AWS_SECRET_ACCESS_KEY"], region="us-east-1",
            endpoint_override=self.endpoint, scheme="http", allow_bucket_creation=True,
        )  # fmt: skip
        self._store.create_dir("bucket")

    def names(self) -> list[str]:
        """Return the keys of the objects."""
        found = self._store.get_file_info(fs.FileSelector("bucket", recursive=True))
        return [item.path for item in found if item.type == fs.FileType.File]

    def read(self, name: str) -> bytes:
        """Return an object's content."""
        with self._store.open_input_stream(name) as stream:
            return bytes(stream.read())

    def put(self, name: str, content: bytes) -> str:
        """Write an object; return its URI."""
        with self._store.open_output_stream(f"bucket/{name}") as stream:
            stream.write(content)
        return self.uri(name)

    def uri(self, name: str) -> str:
        """Return the URI of an object, or of all below a prefix."""
        return f"s3://bucket/{name}{self.query}"


@contextmanager
def object_store(host: str) -> Iterator[ObjectStore]:
    """Start the store at an address of this machine."""
    server = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", PROGRAM, host], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        assert server.stdout is not None
        yield ObjectStore(host, int(server.stdout.readline()))
    finally:
        server.kill()
        server.communicate()
