"""A filter with which the kernel refuses the system calls that no notebook needs."""

import ctypes
import errno
import os
import struct
from dataclasses import dataclass

from grading.sandbox.linux import SET_NO_NEW_PRIVS, SET_SECCOMP, libc, must

ANY_NEW = 0x7E020080  # the flags of clone that make a namespace
# Commands of fcntl: file locks of both kinds, leases and notices. Neighbors open the same read-only files.
LOCKS = (5, 6, 7, 36, 37, 38, 1024, 1025, 1026)


@dataclass(frozen=True)
class System:
    """The numbers of the system calls that are named here, on one architecture."""

    architecture: int
    capset: int
    clone: int
    fcntl: int
    idle: tuple
    refused: tuple


# io_uring_setup to io_uring_register, open_tree to fspick, pidfd_getfd, mount_setattr, memfd_secret
_REFUSED_EVERYWHERE = (*range(425, 434), 438, 442, 447)
SYSTEMS = {
    "x86_64": System(
        architecture=0xC000003E,
        capset=126,
        clone=56,
        fcntl=72,
        idle=(73, 203),  # flock, sched_setaffinity
        refused=(
            *(272, 308, 165, 166, 155, 161),  # unshare, setns, mount, umount2, pivot_root, chroot
            *(101, 310, 311, 312),  # ptrace, process_vm_readv, process_vm_writev, kcmp
            *(319, 29, 68, 64, 240),  # memfd_create, shmget, msgget, semget, mq_open
            *(248, 249, 250),  # add_key, request_key, keyctl
            *(253, 294, 254, 300),  # inotify_init, inotify_init1, inotify_add_watch, fanotify_init
            *(321, 298, 323, 303, 304),  # bpf, perf_event_open, userfaultfd, name_to_ and open_by_handle_at
            *_REFUSED_EVERYWHERE,
        ),
    ),
    "aarch64": System(
        architecture=0xC00000B7,
        capset=91,
        clone=220,
        fcntl=25,
        idle=(32, 122),
        refused=(
            *(97, 268, 40, 39, 41, 51),
            *(117, 270, 271, 272),
            *(279, 194, 186, 190, 180),
            *(217, 218, 219),
            *(26, 27, 262),
            *(280, 241, 282, 264, 265),
            *_REFUSED_EVERYWHERE,
        ),
    ),
}


def refuse_system_calls():
    """Refuse the system calls that no notebook needs, in this process and all that it starts.

    New namespaces, mounts, tracing, the kernel's keys (they outlive a process), memory that belongs to no
    process (and so to no limit), notices of what others do with a file, and interfaces that are seldom used
    and often broken. Locking a file and moving to another processor succeed and do nothing: both would reach
    a neighbor.
    """
    system = SYSTEMS[os.uname().machine]
    load, equal, any_bit, greater, give = 0x20, 0x15, 0x45, 0x35, 0x06
    allow, done, refuse, unknown = (0x7FFF0000, *(0x00050000 | n for n in (0, errno.EPERM, errno.ENOSYS)))
    # Each row: code, lines to skip if it holds, lines to skip if not, and a number.
    program = [
        (load, 0, 0, 4),  # the architecture: another one numbers its calls otherwise
        (equal, 1, 0, system.architecture),
        (give, 0, 0, refuse),
        (load, 0, 0, 0),  # the number of the call
        (greater, 0, 1, 0x40000000),  # x32 has other numbers too
        (give, 0, 0, refuse),
        (equal, 0, 1, 435),  # clone3 hides its flags: the C library falls back on clone
        (give, 0, 0, unknown),
    ]
    for number in system.refused:
        program += [(equal, 0, 1, number), (give, 0, 0, refuse)]
    for number in system.idle:
        program += [(equal, 0, 1, number), (give, 0, 0, done)]
    program += [(equal, 0, 2 + 2 * len(LOCKS), system.fcntl), (load, 0, 0, 24)]  # its command
    for command in LOCKS:
        program += [(equal, 0, 1, command), (give, 0, 0, done)]
    program += [
        (give, 0, 0, allow),
        (equal, 0, 3, system.clone),
        (load, 0, 0, 16),  # its flags
        (any_bit, 0, 1, ANY_NEW),
        (give, 0, 0, refuse),
        (give, 0, 0, allow),
    ]
    code = b"".join(struct.pack("=HBBI", *row) for row in program)
    kept = ctypes.create_string_buffer(code, len(code))
    header = struct.pack("@HP", len(program), ctypes.addressof(kept))
    c = libc()
    must(c.prctl(SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
    must(c.prctl(SET_SECCOMP, 2, header, 0, 0), "seccomp")
