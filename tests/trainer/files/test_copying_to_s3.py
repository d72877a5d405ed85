"""The run directory's copy in a real S3 API."""

from pathlib import Path

import pytest

from sparksweep_trainer.files.copying import Copier
from support.object_store import KEYS, object_store


def test_the_run_directory_is_in_the_bucket_under_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "digits-1234abcd"
    trial = run / "trials" / "0001"
    trial.mkdir(parents=True)
    large = bytes(range(256)) * (9 * 2**12)
    (trial / "stdout.log").write_bytes(large)
    (trial / "a b.txt").write_bytes(b"a space")
    (trial / "empty").touch()
    (run / "results.parquet").write_bytes(b"table")
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    with object_store("127.0.0.1") as store:
        copier = Copier(run, store.uri("experiments/mine"))
        assert copier.trial(1)
        assert len(store.names()) == 3
        assert copier.everything()
        there = "bucket/experiments/mine/digits-1234abcd"
        assert sorted(store.names()) == sorted(
            f"{there}/{name}"
            for name in ("results.parquet", "trials/0001/a b.txt", "trials/0001/empty", "trials/0001/stdout.log")
        )  # fmt: skip
        assert store.read(f"{there}/trials/0001/stdout.log") == large
        assert not Copier(run, store.uri("x").replace("bucket", "nowhere", 1)).everything()
