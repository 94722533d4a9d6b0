# %% [markdown]
r"""
# Exercise 04 · Read the map

**What does an attention map show, and how right is it?**

A map of attention weights is the first thing that people show of a translator, and the easiest to be fooled
by: it always looks as if it meant something. Here you draw such maps so that they can be compared, and then
you put numbers beside the picture. Our reviews come with the true answer, which word renders which, so for
once we can measure whether a map is right.

You will

- **draw** a map that shows each weight beside the right words, on a scale that is the same for every map,
- **measure** maps: which words they link and how often wrongly, how widely each row spreads its weight, and
  how much weight each source word gets from all rows,
- **explain** what such a map tells about a model, and what it does not.

About 80 minutes, 14 points: 2 for each of the seven exercises. Two of these are written answers, which a
person grades, so the check at the end counts up to 10. Every exercise stands alone:
you can do them in any order. The cells in between use the course's own functions, `library`, wherever an
exercise is not about its own answer.
"""

# %% [markdown]
r"""
### A translator to look into

Replace `raise NotImplementedError` by your answer, run the cell, then run the tests below it. When the work
is graded, more tests of the same kind run on other inputs. Hints open one by one.

`weights[t, s]` is the attention that target token `t` (a row, here French) pays to source token `s` (a
column, here English). Each row adds up to 1. A **link** (s, t) says that source token s and target token t
answer each other; positions count from 0. **Gold links** are those known to be right: the grammar that wrote
the reviews knows them.

| size | counts |
| --- | --- |
| `batch` | sentences that are worked on together |
| `tgt_len` | target tokens: rows of a map |
| `src_len` | source tokens: columns of a map |

The next cells train a small translator on the reviews of one or two clauses, which takes about 10 seconds (a
busy computer may need half a minute). "Run all", and the check at the end, train it again and take that much
longer. `maps` then holds one tensor for each test review. `forced_weights` makes them: it feeds the model the
*right* translation word by word, whatever the model itself would have written, and keeps the weights of each
step. So every map has a row for each word of the reference, for which we know the gold links. A sentence also
ends in an end token. Its row and column are left out of `maps`, so here a row may add up to a little less
than 1.
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
short = {
    name: split[[i for i, n in enumerate(split.clauses) if n <= 2]] for name, split in corpus.splits.items()
}
encoded = EncodedCorpus(replace(corpus, splits=short))
torch.set_num_threads(1)  # a model this small is no faster on two
seed_everything(1)
model = Seq2Seq(len(encoded.src_vocab), len(encoded.tgt_vocab), "scaled", embed_dim=64, hidden_dim=96)
train(model, encoded, updates=300, batch_tokens=1_000, curriculum=0.5, seed=1, progress=False)

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

Draw the weights as a heat map that can be read, and compared with any other one.

| | |
| --- | --- |
| in: `weights` | a tensor (tgt_len, src_len), numbers from 0 to 1 |
| in: `src_tokens`, `tgt_tokens` | lists of words; a word may come twice |
| in: `ax` | the matplotlib Axes to draw on, or `None` |
| out | the Axes with the map |

What makes it readable:

- a row for each target token, **the first one at the top**, and a column for each source token, from the
  left;
- every token stands as a tick label beside its own row, or at its own column;
- the x axis has a label with the word "source" in it, the y axis one with "target";
- the colours run from 0 to 1 in *every* map, so that the same colour always is the same weight;
- the numbers are drawn as they are: a row may add up to less than 1.

With `ax`, draw on that Axes and touch no other one, so that several maps fit into a figure. Without it,
make a new figure. Numbers in the cells are up to you, and so is a colour bar, also with `ax`, though it
makes an Axes of its own.

**By hand.** "She loves cats" has three columns; the map of "Elle aime" looks like this, with a bright cell
where the weight is 0.8 or 0.7:

| | She | loves | cats |
| --- | --- | --- | --- |
| **Elle** | **0.8** | 0.1 | 0.1 |
| **aime** | 0.1 | **0.7** | 0.2 |
"""


# %% answer="plot_attention"
def plot_attention(weights, src_tokens, tgt_tokens, ax=None):
    """Draw attention weights as a heat map: a row for each target token, a column for each source token.

    weights (tgt_len, src_len), from 0 to 1, are drawn as they are, on colours that run from 0 to 1; the
    first target token is at the top. Tick labels are the tokens, the axis labels have the words "source" (x)
    and "target" (y). Draw on `ax` and on nothing else; where it is None, make a new figure. Return the Axes.
    """
    ### BEGIN SOLUTION
    if ax is None:
        _, ax = plt.subplots(layout="constrained")
    ax.imshow(weights, cmap="viridis", vmin=0, vmax=1)
    ax.set_xticks(range(len(src_tokens)), src_tokens, rotation=50)
    ax.set_yticks(range(len(tgt_tokens)), tgt_tokens)
    ax.set(xlabel="source token (key)", ylabel="target token (query)")
    return ax

    # Why so: imshow puts row 0 at the top, as we read; pcolormesh would start at the bottom and needs
    # ax.invert_yaxis(). Without vmin and vmax each map is stretched to its own largest weight, and an
    # undecided map then looks as bright as a sure one. Ticks need positions *and* labels: labels alone land
    # on the ticks that matplotlib happened to choose. Everything is said to ax, never to plt, because plt
    # means the current Axes, and with two maps in a figure that may be the other one. The Axes is returned
    # so that the caller can go on, with a title for instance.
    ### END SOLUTION


# %% [markdown]
r"""
<details><summary>Hint 1</summary>

`plt.subplots()` gives a new figure and its Axes. All the rest can be methods of an Axes: `ax.imshow` draws
the cells, and takes the ends of the colour scale.

</details>

<details><summary>Hint 2</summary>

`vmin` and `vmax` fix the colours. `ax.set_xticks(positions, labels)` sets both at once; with `imshow`, the
middle of column 0 lies at 0. `ax.set_xlabel` and `ax.set_ylabel` name the axes. Long words may run into
each other, which costs nothing; `ax.set_xticks(positions, labels, rotation=50)` keeps them apart.

</details>
"""

# %% [markdown]
r"""
**Predict.** The review is "i did not like the **sweet dessert**", in French "je n' ai pas aimé le **dessert
sucré**": the adjective moves behind its noun, and "not" becomes two words, *n'* and *pas*. Where will the map
leave the diagonal? In which column do you expect two bright cells?
"""

# %%
# A free cell: your map on the left; on the right the course's own, in which gold links are framed.
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 5), layout="constrained")
left.set_title("mine")
right.set_title("the gold links framed")
plotting.plot_attention(maps[review], *words, links=test.links[review], ax=right)
mine = plot_attention(maps[review], *words, ax=left)

# %% [markdown]
r"""
<details><summary>Reflect</summary>

"dessert sucré" crosses over: *dessert* looks at the last English word and *sucré* at the one before. "not" is
the column with two frames; in our run it is brightest for both, *n'* and *pas*. Nobody told the model about
adjectives, but one sentence is no measurement yet: after a training with seed 0, *pas* looked most at "did".

</details>
"""

# %% test="plot_attention" points=2
import matplotlib.pyplot as plt
import torch
from grading.checks import check

# On random maps, read beside the course's own: a mistake that it knows is named.
check("plot_attention", plot_attention, cases="visible")

# By hand: two French rows and three English columns, each with its word.
src, tgt = ["She", "loves", "cats"], ["Elle", "aime"]
weights = torch.tensor([[0.8, 0.1, 0.1], [0.1, 0.7, 0.2]])
ax = plot_attention(weights, src, tgt)
found = {label.get_text() for label in ax.get_xticklabels()}
assert set(src) <= found, f"the columns should be labelled {src}, but the x axis has {sorted(found)}"
found = {label.get_text() for label in ax.get_yticklabels()}
assert set(tgt) <= found, f"the rows should be labelled {tgt}, but the y axis has {sorted(found)}"

# Two Axes side by side: the map goes where it is told, and nowhere else.
figure, (left, right) = plt.subplots(1, 2)
assert plot_attention(weights, src, tgt, ax=left) is left, "the Axes that was given should come back"
assert not right.has_data(), "the map was to be drawn on the left, but the right Axes has something on it"
plt.close("all")
print("4.1: all tests that you can see pass")

### BEGIN HIDDEN TESTS
check("plot_attention", plot_attention)
### END HIDDEN TESTS

# %% [markdown]
r"""
### Exercise 4.2 · Links from weights

10 min · ●○○ · 2 points

Turn a map into word links: link every target token to the source token that it looks at most.

$$A \;=\; \{\, (\hat{s}(t),\; t) \;:\; t = 0, \dots, \text{tgt\_len} - 1 \,\}, \qquad
\hat{s}(t) \;=\; \arg\max_s\, \alpha_{t,s}$$

In code, $\alpha_{t,s}$ is `weights[t, s]`. The source position comes first in a link, as in the gold links.

| | |
| --- | --- |
| in: `weights` | one map, a tensor (tgt_len, src_len) |
| out: links | a set of tgt_len pairs (src, tgt) of int |

Every row gets exactly one link, however small its largest weight is. Of equal weights the first counts.

**By hand.**

| | She | loves | cats | link |
| --- | --- | --- | --- | --- |
| Elle | **0.8** | 0.1 | 0.1 | (0, 0) |
| aime | 0.1 | **0.7** | 0.2 | (1, 1) |
| les | 0.25 | 0.3 | **0.45** | (2, 2) |
| chats | 0.0 | 0.2 | **0.8** | (2, 3) |

The links are `{(0, 0), (1, 1), (2, 2), (2, 3)}`: "cats" has two of them.
"""


# %% answer="hard_alignment"
def hard_alignment(weights):
    """Link every target position to the source position with the largest weight.

    weights (tgt_len, src_len) give a set of (src, tgt), both int and counted from 0, one link for each row.
    Of equal weights the first counts.
    """
    ### BEGIN SOLUTION
    best = weights.argmax(dim=-1).tolist()
    return {(src, tgt) for tgt, src in enumerate(best)}

    # Why so: each row is one question, so the largest weight is looked for along the last axis. Along the
    # first axis every *source* token would choose its target token, which is another alignment, and argmax
    # without an axis would give one number for the whole map. enumerate counts rows, which are targets, so
    # the pair has to be turned round. A threshold would leave undecided rows without a link. The price of one
    # link a row: "dessert sucré" is fine, but a French word that renders two English ones loses a link.
    ### END SOLUTION


# %% [markdown]
r"""
<details><summary>Hint 1</summary>

`argmax` can look along an axis: which one of the two leaves you with one number for each *target* token?

</details>

<details><summary>Hint 2</summary>

`weights.argmax(dim=-1).tolist()` is a list: at place t stands the source position. `enumerate` gives pairs
(t, s), and a link is (s, t).

</details>
"""

# %%
# A free cell: the links of the review, by word, beside the gold ones.
for s, t in sorted(hard_alignment(maps[review]), key=lambda link: link[1]):
    gold = ", ".join(english[review][src] for src, tgt in sorted(test.links[review]) if tgt == t)
    print(f"{french[review][t]:<10}looks at {english[review][s]:<10}gold: {gold}")

# %% test="hard_alignment" points=2
import torch
from grading.checks import check

# On random maps, beside the course's own: a mistake that it knows is named.
check("hard_alignment", hard_alignment, cases="visible")

# By hand: four French rows, three English columns.
weights = torch.tensor([[0.8, 0.1, 0.1], [0.1, 0.7, 0.2], [0.25, 0.3, 0.45], [0.0, 0.2, 0.8]])
links = hard_alignment(weights)
assert links == {(0, 0), (1, 1), (2, 2), (2, 3)}, f"the table has other links than {links}"

# The order of the pair: one target token that looks at the last of three source tokens.
links = hard_alignment(torch.tensor([[0.1, 0.2, 0.7]]))
assert links == {(2, 0)}, f"source 2 and target 0 are the link (2, 0), not {links}"
print("4.2: all tests that you can see pass")

### BEGIN HIDDEN TESTS
check("hard_alignment", hard_alignment)
### END HIDDEN TESTS

# %% [markdown]
r"""
### Exercise 4.3 · How wrong are they?

15 min · ●●○ · 2 points

Compare the links of a whole corpus with gold links: the **alignment error rate** of Och and Ney (2003).

When people mark gold links, some are beyond doubt and some can be defended. So there are two sets: the
**sure** links S, which should be found, and the **possible** links P, which do no harm if found. What is sure
is possible too, whether P repeats it or not. With the predicted links A,

$$\text{AER} \;=\; 1 - \frac{|A \cap S| + |A \cap P|}{|A| + |S|}$$

where each of the four is **counted over all sentences first**, and divided once. 0 is perfect, 1 is wholly
wrong.

| | |
| --- | --- |
| in: `predicted` (A), `sure` (S), `possible` (P) | lists in one order, a set of links (src, tgt) a sentence |
| out: the error rate | a number from 0 to 1 |

A position means something within its own sentence only: (0, 0) of one sentence is not (0, 0) of another.
Where there is no link at all, neither predicted nor sure, nothing was compared: raise `ValueError`.

**By hand.** Two sentences:

| sentence | A | S | P | A and S | A and P | size of A | size of S |
| --- | --- | --- | --- | --- | --- | --- | --- |
| first | (0, 0), (2, 1) | (0, 0), (1, 1) | (0, 0), (1, 1), (2, 1) | 1 | 2 | 2 | 2 |
| second | (0, 0) | (1, 0) | (1, 0) | 0 | 0 | 1 | 1 |
| sum | | | | **1** | **2** | **3** | **3** |

The rate is 1 − (1 + 2) / (3 + 3) = **0.5**. (Alone, the sentences have 0.25 and 1; their mean is not asked.)
"""


# %% answer="alignment_error_rate"
def alignment_error_rate(predicted, sure, possible):
    """Give the alignment error rate over a corpus: 0 is perfect, 1 is wholly wrong.

    1 - (|A and S| + |A and P|) / (|A| + |S|), counted over all sentences, where A are predicted, S sure and
    P possible links: each a list with one set of (src, tgt) a sentence. A sure link is possible too, also
    where `possible` does not repeat it. ValueError where there is neither a predicted nor a sure link.
    Och and Ney 2003.
    """
    ### BEGIN SOLUTION
    hits = total = 0
    for a, s, p in zip(predicted, sure, possible, strict=True):
        hits += len(a & s) + len(a & (p | s))
        total += len(a) + len(s)
    if total == 0:
        raise ValueError("there is no link, neither predicted nor sure: nothing was compared")
    return 1 - hits / total

    # Why so: a predicted link that is sure counts twice above, and stands for two below, its own place in A
    # and that in S: so a perfect A gives 1 - 1. A merely possible link counts once above and once below: it
    # neither helps nor harms much. A wrong link adds to |A| only and a missing one to |S| only, so both cost.
    # The sets are compared sentence by sentence, since positions begin at 0 again in each, while the counts
    # run on over the corpus: a mean of sentences would let a review of three words weigh as much as one of
    # thirty. & and | make new sets, so the caller's stay as they are.
    ### END SOLUTION


# %% [markdown]
r"""
<details><summary>Hint 1</summary>

In Python, `a & s` is what two sets have in common and `a | s` is what is in either. Which two sums do you
need to keep while you walk through the sentences?

</details>

<details><summary>Hint 2</summary>

`for a, s, p in zip(predicted, sure, possible):` walks through the sentences. Add `len(a & s)` and the links
shared with the possible ones to one sum, `len(a)` and `len(s)` to the other. Divide after the loop.

</details>
"""

# %% [markdown]
r"""
How good is an error rate? Compare it with something that knows nothing: the **diagonal** goes through the
source at the same pace as through the target, as if both languages had one order. It links target word t to
the source word at t · (src_len − 1) / (tgt_len − 1), rounded: with four English and seven French words, the
French words 0, 2, 4 and 6 get the English words 0, 1, 2 and 3. In our reviews all gold links are sure.

**Predict.** For which reviews is the diagonal a stronger rival: those of one clause, or of two?
"""

# %%
# A free cell: the model and the diagonal, by the number of clauses.
links = [library.hard_alignment(weights) for weights in maps]
diagonal = [library.diagonal_links(len(src), len(tgt)) for src, tgt in zip(english, french, strict=True)]
for clauses in (1, 2):
    chosen = [i for i, n in enumerate(test.clauses) if n == clauses]
    gold = [set(test.links[i]) for i in chosen]
    of_model, of_diagonal = (
        alignment_error_rate([made[i] for i in chosen], gold, gold) for made in (links, diagonal)
    )
    print(f"clauses {clauses}: {len(chosen)} reviews, error {of_model:.2f}, diagonal {of_diagonal:.2f}")

# %% [markdown]
r"""
<details><summary>Reflect</summary>

On short reviews the diagonal is hard to beat, since few words move far; with every clause it drifts further
off. A low error on short sentences therefore says little, until you know what the diagonal gets. And these
are the numbers of one short training with one seed. We trained this model with the seeds 0, 1 and 2. On all
these reviews together its error was 0.29, 0.20 and 0.28, and that of the diagonal is 0.34. On those of one
clause it was 0.32, 0.21 and 0.31, and two of the three models were worse than the diagonal with its 0.25.
You see the best of the three, which is seed 1.

</details>
"""

# %% test="alignment_error_rate" points=2
from grading.checks import check

# On random links, beside the course's own: a mistake that it knows is named.
check("alignment_error_rate", alignment_error_rate, cases="visible")

# By hand: the first sentence of the table alone, then both.
predicted, sure = [{(0, 0), (2, 1)}, {(0, 0)}], [{(0, 0), (1, 1)}, {(1, 0)}]
possible = [{(0, 0), (1, 1), (2, 1)}, {(1, 0)}]
rate = alignment_error_rate(predicted[:1], sure[:1], possible[:1])
assert abs(rate - 0.25) < 1e-6, f"the first sentence has 1 - (1 + 2) / (2 + 2) = 0.25, not {rate}"
rate = alignment_error_rate(predicted, sure, possible)
assert abs(rate - 0.5) < 1e-6, f"both together have 1 - (1 + 2) / (3 + 3) = 0.5, not {rate}"

# Gold links against themselves, and against links that are all wrong.
assert alignment_error_rate(sure, sure, possible) == 0, "the sure links themselves are a perfect alignment"
assert alignment_error_rate([{(5, 5)}], [{(0, 0)}], [{(0, 0)}]) == 1, "no link right is an error of 1"

# No link at all, neither predicted nor sure: nothing was compared, so there is no rate.
try:
    rate = alignment_error_rate([set()], [set()], [set()])
    raise AssertionError(f"without any link it should raise ValueError, but it gives {rate}")
except ZeroDivisionError:
    raise AssertionError("without any link it divides by zero: raise ValueError before") from None
except ValueError:
    pass
print("4.3: all tests that you can see pass")

### BEGIN HIDDEN TESTS
check("alignment_error_rate", alignment_error_rate)
### END HIDDEN TESTS

# %% [markdown]
r"""
### Exercise 4.4 · How sharp is a look?

10 min · ●●○ · 2 points

Measure how widely each row spreads its weight: by its entropy, in nats (with the natural logarithm).

$$H_t \;=\; -\sum_{s \text{ real}} \alpha_{t,s}\, \ln \alpha_{t,s}, \qquad 0 \ln 0 = 0$$

A row that puts everything on one token has entropy 0; one that looks at n tokens alike has ln n, the most
that n tokens can give. So $e^H$ is a yardstick: a row of entropy H is as wide as an even look at $e^H$ words,
and 1.39 nats are as wide as an even look at four.

| | shape |
| --- | --- |
| in: `weights` ($\alpha$) | (batch, tgt_len, src_len) |
| in: `mask` | (batch, src_len) of bool, True = a real token, or `None` where all are real |
| out: entropy ($H$) | (batch, tgt_len) |

Padding is left out of the sum, even if it has weight. Take the weights as they are: do not divide them anew.
A row with nothing to attend to has entropy 0. Results keep dtype and device of the weights.

**By hand.** ln 2 ≈ 0.6931 and ln 4 ≈ 1.3863.

| weights | entropy |
| --- | --- |
| (1, 0, 0) | 0 |
| (½, ½, 0) | ½ · 0.6931 + ½ · 0.6931 = 0.6931 |
| (¼, ¼, ½) | ¼ · 1.3863 + ¼ · 1.3863 + ½ · 0.6931 = **1.0397** |
"""


# %% answer="attention_entropy"
def attention_entropy(weights, mask):
    """Give the entropy of every row of weights, in nats.

    weights (batch, tgt_len, src_len) and mask bool (batch, src_len), True = a real token, or None where all
    are real, give (batch, tgt_len), in the weights' dtype. Padding is left out of the sum, and 0 log 0 is 0.
    """
    ### BEGIN SOLUTION
    if mask is not None:
        weights = weights.masked_fill(~mask.unsqueeze(1), 0.0)
    return -torch.xlogy(weights, weights).sum(dim=-1)  # (batch, tgt_len)

    # Why so: xlogy(w, w) is w ln w, and 0 where w is 0. Written out, 0 * log(0) is 0 * -inf, which is NaN,
    # and one NaN spoils its whole row. Silencing padding first then needs no second rule, and a row of
    # zeros has entropy 0 by itself. The mask is the same for all rows of a sentence, so it gets an axis of
    # length 1 for them. The sum runs over the last axis: each row is one look.
    ### END SOLUTION


# %% [markdown]
r"""
<details><summary>Hint 1</summary>

What does `torch.tensor(0.0) * torch.log(torch.tensor(0.0))` give? Look for a way around it before you sum:
you can set the bad places to 0, or use a function that knows the rule.

</details>

<details><summary>Hint 2</summary>

`torch.xlogy(x, y)` is x ln y, and 0 where x is 0. The mask of a sentence holds for all of its rows: make it
(batch, 1, src_len) with `mask.unsqueeze(1)`.

</details>
"""

# %% [markdown]
r"""
**Predict.** Order these from the sharpest look to the widest: an intensifier such as *vraiment* ("really"), a
noun such as *soupe*, the half *pas* of a negation, the article *la*.
"""

# %%
# A free cell: the mean entropy of some French words over all test reviews. Try others.
seen = defaultdict(list)
for weights, tokens in zip(maps, french, strict=True):
    for token, entropy in zip(tokens, attention_entropy(weights[None], None)[0].tolist(), strict=True):
        seen[token].append(entropy)
for token in ("vraiment", "très", "soupe", "pas", "la", "du"):
    mean = sum(seen[token]) / len(seen[token])
    print(f"{token:<10}{mean:5.2f} nats, like {math.exp(mean):.1f} words alike, {len(seen[token])} times")

# %% [markdown]
r"""
<details><summary>Reflect</summary>

None of these looks sharply after so short a training: *vraiment* and *très*, the sharpest, are as wide as an
even look at three words. But words with one clear partner look more sharply than others. *pas* is as wide as
*soupe* here, and wider with two other seeds: its partner "not" is also that of *n'*. An article spreads its
look most, *la* over more than five words: its noun, the article, and what comes between all decide whether to
write *la*. *du* is both an article and "of". With three seeds the order was the same, except for neighbors
that were equally wide. So wide is not the same as wrong, and sharp is not the same as right: a row that is
sure of the wrong word has a low entropy too.

</details>
"""

# %% test="attention_entropy" points=2
import math

import torch
from grading.checks import check

# On random numbers, beside the course's own: a mistake that it knows is named.
check("attention_entropy", attention_entropy, cases="visible")

# By hand: the three rows of the table, in one sentence.
weights = torch.tensor([[[1.0, 0.0, 0.0], [0.5, 0.5, 0.0], [0.25, 0.25, 0.5]]])
entropy, by_hand = attention_entropy(weights, None), torch.tensor([[0.0, 0.6931, 1.0397]])
assert entropy.shape == (1, 3), f"one sentence of three rows gives (1, 3), not {tuple(entropy.shape)}"
assert torch.allclose(entropy, by_hand, atol=1e-3), f"should be {by_hand.tolist()}, not {entropy.tolist()}"

# An even look at five tokens: ln 5. With two of them padding, three terms are left.
even = torch.full((2, 7, 5), 0.2, dtype=torch.float64)
entropy = attention_entropy(even, torch.tensor([[True] * 5, [True] * 3 + [False] * 2]))
assert torch.allclose(entropy[0], even[0, :, 0] * 5 * math.log(5)), "five tokens alike have ln 5"
assert torch.allclose(entropy[1], even[1, :, 0] * 3 * math.log(5)), "padding should be left out of the sum"
print("4.4: all tests that you can see pass")

### BEGIN HIDDEN TESTS
check("attention_entropy", attention_entropy)
### END HIDDEN TESTS

# %% [markdown]
r"""
### Exercise 4.5 · What does each word receive?

5 min · ●○○ · 2 points

So far we asked where each target token looks. Turn the question round: how much weight does each *source*
token receive from all target tokens together? This is its **coverage** (Tu et al. 2016).

$$c_s \;=\; \sum_t \alpha_{t,s} \;\text{ where } s \text{ is real,} \qquad c_s = 0 \;\text{ at padding}$$

| | shape |
| --- | --- |
| in: `weights` ($\alpha$) | (batch, tgt_len, src_len) |
| in: `mask` | (batch, src_len) of bool, True = a real token, or `None` where all are real |
| out: coverage ($c$) | (batch, src_len), in dtype and on the device of the weights |

**By hand.** The columns of the map of exercise 4.2, added up:

| | She | loves | cats |
| --- | --- | --- | --- |
| Elle | 0.8 | 0.1 | 0.1 |
| aime | 0.1 | 0.7 | 0.2 |
| les | 0.25 | 0.3 | 0.45 |
| chats | 0.0 | 0.2 | 0.8 |
| **coverage** | **1.15** | **1.3** | **1.55** |

Four rows of weight 1 were given, and 1.15 + 1.3 + 1.55 = 4.
"""


# %% answer="coverage"
def coverage(weights, mask):
    """Add up the weight that every source token receives from all target rows.

    weights (batch, tgt_len, src_len) and mask bool (batch, src_len), True = a real token, or None where all
    are real, give (batch, src_len), in the weights' dtype, 0 at padding. Tu et al. 2016.
    """
    ### BEGIN SOLUTION
    received = weights.sum(dim=1)  # (batch, src_len)
    return received if mask is None else received.masked_fill(~mask, 0.0)

    # Why so: the sum runs over the target rows, axis 1, and leaves a number for each column. Over the last
    # axis it would only find that every row adds up to 1. Nothing is divided: a coverage of 2 says that a
    # word received two target words' worth. Once the rows are summed, the mask has the shape of the result.
    ### END SOLUTION


# %% [markdown]
r"""
<details><summary>Hint 1</summary>

(batch, tgt_len, src_len) becomes (batch, src_len): which axis disappears?

</details>

<details><summary>Hint 2</summary>

`weights.sum(dim=1)` adds the rows up. `x.masked_fill(~mask, 0.0)` gives a new tensor with zeros at padding.

</details>
"""

# %% [markdown]
r"""
**Predict.** "not" and "never" are two words each in French. If the model looks where it should, what would
their coverage be? And that of "very"?
"""

# %%
# A free cell: mean coverage of some English words over all test reviews. Try others.
received = defaultdict(list)
for weights, tokens in zip(maps, english, strict=True):
    for token, total in zip(tokens, coverage(weights[None], None)[0].tolist(), strict=True):
        received[token].append(total)
for token in ("not", "never", "very", "soup", "was", "the"):
    print(f"{token:<10}{sum(received[token]) / len(received[token]):5.2f}, {len(received[token])} times")

# %% [markdown]
r"""
<details><summary>Reflect</summary>

"not" and "never" should have 2, and "very", which is one French word, 1. In our run "not" and "never" get
well over 1, and well under 2: French words rarely look at one word only. (Another seed gave "not" just 1.14.)
"very" has about what it should. "the" stays below 1, because some of the weight that *la* and *le* should
give to "the" goes to nouns, and nouns such as "soup" get more than their share. A source word with hardly any
coverage may have been forgotten, and one with far too much translated twice: that is what coverage was made
to watch. But a state also holds its neighbours, so a word can be rendered without a look at it.

</details>
"""

# %% test="coverage" points=2
import torch
from grading.checks import check

# On random numbers, beside the course's own: a mistake that it knows is named.
check("coverage", coverage, cases="visible")

# By hand: four French rows, three English columns.
weights = torch.tensor([[[0.8, 0.1, 0.1], [0.1, 0.7, 0.2], [0.25, 0.3, 0.45], [0.0, 0.2, 0.8]]])
received, by_hand = coverage(weights, None), torch.tensor([[1.15, 1.3, 1.55]])
assert received.shape == (1, 3), f"three source tokens give (1, 3), not {tuple(received.shape)}"
assert torch.allclose(received, by_hand), f"should be {by_hand.tolist()}, but is {received.tolist()}"

# The last token of the second sentence is padding: it receives nothing, whatever the weights say.
received = coverage(weights.expand(2, 4, 3), torch.tensor([[True] * 3, [True, True, False]]))
assert received[1, 2] == 0, f"padding should have coverage 0, not {received[1, 2]:.2f}"
assert torch.allclose(received[0], by_hand[0]), "the mask of one sentence should not change the other"
print("4.5: all tests that you can see pass")

### BEGIN HIDDEN TESTS
check("coverage", coverage)
### END HIDDEN TESTS

# %% [markdown]
r"""
### Something is wrong here

Maps are most useful when something is wrong. Four people read maps from the same translator, for the same
reviews. One did all right. The other three made one mistake each, and no error was raised:

- **a begin token**: they put one in front of each source and forgot it when they labelled the columns, so
  that column 0, labelled with the first word, holds the begin token;
- **reversed**: they read the source from right to left, as Sutskever et al. (2014) advised, and labelled
  the columns from left to right;
- **no mask**: nobody told the model which source tokens are padding. A softmax divides by a sum over all
  tokens, so the padding behind a sentence made this sum larger and took a share of each row. Its columns
  were cut off afterwards.

The next two cells make the four sets of maps, shuffle them, and draw one review of each.

**Predict.** Before you run the second one: what should each mistake look like? Which of them would you see
at a glance?
"""


# %%
def read_without_mask():
    """The maps of the same model, when nobody tells it which tokens are padding."""
    careless = copy.copy(model)
    careless.encode = lambda src, src_lengths: (*model.encode(src, src_lengths)[:2], None)
    return forced_weights(careless, encoded, "test")


with_begin_token = [torch.cat([w.new_zeros(len(w), 1), w[:, :-1]], dim=1) for w in maps]
sets = [maps, with_begin_token, [w.flip(1) for w in maps], read_without_mask()]
random.Random(4).shuffle(sets)
suspects = dict(zip("ABCD", sets, strict=True))

# %%
figure, axes = plt.subplots(1, 4, figsize=(15, 4.4), layout="constrained")
for ax, (name, suspect) in zip(axes, suspects.items(), strict=True):
    plotting.plot_attention(suspect[review], *words, ax=ax, annotate=False, colour_bar=False).set_title(name)

# %% [markdown]
r"""
Now the numbers, over all test reviews: the error of the links as they are, and when all links are moved one
word to the left (−1) or to the right (+1); the mean entropy; and how much weight a row gives to real words,
which is all coverage of a review divided by its target words.

Before you read them: what is cut off from a map is missing in all of these numbers. Maps that were pushed
one column to the right lost their last column, so no shift gets all their links back. And weight that is cut
off lowers the entropy, since a row is not divided by its sum in 4.4: here a lower entropy does not mean a
sharper look. No shift repairs a reversed order.
"""

# %%
print("       error at shift −1      0     +1    entropy   weight a row")
for name, suspect in suspects.items():
    errors = (
        library.alignment_error_rate([library.hard_alignment(w, shift) for w in suspect], test.links)
        for shift in (-1, 0, 1)
    )
    entropy = torch.cat([library.attention_entropy(w[None])[0] for w in suspect]).mean()
    given = sum(library.coverage(w[None]).sum() for w in suspect) / sum(len(w) for w in suspect)
    print(f"{name:<15}" + "".join(f"{error:7.2f}" for error in errors) + f"{entropy:11.2f}{given:15.2f}")

# %% [markdown] written="find_the_fault" points=2
r"""
### Exercise 4.6 · Find the fault

10 min · ●●○ · 2 points

Which of A, B, C and D is which? Half a point each. The check at the end counts the tests only; a person
grades this answer.

1. Which one has the begin token? Give the piece of evidence, from a picture or the table, that tells it from
   the others.
2. Which one is reversed? Evidence, too.
3. Which one has no mask, and what tells it from the right reading?
4. Does every fault show in the error rate at shift 0? If one does not, say why.

<!-- ### BEGIN SOLUTION -->
**A possible answer.** D has the begin token: its error is 0.86 as it is, but 0.27 once all links are moved
one word to the left, and in the picture each bright cell is one column too far to the right. A is reversed:
its bright cells run from the top right to the bottom left, and the error is 0.94 at every shift. C has no
mask: its rows give only 0.81 to real words, where those of B give 0.97; in the picture the same cells are
bright, but paler. So B is the right reading. The missing mask does not show in the error, because that asks
only *where* the largest weight among the real words is. A larger sum divides all of them by the same number,
so their order stays.

**Rubric**, half a point each; the numbers differ a little from machine to machine.

1. D, *with* evidence: the error falls at shift −1, or the bright cells lie one column to the right.
2. A, *with* evidence: the falling diagonal has become a rising one, or no shift helps.
3. C, *with* evidence: rows give too little weight to real words, or the map is paler than B's.
4. The missing mask does not show, since the error depends on the place of the largest weight and not on its
   size, *or* since padding takes from all words in proportion. "The error is the same" alone is none.

A letter without evidence counts nothing. Other evidence that really tells the readings apart counts in full.
<!-- ### END SOLUTION -->
"""

# %% [markdown] written="what_a_map_shows" points=2
r"""
### Exercise 4.7 · Say it in words

10 min · ●●○ · 2 points

A friend shows you one attention map of a translator: bright cells in sensible places. "You see," says the
friend, "the model understands which word means which, and this is why it translated well." Answer both
questions, one point each, in four to seven sentences in all. The check at the end counts the tests only; a
person grades this answer.

1. What does the map show, and how would you measure, beyond this one picture, whether it is a good alignment?
2. What does it *not* show? Give one reason that you have met in this notebook or in the demos.

<!-- ### BEGIN SOLUTION -->
**A possible answer.** The map shows for each target word how its context was blended: which share came from
the encoder's state at each source word. To say that it is a good alignment I would take many sentences,
compare the links of the largest weights with gold links by the alignment error rate, and put the diagonal,
links that look at no word, beside it, and the error at shifts of one, too. One sentence that was picked may
be the best of a thousand. The map does not show why a word was written. The state at a source word also
holds its neighbours, so the model can look beside a word and still render it, and a decoder can write a
word from its own state with the context ignored; in our reviews models with wrong links translate well. And
a picture can be off by one and look just as convincing.

**Rubric**, one point a question. Half a point where the idea is there but half of it is missing.

1. Full: where the weights, or the context, came from, *and* a measurement over many sentences against gold
   links or against a baseline. Half: one of the two. None: "it shows what the model understands".
2. Full: the weights are not the cause of the output, or not the meaning of the word, *with* a reason: states
   hold their neighbours, the decoder has a state of its own, good translators have wrong links, an article
   looks at its noun, a map may be off by one, one example was picked. Half: such a claim without a reason.
   None: "attention may be wrong sometimes".

Other correct reasons count as much as these. Language is not graded, nor is length.
<!-- ### END SOLUTION -->
"""

# %% [markdown]
r"""
When you have written all that you want to hand in, let the grader look at the whole notebook. It trains
again, so it takes a little longer than "Run all". It counts up to 10 points: the other four are those of the
two written answers.
"""

# %%
# Save the notebook, take away the # of the next line and run this cell: all tests grade the saved file.
# from grading import check_notebook; check_notebook("04_alignment.ipynb")

# %% [markdown]
r"""
### Looking back

- A map can be compared with others only if rows, labels and colours mean the same in each. A mistake in the
  drawing raises no error, and still looks like a map.
- Numbers go beside the picture: links and their error against gold and against the diagonal, entropy for how
  sharp a look is, coverage for what each word receives. Each is blind to something that another one sees.
- Weights say where a context came from. They are a reading aid, neither a word alignment nor an explanation.

**One thing to try.** Train with "dot" instead of "scaled", or with another seed, and run the cells again.
Which of your numbers change most, and would you still draw the same conclusions?

Or step through a map with the arrow keys: in a new cell, `from utils.explorer import explore`, and as its
last line `explore((weights, src_tokens, tgt_tokens))`, with the three things that `plot_attention` takes.

Which of the faults would you have found in your own model without gold links? Write yourself a line about
how. Then go on to demo 06, where attention answers questions, and demo 07, which leaves recurrent networks
behind.
"""
