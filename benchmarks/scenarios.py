"""The runs: every proxy in turn, again and again, so that a noisy minute hurts all of them alike."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks import configs
from benchmarks.load import MIB, Idle, Peak, Run, cpu, download, idle, upload, wrk
from benchmarks.machine import free_ports, program, running, until, workers

PROXIES = ("nginx", "haproxy", "envoy", "ours")
#: Requests by wrk: name -> (method, path, size of the body, proxies that can do it).
REQUESTS = {
    "plain": ("GET", "/plain/", 0, PROXIES),
    "sticky": ("GET", "/sticky/", 0, PROXIES),
    "mirror": ("GET", "/mirror/", 0, ("nginx", "envoy", "ours")),
    "post": ("POST", "/plain/", 16 * 1024, PROXIES),
}
STREAMS = ("down", "up", "slow")
SCENARIOS = (*REQUESTS, *STREAMS, "idle", "routes", "isolation")


@dataclass(frozen=True)
class Options:
    """How much to run."""

    proxies: tuple[str, ...]
    scenarios: tuple[str, ...]
    repeat: int
    seconds: float
    stream: int  # bytes

    @property
    def steps(self) -> int:
        """How many runs that is, for the progress bar."""
        requests = [name for name in REQUESTS if name in self.scenarios]
        count = sum(len(set(REQUESTS[name][3]) & set(self.proxies)) for name in requests) * self.repeat
        count += sum(
            len(self.proxies) * (2 if name != "slow" else 1) for name in STREAMS if name in self.scenarios
        )
        count += len(self.proxies) if "idle" in self.scenarios else 0
        return count + (2 * self.repeat if "routes" in self.scenarios else 0)


@dataclass(frozen=True)
class Stream:
    """A large body: MiB a second, and the proxy's memory at its highest over what it was before (MiB)."""

    mib_per_second: float
    growth_mib: float


@dataclass
class Results:
    """Everything measured, run by run."""

    requests: dict[str, dict[str, list[Run]]]
    streams: dict[str, dict[str, list[Stream]]]
    idle: dict[str, Idle]
    routes: dict[str, list[Run]]
    observer_us: list[float]  # the observer's CPU per mirrored request


@dataclass(frozen=True)
class Proxy:
    """A proxy that is running."""

    name: str
    port: int
    processes: list[psutil.Process]
    observer: list[psutil.Process]


@contextlib.contextmanager
def upstreams(folder: Path, ports: configs.Ports, stream: int) -> Iterator[None]:
    """What stands behind every proxy."""
    with (folder / "big").open("wb") as file:
        file.truncate(stream)
    folder.chmod(0o755)  # nginx's worker is another user
    (folder / "upstream.conf").write_text(configs.upstream(ports, str(folder)))
    nginx = [program("nginx"), "-c", str(folder / "upstream.conf"), "-e", str(folder / "start.log")]
    servers = [sys.executable, "-m", "benchmarks.servers", f"sink={ports.sink}"]
    with (
        running(nginx, ports.upstream, cwd=folder),
        running(servers, ports.sink, cwd=folder, env=environment()),
    ):
        yield


def environment() -> dict[str, str]:
    """Our own modules can be found from any folder."""
    return {
        **os.environ,
        "PYTHONPATH": os.environ.get("PYTHONPATH", "") + ":" + str(Path(__file__).parent.parent),
    }


@contextlib.contextmanager
def proxy(name: str, folder: Path, ports: configs.Ports) -> Iterator[Proxy]:
    """One of the proxies, with one worker."""
    if name == "ours":
        with ours(folder / "ours", configs.ours(ports), ports.ours) as made:
            yield made
        return
    port: int = getattr(ports, name)
    path = folder / f"{name}.conf"
    if name == "nginx":
        path.write_text(configs.nginx(ports, str(folder)))
        command, marker = (
            [program("nginx"), "-c", str(path), "-e", str(folder / "start.log")],
            "worker process",
        )
    elif name == "haproxy":
        path.write_text(configs.haproxy(ports))
        command, marker = [program("haproxy"), "-db", "-f", str(path)], "haproxy"
    else:
        path = path.with_suffix(".yaml")
        path.write_text(configs.envoy(ports))
        command = [
            program("envoy"),
            "-c",
            str(path),
            "--concurrency",
            "1",
            "-l",
            "error",
            "--use-dynamic-base-id",
        ]
        marker = "envoy"
    with running(command, port, cwd=folder) as process:
        yield Proxy(name, port, workers(process, marker), [])


@contextlib.contextmanager
def ours(folder: Path, routes: str, port: int) -> Iterator[Proxy]:
    """strangler with these routes."""
    folder.mkdir(exist_ok=True)
    (folder / "routes.yaml").write_text(routes)
    command = [sys.executable, "-m", "strangler", "serve", "--workers", "1"]
    with running(command, port, cwd=folder, env=environment()) as process:
        until((folder / ".strangler" / "server.json").exists, "strangler does not get ready")
        gateway, observer = (workers(process, f"strangler.{kind}") for kind in ("gateway", "observer"))
        yield Proxy("ours", port, gateway, observer)


def run(options: Options, folder: Path, step: Callable[[str], None]) -> Results:
    """All runs but isolation."""
    ports = configs.Ports(*free_ports(7))
    results = Results({}, {}, {}, {}, [])
    with contextlib.ExitStack() as stack:
        stack.enter_context(upstreams(folder, ports, options.stream))
        made = [stack.enter_context(proxy(name, folder, ports)) for name in options.proxies]
        # Memory first: what a run of requests leaves behind is not a stream's.
        for name in STREAMS:
            if name in options.scenarios:
                results.streams[name] = _streams(name, made, options, step)
        if "idle" in options.scenarios:
            for each in made:
                step(f"idle {each.name}")
                results.idle[each.name] = idle(each.port, 1000, each.processes, options.seconds)
        for name in REQUESTS:
            if name in options.scenarios:
                results.requests[name] = _requests(name, made, options, folder, step, results)
    if "routes" in options.scenarios and "ours" in options.proxies:
        results.routes = _routes(options, folder, step)
    return results


def _requests(
    name: str,
    made: list[Proxy],
    options: Options,
    folder: Path,
    step: Callable[[str], None],
    results: Results,
) -> dict[str, list[Run]]:
    method, path, size, able = REQUESTS[name]
    script = folder / f"{name}.lua"
    script.write_text(configs.script(method, path, size))
    found: dict[str, list[Run]] = {}
    for _ in range(options.repeat):
        for each in made:
            if each.name not in able:
                continue
            step(f"{name} {each.name}")
            before = cpu(each.observer)
            one = wrk(f"http://127.0.0.1:{each.port}", script, options.seconds, each.processes)
            found.setdefault(each.name, []).append(one)
            if name == "mirror" and each.observer:
                requests = one.per_second * (options.seconds + 1)  # the second of warming up is among them
                results.observer_us.append((cpu(each.observer) - before) / requests * 1e6)
    return found


def _streams(
    name: str, made: list[Proxy], options: Options, step: Callable[[str], None]
) -> dict[str, list[Stream]]:
    found: dict[str, list[Stream]] = {}
    mib = options.stream // MIB
    for _ in range(1 if name == "slow" else 2):
        for each in made:
            step(f"{name} {each.name}")
            with Peak(each.processes) as peak:
                if name == "up":
                    speed = upload(each.port, options.stream)
                else:
                    # A reader who sleeps after each MiB, so that the whole takes about ten seconds.
                    speed = download(each.port, options.stream, pause=10 / mib if name == "slow" else 0.0)
            found.setdefault(each.name, []).append(Stream(speed, peak.growth))
    return found


def _routes(options: Options, folder: Path, step: Callable[[str], None]) -> dict[str, list[Run]]:
    """The sticky share once more, in tables of 10 and of 10 000 routes, side by side."""
    script = folder / "sticky.lua"
    script.write_text(configs.script("GET", "/sticky/"))
    found: dict[str, list[Run]] = {}
    with contextlib.ExitStack() as stack:
        made: dict[str, Proxy] = {}
        first = configs.Ports(*free_ports(7))
        stack.enter_context(upstreams(folder, first, MIB))
        for count in (10, 10_000):
            spare = free_ports(2)
            ports = configs.Ports(first.upstream, first.sink, 0, 0, 0, *spare)
            routes = configs.ours(ports, more=count - 4)
            made[str(count)] = stack.enter_context(ours(folder / f"ours-{count}", routes, ports.ours))
        for _ in range(options.repeat):
            for count_text, each in made.items():
                step(f"{count_text} routes")
                one = wrk(f"http://127.0.0.1:{each.port}", script, options.seconds, each.processes)
                found.setdefault(count_text, []).append(one)
    return found
