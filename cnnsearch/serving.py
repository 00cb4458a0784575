"""Runs an exported SavedModel as a stranger would.

``python -m cnnsearch.serving MODEL IMAGES OUT``


Needs TensorFlow and NumPy only; nothing of cnnsearch or Keras, so that what it finds is in the
export and nowhere else.
"""

import os
import sys

BATCH = 128


def main(model: str, images: str, out: str) -> None:
    """Writes the class probabilities of the images in one .npy file to another."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import numpy as np
    import tensorflow as tf

    serve = tf.saved_model.load(model).signatures["serving_default"]
    pixels = np.load(images, mmap_mode="r", allow_pickle=False)
    answers = [
        next(iter(serve(tf.constant(pixels[i : i + BATCH])).values())).numpy()
        for i in range(0, len(pixels), BATCH)
    ]
    np.save(out, np.concatenate(answers))


if __name__ == "__main__":
    main(*sys.argv[1:4])
