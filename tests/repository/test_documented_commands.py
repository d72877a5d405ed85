"""Commands that the documents show: each subcommand, option and target exists."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from sparksweep import errors
from sparksweep.cli import cli

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "ARCHITECTURE.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    ROOT / "examples" / "README.md",
    ROOT / "charts" / "sparksweep" / "README.md",
]
BLOCK = re.compile(r"^```(?:sh|console)?\n(.*?)^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`([^`\n]+)`")
PLACEHOLDER = re.compile(r"[\[\]{}<>…|]|\.\.\.")


def lines_of(page: Path) -> list[str]:
    """Return the lines of shell blocks, and the inline code, of a page."""
    text = page.read_text()
    blocks = [
        line.strip()
        for block in BLOCK.findall(text)
        for line in block.replace("\\\n", " ").splitlines()
    ]
    return blocks + INLINE.findall(BLOCK.sub("", text))


def shown(program: str) -> list[tuple[str, list[str]]]:
    """Return the page and the arguments of each command line of a program, up to its first pipe or redirection."""
    found = []
    for page in PAGES:
        for line in lines_of(page):
            match = re.fullmatch(rf"(?:\.venv/bin/)?{program} (.*)", line)
            if match is None:
                continue
            command = re.split(r"[>|;&]", match[1].partition(" # ")[0].partition("  #")[0])[0]
            found.append((page.name, shlex.split(command)))
    return found


COMMANDS = [
    (page, arguments)
    for page, arguments in shown("sparksweep")
    if not any(PLACEHOLDER.search(word) for word in arguments)
]


def test_many_commands_are_shown() -> None:
    assert len(COMMANDS) > 30
    assert {arguments[0] for _, arguments in COMMANDS} >= {"run", "trials", "logs", "tensorboard"}


@pytest.mark.parametrize(
    ("page", "arguments"), COMMANDS, ids=[f"{page}: {' '.join(words)}" for page, words in COMMANDS]
)
def test_a_command_of_the_documents_exists_with_its_options(
    page: str, arguments: list[str]
) -> None:
    context = click.Context(cli, info_name="sparksweep")
    command: click.Command | None = cli
    if not arguments[0].startswith("-"):
        command = cli.get_command(context, arguments[0])
        assert command is not None, f"{page}: there is no command {arguments[0]}"
        arguments = arguments[1:]
    assert command is not None
    if "--help" in arguments or "--version" in arguments:
        return
    # Raises for an option that does not exist, or that lacks its value.
    command.make_parser(click.Context(command, parent=context)).parse_args(list(arguments))


def test_every_target_of_the_documents_is_in_the_makefile() -> None:
    targets = set(re.findall(r"^([a-z][a-z0-9-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = [(page, words[0]) for page, words in shown("make") if words and "=" not in words[0]]
    assert len(named) > 10
    assert [f"{page}: make {name}" for page, name in named if name not in targets] == []


def test_every_error_is_in_the_table_of_the_python_page() -> None:
    page = (ROOT / "docs" / "python.md").read_text()
    missing = [
        name
        for name in errors.__all__
        if f"`{name}`" not in page and name not in {"FieldError", "ClusterError", "SparksweepError"}
    ]
    assert missing == []
