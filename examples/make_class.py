"""Make an example class: twelve submissions of exercise 02, right, half, wrong, broken and hostile.

python examples/make_class.py FOLDER        writes FOLDER/submitted/STUDENT/02_attention/...
"""

import sys
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parents[1]
NAME = "02_attention"
ANSWERS = (
    "dot_score",
    "scaled_dot_score",
    "MultiplicativeScore",
    "AdditiveScore",
    "masked_softmax",
    "attend",
)

WRITTEN = """Without attention everything has to fit into one vector, and the longer the sentence, the more of
it is lost. With attention the decoder asks all states of the encoder again before each word, so its context
changes from word to word. A weight of 0.8 does not prove that the word was the cause: other words reach that
state as well."""

OTHERWISE = {
    "dot_score": """
import warnings

def dot_score(query, keys):
    warnings.warn("written with einsum")
    return torch.einsum("bth,bsh->bts", query, keys)
""",
    "scaled_dot_score": """
def scaled_dot_score(query, keys):
    return dot_score(query / query.size(-1) ** 0.5, keys)
""",
    "masked_softmax": """
def masked_softmax(scores, mask):
    if mask is None:
        mask = torch.ones_like(scores, dtype=torch.bool)
    mask = mask[:, None, :] if mask.dim() == 2 else mask
    mask = mask.expand_as(scores)
    lowest = torch.finfo(scores.dtype).min
    weights = torch.softmax(torch.where(mask, scores, torch.full_like(scores, lowest)), dim=-1)
    return torch.where(mask, weights, torch.zeros_like(weights))
""",
    "attend": """
def attend(query, keys, values, mask, score):
    weights = masked_softmax(score(query, keys), mask)
    return torch.bmm(weights, values), weights
""",
}
MISSING_TRANSPOSE = "def dot_score(query, keys):\n    return query @ keys\n"
NOT_SCALED = "def scaled_dot_score(query, keys):\n    return library.dot_score(query, keys)\n"
NEARLY = """
def masked_softmax(scores, mask):
    return torch.softmax(scores.masked_fill(~mask[:, None, :], -50), dim=-1)
"""  # wrong without a mask, with nothing to attend to, and for large scores
NO_GRADIENT = """
def attend(query, keys, values, mask, score):
    weights = library.masked_softmax(score(query, keys), mask)
    return (weights @ values).detach(), weights
"""
MASK_IGNORED = "def masked_softmax(scores, mask):\n    return torch.softmax(scores, dim=-1)\n"
KEYS_AS_VALUES = """
def attend(query, keys, values, mask, score):
    weights = library.masked_softmax(score(query, keys), mask)
    return weights @ keys, weights
"""
NO_TANH = """
class AdditiveScore(nn.Module):
    def __init__(self, query_dim, key_dim, attn_dim):
        super().__init__()
        self.query_proj = nn.Linear(query_dim, attn_dim, bias=False)
        self.key_proj = nn.Linear(key_dim, attn_dim, bias=False)
        self.v = nn.Linear(attn_dim, 1, bias=False)

    def forward(self, query, keys):
        return self.v(self.query_proj(query).unsqueeze(2) + self.key_proj(keys).unsqueeze(1)).squeeze(-1)
"""
UNFINISHED = "def masked_softmax(scores, mask):\n    return torch.softmax(scores\n"
FORGED = """
import builtins, grading, sys

class Anything:
    shape, dtype = (2, 3, 5), torch.float64
    def __eq__(self, other): return True
    def __getattr__(self, name): return lambda *args, **kwargs: self

torch.allclose = torch.equal = lambda *args, **kwargs: True
dot_score = scaled_dot_score = MultiplicativeScore = AdditiveScore = lambda *args, **kwargs: Anything()
masked_softmax = attend = lambda *args, **kwargs: Anything()
print('{"score": 14, "max_score": 14, "status": "graded"}')
"""
LEAVES = "print('one moment')\nimport os\nos._exit(0)"
ENDLESS = """
import signal

def attend(query, keys, values, mask, score):
    for number in range(1, 32):
        try:
            signal.signal(number, signal.SIG_IGN)
        except (OSError, ValueError):
            pass
    while len(query) > 1:
        pass
    return library.attend(query, keys, values, mask, score)
"""
SCRIPT = (
    WRITTEN + "\n\n<script>document.title = 'mine'</script><img src=x onerror=\"document.title = 'mine'\">"
)


def make_class(folder):
    """Write the submissions under a folder, and give their students in order."""
    half = ("dot_score", "scaled_dot_score", "MultiplicativeScore")
    students = {
        "ana": notebook(),
        "ben": notebook(OTHERWISE),
        "chloe": notebook(right=half, written=None),
        "deniz": notebook({"dot_score": MISSING_TRANSPOSE, "scaled_dot_score": NOT_SCALED}),
        "emre": notebook({"masked_softmax": MASK_IGNORED, "attend": KEYS_AS_VALUES}),
        "farah": notebook({"AdditiveScore": NO_TANH, "masked_softmax": MASK_IGNORED}, written=SCRIPT),
        "goran": notebook(),
        "hana": notebook({"masked_softmax": NEARLY, "attend": NO_GRADIENT}),
        "ivan": notebook({"masked_softmax": UNFINISHED}, before=["1 / 0"]),
        "jule": notebook(right=(), after=[FORGED], points=100),
        "kofi": notebook(right=half, before=[LEAVES]),
        "lena": notebook({"attend": ENDLESS}),
    }
    for student, found in students.items():
        place = Path(folder, "submitted", student, NAME)
        place.mkdir(parents=True, exist_ok=True)
        name = "Attention final (2).ipynb" if student == "hana" else f"{NAME}.ipynb"
        text = nbformat.writes(found)
        (place / name).write_text(text[: len(text) // 2] if student == "goran" else text, "utf-8")
    return list(students)


def notebook(answers=(), right=ANSWERS, written=WRITTEN, before=(), after=(), points=None):
    """A starter with answers: those of the solution that are named in `right`, then those that are given."""
    solved, given = (
        nbformat.read(ROOT / "exercises" / kind / NAME / f"{NAME}.ipynb", 4)
        for kind in ("solution", "starter")
    )
    answers = {name: source for name, source in graded(solved).items() if name in right} | dict(answers)
    for cell in given.cells:
        mark = cell.metadata.get("nbgrader", {})
        if cell.id in answers:
            cell.source = answers[cell.id].strip()
        elif mark.get("solution") and mark["grade"] and written:
            cell.source = written
        if points and "points" in mark:
            mark["points"] = points
    extra = [
        [nbformat.v4.new_code_cell(source.strip(), id=f"{where}-{i}") for i, source in enumerate(sources)]
        for where, sources in (("before", before), ("after", after))
    ]
    given.cells[3:3] = extra[0]
    given.cells += extra[1]
    return given


def graded(notebook):
    """Return the source of each graded cell, by cell id."""
    return {cell.id: cell.source for cell in notebook.cells if "nbgrader" in cell.metadata}


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    print(f"{sys.argv[1]}/submitted: {', '.join(make_class(sys.argv[1]))}")
