"""Plain data, cases and outcomes as bytes: a form in which nothing can be executed.

A message is JSON, in which a reference stands for each array, followed by the numbers of the arrays as
they lie in memory. Reading checks type, size and shape before it makes anything; what is not a message
is a `WireError`.
"""

import json
import math
import struct
from dataclasses import fields

import numpy as np

from grading.sandbox.cases import Case, Outcome, Unknown

KINDS = {kind.__name__: kind for kind in (Case, Outcome, Unknown)}
DTYPES = {np.dtype(code).str for code in ["?", "b", "B", "h", "H", "i", "I", "q", "Q", "e", "f", "d"]}
LARGEST = 32 * 2**20  # bytes in a message
LONGEST = 4 * 2**20  # bytes of its text
# Python's objects take many times as much memory as the text they are made of, and empty arrays take none.
MOST_MARKS, MOST_ITEMS, WIDEST_EMPTY = 100_000, 20_000, 10_000
DEEPEST = 32


class WireError(ValueError):
    """What came is not a message."""


def encode(value):
    """A value as bytes. `Case.kept` is left out: it stays with the judge."""
    arrays = []

    def pack(value):
        if value is None or isinstance(value, bool | int | float | str):
            return value
        if isinstance(value, np.ndarray):
            arrays.append(np.ascontiguousarray(value).reshape(value.shape))
            return {"array": [value.dtype.str, list(value.shape)]}
        if isinstance(value, dict):
            return {"dict": [[pack(key), pack(item)] for key, item in value.items()]}
        for name, kind in (("list", list), ("tuple", tuple), ("set", set)):
            if isinstance(value, kind):
                return {name: [pack(item) for item in value]}
        if type(value).__name__ in KINDS:
            names = [f.name for f in fields(value) if f.name != "kept"]
            return {type(value).__name__: {name: pack(getattr(value, name)) for name in names}}
        raise TypeError(f"{type(value).__name__} is not plain data")

    text = json.dumps(pack(value)).encode()
    return struct.pack("<I", len(text)) + text + b"".join(array.tobytes() for array in arrays)


def frame(value):
    """A message with its length in front of it, as it is sent."""
    data = encode(value)
    return struct.pack("<Q", len(data)) + data


def decode(data):
    """The value that `encode` made these bytes of. Raise WireError for anything else."""
    try:
        return _decode(memoryview(data))
    except (
        ValueError,
        TypeError,
        KeyError,
        IndexError,
        AttributeError,
        OverflowError,
        RecursionError,
        struct.error,
    ) as error:
        raise WireError(f"not a message: {error}") from None


def _decode(data):
    (length,) = struct.unpack_from("<I", data)
    if length > LONGEST:
        raise WireError(f"a text of {length:,} bytes")
    arrays, text = _Arrays(data, 4 + length), bytes(data[4 : 4 + length])
    if sum(map(text.count, (b",", b"[", b"{"))) > MOST_MARKS:
        raise WireError("too many items")
    value = _unpack(json.loads(text), arrays)
    if arrays.at != len(data):
        raise WireError("something follows its end")
    return value


class _Arrays:
    """The arrays of a message, which follow its text one after the other."""

    def __init__(self, data, at):
        self.data, self.at, self.items = data, at, 0

    def next(self, dtype, shape):
        if dtype not in DTYPES or len(shape) > 16 or not all(type(n) is int and n >= 0 for n in shape):
            raise WireError(f"no array is {dtype} {shape}")
        if 0 in shape and math.prod(n or 1 for n in shape) > WIDEST_EMPTY:
            raise WireError(f"an empty array is {shape}")
        end = self.at + math.prod(shape) * np.dtype(dtype).itemsize
        if end > len(self.data):
            raise WireError("it ends in the middle of an array")
        found = np.frombuffer(self.data[self.at : end], dtype).reshape(shape).copy()
        self.at = end
        return np.asarray(found.view("u1") != 0) if dtype == "|b1" else found  # True may not be any byte


def _unpack(value, arrays, depth=0):
    arrays.items += 1
    if depth > DEEPEST or arrays.items > MOST_ITEMS:
        raise WireError("it is nested too deeply, or holds too many items")
    if isinstance(value, list):
        raise WireError("a bare list")
    if not isinstance(value, dict):
        return value
    ((tag, content),) = value.items()
    if tag == "array":
        return arrays.next(*content)
    if tag == "dict":
        return {_unpack(key, arrays, depth + 1): _unpack(item, arrays, depth + 1) for key, item in content}
    if tag in ("list", "tuple", "set"):
        items = [_unpack(item, arrays, depth + 1) for item in content]
        return {"list": list, "tuple": tuple, "set": set}[tag](items)
    return KINDS[tag](**{name: _unpack(item, arrays, depth + 1) for name, item in content.items()})


class Channel:
    """Messages over a socket."""

    def __init__(self, sock):
        self.reader, self.writer = sock.makefile("rb"), sock.makefile("wb")
        sock.close()  # it is open as long as one of the two is

    def send(self, value):
        self.writer.write(frame(value))
        self.writer.flush()

    def receive(self):
        """Return the next message. Raises `EOFError` after the last one."""
        (length,) = struct.unpack("<Q", self._exactly(8))
        if length > LARGEST:
            raise WireError(f"a message of {length:,} bytes")
        return decode(self._exactly(length))

    def _exactly(self, count):
        data = self.reader.read(count)
        if len(data) < count:
            raise EOFError
        return data
