"""Names that other tools give to arguments and search functions of this one: hints for a name that is unknown here.

Katib and Kubeflow's SDK, Optuna, Ray Tune, Maggy and Hops, scikit-learn, hyperopt, and common abbreviations. All names
are compared in lower case and without underscores, so that ``maxTrialCount`` is ``max_trial_count``.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

_NAMES = {
    "max_trials": (
        "n_trials num_samples num_trials max_trial_count max_evals n_iter n_calls trials samples total_trials iterations "
        "max_evaluations budget num_evals max_iter ntrials count trial_count max_num_trials number_of_trials"
    ),
    "parallel": (
        "n_jobs parallel_trial_count max_concurrent_trials max_concurrent num_workers concurrency workers n_workers "
        "num_executors parallelism n_parallel jobs processes max_parallel parallel_trials threads max_workers"
    ),
    "max_failed_trials": "max_failed_trial_count max_errors max_failed failures",
    "deadline_seconds": (
        "deadline active_deadline_seconds time_budget_s max_runtime max_time time_budget max_duration total_timeout "
        "time_limit max_runtime_seconds"
    ),
    "timeout_seconds": "trial_timeout timeout_s timeout_sec per_trial_timeout trial_timeout_seconds",
    "gpus": "gpu num_gpus n_gpus gpu_count gpus_per_trial gpu_per_trial ngpu accelerators",
    "cpu": "cpus num_cpus n_cpus cores cpus_per_trial cpu_per_trial num_cores vcpus",
    "memory": "mem ram memory_limit memory_per_trial mem_limit",
    "env": "env_vars environment env_per_trial environ envs environment_variables env_variables",
    "image": "base_image docker_image container_image container",
    "metrics": "additional_metric_names metric_names additional_metrics extra_metrics",
    "objective": "metric objective_metric_name optimization_key metric_name scoring monitor metric_key target_metric",
    "direction": "mode objective_type directions maximize minimize optimization_direction opt_direction sense",
    "goal": "objective_goal stop_at threshold target_value stop",
    "algorithm": (
        "algorithm_name sampler search_alg optimizer searcher algo method search_algorithm suggest search strategy"
    ),
    "settings": "algorithm_settings algorithm_options options sampler_kwargs search_options",
    "seed": "random_state random_seed rng rand_seed",
    "parameters": (
        "search_space searchspace param_space config param_distributions param_grid space hyperparameters args_dict "
        "params grid grid_dict boundary_dict hparams dimensions distributions"
    ),
    "run": (
        "fn func function trainable train_fn objective_fn map_fun command entrypoint train training_function objective_function"
    ),
    "name": "experiment_name study_name run_name title job_name",
    "description": "notes comment doc",
    "max_retries": "retries retry_limit backoff_limit retry num_retries",
    "metrics_format": "metric_format output_format filter",
    "ttl_seconds": "ttl ttl_seconds_after_finished",
    "preload": "modules imports preload_modules",
    "node_selector": "node_selectors selector nodes node_labels",
    "tolerations": "toleration taints",
    "template": "trial_template pod_template trial_spec",
    "progress": "show_progress_bar verbose progress_bar show_progress quiet tqdm",
    "directory": "dir logdir run_dir storage_path local_dir log_dir output_dir path local_directory run_directory folder",
    "backend": "engine runner executor where",
    "namespace": "ns",
    "timeout": "timeout_seconds max_wait wait_timeout",
    "samples": "n_trials num_samples num_trials max_trials n_iter",
    "population": "popsize pop_size population_size",
    "generations": "maxiter max_generations n_generations",
    "low": "min lower start minimum a lb lower_bound",
    "high": "max upper stop end maximum b ub upper_bound",
    "step": "q step_size increment quantum",
    "optimization_key": "metric objective objective_metric_name",
}

RENAMED: dict[str, list[str]] = {"timeout": ["timeout_seconds", "deadline_seconds"]}
"""By a name elsewhere, in lower case without underscores, the names here, of which a function may have some."""

for _here, _elsewhere in _NAMES.items():
    for _name in _elsewhere.split():
        _here_names = RENAMED.setdefault(_name.replace("_", "").lower(), [])
        if _here not in _here_names:
            _here_names.append(_here)

_PACKAGES = "a local run uses the packages of this environment, and a trial on a cluster those of image=: install them there"
_EARLY = "no trial is ended early; timeout_seconds, goal and max_failed_trials limit trials and experiment"

EXPLAINED: Mapping[str, str] = {
    **dict.fromkeys(
        ("packagestoinstall", "packages", "requirements", "piplist", "pipindexurl", "dependencies", "pip"), _PACKAGES
    ),
    **dict.fromkeys(("scheduler", "pruner", "earlystopping", "esp", "patience", "asha"), _EARLY),
    "resources": 'give cpu=2, memory="4Gi" and gpus=1',
    "resourcespertrial": 'give cpu=2, memory="4Gi" and gpus=1 of a trial, and parallel= for the trials at the same time',
    "callbacks": "wait() shows the progress, and status has the newest state",
    "log": "write log_uniform(low, high), or int_uniform(low, high, log=True)",
    "retain": "the trials' files are kept until the Experiment is deleted",
}  # fmt: skip
"""By such a name, advice where no argument has its meaning."""

_SEARCH_FUNCTIONS = {
    "uniform": "real float_uniform suggest_uniform double",
    "uniform(low, high, step=...)": "quniform discrete_uniform suggest_discrete_uniform",
    "uniform or log_uniform": "float suggest_float",
    "log_uniform": "suggest_loguniform qloguniform log_real reciprocal",
    "int_uniform": "randint suggest_int integer int uniformint qrandint",
    "int_uniform(low, high, log=True)": "lograndint qlograndint log_int",
    "normal": "randn qrandn qnormal gaussian",
    "log_normal": "qlognormal",
    "choice": "categorical suggest_categorical discrete",
    "grid": "grid_search linspace arange",
}
"""By a function of `sparksweep.search`, with its arguments if they matter, names of other libraries for it."""


def search_function_advice(name: str, functions: Sequence[str]) -> str:
    """Return the advice for a name that `sparksweep.search` lacks: the function of that meaning or spelling, or all."""
    plain = name.replace("_", "").lower()
    for here, elsewhere in _SEARCH_FUNCTIONS.items():
        if plain in elsewhere.replace("_", "").split():
            return f"did you mean {here}?"
    by_plain = {item.replace("_", ""): item for item in functions}
    close = difflib.get_close_matches(plain, by_plain, n=1)
    return f"did you mean {by_plain[close[0]]}?" if close else f"there are {', '.join(functions)}"
