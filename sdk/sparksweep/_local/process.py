"""A local run in a process of its own, for the SDK: ``python -m sparksweep._local.process``.

Spark has one context for each process, which the notebook may already hold; and a run must end with the program that
started it, however that program ends.

Standard input: a `RunRequest`; the end of standard input interrupts the run. Standard output: `RunMessage`, one a line.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO

from sparksweep._local.java import find_java, running_java
from sparksweep._local.messages import RunMessage, RunRequest
from sparksweep._local.program import notes_on_ignored
from sparksweep._local.run_directory import RunDirectory
from sparksweep.errors import SparksweepError
from sparksweep_core.api import Experiment, Trial
from sparksweep_core.validation.document import parse_experiment


class _Reporter:
    """Writes the messages; a status only if it differs from the last one."""

    def __init__(self, output: IO[str]) -> None:
        self._output = output
        self._last = ""

    def send(self, message: RunMessage) -> None:
        line = message.to_json()
        if line != self._last:
            self._last = line
            self._output.write(line + "\n")
            self._output.flush()

    def phase(self, text: str) -> None:
        self.send(RunMessage(phase=text))

    def trial_changed(self, trial: Trial) -> None:
        """Do nothing: the status has the counts, the journal the trial."""

    def trial_reported(self, trial: Trial) -> None:
        """Do nothing: readers of the run directory find the report in the trial's own file."""

    def status_changed(self, experiment: Experiment) -> None:
        if experiment.status is not None:
            self.send(RunMessage(status=experiment.status))


def main() -> int:
    """Run the experiment that standard input describes, and return the exit code."""
    # Output of libraries must not mix with the messages.
    output, sys.stdout = sys.stdout, sys.stderr
    reporter = _Reporter(output)
    request = RunRequest.from_json(sys.stdin.readline())
    try:
        _run(request, reporter)
    except SparksweepError as error:
        reporter.send(RunMessage(error=(type(error).__name__, str(error))))
        return 1
    return 0


def _run(request: RunRequest, reporter: _Reporter) -> None:
    directory = RunDirectory.open(Path(request.directory))
    directory.take_over(request.lock)
    experiment = parse_experiment(request.experiment)
    for note in [*notes_on_ignored(experiment), *request.notes]:
        reporter.phase(note)
    record = directory.read_record()
    home = Path(record.home or Path.cwd())
    record.export_project_path(home)
    with running_java(find_java(), directory.spark_log) as java:
        # While Java starts: it imports PySpark and Arrow.
        from sparksweep._local.runner import LocalRun

        run = LocalRun(
            experiment, directory, home=home, record=record, observer=reporter, java=java
        )
        signal.signal(signal.SIGTERM, lambda *_: run.interrupt("cancel() or SIGTERM"))
        threading.Thread(target=_call_at_the_end, args=(run.interrupt,), daemon=True).start()
        run.run()


def _call_at_the_end(interrupt: Callable[[str], None]) -> None:
    sys.stdin.read()
    interrupt("the end of the program that started it")


if __name__ == "__main__":
    sys.exit(main())
