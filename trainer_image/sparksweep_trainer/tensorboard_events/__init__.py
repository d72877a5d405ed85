"""Event files of every trial, written by the driver without TensorBoard: its formats are few and stable.

`sessions` writes a trial's start, reports and end; `events` encodes them as TensorBoard's messages, `messages` their
fields, and `records` frames them. `viewer.tensorboard` shows them.
"""
