"""Texts of Spark's and py4j's errors, shortened to what a person needs. Without Spark."""

from __future__ import annotations

import re

from sparksweep_trainer.driver.slot_loss import SlotFailed

MAX_FAILURE = 1000
"""Characters of Spark's message about a failed job that are kept."""
STARTED_AGAIN = "Spark started this slot again after its executor was lost"
"""Message of a task that ends because another attempt of it ran before."""


def failure_of(error: Exception) -> SlotFailed:
    """Return the failure of a job: the last line of a Python traceback, or the first of any other message."""
    text = text_of(error)
    lost = "ExecutorLostFailure" in text or STARTED_AGAIN in text
    traceback = re.search(
        r"An exception was thrown from the Python worker: (.*?)^ ?SQLSTATE", text, re.S | re.M
    )
    lines = traceback[1].strip().splitlines()[-1:] if traceback else _cause(text).splitlines()[:1]
    return SlotFailed("".join(lines)[:MAX_FAILURE] or type(error).__name__, executor_lost=lost)


def _cause(text: str) -> str:
    """Return the text after py4j's "An error occurred while calling o53.count.\\n: "."""
    return text.partition("\n: ")[2] or text


def first_line_of_cause(error: Exception) -> str:
    """Return the first line of what an error of py4j says about its cause."""
    return (_cause(text_of(error)).strip().splitlines() or [type(error).__name__])[0][:MAX_FAILURE]


def first_line(error: Exception) -> str:
    """Return the first line of an error's text, or its type's name."""
    return (text_of(error).splitlines() or [type(error).__name__])[0]


def text_of(error: Exception) -> str:
    """Return the text of an error; py4j's errors ask Java for it, which may be gone."""
    try:
        return str(error)
    except Exception as another:
        return f"{type(error).__name__} ({type(another).__name__})"
