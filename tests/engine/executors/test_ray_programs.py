"""Whole programs on Ray: killed, out of memory, on several nodes."""

import ast
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import psutil

from cnnsearch.training.messages import (
    TrialTask,
)
from tests.engine.executors.test_ray import (
    LIMIT,
    MakeTask,
    pytestmark,  # noqa: F401 (pytest reads it)
)

SCRIPT = """
    import pickle, sys
    from pathlib import Path

    from cnnsearch.training.messages import EpochEnd
    from cnnsearch.engine.executors.ray.executor import RayExecutor

    executor = RayExecutor(slots=1)
    executor.submit(pickle.loads(Path(sys.argv[1]).read_bytes()))
    while True:
        for event in executor.poll(1.0):
            print(type(event).__name__, getattr(event, "outcome", ""), flush=True)
            if not isinstance(event, EpochEnd):
                executor.close()
                raise SystemExit
"""


def script(tmp_path: Path, task: TrialTask, **environment: str) -> Any:
    import pickle

    (tmp_path / "task").write_bytes(pickle.dumps(task))
    (tmp_path / "script.py").write_text(textwrap.dedent(SCRIPT))
    return subprocess.Popen(
        [sys.executable, str(tmp_path / "script.py"), str(tmp_path / "task")],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_nothing_outlives_a_killed_driver(tmp_path: Path, make_task: MakeTask) -> None:
    driver = script(tmp_path, make_task(epochs=100_000))
    assert driver.stdout.readline().strip() == "EpochEnd"
    family = psutil.Process(driver.pid).children(recursive=True)
    assert len(family) > 5
    for process in family:
        for each in process.net_connections("tcp"):
            assert each.laddr.ip in ("127.0.0.1", "::ffff:127.0.0.1"), (process, each)
    driver.kill()
    driver.communicate()
    assert psutil.wait_procs(family, timeout=60)[1] == []


def test_a_trial_that_ray_kills_at_the_memory_limit_is_out_of_memory(
    tmp_path: Path, make_task: MakeTask
) -> None:
    driver = script(
        tmp_path,
        make_task(epochs=100_000),
        RAY_memory_usage_threshold="0.01",
        RAY_memory_monitor_refresh_ms="100",
    )
    out, err = driver.communicate(timeout=LIMIT)
    assert "out_of_memory" in out.splitlines()[-1], out + err
    assert err == ""


def cnnsearch(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "cnnsearch", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_one_worker_finds_the_same_with_ray_as_with_processes(tmp_path: Path) -> None:
    asked = ("--trials", "3", "--epochs", "2", "--seed", "3", "--workers", "1", "--quiet")
    boards = []
    for name, more in (("ray", ["--ray"]), ("processes", [])):
        cnnsearch(tmp_path, "search", "tiny", "--name", name, *asked, *more)
        board = json.loads(cnnsearch(tmp_path, "results", name, "--json"))["leaderboard"]
        boards.append([[one[key] for key in ("id", "score", "params", "macs")] for one in board])
    assert len(boards[0]) == 3
    assert boards[0] == boards[1]


NODES = """
    import os, sys, threading, time
    from ray.cluster_utils import Cluster

    import cnnsearch
    from cnnsearch.engine.display import Quiet

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]

    class Saboteur(Quiet):
        notes, begun, cut = [], set(), False

        def on_message(self, text):
            self.notes.append(text)

        def on_epoch_end(self, trial, epoch, metrics):
            self.begun.add(trial.id)
            if len(self.begun) == 3 and not self.cut:
                self.cut = True
                cluster.remove_node(nodes[0], allow_graceful=False)

    callback = Saboteur()
    result = cnnsearch.search("tiny", trials=5, epochs=6, seed=1, name="cut", ray=cluster.address,
                              callback=callback)
    print("REASON", result.reason)
    print("NOTES", callback.notes)
    print("TRIALS", sorted((t.id, t.status) for t in result.trials))
    cluster.shutdown()
"""


def test_three_nodes_and_one_is_removed(tmp_path: Path) -> None:
    (tmp_path / "nodes.py").write_text(textwrap.dedent(NODES))
    nodes = {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": "ab" * 32,
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_worker_niceness": "0",
    }
    done = subprocess.run(
        [sys.executable, "nodes.py"],
        cwd=tmp_path,
        env={**os.environ, **nodes},
        capture_output=True,
        text=True,
        timeout=2 * LIMIT,
    )
    lines = [line.split(" ", 1) for line in done.stdout.splitlines() if " " in line]
    said = {key: rest for key, rest in lines if key in ("REASON", "NOTES", "TRIALS")}
    assert done.returncode == 0, done.stdout + done.stderr
    assert said["REASON"] == "trials"
    assert "It resumes from its last epoch" in said["NOTES"]
    names = [f"{number:04d}" for number in range(5)]
    found = ast.literal_eval(said["TRIALS"])
    assert [status for _, status in found] == ["completed"] * len(names)
    assert len({trial for trial, _ in found}) == len(names)
