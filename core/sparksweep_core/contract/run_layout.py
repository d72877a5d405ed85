"""What the files of a trial are called, which names one may send, and which files only ever grow. Pure."""

from __future__ import annotations

TRIALS = "trials"
"""The directory of the trials' directories, in the run directory."""
TIMES_FILE = "output.times"
"""When each part of the output came: see `trial_times`."""
METRICS_FILE = "metrics.jsonl"
"""What the trial reported while it ran, a JSON object a line."""
NOTES_FILE = "sparksweep.log"
"""What the driver has to say about a trial's files, a line each with its time. Nobody else writes it."""
EVENTS_SUFFIX = ".sparksweep"
"""The end of the names of TensorBoard's files that the driver writes, and nobody else."""
LOG_FILES = ("stdout.log", "stderr.log")

OF_ATTEMPT = (*LOG_FILES, TIMES_FILE, METRICS_FILE)
"""Files that each attempt begins anew; those of the one before are kept under another name."""

MAX_PATH_BYTES = 1024
MAX_NAME_BYTES = 200
"""The driver puts something before and after the name while the file is not whole."""
MAX_DEPTH = 16


def trial_directory_name(number: int) -> str:
    """Name of a trial's directory."""
    return f"{number:04d}"


def earlier_name(name: str, attempt: int) -> str:
    """What a file of `OF_ATTEMPT` is called once there is a later attempt: ``stdout.attempt-1.log``."""
    stem, _, suffix = name.rpartition(".")
    return f"{stem}.attempt-{attempt}.{suffix}"


def grows(path: str) -> bool:
    """Whether the file is only ever appended to, so that what was sent of it once stays as it is."""
    return path in OF_ATTEMPT or path.startswith("tensorboard/")


def segments(path: str) -> list[str]:
    """The parts of a file's path below its trial's directory.

    Raises:
        ValueError: it is none that a trial's file may have; the message says why.
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
    """Whether `segments` takes the path."""
    try:
        segments(path)
    except ValueError:
        return False
    return True
