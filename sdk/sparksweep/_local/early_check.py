"""The check of the trial code of a local run, beside the start of Spark: a mistake is known before a slot could report it.

The code is imported where it would be in a trial: in a process of its own, forked by a fork server.
"""

from __future__ import annotations

import threading
from types import TracebackType

from sparksweep_core.contract.program import Program
from sparksweep_trainer.driver.code_check import CodeCheck
from sparksweep_trainer.driver.slot_loss import Loss
from sparksweep_trainer.slot.runner import StopSignal, TrialRunner

SLOT = -1
"""The number under which the check is claimed: no slot has it."""


class EarlyCheck:
    """Checks the code in a thread, and reports to the run's `CodeCheck`. A context manager, which ends the check."""

    def __init__(self, program: Program, code_check: CodeCheck) -> None:
        self._program = program
        self._code_check = code_check
        self._stop = StopSignal()
        self._has_begun = threading.Event()
        self._thread = threading.Thread(target=self._run, name="early-check", daemon=True)

    def __enter__(self) -> EarlyCheck:
        self._code_check.start(SLOT)
        self._thread.start()
        # PySpark's part of this process hides variables of the environment, which trials get.
        self._has_begun.wait()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._stop.close()

    def _run(self) -> None:
        try:
            # The fork server ends with the thread that starts it, which is this one.
            with TrialRunner(_without_default_preloads(self._program), slot=SLOT) as runner:
                self._has_begun.set()
                message = runner.check(self._stop)
                # At once: the fork server takes a moment to end.
                self._report(message)
        except OSError as error:
            # No process or no file could be made: a slot will try again.
            self._code_check.lose(SLOT, Loss(str(error)))
        finally:
            self._has_begun.set()

    def _report(self, message: str | None) -> None:
        if message is None:
            self._code_check.accept(SLOT)
        elif not self._stop.is_set:
            self._code_check.refuse(SLOT, message)


def _without_default_preloads(program: Program) -> Program:
    """Return the program for one check alone: it forks once, and what it does not import must not delay it."""
    template = program.trial_template
    preload = template.preload or []
    return program.model_copy(
        update={"trial_template": template.model_copy(update={"preload": preload})}
    )
