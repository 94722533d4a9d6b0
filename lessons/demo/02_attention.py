# %% [markdown]
r"""
# 02 · The spotlight

**Which words matter now?**

In demo 01 the decoder was allowed to look back at its source, and long sentences stopped falling apart. How
it looks stayed in a black box. This demo opens the box: for each word it writes, the decoder asks every
source word "how much do you matter now?", and works with a blend of the answers.

You will

- **compute** one step of attention by hand: scores, weights, context, output,
- **compare** four ways to score, and what they cost,
- **read** the maps of trained models beside the right answers, and see where they go wrong.

About 45 minutes. Running everything takes a minute or two, nearly all of it for six small models that learn
near the end. Before each result there is a question: answer it before you run the cell.
"""

# %%
import math
import time
from dataclasses import replace

import matplotlib.pyplot as plt
import torch
from torch import nn

from utils import attention as library
from utils.data import Split, load_reviews
from utils.metrics import alignment_errors, bleu, diagonal_links, hard_alignment, link_map
from utils.models import Seq2Seq, forced_weights, translate
from utils.plotting import NAMES, Figure, plot_attention, plot_curves, plot_maps
from utils.text import EncodedCorpus
from utils.training import in_parallel, seed_everything, train

# %% [markdown]
r"""
## A spotlight and a highlighter

Picture the source sentence as actors on a stage. A decoder without attention holds one blurred photograph
of the whole stage. A decoder with attention has a **spotlight** and can turn it on different actors at
different moments.

Or picture a human translator at work on "Je suis étudiant", from French into English for once, highlighter in
hand. For "I" the pen goes over
*Je*, for "am" over *suis*, for "student" over *étudiant*. A highlighter marks a word or leaves it. The
decoder's has shades: one whole of attention, shared out over all the source words. These shares are the
**attention weights**, and since each output word has its own, the picture of the source changes from word to
word.

**Predict.** The source is "The restaurant was amazing", and the decoder is about to write the second word of
"Le restaurant était incroyable". Someone has shaded the four source words by hand. Which one has most of the
ink? And what must the four numbers add up to?
"""

# %%
shares = torch.tensor([[0.05, 0.80, 0.05, 0.10]])
ax = plot_attention(shares, ["The", "restaurant", "was", "amazing"], ["restaurant"], colour_bar=False)
ax.set_ylabel("")
print("sum of the row:", round(shares.sum().item(), 4))
Figure(ax, "One row of four cells, for the output word restaurant. Weights: The 0.05, restaurant 0.80, "
       "was 0.05, amazing 0.10. The cell of restaurant is by far the brightest.")  # fmt: skip

# %% [markdown]
r"""
*One row of a map: what one output word takes from each source word.*

**What happened.** Most of the light falls on one word, and none of the four is quite dark. The row sums to
one: a share that one word gains, the others lose. These numbers were made up to show what a row is; in a
model they are *learned*, since nobody tells it where to look.
"""

# %% [markdown]
r"""
## Query, keys, values

Looking something up needs three things, and so does attention:

- the **query** is what the decoder asks with, its state $s$ at the word it is about to write;
- each source word has a **key**, with which the query is compared;
- and a **value**, which is handed over when the key fits.

In our translators a word's key and its value are the same vector, the encoder's state $h_i$ at that word. All
of these states are kept; in demo 01 all but the last were thrown away.

```
  The          restaurant        was         amazing
   |               |              |             |
  h_1             h_2            h_3           h_4        encoder states: keys and values
   |               |              |             |
   +---------------+------+-------+-------------+
                          |
  decoder state s  -->  scores     e_i = score(s, h_i)        1. compare the query with each key
     (query)              |
      |                weights     a_i = softmax(e)_i         2. share one whole out
      |                   |
      |                context     c = sum of a_i h_i         3. blend the values
      |                   |
      +--------------> [s ; c]  -->  next word                4. combine, and write
```

As formulas, for the output word at step $t$, with decoder state $s_t$ and encoder states $h_i$:

$$e_{t,i} = \text{score}(s_t, h_i) \qquad
\alpha_{t,i} = \frac{\exp(e_{t,i})}{\sum_j \exp(e_{t,j})} \qquad
c_t = \sum_i \alpha_{t,i}\, h_i \qquad
\text{output}_t = f([s_t;\, c_t])$$

$[s_t; c_t]$ is the two vectors laid end to end, and $f$ a layer that makes a word of them. In code these are
`scores`, `weights`, `context` and `logits`. At the next word the query is another one, so the scores, the
weights and the context are new as well: a **dynamic** context in place of one fixed vector.
"""

# %% [markdown]
r"""
## Four steps by hand

Our translator with the highlighter has written "I" and asks for the next word. The source is "Je suis
étudiant", and all vectors have two numbers, so that you can do every step on paper.

| source word | state $h$, its key and its value | | |
| --- | --- | --- | --- |
| Je | (0, 2) | query | $s = (1, 1)$ |
| suis | (2, 1) | | |
| étudiant | (1, 0) | | |

**Predict.** The score is the dot product $s \cdot h$. Work out the three scores. Which word gets the largest
weight, and is its weight more or less than one half?
"""

# %%
states = torch.tensor([[0.0, 2.0], [2.0, 1.0], [1.0, 0.0]])  # Je, suis, étudiant
query = torch.tensor([1.0, 1.0])

scores = states @ query  # 1. compare
weights = scores.exp() / scores.exp().sum()  # 2. share out
context = weights @ states  # 3. blend
for word, score, weight in zip(["Je", "suis", "étudiant"], scores, weights, strict=True):
    print(f"{word:<9} score {score:.0f}   exp {score.exp():6.3f}   weight {weight:.3f}")
print("sum of exp", round(scores.exp().sum().item(), 3), "  context", [round(c, 3) for c in context.tolist()])

# %% [markdown]
r"""
**What happened.** With the query (1, 1) a score is the sum of a word's two numbers, so *suis* leads, with two
thirds of the weight. The context is none of the three states but a blend, nearest to that of *suis*. Check
one of its numbers: it is the weighted sum of the first numbers 0, 2 and 1.

"""

# %% claim
assert scores.tolist() == [2, 3, 1] and abs(weights[1].item() - 2 / 3) < 0.01

# %% [markdown]
r"""
Step 4 lays $s$ and $c$ end to end and lets a layer choose a word. Ours knows three words and has weights so
simple that you can follow them.

**Predict.** The layer's row for "am" is (0, 1, 1, 0): it adds the second number of $s$ and the first of $c$.
Which logit does "am" get?
"""

# %%
rows = {"I": [0.0, 0.0, -1.0, 2.0], "am": [0.0, 1.0, 1.0, 0.0], "student": [1.0, 0.0, 0.0, -1.0]}
both = torch.cat([query, context])  # 4. combine: [s; c], four numbers
logits = torch.tensor(list(rows.values())) @ both
chances = logits.softmax(0)
for word, logit, chance in zip(rows, logits, chances, strict=True):
    print(f"{word:<8} logit {logit:6.3f}   probability {chance:.3f}")

# %% [markdown]
r"""
**What happened.** "am" wins, and the context had a say in it. A real decoder puts a tanh layer between $[s;
c]$ and the logits, and learns all its numbers; ours were chosen so that the example comes out.
"""

# %% [markdown]
r"""
## All words and all sentences at once

Nothing in the four steps says that there is one query only. With all queries of a sentence as rows of a
matrix, steps 1 to 3 are three lines, for a whole batch. This function is the heart of the course.

| | shape |
| --- | --- |
| `query` | (batch, tgt_len, hidden) |
| `keys`, `values` | (batch, src_len, hidden) |
| `scores`, `weights` | (batch, tgt_len, src_len) |
| `context` | (batch, tgt_len, hidden) |

The `mask`, which says what is a word and what is padding, has its own section below.
"""


# %%
def dot_score(query, keys):
    return query @ keys.transpose(1, 2)  # (batch, tgt_len, src_len)


def attend(query, keys, values, mask, score):
    scores = score(query, keys)
    if mask is not None:
        scores = scores.masked_fill(~mask.unsqueeze(1), -math.inf)
    weights = torch.softmax(scores, dim=-1)
    context = weights @ values  # (batch, tgt_len, hidden)
    return context, weights


# %%
by_hand = context, weights
context, weights = attend(query[None, None], states[None], states[None], None, dot_score)
assert torch.allclose(context[0, 0], by_hand[0]) and torch.allclose(weights[0, 0], by_hand[1])

torch.manual_seed(0)
query, keys = torch.randn(5, 4, 7), torch.randn(5, 3, 7)
mask = torch.tensor([[True, True, True]] * 4 + [[True, False, False]])
for ours, theirs in zip(
    attend(query, keys, keys, mask, dot_score),
    library.attend(query, keys, keys, mask, library.dot_score),
    strict=True,
):
    assert torch.allclose(ours, theirs, atol=1e-6)
print("the batch form gives the numbers by hand, and those of the course's library")

# %% [markdown]
r"""
That check could have failed in two ways: one sentence, one query must give the numbers worked by hand above,
and five random sentences, the last with padding, must give what `utils.attention` gives. The library adds
clear errors, and gives zeros where all of a row is padding.
"""

# %% [markdown]
r"""
## A map of wishes

Stack the rows of all output words and you have the **attention map**: a row for each target word, a column
for each source word. Before looking at any model, say what you *want* to see.

**Predict.** Take "She loves cats" and "Elle aime les chats". Where should *aime* look? And *les*, which no
English word says?

<details><summary>One answer</summary>

*aime* should look at "loves". *les* belongs to "cats": English leaves the article out, and it takes "cats" to
know that the article is plural. So the two rows of *les* and *chats* may well be alike, and a word of the
source may serve more than one word of the target.

</details>
"""

# %% [markdown]
r"""
Here is such a wish, drawn by hand, for "The cat sat on the mat", *Le chat était assis sur le tapis*. In its
first rows, *Le* has 0.9 at "The" and 0.1 at "mat", *chat* 0.9 at "cat" and 0.1 at "mat", and *était* 0.8 at
"sat" with the rest beside it.

**Predict.** English has one word, "sat", where French has *était assis*. Which columns should the row of
*assis* light up? And which should the row of *sur*?
"""

# %%
english = ["The", "cat", "sat", "on", "the", "mat"]
french = ["Le", "chat", "était", "assis", "sur", "le", "tapis"]
wish = torch.tensor(
    [
        [0.9, 0.0, 0.0, 0.0, 0.0, 0.1],  # Le
        [0.0, 0.9, 0.0, 0.0, 0.0, 0.1],  # chat
        [0.0, 0.1, 0.8, 0.1, 0.0, 0.0],  # était
        [0.0, 0.2, 0.8, 0.0, 0.0, 0.0],  # assis: of "sat", masculine as "cat" is
        [0.0, 0.0, 0.1, 0.7, 0.0, 0.2],  # sur: "on", and what the cat sat on
        [0.0, 0.0, 0.0, 0.0, 0.7, 0.3],  # le: the second "the", masculine as "mat" is
        [0.0, 0.0, 0.0, 0.0, 0.1, 0.9],  # tapis
    ]
)
assert torch.allclose(wish.sum(-1), torch.ones(len(french))), "each row shares out one whole"
Figure(plot_attention(wish, english, french), "A hand-drawn map of 7 French by 6 English words. Bright cells "
       "run down the diagonal, except that both était and assis are bright at sat; sur is bright at on and "
       "fainter at mat; the second le is bright at the second the and fainter at mat.")  # fmt: skip

# %% [markdown]
r"""
*A hand-drawn wish: where we would like each French word to look.*

**What happened.** *sur* is the row to argue about. "on" alone does not settle it: in our reviews "on the
terrace" is *sur la terrasse*, but "on monday" is *lundi*, with no preposition at all. A decoder that peeks at
"mat" before it writes *sur* is careful, not confused.

Keep three questions from this picture. Is the tenth that *Le* gives to "mat" well placed, when its gender
comes from "cat"? Does a trained model's map look like the wish? And if it does not, is the model wrong, or
the wish?
"""

# %% [markdown]
r"""
## Four ways to score

The score is the one part of attention that leaves a choice. Four have become classics. Below, $s$ is the
query and $h$ a key, and the code is the equation for a whole batch.

| | equation | what is learned |
| --- | --- | --- |
| dot | $s \cdot h$ | nothing: query and key must learn to speak one language |
| scaled dot | $s \cdot h / \sqrt{d}$, with $d$ numbers a vector | nothing |
| multiplicative (Luong) | $s \cdot (W h)$ | $W$: which numbers of a key should meet which of a query |
| additive (Bahdanau) | $v \cdot \tanh(W s + U h)$ | $W$, $U$ and $v$: a small network |

The additive one is the oldest (2014), and the scaled dot product (2017) is what Transformers use. You will
write all four in the exercise; here you only need to see that each is a line or two.
"""


# %%
def scaled_dot_score(query, keys):
    return dot_score(query, keys) / math.sqrt(query.shape[-1])


class Multiplicative(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.W = nn.Linear(hidden, hidden, bias=False)

    def forward(self, query, keys):
        return query @ self.W(keys).transpose(1, 2)


class Additive(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.W, self.U = (nn.Linear(hidden, hidden, bias=False) for _ in range(2))
        self.v = nn.Linear(hidden, 1, bias=False)

    def forward(self, query, keys):
        pairs = self.W(query).unsqueeze(2) + self.U(keys).unsqueeze(1)  # (batch, tgt_len, src_len, hidden)
        return self.v(torch.tanh(pairs)).squeeze(-1)


# %% [markdown]
r"""
**Predict.** Vectors have 96 numbers, as in the models below. How many numbers does the multiplicative score
learn? And which of the four will be slowest? (Look for the largest tensor.)
"""

# %% claim
query, keys = torch.randn(2, 3, 7), torch.randn(2, 5, 7)
assert torch.allclose(scaled_dot_score(query, keys), library.scaled_dot_score(query, keys), atol=1e-6)

# %%
torch.manual_seed(0)
query, keys = torch.randn(64, 20, 96, requires_grad=True), torch.randn(64, 20, 96, requires_grad=True)
four = {"dot": dot_score, "scaled": scaled_dot_score, "multiplicative": Multiplicative(96),
        "additive": Additive(96)}  # fmt: skip
seconds = {name: [] for name in four}
for _ in range(15):  # in turns, so that a busy moment of the computer hits all alike
    for name, score in four.items():
        started = time.perf_counter()
        score(query, keys).backward(torch.ones(64, 20, 20))
        seconds[name].append(time.perf_counter() - started)
for name, score in four.items():
    learned = sum(p.numel() for p in score.parameters()) if isinstance(score, nn.Module) else 0
    ratio = min(seconds[name]) / min(seconds["dot"])
    print(f"{NAMES[name]:<24}{learned:>7,} parameters   {ratio:5.1f} x the time of dot")

# %% [markdown]
r"""
**What happened.** The parameters are $96^2$ for $W$, and twice that and $v$ for the additive score. The
additive score is slowest: it makes a vector for every *pair* of a query and a key and sends each of its
numbers through a tanh, where the others need a matrix product. The ratios are of this computer in this run
and of the score alone, not of a whole model, and they say nothing yet about quality. (Small differences are
noise: scaled dot does one operation more than dot, and may come out faster.)
"""

# %% claim
assert max(four, key=lambda name: min(seconds[name])) == "additive"

# %% [markdown]
r"""
## What √d is for

A dot product of longer vectors has more terms and wanders further from zero. Why should that matter? Because
a softmax answers to *differences*: where one score towers above the rest it puts all the weight there, and
then small changes of the scores change nothing. No change in the output means no gradient.

$$\frac{\partial \alpha_i}{\partial e_j} \;=\; \alpha_i\,(1_{i=j} - \alpha_j)$$

If one weight is 1 and the others 0, every entry of this matrix is 0. The next cell draws random queries and
ten keys each, with numbers of spread 1, and measures three things for growing $d$.

**Predict.** From $d = 16$ to $d = 1024$, a factor of 64: how much does the spread of the plain dot product
grow? And what happens to the gradient of its softmax?
"""


# %%
def saturation(scores):
    """Spread of the scores, mean largest weight, and mean norm of the softmax's gradient."""
    weights = torch.softmax(scores, dim=-1)  # (queries, keys)
    jacobian = torch.diag_embed(weights) - weights[:, :, None] * weights[:, None, :]
    return scores.std(), weights.max(-1).values.mean(), torch.linalg.matrix_norm(jacobian).mean()


torch.manual_seed(0)
sizes, found = [4, 16, 64, 256, 1024], {"dot": [], "scaled": []}
for d in sizes:
    query, keys = torch.randn(500, 1, d), torch.randn(500, 10, d)
    found["dot"].append(saturation(dot_score(query, keys)[:, 0]))
    found["scaled"].append(saturation(scaled_dot_score(query, keys)[:, 0]))
print(f"{'':<16}{'spread':>16}{'largest weight':>18}{'gradient':>16}\n{'d':<16}" + "   plain  scaled" * 3)
for d, plain, scaled in zip(sizes, found["dot"], found["scaled"], strict=True):
    print(f"{d:<16}" + "".join(f"{p:>8.3f}{s:>8.3f}" for p, s in zip(plain, scaled, strict=True)))

# %%
labels = "spread of the scores", "mean largest weight of ten", "norm of softmax's gradient"
figure, axes = plt.subplots(1, 3, figsize=(10, 2.9), layout="constrained")
for i, (ax, label) in enumerate(zip(axes, labels, strict=True)):
    curves = {name: [row[i] for row in rows] for name, rows in found.items()}
    plot_curves(curves, sizes, "d, numbers a vector", label, ax, legend=None if i else "inside")
    ax.set(xscale="log", ylim=(0, None))
    ax.set_xticks(sizes, sizes)
    ax.minorticks_off()
Figure(axes[0], "Three panels against d from 4 to 1024. Plain dot products: the spread climbs steeply, the "
       "largest weight climbs towards 1, the gradient falls. Scaled: all three stay level.")  # fmt: skip

# %% [markdown]
r"""
*With growing vectors the plain dot product saturates the softmax; the scaled one does not.*

**What happened.** The spread grows like $\sqrt d$: 64 times longer vectors, 8 times the spread. The largest
weight nears one and the gradient shrinks to about a fifth, so that a model learns ever less from a step;
divided by $\sqrt d$, nothing moves. These are random vectors, as at the start of training: a model may still
learn to make its vectors small, and at the modest size of our translators it may not need the root at all.
"""

# %% claim
plain, scaled = (dict(zip(sizes, torch.tensor(rows), strict=True)) for rows in found.values())
assert 7 < plain[1024][0] / plain[16][0] < 9 and plain[1024][1] > 0.85
assert 0.15 < plain[1024][2] / plain[16][2] < 0.25
assert all(abs(a - b) < 0.1 for a, b in zip(scaled[16], scaled[1024], strict=True))

# %% [markdown]
r"""
### Temperature: sharp or soft

Dividing scores by a number before the softmax is known as a **temperature** $T$. Cold makes a spotlight,
warm a floodlight. Here are the three scores worked out by hand above, 2, 3 and 1.

**Predict.** What are the three weights when $T$ is close to 0? And when $T$ is very large?
"""

# %%
temperatures = torch.logspace(-1.3, 2, 60)
weights = torch.softmax(torch.tensor([2.0, 3.0, 1.0]) / temperatures[:, None], dim=-1)  # (60, 3)
curves = dict(zip(("Je", "suis", "étudiant"), weights.T, strict=True))
ax = plot_curves(curves, temperatures, "temperature T (log axis)", "weight")
ax.axvline(1, color="0.6", lw=1)
ax.set(xscale="log", ylim=(-0.03, 1.03))
Figure(ax, "Three curves against temperature. At low temperature suis has weight 1 and the others 0. They "
       "approach each other with rising temperature and meet at one third.")  # fmt: skip

# %% [markdown]
r"""
*From a spotlight on one word to the same light for all; the grey line is the softmax as it is.*

**What happened.** Cold picks the best word, as a hard choice would; warm gives each a third; the order never
changes. So $\sqrt d$ is a temperature that grows with the vectors. A model can set its own temperature
too, by making its queries longer or shorter.
"""

# %% claim
assert weights[0, 1] > 0.99 and weights[-1].min() > 0.32
assert (weights.argsort(-1) == torch.tensor([2, 0, 1])).all()

# %% [markdown]
r"""
## Padding: who else is on the stage

Sentences of a batch share one tensor, so "She loves cats" is filled up to the length of its longest
neighbour. At padding our encoder's states are vectors of zeros. That sounds harmless, but a score of 0 is a
score like any other, and $\exp(0) = 1$.

**Predict.** Four real words score 0 each, and there are four tokens of padding. Without a mask, which share
of the attention lands on padding? And does it help that a trained model gives real words *different* scores?
"""

# %%
torch.manual_seed(0)
query, words = torch.randn(300, 1, 16), torch.randn(300, 4, 16)
print("padding tokens   all scores 0   random scores   with the mask")
for pads in (0, 4, 12, 36):
    keys = torch.cat([words, torch.zeros(300, pads, 16)], dim=1)  # (300, 4 + pads, 16)
    mask = (torch.arange(4 + pads) < 4).expand(300, -1)  # (300, 4 + pads), True = a real token
    flat = attend(0 * query, keys, keys, None, scaled_dot_score)[1]
    free = attend(query, keys, keys, None, scaled_dot_score)[1]
    masked = attend(query, keys, keys, mask, scaled_dot_score)[1]
    lost = [weights[..., 4:].sum(-1).mean().item() for weights in (flat, free, masked)]
    print(f"{pads:>14}{lost[0]:>15.2f}{lost[1]:>16.2f}{lost[2]:>16.2f}")

# %% [markdown]
r"""
**What happened.** Without the mask, padding takes its share, and the longer the neighbour, the larger it is:
a translation would depend on which sentences happen to share the batch. The mask sets these scores to
$-\infty$ *before* the softmax, so that the share is exactly 0 and the real words still sum to one. Different
scores help a little. Random ones are not those of a trained model: it could learn to score real words so high
that padding hardly counts, but that is effort spent on nothing, and it never reaches 0.
"""

# %% claim
assert lost[0] > lost[1] > 0.5 and lost[2] == 0

# %% [markdown]
r"""
## Now a real one

Enough made-up vectors. Six translators learn the reviews of one or two clauses: one for each score, one
whose attention also feeds its cell, and one more that gets help. Apart from that they are alike.

- **dot, scaled, multiplicative, additive** attend *after* the recurrent cell, with its new state as the query
  (Luong's way).
- **Bahdanau**'s attends *before* the cell, with the old state as the query, and the context is an input of
  the cell. Its score is additive.
- **guided**: a multiplicative one that is also shown where to look, for comparison. More on it below.

The grammar that wrote the reviews knows which French word renders which English one. These **gold links** let
us do what is rarely possible: measure whether a map is right. Two sentences are added by hand, with their
links.
"""

# %%
LESSON = Split(
    src=["the restaurant was amazing but the service was slow", "we did not like the cold pizza"],
    tgt=["le restaurant était incroyable mais le service était lent",
         "nous n' avons pas aimé la pizza froide"],
    links=[frozenset((i, i) for i in range(9)),
           frozenset([(0, 0), (2, 1), (1, 2), (2, 3), (3, 4), (4, 5), (6, 6), (5, 7)])],
    clauses=[2, 1],
)  # fmt: skip
CLAUSES, UPDATES, SEED = 2, 300, 0


def short_reviews():
    """The reviews of at most CLAUSES clauses, without the two sentences of this lesson, which are a split."""
    corpus, splits = load_reviews(), {"lesson": LESSON}
    for name, split in corpus.splits.items():
        short = [i for i, n in enumerate(split.clauses) if n <= CLAUSES and split.src[i] not in LESSON.src]
        splits[name] = split[short]
    return EncodedCorpus(replace(corpus, splits=splits))


encoded = short_reviews()
test = encoded.corpus["test"]
print(f"{len(encoded.corpus['train']):,} pairs to learn from, {len(test)} to test with")

# %% [markdown]
r"""
The guided model gets a second loss. Each French word's gold links are made into a row that sums to one, the
row that an ideal map would have, and cross-entropy pulls the model's weights towards it (Chen et al. 2016):

$$\text{loss} \;=\; -\sum_t \log p(y_t) \;-\; \sum_t \sum_i g_{t,i} \log \alpha_{t,i}$$

where $g$ is the gold row and each sum is taken as a mean over the words of the batch. It sees links of
*training* pairs only, like everything else it learns from.
"""


# %%
def link_loss(links, batch, weights):
    """Cross-entropy between gold rows and the model's weights, a mean over target words."""
    places = [(i, tgt, src) for i, row in enumerate(batch.rows) for src, tgt in links[row]]
    gold = torch.zeros_like(weights)  # (batch, tgt_len, src_len)
    gold[tuple(torch.tensor(places).T)] = 1.0
    gold = gold / gold.sum(-1, keepdim=True).clamp(min=1)
    return -(gold * weights.clamp(min=1e-9).log()).sum() / gold.sum()


def learn(context, guided=False):
    """Train one translator. Return the model, what it writes for the test reviews, and its maps of them."""
    encoded = short_reviews()
    links = encoded.corpus["train"].links
    seed_everything(SEED)
    model = Seq2Seq(len(encoded.src_vocab), len(encoded.tgt_vocab), context, embed_dim=64, hidden_dim=96)
    attention_loss = (lambda batch, weights: link_loss(links, batch, weights)) if guided else None
    train(model, encoded, UPDATES, curriculum=0.6, seed=SEED, attention_loss=attention_loss, progress=False)
    written = [" ".join(t.tokens) for t in translate(model, encoded, encoded.tokens("test", "src"))]
    return model, written, forced_weights(model, encoded, "test")


# %% [markdown]
r"""
The next cell takes about a minute on two cores.
"""

# %% claim
few_links, two_rows = {7: {(0, 0), (2, 1), (1, 1)}, 9: {(1, 0)}}, type("Batch", (), {"rows": [7, 9]})
even, gold = torch.full((2, 3, 5), 0.2), torch.zeros(2, 3, 5)
gold[0, 0, 0] = gold[1, 0, 1] = 1.0
gold[0, 1, 1:3] = 0.5
assert abs(link_loss(few_links, two_rows, even).item() - math.log(5)) < 1e-4
assert abs(link_loss(few_links, two_rows, gold).item() - math.log(2) / 3) < 1e-4

# %%
jobs = [dict(context="bahdanau"), dict(context="additive"), dict(context="multiplicative", guided=True)]
jobs += [dict(context=context) for context in ("multiplicative", "scaled", "dot")]
results = in_parallel(learn, jobs)
names = ["guided multiplicative" if job.get("guided") else NAMES[job["context"]] for job in jobs]
learned = dict(reversed(list(zip(names, results, strict=True))))

# %% [markdown]
r"""
### Before and after

First a map of a model that has learned nothing, and one of the same model trained. Both are asked for the
weights while they write the *right* translation, so that the rows are the same. The framed cells are the gold
links. (The end token's column is not drawn: a row whose light falls on it stays dark.)

**Predict.** What does the map look like before training: nearly even, or with bright cells at random places?
"""

# %%
words = encoded.tokens("lesson", "src")[0], encoded.tokens("lesson", "tgt")[0]
seed_everything(SEED)
untrained = Seq2Seq(len(encoded.src_vocab), len(encoded.tgt_vocab), "dot", embed_dim=64, hidden_dim=96)
panels = {f"dot, {name}": (forced_weights(model, encoded, "lesson")[0], *words, LESSON.links[0])
          for name, model in (("untrained", untrained), ("trained", learned["dot"][0]))}  # fmt: skip
print("the trained model itself writes:", *translate(learned["dot"][0], encoded, [words[0]])[0].tokens)
ax = plot_maps(panels, columns=2, size=(4.8, 3.8))
Figure(ax, "Two maps of 9 French by 9 English words on one colour scale. Untrained, the light is spread "
       "over whole rows without a pattern. Trained, single cells are bright, and framed gold cells run "
       "along the diagonal.", dpi=72)  # fmt: skip

# %% [markdown]
r"""
*"the restaurant was amazing but the service was slow", before and after training, on one colour scale.*

**What happened.** Before, every row is nearly even; after, there is a spotlight. Nobody told this model where
to look: it was only ever told which French word comes next. But one sentence in the order of English proves
little, for a diagonal is the easiest map there is, so let us measure.
"""

# %% claim
before, after = (forced_weights(model, encoded, "lesson")[0] for model in (untrained, learned["dot"][0]))
assert before.max() < 0.5 < after.max(-1).values.mean()

# %% [markdown]
r"""
### How wrong are the maps?

Link each French word to the English word with its largest weight, and compare with the gold links. The
**alignment error rate** (Och and Ney 2003) is 0 where all agree and 1 where none do. Three things keep us
honest:

- the **diagonal**, links drawn along it without looking at a word, is a baseline that needs no model;
- **one link a word** at best cannot reach 0: some French words have two gold links, as *du* ("of the") has;
- a **shift** of −1 or +1 moves all links one word along the source. A map that fits best when shifted is off
  by one; the honest reading is shift 0, and it is the one to quote.

**Predict.** BLEU, out of 100, stands next to it. Will the model that translates best have the best map? And
which row will have the least error?
"""


# %%
def errors(maps):
    """Alignment error rate of the largest weights at shift -1, 0 and +1, as the cells of a line."""
    return "".join(f"{error:>9.2f}" for error in alignment_errors(maps, test.links).values())


shapes = learned["dot"][2]
diagonal = [link_map(diagonal_links(w.shape[1], w.shape[0]), *w.shape) for w in shapes]
best = [link_map(links, *w.shape) for links, w in zip(test.links, shapes, strict=True)]
print(f"one seed, {UPDATES} updates{'':<19}BLEU [95% interval]   error at shift -1     0    +1")
for name, (_, written, maps) in learned.items():
    score = bleu(written, test.tgt)
    quality = f"{score.score:.1f} [{score.low:.1f}, {score.high:.1f}]"
    print(f"{name:<40}{quality:<20}{errors(maps)}")
for name, maps in ("the diagonal", diagonal), ("one right link a word", best):
    print(f"{name:<60}{errors(maps)}")

# %% [markdown]
r"""
**What happened.** The guided model's map is as near to gold as one link per word can be. The others are far
from it: their errors go from {error[low]:.2f} to {error[high]:.2f}, where the diagonal, which never looked at
a word, has {error[diagonal]:.2f}. Yet all of them translate well: the lowest BLEU is {lowest:.0f}. So a good
translation does not need a right map. All fit best unshifted, so none is simply off by one. One seed and a
short training cannot rank the scores (the intervals are about test sentences, not about seeds).
"""

# %% claim
error = {name: alignment_errors(maps, test.links) for name, (_, _, maps) in learned.items()}
free = [name for name in learned if name != "guided multiplicative"]
assert len(free) == 5 and all(min(found.values()) == found[0] for found in error.values())
assert error["guided multiplicative"][0] < 0.05 < min(error[name][0] for name in free)
lowest = min(bleu(written, test.tgt, n_bootstrap=0).score for _, written, _ in learned.values())
assert lowest > 85
numbers["lowest"] = lowest
numbers["error"] = {
    "low": min(error[name][0] for name in free),
    "high": max(error[name][0] for name in free),
    "diagonal": alignment_errors(diagonal, test.links)[0],
}

# %% [markdown]
r"""
### Why a good translator may have a poor map

Where do the wrong links land? The next cell sorts the links of each model: on a gold word, right next to one,
or farther off, for articles and for all other words.

**Predict.** If a model made its mistakes at random, most of them would be far off. What do you expect?
"""

# %%
ARTICLES = {"le", "la", "l'", "les", "un", "une"}


def landings(maps):
    """How often other words (row 0) and articles (row 1) are linked right, next door, or farther off."""
    counts = torch.zeros(2, 3)
    for weights, tokens, gold in zip(maps, encoded.tokens("test", "tgt"), test.links, strict=True):
        for src, tgt in hard_alignment(weights):
            away = min(abs(src - right) for right, word in gold if word == tgt)
            counts[int(tokens[tgt] in ARTICLES), min(away, 2)] += 1
    return counts / counts.sum(-1, keepdim=True)


print(f"{'':<40}{'other words':^18}   {'articles':^18}   mean largest\n{'':<40}"
      + " right  next   far   " * 2 + "weight")  # fmt: skip
for name, (_, _, maps) in learned.items():
    other, article = ("".join(f"{share:6.0%}" for share in row) for row in landings(maps))
    sharpness = torch.cat([weights.max(-1).values for weights in maps]).mean()
    print(f"{name:<40}{other}   {article}{sharpness:9.2f}")

# %% [markdown]
r"""
**What happened.** Without guidance, most wrong links of these other words land next door. Three reasons fit:

- **States smear.** The encoder reads in both directions, so the state at a word also holds its neighbours. A
  decoder finds "slow" at "was" as well, and nothing in the translation loss prefers one place to the other.
- **An article asks for its noun.** Whether to write *le* or *la* is decided by the noun, which stands next
  door or one adjective farther off, and "the" says nothing about it. To look there is right for translating
  and wrong for the gold links.
- **Bahdanau's decoder asks early, and remembers.** It asks before it has read the word that it wrote last,
  and what it finds goes into the cell: what is looked up at one step can serve a later one.

The table shows where links land; it does not prove why. Lesson 04 looks closer.
"""

# %% claim
for name, (_, _, maps) in learned.items():
    (_, beside, far), _ = landings(maps).tolist()
    assert beside > far or name == "guided multiplicative"

# %% [markdown]
r"""
### One sentence, six maps

In "we did not like the cold pizza" the adjective changes its place, and the negation stands around the verb's
auxiliary. As before, the maps are those of the *right* translation; what each model writes by itself is
printed.

**Predict.** Which two frames swap sides because French puts *froide* last? Which column has two frames?
"""

# %%
words = encoded.tokens("lesson", "src")[1], encoded.tokens("lesson", "tgt")[1]
panels = {}
for name, (model, _, _) in learned.items():
    panels[name] = forced_weights(model, encoded, "lesson")[1], *words, LESSON.links[1]
    print(f"{name:<40}", *translate(model, encoded, [words[0]])[0].tokens)
Figure(plot_maps(panels), "Six maps of one sentence, 8 French by 7 English words, on one colour scale. The "
       "guided model's bright cells lie in the gold frames, with pizza and froide crossing over. In the "
       "others some bright cells lie beside their frames.", dpi=72)  # fmt: skip

# %% [markdown]
r"""
*Six models, one sentence, one colour scale; frames are gold links.*

**What happened.** In most maps *pizza* and *froide* cross over, so a map need not be diagonal, and no rule
about French adjectives was programmed. Many bright cells lie outside the frames. Compare each map with what
its model writes by itself: a translation can be right although its map is not. One sentence shows what can
happen, not how often.
"""

# %% claim
places = [weights.argmax(-1).tolist() for weights, *_ in panels.values()]
assert sum(row[-1] < row[-2] for row in places) > 3  # froide looks left of pizza

# %% [markdown]
r"""
### What guidance buys, and costs

Compare the guided model with the plain multiplicative one: the same model, the same reviews, one more loss.
Its map reads like an alignment because it was *taught* to be one, and its BLEU is {score[guided]:.1f}, where
the plain model has {score[plain]:.1f} (one seed). That took the gold links of every training pair, which real
text does not come with; there one would take them from a separate alignment tool. And a right map is still no
proof of what a model did with what it saw.
"""

# %% claim
both = {"guided": "guided multiplicative", "plain": NAMES["multiplicative"]}
numbers["score"] = {key: bleu(learned[name][1], test.tgt, n_bootstrap=0).score for key, name in both.items()}

# %% [markdown]
r"""
### One seed is not enough

These were single trainings of one size on one small world. Lesson 03 trains the scores with several seeds and
asks which differences are real, and lesson 04 looks closer at the maps.

What of the great promise, that attention lets us see what a model does? A map shows where its contexts came
from, and that is more than a single vector ever showed. It is a reading aid, not a word alignment.
"""

# %% [markdown]
r"""
## Check yourself

Answer aloud, then unfold.

<details><summary>What are query, keys and values in our translators?</summary>

The query is the decoder's state at one output word. Keys and values are the same vectors, the encoder's
states, one for each source word: as keys they are compared with the query, as values they are blended.

</details>

<details><summary>What do equal scores say of their weights? And if 5 is added to all scores?</summary>

Equal scores give equal weights. Adding the same number to all changes nothing: a softmax answers to
differences only.

</details>

<details><summary>Why is the dot product divided by √d, and not by d?</summary>

With independent numbers of spread 1, the dot product of d of them has spread √d. Dividing by d would make the
scores of long vectors nearly equal, and the weights flat.

</details>

<details><summary>Padding has states of zeros. Why does it need a mask?</summary>

Its score is 0, and exp(0) is 1: it takes a share like any word. Only a score of −∞ before the softmax gives a
weight of exactly 0.

</details>

<details><summary>A model translates perfectly and its alignment error is 0.3. Is the model wrong?</summary>

Not as a translator. The state at a neighbour may hold what it needed, an article is right to look at its
noun, and a decoder may remember what it read before. Its largest weights are just not word alignments.

</details>

## Looking back

- A step of attention compares a query with every key, shares one whole out over the words, and blends the
  values: scores, weights, context, output.
- The four scores differ in what they learn and cost; √d keeps the softmax awake, and the mask keeps padding
  off the stage.
- Trained maps tell a lot, but a good translation does not need a clean map; ours became clean when they were
  taught to be.

**One thing to try.** Change `SEED` and run the last trainings again. Which rows of the two tables change
least?

Now build it yourself, in **exercise 02**. And a question to take along: what if the words of *one* sentence
asked each other which of them matter now? That is self-attention, and it waits in lesson 07.
"""
