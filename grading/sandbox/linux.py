"""System calls of Linux that Python does not wrap."""

import ctypes
import os
import sys

COLLAPSE = 25  # advice to madvise
SET_DUMPABLE, SET_SECCOMP, SET_CHILD_SUBREAPER, SET_NO_NEW_PRIVS = 4, 22, 36, 38


def libc():
    return ctypes.CDLL(None, use_errno=True)


def prctl(option, value):
    if sys.platform == "linux":
        libc().prctl(option, value, 0, 0, 0)


def must(result, what):
    if result:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def use_large_pages():
    """Move this process's memory to pages of 2 MiB where it can be: forks then copy far fewer entries.

    Linux can do so since version 6.1. Elsewhere, nothing changes.
    """
    if sys.platform != "linux":
        return
    collapse, page = libc().madvise, 2**21
    collapse.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    with open("/proc/self/maps") as file:
        parts = [line.split() for line in file]
    for place, rights, _, device, *_ in parts:
        start, end = (int(number, 16) for number in place.split("-"))
        if rights == "rw-p" and device == "00:00":
            for at in range(-(-start // page) * page, end - page + 1, page):
                collapse(at, page, COLLAPSE)
