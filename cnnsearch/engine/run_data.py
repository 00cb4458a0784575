"""The images of a run: loaded with its settings, within its memory."""

from pathlib import Path

from cnnsearch.data import Dataset, load
from cnnsearch.data.dataset import BATCHES_HELD
from cnnsearch.data.views import drop_copies, take_share
from cnnsearch.engine.settings import Settings
from cnnsearch.errors import CnnsearchError
from cnnsearch.space.search_space import SearchSpace
from cnnsearch.training.metrics import balance_class_weights
from cnnsearch.utils import environment


def load_data(settings: Settings, space: SearchSpace, root: Path) -> Dataset:
    """Loads the data set at the candidates' image size, decoded or from the cache.

    Pretrained weights expect colour images.

    Raises:
        DataError: it cannot be read.
        CnnsearchError: a batch needs more than ``--max-memory``.
    """
    options = settings.data
    height, width = options.size or space.input[:2]
    seed = settings.search.seed if options.split_seed is None else options.split_seed
    data = load(
        options.source,
        image=(height, width),
        channels=3 if settings.training.weights or space.list_backbones() else None,
        cache=root / ".cache",
        seed=seed,
        skip_bad_images=options.skip_bad_images,
        data_dir=Path(options.data_dir) if options.data_dir else None,
        split_version=options.split_version,
    )
    _check_batches(settings, space, data)
    memory = options.max_memory or environment.get_available_memory()
    data = data.fit_memory(memory)
    if options.drop_copies:
        data = drop_copies(data)
    return take_share(data, options.train_share, seed)


def _check_batches(settings: Settings, space: SearchSpace, data: Dataset) -> None:
    """Refuses batches that alone exceed the memory for images."""
    limit = settings.data.max_memory
    size = min(_find_largest_batch(settings, space), data.train.count)
    height, width, channels = data.input
    held = BATCHES_HELD * size * height * width * channels
    if limit is not None and held > limit:
        raise CnnsearchError(
            f"--max-memory: {BATCHES_HELD} batches of {size} images of {height}x{width}x{channels} "
            f"are in memory at once, {held:,} bytes, but {limit:,} are allowed; "
            "a smaller batch (--set batch_size=) or --image needs less"
        )


def _find_largest_batch(settings: Settings, space: SearchSpace) -> int:
    recipe, changes = space.decode_first().recipe, settings.training.changes
    if any(change.partition("=")[0].strip() == "batch_size" for change in changes):
        return recipe.change(changes).batch_size
    searched = [p for p in space.parameters if p.name.rpartition(".")[2] == "batch_size"]
    return max([recipe.batch_size, *(int(max(p.options or (p.high,))) for p in searched)])


def compute_class_weights(settings: Settings, data: Dataset) -> tuple[float, ...]:
    """Returns the weight of each class in the loss; empty where all are equal."""
    if settings.training.class_weights == "none":
        return ()
    return balance_class_weights(data.train.labels(), data.classes)
