"""Proves the Dockerfile without a container engine: ``python -m tests.image FOLDER`` (.ci/image).

Carries out its steps in a Debian root, starts what they made as a container would, and looks at the
promises of docs/image.md. Prints figures; FOLDER keeps the bill of materials and the log.
Needs root, and a mount namespace of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import httpx

from tests.genai.spans import CHAT, SpanOf, request_of
from tests.image.bill import components, installed, make_bill, without_hash
from tests.image.building import Built, build, entry, layer_bytes, mount
from tests.image.dockerfile import Read, health_check, read_dockerfile
from tests.image.running import Container, leave_network, processor_s, stop
from tests.otlp.relay import client, send
from tests.otlp.upstream import Upstream
from tests.stack.names import ROOT
from tests.stack.places import part
from tripswitch.otlp.grpc_receiver import TRACES_METHOD

UPSTREAM = "127.0.0.1:14317"
_MIB = 1 << 20


def told(what: str, value: object) -> None:
    """Print a figure."""
    print(f"{what:<44} {value}", flush=True)


def promise(holds: object, what: str) -> None:
    """Print a promise that holds; end where it does not."""
    if not holds:
        raise SystemExit(f"does not hold: {what}")
    print(f"holds: {what}", flush=True)


def main(folder: Path) -> None:
    """Build, look, start, ask, stop."""
    read = read_dockerfile()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="image-") as made:
        work = Path(made)
        # Mounts need a file system that can be an overlay's upper one.
        mount("-t", "tmpfs", "-o", "size=4g,mode=700", "tmpfs", work)
        try:
            base = work / "base"
            base.mkdir()
            subprocess.run(["tar", "-C", base, "-xf", part("root")], check=True)
            _look_at_context(read)
            begun_s = time.monotonic()
            stages = build(read, base, work)
            told("steps carried out, wall time", f"{time.monotonic() - begun_s:.0f} s")
            final = stages[""]
            _tell_sizes(base, final)
            _compare_bill(final, folder / "sbom.cdx.json")
            _wheels_for("aarch64", work)
            leave_network()
            log = folder / "container.log"
            asyncio.run(_as_container(read, final, work, log))
            _look_at_log(log)
        finally:
            subprocess.run(["umount", "--recursive", "--lazy", work], check=False)


def _look_at_context(read: Read) -> None:
    told("files that the build sees", len(read.context))
    # An engine sends its two own files along; no COPY finds them.
    tops = {file.parts[0] for file in read.context} - {"Dockerfile", ".dockerignore"}
    promise(
        tops == {"pyproject.toml", "README.md", "LICENSE", "requirements", "src", "config"},
        "the build sees the package, its pins and its configuration, and nothing else",
    )


def _tell_sizes(base: Path, final: Built) -> None:
    (packages,) = final.upper.glob("opt/tripswitch/lib/python3*/site-packages")
    told("base root (ours, not the image's)", f"{layer_bytes(base) / _MIB:.0f} MiB")
    told("layers upon the base", f"{layer_bytes(final.upper) / _MIB:.1f} MiB")
    tar = subprocess.Popen(["tar", "-C", final.upper, "-c", "."], stdout=subprocess.PIPE)
    packed = subprocess.run(["gzip", "-6"], stdin=tar.stdout, capture_output=True, check=True)
    tar.wait()
    told("layers upon the base, packed", f"{len(packed.stdout) / _MIB:.1f} MiB")
    told("site-packages", f"{layer_bytes(packages) / _MIB:.1f} MiB")
    sizes = sorted((layer_bytes(one), one.name) for one in packages.iterdir() if one.is_dir())
    for size, name in sizes[:-7:-1]:
        told(f"  {name}", f"{size / _MIB:.1f} MiB")
    left = {
        str(file.relative_to(final.upper).parts[0:2])
        for file in final.upper.rglob("*")
        if file.lstat().st_uid == 10001
    }
    promise(left == {"('var', 'lib')"}, "its user owns nothing in the image but the volume")
    has_no_pip = not list(packages.glob("pip*")) and not list(packages.glob("setuptools*"))
    promise(has_no_pip, "nothing that installs is in it")


def _compare_bill(final: Built, target: Path) -> None:
    bill = make_bill(target)
    listed = components(bill)
    python = ["chroot", str(final.root), "/opt/tripswitch/bin/python"]
    found = installed(python, final.environment)
    told("components in the bill of materials", len(listed))
    promise(found.pop("tripswitch", None), "tripswitch is installed")
    promise(found == listed, "what is installed is what the bill lists, version by version")
    promise(not without_hash(bill), "every component of the bill has hashes")


def _wheels_for(machine: str, work: Path) -> None:
    """Hold that the pins can be had for another architecture without a compiler."""
    platforms = [f"--platform={each}_{machine}" for each in ("manylinux_2_28", "manylinux2014")]
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--require-hashes",
            "--only-binary=:all:",
            "--python-version=3.11",
            *platforms,
            "--requirement",
            ROOT / "requirements/image.txt",
            "--dest",
            work / machine,
        ],
        check=False,
    )
    promise(done.returncode == 0, f"every pin has a wheel for {machine} under its hashes")


def _look_at_log(log: Path) -> None:
    lines = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
    said = {line["event"] for line in lines if line["level"] != "info"}
    # Its ports are open to other containers, and nobody has yet said whom to tell.
    promise(
        said <= {"config_warning"}, "it logged nothing worse than warnings of its configuration"
    )


async def _as_container(read: Read, final: Built, work: Path, log: Path) -> None:
    stage = read.stages[-1]
    (volume_at,) = stage.last("VOLUME").value.split()
    container = Container(final, volume_at, work / "volume")
    options, health = health_check(stage)
    promise(final.user not in ("", "0", "root", "0:0"), f"it runs as {final.user}")
    for path in ("/opt/tripswitch/x", "/etc/x", "/tmp/x"):
        refused = container.run(["touch", path], "0:0")
        is_refused = "Read-only file system" in refused.stderr
        promise(is_refused, f"{path} cannot be written, not by root")
    promise(container.run(health).returncode != 0, "the health check fails before the start")
    async with Upstream(endpoint=UPSTREAM) as upstream:
        begun_s = time.monotonic()
        process = container.start(entry(stage), log, TRIPSWITCH_UPSTREAM=UPSTREAM)
        try:
            await _started(container, process, options, health, begun_s)
            await _forwards(upstream)
            _has_no_rights(process.pid)
            code, took_s = await asyncio.to_thread(stop, process, 15)
        finally:
            if process.poll() is None:
                process.kill()
    told("from SIGTERM to the end", f"{took_s:.2f} s")
    promise(code == 0, "SIGTERM ends it with exit code 0")
    promise(container.run(health).returncode != 0, "the health check fails after the stop")
    owners = {each.lstat().st_uid for each in container.volume.rglob("*")}
    promise(owners == {10001}, "all it wrote is in the volume, by its user")


async def _started(
    container: Container,
    process: subprocess.Popen[bytes],
    options: dict[str, float],
    health: Sequence[str],
    begun_s: float,
) -> None:
    async with httpx.AsyncClient(trust_env=False) as asking:
        ready_s = await _answers(asking, process, '"status":"ready"') - begun_s
        judging_s = await _answers(asking, process, '"judge":"up"') - begun_s
    told("from start to ready, wall time", f"{ready_s:.2f} s")
    told("from start to judging, wall time", f"{judging_s:.2f} s")
    told("from start to judging, processor time", f"{processor_s(process):.2f} s")
    promise(ready_s < options["start-period"], "it is ready within the health check's start period")
    begun_s = time.monotonic()
    checked = await asyncio.to_thread(container.run, health)
    took_s = time.monotonic() - begun_s
    promise(checked.returncode == 0, "the health check's command succeeds inside")
    promise(took_s < options["timeout"], f"and within its time limit ({took_s:.2f} s)")


async def _answers(
    asking: httpx.AsyncClient, process: subprocess.Popen[bytes], wanted: str
) -> float:
    """Wait until the health port, asked from outside, says ``wanted``; return when."""
    async with asyncio.timeout(60):
        while True:
            if process.poll() is not None:
                raise SystemExit(f"it ended by itself with exit code {process.returncode}")
            with contextlib.suppress(httpx.TransportError):
                answer = await asking.get("http://127.0.0.1:13133/")
                if wanted in answer.text.replace(" ", ""):
                    return time.monotonic()
            await asyncio.sleep(0.02)


async def _forwards(upstream: Upstream) -> None:
    body = request_of(SpanOf(CHAT))
    async with client("127.0.0.1:4317") as channel:
        await send(channel, TRACES_METHOD, body)
    async with httpx.AsyncClient(trust_env=False) as asking:
        answer = await asking.post(
            "http://127.0.0.1:4318/v1/traces",
            content=body,
            headers={"content-type": "application/x-protobuf"},
        )
        metrics = (await asking.get("http://127.0.0.1:8888/metrics")).text
    promise(answer.status_code == 200, "it takes OTLP over gRPC and HTTP")
    promise([got.body for got in upstream.got] == [body] * 2, "and forwards it byte for byte")
    promise("tripswitch_judge_up 1.0" in metrics, "its metrics can be scraped")


def _has_no_rights(pid: int) -> None:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    status = dict(
        line.split(":\t", 1)
        for line in Path(f"/proc/{children[0]}/status").read_text().splitlines()
        if ":\t" in line
    )
    promise(status["NSpid"].split()[-1] == "1", "it is process 1 of its own namespace")
    promise(status["Uid"].split() == ["10001"] * 4, "no user id of it is another's")
    promise({int(status[f"Cap{each}"], 16) for each in ("Prm", "Eff", "Bnd")} == {0}, "no rights")
    promise(status["NoNewPrivs"] == "1", "and no way to any")


if __name__ == "__main__":
    if shutil.which("unshare") is None:
        raise SystemExit("tests.image: unshare (util-linux) is not installed")
    main(Path(sys.argv[1]))
    print(json.dumps({"image": "every promise holds"}))
