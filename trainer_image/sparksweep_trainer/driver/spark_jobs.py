"""Slots as Spark jobs. Executors import this module, and with it none of the driver's servers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from pyspark import InheritableThread, SparkContext, TaskContext

from sparksweep_trainer.driver.slot_loss import SlotFailed
from sparksweep_trainer.driver.spark_errors import STARTED_AGAIN, failure_of, first_line
from sparksweep_trainer.slot.slot import SlotTask
from sparksweep_trainer.slot.trial_client import Address

log = logging.getLogger(__name__)


class SparkJobs:
    """Runs slots as Spark jobs of one task, each with a thread that waits for its end."""

    def __init__(self, context: SparkContext, address: Callable[[int], Address]) -> None:
        # Tasks send their accumulators' values to the driver, which unpickles them, and user code could have written
        # them. Without this accumulator tasks send none.
        context._javaAccumulator = None
        self._context = context
        self._address = address

    def start(self, slot: int, ended: Callable[[SlotFailed | None], None]) -> None:
        """See `SlotJobs`."""
        InheritableThread(
            target=self._run, args=(slot, ended), name=f"slot-{slot}", daemon=True
        ).start()

    def cancel(self, slot: int) -> None:
        """See `SlotJobs`. A job that is just being submitted goes on; its slot leaves with its first request."""
        try:
            self._context.cancelJobGroup(_group(slot))
        except Exception as error:
            # If Spark has failed, the end of the job says so.
            log.warning("the job of slot %d could not be cancelled: %s", slot, first_line(error))

    def _run(self, slot: int, ended: Callable[[SlotFailed | None], None]) -> None:
        failed: SlotFailed | None = None
        try:
            self._context.setJobGroup(_group(slot), f"slot {slot}", interruptOnCancel=True)
            tasks = self._context.parallelize([slot], 1).mapPartitions(
                _FirstAttempt(SlotTask(slot, self._address(slot)))
            )
            # Counted in Java: PySpark's own actions unpickle in this process what the executors' Python sent.
            tasks._jrdd.count()
        except Exception as error:
            # Spark raises one type for a lost executor, a killed Python process and a stopped context alike.
            failed = failure_of(error)
        ended(failed)


@dataclass(frozen=True)
class _FirstAttempt:
    """Runs a slot once. Spark retries a task whose executor it believes lost through no fault of the task; the slot manager
    must find out the cause before another slot starts.
    """

    task: SlotTask

    def __call__(self, partition: Iterable[int]) -> Iterator[None]:
        context = TaskContext.get()
        if context is not None and context.attemptNumber() > 0:
            raise RuntimeError(STARTED_AGAIN)
        self.task(partition)
        return iter(())


def _group(slot: int) -> str:
    return f"slot-{slot}"
