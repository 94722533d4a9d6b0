# %% [markdown]
r"""
# Exercise 04 · Read the map

**What does an attention map show, and how right is it?**

A map of attention weights is the first thing that people show of a translator. It's also the easiest to be
fooled by, because it always looks meaningful. Here you draw maps so that they can be compared, and then you
put numbers beside the picture. Our reviews come with the right answer, which word translates which, so for
once you can measure whether a map is right.

You will

- **draw** a map that shows each weight beside its words, on the same scale for every map,
- **measure** maps: how often their links are wrong, how widely each row spreads its weight, and how much
  weight each source word gets,
- **explain** what such a map says about a model, and what it doesn't.

About 80 minutes, 14 points: 2 for each of the seven exercises. Two of them are written answers, which a
person grades, so the check at the end counts up to 10. Every exercise stands alone: you can do them in any
order. The cells in between use the course's own functions, `library`.
"""

# %% [markdown]
r"""
### A translator to look into

Replace `raise NotImplementedError` with your answer, run the cell, then run the tests below it. Grading runs
more tests of the same kind on other inputs. The line "Points" of an exercise says what each part of your
answer is worth. An answer that fails in one part keeps the points of the others, as long as it is right on
ordinary input. If you're stuck, open the first hint, and the next one only if you still need it.

`weights[t, i]` is the attention that target token `t` (a row, here French) pays to source token `i` (a
column, here English). Each row sums to 1. A **link** (i, t) says that target token t translates source
token i; positions count from 0. **Gold links** are known to be right: the grammar that wrote the reviews
knows them.

| size | counts |
| --- | --- |
| `batch` | sentences that are processed together |
| `tgt_len` | target tokens: rows of a map |
| `src_len` | source tokens: columns of a map |

The next cells train a small translator on reviews of one or two clauses. This takes about 10 seconds, or
half a minute on a busy computer. "Run all" and the check at the end train it again.

After that, `maps` holds one tensor per test review. `forced_weights` makes them: it feeds the model the
*correct* translation word by word and keeps the weights of each step. So every map has a row for each word
of the reference, and we know the gold links of these words. `maps` leaves out the row and the column of the
end tokens, so here a row may sum to a little less than 1.
"""

# %%
import copy
import math
import random
from collections import defaultdict
from dataclasses import replace

import matplotlib.pyplot as plt
import torch

from utils import metrics as library
from utils import plotting
from utils.data.reviews import load_reviews
from utils.models import Seq2Seq, forced_weights
from utils.text import EncodedCorpus
from utils.training import seed_everything, train

# %%
corpus = load_reviews(train=8_000, long=0)
short = {}
for name, split in corpus.splits.items():
    short[name] = split[[row for row, n in enumerate(split.clauses) if n <= 2]]
encoded = EncodedCorpus(replace(corpus, splits=short))
torch.set_num_threads(1)  # a model this small gains nothing from a second thread
seed_everything(1)
sizes = len(encoded.src_vocab), len(encoded.tgt_vocab)
model = Seq2Seq(*sizes, "scaled", embed_dim=64, hidden_dim=96)
train(
    model, encoded, 300, batch_tokens=1_000, curriculum=0.5, seed=1, progress=False
)

test, maps = encoded.corpus["test"], forced_weights(model, encoded, "test")
english, french = encoded.tokens("test", "src"), encoded.tokens("test", "tgt")
review = test.src.index("i did not like the sweet dessert")
words = english[review], french[review]
print(len(maps), "maps; one of them is", tuple(maps[review].shape), "for")
print(test.src[review], "->", test.tgt[review])

# %% [markdown]
r"""
### Exercise 4.1 · Draw the map

20 min · ●●○ · 2 points

Points: 1.25 for ordinary input; 0.25 for an Axes that is given; 0.25 for axis labels; 0.25 for color scale.

Draw the weights as a heat map that people can read, and compare with any other map.

| | |
| --- | --- |
| in: `weights` | a tensor (tgt_len, src_len), numbers from 0 to 1 |
| in: `src_tokens`, `tgt_tokens` | lists of words; a word may occur twice |
| in: `ax` | the matplotlib Axes to draw on, or `None` |
| out | the Axes with the map |

A readable map has

- one row per target token, **the first one at the top**, and one column per source token, from the left;
- every token as a tick label beside its row or at its column;
- a label on the x axis that contains the word "source", and one on the y axis that contains "target" (large
  letters are fine);
- colors that run from 0 to 1 in *every* map, so that the same color always means the same weight;
- the weights as they are: a row may sum to less than 1.

If `ax` is given, draw on it and on no other Axes, so that several maps fit into one figure. If not, make a
new figure. Numbers in the cells are optional. So is a color bar, even with `ax`, although it creates its
own Axes.

**By hand.** The map of "Elle aime" over "She loves cats" has two rows and three columns, and is bright
where the weight is 0.8 or 0.7:

| | She | loves | cats |
| --- | --- | --- | --- |
| **Elle** | **0.8** | 0.1 | 0.1 |
| **aime** | 0.1 | **0.7** | 0.2 |
"""


# %% answer="plot_attention"
def plot_attention(weights, src_tokens, tgt_tokens, ax=None):
    """Draw attention weights as a heat map, with a row per target token.

    weights (tgt_len, src_len), from 0 to 1, are drawn as they are, with colors that
    run from 0 to 1. The first target token is at the top. The tokens are tick
    labels. The axis labels contain the words "source" (x) and "target" (y). Draw
    only on `ax`, or on a new figure if it is None. Return the Axes.
    """
    ### BEGIN SOLUTION
    if ax is None:
        _, ax = plt.subplots(layout="constrained")
    ax.imshow(weights, cmap="viridis", vmin=0, vmax=1)
    ax.set_xticks(range(len(src_tokens)), src_tokens, rotation=50)
    ax.set_yticks(range(len(tgt_tokens)), tgt_tokens)
    ax.set(xlabel="source token (key)", ylabel="target token (query)")
    return ax

    # Why: imshow puts row 0 at the top; pcolormesh would start at the bottom and
    # needs ax.invert_yaxis(). Without vmin and vmax, each map is stretched to its
    # own largest weight, and an undecided map looks as bright as a sure one. Ticks
    # need positions *and* labels: labels alone land on the ticks that matplotlib
    # happens to choose. All calls go to ax, never to plt, because plt draws on the
    # current Axes, and with two maps in a figure that may be the other one. The
    # caller can use the returned Axes, for instance to add a title.
    ### END SOLUTION


# %% [markdown]
r"""
<details><summary>Hint 1</summary>

`plt.subplots()` returns a new figure and its Axes. Everything else can be methods of an Axes. `ax.imshow`
draws the cells, and takes the ends of the color scale.

</details>

<details><summary>Hint 2</summary>

`vmin` and `vmax` fix the colors. `ax.set_xticks(positions, labels)` sets both at once; with `imshow`, the
middle of column 0 is at 0. `ax.set_xlabel` and `ax.set_ylabel` name the axes. Long words may overlap, which
costs no points; `ax.set_xticks(positions, labels, rotation=50)` keeps them apart.

</details>
"""

# %% [markdown]
r"""
**Predict.** The review is "i did not like the **sweet dessert**", in French "je n' ai pas aimé le **dessert
sucré**". The adjective moves behind its noun, and "not" becomes two words, *n'* and *pas*. In which column
do you expect two bright cells?
"""

# %%
# Not graded: your map on the left, the course's own on the right, with framed gold
# links.
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 5), layout="constrained")
left.set_title("mine")
right.set_title("with framed gold links")
plotting.plot_attention(maps[review], *words, links=test.links[review], ax=right)
mine = plot_attention(maps[review], *words, ax=left)

# %% [markdown]
r"""
<details><summary>What happened</summary>

The column of "not" has two frames, for *n'* and *pas*, and both cells should be bright. In the lower right
corner, the frames of *dessert* and *sucré* leave the diagonal and cross. Nobody told the model about
adjectives. But one sentence isn't a measurement: with another seed, *pas* looked most at "did".

</details>
"""

# %% test="plot_attention" points=2
import matplotlib.pyplot as plt
import torch
from grading.checks import check

# Compare with the course's version on random inputs; known mistakes are named.
check("plot_attention", plot_attention, cases="visible")

# By hand: two French rows and three English columns, each with its word.
src, tgt = ["She", "loves", "cats"], ["Elle", "aime"]
weights = torch.tensor([[0.8, 0.1, 0.1], [0.1, 0.7, 0.2]])
ax = plot_attention(weights, src, tgt)
found = {label.get_text() for label in ax.get_xticklabels()}
assert set(src) <= found, f"expected the column labels {src}, got {sorted(found)}"
found = {label.get_text() for label in ax.get_yticklabels()}
assert set(tgt) <= found, f"expected the row labels {tgt}, got {sorted(found)}"

# Two Axes side by side: the map goes on the one that is passed in, and nowhere
# else.
figure, (left, right) = plt.subplots(1, 2)
drawn = plot_attention(weights, src, tgt, ax=left)
assert drawn is left, "return the Axes that was passed in"
assert not right.has_data(), "draw on ax: something was drawn on the other Axes"
plt.close("all")
print("4.1: all visible tests pass")

### BEGIN HIDDEN TESTS
check("plot_attention", plot_attention)
### END HIDDEN TESTS

# %% [markdown]
r"""
### Exercise 4.2 · Links from weights

10 min · ●○○ · 2 points

Points: 1 for ordinary input; 0.5 for equal weights; 0.5 for sizes of one.

Turn a map into word links: link every target token to the source token that it looks at most.

$$A \;=\; \{\, (\hat\imath(t),\; t) \;:\; t = 0, \dots, \text{tgt\_len} - 1 \,\}, \qquad
\hat\imath(t) \;=\; \arg\max_i\, \alpha_{t,i}$$

In code, $\alpha_{t,i}$ is `weights[t, i]`. The source position comes first in a link, as in the gold links.

| | |
| --- | --- |
| in: `weights` | one map, a tensor (tgt_len, src_len) |
| out: links | a set of tgt_len pairs (src, tgt) of int |

Every row gets exactly one link, even if its largest weight is small. If weights are equal, the first one
counts.

**By hand.**

| | She | loves | cats | link |
| --- | --- | --- | --- | --- |
| Elle | **0.8** | 0.1 | 0.1 | (0, 0) |
| aime | 0.1 | **0.7** | 0.2 | (1, 1) |
| les | 0.25 | 0.3 | **0.45** | (2, 2) |
| chats | 0.0 | 0.2 | **0.8** | (2, 3) |

The links are `{(0, 0), (1, 1), (2, 2), (2, 3)}`: "cats" has two.
"""


# %% answer="hard_alignment"
def hard_alignment(weights):
    """Link every target position to the source position with the largest weight.

    weights (tgt_len, src_len). Return a set of pairs (src, tgt) of int, counted
    from 0, one per row. If weights are equal, the first one counts.
    """
    ### BEGIN SOLUTION
    best = weights.argmax(dim=-1).tolist()
    return {(src, tgt) for tgt, src in enumerate(best)}

    # Why: each row is one question, so argmax runs along the last axis. Along the
    # first axis, every *source* token would choose its target token, which is
    # another alignment. Without an axis, argmax returns one number for the whole
    # map. enumerate counts rows, which are targets, so the pair is swapped. A
    # threshold would leave undecided rows without a link. One link per row has a
    # price: a French word that translates two English ones loses a link.
    ### END SOLUTION


# %% [markdown]
r"""
<details><summary>Hint 1</summary>

`argmax` can work along an axis. Which axis leaves you with one number per *target* token?

</details>

<details><summary>Hint 2</summary>

`weights.argmax(dim=-1).tolist()` is a list with the source position of each target t. `enumerate` yields
pairs (t, i), but a link is (i, t).

</details>
"""

# %%
# Not graded: the links of the review, in words, beside the gold ones.
for i, t in sorted(hard_alignment(maps[review]), key=lambda link: link[1]):
    links = sorted(test.links[review])
    gold = [english[review][src] for src, tgt in links if tgt == t]
    print(f"{french[review][t]:<10}looks at {english[review][i]:<10}gold:", *gold)

# %% test="hard_alignment" points=2
import torch
from grading.checks import check

# Compare with the course's version on random inputs; known mistakes are named.
check("hard_alignment", hard_alignment, cases="visible")

# By hand: four French rows, three English columns.
weights = torch.tensor(
    [[0.8, 0.1, 0.1], [0.1, 0.7, 0.2], [0.25, 0.3, 0.45], [0.0, 0.2, 0.8]]
)
links, by_hand = hard_alignment(weights), {(0, 0), (1, 1), (2, 2), (2, 3)}
assert links == by_hand, f"expected {by_hand}, got {links}"

# The order of the pair: one target token that looks at the last of three source
# tokens.
links = hard_alignment(torch.tensor([[0.1, 0.2, 0.7]]))
assert links == {(2, 0)}, f"expected source 2 first, {{(2, 0)}}, got {links}"
print("4.2: all visible tests pass")

### BEGIN HIDDEN TESTS
check("hard_alignment", hard_alignment)
### END HIDDEN TESTS

# %% [markdown]
r"""
### Exercise 4.3 · How wrong are they?

15 min · ●●○ · 2 points

Points: 1.25 for ordinary input; 0.25 for possible links without the sure ones; 0.25 for no link at all; 0.25
for sentences without links.

Compare the links of a whole corpus with gold links: compute the **alignment error rate** (AER) of Och and
Ney (2003).

When people mark gold links, they are sure of some and find others possible. So there are two sets. The
**sure** links S should be found. The **possible** links P do no harm if they are found. A sure link is also
possible, even if P doesn't repeat it. With the predicted links A,

$$\text{AER} \;=\; 1 - \frac{|A \cap S| + |A \cap P|}{|A| + |S|}$$

**Add up** each of the four counts over all sentences, then divide once. 0 is perfect, and 1 means that
nothing is right.

| | |
| --- | --- |
| in: `predicted` (A), `sure` (S), `possible` (P) | lists in the same order, one set of (src, tgt) each |
| out: the error rate | a number from 0 to 1 |

Positions only have a meaning within their own sentence: (0, 0) of one sentence isn't (0, 0) of another. If
there is no link at all, neither predicted nor sure, there's nothing to compare: raise `ValueError`.

**By hand.** Two sentences:

| sentence | A | S | P | A and S | A and P | size of A | size of S |
| --- | --- | --- | --- | --- | --- | --- | --- |
| first | (0, 0), (2, 1) | (0, 0), (1, 1) | (0, 0), (1, 1), (2, 1) | 1 | 2 | 2 | 2 |
| second | (0, 0) | (1, 0) | (1, 0) | 0 | 0 | 1 | 1 |
| sum | | | | **1** | **2** | **3** | **3** |

The rate is 1 − (1 + 2) / (3 + 3) = **0.5**. (Separately, the sentences have 0.25 and 1. Don't return their
mean.)
"""


# %% answer="alignment_error_rate"
def alignment_error_rate(predicted, sure, possible):
    """Return the alignment error rate over a corpus, from 0, perfect, to 1.

    predicted (A), sure (S), possible (P): lists in the same order, one set of
    (src, tgt) per sentence. The rate is 1 - (|A and S| + |A and P|) / (|A| + |S|),
    with the counts of all sentences added up. A sure link is also possible, even if
    `possible` does not repeat it. Raise ValueError if there is neither a predicted
    nor a sure link. Och and Ney 2003.
    """
    ### BEGIN SOLUTION
    hits = total = 0
    for a, s, p in zip(predicted, sure, possible, strict=True):
        hits += len(a & s) + len(a & (p | s))
        total += len(a) + len(s)
    if total == 0:
        raise ValueError("no links to compare, neither predicted nor sure")
    return 1 - hits / total

    # Why: a predicted link that is sure counts twice above the line, and twice
    # below: once in A and once in S. So a perfect A gives 1 - 1. A link that is
    # only possible counts once above and once below, so it neither helps nor harms
    # much. A wrong link adds only to |A|, and a missing one only to |S|, so both
    # cost. The sets are compared sentence by sentence, because positions start at 0
    # in each. The counts are added up over the corpus: in a mean over sentences, a
    # review of three words would count as much as one of thirty. & and | make new
    # sets, so the caller's sets stay as they are.
    ### END SOLUTION


# %% [markdown]
r"""
<details><summary>Hint 1</summary>

In Python, `a & s` is what two sets have in common, and `a | s` is everything in either. Which two sums do
you need while you loop over the sentences?

</details>

<details><summary>Hint 2</summary>

`for a, s, p in zip(predicted, sure, possible):` loops over the sentences. Add `len(a & s)` and the number
of links shared with the possible ones to one sum, and `len(a)` and `len(s)` to the other. Divide after the
loop.

</details>
"""

# %% [markdown]
r"""
How good is an error rate? Compare it with a baseline that knows nothing. The **diagonal** goes through the
source at the same pace as through the target, as if both languages had the same order. It links target word
t to the source word at t · (src_len − 1) / (tgt_len − 1), rounded. With four English and seven French
words, the French words 0, 2, 4 and 6 get the English words 0, 1, 2 and 3. In our reviews all gold links are
sure.

**Predict.** For which reviews is the diagonal a stronger rival: those of one clause, or those of two?
"""

# %%
# Not graded: the model and the diagonal, by the number of clauses.
links = [library.hard_alignment(weights) for weights in maps]
diagonal = [
    library.diagonal_links(len(src), len(tgt))
    for src, tgt in zip(english, french, strict=True)
]
for clauses in (1, 2):
    chosen = [row for row, n in enumerate(test.clauses) if n == clauses]
    gold = [set(test.links[row]) for row in chosen]
    print(f"clauses per review: {clauses} ({len(chosen)} reviews)")
    for name, made in (("model", links), ("diagonal", diagonal)):
        error = alignment_error_rate([made[row] for row in chosen], gold, gold)
        print(f"    error of the {name}: {error:.2f}")

# %% [markdown]
r"""
<details><summary>What happened</summary>

On short reviews the diagonal is hard to beat, because few words move far. With every clause it drifts
further off. So a low error on short sentences says little until you know the diagonal's. And these numbers
come from one short training with one seed. We trained this model with the seeds 0, 1 and 2: on reviews of
one clause, two of the three had a larger error than the diagonal. You see the best of the three, seed 1.

</details>
"""

# %% test="alignment_error_rate" points=2
from grading.checks import check

# Compare with the course's version on random inputs; known mistakes are named.
check("alignment_error_rate", alignment_error_rate, cases="visible")

# By hand: the first sentence of the table alone, then both.
predicted, sure = [{(0, 0), (2, 1)}, {(0, 0)}], [{(0, 0), (1, 1)}, {(1, 0)}]
possible = [{(0, 0), (1, 1), (2, 1)}, {(1, 0)}]
rate = alignment_error_rate(predicted[:1], sure[:1], possible[:1])
assert abs(rate - 0.25) < 1e-6, f"expected 1 - (1 + 2) / (2 + 2) = 0.25, got {rate}"
rate = alignment_error_rate(predicted, sure, possible)
assert abs(rate - 0.5) < 1e-6, f"expected 1 - (1 + 2) / (3 + 3) = 0.5, got {rate}"

# Gold links compared with themselves, and links that are all wrong.
rate = alignment_error_rate(sure, sure, possible)
assert rate == 0, f"expected 0 for the sure links themselves, got {rate}"
rate = alignment_error_rate([{(5, 5)}], [{(0, 0)}], [{(0, 0)}])
assert rate == 1, f"expected 1 if no link is right, got {rate}"

# No link at all, neither predicted nor sure: there is nothing to compare.
try:
    rate = alignment_error_rate([set()], [set()], [set()])
    raise AssertionError(f"without any link, expected ValueError, got {rate}")
except ZeroDivisionError:
    raise AssertionError("without any link, raise ValueError") from None
except ValueError:
    pass
print("4.3: all visible tests pass")

### BEGIN HIDDEN TESTS
check("alignment_error_rate", alignment_error_rate)
### END HIDDEN TESTS

# %% [markdown]
r"""
### Exercise 4.4 · How widely does a row look?

10 min · ●●○ · 2 points

Points: 1 for ordinary input; 0.25 for weight on padding; 0.25 for no mask; 0.25 for rows with nothing to
attend to; 0.25 for dtype and device.

Measure how widely each row spreads its weight by its entropy, in nats (with the natural logarithm).

$$H_t \;=\; -\sum_{i \text{ real}} \alpha_{t,i}\, \ln \alpha_{t,i}, \qquad 0 \ln 0 = 0$$

A row that puts everything on one token has entropy 0. A row that looks at n tokens equally has ln n, which
is the largest entropy that n tokens allow. So $e^H$ is easy to read: a row of entropy H is as wide as an
even look at $e^H$ words. For instance, 1.39 nats are as wide as an even look at four words.

| | shape |
| --- | --- |
| in: `weights` ($\alpha$) | (batch, tgt_len, src_len) |
| in: `mask` | (batch, src_len), bool, True = a real token, or `None` if all are real |
| out: entropy ($H$) | (batch, tgt_len) |

Leave padding out of the sum, even if it has weight. Use the weights as they are: don't normalize them
again. A row whose weights are all on padding, or all 0, has entropy 0. Results keep the dtype and the
device of the weights.

**By hand.** ln 2 ≈ 0.6931, and ln 4 ≈ 1.3863.

| weights | entropy |
| --- | --- |
| (1, 0, 0) | 0 |
| (½, ½, 0) | ½ · 0.6931 + ½ · 0.6931 = 0.6931 |
| (¼, ¼, ½) | ¼ · 1.3863 + ¼ · 1.3863 + ½ · 0.6931 = **1.0397** |
"""


# %% answer="attention_entropy"
def attention_entropy(weights, mask):
    """Return the entropy of every row of weights, in nats.

    weights (batch, tgt_len, src_len); mask bool (batch, src_len), True = a real
    token, or None if all are real. Return (batch, tgt_len), in the weights' dtype.
    Padding is left out of the sum, and 0 log 0 is 0.
    """
    ### BEGIN SOLUTION
    if mask is not None:
        weights = weights.masked_fill(~mask.unsqueeze(1), 0.0)
    return -torch.xlogy(weights, weights).sum(dim=-1)  # (batch, tgt_len)

    # Why: xlogy(w, w) is w ln w, and 0 if w is 0. Written out, 0 * log(0) is 0 *
    # -inf, which is NaN, and a single NaN spoils its row. Once the weights of
    # padding are 0, padding needs no second rule, and a row of zeros has entropy 0.
    # The mask is the same for all rows of a sentence, so it gets an axis of length
    # 1 for them. The sum runs over the last axis, because each row is one look.
    ### END SOLUTION


# %% [markdown]
r"""
<details><summary>Hint 1</summary>

What does `torch.tensor(0.0) * torch.log(torch.tensor(0.0))` return? Avoid this before you sum: set the bad
entries to 0, or use a function that knows the rule.

</details>

<details><summary>Hint 2</summary>

`torch.xlogy(x, y)` is x ln y, and 0 if x is 0. A sentence's mask holds for all of its rows: turn it into
(batch, 1, src_len) with `mask.unsqueeze(1)`.

</details>
"""

# %% [markdown]
r"""
**Predict.** Which of these looks most widely: the intensifier *vraiment* ("really"), the noun *soupe*, the
*pas* of a negation, or the article *la*?
"""

# %%
# Not graded: the mean entropy of some French words over all test reviews. Try
# others.
seen = defaultdict(list)
for weights, tokens in zip(maps, french, strict=True):
    entropies = attention_entropy(weights[None], None)[0].tolist()
    for token, entropy in zip(tokens, entropies, strict=True):
        seen[token].append(entropy)
for token in ("vraiment", "très", "soupe", "pas", "la", "du"):
    mean = sum(seen[token]) / len(seen[token])
    width = math.exp(mean)
    print(
        f"{token:<10}{mean:5.2f} nats, like {width:.1f} words, {len(seen[token])}x"
    )

# %% [markdown]
r"""
<details><summary>What happened</summary>

The article looks most widely: its noun, the English article, and what comes between all help to choose
*la*. Words with one clear partner, such as *vraiment* and *très*, look more sharply, but after so short a
training even they spread over several words. The partner of *pas*, "not", is also that of *n'*. Wide isn't
the same as wrong, and sharp isn't the same as right: a row that is sure of the wrong word has a low entropy
too.

</details>
"""

# %% test="attention_entropy" points=2
import math

import torch
from grading.checks import check

# Compare with the course's version on random inputs; known mistakes are named.
check("attention_entropy", attention_entropy, cases="visible")

# By hand: the three rows of the table, in one sentence.
weights = torch.tensor([[[1.0, 0.0, 0.0], [0.5, 0.5, 0.0], [0.25, 0.25, 0.5]]])
entropy, by_hand = (
    attention_entropy(weights, None),
    torch.tensor([[0.0, 0.6931, 1.0397]]),
)
assert entropy.shape == (1, 3), f"expected shape (1, 3), got {tuple(entropy.shape)}"
right = torch.allclose(entropy, by_hand, atol=1e-3)
assert right, f"expected {by_hand.tolist()}, got {entropy.tolist()}"

# Five equal weights: ln 5. If two of the tokens are padding, three terms are left.
even = torch.full((2, 7, 5), 0.2, dtype=torch.float64)
mask = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
entropy = attention_entropy(even, mask)
right = torch.allclose(entropy[0], even[0, :, 0] * 5 * math.log(5))
assert right, "five equal weights should have entropy ln 5"
right = torch.allclose(entropy[1], even[1, :, 0] * 3 * math.log(5))
assert right, "padding should be left out of the sum"
print("4.4: all visible tests pass")

### BEGIN HIDDEN TESTS
check("attention_entropy", attention_entropy)
### END HIDDEN TESTS

# %% [markdown]
r"""
### Exercise 4.5 · How much weight does each word get?

5 min · ●○○ · 2 points

Points: 1 for ordinary input; 0.25 for weight on padding; 0.25 for no mask; 0.25 for rows with nothing to
attend to; 0.25 for dtype and device.

So far you asked where each target token looks. Now ask the other way round: how much weight does each
*source* token get from all target tokens together? This is its **coverage** (Tu et al. 2016).

$$C_i \;=\; \sum_t \alpha_{t,i} \;\text{ if } i \text{ is real,} \qquad C_i = 0 \;\text{ at padding}$$

| | shape |
| --- | --- |
| in: `weights` ($\alpha$) | (batch, tgt_len, src_len) |
| in: `mask` | (batch, src_len), bool, True = a real token, or `None` if all are real |
| out: coverage ($C$) | (batch, src_len), with the dtype and the device of the weights |

**By hand.** Sum the columns of the map of exercise 4.2:

| | She | loves | cats |
| --- | --- | --- | --- |
| Elle | 0.8 | 0.1 | 0.1 |
| aime | 0.1 | 0.7 | 0.2 |
| les | 0.25 | 0.3 | 0.45 |
| chats | 0.0 | 0.2 | 0.8 |
| **coverage** | **1.15** | **1.3** | **1.55** |

Each of the four rows has a weight of 1, and 1.15 + 1.3 + 1.55 = 4.
"""


# %% answer="coverage"
def coverage(weights, mask):
    """Add up the weight that every source token gets from all target rows.

    weights (batch, tgt_len, src_len); mask bool (batch, src_len), True = a real
    token, or None if all are real. Return (batch, src_len), in the weights' dtype,
    0 at padding. Tu et al. 2016.
    """
    ### BEGIN SOLUTION
    received = weights.sum(dim=1)  # (batch, src_len)
    return received if mask is None else received.masked_fill(~mask, 0.0)

    # Why: the sum runs over the target rows, axis 1, and leaves one number per
    # column. Over the last axis, it would only find that every row sums to 1.
    # Nothing is divided: a coverage of 2 means as much weight as two target words
    # have. After the sum, the mask has the shape of the result.
    ### END SOLUTION


# %% [markdown]
r"""
<details><summary>Hint 1</summary>

(batch, tgt_len, src_len) becomes (batch, src_len): which axis disappears?

</details>

<details><summary>Hint 2</summary>

`weights.sum(dim=1)` adds up the rows. `x.masked_fill(~mask, 0.0)` returns a new tensor with zeros at padding.

</details>
"""

# %% [markdown]
r"""
**Predict.** "not" is two words in French, *n'* and *pas*, and "very" is one. If the model looks where it
should, what is the coverage of each?
"""

# %%
# Not graded: mean coverage of some English words over all test reviews. Try others.
received = defaultdict(list)
for weights, tokens in zip(maps, english, strict=True):
    totals = coverage(weights[None], None)[0].tolist()
    for token, total in zip(tokens, totals, strict=True):
        received[token].append(total)
for token in ("not", "never", "very", "soup", "was", "the"):
    mean = sum(received[token]) / len(received[token])
    print(f"{token:<10}{mean:5.2f}, {len(received[token])} times")

# %% [markdown]
r"""
<details><summary>What happened</summary>

"not" should have 2, and "very" should have 1. "not" gets more than 1 and less than 2, because French words
rarely look at a single word. "the" stays below 1: some of the weight that *la* and *le* should give to it
goes to nouns, so nouns such as "soup" get more than their share. A source word with hardly any coverage may
have been forgotten, and one with far too much may have been translated twice. That's what coverage was
invented to detect. But a state also contains its neighbors, so a model can translate a word without looking
at it.

</details>
"""

# %% test="coverage" points=2
import torch
from grading.checks import check

# Compare with the course's version on random inputs; known mistakes are named.
check("coverage", coverage, cases="visible")

# By hand: four French rows, three English columns.
weights = torch.tensor(
    [[[0.8, 0.1, 0.1], [0.1, 0.7, 0.2], [0.25, 0.3, 0.45], [0.0, 0.2, 0.8]]]
)
received, by_hand = coverage(weights, None), torch.tensor([[1.15, 1.3, 1.55]])
assert received.shape == (1, 3), (
    f"expected shape (1, 3), got {tuple(received.shape)}"
)
right = torch.allclose(received, by_hand)
assert right, f"expected {by_hand.tolist()}, got {received.tolist()}"

# The last token of the second sentence is padding: its coverage is 0, whatever the
# weights are.
mask = torch.tensor([[True] * 3, [True, True, False]])
received = coverage(weights.expand(2, 4, 3), mask)
assert received[1, 2] == 0, (
    f"expected a coverage of 0 at padding, got {received[1, 2]:.2f}"
)
right = torch.allclose(received[0], by_hand[0])
assert right, "the mask of one sentence should not change the other"
print("4.5: all visible tests pass")

### BEGIN HIDDEN TESTS
check("coverage", coverage)
### END HIDDEN TESTS

# %% [markdown]
r"""
### Something is wrong here

Maps are most useful when something is wrong. Four people read maps from the same translator, for the same
reviews. One did everything right. The other three made one mistake each, and none of them got an error:

- **a begin token**: they put a begin token in front of each source, and forgot it when they labeled the
  columns. So column 0, labeled with the first word, holds the begin token.
- **reversed**: they read the source from right to left, as Sutskever et al. (2014) did, and labeled the
  columns from left to right.
- **no mask**: nobody told the model which source tokens are padding. A softmax divides by a sum over all
  tokens, so the padding after a sentence made this sum larger and took a share of each row. Its columns
  were cut off afterward.

The next two cells make the four sets of maps, shuffle them, and draw one review of each.

**Predict.** Which of the three mistakes can you *not* see at a glance?
"""


# %%
def read_without_mask():
    """Return the maps of the same model without a source mask."""
    careless = copy.copy(model)
    careless.encode = lambda src, lengths: (*model.encode(src, lengths)[:2], None)
    return forced_weights(careless, encoded, "test")


with_begin_token = [
    torch.cat([w.new_zeros(len(w), 1), w[:, :-1]], dim=1) for w in maps
]
sets = [maps, with_begin_token, [w.flip(1) for w in maps], read_without_mask()]
random.Random(4).shuffle(sets)
suspects = dict(zip("ABCD", sets, strict=True))

# %%
figure, axes = plt.subplots(1, 4, figsize=(15, 4.4), layout="constrained")
for ax, (name, suspect) in zip(axes, suspects.items(), strict=True):
    ax.set_title(name)
    plotting.plot_attention(
        suspect[review], *words, ax=ax, annotate=False, colour_bar=False
    )

# %% [markdown]
r"""
Now the numbers, over all test reviews: the error of the links as they are, and after moving all links one
word to the left (−1) or to the right (+1); the mean entropy; and how much weight a row gives to real words,
which is all coverage of a review divided by its target words.

Keep two things in mind. Maps that were pushed one column to the right lost their last column, so no shift
brings all their links back. And weight that was cut off lowers the entropy, because exercise 4.4 doesn't
divide a row by its sum. So a lower entropy here doesn't mean a sharper look.
"""

# %%
print("    error at shift −1      0     +1    entropy   weight per row")
for name, suspect in suspects.items():
    print(name, end=" " * 13)
    for shift in (-1, 0, 1):
        links = [library.hard_alignment(w, shift) for w in suspect]
        print(f"{library.alignment_error_rate(links, test.links):7.2f}", end="")
    entropies = [library.attention_entropy(w[None])[0] for w in suspect]
    given = sum(library.coverage(w[None]).sum() for w in suspect)
    given = given / sum(len(w) for w in suspect)
    print(f"{torch.cat(entropies).mean():11.2f}{given:17.2f}")

# %% [markdown] written="find_the_fault" points=2
r"""
### Exercise 4.6 · Find the fault

10 min · ●●○ · 2 points

Which of A, B, C and D is which? Half a point each. A person grades this answer; the check at the end only
runs the tests.

1. Which one has the begin token? Give the evidence, from a picture or the table, that tells it from the
   others.
2. Which one is reversed? Give the evidence too.
3. Which one has no mask, and what tells it from the correct one?
4. Does every fault show in the error rate at shift 0? If one doesn't, explain why.

<!-- ### BEGIN SOLUTION -->
**A possible answer.** D has the begin token: its error is 0.86 as it is, but 0.27 after moving all links
one word to the left. In the picture, each bright cell is one column too far to the right. A is reversed:
its bright cells run from the top right to the bottom left, and its error is high at every shift. C has no
mask: its rows give only 0.81 to real words, and those of B give 0.97. In the picture the same cells are
bright, but paler. So B is the correct one. The missing mask doesn't show in the error, because the error
depends only on *where* the largest weight among the real words is. A larger sum divides all of them by the
same number, so their order doesn't change.

**Rubric**, half a point each; the numbers differ a little between machines.

1. D, *with* evidence: the error falls at shift −1, or the bright cells are one column to the right.
2. A, *with* evidence: the falling diagonal has become a rising one, or no shift helps.
3. C, *with* evidence: rows give too little weight to real words, or the map is paler than B's.
4. The missing mask doesn't show, because the error depends on the position of the largest weight and not on
   its size, *or* because padding takes weight from all words in proportion. "The error is the same" alone
   gets no points.

A letter without evidence gets no points. Accept other evidence that really tells the maps apart.
<!-- ### END SOLUTION -->
"""

# %% [markdown] written="what_a_map_shows" points=2
r"""
### Exercise 4.7 · Say it in words

10 min · ●●○ · 2 points

A friend shows you one attention map of a translator, with bright cells in sensible places. "You see," says
the friend, "the model understands which word means which, and this is why it translated well." Answer both
questions, one point each, in four to seven sentences in all. A person grades this answer; the check at the
end only runs the tests.

1. What does the map show? And how would you measure, beyond this one picture, whether it's a good alignment?
2. What does it *not* show? Give one reason that you've met in this notebook or in the demos.

<!-- ### BEGIN SOLUTION -->
**A possible answer.** For each target word, the map shows how its context was averaged: which share came
from the encoder state at each source word. To call it a good alignment, I would take many sentences and
compare the links of the largest weights with gold links, by the alignment error rate. I would compare the
error with that of the diagonal, which looks at no word, and with the error at shifts of one. A single
sentence may have been picked as the best of a thousand. The map doesn't show why a word was written. The
state at a source word also contains its neighbors, so the model can look beside a word and still translate
it, and a decoder can write a word from its own state and ignore the context. In our reviews, models with
wrong links translate well. And a picture can be off by one and look just as convincing.

**Rubric**, one point per question. Give half a point if half of the idea is missing.

1. Full: where the weights, or the context, came from, *and* a measurement over many sentences against gold
   links or against a baseline. Half: one of the two. None: "it shows what the model understands".
2. Full: the weights are not the cause of the output, or not the meaning of the word, *with* a reason:
   states contain their neighbors, the decoder has its own state, good translators have wrong links, an
   article looks at its noun, a map may be off by one, one example was picked. Half: such a claim without a
   reason. None: "attention may be wrong sometimes".

Accept other correct reasons. Don't grade the language or the length.
<!-- ### END SOLUTION -->
"""

# %% [markdown]
r"""
When you're done, let the grader check the whole notebook. It trains the model again, so it takes a little
longer than "Run all". It counts up to 10 points: the other four are those of the two written answers.
"""

# %%
# Save the notebook, remove the first # of the next line, and run this cell.
# from grading import check_notebook; check_notebook("04_alignment.ipynb")

# %% [markdown]
r"""
### Looking back

- You can compare a map with others only if rows, labels and colors mean the same in each. A mistake in the
  drawing raises no error, and still looks like a map.
- Put numbers beside the picture: the error of the links, compared with the diagonal's; entropy for how
  widely a row looks; coverage for how much weight each word gets. Each of them misses something that
  another one sees.
- Weights say where a context came from. They help you read a model, but they are neither a word alignment
  nor an explanation.

**One thing to try.** Train with "dot" instead of "scaled", or with another seed, and run the cells again.
Which of your numbers change most? Would you still draw the same conclusions?

Or step through a map with the arrow keys. In a new cell, write `from utils.explorer import explore`, and as
its last line `explore((weights, src_tokens, tgt_tokens))`, with the three arguments of `plot_attention`.

Which of the faults would you have found in your own model without gold links? Note how. Then go on to demo
05, which tests whether such a map explains what was written.
"""
