"""A driver that takes over: peak memory and time against the number of finished trials.

A second process serves TrialBatches of 100 finished trials each in pages, as large as an API server's, with five
parameters and a metric; the driver's parts that read and hold them run in a process of their own for each size.

With ``--java``, Spark's Java is started beside them as in a driver's pod, with its heap and options, but as a local master,
and runs a job; printed is the memory of the two processes (what each has for itself and its share of the rest, ``Pss``), and
again with a Java that has written to its whole heap from the start: the most that the pod ever takes.

Usage: ``python benchmarks/takeover.py [--java] [TRIALS ...]``.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shlex
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

BATCH = 100
SIZES = (0, 10_000, 50_000, 100_000)
MANAGED_BYTES = 37_000
"""Size of ``managedFields`` of a finished batch."""


def batch(index: int) -> dict[str, Any]:
    """Return a batch as the API server stores it."""
    draw = random.Random(index)
    numbers = range(index * BATCH + 1, (index + 1) * BATCH + 1)
    moment = "2026-01-01T00:00:00.000Z"
    trials = [
        {
            "number": number,
            "state": "Succeeded",
            "attempt": 1,
            "metrics": {"loss": draw.random()},
            "reason": "Completed",
            "node": f"digits-driver-1-exec-{number % 50}",
            "startTime": moment,
            "completionTime": moment,
            "durationSeconds": draw.random() * 100,
            "peakMemoryBytes": draw.randrange(2**30),
        }
        for number in numbers
    ]
    return {
        "apiVersion": "sparksweep.dev/v1alpha1",
        "kind": "TrialBatch",
        "metadata": {
            "name": f"digits-{index:05d}",
            "namespace": "lab",
            "uid": str(index),
            "generation": 1,
            "resourceVersion": str(1000 + index),
            "labels": {"sparksweep.dev/experiment": "digits"},
            "managedFields": [{"fieldsV1": {f"f:{n}": {} for n in range(MANAGED_BYTES // 14)}}],
        },
        "spec": {
            "experiment": "digits",
            "index": index,
            "trials": [
                {"number": n, "parameters": {f"p{i}": str(draw.random()) for i in range(5)}}
                for n in numbers
            ],
        },
        "status": {
            "observedGeneration": 1,
            "driver": "digits-driver-1",
            "progress": f"{BATCH}/{BATCH}",
            "trials": trials,
        },
    }


class Server(BaseHTTPRequestHandler):
    """Serves pages of batches, and takes every patch."""

    batches = 0
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer a list."""
        query = {key: values[0] for key, values in parse_qs(urlsplit(self.path).query).items()}
        start = int(query.get("continue", "0"))
        end = min(self.batches, start + int(query.get("limit", self.batches or 1)))
        metadata = {"resourceVersion": "900000"}
        if end < self.batches:
            metadata["continue"] = str(end)
        items = [batch(index) for index in range(start, end)]
        self._answer({"kind": "TrialBatchList", "metadata": metadata, "items": items})

    def do_PATCH(self) -> None:
        """Answer a claim."""
        patch = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        item = batch(int(self.path.split("/")[-2].rpartition("-")[2]))
        item["status"] |= patch["status"]
        item["metadata"]["resourceVersion"] = "900001"
        self._answer(item)

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""

    def _answer(self, answer: dict[str, Any]) -> None:
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def serve(trials: int) -> None:
    """Serve until killed; print the port first."""
    Server.batches = trials // BATCH
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    print(server.server_address[1], flush=True)
    server.serve_forever()


def start_java(*, touched: bool) -> None:
    """Start Spark's Java as a driver's pod does, and run a job of 64 tasks.

    Args:
        touched: True to have Java write to its whole heap from the start.
    """
    from pyspark import SparkConf, SparkContext

    from sparksweep_operator.manifests.spark_conf import DRIVER_HEAP, JAVA_OPTIONS

    whole = f" -Xms{DRIVER_HEAP} -XX:+AlwaysPreTouch" if touched else ""
    arguments = ["--driver-memory", DRIVER_HEAP, "--driver-java-options", JAVA_OPTIONS + whole]  # fmt: skip
    os.environ["PYSPARK_SUBMIT_ARGS"] = f"{shlex.join(arguments)} pyspark-shell"
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    settings = SparkConf().set("spark.ui.showConsoleProgress", "false")
    context = SparkContext("local[4]", conf=settings.set("spark.ui.enabled", "false"))
    context.setLogLevel("ERROR")
    context.parallelize(range(64), 64).map(str).count()


def memory_mib() -> dict[str, float]:
    """Return the proportional memory of this process and of its Java.

    The Python processes that Java starts for a job's tasks are left out: on a cluster they run in executors.
    """
    sizes = {"Python": proportional_mib("self")}
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            name, _, rest = status.read_text().partition("(")[2].rpartition(")")
            if name == "java" and int(rest.split()[1]) == os.getpid():
                sizes["Java"] = proportional_mib(status.parent.name)
    return sizes


def proportional_mib(process: str) -> float:
    """Return a process's own memory and its share of what it has in common with others, in MiB."""
    lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def take_over(port: int, java: str) -> None:
    """Take over, write the results, read the metrics; print the figures.

    Args:
        port: port of the server.
        java: ``none``, ``started`` or ``touched``.
    """
    if java != "none":
        start_java(touched=java == "touched")
    from prometheus_client.exposition import generate_latest

    import sparksweep_trainer.kubernetes.application  # noqa: F401  A part of a driver's memory is what it imports.
    from sparksweep_core.api import Parameter, TrialTemplate
    from sparksweep_core.api.search_spec import FeasibleSpace, ParameterType
    from sparksweep_core.contract.program import Program
    from sparksweep_trainer.driver.trial_service import TrialService
    from sparksweep_trainer.kubernetes.api_client import ApiClient, Endpoint, batches_path
    from sparksweep_trainer.kubernetes.batches import Batches
    from sparksweep_trainer.kubernetes.fencing import Fence
    from sparksweep_trainer.kubernetes.prometheus import driver_registry
    from sparksweep_trainer.kubernetes.run_files import RunFiles
    from sparksweep_trainer.kubernetes.status_writer import StatusWriter

    imports = resident()
    space = FeasibleSpace(min="0", max="1")
    program = Program(
        experiment="digits",
        parameters=[
            Parameter(name=f"p{i}", parameter_type=ParameterType.DOUBLE, feasible_space=space)
            for i in range(5)
        ],
        trial_template=TrialTemplate(function="train:training"),
        trials_directory="trials",
    )
    endpoint = Endpoint(f"http://127.0.0.1:{port}")
    fence = Fence("digits-driver-2", replaced=lambda _: None)
    writer = StatusWriter(ApiClient(endpoint), namespace="lab", fence=fence)
    with tempfile.TemporaryDirectory() as directory:
        files = RunFiles(Path(directory), program, tensorboard=False)
        service = TrialService(program, added=files.add)
        batches = Batches(
            service,
            writer,
            fence,
            connect=lambda: ApiClient(endpoint),
            gone=lambda _: None,
            closed=lambda: None,
        )
        began = time.monotonic()
        batches.take_over(batches_path("lab"), experiment="digits", stop=threading.Event())
        took_s = time.monotonic() - began
        peak, after = peak_resident(), resident()
        began = time.monotonic()
        files._table.write(Path(directory, "results.parquet"))
        results_s = time.monotonic() - began
        registry = driver_registry(service, writer, is_healthy=lambda: True)
        began = time.monotonic()
        generate_latest(registry)
        metrics_s = time.monotonic() - began
        figures = [
            f"{service.tally.counts.created:>8,}",
            f"{took_s:9.1f} s",
            f"{imports:9.0f} MiB",
            f"{peak:6.0f} MiB",
            f"{after:6.0f} MiB",
            f"{results_s:9.2f} s",
            f"{metrics_s * 1000:8.1f} ms",
            f"{peak_resident():6.0f} MiB",
        ]
        print("  ".join(figures), flush=True)
        if java != "none":
            sizes = memory_mib()
            parts = ", ".join(f"{name} {size:.0f} MiB" for name, size in sizes.items())
            print(f"          Java {java}: {parts}, together {sum(sizes.values()):.0f} MiB", flush=True)  # fmt: skip


def peak_resident() -> float:
    """Return the peak resident memory of this process in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def resident() -> float:
    """Return the resident memory of this process in MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def main() -> None:
    """Measure each size in processes of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("trials", nargs="*", type=int, default=SIZES)
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--java", action="store_true", help="also with Spark's Java")
    parser.add_argument("--beside", default="none", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve is not None:
        serve(options.serve)
        return
    if options.port is not None:
        take_over(options.port, options.beside)
        return
    print(
        "  trials  take-over  imports only    peak    after  results.parquet  /metrics  peak at the end"
    )
    for trials in options.trials:
        command = [sys.executable, __file__]
        with subprocess.Popen([*command, "--serve", str(trials)], stdout=subprocess.PIPE) as server:
            assert server.stdout is not None
            port = server.stdout.readline().decode().strip()
            for beside in ("none", *(["started", "touched"] if options.java else [])):
                subprocess.run([*command, "--port", port, "--beside", beside], check=True)
            server.kill()


if __name__ == "__main__":
    main()
