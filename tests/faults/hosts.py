"""Three hosts on one machine: network namespaces on a switch, each with Ray. Needs root.

A host has its own address, its own /dev/shm and its own folder for Ray, and sees no other host's
processes or files of the run. Its link to the switch can be cut and restored.
"""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

HEAD, *OTHERS = HOSTS = ("a", "b", "c")
PREFIX = "cnnsearch-"
SWITCH = f"{PREFIX}switch"
PORT = 6379
TEMPORARY = Path("/tmp/cnnsearch-hosts")
"""Ray's folder, of each host its own."""


def explain_unable() -> str:
    """Why there can be no hosts on this machine; empty: there can."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        return "network namespaces need root and the command ip (iproute2)"
    probe = f"{PREFIX}probe"
    done = subprocess.run(["ip", "netns", "add", probe], capture_output=True, text=True)
    if done.returncode:
        return f"no network namespaces here: {done.stderr.strip()}"
    subprocess.run(["ip", "netns", "del", probe], check=True)
    return ""


def address(host: str) -> str:
    return f"10.77.0.{HOSTS.index(host) + 1}"


def cut(host: str) -> None:
    """Pulls a host's cable."""
    _ip("-n", SWITCH, "link", "set", f"port-{host}", "down")


def restore(host: str) -> None:
    """Plugs a host's cable in again."""
    _ip("-n", SWITCH, "link", "set", f"port-{host}", "up")


def on(host: str, *command: str) -> list[str]:
    """The command that runs a command on a host."""
    return ["ip", "netns", "exec", f"{PREFIX}{host}", *command]


def processes(host: str) -> set[int]:
    """Of all that runs on a host."""
    done = subprocess.run(
        ["ip", "netns", "pids", f"{PREFIX}{host}"], capture_output=True, text=True
    )
    return {int(line) for line in done.stdout.split()}


def start_ray(host: str, environment: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    """Keeps Ray running on a host, as a service manager would: it exits when it was given up."""
    ray = (
        f"{sys.executable} -m ray.scripts.scripts start --block --disable-usage-stats --num-cpus 1"
    )
    where = f"--head --port {PORT} --include-dashboard false --temp-dir {TEMPORARY}"
    if host != HEAD:
        where = f"--address {address(HEAD)}:{PORT}"
    private = f"mount -t tmpfs none /dev/shm && mount -t tmpfs none {TEMPORARY} && "
    loop = f"while true; do {ray} --node-ip-address {address(host)} {where}; sleep 1; done"
    TEMPORARY.mkdir(exist_ok=True)
    return subprocess.Popen(
        on(host, "sh", "-c", (private if host != HEAD else "") + loop),
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


@contextmanager
def network() -> Iterator[None]:
    """Builds the hosts and their switch, and leaves nothing of them behind."""
    _remove()
    _ip("netns", "add", SWITCH)
    _ip("-n", SWITCH, "link", "add", "bridge", "type", "bridge")
    _ip("-n", SWITCH, "link", "set", "bridge", "up")
    try:
        for host in HOSTS:
            _add(host)
        yield
    finally:
        _remove()


def _add(host: str) -> None:
    name, port = f"{PREFIX}{host}", f"port-{host}"
    _ip("netns", "add", name)
    _ip("-n", SWITCH, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", name)
    _ip("-n", SWITCH, "link", "set", port, "master", "bridge", "up")
    _ip("-n", name, "address", "add", f"{address(host)}/24", "dev", "eth0")
    for device in ("lo", "eth0"):
        _ip("-n", name, "link", "set", device, "up")


def _remove() -> None:
    for host in HOSTS:
        while found := processes(host):
            for process in found:
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
    for name in (*HOSTS, "switch"):
        subprocess.run(["ip", "netns", "del", f"{PREFIX}{name}"], capture_output=True)
    shutil.rmtree(TEMPORARY, ignore_errors=True)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)
