"""The types of the API: one model for the CRDs, the SDK, the command line and what runs the trials."""

from sparksweep.api.experiment import Experiment, ExperimentSpec
from sparksweep.api.metadata import API_VERSION, ExperimentMeta, ObjectMeta
from sparksweep.api.reasons import ConditionType, ExperimentReason, TrialReason, TrialState
from sparksweep.api.search_spec import (
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
from sparksweep.api.status import (
    BestTrial,
    Condition,
    ExperimentStatus,
    RecentTrial,
    TrialCounts,
    TrialStatus,
)
from sparksweep.api.template import Gpu, Resources, Source, TrialParameter, TrialTemplate
from sparksweep.api.trial_batch import (
    Stop,
    TrialBatch,
    TrialBatchSpec,
    TrialBatchStatus,
    TrialSpec,
    batch_name,
)
from sparksweep.api.trials import Trial, best_of, count_states, reaches_goal, trials_of

__all__ = [
    "API_VERSION", "Algorithm", "AlgorithmName", "AlgorithmSetting", "BestTrial", "Condition", "ConditionType",
    "Distribution", "Experiment", "ExperimentMeta", "ExperimentReason", "ExperimentSpec", "ExperimentStatus",
    "FeasibleSpace", "Gpu", "ObjectMeta", "Objective", "ObjectiveType", "Parameter", "ParameterType", "RecentTrial",
    "Resources", "Source", "Stop", "Trial", "TrialBatch", "TrialBatchSpec", "TrialBatchStatus", "TrialCounts",
    "TrialParameter", "TrialReason", "TrialSpec", "TrialState", "TrialStatus", "TrialTemplate", "batch_name", "best_of",
    "count_states", "reaches_goal", "trials_of",
]  # fmt: skip
