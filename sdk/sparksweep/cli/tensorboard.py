"""``sparksweep tensorboard``: the TensorBoard of an Experiment on a cluster, or one over runs on this machine."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import click

from sparksweep._runs.cluster_run import ClusterRunReader
from sparksweep._runs.forwarding import ForwardedPort
from sparksweep.cli.output import stderr, stdout
from sparksweep.cli.targets import NAMESPACE, TARGET, local_path, open_cluster_run
from sparksweep.errors import ClusterError
from sparksweep_core.contract.ports import TENSORBOARD_PORT

START_S = 120.0
"""Seconds that TensorBoard may take to start, on a busy node."""
PAUSE_S = 1.0


@click.command(short_help="Show TensorBoard with the metrics of every trial.")
@TARGET
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=TENSORBOARD_PORT,
    show_default=True,
    help="Port on this machine (0: any free one).",
)
@NAMESPACE
def tensorboard(target: str, port: int, namespace: str | None) -> None:
    """Show TensorBoard with the metrics of every trial, until Ctrl-C.

    DIR is a run directory on this machine, or a directory of run directories: starts TensorBoard over it.

    NAME is an Experiment on a cluster: forwards a local port to its TensorBoard. Works while the Experiment runs, and
    after its end.

    Exit codes: 2 if there is no such run or no TensorBoard, 130 after Ctrl-C.
    """
    path = local_path(target, namespace)
    if path is None:
        _forward(target, port, namespace)
    else:
        _show_local(path, port)


def _show_local(path: Path, port: int) -> None:
    # Imported on use: the trainer's modules take a tenth of a second, which a cluster does not need.
    from sparksweep._local.tensorboard import LocalTensorBoard, usable_port

    try:
        usable = usable_port(port)
    except OSError as error:
        raise _port_error(port, error) from error
    with LocalTensorBoard(path, port=usable) as started:
        stdout().line(f"TensorBoard of {path}: {started.url} (Ctrl-C to stop)")
        started.wait()


def _port_error(port: int, error: OSError) -> click.UsageError:
    return click.UsageError(f"port {port}: {error.strerror}; choose another one with --port")


def _forward(name: str, port: int, namespace: str | None) -> None:
    run = open_cluster_run(name, namespace)
    if not run.experiment().spec.tensorboard.enabled:
        raise ClusterError(f"{run.title} has no TensorBoard: spec.tensorboard.enabled is false")
    _wait_for(run)
    try:
        forwarded = ForwardedPort(lambda: run.connect(TENSORBOARD_PORT), port=port)
    except OSError as error:
        raise _port_error(port, error) from error
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
