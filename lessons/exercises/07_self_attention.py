# %% [markdown]
r"""
# Exercise 07 · Words that look at each other

**Which words of this sentence matter for this word?**

So far, attention joined two sentences. For each word it wrote, the decoder asked which words of the source
matter. Now point the spotlight at the sentence itself. In *The animal did not cross the street because it
was too tired*, who is "it"? Change the last word to *wide*, and "it" is the street. A translator into
French must know: the animal is *il*, the street is *elle*. The answer is in the same sentence, a few words
away, and attention can fetch it. If a sentence attends to itself, this is called **self-attention**. Here
you build it, and the other parts of a Transformer, a model that reads without recurrence.

You will

- **implement** self-attention, the mask that hides the future, many heads, positions, and one whole block,
- **predict** what each part can and can't do, and run it to see,
- **explain** what is lost without a recurrent network, and what brings it back.

About 110 minutes, 15 points: 2 each for exercises 7.1, 7.2 and 7.4, and 3 each for 7.3, 7.5 and a written
answer. Every exercise stands alone: you can do them in any order. If one needs the result of another, use
the course's own version, such as `library.causal_mask`: then a mistake in one costs nothing in the next.
"""

# %% [markdown]
r"""
### How an exercise works

Replace `raise NotImplementedError` with your answer, run the cell, then run the tests below it. If a test
fails, its message says what it checked. Grading runs more tests of the same kind on other inputs: other
sizes, padding, single words, zeros. The line "Points" of an exercise says what each part of your answer is
worth. An answer that fails in one part keeps the points of the others, as long as it is right on ordinary
input. If you're stuck, open the first hint, and the next one only if you still need it.

You know these words from exercise 02. A **query** asks, each **key** is compared with it, and each
**value** is passed on. **Scores** become **weights**, which sum to one, and the weighted average of the
values is the **context**.

| size | counts |
| --- | --- |
| `batch` | sentences that are processed together |
| `length` | words per sentence |
| `hidden` | numbers per word vector |
| `heads` | attentions that run side by side |

A **mask** says which words a word may look at. It is bool, True = may be looked at. A (batch, length) mask
is the same for every word that looks; a (batch, length, length) mask has one row for each of them. Models
learn *through* these functions, so use only torch operations. Results keep the dtype and the device of the
inputs.
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

20 min · ●●○ · 2 points

Points: 1.25 for ordinary input; 0.25 for every kind of mask; 0.25 for rows with nothing to attend to; 0.25
for gradient, dtype and device.

Make three vectors of every word $x_i$, with three matrices: its query (what it asks for), its key (what it
offers), and its value (what it passes on). Then let every word attend to all words, in the steps that you
know: score, mask and softmax, weighted sum.

$$q_t = x_t W_q, \qquad k_i = x_i W_k, \qquad v_i = x_i W_v$$

$$e_{t,i} = \frac{q_t \cdot k_i}{\sqrt{\text{key\_dim}}}, \qquad
\alpha_{t,i} = \frac{\exp(e_{t,i})}{\sum_{j \text{ allowed}} \exp(e_{t,j})}, \qquad
c_t = \sum_i \alpha_{t,i}\, v_i$$

Words $i$ that $t$ may not look at get $\alpha_{t,i} = 0$. In code, $W_q$, $W_k$ and $W_v$ are `w_query`,
`w_key` and `w_value`, $\alpha_{t,i}$ is `weights[b, t, i]`, and $c_t$ is `context[b, t]`.

| | shape |
| --- | --- |
| in: `x` | (batch, length, hidden) |
| in: `w_query`, `w_key` | (hidden, key_dim) |
| in: `w_value` | (hidden, value_dim) |
| in: `mask` | (batch, length), or (batch, length, length), or `None` if every word may look at all words |
| out: `context` | (batch, length, value_dim) |
| out: `weights` | (batch, length, length), one row per word that looks |

Write the score, the mask and the softmax yourself, without `attend`, which later exercises use: they are
the scaled dot score and the masked softmax of exercise 02, now with words of the same sentence. A word that
may look at nothing gets zeros, in `context` and in `weights`, never NaN.

**By hand.** Three words, two numbers each: the first means "a living being", the second "a pronoun". Let

$$W_q = \begin{pmatrix} 0 & 0 \\ \sqrt2 \ln 3 & 0 \end{pmatrix}, \qquad
W_k = \begin{pmatrix} 1 & 0 \\ 0 & 0 \end{pmatrix}, \qquad
W_v = \begin{pmatrix} 10 & 0 \\ 0 & 5 \end{pmatrix},$$

so a pronoun asks for living beings. The query of "it" is $(\sqrt2 \ln 3,\, 0)$, and $\sqrt2$ is the root of
key_dim.

| | vector $x$ | key | score for "it" | weight | value | weight · value |
| --- | --- | --- | --- | --- | --- | --- |
| animal | (1, 0) | (1, 0) | ln 3 | 3/5 | (10, 0) | (6, 0) |
| street | (0, 0) | (0, 0) | 0 | 1/5 | (0, 0) | (0, 0) |
| it | (0, 1) | (0, 0) | 0 | 1/5 | (0, 5) | (0, 1) |

The last column sums to the context of "it", **(6, 1)**. The other two words ask for nothing: their queries
are zero, so their weights are even, 1/3 each.
"""


# %% answer="self_attention"
def self_attention(x, w_query, w_key, w_value, mask=None):
    """Let every word of a sentence look at all of its words.

    x (batch, length, hidden); w_query and w_key (hidden, key_dim); w_value
    (hidden, value_dim); mask bool, True = may be looked at, (batch, length) or
    (batch, length, length), or None. Return context (batch, length, value_dim) and
    weights (batch, length, length), in this order. A word that may look at nothing
    gets zeros, never NaN. Vaswani et al. 2017, equation 1.
    """
    ### BEGIN SOLUTION
    query, keys, values = x @ w_query, x @ w_key, x @ w_value
    scores = query @ keys.transpose(1, 2) / math.sqrt(keys.shape[-1])
    if mask is None:
        mask = torch.ones(x.shape[:2], dtype=torch.bool, device=x.device)
    if mask.dim() == 2:
        mask = mask.unsqueeze(1)  # (batch, 1, length)
    empty = ~mask.any(-1, keepdim=True)  # words that may look at nothing
    scores = scores.masked_fill(~mask, -math.inf).masked_fill(empty, 0.0)
    weights = torch.softmax(scores, dim=-1).masked_fill(~mask, 0.0)
    return weights @ values, weights

    # Why: self-attention is the attention you know. Only its three inputs are new:
    # all of them come from the same x, so tgt_len and src_len are both length.
    # Without the matrices, a word would be compared with the others by similarity,
    # and nothing is more similar to a word than itself. With them, "it" can ask for
    # something that it is not. The root is that of key_dim, the size of the vectors
    # that are multiplied, and not of hidden or value_dim. A row without any allowed
    # word gets finite scores before the softmax and weights of 0 after it, so no
    # NaN appears.
    ### END SOLUTION


# %% [markdown]
r"""
<details><summary>Hint 1</summary>

Make the query, the keys and the values first: `x @ w_query` multiplies every word of every sentence by the
matrix. The rest is exercise 02. Which shape do the scores have?

</details>

<details><summary>Hint 2</summary>

`query @ keys.transpose(1, 2)` compares every query with every key, (batch, length, length). Divide by the
root of the size of a key, `keys.shape[-1]`.

</details>

<details><summary>Hint 3: mask and softmax</summary>

A (batch, length) mask needs an axis for the words that look: `mask.unsqueeze(1)`. Fill with -inf where the
mask is False, `scores.masked_fill(~mask, -math.inf)`, then take the softmax over the last axis. A row of
only -inf gives NaN: give such a row zeros before the softmax, and weights of 0 after it.
`mask.any(-1, keepdim=True)` says which rows are allowed a word.

</details>
"""

# %% [markdown]
r"""
**Predict.** The next cell lets the words look twice, and adds what they found to their vectors in between.
The matrices are made up. In the first look, a pronoun asks: what is said about me? In the second, a word
that is said to be tired asks for what can be tired, and a word that is said to be wide asks for what can be
wide. When "tired" becomes "wide", in which look does "it" point to another noun: the first or the second?
"""

# %%
# Not graded: change a word, or a matrix.
CAN_BE_TIRED, CAN_BE_WIDE, PRONOUN, SAYS_TIRED, SAYS_WIDE = range(5)
KINDS = {"animal": CAN_BE_TIRED, "street": CAN_BE_WIDE, "it": PRONOUN}
KINDS |= {"tired": SAYS_TIRED, "wide": SAYS_WIDE}


def look_twice(words):
    """Return the weights of both looks, (2, length, length)."""
    x = torch.eye(5)[[KINDS[word] for word in words]].unsqueeze(0)  # (1, length, 5)
    w_query, w_key = torch.zeros(5, 2), torch.zeros(5, 2)
    w_value = torch.diag(torch.tensor([0.0, 0, 0, 1, 1]))
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
        row = zip(words, weights[2].tolist(), strict=True)
        print(
            f"{look:>6} look of 'it':",
            *(f"{word} {weight:.2f}" for word, weight in row),
        )

# %% [markdown]
r"""
<details><summary>What happened</summary>

In the second. The first look goes to the last word in both sentences. The second goes to the animal in one
and to the street in the other. A query is made from a word's own vector, so "it" can't ask the right
question before it has learned what is said about it. That's why Transformers stack such layers. The numbers
are made up, so this shows what self-attention can do, not how a trained model does it.

</details>
"""

# %% test="self_attention" points=2
import math

import torch
from grading.checks import check

# Compare with the course's version on random inputs; known mistakes are named.
check("self_attention", self_attention, cases="visible")

# By hand: animal, street, it, and the matrices of the text.
x = torch.tensor([[[1.0, 0.0], [0.0, 0.0], [0.0, 1.0]]])
w_query = torch.tensor([[0.0, 0.0], [math.sqrt(2) * math.log(3), 0.0]])
w_key, w_value = (
    torch.tensor([[1.0, 0.0], [0.0, 0.0]]),
    torch.tensor([[10.0, 0.0], [0.0, 5.0]]),
)
context, weights = self_attention(x, w_query, w_key, w_value)
right = torch.allclose(weights[0, 2], torch.tensor([0.6, 0.2, 0.2]))
assert right, (
    f"expected weights (3/5, 1/5, 1/5) for 'it', got {weights[0, 2].tolist()}"
)
right = torch.allclose(context[0, 2], torch.tensor([6.0, 1.0]))
assert right, f"expected context (6, 1) for 'it', got {context[0, 2].tolist()}"

# Shapes: 2 sentences of 5 words, vectors of 7 numbers, keys of 3 and values of 11.
x = torch.randn(2, 5, 7)
matrices = [torch.randn(7, 3), torch.randn(7, 3), torch.randn(7, 11)]
context, weights = self_attention(x, *matrices)
assert context.shape == (2, 5, 11), (
    f"expected context (2, 5, 11), got {tuple(context.shape)}"
)
assert weights.shape == (2, 5, 5), (
    f"expected weights (2, 5, 5), got {tuple(weights.shape)}"
)

# A (batch, length) mask hides the same words from all words.
mask = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
weights = self_attention(x, *matrices, mask)[1]
hidden = (weights[1, :, 3:] == 0).all()
assert hidden, "no word of the second sentence should look at its padding"

# A (batch, length, length) mask has a row for each word that looks: here only
# itself.
weights = self_attention(
    x, *matrices, torch.eye(5, dtype=torch.bool).expand(2, 5, 5)
)[1]
right = torch.allclose(weights, torch.eye(5).expand(2, 5, 5))
assert right, "a word that may only look at itself should give itself weight 1"

# The first sentence may look at nothing: zeros, in both results.
context, weights = self_attention(
    x, *matrices, torch.tensor([[False] * 5, [True] * 5])
)
empty = weights[0, 0].tolist()
assert (weights[0] == 0).all(), (
    f"expected zeros if no word may be looked at, got {empty}"
)
assert (context[0] == 0).all(), (
    "if no word may be looked at, the context should be zeros"
)
print("7.1: all visible tests pass")

### BEGIN HIDDEN TESTS
check("self_attention", self_attention)
### END HIDDEN TESTS

# %% [markdown]
r"""
### Exercise 7.2 · Hide the future

10 min · ●○○ · 2 points

Points: 1.5 for ordinary input; 0.5 for dtype.

Say which word may look at which while a sentence is being written: every word at itself and at the words
before it.

$$m_{t,i} = \text{True if } i \le t, \qquad m_{t,i} = \text{False if } i > t$$

A recurrent decoder can't look ahead, because it works word by word. In self-attention, every word would see
all others, including the next one, which a decoder must learn to predict. With this **causal mask**, a
decoder can be trained on all words of a known target at once, and no word is seen too early. The mask is
the same for every sentence; for a batch, use `causal_mask(length).expand(batch, length, length)`.

| | shape |
| --- | --- |
| in: `length` | the number of words, at least 1 |
| out: the mask | (length, length), bool: one row per word that looks, one column per word that is looked at |

**By hand.** For three words:

| may look at → | She | loves | cats |
| --- | --- | --- | --- |
| **She** | True | False | False |
| **loves** | True | True | False |
| **cats** | True | True | True |
"""


# %% answer="causal_mask"
def causal_mask(length):
    """Return the mask that lets words look at themselves and at earlier ones.

    Return bool (length, length), True = may be looked at: one row per word that
    looks, one column per word that is looked at. Vaswani et al. 2017, section
    3.2.3.
    """
    ### BEGIN SOLUTION
    return torch.ones(length, length, dtype=torch.bool).tril()

    # Why: row t is the word that looks, and column i is the word that is looked at.
    # tril keeps the diagonal and everything below it, where i <= t. The diagonal
    # belongs to it, because the word at position t has already been written, and
    # the model predicts the next one. The mask depends only on positions, never on
    # scores or words. Some torch functions expect True = hidden: read what yours
    # expects.
    ### END SOLUTION


# %% [markdown]
r"""
<details><summary>Hint 1</summary>

Draw the table for four words. Which corner is True? What about the diagonal?

</details>

<details><summary>Hint 2</summary>

`torch.ones(3, 3, dtype=torch.bool)` is a table of True. `tensor.tril()` keeps its lower triangle and
`tensor.triu()` its upper one, both with the diagonal.

</details>
"""

# %% [markdown]
r"""
**Predict.** We replace the fourth of five words by another one. With the mask, the contexts of which words
change?
"""

# %%
# Not graded: a picture of the mask, and what it does.
words = ["The", "animal", "was", "too", "tired"]
mask = causal_mask(5)
ax = plot_attention(mask.float(), words, words, annotate=False, colour_bar=False)
ax.set(xlabel="is looked at", ylabel="looks")
print(int(mask.sum()), "pairs are allowed")

x, matrices = torch.randn(1, 5, 4), torch.randn(3, 4, 4)
other = x.clone()
other[0, 3] = torch.randn(4)
for name, rule in (("with the mask", mask.unsqueeze(0)), ("without it", None)):
    before, after = (
        library.self_attention(y, *matrices, rule)[0][0] for y in (x, other)
    )
    changed = (before - after).abs().amax(-1) > 1e-6
    changing = [word for word, new in zip(words, changed, strict=True) if new]
    print(f"{name}, these change:", *changing)

# %% [markdown]
r"""
<details><summary>What happened</summary>

With the mask, only the fourth and the fifth word see the change. Without it, all of them do. So whatever a
decoder computes for the first words of a target stays right, no matter what comes later. (An encoder has
the whole sentence from the start and needs no such mask.) The mask allows 1 + 2 + 3 + 4 + 5 = 15 of the 25
pairs.

</details>
"""

# %% test="causal_mask" points=2
import torch

from utils import transformer as library

from grading.checks import check

# Compare with the course's version; known mistakes are named.
check("causal_mask", causal_mask, cases="visible")

# By hand: "She loves cats".
by_hand = [[True, False, False], [True, True, False], [True, True, True]]
found = causal_mask(3).tolist()
assert found == by_hand, f"expected {by_hand} for three words, got {found}"

# Length one: a single word may look at itself.
found = causal_mask(1).tolist()
assert found == [[True]], f"expected [[True]] for one word, got {found}"

# In use: replace the last of 5 words, and nothing before it may change.
mask = causal_mask(5)
assert mask.dtype == torch.bool, (
    f"expected a mask of dtype torch.bool, got {mask.dtype}"
)
assert mask.shape == (5, 5), f"expected shape (5, 5), got {tuple(mask.shape)}"
x, matrices = torch.randn(1, 5, 7), torch.randn(3, 7, 7)
other = torch.cat([x[:, :4], torch.randn(1, 1, 7)], dim=1)
before, after = (
    library.self_attention(y, *matrices, mask.unsqueeze(0))[0] for y in (x, other)
)
right = torch.allclose(before[:, :4], after[:, :4], atol=1e-6)
assert right, "the last word should not change the contexts of the words before it"
print("7.2: all visible tests pass")

### BEGIN HIDDEN TESTS
check("causal_mask", causal_mask)
### END HIDDEN TESTS

# %% [markdown]
r"""
### Exercise 7.3 · Many heads

30 min · ●●● · 3 points

Points: 1.5 for ordinary input; 0.5 for every kind of mask; 0.5 for rows with nothing to attend to; 0.5 for
gradient, dtype and device.

Give every word several attentions. Split the projected vectors into **heads**, let each head attend on its
own, concatenate what they found, and mix it with one more matrix.

$$\text{head}_h = \operatorname{attend}\!\left(Q_h, K_h, V_h\right), \qquad
\text{output} = \left[\text{head}_0;\, \text{head}_1;\, \dots\right] W_o$$

One softmax shares a total weight of 1. If a word needs its subject *and* its adjective, it gets half of
each, averaged. With two heads it gets both, separately. $Q$, $K$ and $V$ are what `self.query_proj`,
`self.key_proj` and `self.value_proj` make of the inputs, and $W_o$ belongs to `self.out_proj`. Head $h$
gets the $h$-th run of head_dim = hidden / heads numbers of each vector. For two heads and hidden 6:

`[ 0 1 2 | 3 4 5 ]`: of every word, head 0 gets the numbers 0, 1 and 2, and head 1 gets 3, 4 and 5.

The root in the scaled score is that of head_dim, the size of the vectors that a head multiplies.

| | shape |
| --- | --- |
| in: `query` | (batch, tgt_len, hidden) |
| in: `keys`, `values` | (batch, src_len, hidden) |
| in: `mask` | (batch, src_len), or (batch, tgt_len, src_len), or `None`; the same for all heads |
| out: `output` | (batch, tgt_len, hidden) |
| out: `weights` | (batch, heads, tgt_len, src_len) |

A sentence looks at itself with `attention(x, x, x)`, and a decoder looks at its source with
`attention(x, encoder_states, encoder_states)`. One class serves both, so query, keys and values are
separate arguments. A query that may look at nothing gets zeros in every head, never NaN. Here you may use
the imported function of exercise 02: `attend(query, keys, values, mask, scaled_dot_score)` returns context
and weights, accepts both kinds of mask, and returns such zeros. One call serves one head.

**By hand.** Two heads, hidden 4, and all projections are identity matrices. The query is
$(\sqrt2 \ln 3,\, 0 \,|\, 0,\, 0)$, and head_dim is 2.

| | key | value | head 0: score, weight | head 1: score, weight |
| --- | --- | --- | --- | --- |
| first word | (1, 0 \| 1, 0) | (4, 0 \| 2, 0) | ln 3, ¾ | 0, ½ |
| second word | (0, 0 \| 0, 1) | (0, 4 \| 0, 2) | 0, ¼ | 0, ½ |

Head 0 finds ¾ · (4, 0) + ¼ · (0, 4) = (3, 1), and head 1 finds ½ · (2, 0) + ½ · (0, 2) = (1, 1). So the
output is **(3, 1, 1, 1)**.

`__init__` is given: write only `forward`.
"""


# %% answer="MultiHeadAttention"
class MultiHeadAttention(nn.Module):
    """Attend in several heads at once, each with its own part of the vectors.

    Vaswani et al. 2017, section 3.2.2.
    """

    def __init__(self, hidden_dim, heads):
        super().__init__()
        self.heads = heads
        self.query_proj = nn.Linear(hidden_dim, hidden_dim, bias=False)
        self.key_proj = nn.Linear(hidden_dim, hidden_dim, bias=False)
        self.value_proj = nn.Linear(hidden_dim, hidden_dim, bias=False)
        self.out_proj = nn.Linear(hidden_dim, hidden_dim, bias=False)

    def forward(self, query, keys, values, mask=None):
        """Let each query look at the keys in every head.

        query (batch, tgt_len, hidden); keys and values (batch, src_len, hidden);
        mask bool, True = may be looked at, (batch, src_len) or
        (batch, tgt_len, src_len), or None. Return output (batch, tgt_len, hidden)
        and weights (batch, heads, tgt_len, src_len), in this order. A query with
        nothing to attend to gets zeros, never NaN.
        """
        ### BEGIN SOLUTION
        projected = (
            self.query_proj(query),
            self.key_proj(keys),
            self.value_proj(values),
        )
        parts = [y.chunk(self.heads, dim=-1) for y in projected]
        found = [
            attend(*part, mask, scaled_dot_score)  # part: (batch, length, head_dim)
            for part in zip(*parts, strict=True)
        ]
        context = torch.cat([context for context, _ in found], dim=-1)
        weights = torch.stack([weights for _, weights in found], dim=1)
        return self.out_proj(context), weights

        # Why: a head is the attention you know, on a slice of the vectors. chunk
        # cuts the last axis into runs, so every word keeps its position, the mask
        # fits each head, and scaled_dot_score sees head_dim numbers and takes the
        # right root. The course's own version computes all heads in one product,
        # which is faster: reshape to (batch, length, heads, head_dim),
        # transpose(1, 2), and back the same way. A direct reshape to
        # (batch, heads, length, head_dim) also fits, but then a head gets pieces of
        # different words, and no error tells you. out_proj comes last: without it,
        # no number of the output could depend on two heads.
        ### END SOLUTION


# %% [markdown]
r"""
<details><summary>Hint 1</summary>

Project first, then split. What does one head do that `attend` doesn't do already?

</details>

<details><summary>Hint 2: one head after the other</summary>

`y.chunk(self.heads, dim=-1)` cuts a tensor into that many runs along its last axis. Call `attend` with
`scaled_dot_score` for each head, then `torch.cat(..., dim=-1)` for the contexts and
`torch.stack(..., dim=1)` for the weights.

</details>

<details><summary>Hint 3: all heads at once</summary>

`y.reshape(batch, length, heads, head_dim).transpose(1, 2)` gives (batch, heads, length, head_dim). A direct
`reshape` to that shape, without the `transpose`, would give words to heads. The mask needs an axis for the
heads.

</details>
"""

# %% [markdown]
r"""
**Predict.** Compare a layer of hidden 64 with 8 heads and one with a single head. How many times as many
parameters does the first one have?
"""

# %%
# Not graded: count the parameters. Then leave only one key, and look at some heads.
for heads in (1, 8):
    layer = MultiHeadAttention(hidden_dim=64, heads=heads)
    print(heads, "heads:", sum(p.numel() for p in layer.parameters()), "parameters")

x = torch.randn(1, 5, 64)
_, weights = layer(x, x, x, torch.tensor([[True, False, False, False, False]]))
print("one key, the first word in three heads:", weights[0, :3, 0].tolist())

# %% [markdown]
r"""
<details><summary>What happened</summary>

Both have 4 · 64 · 64 = 16,384. Heads share the same matrices, so more heads are narrower heads, not more of
everything. If only one key is left, all heads must look at it, with weight 1. Whether the heads of a
trained model specialize is another question. Nothing in this layer forces them to.

</details>
"""

# %% test="MultiHeadAttention" points=3
import math

import torch
from grading.checks import check

# Compare with the course's version on random inputs; known mistakes are named.
check("MultiHeadAttention", MultiHeadAttention, cases="visible")

# By hand: two heads of two numbers, identity matrices, one query and two words.
attention = MultiHeadAttention(hidden_dim=4, heads=2)
for parameter in attention.parameters():
    parameter.data = torch.eye(4)
query = torch.tensor([[[math.sqrt(2) * math.log(3), 0.0, 0.0, 0.0]]])
keys = torch.tensor([[[1.0, 0, 1, 0], [0, 0, 0, 1]]])
values = torch.tensor([[[4.0, 0, 2, 0], [0, 4, 0, 2]]])
output, weights = attention(query, keys, values)
right = torch.allclose(weights, torch.tensor([[[[0.75, 0.25]], [[0.5, 0.5]]]]))
assert right, (
    f"expected weights [[[[3/4, 1/4]], [[1/2, 1/2]]]], got {weights.tolist()}"
)
right = torch.allclose(output, torch.tensor([[[3.0, 1.0, 1.0, 1.0]]]))
assert right, f"expected output [[[3, 1, 1, 1]]], got {output.tolist()}"

# Shapes: 2 sentences, 3 queries, 5 keys, 7 heads of 11 numbers each.
attention = MultiHeadAttention(hidden_dim=77, heads=7)
query, source = torch.randn(2, 3, 77), torch.randn(2, 5, 77)
mask = torch.tensor([[True] * 5, [True] * 2 + [False] * 3])
output, weights = attention(query, source, source, mask)
assert output.shape == (2, 3, 77), (
    f"expected output (2, 3, 77), got {tuple(output.shape)}"
)
assert weights.shape == (2, 7, 3, 5), (
    f"expected weights (2, 7, 3, 5), got {tuple(weights.shape)}"
)
right = torch.allclose(weights.sum(-1), torch.ones(2, 7, 3))
assert right, "in each head, the weights of a query should sum to 1"
assert (weights[1, ..., 2:] == 0).all(), "padding should get weight 0 in every head"
print("7.3: all visible tests pass")

### BEGIN HIDDEN TESTS
check("MultiHeadAttention", MultiHeadAttention)
### END HIDDEN TESTS

# %% [markdown]
r"""
### Exercise 7.4 · Tell a word its position

20 min · ●●○ · 2 points

Points: 1.5 for ordinary input; 0.5 for dtype.

Give every position its own vector, which is added to the word at that position. It holds sines and cosines
of waves that get slower from column to column.

$$p_{t,\,2j} = \sin\!\left(\frac{t}{10000^{\,2j/\text{hidden\_dim}}}\right), \qquad
p_{t,\,2j+1} = \cos\!\left(\frac{t}{10000^{\,2j/\text{hidden\_dim}}}\right)$$

Why is it needed? A recurrent network reads in order, so it knows what came first. Self-attention compares
every word with every other, wherever they are: *dog bites man* and *man bites dog* are the same bag of
words to it. The vectors work like the hands of many clocks. The first pair of columns turns fast and tells
neighbors apart. The last pair turns slowly and tells the beginning from the end.

| | shape |
| --- | --- |
| in: `length` | the number of positions, which count from $t = 0$ |
| in: `hidden_dim` | numbers per vector, even |
| out: the positions | (length, hidden_dim), float32 |

$j$ counts the *pairs* of columns: the sine and the cosine of a pair share one angle, in radians.

**By hand.** With hidden_dim 4 there are two pairs. Pair 0 has the angle $t$, and pair 1 has the angle
$t / 10000^{2/4} = t / 100$.

| position | 0: $\sin t$ | 1: $\cos t$ | 2: $\sin \frac{t}{100}$ | 3: $\cos \frac{t}{100}$ |
| --- | --- | --- | --- | --- |
| 0 | 0 | 1 | 0 | 1 |
| 1 | 0.8415 | 0.5403 | 0.0100 | 0.99995 |
| 2 | 0.9093 | −0.4161 | 0.0200 | 0.9998 |
"""


# %% answer="positional_encoding"
def positional_encoding(length, hidden_dim):
    """Return a vector of sines and cosines for every position.

    Return (length, hidden_dim), float32: position t, counted from 0, has sin(t /
    10000^(2j / hidden_dim)) in column 2j and the cosine of the same angle in column
    2j + 1. hidden_dim is even. Vaswani et al. 2017, section 3.5.
    """
    ### BEGIN SOLUTION
    position = torch.arange(length).unsqueeze(1)  # (length, 1)
    column = torch.arange(0, hidden_dim, 2)  # 2j: (hidden_dim / 2,)
    angle = position / 10_000 ** (column / hidden_dim)  # (length, hidden_dim / 2)
    positions = torch.zeros(length, hidden_dim)
    positions[:, 0::2] = angle.sin()
    positions[:, 1::2] = angle.cos()
    return positions

    # Why: arange(0, hidden_dim, 2) returns 2j itself, so you can't forget the 2 or
    # count it twice. An axis of length 1 makes the table of all positions and waves
    # without a loop. Sines alone wouldn't be enough: a wave has the same sine at
    # two places, but not the same sine and cosine. Any two positions that are
    # equally far apart have the same dot product, so "three words back" looks the
    # same anywhere in a sentence. Nothing is learned here, so sentences may be
    # longer than those in training.
    ### END SOLUTION


# %% [markdown]
r"""
<details><summary>Hint 1</summary>

Make the table of angles first: one row per position, one column per *pair*. Which values does $2j$ have for
hidden_dim 6?

</details>

<details><summary>Hint 2</summary>

`torch.arange(length).unsqueeze(1)` is a column of positions, and `torch.arange(0, hidden_dim, 2)` is a row
of the numbers 0, 2, 4, ... A column divided by a row gives the whole table. `positions[:, 0::2]` selects
the even columns of a tensor, and `positions[:, 1::2]` the odd ones. You can assign to both.

</details>
"""

# %% [markdown]
r"""
**Predict.** Three random vectors stand for "dog", "bites" and "man". Below, *bites* attends in "dog bites
man" and in "man bites dog", through the same random matrices. How far apart are its two contexts without
positions?
"""

# %%
# Not graded: the same bag of words, and a picture of the positions.
dog, bites, man = torch.randn(3, 16)
matrices = torch.randn(3, 16, 16) / 4
for name, positions in (
    ("without", torch.zeros(3, 16)),
    ("with", positional_encoding(3, 16)),
):
    there, back = torch.stack([dog, bites, man]), torch.stack([man, bites, dog])
    context, _ = library.self_attention(
        torch.stack([there, back]) + positions, *matrices
    )
    distance = (context[0, 1] - context[1, 1]).norm()
    print(f"{name:>7} positions, the contexts of 'bites' differ by {distance:.4f}")

figure, ax = plt.subplots(figsize=(6, 3))
ax.set(xlabel="position", ylabel="column")
picture = ax.imshow(positional_encoding(60, 32).T, cmap="coolwarm", aspect="auto")
bar = figure.colorbar(picture)

# %% [markdown]
r"""
<details><summary>What happened</summary>

Without positions the two contexts are the same, except for rounding. Who bites whom is lost, in any number
of layers. With positions they differ. In the picture, the top columns change from word to word, and those
at the bottom hardly at all. That the contexts differ doesn't mean that a model uses the difference well: it
has to learn that.

</details>
"""

# %% test="positional_encoding" points=2
import torch
from grading.checks import check

# Compare with the course's version; known mistakes are named.
check("positional_encoding", positional_encoding, cases="visible")

# By hand: three positions, four columns.
positions = positional_encoding(3, 4)
by_hand = torch.tensor(
    [
        [0.0, 1.0, 0.0, 1.0],
        [0.8415, 0.5403, 0.0100, 0.99995],
        [0.9093, -0.4161, 0.0200, 0.9998],
    ]
)
assert positions.shape == (3, 4), (
    f"expected shape (3, 4), got {tuple(positions.shape)}"
)
right = torch.allclose(positions, by_hand, atol=1e-4)
assert right, f"expected the numbers of the table, got {positions}"

# Position 0 has sines of 0 and cosines of 1. A position's vector doesn't depend on
# the length.
positions = positional_encoding(7, 10)
first = positions[0].tolist()
assert first == [0.0, 1.0] * 5, (
    f"expected 0, 1, 0, 1, ... at position 0, got {first}"
)
right = torch.equal(positions[:5], positional_encoding(5, 10))
assert right, "5 positions should be the first 5 of 7 positions"

# The dot product of two positions depends only on how far apart they are.
alike = positions @ positions.T
right = torch.allclose(alike.diagonal(2), alike[0, 2].expand(5), atol=1e-4)
assert right, "positions 2 apart should have the same dot product everywhere"
print("7.4: all visible tests pass")

### BEGIN HIDDEN TESTS
check("positional_encoding", positional_encoding)
### END HIDDEN TESTS

# %% [markdown]
r"""
### Exercise 7.5 · One block of a Transformer

20 min · ●●○ · 3 points

Points: 1.5 for ordinary input; 0.75 for dropout in training; 0.75 for gradient, dtype and device.

First the words look at each other, then each word processes what it found on its own. Each of the two parts
reads its input through a norm, and its result is *added* to the input.

$$y = x + \text{dropout}(\text{attention}(\text{norm}_1(x))), \qquad
z = y + \text{dropout}(\text{ff}(\text{norm}_2(y))), \qquad
\text{ff}(u) = W_2 \,\text{ReLU}(W_1 u + b_1) + b_2$$

| part | in code |
| --- | --- |
| attention of a sentence with itself | `self.attention(query, keys, values, mask)`: output and weights |
| $\text{norm}_1$, before the attention | `self.attention_norm` |
| $\text{norm}_2$, before the feed-forward | `self.ff_norm` |
| $W_1$ with $b_1$, and $W_2$ with $b_2$ | `self.ff_in` and `self.ff_out` |
| dropout, on the result of each part, before it is added | `self.dropout` |

The path of plain additions from $x$ to $z$ is the **residual stream**: a block only changes its words by
adding to them. `nn.LayerNorm` rescales the numbers of each word to mean 0 and standard deviation 1. The
first Transformer had its norms after the sums ("post-norm"). Here they are before the parts ("pre-norm", as
in most models today), which keeps the path free and trains without special care in the first steps. Dropout
sets a share of the numbers to zero in training mode, and does nothing in evaluation mode; `self.dropout`
knows the mode.

| | shape |
| --- | --- |
| in: `x` | (batch, length, hidden) |
| in: `mask` | (batch, length), or (batch, length, length), or `None` |
| out: `output` ($z$) | (batch, length, hidden) |
| out: `weights` | (batch, heads, length, length), as the attention returns them |

**By hand.** One word $x = (1, 3)$, one head, and all matrices are the identity. Its mean is 2 and its
standard deviation 1, so $\text{norm}_1(x) = (-1, 1)$. A single word looks at itself with weight 1, so the
attention returns (−1, 1), and $y = (0, 4)$. Again $\text{norm}_2(y) = (-1, 1)$; the ReLU turns it into (0,
1), and $z$ is **(0, 5)**.

`__init__` is given: write only `forward`. The attention is the course's own, so a mistake in 7.3 costs
nothing here.
"""


# %% answer="TransformerBlock"
class TransformerBlock(nn.Module):
    """Let words look at each other, then process each word on its own.

    Vaswani et al. 2017, section 3.1, with the norms first.
    """

    def __init__(self, hidden_dim, heads, ff_dim, dropout):
        super().__init__()
        self.attention = library.MultiHeadAttention(hidden_dim, heads)
        self.attention_norm = nn.LayerNorm(hidden_dim)
        self.ff_in = nn.Linear(hidden_dim, ff_dim)
        self.ff_out = nn.Linear(ff_dim, hidden_dim)
        self.ff_norm = nn.LayerNorm(hidden_dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, mask=None):
        """Run the block on a batch of sentences.

        x (batch, length, hidden); mask bool, True = may be looked at,
        (batch, length) or (batch, length, length), or None. Return output
        (batch, length, hidden) and the attention's weights
        (batch, heads, length, length), in this order.
        """
        ### BEGIN SOLUTION
        normed = self.attention_norm(x)
        found, weights = self.attention(normed, normed, normed, mask)
        x = x + self.dropout(found)
        thought = self.ff_out(torch.relu(self.ff_in(self.ff_norm(x))))
        return x + self.dropout(thought), weights

        # Why: x only changes by additions. If both parts returned zeros, the block
        # would return x unchanged, so a deep stack can start from there, and
        # gradients flow back along the additions. Query, keys and values are all
        # the normed x. Attention mixes words and is linear in the values; the
        # feed-forward, with its ReLU, works on each word alone. Dropout comes
        # before the sum: after it, it would punch holes into x itself. The second
        # sum starts from the new x, or what was found is lost.
        ### END SOLUTION


# %% [markdown]
r"""
<details><summary>Hint 1</summary>

Write it in two halves, one per equation, and overwrite `x` after the first: `x = x + ...`. How many things
does `self.attention` return?

</details>

<details><summary>Hint 2</summary>

Pass `normed = self.attention_norm(x)` to the attention three times, with the mask. The second half reads
`self.ff_norm(x)` of the *new* x, through `self.ff_in`, `torch.relu` and `self.ff_out`.

</details>
"""

# %% [markdown]
r"""
**Predict.** The next cell trains your block to reverse sequences of 7 random letters: the first letter of
the answer is the last of the input, and so on. It trains twice, without positions and with them, for 300
steps each. There are ten letters, so a blind guess is right in 10% of the cases. *Without* positions, which
share of the letters will be right: 10%, about a third, or all?
"""


# %%
# Not graded: one block learns to reverse. This takes a few seconds.
def learn_to_reverse(positions):
    """Train one block. Return its share of right letters, and its mean weights."""
    torch.manual_seed(0)
    embedding, out = nn.Embedding(10, 32), nn.Linear(32, 10)
    block = TransformerBlock(32, 4, 64, dropout=0.0)
    parameters = nn.ModuleList([embedding, block, out]).parameters()
    optimizer = torch.optim.Adam(parameters, lr=3e-3)

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
    right = logits.argmax(-1) == src.flip(1)
    return right.float().mean(), weights.mean(0).detach()


positions = library.positional_encoding(7, 32)
for name, added in (("without", torch.zeros(7, 32)), ("with", positions)):
    share, weights = learn_to_reverse(added)
    ax = plot_attention(weights.mean(0), range(7), range(7))
    ax.set(xlabel="position that is looked at", ylabel="position that looks")
    ax.set_title(f"{name} positions")
    print(f"{name:>7} positions, {share:.0%} of the letters are right")

# %% [markdown]
r"""
<details><summary>What happened</summary>

About a third: without positions, the block knows which letters are there, but not where, and all positions
look the same. With positions all letters are right, and the second map, a mean over the heads, shows why:
every position looks mostly at its mirror image. One short task shows that a block *can* use positions.
Language needs more than that.

</details>
"""

# %% test="TransformerBlock" points=3
import torch
from grading.checks import check

# Compare with the course's version on random inputs; known mistakes are named.
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
assert right, f"expected (1, 3) to become (0, 5), got {output.tolist()}"

# Shapes: 2 sentences of 5 words, 3 heads of 7 numbers. In evaluation mode nothing
# is dropped.
sizes = {"hidden_dim": 21, "heads": 3, "ff_dim": 11}
block, x = TransformerBlock(**sizes, dropout=0.1).eval(), torch.randn(2, 5, 21)
output, weights = block(x)
assert output.shape == x.shape, (
    f"expected output (2, 5, 21), got {tuple(output.shape)}"
)
assert weights.shape == (2, 3, 5, 5), (
    f"expected weights (2, 3, 5, 5), got {tuple(weights.shape)}"
)
right = torch.equal(output, block(x)[0])
assert right, "in evaluation mode nothing is dropped, so two runs should be equal"

# In training mode, a dropout of 1 drops the results of both parts: x is left.
output, _ = TransformerBlock(**sizes, dropout=1.0).train()(x)
right = torch.allclose(output, x)
assert right, (
    "with a dropout of 1 in training mode, the block should return x unchanged"
)
print("7.5: all visible tests pass")

### BEGIN HIDDEN TESTS
check("TransformerBlock", TransformerBlock)
### END HIDDEN TESTS

# %% [markdown] written="why_self_attention" points=3
r"""
### Exercise 7.6 · Say it in words

10 min · ●●○ · 3 points

Three classmates build something with your parts. Answer the question of each, in five to eight sentences in
all, one point each. A person grades this answer; the check at the end only runs the tests.

1. **Captions.** A model writes a sentence about a picture. Each word it writes looks at the regions of the
   picture, and also at the words written so far. Which of the two is self-attention? For both, say where
   query, keys and values come from, and what they have in common.
2. **Reviews.** A model without positions tells good restaurant reviews from bad ones, almost as well as one
   with positions. How is that possible, and which reviews must it confuse? Make up two. Why would a
   recurrent network not need positions?
3. **Tunes.** A model learns to predict the next note. It is trained on whole tunes at once, without a
   causal mask. Its training loss falls to almost nothing, and the tunes that it writes are noise. Explain
   both. Does the model of question 2 need such a mask?

<!-- ### BEGIN SOLUTION -->
**A possible answer.** Looking at the words written so far is self-attention: query, keys and values are
made from the same words, each by its own matrix. When the model looks at the picture, only the query comes
from the word; keys and values come from the regions. Scores, softmax and the sum of values are the same in
both. Without positions, the review model sees a bag of words, and words such as "awful" and "delicious"
tell most of the verdict wherever they are. It must confuse "good, not bad" with "bad, not good": the same
vectors come out in another order. A recurrent network reads word after word, so its states depend on the
order anyway. The tune model could look at the next note itself, which is the answer, so it learned to copy
it: hence the low loss. When it writes, the next note isn't there yet, and it has learned nothing else. The
review model predicts none of its own words, and the whole review is known from the start, so its words may
look both ways.

**Rubric**, one point per question. Give half a point if half of the idea is missing.

1. Full: names the right one, *and* all three from the same words in contrast to keys and values from the
   picture, *and* scores, softmax and sum in both. Half: two of the three. None: "both look at words".
2. Full: single words tell most of it, *and* two reviews of the same words with opposite verdicts, *and* a
   recurrent network reads in order. Half: two of the three. None: only "it is less exact".
3. Full: the answer is visible in training and missing when it writes; *and* no mask in question 2, because
   the whole review is given and none of its words is predicted. Half: one of the two. None: "to save time"
   or "because of padding".

Accept other correct reasons. Don't grade the language or the length.
<!-- ### END SOLUTION -->
"""

# %% [markdown]
r"""
When you're done, let the grader check the whole notebook.
"""

# %%
# Save the notebook, remove the first # of the next line, and run this cell.
# from grading import check_notebook; check_notebook("07_self_attention.ipynb")

# %% [markdown]
r"""
### Looking back

- Self-attention is attention whose query, keys and values come from the same sentence. With heads, a word
  can look at several things at once. With blocks on top of each other, it can ask a better question the
  second time.
- Self-attention has no sense of order. Positions add order, and the causal mask decides who may see whom.
- A block only ever adds to its words: first what they find in the others, then what each makes of it.

**One thing to try.** In exercise 7.5, give the block in `read` a mask, so that it learns to reverse while
no position sees the future: `block(embedding(src) + positions, library.causal_mask(7).expand(len(src), 7,
7))`. Which positions can still know their letter? What share of all letters is that, with positions? Work
it out before you run it.

<details><summary>What we saw</summary>

61%: position 0 needs the letter of position 6, which it may not see. The same holds for positions 1 and 2.
They guess, and one guess in ten is right. The other four get every letter: (4 + 3 · 0.1) / 7 = 0.61.

</details>

Which of the five parts did you expect to matter least? Did a run change your mind? Note it. Then go on to
demo 08, where blocks become GPT and BERT.
"""
