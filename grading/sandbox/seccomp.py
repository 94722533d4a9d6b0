"""A filter with which the kernel refuses the system calls that no notebook needs."""

import ctypes
import errno
import os
import struct

from grading.sandbox.linux import SET_NO_NEW_PRIVS, SET_SECCOMP, libc, must

ANY_NEW = 0x7E020080  # the flags of clone that make a namespace
# Commands of fcntl: file locks of both kinds, leases and notices. Neighbors open the same read-only files.
LOCKS = (5, 6, 7, 36, 37, 38, 1024, 1025, 1026)


ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}  # as the kernel numbers them
# The numbers of system calls on these architectures, in this order; None where there is no such call.
CAPSET, CLONE, CLONE3, FCNTL = (126, 91), (56, 220), (435, 435), (72, 25)
IDLE = {"flock": (73, 32), "sched_setaffinity": (203, 122)}
REFUSED = {
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "kcmp": (312, 272),
    "memfd_create": (319, 279),
    "shmget": (29, 194),
    "msgget": (68, 186),
    "semget": (64, 190),
    "mq_open": (240, 180),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "inotify_init": (253, None),
    "inotify_init1": (294, 26),
    "inotify_add_watch": (254, 27),
    "fanotify_init": (300, 262),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "pidfd_getfd": (438, 438),
    "mount_setattr": (442, 442),
    "memfd_secret": (447, 447),
}


def number_here(numbers):
    """Return the number that a system call has on this machine's architecture."""
    return numbers[list(ARCHITECTURES).index(os.uname().machine)]


def refuse_system_calls():
    """Refuse the system calls that no notebook needs, in this process and all that it starts.

    New namespaces, mounts, tracing, the kernel's keys (they outlive a process), memory that belongs to no
    process (and so to no limit), notices of what others do with a file, and interfaces that are seldom used
    and often broken. Locking a file and moving to another processor succeed and do nothing: both would reach
    a neighbor.
    """
    load, equal, any_bit, greater, give = 0x20, 0x15, 0x45, 0x35, 0x06
    allow, done, refuse, unknown = (0x7FFF0000, *(0x00050000 | n for n in (0, errno.EPERM, errno.ENOSYS)))
    # Each row: code, lines to skip if it holds, lines to skip if not, and a number.
    program = [
        (load, 0, 0, 4),  # the architecture: another one numbers its calls otherwise
        (equal, 1, 0, ARCHITECTURES[os.uname().machine]),
        (give, 0, 0, refuse),
        (load, 0, 0, 0),  # the number of the call
        (greater, 0, 1, 0x40000000),  # x32 has other numbers too
        (give, 0, 0, refuse),
        (equal, 0, 1, number_here(CLONE3)),  # clone3 hides its flags: the C library falls back on clone
        (give, 0, 0, unknown),
    ]
    for answer, calls in ((refuse, REFUSED), (done, IDLE)):
        for number in filter(None, map(number_here, calls.values())):
            program += [(equal, 0, 1, number), (give, 0, 0, answer)]
    program += [(equal, 0, 2 + 2 * len(LOCKS), number_here(FCNTL)), (load, 0, 0, 24)]  # its command
    for command in LOCKS:
        program += [(equal, 0, 1, command), (give, 0, 0, done)]
    program += [
        (give, 0, 0, allow),
        (equal, 0, 3, number_here(CLONE)),
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
