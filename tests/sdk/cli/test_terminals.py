"""Terminals, pipes and files of every kind: no command breaks because of its standard streams."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
from pathlib import Path

import pytest

from sparksweep_core.api import TrialState
from support.marked_processes import ENVIRONMENT
from support.sdk.run_directories import experiment_of, record_run, succeeded

COMMAND = f"{sys.executable} -m sparksweep"
SGR = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Record a run of 100 trials with long messages, more than a pipe holds, and values beyond ASCII."""
    category = {"name": "form", "parameterType": "categorical", "feasibleSpace": {"list": ["größe", "…"]}}  # fmt: skip
    count = 100
    failure = {"state": TrialState.FAILED, "reason": "Exception", "message": "x" * 3000}
    statuses = [succeeded(number, number / 7e9) for number in range(1, 4)]
    statuses += [succeeded(n, 0).model_copy(update=failure) for n in range(4, count + 1)]
    path = record_run(
        tmp_path_factory.mktemp("runs") / "run",
        experiment_of([category]),
        [{"form": "größe"}] * count,
        statuses,
    )
    (path / "trials" / "0001" / "stdout.log").write_text("größe\n" * 50_000)
    return path


def shell(line: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["bash", "-c", line],
        capture_output=True,
        check=False,
        env={**os.environ, **ENVIRONMENT, **environment},
        stdin=subprocess.DEVNULL,
        timeout=120,
    )


@pytest.mark.parametrize(
    "words",
    ["trials RUN", "trials RUN -o csv", "trials RUN -o yaml", "logs RUN --trial 1", "--help"],
)
def test_a_reader_that_has_gone_ends_the_command_quietly(run: Path, words: str) -> None:
    words = words.replace("RUN", str(run))
    done = shell(f"{COMMAND} {words} | true; exit ${{PIPESTATUS[0]}}")
    # click prints help by itself, and ends with 1.
    code = 1 if words == "--help" else 141
    assert (done.returncode, done.stderr, done.stdout) == (code, b"", b"")


def test_the_first_line_of_many_is_enough(run: Path) -> None:
    done = shell(f"{COMMAND} logs {run} --trial 1 | head -1")
    assert (done.stdout.decode(), done.stderr) == ("größe\n", b"")


@pytest.mark.parametrize(
    ("streams", "code", "stderr"),
    [
        (">&-", 0, ""),
        ("2>&-", 0, ""),
        ("<&- >&- 2>&-", 0, ""),
        ("> /dev/full", 1, "error: standard output can't be written: No space left on device\n"),
    ],
)
@pytest.mark.parametrize("words", ["trials RUN", "best RUN -o json", "logs RUN --trial 1"])
def test_streams_that_are_closed_or_full(
    run: Path, words: str, streams: str, code: int, stderr: str
) -> None:
    done = shell(f"{COMMAND} {words.replace('RUN', str(run))} {streams}")
    assert (done.returncode, done.stderr.decode()) == (code, stderr)


@pytest.mark.parametrize(
    "environment",
    [
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "latin-1"},
        {"PYTHONIOENCODING": "ascii:strict"},
        {"PYTHONIOENCODING": "utf-16"},
        {"LC_ALL": "POSIX"},
    ],
    ids=str,
)
def test_any_encoding_shows_what_it_can(run: Path, environment: dict[str, str]) -> None:
    for words in ("trials RUN -n 2", "best RUN", "trials RUN -o csv -n 1", "logs RUN --trial 1"):
        done = shell(f"{COMMAND} {words.replace('RUN', str(run))}", **environment)
        assert done.returncode == 0, done.stderr
    missing = shell(f"{COMMAND} trials ./größe", **environment)
    assert missing.returncode == 2
    assert b"Traceback" not in missing.stderr
    data = shell(f"{COMMAND} trials {run} -o csv --columns form -n 1", **environment)
    assert data.stdout.decode() == "parameters.form\ngröße\n"


@pytest.mark.parametrize(
    ("environment", "colours"),
    [
        ({"TERM": "xterm-256color"}, True),
        ({"TERM": "xterm-256color", "NO_COLOR": "1"}, False),
        ({"TERM": "dumb"}, False),
        ({"TERM": ""}, False),
    ],
    ids=str,
)
@pytest.mark.parametrize("width", [40, 80, 120])
def test_a_terminal_of_any_kind(run: Path, environment: dict[str, str], colours: bool, width: int) -> None:  # fmt: skip
    shown = on_a_terminal(["trials", str(run), "-n", "3"], width, environment)
    assert bool(re.search(r"\x1b\[[0-9;]*3[0-9]m", shown)) == colours
    lines = SGR.sub("", shown).splitlines()
    assert len(lines) >= 4
    assert "1.42857e-10" in lines[1]
    assert max(map(len, lines[:4])) <= width
    assert re.findall("Succeeded", shown) == ["Succeeded"] * 3


def test_a_pipe_has_no_width(run: Path) -> None:
    narrow = shell(f"{COMMAND} trials {run} -o wide -n 3", COLUMNS="20")
    assert len(narrow.stdout.splitlines()) == 4
    assert max(map(len, narrow.stdout.decode().splitlines())) > 100


def on_a_terminal(words: list[str], width: int, environment: dict[str, str]) -> str:
    """Run a command on a terminal of its own, and return all that it shows there."""
    leader, follower = pty.openpty()
    subprocess.run(["stty", "cols", str(width), "rows", "24"], stdin=follower, check=True)
    settings = {**os.environ, **ENVIRONMENT, **environment}
    for name in ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR"):
        if name not in environment:
            settings.pop(name, None)
    process = subprocess.Popen(
        [sys.executable, "-m", "sparksweep", *words],
        stdin=follower,
        stdout=follower,
        stderr=follower,
        env=settings,
    )
    os.close(follower)
    shown = b""
    while select.select([leader], [], [], 60)[0]:
        try:
            part = os.read(leader, 65536)
        except OSError:
            break
        if not part:
            break
        shown += part
    os.close(leader)
    process.wait(60)
    return shown.decode()
