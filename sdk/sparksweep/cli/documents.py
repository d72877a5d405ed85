"""Commands that look at a file and start nothing: ``validate`` and ``render``."""

from __future__ import annotations

from pathlib import Path

import click

from sparksweep.api.document import read_experiment
from sparksweep.api.yaml_text import dump_yaml
from sparksweep_operator.search import create

FILE = click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))


@click.command()
@FILE
def validate(file: Path) -> None:
    """Check an Experiment's FILE; every finding is printed with its field's path, and the exit code is 2."""
    experiment = read_experiment(file)
    click.echo(f"{file}: Experiment {experiment.metadata.name} is valid. {_extent(file)}")


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
    experiment = read_experiment(file)
    click.echo(f"# {_extent(file)}")
    click.echo(dump_yaml(experiment.to_dict()), nl=False)
    if trials:
        limit = min(trials, experiment.spec.max_trial_count or trials)
        proposed = create(experiment.spec).propose([], limit)
        rows = [
            {"number": number, "parameters": parameters}
            for number, parameters in enumerate(proposed, start=1)
        ]
        click.echo("---")
        click.echo(dump_yaml({"trials": rows}), nl=False)


def _extent(file: Path) -> str:
    spec = read_experiment(file).spec
    size = create(spec).size()
    name = spec.algorithm.algorithm_name.value
    if size is None:
        bound = spec.max_trial_count
        return f"{name}: {bound} trials." if bound else f"{name}: trials without a fixed number."
    runs = min(size, spec.max_trial_count or size)
    points = f"{size:,}" if size < 10**15 else f"about 10^{len(str(size)) - 1}"
    return f"{name}: {runs:,} trials of {points} points in the search space."
