"""Numbers of examples of Hypothesis: all of them in the profile ``full``, a fifth in ``commit``, the default.

SPARKSWEEP_TEST_PROFILE or ``--hypothesis-profile`` names the profile.
"""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import settings

VARIABLE = "SPARKSWEEP_TEST_PROFILE"
FULL = 100
"""Examples of a test without settings of its own; Hypothesis' own default."""

settings.register_profile("commit", max_examples=FULL // 5, deadline=None)
settings.register_profile("full", max_examples=FULL, deadline=None)


@pytest.hookimpl(tryfirst=True)
def pytest_configure() -> None:
    # Hypothesis' plugin loads the profile that an option names after this.
    settings.load_profile(os.environ.get(VARIABLE) or "commit")


def examples(count: int, **options: Any) -> settings:
    """Return settings with this many examples in the profile ``full``, and the profile's share of them in others."""
    share = settings.default.max_examples / FULL if settings.default else 1
    return settings(max_examples=max(1, round(count * share)), **options)
