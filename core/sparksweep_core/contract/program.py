"""The program of an experiment: what every trial runs. The operator writes it, the driver reads it and slots ask for it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from sparksweep_core.api import limits
from sparksweep_core.api.base import Model
from sparksweep_core.api.search_spec import Objective, Parameter
from sparksweep_core.api.template import TrialTemplate


class Program(Model):
    """The code, parameters and limits of every trial. The order of the fields is that of the ConfigMap's text."""

    experiment: Annotated[str, Field(min_length=1, max_length=limits.NAME)]
    """Name of the Experiment."""
    parameters: Annotated[list[Parameter], Field(max_length=limits.PARAMETERS)]
    """The hyperparameters, for their types."""
    trial_template: TrialTemplate
    """The code and resources of a trial. ``source.config_map`` has been resolved to ``source.inline``."""
    trials_directory: str
    """Directory of the trials' directories, which the slot's machine can write to."""
    search_path: list[str] = []
    """Directories that Python searches first for a function's module."""
    code_seals: dict[str, dict[str, str]] = {}
    """Directories of code that no trial may change: SHA-256 of each file by its path below. Others may not be there."""
    sends_files: bool = False
    """True: slots send the trials' files to the driver, and copy the trials' output into their own log."""
    objective: Objective | None = None
    """The metric to optimise. Absent: the experiment has no objective."""
    source_file: str | None = None
    """Path of a command's source on the slot's machine. Absent: the template holds the source, or there is none."""
    limit_is_container: bool = False
    """True: the memory limit is the container's, enforced by the kernel and shared with Spark's processes. Set by the
    driver."""
    working_directory: str | None = None
    """Directory in which a command starts. Absent: that of the slot's process. A function starts in its trial's."""
