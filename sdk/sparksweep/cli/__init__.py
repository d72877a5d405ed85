"""The command line: ``sparksweep``.

Results go to standard output, progress and errors to standard error. Exit codes: 0 complete, 1 failed, 2 refused,
128 + the signal's number if interrupted, 141 if the reader of standard output has gone.
"""

from __future__ import annotations

import io
import logging
import signal
import sys
from collections.abc import Sequence

import click

from sparksweep.cli.completion import completion
from sparksweep.cli.documents import render, validate
from sparksweep.cli.listing import list_command
from sparksweep.cli.logs import logs
from sparksweep.cli.output import (
    LogHandler,
    Output,
    Span,
    Unwritable,
    abandon,
    open_closed_streams,
    stderr,
)
from sparksweep.cli.run import run
from sparksweep.cli.runs import best, trials
from sparksweep.cli.tensorboard import tensorboard
from sparksweep.errors import ExperimentRefused, InvalidExperiment, SparksweepError

__all__ = ["cli", "main"]

FAILED = 1
REFUSED = 2
INTERRUPTED = 128 + signal.SIGINT
READER_GONE = 128 + signal.SIGPIPE


class _Commands(click.Group):
    """A group whose help has each command's sentence whole; click cuts it at the edge of the terminal."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands and their sentences."""
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        rows = [(name, command.short_help or "") for name, command in commands if command]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="sparksweep")
def cli() -> None:
    """Run hyperparameter experiments on this machine; read results here and on Kubernetes."""


for command in (run, validate, render, logs, trials, best, list_command, tensorboard, completion):
    cli.add_command(command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit. Errors that are meant for the user are printed without a stack trace."""
    open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # Help has no text that an encoding may lack, but a path in an error may.
            stream.reconfigure(errors="backslashreplace")
    logging.basicConfig(handlers=[LogHandler(stderr())], level=logging.WARNING)
    code = _run(arguments)
    try:
        sys.stdout.flush()
    except OSError as error:
        abandon(sys.stdout)
        code = code or _unwritable(Unwritable(error))
    sys.exit(code)


def _run(arguments: Sequence[str] | None) -> int:
    """Run the command line, and return the exit code."""
    err = stderr()
    try:
        return cli.main(arguments, standalone_mode=False) or 0
    except click.ClickException as error:
        return _refuse(err, error)
    except click.Abort:
        return INTERRUPTED
    except InvalidExperiment as error:
        for finding in error.errors:
            err.line(Span(finding.path, "bold red"), f": {finding.message}")
    except ExperimentRefused as error:
        err.block(f"refused: {error}", "red")
    except SparksweepError as error:
        err.block(f"error: {error}", "red")
    except Unwritable as error:
        return _unwritable(error)
    except BrokenPipeError as error:
        # click prints help by itself.
        abandon(sys.stdout)
        return _unwritable(Unwritable(error))
    return REFUSED


def _refuse(err: Output, error: click.ClickException) -> int:
    """Print click's words about wrong arguments, which may contain them."""
    words = io.StringIO()
    error.show(file=words)
    err.block(words.getvalue().rstrip("\n"))
    return error.exit_code


def _unwritable(error: Unwritable) -> int:
    if error.is_broken_pipe:
        return READER_GONE
    stderr().line(f"error: standard output can't be written: {error}")
    return FAILED
