"""The disk under the tables is full, under load."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from tests.soak.chaos_run import ChaosRun, times
from tools.daemon import DaemonProcess
from tools.postgresql import PrivatePostgres
from tools.waiting import wait_until

pytestmark = pytest.mark.soak

DISK = "48m"
CHUNK_BYTES = 1 << 16
TRIES = 3


@pytest.fixture
def small_disk(private_postgres: PrivatePostgres) -> Iterator[Path]:
    """A file system of some megabytes, with a folder that PostgreSQL may use."""
    if os.geteuid() != 0:
        pytest.skip("to mount a small file system takes root")
    disk = private_postgres.socket_directory / "small-disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK},mode=0711", "tmpfs", str(disk)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode != 0:
        disk.rmdir()
        pytest.skip(f"no small file system here: {mounted.stderr.strip()}")
    try:
        space = disk / "space"
        space.mkdir(mode=0o700)
        shutil.chown(space, "postgres", "postgres")
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)
        disk.rmdir()


@pytest.fixture
def small_database_url(
    private_postgres: PrivatePostgres, template_database: str, small_disk: Path
) -> Iterator[str]:
    """A migrated database whose tables are on the small disk; its log of changes is not."""
    name = "orderd_on_small_disk"
    private_postgres.run(f"CREATE TABLESPACE small LOCATION '{small_disk / 'space'}'")
    try:
        private_postgres.run(
            f"CREATE DATABASE {name} TEMPLATE {template_database} TABLESPACE small"
        )
        yield private_postgres.url(name)
    finally:
        private_postgres.run(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        private_postgres.run("DROP TABLESPACE small")


def test_a_full_disk_costs_nothing(
    open_chaos_run: Callable[[str], ChaosRun], small_database_url: str, small_disk: Path
) -> None:
    chaos = open_chaos_run(small_database_url)
    chaos.begin("disk full for PostgreSQL", daemons=2)

    for _ in range(times(3)):
        chaos.wait_for_work()
        marks = [(one, one.mark()) for one in chaos.daemons]
        filler = small_disk / "filler"
        _fill(filler)
        try:
            for one, mark in marks:
                lost = one.wait_for_event("database.disconnected", after=mark, timeout_s=60)
                assert "53100" in lost["message"]
            for one, mark in marks:
                wait_until(
                    partial(_has_tried, one, mark), timeout_s=30, what="tries on the full disk"
                )
                assert len(one.events("intake.paused", after=mark)) == 1
                assert one.events("intake.resumed", after=mark) == []
        finally:
            filler.unlink()
        chaos.recover()

    chaos.finish()


def _has_tried(one: DaemonProcess, mark: int) -> bool:
    return len(one.events("database.disconnected", after=mark)) >= TRIES


def _fill(filler: Path) -> None:
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(CHUNK_BYTES)):
            pass
