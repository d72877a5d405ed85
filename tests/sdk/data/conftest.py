"""Remote data, and the node's copies of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.object_store import KEYS, ObjectStore, object_store


@pytest.fixture(scope="session")
def bucket() -> Iterator[ObjectStore]:
    with pytest.MonkeyPatch.context() as patch, object_store("127.0.0.1") as store:
        for name, value in KEYS.items():
            patch.setenv(name, value)
        yield store


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the directory of the node's cache."""
    directory = tmp_path / "cache"
    monkeypatch.setenv("SPARKSWEEP_DATA_CACHE", str(directory))
    monkeypatch.delenv("SPARKSWEEP_DATA_CACHE_SIZE", raising=False)
    return directory
