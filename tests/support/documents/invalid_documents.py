"""Documents with one mistake each: the expected message, and the layer that notices first.

``schema``: the API server, by the schema. ``cel``: the API server, by a rule. ``check``: only this package; for these a
test holds that the server takes them, so that a row says truly who is the last to notice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from support.documents.experiments_for_checks import COMMAND, FUNCTION, REMOVED, changed


@dataclass(frozen=True)
class Row:
    """One mistake."""

    id: str
    changes: Mapping[str, object]
    path: str
    message: str
    """A regular expression, searched for."""
    caught_by: Literal["schema", "cel", "check"]
    base: Mapping[str, Any]

    @property
    def document(self) -> dict[str, Any]:
        return changed(self.base, self.changes)


Rows = list[tuple[str, dict[str, object], str, str, Literal["schema", "cel", "check"]]]

SPEC = "spec"
TEMPLATE = "spec.trialTemplate"
LR = "spec.parameters[0].feasibleSpace"
LAYERS = "spec.parameters[1].feasibleSpace"
WIDTH = "spec.parameters[2].feasibleSpace"
ACTIVATION = "spec.parameters[3].feasibleSpace"
SETTINGS = "spec.algorithm.algorithmSettings"

NO_END: dict[str, object] = {f"{SPEC}.maxTrialCount": REMOVED}
STEPPED: dict[str, object] = {f"{LR}.step": "0.1"}
GRID: dict[str, object] = {**STEPPED, "spec.algorithm.algorithmName": "grid"}
EVOLUTION: dict[str, object] = {"spec.algorithm.algorithmName": "differential-evolution"}


def settings(**values: str) -> dict[str, object]:
    return {SETTINGS: [{"name": name, "value": value} for name, value in values.items()]}


def source(text: str) -> dict[str, object]:
    return {f"{TEMPLATE}.source.inline": text}


def toleration(**fields: object) -> dict[str, object]:
    return {f"{TEMPLATE}.tolerations": [fields]}


WHOLE: Rows = [
    ("name-with-capital", {"metadata.name": "Digits"}, "metadata.name", "lower-case", "cel"),
    ("name-with-katibs-hole", {"metadata.name": "a-b!"}, "metadata.name", "lower-case", "cel"),
    ("name-ending-in-dash", {"metadata.name": "a-"}, "metadata.name", "lower-case", "cel"),
    ("name-starting-with-digit", {"metadata.name": "1a"}, "metadata.name", "lower-case", "cel"),
    ("name-too-long", {"metadata.name": "a" * 41}, "metadata.name", "41 characters, at most 40", "cel"),
    ("kind-misspelt", {"kind": "Experiments"}, "kind", "is not Experiment", "schema"),
    ("api-version-of-katib", {"apiVersion": "kubeflow.org/v1beta1"}, "apiVersion",
     "is the version of Katib: write sparksweep.dev/v1alpha1", "schema"),
    ("no-api-version", {"apiVersion": REMOVED}, "apiVersion", "missing: write apiVersion:", "schema"),
    ("no-kind", {"kind": REMOVED}, "kind", "missing: write kind: Experiment", "schema"),
    ("no-spec", {"spec": REMOVED}, "spec", "missing: The search, and the trials to run.$", "schema"),
    ("spec-is-a-list", {"spec": []}, "spec", r"\[\] is not a mapping", "schema"),
    ("unknown-top-level", {"specs": {}}, "specs", "did you mean spec", "schema"),
    ("unknown-field", {"spec.maxTrials": 3}, "spec.maxTrials", "did you mean maxTrialCount", "schema"),
    ("snake-case-field", {"spec.max_failed_trial_count": 3}, "spec.max_failed_trial_count",
     "did you mean maxFailedTrialCount", "schema"),
    ("unlike-any-field", {"spec.qqq": 3}, "spec.qqq", "the fields are objective, algorithm", "schema"),
    ("status-of-another-shape", {"status": {"trials": {"created": -1}}}, "status.trials.created",
     "-1 is less than 0", "check"),
]  # fmt: skip

KATIB: Rows = [
    ("katib-resume-policy", {"spec.resumePolicy": "Never"}, "spec.resumePolicy",
     "a field of Katib: every experiment can be resumed", "schema"),
    ("katib-metrics-collector", {"spec.metricsCollectorSpec": {}}, "spec.metricsCollectorSpec",
     "prints them as name=value", "schema"),
    ("katib-early-stopping", {"spec.earlyStopping": {"algorithmName": "medianstop"}},
     "spec.earlyStopping", "objective.goal", "schema"),
    ("katib-nas", {"spec.nasConfig": {}}, "spec.nasConfig", "categorical", "schema"),
    ("katib-trial-spec", {f"{TEMPLATE}.trialSpec": {}}, f"{TEMPLATE}.trialSpec",
     "no Job per trial; move the container's command", "schema"),
    ("katib-config-map", {f"{TEMPLATE}.configMap": {}}, f"{TEMPLATE}.configMap",
     "source: {configMap:", "schema"),
    ("katib-retain", {f"{TEMPLATE}.retain": True}, f"{TEMPLATE}.retain", "are kept", "schema"),
    ("katib-primary-container", {f"{TEMPLATE}.primaryContainerName": "a"},
     f"{TEMPLATE}.primaryContainerName", "a process", "schema"),
    ("katib-primary-labels", {f"{TEMPLATE}.primaryPodLabels": {}}, f"{TEMPLATE}.primaryPodLabels",
     "a process", "schema"),
    ("katib-success-condition", {f"{TEMPLATE}.successCondition": "x"}, f"{TEMPLATE}.successCondition",
     "exits with 0", "schema"),
    ("katib-failure-condition", {f"{TEMPLATE}.failureCondition": "x"}, f"{TEMPLATE}.failureCondition",
     "exits with 0", "schema"),
    ("pods-limits", {f"{TEMPLATE}.resources": {"limits": {"cpu": "1"}}},
     f"{TEMPLATE}.resources.limits", "directly under resources", "schema"),
    ("katib-algorithm", {"spec.algorithm.algorithmName": "tpe"}, "spec.algorithm.algorithmName",
     '"tpe" is an algorithm of Katib: there are grid, random, differential-evolution', "schema"),
]  # fmt: skip

COUNTS: Rows = [
    ("parallel-zero", {"spec.parallelTrialCount": 0}, "spec.parallelTrialCount", "0 is less than 1", "schema"),
    ("parallel-too-many", {"spec.parallelTrialCount": 1001, "spec.maxTrialCount": 2000},
     "spec.parallelTrialCount", "1001 is more than 1,000", "schema"),
    ("max-zero", {"spec.maxTrialCount": 0}, "spec.maxTrialCount", "0 is less than 1", "schema"),
    ("max-beyond-limit", {"spec.maxTrialCount": 1_000_001}, "spec.maxTrialCount", "more than 1,000,000", "schema"),
    ("max-quoted", {"spec.maxTrialCount": "10"}, "spec.maxTrialCount", "write 10 without quotes", "schema"),
    ("max-in-words", {"spec.maxTrialCount": "ten"}, "spec.maxTrialCount", '"ten" is not an integer', "schema"),
    ("max-fraction", {"spec.maxTrialCount": 1.5}, "spec.maxTrialCount", "1.5 is not an integer", "schema"),
    ("max-boolean", {"spec.maxTrialCount": True}, "spec.maxTrialCount", "true is not an integer", "schema"),
    ("failed-negative", {"spec.maxFailedTrialCount": -1}, "spec.maxFailedTrialCount", "-1 is less than 0", "schema"),
    ("failed-above-max", {"spec.maxFailedTrialCount": 11}, "spec.maxFailedTrialCount",
     "11 is more than maxTrialCount 10", "cel"),
    ("suspend-quoted", {"spec.suspend": "true"}, "spec.suspend", "write true without quotes", "schema"),
    ("suspend-number", {"spec.suspend": 1}, "spec.suspend", "1 is not true or false", "schema"),
    ("deadline-zero", {"spec.activeDeadlineSeconds": 0}, "spec.activeDeadlineSeconds", "less than 1", "schema"),
    ("ttl-negative", {"spec.ttlSecondsAfterFinished": -1}, "spec.ttlSecondsAfterFinished", "less than 0", "schema"),
]  # fmt: skip

OBJECTIVE: Rows = [
    ("objective-type-in-capitals", {"spec.objective.type": "MAXIMIZE"}, "spec.objective.type",
     "did you mean maximize", "schema"),
    ("objective-type-max", {"spec.objective.type": "upwards"}, "spec.objective.type",
     "not one of minimize, maximize$", "schema"),
    ("objective-without-type", {"spec.objective.type": REMOVED}, "spec.objective.type", "is missing", "schema"),
    ("objective-without-metric", {"spec.objective.objectiveMetricName": REMOVED},
     "spec.objective.objectiveMetricName", "missing: Name of the metric by which trials are compared", "schema"),
    ("metric-empty", {"spec.objective.objectiveMetricName": ""}, "spec.objective.objectiveMetricName",
     "is empty", "schema"),
    ("metric-with-blank-at-its-end", {"spec.objective.objectiveMetricName": "val acc "},
     "spec.objective.objectiveMetricName", "without blanks at its ends", "schema"),
    ("metric-of-two-lines", {"spec.objective.additionalMetricNames": ["val\nacc"]},
     "spec.objective.additionalMetricNames[0]", "any text of one line", "schema"),
    ("metric-too-long", {"spec.objective.objectiveMetricName": "é" * 129},
     "spec.objective.objectiveMetricName", "has 129 characters, at most 128", "schema"),
    ("metric-twice", {"spec.objective.additionalMetricNames": ["loss", "loss"]},
     "spec.objective.additionalMetricNames[1]", "given twice", "schema"),
    ("objective-among-additional", {"spec.objective.additionalMetricNames": ["loss", "accuracy"]},
     "spec.objective.additionalMetricNames[1]", "is the objectiveMetricName", "cel"),
    ("strategy-of-unknown-metric", {"spec.objective.metricStrategies": [{"name": "auc", "value": "max"}]},
     "spec.objective.metricStrategies[0].name", '"auc" is not a metric of this experiment: there are accuracy', "cel"),
    ("strategy-twice",
     {"spec.objective.metricStrategies": [{"name": "accuracy", "value": "max"}, {"name": "accuracy", "value": "min"}]},
     "spec.objective.metricStrategies[1].name", "given twice", "schema"),
    ("strategy-mean", {"spec.objective.metricStrategies": [{"name": "accuracy", "value": "mean"}]},
     "spec.objective.metricStrategies[0].value", "not one of min, max, latest", "schema"),
]  # fmt: skip

ALGORITHM: Rows = [
    ("no-algorithm", {"spec.algorithm": REMOVED}, "spec.algorithm", "missing: The search algorithm and its settings", "schema"),
    ("algorithm-misspelt", {"spec.algorithm.algorithmName": "randm"}, "spec.algorithm.algorithmName",
     "did you mean random", "schema"),
    ("algorithm-by-name", {"spec.algorithm.name": "grid"}, "spec.algorithm.name", "did you mean algorithmName", "schema"),
    ("random-without-end", NO_END, "spec.maxTrialCount", "never ends by itself", "cel"),
    ("evolution-without-objective", {**EVOLUTION, "spec.objective": REMOVED}, "spec.objective",
     "compares trials by a metric", "cel"),
    ("grid-with-settings", {**GRID, **settings(random_state="1")}, f"{SETTINGS}[0].name",
     '"random_state": grid has no settings', "check"),
    ("unknown-setting", settings(sed="1"), f"{SETTINGS}[0].name", "did you mean seed", "check"),
    ("setting-of-another-algorithm", settings(population="10"), f"{SETTINGS}[0].name",
     "not a setting of random: there are seed", "check"),
    ("setting-as-number", {SETTINGS: [{"name": "seed", "value": 7}]}, f"{SETTINGS}[0].value",
     'write "7" in quotes', "schema"),
    ("setting-twice", {SETTINGS: [{"name": "seed", "value": "1"}, {"name": "seed", "value": "2"}]},
     f"{SETTINGS}[1].name", "given twice", "schema"),
    ("seed-twice-by-alias", settings(seed="1", random_state="2"), f"{SETTINGS}[1].name",
     '"random_state" is given as seed already', "check"),
    ("seed-negative", settings(seed="-1"), f"{SETTINGS}[0].value", "integer from 0", "check"),
    ("seed-fraction", settings(seed="1.5"), f"{SETTINGS}[0].value", "integer from 0", "check"),
    ("population-too-small", {**EVOLUTION, **settings(population="3")}, f"{SETTINGS}[0].value",
     '"3" is not an integer from 4', "check"),
    ("generations-zero", {**EVOLUTION, **settings(generations="0")}, f"{SETTINGS}[0].value", "from 1", "check"),
    ("mutation-zero", {**EVOLUTION, **settings(mutation="0")}, f"{SETTINGS}[0].value", "above 0 and up to 2", "check"),
    ("mutation-nan", {**EVOLUTION, **settings(mutation="nan")}, f"{SETTINGS}[0].value", "above 0 and up to 2", "check"),
    ("crossover-above-one", {**EVOLUTION, **settings(crossover="1.01")}, f"{SETTINGS}[0].value",
     "from 0 to 1", "check"),
    ("evolution-too-long", {**EVOLUTION, **NO_END, **settings(population="10000", generations="101")},
     "spec.maxTrialCount", "is 1,010,000 trials", "check"),
]  # fmt: skip

PARAMETERS: Rows = [
    ("no-parameters", {"spec.parameters": []}, "spec.parameters", "is empty: give at least one", "schema"),
    ("parameters-as-mapping", {"spec.parameters": {"lr": [0.1]}}, "spec.parameters", "is not a list", "schema"),
    ("too-many-parameters",
     {"spec.parameters": [{"name": f"p{i}", "parameterType": "int", "feasibleSpace": {"min": "0", "max": "1"}}
                          for i in range(65)]},
     "spec.parameters", "has 65 entries, at most 64", "schema"),
    ("parameters-too-large-together",
     {"spec.parameters": [
         {"name": f"p{i}", "parameterType": "categorical", "feasibleSpace": {"list": ["<" * 256, "a"]}}
         for i in range(43)]},
     "spec.parameters", r"one trial can take 66,\d+ bytes .* more than 65,536; .* spec.parameters\[10\], 1,5\d\d bytes", "check"),
    ("parameter-twice", {"spec.parameters[2].name": "lr"}, "spec.parameters[2].name",
     r'"lr" is the name of spec.parameters\[0\] already', "schema"),
    ("parameter-without-name", {"spec.parameters[0].name": REMOVED}, "spec.parameters[0].name", "is missing", "schema"),
    ("parameter-name-with-brace", {"spec.parameters[0].name": "l{r}"}, "spec.parameters[0].name",
     "is not the name of a parameter", "schema"),
    ("parameter-name-with-blank", {"spec.parameters[0].name": "l r"}, "spec.parameters[0].name",
     "is not the name of a parameter", "schema"),
    ("parameter-name-with-a-sign", {"spec.parameters[0].name": "a\u00d7b"}, "spec.parameters[0].name",
     "has characters that are no letters", "check"),
    ("parameter-name-in-another-form", {"spec.parameters[0].name": "gro\u0308\u00dfe"}, "spec.parameters[0].name",
     "write gr\u00f6\u00dfe", "check"),
    ("parameter-type-unknown", {"spec.parameters[0].parameterType": "float"}, "spec.parameters[0].parameterType",
     "not one of double, int, discrete, categorical", "schema"),
    ("space-missing", {LR: REMOVED}, LR, "missing: Values that the parameter may take", "schema"),
    ("space-is-null", {LR: None}, LR, "is empty: give a value", "schema"),
    ("min-unquoted", {f"{LR}.min": 0.1}, f"{LR}.min", '0.1 is a number: write "0.1" in quotes', "schema"),
    ("min-in-words", {f"{LR}.min": "low"}, f"{LR}.min", '"low" is not a decimal number', "schema"),
    ("min-infinite", {f"{LR}.min": "-inf"}, f"{LR}.min", "not a decimal number", "schema"),
    ("min-with-two-points", {f"{LR}.min": "0.1.2"}, f"{LR}.min", "not a decimal number", "schema"),
    ("number-too-long", {f"{LR}.min": "0." + "1" * 39}, f"{LR}.min", "41 characters, at most 40", "schema"),
    ("list-unquoted", {f"{WIDTH}.list": ["8", 16]}, f"{WIDTH}.list[1]", 'write "16" in quotes', "schema"),
    ("list-of-booleans", {f"{ACTIVATION}.list": ["relu", True]}, f"{ACTIVATION}.list[1]",
     "true is not text: put the word that you wrote, such as n, no or on, in quotes", "schema"),
    ("list-empty", {f"{ACTIVATION}.list": []}, f"{ACTIVATION}.list", "is empty: give at least one", "schema"),
    ("list-with-empty-text", {f"{ACTIVATION}.list": ["", "a"]}, f"{ACTIVATION}.list[0]", "is empty", "schema"),
    ("list-too-long", {f"{WIDTH}.list": [str(i) for i in range(1001)]}, f"{WIDTH}.list",
     "has 1001 entries, at most 1000", "schema"),
    ("distribution-misspelt", {f"{LR}.distribution": "loguniform"}, f"{LR}.distribution",
     "did you mean logUniform", "schema"),
    ("double-without-max", {f"{LR}.max": REMOVED}, f"{LR}.max", "is missing: double needs min and max", "cel"),
    ("int-without-min", {f"{LAYERS}.min": REMOVED}, f"{LAYERS}.min", "is missing: int needs min and max", "cel"),
    ("double-with-list", {LR: {"list": ["0.1", "0.2"]}}, f"{LR}.list", "set parameterType to discrete", "cel"),
    ("int-with-list-too", {f"{LAYERS}.list": ["1"]}, f"{LAYERS}.list", "set parameterType to discrete", "cel"),
    ("min-equals-max", {f"{LR}.min": "0.50"}, f"{LR}.min", "leaves one value", "cel"),
    ("int-min-equals-max", {f"{LAYERS}.min": "9"}, f"{LAYERS}.min", "leaves one value", "cel"),
    ("min-equals-max-as-double", {f"{LR}.min": "0.49999999999999999999"}, f"{LR}.min", "equal as doubles", "cel"),
    ("max-beyond-double", {f"{LR}.max": "1e309"}, f"{LR}.max", "too large for a double", "cel"),
    ("range-beyond-double", {f"{LR}.min": "-1e308", f"{LR}.max": "1e308"}, f"{LR}.max", "too far from min", "cel"),
    ("min-below-double", {f"{LR}.min": "1e-400"}, f"{LR}.min", "too small for a double", "check"),
    ("int-with-fraction", {f"{LAYERS}.max": "9.5"}, f"{LAYERS}.max", "9.5 is not written as an integer", "cel"),
    ("int-with-exponent", {f"{LAYERS}.max": "1e2"}, f"{LAYERS}.max", "not written as an integer", "cel"),
    ("int-step-with-fraction", {f"{LAYERS}.step": "0.5"}, f"{LAYERS}.step", "not written as an integer", "cel"),
    ("int-beyond-64-bits", {f"{LAYERS}.max": "9223372036854775808"}, f"{LAYERS}.max", "64 bits", "check"),
    ("step-zero", {f"{LR}.step": "0"}, f"{LR}.step", "0 is not above 0", "cel"),
    ("step-negative", {f"{LR}.step": "-0.1"}, f"{LR}.step", "-0.1 is not above 0", "cel"),
    ("step-beyond-range", {f"{LR}.step": "0.41"}, f"{LR}.step", "0.41 is more than max - min", "check"),
    ("step-with-log", {f"{LR}.step": "0.1", f"{LR}.distribution": "logUniform"}, f"{LR}.step",
     "can't be combined with distribution logUniform", "cel"),
    ("step-with-normal", {f"{LR}.step": "0.1", f"{LR}.distribution": "normal"}, f"{LR}.step",
     "can't be combined with distribution normal", "cel"),
    ("step-with-log-normal", {f"{LAYERS}.step": "1", f"{LAYERS}.distribution": "logNormal"}, f"{LAYERS}.step",
     "can't be combined with distribution logNormal", "cel"),
    ("log-from-zero", {f"{LR}.min": "0", f"{LR}.distribution": "logUniform"}, f"{LR}.min",
     "0 has no logarithm: logUniform needs min above 0", "cel"),
    ("log-normal-from-negative", {f"{LAYERS}.min": "-1", f"{LAYERS}.distribution": "logNormal"}, f"{LAYERS}.min",
     "-1 has no logarithm", "cel"),
    ("discrete-without-list", {WIDTH: {}}, f"{WIDTH}.list", "is missing: discrete needs the list", "cel"),
    ("categorical-without-list", {ACTIVATION: {"distribution": "uniform"}}, f"{ACTIVATION}.list",
     "is missing: categorical needs the list", "cel"),
    ("categorical-with-max", {f"{ACTIVATION}.max": "3"}, f"{ACTIVATION}.max", "categorical has a list", "cel"),
    ("discrete-with-min", {f"{WIDTH}.min": "3"}, f"{WIDTH}.min", "discrete has a list", "cel"),
    ("discrete-with-step", {f"{WIDTH}.step": "3"}, f"{WIDTH}.step", "discrete has a list", "cel"),
    ("categorical-with-distribution", {f"{ACTIVATION}.distribution": "normal"}, f"{ACTIVATION}.distribution",
     "equally likely", "cel"),
    ("discrete-with-text", {f"{WIDTH}.list": ["8", "wide"]}, f"{WIDTH}.list[1]", '"wide" is not a number', "check"),
    ("discrete-infinite", {f"{WIDTH}.list": ["8", "1e400"]}, f"{WIDTH}.list[1]", "too large for a double", "check"),
    ("discrete-same-decimal", {f"{WIDTH}.list": ["0.1", "0.10"]}, f"{WIDTH}.list[1]",
     '"0.10" is the same number as "0.1"', "check"),
    ("discrete-twice", {f"{WIDTH}.list": ["8", "8"]}, f"{WIDTH}.list[1]", "same number", "schema"),
    ("categorical-twice", {f"{ACTIVATION}.list": ["a", "b", "a"]}, f"{ACTIVATION}.list[2]", '"a" is given twice', "schema"),
    ("grid-double-without-step", {"spec.algorithm.algorithmName": "grid"}, f"{LR}.step",
     "a grid needs a step for a double", "cel"),
    ("grid-with-log", {**GRID, f"{LAYERS}.distribution": "logUniform"}, f"{LAYERS}.distribution",
     "evenly spaced; for other points use a discrete parameter", "cel"),
    ("grid-too-large", {**GRID, **NO_END, f"{LAYERS}.min": "0", f"{LAYERS}.max": "99999"}, "spec.maxTrialCount",
     "the grid has 2,000,000 points, .* at most 1,000,000", "check"),
    ("grid-astronomic",
     {**GRID, **NO_END, "spec.parameters":
      [{"name": f"p{i}", "parameterType": "int", "feasibleSpace": {"min": "1", "max": "10000"}} for i in range(10)]},
     "spec.maxTrialCount", r"the grid has 10\^40 points", "check"),
    ("name-no-identifier", {"spec.parameters[0].name": "learning-rate"}, "spec.parameters[0].name",
     "can't be an argument of a Python function: write learning_rate", "check"),
    ("name-a-keyword", {"spec.parameters[0].name": "lambda"}, "spec.parameters[0].name", "write lambda_", "check"),
]  # fmt: skip

TEMPLATES: Rows = [
    ("no-template", {TEMPLATE: REMOVED}, TEMPLATE, "missing: The program of a trial", "schema"),
    ("nothing-to-run", {f"{TEMPLATE}.function": REMOVED}, TEMPLATE, "give function or command", "cel"),
    ("function-and-command", {f"{TEMPLATE}.command": ["a"]}, f"{TEMPLATE}.command", "can't be combined with function", "cel"),
    ("function-without-module", {f"{TEMPLATE}.function": "training"}, f"{TEMPLATE}.function",
     "is not module:function, such as train:training", "schema"),
    ("function-with-arguments", {f"{TEMPLATE}.function": "python 'my train.py'"}, f"{TEMPLATE}.function",
     r'a program with arguments is a command: \["python", "my train.py"\]', "schema"),
    ("preload-as-text", {f"{TEMPLATE}.preload": "numpy"}, f"{TEMPLATE}.preload", r'write \["numpy"\]', "schema"),
    ("function-a-keyword", {f"{TEMPLATE}.function": "train:import"}, f"{TEMPLATE}.function", "keyword", "check"),
    ("function-with-trial-parameters", {f"{TEMPLATE}.trialParameters": [{"name": "a", "reference": "lr"}]},
     f"{TEMPLATE}.trialParameters", "require command", "cel"),
    ("source-empty", {f"{TEMPLATE}.source": {}}, f"{TEMPLATE}.source", "give inline or configMap", "cel"),
    ("source-twice", {f"{TEMPLATE}.source": {"inline": "def training(**p): pass", "configMap": {"name": "a", "key": "b"}}},
     f"{TEMPLATE}.source.configMap", "can't be combined with inline", "cel"),
    ("source-of-a-package", {f"{TEMPLATE}.function": "a.b:training", **source("def training(**p): pass")},
     f"{TEMPLATE}.function", "write its name without dots", "check"),
    ("source-no-python", source("def training(lr:\n  pass"), f"{TEMPLATE}.source.inline", "line 1 is not Python", "check"),
    ("source-with-null", source("a = '\0'"), f"{TEMPLATE}.source.inline", "null", "check"),
    ("source-without-function", source("def trainin(**p): pass"), f"{TEMPLATE}.function", "did you mean trainin", "check"),
    ("source-with-nested-function", source("def f():\n  def training(**p): pass"), f"{TEMPLATE}.function",
     "not defined at the top level of source.inline: it defines f", "check"),
    ("function-takes-no-such-argument", source("def training(lr, layers, width): pass"), f"{TEMPLATE}.function",
     r"training\(lr, layers, width\) has no argument activation", "check"),
    ("function-needs-more", source("def training(momentum, **p): pass"), f"{TEMPLATE}.function",
     "needs momentum, which is not a parameter", "check"),
    ("function-by-position", source("def training(lr, /, **p): pass"), f"{TEMPLATE}.function", "by position only", "check"),
    ("function-async", source("async def training(**p): pass"), f"{TEMPLATE}.function", "plain def", "check"),
    ("preload-twice", {f"{TEMPLATE}.preload": ["keras", "keras"]}, f"{TEMPLATE}.preload[1]", "given twice", "schema"),
    ("metrics-format-of-a-function", {f"{TEMPLATE}.metricsFormat": "EqualsOrColon"}, f"{TEMPLATE}.metricsFormat",
     "requires command", "cel"),
    ("preload-no-module", {f"{TEMPLATE}.preload": ["scikit-learn"]}, f"{TEMPLATE}.preload[0]",
     "name of a module, such as sklearn", "schema"),
    ("cpu-unquoted", {f"{TEMPLATE}.resources.cpu": 2}, f"{TEMPLATE}.resources.cpu", 'write "2" in quotes', "schema"),
    ("cpu-in-words", {f"{TEMPLATE}.resources.cpu": "two"}, f"{TEMPLATE}.resources.cpu", "a number of CPUs", "schema"),
    ("cpu-zero", {f"{TEMPLATE}.resources.cpu": "0m"}, f"{TEMPLATE}.resources.cpu", '"0m" is not above 0', "check"),
    ("memory-in-gb", {f"{TEMPLATE}.resources.memory": "4GB"}, f"{TEMPLATE}.resources.memory",
     "an amount of memory", "schema"),
    ("memory-zero", {f"{TEMPLATE}.resources.memory": "0"}, f"{TEMPLATE}.resources.memory", "not above 0", "check"),
    ("memory-too-little", {f"{TEMPLATE}.resources.memory": "63Mi"}, f"{TEMPLATE}.resources.memory", "needs 64Mi", "check"),
    ("gpu-negative", {f"{TEMPLATE}.resources.gpu.count": -1}, f"{TEMPLATE}.resources.gpu.count", "less than 0", "schema"),
    ("gpu-resource-without-domain", {f"{TEMPLATE}.resources.gpu.resourceName": "gpu"},
     f"{TEMPLATE}.resources.gpu.resourceName", "does not match", "schema"),
    ("node-selector-key", {f"{TEMPLATE}.nodeSelector": {"a b": "c"}}, f"{TEMPLATE}.nodeSelector[a b]",
     '"a b" is not a label key', "check"),
    ("node-selector-prefix", {f"{TEMPLATE}.nodeSelector": {"/a": "c"}}, f"{TEMPLATE}.nodeSelector[/a]",
     "not a label key", "check"),
    ("node-selector-value", {f"{TEMPLATE}.nodeSelector": {"a": "b c"}}, f"{TEMPLATE}.nodeSelector[a]",
     "does not match", "schema"),
    ("node-selector-value-unquoted", {f"{TEMPLATE}.nodeSelector": {"gpu": True}}, f"{TEMPLATE}.nodeSelector[gpu]",
     "put the word that you wrote, such as n, no or on, in quotes", "schema"),
    ("toleration-operator", toleration(key="a", operator="In"), f"{TEMPLATE}.tolerations[0].operator",
     "not one of Equal, Exists", "schema"),
    ("toleration-exists-with-value", toleration(key="a", operator="Exists", value="b"),
     f"{TEMPLATE}.tolerations[0].value", "Exists matches any value", "cel"),
    ("toleration-equal-without-key", toleration(value="b"), f"{TEMPLATE}.tolerations[0].key",
     "for all taints use Exists", "cel"),
    ("toleration-seconds-without-effect", toleration(key="a", tolerationSeconds=3),
     f"{TEMPLATE}.tolerations[0].tolerationSeconds", "requires effect NoExecute: set the effect", "cel"),
    ("toleration-key", toleration(key="a b"), f"{TEMPLATE}.tolerations[0].key", "not a taint key", "check"),
    ("toleration-twice", {f"{TEMPLATE}.tolerations": [{"key": "a"}, {"key": "a", "operator": "Equal"}]},
     f"{TEMPLATE}.tolerations[1]", r"repeats tolerations\[0\]", "check"),
    ("env-twice", {f"{TEMPLATE}.env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]},
     f"{TEMPLATE}.env[1].name", "given twice", "schema"),
    ("env-null", {f"{TEMPLATE}.env": [{"name": "A", "value": "a\0b"}]}, f"{TEMPLATE}.env[0].value", "null character", "check"),
    ("env-name", {f"{TEMPLATE}.env": [{"name": "MY-VAR"}]}, f"{TEMPLATE}.env[0].name", "does not match", "schema"),
    ("env-number", {f"{TEMPLATE}.env": [{"name": "A", "value": 1}]}, f"{TEMPLATE}.env[0].value", "in quotes", "schema"),
    ("env-reserved", {f"{TEMPLATE}.env": [{"name": "SPARKSWEEP_TRIAL", "value": "1"}]}, f"{TEMPLATE}.env[0].name",
     "names that start with SPARKSWEEP_ are reserved", "cel"),
    ("timeout-zero", {f"{TEMPLATE}.timeoutSeconds": 0}, f"{TEMPLATE}.timeoutSeconds", "less than 1", "schema"),
    ("grace-beyond-an-hour", {f"{TEMPLATE}.terminationGracePeriodSeconds": 3601},
     f"{TEMPLATE}.terminationGracePeriodSeconds", "3601 is more than 3,600", "schema"),
    ("image-empty", {f"{TEMPLATE}.image": ""}, f"{TEMPLATE}.image", '"" is empty', "schema"),
    ("retries-negative", {f"{TEMPLATE}.maxRetries": -1}, f"{TEMPLATE}.maxRetries", "less than 0", "schema"),
]  # fmt: skip

ENV = f"{TEMPLATE}.env"
VOLUMES = f"{TEMPLATE}.volumes"
NODES = f"{TEMPLATE}.affinity.nodeAffinity"
NEAR = f"{TEMPLATE}.affinity.podAffinity"
AWAY = f"{TEMPLATE}.affinity.podAntiAffinity"
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
TERMS = f"{NODES}.{REQUIRED}.nodeSelectorTerms"
EXPRESSION = f"{TERMS}[0].matchExpressions[0]"
SELECTOR = f"{AWAY}.{REQUIRED}[0].labelSelector"
HOST = "kubernetes.io/hostname"


def value_from(**source: object) -> dict[str, object]:
    return {ENV: [{"name": "TOKEN", "valueFrom": source}]}


def volume(**fields: object) -> dict[str, object]:
    """Return a volume that is valid except for the given changes."""
    right = {"name": "data", "mountPath": "/mnt/data", "emptyDir": {}}
    return {
        VOLUMES: [
            {name: value for name, value in {**right, **fields}.items() if value is not REMOVED}
        ]
    }


def node(**expression: object) -> dict[str, object]:
    return {TERMS: [{"matchExpressions": [{"key": "pool", **expression}]}]}


def away(**term: object) -> dict[str, object]:
    return {f"{AWAY}.{REQUIRED}": [{"topologyKey": HOST, **term}]}


def away_from(**expression: object) -> dict[str, object]:
    return away(labelSelector={"matchExpressions": [{"key": "app", **expression}]})


PODS: Rows = [
    ("source-config-map-name", {f"{TEMPLATE}.source": {"configMap": {"name": "My_Code", "key": "train.py"}}},
     f"{TEMPLATE}.source.configMap.name", "name of a Kubernetes object", "schema"),
    ("priority-class-name", {f"{TEMPLATE}.priorityClassName": "High Priority"}, f"{TEMPLATE}.priorityClassName",
     "name of a Kubernetes object", "schema"),
    ("priority-class-number", {f"{TEMPLATE}.priorityClassName": 10}, f"{TEMPLATE}.priorityClassName",
     'write "10" in quotes', "schema"),
    ("pull-policy", {f"{TEMPLATE}.imagePullPolicy": "ifNotPresent"}, f"{TEMPLATE}.imagePullPolicy",
     "did you mean IfNotPresent", "schema"),
    ("pull-secret-as-text", {f"{TEMPLATE}.imagePullSecrets": ["registry"]}, f"{TEMPLATE}.imagePullSecrets[0]",
     '"registry" is not a mapping', "schema"),
    ("pull-secret-without-name", {f"{TEMPLATE}.imagePullSecrets": [{}]}, f"{TEMPLATE}.imagePullSecrets[0].name",
     "missing: Name of the Secret", "schema"),
    ("pull-secret-name", {f"{TEMPLATE}.imagePullSecrets": [{"name": "Registry"}]},
     f"{TEMPLATE}.imagePullSecrets[0].name", "name of a Kubernetes object", "schema"),
    ("pull-secret-twice", {f"{TEMPLATE}.imagePullSecrets": [{"name": "a"}, {"name": "a"}]},
     f"{TEMPLATE}.imagePullSecrets[1].name", '"a" is given twice', "schema"),
    ("pull-secrets-too-many", {f"{TEMPLATE}.imagePullSecrets": [{"name": f"s{i}"} for i in range(17)]},
     f"{TEMPLATE}.imagePullSecrets", "17 entries, at most 16", "schema"),
    # env
    ("env-value-and-source",
     {ENV: [{"name": "A", "value": "1", "valueFrom": {"secretKeyRef": {"name": "a", "key": "b"}}}]},
     f"{ENV}[0].valueFrom", "can't be combined with value", "cel"),
    ("env-source-empty", value_from(), f"{ENV}[0].valueFrom", "give secretKeyRef or configMapKeyRef", "cel"),
    ("env-two-sources",
     value_from(secretKeyRef={"name": "a", "key": "b"}, configMapKeyRef={"name": "a", "key": "b"}),
     f"{ENV}[0].valueFrom.configMapKeyRef", "can't be combined with secretKeyRef", "cel"),
    ("env-field-ref", value_from(fieldRef={"fieldPath": "metadata.name"}), f"{ENV}[0].valueFrom.fieldRef",
     "is unknown", "schema"),
    ("env-secret-without-key", value_from(secretKeyRef={"name": "a"}), f"{ENV}[0].valueFrom.secretKeyRef.key",
     "missing: Key that holds the value", "schema"),
    ("env-secret-name", value_from(secretKeyRef={"name": "a b", "key": "b"}), f"{ENV}[0].valueFrom.secretKeyRef.name",
     "name of a Kubernetes object", "schema"),
    ("env-secret-optional", value_from(secretKeyRef={"name": "a", "key": "b", "optional": "true"}),
     f"{ENV}[0].valueFrom.secretKeyRef.optional", "write true without quotes", "schema"),
    ("env-config-map-without-name", value_from(configMapKeyRef={"key": "a"}),
     f"{ENV}[0].valueFrom.configMapKeyRef.name", "missing: Name of the ConfigMap", "schema"),
    ("env-config-map-key", value_from(configMapKeyRef={"name": "a", "key": "a/b"}),
     f"{ENV}[0].valueFrom.configMapKeyRef.key", "does not match", "schema"),
    # volumes
    ("volume-without-source", volume(emptyDir=REMOVED), f"{VOLUMES}[0]",
     "give persistentVolumeClaim, configMap, secret or emptyDir", "cel"),
    ("volume-at-tokens", volume(mountPath="/var/run/secrets/kubernetes.io"), f"{VOLUMES}[0].mountPath", "where Kubernetes puts tokens", "check"),
    ("volume-at-token", volume(mountPath="/run/secrets/kubernetes.io/serviceaccount"), f"{VOLUMES}[0].mountPath",
     "where Kubernetes puts tokens", "check"),
    ("volume-spark-secret", volume(emptyDir=REMOVED, secret={"secretName": "other-driver-12-0a1b2c3d"}),
     f"{VOLUMES}[0].secret.secretName", "protects an Experiment's Spark", "check"),
    ("env-spark-secret", value_from(secretKeyRef={"name": "other-driver-0-0a1b2c3d", "key": "spark-secret"}),
     f"{ENV}[0].valueFrom.secretKeyRef.name", "protects an Experiment's Spark", "check"),
    ("image-with-space", {f"{TEMPLATE}.image": "a b"}, f"{TEMPLATE}.image", "is no image", "check"),
    ("image-with-line-end", {f"{TEMPLATE}.image": "train:1\n"}, f"{TEMPLATE}.image", "is no image", "check"),
    ("image-with-variable-of-spark", {f"{TEMPLATE}.image": "x/${env:AWS_SECRET_ACCESS_KEY}"}, f"{TEMPLATE}.image", "is no image", "check"),
    ("image-with-variable", {f"{TEMPLATE}.image": "x/$(POD_IP)"}, f"{TEMPLATE}.image", "is no image", "check"),
    ("image-without-name", {f"{TEMPLATE}.image": "/a"}, f"{TEMPLATE}.image", "is no image", "check"),
    ("image-not-ascii", {f"{TEMPLATE}.image": "é"}, f"{TEMPLATE}.image", "is no image", "check"),
    ("priority-of-nodes", {f"{TEMPLATE}.priorityClassName": "system-node-critical"}, f"{TEMPLATE}.priorityClassName", "Kubernetes itself", "check"),
    ("priority-of-the-cluster", {f"{TEMPLATE}.priorityClassName": "system-cluster-critical"}, f"{TEMPLATE}.priorityClassName", "Kubernetes itself", "check"),
    ("volume-with-two-sources", volume(secret={"secretName": "a"}), f"{VOLUMES}[0].emptyDir", "can't be combined with secret", "cel"),
    ("volume-host-path", volume(emptyDir=REMOVED, hostPath={"path": "/data"}), f"{VOLUMES}[0].hostPath",
     "is not supported: a trial has no access to its node's directories", "schema"),
    ("volume-mounts-apart", {f"{TEMPLATE}.volumeMounts": []}, f"{TEMPLATE}.volumeMounts",
     "is not supported: give each entry of volumes a mountPath", "schema"),
    ("volume-without-name", volume(name=REMOVED), f"{VOLUMES}[0].name", "missing: Name of the volume", "schema"),
    ("volume-name-with-dot", volume(name="a.b"), f"{VOLUMES}[0].name", "lower-case letters, digits and '-'", "schema"),
    ("volume-name-too-long", volume(name="a" * 64), f"{VOLUMES}[0].name", "64 characters, at most 63", "schema"),
    ("volume-name-of-sparksweep", volume(name="sparksweep-data"), f"{VOLUMES}[0].name",
     "names that start with sparksweep- are reserved", "cel"),
    ("volume-name-of-spark", volume(name="spark-local-dir-1"), f"{VOLUMES}[0].name", "names that start with spark-local-dir", "cel"),
    ("volume-name-twice",
     {VOLUMES: [{"name": "a", "mountPath": "/a", "emptyDir": {}}, {"name": "a", "mountPath": "/b", "emptyDir": {}}]},
     f"{VOLUMES}[1].name", '"a" is given twice', "schema"),
    ("volume-path-twice",
     {VOLUMES: [{"name": "a", "mountPath": "/a", "emptyDir": {}}, {"name": "b", "mountPath": "/a", "emptyDir": {}}]},
     f"{VOLUMES}[1].mountPath", '"/a" is the mountPath of "a" already', "cel"),
    ("volumes-too-many",
     {VOLUMES: [{"name": f"v{i}", "mountPath": f"/v{i}", "emptyDir": {}} for i in range(17)]}, VOLUMES,
     "17 entries, at most 16", "schema"),
    ("volume-without-path", volume(mountPath=REMOVED), f"{VOLUMES}[0].mountPath", "missing: Absolute path of the volume", "schema"),
    ("volume-path-relative", volume(mountPath="data"), f"{VOLUMES}[0].mountPath", "absolute path, such as /mnt/data", "schema"),
    ("volume-path-root", volume(mountPath="/"), f"{VOLUMES}[0].mountPath", "absolute path", "schema"),
    ("volume-path-twice-rooted", volume(mountPath="//tmp"), f"{VOLUMES}[0].mountPath", "absolute path", "schema"),
    ("volume-path-with-slash-at-end", volume(mountPath="/mnt/"), f"{VOLUMES}[0].mountPath", "'/' at its end", "schema"),
    ("volume-path-here", volume(mountPath="/./tmp"), f"{VOLUMES}[0].mountPath", "without '.'", "schema"),
    ("volume-path-upwards", volume(mountPath="/mnt/../tmp"), f"{VOLUMES}[0].mountPath", "without '.'", "schema"),
    ("volume-path-with-colon", volume(mountPath="/mnt:/data"), f"{VOLUMES}[0].mountPath", "':'", "schema"),
    ("volume-path-too-long", volume(mountPath="/" + "a" * 512), f"{VOLUMES}[0].mountPath", "513 characters, at most 512", "schema"),
    *((f"volume-path-{path.strip('/').replace('/', '-')}", volume(mountPath=path), f"{VOLUMES}[0].mountPath",
       f'"{path}": {path} is reserved; choose another path', "cel")
      for path in ("/opt/sparksweep", "/etc/sparksweep", "/var/lib/sparksweep", "/tmp", "/opt/venv", "/var/data")),
    ("volume-path-below-reserved", volume(mountPath="/tmp/cache"), f"{VOLUMES}[0].mountPath",
     '"/tmp/cache": /tmp is reserved', "cel"),
    ("volume-path-above-reserved", volume(mountPath="/opt"), f"{VOLUMES}[0].mountPath",
     '"/opt" would hide /opt/sparksweep', "cel"),
    ("volume-path-above-one", volume(mountPath="/var/lib"), f"{VOLUMES}[0].mountPath",
     '"/var/lib" would hide /var/lib/sparksweep', "cel"),
    ("volume-sub-path-absolute", volume(subPath="/a"), f"{VOLUMES}[0].subPath", "relative path, such as data/train", "schema"),
    ("volume-sub-path-upwards", volume(subPath="a/../.."), f"{VOLUMES}[0].subPath", "relative path", "schema"),
    ("volume-read-only-quoted", volume(readOnly="false"), f"{VOLUMES}[0].readOnly", "write false without quotes", "schema"),
    ("volume-claim-as-text", volume(emptyDir=REMOVED, persistentVolumeClaim="data"),
     f"{VOLUMES}[0].persistentVolumeClaim", "is not a mapping", "schema"),
    ("volume-claim-without-name", volume(emptyDir=REMOVED, persistentVolumeClaim={}),
     f"{VOLUMES}[0].persistentVolumeClaim.claimName", "missing: Name of the claim", "schema"),
    ("volume-claim-name", volume(emptyDir=REMOVED, persistentVolumeClaim={"claimName": "-data"}),
     f"{VOLUMES}[0].persistentVolumeClaim.claimName", "name of a Kubernetes object", "schema"),
    ("volume-config-map-name", volume(emptyDir=REMOVED, configMap={"name": "A"}), f"{VOLUMES}[0].configMap.name",
     "name of a Kubernetes object", "schema"),
    ("volume-secret-by-name", volume(emptyDir=REMOVED, secret={"secretName": "a", "name": "a"}),
     f"{VOLUMES}[0].secret.name", "did you mean secretName", "schema"),
    ("volume-secret-optional", volume(emptyDir=REMOVED, secret={"secretName": "a", "optional": 1}),
     f"{VOLUMES}[0].secret.optional", "1 is not true or false", "schema"),
    ("volume-medium", volume(emptyDir={"medium": "memory"}), f"{VOLUMES}[0].emptyDir.medium", "is not Memory", "schema"),
    ("volume-size-limit", volume(emptyDir={"sizeLimit": "10GB"}), f"{VOLUMES}[0].emptyDir.sizeLimit",
     "an amount of memory", "schema"),
    ("volume-size-zero", volume(emptyDir={"sizeLimit": "0"}), f"{VOLUMES}[0].emptyDir.sizeLimit", '"0" is not above 0', "check"),
    # affinity
    ("affinity-misspelt", {f"{TEMPLATE}.affinity": {"nodeAfinity": {}}}, f"{TEMPLATE}.affinity.nodeAfinity",
     "did you mean nodeAffinity", "schema"),
    ("affinity-required-as-list", {f"{NODES}.{REQUIRED}": []}, f"{NODES}.{REQUIRED}", "is not a mapping", "schema"),
    ("affinity-no-terms", {TERMS: []}, TERMS, "is empty: give at least one", "schema"),
    ("affinity-terms-missing", {f"{NODES}.{REQUIRED}": {}}, TERMS, "missing: Terms, at least one of which the node must match", "schema"),
    ("affinity-too-many-terms", {TERMS: [{}] * 17}, TERMS, "17 entries, at most 16", "schema"),
    ("affinity-operator", node(operator="Equals", values=["a"]), f"{EXPRESSION}.operator",
     "not one of In, NotIn, Exists, DoesNotExist, Gt, Lt", "schema"),
    ("affinity-without-operator", node(values=["a"]), f"{EXPRESSION}.operator", "is missing", "schema"),
    ("affinity-without-key", {TERMS: [{"matchExpressions": [{"operator": "Exists"}]}]}, f"{EXPRESSION}.key",
     "missing: Key of the label", "schema"),
    ("affinity-key", {TERMS: [{"matchExpressions": [{"key": "a b", "operator": "Exists"}]}]}, f"{EXPRESSION}.key",
     '"a b" is not a label key', "check"),
    ("affinity-value", node(operator="In", values=["a b"]), f"{EXPRESSION}.values[0]", "does not match", "schema"),
    ("affinity-value-unquoted", node(operator="Gt", values=[8]), f"{EXPRESSION}.values[0]", 'write "8" in quotes', "schema"),
    ("affinity-in-nothing", node(operator="In"), f"{EXPRESSION}.values", "missing: In needs at least one", "cel"),
    ("affinity-not-in-nothing", node(operator="NotIn", values=[]), f"{EXPRESSION}.values",
     "missing: NotIn needs at least one", "cel"),
    ("affinity-exists-with-value", node(operator="Exists", values=["a"]), f"{EXPRESSION}.values",
     "can't be combined with Exists, .* or use In$", "cel"),
    ("affinity-lacks-with-value", node(operator="DoesNotExist", values=["a"]), f"{EXPRESSION}.values",
     "can't be combined with DoesNotExist, .* or use NotIn$", "cel"),
    ("affinity-gt-nothing", node(operator="Gt"), f"{EXPRESSION}.values", 'one integer from 0 for Gt, such as', "cel"),
    ("affinity-gt-two", node(operator="Gt", values=["1", "2"]), f"{EXPRESSION}.values", "one integer", "cel"),
    ("affinity-lt-text", node(operator="Lt", values=["big"]), f"{EXPRESSION}.values", "one integer from 0 for Lt", "cel"),
    ("affinity-lt-fraction", node(operator="Lt", values=["1.5"]), f"{EXPRESSION}.values", "one integer", "cel"),
    ("affinity-field", {TERMS: [{"matchFields": [{"key": "spec.name", "operator": "In", "values": ["a"]}]}]},
     f"{TERMS}[0].matchFields[0].key", '"spec.name" is not metadata.name', "schema"),
    ("affinity-field-operator", {TERMS: [{"matchFields": [{"key": "metadata.name", "operator": "Gt", "values": ["1"]}]}]},
     f"{TERMS}[0].matchFields[0].operator", "not one of In, NotIn", "schema"),
    ("affinity-field-two-nodes",
     {TERMS: [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["a", "b"]}]}]},
     f"{TERMS}[0].matchFields[0].values", "2 entries, at most 1", "schema"),
    ("affinity-weight-zero", {f"{NODES}.{PREFERRED}": [{"weight": 0, "preference": {}}]},
     f"{NODES}.{PREFERRED}[0].weight", "0 is less than 1", "schema"),
    ("affinity-weight-too-much", {f"{NEAR}.{PREFERRED}": [{"weight": 101, "podAffinityTerm": {"topologyKey": HOST}}]},
     f"{NEAR}.{PREFERRED}[0].weight", "101 is more than 100", "schema"),
    ("affinity-preferred-without-weight", {f"{NODES}.{PREFERRED}": [{"preference": {}}]},
     f"{NODES}.{PREFERRED}[0].weight", "missing: Weight of the preference, from 1 to 100", "schema"),
    ("affinity-preferred-in-nothing",
     {f"{NODES}.{PREFERRED}": [{"weight": 1, "preference": {"matchExpressions": [{"key": "a", "operator": "In"}]}}]},
     f"{NODES}.{PREFERRED}[0].preference.matchExpressions[0].values", "In needs at least one", "cel"),
    ("affinity-without-topology", {f"{AWAY}.{REQUIRED}": [{"labelSelector": {}}]}, f"{AWAY}.{REQUIRED}[0].topologyKey",
     "missing: Node label that defines the domain", "schema"),
    ("affinity-topology-empty", away(topologyKey=""), f"{AWAY}.{REQUIRED}[0].topologyKey", "is empty", "schema"),
    ("affinity-topology", away(topologyKey="a b"), f"{AWAY}.{REQUIRED}[0].topologyKey", "not a label key", "check"),
    ("affinity-near-topology",
     {f"{NEAR}.{PREFERRED}": [{"weight": 1, "podAffinityTerm": {"topologyKey": "/a"}}]},
     f"{NEAR}.{PREFERRED}[0].podAffinityTerm.topologyKey", "not a label key", "check"),
    ("affinity-namespace", away(namespaces=["a.b"]), f"{AWAY}.{REQUIRED}[0].namespaces[0]",
     "lower-case letters, digits and '-'", "schema"),
    ("affinity-label-key", away(labelSelector={"matchLabels": {"a b": "c"}}), f"{SELECTOR}.matchLabels[a b]",
     "not a label key", "check"),
    ("affinity-label-value", away(labelSelector={"matchLabels": {"a": "b c"}}), f"{SELECTOR}.matchLabels[a]",
     "does not match", "schema"),
    ("affinity-labels-gt", away_from(operator="Gt", values=["1"]), f"{SELECTOR}.matchExpressions[0].operator",
     "not one of In, NotIn, Exists, DoesNotExist$", "schema"),
    ("affinity-labels-in-nothing", away_from(operator="In"), f"{SELECTOR}.matchExpressions[0].values",
     "In needs at least one", "cel"),
    ("affinity-labels-exist-with-value", away_from(operator="Exists", values=["a"]),
     f"{SELECTOR}.matchExpressions[0].values", "can't be combined with Exists", "cel"),
]  # fmt: skip

STORAGE = "spec.storage"

STORAGE_AND_TENSORBOARD: Rows = [
    ("storage-secret-without-uri", {f"{STORAGE}.secretName": "keys"}, f"{STORAGE}.secretName", "requires uri: the Secret holds its credentials", "cel"),
    ("storage-scheme", {f"{STORAGE}.uri": "ftp://host/path"}, f"{STORAGE}.uri", "does not match", "schema"),
    ("storage-uri-with-space", {f"{STORAGE}.uri": "s3://bucket/a b"}, f"{STORAGE}.uri", "does not match", "schema"),
    ("storage-endpoint-without-secret", {f"{STORAGE}.uri": "s3://b/a?endpoint_override=evil:9000"}, f"{STORAGE}.uri", "requires secretName", "check"),
    ("storage-google-endpoint", {f"{STORAGE}.uri": "gs://b/a?scheme=http&endpoint_override=evil:9000"}, f"{STORAGE}.uri", "requires secretName", "check"),
    ("storage-endpoint-in-code", {f"{STORAGE}.uri": "s3://b/a?endpoint%5Foverride=evil:9000"}, f"{STORAGE}.uri", "requires secretName", "check"),
    ("storage-endpoint-nobody", {f"{STORAGE}.uri": "gs://@b/a?endpoint_override=evil:9000"}, f"{STORAGE}.uri", "requires secretName", "check"),
    ("storage-endpoint-nobody-with-password", {f"{STORAGE}.uri": "s3://:p@b/a?endpoint_override=evil:9000"}, f"{STORAGE}.uri", "requires secretName", "check"),
    ("storage-ca-file", {f"{STORAGE}.uri": "s3://b/a?tls_ca_file_path=/etc/x"}, f"{STORAGE}.uri", '"tls_ca_file_path" is no parameter', "check"),
    ("storage-no-tls-check", {f"{STORAGE}.uri": "s3://b/a?tls_verify_certificates=false"}, f"{STORAGE}.uri", "use endpoint_override, region, scheme", "check"),
    ("storage-ticket", {f"{STORAGE}.uri": "hdfs://h/a?kerb_ticket=/tmp/x"}, f"{STORAGE}.uri", '"kerb_ticket" is no parameter', "check"),
    ("storage-file-parameter", {f"{STORAGE}.uri": "file:///a?x="}, f"{STORAGE}.uri", "file:// has none", "check"),
    ("storage-uri-goes-up", {f"{STORAGE}.uri": "file:///var/lib/../../etc"}, f"{STORAGE}.uri", 'must not have ".."', "check"),
    ("storage-onto-itself", {f"{STORAGE}.uri": "file:///var/lib/sparksweep"}, f"{STORAGE}.uri", "where the run directory itself is", "check"),
    ("storage-onto-itself-in-code", {f"{STORAGE}.uri": "file:////var//lib/./spark%73weep/"}, f"{STORAGE}.uri", "where the run directory itself is", "check"),
    ("storage-uri-goes-up-in-code", {f"{STORAGE}.uri": "s3://b/a/%2e%2e/c"}, f"{STORAGE}.uri", 'must not have ".."', "check"),
    ("storage-size", {f"{STORAGE}.sizeLimit": "ten"}, f"{STORAGE}.sizeLimit", "not an amount of memory", "schema"),
    ("storage-size-0", {f"{STORAGE}.sizeLimit": "0Gi"}, f"{STORAGE}.sizeLimit", "is not above 0", "check"),
    ("storage-claim-without-name", {f"{STORAGE}.persistentVolumeClaim": {}},
     f"{STORAGE}.persistentVolumeClaim.claimName", "missing", "schema"),
    ("storage-host-path", {f"{STORAGE}.hostPath": {"path": "/"}}, f"{STORAGE}.hostPath", "is unknown", "schema"),
    ("tensorboard-as-word", {"spec.tensorboard.enabled": "no"}, "spec.tensorboard.enabled", "", "schema"),
]  # fmt: skip

TRIAL_PARAMETERS = f"{TEMPLATE}.trialParameters"

COMMANDS: Rows = [
    ("command-as-text", {f"{TEMPLATE}.command": "python train.py"}, f"{TEMPLATE}.command",
     r'is not a list: write \["python", "train.py"\]', "schema"),
    ("command-empty", {f"{TEMPLATE}.command": []}, f"{TEMPLATE}.command", "is empty", "schema"),
    ("command-without-program", {f"{TEMPLATE}.command[0]": ""}, f"{TEMPLATE}.command[0]", "is the program", "check"),
    ("command-null", {f"{TEMPLATE}.command[1]": "a\0b"}, f"{TEMPLATE}.command[1]", "null character", "check"),
    ("command-number", {f"{TEMPLATE}.command[1]": 3}, f"{TEMPLATE}.command[1]", 'write "3" in quotes', "schema"),
    ("preload-with-command", {f"{TEMPLATE}.preload": ["keras"]}, f"{TEMPLATE}.preload", "requires function", "cel"),
    ("metrics-format-unknown", {f"{TEMPLATE}.metricsFormat": "Colon"}, f"{TEMPLATE}.metricsFormat",
     "not one of Equals, EqualsOrColon", "schema"),
    ("trial-parameter-with-brace", {f"{TRIAL_PARAMETERS}[0].name": "l{r"}, f"{TRIAL_PARAMETERS}[0].name",
     "does not match", "schema"),
    ("trial-parameter-twice", {f"{TRIAL_PARAMETERS}[2]": {"name": "layers", "reference": "width"}},
     f"{TRIAL_PARAMETERS}[2].name", "given twice", "schema"),
    ("reference-twice",
     {f"{TRIAL_PARAMETERS}[2]": {"name": "rate", "reference": "lr"},
      f"{TEMPLATE}.command[4]": "${trialParameters.rate}"},
     f"{TRIAL_PARAMETERS}[2].reference", '"lr" is the reference of "learningRate" already', "check"),
    ("reference-unknown", {f"{TRIAL_PARAMETERS}[0].reference": "rate"}, f"{TRIAL_PARAMETERS}[0].reference",
     '"rate" is not a parameter: there are lr, layers, width, activation', "check"),
    ("reference-to-metadata", {f"{TRIAL_PARAMETERS}[0].reference": "${trialSpec.Name}"},
     f"{TRIAL_PARAMETERS}[0].reference", r"write \$\{trialSpec.Name\} in command", "check"),
    ("trial-parameter-unused", {f"{TEMPLATE}.command[3]": "--layers=3"}, f"{TRIAL_PARAMETERS}[1].name",
     r'"layers" is not used: write \$\{trialParameters.layers\}', "check"),
    ("placeholder-unknown", {f"{TEMPLATE}.command[4]": "${trialParameters.momentum}"}, f"{TEMPLATE}.command[4]",
     r"has no value: there are \$\{trialParameters.learningRate\}", "check"),
    ("placeholder-of-the-parameter", {f"{TEMPLATE}.command[4]": "${trialParameters.lr}"}, f"{TEMPLATE}.command[4]",
     "has no value", "check"),
    ("placeholder-with-space", {f"{TEMPLATE}.command[4]": "${trialParameters.layers }"}, f"{TEMPLATE}.command[4]",
     "has no value", "check"),
    ("placeholder-unclosed", {f"{TEMPLATE}.command[4]": "${trialParameters.layers"}, f"{TEMPLATE}.command[4]",
     "without its }", "check"),
    ("placeholder-of-metadata", {f"{TEMPLATE}.command[4]": "${trialSpec.Namespace}"}, f"{TEMPLATE}.command[4]",
     r"the only metadata of a trial is \$\{trialSpec.Name\}", "check"),
    ("placeholder-of-no-source", {f"{TEMPLATE}.command[1]": "${trialSource}"}, f"{TEMPLATE}.command[1]",
     "needs source", "check"),
    ("placeholder-like-source", {f"{TEMPLATE}.command[4]": "${trialSourceFile}"}, f"{TEMPLATE}.command[4]",
     r"write \$\{trialSource\}", "check"),
    ("own-placeholder-unknown", {TEMPLATE: {"command": ["a", "${trialParameters.rate}"]}}, f"{TEMPLATE}.command[1]",
     r"there are \$\{trialParameters.lr\}", "check"),
    ("source-unused", {f"{TEMPLATE}.source.inline": "print()"}, f"{TEMPLATE}.source", "not used by command", "check"),
]  # fmt: skip

BY_FUNCTION = [
    *WHOLE,
    *KATIB,
    *COUNTS,
    *OBJECTIVE,
    *ALGORITHM,
    *PARAMETERS,
    *TEMPLATES,
    *PODS,
    *STORAGE_AND_TENSORBOARD,
]

INVALID = [
    *(Row(*row, base=FUNCTION) for row in BY_FUNCTION),
    *(Row(*row, base=COMMAND) for row in COMMANDS),
]
