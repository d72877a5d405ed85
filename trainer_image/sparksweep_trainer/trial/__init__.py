"""The fork server of a slot, and the trial's process that it forks for each attempt. Standard library only.

User code runs in these processes and nowhere else. Modules, in the order of an attempt:

- `fork_server`: the fork server's process: preloads modules, forks, reaps, kills what a trial leaves
- `trial_process`: the trial's process, from the fork to its exit: calls the function or executes the command
- `arguments`: parameter values to arguments of the function
- `return_value`: the function's return value to bounded JSON
- `processes`: ties to a parent, and descendants, for both
"""
