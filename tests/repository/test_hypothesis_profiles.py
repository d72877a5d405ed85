"""Numbers of examples of property tests are those of the profile."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import settings

from support.hypothesis_profiles import examples


@pytest.fixture(autouse=True)
def _profile() -> Iterator[None]:
    """Leave the profile of the run as it was."""
    name = settings.get_current_profile_name()
    yield
    settings.load_profile(name)


@pytest.mark.parametrize(("profile", "expected"), [("full", 300), ("commit", 60)])
def test_a_test_tries_its_share_of_examples(profile: str, expected: int) -> None:
    settings.load_profile(profile)
    assert examples(300).max_examples == expected
    assert examples(1).max_examples == 1
    assert examples(300).deadline is None
