"""Separate each submission from the others. bubblewrap has made the view of the files before."""

import os
import struct
import sys
from pathlib import Path

from grading.sandbox.limits import SCRATCH
from grading.sandbox.linux import SET_DUMPABLE, libc, must, prctl
from grading.sandbox.seccomp import CAPSET, number_here, refuse_system_calls

_NEWNS, _NEWUTS, _NEWIPC, _NEWUSER, _NEWPID, _NEWNET = (
    *(0x20000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000),
)
_REMOUNT, _BIND, _REC, _PRIVATE = 0x20, 0x1000, 0x4000, 1 << 18
_RDONLY, _NOSUID, _NODEV, _DETACH = 1, 2, 4, 2
BEFORE = "/.before"  # an empty folder in the sandbox


def enter_namespaces():
    """Leave the processes, network and mounts of the fork server behind. The next fork is process 1."""
    spaces = _NEWNS | _NEWUTS | _NEWIPC | _NEWPID | _NEWNET
    if os.getuid() == 0:
        must(libc().unshare(spaces), "unshare")
        return
    user, group = os.getuid(), os.getgid()
    prctl(SET_DUMPABLE, 1)  # or its own uid_map could not be written
    must(libc().unshare(spaces | _NEWUSER), "unshare")
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{user} {user} 1"),
        ("gid_map", f"{group} {group} 1"),
    ):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)


def hide_and_drop(user):
    """Mount empty folders that only this submission writes to, hide /proc, and give up every privilege."""
    c = libc()

    def bind(path, place):
        must(c.mount(path.encode(), place.encode(), None, _BIND | _REC, None), f"mount {place}")

    must(c.mount(None, b"/", None, _REC | _PRIVATE, None), "mount /")
    root = Path(__file__).resolve().parents[2]
    kept = [sys.base_prefix, sys.prefix, f"{root}/grading", f"{root}/utils"]
    kept = [path for path in kept if path.startswith("/tmp/")]  # the course, or its Python, may lie in /tmp
    if kept:
        bind("/tmp", BEFORE)
    options = f"size={SCRATCH},nr_inodes=20000,mode=1777".encode()
    for folder in (b"/tmp", b"/dev/shm"):
        must(c.mount(b"tmpfs", folder, b"tmpfs", _NOSUID | _NODEV, options), f"mount {folder}")
    for path in kept:
        os.makedirs(path, exist_ok=True)
        bind(BEFORE + path.removeprefix("/tmp"), path)
        flags = _REMOUNT | _BIND | _RDONLY | _NOSUID | _NODEV
        must(c.mount(None, path.encode(), None, flags, None), f"mount {path}")
    if kept:
        must(c.umount2(BEFORE.encode(), _DETACH), f"umount {BEFORE}")
    must(c.mount(b"tmpfs", b"/proc", b"tmpfs", _RDONLY, b"size=4096,nr_inodes=2"), "mount /proc")
    os.environ["HOME"] = "/tmp/home"
    os.mkdir("/tmp/home")
    os.chmod("/tmp/home", 0o777)
    if os.getuid() == 0:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    header = struct.pack("=Ii", 0x20080522, 0)
    must(c.syscall(number_here(CAPSET), header, struct.pack("=6I", *[0] * 6)), "capset")
    prctl(SET_DUMPABLE, 0)
    refuse_system_calls()
