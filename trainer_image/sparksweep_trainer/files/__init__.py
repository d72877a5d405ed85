"""Trials' files on their way from the executors to the run directory: sent while they grow, bounded, never followed.

Import from the modules: `sending` runs in slots, `store` in the driver, and `names` and `below` are used by both.
"""
