"""``MODEL_CARD.md``: describes an export, from the facts that its run recorded and nothing else."""

from collections.abc import Mapping
from typing import Any

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.architecture.cost import count_deployed
from cnnsearch.architecture.stages import Stage
from cnnsearch.exporters.formats import find_format
from cnnsearch.exporters.results import COLUMNS, ExportResult, table_rows
from cnnsearch.runs.directory import RunDirectory
from cnnsearch.training.objectives import Objective, objective_of
from cnnsearch.utils.units import format_amount

MAX_NAMES = 40


def write_model_card(run: RunDirectory, facts: Mapping[str, Any], result: ExportResult) -> str:
    """Returns the card as Markdown.

    Args:
        run: where the model was trained.
        facts: what the export carries.
        result: what its verification found.
    """
    parts = [
        [f"# Image classifier {run.name} {facts['trial']}", *_overview(facts)],
        ["## Data", *_data(run)],
        ["## Search", *_search(run, facts)],
        ["## Accuracy", *_accuracy(facts)],
        ["## Formats", _format_table(result), *_verification(result)],
        ["## Architecture", *_architecture(facts)],
        ["## Intended use and limits", *_limits(run)],
        ["## Preparing an image", *_preparation(facts)],
        ["## Loading the model", *_loading(facts, result)],
        ["## Versions", _versions(facts)],
    ]
    return "\n\n".join("\n\n".join(part) for part in parts)


def _overview(facts: Mapping[str, Any]) -> list[str]:
    height, width, channels = facts["input"]
    names = facts["class_names"]
    shown = ", ".join(names[:MAX_NAMES]) + (", ..." if len(names) > MAX_NAMES else "")
    size = "any height and width (LiteRT: " if facts["any_size"] else "("
    return [
        f"A convolutional network that distinguishes {len(names)} classes: {shown}.",
        f"Input: {_colour(facts)} images, uint8 ({facts['batch'] or 'batch'}, height, width, "
        f"{channels}), values 0 to 255, {size}{height}x{width}). Output: class probabilities. "
        "Resizing to the network's input, normalization and softmax are part of the model.",
    ]


def _colour(facts: Mapping[str, Any]) -> str:
    return "grey" if facts["input"][2] == 1 else "RGB"


def _data(run: RunDirectory) -> list[str]:
    data = run.manifest["dataset"]
    height, width = data["image"]
    return [
        f"Source `{data['source']}`, {height}x{width} pixels: {data['train']:,} training, "
        f"{data['validation']:,} validation and {data['test']:,} test images; "
        f"fingerprint `{data['fingerprint']}`.",
    ]


def _search(run: RunDirectory, facts: Mapping[str, Any]) -> list[str]:
    manifest, trials = run.manifest, run.db.get_trials()
    done = sum(trial.status == "completed" for trial in trials)
    lines = [
        f"Trial {facts['trial']} of run `{run.name}` ({facts['kind']}, strategy "
        f"{manifest.get('strategy')}, seed {manifest.get('seed')}): {done} of {len(trials)} "
        "trials completed.",
        _selection(manifest, objective_of(facts)),
    ]
    return lines + [f"MLflow run `{facts['mlflow_run_id']}`."] * bool(facts["mlflow_run_id"])


def _selection(manifest: Mapping[str, Any], objective: Objective) -> str:
    """Says which metric selected the model, and what it was trained on."""
    if manifest.get("kind") != "final":
        return f"Ranked by {objective.label} on the validation split."
    final = manifest["final"]
    if final["hold-out"]:
        return f"A final training of `{final['from']}`; its best epoch by {objective.title}."
    return f"A final training of `{final['from']}`, on training and validation images together."


def _accuracy(facts: Mapping[str, Any]) -> list[str]:
    metrics, split = facts["metrics"], facts["judged_on"]
    low, high = metrics["test_accuracy_interval"]
    lines = [
        f"- {split} accuracy {metrics['test_accuracy']:.2%} (95 % interval {low:.2%} to "
        f"{high:.2%}, Wilson, {metrics['test_images']:,} images)",
        f"- {split} balanced accuracy {metrics['test_balanced_accuracy']:.2%}",
        f"- {split} macro F1 {metrics['test_macro_f1']:.2%}",
    ]
    for name in ("accuracy", "balanced_accuracy", "macro_f1", "loss"):
        value = metrics.get(f"val_{name}")
        if value is not None:
            shown = f"{value:.4f}" if name == "loss" else f"{value:.2%}"
            lines.append(
                f"- validation {name.replace('_', ' ')} {shown} (the model was selected on this "
                "split)"
            )
    return ["\n".join(lines)]


def _format_table(result: ExportResult) -> str:
    rule = ("---", "---", *["---:"] * (len(COLUMNS) - 2))
    rows = [COLUMNS, rule, *table_rows(result)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _verification(result: ExportResult) -> list[str]:
    text = (
        f"Each file was reloaded in a fresh process with its own runtime and compared with the "
        f"Keras model on the same {result.compared:,} {result.split} images. Change: of accuracy, "
        "in points. Max. difference: of any class probability. Latency: median of one call, on "
        "the machine named below."
    )
    return [text, result.caution] if result.caution else [text]


def _architecture(facts: Mapping[str, Any]) -> list[str]:
    architecture = Architecture.from_data(dict(facts["architecture"]))
    stages = [
        f"{item.depth} x {item.block.type}"
        + (f", width {item.width}" if item.width else "")
        + (f", stride {item.stride}" if item.stride > 1 else "")
        if isinstance(item, Stage)
        else item.type
        for item in architecture.stages
        if not isinstance(item, Stage) or item.depth  # a stage of depth 0 is not wired
    ]
    size = "x".join(str(side) for side in architecture.input)
    return [
        f"{format_amount(facts['params'] or 0)} parameters, {format_amount(facts['macs'] or 0)} "
        "multiply-accumulates per image (FLOPs are twice that).",
        *_describe_folding(architecture),
        f"Input {size}, activation {architecture.style.activation}; the whole architecture is in "
        "`architecture.json`.",
        "\n".join(f"{number}. {text}" for number, text in enumerate(stages, start=1)),
    ]


def _describe_folding(architecture: Architecture) -> list[str]:
    deployed = count_deployed(architecture)
    if deployed is None:
        return []
    return [
        "The files hold the network with its training branches folded into one convolution each "
        f"(the same function): {format_amount(deployed.params)} parameters, "
        f"{format_amount(deployed.macs)} multiply-accumulates.",
    ]


def _limits(run: RunDirectory) -> list[str]:
    source = run.manifest["dataset"]["source"]
    return [
        f"Intended for images like those of `{source}` that show one of the classes above.",
        "- It always predicts one of its classes, also for images that show none of them.\n"
        "- Accuracy was measured on images of the same source; on others it is unknown.\n"
        "- How accuracy differs between groups of people or places was not measured.",
    ]


def _preparation(facts: Mapping[str, Any]) -> list[str]:
    height, width, _ = facts["input"]
    inside = (
        "accepts other sizes too (LiteRT does not)" if facts["any_size"] else "accepts no other"
    )
    return [
        "The pixels have to be what `cnnsearch predict` and the training used:\n\n"
        "1. Apply the EXIF orientation: cameras store photographs rotated, and readers such as "
        "`PIL.Image.open` leave them so.\n"
        f"2. Convert to {_colour(facts)}, 8 bits per channel; put transparent images on white.\n"
        f"3. Resize to {height}x{width}, bilinear with antialiasing, without keeping the aspect "
        f"ratio. The model {inside}, but its accuracy was measured at this size.\n"
        "4. Pass the uint8 values 0 to 255 as they are: do not scale or normalize them.",
    ]


def _loading(facts: Mapping[str, Any], result: ExportResult) -> list[str]:
    files: dict[str, str] = {}
    for each in result.formats:
        files.setdefault(each.format, each.file)
    parts = [
        "From a shell: `cnnsearch predict FOLDER IMAGE...`. In Python, from this folder, for an "
        "image `photo.jpg`:"
    ]
    for name, file in files.items():
        format_ = find_format(name)
        code = f"{_image_code(facts)}\n\n{format_.snippet(file)}"
        code += "\nprint(probabilities.argmax(axis=-1), probabilities.max(axis=-1))"
        parts += [f"{format_.title}:", f"```python\n{code}\n```", *filter(None, [format_.caution])]
    return parts


def _image_code(facts: Mapping[str, Any]) -> str:
    """Returns code that prepares ``images`` exactly as ``decode`` does a JPEG."""
    height, width, channels = facts["input"]
    side = 2 * max(height, width)
    mode, axes = ("L", "[None, ..., None]") if channels == 1 else ("RGB", "[None]")
    repeat = f".repeat({facts['batch']}, axis=0)" if (facts["batch"] or 1) > 1 else ""
    shape = f"({facts['batch'] or 1}, {height}, {width}, {channels})"
    return f"""\
import numpy as np
from PIL import Image, ImageOps

picture = Image.open("photo.jpg")
picture.draft(None, ({side}, {side}))  # reads large JPEGs at a reduced size, as in training
picture = ImageOps.exif_transpose(picture).convert("{mode}")
picture = picture.resize(({width}, {height}), Image.Resampling.BILINEAR)
images = np.asarray(picture, "uint8"){axes}{repeat}  # {shape}"""


def _versions(facts: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    environment = facts["environment"]
    return (
        f"Exported with {versions}; Python {environment['python']}, {environment['backend']}, "
        f"{environment['device']}."
    )
