"""Documents of the repository: examples are valid, links lead to files, and no machine's paths are named."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from sparksweep_core.validation.document import read_experiment

ROOT = Path(__file__).parents[2]

EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))

LINK = re.compile(r"\]\(([^()\s]+)\)")
CODE_BLOCK = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)

MODULE_PATH = re.compile(r"[\w./-]+\.py\b")

MACHINE_PATH = re.compile(r"(?<![\w.$}*-])/(?:work|root|home)/\S*")
REGISTRY_HOST = re.compile(
    r"\b(?:(?:test[.])?pypi[.](?:org|io|python[.]org)|files[.]pythonhosted[.]org|(?:repo1?|central)[.]maven[.](?:org|apache[.]org)"
    r"|registry[.]npmjs[.]org|conda[.]anaconda[.]org|proxy[.]golang[.]org)\b"
)


def tracked_files() -> list[Path]:
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_every_example_is_a_valid_experiment_named_after_its_file(path: Path) -> None:
    assert read_experiment(path).metadata.name == path.stem


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_every_example_is_listed_in_the_examples_readme(path: Path) -> None:
    assert f"({path.name})" in (ROOT / "examples" / "README.md").read_text()


def test_relative_links_in_the_documents_lead_to_files_that_exist() -> None:
    documents = [path for path in tracked_files() if path.suffix == ".md"]
    assert documents
    broken = [
        f"{document.relative_to(ROOT)}: {target}"
        for document in documents
        for target in relative_links(document.read_text())
        if not (document.parent / target).exists()
    ]
    assert broken == []


def test_every_module_that_the_architecture_names_exists() -> None:
    documents = [ROOT / "ARCHITECTURE.md", *sorted((ROOT / "docs" / "internals").glob("*.md"))]
    assert len(documents) > 1
    files = {path.relative_to(ROOT).as_posix() for path in tracked_files()}
    missing = [
        f"{document.relative_to(ROOT)}: {module}"
        for document in documents
        for module in MODULE_PATH.findall(document.read_text())
        if not names_a_file(module, files)
    ]
    assert missing == []


def test_a_module_is_named_by_the_end_of_its_path() -> None:
    files = {"core/sparksweep_core/errors.py", "sdk/sparksweep/errors.py"}
    for module in ("errors.py", "sparksweep/errors.py", "core/sparksweep_core/errors.py"):
        assert names_a_file(module, files)
    for module in ("rrors.py", "sparksweep_trainer/errors.py", "errors/py.py"):
        assert not names_a_file(module, files)
    assert MODULE_PATH.findall("`a/b.py`, `c_d.py` and [e](../f/g.py).") == ["a/b.py", "c_d.py", "../f/g.py"]  # fmt: skip


def test_a_link_in_prose_is_found_and_one_in_a_code_block_is_not() -> None:
    text = "See [a](docs/a.md#part), [b](https://example.org), [c](#here).\n```\n[d](no.md)\n```\n"
    assert relative_links(text) == ["docs/a.md"]


def test_no_tracked_file_names_a_path_of_somebodys_machine_or_a_registrys_host() -> None:
    findings = [
        f"{path.relative_to(ROOT)}: {found}"
        for path in tracked_files()
        if (text := text_of(path)) is not None
        for found in private_names(text)
    ]
    assert findings == []


@pytest.mark.parametrize("place", ["work", "root", "home"])
def test_a_path_of_a_machine_is_recognised(place: str) -> None:
    assert private_names(f'open("/{place}/me/data.csv")') == [f'/{place}/me/data.csv")']


def test_a_registrys_host_is_recognised() -> None:
    host = ".".join(("files", "pythonhosted", "org"))
    assert private_names(f"--find-links https://{host}/packages") == [host]


def test_a_relative_path_or_a_url_is_nobodys_machine() -> None:
    assert private_names("docs/work/plan.md https://example.org/home/page $HOME/work/x") == []


def names_a_file(module: str, files: set[str]) -> bool:
    """Return True if a module's path, or the end of it, names one of the files."""
    end = module.replace("../", "")
    return any(file == end or file.endswith(f"/{end}") for file in files)


def relative_links(text: str) -> list[str]:
    targets = LINK.findall(CODE_BLOCK.sub("", text))
    paths = [target.split("#")[0] for target in targets if "://" not in target]
    return [path for path in paths if path and not path.startswith("mailto:")]


def private_names(text: str) -> list[str]:
    return MACHINE_PATH.findall(text) + REGISTRY_HOST.findall(text)


def text_of(path: Path) -> str | None:
    """Return the file's text; None for a binary file."""
    content = path.read_bytes()
    return None if b"\0" in content else content.decode()
