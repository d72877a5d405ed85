"""Benchmark: overhead of a trial on its slot, and savings of preloading.

    python benchmarks/slots.py [--trials 200] [--slots 4]

Every trial notes when its function began and ended, and on which slot (its parent process is the slot's fork server).
Lost time is the gap between the end of one trial's function and the start of the next one's on the same slot: report,
assignment, fork, set-up and exit. Utilisation is the functions' time over slots x wall time, from the first start to
the last end: its limit is 1.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

SOURCE = """
import time
BEGIN = time.monotonic()

def training(number):
    import json, os
    from sparksweep import context
    {work}
    end = time.monotonic()
    note = {{"slot": os.getppid(), "begin": BEGIN, "end": end}}
    (context.trial_directory() / "note.json").write_text(json.dumps(note))
"""


@dataclass(frozen=True)
class Note:
    """One trial's own account; seconds of the monotonic clock."""

    slot: int
    begin: float
    end: float


def run(*, work: str, trials: int, slots: int, preload: Sequence[str] = ()) -> list[Note]:
    """Run trials that each do `work`; return their notes."""
    document = {
        "apiVersion": "sparksweep.dev/v1alpha1",
        "kind": "Experiment",
        "metadata": {"name": "benchmark"},
        "spec": {
            "algorithm": {"algorithmName": "grid"},
            "parallelTrialCount": slots,
            "parameters": [
                {
                    "name": "number",
                    "parameterType": "int",
                    "feasibleSpace": {"min": "1", "max": str(trials)},
                }
            ],
            "trialTemplate": {
                "function": "train:training",
                "preload": list(preload),
                "source": {"inline": SOURCE.format(work=work)},
            },
        },
    }
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "experiment.yaml"
        file.write_text(yaml.safe_dump(document))
        directory = Path(scratch) / "run"
        arguments: list[str | Path] = ["run", file, "--dir", directory, "--quiet"]
        command = [sys.executable, "-m", "sparksweep", *arguments]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        notes = [
            Note(**json.loads(path.read_text())) for path in directory.glob("trials/*/note.json")
        ]
    if len(notes) != trials:
        raise SystemExit(f"{len(notes)} of {trials} trials ended")
    return notes


def lost(notes: Sequence[Note]) -> list[float]:
    """Return the gaps between neighbouring trials of the same slot, in seconds."""
    gaps = []
    for slot in {note.slot for note in notes}:
        own = sorted((note for note in notes if note.slot == slot), key=lambda note: note.begin)
        gaps += [after.begin - before.end for before, after in itertools.pairwise(own)]
    return gaps


def utilisation(notes: Sequence[Note], slots: int) -> float:
    """Return the functions' time over slots x wall time."""
    wall = max(note.end for note in notes) - min(note.begin for note in notes)
    return sum(note.end - note.begin for note in notes) / (slots * wall)


def quantile(values: Sequence[float], q: float) -> float:
    """Return the smallest value that a share `q` of the values does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(q * len(ordered)) - 1)]


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--slots", type=int, default=4)
    parser.add_argument("--no-tensorflow", action="store_true", help="leave TensorFlow's cases out")
    options = parser.parse_args()
    trials, slots = options.trials, options.slots

    print(f"{trials} trials, {slots} slots, one process each")
    print(f"{'case':<36} {'lost p50':>10} {'lost p99':>10} {'utilisation':>12}")
    cases: list[tuple[str, str, Sequence[str]]] = [
        ("sleep 0.05 s", "time.sleep(0.05)", ()),
        ("sleep 1 s", "time.sleep(1)", ()),
    ]
    if not options.no_tensorflow:
        cases.append(("sleep 0.05 s, TensorFlow preloaded", "time.sleep(0.05)", ("tensorflow",)))
        cases.append(("sleep 1 s, TensorFlow preloaded", "time.sleep(1)", ("tensorflow",)))
    for name, work, preload in cases:
        notes = run(work=work, trials=trials, slots=slots, preload=preload)
        gaps = lost(notes)
        print(
            f"{name:<36} {quantile(gaps, 0.5) * 1e3:>7.1f} ms {quantile(gaps, 0.99) * 1e3:>7.1f} ms"
            f" {utilisation(notes, slots):>12.3f}"
        )
    if not options.no_tensorflow:
        for name, preload in (("not preloaded", ()), ("preloaded", ("tensorflow",))):
            notes = run(work="import tensorflow", trials=6, slots=2, preload=preload)
            typical = statistics.median(note.end - note.begin for note in notes)
            print(f"import tensorflow in a trial, {name:<14} {typical * 1e3:>10.1f} ms")


if __name__ == "__main__":
    main()
