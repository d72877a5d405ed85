"""A real TensorBoard over what the driver writes: its pages' own data, as a browser would ask for it."""

import os
import signal
import socket
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from sparksweep_core.api import TrialState, TrialStatus
from sparksweep_trainer.files.reports import MetricsReport
from sparksweep_trainer.tensorboard_events.sessions import Sessions
from sparksweep_trainer.viewer.tensorboard import RestartingProcess
from support.tensorboard_pages import ask, hparams_table
from support.trainer.session_values import OBJECTIVE, PARAMETERS, VALUES
from support.trainer.stage import soon

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_every_trial_is_a_run_with_its_scalars_and_a_row_of_the_hparams_table(
    tmp_path: Path,
) -> None:
    trials = tmp_path / "trials"
    trials.mkdir()
    sessions = Sessions(trials, PARAMETERS, OBJECTIVE)
    for number in (1, 2):
        running = TrialStatus(number=number, state=TrialState.RUNNING, attempt=1, start_time=NOW)
        sessions.put(running, {**VALUES, "lr": f"0.{number}"})
        sessions.report(number, [MetricsReport(1, 5.0, {"accuracy": 0.125})])
        done = {"state": TrialState.SUCCEEDED, "metrics": {"accuracy": 0.5, "loss": 1.0}}
        sessions.put(running.model_copy(update=done), VALUES)
    port = free_port()
    url = f"http://127.0.0.1:{port}/"
    log = tmp_path / "viewer.log"
    with log.open("wb") as output:
        viewer = subprocess.Popen(
            [sys.executable, "-m", "sparksweep_trainer.viewer"],
            env={
                **os.environ,
                "SPARKSWEEP_RUN_DIRECTORY": str(tmp_path),
                "SPARKSWEEP_VIEWER_PORT": "0",
                "SPARKSWEEP_TENSORBOARD": "digits",
                "SPARKSWEEP_TENSORBOARD_PORT": str(port),
                "HOME": str(tmp_path),
            },
            stdout=output,
            stderr=output,
        )
    try:
        expected = [".", "0001", "0002"]
        shown = soon(lambda: sorted(ask(url, "data/runs") or []) == expected, 60)
        assert shown, log.read_text()
        tags = ask(url, "data/plugin/scalars/tags")
        assert set(tags["0001"]) == {"accuracy", "loss"}
        plotted = ask(url, "data/plugin/scalars/scalars?run=0002&tag=accuracy")
        # The final metrics follow the last step that was reported, if they differ.
        assert [(step, value) for _, step, value in plotted] == [(1, 0.125), (2, 0.5)]
        columns, rows = hparams_table(url)
        assert columns == ["accuracy", "kind", "loss", "lr"]
        assert rows == {
            f"000{n}": {"lr": n / 10, "kind": "a", "accuracy": 0.5, "loss": 1} for n in (1, 2)
        }
        viewer.send_signal(signal.SIGTERM)
        assert viewer.wait(timeout=10) == 0
        assert soon(lambda: ask(url, "data/runs") is None), "TensorBoard ends with the viewer"
    finally:
        viewer.kill()
        viewer.wait()


def test_a_tensorboard_that_ends_is_started_again(tmp_path: Path) -> None:
    log = tmp_path / "starts"
    program = f"open({str(log)!r}, 'a').write('started\\n')"
    process = RestartingProcess([sys.executable, "-c", program], first_restart_s=0.01)
    try:
        assert soon(lambda: log.exists() and log.read_text().count("started") >= 2)
    finally:
        process.close()
