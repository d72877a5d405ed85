"""The slot: a long-lived Spark task that runs one trial after another, each in a process, and reports its outcome."""
