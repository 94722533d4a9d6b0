"""Points come from arrays that the judge reads itself: replacing a harness in the worker gains nothing."""

import json
from dataclasses import replace

import pytest
from nbformat.v4 import new_code_cell, new_notebook

from grading.pipeline.assignments import assignments
from grading.pipeline.grade import grade

HARNESS = "import importlib, torch\nharness = importlib.import_module('grading.exercises.{}.harness')\n"
ATTACKS = {
    ("04_alignment", "plot_attention", "draws nothing, and its picture is read as a right one"): """
def right(answer, weights, src_tokens, tgt_tokens, given):
    place = 'the Axes that was given' if given else 'a new figure'
    return 'Axes', place, 0, 0, weights, tgt_tokens, src_tokens, 'target', 'source', (0.0, 1.0)
harness.plot_attention = right
def plot_attention(weights, src_tokens, tgt_tokens, ax=None): pass
""",
    ("04_alignment", "plot_attention", "draws nothing, and another map is described"): """
import numpy as np
from utils.plotting import plot_attention as library
describe = harness.plot_attention
def other(answer, weights, *rest): return describe(library, torch.rand(weights.shape), *rest)
harness.plot_attention = other
def plot_attention(weights, src_tokens, tgt_tokens, ax=None): pass
""",
    ("03_translator", "translator", "is not trained, and whatever translates has a phrase table"): """
from utils import models, text
encoded = text.encoded_reviews()
translator = models.Seq2Seq(len(encoded.src_vocab), len(encoded.tgt_vocab), 'dot', 8, 16)
def phrases(model, encoded, sentences, *a, **k):
    table = {'soup': 'soupe', 'the': 'la', 'good': 'bonne', 'was': 'était'}
    return [models.Translation(s, [table.get(w, w) for w in s], torch.eye(len(s) + 1)) for s in sentences]
models.translate = harness.library_translate = phrases
models.Seq2Seq.search = models.Seq2Seq.start = phrases
harness.reviews = lambda answer, sentences: phrases(answer, encoded, sentences)
""",
    ("03_translator", "translator", "is reported as translations instead of parameters"): """
from utils import text
train = text.encoded_reviews().corpus['train']
harness.parameters = lambda answer: (list(train.tgt[:300]), [torch.eye(9)] * 300)
translator = None
""",
    ("03_translator", "train_step", "learns in evaluation mode, which the harness keeps to itself"): """
from utils.training import train_step as right
update = harness.update
harness.update = lambda *inputs: (*update(*inputs)[:2], False, False)
def train_step(model, batch, optimizer, pad_id, max_norm):
    return right(model.eval(), batch, optimizer, pad_id, max_norm)
""",
    ("03_translator", "translate", "translates in training mode, which the harness keeps to itself"): """
from utils import models
from contextlib import nullcontext
models.evaluating = lambda model: torch.no_grad()
sentences = harness.sentences
harness.sentences = lambda *inputs: (*sentences(*inputs), False)[0]
def translate(model, encoded, sentences, max_len):
    found = models.translate(model, encoded, sentences, max_len)
    return [(one.tokens, one.weights) for one in found]
""",
    ("08_language_models", "sample", "always draws the likeliest, with shares as they should be"): """
def drawing(answer, logits, temperature, top_k, draws, seed):
    return (logits / max(temperature, 1e-3)).softmax(-1).double(), 0, 1
harness.drawing = drawing
def sample(logits, temperature=1.0, top_k=None, generator=None): return logits.argmax(-1)
""",
    ("08_language_models", "sample", "takes its randomness elsewhere, and is said to be reproducible"): """
from utils.language_models import sample as right
harness._reproducible = lambda draw, seed: 1
torch.equal = lambda a, b: True
def sample(logits, temperature=1.0, top_k=None, generator=None): return right(logits, temperature, top_k)
""",
}


@pytest.mark.usefixtures("singly")
@pytest.mark.parametrize("attack", ATTACKS, ids=" ".join)
def test_a_replaced_harness_decides_no_point(attack, sandbox):
    exercise, name, _ = attack
    assignment = assignments()[exercise]
    assignment = replace(assignment, tests=((name, dict(assignment.tests)[name]),), written=())
    source = HARNESS.format(exercise) + ATTACKS[attack] + "\nprint('replaced')"
    notebook = json.dumps(new_notebook(cells=[new_code_cell(source)])).encode()
    report = grade("mallory.ipynb", sandbox, assignment, seed=3, data=notebook)
    (check,), (cell,) = report.checks, report.cells
    assert cell["error"] is None and "replaced" in str(cell["outputs"])
    assert check.points == 0 and check.message, check
