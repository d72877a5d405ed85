"""Run directories of which one is damaged, whatever is in its files: the others are listed and shown, and it says why."""

from __future__ import annotations

from pathlib import Path

import pytest

from sparksweep._local.record import RunRecord
from sparksweep._local.run_directory import RunDirectory
from sparksweep._local.tensorboard import link_trials, runs_at, write_sessions_of_ended
from sparksweep._run_list import list_runs
from sparksweep.errors import RunDirectoryError
from sparksweep_core.validation.document import parse_experiment

DOCUMENT = {
    "apiVersion": "sparksweep.dev/v1alpha1",
    "kind": "Experiment",
    "metadata": {"name": "sound"},
    "spec": {
        "objective": {"type": "minimize", "objectiveMetricName": "loss"},
        "algorithm": {"algorithmName": "grid"},
        "parameters": [
            {"name": "x", "parameterType": "int", "feasibleSpace": {"min": "1", "max": "2"}}
        ],
        "trialTemplate": {"function": "train:training"},
    },
}
CONTENTS = {
    "empty": b"\n",
    "not UTF-8": b"\xff\xfe\x00\n",
    "NUL": b"\x00\n",
    "no object": b"[]\n",
    "null": b"null\n",
    "cut off": b"{\n",
    "nested lists": b"[" * 100_000 + b"\n",
    "nested objects": b'{"a":' * 100_000 + b"\n",
    "nested in a record": b'{"batch":' + b"[" * 100_000 + b"\n",
    "a long number": b"1" * 5000 + b"\n",
    "a long number in a record": b'{"trial":{"number":' + b"9" * 5000 + b"}}\n",
    "infinite": b'{"trial":{"number":1e400}}\n',
    "a later record": b'{"checkpoint":{}}\n',
    "a later state": b'{"trial":{"number":1,"state":"Dreaming"}}\n',
    "no status": b'{"status":null}\n',
    "an object": b"!!python/object:os.system {}\n",
    "an unknown alias": b"a: *b\n",
}


def made(path: Path) -> RunDirectory:
    directory = RunDirectory.create(path)
    directory.begin(parse_experiment(DOCUMENT), RunRecord())
    directory.unlock()
    return directory


@pytest.mark.parametrize("file", ["journal.jsonl", "experiment.yaml"])
@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS)
def test_one_damaged_run_leaves_the_list_of_the_others(
    tmp_path: Path, content: bytes, file: str
) -> None:
    made(tmp_path / "sound")
    damaged = made(tmp_path / "damaged")
    (damaged.path / file).write_bytes(content)
    runs = {Path(run.directory).name: run for run in list_runs(tmp_path)}
    assert runs["sound"].state == "Interrupted"
    assert runs["sound"].name == "sound"
    assert runs["damaged"].state == "Unreadable"
    assert runs["damaged"].error
    for run in runs_at(tmp_path):
        write_sessions_of_ended(run)


@pytest.mark.parametrize(
    "name", ["empty", "not UTF-8", "NUL", "no object", "null", "cut off", "nested objects", "a long number"]
)  # fmt: skip
def test_a_damaged_record_is_an_error_in_words(tmp_path: Path, name: str) -> None:
    path = tmp_path / "run.json"
    path.write_bytes(CONTENTS[name])
    with pytest.raises(RunDirectoryError, match=r"run\.json"):
        RunRecord.read(path)


def test_a_run_without_its_trials_leaves_tensorboard_to_the_others(tmp_path: Path) -> None:
    sound, emptied = made(tmp_path / "runs/sound"), made(tmp_path / "runs/emptied")
    (sound.trials / "trial-1").mkdir()
    emptied.trials.rmdir()
    links = tmp_path / "links"
    links.mkdir()
    link_trials(links, [emptied, sound])
    assert [path.name for path in (links / "sound").iterdir()] == ["trial-1"]
