# %% [markdown]
r"""
# Exercise 02 · Build the spotlight

**How does a decoder look back at its source, and how does it know where?**

Without attention, a translator takes a closed-book exam: it reads the whole sentence, keeps one vector, and
writes from memory. Attention opens the book. For every word it writes, the decoder asks each source word
"how much do you matter now?" and works with a weighted average of the answers. You saw this in demo 02. Here
you build it from small functions, and the translator of exercise 03 is made of them.

You will

- **implement** four scores, which measure how well a source word fits the decoder's question,
- **turn** scores into weights that ignore padding, and weights into a context,
- **explain** why this helps, and what the weights don't tell.

About 90 minutes, 17 points: 2 each for exercises 2.1 to 2.4, 3 each for 2.5 and 2.6, and 3 for a written
answer. Every exercise stands alone: you can do them in any order. If one needs the result of another, use the
course's own version, such as `library.dot_score`: then a mistake in one costs nothing in the next.
"""

# %% [markdown]
r"""
### How an exercise works

Replace `raise NotImplementedError` with your answer, run the cell, then run the tests below it. If a test
fails, its message says what it checked. Grading runs more tests of the same kind on other inputs: other
sizes, padding, single tokens, zeros. The line "Points" of an exercise says what each part of your answer is
worth. An answer that fails in one part keeps the points of the others, as long as it is right on ordinary
input. If you're stuck, open the first hint, and the next one only if you still need it.

Here are the words of demo 02 again. The **query** is what the decoder is looking for: its state at one
output word. Each source word has a **key**, which the query is compared with, and a **value**, which is
passed on; in a translator both are the encoder's state at that word. The **scores** say how well each key
fits the query. A softmax turns them into **weights**, which sum to one. The weighted average of the values
is the **context**.

| size | counts |
| --- | --- |
| `batch` | sentences that are processed together |
| `tgt_len` | queries: words to write in each sentence |
| `src_len` | keys: words of each source sentence |
| `hidden` | numbers per query or key |

Models learn *through* these functions, so use only torch operations. Results keep the dtype and the device of
the inputs.
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

Points: 1 for ordinary input; 0.5 for sizes of one; 0.5 for gradient, dtype and device.

Score every key against every query of the same sentence by their dot product.

$$e_{t,i} \;=\; q_t \cdot k_i \;=\; \sum_{n=1}^{\text{hidden}} q_{t,n}\, k_{i,n}$$

In code, $q_t$ is `query[b, t]`, $k_i$ is `keys[b, i]` and $e_{t,i}$ is `scores[b, t, i]`, for sentence `b`.

| | shape |
| --- | --- |
| in: `query` | (batch, tgt_len, hidden) |
| in: `keys` | (batch, src_len, hidden) |
| out: `scores` | (batch, tgt_len, src_len) |

**By hand.** The source is "She loves cats", and the decoder is about to write "aime". Its query is (1, 2,
0, 0).

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

    query (batch, tgt_len, hidden); keys (batch, src_len, hidden). Return scores
    (batch, tgt_len, src_len), in the same dtype. Luong et al. 2015, section 3.1,
    "dot".
    """
    ### BEGIN SOLUTION
    return query @ keys.transpose(1, 2)  # (batch, tgt_len, src_len)

    # Why: @ sums over the last axis of the left side and the second to last of the
    # right side, so hidden must be there on both sides. transpose(1, 2) swaps the
    # axes of the keys; reshape would mix up the keys. The first axis is the batch,
    # so each sentence meets only its own keys. One product serves all queries,
    # without a loop, and that makes training fast.
    ### END SOLUTION


# %% [markdown]
r"""
<details><summary>Hint 1</summary>

Write the two shapes below each other. One axis appears in both and must disappear: the sum runs over it.

</details>

<details><summary>Hint 2</summary>

`a @ b` multiplies matrices and treats the first axis as the batch: (batch, n, m) @ (batch, m, p) gives
(batch, n, p). For that, the axes of the keys are in the wrong order. `tensor.transpose(1, 2)` swaps two
axes. `reshape` doesn't swap any, and `.T` reverses all three.

</details>
"""

# %%
# Not graded: try things out.
query = torch.tensor([[[1.0, 2.0, 0.0, 0.0]]])
keys = torch.tensor(
    [[[1.0, 0.0, 0.0, 1.0], [0.0, 2.0, 1.0, 0.0], [1.0, 0.0, 1.0, 0.0]]]
)
dot_score(query, keys)

# %% test="dot_score" points=2
import torch
from grading.checks import check

# Compare with the course's version on random inputs; known mistakes are named.
check("dot_score", dot_score, cases="visible")

# By hand: the query of "aime" against the keys of "She loves cats".
query = torch.tensor([[[1.0, 2.0, 0.0, 0.0]]])
keys = torch.tensor(
    [[[1.0, 0.0, 0.0, 1.0], [0.0, 2.0, 1.0, 0.0], [1.0, 0.0, 1.0, 0.0]]]
)
scores = dot_score(query, keys)
assert scores.tolist() == [[[1.0, 4.0, 1.0]]], (
    f"expected [[[1, 4, 1]]], got {scores.tolist()}"
)

# Shapes: 2 sentences, 3 queries, 5 keys, 7 numbers each. The order of the axes
# matters.
query, keys = (
    torch.randn(2, 3, 7, dtype=torch.float64),
    torch.randn(2, 5, 7, dtype=torch.float64),
)
scores = dot_score(query, keys)
assert scores.shape == (2, 3, 5), (
    f"expected shape (2, 3, 5), got {tuple(scores.shape)}"
)
assert scores.dtype == torch.float64, (
    f"expected float64 scores for float64 queries, got {scores.dtype}"
)

# One pair: the last query of the second sentence, and the last key of that
# sentence.
alone = torch.dot(query[1, 2], keys[1, 4])
assert torch.isclose(scores[1, 2, 4], alone), (
    "scores[1, 2, 4] should be query[1, 2] . keys[1, 4]"
)

# Zeros: a query of zeros scores 0 with every key.
scores = dot_score(torch.zeros(2, 3, 7), torch.randn(2, 5, 7))
assert (scores == 0).all(), "a query of zeros should score 0 with every key"
print("2.1: all visible tests pass")

### BEGIN HIDDEN TESTS
check("dot_score", dot_score)
### END HIDDEN TESTS

# %% [markdown]
r"""
### Exercise 2.2 · Scale the scores

10 min · ●○○ · 2 points

Points: 1 for ordinary input; 0.5 for sizes of one; 0.5 for gradient, dtype and device.

Divide the dot product by the square root of the size of the vectors. A dot product of larger vectors has more
terms, so it strays further from zero; after the division, its spread no longer depends on the size.

$$e_{t,i} \;=\; \frac{q_t \cdot k_i}{\sqrt{\text{hidden}}}$$

| | shape |
| --- | --- |
| in: `query` | (batch, tgt_len, hidden) |
| in: `keys` | (batch, src_len, hidden) |
| out: `scores` | (batch, tgt_len, src_len) |

**By hand.** For "aime", the dot products with She, loves and cats were 1, 4 and 1. The vectors have four
numbers, and $\sqrt{4} = 2$, so the scores are 0.5, **2** and 0.5.
"""


# %% answer="scaled_dot_score"
def scaled_dot_score(query, keys):
    """Score every key by its dot product with the query, over the root of the size.

    query (batch, tgt_len, hidden); keys (batch, src_len, hidden). Return scores
    (batch, tgt_len, src_len), in the same dtype. Vaswani et al. 2017, equation 1.
    """
    ### BEGIN SOLUTION
    scores = query @ keys.transpose(1, 2)  # (batch, tgt_len, src_len)
    return scores / math.sqrt(query.shape[-1])

    # Why: if the numbers of q and k are independent with variance 1, each product
    # has variance 1 too, and the sum of hidden products has variance hidden, a
    # spread of the root of hidden. Dividing by hidden itself would make the scores
    # of large vectors nearly equal. The size is shape[-1]: shape[1] is tgt_len for
    # the query and src_len for the keys, and neither changes the size of a dot
    # product.
    ### END SOLUTION


# %% [markdown]
r"""
<details><summary>Hint 1</summary>

Which axis of `query` is `hidden`? `query.shape` has three numbers, and only one of them is right here.

</details>

<details><summary>Hint 2</summary>

Divide the dot products by `math.sqrt(...)` of the size of the last axis. `library.dot_score(query, keys)`
returns the plain scores. (You can also use your own from 2.1, but then a mistake there counts here as
well.)

</details>
"""

# %% [markdown]
r"""
**Predict.** The next cell draws random queries and keys and prints the spread (standard deviation) of their
scores, with 16 and with 256 numbers per vector. The plain dot product spreads more with 256: by which factor?
"""

# %%
# Not graded: change the sizes, and see whether your rule still holds.
for hidden in (16, 256):
    queries, keys = torch.randn(1, 300, hidden), torch.randn(1, 300, hidden)
    plain, scaled = (
        library.dot_score(queries, keys),
        scaled_dot_score(queries, keys),
    )
    print(
        f"hidden {hidden:>3}: plain {plain.std():5.2f}, scaled {scaled.std():4.2f}"
    )

# %% [markdown]
r"""
<details><summary>What happened</summary>

The plain spread grows from about 4 to about 16. That's a factor of 4, the square root of 256 / 16. The scaled
spread stays near 1. This holds for random vectors. It doesn't mean that a trained model without the root must
fail, only that its softmax starts out much sharper.

</details>
"""

# %% test="scaled_dot_score" points=2
import torch
from grading.checks import check

# Compare with the course's version on random inputs; known mistakes are named.
check("scaled_dot_score", scaled_dot_score, cases="visible")

# By hand: four numbers per vector, so the scores 1, 4, 1 are halved.
query = torch.tensor([[[1.0, 2.0, 0.0, 0.0]]])
keys = torch.tensor(
    [[[1.0, 0.0, 0.0, 1.0], [0.0, 2.0, 1.0, 0.0], [1.0, 0.0, 1.0, 0.0]]]
)
scores = scaled_dot_score(query, keys)
by_hand = torch.tensor([[[0.5, 2.0, 0.5]]])
assert torch.allclose(scores, by_hand), (
    f"expected [[[0.5, 2, 0.5]]], got {scores.tolist()}"
)

# Shapes and one pair: 2 sentences, 3 queries, 5 keys, 7 numbers each.
query, keys = torch.randn(2, 3, 7), torch.randn(2, 5, 7)
scores = scaled_dot_score(query, keys)
assert scores.shape == (2, 3, 5), (
    f"expected shape (2, 3, 5), got {tuple(scores.shape)}"
)
alone = torch.dot(query[1, 2], keys[1, 4]) / 7**0.5
right = torch.isclose(scores[1, 2, 4], alone, atol=1e-5)
assert right, "scores[1, 2, 4] should be the dot product over the root of 7"

# Size one: the root of 1 is 1, so dividing changes nothing.
scores = scaled_dot_score(torch.full((1, 1, 1), 3.0), torch.full((1, 1, 1), 5.0))
assert scores.tolist() == [[[15.0]]], (
    f"expected 3 * 5 / 1 = 15, got {scores.tolist()}"
)
print("2.2: all visible tests pass")

### BEGIN HIDDEN TESTS
check("scaled_dot_score", scaled_dot_score)
### END HIDDEN TESTS

# %% [markdown]
r"""
### Exercise 2.3 · Score through a learned matrix

10 min · ●●○ · 2 points

Points: 1 for ordinary input; 0.5 for sizes of one; 0.5 for gradient, dtype and device.

Put a learned matrix between query and key. The model then learns which numbers of a key should meet which
numbers of a query.

$$e_{t,i} \;=\; q_t \cdot (W k_i)$$

In code, $W$ is the weight of `self.key_proj`, and `self.key_proj(keys)` returns $W k_i$ for all keys at once.
Queries and keys may now have different sizes.

| | shape |
| --- | --- |
| in: `query` | (batch, tgt_len, query_dim) |
| in: `keys` | (batch, src_len, key_dim) |
| out: `scores` | (batch, tgt_len, src_len) |

**By hand.** With $q = (1, 2)$, $k = (3, 1, 1)$ and

$$W = \begin{pmatrix} 1 & 0 & 1 \\ 0 & 1 & 0 \end{pmatrix}, \qquad W k = (3 + 1,\; 1) = (4, 1), \qquad
q \cdot (W k) = 1 \cdot 4 + 2 \cdot 1 = \mathbf{6}.$$

`__init__` is given: write only `forward`.
"""


# %% answer="MultiplicativeScore"
class MultiplicativeScore(nn.Module):
    """Score every key by q . (W k), with W learned.

    Luong et al. 2015, section 3.1, "general".
    """

    def __init__(self, query_dim, key_dim):
        super().__init__()
        self.key_proj = nn.Linear(key_dim, query_dim, bias=False)

    def forward(self, query, keys):
        """Score every key against every query.

        query (batch, tgt_len, query_dim); keys (batch, src_len, key_dim). Return
        scores (batch, tgt_len, src_len), in the same dtype.
        """
        ### BEGIN SOLUTION
        projected = self.key_proj(keys)  # (batch, src_len, query_dim)
        return query @ projected.transpose(1, 2)  # (batch, tgt_len, src_len)

        # Why: once the keys are projected, they have the size of a query, and the
        # rest is the dot product. If W is the identity, this is dot_score, so this
        # score can do everything that the dot product can. Projecting the query
        # instead would compute q . (W^T k): other numbers, and an error if the
        # sizes differ. No root is needed, because W is learned and finds its own
        # scale.
        ### END SOLUTION


# %% [markdown]
r"""
<details><summary>Hint 1</summary>

What's the shape of `self.key_proj(keys)`? The rest is a dot product, as in exercise 2.1. You can use
`library.dot_score`.

</details>

<details><summary>Hint 2</summary>

`self.key_proj(keys)` is (batch, src_len, query_dim). The score is the dot product of each query with each of
these projected keys.

</details>
"""

# %%
# Not graded: scores of 4-number queries against 6-number keys, before training.
MultiplicativeScore(query_dim=4, key_dim=6)(
    torch.randn(1, 2, 4), torch.randn(1, 3, 6)
)

# %% test="MultiplicativeScore" points=2
import torch
from grading.checks import check

# Compare with the course's version on random inputs; known mistakes are named.
check("MultiplicativeScore", MultiplicativeScore, cases="visible")

# By hand: q = (1, 2), k = (3, 1, 1), and W of two rows and three columns.
score = MultiplicativeScore(query_dim=2, key_dim=3)
score.key_proj.weight.data = torch.tensor([[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
scores = score(torch.tensor([[[1.0, 2.0]]]), torch.tensor([[[3.0, 1.0, 1.0]]]))
assert scores.tolist() == [[[6.0]]], f"expected a score of 6, got {scores.tolist()}"

# Shapes: 2 sentences, 3 queries of 7 numbers, 5 keys of 11 numbers; then a single
# decoding step.
score, query, keys = (
    MultiplicativeScore(7, 11),
    torch.randn(2, 3, 7),
    torch.randn(2, 5, 11),
)
scores, step = score(query, keys), score(query[:, :1], keys)
assert scores.shape == (2, 3, 5), (
    f"expected shape (2, 3, 5), got {tuple(scores.shape)}"
)
assert step.shape == (2, 1, 5), (
    f"expected (2, 1, 5) for one step, got {tuple(step.shape)}"
)

# One pair: the last query of the second sentence, and the last key of that
# sentence.
alone = torch.dot(query[1, 2], score.key_proj(keys[1, 4]))
right = torch.isclose(scores[1, 2, 4], alone, atol=1e-5)
assert right, "scores[1, 2, 4] should be query[1, 2] . W keys[1, 4]"

# Learning: a gradient reaches W.
scores.sum().backward()
reached = score.key_proj.weight.grad is not None
assert reached, "no gradient reaches key_proj: is it used, and without detach()?"

# Zeros: keys of zeros score 0, whatever W is.
scores = score(query, torch.zeros(2, 5, 11))
assert (scores == 0).all(), "keys of zeros should score 0, because W k is zero"
print("2.3: all visible tests pass")

### BEGIN HIDDEN TESTS
check("MultiplicativeScore", MultiplicativeScore)
### END HIDDEN TESTS

# %% [markdown]
r"""
### Exercise 2.4 · Score with a small network

15 min · ●●○ · 2 points

Points: 1 for ordinary input; 0.5 for sizes of one; 0.5 for gradient, dtype and device.

Add a projected query and a projected key, squash the sum with tanh, and let a vector $v$ turn the result into
one number. This was the first attention of all.

$$e_{t,i} \;=\; v \cdot \tanh(W q_t + U k_i)$$

In code, $W$, $U$ and $v$ are the weights of `self.query_proj`, `self.key_proj` and `self.v`. Every query must
meet every key, so the sum has four axes: (batch, tgt_len, src_len, attn_dim).

| | shape |
| --- | --- |
| in: `query` | (batch, tgt_len, query_dim) |
| in: `keys` | (batch, src_len, key_dim) |
| out: `scores` | (batch, tgt_len, src_len) |

**By hand.** Let $W$ and $U$ be identity matrices, $v = (1, 2)$ and $q = (1, 0)$. You need three values:
$\tanh(0) = 0$, $\tanh(1) \approx 0.7616$ and $\tanh(2) \approx 0.9640$.

| key | sum $W q + U k$ | tanh of the sum | times $v$, summed |
| --- | --- | --- | --- |
| (−1, 0) | (0, 0) | (0, 0) | 0 |
| (1, 1) | (2, 1) | (0.9640, 0.7616) | 1 · 0.9640 + 2 · 0.7616 = **2.4872** |

`__init__` is given: write only `forward`.
"""


# %% answer="AdditiveScore"
class AdditiveScore(nn.Module):
    """Score every key by v . tanh(W q + U k), all learned.

    Bahdanau et al. 2015, appendix A.1.2.
    """

    def __init__(self, query_dim, key_dim, attn_dim):
        super().__init__()
        self.query_proj = nn.Linear(query_dim, attn_dim, bias=False)
        self.key_proj = nn.Linear(key_dim, attn_dim, bias=False)
        self.v = nn.Linear(attn_dim, 1, bias=False)

    def forward(self, query, keys):
        """Score every key against every query.

        query (batch, tgt_len, query_dim); keys (batch, src_len, key_dim). Return
        scores (batch, tgt_len, src_len), in the same dtype.
        """
        ### BEGIN SOLUTION
        asked = self.query_proj(query).unsqueeze(2)  # (batch, tgt_len, 1, attn_dim)
        offered = self.key_proj(keys).unsqueeze(1)  # (batch, 1, src_len, attn_dim)
        met = torch.tanh(asked + offered)  # (batch, tgt_len, src_len, attn_dim)
        return self.v(met).squeeze(-1)  # (batch, tgt_len, src_len)

        # Why: torch broadcasts an axis of length 1, so the sum pairs every query
        # with every key without a loop. The tanh makes the query matter: without
        # it, the score would be v . W q + v . U k, the query would add the same
        # number to all keys, and the softmax would remove it. squeeze(-1) drops
        # only the axis that v left; a bare squeeze() would also drop a batch of
        # one. The price is the tensor with four axes, which needs more memory and
        # time than one matrix product.
        ### END SOLUTION


# %% [markdown]
r"""
<details><summary>Hint 1</summary>

Project both first. Then you have (batch, tgt_len, attn_dim) and (batch, src_len, attn_dim), which you can't
add directly, because tgt_len and src_len are on the same axis. Where would an extra axis help?

</details>

<details><summary>Hint 2</summary>

`x.unsqueeze(2)` turns (batch, tgt_len, attn_dim) into (batch, tgt_len, 1, attn_dim), and torch broadcasts
an axis of length 1 in a sum. Insert an axis for the queries into the keys in the same way. `self.v(...)`
leaves a last axis of length 1; drop only that one, with `squeeze(-1)`.

</details>
"""

# %%
# Not graded: one query, two keys, and the numbers of the table above.
score = AdditiveScore(query_dim=2, key_dim=2, attn_dim=2)
score.query_proj.weight.data = score.key_proj.weight.data = torch.eye(2)
score.v.weight.data = torch.tensor([[1.0, 2.0]])
score(torch.tensor([[[1.0, 0.0]]]), torch.tensor([[[-1.0, 0.0], [1.0, 1.0]]]))

# %% test="AdditiveScore" points=2
import torch
from grading.checks import check

# Compare with the course's version on random inputs; known mistakes are named.
check("AdditiveScore", AdditiveScore, cases="visible")

# By hand: W and U are identities, v = (1, 2), q = (1, 0), and two keys.
score = AdditiveScore(query_dim=2, key_dim=2, attn_dim=2)
score.query_proj.weight.data, score.key_proj.weight.data = (
    torch.eye(2),
    torch.eye(2),
)
score.v.weight.data = torch.tensor([[1.0, 2.0]])
query, keys = (
    torch.tensor([[[1.0, 0.0]]]),
    torch.tensor([[[-1.0, 0.0], [1.0, 1.0]]]),
)
scores, by_hand = score(query, keys), torch.tensor([[[0.0, 2.4872]]])
right = torch.allclose(scores, by_hand, atol=1e-3)
assert right, f"expected [[[0, 2.4872]]], got {scores.tolist()}"

# Shapes: 2 sentences, 3 queries of 7 numbers, 5 keys of 11, attn_dim 13; then one
# query of one sentence.
score, query, keys = (
    AdditiveScore(7, 11, 13),
    torch.randn(2, 3, 7),
    torch.randn(2, 5, 11),
)
scores, one = score(query, keys), score(query[:1, :1], keys[:1])
assert scores.shape == (2, 3, 5), (
    f"expected shape (2, 3, 5), got {tuple(scores.shape)}"
)
assert one.shape == (1, 1, 5), (
    f"expected (1, 1, 5) for one query, got {tuple(one.shape)}"
)

# Learning: gradients reach W, U and v.
scores.square().sum().backward()
for name, parameter in score.named_parameters():
    reached = parameter.grad is not None and parameter.grad.any()
    assert reached, f"no gradient reaches {name}: is it used?"

# Zeros: tanh(0) is 0, so zeros score 0.
scores = score(torch.zeros(2, 3, 7), torch.zeros(2, 5, 11))
assert (scores == 0).all(), "zeros should score 0, because tanh(0) is 0"
print("2.4: all visible tests pass")

### BEGIN HIDDEN TESTS
check("AdditiveScore", AdditiveScore)
### END HIDDEN TESTS

# %% [markdown]
r"""
### Exercise 2.5 · From scores to weights, without the padding

20 min · ●●● · 3 points

Points: 2 for ordinary input; 0.25 for rows with nothing to attend to; 0.25 for every kind of mask; 0.25 for
scores of any size; 0.25 for gradient, dtype and device.

Turn the scores of each row into weights with a softmax that leaves padding out: the **real** keys share a
total weight of 1, and padding gets 0.

$$\alpha_{t,i} \;=\; \frac{\exp(e_{t,i})}{\sum_{j \text{ real}} \exp(e_{t,j})}
\;\text{ if } i \text{ is real,} \qquad \alpha_{t,i} = 0 \;\text{ if it is padding}$$

The sentences of a batch have different lengths, so the shorter ones are padded. A mask says which tokens are
real:

| | | | | |
| --- | --- | --- | --- | --- |
| The | restaurant | was | amazing | `[True, True, True, True]` |
| She | loves | cats | *padding* | `[True, True, True, False]` |

| | shape |
| --- | --- |
| in: `scores` ($e$) | (batch, tgt_len, src_len) |
| in: `mask` | (batch, src_len), or (batch, tgt_len, src_len), or `None` if all keys are real |
| out: `weights` ($\alpha$) | (batch, tgt_len, src_len) |

The mask is bool, True = a real token. A (batch, tgt_len, src_len) mask has its own row for each query.
Scores may be in the thousands, which `torch.softmax` handles; those at padding may be thousands above the
real ones. A row may have no real key at all. Then there's nothing to attend to: its weights are zeros,
never NaN, and its gradient is zeros too.

**By hand.** Scores $(0,\; \ln 3,\; 5)$ and mask (True, True, False). The third key is padding, so its large
score doesn't count. $\exp(0) = 1$ and $\exp(\ln 3) = 3$ add up to 4, so the weights are
$(\tfrac14, \tfrac34, 0)$.
"""


# %% answer="masked_softmax"
def masked_softmax(scores, mask):
    """Turn scores into weights: a softmax over the real tokens, and 0 at padding.

    scores (batch, tgt_len, src_len); mask bool, True = a real token,
    (batch, src_len) or (batch, tgt_len, src_len), or None if every key is real.
    Return weights (batch, tgt_len, src_len), in the dtype of the scores. A row
    without a real token gets zeros, and its gradient is zeros, never NaN. Bahdanau
    et al. 2015, equation 6, with padding left out of the sum.
    """
    ### BEGIN SOLUTION
    if mask is None:
        return torch.softmax(scores, dim=-1)
    if mask.dim() == 2:
        mask = mask.unsqueeze(1)  # (batch, 1, src_len): the same for every query
    empty = ~mask.any(-1, keepdim=True)  # rows with nothing to attend to
    scores = scores.masked_fill(~mask, -math.inf).masked_fill(empty, 0.0)
    return torch.softmax(scores, dim=-1).masked_fill(~mask, 0.0)

    # Why: exp(-inf) is exactly 0, so padding drops out of the fraction above and
    # below, and the rest still sums to 1. If you mask after the softmax, less than
    # 1 is left. A score of 0 doesn't mask, because exp(0) = 1, and -1e9 only masks
    # as long as some key is real. A row of only -inf is 0 / 0, so it gets zeros
    # before the softmax and weights of 0 after it; no NaN ever exists. Repairing a
    # NaN afterwards is risky: the numbers look right, but the gradient may go
    # through the NaN. masked_fill without an underscore makes a new tensor, so the
    # caller's scores don't change.
    ### END SOLUTION


# %% [markdown]
r"""
<details><summary>Hint 1</summary>

$\exp$ is never 0 for a finite number. Which score gives a weight of exactly 0? Use it *before* the softmax.
And over which axis must the weights sum to 1?

</details>

<details><summary>Hint 2</summary>

`scores.masked_fill(~mask, -math.inf)` returns a new tensor with -inf where the mask is False. A (batch,
src_len) mask needs an axis for the queries first: `mask.unsqueeze(1)`.

</details>

<details><summary>Hint 3: the row with nothing to attend to</summary>

Its softmax would be 0 / 0. `mask.any(-1, keepdim=True)` says which rows have a real token. Give the other
rows any finite scores before the softmax, and weights of 0 after it.

</details>
"""

# %%
# Not graded: the two sentences above, with equal scores. What do you expect for the
# second one?
mask = torch.tensor([[True, True, True, True], [True, True, True, False]])
masked_softmax(torch.zeros(2, 1, 4), mask)

# %% test="masked_softmax" points=3
import math

import torch
from grading.checks import check

# Compare with the course's version on random inputs; known mistakes are named.
check("masked_softmax", masked_softmax, cases="visible")

# By hand: scores 0, ln 3 and 5, the last one padding; with and without the mask.
scores = torch.tensor([[[0.0, math.log(3), 5.0]]])
weights = masked_softmax(scores, torch.tensor([[True, True, False]]))
by_hand = torch.tensor([[[0.25, 0.75, 0.0]]])
assert torch.allclose(weights, by_hand), (
    f"expected [[[0.25, 0.75, 0]]], got {weights.tolist()}"
)
right = torch.allclose(masked_softmax(scores, None), scores.softmax(-1))
assert right, "without a mask, expected a plain softmax"

# Two sentences with one query each: a sentence's mask holds for all of its queries.
mask = torch.tensor([[True] * 4, [True] * 3 + [False]])
weights = masked_softmax(torch.zeros(2, 1, 4), mask)
assert weights.shape == (2, 1, 4), (
    f"expected shape (2, 1, 4), got {tuple(weights.shape)}"
)

# Padding, 2 sentences of 4 and 2 real tokens: rows sum to 1, and padding gets 0.
scores = torch.randn(2, 3, 5)
mask = torch.tensor([[True] * 4 + [False], [True] * 2 + [False] * 3])
weights = masked_softmax(scores, mask)
assert weights.shape == (2, 3, 5), (
    f"expected shape (2, 3, 5), got {tuple(weights.shape)}"
)
assert torch.allclose(weights.sum(-1), torch.ones(2, 3)), (
    "the weights of each row should sum to 1"
)
padded = weights[~mask.unsqueeze(1).expand(2, 3, 5)]
assert (padded == 0).all(), "padding should get weight 0"

# A mask with a row for each query: query t may only look at key t, so it gets all
# the weight.
one_each = torch.eye(3, 5, dtype=torch.bool).expand(2, 3, 5)
right = torch.allclose(masked_softmax(scores, one_each), one_each.float())
assert right, "a single real key should get weight 1"

# Nothing to attend to in the first sentence: zeros, and a gradient without NaN.
scores = torch.randn(2, 3, 5, requires_grad=True)
weights = masked_softmax(scores, torch.tensor([[False] * 5, [True] * 5]))
empty = weights[0, 0].tolist()
assert (weights[0] == 0).all(), (
    f"expected zeros if there is nothing to attend to, got {empty}"
)
weights.square().sum().backward()
assert scores.grad.isfinite().all(), (
    "the gradient contains NaN: give an empty row finite scores before the softmax"
)
print("2.5: all visible tests pass")

### BEGIN HIDDEN TESTS
check("masked_softmax", masked_softmax)
### END HIDDEN TESTS

# %% [markdown]
r"""
### Exercise 2.6 · Attend

15 min · ●●○ · 3 points

Points: 1.5 for ordinary input; 0.5 for every kind of mask; 0.5 for rows with nothing to attend to; 0.5 for
gradient, dtype and device.

Put it together: score the keys, turn the scores into weights, and average the values with them.

$$c_t \;=\; \sum_{i} \alpha_{t,i}\, v_i$$

In code, $v_i$ is `values[b, i]`, $\alpha_{t,i}$ is `weights[b, t, i]` and $c_t$ is `context[b, t]`. (This
$v_i$ is a value, not the vector $v$ of exercise 2.4.)

| | shape |
| --- | --- |
| in: `query` | (batch, tgt_len, query_dim) |
| in: `keys` | (batch, src_len, key_dim) |
| in: `values` | (batch, src_len, value_dim) |
| in: `mask` | as in exercise 2.5 |
| in: `score` | a function: `score(query, keys)` returns the scores, (batch, tgt_len, src_len) |
| out: `context` | (batch, tgt_len, value_dim) |
| out: `weights` | (batch, tgt_len, src_len) |

For the softmax, call `library.masked_softmax(scores, mask)`. It does what exercise 2.5 asks for, so a mistake
there costs nothing here.

**By hand.** The query is $(0, \ln 3)$, and the score is the dot product.

| | key | score | real? | weight | value | weight · value |
| --- | --- | --- | --- | --- | --- | --- |
| She | (1, 0) | 0 | yes | ¼ | (4, 0) | (1, 0) |
| loves | (2, 1) | ln 3 | yes | ¾ | (0, 8) | (0, 6) |
| *padding* | (1, 1) | ln 3 | no | 0 | (9, 9) | (0, 0) |

The last column sums to the context, **(1, 6)**.
"""


# %% answer="attend"
def attend(query, keys, values, mask, score):
    """Average the values, weighted by how well their keys fit the query.

    query (batch, tgt_len, query_dim); keys (batch, src_len, key_dim); values
    (batch, src_len, value_dim); mask as in `masked_softmax`; score, a function:
    score(query, keys) returns (batch, tgt_len, src_len). Return context
    (batch, tgt_len, value_dim) and weights (batch, tgt_len, src_len), in this
    order. Bahdanau et al. 2015, equations 5 and 6.
    """
    ### BEGIN SOLUTION
    scores = score(query, keys)  # (batch, tgt_len, src_len)
    weights = library.masked_softmax(scores, mask)
    context = weights @ values  # (batch, tgt_len, value_dim)
    return context, weights

    # Why: three lines, one per step. The matrix product sums over src_len, the axis
    # that weights and values share, so each query gets its own average. Keys decide
    # where to look, and values are what is found there. Here they may differ; in
    # our translators both are the encoder's states. The function uses whatever
    # score is passed in, so it works with all four scores above. A row of zero
    # weights gives a context of zeros without further code.
    ### END SOLUTION


# %% [markdown]
r"""
<details><summary>Hint 1</summary>

There are three steps, and each can be one line. Two of them are calls: `score` is an argument, and the
softmax is given.

</details>

<details><summary>Hint 2</summary>

`weights` is (batch, tgt_len, src_len), and `values` is (batch, src_len, value_dim). Which axis disappears?
Do you need a transpose this time?

</details>
"""

# %% [markdown]
r"""
**Predict.** The next cell makes up vectors for "She loves cats" and "Elle aime les chats". Each French word
asks for its English one; "les" and "chats" both ask for "cats". The query of "les" is shorter than the
other three. Will its row be sharper than the others, flatter, or the same?
"""

# %%
# Not graded: change a query, and see how its row changes.
queries = torch.tensor([[[3.0, 0, 0], [0, 3.0, 0], [0, 0, 2.0], [0, 0, 3.0]]])
keys = torch.eye(3).unsqueeze(0)  # (1, 3, 3)
context, weights = attend(queries, keys, keys, None, library.dot_score)

figure, ax = plt.subplots(figsize=(4, 4))
rows = weights[0].tolist()
ax.imshow(rows, cmap="cividis", vmin=0, vmax=1)
ax.set_xticks(range(3), ["She", "loves", "cats"])
ax.set_yticks(range(4), ["Elle", "aime", "les", "chats"])
for t, row in enumerate(rows):
    for i, weight in enumerate(row):
        color = "black" if weight > 0.5 else "white"
        ax.text(i, t, f"{weight:.2f}", ha="center", va="center", color=color)

# %% [markdown]
r"""
<details><summary>What happened</summary>

The row of "les" is flatter: 0.79 on "cats", compared with 0.91 in the other rows. A shorter query makes
smaller scores, and smaller scores make a flatter softmax. The vectors are made up, so this shows how
attention works, not what a trained model does.

</details>
"""

# %% test="attend" points=3
import math

import torch

from utils import attention as library

from grading.checks import check

# Compare with the course's version on random inputs; known mistakes are named.
check("attend", attend, cases="visible")

# By hand: the two words and the padding of the table. The context is (1, 6).
query, mask = (
    torch.tensor([[[0.0, math.log(3)]]]),
    torch.tensor([[True, True, False]]),
)
keys = torch.tensor([[[1.0, 0.0], [2.0, 1.0], [1.0, 1.0]]])
values = torch.tensor([[[4.0, 0.0], [0.0, 8.0], [9.0, 9.0]]])
context, weights = attend(query, keys, values, mask, library.dot_score)

assert context.shape == (1, 1, 2), (
    f"expected context (1, 1, 2) first, got {tuple(context.shape)}"
)
assert weights.shape == (1, 1, 3), (
    f"expected weights (1, 1, 3) second, got {tuple(weights.shape)}"
)
right = torch.allclose(weights, torch.tensor([[[0.25, 0.75, 0.0]]]))
assert right, f"expected weights [[[0.25, 0.75, 0]]], got {weights.tolist()}"
right = torch.allclose(context, torch.tensor([[[1.0, 6.0]]]))
assert right, (
    f"expected the average of the values, [[[1, 6]]], got {context.tolist()}"
)

# Shapes: 2 sentences, 3 queries, 5 keys, 7 numbers per vector and 11 per value.
query, keys, values = (
    torch.randn(2, 3, 7),
    torch.randn(2, 5, 7),
    torch.randn(2, 5, 11),
)
context, weights = attend(query, keys, values, None, library.dot_score)
assert context.shape == (2, 3, 11), (
    f"expected context (2, 3, 11), got {tuple(context.shape)}"
)
assert weights.shape == (2, 3, 5), (
    f"expected weights (2, 3, 5), got {tuple(weights.shape)}"
)

# Use the score that is passed in: the scaled one gives other weights.
scaled = library.masked_softmax(library.scaled_dot_score(query, keys), None)
weights = attend(query, keys, values, None, library.scaled_dot_score)[1]
right = torch.allclose(weights, scaled, atol=1e-5)
assert right, "call score(query, keys) with the score that is passed in"

# All keys but one are padding: the context is the value of that key.
mask = torch.tensor([[False, False, True, False, False]] * 2)
context, weights = attend(query, keys, values, mask, library.dot_score)
alone = values[:, 2:3].expand(2, 3, 11)
right = torch.allclose(context, alone, atol=1e-5)
assert right, "with one real key, the context should be the value of that key"
print("2.6: all visible tests pass")

### BEGIN HIDDEN TESTS
check("attend", attend)
### END HIDDEN TESTS

# %% [markdown] written="why_attention" points=3
r"""
### Exercise 2.7 · Say it in words

10 min · ●●○ · 3 points

Explain attention to a classmate who knows recurrent networks but missed demo 02, in five to eight
sentences. Answer three questions, one point each. A person grades this answer; the check at the end only
runs the tests.

1. Without attention, why does translation get worse as sentences get longer?
2. What does the decoder do differently at each output word, and why can its context change from word to word?
3. A heat map shows a weight of 0.8 on one source word. What does that *not* prove?

<!-- ### BEGIN SOLUTION -->
**A possible answer.** Without attention, the encoder must press the whole sentence into one vector of fixed
size, and the decoder writes from that vector alone. The longer the sentence, the more must fit into the
same numbers, so details get lost. With attention, all encoder states are kept. At each output word, the
decoder's state is a query. It's scored against every key, a softmax turns the scores into weights, and the
weighted sum of the values is the context for this word. Each word has another query, so the weights and the
context change too. A weight of 0.8 says that the value at this position makes up most of the context. It
doesn't prove that the word caused the output: the decoder's own state may carry the same information, the
encoder state at that position also contains its neighbors, and other weights may give the same word.

**Rubric**, one point per question. Give half a point if half of the idea is missing.

1. Full: one vector of *fixed size* for a sentence of any length, so the loss grows with the length. Half:
   only "information is lost" or "the network forgets". None: "long sentences are harder".
2. Full: scores against all encoder states, softmax, weighted sum; *and* the context changes because the query
   does. Half: one of the two. None: only a metaphor, such as "it focuses".
3. Full: names something that a weight leaves open, such as what caused the output, whether the alignment is
   right, or what the state at that position really contains. Half: "it isn't always right". None: claims that
   the weight proves one of these.

Accept other correct reasons. Don't grade the language or the length.
<!-- ### END SOLUTION -->
"""

# %% [markdown]
r"""
When you're done, let the grader check the whole notebook.
"""

# %%
# Save the notebook, remove the first # of the next line, and run this cell.
# from grading import check_notebook; check_notebook("02_attention.ipynb")

# %% [markdown]
r"""
### Looking back

- A score compares a query with a key. A masked softmax turns the scores into weights for the real keys. The
  context is the weighted average of the values.
- The four scores differ in what they can learn and in what they cost. All of them fit into the same `attend`.
- Most mistakes with attention raise no error: a wrong axis or a forgotten mask gives numbers that look fine.
  To find them, work small cases by hand, and test with sizes that all differ.

**One thing to try.** In the map of exercise 2.6, multiply all scores by 5 before the softmax, then by 0.2.
Which of the two comes closer to picking a single word?

Which of the functions took you longest, and what would have shown you the mistake earlier? Note it for next
time. Then go on to demo 03, where your functions translate.
"""
