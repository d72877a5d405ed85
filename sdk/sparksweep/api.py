"""The types of the API: one model for the CRDs, the SDK, the command line and the programs that run trials."""

from sparksweep_core.api.experiment import Experiment, ExperimentSpec
from sparksweep_core.api.metadata import API_VERSION, ExperimentMeta, ObjectMeta
from sparksweep_core.api.reasons import ConditionType, ExperimentReason, TrialReason, TrialState
from sparksweep_core.api.search_spec import (
    Algorithm,
    AlgorithmName,
    AlgorithmSetting,
    Distribution,
    FeasibleSpace,
    Objective,
    ObjectiveType,
    Parameter,
    ParameterType,
)
from sparksweep_core.api.status import (
    BestTrial,
    Condition,
    ExperimentStatus,
    RecentTrial,
    TrialCounts,
    TrialStatus,
)
from sparksweep_core.api.template import Gpu, Resources, Source, TrialParameter, TrialTemplate
from sparksweep_core.api.trial_batch import (
    Stop,
    TrialBatch,
    TrialBatchSpec,
    TrialBatchStatus,
    TrialSpec,
    batch_name,
)
from sparksweep_core.api.trials import Trial, best_of, count_states, reaches_goal, trials_of

__all__ = [
    "API_VERSION", "Algorithm", "AlgorithmName", "AlgorithmSetting", "BestTrial", "Condition", "ConditionType",
    "Distribution", "Experiment", "ExperimentMeta", "ExperimentReason", "ExperimentSpec", "ExperimentStatus",
    "FeasibleSpace", "Gpu", "ObjectMeta", "Objective", "ObjectiveType", "Parameter", "ParameterType", "RecentTrial",
    "Resources", "Source", "Stop", "Trial", "TrialBatch", "TrialBatchSpec", "TrialBatchStatus", "TrialCounts",
    "TrialParameter", "TrialReason", "TrialSpec", "TrialState", "TrialStatus", "TrialTemplate", "batch_name", "best_of",
    "count_states", "reaches_goal", "trials_of",
]  # fmt: skip
