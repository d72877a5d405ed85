"""Benchmark: time, memory and CPU of the operator, against the number of trials and of Experiments that exist.

    export KUBECONFIG=...              # an API server without other Experiments: `make cluster-up NODES=0`
    python benchmarks/scale.py trials [--sizes 10,1000,10000,100000] [--ended 100]
    python benchmarks/scale.py experiments [--sizes 1,100,1000]

``trials`` stores one running Experiment of each size, and `--ended` ended ones of 1,000 trials beside it; ``experiments``
stores that many running Experiments of ten trials. The objects are written as operator and driver leave them. Then the real
operator starts, and a simulated driver of each Experiment reports the ends of trials, one a write: each second, of
``experiments`` every ten seconds.

Printed for each size: seconds from the operator's start until it has written the Experiment's status (of ``experiments``:
of all of them), and the CPU seconds of the operator and of the API server for that; the operator's resident memory at the
peak and after that, milliseconds a reconcile, CPU milliseconds for each status write of a driver, and reconciles, requests
and share of a core for all of them. The slopes are what one more trial, or Experiment, costs.
"""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TypeVar

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from support.control_plane.kube_api import Document, KubeApi, Refused

CRDS = Path(__file__).resolve().parents[1] / "crds"
API_VERSION = "sparksweep.dev/v1alpha1"
LABEL = "sparksweep.dev/experiment"
BATCH = 100
MOMENT = "2026-01-01T00:00:00.000Z"
PARAMETERS = ("learning_rate", "dropout", "momentum", "weight_decay", "scale")
WRITERS = 4
QUIET_S = 3.0
TRIALS_ROUND_S = 1.0
EXPERIMENTS_ROUND_S = 10.0
ROUNDS = 3
"""Seconds between two writes of a driver for each subject, and writes of each driver of `experiments`."""
T = TypeVar("T")
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Figures:
    """Figures of one size."""

    size: int
    first_turn_s: float
    first_turn_cpu_s: float
    """CPU seconds of the operator until then, its start included..."""
    server_cpu_s: float
    """...and of the API server."""
    peak_mib: float
    steady_mib: float
    turn_ms: float
    cpu_ms: float
    """CPU milliseconds for each write of a driver."""
    turns: float
    """Reconciles for each write of a driver."""
    requests: float
    """Requests to the API server for each write of a driver."""
    writes_per_s: float
    """Writes of all drivers a second, as far as the machine made them."""
    cores: float
    """Share of a core that the operator used meanwhile."""
    idle_cpu_ms: float
    """CPU milliseconds in each second without a change."""


# ---------------------------------------------------------------------- stored objects


def experiment(name: str, trials: int) -> Document:
    """Return a random search over five parameters."""
    space = {"min": "0", "max": "1"}
    return {
        "apiVersion": API_VERSION,
        "kind": "Experiment",
        "metadata": {"name": name},
        "spec": {
            "objective": {"type": "maximize", "objectiveMetricName": "score"},
            "algorithm": {"algorithmName": "random"},
            "parallelTrialCount": 8,
            "maxTrialCount": trials,
            "parameters": [
                {"name": one, "parameterType": "double", "feasibleSpace": space}
                for one in PARAMETERS
            ],
            "trialTemplate": {
                "function": "train:training",
                "source": {"inline": "def training(**values):\n    return 1.0\n" + "#" * 2000},
            },
        },
    }


def batch(owner: Document, index: int) -> Document:
    """Return the batch of an Experiment with that index, as the operator creates it."""
    metadata, random = owner["metadata"], Random(f"{owner['metadata']['name']} {index}")
    reference = {
        "apiVersion": API_VERSION,
        "kind": "Experiment",
        "name": metadata["name"],
        "uid": metadata["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
    count = min(BATCH, owner["spec"]["maxTrialCount"] - index * BATCH)
    return {
        "apiVersion": API_VERSION,
        "kind": "TrialBatch",
        "metadata": {
            "name": f"{metadata['name']}-{index:05d}",
            "labels": {LABEL: metadata["name"]},
            "annotations": {"sparksweep.dev/seed": "1"},
            "ownerReferences": [reference],
        },
        "spec": {
            "experiment": metadata["name"],
            "index": index,
            "parallelTrialCount": 8,
            "trials": [
                {
                    "number": index * BATCH + row + 1,
                    "parameters": {one: repr(random.random()) for one in PARAMETERS},
                }
                for row in range(count)
            ],
        },
    }


def outcome(number: int) -> Document:
    """Return the status of a trial that has succeeded, as the driver writes it."""
    return {
        "number": number,
        "state": "Succeeded",
        "attempt": 1,
        "metrics": {"score": Random(number).random()},
        "reason": "Completed",
        "node": "node-1",
        "startTime": MOMENT,
        "completionTime": MOMENT,
        "durationSeconds": 1.25,
    }


def batch_status(body: Document, driver: str, outcomes: Sequence[Document]) -> Document:
    """Return the status of a batch of which some trials have succeeded."""
    total = len(body["spec"]["trials"])
    counts = {"created": total, "succeeded": len(outcomes), "pending": total - len(outcomes)}
    return {
        "observedGeneration": 1,
        "driver": driver,
        "progress": f"{len(outcomes)}/{total}",
        "counts": counts,
        "trials": list(outcomes),
    }


class Store:
    """Objects of the benchmark in one namespace, made once and used again."""

    def __init__(self, kubeconfig: Path, namespace: str) -> None:
        self.kubeconfig = kubeconfig
        self.namespace = namespace
        self._apis = [KubeApi(kubeconfig, namespace) for _ in range(WRITERS)]
        self._pool = ThreadPoolExecutor(WRITERS)
        self.api = self._apis[0]
        kubectl("apply", "--server-side", "-f", str(CRDS))
        if f"namespace/{namespace}" not in kubectl("get", "namespaces", "-o", "name").split():
            kubectl("create", "namespace", namespace)
            self.api.create("serviceaccounts", {"metadata": {"name": "sparksweep-driver"}})

    def each(self, act: Callable[[KubeApi, T], None], items: Sequence[T]) -> None:
        """Call a function for each item, in order, with one of `WRITERS` clients."""
        rows = [(self._apis[place % WRITERS], item) for place, item in enumerate(items)]
        list(self._pool.map(lambda row: act(*row), rows))

    def add_experiment(self, name: str, trials: int, *, finished: int, ended: bool = False) -> Document:  # fmt: skip
        """Store an Experiment with its batches, of whose trials the first `finished` have succeeded."""
        owner = self.api.find("experiments", name)
        if owner is None:
            owner = self.api.create("experiments", experiment(name, trials))
        if owner.get("status") and ended:
            return owner

        def store(api: KubeApi, index: int) -> None:
            if api.find("trialbatches", f"{name}-{index:05d}") is not None:
                return
            body = batch(owner, index)
            try:
                body = api.create("trialbatches", body)
            except Refused as error:
                # A request without an answer was repeated.
                if error.code != 409:
                    raise
            numbers = [trial["number"] for trial in body["spec"]["trials"]]
            outcomes = [outcome(number) for number in numbers if number <= finished]
            if outcomes:
                status = batch_status(body, f"{name}-driver-0", outcomes)
                api.patch("trialbatches", body["metadata"]["name"], {"status": status}, "status")

        self.each(store, range(-(-trials // BATCH)))
        if ended:
            status = {
                "state": "Complete",
                "startTime": MOMENT,
                "completionTime": MOMENT,
                "trials": {"created": trials, "succeeded": trials},
                "conditions": [
                    {
                        "type": "Complete",
                        "status": "True",
                        "reason": "MaxTrialsReached",
                        "message": f"{trials} trials ran.",
                        "lastTransitionTime": MOMENT,
                    }
                ],
            }
            self.api.patch("experiments", name, {"status": status}, "status")
        return owner

    def forget_status(self, name: str) -> None:
        """Remove an Experiment's status, and its driver's pod."""
        self.api.patch("experiments", name, {"status": None}, "status")
        for pod in self.api.items("pods", f"{LABEL}={name}"):
            self.api.delete("pods", pod["metadata"]["name"], gracePeriodSeconds=0)

    def remove(self, names: Sequence[str]) -> None:
        """Delete Experiments, and wait until their batches are gone."""
        for name in names:
            self.api.delete("experiments", name, propagationPolicy="Background")
        while any(self.api.items("trialbatches", f"{LABEL}={name}") for name in names[-1:]):
            time.sleep(0.5)


def kubectl(*arguments: str) -> str:
    """Run kubectl."""
    done = subprocess.run(["kubectl", *arguments], check=True, capture_output=True, text=True)
    return done.stdout


# ---------------------------------------------------------------------- the operator


class Operator:
    """The operator's process."""

    def __init__(self, process: subprocess.Popen[bytes], metrics_port: int) -> None:
        self._process = process
        self._metrics = f"http://127.0.0.1:{metrics_port}/metrics"

    def memory_mib(self, field: str) -> float:
        """Return VmRSS or VmHWM."""
        for line in Path(f"/proc/{self._process.pid}/status").read_text().splitlines():
            if line.startswith(field):
                return int(line.split()[1]) / 1024
        raise LookupError(field)

    def cpu_s(self) -> float:
        """Return the CPU seconds used so far."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def reconciles(self) -> tuple[float, float]:
        """Return the number of reconciles so far and their seconds."""
        return self._sum("sparksweep_reconcile_seconds_count"), self._sum("sparksweep_reconcile_seconds_sum")  # fmt: skip

    def requests(self) -> float:
        """Return the number of requests to the API server so far."""
        return self._sum("sparksweep_api_requests_total")

    def _sum(self, metric: str) -> float:
        with urllib.request.urlopen(self._metrics, timeout=30) as answer:
            return sum_of(answer.read().decode(), metric)


def sum_of(metrics: str, name: str) -> float:
    """Return the sum of a metric over its labels."""
    lines = (line for line in metrics.splitlines() if line.startswith((f"{name} ", f"{name}{{")))
    return sum(float(line.rpartition(" ")[2]) for line in lines)


def server_cpu_s() -> float:
    """Return the CPU seconds that the API server has used."""
    return sum_of(kubectl("get", "--raw", "/metrics"), "process_cpu_seconds_total")


@contextmanager
def operator(store: Store) -> Iterator[Operator]:
    """Start the operator for the store's namespace; kill it at the end."""
    ports = free_port(), free_port()
    command = [sys.executable, "-m", "sparksweep_operator", "--log-level", "warning"]
    command += ["-n", store.namespace, "--metrics-port", str(ports[0])]
    command += ["--liveness", f"http://127.0.0.1:{ports[1]}/healthz"]
    environment = {
        **os.environ,
        "KUBECONFIG": str(store.kubeconfig),
        "SPARKSWEEP_TRAINER_IMAGE": "docker.io/sparksweep/trainer:dev",
        # No node has so many: the drivers' pods stay pending.
        "SPARKSWEEP_DRIVER_CPU": "1000",
    }
    process = subprocess.Popen(command, env=environment)
    try:
        yield Operator(process, ports[0])
    finally:
        process.kill()
        process.wait()


def free_port() -> int:
    """Return a free port of this machine."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def wait_until(condition: Callable[[], object], timeout_s: float = 300) -> None:
    """Wait for a condition.

    Raises:
        TimeoutError: it did not come true.
    """
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.02)


# ---------------------------------------------------------------------- measurements


def measure(
    store: Store, size: int, names: Sequence[str], trials: int, *, writes: int, round_s: float
) -> Figures:
    """Start the operator and report trials of some Experiments.

    Args:
        store: the stored objects.
        size: the size to print.
        names: names of the running Experiments.
        trials: number of trials of each, of which the last batch's have not ended.
        writes: number of writes of drivers.
        round_s: seconds in which each driver writes once.
    """
    for name in names:
        store.forget_status(name)
    began, server = time.monotonic(), server_cpu_s()
    with operator(store) as process:
        wait_for_statuses(store, names)
        first_turn_s, first_turn_cpu_s = time.monotonic() - began, process.cpu_s()
        server = server_cpu_s() - server
        wait_until(lambda: len(store.api.items("pods")) >= len(names))
        wait_for_quiet(process)
        idle_cpu_ms = cpu_per_second(process)
        reports = [Reports(name, (trials - 1) // BATCH) for name in names[:writes]]
        store.each(lambda api, report: report.write(api), reports)
        wait_for_quiet(process)
        cpu, (count, seconds), requests = process.cpu_s(), process.reconciles(), process.requests()
        began = time.monotonic()

        def write(api: KubeApi, number: int) -> None:
            due = began + number * round_s / len(reports)
            time.sleep(max(0.0, due - time.monotonic()))
            reports[number % len(reports)].write(api)

        store.each(write, range(writes))
        wrote_s = time.monotonic() - began
        during = process.cpu_s() - cpu
        wait_for_quiet(process)
        after, (count_after, seconds_after) = process.cpu_s(), process.reconciles()
        return Figures(
            size=size,
            first_turn_s=first_turn_s,
            first_turn_cpu_s=first_turn_cpu_s,
            server_cpu_s=server,
            peak_mib=process.memory_mib("VmHWM"),
            steady_mib=process.memory_mib("VmRSS"),
            turn_ms=1000 * (seconds_after - seconds) / max(1, count_after - count),
            cpu_ms=1000 * (after - cpu) / writes,
            turns=(count_after - count) / writes,
            requests=(process.requests() - requests) / writes,
            writes_per_s=writes / wrote_s,
            cores=during / wrote_s,
            idle_cpu_ms=idle_cpu_ms,
        )


class Reports:
    """A simulated driver: each write reports one more trial of the last batch."""

    def __init__(self, name: str, index: int) -> None:
        self._driver = f"{name}-driver-0"
        self._batch = f"{name}-{index:05d}"
        self._body: Document = {}
        self._written = 0

    def write(self, api: KubeApi) -> None:
        """Report one more trial; start again when all but one have ended."""
        self._body = self._body or api.get("trialbatches", self._batch)
        numbers = [trial["number"] for trial in self._body["spec"]["trials"]]
        self._written = self._written % (len(numbers) - 1) + 1
        outcomes = [outcome(number) for number in numbers[: self._written]]
        status = batch_status(self._body, self._driver, outcomes)
        api.patch("trialbatches", self._batch, {"status": status}, "status")


def wait_for_statuses(store: Store, names: Sequence[str]) -> None:
    """Wait until all these Experiments have a status."""
    if len(names) == 1:
        wait_until(lambda: has_status(store, names[0]))
        return
    left = set(names)

    def all_written() -> bool:
        left.intersection_update(
            item["metadata"]["name"]
            for item in store.api.items("experiments")
            if not item.get("status")
        )
        return not left

    wait_until(all_written)


def has_status(store: Store, name: str) -> bool:
    """Return True if an Experiment has a status."""
    try:
        return bool(store.api.get("experiments", name).get("status"))
    except Refused:
        return False


def wait_for_quiet(process: Operator) -> None:
    """Wait until the operator uses no CPU worth mentioning."""
    deadline = time.monotonic() + 120
    while cpu_per_second(process) > 100 and time.monotonic() < deadline:
        pass


def cpu_per_second(process: Operator) -> float:
    """Return the CPU milliseconds that the operator uses in a second, over some seconds."""
    before, began = process.cpu_s(), time.monotonic()
    time.sleep(QUIET_S)
    return 1000 * (process.cpu_s() - before) / (time.monotonic() - began)


COLUMNS: tuple[tuple[str, str, int, Callable[[Figures], float]], ...] = (
    ("first turn, s", "s", 1, lambda row: row.first_turn_s),
    ("its CPU, s", "s", 2, lambda row: row.first_turn_cpu_s),
    ("the API server's, s", "s", 2, lambda row: row.server_cpu_s),
    ("peak, MiB", "MiB", 0, lambda row: row.peak_mib),
    ("steady, MiB", "MiB", 0, lambda row: row.steady_mib),
    ("a turn, ms", "ms", 1, lambda row: row.turn_ms),
    ("CPU a write, ms", "ms", 1, lambda row: row.cpu_ms),
    ("turns a write", "", 2, lambda row: row.turns),
    ("requests a write", "", 2, lambda row: row.requests),
    ("writes/s", "", 1, lambda row: row.writes_per_s),
    ("cores", "", 2, lambda row: row.cores),
    ("idle CPU, ms/s", "ms", 0, lambda row: row.idle_cpu_ms),
)
"""Columns of the table: heading, unit of a slope, decimals, and the figure."""
SCALES = {"s": (1e6, "us"), "MiB": (2**20, "bytes"), "ms": (1e6, "ns")}
"""Factors and units of slopes, for each unit."""


def print_figures(word: str, rows: Sequence[Figures]) -> None:
    """Print a table, and the slope of columns between the first row and the last."""
    print(f"| {word} | {' | '.join(heading for heading, *_ in COLUMNS)} |")
    print("|---" * (len(COLUMNS) + 1) + "|")
    for row in rows:
        cells = (f"{read(row):.{decimals}f}" for _, _, decimals, read in COLUMNS)
        print(f"| {row.size:,} | {' | '.join(cells)} |")
    first, last = rows[0], rows[-1]
    if last.size > first.size:
        span = last.size - first.size
        slopes = (
            f"{heading.partition(',')[0]} {SCALES[unit][0] * (read(last) - read(first)) / span:.1f} {SCALES[unit][1]}"
            for heading, unit, _, read in COLUMNS
            if unit
        )
        print(f"one more of {word}: {', '.join(slopes)}")


def measure_trials(options: argparse.Namespace, sizes: Sequence[int]) -> list[Figures]:
    """Measure running Experiments of these sizes, one at a time, beside the ended ones."""
    rows = []
    for size in sizes:
        # A namespace each: the operator reads one.
        store = Store(options.kubeconfig, f"{options.namespace}-{size}")
        for number in range(options.ended):
            store.add_experiment(f"ended-{number}", 1000, finished=1000, ended=True)
        store.add_experiment("running", size + BATCH, finished=size)
        rows.append(measure(store, size, ["running"], size + BATCH, writes=options.writes, round_s=TRIALS_ROUND_S))  # fmt: skip
        print(rows[-1], flush=True)
    return rows


def measure_experiments(options: argparse.Namespace, sizes: Sequence[int]) -> list[Figures]:
    """Measure these numbers of running Experiments of ten trials."""
    rows = []
    for size in sizes:
        store = Store(options.kubeconfig, f"{options.namespace}-experiments-{size}")
        names = [f"running-{number}" for number in range(size)]
        for name in names:
            store.add_experiment(name, 10, finished=0)
        rows.append(measure(store, size, names, 10, writes=max(options.writes, ROUNDS * size), round_s=EXPERIMENTS_ROUND_S))  # fmt: skip
        print(rows[-1], flush=True)
    return rows


def main() -> None:
    """Store what is missing, measure, and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("subject", choices=["trials", "experiments"])
    parser.add_argument("--sizes", help="sizes to measure, comma-separated")
    parser.add_argument("--ended", type=int, default=0, help="ended Experiments of 1,000 trials beside it (default: 0)")  # fmt: skip
    parser.add_argument("--writes", type=int, default=20, help="writes of drivers (default: 20)")
    parser.add_argument("--namespace", default="scale", help="beginning of the namespaces' names (default: scale)")  # fmt: skip
    options = parser.parse_args()
    options.kubeconfig = Path(os.environ["KUBECONFIG"])
    default = "10,1000,10000,100000" if options.subject == "trials" else "1,100,1000"
    sizes = [int(size) for size in (options.sizes or default).split(",")]
    if options.subject == "trials":
        print_figures("trials", measure_trials(options, sizes))
    else:
        print_figures("Experiments", measure_experiments(options, sizes))


if __name__ == "__main__":
    main()
