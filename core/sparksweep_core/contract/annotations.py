"""Annotations of TrialBatches: facts that the planner notes in what it writes, for the planner that comes after it."""

from __future__ import annotations

from sparksweep_core.api.metadata import GROUP

ENDING_ANNOTATION = f"{GROUP}/ending"
"""Annotation of a batch with ``spec.stop``: reason of the Complete or Failed condition to come."""
SEED_ANNOTATION = f"{GROUP}/seed"
"""Annotation of a batch: the seed that its trials were drawn with."""
