"""The slot: a long-lived Spark task, in a PySpark worker's process, that runs one trial after another.

Modules, in the order of an attempt:

- `slot`: the task: asks the driver for an assignment, runs it, reports its outcome. `trial_client` is its connection
- `runner`: one attempt from assignment to outcome
- `trial_programs`: the request to the trial's process; with `trial_code`, `commands`, `environment`
- `fork_server_handle`: starts the fork server, and sends it the request; `trial.fork_server` runs at the other end
- `supervisor`: watches the trial: output, time, memory, `stop_signal`; with `process_table`, `cgroups`
- `trial_logs`, `trial_times`, `echo`, `printed_metrics`: receive the trial's output; the last with `output_lines`, what a
  terminal would show, and `metric_lines`, the grammar of metrics
- `uploader`: sends the trial's files to the driver while it runs
- `observation`, `objective_metrics`, `outcomes`: what was observed, what was measured, and the outcome
"""
