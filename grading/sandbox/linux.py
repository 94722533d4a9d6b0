"""System calls of Linux that Python does not wrap."""

import ctypes
import os
import sys

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
