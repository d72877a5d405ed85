"""Programs that run trials: the Spark driver, the trial server, the slots and the trials' processes."""
