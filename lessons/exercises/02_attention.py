# %% [markdown]
r"""
# Exercise 02 · Build the spotlight

**How does a decoder look back at its source, and how does it know where?**

Without attention, a translator sits a closed-book exam: it reads the whole sentence, keeps one vector, and
writes from memory. Attention opens the book. For every word it writes, the decoder asks each source word
"how much do you matter now?" and works with a blend of the answers. You saw this in demo 02. Here you build
it, in small functions that the translator of the next lesson is made of.

You will

- **implement** four ways to score how well a word of the source fits the decoder's question,
- **turn** scores into weights that ignore padding, and weights into a context,
- **explain** why this helps, and what the weights do not tell.

About 90 minutes, 17 points: 2 each for exercises 2.1 to 2.4, 3 each for 2.5 and 2.6, and 3 for a written
answer. Every exercise stands alone: you can do them in any order. Where one needs what another asks
for, use the course's own version, `library.dot_score` for instance: then a mistake in one costs nothing in
the next.
"""

# %% [markdown]
r"""
### How an exercise works

Replace `raise NotImplementedError` by your answer, run the cell, then run the tests below it. They say in
words what they check. When the work is graded, more tests of the same kind run on other numbers: other
sizes, padding, single tokens, zeros. If you are stuck, open the first hint, and the second one only if you
need it.

A few words are used throughout. The **query** is what the decoder asks with, its state at one output word.
Each source word has a **key**, which the query is compared with, and a **value**, which is handed over; in
a translator both are the encoder's state at that word. The **scores** say how well each key fits the query.
A softmax turns them into **weights**, which sum to one, and the values blended by these weights are the
**context**.

| size | counts |
| --- | --- |
| `batch` | sentences that are worked on together |
| `tgt_len` | queries: words to write in each sentence |
| `src_len` | keys: words of each source sentence |
| `hidden` | numbers in one query or key |

Models learn *through* these functions, so keep to torch operations, and let results keep the dtype and the
device of what came in.
"""

# %%
import math

import matplotlib.pyplot as plt
import torch
from torch import nn

from utils import attention as library

# %% [markdown]
r"""
### Exercise 2.1 · Score by the dot product

10 min · ●○○ · 2 points

Compare every query with every key of the same sentence, by their dot product.

$$e_{t,s} \;=\; q_t \cdot k_s \;=\; \sum_{i=1}^{\text{hidden}} q_{t,i}\, k_{s,i}$$

In code, $q_t$ is `query[b, t]`, $k_s$ is `keys[b, s]` and $e_{t,s}$ is `scores[b, t, s]`, for sentence `b`.

| | shape |
| --- | --- |
| in: `query` | (batch, tgt_len, hidden) |
| in: `keys` | (batch, src_len, hidden) |
| out: `scores` | (batch, tgt_len, src_len) |

**By hand.** The source is "She loves cats", and the decoder is about to write "aime". Its query is
(1, 2, 0, 0).

| key | numbers | dot product with the query |
| --- | --- | --- |
| She | (1, 0, 0, 1) | 1·1 + 2·0 + 0·0 + 0·1 = 1 |
| loves | (0, 2, 1, 0) | 1·0 + 2·2 + 0·1 + 0·0 = **4** |
| cats | (1, 0, 1, 0) | 1·1 + 2·0 + 0·1 + 0·0 = 1 |

So `scores` is `[[[1, 4, 1]]]`, of shape (1, 1, 3): one sentence, one query, three keys.
"""


# %% answer="dot_score"
def dot_score(query, keys):
    """Score every key by its dot product with the query.

    query (batch, tgt_len, hidden) and keys (batch, src_len, hidden) give scores
    (batch, tgt_len, src_len), in their dtype. Luong et al. 2015, equation 8, "dot".
    """
    ### BEGIN SOLUTION
    return query @ keys.transpose(1, 2)  # (batch, tgt_len, src_len)

    # Why so: @ adds up over the last axis of the left and the last but one of the right, so hidden must stand
    # there on both sides. transpose(1, 2) turns the keys; reshape would only deal the numbers out anew and
    # mix up the keys. The first axis is the batch: each sentence meets its own keys. No loop is needed, and
    # all queries are served in one product, which is what makes training fast later on.
    ### END SOLUTION


# %% [markdown]
r"""
<details><summary>Hint 1</summary>

Write the two shapes one below the other. One axis appears in both and must disappear: the sum runs over it.

</details>

<details><summary>Hint 2</summary>

`a @ b` multiplies matrices and treats the first axis as the batch: (batch, n, m) @ (batch, m, p) gives
(batch, n, p). The keys have their axes in the wrong order for that; `tensor.transpose(1, 2)` swaps two of
them. (`reshape` does not swap axes.)

</details>
"""

# %%
# A free cell: try things out. Nothing here is graded.
query = torch.tensor([[[1.0, 2.0, 0.0, 0.0]]])
keys = torch.tensor([[[1.0, 0.0, 0.0, 1.0], [0.0, 2.0, 1.0, 0.0], [1.0, 0.0, 1.0, 0.0]]])
dot_score(query, keys)

# %% test="dot_score" points=2
import torch
from grading.checks import check

# On random numbers, beside the course's own: a mistake that it knows is named.
check("dot_score", dot_score, cases="visible")

# By hand: the query of "aime" against the keys of "She loves cats".
query = torch.tensor([[[1.0, 2.0, 0.0, 0.0]]])
keys = torch.tensor([[[1.0, 0.0, 0.0, 1.0], [0.0, 2.0, 1.0, 0.0], [1.0, 0.0, 1.0, 0.0]]])
scores = dot_score(query, keys)
assert scores.tolist() == [[[1.0, 4.0, 1.0]]], f"scores should be [[[1, 4, 1]]], but are {scores.tolist()}"

# Shapes: 2 sentences, 3 queries, 5 keys, 7 numbers each. The order of the axes matters.
query, keys = torch.randn(2, 3, 7, dtype=torch.float64), torch.randn(2, 5, 7, dtype=torch.float64)
scores = dot_score(query, keys)
assert scores.shape == (2, 3, 5), f"the shape should be (2, 3, 5), but is {tuple(scores.shape)}"
assert scores.dtype == torch.float64, f"queries in float64 give scores in float64, not {scores.dtype}"

# One pair alone: the last query of the second sentence, and the last key of that sentence.
alone = torch.dot(query[1, 2], keys[1, 4])
assert torch.isclose(scores[1, 2, 4], alone), "scores[1, 2, 4] should be query[1, 2] . keys[1, 4]"

# Zeros: a query of zeros prefers no key.
assert (dot_score(torch.zeros(2, 3, 7), torch.randn(2, 5, 7)) == 0).all(), "zeros should score 0 with any key"
print("2.1: all tests that you can see pass")

### BEGIN HIDDEN TESTS
check("dot_score", dot_score)
### END HIDDEN TESTS

# %% [markdown]
r"""
### Exercise 2.2 · Scale the scores

10 min · ●○○ · 2 points

A dot product of longer vectors has more terms and so wanders further from zero; divide it by the square
root of the vectors' length, and its spread no longer depends on that length.

$$e_{t,s} \;=\; \frac{q_t \cdot k_s}{\sqrt{\text{hidden}}}$$

| | shape |
| --- | --- |
| in: `query` | (batch, tgt_len, hidden) |
| in: `keys` | (batch, src_len, hidden) |
| out: `scores` | (batch, tgt_len, src_len) |

**By hand.** For "aime" the dot products with She, loves and cats were 1, 4 and 1. The vectors have four
numbers, and $\sqrt{4} = 2$, so the scores are 0.5, **2** and 0.5.
"""


# %% answer="scaled_dot_score"
def scaled_dot_score(query, keys):
    """Score every key by its dot product with the query, divided by the square root of their length.

    query (batch, tgt_len, hidden) and keys (batch, src_len, hidden) give scores
    (batch, tgt_len, src_len), in their dtype. Vaswani et al. 2017, equation 1.
    """
    ### BEGIN SOLUTION
    return query @ keys.transpose(1, 2) / math.sqrt(query.shape[-1])  # (batch, tgt_len, src_len)

    # Why so: if the numbers of q and k are independent with variance 1, each product q_i k_i has variance 1
    # too, and the sum of hidden of them has variance hidden: its spread is the root of hidden. Dividing by
    # hidden itself would make the scores of long vectors nearly equal. The length is shape[-1]: shape[1] is
    # tgt_len for the query and src_len for the keys, and has nothing to do with the size of a dot product.
    ### END SOLUTION


# %% [markdown]
r"""
<details><summary>Hint 1</summary>

Which axis of `query` is `hidden`? `query.shape` has three numbers, and only one of them is right here.

</details>

<details><summary>Hint 2</summary>

Divide the dot products by `math.sqrt(...)` of the length of the last axis. `library.dot_score(query, keys)`
gives you the plain scores. (Your own from 2.1 would do too, but then a mistake there counts here as well.)

</details>
"""

# %% [markdown]
r"""
**Predict.** The next cell draws queries and keys at random and prints the spread (standard deviation) of
their scores, for 16 and for 256 numbers a vector. How many times larger is the spread of the *plain* dot
product with 256? And that of the scaled one?
"""

# %%
# A free cell: change the sizes, and see if your rule still holds.
for hidden in (16, 256):
    queries, keys = torch.randn(1, 300, hidden), torch.randn(1, 300, hidden)
    plain, scaled = library.dot_score(queries, keys), scaled_dot_score(queries, keys)
    print(f"hidden {hidden:>3}: spread {plain.std():5.2f} plain, {scaled.std():4.2f} scaled")

# %% [markdown]
r"""
**Reflect.** The plain spread grows four times, from about 4 to about 16: by the root of the factor 16. The
scaled one stays near 1. This holds for random vectors; it does not say that a trained model without the
root must fail, only that its softmax starts out much sharper.
"""

# %% test="scaled_dot_score" points=2
import torch
from grading.checks import check

# On random numbers, beside the course's own: a mistake that it knows is named.
check("scaled_dot_score", scaled_dot_score, cases="visible")

# By hand: four numbers a vector, so the scores 1, 4, 1 are halved.
query = torch.tensor([[[1.0, 2.0, 0.0, 0.0]]])
keys = torch.tensor([[[1.0, 0.0, 0.0, 1.0], [0.0, 2.0, 1.0, 0.0], [1.0, 0.0, 1.0, 0.0]]])
scores = scaled_dot_score(query, keys)
by_hand = torch.tensor([[[0.5, 2.0, 0.5]]])
assert torch.allclose(scores, by_hand), f"scores should be [[[0.5, 2, 0.5]]], but are {scores.tolist()}"

# Shapes and one pair alone: 2 sentences, 3 queries, 5 keys, 7 numbers each.
query, keys = torch.randn(2, 3, 7), torch.randn(2, 5, 7)
scores = scaled_dot_score(query, keys)
assert scores.shape == (2, 3, 5), f"the shape should be (2, 3, 5), but is {tuple(scores.shape)}"
alone = torch.dot(query[1, 2], keys[1, 4]) / 7**0.5
assert torch.isclose(scores[1, 2, 4], alone, atol=1e-5), "scores[1, 2, 4] should be divided by the root of 7"

# Length one: the root of 1 is 1, so a single number is not changed.
scores = scaled_dot_score(torch.full((1, 1, 1), 3.0), torch.full((1, 1, 1), 5.0))
assert scores.tolist() == [[[15.0]]], f"3 times 5 over the root of 1 is 15, not {scores.tolist()}"
print("2.2: all tests that you can see pass")

### BEGIN HIDDEN TESTS
check("scaled_dot_score", scaled_dot_score)
### END HIDDEN TESTS

# %% [markdown]
r"""
### Exercise 2.3 · Score through a learned matrix

10 min · ●●○ · 2 points

Let the model learn which numbers of a key should meet which numbers of a query: put a matrix between them.

$$e_{t,s} \;=\; q_t \cdot (W k_s)$$

In code, $W$ is the weight of `self.key_proj`, and `self.key_proj(keys)` gives $W k_s$ for every key at
once. Query and key may now have different sizes.

| | shape |
| --- | --- |
| in: `query` | (batch, tgt_len, query_dim) |
| in: `keys` | (batch, src_len, key_dim) |
| out: `scores` | (batch, tgt_len, src_len) |

**By hand.** With $q = (1, 2)$, $k = (3, 1, 1)$ and

$$W = \begin{pmatrix} 1 & 0 & 1 \\ 0 & 1 & 0 \end{pmatrix}, \qquad W k = (3 + 1,\; 1) = (4, 1), \qquad
q \cdot (W k) = 1 \cdot 4 + 2 \cdot 1 = \mathbf{6}.$$

`__init__` is given, so write `forward` only.
"""


# %% answer="MultiplicativeScore"
class MultiplicativeScore(nn.Module):
    """Score every key by q . (W k), with W learned. Luong et al. 2015, equation 8, "general"."""

    def __init__(self, query_dim, key_dim):
        super().__init__()
        self.key_proj = nn.Linear(key_dim, query_dim, bias=False)

    def forward(self, query, keys):
        """Score every key against every query.

        query (batch, tgt_len, query_dim) and keys (batch, src_len, key_dim) give scores
        (batch, tgt_len, src_len), in their dtype.
        """
        ### BEGIN SOLUTION
        projected = self.key_proj(keys)  # (batch, src_len, query_dim)
        return query @ projected.transpose(1, 2)  # (batch, tgt_len, src_len)

        # Why so: once the keys are projected they have the size of a query, and the rest is the dot product.
        # With W the identity this is dot_score, so this score can do all that the dot product can. Projecting
        # the query instead would compute q . (W^T k): other numbers, and an error where the sizes differ.
        # No root is needed: W is learned and finds its own scale.
        ### END SOLUTION


# %% [markdown]
r"""
<details><summary>Hint 1</summary>

What is the shape of `self.key_proj(keys)`? What is left to do is a dot product, as in exercise 2.1
(`library.dot_score` if you would rather not rely on your own).

</details>

<details><summary>Hint 2</summary>

`self.key_proj(keys)` is (batch, src_len, query_dim). The score is the dot product of each query with each of
these projected keys.

</details>
"""

# %%
# A free cell: scores of 4-number queries against 6-number keys, before anything is learned.
MultiplicativeScore(query_dim=4, key_dim=6)(torch.randn(1, 2, 4), torch.randn(1, 3, 6))

# %% test="MultiplicativeScore" points=2
import torch
from grading.checks import check

# On random numbers, beside the course's own: a mistake that it knows is named.
check("MultiplicativeScore", MultiplicativeScore, cases="visible")

# By hand: q = (1, 2), k = (3, 1, 1), and W of two rows and three columns.
score = MultiplicativeScore(query_dim=2, key_dim=3)
score.key_proj.weight.data = torch.tensor([[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
scores = score(torch.tensor([[[1.0, 2.0]]]), torch.tensor([[[3.0, 1.0, 1.0]]]))
assert scores.tolist() == [[[6.0]]], f"the score should be 6, but is {scores.tolist()}"

# Shapes: 2 sentences, 3 queries of 7 numbers, 5 keys of 11 numbers; then a single decoding step.
score, query, keys = MultiplicativeScore(7, 11), torch.randn(2, 3, 7), torch.randn(2, 5, 11)
scores, step = score(query, keys), score(query[:, :1], keys)
assert scores.shape == (2, 3, 5), f"the shape should be (2, 3, 5), but is {tuple(scores.shape)}"
assert step.shape == (2, 1, 5), f"one step should give (2, 1, 5), but gives {tuple(step.shape)}"

# One pair alone: the last query of the second sentence, and the last key of that sentence.
alone = torch.dot(query[1, 2], score.key_proj(keys[1, 4]))
assert torch.isclose(scores[1, 2, 4], alone, atol=1e-5), "should be query[1, 2] . W keys[1, 4]"

# Learning: a gradient reaches W.
scores.sum().backward()
assert score.key_proj.weight.grad is not None, "no gradient reaches key_proj: is it used, without detach()?"

# Zeros: keys of zeros score 0, whatever W is.
assert (score(query, torch.zeros(2, 5, 11)) == 0).all(), "keys of zeros should score 0: W k is zero"
print("2.3: all tests that you can see pass")

### BEGIN HIDDEN TESTS
check("MultiplicativeScore", MultiplicativeScore)
### END HIDDEN TESTS

# %% [markdown]
r"""
### Exercise 2.4 · Score with a small network

15 min · ●●○ · 2 points

The first attention of all did not multiply: it adds a projected query and a projected key, squashes the
sum with tanh, and lets a vector $v$ turn the result into one number.

$$e_{t,s} \;=\; v \cdot \tanh(W q_t + U k_s)$$

In code, $W$, $U$ and $v$ are the weights of `self.query_proj`, `self.key_proj` and `self.v`. Each query must
meet each key, so the sum needs four axes for a moment: (batch, tgt_len, src_len, attn_dim).

| | shape |
| --- | --- |
| in: `query` | (batch, tgt_len, query_dim) |
| in: `keys` | (batch, src_len, key_dim) |
| out: `scores` | (batch, tgt_len, src_len) |

**By hand.** Let $W$ and $U$ change nothing (identity matrices), $v = (1, 2)$ and $q = (1, 0)$. You need three
values: $\tanh(0) = 0$, $\tanh(1) \approx 0.7616$ and $\tanh(2) \approx 0.9640$.

| key | sum $W q + U k$ | tanh of it | times $v$, added up |
| --- | --- | --- | --- |
| (−1, 0) | (0, 0) | (0, 0) | 0 |
| (1, 1) | (2, 1) | (0.9640, 0.7616) | 1 · 0.9640 + 2 · 0.7616 = **2.4872** |
"""


# %% answer="AdditiveScore"
class AdditiveScore(nn.Module):
    """Score every key by v . tanh(W q + U k), all learned. Bahdanau et al. 2015, appendix A.1.2."""

    def __init__(self, query_dim, key_dim, attn_dim):
        super().__init__()
        self.query_proj = nn.Linear(query_dim, attn_dim, bias=False)
        self.key_proj = nn.Linear(key_dim, attn_dim, bias=False)
        self.v = nn.Linear(attn_dim, 1, bias=False)

    def forward(self, query, keys):
        """Score every key against every query.

        query (batch, tgt_len, query_dim) and keys (batch, src_len, key_dim) give scores
        (batch, tgt_len, src_len), in their dtype.
        """
        ### BEGIN SOLUTION
        asked = self.query_proj(query).unsqueeze(2)  # (batch, tgt_len, 1, attn_dim)
        offered = self.key_proj(keys).unsqueeze(1)  # (batch, 1, src_len, attn_dim)
        met = torch.tanh(asked + offered)  # (batch, tgt_len, src_len, attn_dim)
        return self.v(met).squeeze(-1)  # (batch, tgt_len, src_len)

        # Why so: an axis of length 1 is stretched to fit the other side, so the sum pairs every query with
        # every key without a loop. The tanh is what makes the query matter: without it the score would be
        # v . W q + v . U k, the query would add the same number to all keys, and the softmax removes that.
        # squeeze(-1) drops only the axis that v left behind; a bare squeeze() would also drop a batch of one.
        # The price is the tensor of four axes: more memory and time than one matrix product.
        ### END SOLUTION


# %% [markdown]
r"""
<details><summary>Hint 1</summary>

Project both first. Then you have (batch, tgt_len, attn_dim) and (batch, src_len, attn_dim), which cannot be
added as they are: tgt_len and src_len stand in the same place. Where would an extra axis help?

</details>

<details><summary>Hint 2</summary>

`x.unsqueeze(2)` turns (batch, tgt_len, attn_dim) into (batch, tgt_len, 1, attn_dim), and torch stretches an
axis of length 1 when it adds. Give the keys an axis for the queries in the same way. `self.v(...)` leaves a
last axis of length 1; drop that one only, with `squeeze(-1)`.

</details>
"""

# %%
# A free cell: one query, two keys, and the numbers of the table above.
score = AdditiveScore(query_dim=2, key_dim=2, attn_dim=2)
score.query_proj.weight.data = score.key_proj.weight.data = torch.eye(2)
score.v.weight.data = torch.tensor([[1.0, 2.0]])
score(torch.tensor([[[1.0, 0.0]]]), torch.tensor([[[-1.0, 0.0], [1.0, 1.0]]]))

# %% test="AdditiveScore" points=2
import torch
from grading.checks import check

# On random numbers, beside the course's own: a mistake that it knows is named.
check("AdditiveScore", AdditiveScore, cases="visible")

# By hand: W and U are identities, v = (1, 2), q = (1, 0), and two keys.
score, query = AdditiveScore(query_dim=2, key_dim=2, attn_dim=2), torch.tensor([[[1.0, 0.0]]])
score.query_proj.weight.data, score.key_proj.weight.data = torch.eye(2), torch.eye(2)
score.v.weight.data = torch.tensor([[1.0, 2.0]])
scores, by_hand = score(query, torch.tensor([[[-1.0, 0.0], [1.0, 1.0]]])), torch.tensor([[[0.0, 2.4872]]])
assert torch.allclose(scores, by_hand, atol=1e-3), f"should be [[[0, 2.4872]]], but is {scores.tolist()}"

# Shapes: 2 sentences, 3 queries of 7 numbers, 5 keys of 11, and 13 inside; then a batch and a step of one.
score, query, keys = AdditiveScore(7, 11, 13), torch.randn(2, 3, 7), torch.randn(2, 5, 11)
scores, one = score(query, keys), score(query[:1, :1], keys[:1])
assert scores.shape == (2, 3, 5), f"the shape should be (2, 3, 5), but is {tuple(scores.shape)}"
assert one.shape == (1, 1, 5), f"one sentence and one query should give (1, 1, 5), not {tuple(one.shape)}"

# Learning: gradients reach all three, W, U and v.
scores.square().sum().backward()
for name, parameter in score.named_parameters():
    assert parameter.grad is not None and parameter.grad.any(), f"no gradient reaches {name}: is it used?"

# Zeros: tanh(0) is 0, so zeros score 0.
assert (score(torch.zeros(2, 3, 7), torch.zeros(2, 5, 11)) == 0).all(), "zeros should score 0: tanh(0) is 0"
print("2.4: all tests that you can see pass")

### BEGIN HIDDEN TESTS
check("AdditiveScore", AdditiveScore)
### END HIDDEN TESTS

# %% [markdown]
r"""
### Exercise 2.5 · From scores to weights, without the padding

20 min · ●●● · 3 points

Share one whole of attention out over the **real** keys of each row: a softmax that leaves padding out.

$$\alpha_{t,s} \;=\; \frac{\exp(e_{t,s})}{\sum_{j \text{ real}} \exp(e_{t,j})}
\;\text{ where } s \text{ is real,} \qquad \alpha_{t,s} = 0 \;\text{ where it is padding}$$

Sentences of different lengths share a batch, so the shorter ones are filled up. A mask says which tokens
are real:

| | | | | |
| --- | --- | --- | --- | --- |
| The | restaurant | was | amazing | `[True, True, True, True]` |
| She | loves | cats | *padding* | `[True, True, True, False]` |

| | shape |
| --- | --- |
| in: `scores` ($e$) | (batch, tgt_len, src_len) |
| in: `mask` | (batch, src_len), or (batch, tgt_len, src_len), or `None` where all keys are real |
| out: `weights` ($\alpha$) | (batch, tgt_len, src_len) |

The mask is of type bool, True for a real token. A mask of three axes has a row of its own for each query.
Scores may be large, in the thousands: `torch.softmax` can deal with that. And a row may have no real key at
all. It has nothing to attend to, so its weights are zeros, never NaN, and its gradient is zeros too.

**By hand.** Scores $(0,\; \ln 3,\; 5)$ and mask (True, True, False): the third key is padding, so its large
score does not count. $\exp(0) = 1$ and $\exp(\ln 3) = 3$ add up to 4, and the weights are
$(\tfrac14, \tfrac34, 0)$.
"""


# %% answer="masked_softmax"
def masked_softmax(scores, mask):
    """Turn scores into weights: softmax over the keys that are real tokens, exactly 0 for the others.

    scores (batch, tgt_len, src_len); mask bool, True = a real token, (batch, src_len) or
    (batch, tgt_len, src_len), or None where every key is real. Give weights of the scores' shape and
    dtype. A row without a real token is zeros, and its gradient is zeros, never NaN.
    Bahdanau et al. 2015, equation 6, with padding left out of the sum.
    """
    ### BEGIN SOLUTION
    if mask is None:
        return torch.softmax(scores, dim=-1)
    if mask.dim() == 2:
        mask = mask.unsqueeze(1)  # (batch, 1, src_len): the same for every query
    empty = ~mask.any(-1, keepdim=True)  # rows with nothing to attend to
    scores = scores.masked_fill(~mask, -math.inf).masked_fill(empty, 0.0)
    return torch.softmax(scores, dim=-1).masked_fill(~mask, 0.0)

    # Why so: exp(-inf) is exactly 0, so padding drops out of the sum above as well as below the fraction, and
    # the rest still adds up to 1. Masking after the softmax would leave less than 1. A score of 0 is no mask,
    # since exp(0) = 1, and -1e9 is one only as long as some key is real. A row of -inf alone is 0 / 0: it
    # gets harmless zeros before the softmax and is set to 0 after it, so that no NaN exists at any time. To
    # repair a NaN afterwards is risky: numbers look right, but the gradient may go back through it.
    # masked_fill without an underscore makes a new tensor: the caller's scores stay as they are.
    ### END SOLUTION


# %% [markdown]
r"""
<details><summary>Hint 1</summary>

Which score would give a weight of exactly 0, given that $\exp$ is never 0 for a number? Put it in *before*
the softmax. And over which axis must the weights add up to 1?

</details>

<details><summary>Hint 2</summary>

`scores.masked_fill(~mask, -math.inf)` gives a new tensor with -inf where the mask is False. A mask of two
axes first needs one for the queries: `mask.unsqueeze(1)`.

</details>

<details><summary>Hint 3: the row with nothing to attend to</summary>

Its softmax would be 0 / 0. `mask.any(-1, keepdim=True)` tells which rows have a real token. Give the other
rows any finite scores before the softmax, and weights of 0 after it.

</details>
"""

# %%
# A free cell: the two sentences above, all scores equal. What do you expect for the second one?
mask = torch.tensor([[True, True, True, True], [True, True, True, False]])
masked_softmax(torch.zeros(2, 1, 4), mask)

# %% test="masked_softmax" points=3
import math

import torch
from grading.checks import check

# On random numbers, beside the course's own: a mistake that it knows is named.
check("masked_softmax", masked_softmax, cases="visible")

# By hand: scores 0, ln 3 and 5, the last one padding; with and without the mask.
scores = torch.tensor([[[0.0, math.log(3), 5.0]]])
weights = masked_softmax(scores, torch.tensor([[True, True, False]]))
by_hand = torch.tensor([[[0.25, 0.75, 0.0]]])
assert torch.allclose(weights, by_hand), f"weights should be [[[0.25, 0.75, 0]]], but are {weights.tolist()}"
assert torch.allclose(masked_softmax(scores, None), scores.softmax(-1)), "no mask: it is a plain softmax"

# Two sentences with one query each: the mask of a sentence is for all queries of that sentence.
one_query = masked_softmax(torch.zeros(2, 1, 4), torch.tensor([[True] * 4, [True] * 3 + [False]]))
assert one_query.shape == (2, 1, 4), f"the shape should be (2, 1, 4), but is {tuple(one_query.shape)}"

# Padding, 2 sentences of 4 and 2 real tokens: rows sum to 1, padding gets 0.
scores, mask = torch.randn(2, 3, 5), torch.tensor([[True] * 4 + [False], [True] * 2 + [False] * 3])
weights = masked_softmax(scores, mask)
assert weights.shape == (2, 3, 5), f"the shape should be (2, 3, 5), but is {tuple(weights.shape)}"
assert torch.allclose(weights.sum(-1), torch.ones(2, 3)), "the weights of each row should sum to 1"
assert (weights[0, :, 4:] == 0).all() and (weights[1, :, 2:] == 0).all(), "padding should get weight 0"

# A mask of three axes, one row for each query: query t may look at key t only, so all but one are padded.
one_each = torch.eye(3, 5, dtype=torch.bool).expand(2, 3, 5)
assert torch.allclose(masked_softmax(scores, one_each), one_each.float()), "a single real key gets weight 1"

# Nothing to attend to in the first sentence: zeros, and a gradient without NaN.
scores = torch.randn(2, 3, 5, requires_grad=True)
weights = masked_softmax(scores, torch.tensor([[False] * 5, [True] * 5]))
assert (weights[0] == 0).all(), f"nothing to attend to should give zeros, not {weights[0, 0].tolist()}"
weights.square().sum().backward()
assert scores.grad.isfinite().all(), "the gradient has NaN in it: keep the row finite before the softmax"
print("2.5: all tests that you can see pass")

### BEGIN HIDDEN TESTS
check("masked_softmax", masked_softmax)
### END HIDDEN TESTS

# %% [markdown]
r"""
### Exercise 2.6 · Attend

15 min · ●●○ · 3 points

Now put it together: score the keys, turn the scores into weights, and blend the values with them.

$$c_t \;=\; \sum_{s} \alpha_{t,s}\, v_s$$

In code, $v_s$ is `values[b, s]`, $\alpha_{t,s}$ is `weights[b, t, s]` and $c_t$ is `context[b, t]`. (This
$v_s$ is a value, not the vector $v$ of exercise 2.4.)

| | shape |
| --- | --- |
| in: `query` | (batch, tgt_len, query_dim) |
| in: `keys` | (batch, src_len, key_dim) |
| in: `values` | (batch, src_len, value_dim) |
| in: `mask` | as in exercise 2.5 |
| in: `score` | a function: `score(query, keys)` gives the scores, (batch, tgt_len, src_len) |
| out: `context` | (batch, tgt_len, value_dim) |
| out: `weights` | (batch, tgt_len, src_len) |

For the softmax, use `library.masked_softmax(scores, mask)`: it does what exercise 2.5 asks for, so this
exercise does not depend on that one.

**By hand.** The query is $(0, \ln 3)$ and the score is the dot product.

| | key | score | real? | weight | value | weight · value |
| --- | --- | --- | --- | --- | --- | --- |
| She | (1, 0) | 0 | yes | ¼ | (4, 0) | (1, 0) |
| loves | (2, 1) | ln 3 | yes | ¾ | (0, 8) | (0, 6) |
| *padding* | (1, 1) | ln 3 | no | 0 | (9, 9) | (0, 0) |

The last column adds up to the context, **(1, 6)**.
"""


# %% answer="attend"
def attend(query, keys, values, mask, score):
    """Blend the values by how well their keys fit the query.

    query (batch, tgt_len, query_dim), keys (batch, src_len, key_dim), values (batch, src_len, value_dim),
    mask as in `masked_softmax`, score a function of (query, keys). Return context
    (batch, tgt_len, value_dim) and weights (batch, tgt_len, src_len), in this order.
    Bahdanau et al. 2015, equations 5 and 6.
    """
    ### BEGIN SOLUTION
    scores = score(query, keys)  # (batch, tgt_len, src_len)
    weights = library.masked_softmax(scores, mask)
    context = weights @ values  # (batch, tgt_len, value_dim)
    return context, weights

    # Why so: three lines, one for each step. The matrix product adds up over src_len, the axis that weights
    # and values share, so each query gets its own blend. Keys decide where to look, values are what is found
    # there: here they may differ, in our translators both are the encoder's states. Whatever score is passed
    # in is used, so the four scores above can be swapped without a change in this function. A row of zero
    # weights gives a context of zeros by itself.
    ### END SOLUTION


# %% [markdown]
r"""
<details><summary>Hint 1</summary>

There are three steps, and each can be one line. Two of them are calls: `score` came in as an argument, and
the softmax is given.

</details>

<details><summary>Hint 2</summary>

`weights` is (batch, tgt_len, src_len) and `values` is (batch, src_len, value_dim). Which axis disappears? Do
you need a transpose this time?

</details>
"""

# %% [markdown]
r"""
**Predict.** The next cell makes up vectors for "She loves cats" and "Elle aime les chats", so that each
French word asks for its English one; "les" and "chats" both ask for "cats". Only one thing is uneven: the
query of "les" is shorter than the other three. In which row will the attention be spread widest?
"""

# %%
# A free cell: change a query, and see how its row changes.
queries = torch.tensor([[[3.0, 0.0, 0.0], [0.0, 3.0, 0.0], [0.0, 0.0, 2.0], [0.0, 0.0, 3.0]]])
keys = torch.eye(3).unsqueeze(0)  # (1, 3, 3)
context, weights = attend(queries, keys, keys, None, library.dot_score)

figure, ax = plt.subplots(figsize=(4, 4))
rows = weights[0].tolist()
ax.imshow(rows, cmap="cividis", vmin=0, vmax=1)
ax.set_xticks(range(3), ["She", "loves", "cats"])
ax.set_yticks(range(4), ["Elle", "aime", "les", "chats"])
for t, row in enumerate(rows):
    for s, weight in enumerate(row):
        ax.text(s, t, f"{weight:.2f}", ha="center", va="center", color="black" if weight > 0.5 else "white")

# %% [markdown]
r"""
**Reflect.** Every row sums to one. "les" is spread widest, 0.79 on "cats" against 0.91 in the other rows: a
shorter query makes smaller scores, and smaller scores make a flatter softmax. The vectors were made up, so
this shows how attention works, not what a trained model does.
"""

# %% test="attend" points=3
import math

import torch

from utils import attention as library

from grading.checks import check

# On random numbers, beside the course's own: a mistake that it knows is named.
check("attend", attend, cases="visible")

# By hand: the two words and the padding of the table.
query, mask = torch.tensor([[[0.0, math.log(3)]]]), torch.tensor([[True, True, False]])
keys = torch.tensor([[[1.0, 0.0], [2.0, 1.0], [1.0, 1.0]]])
values = torch.tensor([[[4.0, 0.0], [0.0, 8.0], [9.0, 9.0]]])
context, weights = attend(query, keys, values, mask, library.dot_score)

assert context.shape == (1, 1, 2), f"context (1, 1, 2) comes first, but it is {tuple(context.shape)}"
assert weights.shape == (1, 1, 3), f"weights (1, 1, 3) come second, but they are {tuple(weights.shape)}"

# Its weights are 1/4, 3/4 and 0 for the padding, and its context is (1, 6): the values blended, not the keys.
right = torch.allclose(weights, torch.tensor([[[0.25, 0.75, 0.0]]]))
assert right, f"the weights should be [[[0.25, 0.75, 0]]], but are {weights.tolist()}"
right = torch.allclose(context, torch.tensor([[[1.0, 6.0]]]))
assert right, f"the context should be [[[1, 6]]], but is {context.tolist()}"

# Shapes: 2 sentences, 3 queries, 5 keys, vectors of 7 numbers and values of 11.
query, keys, values = torch.randn(2, 3, 7), torch.randn(2, 5, 7), torch.randn(2, 5, 11)
context, weights = attend(query, keys, values, None, library.dot_score)
assert context.shape == (2, 3, 11), f"the context should be (2, 3, 11), but is {tuple(context.shape)}"
assert weights.shape == (2, 3, 5), f"the weights should be (2, 3, 5), but are {tuple(weights.shape)}"

# The score that is passed in is the one that is used: the scaled one gives other weights.
scaled = library.masked_softmax(library.scaled_dot_score(query, keys), None)
weights = attend(query, keys, values, None, library.scaled_dot_score)[1]
assert torch.allclose(weights, scaled, atol=1e-5), "call score(query, keys), whatever score is passed in"

# All but one padded: the context is that one value.
mask = torch.tensor([[False, False, True, False, False]] * 2)
context, weights = attend(query, keys, values, mask, library.dot_score)
alone = values[:, 2:3].expand(2, 3, 11)
assert torch.allclose(context, alone, atol=1e-5), "with one real key, the context is that key's value"
print("2.6: all tests that you can see pass")

### BEGIN HIDDEN TESTS
check("attend", attend)
### END HIDDEN TESTS

# %% [markdown] written="why_attention" points=3
r"""
### Exercise 2.7 · Say it in words

10 min · ●●○ · 3 points

Explain attention to a classmate who knows recurrent networks but missed this lesson, in five to eight
sentences. A person grades it: the check at the end counts the tests only. Your text should answer three
questions (one point each):

1. Without attention, why does translation get worse as sentences get longer?
2. What does the decoder do differently at each output word, and why can its context change from word to word?
3. A heat map shows a weight of 0.8 on one source word. What does that *not* prove?

<!-- ### BEGIN SOLUTION -->
**A possible answer.** Without attention the encoder must press the whole sentence into one vector of fixed
size, and the decoder writes from that vector alone. The longer the sentence, the more must fit into the same
numbers, so details get lost. With attention all encoder states are kept. At each output word the decoder's
state is a query: it is scored against every key, a softmax turns the scores into weights, and the weighted
sum of the values is the context for this word. The query is another one at each word, so the weights and the
context change too. A weight of 0.8 says that the value at this place makes up most of the context. It does
not prove that the word caused the output: the decoder's own state may carry the same information, the
encoder state at that place also holds its neighbours, and another set of weights may give the same word.

**Rubric**, one point a question. Half a point where the idea is there but half of it is missing.

1. Full: one vector of *fixed size* for a sentence of any length, so the loss grows with the length. Half:
   only "information is lost" or "the network forgets". None: "long sentences are harder".
2. Full: scores against all encoder states, softmax, weighted sum; *and* it changes because the query does.
   Half: one of the two. None: a metaphor alone, such as "it focuses".
3. Full: names something that a weight leaves open, such as what caused the output, whether the alignment is
   right, or what the state at that place really holds. Half: "it is not always right". None: says that the
   weight proves one of these.

Other correct reasons count as much as these. Language is not graded; more than ten sentences lose nothing.
<!-- ### END SOLUTION -->
"""

# %% [markdown]
r"""
When you have written all that you want to hand in, let the grader look at the whole notebook.
"""

# %%
# Save the notebook, take away the # of the next line and run this cell: all tests grade the saved file.
# from grading import check_notebook; check_notebook("02_attention.ipynb")

# %% [markdown]
r"""
### Looking back

- A score compares a query with a key; a masked softmax shares one whole of attention out over the real keys;
  the context is the blend of the values.
- The four scores differ in what they can learn and in what they cost. All of them fit into the same `attend`.
- Most mistakes with attention raise no error: a wrong axis or a forgotten mask gives numbers that look fine.
  Small cases worked by hand, and sizes that all differ, bring them to light.

**One thing to try.** Multiply all scores by 5 before the softmax, then by 0.2, and look at the map of
exercise 2.6 again. Which of the two comes closer to picking a single word?

Which of the functions took you longest, and what would have told you earlier where the mistake was? Write
yourself a line about it. Then go on to lesson 03, where your functions translate.
"""
