# %% [markdown]
r"""
# Exercise 03 · Build the translator

**How do a recurrent network and attention become one translator, and how does it learn where to look?**

Picture an interpreter at work on "the restaurant was amazing". Before each word, they glance at their
notes. Some look first and then think; others think first and then look. Both ways work, and both have been
built: Bahdanau's decoder looks, then thinks; Luong's thinks, then looks. Here you build both, train a
translator, and let it translate.

You will

- **build** two decoders with attention around the `attend` of exercise 02,
- **train** a translator, update by update, until it passes a test on new reviews,
- **translate** with it, and keep a map of where it looked.

About 120 minutes, 14 points: 3 each for exercises 3.1 and 3.2, and 2 each for 3.3, 3.4, 3.5 and a written
answer. Every exercise stands alone: if one needs the result of another, it uses the course's own version,
so a mistake in one costs nothing in the next.
"""

# %% [markdown]
r"""
### How an exercise works

Replace `raise NotImplementedError` with your answer, run the cell, then run the tests below it. If a test
fails, its message says what it checked. Grading runs more tests of the same kind on other inputs. The line
"Points" of an exercise says what each part of your answer is worth. An answer that fails in one part keeps
the points of the others, as long as it is right on ordinary input. If you're stuck, open the first hint, and
the next one only if you still need it.

A translator has two parts. The **encoder** reads the source sentence. It returns one state per word,
`encoder_states`, and a summary, which is the first `decoder_state`. The **decoder** writes the target
sentence, one token after the other. A token is a word or a special one: a begin token in front, an end
token at the end, and padding, which fills up short sentences. At every position, the decoder returns
**logits**, one number per token of its vocabulary: the larger, the likelier.

The memory of a decoder is a **GRU**, a recurrent cell: from the word that it reads and its old state, it
makes a new state.

| size | counts |
| --- | --- |
| `batch` | sentences that are processed together |
| `tgt_len`, `src_len` | tokens to write, tokens to look at |
| `embed`, `hidden` | numbers per embedded word, numbers per state |
| `vocab` | tokens that the decoder can write |

Models learn *through* these functions, so use only torch operations. Results keep the dtype and the device of
the inputs.
"""

# %%
import torch
from torch import nn

from utils import models, training
from utils.attention import AdditiveScore, MultiplicativeScore, attend
from utils.data import new_reviews
from utils.metrics import translation_scores
from utils.plotting import plot_attention
from utils.text import BOS_ID, EOS_ID, PAD_ID, encoded_reviews
from utils.training import Batches, seed_everything, sequence_loss

torch.set_num_threads(1)  # models this small gain nothing from a second thread

# %% [markdown]
r"""
### Exercise 3.1 · Think, then look

20 min · ●●○ · 3 points

Points: 1.5 for ordinary input; 0.5 for sizes of one; 0.5 for rows with nothing to attend to; 0.5 for
gradient, dtype and device.

Luong's decoder first lets its cell read the word. The **new** state is the query, and the context is joined
to it before the output is computed.

$$s_t = \mathrm{GRU}(x_t, s_{t-1}), \qquad c_t = \mathrm{attend}(s_t), \qquad
\tilde s_t = \tanh\!\left(W\,[c_t ; s_t]\right), \qquad \text{logits}_t = V \tilde s_t + b$$

In code, $x_t$ is the embedded token `tgt_in[b, t - 1]`, $s_0$ is `decoder_state`, $W$ is `self.combine`,
and $V$ and $b$ are `self.out`. $[c\,;s]$ joins $c$ and $s$, with $c$ first. Keys and values are both
`encoder_states`. `attend(query, keys, values, mask, score)` returns `context, weights`, as in exercise 02.

`self.rnn` is an `nn.GRU`, which reads a whole sentence in one call, `self.rnn(inputs, hx)`. It returns two
things: its state after every word, and its last state. Because an `nn.GRU` may have several layers, its first
state, `hx`, and its last state have an extra axis in front, here of length 1.

| | shape |
| --- | --- |
| in: `tgt_in` | (batch, tgt_len), token ids |
| in: `decoder_state` | (batch, hidden) |
| in: `encoder_states` | (batch, src_len, hidden) |
| in: `src_mask` | (batch, src_len), True = a real token. A source may have none: see below |
| out: `logits` | (batch, tgt_len, vocab) |
| out: `decoder_state` | (batch, hidden), after the last position, padding or not |
| out: `weights` | (batch, tgt_len, src_len) |
| `self.rnn`, in: `inputs`, `hx` | (batch, tgt_len, embed) and (1, batch, hidden) |
| `self.rnn`, out: all states, last state | (batch, tgt_len, hidden) and (1, batch, hidden) |
| `attend`, in and out: `query`, `context` | (batch, tgt_len, hidden) each |
| `self.combine`, in | (batch, tgt_len, 2 · hidden) |

If a source has no real token, its weights and contexts are zeros. `attend` takes care of this.

**By hand.** One token, and a cell whose parameters are all zero. Such a GRU just halves its state: (2, 0)
becomes $s = (1, 0)$, which is the query. Let the score be $q \cdot (U k)$ with
$U = \begin{pmatrix} \ln 3 & 0 \\ 0 & 0 \end{pmatrix}$. (Exercise 02 calls this matrix $W$, but here $W$ is
`self.combine`.)

| | key and value | score | real? | weight | weight · value |
| --- | --- | --- | --- | --- | --- |
| first | (0, 4) | 0 | yes | ¼ | (0, 1) |
| second | (1, 0) | ln 3 | yes | ¾ | (¾, 0) |
| *padding* | (5, 5) | 5 ln 3 | no | 0 | (0, 0) |

So $c = (¾, 1)$ and $[c\,;s] = (¾, 1, 1, 0)$. Let $W$ pick the second and the fourth of these numbers. Then
$\tilde s = (\tanh 1, \tanh 0) \approx (0.7616, 0)$. With
$V = \begin{pmatrix} 1 & 0 \\ 0 & 1 \\ 2 & 0 \end{pmatrix}$ and $b = 0$, the logits of three tokens are
**(0.7616, 0, 1.5232)**: the last token is the likeliest.

`__init__` is given: write only `forward`.
"""


# %% answer="LuongDecoder"
class LuongDecoder(nn.Module):
    """Attend after the cell: its new state is the query.

    Luong et al. 2015, section 3, equation 5.
    """

    def __init__(self, vocab_size, embed_dim, hidden_dim, pad_id):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, embed_dim, padding_idx=pad_id)
        self.rnn = nn.GRU(embed_dim, hidden_dim, batch_first=True)
        self.score = MultiplicativeScore(hidden_dim, hidden_dim)
        self.combine = nn.Linear(2 * hidden_dim, hidden_dim, bias=False)
        self.out = nn.Linear(hidden_dim, vocab_size)

    def forward(self, tgt_in, decoder_state, encoder_states, src_mask):
        """Read the target tokens, and predict the next token at each.

        tgt_in (batch, tgt_len), ids; decoder_state (batch, hidden); encoder_states
        (batch, src_len, hidden); src_mask bool (batch, src_len), True = a real
        token. Return logits (batch, tgt_len, vocab), the state after the last
        position, padding or not, (batch, hidden), and weights
        (batch, tgt_len, src_len), in this order.
        """
        ### BEGIN SOLUTION
        query, last = self.rnn(self.embedding(tgt_in), decoder_state.unsqueeze(0))
        context, weights = attend(
            query, encoder_states, encoder_states, src_mask, self.score
        )
        combined = torch.tanh(self.combine(torch.cat([context, query], dim=-1)))
        return self.out(combined), last.squeeze(0), weights

        # Why: nn.GRU reads all words in one call and returns its state after each
        # of them, (batch, tgt_len, hidden): exactly the queries. This works because
        # no state waits for a context, and one product then serves all words. The
        # GRU's own state has an axis for layers, (1, batch, hidden): unsqueeze(0)
        # adds it, and squeeze(0) removes it. The context goes into the output, not
        # into the cell, so what was found for one word is forgotten at the next,
        # except through the word it produced. Without the tanh, combine and out
        # would be a single linear layer in two pieces.
        ### END SOLUTION


# %% [markdown]
r"""
<details><summary>Hint 1</summary>

`self.rnn` returns a state for every word. Which part of the equations is that? You don't need a loop.

</details>

<details><summary>Hint 2</summary>

"For batched 3-D input, hx should also be 3-D but got 2-D tensor" means that `hx` lacks its axis for the
layers. `tensor.unsqueeze(0)` adds an axis in front, and `tensor.squeeze(0)` removes it.

</details>

<details><summary>Hint 3: after attending</summary>

`torch.cat([context, query], dim=-1)` joins the two, (batch, tgt_len, 2 · hidden).

</details>
"""

# %%
# Not graded: two sentences of 3 tokens, 5 source tokens to look at, a vocabulary of
# 7.
decoder = LuongDecoder(vocab_size=7, embed_dim=4, hidden_dim=6, pad_id=0)
mask = torch.tensor([[True] * 5, [True] * 2 + [False] * 3])
logits, state, weights = decoder(
    torch.tensor([[1, 5, 4], [1, 6, 0]]),
    torch.zeros(2, 6),
    torch.randn(2, 5, 6),
    mask,
)
weights

# %% test="LuongDecoder" points=3
import math

import torch
from grading.checks import check

# Compare with the course's version on random inputs; known mistakes are named.
check("LuongDecoder", LuongDecoder, cases="visible")

# By hand: all parameters are zero except those of the example. The last source
# token is padding.
decoder = LuongDecoder(vocab_size=3, embed_dim=2, hidden_dim=2, pad_id=0)
for parameter in decoder.parameters():
    parameter.data.zero_()
decoder.score.key_proj.weight.data[0, 0] = math.log(3)
decoder.combine.weight.data = torch.eye(4)[
    [1, 3]
]  # picks the second and the fourth
decoder.out.weight.data = torch.tensor([[1.0, 0.0], [0.0, 1.0], [2.0, 0.0]])
source = torch.tensor([[[0.0, 4.0], [1.0, 0.0], [5.0, 5.0]]])
mask, state = torch.tensor([[True, True, False]]), torch.tensor([[2.0, 0.0]])
logits, state, weights = decoder(torch.tensor([[1]]), state, source, mask)

right = torch.allclose(weights, torch.tensor([[[0.25, 0.75, 0.0]]]))
assert right, f"expected weights [[[0.25, 0.75, 0]]], got {weights.tolist()}"
right = torch.allclose(logits, torch.tensor([[[0.7616, 0.0, 1.5232]]]), atol=1e-3)
assert right, f"expected logits [[[0.7616, 0, 1.5232]]], got {logits.tolist()}"
right = torch.allclose(state, torch.tensor([[1.0, 0.0]]))
assert right, f"expected decoder_state [[1, 0]], got {state.tolist()}"
print("3.1: all visible tests pass")

### BEGIN HIDDEN TESTS
check("LuongDecoder", LuongDecoder)
### END HIDDEN TESTS

# %% [markdown]
r"""
### Exercise 3.2 · Look, then think

30 min · ●●● · 3 points

Points: 1.5 for ordinary input; 0.5 for sizes of one; 0.5 for rows with nothing to attend to; 0.5 for
gradient, dtype and device.

Bahdanau's decoder asks with its **old** state, before it reads the word, and feeds the context into the cell.

$$c_t = \mathrm{attend}(s_{t-1}), \qquad s_t = \mathrm{GRU}([x_t ; c_t],\, s_{t-1}), \qquad
\tilde s_t = \tanh\!\left(W\,[x_t ; s_t ; c_t] + a\right), \qquad \text{logits}_t = V \tilde s_t + b$$

In code, the GRU is `self.cell`, an `nn.GRUCell`. It takes **one** step, `self.cell(inputs, old_state)`, and
returns the new state, without an axis for words or layers. $W$ and $a$ are `self.combine`, and `self.score`
is the additive score of exercise 02. The order inside the brackets matters, because each number meets its
own column of $W$. `attend` expects an axis for the queries, so a single word is a sentence of length 1.

| | shape |
| --- | --- |
| in, out | as in exercise 3.1 |
| `self.embedding(tgt_in)` | (batch, tgt_len, embed) |
| `attend` in one step, in: `query` | (batch, 1, hidden) |
| `attend` in one step, out: `context`, `weights` | (batch, 1, hidden) and (batch, 1, src_len) |
| `self.cell`, in | (batch, embed + hidden) and (batch, hidden) |
| `self.cell`, out | (batch, hidden) |
| `self.combine`, in | (batch, embed + 2 · hidden) |

**By hand.** Two tokens, and all parameters zero except those of `combine` and `out`. Then every score is 0,
both real source tokens get the weight ½, and the cell halves its state at each step. The values are (4, 0),
(0, 2) and, for padding, (9, 9); the first state is (4, 0). `combine` reads $[x_t ; s_t ; c_t]$. The columns
of $W$ for $x_t$ are 0, so the table leaves $x_t$ out.

| word | query | weights | context | new state | both, $[s_t ; c_t]$ |
| --- | --- | --- | --- | --- | --- |
| first | (4, 0) | ½, ½, 0 | (2, 1) | (2, 0) | (2, 0, 2, 1) |
| second | (2, 0) | ½, ½, 0 | (2, 1) | (1, 0) | (1, 0, 2, 1) |

Let $W$ pick the first number of $s_t$ and the second of $c_t$, and let `out` return its input. Then the
logits are $(\tanh 2, \tanh 1) \approx$ **(0.9640, 0.7616)** for the first word and
$(\tanh 1, \tanh 1) \approx$ **(0.7616, 0.7616)** for the second. The returned state is (1, 0).

`__init__` is given: write only `forward`.
"""


# %% answer="BahdanauDecoder"
class BahdanauDecoder(nn.Module):
    """Attend before the cell: the old state is the query.

    Bahdanau et al. 2015, appendix A.2.2.
    """

    def __init__(self, vocab_size, embed_dim, hidden_dim, pad_id):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, embed_dim, padding_idx=pad_id)
        self.score = AdditiveScore(hidden_dim, hidden_dim, hidden_dim)
        self.cell = nn.GRUCell(embed_dim + hidden_dim, hidden_dim)
        self.combine = nn.Linear(embed_dim + 2 * hidden_dim, hidden_dim)
        self.out = nn.Linear(hidden_dim, vocab_size)

    def forward(self, tgt_in, decoder_state, encoder_states, src_mask):
        """Read the target tokens one by one, and predict the next token at each.

        tgt_in (batch, tgt_len), ids; decoder_state (batch, hidden); encoder_states
        (batch, src_len, hidden); src_mask bool (batch, src_len), True = a real
        token. Return logits (batch, tgt_len, vocab), the state after the last
        position, padding or not, (batch, hidden), and weights
        (batch, tgt_len, src_len), in this order.
        """
        ### BEGIN SOLUTION
        logits, weights = [], []
        for word in self.embedding(tgt_in).unbind(1):  # (batch, embed)
            query = decoder_state.unsqueeze(1)  # (batch, 1, hidden)
            context, row = attend(
                query, encoder_states, encoder_states, src_mask, self.score
            )
            context = context.squeeze(1)  # (batch, hidden)
            inputs = torch.cat([word, context], dim=-1)
            decoder_state = self.cell(inputs, decoder_state)
            seen = torch.cat([word, decoder_state, context], dim=-1)
            logits.append(self.out(torch.tanh(self.combine(seen))))
            weights.append(row)
        return torch.stack(logits, dim=1), decoder_state, torch.cat(weights, dim=1)

        # Why: a word's query is the state after the previous word, and that state
        # needed its own context. No step can start before the previous one is done,
        # so a loop is right here. Each step overwrites decoder_state: the next word
        # asks with it, and the last one is returned. One step attends with a
        # tgt_len of 1: unsqueeze(1) adds the axis, and squeeze(1) removes it (a
        # bare squeeze() would also remove a batch of one). The score projects the
        # same keys at every step, which is correct but slow. The course's own
        # decoder calls score.project_keys(encoder_states) once before the loop.
        ### END SOLUTION


# %% [markdown]
r"""
<details><summary>Hint 1</summary>

First write one step, for one word of every sentence: a query, a context, a new state, logits. Which of
these does the next step need?

</details>

<details><summary>Hint 2</summary>

`tensor.unbind(1)` returns the slices along axis 1. Where do you need an axis for the words, and where not?
The table has the shapes. If an error says that the keys must have batch 1, look at the query: its first
axis has to be the batch, so the new axis is axis 1, not axis 0.

</details>

<details><summary>Hint 3: collecting the results</summary>

Use two lists with one entry per step. `torch.stack(list, 1)` creates a new axis 1, and `torch.cat(list, 1)`
joins along an existing axis 1. Which do the logits need, and which the weights?

</details>
"""

# %%
# Not graded: the same call as for Luong's decoder, with a single token.
decoder = BahdanauDecoder(vocab_size=7, embed_dim=4, hidden_dim=6, pad_id=0)
logits, state, weights = decoder(
    torch.tensor([[1]]),
    torch.zeros(1, 6),
    torch.randn(1, 5, 6),
    torch.ones(1, 5).bool(),
)
logits.shape, state.shape, weights.shape

# %% test="BahdanauDecoder" points=3
import torch
from grading.checks import check

# Compare with the course's version on random inputs; known mistakes are named.
check("BahdanauDecoder", BahdanauDecoder, cases="visible")

# By hand: combine picks the first number of the state and the second of the
# context.
decoder = BahdanauDecoder(vocab_size=2, embed_dim=1, hidden_dim=2, pad_id=0)
for parameter in decoder.parameters():
    parameter.data.zero_()
decoder.combine.weight.data = torch.eye(5)[[1, 4]]
decoder.out.weight.data = torch.eye(2)
source = torch.tensor([[[4.0, 0.0], [0.0, 2.0], [9.0, 9.0]]])
mask, state = torch.tensor([[True, True, False]]), torch.tensor([[4.0, 0.0]])
logits, state, weights = decoder(torch.tensor([[1, 1]]), state, source, mask)

right = torch.allclose(weights, torch.tensor([[[0.5, 0.5, 0.0]] * 2]))
assert right, f"expected weights [0.5, 0.5, 0] in both rows, got {weights.tolist()}"
by_hand = torch.tensor([[[0.9640, 0.7616], [0.7616, 0.7616]]])
right = torch.allclose(logits, by_hand, atol=1e-3)
assert right, f"expected logits {by_hand.tolist()}, got {logits.tolist()}"
right = torch.allclose(state, torch.tensor([[1.0, 0.0]]))
assert right, f"expected decoder_state [[1, 0]], got {state.tolist()}"
print("3.2: all visible tests pass")

### BEGIN HIDDEN TESTS
check("BahdanauDecoder", BahdanauDecoder)
### END HIDDEN TESTS

# %% [markdown]
r"""
### Exercise 3.3 · One update

20 min · ●●○ · 2 points

Points: 1 for ordinary input; 0.25 for clipping; 0.25 for another id for padding; 0.25 for leftover gradients;
0.25 for training mode.

Let the model predict every next word of a batch, given the **true** words before it. Compute the loss, and
move each parameter a little against its gradient.

$$L = -\frac{1}{\#\text{real}} \sum_{\text{real } t} \log p(y_t \mid y_1 \dots y_{t-1}), \qquad
g = \nabla_{\!\theta} L, \qquad \theta \leftarrow \text{step}\!\left(\theta,\; g \cdot
\min\!\left(1, \tfrac{\text{max\_norm}}{\lVert g \rVert}\right)\right)$$

Feeding the true words, not those that the model would have chosen, is called **teacher forcing**. A batch
has each target sentence twice: `batch.tgt_in` starts with the begin token, and `batch.tgt_out` is one step
ahead and ends with the end token. **Clipping** shortens a gradient that is longer than `max_norm`, so that
one unusual batch can't throw the model far off.

| name | what it is |
| --- | --- |
| `model(src, src_lengths, tgt_in)` | returns `logits` (batch, tgt_len, vocab) and `weights` |
| `batch` | has `src`, `src_lengths`, `tgt_in`, `tgt_out` |
| `sequence_loss(logits, targets, pad_id)` | the loss $L$ above, without padding, as in exercise 01 |
| `optimizer` | has `zero_grad()` and `step()` |
| `nn.utils.clip_grad_norm_(parameters, max_norm)` | clips the gradients of all parameters together |
| out | the loss $L$ before the step, a Python float |

`loss.backward()` computes the gradients and **adds** them to those that are already there, even before your
first call. `pad_id` may be any id: the tests don't always use 0. You don't have to set the model to
training mode; the caller does that.

**By hand.** A gradient of (3, 4) has the norm $\sqrt{9 + 16} = 5$. With `max_norm` 1 it becomes (0.6, 0.8).
An optimizer that steps by −0.1 times the gradient then moves the two parameters by **(−0.06, −0.08)**. With
`max_norm` 10 nothing is clipped, and they move by (−0.3, −0.4). A model that finds all 11 tokens equally
likely has the loss $-\ln \tfrac{1}{11} \approx$ **2.398**.
"""


# %% answer="train_step"
def train_step(model, batch, optimizer, pad_id, max_norm):
    """Update the model once with teacher forcing, and return the loss before it.

    The loss, a float, is the mean over the real tokens of batch.tgt_out, those that
    are not pad_id. Gradients of earlier updates do not count, and those of this one
    are clipped to a norm of max_norm.
    """
    ### BEGIN SOLUTION
    logits, _ = model(batch.src, batch.src_lengths, batch.tgt_in)
    loss = sequence_loss(logits, batch.tgt_out, pad_id)
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), max_norm)
    optimizer.step()
    return loss.item()

    # Why: backward() adds to the gradients that are there, so the old ones are
    # cleared first. Clipping belongs between backward(), which computes the
    # gradients, and step(), which uses them. All parameters are clipped together,
    # so the direction stays and only the length changes. The model reads tgt_in and
    # predicts tgt_out. If it read tgt_out, it could copy: the loss would soon be
    # near zero, and the translations nonsense. item() returns a plain number; the
    # tensor would keep the whole computation in memory.
    ### END SOLUTION


# %% [markdown]
r"""
<details><summary>Hint 1</summary>

There are seven things to do, one line each: predict, compute the loss, clear, go backward, clip, step,
return. Only *clear* has some freedom: it can be anywhere before *go backward*. What would go wrong for each
of the others?

</details>

<details><summary>Hint 2</summary>

`clip_grad_norm_` expects `model.parameters()`, and gradients that exist. `loss.item()` is a float.

</details>
"""

# %%
# Not graded: train on the same small batch, and again with an optimizer that clears
# nothing.
encoded = encoded_reviews()
sizes = len(encoded.src_vocab), len(encoded.tgt_vocab)
for clears in (True, False):
    seed_everything(0)
    small = models.Seq2Seq(*sizes, "dot", embed_dim=8, hidden_dim=16)
    optimizer = torch.optim.Adam(small.parameters(), lr=0.01)
    if not clears:
        optimizer.zero_grad = lambda *args, **kwargs: None
    batch = encoded.batch("train", [0, 1, 2])
    losses = [
        train_step(small, batch, optimizer, PAD_ID, max_norm=1.0) for _ in range(8)
    ]
    print(
        "cleared    " if clears else "not cleared",
        *(f"{loss:.2f}" for loss in losses),
    )

# %% [markdown]
r"""
<details><summary>What happened</summary>

Nothing raises an error, and the loss falls even if gradients pile up, only more slowly. So a falling loss
doesn't prove that an update is right. If your two lines are equal, your `train_step` either doesn't clear
the gradients, or clears them without `optimizer.zero_grad()`, which is in the table above. The tests tell
which.

</details>
"""

# %% test="train_step" points=2
import math

import torch

from utils.models import Seq2Seq
from utils.text import Batch

from grading.checks import check

# Compare with the course's version on random inputs; known mistakes are named.
check("train_step", train_step, cases="visible")

# By hand: with an output layer of zeros, all 11 tokens are equally likely, so the
# loss is ln 11.
ids = torch.tensor([[4, 5, 6], [7, 8, 0]])
batch = Batch(
    ids, torch.tensor([3, 2]), torch.tensor([[1, 4, 5], [1, 9, 0]]), ids, [0, 1]
)
model = Seq2Seq(13, 11, "dot", embed_dim=5, hidden_dim=14)
model.decoder.out.weight.data.zero_(), model.decoder.out.bias.data.zero_()
before = torch.nn.utils.parameters_to_vector(model.parameters()).detach()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
loss = train_step(model, batch, optimizer, pad_id=0, max_norm=0.01)
assert abs(loss - math.log(11)) < 1e-4, (
    f"expected a loss of ln 11 = 2.398, got {loss}"
)

# Its gradient is longer than 0.01, so all parameters together move by 0.1 * 0.01.
after = torch.nn.utils.parameters_to_vector(model.parameters())
moved = (after - before).norm().item()
assert abs(moved - 0.001) < 1e-5, (
    f"expected the parameters to move by 0.001, but they moved by {moved:.6f}"
)

# Learning: twenty updates on the same batch reduce its loss.
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
for _ in range(20):
    last = train_step(model, batch, optimizer, pad_id=0, max_norm=1.0)
assert last < loss, (
    f"expected less than {loss:.3f} after twenty updates, got {last:.3f}"
)
print("3.3: all visible tests pass")

### BEGIN HIDDEN TESTS
check("train_step", train_step)
### END HIDDEN TESTS

# %% [markdown]
r"""
### Exercise 3.4 · Translate, and keep the map

25 min · ●●● · 2 points

Points: 1.25 for ordinary input; 0.25 for stopping at max_len; 0.25 for evaluation mode; 0.25 for sentences
without words.

Now there are no true words. Feed the decoder its own last word, take the likeliest next one, and continue
until it writes the end token. This is called **greedy** decoding.

$$y_t = \arg\max_w \; \text{logits}_t[w], \qquad y_0 = \text{begin}, \qquad
\text{stop when } y_t = \text{end, or after max\_len tokens}$$

| name | what it is |
| --- | --- |
| in: `model` | has `model.encode` and `model.decode`, see below |
| in: `encoded` | has the vocabularies `encoded.src_vocab` and `encoded.tgt_vocab` |
| in: `sentences` | a list; each sentence is a list of words |
| in: `max_len` | the largest number of tokens per translation, the end token included |
| out | a list, in the same order, of pairs `(words, weights)` |
| out: `words` | a list of words, without the end token |
| out: `weights` | (tgt_len, src_len), a map, see below |

A map has one **row** per written token, including the end token if there is one. It has one **column** per
source word, and a last one for the source's end token.

| tool | returns |
| --- | --- |
| `encoded.src_vocab.encode(words)` | ids, without an end token: append `EOS_ID`, which the model expects |
| `model.encode(src, src_lengths)` | `encoder_states, decoder_state, src_mask` |
| `model.decode(tgt_in, decoder_state, encoder_states, src_mask)` | the same as a decoder's `forward` |
| `encoded.tgt_vocab.decode(ids)` | words, up to the first end token |

`src` is (batch, src_len), and `src_lengths` is (batch,) and counts the end tokens too. In one step,
`tgt_in` is (batch, 1). A model in training mode may use dropout, so translate in evaluation mode: call
`model.eval()`, and leave it so. One sentence at a time is fine; a batch is faster, but then you have to cut
each map to its own sentence.

The course's own `models.translate(model, encoded, sentences)`, which exercise 3.5 uses, does the same. It
returns one object with `.tokens` and `.weights` per sentence instead of a pair, and needs no `max_len`.

**By hand.** Suppose that "we liked the soup" becomes "nous avons aimé la soupe". The decoder reads begin,
nous, avons, aimé, la, soupe, and writes nous, avons, aimé, la, soupe, end. So `words` has 5 words.
`weights` has 6 rows and, for 4 source words and their end token, 5 columns: **(6, 5)**. With `max_len` 3,
it would have stopped after nous, avons, aimé: 3 words, (3, 5).
"""


# %% answer="translate"
def translate(model, encoded, sentences, max_len):
    """Translate sentences, taking the likeliest token at each step.

    sentences is a list of lists of words. Return a list of pairs (words, weights),
    in the same order. words is a list without the end token. weights is a tensor
    with one row per written token, the end token included, and one column per
    source word and for its end token. At most max_len tokens are written, the end
    token included. The model is put into evaluation mode.
    """
    ### BEGIN SOLUTION
    model.eval()
    done = []
    for sentence in sentences:
        src = torch.tensor([[*encoded.src_vocab.encode(sentence), EOS_ID]])
        src_lengths = torch.tensor([src.shape[1]])
        ids, rows = [BOS_ID], []
        with torch.no_grad():
            encoder_states, state, src_mask = model.encode(src, src_lengths)
            while len(rows) < max_len and ids[-1] != EOS_ID:
                last = torch.tensor([[ids[-1]]])  # (1, 1)
                logits, state, weights = model.decode(
                    last, state, encoder_states, src_mask
                )
                ids.append(logits.argmax(-1).item())
                rows.append(weights[0, 0])
        done.append((encoded.tgt_vocab.decode(ids), torch.stack(rows)))
    return done

    # Why: two things go from step to step, the state and the last word. With the
    # old state, the decoder would forget what it has written. With the begin token
    # again, it would not know which word it chose. The true translation appears
    # nowhere: that is the difference from training. no_grad() changes no number,
    # but saves the memory that backward() would need. The row of the end token
    # stays, because it is a decision too. The column of the end token stays,
    # because its weight is missing from the words.
    ### END SOLUTION


# %% [markdown]
r"""
<details><summary>Hint 1</summary>

First write the loop for one sentence. Encode it once. Then, in each step: what goes in, what comes out, and
which two results does the next step need?

</details>

<details><summary>Hint 2</summary>

A batch of one: `src = torch.tensor([[*encoded.src_vocab.encode(sentence), EOS_ID]])`, with the length
`torch.tensor([src.shape[1]])`. A step returns logits (1, 1, vocab) and weights (1, 1, src_len).

</details>

<details><summary>Hint 3: when to stop</summary>

First append the new id and its row of weights, then check whether it was `EOS_ID`: so the end token has its
row. `decode` leaves the end token out of the words.

</details>
"""

# %%
# Not graded: an untrained model. What will it say?
encoded = encoded_reviews()
sizes = len(encoded.src_vocab), len(encoded.tgt_vocab)
small = models.Seq2Seq(*sizes, "dot", embed_dim=8, hidden_dim=16)
sentences = [["we", "liked", "the", "soup"], ["good", "bread"]]
for words, weights in translate(small, encoded, sentences, max_len=8):
    print(" ".join(words), tuple(weights.shape))

# %% test="translate" points=2
import torch

from utils.models import Seq2Seq
from utils.text import BOS_ID, EOS_ID, PAD_ID, encoded_reviews

from grading.checks import check

# Compare with the course's version on random inputs; known mistakes are named.
check("translate", translate, cases="visible")

# Sentences of 4 and 2 words, and a model that never ends: 7 words each, and 5 and 3
# columns.
encoded = encoded_reviews()
sizes = len(encoded.src_vocab), len(encoded.tgt_vocab)
model = Seq2Seq(*sizes, "dot", embed_dim=5, hidden_dim=14)
model.decoder.out.bias.data[[PAD_ID, BOS_ID, EOS_ID]] = -99.0
sentences = [["we", "liked", "the", "soup"], ["good", "bread"]]
pairs = translate(model, encoded, sentences, max_len=7)
lengths = [len(words) for words, _ in pairs]
assert lengths == [7, 7], f"expected 7 words for each sentence, got {lengths}"
shapes = [tuple(weights.shape) for _, weights in pairs]
assert shapes == [(7, 5), (7, 3)], f"expected maps (7, 5) and (7, 3), got {shapes}"
for _, weights in pairs:
    assert torch.allclose(weights.sum(-1), torch.ones(7)), (
        "each row should sum to one"
    )

# A model that ends at once: no words, and only the row of the end token.
model.decoder.out.bias.data[EOS_ID] = 99.0
(words, weights), _ = translate(model, encoded, sentences, max_len=7)
assert list(words) == [], f"expected no words, got {words}"
assert weights.shape == (1, 5), (
    f"expected the end token's row, (1, 5), got {tuple(weights.shape)}"
)
print("3.4: all visible tests pass")

### BEGIN HIDDEN TESTS
check("translate", translate)
### END HIDDEN TESTS

# %% [markdown]
r"""
### Exercise 3.5 · Train a translator

15 min · ●●○ · 2 points

Put it together: choose an attention, pass every batch to `training.train_step` (the course's own, so a
mistake in 3.3 costs nothing here), and leave the trained model in the variable `translator`.

`models.Seq2Seq(src_vocab_size, tgt_vocab_size, context, embed_dim, hidden_dim)` is an encoder and a
decoder. `context` says what the decoder sees of the source. `"dot"`, `"scaled"`, `"multiplicative"` and
`"additive"` are Luong's decoder with that score, and `"bahdanau"` is Bahdanau's. `"initial"` has no
attention: the decoder starts from the encoder's summary and sees nothing else.

The cell below makes 400 batches of about 1,000 French tokens each. The first ones contain only short
reviews, and longer ones join until batch 240. This is a **curriculum**: with few words to choose from, it's
easier to find out which word translates which.

**Your translator must pass the test below.** How you get there is up to you. We recommend the course's own
choices:

- Use each batch once, with Adam, `embed_dim=32`, `hidden_dim=128`, and gradients clipped to `max_norm=1.0`.
- Let the learning rate rise for a while and then fall to nearly nothing: large steps find the way, and
  small ones settle. `torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr, total_steps, pct_start)` does
  this. Call its `step()` once after each update. `total_steps` is the number of updates, and `pct_start` is
  the share of them in which the rate rises. With `max_lr=0.01` and `pct_start=0.2`, models of this size
  learn well.

**The test** translates 300 new reviews of two to five clauses.

1. **BLEU of at least 50.** BLEU counts how many of the words, pairs, triples and quadruples of words in the
   translations also occur in the references. 100 is perfect.
2. **Alignment error of at most 0.35**, over the translations that are correct word for word, as in demo 04:
   roughly, how often the largest weight of a French word is *not* on an English word that it translates.

We measured every context with these choices, on 300 new reviews per model: six seeds of `"dot"`, which is
the course's own choice, and three of each of the others
(`python -m benchmarks.quality.exercise_03 --seeds 6 --others 3`).

| context | least BLEU | alignment error | passed |
| --- | --- | --- | --- |
| `"dot"` | 94.7 | 0.138 to 0.219 | 6 of 6 |
| `"scaled"` | 78.2 | 0.190 to 0.223 | 3 of 3 |
| `"additive"` | 91.7 | 0.138 to 0.162 | 3 of 3 |
| `"multiplicative"` | 87.3 | 0.171 to 0.199 | 3 of 3 |
| `"bahdanau"` | 97.6 | 0.205 to 0.249 | 3 of 3 |
| `"initial"` | 7.7 | none | 0 of 3 |

So every attention can pass. The numbers also show that a better translator can have a worse map: compare
`"bahdanau"` with `"additive"`. Without attention, BLEU is far too low.

The test below always uses the same 300 reviews. Grading trains your model again and also tests it on 300
other reviews, with limits that are a little easier, 45 and 0.38: a model that passes here should pass
there.

Training takes 15 to 30 seconds. With `"dot"`, the loss over the six seeds was

| update | 0 | 100 | 200 | 300 | 399 |
| --- | --- | --- | --- | --- | --- |
| loss | 5.67 to 5.69 | 0.35 to 0.67 | 0.04 to 0.19 | 0.02 to 0.10 | 0.01 to 0.06 |

To see sooner whether something is wrong, set `UPDATES = 100` in the first line below. Then there are a
quarter as many batches, and a schedule with `total_steps=UPDATES` ends earlier too. With `"dot"`, the loss
then ended at 0.87 to 0.89, with a BLEU of at least 32.4. That's too little to pass: set it back to 400
afterward.

**Predict.** The decoder knows 292 French tokens. What's the very first loss, approximately?
"""

# %% answer="translator"
SEED, UPDATES = 0, 400
encoded = encoded_reviews()
drawn = Batches(encoded, UPDATES, batch_tokens=1_000, seed=SEED, curriculum=0.6)
batches = [drawn[update] for update in range(UPDATES)]
seed_everything(SEED)

### BEGIN SOLUTION
sizes = len(encoded.src_vocab), len(encoded.tgt_vocab)
translator = models.Seq2Seq(*sizes, context="dot", embed_dim=32, hidden_dim=128)
optimizer = torch.optim.Adam(translator.parameters(), lr=0.01)
schedule = torch.optim.lr_scheduler.OneCycleLR(
    optimizer, max_lr=0.01, total_steps=UPDATES, pct_start=0.2
)
for update, batch in enumerate(batches):
    loss = training.train_step(translator, batch, optimizer, PAD_ID, max_norm=1.0)
    schedule.step()
    if update % 100 == 0 or update == UPDATES - 1:
        print(f"update {update:>3}: loss {loss:.3f}")

# Why: the dot product has nothing to learn, so encoder and decoder must make their
# states meet, and it is fast: one product for all words of a batch. The states are
# wide (128) because queries, keys and values are all taken from them. Embedded
# words can be narrow (32), because 200 words need little room. The model is created
# after seed_everything, so the same run gives the same numbers again.
### END SOLUTION

# %% [markdown]
r"""
<details><summary>Hint 1</summary>

Five things: a model, an optimizer for its parameters, a schedule for that optimizer, a loop over `batches`,
and two calls in the loop. Print the loss now and then.

</details>

<details><summary>Hint 2</summary>

The model and the optimizer:

```python
sizes = len(encoded.src_vocab), len(encoded.tgt_vocab)
translator = models.Seq2Seq(*sizes, "...", embed_dim=32, hidden_dim=128)
optimizer = torch.optim.Adam(translator.parameters(), lr=0.01)
```

In the loop, call `training.train_step(translator, batch, optimizer, PAD_ID, max_norm=1.0)` and
`schedule.step()`.

</details>

<details><summary>Hint 3: one of the two numbers isn't good enough</summary>

If the loss didn't fall as far as the table shows, fix the training first. If it did, choose another
attention: the table above has both numbers for each.

</details>
"""

# %% [markdown]
r"""
<details><summary>What happened</summary>

The first loss is near $\ln 292 \approx 5.68$, because at first all tokens are about equally likely. The
last loss says how well the model continues from *true* words. The test asks whether it can translate with
its own words.

</details>

**Predict.** The next cell translates a review that starts with "we loved the spicy soup", in French "nous
avons adoré la soupe épicée". Which two rows of its map will cross?
"""

# %%
# Not graded: try other reviews, made of words that the reviews use.
text = "we loved the spicy soup but the service was slow"
review = text.split()
(translated,) = models.translate(translator, encoded, [review])
english, french = [*review, "<end>"], [*translated.tokens, "<end>"]
plot_attention(translated.weights, english, french, annotate=False)

# %% [markdown]
r"""
<details><summary>What happened</summary>

"soupe" and "épicée" change places, so their rows cross, if your model wrote both.

Now find the row of "avons", which has no English word of its own. The gold links connect it to "loved",
because "avons adoré" translates it, but its form agrees with "we". Which of the two it looks at differs
from training to training, and the word is right either way. So a map shows where the decoder looked. It
doesn't show that the decoder would have written something else if it had looked elsewhere.

</details>
"""


# %%
# Not graded: both numbers of the test, for any model that you train.
def both_numbers(model):
    reviews = new_reviews(300, seed=1)
    done = models.translate(model, encoded, [text.split() for text in reviews.src])
    texts = [" ".join(one.tokens) for one in done]
    maps = [one.weights for one in done]
    score, error = translation_scores(texts, maps, reviews)
    print(f"BLEU {score:.1f}, alignment error {error:.3f}")


both_numbers(translator)

# %% test="translator" points=2
from grading.checks import check

# The reviews of both_numbers; grading also draws new ones.
check("translator", translator, cases="visible")
print("3.5: all visible tests pass")

### BEGIN HIDDEN TESTS
check("translator", translator)
### END HIDDEN TESTS

# %% [markdown] written="two_orders" points=2
r"""
### Exercise 3.6 · Say it in words

10 min · ●●○ · 2 points

Answer both questions in two or three sentences each, one point each. A person grades this answer; the check
at the end only runs the tests.

1. Which state does each of the two decoders use as its query? Why can you train Luong's decoder on all
   words of a sentence in one call, while Bahdanau's must go word by word?
2. In training, the decoder reads the true words. In translation, it reads its own. What can go wrong
   because of this difference?

<!-- ### BEGIN SOLUTION -->
**A possible answer.** Luong's decoder asks with the state after it has read the word, and Bahdanau's with
the state before. Luong's cell reads only words, and in training all of them are known. So all states can be
computed first, and then all attend together. Bahdanau's cell also reads the context, which needs the state
of the previous word, so each step waits for the previous one.

In training the model never sees a sentence that starts with a mistake. When it translates, one wrong word
leads it into a situation that it hasn't practiced. More wrong words may follow, especially in long
sentences.

**Rubric**, one point per question. Give half a point if half of the idea is missing.

1. Full: new state and old state, *and* the context is part of the cell's input only in Bahdanau's decoder.
   Half: one of the two. None: "Luong's is simpler" or "faster".
2. Full: its own mistakes become its input, and it hasn't learned to continue from them. Half: "mistakes add
   up" without the reason. None: "the translation is worse than in training".

Accept other correct reasons. Don't grade the language.
<!-- ### END SOLUTION -->
"""

# %% [markdown]
r"""
When you're done, let the grader check the whole notebook. It trains the model again, so it takes about as
long as running all cells.
"""

# %%
# Save the notebook, remove the first # of the next line, and run this cell.
# from grading import check_notebook; check_notebook("03_translator.ipynb")

# %% [markdown]
r"""
### Looking back

- Attention is one line in both decoders. They differ in which state is the query, the new one or the old
  one, and in whether the cell reads the context.
- Training and translating use the same decoder. They differ in the words that it reads: the true ones, or
  its own.
- Nobody told the model which word translates which. It learned where to look by predicting the next word.

**One thing to try.** Use your own decoder in the translator. In the cell that trains it, right after the
line that creates the model, write `translator.decoder = BahdanauDecoder(len(encoded.tgt_vocab), 32, 128,
PAD_ID)`. (The optimizer, below, must know the new parameters.) `both_numbers(translator)` prints BLEU and
alignment error. Which of the two is better than before? You may hand in either model.

Which of your mistakes raised an error, and which only gave worse numbers? Note it for next time. Then go on
to demo 04, which asks how far you can trust such maps.
"""
