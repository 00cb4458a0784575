"""Imported by the fork server, and by nothing else: readies it to fork trials in milliseconds.

Frameworks are imported, no device is touched and no operation computed: their thread pools do not
survive a fork. What TensorFlow's C++ prints on import goes nowhere, not to the terminal.
"""

import os
import signal

signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the driver; inherited by every trial
_nowhere = os.open(os.devnull, os.O_WRONLY)
os.dup2(_nowhere, 1)
os.dup2(_nowhere, 2)
os.close(_nowhere)

import numpy as np  # noqa: E402

import cnnsearch.data.pipeline  # noqa: E402
import cnnsearch.training.trainer  # noqa: E402
import cnnsearch.training.trial  # noqa: E402, F401
from cnnsearch.training.metrics import compute_class_metrics  # noqa: E402

# scikit-learn imports and looks up more in its first call (no threads): trials need not repeat it.
compute_class_metrics(np.array([0, 1]), np.array([0, 1]), "")
