# SPDX-License-Identifier: Apache-2.0
"""A full disk stops writes: not reads, not the process, and not for longer than it is full. What was
refused is not there afterwards (with Prometheus 3.5 some of it is, so these are for Narthex alone)."""

import os
import subprocess
import time

from harness import Skip, check, check_equal, wait_for
from registry import test
from remote_write import Ledger, Sender

DISK_MB = 192


def small_disk(env, size_mb):
    if os.geteuid() != 0:
        raise Skip("needs root, to mount a small tmpfs")
    path = env.folder("disk")
    result = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size_mb}m", "tmpfs", path],
                            capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise Skip(f"this machine does not let us mount a tmpfs: {result.stderr.strip()}")
    # Lazily, so that a process that is still ending does not keep it.
    env.defer(lambda: subprocess.run(["umount", "-l", path], check=False))
    return path


def free_bytes(path):
    stat = os.statvfs(path)
    return stat.f_bavail * stat.f_frsize


def write_until_refused(ledgers, sender, seconds):
    """The status of the first refusal."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for ledger in ledgers:
            status = ledger.send_next(sender)
            if status not in (200, 204):
                return status
    return None


def check_reads(server, ledgers):
    for ledger in ledgers:
        data = server.query(f'count({ledger.name}{{sender="{ledger.id}"}})',
                            ledger.t_ms(max(ledger.acknowledged)) / 1000)
        check_equal(str(ledger.count), data["result"][0]["value"][1], "a read on the full disk")
    check_equal(200, server.get("/-/healthy").status, "healthy")


def check_recovery(server, ledgers):
    """Writes are taken again by the same process, and all is well after a kill."""
    server.check_alive()
    sender = Sender(server.port)
    wait_for(lambda: ledgers[0].send_next(sender) in (200, 204), 60, "writes to be taken again")
    for ledger in ledgers:
        check(ledger.send_next(sender) in (200, 204), "a write after recovery")
        ledger.verify(server)
    server.kill()
    server.start()
    for ledger in ledgers:
        ledger.verify(server)
        check(ledger.send_next(Sender(server.port)) in (200, 204), "a write after a restart")
    server.stop()


@test(seconds=240, narthex_only=True)
def full_disk(env):
    """The server fills its disk itself; then the disk grows."""
    disk = small_disk(env, DISK_MB)
    server = env.server(data=os.path.join(disk, "data")).start()
    start_ms = int(time.time() * 1000) - 3000000
    ledgers = [Ledger("full", k, 50, start_ms) for k in range(2)]
    sender = Sender(server.port)
    for ledger in ledgers:
        check_equal(204, ledger.send_next(sender), "a write")
    # What is left but a little goes to a file, so that the log is what meets the end.
    filler = os.path.join(disk, "filler")
    with open(filler, "wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(1, free_bytes(disk) - (12 << 20)))
    status = write_until_refused(ledgers, sender, 90)
    if status is None:
        # It refuses nothing while it has room of its own: a preallocated log. Take the rest.
        with open(filler + "2", "wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(1, free_bytes(disk) - 4096))
        status = write_until_refused(ledgers, sender, 60)
    check(status is not None and status >= 500, f"refused with {status}")
    for _ in range(20):
        for ledger in ledgers:
            ledger.send_next(sender)
    check_reads(server, ledgers)
    server.check_alive()
    subprocess.run(["mount", "-o", f"remount,size={DISK_MB * 3}m", disk], check=True)
    check_recovery(server, ledgers)


@test(seconds=240, narthex_only=True)
def disk_filled_by_another(env):
    """Another process takes all space at once, to the last byte, and gives it back."""
    disk = small_disk(env, DISK_MB)
    server = env.server(data=os.path.join(disk, "data")).start()
    start_ms = int(time.time() * 1000) - 3000000
    ledgers = [Ledger("filled", k, 50, start_ms) for k in range(2)]
    sender = Sender(server.port)
    for _ in range(30):
        for ledger in ledgers:
            check_equal(204, ledger.send_next(sender), "a write")
    filler = os.path.join(disk, "filler")
    subprocess.run(["dd", "if=/dev/zero", f"of={filler}", "bs=64k"], capture_output=True, check=False)
    check(free_bytes(disk) == 0, "the disk is not full")
    if server.flavor == "narthex":
        answer = server.post("/ingester/flush", timeout=60)
        check(answer.status < 600, "a flush on a full disk answers")
    status = write_until_refused(ledgers, sender, 60)
    check(status is None or status >= 500, f"refused with {status}")
    check_reads(server, ledgers)
    server.check_alive()
    os.unlink(filler)
    check_recovery(server, ledgers)
