"""A local run in a process of its own, for a program that has other things to do: ``python -m sparksweep._local.process``.

A process of its own, because Spark has one context for each process, which a notebook may hold already, and because a
run must end with whoever asked for it, however that ends.

Standard input: one line of JSON, {"experiment": ..., "directory": ..., "home": ..., "modules": {name: text}}. Its end
interrupts the run. Standard output, a line of JSON each:

    {"phase": "Starting Spark"}
    {"status": {...}}            the Experiment's, as it changes
    {"error": ["MissingDependency", "..."]}      and the process ends
"""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path
from typing import IO, Any

from sparksweep._local.program import check_local, ignored_locally
from sparksweep._local.run_directory import RunDirectory
from sparksweep._local.runner import LocalRun
from sparksweep.errors import SparksweepError
from sparksweep_core.api import Experiment, Trial
from sparksweep_core.validation.document import parse_experiment

MODULES_DIRECTORY = "code"
"""Where in the run directory the modules go that the document has no room for."""


class _Reporter:
    """Writes down what happens; a status only when it is another one."""

    def __init__(self, output: IO[str]) -> None:
        self._output = output
        self._last = ""

    def say(self, **message: Any) -> None:
        line = json.dumps(message)
        if line != self._last:
            self._last = line
            self._output.write(line + "\n")
            self._output.flush()

    def phase(self, text: str) -> None:
        self.say(phase=text)

    def trial_changed(self, trial: Trial) -> None:
        """The status will say so; the journal has the trial."""

    def status_changed(self, experiment: Experiment) -> None:
        if experiment.status is not None:
            self.say(status=experiment.status.to_dict())


def main() -> int:
    """Run what standard input says, to its end."""
    # What a library prints must not get between the messages.
    output, sys.stdout = sys.stdout, sys.stderr
    reporter = _Reporter(output)
    request = json.loads(sys.stdin.readline())
    try:
        run = _prepare(request, reporter)
        threading.Thread(target=_interrupt_at_the_end, args=(run,), daemon=True).start()
        run.run()
    except SparksweepError as error:
        reporter.say(error=[type(error).__name__, str(error)])
        return 1
    return 0


def _prepare(request: dict[str, Any], reporter: _Reporter) -> LocalRun:
    experiment = parse_experiment(request["experiment"])
    check_local(experiment)
    for field in ignored_locally(experiment):
        reporter.phase(f"{field} is for a cluster: a local run does not heed it")
    directory = RunDirectory.create(Path(request["directory"]))
    code = directory.path / MODULES_DIRECTORY
    for name, text in request["modules"].items():
        code.mkdir(exist_ok=True)
        (code / f"{name}.py").write_text(text, encoding="utf-8")
    return LocalRun(
        experiment,
        directory,
        home=Path(request["home"]),
        modules=[code] if code.exists() else [],
        observer=reporter,
    )


def _interrupt_at_the_end(run: LocalRun) -> None:
    sys.stdin.read()
    run.interrupt()


if __name__ == "__main__":
    sys.exit(main())
