"""Programs as users write them: each function gives the same value as a trial as when its program calls it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.sdk.changed_modules import CHANGED_MODULES
from support.sdk.programs import Programs, value_of_a_trial
from support.sdk.shipped_programs import PROGRAMS, Program


@pytest.fixture(scope="module")
def programs() -> Iterator[Programs]:
    with Programs() as running:
        yield running


@pytest.mark.parametrize("program", [*PROGRAMS, *CHANGED_MODULES], ids=lambda program: program.name)
def test_a_function_is_the_same_as_a_trial_or_refused_with_the_culprit_at_once(
    tmp_path: Path, programs: Programs, program: Program
) -> None:
    here = programs.run(program.files, tmp_path, paths=program.paths)
    if program.refused is not None:
        assert here.refusal is not None, here.direct
        assert program.refused in here.refusal
        return
    assert here.refusal is None
    there = value_of_a_trial(here, tmp_path, elsewhere=program.elsewhere, paths=program.paths)
    assert there == pytest.approx(float(here.direct))


def test_the_corpus_has_programs_of_every_outcome_and_no_name_twice() -> None:
    names = [program.name for program in [*PROGRAMS, *CHANGED_MODULES]]
    assert len(names) == len(set(names))
    assert len([program for program in PROGRAMS if program.refused is None]) >= 40
    assert len([program for program in PROGRAMS if program.refused is not None]) >= 10
