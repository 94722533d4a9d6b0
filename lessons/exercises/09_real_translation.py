# %% [markdown]
r"""
# Exercise 09 · Search, compare, report

**Your new translator scores two points more. Is it better, and would you bet on it?**

So far a translator wrote the likeliest word at each step, and one BLEU score said how good it was. People
who build translators do more. They *search* for a likely sentence, and they ask whether a difference
between two scores may be luck. In this exercise you build both, let several systems compete, and write a
short report. The method is that of a published comparison. The systems are small ones, trained in seconds,
and the text is generated unless you ask for real captions.

You will

- **implement** beam search, with a penalty that keeps it from writing too little,
- **compare** two systems on the same sentences, with intervals and a paired test,
- **report** what you measured, what you can conclude, and what you can't.

About 100 minutes, 13 points: 4 for exercise 9.1, 3 for 9.2, and 6 for the report, 9.3. Every exercise
stands alone: the experiment can use the course's own versions of 9.1 and 9.2.
"""

# %% [markdown]
r"""
### How an exercise works

Replace `raise NotImplementedError` with your answer, run the cell, then run the tests below it. If a test
fails, its message says what it checked. Grading runs more tests of the same kind on other inputs. The line
"Points" of an exercise says what each part of your answer is worth. An answer that fails in one part keeps
the points of the others, as long as it is right on ordinary input. If you're stuck, open the first hint, and
the next one only if you still need it.
"""

# %%
import torch
from sacrebleu.metrics import BLEU
from sacrebleu.significance import PairedTest

from utils import metrics
from utils.data import load_multi30k, load_reviews
from utils.models import Seq2Seq
from utils.text import BOS_ID, EOS_ID, EncodedCorpus
from utils.training import seed_everything, train

torch.set_num_threads(1)  # models this small gain nothing from a second thread

# %% [markdown]
r"""
### Exercise 9.1 · Beam search

40 min · ●●● · 4 points

Points: 2 for ordinary input; 0.5 for a beam wider than the candidates; 0.5 for nothing finished at max_len;
0.5 for length penalty; 0.5 for hypotheses that end early.

Instead of one beginning of a translation, keep the `beam_size` likeliest ones side by side, and return the
best sentence that comes out of them. Such a beginning is called a **hypothesis**.

$$\text{score}(y) \;=\; \frac{1}{|y|^{\alpha}} \sum_{t=1}^{|y|} \log p(y_t \mid y_{<t}, x)$$

In code, keep the sum for every hypothesis while it grows. $|y|$ is the number of tokens in that sum,
including the end token, and $\alpha$ is `length_penalty`. With $\alpha = 0$ the score is the logarithm of
the sentence's probability, and with $\alpha = 1$ it is the mean over its tokens.

The model is behind a function, `step(tokens, state)`. It takes the last token of every hypothesis and
returns the log-probabilities of the next one. The **state** is a tuple of tensors with everything that the
model remembers. Row $i$ of each tensor belongs to hypothesis $i$. One step of the search:

1. Every hypothesis is continued by every token: these are the *candidates*.
2. The candidates with the largest sums take the free places in the beam, no matter which hypothesis they
   come from.
3. Each of them continues with the state of its *parent*, the hypothesis that it continues. Two may have the
   same parent, and some parents have no child.
4. A candidate that ends in `eos_id` is finished. Its score is final, and it keeps its place, so from now on
   there is one place less to fill.

| | shape |
| --- | --- |
| in: `state` | a tuple of tensors, (1, ...) each: one row, for the one hypothesis at the start |
| `tokens`, into `step` | (hypotheses,) |
| `log_probs`, out of `step` | (hypotheses, vocab) |
| new state, out of `step` | a tuple of tensors, (hypotheses, ...) each |
| out: `ids` | a list of token ids, without begin and end |
| out: `score` | a number |

**By hand.** This model knows three words and looks only at the last token. Each row says what follows it.

| after | end | le | la | soupe |
| --- | --- | --- | --- | --- |
| *begin* | 0.02 | **0.50** | 0.40 | 0.08 |
| le | **0.40** | 0.20 | 0.20 | 0.20 |
| la | 0.10 | 0.05 | 0.05 | **0.80** |
| soupe | **0.90** | 0.04 | 0.03 | 0.03 |

(No token leads back to *begin*. In code it still has an id, and therefore a column of zeros. A candidate
with probability 0 has the sum −inf. It is a candidate like any other, and the last to get a place.)

*Greedy* search writes "le", then ends: 0.5 · 0.4 = 0.20. A beam of two also keeps "la". The best candidates
of the second step are "la soupe", 0.4 · 0.8 = 0.32, and "le" with its end, 0.20. The latter is finished, so
one place is left. The best candidate of the third step is "la soupe" with its end, 0.32 · 0.9 = 0.288. Now
both places are finished, and "la soupe" wins: ln 0.288 = **−1.245** is larger than ln 0.20 = −1.609. With
$\alpha = 1$ the scores are −1.245 / 3 = −0.415 and −1.609 / 2 = −0.805.
"""


# %% answer="beam_search"
def beam_search(step, state, bos_id, eos_id, beam_size, max_len, length_penalty):
    """Decode one sentence by beam search: return the best ids and their score.

    step(tokens, state) continues hypotheses: tokens (hypotheses,) are the last id
    of each; state is a tuple of tensors with one row per hypothesis. It returns the
    log-probabilities of the next token, (hypotheses, vocab), and the new state,
    with rows in the same order. The search starts with one hypothesis, `bos_id`,
    whose state of one row is the argument `state`.

    The beam has `beam_size` places. At each step, all hypotheses in it are
    continued by all tokens. The likeliest of these candidates, by their sum of
    log-probabilities, take the free places, and each continues with the state of
    its parent. A candidate that ends in `eos_id` is finished: it keeps its place
    and is not continued. The search stops when every place is finished, or after
    `max_len` tokens, the end token included. If there are fewer candidates than
    places, all of them are taken; one with probability 0 has the sum -inf and comes
    last.

    The score of a hypothesis is its sum of log-probabilities divided by length **
    `length_penalty`: 0 gives the sum, and 1 the mean. The length counts the tokens
    of the sum: with the end token, without the begin token. Return the best
    finished hypothesis, or the best unfinished one if none is finished. ids is a
    list of int without begin and end tokens, and score is a float. A `beam_size` of
    1 is greedy decoding.

    Sutskever et al. 2014, section 3.2, for finished hypotheses that leave the beam.
    The penalty is the simpler of the two in Wu et al. 2016, section 7 (equation 14
    is the other).
    """
    ### BEGIN SOLUTION
    written, finished = [[]], []
    tokens, sums = torch.tensor([bos_id]), torch.zeros(1)
    for length in range(1, max_len + 1):
        log_probs, state = step(tokens, state)
        candidates = (sums.unsqueeze(1) + log_probs).flatten()  # hypotheses * vocab
        places = min(beam_size - len(finished), len(candidates))
        sums, chosen = candidates.topk(places)
        parents, tokens = chosen // log_probs.shape[1], chosen % log_probs.shape[1]
        written = [
            [*written[parent], token]
            for parent, token in zip(parents.tolist(), tokens.tolist(), strict=True)
        ]
        scores = (sums / length**length_penalty).tolist()
        scored = list(zip(written, scores, strict=True))
        finished += [
            (ids[:-1], score) for ids, score in scored if ids[-1] == eos_id
        ]

        going_on = tokens != eos_id
        written = [ids for ids in written if ids[-1] != eos_id]
        tokens, sums = tokens[going_on], sums[going_on]
        state = tuple(part[parents[going_on]] for part in state)
        if not written:
            break
    return max(finished or scored, key=lambda pair: pair[1])

    # Why: the candidates form one row, so all hypotheses compete in a single topk;
    # a topk per hypothesis would run several greedy searches instead. A candidate's
    # position in that row gives both parent and token, by // and %.
    # Log-probabilities are added, because probabilities are multiplied. During the
    # search all candidates have the same length, so dividing would change nothing:
    # the penalty comes in once, when a hypothesis is scored. Indexing the state
    # with the parents copies, drops and reorders its rows in one go. Without it,
    # words continue from the memory of other words, and no error tells you. The
    # search starts with one hypothesis: beam_size equal ones would all choose the
    # same tokens.
    ### END SOLUTION


# %% [markdown]
r"""
<details><summary>Hint 1</summary>

Write down what you must know about each hypothesis between two steps: the ids so far, their sum, its last
token, and its row of the state. All four have to follow when hypotheses are chosen. What do they look like
before the first step?

</details>

<details><summary>Hint 2: the best of all candidates</summary>

`sums.unsqueeze(1) + log_probs` is (hypotheses, vocab), the sum of every candidate. Flatten it, and
`values, positions = flat.topk(n)` returns the best n of all. In the flattened row, what are
`position // vocab` and `position % vocab`? (`topk` raises an error if n is larger than the row.)

</details>

<details><summary>Hint 3: what follows the choice</summary>

Separate the chosen ones with a mask, `going_on = tokens != eos_id`. Those that end go to a list `finished`
with their score. The others continue, with their `tokens[going_on]`, `sums[going_on]` and words.
`tuple(part[parents[going_on]] for part in state)` takes their states from the new state of `step`: the row
of the parent for each. `finished or unfinished` is the second list only if the first is empty.

</details>

<details><summary>How to read a message of the tests</summary>

The tests below run your search on a model made of tables, and the message names them. `log_probs[node]`
says what comes next at a node, and `goes_to[node, token]` is the node to which a token leads. The search
starts at node 0. The node is what the model remembers: it is in the state, so with the wrong row of the
state, the search continues from the node of another hypothesis. `log_probs (5, 4)` means five nodes and
four tokens. The visible cases are the same every time. The last test has a model whose memory is small
enough to follow by hand.

</details>
"""

# %%
# Not graded: the table from above as a step. It needs no memory, so its state is
# zeros.
words = ["begin", "end", "le", "la", "soupe"]
table = torch.tensor(
    [
        [0.00, 0.02, 0.50, 0.40, 0.08],  # after the begin token
        [0.00, 1.00, 0.00, 0.00, 0.00],
        [0.00, 0.40, 0.20, 0.20, 0.20],
        [0.00, 0.10, 0.05, 0.05, 0.80],
        [0.00, 0.90, 0.04, 0.03, 0.03],
    ]
)
for beam_size in (1, 2):
    ids, score = beam_search(
        lambda tokens, state: (table[tokens].log(), state),
        (torch.zeros(1, 1),),
        bos_id=0,
        eos_id=1,
        beam_size=beam_size,
        max_len=5,
        length_penalty=0.0,
    )
    print(beam_size, [words[i] for i in ids], round(float(score), 3))

# %% test="beam_search" points=4
import math

import torch
from grading.checks import check

# Compare with the course's version on random tables; known mistakes are named.
check("beam_search", beam_search, cases="visible")


def search(table, beam_size, max_len, length_penalty):
    """Search with a model that looks only at the last token: 0 begins, 1 ends."""
    probs, state = torch.tensor(table), (torch.zeros(1, 1),)

    def step(tokens, state):
        return probs[tokens].log(), state

    found = beam_search(step, state, 0, 1, beam_size, max_len, length_penalty)
    return [int(i) for i in found[0]], float(found[1])


# By hand: begin, end, le, la, soupe. Greedy writes "le"; a beam of two finds "la
# soupe".
rows = [[0.0, 0.02, 0.5, 0.4, 0.08], [0.0, 1.0, 0.0, 0.0, 0.0]]
rows += [[0.0, 0.4, 0.2, 0.2, 0.2], [0.0, 0.1, 0.05, 0.05, 0.8]]
rows += [[0.0, 0.9, 0.04, 0.03, 0.03]]
ids, score = search(rows, beam_size=1, max_len=5, length_penalty=0.0)
assert ids == [2], f"a beam of one is greedy: expected [2], le, got {ids}"
right = math.isclose(score, math.log(0.2), rel_tol=1e-4)
assert right, f"expected the score ln 0.2 = -1.609, got {score}"
ids, score = search(rows, beam_size=2, max_len=5, length_penalty=1.0)
assert ids == [3, 4], f"with a beam of two, expected [3, 4], la soupe, got {ids}"
right = math.isclose(score, math.log(0.288) / 3, rel_tol=1e-4)
assert right, f"expected the score -1.245 / 3 = -0.415, got {score}"

# The penalty decides: ending at once has 0.4; 2, 3 and the end have 0.6 * 0.6.
rows = [[0.0, 0.4, 0.6, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.4, 0.0, 0.6]]
rows += [[0.0, 1.0, 0.0, 0.0]]
ids, _ = search(rows, 2, 5, length_penalty=0.0)
assert ids == [], f"without a penalty, 0.4 beats 0.36: expected [], got {ids}"
ids, _ = search(rows, 2, 5, length_penalty=1.0)
assert ids == [2, 3], (
    f"a mean of -0.34 beats one of -0.92: expected [2, 3], got {ids}"
)

# Nothing has finished when max_len is reached: return the best unfinished
# hypothesis.
rows = [[0.0, 0.01, 0.99], [0.0, 1.0, 0.0], [0.0, 0.01, 0.99]]
ids, score = search(rows, beam_size=1, max_len=3, length_penalty=1.0)
assert ids == [2, 2, 2], f"with max_len=3, expected [2, 2, 2], got {ids}"
right = math.isclose(score, math.log(0.99), rel_tol=1e-4)
assert right, f"expected the mean, ln 0.99 = -0.01, got {score}"


def remembers(tokens, state):
    """A model that remembers its first word: 3 4 and 3 5 can end, 2 4 can't."""
    first = torch.where(state[0] > 0, state[0], tokens)
    rows = [
        [0, 0, 0.6, 0.4, 0, 0],
        [0, 1, 0, 0, 0, 0],
        [0, 0.25, 0, 0.25, 0.25, 0.25],
    ]
    rows += [
        [0, 0, 0, 0, 0.52, 0.48],
        [0, 0.1, 0.9, 0, 0, 0],
        [0, 0.1, 0.9, 0, 0, 0],
    ]
    probs = torch.tensor(rows)[tokens]
    probs[(first == 3) & (tokens > 3)] = torch.tensor([0, 0.9, 0.1, 0, 0, 0])
    return probs.log(), (first,)


# A memory: the best two of the second step, 3 4 and 3 5, are both children of 3.
start = (torch.zeros(1, dtype=torch.long),)
ids, score = beam_search(remembers, start, 0, 1, 2, 3, 0.0)
ids = [int(i) for i in ids]
assert ids == [3, 4], (
    f"expected [3, 4], 0.4 * 0.52 * 0.9, got {ids}: "
    "does each hypothesis continue with the state of its parent?"
)
print("9.1: all visible tests pass")

### BEGIN HIDDEN TESTS
check("beam_search", beam_search)
### END HIDDEN TESTS

# %% [markdown]
r"""
### Exercise 9.2 · Compare two systems

15 min · ●●○ · 3 points

Points: 1.5 for ordinary input; 0.5 for within noise or not; 0.5 for a system and itself; 0.5 for raw text.

Compute by how much system B beats system A, and whether the choice of test sentences alone could explain
the difference.

A test set is a sample: other sentences would give other scores. **Bootstrap resampling** finds out how much
they would differ, without new sentences. Draw as many sentences from the test set as it has, with
replacement, so that some occur twice and some not at all. Compute the score, and repeat this a thousand
times. The middle 95% of these scores is the **interval**. To compare two systems, score *both* on each
draw: a draw with hard sentences is hard for both, so this part of the luck drops out of the difference.
With $d$ the difference on the whole test set and $d_i$ the one on draw $i$ of $n$, sacrebleu's **p-value**
is

$$p \;=\; \frac{1 + \#\{\,i : |d_i| - \overline{|d|} > |d|\,\}}{1 + n}$$

where $\overline{|d|}$ is the mean of all $|d_i|$. It is subtracted because the draws scatter around the
measured difference: what is left is how far luck alone moves a difference. The smallest $p$ that 1,000
draws can give is 1 / 1001, printed as 0.001. The formula compares only sizes, so the sign of the
difference, not $p$, shows that B is worse. By convention, a $p$ below 0.05 means that the choice of
sentences hardly explains the difference.

`PairedTest` does all this: see `help(PairedTest)`. It knows two tests. Choose the bootstrap with
`test_type="bs"`; the other, its default, returns no intervals. It expects a *list* of reference sets,
because a sentence may have several: here `[references]`. `BLEU(..., force=True)` suppresses a warning about
text that is already tokenized.

| | |
| --- | --- |
| in: `references`, `system_a`, `system_b` | lists of sentences, in the same order |
| in: `tokenize` | for sacrebleu's `BLEU(tokenize=...)`: "none" if tokens are separated by spaces |
| in: `n_samples` | the number of resamplings |
| out | a dict, see the docstring |

**By hand.** On the whole test set $|d| = 2$, and nine draws gave $|d_i|$ = 1, 1, 2, 2, 2, 2, 2, 1 and 5.
Their mean is 18 / 9 = 2. After subtracting it, only the last one is above 2, 5 − 2 = 3, so
$p = (1 + 1) / (1 + 9) =$ **0.2**: within noise.
"""


# %% answer="compare_systems"
def compare_systems(
    references, system_a, system_b, tokenize="none", n_samples=1000
):
    """Compare two systems on the same sentences, with intervals and a paired test.

    references, system_a, system_b: lists of sentences in the same order, one
    reference each; tokenize is sacrebleu's. The numbers are those of sacrebleu's
    `PairedTest`, test type "bs", with its own random seed and `n_samples`
    resamplings of the sentences (Koehn 2004). Return a dict of

    - "bleu_a", "bleu_b": corpus BLEU, 0 to 100; "difference": B minus A;
    - "interval_a", "interval_b": (low, high), the mean of the resampled scores
    minus and plus half the width of their middle 95%, which sacrebleu calls mean
    and ci;
    - "p_value": how often resampling alone makes so large a difference;
    - "within_noise": True if the p-value is not below 0.05, or if the difference is
    exactly 0, because for two equal systems the test returns a tiny p-value that
    means nothing.
    """
    ### BEGIN SOLUTION
    test = PairedTest(
        [("A", system_a), ("B", system_b)],
        {"BLEU": BLEU(tokenize=tokenize, force=True)},  # force: no warning
        [references],
        test_type="bs",
        n_samples=n_samples,
    )
    signatures, results = test()
    a, b = results["BLEU"]
    difference = b.score - a.score
    return {
        "bleu_a": a.score,
        "bleu_b": b.score,
        "interval_a": (float(a.mean - a.ci), float(a.mean + a.ci)),
        "interval_b": (float(b.mean - b.ci), float(b.mean + b.ci)),
        "difference": difference,
        "p_value": b.p_value,
        "within_noise": b.p_value >= 0.05 or difference == 0,
    }

    # Why: the first system is the baseline, so the second one has the p-value. The
    # references are a list of lists, because a sentence may have several. Corpus
    # BLEU counts matches over all sentences and then divides once; a mean of
    # sentence scores is something else. The verdict comes from the paired test and
    # not from the two intervals, which may overlap although B is better on nearly
    # every draw. If the difference is 0, |d_i| is 0 on every draw, nothing is above
    # it, and the formula gives 1 / (1 + n).
    ### END SOLUTION


# %% [markdown]
r"""
<details><summary>Hint 1</summary>

`PairedTest` takes pairs of a name and a system, the baseline first; a dict of metrics, here
`{"BLEU": BLEU(tokenize=..., force=True)}`; and a list of reference lists. Call the result, `test()`, to get
signatures and results.

</details>

<details><summary>Hint 2</summary>

`results["BLEU"]` has one entry per system, in your order: `.score`, `.mean`, `.ci`, and `.p_value`, which
is None for the baseline.

</details>
"""

# %%
# Not graded: six sentences, and a system B with one mistake less. With so few
# sentences an interval is wide and may go beyond 100: it is a mean and a half
# width, without bounds.
truth = ["the soup was very cold", "the tea was hot", "we liked the bread"]
truth += ["our waiter was kind", "we left early", "we left early"]
found = compare_systems(
    truth,
    ["the soup was cold", "tea was hot", *truth[2:]],
    ["the soup was cold", *truth[1:]],
)
for name, value in found.items():
    shown = [round(float(v), 1) for v in value] if "interval" in name else value
    print(f"{name:<13}", f"{value:.3f}" if isinstance(value, float) else shown)

# %% test="compare_systems" points=3
from grading.checks import check

# Compare with the course's version on random inputs; known mistakes are named.
check("compare_systems", compare_systems, cases="visible")

# Twenty sentences: A has one wrong word in each, and B is perfect.
truth = [f"the soup number {i} was not very cold" for i in range(20)]
worse = [sentence.replace("not", "never") for sentence in truth]
found = compare_systems(truth, worse, truth)
bleu_a, bleu_b, gain = found["bleu_a"], found["bleu_b"], found["difference"]
assert round(bleu_b) == 100, f"expected BLEU 100 for a perfect system, got {bleu_b}"
assert abs(gain - (bleu_b - bleu_a)) < 1e-6, (
    f"expected the difference B minus A, {bleu_b - bleu_a}, got {gain}"
)
assert gain > 0, f"B is better, so expected a positive difference, got {gain}"
p = found["p_value"]
assert p < 0.05, f"B is always better: expected a p-value below 0.05, got {p}"
assert not found["within_noise"], "a p-value below 0.05 is not within noise"

# The other way round: the same difference with a minus, and as clear.
back = compare_systems(truth, truth, worse)
assert abs(back["difference"] + gain) < 1e-6, (
    f"if B is worse, expected a difference of {-gain}, got {back['difference']}"
)
assert not back["within_noise"], "a clear loss is not within noise either"

# Each system has its own interval, (low, high), and here its score lies within it.
for x in "ab":
    (low, high), score = found[f"interval_{x}"], found[f"bleu_{x}"]
    assert low <= high, f"interval_{x} should be (low, high), got ({low}, {high})"
    assert low - 0.01 <= score <= high + 0.01, (
        f"bleu_{x} is {score}, outside interval_{x}, ({low}, {high})"
    )

# A system against itself: the difference is 0, which is within noise whatever the
# p-value is.
itself = compare_systems(truth, truth, list(truth))
assert itself["difference"] == 0, (
    f"expected 0 for equal systems, got {itself['difference']}"
)
assert itself["within_noise"], (
    "a difference of 0 is within noise, whatever the p-value is"
)
print("9.2: all visible tests pass")

### BEGIN HIDDEN TESTS
check("compare_systems", compare_systems)
### END HIDDEN TESTS

# %% [markdown]
r"""
### The experiment

5 min · no points

Train two translators with the same budget, one without attention and one with it. Decode each in three
ways: greedily, with a beam of five and no penalty, and with a beam of five and the mean of the
log-probabilities. The models are small, and training stops early, because search matters most to a model
that is unsure. Keep that in mind for the report.

The text is the reviews that come with the course, so you need no network. A grammar wrote them, so your
result holds for sentences of that kind. For a result on **real text**, captions of photographs from
Multi30K, set `REAL = True` in the next cell and continue from there. This downloads about a megabyte once,
and training the two models takes about two minutes on one core. Without a network, it stops with an error
that names the missing file and where it looked; then go back to `REAL = False`.
"""

# %%
REAL = False

if REAL:
    corpus = load_multi30k("en", "fr", ("train", "valid", "test_2016_flickr"))
    encoded = EncodedCorpus(corpus, min_count=3, max_tokens=20)
    test, updates = "test_2016_flickr", 1_000
else:
    encoded = EncodedCorpus(load_reviews(), max_tokens=20)
    test, updates = "test", 250

sides = encoded.tokens(test, "src"), encoded.tokens(test, "tgt")
pairs = [pair for pair in zip(*sides, strict=True) if len(pair[0]) <= 20][:300]
sources = [source for source, _ in pairs]
references = [" ".join(target) for _, target in pairs]
print(encoded.corpus)
print(f"{len(encoded.train_rows):,} training pairs of at most 20 tokens per side")
print(f"{len(sources)} test sentences of at most 20 source tokens, such as")
print(references[0])

# %% [markdown]
r"""
The two models share everything but the decoder, including the random seed. Each takes some seconds to
train. The learning rate is the largest of a cycle: it rises during the first fifth of the updates, then
falls to almost nothing. `max_norm` limits the norm of the gradients, and `batch_tokens` is the number of
target tokens per batch, padding included.
"""


# %%
def trained(context, seed=0):
    """Train a translator of 64 units for a short time."""
    seed_everything(seed)
    sizes = len(encoded.src_vocab), len(encoded.tgt_vocab)
    model = Seq2Seq(*sizes, context, 64, 64)
    settings = {
        "batch_tokens": 600,
        "learning_rate": 1e-2,
        "max_norm": 1.0,
        "seed": seed,
    }
    train(
        model, encoded, updates, **settings, validate_every=updates, progress=False
    )
    size = sum(parameter.numel() for parameter in model.parameters())
    print(f"{context}: {size:,} parameters, {updates} updates by Adam")
    print(settings)
    return model


models = {"initial": trained("initial")}

# %%
models["multiplicative"] = trained("multiplicative")

# %% [markdown]
r"""
The search sees a model only as a `step`. Its state is what the decoder remembers, together with the
encoder's states and mask. These are the same for all hypotheses, but each hypothesis needs its row. So your
`beam_search` treats every part of the state alike.
"""

# %%
compare = compare_systems  # yours
# Not done, or too slow? To use the course's own functions, remove the # from the
# next line, and from three lines at the top of `write`.
# from utils.metrics import compare_systems as compare


def limit(tokens):
    """Return the number of words after which a translation is cut off."""
    return 2 * len(tokens) + 12


@torch.no_grad()
def write(model, tokens, *settings):
    """Translate one sentence, a list of tokens, and return it as text."""
    # from utils.models import translate
    # found = translate(model, encoded, [tokens], limit(tokens), 1, *settings)
    # return " ".join(found[0].tokens)
    src = torch.tensor([[*encoded.src_vocab.encode(tokens), EOS_ID]])
    src_lengths = torch.tensor([src.shape[1]])
    encoder_states, state, src_mask = model.encode(src, src_lengths)

    def step(last, state):
        logits, decoder_state, _ = model.decode(last.unsqueeze(1), *state)
        return logits[:, -1].log_softmax(-1), (decoder_state, *state[1:])

    state = (state, encoder_states, src_mask)
    longest = limit(tokens)
    beam_size, length_penalty = settings
    ids, _ = beam_search(
        step, state, BOS_ID, EOS_ID, beam_size, longest, length_penalty
    )
    return " ".join(encoded.tgt_vocab.decode(ids))


# %% [markdown]
r"""
**Predict.** A beam of five without a penalty finds sentences that the model itself considers likelier than
the greedy ones. For the model with attention, will they be longer or shorter than the greedy ones?
"""

# %%
WAYS = {"greedy": (1, 0.0), "beam 5, sum": (5, 0.0), "beam 5, mean": (5, 1.0)}

written = {}
for context, model in models.items():
    for way, settings in WAYS.items():
        translations = [write(model, tokens, *settings) for tokens in sources]
        written[context, way] = translations
        score = metrics.bleu(translations, references, n_bootstrap=1000)
        words = sum(len(text.split()) for text in translations)
        share = words / sum(len(text.split()) for text in references)
        done = zip(translations, sources, strict=True)
        cut = sum(len(text.split()) >= limit(tokens) for text, tokens in done)
        print(f"{context:<15}{way:<13}{score}")
        print(f"    {share:.2f} of the references' words, {cut} sentences cut off")

# %%
BEAMS = ("beam 5, sum", "beam 5, mean")
PAIRS = [(("initial", "greedy"), ("multiplicative", "greedy"))]
PAIRS += [((name, "greedy"), (name, way)) for name in models for way in BEAMS]
PAIRS += [tuple(("multiplicative", way) for way in BEAMS)]


def verdict(a, b):
    """Describe in one line by how much the translations b are better than a."""
    found = compare(references, a, b)
    noise = "" if found["within_noise"] else "not "
    p = found["p_value"]
    return f"{found['difference']:+.1f}, p {p:.3f}, {noise}within noise"


for a, b in PAIRS:
    print(f"{', '.join(a)} -> {', '.join(b)}: {verdict(written[a], written[b])}")

# %% [markdown]
r"""
<details><summary>What happened</summary>

Shorter. Every further word costs probability, so a likelier sentence is often one that stops early. A
greedy search can't weigh that. It takes one step at a time, and some of its translations go round in
circles until they are cut off. The mean doesn't reward stopping early. So compare BLEU with the words and
the cut-off sentences: two systems may have the same score for opposite reasons.

Now read your own lines. Which differences are within noise, and which aren't? Two intervals may overlap
although the paired test calls the difference clear, because both systems translated the same sentences.

</details>

**The other luck.** So far you compared two trainings, and the test knows only the luck of the sentences.
Choose two other seeds and train the model with attention with each. Compare its greedy translations with
those of seed 0, and within each training, greedy translations with those of the mean.

**Predict.** Two trainings differ in nothing but the seed. Will the test call their difference "within noise"?
"""

# %%
SEEDS = (1, 2)  # choose your own two

for seed in SEEDS:
    model = trained("multiplicative", seed)
    greedy = [write(model, tokens, *WAYS["greedy"]) for tokens in sources]
    mean = [write(model, tokens, *WAYS["beam 5, mean"]) for tokens in sources]
    score = metrics.bleu(greedy, references, n_bootstrap=1000)
    print(f"seed {seed}, greedy: {score}")
    first = written["multiplicative", "greedy"]
    print(f"  seed 0 -> seed {seed}, greedy: {verdict(first, greedy)}")
    print(f"  seed {seed}, greedy -> beam 5, mean: {verdict(greedy, mean)}")

# %% [markdown]
r"""
<details><summary>What happened</summary>

If the test says "not within noise", it's right: the difference is the luck of the *training*, of which the
test knows nothing. In our run, the greedy scores of the three trainings differed more than any two ways of
decoding. Now compare the gain of the mean in your three trainings. If it changes its size, its sign or its
verdict, it says something about single models and little about the method. A p-value from one training
always has this limit. It's the most important limit of your report.

</details>
"""

# %%
# Not graded, for the report: what do they get wrong? Change the rows.
for row in (0, 1, 2):
    print(f"\n{'source':<14}{' '.join(sources[row])}")
    print(f"{'reference':<14}{references[row]}")
    for way in WAYS:
        print(f"{way:<14}{written['multiplicative', way][row]}")

# %% [markdown] written="report" points=6
r"""
### Exercise 9.3 · Report

40 min · ●●○ · 6 points

Write a report of 200 to 400 words, not counting the table. Your reader has to decide which of the systems
to use and hasn't seen this notebook. A person grades it; the check at the end only runs the tests. It has
six parts, one point each:

1. **Question.** What did you want to know, and what did you expect?
2. **What was done.** Data, models, budget, decoding, scores: enough to repeat it.
3. **Table.** The systems, with BLEU, interval and length.
4. **What you can conclude.** For at least three pairs, one of them within noise if there is one: the
   difference, the p-value, and a sentence that claims no more than they support.
5. **Errors.** Two translations, with what is wrong in them and a possible cause.
6. **Limits.** At least three reasons why the result might be different elsewhere. The first is what the
   other seeds showed.

<!-- ### BEGIN SOLUTION -->
**A possible answer**, from one run with the reviews. Accept the numbers of the student's own run.

*Question.* Does attention help when training is very short, and is beam search worth its time? I expected
that attention helps and that a wider search is never worse than a greedy one.

*What was done.* English to French, the course's restaurant reviews: 8,717 training pairs and 300 test
sentences of at most 20 tokens. Encoder and decoder are GRUs of 64 units, without attention or with
multiplicative attention; 250 updates of at most 600 target tokens by Adam, learning rate up to 0.01 in one
cycle, gradients clipped to 1; seed 0, and seeds 1 and 2 for attention. Decoding is greedy, or by a beam of
5 with the sum or the mean of the log-probabilities as score. BLEU is sacrebleu's on tokens (tok:none), with
95% intervals and the paired bootstrap test over 1,000 resamplings.

| attention | decoding | BLEU | interval | words, of the references' |
| --- | --- | --- | --- | --- |
| none | greedy | 10.9 | 9.3 to 12.6 | 0.51 |
| none | beam, sum | 11.0 | 9.4 to 12.6 | 0.52 |
| none | beam, mean | 12.1 | 10.6 to 13.7 | 0.62 |
| multiplicative | greedy | 38.1 | 34.3 to 42.2 | 1.26 |
| multiplicative | beam, sum | 38.3 | 34.0 to 42.4 | 0.64 |
| multiplicative | beam, mean | 55.4 | 51.9 to 58.9 | 0.87 |

*What I can conclude.* These two models: with attention +27.1 BLEU (p 0.001). With attention, the beam by
the mean gains 17.3 on greedy search (p 0.001). But with seeds 1 and 2 it gains 2.2 (p 0.100) and 0.6 (p
0.157), both within noise: I would not pay for the slower search on this evidence. The beam by the sum is
within noise of greedy search (+0.2, p 0.375). That doesn't show that they are equal: one writes 0.64 of the
references' words, and the other 1.26. My second expectation was too simple: a better search finds likelier
sentences, not better ones.

*Errors.* The beam by the mean repeats itself: "l' addition était très raisonnable , donc ma fille n' a
jamais payé l' addition , donc ma fille n' a jamais payé l' addition". Each step is likely given the last
words, and nothing remembers that the clause was translated. The beam by the sum stops after the first of
two clauses, "l' accueil était décevante" (and without agreement: "décevant"): ending early has the largest
sum.

*Limits.* One training for most rows: with seeds 1 and 2 the greedy score with attention was 57.8 and 70.9
instead of 38.1, a wider range than any difference that I tested, and the test knows nothing about that. The
models are far from fully trained, and search may matter less to a model that is sure. The sentences are
short and come from a grammar. BLEU on our tokens can't be compared with published scores, and there is one
reference each. Penalty and beam were tried on the same sentences that are reported.

**Rubric**, one point per part. Give half a point if something that was asked for is missing.

1. Full: a question that the experiment can answer, and an expectation. Half: one of the two.
2. Full: data, the models and their difference, budget, decoding, and how BLEU was computed. Half: two of
   these are missing. None: nobody could repeat it.
3. Full: at least four systems with BLEU, interval and length. Half: without the intervals or the lengths.
4. Full: three pairs, each with difference and p-value, and no claim beyond them; "within noise" isn't
   called equal. Half: the right numbers with a claim that is too strong, such as "proves" or "always", or
   verdicts taken from the intervals. None: only scores.
5. Full: two concrete translations, what is wrong in them, and a cause that fits. Half: no cause.
6. Full: three limits that apply to *this* experiment. Half: two, or general ones ("more data is needed").

A wrong expectation loses nothing. Accept other numbers, and Multi30K instead of the reviews. Don't grade
the language.
<!-- ### END SOLUTION -->
"""

# %% [markdown]
r"""
<details><summary>A checklist, if nobody grades your report</summary>

- Do the question and your expectation come before any number?
- Could somebody train and score the same systems from your text alone? The cells above print most of it.
- Does every row of the table have its interval and its length, and does the text say what the length is a
  share of?
- Does every claim name its difference and its p-value? Is "within noise" not called "equal", and is no
  verdict taken from the intervals? Did you delete "proves", "always", and "better" without "here"?
- Can a reader see what is wrong in your two translations, and does your cause fit them?
- Would your limits be different for another experiment? Then they are about this one.

</details>

When you're done, let the grader check the whole notebook. It trains the models again, so it takes about as
long as running all cells.
"""

# %%
# Save the notebook, remove the first # of the next line, and run this cell.
# from grading import check_notebook; check_notebook("09_real_translation.ipynb")

# %% [markdown]
r"""
### Looking back

- Beam search keeps several beginnings alive. Everything that belongs to them, words, sums and states, must
  follow them.
- A likelier sentence isn't always a better one. Without a penalty for length, search prefers to say little.
- A difference between two scores means little until you know what luck can do, and luck has more than one
  source.

**One thing to try.** Set the penalty between the sum and the mean, or beyond. Where is the best BLEU? Is it
still the best on sentences that you didn't try it on?

Which claim of your report would you be least willing to bet on? Note it. That's also the question to ask of
the next paper you read.
"""
