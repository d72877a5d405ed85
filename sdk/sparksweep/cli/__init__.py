"""The command line: ``sparksweep``.

Results go to standard output, progress and errors to standard error. Exit codes: 0 complete, 1 failed, 2 refused,
128 + the signal's number if interrupted.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from sparksweep.cli.documents import render, validate
from sparksweep.cli.logs import logs
from sparksweep.cli.run import run
from sparksweep.cli.runs import best, trials
from sparksweep.cli.tensorboard import tensorboard
from sparksweep.errors import ExperimentRefused, InvalidExperiment, SparksweepError

__all__ = ["cli", "main"]

FAILED = 1
REFUSED = 2


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="sparksweep")
def cli() -> None:
    """Run hyperparameter experiments on this machine; read results here and on Kubernetes."""


for command in (run, validate, render, logs, trials, best, tensorboard):
    cli.add_command(command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit. Errors that are meant for the user are printed without a stack trace."""
    try:
        sys.exit(cli.main(arguments, standalone_mode=False) or 0)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        sys.exit(130)
    except InvalidExperiment as error:
        for finding in error.errors:
            click.secho(f"{finding.path}", fg="red", bold=True, err=True, nl=False)
            click.echo(f": {finding.message}", err=True)
        sys.exit(REFUSED)
    except ExperimentRefused as error:
        click.secho(f"refused: {error}", fg="red", err=True)
        sys.exit(REFUSED)
    except SparksweepError as error:
        click.secho(f"error: {error}", fg="red", err=True)
        sys.exit(REFUSED)
