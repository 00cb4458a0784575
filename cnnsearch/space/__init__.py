"""Search spaces: architectures with choices in them, and the training recipe beside them.

In: a YAML or JSON file, or its text. Out: a ``SearchSpace`` that decodes the values of its
hyperparameters into an ``Architecture`` and a ``TrainingRecipe``.
"""
