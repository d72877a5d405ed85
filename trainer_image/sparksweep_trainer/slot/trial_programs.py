"""The two kinds of trials, functions and commands: what the trial's process is asked to do, and how it is judged."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sparksweep_core.contract.program import Program
from sparksweep_trainer.protocol import Assignment
from sparksweep_trainer.slot import outcomes
from sparksweep_trainer.slot.commands import command_line, find_program
from sparksweep_trainer.slot.environment import trial_environment, trial_name
from sparksweep_trainer.slot.observation import Facts
from sparksweep_trainer.slot.outcomes import Verdict
from sparksweep_trainer.slot.printed_metrics import MetricParser, strategies
from sparksweep_trainer.slot.trial_code import write_source
from sparksweep_trainer.trial.arguments import Value, decode


@dataclass(frozen=True)
class Prepared:
    """One attempt, ready to start."""

    request: dict[str, Any]
    """What the trial's process is asked; see `trial_process`."""
    heed: Callable[[bytes], None]
    """Gets what it prints on standard output."""
    judge: Callable[[Facts, str], Verdict]
    """The verdict, from what was seen and the end of standard error."""


class _Trials:
    def __init__(self, program: Program) -> None:
        self._program = program
        self._types = {item.name: item.parameter_type.value for item in program.parameters}

    def _values(self, parameters: Mapping[str, str]) -> dict[str, Value]:
        return {name: decode(self._types[name], text) for name, text in parameters.items()}

    def _facts_of(self, assignment: Assignment, directory: Path) -> dict[str, str]:
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
        super().__init__(program)
        self._module, _, self._function = (program.trial_template.function or "").partition(":")
        written = write_source(program.trial_template, code)
        self.paths = ([str(code)] if written else []) + program.search_path
        """Where modules are looked for first."""

    def prepare(self, assignment: Assignment, directory: Path) -> Prepared:
        """An attempt in its own directory."""
        objective = self._program.objective
        request = self._request("call", directory)
        request["arguments"] = self._values(assignment.parameters)
        request["environment"] = self._facts_of(assignment, directory)
        if objective is not None:
            names = [objective.objective_metric_name, *objective.additional_metric_names]
            request["wanted"] = names
        return Prepared(
            request,
            heed=_heed_nothing,
            judge=lambda facts, stderr: outcomes.judge_function(
                facts, objective=objective, stderr=stderr
            ),
        )

    def check_request(self, directory: Path) -> dict[str, Any]:
        """A request to import the module and to look at the function's arguments, in an empty directory."""
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
        super().__init__(program)
        self._source = write_source(program.trial_template, code)
        if self._source is None and program.source_file is not None:
            self._source = Path(program.source_file)
        self._directory = os.path.abspath(program.working_directory or os.curdir)
        self.paths = program.search_path
        """Where preloaded modules are looked for first."""

    def prepare(
        self, assignment: Assignment, directory: Path, environment: Mapping[str, str]
    ) -> Prepared:
        """An attempt; it starts in the working directory.

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
        parser = MetricParser({} if objective is None else strategies(objective))
        facts = self._facts_of(assignment, directory)
        # A command can't ask for the directory to be made.
        os.makedirs(facts["SPARKSWEEP_LOGDIR"], exist_ok=True)
        request = {
            "do": "exec",
            "program": self._find(argv[0], environment),
            "argv": argv,
            "directory": self._directory,
            "environment": facts,
        }
        return Prepared(
            request,
            heed=parser.feed,
            judge=lambda facts, stderr: outcomes.judge_command(
                facts, objective=objective, printed=parser.finish(), stderr=stderr
            ),
        )

    def check(self, environment: Mapping[str, str]) -> None:
        """Look for the program.

        Raises:
            ProgramNotFound: there is none.
        """
        word = (self._program.trial_template.command or [""])[0]
        # What the program is may depend on the trial.
        if "${" not in word:
            self._find(word, environment)

    def _find(self, word: str, environment: Mapping[str, str]) -> str:
        return find_program(
            word, directory=self._directory, path=environment.get("PATH", os.defpath)
        )


def _heed_nothing(_: bytes) -> None:
    """A function returns its metrics: what it prints is for people."""
