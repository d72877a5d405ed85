"""``sparksweep tensorboard`` over runs on this machine: a real TensorBoard, and the data of its pages."""

from __future__ import annotations

import math
import os
import re
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from sparksweep._local import tensorboard
from sparksweep.cli import cli
from sparksweep.errors import MissingDependency, RunDirectoryError
from sparksweep_core.api import TrialState
from support.marked_processes import ENVIRONMENT
from support.sdk.commands import command, sparksweep
from support.sdk.made_run import MadeRun
from support.tensorboard_pages import ask, hparams_table
from support.trainer.stage import soon


def made(path: Path, *, name: str = "made", trials: int = 2) -> Path:
    """Make an ended run without event files, as earlier versions left them; its last trial has failed."""
    with MadeRun(path, name=name, trials=trials) as run:
        for number in range(1, trials):
            run.report(number, [(1, {"loss": 0.5}), (2, {"loss": math.nan, "val acc": 0.75})])
            run.put(number, TrialState.SUCCEEDED, metrics={"loss": number / 8})
        run.report(trials, [(1, {"loss": 9.0})])
        run.put(trials, TrialState.FAILED, reason="Exception")
    return path


@contextmanager
def tensorboard_of(path: Path) -> Iterator[str]:
    """Run the command until the block ends, and yield the address that it prints."""
    process = subprocess.Popen(
        command("tensorboard", path, "--port", 0),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **ENVIRONMENT},
    )
    patience = threading.Timer(120, process.kill)
    patience.start()
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.fullmatch(
            r"TensorBoard of .*: (http://127\.0\.0\.1:\d+/) \(Ctrl-C to stop\)\n", line
        )
        assert found, line + process.stdout.read()
        yield found[1]
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 130
        assert ask(found[1], "data/runs") is None, "TensorBoard ends with the command"
    finally:
        patience.cancel()
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


@pytest.mark.parametrize("given", [".", "trials"])
def test_a_run_has_its_curves_and_a_row_of_the_table_for_each_trial(
    tmp_path: Path, given: str
) -> None:
    run = made(tmp_path / "run")
    with tensorboard_of(run / given) as url:
        assert soon(lambda: sorted(ask(url, "data/runs") or []) == [".", "0001", "0002"], 30)
        tags = ask(url, "data/plugin/scalars/tags")
        assert {name: sorted(of_run) for name, of_run in tags.items()} == {
            "0001": ["loss", "val acc"],
            "0002": ["loss"],
        }
        plotted = ask(url, "data/plugin/scalars/scalars?run=0001&tag=loss")
        values = [(step, value) for _, step, value in plotted]
        # The final metrics follow the last step that was reported, if they differ.
        assert values == [(1, 0.5), (2, "NaN"), (3, 0.125)]
        columns, rows = hparams_table(url)
        assert columns == ["loss", "x"]
        assert rows == {"0001": {"x": 0.1, "loss": 0.125}, "0002": {"x": 0.2, "loss": 9}}


def test_runs_of_a_directory_are_shown_together_with_the_columns_of_all(tmp_path: Path) -> None:
    made(tmp_path / "first")
    made(tmp_path / "second", name="other", trials=3)
    (tmp_path / "notes").mkdir()
    (tmp_path / "file").touch()
    expected = ["first/0001", "first/0002", "second/0001", "second/0002", "second/0003"]
    with tensorboard_of(tmp_path) as url:
        assert soon(lambda: sorted(ask(url, "data/runs") or []) == expected, 30)
        columns, rows = hparams_table(url)
        assert columns == ["loss", "val acc", "x"]
        assert sorted(rows) == expected
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["file", "first", "notes", "second"], "nothing is written beside the runs"


def test_runs_and_trials_that_start_later_are_linked(tmp_path: Path) -> None:
    links = tmp_path / "links"
    links.mkdir()
    first = made(tmp_path / "runs" / "first")
    tensorboard.link_trials(links, tensorboard.runs_at(tmp_path / "runs"))
    (first / "trials" / "0003").mkdir()
    made(tmp_path / "runs" / "second", trials=1)
    tensorboard.link_trials(links, tensorboard.runs_at(tmp_path / "runs"))
    linked = sorted(str(path.relative_to(links)) for path in links.glob("*/*"))
    assert linked == ["first/0001", "first/0002", "first/0003", "second/0001"]


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("missing/run", "missing/run is not a run directory, there is no such directory"),
        ("empty", "empty is not a run directory, and holds none"),
        ("empty/trials", "empty/trials is not a run directory, there is no such directory"),
        ("file/", "file is not a run directory, and holds none"),
    ],
)
def test_what_holds_no_run_is_named(tmp_path: Path, given: str, reason: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(RunDirectoryError, match=reason):
        tensorboard.runs_at(tmp_path / given)


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    run = made(tmp_path / "run")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = sparksweep("tensorboard", run, "--port", port)
    assert done.code == 2
    assert f"port {port}: Address already in use; choose another one with --port" in done.stderr


def test_without_tensorboard_the_message_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tensorboard, "find_spec", lambda _: None)
    done = CliRunner().invoke(cli, ["tensorboard", str(made(tmp_path / "run"))])
    assert isinstance(done.exception, MissingDependency)
    assert "pip install 'sparksweep[tensorboard]'" in str(done.exception)


def test_a_tensorboard_that_does_not_start_has_its_last_words_in_the_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        tensorboard, "command", lambda *_, **__: ["sh", "-c", "echo no protobuf; exit 3"]
    )
    done = CliRunner().invoke(cli, ["tensorboard", str(made(tmp_path / "run")), "--port", "0"])
    assert str(done.exception) == "TensorBoard has ended with exit code 3:\nno protobuf"


def test_a_run_that_is_going_on_is_left_alone(tmp_path: Path) -> None:
    with MadeRun(tmp_path / "run") as run:
        run.put(1, TrialState.SUCCEEDED, metrics={"loss": 1.0})
        tensorboard.write_sessions_of_ended(run.directory.__class__(run.path))
        assert list(run.directory.trials.rglob("events.out*")) == []


def test_the_files_of_an_ended_run_are_written_once(tmp_path: Path) -> None:
    (run,) = tensorboard.runs_at(made(tmp_path / "run"))
    tensorboard.write_sessions_of_ended(run)
    files = {path: path.stat().st_mtime_ns for path in run.trials.rglob("events.out*")}
    assert len(files) == 3
    tensorboard.write_sessions_of_ended(run)
    assert {path: path.stat().st_mtime_ns for path in run.trials.rglob("events.out*")} == files
