"""The attacks, one after the other, with what each must be answered and may cost."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tests.bombs.making import (
    GIB,
    deep_lists,
    deep_message,
    deep_objects,
    deep_values,
    dense_messages,
    dense_objects,
    gzip_members,
    gzip_stream,
    zlib_stream,
    zstd_frames,
)
from tests.otlp.raw_http import JSON, PROTOBUF
from tests.otlp.raw_http2 import END_HEADERS, HEADERS, frame, headers_block, opening
from tests.survive.program import JUDGE, WIRE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.bombs.siege import Cost, Siege
    from tests.survive.program import Program
    from tests.survive.sink import Protocol

BOMB_BYTES: Final = 10 * GIB
MIB: Final = 1 << 20

_HEAD: Final = b"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n"

# Three bodies may be unpacked at a time, each up to the limit of 64 MiB, in pieces and whole.
_UNFOLDED_MIB: Final = 500
# Four of 60 MiB are in flight, and each up to three times on its way in and out.
_LARGE_MIB: Final = 1_000
_SMALL_MIB: Final = 100
_AN_IDLE_ONE_BYTES: Final = 32 << 10


class Attack(NamedTuple):
    """One attack; any of ``answers`` is right, and growth of either process is bounded."""

    run: Callable[[Siege], Awaitable[Cost]]
    answers: frozenset[str]
    most_mib: int


def packed_bombs(protocol: Protocol) -> list[Attack]:
    """Return bodies of 10 GB once unpacked, for an upstream of ``protocol``.

    Over HTTP they go to the upstream as they came, and only the reading of them is refused.
    """
    answers = {"413"} if protocol == "grpc" else {"200"}
    return [
        _attack(
            answers,
            _UNFOLDED_MIB,
            lambda siege, name=name, made=made, encoding=encoding: siege.unfold(
                name, made(BOMB_BYTES), encoding
            ),
        )
        for name, made, encoding in (
            ("gzip, one stream of 10 GiB", gzip_stream, "gzip"),
            ("gzip, many streams", gzip_members, "gzip"),
            ("deflate", zlib_stream, "deflate"),
            ("zstd", zstd_frames, "zstd"),
        )
    ]


def bomb_over_grpc() -> Attack:
    """Return a message of 10 GB once unpacked."""
    return _attack(
        {"grpc-status 8"},
        _UNFOLDED_MIB,
        lambda siege: siege.unfold_over_grpc("gRPC message, gzip", gzip_stream(BOMB_BYTES)),
    )


def deep_and_dense(protocol: Protocol) -> list[Attack]:
    """Return requests that nest deep, or are nothing but empty parts."""
    is_crossing = protocol == "grpc"
    bad = {"400"} if is_crossing else {"200"}
    # Room for bytes in flight is shared: of several large ones some are told to come again.
    large = {"413", "503"} if is_crossing else {"200", "503"}
    made: list[tuple[set[str], int, Callable[[Siege], Awaitable[Cost]]]] = [
        (bad, _SMALL_MIB, lambda on: on.post("JSON lists, 100,000 deep", deep_lists(), JSON)),
        (bad, _SMALL_MIB, lambda on: on.post("JSON objects, deep", deep_objects(), JSON)),
        (bad, _SMALL_MIB, lambda on: on.post("JSON values, deep", deep_values(), JSON)),
        ({"200"}, _SMALL_MIB, lambda on: on.post("protobuf, deep", deep_message(5_000), PROTOBUF)),
        (
            large,
            _LARGE_MIB,
            lambda on: on.post("JSON, empty objects", dense_objects(60 * MIB), JSON),
        ),
        (
            {"413"} if is_crossing else {"200"},
            _UNFOLDED_MIB,
            lambda on: on.unfold(
                "protobuf, empty messages, gzip", gzip.compress(dense_messages(70 * MIB)), "gzip"
            ),
        ),
        (
            {"200", "503"},
            _LARGE_MIB,
            lambda on: on.post("protobuf, empty messages", dense_messages(60 * MIB), PROTOBUF),
        ),
    ]
    return [_attack(answers, most_mib, run) for answers, most_mib, run in made]


def idle_ones(program: Program, count: int) -> list[Attack]:
    """Return connections that say nothing more, at each stage of a request."""
    call = opening() + frame(HEADERS, END_HEADERS, 1, headers_block(b"/some.Service/Export"))
    stages: list[tuple[str, Protocol, bytes]] = [
        ("idle over HTTP", "http", b""),
        ("HTTP headers begun", "http", _HEAD),
        ("HTTP body begun", "http", _HEAD + b"content-length: 1000\r\n\r\nx"),
        ("idle over gRPC", "grpc", b""),
        ("gRPC greeted", "grpc", opening()),
        ("gRPC call opened", "grpc", call),
    ]
    most_mib = _SMALL_MIB + (count * _AN_IDLE_ONE_BYTES >> 20)
    return [
        _attack(
            {"still open"},
            most_mib,
            lambda siege, name=name, protocol=protocol, said=said: siege.idle(
                f"{count} connections, {name}", program.endpoint(protocol), count, said
            ),
        )
        for name, protocol, said in stages
    ]


def slow_ones(byte_every_s: float) -> Attack:
    """Return clients of both protocols that send a byte at a time."""
    return _attack(
        {"503", "grpc-status 14"},
        _SMALL_MIB,
        lambda siege: siege.dribble(f"a byte every {byte_every_s:g} s", byte_every_s),
    )


async def faults_of(attack: Attack, siege: Siege) -> list[str]:
    """Attack; return in words what must not be."""
    cost = await attack.run(siege)
    faults = []
    if not cost.answers.keys() <= attack.answers:
        faults.append(f"{cost.name}: answered {cost.answers}, not {sorted(attack.answers)}")
    faults += [
        f"{cost.name}: {role} grew by {cost.growth_mib[role]} MiB, more than {attack.most_mib}"
        for role in (WIRE, JUDGE)
        if cost.growth_mib[role] > attack.most_mib
    ]
    if not cost.served:
        faults.append(f"{cost.name}: nobody else was served")
    return faults


def _attack(answers: set[str], most_mib: int, run: Any) -> Attack:
    return Attack(run, frozenset(answers), most_mib)
