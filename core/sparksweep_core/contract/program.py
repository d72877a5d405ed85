"""The program of an experiment: what every trial runs. The operator writes it, the driver reads it and slots ask for it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from sparksweep_core.api import limits
from sparksweep_core.api.base import Model
from sparksweep_core.api.search_spec import Objective, Parameter
from sparksweep_core.api.template import TrialTemplate


class Program(Model):
    """What every trial of the experiment runs: a slot asks for it once."""

    experiment: Annotated[str, Field(min_length=1, max_length=limits.NAME)]
    """Name of the Experiment."""
    parameters: Annotated[list[Parameter], Field(max_length=limits.PARAMETERS)]
    """The hyperparameters, for their types."""
    objective: Objective | None = None
    """The metric to optimise, if there is one."""
    trial_template: TrialTemplate
    """What a trial runs, and on what. ``source.config_map`` has been resolved to ``source.inline``."""
    trials_directory: str
    """Directory of the trials' directories, which the slot's machine can write to."""
    search_path: list[str] = []
    """Directories where a function's module is looked for first."""
    source_file: str | None = None
    """Where a command's source is on the slot's machine, when the template has none."""
    limit_is_container: bool = False
    """Whether the memory limit is the slot's container's: the kernel holds it, and Spark's own processes share it."""
    working_directory: str | None = None
    """Where a command starts; None: where the slot's process is. A function starts in its trial's directory."""
    sends_files: bool = False
    """Whether slots send the trials' files to the driver, and show what trials print in their own log, too."""
