"""A trial: the fork server and the process it forks for each trial. Standard library only."""
