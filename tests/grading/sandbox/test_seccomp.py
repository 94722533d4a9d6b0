"""The numbers of the system calls that a submission is refused, against libseccomp's own tables."""

import ctypes
import ctypes.util

import pytest

from grading.sandbox.seccomp import ARCHITECTURES, CAPSET, CLONE, CLONE3, FCNTL, IDLE, REFUSED

LIBRARY = ctypes.util.find_library("seccomp")
CALLS = IDLE | REFUSED | {"capset": CAPSET, "clone": CLONE, "clone3": CLONE3, "fcntl": FCNTL}


@pytest.mark.skipif(LIBRARY is None, reason="needs libseccomp")
@pytest.mark.parametrize(("place", "architecture"), list(enumerate(ARCHITECTURES)))
def test_each_call_has_the_number_of_its_architecture(place, architecture):
    resolve = ctypes.CDLL(LIBRARY).seccomp_syscall_resolve_name_arch
    for name, numbers in CALLS.items():
        found = resolve(ctypes.c_uint32(ARCHITECTURES[architecture]), name.encode())
        assert (found if found >= 0 else None) == numbers[place], name  # below zero: there is no such call
