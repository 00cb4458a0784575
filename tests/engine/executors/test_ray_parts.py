"""What of the Ray executor needs no Ray: shares of nodes, addresses, files, reasons, folders."""

import importlib.util
import math
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from cnnsearch.cli import app
from cnnsearch.engine.executors.ray import guardian
from cnnsearch.engine.executors.ray.cluster import Cluster
from cnnsearch.engine.executors.ray.executor import RayExecutor
from cnnsearch.engine.executors.ray.files import describe_loss, write_files
from cnnsearch.engine.executors.ray.resources import Share, compute_share, count_slots
from cnnsearch.engine.executors.ray.scratch import Scratch
from cnnsearch.engine.executors.ray.worker import Files, FileSendingPipe, read_files
from cnnsearch.engine.options import Placement
from cnnsearch.engine.settings import Settings
from cnnsearch.errors import CnnsearchError, RunError
from cnnsearch.training.messages import EpochEnd

LAPTOP = [{"CPU": 8.0}]
GPUS = [{"CPU": 64.0, "GPU": 8.0}, {"CPU": 8.0, "GPU": 1.0}, {"CPU": 96.0}]


@pytest.mark.parametrize(
    ("nodes", "slots", "gpus", "share", "fit"),
    [
        (LAPTOP, None, None, Share(1, 0.0), 8),
        (LAPTOP, 1, None, Share(8, 0.0), 1),
        (LAPTOP, 3, None, Share(2, 0.0), 4),
        (LAPTOP, 20, None, Share(1, 0.0), 8),
        (LAPTOP, None, 1.0, Share(1, 1.0), 0),
        (GPUS, None, None, Share(8, 1.0), 9),
        (GPUS, None, 0.25, Share(2, 0.25), 36),
        (GPUS, None, 0.3, Share(2, 0.3), 27),
        (GPUS, None, 2.0, Share(16, 2.0), 4),
        (GPUS, None, 0.0, Share(1, 0.0), 168),
        (GPUS, 2, 1.0, Share(32, 1.0), 2),
    ],
)
def test_as_many_trials_fit_as_are_requested(
    nodes: Any, slots: int | None, gpus: float | None, share: Share, fit: int
) -> None:
    found = compute_share(nodes, slots, gpus)
    assert found == share
    assert count_slots(nodes, found) == fit


def pretend(monkeypatch: pytest.MonkeyPatch, installed: bool) -> None:
    there = importlib.util.find_spec
    spec = there("json") if installed else None
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: spec if name == "ray" else there(name)
    )


def test_without_ray_one_line_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pretend(monkeypatch, installed=False)
    with pytest.raises(CnnsearchError, match=r"pip install 'cnnsearch\[ray\]'"):
        RayExecutor()


@pytest.mark.parametrize(
    ("address", "gpus", "words"),
    [
        ("ray://head:10001", None, "expected HOST:PORT"),
        ("head", None, "expected HOST:PORT"),
        ("head:99999", None, "expected HOST:PORT"),
        ("local", 1.5, "--gpus-per-trial: expected a share"),
        ("local", -1.0, "--gpus-per-trial: expected a share"),
    ],
)
def test_what_makes_no_sense_is_refused(
    monkeypatch: pytest.MonkeyPatch, address: str, gpus: float | None, words: str
) -> None:
    pretend(monkeypatch, installed=True)
    with pytest.raises(CnnsearchError, match=words) as refused:
        RayExecutor(address, gpus_per_trial=gpus)
    assert "\n" not in str(refused.value)


def test_an_address_without_a_server_is_reported_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, installed=True)
    with socket.socket() as bound:  # taken, but nobody listens
        bound.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{bound.getsockname()[1]}"
        since = time.monotonic()
        with pytest.raises(CnnsearchError, match=f"--ray {address}: no cluster answers there"):
            RayExecutor(address)
        assert time.monotonic() - since < 6


def test_another_server_at_the_address_is_distinguished_from_a_cluster(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pretend(monkeypatch, installed=True)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            there, _ = server.accept()
            with there:
                there.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        threading.Thread(target=answer, daemon=True).start()
        with pytest.raises(CnnsearchError, match="what answers there is no Ray cluster"):
            RayExecutor(f"127.0.0.1:{server.getsockname()[1]}")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"ray": "local", "workers": 0}, "--ray: places trials"),
        ({"ray": "local", "gpus": "0"}, "--gpus: with --ray"),
        ({"ray": "local", "workers_per_gpu": 2}, "--workers-per-gpu: with --ray"),
        ({"gpus_per_trial": 0.5}, "--gpus-per-trial: is for --ray"),
    ],
)
def test_flags_that_contradict_each_other(settings: Any, words: str) -> None:
    with pytest.raises(CnnsearchError, match=words):
        Placement(**settings)


def test_a_run_may_be_moved_to_a_cluster_and_back() -> None:
    before = Settings.create("", "", workers=2)
    there = before.move(ray="head:6379", gpus_per_trial=0.25)
    placed = there.placement
    assert (placed.ray, placed.gpus_per_trial, placed.workers) == ("head:6379", 0.25, 2)
    assert there.identity() == before.identity()
    assert there.move(ray="none") == before


@pytest.mark.parametrize(
    ("given", "seen"),
    [
        (["tiny", "--ray"], "local"),
        (["--ray", "tiny"], "local"),
        (["tiny", "--ray", "--trials", "3"], "local"),
        (["tiny", "--ray", "head:6379"], "head:6379"),
        (["tiny", "--ray=head:6379"], "head:6379"),
        (["tiny", "--ray", "auto"], "auto"),
        (["tiny"], None),
    ],
)
def test_ray_may_stand_alone(
    monkeypatch: pytest.MonkeyPatch, given: list[str], seen: str | None
) -> None:
    asked: dict[str, Any] = {}

    def search(space: str, data: str, **arguments: Any) -> Any:
        asked.update(arguments, space=space)
        raise CnnsearchError("enough")

    monkeypatch.setattr(importlib.import_module("cnnsearch.engine.search"), "search", search)
    CliRunner().invoke(app, ["search", *given])
    assert (asked["space"], asked["ray"]) == ("tiny", seen)


class Pipe:
    def __init__(self) -> None:
        self.sent: list[Any] = []

    def send(self, event: Any) -> None:
        self.sent.append(event)


def test_files_travel_before_the_event_that_tells_of_them(tmp_path: Path) -> None:
    there, here, pipe = tmp_path / "there", tmp_path / "here", Pipe()
    there.mkdir()
    (there / "best.npz").write_bytes(b"seeded")
    pipe_with_files = FileSendingPipe(pipe, there)  # type: ignore[arg-type]
    (there / "state.npz").write_bytes(b"1")
    pipe_with_files.send(EpochEnd("a", 1))
    pipe_with_files.send(EpochEnd("a", 1, replayed=True))
    (there / "state.npz").write_bytes(b"two")
    (there / "best.npz").write_bytes(b"better")
    pipe_with_files.send(EpochEnd("a", 2))
    first, one, replayed, second, two = pipe.sent
    assert first == Files("a", {"state.npz": b"1"})
    assert list(second.checkpoints) == ["state.npz", "best.npz"]  # as training writes them
    assert [one.epoch, replayed.epoch, two.epoch] == [1, 1, 2]
    for files in (first, Files("a", log=b"line\n"), second, Files("a", log=b"more\n")):
        write_files(here, files)
    assert read_files(here) == {"state.npz": b"two", "best.npz": b"better"}
    assert (here / "trial.log").read_bytes() == b"line\nmore\n"
    assert {path.name for path in here.iterdir()} == {"state.npz", "best.npz", "trial.log"}


class OutOfMemoryError(Exception):
    pass


class ActorDiedError(Exception):
    pass


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (OutOfMemoryError("Task was killed"), "out_of_memory", "no memory left"),
        (ActorDiedError("gone because its node has died. Node Id: 1f2e"), "crash", "node is gone"),
        (ActorDiedError("exits with\npid: 77"), "crash", "its Ray worker died"),
        (ActorDiedError("creation task, x\nNo module named 'y'"), "crash", "No module named 'y'"),
        (ValueError("odd\nlast"), "crash", "ValueError: last"),
    ],
)
def test_why_a_worker_is_gone_in_a_line(error: Exception, kind: str, words: str) -> None:
    found = describe_loss(error)
    assert found.kind == kind and words in found.reason
    assert not any(char.isdigit() for char in found.reason), "the same cause, the same words"


def test_a_folder_is_removed_by_the_last_who_holds_it(tmp_path: Path) -> None:
    one, other = Scratch("x", tmp_path), Scratch("x", tmp_path)
    (one.path / "file").touch()
    one.leave()
    assert other.path.is_dir()
    other.leave()
    assert not other.path.exists()


def test_what_a_killed_process_left_is_removed_by_the_next(tmp_path: Path) -> None:
    code = f"""
from pathlib import Path
from cnnsearch.engine.executors.ray.scratch import Scratch
from cnnsearch.engine.executors.ray.resources import Share, count_slots, compute_share
print(Scratch(root=Path({str(tmp_path)!r})).path, flush=True)
input()
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    left = Path(process.stdout.readline().strip())
    mine = Scratch(root=tmp_path)
    assert left.is_dir(), "it is held"
    process.kill()
    process.communicate()
    assert left.is_dir()
    Scratch(root=tmp_path).leave()
    assert not left.exists() and mine.path.is_dir()
    mine.leave()


def test_the_guardian_ends_what_uses_the_folder_once_its_driver_is_gone(tmp_path: Path) -> None:
    folder = tmp_path / "cluster"
    folder.mkdir()
    with (folder / "log").open("w") as log:
        stray = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], stdout=log)
    guard = subprocess.Popen(
        [sys.executable, "-I", "-S", guardian.__file__, str(folder)], stdin=subprocess.PIPE
    )
    time.sleep(0.5)
    assert stray.poll() is None and guard.poll() is None
    guard.communicate(timeout=20)
    assert stray.wait(5) == -9
    assert not folder.exists()


def test_a_search_ends_in_a_line_when_ray_has_died_on_its_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pretend(monkeypatch, installed=True)
    cluster, nodes = Cluster("local", 2, None), [{"NodeID": "here", "Alive": True}]
    context = SimpleNamespace(get_node_id=lambda: "here")
    ray = SimpleNamespace(get_runtime_context=lambda: context, nodes=lambda: nodes)
    monkeypatch.setattr(cluster, "ray", lambda: ray)
    cluster.check()
    nodes[:] = [{"NodeID": "here", "Alive": False}, {"NodeID": "there", "Alive": True}]
    monkeypatch.setattr(cluster, "_counted", -math.inf)
    with pytest.raises(RunError, match=r"raylet\) has died; .* `cnnsearch resume`"):
        cluster.check()
