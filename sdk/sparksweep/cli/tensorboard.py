"""``sparksweep tensorboard``: the TensorBoard of an Experiment on a cluster, on this machine."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import click

from sparksweep._runs.cluster_run import ClusterRunReader
from sparksweep._runs.forwarding import ForwardedPort
from sparksweep.cli.targets import NAMESPACE, open_cluster_run
from sparksweep.errors import ClusterError
from sparksweep_core.contract.ports import TENSORBOARD_PORT
from sparksweep_core.contract.run_layout import TRIALS

START_S = 120.0
"""Seconds that TensorBoard may take to start, on a node that does much else."""
PAUSE_S = 1.0


@click.command()
@click.argument("name")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=TENSORBOARD_PORT,
    show_default=True,
    help="Where to listen on this machine; 0: anywhere.",
)
@NAMESPACE
def tensorboard(name: str, port: int, namespace: str | None) -> None:
    """Show the TensorBoard of the Experiment NAME until Ctrl-C, while it runs or after."""
    if namespace is None and (os.sep in name or Path(name).is_dir()):
        raise click.UsageError(
            f"{name} is a run on this machine: tensorboard --logdir {Path(name) / TRIALS}"
        )
    run = open_cluster_run(name, namespace)
    if not run.experiment().spec.tensorboard.enabled:
        raise ClusterError(f"{run.title} has none: spec.tensorboard.enabled is false")
    _wait_for(run)
    try:
        forwarded = ForwardedPort(lambda: run.connect(TENSORBOARD_PORT), port=port)
    except OSError as error:
        raise click.UsageError(f"port {port}: {error.strerror}; name another one with --port") from error  # fmt: skip
    with forwarded:
        click.echo(f"TensorBoard of {run.title}: http://127.0.0.1:{forwarded.port}/ (Ctrl-C ends)")
        threading.Event().wait()


def _wait_for(run: ClusterRunReader) -> None:
    """Wait until TensorBoard answers, so that the address works when it is shown."""
    deadline = time.monotonic() + START_S
    told = False
    while not run.answers(TENSORBOARD_PORT):
        if time.monotonic() > deadline:
            raise ClusterError(f"the TensorBoard of {run.title} does not answer")
        if not told:
            click.echo("TensorBoard is starting", err=True)
            told = True
        time.sleep(PAUSE_S)
