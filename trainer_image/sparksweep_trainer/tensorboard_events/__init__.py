"""TensorBoard's files for every trial, written by the driver without TensorBoard: its formats are few and stable.

Import from the modules: `records` frames, `messages` encodes, `session` knows what TensorBoard's HParams asks for.
"""
