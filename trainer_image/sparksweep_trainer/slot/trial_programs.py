"""Function trials and command trials: the request to the trial's process, and the outcome of an attempt."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sparksweep_core.contract.environment import LOGDIR_ENV
from sparksweep_core.contract.program import Program
from sparksweep_core.contract.run_layout import METRICS_FILE
from sparksweep_trainer.protocol import Assignment, Outcome
from sparksweep_trainer.slot.commands import command_line, find_program
from sparksweep_trainer.slot.environment import trial_environment, trial_name
from sparksweep_trainer.slot.observation import Observation, Timing
from sparksweep_trainer.slot.outcomes import command_outcome, function_outcome
from sparksweep_trainer.slot.printed_metrics import PrintedMetrics, strategies
from sparksweep_trainer.slot.printed_steps import PrintedSteps
from sparksweep_trainer.slot.trial_code import InlineCode
from sparksweep_trainer.trial.arguments import Value, decode


@dataclass(frozen=True)
class Prepared:
    """One attempt, ready to start."""

    request: dict[str, Any]
    """Request to the trial's process; see `trial.trial_process`."""
    read_stdout: Callable[[bytes], None]
    """Receives the trial's standard output."""
    read_stderr: Callable[[bytes], None]
    """Receives the trial's standard error."""
    outcome: Callable[[Observation, Timing, str], Outcome]
    """Returns the outcome, given the last lines of standard error."""


class _Trials:
    def __init__(self, program: Program, code: Path) -> None:
        self._program = program
        self.code = InlineCode(program.trial_template, code)
        """The inline source."""
        self._types = {item.name: item.parameter_type.value for item in program.parameters}

    def _values(self, parameters: Mapping[str, str]) -> dict[str, Value]:
        return {name: decode(self._types[name], text) for name, text in parameters.items()}

    def _environment(self, assignment: Assignment, directory: Path) -> dict[str, str]:
        return trial_environment(
            experiment=self._program.experiment,
            number=assignment.number,
            attempt=assignment.attempt,
            directory=directory,
            parameters=self._values(assignment.parameters),
        )


class FunctionTrials(_Trials):
    """Trials that call ``module:function``."""

    def __init__(self, program: Program, code: Path) -> None:
        """Write the inline source, if there is one, into the empty directory `code`."""
        super().__init__(program, code)
        self._module, _, self._function = (program.trial_template.function or "").partition(":")
        self.paths = ([str(code)] if self.code.file else []) + program.search_path
        """Directories in which modules are searched first."""

    def prepare(self, assignment: Assignment, directory: Path) -> Prepared:
        """Prepare an attempt, which starts in the trial's directory."""
        objective = self._program.objective
        request = self._request("call", directory)
        request["arguments"] = self._values(assignment.parameters)
        request["environment"] = self._environment(assignment, directory)
        if objective is not None:
            names = [objective.objective_metric_name, *objective.additional_metric_names]
            request["wanted"] = names
        return Prepared(
            request,
            read_stdout=_ignore,
            read_stderr=_ignore,
            outcome=lambda observation, timing, stderr: function_outcome(
                observation, timing, objective=objective, stderr=stderr
            ),
        )

    def check_request(self, directory: Path) -> dict[str, Any]:
        """Return a request to import the module and bind the function's arguments, in an empty directory."""
        request = self._request("check", directory)
        request["arguments"] = dict.fromkeys(self._types, 0)
        request["environment"] = trial_environment(
            experiment=self._program.experiment,
            number=0,
            attempt=0,
            directory=directory,
            parameters={},
        )
        return request

    def _request(self, do: str, directory: Path) -> dict[str, Any]:
        return {
            "do": do,
            "module": self._module,
            "function": self._function,
            "paths": self.paths,
            "wanted": [],
            "directory": str(directory),
        }


class CommandTrials(_Trials):
    """Trials that execute a command."""

    def __init__(self, program: Program, code: Path) -> None:
        """Write the inline source, if there is one, into the empty directory `code`."""
        super().__init__(program, code)
        self._source = self.code.file
        if self._source is None and program.source_file is not None:
            self._source = Path(program.source_file)
        self._directory = os.path.abspath(program.working_directory or os.curdir)
        self.paths = program.search_path
        """Directories in which preloaded modules are searched first."""

    def prepare(
        self, assignment: Assignment, directory: Path, environment: Mapping[str, str]
    ) -> Prepared:
        """Prepare an attempt, which starts in the working directory.

        Args:
            assignment: what to run.
            directory: the trial's directory.
            environment: the fork server's, for its PATH.

        Raises:
            ProgramNotFound: there is no such program.
        """
        objective = self._program.objective
        argv = command_line(
            self._program.trial_template,
            assignment.parameters,
            trial=trial_name(self._program.experiment, assignment.number),
            source=self._source,
        )
        printed = PrintedMetrics(
            {} if objective is None else strategies(objective),
            self._program.trial_template.metrics_format,
            on_line=PrintedSteps(directory / METRICS_FILE).add,
        )
        variables = self._environment(assignment, directory)
        # A command can't ask for the directory to be made.
        os.makedirs(variables[LOGDIR_ENV], exist_ok=True)
        request = {
            "do": "exec",
            "program": self._find(argv[0], environment),
            "argv": argv,
            "directory": self._directory,
            "environment": variables,
        }
        return Prepared(
            request,
            read_stdout=printed.stdout.feed,
            read_stderr=printed.stderr.feed,
            outcome=lambda observation, timing, stderr: command_outcome(
                observation, timing, objective=objective, printed=printed.finish(), stderr=stderr
            ),
        )

    def check(self, environment: Mapping[str, str]) -> None:
        """Check that the program exists, unless its name depends on the trial.

        Raises:
            ProgramNotFound: there is none.
        """
        word = (self._program.trial_template.command or [""])[0]
        if "${" not in word:
            self._find(word, environment)

    def _find(self, word: str, environment: Mapping[str, str]) -> str:
        return find_program(
            word, directory=self._directory, path=environment.get("PATH", os.defpath)
        )


def _ignore(_: bytes) -> None:
    """Ignore output: a function returns its metrics."""
