"""What runs the trials: the Spark driver, the trial server, the slots and the trials' processes."""
