"""What is sent comes back as it was, and what is no message is a WireError and nothing else."""

import dataclasses
import json
import random
import struct

import numpy as np
import pytest

from grading.sandbox.cases import Case, Outcome, Unknown
from grading.sandbox.protocol import DEEPEST, DTYPES, LONGEST, WireError, decode, encode, frame


def drawn(rng, depth=0):  # noqa: C901 (one case per kind of data)
    """Any plain data."""
    kinds = ["none", "bool", "int", "float", "str", "array", "unknown"]
    kinds += ["list", "tuple", "set", "dict", "case", "outcome"] if depth < 4 else []
    some = range(rng.randrange(4))
    match rng.choice(kinds):
        case "none":
            return None
        case "bool":
            return rng.random() < 0.5
        case "int":
            return rng.randrange(-(10**30), 10**30)
        case "float":
            return rng.choice([0.0, -0.0, 1e308, 5e-324, float("inf"), rng.gauss(0, 1)])
        case "str":
            return "".join(chr(rng.choice([0, 10, 34, 92, 233, 0x1F600, 0xD800])) for _ in some)
        case "array":
            shape = [rng.randrange(4) for _ in some]
            numbers = np.random.default_rng(rng.randrange(99)).normal(0, 50, shape)
            return np.asarray(np.abs(numbers), rng.choice(sorted(DTYPES)))
        case "unknown":
            return Unknown("torch.device")
        case "list":
            return [drawn(rng, depth + 1) for _ in some]
        case "tuple":
            return tuple(drawn(rng, depth + 1) for _ in some)
        case "set":
            return {rng.randrange(9) for _ in some}
        case "dict":
            return {(n, str(n)): drawn(rng, depth + 1) for n in some}
        case "case":
            return Case("a case", {"x": drawn(rng, depth + 1)}, sizes={"hidden": 3}, visible=True)
        case "outcome":
            return Outcome((drawn(rng, depth + 1),), {"x": drawn(rng, depth + 1)}, {}, ("Error", "why"))


def same(a, b):
    """Equal, and of the same types all the way down."""
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and np.array_equal(a, b)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return list(a) == list(b) and all(map(same, a.values(), b.values()))
    if dataclasses.is_dataclass(a):
        return all(same(getattr(a, f.name), getattr(b, f.name)) for f in dataclasses.fields(a))
    return repr(a) == repr(b)  # which tells 0.0 from -0.0


@pytest.mark.parametrize("seed", range(300))
def test_what_is_sent_comes_back(seed):
    value = drawn(random.Random(seed))
    assert same(decode(encode(value)), value)


def test_what_only_the_judge_may_see_is_not_sent():
    case = Case("a case", {"x": np.ones(3)}, kept={"answer": 42})
    assert b"answer" not in encode(case) and decode(encode(case)).kept == {}


@pytest.mark.parametrize(
    "value", [b"bytes", 1j, object(), np.float64, {"a": [b""]}], ids=lambda value: type(value).__name__
)
def test_only_plain_data_is_sent(value):
    with pytest.raises(TypeError, match="is not plain data"):
        encode(value)


def message(text, arrays=b""):
    text = text if isinstance(text, bytes) else json.dumps(text).encode()
    return struct.pack("<I", len(text)) + text + arrays


ARRAY = b"\x00" * 24


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "unpack"),
        (b"\x01", "unpack"),
        (struct.pack("<I", 100) + b"1", "follows|Expecting|end"),
        (struct.pack("<I", LONGEST + 1) + b" " * (LONGEST + 1), "a text of 4,194,305 bytes"),
        (message(b"{"), "Expecting"),
        (message(b"\xff"), "decode"),
        (message([1, 2]), "a bare list"),
        (message({}), "unpack"),
        (message({"list": [], "tuple": []}), "unpack"),
        (message({"os.system": {"command": "true"}}), "os.system"),
        (message({"Case": {"title": "a"}}), "inputs"),
        (message({"Outcome": {"score": 14}}), "score"),
        (message({"Outcome": [1]}), "items"),
        (message({"set": [{"list": []}]}), "unhashable"),
        (message({"dict": [[{"dict": []}, 1]]}), "unhashable"),
        (message({"dict": [[1]]}), "unpack"),
        (message({"list": 3}), "iterable"),
        (message({"array": ["<f8", [3]]}), "in the middle of an array"),
        (message({"array": ["<f8", [2**62, 2**62]]}), "in the middle of an array"),
        (message({"array": ["<f8", [0, 2**62, 2**62]]}), "an empty array is"),
        (message({"array": ["<f8", [10_000_000, 0]]}), "an empty array is"),
        (message(b'{"dict": [' + b'[1, {"array": ["<f8", [0]]}],' * 60_000 + b"0]}"), "too many items"),
        (message({"list": [{"set": []}] * 30_000}), "too many items"),
        (message(b'{"list": [' + b"0, " * 30_000 + b"0]}"), "too many items"),
        (message(b"[" * 2_000_000), "too many items"),
        (message({"array": ["<f8", [-3]]}, ARRAY), "no array is"),
        (message({"array": ["<f8", [3.0]]}, ARRAY), "no array is"),
        (message({"array": ["<f8", [True]]}, ARRAY[:8]), "no array is"),
        (message({"array": ["<f8", 3]}, ARRAY), "len"),
        (message({"array": ["|O", [3]]}, ARRAY), "no array is"),
        (message({"array": ["<U3", [2]]}, ARRAY), "no array is"),
        (message({"array": ["<M8[s]", [3]]}, ARRAY), "no array is"),
        (message({"array": [["<f8"], [3]]}, ARRAY), "unhashable"),
        (message({"array": ["<f8", [1] * 17]}, ARRAY[:8]), "no array is"),
        (message({"array": ["<f8", [2]]}, ARRAY), "something follows its end"),
        (message(b'{"list": [' * 100_000 + b"]}" * 100_000), "recursion|too many items"),
        (message(b'{"list": [' * (DEEPEST + 2) + b"]}" * (DEEPEST + 2)), "nested too deeply"),
        (message(b"9" * 5000), "digits"),
    ],
    ids=lambda part: str(part[:60]) if isinstance(part, bytes) else None,
)
def test_what_is_no_message_is_refused(data, why):
    with pytest.raises(WireError, match=why):
        decode(data)


def test_a_damaged_message_is_refused_or_another_message():
    """Cut anywhere it is refused. With other bytes in it, nothing but WireError is ever raised."""
    case = Case("a case", {"x": np.arange(6.0).reshape(2, 3), "mask": None}, sizes={"hidden": 3})
    data = encode([case, {"a": (1, 2.5, "text")}, {1, 2}])
    for end in range(len(data)):
        with pytest.raises(WireError):
            decode(data[:end])
    rng, refused = random.Random(1), 0
    for _ in range(3000):
        damaged = bytearray(data)
        for _ in range(rng.randrange(1, 4)):
            damaged[rng.randrange(len(data))] = rng.randrange(256)
        try:
            decode(bytes(damaged))
        except WireError:
            refused += 1
    assert 1000 < refused < 3000


def test_true_is_one_even_if_its_byte_is_another():
    found = decode(message({"array": ["|b1", [3]]}, b"\x00\x02\xff"))
    assert found.dtype == bool and found.view("u1").tolist() == [0, 1, 1]


def test_a_frame_tells_its_length():
    (length,) = struct.unpack("<Q", frame("text")[:8])
    assert decode(frame("text")[8:]) == "text" and length == len(frame("text")) - 8
