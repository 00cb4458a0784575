"""What lets the features of a frozen body be cached; needs no framework."""

from cnnsearch.space.recipe import TrainingRecipe

AUGMENTATIONS = ("randaugment", "erasing", "mixup", "cutmix", "resizing", "drop_path")
"""Keys of a recipe that change an image, or what a frozen body computes of it, at random."""


def find_obstacle(recipe: TrainingRecipe, trainable: str | int) -> str:
    """Returns why features cannot be cached; empty: they can.

    Args:
        recipe: of the training.
        trainable: what is trained: ``all``, ``norms``, ``head`` or a number of stages.
    """
    if trainable in ("all", "norms"):
        return f"trainable: {trainable}"
    if recipe.shift is None or recipe.shift > 0:
        return f"shift: {'an eighth' if recipe.shift is None else f'{recipe.shift:g}'}"
    return next((key for key in AUGMENTATIONS if getattr(recipe, key)), "")
