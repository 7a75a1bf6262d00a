"""Every folder of config/examples: it is valid, starts as written, and forwards to the byte."""

from __future__ import annotations

import ast
import asyncio
import subprocess
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest
import yaml

from tests.actions.rollback.kinds import ask, asking, carried_out, section_of
from tests.captures import capture
from tests.genai.reading import read_all
from tests.genai.spans import CHAT, SpanOf, request_of
from tests.otlp.relay import client, send, until
from tests.otlp.upstream import Upstream
from tests.stack.example import (
    EXAMPLES,
    TRIPSWITCH,
    Started,
    environment,
    file_of,
    names,
    started,
)
from tests.stack.names import ROOT
from tests.stack.places import part, said
from tripswitch.actions.attempt import AttemptState
from tripswitch.config.loading import load_config
from tripswitch.config.reference import json_schema
from tripswitch.otlp.grpc_receiver import TRACES_METHOD

# A start takes two processes and over a second of processor time. The first goes on over gRPC, the
# second over HTTP with a path of its own; .ci/full matrix starts all.
ALWAYS = ("plain-sdk", "futureagi")
ALL = [name if name in ALWAYS else pytest.param(name, marks=pytest.mark.matrix) for name in names()]


# Whose recorded telemetry an example is for.
CAPTURED = {
    "langfuse": "langfuse",
    "litellm-proxy": "litellm",
    "openinference-instrumentation-openai": "phoenix",
    "opentelemetry-instrumentation-openai-v2": "plain-sdk",
    "traceai-openai": "futureagi",
    "traceloop-sdk": "openllmetry",
}


def documents(path: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(path.read_text("utf-8")))


def test_there_is_one_for_each_common_setup_and_each_is_listed() -> None:
    assert set(names()) >= {
        "docker-compose",
        "futureagi",
        "kubernetes",
        "langfuse",
        "litellm",
        "openllmetry",
        "phoenix",
        "plain-sdk",
    }
    page = (EXAMPLES / "README.md").read_text("utf-8")
    assert [name for name in names() if f"({name}/)" not in page] == []
    assert set(ALWAYS) <= set(names())


@pytest.mark.parametrize("name", names())
def test_its_comment_explains_three_lines_that_are_in_it(name: str) -> None:
    text = file_of(name).read_text("utf-8")
    comment = [line for line in text.splitlines() if line.startswith("#")]
    assert any("Three lines matter" in line for line in comment)
    explained = [line.split()[1] for line in comment if line.startswith("#   ") and line[4] != " "]
    assert len(explained) == 3
    fields = yaml.safe_load(text)
    for dotted in explained:
        assert _has(fields, dotted.replace("[]", ".0").replace("...", ".*.").split(".")), dotted


def _has(tree: Any, path: list[str]) -> bool:
    if not path:
        return True
    if path[0] == "*":
        inner = tree.values() if isinstance(tree, dict) else []
        return _has(tree, path[1:]) or any(_has(one, path) for one in inner)
    if isinstance(tree, list):
        return bool(tree) and path[0] == "0" and _has(tree[0], path[1:])
    return isinstance(tree, dict) and path[0] in tree and _has(tree[path[0]], path[1:])


def test_check_finds_nothing_wrong_with_any() -> None:
    variables: dict[str, str] = {}
    for name in names():
        variables |= environment(name)
    done = subprocess.run(
        (*TRIPSWITCH, "check", *(str(file_of(name)) for name in names())),
        check=False,
        capture_output=True,
        text=True,
        env=variables,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("tripswitch.yaml: ok") == len(names())
    # A container listens to other containers; nothing else is worth a warning.
    wide = ("docker-compose/", "kubernetes/")
    warned = [line for line in (done.stdout + done.stderr).splitlines() if " warning: " in line]
    assert warned
    for line in warned:
        assert "[config.wide_bind]" in line
        assert any(folder in line for folder in wide)


def test_an_editor_with_the_schema_finds_nothing_wrong_with_any() -> None:
    validator = jsonschema.Draft202012Validator(json_schema())
    for file in [*(file_of(name) for name in names()), ROOT / "config/container.yaml"]:
        validator.validate(yaml.safe_load(file.read_text("utf-8")))


@pytest.mark.parametrize("library", sorted(CAPTURED))
def test_what_the_library_sends_is_understood_with_the_examples_settings(library: str) -> None:
    folder = capture(library)
    config = load_config([file_of(CAPTURED[library])], environment(CAPTURED[library]))
    bodies = [file.read_bytes() for file in sorted((folder / "payloads").glob("*.traces.binpb"))]
    calls = read_all(bodies, config.read, ["control", "canary"]).calls
    assert len(calls) >= 29
    for fact in ("route", "prompt_version", "cohort"):
        known = sum(value is not None for value in getattr(calls, fact))
        # Traceloop gives some calls no version: its SDK writes none on the Responses API.
        assert known >= len(calls) - (4 if library == "traceloop-sdk" else 0), fact


@pytest.mark.parametrize("name", ALL)
def test_it_starts_as_written_and_forwards_one_request_of_each_receiver(
    name: str, tmp_path: Path
) -> None:
    body = request_of(SpanOf(CHAT))

    async def check() -> None:
        async with started(name, tmp_path) as example:
            assert example.live.get("health", "/ready").json() == {"status": "ready", "judge": "up"}
            await _over_grpc(example, body)
            await _over_http(example, body)
            await until(lambda: example.live.metric("judge_requests_total") >= 2)
            assert example.live.metric("tap_unreadable_requests_total") == 0
        assert example.live.process.returncode == 0, example.live.log()[-2000:]

    asyncio.run(check())


async def _over_grpc(example: Started, body: bytes) -> None:
    async with client(example.live.endpoint) as channel:
        await send(channel, TRACES_METHOD, body)
    assert example.bodies() == [body]


async def _over_http(example: Started, body: bytes) -> None:
    endpoint = example.live.run_file["endpoints"]["otlp_http"]
    prefixes = example.prefixes or [""]
    for number, prefix in enumerate(prefixes, start=2):
        async with httpx.AsyncClient(trust_env=False) as asking:
            answer = await asking.post(
                f"http://{endpoint}{prefix}/v1/traces",
                content=body,
                headers={"content-type": "application/x-protobuf"},
            )
        assert answer.status_code == 200
        assert example.bodies() == [body] * number
        target = getattr(example.upstream.got[-1], "target", None)
        # What stood before a sender's path goes along.
        assert target in (None, f"{example.path}{prefix}/v1/traces")


def test_the_code_beside_them_is_python() -> None:
    for file in EXAMPLES.glob("*/*.py"):
        compile(file.read_text("utf-8"), str(file), "exec", ast.PyCF_ONLY_AST)


def test_the_plain_sdks_application_is_understood() -> None:
    application: dict[str, Any] = {"__name__": "app"}
    source = (EXAMPLES / "plain-sdk/app.py").read_text("utf-8")
    exec(compile(source, "app.py", "exec"), application)

    async def check() -> list[bytes]:
        async with Upstream() as upstream:
            provider = application["set_up"](f"http://{upstream.endpoint}")
            application["answer"](provider.get_tracer("refund-bot"), "v18", "canary")
            await asyncio.to_thread(provider.shutdown)
            return [got.body for got in upstream.got]

    calls = read_all(asyncio.run(check()), cohort_names=["control", "canary"]).calls
    assert len(calls) == 1
    facts = ("route", "prompt_name", "prompt_version", "cohort", "request_model", "provider")
    assert [getattr(calls, fact)[0] for fact in facts] == [
        "/chat/refund",
        "refund-bot",
        "v18",
        "canary",
        "gpt-4.1",
        "openai",
    ]


# --- what stands beside the configurations --------------------------------------------------------


def test_the_pods_configuration_is_the_file_beside_it() -> None:
    settings, _ = documents(EXAMPLES / "kubernetes/native-sidecar.yaml")
    in_the_pod = yaml.safe_load(settings["data"]["tripswitch.yaml"])
    assert in_the_pod == yaml.safe_load(file_of("kubernetes").read_text("utf-8"))


def test_the_container_keeps_what_the_image_promises() -> None:
    (compose,) = documents(EXAMPLES / "docker-compose/compose.yaml")
    service = compose["services"]["tripswitch"]
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert (EXAMPLES / "docker-compose" / service["build"]).resolve() == ROOT
    (content,) = documents(file_of("docker-compose"))
    ports = {"grpc": "4317", "http": "4318"}
    for protocol, settings in content["receivers"]["otlp"]["protocols"].items():
        assert settings["endpoint"] == f"0.0.0.0:{ports[protocol]}"
        assert f"127.0.0.1:{ports[protocol]}:{ports[protocol]}" in service["ports"]
    upstream, _, port = content["exporters"]["otlp_grpc"]["endpoint"].partition(":")
    (collector,) = documents(EXAMPLES / "docker-compose/collector.yaml")
    assert upstream in compose["services"]
    assert collector["receivers"]["otlp"]["protocols"]["grpc"]["endpoint"] == f"0.0.0.0:{port}"


def test_litellms_file_has_what_a_rollback_looks_for() -> None:
    (proxy,) = documents(EXAMPLES / "litellm/config.yaml")
    versions = {
        tag: deployment["model_info"]["prompt_version"]
        for deployment in proxy["model_list"]
        for tag in deployment["litellm_params"]["tags"]
    }
    assert versions == {"control": "v17", "canary": "v18"}
    assert proxy["router_settings"]["enable_tag_filtering"]
    # Without a key the proxy does not start.
    assert proxy["general_settings"]["master_key"] == "os.environ/LITELLM_MASTER_KEY"
    (content,) = documents(file_of("litellm"))
    assert Path(content["rollback"]["targets"][0]["path"]).name == "config.yaml"


def test_a_rollback_moves_the_tag_in_litellms_file(tmp_path: Path) -> None:
    (content,) = documents(file_of("litellm"))
    file = tmp_path / "config.yaml"
    file.write_bytes((EXAMPLES / "litellm/config.yaml").read_bytes())
    target = section_of({**content["rollback"]["targets"][0], "path": str(file)})
    wanted = asking("v18", "v17", path="cohort", scope={"cohort": "canary"})
    attempt, _ = ask(target, lambda one: carried_out(one, wanted))
    assert attempt.state is AttemptState.DONE, attempt.detail
    (proxy,) = documents(file)
    assert [each["litellm_params"]["tags"] for each in proxy["model_list"]] == [
        ["control", "canary"],
        [],
    ]
    assert "# The proxy's file." in file.read_text("utf-8")


@pytest.mark.parts
def test_kubernetes_takes_the_manifest(tmp_path: Path) -> None:
    program = part("linters") / "bin/kubernetes-validate"
    for version in ("1.29", "1.34"):
        said([program, "--strict", "-k", version, EXAMPLES / "kubernetes/native-sidecar.yaml"])
    spoilt = tmp_path / "spoilt.yaml"
    text = (EXAMPLES / "kubernetes/native-sidecar.yaml").read_text("utf-8")
    spoilt.write_text(text.replace("restartPolicy: Always", "restartPolice: Always"), "utf-8")
    done = subprocess.run([program, "--strict", spoilt], check=False, capture_output=True)
    assert done.returncode != 0


@pytest.mark.parts
def test_compose_takes_the_file(tmp_path: Path) -> None:
    command: list[str | Path] = [part("linters") / "bin/check-jsonschema"]
    command += ["--builtin-schema", "vendor.compose-spec"]
    said([*command, EXAMPLES / "docker-compose/compose.yaml"])
    spoilt = tmp_path / "compose.yaml"
    text = (EXAMPLES / "docker-compose/compose.yaml").read_text("utf-8")
    spoilt.write_text(text.replace("read_only: true", "read_only: 7"), "utf-8")
    done = subprocess.run([*command, spoilt], check=False, capture_output=True)
    assert done.returncode != 0
