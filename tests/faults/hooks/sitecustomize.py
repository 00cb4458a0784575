"""Loaded by every Python process of a search under test: tells what it does, and kills at a point.

On PYTHONPATH, so that the driver, the fork server and all trials load it before anything else.
``CNNSEARCH_FAULT_LOG`` names a file that is told each epoch that begins, ends and is saved, and
each call of a point; ``CNNSEARCH_FAULT_KILL`` is ``point:number:when:whom``: kill -9 ``driver``,
``group`` or ``self``, ``before`` or ``after`` the call of that number in one process.
``CNNSEARCH_FAULT_STANDIN``, the seconds of an epoch, has trials train by stand_in.py, and nothing
import what only real training needs.
"""

import functools
import importlib
import importlib.abc
import importlib.util
import os
import signal
import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

POINTS = {
    "cnnsearch.engine.executors.child": ["main"],
    "cnnsearch.runs.database": ["RunDatabase._execute"],
    "cnnsearch.runs.directory": ["_fill"],
    "cnnsearch.runs.lock": ["_write"],
    "cnnsearch.runs.mlflow.store": [
        "Store.create_run",
        "Store.set_status",
        "Store.upload_file",
        "Store.write",
    ],
    "cnnsearch.training.checkpoint_writer": ["write_files"],
    "cnnsearch.training.trainer": ["Training._enter_phase_of", "Training._collect_files"],
    "cnnsearch.utils.atomic_files": ["publish_folder", "replace_file"],
    "os": ["fsync"],
    "stand_in": ["Training._enter_phase_of", "Training._collect_files"],
}
SAVED = "checkpoint_writer.write_files"
EPOCH = {"Training._enter_phase_of": "begin", "Training._collect_files": "end", SAVED: "saved"}
"""What is told of an epoch: before the first of these is called, and after the others."""
os.environ.setdefault("CNNSEARCH_FAULT_DRIVER", str(os.getpid()))


def _tell(*words: object) -> None:
    path = os.environ.get("CNNSEARCH_FAULT_LOG")
    if path:
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        os.write(file, (" ".join(map(str, words)) + "\n").encode())
        os.close(file)


def _kill(whom: str) -> None:
    if whom == "group":
        os.killpg(0, signal.SIGKILL)
    os.kill(int(os.environ["CNNSEARCH_FAULT_DRIVER"]) if whom == "driver" else os.getpid(), 9)


def _tell_epoch(name: str, argument: Any) -> None:
    """Tells of an epoch; the argument is the training, or the files that were written."""
    if name == SAVED:
        path, state = next(iter(argument.items()))
        folder, epoch = path.parent, state.header["epoch"]
    else:
        folder = argument._task.directory
        epoch = argument._progress.epoch + (EPOCH[name] == "begin")
    trial = os.environ.get("CNNSEARCH_FAULT_TRIAL", folder.name)
    _tell("epoch", trial, epoch, EPOCH[name])


def _watched(
    function: Callable[..., Any], name: str, point: str, number: int, when: str, whom: str
) -> Callable[..., Any]:
    calls = 0

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if name == "child.main":
            os.environ["CNNSEARCH_FAULT_TRIAL"] = args[1].trial_id
            _tell("process", os.getpid(), args[1].trial_id)
        elif name not in EPOCH:
            _tell("call", name)
        due = name == point and calls == number
        if due and when == "before":
            _kill(whom)
        if EPOCH.get(name) == "begin":
            _tell_epoch(name, args[0])
        result = function(*args, **kwargs)
        if due:
            _kill(whom)
        if EPOCH.get(name) in ("end", "saved"):
            _tell_epoch(name, args[0])
        return result

    return call


def _patch(module: Any) -> None:
    point, number, when, whom = os.environ.get("CNNSEARCH_FAULT_KILL", ":0::").split(":")
    for name in POINTS[module.__name__]:
        holder, _, attribute = name.rpartition(".")
        owner = getattr(module, holder) if holder else module
        shown = name if holder else f"{module.__name__.rpartition('.')[2]}.{name}"
        wrapped = _watched(getattr(owner, attribute), shown, point, int(number), when, whom)
        setattr(owner, attribute, wrapped)
    if module.__name__.endswith("executors.child") and "CNNSEARCH_FAULT_STANDIN" in os.environ:
        module.run_trial = importlib.import_module("stand_in").run_trial
        module._prepare = lambda orders, task: None  # it imports Keras to limit its threads


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name: str, path: Any, target: Any = None) -> ModuleSpec | None:
        if name not in POINTS:
            return None
        sys.meta_path.remove(self)
        try:
            spec: Any = importlib.util.find_spec(name)
        finally:
            sys.meta_path.insert(0, self)
        execute = spec.loader.exec_module

        def exec_module(module: Any) -> None:
            execute(module)
            _patch(module)

        spec.loader.exec_module = exec_module
        found: ModuleSpec = spec
        return found


if "CNNSEARCH_FAULT_STANDIN" in os.environ:
    trainer = "cnnsearch.training.trainer"
    sys.modules[trainer] = ModuleType(trainer)
if "CNNSEARCH_FAULT_LOG" in os.environ:
    _patch(os)
    sys.meta_path.insert(0, _Finder())
