"""The viewer: parts of files over HTTP, and nothing outside the run directory."""

import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sparksweep_trainer.viewer.server import ViewerServer
from support.trainer.stage import soon


@pytest.fixture
def run(tmp_path: Path) -> Path:
    trial = tmp_path / "run" / "trials" / "0007"
    trial.mkdir(parents=True)
    (trial / "stdout.log").write_bytes(b"epoch 1\nepoch 2\n")
    (trial / "a b.txt").write_bytes(b"spaces")
    (trial / ".hidden").write_bytes(b"hidden")
    (tmp_path / "secret").write_bytes(b"secret")
    (trial / "link").symlink_to(tmp_path / "secret")
    os.mkfifo(trial / "pipe")
    return tmp_path / "run"


@pytest.fixture
def server(run: Path) -> Iterator[ViewerServer]:
    server = ViewerServer(run)
    yield server
    server.close()


def get(server: ViewerServer, target: str) -> tuple[int, bytes, str | None]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    try:
        connection.request("GET", target)
        answer = connection.getresponse()
        return answer.status, answer.read(), answer.headers.get("X-File-Size")
    finally:
        connection.close()


def test_a_file_is_read_from_an_offset(server: ViewerServer) -> None:
    path = "/v1/files/trials/0007/stdout.log"
    assert get(server, path) == (200, b"epoch 1\nepoch 2\n", "16")
    assert get(server, f"{path}?offset=8") == (200, b"epoch 2\n", "16")
    assert get(server, f"{path}?offset=8&limit=5") == (200, b"epoch", "16")
    assert get(server, f"{path}?offset=99") == (200, b"", "16")
    assert get(server, "/v1/files/trials/0007/a%20b.txt") == (200, b"spaces", "6")


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/v1/files/",
        "/v1/files/trials",
        "/v1/files/trials/0007/none",
        "/v1/files/trials/0007/link",
        "/v1/files/trials/0007/pipe",
        "/v1/files/trials/0007/.hidden",
        "/v1/files/../secret",
        "/v1/files/%2e%2e/secret",
        "/v1/files/trials/0007/..%2f..%2f..%2fsecret",
        "/v1/files//etc/passwd",
        "/v1/files/trials/0007/stdout.log?offset=-1",
        "/v1/files/trials/0007/stdout.log?offset=x",
        "/v1/files/trials/0007/stdout.log%00",
        "/v1/list/..",
    ],
)
def test_what_is_not_in_the_directory_is_not_there(server: ViewerServer, target: str) -> None:
    assert get(server, target)[0] == 404


def test_files_are_listed_without_links_and_pipes(server: ViewerServer) -> None:
    listed = json.loads(get(server, "/v1/list/trials")[1])
    assert {item["path"]: item["size"] for item in listed} == {
        "0007/.hidden": 6,
        "0007/a b.txt": 6,
        "0007/stdout.log": 16,
    }


def test_nothing_can_be_written(server: ViewerServer) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    connection.request("PUT", "/v1/files/x", b"x")
    assert connection.getresponse().status == 405
    connection.close()


def test_its_process_serves_until_it_is_told_to_end(run: Path, tmp_path: Path) -> None:
    log = tmp_path / "viewer.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "sparksweep_trainer.viewer"],
            env={
                **os.environ,
                "SPARKSWEEP_RUN_DIRECTORY": str(run),
                "SPARKSWEEP_VIEWER_PORT": "0",
            },
            stdout=output,
            stderr=output,
        )
    try:
        assert soon(lambda: "is shown at" in log.read_text())
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=5) == 0
    finally:
        process.kill()
        process.wait()


def test_a_viewer_that_was_told_nothing_says_what_is_missing() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sparksweep_trainer.viewer"],
        env={},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "SPARKSWEEP_RUN_DIRECTORY" in done.stdout
