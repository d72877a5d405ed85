"""The run directory: the driver stores trials' files there, and the viewer reads it. Links are never followed.

`slot.uploader` sends the files. Modules, in the order in which a file travels:

- `store`: writes the chunks that slots send; runs in the driver's trial server
- `quotas`: the most that is kept of a log, a trial and a run
- `reports`: metrics that trials report while they run, from their ``metrics.jsonl``
- `results`: ``results.parquet``, the table of all trials; also written by local runs
- `copying`: the driver's copy of the run directory in an object store
- `openat`: opens files below a directory; for slots, driver, viewer and SDK

Names in the run directory are in `sparksweep_core.contract.run_layout`.
"""
