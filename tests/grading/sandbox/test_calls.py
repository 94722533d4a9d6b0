"""One call of an answer: plain data in, plain data out, and nothing of the answer's noise."""

import sys
import warnings

import numpy as np
import pytest
import torch
from torch import nn

from grading.sandbox.calls import alive, call, module, plain
from grading.sandbox.cases import Case, Unknown


def called(answer, inputs, **settings):
    return call(answer, Case("a case", inputs, **settings))


def twice(x):
    return 2 * x


X = {"x": np.array([1.0, 2.0])}


def test_outputs_inputs_and_gradients_come_back():
    outcome = called(twice, X, pulls=7)
    assert outcome.error is None
    np.testing.assert_array_equal(outcome.outputs[0], [2.0, 4.0])
    np.testing.assert_array_equal(outcome.inputs["x"], X["x"])
    pull = np.random.default_rng(7).standard_normal(2)
    np.testing.assert_allclose(outcome.gradients["x"], 2 * pull)


def test_the_case_itself_is_never_changed_and_a_change_in_place_shows():
    outcome = called(lambda x: x.mul_(3), X)
    np.testing.assert_array_equal(X["x"], [1.0, 2.0])
    np.testing.assert_array_equal(outcome.inputs["x"], [3.0, 6.0])


def test_an_error_is_an_outcome():
    assert called(lambda x: 1 / 0, X).error == ("ZeroDivisionError", "division by zero")
    backward_fails = called(lambda x: (y := x.exp()).add_(1) + 0 * y.log(), X, pulls=1)
    assert backward_fails.error[0] == "RuntimeError" and len(backward_fails.outputs) == 1


def test_noise_is_dropped_and_random_numbers_stay(capfd):
    def loud(x):
        print("here")
        print("there", file=sys.stderr)
        warnings.warn("look", stacklevel=1)
        torch.manual_seed(1)
        return x + torch.rand(2)

    torch.manual_seed(0)
    before = torch.get_rng_state()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert called(loud, X).error is None
    assert torch.equal(torch.get_rng_state(), before)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("returned", "gradient"),
    [
        (lambda x: x.detach(), {"x": None}),  # no graph at all
        (lambda x: x.sum() * 0 + torch.ones(2), {"x": np.zeros(2)}),
        (lambda x: [1, 2], {}),  # no tensor to pull at
        (lambda x: x > 0, {}),
    ],
)
def test_where_no_gradient_arrives(returned, gradient):
    found = called(returned, X, pulls=1).gradients
    assert found.keys() == gradient.keys()
    for name, expected in gradient.items():
        np.testing.assert_array_equal(found[name], expected)


def test_several_outputs_are_told_from_one_that_is_a_list():
    assert called(lambda x: [1, 2], X, returns=2).outputs == (1, 2)
    assert called(lambda x: [1, 2], X).outputs == ([1, 2],)


# Modules


class Scaled(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.factor = nn.Parameter(torch.ones(size))

    def forward(self, x):
        return self.factor * x


def test_a_class_is_made_with_the_sizes_and_parameters_of_the_case():
    factor = {"factor": np.array([3.0, 4.0])}
    outcome = called(Scaled, X, sizes={"size": 2}, parameters=factor, pulls=1)
    np.testing.assert_array_equal(outcome.outputs[0], [3.0, 8.0])
    assert outcome.gradients.keys() == {"x", "factor"}
    np.testing.assert_array_equal(factor["factor"], [3.0, 4.0])
    with pytest.raises(TypeError, match=r"its parameters are .*\(3,\).* where .*\(2,\).* leave __init__"):
        module(Scaled, {"size": 3}, factor)


def test_what_the_library_passes_is_made_too():
    case = dict(library={"score": "attention.MultiplicativeScore"}, sizes={"query_dim": 1, "key_dim": 1})
    case["parameters"] = {"key_proj.weight": np.array([[2.0]])}
    answer = lambda x, score: score.key_proj(x[:, None]).flatten()  # noqa: E731
    outcome = called(answer, X, pulls=1, **case)
    assert outcome.error is None, outcome.error
    np.testing.assert_array_equal(outcome.outputs[0], [2.0, 4.0])
    assert outcome.gradients.keys() == {"x", "key_proj.weight"}


# Plain data


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        (np.float32(0.5), 0.5),
        ({torch.tensor(1), 2}, {Unknown("an int64 tensor"), 2}),
        ({(torch.tensor(0), 1)}, {(Unknown("an int64 tensor"), 1)}),
        ({"a": (1, [2])}, {"a": (1, [2])}),
        (torch.zeros(1, device="meta"), Unknown("a torch.float32 tensor on meta")),
        (torch.zeros(2) * 1j, Unknown("a torch.complex64 tensor on cpu")),
        (object(), Unknown("object")),
        (np.zeros(2), Unknown("numpy.ndarray")),
        (range(2), Unknown("range")),
    ],
)
def test_what_is_no_plain_data_is_named(value, expected):
    found = plain(value)
    assert found == expected and type(found) is type(expected)


def test_a_subclass_of_tensor_or_list_is_not_trusted():
    class Yes(torch.Tensor):
        pass

    class Number(int):
        pass

    assert plain(torch.zeros(2).as_subclass(Yes)).kind.endswith("Yes")
    assert plain(Number(3)).kind.endswith("Number")


def test_endless_nesting_ends():
    endless = []
    endless.append(endless)
    found, depth = plain(endless), 0
    while isinstance(found, list):
        found, depth = found[0], depth + 1
    assert found == Unknown("list") and depth == 8


def test_arrays_become_tensors_of_their_own_and_come_back():
    arrays = {"a": [np.arange(3.0), (np.array(True), "text")], "n": None}
    tensors = alive(arrays)
    tensors["a"][0] += 1
    np.testing.assert_array_equal(arrays["a"][0], [0, 1, 2])
    back = plain(tensors)
    assert back["a"][0].tolist() == [1, 2, 3] and back["a"][1][1] == "text" and back["n"] is None
    back["a"][0][:] = 0
    assert tensors["a"][0].tolist() == [1, 2, 3]


# Another device


def on_gpu(answer, inputs=X, **settings):
    return called(answer, inputs, elsewhere=True, **settings).error


@pytest.mark.parametrize(
    "fails",
    [
        lambda x: x + torch.ones(2),
        lambda x: x * torch.arange(2),
        lambda x: torch.where(torch.ones(2, dtype=torch.bool), x, 0),
        lambda x: torch.cat([x, torch.zeros(2)]),
        lambda x: torch.zeros(2),  # made on the CPU and given back
        lambda x: [x, [2 * torch.ones(2)]],
        lambda x: x + torch.ones(2).cumsum(0),  # of what was made on the CPU
    ],
)
def test_tensors_on_the_cpu_do_not_mix_with_those_of_a_gpu(fails):
    assert on_gpu(fails) == ("RuntimeError", "Expected all tensors to be on the same device")


@pytest.mark.parametrize(
    "works",
    [
        lambda x: x + x.new_ones(2) + torch.ones_like(x),
        lambda x: x + torch.ones(2, device=x.device),
        lambda x: x + torch.ones(2).to(x) + torch.arange(2).type_as(x),
        lambda x: x + torch.tensor(2.0),  # a single number may come from the CPU
        lambda x: x[torch.arange(2)],  # and so may an index
    ],
)
def test_what_works_on_a_gpu_is_let_through(works):
    assert on_gpu(works) is None
