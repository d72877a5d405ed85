"""An Experiment written as YAML and read again: its code, the types of its values, its folder; and files that are none."""

from __future__ import annotations

import io
import random
import warnings
from pathlib import Path
from typing import Any

import pytest

from sparksweep import Experiment, search
from sparksweep.cli.documents import read_file
from sparksweep.errors import InvalidExperiment, MissingFile, UnreadableFile
from sparksweep_core.kubernetes_yaml import dump_yaml
from sparksweep_trainer.trial.arguments import decode


class Plain:
    """An object that no YAML holds."""


def training(x: object, y: object = None) -> float:
    return 1.0


def large() -> Experiment:
    data = random.Random(0).randbytes(400_000)

    def function(x: int) -> int:
        return x + len(data)

    return Experiment(function, {"x": [1, 2]}, name="large")


@pytest.mark.parametrize(
    "values",
    [
        [True, False], [None, 1], [(1, 2), (3,)], [{"a": [1, (2,)]}, {}], [0.1, 1e20, 1e-3, 5e-324], [2**53 + 1, -(10**30)],
        ["yes", "no", "on", "1e-3", "0o17", "2020-01-01", "null", "~", "12:30", " a ", "#b", "é\u2028"], ["", "x"],
        [b"ab", b""], [float("inf"), 1.0], [1, 1.5, "auto"], [True, 1.5, None, "None "], [{1, 2}], [10**400], [[[]], []],
        ["1", "2"], [0.1 + 0.2], [1.0, 2], [False], [-0.0, 1.0],
    ],
    ids=repr,
)  # fmt: skip
def test_values_keep_their_types(values: list[Any]) -> None:
    made = Experiment(training, {"x": values}, objective=None)
    again = Experiment.from_yaml(made.to_yaml())
    assert again.spec == made.spec
    assert read_values(again) == read_values(made) == [(type(value), value) for value in values]
    assert again.to_yaml() == made.to_yaml()


def read_values(experiment: Experiment) -> list[tuple[type, object]]:
    """Return the values of x as results give them, with their types."""
    by_text = experiment._built.values.get("x", {})
    parameter = experiment.spec.parameters[0]
    texts = parameter.feasible_space.list or []
    kind = parameter.parameter_type.value
    read = [by_text[text] if by_text else decode(kind, text) for text in texts]
    return [(type(value), value) for value in read]


def test_objects_are_named_in_a_warning_since_yaml_has_their_texts_only() -> None:
    made = Experiment(training, {"x": [Plain, training], "y": [True]}, objective=None)
    with pytest.warns(UserWarning, match="only the texts of values of x:"):
        text = made.to_yaml()
    again = Experiment.from_yaml(text)
    assert again._built.values == {"y": {"True": True}}
    assert again.spec.parameters[0].feasible_space.list == ["Plain", "training"]


def test_a_large_function_is_read_with_its_config_map() -> None:
    made = large()
    text = made.to_yaml()
    assert text.count("---\n") == 1
    again = Experiment.from_yaml(text)
    assert again.to_yaml() == text
    assert again.spec == made.spec
    assert again._built.code is not None
    assert made._built.code is not None
    assert again._built.code.files == made._built.code.files


@pytest.mark.parametrize(
    ("change", "path", "message"),
    [
        (lambda first, second: second, None, ""),
        (lambda first, second: first, "document", "has no Experiment, only a ConfigMap"),
        (lambda first, second: f"{first}---\n{second}---\n{second}", "document", "has 2 Experiments"),
        (lambda first, second: f"{first}---\n{first}---\n{second}", "document", "put others into a file of their own"),
        (lambda first, second: f"{first.replace('large-function', 'other')}---\n{second}", "document", "'other'"),
        (lambda first, second: f"kind: ConfigMap\nmetadata: {{name: large-function}}\n---\n{second}",
         "data['sparksweep_function.py']", "no text under this key"),
        (lambda first, second: f"kind: ConfigMap\nmetadata: 3\ndata: 4\n---\n{second}", "document", "None"),
        (lambda first, second: f"[1]\n---\n{second}", "document", "is a list"),
    ],
)  # fmt: skip
def test_other_documents_are_refused_in_words(change: Any, path: str | None, message: str) -> None:
    text = change(*large().to_yaml().split("---\n"))
    if path is None:
        assert Experiment.from_yaml(text).name == "large"
        return
    with pytest.raises(InvalidExperiment) as caught:
        Experiment.from_yaml(text)
    assert caught.value.errors[0].path == path
    assert message in caught.value.errors[0].message


DOCUMENT = Experiment("train:training", {"x": [1]}, name="digits").to_yaml()


@pytest.mark.parametrize("source", [DOCUMENT, io.StringIO(DOCUMENT), io.BytesIO(DOCUMENT.encode())])
def test_text_and_open_files_are_read(source: Any) -> None:
    read = Experiment.from_yaml(source)
    assert (read.name, read._built.home) == ("digits", None)


def test_a_file_has_its_modules_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "e.yaml").write_text(DOCUMENT)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    named: list[str | Path] = [
        Path("project/e.yaml"),
        "project/e.yaml",
        folder / "e.yaml",
        "~/project/e.yaml",
    ]
    for source in named:
        assert Experiment.from_yaml(source)._built.home == folder
    with open("project/e.yaml") as file:
        assert Experiment.from_yaml(file)._built.home == folder


@pytest.mark.parametrize(
    ("source", "kind", "message"),
    [
        ("nope.yaml", MissingFile, "nope.yaml: there is no such file in "),
        (Path("a/b/nope.yaml"), MissingFile, "a/b/nope.yaml: there is no such file in "),
        ("/nope.yaml", MissingFile, "/nope.yaml: there is no such file"),
        ("folder", UnreadableFile, "folder: is a directory: name a file in it, such as e.yaml"),
        ("binary.yaml", UnreadableFile, "binary.yaml: is not UTF-8 text: byte 0 is 0x80"),
        ("nul.yaml", InvalidExperiment, "document: is not YAML"),
        ("a\0b", UnreadableFile, "can't be read: embedded null byte"),
        ("x" * 5000, UnreadableFile, "can't be read: File name too long"),
        ("", UnreadableFile, "is a directory"),
        (None, InvalidExperiment, "source: None is neither the path of a file nor YAML"),
        (3, InvalidExperiment, "source: 3 is neither"),
        (b"kind: Experiment\n", InvalidExperiment, "is neither"),
        ({"kind": "Experiment"}, InvalidExperiment, "is neither"),
        ("kind: Foo", InvalidExperiment, "kind: \"Foo\" is not Experiment"),
        ("{kind: Foo}", InvalidExperiment, "\"Foo\" is not Experiment"),
        ("kind:\n", InvalidExperiment, "kind: is empty"),
        ("\n", InvalidExperiment, "document: is empty"),
        ("- a\n- b\n", InvalidExperiment, "document: is a list"),
        ("a: [\n", InvalidExperiment, "document: line"),
    ],
)  # fmt: skip
def test_a_source_that_is_none_is_refused_in_words(
    source: Any, kind: type[Exception], message: str, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "e.yaml").write_text("")
    (tmp_path / "binary.yaml").write_bytes(b"\x80\x81")
    (tmp_path / "nul.yaml").write_bytes(b"a: \0\n")
    with pytest.raises(kind) as caught:
        Experiment.from_yaml(source)
    assert message in str(caught.value)
    assert isinstance(caught.value, InvalidExperiment)
    assert isinstance(caught.value, FileNotFoundError) == (kind is MissingFile)


def test_a_value_annotation_that_is_damaged_counts_as_none() -> None:
    made = Experiment(training, {"x": [True]}, objective=None).to_dict()
    for damaged in ("", "3", "[]", '{"x": 3}', '{"x": {"True": "exit()"}}', "{" * 100_000):
        made["metadata"]["annotations"]["sparksweep.dev/python-values"] = damaged
        assert Experiment.from_yaml(dump_yaml(made))._built.values == {}


def test_a_tilde_is_the_home_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sparksweep._backends.local import LocalBackend

    monkeypatch.setenv("HOME", str(tmp_path))
    assert LocalBackend("~/x")._directory == tmp_path / "x"


def test_reading_and_writing_warn_of_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Experiment.from_yaml(Experiment(training, {"x": search.choice(True, None)}).to_yaml())


def test_the_commands_read_a_large_function_too(tmp_path: Path) -> None:
    made = large()
    file = tmp_path / "large.yaml"
    file.write_text(made.to_yaml())
    built = read_file(file)
    assert built.experiment.spec == made.spec
    assert built.on_a_cluster.to_dict() == made.to_dict()
    assert built.code is not None
    assert list(built.code.files) == ["sparksweep_function.py"]
