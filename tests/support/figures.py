"""Lines that tests add to the run's summary: what they have measured, and messages as a user sees them."""

from __future__ import annotations

import pytest

FIGURE = "figure"
"""The name of the property by which a test's report carries a line, from a worker, too."""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the lines of all tests."""
    reports = [
        report
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", None) == "call"
    ]
    lines = [text for item in reports for name, text in item.user_properties if name == FIGURE]
    if lines:
        terminalreporter.section("figures")
        for line in lines:
            terminalreporter.write_line(str(line))
