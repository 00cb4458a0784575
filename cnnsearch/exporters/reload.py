"""Runs an export in a fresh process with its format's own runtime, as a user would.

``python -m cnnsearch.exporters.reload FORMAT MODEL IMAGES OUT`` writes the probabilities of the
images of one .npy file to another, and prints the latency as JSON. It uses nothing of the trained
network, so that what it computes is in the export alone.
"""

import json
import os
import sys
from pathlib import Path

from cnnsearch.exporters.formats import find_format
from cnnsearch.training.inference import measure_latency


def main(format_: str, path: str, images: str, out: str) -> None:
    """Predicts every image of a file."""
    import numpy as np

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    model = find_format(format_).load(Path(path))
    pixels = np.load(images, mmap_mode="r", allow_pickle=False)
    np.save(out, model.predict_all(pixels))
    rows = np.arange(model.batch or 1) % len(pixels)
    print(json.dumps({"latency_ms": measure_latency(model.predict, pixels[rows])}))


if __name__ == "__main__":
    main(*sys.argv[1:5])
