"""The spool as the wire sees it: bounds, failures of the disk, figures, opening."""

from __future__ import annotations

import asyncio
import errno
import os
import random
import subprocess
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.missing import not_tested
from tests.otlp.spool.forgetful_disk import ForgetfulDisk
from tests.otlp.spool.stand import (
    START_NS,
    FakeClock,
    append_all,
    drain_all,
    drain_until,
    make_spool,
    numbers,
    request,
)
from tripswitch.config.model import Config
from tripswitch.errors import ConfigError
from tripswitch.otlp.delivery import Delivery
from tripswitch.otlp.spool.disk import LocalDisk
from tripswitch.otlp.spool.drain import Drained
from tripswitch.otlp.spool.segment import START_BYTES, SegmentName, start_of_segment
from tripswitch.otlp.spool.spool import Spool
from tripswitch.otlp.spool.writer import SpoolError, SpoolFullError


def test_those_who_wait_together_share_a_sync() -> None:
    async def story() -> None:
        disk = ForgetfulDisk()
        spool = make_spool(disk)
        await spool.open()
        await append_all(spool, map(request, range(100)))
        figures = spool.figures()
        assert (figures.appended_total, figures.records) == (100, 100)
        assert figures.fsyncs_total == disk.syncs <= 3
        await spool.close()

    asyncio.run(story())


def test_an_append_returns_only_after_its_sync() -> None:
    async def story() -> None:
        disk = ForgetfulDisk()
        spool = make_spool(disk)
        await spool.open()
        for number in range(5):
            await spool.append(request(number), START_NS)
            found = disk.after_crash(random.Random(0))
            again = make_spool(found)
            await again.open()
            assert again.figures().records == number + 1
            await again.close()
        await spool.close()

    asyncio.run(story())


def test_the_bound_holds_nothing_is_evicted_and_room_comes_back_by_itself() -> None:
    async def story() -> None:
        disk = ForgetfulDisk()
        spool = make_spool(disk, max_bytes=20_000)
        await spool.open()
        acknowledged = await append_all(spool, [request(n, 400) for n in range(60)])
        figures = spool.figures()
        assert 0 < len(acknowledged) < 60
        assert figures.full_total == 60 - len(acknowledged)
        assert figures.is_full
        for number in range(60, 70):
            acknowledged += await append_all(spool, [request(number, 400)])
        with pytest.raises(SpoolFullError, match="no room"):
            await spool.append(request(99, 400), START_NS)
        assert 19_000 < sum(len(each.content) for each in disk.names_now.values()) <= 20_000
        assert numbers(await drain_all(spool)) == acknowledged
        assert await append_all(spool, [request(100)]) == [100]
        assert not spool.figures().is_full
        await spool.close()

    asyncio.run(story())


def test_a_spool_of_one_large_drained_segment_makes_room_at_once() -> None:
    async def story() -> None:
        spool = make_spool(ForgetfulDisk(), max_bytes=10_000)
        await spool.open()

        async def deliver(delivery: Delivery) -> Drained:
            del delivery
            return Drained.DELIVERED

        draining = asyncio.create_task(spool.drain(deliver))
        for number in range(20):
            async with asyncio.timeout(10):
                while not await append_all(spool, [request(number, 8_000)]):  # noqa: ASYNC110
                    await asyncio.sleep(0)
        await drain_until(spool, lambda: spool.figures().records == 0, deliver)
        draining.cancel()
        await asyncio.gather(draining, return_exceptions=True)
        assert spool.figures().appended_total == 20
        await spool.close()

    asyncio.run(story())


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_without_room_refuses_and_recovers(code: int) -> None:
    async def story() -> None:
        disk = ForgetfulDisk()
        spool = make_spool(disk)
        await spool.open()
        kept = await append_all(spool, map(request, range(3)))

        def fail(operation: str, path: Path) -> None:
            if operation == "write" and path.suffix == ".spool":
                raise OSError(code, os.strerror(code))

        disk.fail = fail
        with pytest.raises(SpoolFullError):
            await spool.append(request(50), START_NS)
        assert spool.figures().full_total == 1
        disk.fail = lambda _operation, _path: None
        kept += await append_all(spool, map(request, range(3, 6)))
        assert numbers(await drain_all(spool)) == kept == list(range(6))
        await spool.close()

    asyncio.run(story())


def test_a_write_cut_short_by_a_full_disk_leaves_no_trace() -> None:
    async def story() -> None:
        disk = ForgetfulDisk()
        spool = make_spool(disk)
        await spool.open()
        kept = await append_all(spool, map(request, range(3)))
        used_bytes = sum(len(each.content) for each in disk.names_now.values())
        disk.capacity_bytes = used_bytes + 100
        assert await append_all(spool, map(request, range(3, 9))) == []
        assert sum(len(each.content) for each in disk.names_now.values()) == used_bytes
        disk.capacity_bytes = None
        kept += await append_all(spool, map(request, range(9, 12)))
        await spool.close()
        again = make_spool(disk)
        await again.open()
        assert numbers(await drain_all(again)) == kept
        figures = again.figures()
        assert (figures.corrupt_records_total, figures.torn_tails_total) == (0, 0)
        await again.close()

    asyncio.run(story())


@pytest.mark.parametrize("operation", ["sync", "create", "sync_directory", "write"])
def test_a_failing_disk_fails_the_append_and_spares_what_was_there(operation: str) -> None:
    async def story() -> None:
        disk = ForgetfulDisk()
        spool = make_spool(disk, segment_bytes=700)
        await spool.open()
        kept = await append_all(spool, map(request, range(3)))
        failures = 2

        def fail(asked: str, path: Path) -> None:
            nonlocal failures
            if asked == operation and failures:
                failures -= 1
                raise OSError(errno.EIO, "Input/output error")

        disk.fail = fail
        for number in range(3, 9):
            try:
                await spool.append(request(number), START_NS)
            except SpoolFullError:
                pytest.fail("the disk failed, it was not full")
            except SpoolError:
                continue
            else:
                kept.append(number)
        assert failures == 0
        assert 0 < spool.figures().failed_total <= 2
        await spool.close()
        again = make_spool(disk.after_crash(random.Random(0)))
        await again.open()
        assert set(numbers(await drain_all(again))) >= set(kept)
        assert again.figures().corrupt_records_total == 0
        await again.close()

    asyncio.run(story())


def test_a_segment_whose_sync_failed_is_never_written_to_again() -> None:
    async def story() -> None:
        disk = ForgetfulDisk()
        spool = make_spool(disk)
        await spool.open()
        await append_all(spool, map(request, range(3)))
        (poisoned,) = disk.names_now
        size_bytes = len(disk.names_now[poisoned].content)
        failures = 1

        def fail(asked: str, path: Path) -> None:
            nonlocal failures
            if asked == "sync" and failures:
                failures -= 1
                raise OSError(errno.EIO, "Input/output error")

        disk.fail = fail
        with pytest.raises(SpoolError, match="failed"):
            await spool.append(request(3), START_NS)
        assert await append_all(spool, map(request, range(4, 7))) == [4, 5, 6]
        assert len(disk.names_now) == 2
        assert len(disk.names_now[poisoned].content) == size_bytes
        assert numbers(await drain_all(spool)) == [0, 1, 2, 4, 5, 6]
        await spool.close()

    asyncio.run(story())


def test_a_cancelled_append_harms_nobody() -> None:
    async def story() -> None:
        spool = make_spool(ForgetfulDisk())
        await spool.open()
        tasks = [asyncio.create_task(spool.append(request(n), START_NS)) for n in range(10)]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert set(numbers(await drain_all(spool))) >= {1, 3, 5, 7, 9}
        assert spool.figures().bytes < 10_000
        await spool.close()

    asyncio.run(story())


def test_a_spool_is_for_one_process(tmp_path: Path) -> None:
    async def story() -> None:
        first = make_spool(LocalDisk(), directory=tmp_path / "spool")
        await first.open()
        second = make_spool(LocalDisk(), directory=tmp_path / "spool")
        with pytest.raises(ConfigError, match="in use") as caught:
            await second.open()
        assert "spool.directory" in caught.value.hint
        await first.close()
        await second.open()
        await second.close()

    asyncio.run(story())


def test_nobody_else_may_read_it(tmp_path: Path) -> None:
    async def story() -> None:
        directory = tmp_path / "deep" / "spool"
        directory.mkdir(parents=True, mode=0o755)
        spool = make_spool(LocalDisk(), directory=directory)
        await spool.open()
        await append_all(spool, map(request, range(3)))
        await drain_all(spool, lambda _each: Drained.REFUSED)
        await append_all(spool, map(request, range(3)))
        paths = [directory, *directory.rglob("*")]
        assert len(paths) >= 5
        for path in paths:
            mode = path.stat().st_mode & 0o777
            assert mode == (0o700 if path.is_dir() else 0o600), path
        await spool.close()

    asyncio.run(story())


def test_a_folder_that_cannot_be_used_is_a_config_error(tmp_path: Path) -> None:
    async def story() -> None:
        (tmp_path / "file").write_text("not a folder")
        spool = make_spool(LocalDisk(), directory=tmp_path / "file" / "spool")
        with pytest.raises(ConfigError, match="cannot use"):
            await spool.open()
        await spool.close()

    asyncio.run(story())


def test_it_is_made_as_configured(tmp_path: Path) -> None:
    config = Config.model_validate({"storage": {"directory": str(tmp_path)}})
    assert Spool.configured(config).directory == tmp_path / "spool"
    own = {"spool": {"directory": str(tmp_path / "own"), "max_bytes": "2GiB"}}
    spool = Spool.configured(Config.model_validate(own))
    assert (spool.directory, spool.max_bytes) == (tmp_path / "own", 2 << 30)


def test_the_oldest_age_is_known_after_a_restart_and_while_draining() -> None:
    async def story() -> None:
        disk, clock = ForgetfulDisk(), FakeClock()
        spool = make_spool(disk, clock)
        await spool.open()
        assert spool.figures().oldest_age_s == 0
        await spool.append(request(0), clock.now_ns())
        clock.advance(10)
        await spool.append(request(1), clock.now_ns())
        clock.advance(5)
        assert spool.figures().oldest_age_s == 15
        await spool.close()
        again = make_spool(disk, clock)
        await again.open()
        assert again.figures().oldest_age_s == 15
        ages_s: list[float] = []

        async def deliver(delivery: Delivery) -> Drained:
            del delivery
            ages_s.append(again.figures().oldest_age_s)
            return Drained.DELIVERED

        await drain_until(again, lambda: again.figures().records == 0, deliver)
        assert ages_s == [15, 5]
        await again.close()

    asyncio.run(story())


def test_opening_takes_memory_for_segments_not_for_what_is_in_them(tmp_path: Path) -> None:
    """Sixteen sparse segments of 64 MiB and a last one with many records."""

    async def story() -> None:
        directory = tmp_path / "spool"
        directory.mkdir()
        for number in range(17):
            path = directory / SegmentName(1 + number * 60_000, bytes([number + 1] * 8)).segment
            with path.open("wb") as file:
                file.write(start_of_segment())
                file.truncate(START_BYTES if number == 16 else 64 << 20)
        filled = make_spool(
            LocalDisk(), directory=directory, max_bytes=1 << 31, segment_bytes=64 << 20
        )
        await filled.open()
        await append_all(filled, (request(n, 100) for n in range(20_000)))
        await filled.close()
        spool = make_spool(LocalDisk(), directory=directory, max_bytes=1 << 31)
        tracemalloc.start()
        try:
            await spool.open()
            _, peak_bytes = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert spool.figures().bytes > 1 << 30
        assert spool.figures().records == 16 * 60_000 + 20_000
        assert peak_bytes < 4 << 20
        await spool.close()

    asyncio.run(story())


@contextmanager
def tiny_disk(directory: Path, size_kib: int) -> Iterator[Path]:
    """Mount a disk in memory with very little room; skip where that is not allowed."""
    directory.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size_kib}k", "tmpfs", str(directory)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        not_tested("a really full disk; there is no mount command")
    if done.returncode:
        not_tested(f"a really full disk; tmpfs cannot be mounted: {done.stderr}")
    try:
        yield directory
    finally:
        subprocess.run(["umount", "--lazy", str(directory)], check=True)


def test_a_really_full_disk_refuses_loses_nothing_and_recovers(tmp_path: Path) -> None:
    async def story(disk: Path) -> None:
        spool = make_spool(
            LocalDisk(), directory=disk / "spool", max_bytes=1 << 30, segment_bytes=100_000
        )
        await spool.open()
        acknowledged: list[int] = []
        for first in range(0, 400, 4):
            wanted = [request(number, 5_000) for number in range(first, first + 4)]
            acknowledged += await append_all(spool, wanted)
        figures = spool.figures()
        assert 100 < len(acknowledged) < 300
        assert figures.full_total == 400 - len(acknowledged)
        assert figures.failed_total == 0
        assert figures.is_full
        assert numbers(await drain_all(spool)) == acknowledged
        assert await append_all(spool, [request(999, 5_000)]) == [999]
        assert numbers(await drain_all(spool)) == [999]
        await spool.close()

    with tiny_disk(tmp_path / "disk", 1_024) as disk:
        asyncio.run(story(disk))


def test_a_segment_of_a_later_version_is_left_alone() -> None:
    async def story() -> None:
        import zlib

        disk = ForgetfulDisk()
        spool = make_spool(disk)
        await spool.open()
        await append_all(spool, map(request, range(3)))
        await spool.close()
        magic = start_of_segment()[:7] + b"\x02"
        start = magic + zlib.crc32(magic).to_bytes(4, "big") + bytes(START_BYTES - 12)
        path = spool.directory / SegmentName(100, b"\x07" * 8).segment
        file = disk.create(path)
        file.write_at(0, [start, b"who knows" * 50])
        file.close()
        content = bytes(disk.names_now[path].content)
        again = make_spool(disk)
        await again.open()
        await append_all(again, map(request, range(3, 5)))
        assert numbers(await drain_all(again))[-2:] == [3, 4]
        assert bytes(disk.names_now[path].content) == content
        await again.close()

    asyncio.run(story())
