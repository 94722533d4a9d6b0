# %% [markdown]
r"""
# Exercise 07 · Words that look at each other

**Which words of this sentence matter for this word?**

So far attention joined two sentences. For each word it wrote, the decoder asked: which words of the source
matter for this output? Now turn the spotlight round. In *The animal did not cross the street because it was
too tired*, who is "it"? Change the last word to *wide*, and "it" is the street. A translator into French must
know: the animal is *il*, the street is *elle*. The answer stands in the same sentence, a few words away, and
attention can fetch it. When a sentence attends to itself, we speak of **self-attention**. Here you build it,
and the other parts that a Transformer is made of, a model that reads without any recurrence.

You will

- **implement** self-attention, the mask that hides the future, many heads, positions, and one whole block,
- **predict** what each part can and cannot do, and run it to see,
- **explain** what is lost together with the recurrent network, and what brings it back.

About 105 minutes, 15 points: 2 each for exercises 7.1, 7.2 and 7.4, and 3 each for 7.3, 7.5 and a written
answer. Every exercise stands alone: you can do them in any order. Where one needs what another asks
for, use the course's own version, `library.causal_mask` for instance: then a mistake in one costs nothing in
the next.
"""

# %% [markdown]
r"""
### How an exercise works

Replace `raise NotImplementedError` by your answer, run the cell, then run the tests below it. They say in
words what they check. When the work is graded, more tests of the same kind run on other numbers: other
sizes, padding, single words, zeros. If you are stuck, open the first hint, and the next one only if you
need it.

You know these words from exercise 02. A **query** asks, each **key** is compared with it, and each **value**
is what is handed over. **Scores** become **weights**, which sum to one, and the values blended by the weights
are the **context**.

| size | counts |
| --- | --- |
| `batch` | sentences that are worked on together |
| `length` | words of each sentence |
| `hidden` | numbers in the vector of one word |
| `heads` | spotlights that one word holds at the same time |

A **mask** says who may be looked at. It is of type bool, True = may be looked at, and it is either
(batch, length), the same for every word that looks, or (batch, length, length), with a row of its own for
each word that looks. Results keep the dtype and the device of what came in.
"""

# %%
import math

import matplotlib.pyplot as plt
import torch
from torch import nn

from utils import transformer as library
from utils.attention import attend, scaled_dot_score
from utils.plotting import plot_attention

# %% [markdown]
r"""
### Exercise 7.1 · Self-attention

15 min · ●●○ · 2 points

Make three vectors of every word $x_s$, by three matrices: what it asks for, what it offers, and what it hands
over. Then attend as before.

$$q_t = x_t W_q, \qquad k_s = x_s W_k, \qquad v_s = x_s W_v, \qquad
c_t = \sum_s \alpha_{t,s}\, v_s, \qquad
\alpha_t = \operatorname{softmax}_s\!\left(\frac{q_t \cdot k_s}{\sqrt{\text{key\_dim}}}\right)$$

In code, $W_q$, $W_k$ and $W_v$ are `w_query`, `w_key` and `w_value`, $\alpha_{t,s}$ is `weights[b, t, s]` and
$c_t$ is `context[b, t]`.

| | shape |
| --- | --- |
| in: `x` | (batch, length, hidden) |
| in: `w_query`, `w_key` | (hidden, key_dim) |
| in: `w_value` | (hidden, value_dim) |
| in: `mask` | (batch, length), or (batch, length, length), or `None` where every word may look at all |
| out: `context` | (batch, length, value_dim) |
| out: `weights` | (batch, length, length), a row for each word that looks |

A word that may look at nothing gets zeros, in `context` and in `weights`, never NaN. You may use what was
imported above: `attend(query, keys, values, mask, score)` with `scaled_dot_score` as its last argument is the
attention of exercise 02. It returns context and weights, takes both kinds of mask, and gives such zeros.

**By hand.** Three words, two numbers each: the first says "a living being", the second "a pronoun". Let

$$W_q = \begin{pmatrix} 0 & 0 \\ \sqrt2 \ln 3 & 0 \end{pmatrix}, \qquad
W_k = \begin{pmatrix} 1 & 0 \\ 0 & 0 \end{pmatrix}, \qquad
W_v = \begin{pmatrix} 10 & 0 \\ 0 & 5 \end{pmatrix},$$

so that a pronoun asks for living beings. The query of "it" is $(\sqrt2 \ln 3,\, 0)$, and $\sqrt2$ is the root
of key_dim.

| | vector $x$ | key | score for "it" | weight | value | weight · value |
| --- | --- | --- | --- | --- | --- | --- |
| animal | (1, 0) | (1, 0) | ln 3 | 3/5 | (10, 0) | (6, 0) |
| street | (0, 0) | (0, 0) | 0 | 1/5 | (0, 0) | (0, 0) |
| it | (0, 1) | (0, 0) | 0 | 1/5 | (0, 5) | (0, 1) |

The last column adds up to the context of "it", **(6, 1)**. The other two words ask for nothing: their queries
are zero, so their weights are even, 1/3 each.
"""


# %% answer="self_attention"
def self_attention(x, w_query, w_key, w_value, mask=None):
    """Let every word of a sentence look at the words of that sentence, by the scaled dot product.

    x (batch, length, hidden); w_query and w_key (hidden, key_dim), w_value (hidden, value_dim); mask bool,
    True = may be looked at, (batch, length) or (batch, length, length), or None. Return context
    (batch, length, value_dim) and weights (batch, length, length), in this order. A word that may look at
    nothing gets zeros, never NaN. Vaswani et al. 2017, equation 1.
    """
    ### BEGIN SOLUTION
    query, keys, values = x @ w_query, x @ w_key, x @ w_value
    return attend(query, keys, values, mask, scaled_dot_score)

    # Why so: self-attention is the attention you know, and only the place where its three inputs come from is
    # new. All are made of the same x, so tgt_len and src_len are both length. Without the matrices a word
    # would be compared with the others by likeness, and nothing is more like a word than itself; with them
    # "it" can ask for something that it is not. The root is that of key_dim, the length of what is
    # multiplied, and neither of hidden nor of value_dim.
    ### END SOLUTION


# %% [markdown]
r"""
<details><summary>Hint 1</summary>

Which part of this is new, compared with attention in a translator? Only what stands before `attend` is.

</details>

<details><summary>Hint 2</summary>

`x @ w_query` multiplies every word of every sentence by the matrix. Make the query, the keys and the values
in this way, then call `attend(query, keys, values, mask, scaled_dot_score)`.

</details>
"""

# %% [markdown]
r"""
**Predict.** The next cell lets the words look twice, and adds what they found to their vectors in between.
The matrices are made up. At the first look, a pronoun asks: what is said of me? At the second, a word that is
said to be tired asks for what can be tired, and one that is said to be wide for what can be wide. When
"tired" becomes "wide", does "it" point at another word in the first look, in the second, or in both?
"""

# %%
# A free cell: change a word, or a matrix.
CAN_BE_TIRED, CAN_BE_WIDE, PRONOUN, SAYS_TIRED, SAYS_WIDE = range(5)
KINDS = {"animal": CAN_BE_TIRED, "street": CAN_BE_WIDE, "it": PRONOUN, "tired": SAYS_TIRED, "wide": SAYS_WIDE}


def look_twice(words):
    """The weights of both looks, (2, length, length)."""
    x = torch.eye(5)[[KINDS[word] for word in words]].unsqueeze(0)  # (1, length, 5)
    w_query, w_key, w_value = (
        torch.zeros(5, 2),
        torch.zeros(5, 2),
        torch.diag(torch.tensor([0.0, 0, 0, 1, 1])),
    )
    w_query[PRONOUN, 0] = 6
    w_key[SAYS_TIRED, 0] = w_key[SAYS_WIDE, 0] = 1
    found, first = self_attention(x, w_query, w_key, w_value)
    w_query, w_key = torch.zeros(5, 2), torch.zeros(5, 2)
    w_query[SAYS_TIRED, 0] = w_query[SAYS_WIDE, 1] = 6
    w_key[CAN_BE_TIRED, 0] = w_key[CAN_BE_WIDE, 1] = 1
    _, second = self_attention(x + found, w_query, w_key, w_value)
    return torch.cat([first, second])


for last in ("tired", "wide"):
    words = ["animal", "street", "it", last]
    for look, weights in zip(("first", "second"), look_twice(words), strict=True):
        row = [f"{word} {weight:.2f}" for word, weight in zip(words, weights[2].tolist(), strict=True)]
        print(f"{look:>6} look of 'it':", *row)

# %% [markdown]
r"""
<details><summary>Reflect</summary>

The first look goes to the last word in both sentences; only the second goes to the animal in one
and to the street in the other. A query is made of one word's own vector, so "it" cannot ask the right
question before it has learned what is said of it: this is why Transformers stack such layers. The numbers
were made up, so this shows what self-attention can do, not how a trained model settles the matter.

</details>
"""

# %% test="self_attention" points=2
import math

import torch
from grading.checks import check

# On random numbers, beside the course's own: a mistake that it knows is named.
check("self_attention", self_attention, cases="visible")

# By hand: animal, street, it, and the matrices of the text.
x = torch.tensor([[[1.0, 0.0], [0.0, 0.0], [0.0, 1.0]]])
w_query = torch.tensor([[0.0, 0.0], [math.sqrt(2) * math.log(3), 0.0]])
w_key, w_value = torch.tensor([[1.0, 0.0], [0.0, 0.0]]), torch.tensor([[10.0, 0.0], [0.0, 5.0]])
context, weights = self_attention(x, w_query, w_key, w_value)
right = torch.allclose(weights[0, 2], torch.tensor([0.6, 0.2, 0.2]))
assert right, f"the weights of 'it' should be (3/5, 1/5, 1/5), but are {weights[0, 2].tolist()}"
right = torch.allclose(context[0, 2], torch.tensor([6.0, 1.0]))
assert right, f"the context of 'it' should be (6, 1), but is {context[0, 2].tolist()}"

# Shapes: 2 sentences of 5 words, vectors of 7 numbers, keys of 3 and values of 11.
x, matrices = torch.randn(2, 5, 7), [torch.randn(7, 3), torch.randn(7, 3), torch.randn(7, 11)]
context, weights = self_attention(x, *matrices)
assert context.shape == (2, 5, 11), f"the context should be (2, 5, 11), but is {tuple(context.shape)}"
assert weights.shape == (2, 5, 5), f"the weights should be (2, 5, 5), but are {tuple(weights.shape)}"

# A mask of two axes hides the same words from all; one of three has a row for each word that looks.
weights = self_attention(x, *matrices, torch.tensor([[True] * 5, [True] * 3 + [False] * 2]))[1]
assert (weights[1, :, 3:] == 0).all(), "no word of the second sentence should look at its padding"
weights = self_attention(x, *matrices, torch.eye(5, dtype=torch.bool).expand(2, 5, 5))[1]
assert torch.allclose(weights, torch.eye(5).expand(2, 5, 5)), "who may look at itself alone gives it weight 1"
print("7.1: all tests that you can see pass")

### BEGIN HIDDEN TESTS
check("self_attention", self_attention)
### END HIDDEN TESTS

# %% [markdown]
r"""
### Exercise 7.2 · Hide the future

10 min · ●○○ · 2 points

Say which word may look at which while a sentence is being written: at itself and at the words before it.

$$m_{t,s} = \text{True where } s \le t, \qquad m_{t,s} = \text{False where } s > t$$

A recurrent decoder cannot look ahead, since it works word by word. In self-attention every word would see
all others, also the next one, which is what a decoder must learn to predict. With this **causal mask** it can
be trained on all words of a known target at once, without seeing any word too early. It is the same for
every sentence; a batch of them is given `causal_mask(length).expand(batch, length, length)`.

| | shape |
| --- | --- |
| in: `length` | a number of words, at least 1 |
| out: the mask | (length, length), bool: a row for each word that looks, a column for each looked at |

**By hand.** For three words:

| may look at → | She | loves | cats |
| --- | --- | --- | --- |
| **She** | True | False | False |
| **loves** | True | True | False |
| **cats** | True | True | True |
"""


# %% answer="causal_mask"
def causal_mask(length):
    """Say which word may look at which when words are written in order: at itself and those before it.

    Return bool (length, length), True = may look: a row for each word that looks, a column for each that is
    looked at. Vaswani et al. 2017, section 3.2.3.
    """
    ### BEGIN SOLUTION
    return torch.ones(length, length, dtype=torch.bool).tril()

    # Why so: row t is the word that looks, column s the word that is looked at, and tril keeps what lies on
    # the diagonal and below it, where s <= t. The diagonal belongs to it: what is read at place t is a word
    # that has been written already, and the word to be predicted is the next one. The mask depends on places
    # alone, never on scores or words. Some functions of torch want True = hidden; read what yours wants.
    ### END SOLUTION


# %% [markdown]
r"""
<details><summary>Hint 1</summary>

Draw the table for four words. Which corner is True, and what about the diagonal?

</details>

<details><summary>Hint 2</summary>

`torch.ones(3, 3, dtype=torch.bool)` is a table of True. `tensor.tril()` keeps its lower triangle and
`tensor.triu()` its upper one, both with the diagonal.

</details>
"""

# %% [markdown]
r"""
**Predict.** A sentence has 5 words, so there are 25 pairs of a word that looks and a word that is looked at.
How many of them does the mask allow? Now we replace the fourth word by another. Whose contexts change with
the mask? And whose without it?
"""

# %%
# A free cell: a picture of the mask, and what it is good for.
words = ["The", "animal", "was", "too", "tired"]
mask = causal_mask(5)
ax = plot_attention(mask.float(), words, words, annotate=False, colour_bar=False)
ax.set(xlabel="is looked at", ylabel="looks")
print(int(mask.sum()), "pairs are allowed")

x, matrices = torch.randn(1, 5, 4), torch.randn(3, 4, 4)
other = x.clone()
other[0, 3] = torch.randn(4)
for name, rule in (("with the mask", mask.unsqueeze(0)), ("without it", None)):
    before, after = (library.self_attention(y, *matrices, rule)[0][0] for y in (x, other))
    changed = (before - after).abs().amax(-1) > 1e-6
    print(f"{name} these change:", *(word for word, new in zip(words, changed, strict=True) if new))

# %% [markdown]
r"""
<details><summary>Reflect</summary>

1 + 2 + 3 + 4 + 5 = 15 pairs are allowed. With the mask only the fourth and the fifth word notice
that the fourth is another; without it all do. So what a decoder computes for the first words of a target
stays right whatever comes later. (An encoder, which has its whole sentence before it, needs no such mask.)

</details>
"""

# %% test="causal_mask" points=2
import torch

from utils import transformer as library

from grading.checks import check

# Beside the course's own: a mistake that it knows is named.
check("causal_mask", causal_mask, cases="visible")

# By hand: "She loves cats".
by_hand = [[True, False, False], [True, True, False], [True, True, True]]
found = causal_mask(3).tolist()
assert found == by_hand, f"for three words the mask should be {by_hand}, but is {found}"

# Length one: a single word may look at itself.
assert causal_mask(1).tolist() == [[True]], f"one word may look at itself, not {causal_mask(1).tolist()}"

# In use: replace the last of 5 words, and nothing before it may change.
mask = causal_mask(5)
assert mask.dtype == torch.bool and mask.shape == (5, 5), f"not bool (5, 5), but {mask.dtype} {mask.shape}"
x, matrices = torch.randn(1, 5, 7), torch.randn(3, 7, 7)
other = torch.cat([x[:, :4], torch.randn(1, 1, 7)], dim=1)
before, after = (library.self_attention(y, *matrices, mask.unsqueeze(0))[0] for y in (x, other))
assert torch.allclose(before[:, :4], after[:, :4], atol=1e-6), "the last word changes what comes before it"
print("7.2: all tests that you can see pass")

### BEGIN HIDDEN TESTS
check("causal_mask", causal_mask)
### END HIDDEN TESTS

# %% [markdown]
r"""
### Exercise 7.3 · Many heads

30 min · ●●● · 3 points

Give every word several spotlights: share the projected vectors out among **heads**, let each head attend by
itself, put what they found side by side, and mix it with one more matrix.

$$\text{head}_h = \operatorname{attend}\!\left(Q_h, K_h, V_h\right), \qquad
\text{output} = \left[\text{head}_0;\, \text{head}_1;\, \dots\right] W_o$$

One softmax has one whole to share out. A word that needs its subject *and* its adjective would get half of
each, blended; with two heads it gets both apart. $Q$, $K$ and $V$ are what `self.query_proj`, `self.key_proj`
and `self.value_proj` make of the inputs, and $W_o$ belongs to `self.out_proj`. Head $h$ has the $h$-th run of
head_dim = hidden / heads numbers of each vector. For two heads and hidden 6:

`[ 0 1 2 | 3 4 5 ]`: head 0 has the numbers 0, 1 and 2, head 1 has 3, 4 and 5, of every word.

The root in the scaled score is that of head_dim, the length of the vectors that a head multiplies.

| | shape |
| --- | --- |
| in: `query` | (batch, tgt_len, hidden) |
| in: `keys`, `values` | (batch, src_len, hidden) |
| in: `mask` | (batch, src_len), or (batch, tgt_len, src_len), or `None`; the same for all heads |
| out: `output` | (batch, tgt_len, hidden) |
| out: `weights` | (batch, heads, tgt_len, src_len) |

A sentence looks at itself with `attention(x, x, x)`, and a decoder looks at its source with
`attention(x, encoder_states, encoder_states)`: one class serves both, so query, keys and values come in
separately. A query that may look at nothing gets zeros, in every head, never NaN. You may use the imported
`attend` and `scaled_dot_score` here too: one call serves one head.

**By hand.** Two heads, hidden 4, and all projections change nothing (identity matrices). The query is
$(\sqrt2 \ln 3,\, 0 \,|\, 0,\, 0)$, and head_dim is 2.

| | key | value | head 0: score, weight | head 1: score, weight |
| --- | --- | --- | --- | --- |
| first word | (1, 0 \| 1, 0) | (4, 0 \| 2, 0) | ln 3, ¾ | 0, ½ |
| second word | (0, 0 \| 0, 1) | (0, 4 \| 0, 2) | 0, ¼ | 0, ½ |

Head 0 finds ¾ · (4, 0) + ¼ · (0, 4) = (3, 1), head 1 finds ½ · (2, 0) + ½ · (0, 2) = (1, 1), so the output is
**(3, 1, 1, 1)**.

`__init__` is given, so write `forward` only.
"""


# %% answer="MultiHeadAttention"
class MultiHeadAttention(nn.Module):
    """Attend in several heads at once, each with its own part of the vectors. Vaswani et al. 2017, 3.2.2."""

    def __init__(self, hidden_dim, heads):
        super().__init__()
        self.heads = heads
        self.query_proj = nn.Linear(hidden_dim, hidden_dim, bias=False)
        self.key_proj = nn.Linear(hidden_dim, hidden_dim, bias=False)
        self.value_proj = nn.Linear(hidden_dim, hidden_dim, bias=False)
        self.out_proj = nn.Linear(hidden_dim, hidden_dim, bias=False)

    def forward(self, query, keys, values, mask=None):
        """Let each query look at the keys in every head.

        query (batch, tgt_len, hidden), keys and values (batch, src_len, hidden); mask bool, True = may be
        looked at, (batch, src_len) or (batch, tgt_len, src_len), or None. Return output
        (batch, tgt_len, hidden) and weights (batch, heads, tgt_len, src_len), in this order. A query with
        nothing to attend to gets zeros, never NaN.
        """
        ### BEGIN SOLUTION
        projected = self.query_proj(query), self.key_proj(keys), self.value_proj(values)
        parts = [y.chunk(self.heads, dim=-1) for y in projected]  # heads of (batch, length, head_dim)
        found = [attend(q, k, v, mask, scaled_dot_score) for q, k, v in zip(*parts, strict=True)]
        context = torch.cat([context for context, _ in found], dim=-1)  # (batch, tgt_len, hidden)
        weights = torch.stack([weights for _, weights in found], dim=1)  # (batch, heads, tgt_len, src_len)
        return self.out_proj(context), weights

        # Why so: a head is the attention you know, on a slice of the vectors. chunk cuts the last axis into
        # runs, so every word keeps its place, the mask fits each head as it is, and scaled_dot_score sees
        # head_dim numbers and takes the right root. The course's own version does all heads in one product,
        # which is faster: reshape to (batch, length, heads, head_dim), transpose(1, 2), and the same way
        # back. Reshaped straight to (batch, heads, length, head_dim) the numbers fit too, but a head then
        # holds pieces of different words, and no error tells. out_proj comes last: without it no number of
        # the output could depend on two heads.
        ### END SOLUTION


# %% [markdown]
r"""
<details><summary>Hint 1</summary>

Project first, then share out. What does one head do that `attend` does not do already?

</details>

<details><summary>Hint 2: one head after the other</summary>

`y.chunk(self.heads, dim=-1)` cuts a tensor into that many runs along its last axis. Call `attend` with
`scaled_dot_score` for each head, `torch.cat(..., dim=-1)` the contexts and `torch.stack(..., dim=1)` the
weights.

</details>

<details><summary>Hint 3: all heads at once</summary>

`y.reshape(batch, length, heads, head_dim).transpose(1, 2)` gives (batch, heads, length, head_dim). A
`reshape` to that shape without the `transpose` would deal words out to heads. The mask lacks an axis for the
heads.

</details>
"""

# %% [markdown]
r"""
**Predict.** A layer of hidden 64 with 8 heads against one with a single head: does it have 8 times the
parameters, or how many? And when the mask leaves only one key, how do the heads' weights differ?
"""

# %%
# A free cell: count, and look at the maps of some heads before anything is learned.
for heads in (1, 8):
    layer = MultiHeadAttention(hidden_dim=64, heads=heads)
    print(heads, "heads:", sum(p.numel() for p in layer.parameters()), "parameters")

x = torch.randn(1, 5, 64)
_, weights = layer(x, x, x, torch.tensor([[True, False, False, False, False]]))
print("one key left, the first word in the first three heads:", weights[0, :3, 0].tolist())

# %% [markdown]
r"""
<details><summary>Reflect</summary>

Both have 4 · 64 · 64 = 16384: heads share the same matrices out, so more heads are narrower
heads, not more of everything. With one key left all heads must look at it, with a weight of 1. Whether heads
of a trained model then specialise is another question; nothing in this layer forces them to.

</details>
"""

# %% test="MultiHeadAttention" points=3
import math

import torch
from grading.checks import check

# On random numbers, beside the course's own: a mistake that it knows is named.
check("MultiHeadAttention", MultiHeadAttention, cases="visible")

# By hand: two heads of two numbers, identity matrices, one query and two words.
attention = MultiHeadAttention(hidden_dim=4, heads=2)
for parameter in attention.parameters():
    parameter.data = torch.eye(4)
query = torch.tensor([[[math.sqrt(2) * math.log(3), 0.0, 0.0, 0.0]]])
keys, values = torch.tensor([[[1.0, 0, 1, 0], [0, 0, 0, 1]]]), torch.tensor([[[4.0, 0, 2, 0], [0, 4, 0, 2]]])
output, weights = attention(query, keys, values)
right = torch.allclose(weights, torch.tensor([[[[0.75, 0.25]], [[0.5, 0.5]]]]))
assert right, f"the weights should be [[[[3/4, 1/4]], [[1/2, 1/2]]]], but are {weights.tolist()}"
right = torch.allclose(output, torch.tensor([[[3.0, 1.0, 1.0, 1.0]]]))
assert right, f"the output should be [[[3, 1, 1, 1]]], but is {output.tolist()}"

# Shapes: 2 sentences, 3 queries, 5 keys, 7 heads of 11 numbers each. Padding is hidden from every head.
attention = MultiHeadAttention(hidden_dim=77, heads=7)
query, source = torch.randn(2, 3, 77), torch.randn(2, 5, 77)
output, weights = attention(query, source, source, torch.tensor([[True] * 5, [True] * 2 + [False] * 3]))
assert output.shape == (2, 3, 77), f"the output should be (2, 3, 77), but is {tuple(output.shape)}"
assert weights.shape == (2, 7, 3, 5), f"the weights should be (2, 7, 3, 5), but are {tuple(weights.shape)}"
assert torch.allclose(weights.sum(-1), torch.ones(2, 7, 3)), "in each head the weights of a query sum to 1"
assert (weights[1, ..., 2:] == 0).all(), "in the second sentence only the first two keys are real"
print("7.3: all tests that you can see pass")

### BEGIN HIDDEN TESTS
check("MultiHeadAttention", MultiHeadAttention)
### END HIDDEN TESTS

# %% [markdown]
r"""
### Exercise 7.4 · Say where a word stands

20 min · ●●○ · 2 points

Give every position a vector of its own, to be added to the word that stands there: sines and cosines of waves
that grow slower from column to column.

$$\text{PE}_{p,\,2i} = \sin\!\left(\frac{p}{10000^{\,2i/\text{hidden\_dim}}}\right), \qquad
\text{PE}_{p,\,2i+1} = \cos\!\left(\frac{p}{10000^{\,2i/\text{hidden\_dim}}}\right)$$

Why is it needed? A recurrent network reads in order, so it knows what came first. Self-attention compares
each word with each other, wherever they stand: *dog bites man* and *man bites dog* are the same bag of words
to it. The vectors work like the hands of many clocks. The first pair of columns turns fast and tells
neighbours apart, the last turns slowly and tells the beginning from the end.

| | shape |
| --- | --- |
| in: `length` | positions, counted from $p = 0$ |
| in: `hidden_dim` | numbers in each vector, an even number |
| out: the positions | (length, hidden_dim), float32 |

The $i$ counts the *pairs* of columns: sine and cosine of one pair share one angle, in radians.

**By hand.** With hidden_dim 4 there are two pairs. Pair 0 has the angle $p$, and pair 1 has
$p / 10000^{2/4} = p / 100$.

| position | 0: $\sin p$ | 1: $\cos p$ | 2: $\sin \frac{p}{100}$ | 3: $\cos \frac{p}{100}$ |
| --- | --- | --- | --- | --- |
| 0 | 0 | 1 | 0 | 1 |
| 1 | 0.8415 | 0.5403 | 0.0100 | 0.99995 |
| 2 | 0.9093 | −0.4161 | 0.0200 | 0.9998 |
"""


# %% answer="positional_encoding"
def positional_encoding(length, hidden_dim):
    """Give every position a vector of sines and cosines, from waves of many lengths.

    Return (length, hidden_dim), float32: position p, counted from 0, has sin(p / 10000^(2i / hidden_dim)) in
    column 2i and the cosine of the same angle in column 2i + 1. hidden_dim is even. Vaswani et al. 2017,
    section 3.5.
    """
    ### BEGIN SOLUTION
    position = torch.arange(length).unsqueeze(1)  # (length, 1)
    column = torch.arange(0, hidden_dim, 2)  # the even columns, 2i: (hidden_dim / 2,)
    angle = position / 10_000 ** (column / hidden_dim)  # (length, hidden_dim / 2)
    positions = torch.zeros(length, hidden_dim)
    positions[:, 0::2] = angle.sin()
    positions[:, 1::2] = angle.cos()
    return positions

    # Why so: arange(0, hidden_dim, 2) gives 2i itself, so there is no 2 left to forget or to count twice. An
    # axis of length 1 makes the table of all positions and all waves without a loop. Sines alone would
    # not do: sin has the same value at two places of a wave, and sine with cosine has not. Any two
    # positions that are equally far apart also have the same dot product, so "three words back" looks alike
    # anywhere in a sentence. Nothing is learned here, so sentences may be longer than those in training.
    ### END SOLUTION


# %% [markdown]
r"""
<details><summary>Hint 1</summary>

Make the table of angles first: a row for each position, a column for each *pair*. Which values does $2i$ take
for hidden_dim 6?

</details>

<details><summary>Hint 2</summary>

`torch.arange(length).unsqueeze(1)` is a column of positions, and `torch.arange(0, hidden_dim, 2)` a row of
the numbers 0, 2, 4, ... A column divided by a row gives the whole table. `positions[:, 0::2]` are the even
columns of a tensor, `positions[:, 1::2]` the odd ones: both can be assigned to.

</details>
"""

# %% [markdown]
r"""
**Predict.** Three random vectors stand for "dog", "bites" and "man". Below, *bites* looks round in "dog bites
man" and in "man bites dog", through the same random matrices. How far apart are its two contexts without
positions? And does adding positions change that?
"""

# %%
# A free cell: the same bag of words, and a picture of the positions.
dog, bites, man = torch.randn(3, 16)
matrices = torch.randn(3, 16, 16) / 4
for name, positions in (("without", torch.zeros(3, 16)), ("with", positional_encoding(3, 16))):
    there, back = torch.stack([dog, bites, man]), torch.stack([man, bites, dog])
    context, _ = library.self_attention(torch.stack([there, back]) + positions, *matrices)
    print(
        f"{name:>7} positions the contexts of 'bites' differ by {(context[0, 1] - context[1, 1]).norm():.4f}"
    )

figure, ax = plt.subplots(figsize=(6, 3))
ax.set(xlabel="position", ylabel="column")
picture = ax.imshow(positional_encoding(60, 32).T, cmap="coolwarm", aspect="auto")
bar = figure.colorbar(picture)

# %% [markdown]
r"""
<details><summary>Reflect</summary>

Without positions the two contexts are the same, but for rounding: who bites whom is lost, in any
number of layers. With them they differ. In the picture the top columns change from word to word, those at the
bottom hardly at all. That contexts differ does not mean that a model uses it well: that it must learn.

</details>
"""

# %% test="positional_encoding" points=2
import torch
from grading.checks import check

# Beside the course's own: a mistake that it knows is named.
check("positional_encoding", positional_encoding, cases="visible")

# By hand: three positions, four columns.
positions = positional_encoding(3, 4)
by_hand = torch.tensor(
    [[0.0, 1.0, 0.0, 1.0], [0.8415, 0.5403, 0.0100, 0.99995], [0.9093, -0.4161, 0.0200, 0.9998]]
)
assert positions.shape == (3, 4), f"the shape should be (3, 4), but is {tuple(positions.shape)}"
assert torch.allclose(positions, by_hand, atol=1e-4), f"they should be as in the table, not {positions}"

# Position 0 has sines of 0 and cosines of 1, and a position's vector does not depend on the length.
positions = positional_encoding(7, 10)
assert positions[0].tolist() == [0.0, 1.0] * 5, f"position 0 should be 0, 1, 0, 1, ..., not {positions[0]}"
assert torch.equal(positions[:5], positional_encoding(5, 10)), "5 positions should be the first 5 of 7"

# How alike two positions are depends on how far apart they are, not on where they stand.
alike = positions @ positions.T
assert torch.allclose(alike.diagonal(2), alike[0, 2].expand(5), atol=1e-4), "2 apart should be alike anywhere"
print("7.4: all tests that you can see pass")

### BEGIN HIDDEN TESTS
check("positional_encoding", positional_encoding)
### END HIDDEN TESTS

# %% [markdown]
r"""
### Exercise 7.5 · One block of a Transformer

20 min · ●●○ · 3 points

First the words look at each other, then each thinks about what it found, by itself. Each of the two parts
reads its input through a norm, and what it gives is *added* to what was there.

$$y = x + \text{dropout}(\text{attention}(\text{norm}_1(x))), \qquad
z = y + \text{dropout}(\text{ff}(\text{norm}_2(y))), \qquad
\text{ff}(u) = W_2 \,\text{ReLU}(W_1 u + b_1) + b_2$$

| part | in code |
| --- | --- |
| attention of a sentence with itself | `self.attention(query, keys, values, mask)`: output and weights |
| $\text{norm}_1$, before the attention | `self.attention_norm` |
| $\text{norm}_2$, before the feed-forward | `self.ff_norm` |
| $W_1$ with $b_1$, and $W_2$ with $b_2$ | `self.ff_in` and `self.ff_out` |
| dropout, on what each part gives, before it is added | `self.dropout` |

The road of plain additions from $x$ to $z$ is called **residual**: a block changes its words by adding to
them. `nn.LayerNorm` moves and scales the numbers of each word to mean 0 and spread 1. The first Transformer
had its norms after the sums ("post-norm"). Here they stand before the parts ("pre-norm", as most do today),
which leaves the road free and trains without special care in the first steps. Dropout sets a share of numbers
to zero while a model learns, and nothing when it is used: `self.dropout` knows which of the two it is.

| | shape |
| --- | --- |
| in: `x` | (batch, length, hidden) |
| in: `mask` | (batch, length), or (batch, length, length), or `None` |
| out: `output` ($z$) | (batch, length, hidden) |
| out: `weights` | (batch, heads, length, length), as the attention gives them |

**By hand.** One word $x = (1, 3)$, one head, and all matrices change nothing. Its mean is 2 and its spread 1,
so $\text{norm}_1(x) = (-1, 1)$. A single word looks at itself with weight 1, so the attention gives (−1, 1),
and $y = (0, 4)$. Again $\text{norm}_2(y) = (-1, 1)$; the ReLU makes (0, 1) of it, and $z$ is **(0, 5)**.

`__init__` is given, so write `forward` only. The attention is the course's own, so 7.3 does not count here.
"""


# %% answer="TransformerBlock"
class TransformerBlock(nn.Module):
    """Let words look at each other, then let each think for itself. Vaswani et al. 2017, 3.1, norms first."""

    def __init__(self, hidden_dim, heads, ff_dim, dropout):
        super().__init__()
        self.attention = library.MultiHeadAttention(hidden_dim, heads)
        self.attention_norm = nn.LayerNorm(hidden_dim)
        self.ff_in = nn.Linear(hidden_dim, ff_dim)
        self.ff_out = nn.Linear(ff_dim, hidden_dim)
        self.ff_norm = nn.LayerNorm(hidden_dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, mask=None):
        """Run the block on sentences.

        x (batch, length, hidden); mask bool, True = may be looked at, (batch, length) or
        (batch, length, length), or None. Return output (batch, length, hidden) and the attention's weights
        (batch, heads, length, length), in this order.
        """
        ### BEGIN SOLUTION
        normed = self.attention_norm(x)
        found, weights = self.attention(normed, normed, normed, mask)
        x = x + self.dropout(found)
        thought = self.ff_out(torch.relu(self.ff_in(self.ff_norm(x))))
        return x + self.dropout(thought), weights

        # Why so: x is only ever added to. If both parts gave zeros the block would hand x on unchanged, so
        # a deep stack can start from there, and gradients come back along the additions undiminished. Query,
        # keys and values are all the normed x. Attention mixes words and is linear in the values; the
        # feed-forward, with its ReLU, works on each word alone. Dropout comes before the sum: after it, it
        # would make holes in x itself. The second sum starts from the new x, or what was found is lost.
        ### END SOLUTION


# %% [markdown]
r"""
<details><summary>Hint 1</summary>

Write it in two halves, one for each equation, and overwrite `x` after the first: `x = x + ...`. How many
things does `self.attention` return?

</details>

<details><summary>Hint 2</summary>

`normed = self.attention_norm(x)` is passed to the attention three times, with the mask. The second half reads
`self.ff_norm(x)` of the *new* x, through `self.ff_in`, `torch.relu` and `self.ff_out`.

</details>
"""

# %% [markdown]
r"""
**Predict.** The next cell trains your block to turn sequences of 7 random letters round: the first word of
the answer is the last of the input, and so on. It does so twice, without positions and with them, for 300
steps each. There are ten letters, so blind guessing gets 10% right. What share will each of the two get
right?
"""


# %%
# A free cell: one block learns to reverse. A few seconds.
def learn_to_reverse(positions):
    """Train one block; give the share of right letters in new input, and its mean weights in each head."""
    torch.manual_seed(0)
    embedding, block, out = nn.Embedding(10, 32), TransformerBlock(32, 4, 64, dropout=0.0), nn.Linear(32, 10)
    optimizer = torch.optim.Adam(nn.ModuleList([embedding, block, out]).parameters(), lr=3e-3)

    def read(src):
        output, weights = block(embedding(src) + positions)
        return out(output), weights

    for _ in range(300):
        src = torch.randint(10, (64, 7))
        logits, _ = read(src)
        optimizer.zero_grad()
        nn.functional.cross_entropy(logits.transpose(1, 2), src.flip(1)).backward()
        optimizer.step()
    src = torch.randint(10, (1000, 7))
    logits, weights = read(src)
    return (logits.argmax(-1) == src.flip(1)).float().mean(), weights.mean(0).detach()


for name, positions in (("without", torch.zeros(7, 32)), ("with", library.positional_encoding(7, 32))):
    share, weights = learn_to_reverse(positions)
    ax = plot_attention(weights.mean(0), range(7), range(7))
    ax.set(xlabel="place that is looked at", ylabel="place that looks", title=f"{name} positions")
    print(f"{name:>7} positions {share:.0%} of the letters are right")

# %% [markdown]
r"""
<details><summary>Reflect</summary>

With positions all letters are right, and the second map, a mean over the heads, shows why: every
place looks mostly at its mirror image. Without them about a third is right: the block knows which letters are
there, but not where, and all places look alike. Over ten seeds we saw 31 to 32% without and 100% with. One
short task shows that positions *can* be used by a block; language asks for more than places.

</details>
"""

# %% test="TransformerBlock" points=3
import torch
from grading.checks import check

# On random numbers, beside the course's own: a mistake that it knows is named.
check("TransformerBlock", TransformerBlock, cases="visible")

# By hand: one word (1, 3), one head, identity matrices.
block = TransformerBlock(hidden_dim=2, heads=1, ff_dim=2, dropout=0.1).eval()
for name, parameter in block.named_parameters():
    if parameter.dim() == 2:
        parameter.data = torch.eye(2)
    elif name in ("ff_in.bias", "ff_out.bias"):
        parameter.data = torch.zeros(2)
output, _ = block(torch.tensor([[[1.0, 3.0]]]))
right = torch.allclose(output, torch.tensor([[[0.0, 5.0]]]), atol=1e-3)
assert right, f"(1, 3) should become (0, 5), but becomes {output.tolist()}"

# Shapes: 2 sentences of 5 words, 3 heads of 7 numbers. In use, two runs give the same.
block, x = TransformerBlock(hidden_dim=21, heads=3, ff_dim=11, dropout=0.1).eval(), torch.randn(2, 5, 21)
output, weights = block(x)
assert output.shape == x.shape, f"the output should be (2, 5, 21), but is {tuple(output.shape)}"
assert weights.shape == (2, 3, 5, 5), f"the weights should be (2, 3, 5, 5), but are {tuple(weights.shape)}"
assert torch.equal(output, block(x)[0]), "in use nothing is dropped, so two runs should give the same"

# In training, dropout 1 drops all that the parts give: what is left is x.
output, _ = TransformerBlock(hidden_dim=21, heads=3, ff_dim=11, dropout=1.0).train()(x)
assert torch.allclose(output, x), "where all that is added is dropped, the block should hand on x as it was"
print("7.5: all tests that you can see pass")

### BEGIN HIDDEN TESTS
check("TransformerBlock", TransformerBlock)
### END HIDDEN TESTS

# %% [markdown] written="why_self_attention" points=3
r"""
### Exercise 7.6 · Say it in words

10 min · ●●○ · 3 points

Three classmates build something with your parts. Answer the question of each, in five to eight sentences in
all, one point each. The check at the end counts the tests only; a person grades this answer.

1. **Captions.** A model writes a sentence about a picture. Each word it writes looks at the regions of the
   picture, and also at the words written so far. Which of the two looks is self-attention? Say for both where
   query, keys and values come from, and what they have in common.
2. **Reviews.** A model that adds no positions tells good restaurant reviews from bad ones, almost as well as
   one that does. How can it manage, and which reviews must it confuse? Make up two. Why would a recurrent
   network have had no need of positions?
3. **Tunes.** A model learns to predict the next note. It is trained on whole tunes at once, without a causal
   mask. Its training loss falls to almost nothing, and the tunes that it writes are noise. Explain both. Does
   the model of question 2 need such a mask?

<!-- ### BEGIN SOLUTION -->
**A possible answer.** The look at the words written so far is self-attention: query, keys and values are made
of the same words, each by a matrix of its own. In the look at the picture only the query comes from the word,
and keys and values come from the regions. Scores, softmax and the sum of values are the same in both. Without
positions the review model sees a bag of words, and words such as "awful" and "delicious" tell most of the
verdict wherever they stand. It must confuse "good, not bad" with "bad, not good": the same vectors come out
in another order. A recurrent network reads word after word, so its states depend on the order anyway. The
tune model could look at the next note itself, which is the answer, so it learned to copy it: hence the low
loss. When it writes, the next note is not there yet, and it has learned nothing else. The review model
predicts none of its own words, and the whole review is known from the start, so its words may look both ways.

**Rubric**, one point a question. Half a point where the idea is there but half of it is missing.

1. Full: the right look is named, *and* all three from the same words against keys and values from the
   picture, *and* scores, softmax and sum in both. Half: two of the three. None: "both look at words".
2. Full: single words tell most of it, *and* two reviews of the same words with opposite verdicts, *and* that
   a recurrent network reads in order. Half: two of the three. None: only "it is less exact".
3. Full: the answer is seen in training and missing when it writes; *and* no mask in question 2, since the
   whole review is given and none of its words is predicted. Half: one of the two. None: "to save time" or
   "because of padding".

Other correct reasons count as much as these. Language is not graded; more than ten sentences lose nothing.
<!-- ### END SOLUTION -->
"""

# %% [markdown]
r"""
When you have written all that you want to hand in, let the grader look at the whole notebook.
"""

# %%
# Save the notebook, take away the # of the next line and run this cell: all tests grade the saved file.
# from grading import check_notebook; check_notebook("07_self_attention.ipynb")

# %% [markdown]
r"""
### Looking back

- Self-attention is attention whose query, keys and values are made of the same sentence. Heads let a word
  look at several things at once, and blocks on top of each other let it ask a better question the second
  time.
- It has no sense of order of its own. Positions bring order in, and the causal mask decides who may see whom.
- A block only ever adds to its words: what they find in the others first, and then what each makes of it.

**One thing to try.** In exercise 7.5, give the block of `read` a mask, so that it learns to reverse while no
place sees the future: `block(embedding(src) + positions, library.causal_mask(7).expand(len(src), 7, 7))`.
Which places can still know their letter, and what share of all letters does that make, with positions? Work
it out before you run it.

<details><summary>What we saw</summary>

61%: place 0 needs the letter of place 6, which it may not see, and so do places 1 and 2 with theirs. They
guess, and one guess in ten is right. The other four get all: (4 + 3 · 0.1) / 7 = 0.61.

</details>

Which of the five parts would you have expected to matter least, and did a run change your mind? Write
yourself a line about it. Then go on to demo 09, where attention meets real text.
"""
