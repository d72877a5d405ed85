"""``sparksweep completion``: the completion of commands and options in a shell."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from sparksweep.cli.output import stdout

PROGRAM = "sparksweep"
VARIABLE = "_SPARKSWEEP_COMPLETE"


@click.command(short_help="Print a shell's completion script.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script that completes commands and options in a shell.

    For bash: eval "$(sparksweep completion bash)" in ~/.bashrc. For zsh the same with zsh in ~/.zshrc. For fish:
    sparksweep completion fish > ~/.config/fish/completions/sparksweep.fish

    Exit codes: 0, 2 if there is no script for the shell.
    """
    script = get_completion_class(shell)
    assert script is not None, shell
    root = context.find_root().command
    stdout().data(script(root, {}, PROGRAM, VARIABLE).source() + "\n")
