"""Connects to a Ray cluster, or starts one on this machine."""

import importlib.util
import logging
import math
import os
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cnnsearch.data.dataset import Dataset
from cnnsearch.data.transport import pack
from cnnsearch.engine.executors.ray import guardian
from cnnsearch.engine.executors.ray.resources import Share, compute_share, count_slots
from cnnsearch.engine.executors.ray.scratch import Scratch
from cnnsearch.errors import CnnsearchError, RunError
from cnnsearch.training.messages import Pretrained
from cnnsearch.utils.hardware import count_cores

LOCAL = "local"
"""The address of a cluster that is started here and ends with the search."""
REACH_SECONDS = 5.0
"""Seconds in which a cluster's address must answer."""
START_ATTEMPTS = 3
"""On a busy machine Ray may not start within the half minute that it allows itself."""
START_SECONDS, JOIN_SECONDS = 180.0, 30.0
"""Seconds in which a cluster must be started, or joined."""
NODE_COUNT_SECONDS = 5.0
"""Seconds for which a cluster's nodes are cached."""
SHORT = Path("/tmp")
"""For Ray's sockets, whose paths are limited to 107 characters."""
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_USAGE_STATS_PROMPT_ENABLED": "0",
    "RAY_DEDUP_LOGS_SKIP_REGEX": "^",  # all of Ray's lines about its workers
    "RAY_worker_niceness": "0",  # of a local cluster: that of our processes
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # or Ray warns that this will be the default
}
RESUME = "finished work is kept: continue with `cnnsearch resume`"
NONE_HERE = "no cluster runs on this machine (`ray start` makes it a node of one)"
LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
"""Makes Ray listen on 127.0.0.1 alone, as it does by itself on Windows and macOS."""


class Cluster:
    """A connection to Ray, made in the background.

    Args:
        address: ``local``, ``auto`` or HOST:PORT.
        slots: trials in parallel; None: as many as there is room for.
        gpus: per trial; None: one if there are any.

    Raises:
        CnnsearchError: Ray is not installed, an argument makes no sense, nobody answers there.
    """

    def __init__(self, address: str, slots: int | None, gpus: float | None) -> None:
        _check_address(address, gpus)
        self._address, self._wanted, self._gpus = address, slots, gpus
        self._flag = "--ray" if address == LOCAL else f"--ray {address}"
        self._connected, self._over = threading.Event(), threading.Event()
        self._error: Exception | None = None
        self._scratch: Scratch | None = None
        self._guardian: subprocess.Popen[bytes] | None = None
        self._before: dict[str, str | None] = {}
        self._thread: threading.Thread | None = None
        self._share: Share | None = None
        self._alive: list[Mapping[str, Any]] = []
        self._counted = -math.inf

    def start(self) -> None:
        """Starts to connect in the background, once."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, daemon=True, name="ray cluster")
            self._thread.start()

    def ray(self) -> Any:
        """Returns the module ``ray``, connected.

        Raises:
            CnnsearchError: the cluster cannot be started or joined.
        """
        self.start()
        patience = START_SECONDS if self._address == LOCAL else JOIN_SECONDS
        if not self._connected.wait(patience):
            raise CnnsearchError(f"{self._flag}: Ray is not ready within {patience:g} seconds")
        if self._error is not None:
            why = NONE_HERE if self._address == "auto" else _first_line(self._error)
            raise CnnsearchError(f"{self._flag}: {why}") from None
        import ray

        return ray

    @property
    def share(self) -> Share:
        """What a trial gets.

        Raises:
            CnnsearchError: no node has that, or the cluster cannot be started or joined.
        """
        if self._share is None:
            nodes = self._resources()
            share = compute_share(nodes, self._wanted, self._gpus)
            if not count_slots(nodes, share):
                cpus, gpus = (sum(node.get(what, 0) for node in nodes) for what in ("CPU", "GPU"))
                raise CnnsearchError(
                    f"{self._flag}: no node has room for a trial with {share.cpus} CPU and "
                    f"{share.gpus:g} GPUs; the cluster has {cpus:g} CPUs and {gpus:g} GPUs in all"
                )
            self._share = share
        return self._share

    @property
    def slots(self) -> int:
        """Trials in parallel: as requested, or as many as the present nodes have room for."""
        share = self.share
        return count_slots(self._resources(), share) if self._wanted is None else self._wanted

    def check(self) -> None:
        """Checks that Ray still runs on this machine: without, it never places a trial again.

        Raises:
            RunError: it does not.
        """
        here = self.ray().get_runtime_context().get_node_id()
        if all(node["NodeID"] != here for node in self._nodes()):
            raise RunError(f"{self._flag}: Ray's node on this machine (raylet) has died; {RESUME}")

    @property
    def folder(self) -> Path | None:
        """Folder for the workers' temporary files; None: that of their nodes."""
        return None if self._scratch is None else self._scratch.path

    def leave(self) -> None:
        """Ends the connection, and the cluster if it was started here."""
        if self._thread is None:
            return
        self._over.set()
        self._thread.join(JOIN_SECONDS)

    def _resources(self) -> list[Mapping[str, float]]:
        return [node["Resources"] for node in self._nodes()]

    def _nodes(self) -> list[Mapping[str, Any]]:
        if time.monotonic() > self._counted + NODE_COUNT_SECONDS:
            self._alive = [node for node in self.ray().nodes() if node["Alive"]]
            self._counted = time.monotonic()
        return self._alive

    def _run(self) -> None:
        """Runs in the thread that starts Ray's processes: the system ends them with it."""
        try:
            owned = self._connect()
        except Exception as error:
            self._error, owned = error, True
        self._connected.set()
        self._over.wait()
        if owned:
            import ray

            ray.shutdown()
        if self._guardian is not None:
            self._guardian.communicate()  # closes its input, and waits
        if self._scratch is not None:
            self._scratch.leave()
        for name, value in self._before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})

    def _connect(self) -> bool:
        """Starts or joins a cluster; returns whether we have to end the connection."""
        self._set_environment(QUIET)
        if (
            self._address == LOCAL and "ray" not in sys.modules
        ):  # Ray reads these when it is imported
            token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
            for name, value in {**LOOPBACK, **token}.items():
                os.environ.setdefault(name, value)
        import ray

        if ray.is_initialized():  # by the program that searches
            return False
        options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.CRITICAL}
        if self._address != LOCAL:
            ray.init(address=self._address, **options)
            return True
        self._scratch = Scratch(root=SHORT)
        self._guardian = _start_guardian(self._scratch.path)
        local = {"include_dashboard": False, "_temp_dir": str(self._scratch.path)}
        options.update(local, num_cpus=max(count_cores(), self._wanted or 1))
        for tries in range(START_ATTEMPTS, 0, -1):
            try:
                ray.init(**options)
                break
            except Exception:
                if tries == 1:
                    raise
                ray.shutdown()
        return True

    def _set_environment(self, values: Mapping[str, str]) -> None:
        self._before.update({name: os.environ.get(name) for name in values})
        os.environ.update(values)


class Store:
    """Puts data sets and weights into a cluster's object store, each once."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._pieces: dict[str, tuple[Any, ...]] = {}
        self._weights: dict[Path, Any] = {}

    def put_pieces(self, data: Dataset) -> tuple[Any, ...]:
        """Returns references to the pieces of a data set."""
        ray = self._cluster.ray()
        if data.fingerprint not in self._pieces:
            self._pieces[data.fingerprint] = tuple(ray.put(piece) for piece in pack(data))
        return self._pieces[data.fingerprint]

    def put_weights(self, pretrained: Pretrained | None) -> Any:
        """Returns a reference to the content of the file of pretrained weights."""
        if pretrained is None:
            return None
        path = pretrained.weights
        if path not in self._weights:
            self._weights[path] = self._cluster.ray().put(path.read_bytes())
        return self._weights[path]


def _start_guardian(folder: Path) -> subprocess.Popen[bytes]:
    """Starts the process that ends a local cluster if this one is killed."""
    return subprocess.Popen(
        [sys.executable, "-I", "-S", guardian.__file__, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _check_address(address: str, gpus: float | None) -> None:
    if importlib.util.find_spec("ray") is None:
        raise CnnsearchError("--ray: Ray is not installed; pip install 'cnnsearch[ray]'")
    if gpus is not None and not (0 <= gpus <= 1 or (gpus > 1 and gpus == int(gpus))):
        wanted = "expected a share from 0 to 1, or a whole number"
        raise CnnsearchError(f"--gpus-per-trial: {wanted}, got {gpus:g}")
    if address in (LOCAL, "auto"):
        return
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or "/" in host or not 0 < int(port) < 2**16:
        wanted = "expected HOST:PORT of a cluster's head, on one of whose nodes this runs, or auto"
        raise CnnsearchError(f"--ray {address}: {wanted}")
    try:
        answers = _is_ray_head(host.strip("[]"), int(port))
    except OSError as error:
        why = error.strerror or str(error)
        raise CnnsearchError(f"--ray {address}: no cluster answers there ({why})") from None
    if not answers:
        raise CnnsearchError(f"--ray {address}: what answers there is no Ray cluster")


def _is_ray_head(host: str, port: int) -> bool:
    """Whether an HTTP/2 preface (RFC 9113, 3.4) is answered by a SETTINGS frame (type 4)."""
    with socket.create_connection((host, port), REACH_SECONDS) as there:
        if os.environ.get("RAY_USE_TLS", "0") != "0":
            return True
        there.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0")
        return there.recv(9)[3:4] == b"\4"


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:300] if lines else type(error).__name__
