"""One training: Keras model, batches, steps, checkpoints and metrics.

Enters: a ``TrialTask``. Leaves: an event per epoch, and a ``Measurement`` or a failure.
"""
