"""``MODEL_CARD.md``: what an export is, from the facts that its run recorded and nothing else."""

from collections.abc import Mapping, Sequence
from typing import Any

from cnnsearch.architecture.architecture import Architecture, Stage
from cnnsearch.exporters.formats import NAMES, Target
from cnnsearch.runs.directory import RunDirectory
from cnnsearch.utils.units import short_amount

MOST_NAMES = 40


def model_card(run: RunDirectory, facts: Mapping[str, Any], verified: Mapping[str, Any]) -> str:
    """Returns the card as Markdown.

    Args:
        run: where the model was trained.
        facts: what the export carries.
        verified: what its verification found, as plain data.
    """
    parts = [
        [f"# Image classifier {run.name} {facts['trial']}", *_what(facts)],
        ["## Data", *_data(run, facts)],
        ["## Search", *_search(run, facts)],
        ["## Accuracy", *_accuracy(facts)],
        ["## Formats", *table(verified["formats"], verified), *_verified(verified)],
        ["## Architecture", *_architecture(facts)],
        ["## Use and limits", *_limits(run, facts)],
        ["## How to load", *_loading(facts, verified["formats"])],
        ["## Versions", *_versions(facts)],
    ]
    return "\n\n".join("\n\n".join(part) for part in parts) + "\n"


def table(formats: Sequence[Mapping[str, Any]], verified: Mapping[str, Any]) -> list[str]:
    """Returns the formats beside the Keras model, as a table in Markdown (one entry)."""
    before = verified["test_accuracy"]
    lines = [
        "| format | file | size | accuracy | change | largest difference | same class | latency |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
        f"| Keras model in memory | | | {before:.2%} | | | | {verified['latency_ms']:.2f} ms |",
    ]
    for each in formats:
        change = 100 * (each["test_accuracy"] - before)
        label = Target(each["format"], each["quantize"]).label
        per = "" if each["batch"] == 1 else f" for {each['batch']}"
        lines.append(
            f"| {label} | `{each['file']}` | {each['bytes'] / 1e6:.3f} MB "
            f"| {each['test_accuracy']:.2%} | {change:+.2f} points "
            f"| {each['largest_difference']:.1e} | {each['agreement']:.2%} "
            f"| {each['latency_ms']:.2f} ms{per} |"
        )
    return ["\n".join(lines)]


def _what(facts: Mapping[str, Any]) -> list[str]:
    height, width, channels = facts["input"]
    colour = "grey" if channels == 1 else "RGB"
    names = facts["class_names"]
    shown = ", ".join(names[:MOST_NAMES]) + (", ..." if len(names) > MOST_NAMES else "")
    size = "any height and width (LiteRT: " if facts["any_size"] else "("
    batch = facts["batch"] or "batch"
    return [
        f"A convolutional network that tells {len(names)} classes apart: {shown}.",
        f"It takes {colour} images as uint8 ({batch}, height, width, {channels}), values 0 to 255, "
        f"{size}{height}x{width}), and returns class probabilities. Resizing, normalization and "
        "softmax are part of it.",
    ]


def _data(run: RunDirectory, facts: Mapping[str, Any]) -> list[str]:
    data = run.manifest["dataset"]
    height, width = data["image"]
    return [
        f"Source `{data['source']}`, {height}x{width} pixels: {data['train']:,} images to train "
        f"on, {data['validation']:,} to choose by, {data['test']:,} to test; "
        f"fingerprint `{data['fingerprint']}`.",
    ]


def _search(run: RunDirectory, facts: Mapping[str, Any]) -> list[str]:
    manifest = run.manifest
    trials = run.db.trials()
    done = sum(trial.status == "completed" for trial in trials)
    lines = [
        f"Trial {facts['trial']} of run `{run.name}` ({facts['kind']}, strategy "
        f"{manifest.get('strategy')}, seed {manifest.get('seed')}): {done} of {len(trials)} "
        "trainings completed.",
        _chosen(manifest, facts["objective"].replace("_", " ")),
    ]
    if facts["mlflow_run_id"]:
        lines.append(f"MLflow run `{facts['mlflow_run_id']}`.")
    return lines


def _chosen(manifest: Mapping[str, Any], objective: str) -> str:
    """Says by what the model was chosen, and what it was trained on."""
    if manifest.get("kind") != "final":
        return f"Ranked by {objective} on the validation split."
    final = manifest["final"]
    if final["hold-out"]:
        return f"A final training of `{final['from']}`; its best epoch by validation {objective}."
    return f"A final training of `{final['from']}`, on training and validation images together."


def _accuracy(facts: Mapping[str, Any]) -> list[str]:
    metrics = facts["metrics"]
    low, high = metrics["test_accuracy_interval"]
    split = facts["judged_on"]
    lines = [
        f"- {split} accuracy {metrics['test_accuracy']:.2%} (95 % interval {low:.2%} to "
        f"{high:.2%}, Wilson, {metrics['test_images']:,} images)",
        f"- {split} balanced accuracy {metrics['test_balanced_accuracy']:.2%}",
        f"- {split} macro F1 {metrics['test_macro_f1']:.2%}",
    ]
    for name in ("accuracy", "balanced_accuracy", "macro_f1", "loss"):
        value = metrics.get(f"val_{name}")
        if value is not None:
            form = f"{value:.4f}" if name == "loss" else f"{value:.2%}"
            lines.append(
                f"- validation {name.replace('_', ' ')} {form} (it was chosen by this split)"
            )
    return ["\n".join(lines)]


def _verified(verified: Mapping[str, Any]) -> list[str]:
    return [
        f"Each was reloaded in a fresh process with its own runtime and asked about the same "
        f"{verified['compared']:,} images as the Keras model. Latency: median of one call, on "
        "the machine named below.",
    ]


def _architecture(facts: Mapping[str, Any]) -> list[str]:
    architecture = Architecture.from_data(dict(facts["architecture"]))
    stages = [
        f"{item.depth} x {item.block.type}"
        + (f", width {item.width}" if item.width else "")
        + (f", stride {item.stride}" if item.stride > 1 else "")
        if isinstance(item, Stage)
        else item.type
        for item in architecture.stages
    ]
    lines = [f"{number}. {text}" for number, text in enumerate(stages, start=1)]
    cost = (
        f"{short_amount(facts['params'] or 0)} parameters, {short_amount(facts['macs'] or 0)} "
        "multiply-accumulates an image (FLOPs are twice that)."
    )
    size = "x".join(str(side) for side in architecture.input)
    where = f"Reads {size}, activation {architecture.style.activation}; all of it in "
    return [cost, where + "`architecture.json`.", "\n".join(lines)]


def _limits(run: RunDirectory, facts: Mapping[str, Any]) -> list[str]:
    source = run.manifest["dataset"]["source"]
    return [
        f"Meant for images like those of `{source}`, of one of the classes above.",
        "\n".join(
            [
                "- It always answers with one of its classes, also for what is none of them.",
                "- Accuracy was measured on images of the same source; on others it is unknown.",
                "- How accuracy differs between groups of people or places was not measured.",
            ]
        ),
    ]


def _loading(facts: Mapping[str, Any], formats: Sequence[Mapping[str, Any]]) -> list[str]:
    height, width, channels = facts["input"]
    shape = f"({facts['batch'] or 1}, {height}, {width}, {channels})"
    shown = ["From a shell: `cnnsearch predict FOLDER IMAGE...`; in Python:"]
    seen: set[str] = set()
    for each in formats:
        if each["format"] not in seen:
            seen.add(each["format"])
            imports, code = _code(each["format"], each["file"])
            code = ["import numpy as np", *imports, f"images = np.zeros({shape}, 'uint8')", *code]
            shown.append(f"{NAMES[each['format']]}:\n\n```python\n" + "\n".join(code) + "\n```")
    return shown


def _code(format_: str, file: str) -> tuple[list[str], list[str]]:
    """Returns what to import, and how to classify ``images``."""
    if format_ == "savedmodel":
        return ["import tensorflow as tf"], [
            f"serve = tf.saved_model.load('{file}').signatures['serving_default']",
            "print(serve(image=tf.constant(images))['probabilities'])",
            "# TensorFlow Serving: --model_base_path is this folder, 1 the version",
        ]
    if format_ == "keras":
        own = "import cnnsearch.keras_layers  # for the layers that Keras does not have"
        return ["import keras", own], [
            f"print(keras.saving.load_model('{file}').predict(images))",
        ]
    if format_ == "litert":
        return ["from ai_edge_litert.interpreter import Interpreter"], [
            f"model = Interpreter('{file}')",
            "model.allocate_tensors()",
            "model.set_tensor(model.get_input_details()[0]['index'], images)",
            "model.invoke()",
            "print(model.get_tensor(model.get_output_details()[0]['index']))",
        ]
    return ["import onnxruntime"], [
        f"model = onnxruntime.InferenceSession('{file}')",
        "print(model.run(['probabilities'], {'image': images}))",
    ]


def _versions(facts: Mapping[str, Any]) -> list[str]:
    found = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    environment = facts["environment"]
    return [
        f"Exported with {found}; Python {environment['python']}, {environment['backend']}, "
        f"{environment['device']}."
    ]
