"""Output of the SDK goes through `sparksweep.cli.output`, which makes text harmless; nothing prints around it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SDK = Path(__file__).parents[2] / "sdk" / "sparksweep"

ALLOWED = {
    # The one place.
    "cli/output.py": {"logging", "rich", "sys.stdout", "sys.stderr"},
    # Arithmetic of columns, no output.
    "cli/layout.py": {"rich"},
    # Flushes at the end, and hands a broken pipe over.
    "cli/__init__.py": {"logging", "sys.stdout", "sys.stderr"},
    # Lines and tqdm's bar in Python programs, from text that `sparksweep._text` made.
    "_progress.py": {"print", "sys.stderr", "tqdm"},
    # Warnings, which the command line prints through its handler.
    "_local/reports.py": {"logging"},
    "_runs/forwarding.py": {"logging"},
    "_runs/gateway.py": {"logging"},
    # The journal of a run.
    "_local/journal.py": {"os.write"},
    # A trial's file of reports.
    "context.py": {"os.write"},
    # Messages to the program that started the process, as JSON.
    "_local/process.py": {"sys.stdout", "sys.stderr"},
}
"""By module the ways of printing that it needs."""
STREAMS = ("stdout", "stderr", "__stdout__", "__stderr__")
PRINTERS = ("echo", "secho", "echo_via_pager", "style", "prompt", "confirm", "progressbar", "pause")
"""Functions of click that print."""


def test_nothing_prints_around_the_one_place() -> None:
    modules = sorted(SDK.rglob("*.py"))
    assert len(modules) > 50
    found = {
        (path.relative_to(SDK).as_posix(), way)
        for path in modules
        for way in ways_of_printing(ast.parse(path.read_text()))
    }
    allowed = {(module, way) for module, ways in ALLOWED.items() for way in ways}
    assert sorted(found - allowed) == []
    assert sorted(allowed - found) == []


@pytest.mark.parametrize(
    ("source", "way"),
    [
        ("print(1)", "print"),
        ("import click\nclick.echo('x')", "click.echo"),
        ("from click import secho as say", "click.secho"),
        ("import click\nclick.prompt('x')", "click.prompt"),
        ("import sys\nsys.stdout.write('x')", "sys.stdout"),
        ("from sys import stderr", "sys.stderr"),
        ("from rich.console import Console", "rich"),
        ("import rich", "rich"),
        ("from tqdm.auto import tqdm", "tqdm"),
        ("import os\nos.write(1, b'x')", "os.write"),
        ("import logging\nlogging.warning('x')", "logging"),
    ],
)
def test_every_way_is_found(source: str, way: str) -> None:
    assert list(ways_of_printing(ast.parse(source))) == [way]


def ways_of_printing(module: ast.Module) -> Iterator[str]:
    """Iterate over the ways in which a module can print."""
    for node in ast.walk(module):
        match node:
            case ast.Call(func=ast.Name(id="print")):
                yield "print"
            case ast.Attribute(value=ast.Name(id="click"), attr=name) if name in PRINTERS:
                yield f"click.{name}"
            case ast.Attribute(value=ast.Name(id="sys"), attr=name) if name in STREAMS:
                yield f"sys.{name}"
            case ast.Attribute(value=ast.Name(id="os"), attr="write"):
                yield "os.write"
            case ast.ImportFrom(module=str(name), names=names):
                yield from _imported(name, [alias.name for alias in names])
            case ast.Import(names=names):
                for alias in names:
                    yield from _imported(alias.name, [])


def _imported(module: str, names: list[str]) -> Iterator[str]:
    root = module.partition(".")[0]
    if root in ("rich", "tqdm", "logging"):
        yield root
    if module == "click":
        yield from (f"click.{name}" for name in names if name in PRINTERS)
    if module == "sys":
        yield from (f"sys.{name}" for name in names if name in STREAMS)
