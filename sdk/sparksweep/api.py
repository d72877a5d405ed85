"""The types of the API: one model for the CRDs, the SDK, the command line and the programs that run trials.

The same names as in `sparksweep_core.api`, which defines them: ``from sparksweep.api import Experiment``.
"""

from sparksweep_core.api import *  # noqa: F403 - its __all__ is the list, here as well
from sparksweep_core.api import __all__ as __all__
