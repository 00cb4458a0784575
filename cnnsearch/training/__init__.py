"""One training: Keras model, batches, augmentation, steps, optimizers, checkpoints and metrics.

Enters: a ``TrialTask``. Leaves: an event per epoch, then a ``Measurement`` or a failure.
"""
