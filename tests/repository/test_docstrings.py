"""Docstrings open with a verb or a noun phrase; ruff's D401 covers the functions' mood, this the question words."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("core", "operator", "trainer_image", "sdk")
MOST = 0.01
"""Largest share of docstrings that open with a question word."""
QUESTION_WORD = re.compile(r"(What|Whether|Where|Who|Whose|How|Which|Why|When)\b")


def test_few_docstrings_open_with_a_question_word() -> None:
    found = [
        (f"{path.relative_to(ROOT)}:{line}: {text.splitlines()[0]}", text)
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        for line, text in docstrings(ast.parse(path.read_text()))
    ]
    assert len(found) > 1000
    questions = [place for place, text in found if QUESTION_WORD.match(text)]
    share = len(questions) / len(found)
    assert share <= MOST, f"{share:.1%} of {len(found)} docstrings:\n" + "\n".join(questions)


@pytest.mark.parametrize(
    "source",
    [
        '"""Where things are."""',
        'class A:\n    """Whose turn it is."""',
        'class A:\n    b: int\n    """How many there are."""',
        'A = 1\n"""What it costs."""',
        'def f():\n    """\n    Which one.\n    """',
        'async def f():\n    """Why it failed."""',
    ],
)
def test_every_kind_of_docstring_is_read(source: str) -> None:
    [(_, text)] = docstrings(ast.parse(source))
    assert QUESTION_WORD.match(text)


def test_a_longer_word_and_an_ordinary_text_are_no_question() -> None:
    assert [text for _, text in docstrings(ast.parse('f(1)\n"""Which."""'))] == []
    assert not QUESTION_WORD.match("Whatever")
    assert not QUESTION_WORD.match("Return what is left.")


def docstrings(module: ast.Module) -> Iterator[tuple[int, str]]:
    """Iterate over the docstrings of a module, its classes, functions and attributes, with their lines."""
    for node in ast.walk(module):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text:
                yield node.body[0].lineno, text
        if isinstance(node, ast.Module | ast.ClassDef):
            for before, after in pairwise(node.body):
                if isinstance(before, ast.Assign | ast.AnnAssign) and (text := text_of(after)):
                    yield after.lineno, text


def text_of(statement: ast.stmt) -> str | None:
    """Return the text of a statement that is a string alone."""
    match statement:
        case ast.Expr(value=ast.Constant(value=str(text))):
            return text.strip()
    return None
