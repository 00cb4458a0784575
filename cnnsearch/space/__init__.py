"""Search spaces: architectures with choices in them, and the training recipe beside them.

Enters: a YAML or JSON file, or its text. Leaves: a ``SearchSpace`` that decodes the values of its
hyperparameters into an ``Architecture`` and a ``TrainingRecipe``.
"""
