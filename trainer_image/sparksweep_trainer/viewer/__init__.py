"""The viewer: a process beside the driver that shows the run directory, and stays when the experiment has ended."""
