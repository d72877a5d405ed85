"""Commands that look at a file and start nothing: ``validate`` and ``render``."""

from __future__ import annotations

from pathlib import Path

import click

from sparksweep.errors import InvalidExperiment
from sparksweep_core.algorithms import create
from sparksweep_core.api import Experiment
from sparksweep_core.kubernetes_yaml import dump_yaml
from sparksweep_core.validation.checks_search import format_count
from sparksweep_core.validation.document import read_experiment

FILE = click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))


def read_file(file: Path) -> Experiment:
    """The Experiment of a file; what is wrong with it is put under the file's name."""
    try:
        return read_experiment(file)
    except InvalidExperiment as error:
        found = len(error.errors)
        click.echo(f"{file} is refused, {found} finding{'s' if found > 1 else ''}:", err=True)
        raise


@click.command()
@FILE
def validate(file: Path) -> None:
    """Check an Experiment's FILE; every finding is printed with its field's path, and the exit code is 2."""
    experiment = read_file(file)
    click.echo(f"{file}: Experiment {experiment.metadata.name} is valid. {_extent(experiment)}")


@click.command()
@click.option(
    "--trials",
    type=click.IntRange(0, 1000),
    default=0,
    metavar="N",
    help="Print the first N trials' parameters too, as far as they don't depend on results.",
)
@FILE
def render(file: Path, trials: int) -> None:
    """Print the Experiment of FILE as it is understood: checked, with every default filled in."""
    experiment = read_file(file)
    click.echo(f"# {_extent(experiment)}")
    click.echo(dump_yaml(experiment.to_dict()), nl=False)
    if trials:
        limit = min(trials, experiment.spec.max_trial_count or trials)
        proposed = create(experiment.spec).propose([], limit)
        rows = [trial.to_dict() for trial in proposed]
        click.echo("---")
        click.echo(dump_yaml({"trials": rows}), nl=False)


def _extent(experiment: Experiment) -> str:
    spec = experiment.spec
    size = create(spec).size()
    name = spec.algorithm.algorithm_name.value
    if size is None:
        bound = spec.max_trial_count
        return f"{name}: {bound} trials." if bound else f"{name}: trials without a fixed number."
    runs = min(size, spec.max_trial_count or size)
    return f"{name}: {runs} trials of {format_count(size)} points in the search space."
