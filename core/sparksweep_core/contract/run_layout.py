"""Layout of a run directory and of a trial's directory in it: names of files, and the rules for names. Pure.

experiment.yaml      the Experiment with its status, for people (local runs)
journal.jsonl        every decision and outcome, for resuming (local runs)
run.json             the directories that a resumed run needs (local runs)
results.parquet      one row for each trial
spark.log            Spark's own output (local runs)
code/                a function that is too long for the Experiment (local runs)
trials/0001/         one trial: stdout.log, stderr.log, output.times, metrics.jsonl, sparksweep.log, event files for
                     TensorBoard, tensorboard/, and whatever the trial saves
"""

from __future__ import annotations

EXPERIMENT_FILE = "experiment.yaml"
JOURNAL_FILE = "journal.jsonl"
RUN_FILE = "run.json"
RESULTS_FILE = "results.parquet"
SPARK_LOG = "spark.log"
LOCK_FILE = ".lock"
"""Locked by the process that runs a local run."""
TRIALS = "trials"
"""Directory of the trials' directories."""
STREAMS = ("stdout", "stderr")
"""Names of the output streams of a trial."""
LOG_FILES = ("stdout.log", "stderr.log")
"""Output of a trial, one file for each of `STREAMS`."""
TIMES_FILE = "output.times"
"""Time of each part of the output: see ``line_formats``."""
METRICS_FILE = "metrics.jsonl"
"""Metrics that the trial has reported: see ``line_formats``."""
NOTES_FILE = "sparksweep.log"
"""The driver's messages about a trial's files: see ``line_formats``. Only the driver writes it."""
TENSORBOARD_DIRECTORY = "tensorboard"
"""The trial's own event files for TensorBoard."""
EVENTS_SUFFIX = ".sparksweep"
"""End of the names of the driver's event files for TensorBoard. Only the driver writes them."""

OF_ATTEMPT = (*LOG_FILES, TIMES_FILE, METRICS_FILE)
"""Files that each attempt starts empty; those of the attempt before are renamed to `earlier_name`."""

MAX_PATH_BYTES = 1024
MAX_NAME_BYTES = 200
"""The driver adds a prefix and a suffix while a file is incomplete; file systems allow 255."""
MAX_DEPTH = 16


def log_file(stream: str) -> str:
    """Return the name of the log of one of `STREAMS`."""
    return f"{stream}.log"


def trial_directory_name(number: int) -> str:
    """Return the name of a trial's directory, below `TRIALS`."""
    return f"{number:04d}"


def trial_path(number: int) -> str:
    """Return the path of a trial's directory, below the run directory."""
    return f"{TRIALS}/{trial_directory_name(number)}"


def earlier_name(name: str, attempt: int) -> str:
    """Return the name of an earlier attempt's file of `OF_ATTEMPT`: ``stdout.attempt-1.log``."""
    stem, _, suffix = name.rpartition(".")
    return f"{stem}.attempt-{attempt}.{suffix}"


def grows(path: str) -> bool:
    """Return whether a file is only ever appended to, so that bytes once sent stay valid."""
    return path in OF_ATTEMPT or path.startswith(f"{TENSORBOARD_DIRECTORY}/")


def segments(path: str) -> list[str]:
    """Split the path of a file, below its trial's directory.

    Raises:
        ValueError: A trial may not send a file of this path; the message says why.
    """
    try:
        length = len(path.encode())
    except UnicodeEncodeError as error:
        raise ValueError("is not text") from error
    parts = path.split("/")
    if length > MAX_PATH_BYTES or len(parts) > MAX_DEPTH:
        raise ValueError("is too long, or too deep")
    for part in parts:
        if not part or part.startswith("."):
            raise ValueError("has an empty or hidden part, or goes up")
        if len(part.encode()) > MAX_NAME_BYTES:
            raise ValueError("has a part that is too long")
        if "\\" in part or not part.isprintable():
            raise ValueError("has a part with characters that are no part of a name")
    if path == NOTES_FILE or path.endswith(EVENTS_SUFFIX):
        raise ValueError("is the driver's own")
    return parts


def is_sendable(path: str) -> bool:
    """Return whether `segments` accepts the path."""
    try:
        segments(path)
    except ValueError:
        return False
    return True
