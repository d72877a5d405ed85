"""``sparksweep tensorboard``: the TensorBoard of an Experiment on a cluster, on this machine."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import click

from sparksweep._runs.cluster_run import ClusterRunReader
from sparksweep._runs.forwarding import ForwardedPort
from sparksweep.cli.output import stderr, stdout
from sparksweep.cli.targets import CLUSTER_NAMESPACE, open_cluster_run
from sparksweep.errors import ClusterError
from sparksweep_core.contract.ports import TENSORBOARD_PORT
from sparksweep_core.contract.run_layout import TRIALS

START_S = 120.0
"""Seconds that TensorBoard may take to start, on a busy node."""
PAUSE_S = 1.0


@click.command(short_help="Open the TensorBoard of an Experiment on a cluster.")
@click.argument("name")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=TENSORBOARD_PORT,
    show_default=True,
    help="Port on this machine (0: any free one).",
)
@CLUSTER_NAMESPACE
def tensorboard(name: str, port: int, namespace: str | None) -> None:
    """Forward a local port to the TensorBoard of an Experiment on a cluster.

    Forwards until Ctrl-C. Works while the Experiment runs, and after its end.

    Exit codes: 2 if there is no such Experiment or TensorBoard, 130 after Ctrl-C.
    """
    if namespace is None and (os.sep in name or Path(name).is_dir()):
        raise click.UsageError(
            f"{name} is a run on this machine: run tensorboard --logdir {Path(name) / TRIALS}"
        )
    run = open_cluster_run(name, namespace)
    if not run.experiment().spec.tensorboard.enabled:
        raise ClusterError(f"{run.title} has no TensorBoard: spec.tensorboard.enabled is false")
    _wait_for(run)
    try:
        forwarded = ForwardedPort(lambda: run.connect(TENSORBOARD_PORT), port=port)
    except OSError as error:
        raise click.UsageError(f"port {port}: {error.strerror}; choose another one with --port") from error  # fmt: skip
    with forwarded:
        stdout().line(
            f"TensorBoard of {run.title}: http://127.0.0.1:{forwarded.port}/ (Ctrl-C to stop)"
        )
        threading.Event().wait()


def _wait_for(run: ClusterRunReader) -> None:
    """Wait until TensorBoard answers, so that the address works when it is shown."""
    deadline = time.monotonic() + START_S
    is_announced = False
    while not run.answers(TENSORBOARD_PORT):
        if time.monotonic() > deadline:
            raise ClusterError(
                f"the TensorBoard of {run.title} has not answered for {START_S:.0f} s"
            )
        if not is_announced:
            stderr().line("TensorBoard is starting")
            is_announced = True
        time.sleep(PAUSE_S)
