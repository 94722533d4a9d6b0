# %% [markdown]
r"""
# Exercise 01 · Build the translator that has one vector

**What does it take to translate from a single vector, and where does it fail?**

Think of a closed-book exam: you read a text once, it's taken away, and you write from memory. Or think of the
telephone game: one person hears a whole story and may whisper a single sentence to the next. The translator
of this exercise works like that. An **encoder** reads the sentence and keeps one vector. A **decoder** gets
this vector, and nothing else, and writes the translation. In demo 01 you saw it fail on long sentences. Here
you build it, together with the measurement that shows the failure. You need both to see what attention is
good for.

You will

- **implement** the parts of a translator without attention: mask, loss, encoder, decoder, decoding,
- **measure** translations by the length of their source,
- **explain** what a falling curve shows, and what it doesn't.

About 100 minutes, 15 points: 2 each for exercises 1.1 to 1.6, and 3 for a written answer. Every exercise
stands alone: you can do them in any order, and a mistake in one costs nothing in the next.
"""

# %% [markdown]
r"""
### How an exercise works

Replace `raise NotImplementedError` with your answer, run the cell, then run the tests below it. If a test
fails, its message says what it checked. Grading runs more tests of the same kind on other inputs: other
sizes, padding, single words, zeros. The line "Points" of an exercise says what each part of your answer is
worth. An answer that fails in one part keeps the points of the others, as long as it is right on ordinary
input. If you're stuck, open the first hint, and the next one only if you still need it.

You'll meet a few words everywhere. A **token** is a word or a mark. A sentence is a row of **ids**, one whole
number per token. Three ids aren't words: `pad_id` fills short sentences up to the width of the batch
(**padding**), `bos_id` means "begin", and `eos_id` means "end". An **embedding** is a table with one vector
per id. A **GRU** is a recurrent layer: it reads one vector after the other, and updates its **state** with
each of them.

| size | counts |
| --- | --- |
| `batch` | sentences that are processed together |
| `src_len`, `tgt_len` | positions in a source or target sentence, padding included |
| `vocab` | ids that a model knows |
| `embed` | numbers per embedded word |
| `hidden` | numbers per state |

Models learn *through* these functions, so use only torch operations. Results keep the dtype and the device of
the inputs. The batch is always the first axis.
"""

# %%
import sacrebleu
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from utils.data.reviews import load_reviews
from utils.text import BOS_ID, EOS_ID, PAD_ID, EncodedCorpus
from utils.training import seed_everything, train

# %% [markdown]
r"""
### Exercise 1.1 · Mark the real tokens

10 min · ●○○ · 2 points

Points: 1 for ordinary input; 0.5 for room beyond the longest sentence; 0.5 for dtype and device.

The sentences of a batch differ in length, and the shorter ones are padded. Mark which positions hold real
tokens.

$$m_{b,i} \;=\; \text{True if } i < \text{length}_b, \text{ else False}$$

In code, $m_{b,i}$ is `mask[b, i]`, and positions count from 0.

| | shape |
| --- | --- |
| in: `lengths` | (batch,), whole numbers from 0 to `max_len` |
| in: `max_len` | a whole number, at least the largest length |
| out: `mask` | (batch, max_len), bool |

**By hand.** Two sentences, of 4 tokens and of 1 token, in a batch that is 5 wide:

| | | | | | | mask |
| --- | --- | --- | --- | --- | --- | --- |
| the | service | was | slow | *padding* | | `[True, True, True, True, False]` |
| delicious | *padding* | *padding* | *padding* | *padding* | | `[True, False, False, False, False]` |
"""


# %% answer="lengths_to_mask"
def lengths_to_mask(lengths, max_len):
    """Mark the real tokens of each sentence.

    lengths (batch,), whole numbers; max_len, a whole number. Return a mask
    (batch, max_len), bool, on the device of `lengths`: True at the positions,
    counted from 0, that are below the sentence's length.
    """
    ### BEGIN SOLUTION
    positions = torch.arange(max_len, device=lengths.device)
    return positions < lengths[:, None]  # (batch, max_len)

    # Why: the positions 0, 1, 2, ... form a row and the lengths a column. The
    # comparison broadcasts both, so no loop is needed. A sentence of n words has
    # the positions 0 to n - 1, hence < and not <=. The width is max_len, not the
    # longest length, because a mask must fit the tensor that it masks. torch.arange
    # makes its numbers on the CPU unless you pass a device.
    ### END SOLUTION


# %% [markdown]
r"""
<details><summary>Hint 1</summary>

`torch.arange(5)` returns the positions 0 to 4. What do you compare them with?

</details>

<details><summary>Hint 2</summary>

`lengths[:, None]` is a column, (batch, 1). If you compare a row with a column, torch broadcasts both to a
table.

</details>

<details><summary>Hint 3: "would fail on a GPU"</summary>

A tensor that you create starts out on the CPU. Pass the device: `torch.arange(5, device=lengths.device)`.

</details>
"""

# %%
# Not graded: try things out.
lengths_to_mask(torch.tensor([4, 1]), 5)

# %% test="lengths_to_mask" points=2
import torch
from grading.checks import check

# Compare with the course's version on random inputs; known mistakes are named.
check("lengths_to_mask", lengths_to_mask, cases="visible")

# By hand: sentences of 4 tokens and of 1 token, in a batch that is 5 wide.
mask = lengths_to_mask(torch.tensor([4, 1]), 5)
by_hand = [[True, True, True, True, False], [True, False, False, False, False]]
assert mask.dtype == torch.bool, (
    f"expected a mask of dtype torch.bool, got {mask.dtype}"
)
assert mask.tolist() == by_hand, f"expected {by_hand}, got {mask.tolist()}"

# Shapes: 3 sentences in a batch that is 7 wide, although the longest has 5 tokens.
mask = lengths_to_mask(torch.tensor([2, 5, 3]), 7)
assert mask.shape == (3, 7), f"expected shape (3, 7), got {tuple(mask.shape)}"
counts = mask.sum(1).tolist()
assert counts == [2, 5, 3], f"expected 2, 5 and 3 True per row, got {counts}"
print("1.1: all visible tests pass")

### BEGIN HIDDEN TESTS
check("lengths_to_mask", lengths_to_mask)
### END HIDDEN TESTS

# %% [markdown]
r"""
### Exercise 1.2 · A loss that ignores padding

15 min · ●●○ · 2 points

Points: 1.25 for ordinary input; 0.25 for another id for padding; 0.25 for large logits; 0.25 for gradient,
dtype and device.

How surprised is the model, on average, by a word of the correct translation? At each step the model gives one
number to every word of the vocabulary, its **logits**. A softmax turns them into probabilities. The loss of a
step is minus the log of the correct word's probability. Return the mean over the **real** tokens of the whole
batch.

$$\mathcal{L} \;=\; -\,\frac{1}{N} \sum_{b,t \text{ real}} \log p_{b,t},
\qquad p_{b,t} = \operatorname{softmax}(\text{logits}_{b,t})[y_{b,t}]$$

In code, the correct word $y_{b,t}$ is `targets[b, t]`. A position is real if its target isn't `pad_id`, and
$N$ counts the real positions.

| | shape |
| --- | --- |
| in: `logits` | (batch, tgt_len, vocab) |
| in: `targets` | (batch, tgt_len), ids |
| in: `pad_id` | the id of padding |
| out: the loss | (), a single number |

Logits may be hundreds apart, and the loss must stay finite. torch's `log_softmax` and `cross_entropy` handle
this; taking the log of a softmax doesn't. Mind the axes: `cross_entropy` expects the vocabulary on axis 1,
right after the batch, but yours is the last axis.

**By hand.** A vocabulary of four, and `pad_id` 0. The first sentence has two real tokens. At each of them,
the correct word has the logit $\ln 3$ and the other three have 0, so its probability is
$3 / (3+1+1+1) = \tfrac12$. The second sentence has one real token, with four logits of 0 and therefore a
probability of $\tfrac14$, and one padding token.

| | 1st token | 2nd token |
| --- | --- | --- |
| first sentence | $-\ln\tfrac12 = 0.693$ | $-\ln\tfrac12 = 0.693$ |
| second sentence | $-\ln\tfrac14 = 1.386$ | *padding, doesn't count* |

The loss is (0.693 + 0.693 + 1.386) / 3 = **0.924**. (If you averaged each sentence first, you would get
1.040, because the short sentence would count too much.)
"""


# %% answer="sequence_loss"
def sequence_loss(logits, targets, pad_id):
    """Return the mean cross-entropy over the real tokens of a batch, in nats.

    It uses the natural logarithm. logits (batch, tgt_len, vocab); targets
    (batch, tgt_len), ids. Positions whose target is `pad_id` do not count, and at
    least one target is real. Return a tensor of shape (), in the logits' dtype.
    """
    ### BEGIN SOLUTION
    return nn.functional.cross_entropy(
        logits.flatten(0, 1),  # (batch * tgt_len, vocab)
        targets.flatten(),  # (batch * tgt_len,)
        ignore_index=pad_id,
    )

    # Why: for the loss, all tokens of the batch form one long list, so batch and
    # steps become one axis and the vocabulary stays last. cross_entropy computes
    # softmax and log together, which stays finite even if a probability is too
    # small for a float. ignore_index leaves padding out of the sum *and* out of the
    # count. A sum instead of a mean would make the gradient grow with the batch,
    # and counting padding would reward the model for predicting it.
    ### END SOLUTION


# %% [markdown]
r"""
<details><summary>Hint 1</summary>

For this loss, a batch of sentences is just one long list of tokens. Which of them should count neither in the
sum nor in $N$?

</details>

<details><summary>Hint 2</summary>

`nn.functional.cross_entropy(logits, classes)` expects (n, vocab) and (n,), and computes the softmax itself.
`tensor.flatten(0, 1)` merges the first two axes. If there are more axes, the vocabulary must be on axis 1:
the error "Expected target size ..." means that it isn't. Look up the argument `ignore_index`.

</details>
"""

# %%
# Not graded: the two sentences above. What if you change the logits of the padding?
logits = torch.zeros(2, 2, 4)
logits[0, 0, 1] = logits[0, 1, 2] = torch.log(torch.tensor(3.0))
logits[1, 1, 1] = 9.0
sequence_loss(logits, torch.tensor([[1, 2], [3, 0]]), 0)

# %% test="sequence_loss" points=2
import math

import torch
from grading.checks import check

# Compare with the course's version on random inputs; known mistakes are named.
check("sequence_loss", sequence_loss, cases="visible")

# By hand: probabilities 1/2, 1/2 and 1/4, and one padding token whose logits must
# not count.
logits, targets = torch.zeros(2, 2, 4), torch.tensor([[1, 2], [3, 0]])
logits[0, 0, 1] = logits[0, 1, 2] = math.log(3)
logits[1, 1, 1] = 9.0
loss = sequence_loss(logits, targets, pad_id=0)
assert loss.shape == (), (
    f"expected a single number, shape (), got {tuple(loss.shape)}"
)
assert abs(loss.item() - 0.9242) < 1e-3, f"expected 0.9242, got {loss.item():.4f}"

# Zeros: equal logits are a blind guess. A guess among 7 words costs ln 7, with any
# amount of padding.
loss = sequence_loss(
    torch.zeros(3, 5, 7), torch.tensor([[4, 4, 0, 0, 0]] * 3), pad_id=0
)
assert abs(loss.item() - math.log(7)) < 1e-4, (
    f"a blind guess among 7 words costs ln 7 = 1.946, got {loss.item():.4f}"
)

# Learning: gradients reach the logits of real tokens, but not those of padding.
logits = torch.randn(2, 2, 4, requires_grad=True)
sequence_loss(logits, targets, pad_id=0).backward()
assert logits.grad is not None and logits.grad[0].any(), (
    "no gradient reaches the logits: don't use .item() or detach()"
)
assert not logits.grad[1, 1].any(), (
    "a gradient reaches the logits of padding: leave it out"
)
print("1.2: all visible tests pass")

### BEGIN HIDDEN TESTS
check("sequence_loss", sequence_loss)
### END HIDDEN TESTS

# %% [markdown]
r"""
### Exercise 1.3 · Read a sentence in both directions

20 min · ●●● · 2 points

Points: 1 for ordinary input; 0.5 for room beyond the longest sentence; 0.5 for gradient, dtype and device.

Read the words forward and backward, keep one state per position, and make one vector of what both directions
know at their end.

$$\overrightarrow{h}_i = \mathrm{GRU}(x_i, \overrightarrow{h}_{i-1}), \qquad
\overleftarrow{h}_i = \mathrm{GRU}(x_i, \overleftarrow{h}_{i+1}), \qquad
h_i = [\overrightarrow{h}_i ; \overleftarrow{h}_i]$$

$$\text{decoder\_state} \;=\; \tanh\left(W\,[\overrightarrow{h}_n ; \overleftarrow{h}_1] + b\right)$$

$x_i$ is the embedded word, $n$ is the length of the sentence, and $[\,;\,]$ joins two vectors. In code, $h_i$
is `encoder_states[b, i - 1]`, and $W$ and $b$ belong to `self.to_decoder`. The forward direction has read the
whole sentence at the last word, and the backward direction at the *first* word.

| | shape |
| --- | --- |
| in: `src` | (batch, src_len), ids, padded at the end |
| in: `src_lengths` | (batch,), the number of real tokens of each sentence, at least 1, in any order |
| out: `encoder_states` | (batch, src_len, hidden), zero at padding |
| out: `decoder_state` | (batch, hidden) |

**The GRU must not read padding.** The backward direction would even read it *before* the sentence. torch
has a pair of functions for this, which the first cell imports. `pack_padded_sequence` makes a bundle that
holds only the real words, and a GRU reads such a bundle like any other input. `pad_packed_sequence` turns
the bundle of states that comes out into a padded tensor again:

`bundle = pack_padded_sequence(embedded, src_lengths, batch_first=True, enforce_sorted=False)`

`states, _ = pad_packed_sequence(bundle, batch_first=True, total_length=src.shape[1])`

`enforce_sorted=False` allows sentences in any order of length. `total_length` makes the result as wide as
`src`, even if every sentence is shorter.

**By hand.** Make a GRU that counts: with all weights 0 and one very large bias, its state moves halfway to 1
at each word, whatever the word is: 0.5, 0.75, 0.875. Give each direction one such number, let $W$ be the
identity, and let $b$ be 0.

| | the | service | was | at its end | decoder_state |
| --- | --- | --- | --- | --- | --- |
| forward | 0.5 | 0.75 | 0.875 | 0.875 | tanh(0.875) = 0.704 |
| backward | 0.875 | 0.75 | 0.5 | 0.875 | tanh(0.875) = 0.704 |

| | delicious | *padding* | *padding* | at its end | decoder_state |
| --- | --- | --- | --- | --- | --- |
| forward | 0.5 | 0 | 0 | 0.5 | tanh(0.5) = 0.462 |
| backward | 0.5 | 0 | 0 | 0.5 | tanh(0.5) = 0.462 |

`__init__` is given: write only `forward`.
"""


# %% answer="Encoder"
class Encoder(nn.Module):
    """Read a sentence in both directions with a GRU.

    Cho et al. 2014; Bahdanau et al. 2015, section 3.2. `hidden_dim` is even: each
    direction has half of it.
    """

    def __init__(self, vocab_size, embed_dim, hidden_dim, pad_id):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, embed_dim, padding_idx=pad_id)
        self.rnn = nn.GRU(
            embed_dim, hidden_dim // 2, batch_first=True, bidirectional=True
        )
        self.to_decoder = nn.Linear(hidden_dim, hidden_dim)

    def forward(self, src, src_lengths):
        """Read a batch of sentences.

        src (batch, src_len), ids; src_lengths (batch,), on the CPU and in any
        order. Return encoder_states (batch, src_len, hidden), forward half first
        and zero at padding, and decoder_state (batch, hidden), in this order.
        """
        ### BEGIN SOLUTION
        packed = pack_padded_sequence(
            self.embedding(src), src_lengths, batch_first=True, enforce_sorted=False
        )
        packed_states, last = self.rnn(packed)  # last: (2, batch, hidden / 2)
        encoder_states, _ = pad_packed_sequence(
            packed_states, batch_first=True, total_length=src.shape[1]
        )
        both_ends = torch.cat([last[0], last[1]], dim=-1)  # (batch, hidden)
        return encoder_states, torch.tanh(self.to_decoder(both_ends))

        # Why: with packed sentences, each direction starts and stops at real words,
        # so `last` is what it knows after the whole sentence: last[0] forward, at
        # the last word; last[1] backward, at the first. encoder_states[:, -1] is
        # something else: its backward half has read a single word, and in short
        # sentences it is padding. last.reshape(batch, hidden) runs but joins
        # numbers of different sentences, because its first axis counts directions.
        # total_length keeps the states as wide as src. tanh keeps the vector where
        # a GRU's states are, between -1 and 1.
        ### END SOLUTION


# %% [markdown]
r"""
<details><summary>Hint 1</summary>

Four steps: embed, pack, read, unpack. The GRU returns two things: the states at all positions, as a bundle,
and the state of each direction at its end. Which of them do you need for the decoder's state?

</details>

<details><summary>Hint 2: what goes into what</summary>

`self.rnn(bundle)` returns two things. The first is again a bundle: pass it to `pad_packed_sequence`, which
adds the zeros. The second is a plain tensor, with the sentences in their original order.

</details>

<details><summary>Hint 3: the two ends</summary>

The GRU's second result, say `last`, is (2, batch, hidden / 2): `last[0]` is the forward direction at its end,
and `last[1]` the backward one. `torch.cat([..., ...], dim=-1)` joins them, sentence by sentence.

</details>
"""

# %%
# Not graded: the shapes for two sentences, before training.
encoder = Encoder(vocab_size=11, embed_dim=3, hidden_dim=4, pad_id=0)
[
    result.shape
    for result in encoder(
        torch.tensor([[5, 6, 7], [8, 0, 0]]), torch.tensor([3, 1])
    )
]

# %% test="Encoder" points=2
import torch
from torch import nn

from grading.checks import check

# Compare with the course's version on random inputs; known mistakes are named.
check("Encoder", Encoder, cases="visible")

# By hand: the GRU that counts, "the service was" and "delicious".
encoder = Encoder(vocab_size=11, embed_dim=3, hidden_dim=2, pad_id=0)
for name, parameter in encoder.rnn.named_parameters():
    parameter.data.zero_()
    if name.startswith("bias_ih"):
        parameter.data[-1] = 20.0  # pulls toward tanh(20) = 1
encoder.to_decoder.weight.data = torch.eye(2)
encoder.to_decoder.bias.data = torch.zeros(2)
src, src_lengths = torch.tensor([[8, 0, 0], [5, 6, 7]]), torch.tensor([1, 3])
states, decoder_state = encoder(src, src_lengths)

by_hand = torch.tensor(
    [[[0.5, 0.5], [0, 0], [0, 0]], [[0.5, 0.875], [0.75, 0.75], [0.875, 0.5]]]
)
assert states.shape == (2, 3, 2), (
    f"expected encoder_states (2, 3, 2) first, got shape {tuple(states.shape)}"
)
right = torch.allclose(states, by_hand, atol=1e-3)
assert right, f"expected encoder_states {by_hand.tolist()}, got {states.tolist()}"
right = torch.allclose(
    decoder_state, torch.tensor([[0.4621] * 2, [0.7039] * 2]), atol=1e-3
)
assert right, (
    f"expected tanh(0.5) and tanh(0.875) twice, got {decoder_state.tolist()}"
)

# A short sentence must give the same vector alone as in a batch, where it is
# padded.
encoder = Encoder(vocab_size=11, embed_dim=3, hidden_dim=14, pad_id=0)
beside, alone = (
    encoder(src, src_lengths)[1],
    encoder(src[:1, :1], src_lengths[:1])[1],
)
assert beside.shape == (2, 14), (
    f"expected decoder_state (2, 14), got {tuple(beside.shape)}"
)
assert torch.allclose(beside[:1], alone, atol=1e-5), (
    "the padding of a short sentence changes its vector: pack the sentences"
)

# Learning: gradients reach every parameter.
encoder(src, src_lengths)[1].square().sum().backward()
for name, parameter in encoder.named_parameters():
    assert parameter.grad is not None, f"no gradient reaches {name}: is it used?"
print("1.3: all visible tests pass")

### BEGIN HIDDEN TESTS
check("Encoder", Encoder)
### END HIDDEN TESTS

# %% [markdown]
r"""
### Exercise 1.4 · Write from one vector

10 min · ●●○ · 2 points

Points: 1 for ordinary input; 0.5 for sizes of one; 0.5 for gradient, dtype and device.

Start from the vector, read the words written so far, and score every word that could come next.

$$s_t = \mathrm{GRU}(y_{t-1}, s_{t-1}), \qquad \text{logits}_t = W s_t + b$$

$s_0$ is `decoder_state`, the vector from the encoder. $y_{t-1}$ is the embedded word `tgt_in[b, t - 1]`,
the one *before* the word to predict. $W$ and $b$ belong to `self.out`. In training, `tgt_in` is the correct
translation, shifted by one: begin token, first word, second word, ... This is called **teacher forcing**,
and it lets the GRU read all steps in one call. When the model translates, it calls the same function with
one word at a time. That's why the function also returns the state: the next call continues from there.

| | shape |
| --- | --- |
| in: `tgt_in` | (batch, tgt_len), ids |
| in: `decoder_state` | (batch, hidden) |
| out: `logits` | (batch, tgt_len, vocab) |
| out: `decoder_state` | (batch, hidden), after the last step |

**By hand.** Take the GRU that counts again, one number wide, with the state 0.5. Let $W$ have the rows (1)
and (2), for a vocabulary of two, and let $b$ be 0.

| step | state | logits |
| --- | --- | --- |
| 1 | halfway from 0.5 to 1: 0.75 | (0.75, 1.5) |
| 2 | halfway from 0.75 to 1: 0.875 | (0.875, 1.75) |

The returned state is **0.875**. `__init__` is given: write only `forward`.
"""


# %% answer="Decoder"
class Decoder(nn.Module):
    """Write a sentence from one vector (Sutskever et al. 2014)."""

    def __init__(self, vocab_size, embed_dim, hidden_dim, pad_id):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, embed_dim, padding_idx=pad_id)
        self.rnn = nn.GRU(embed_dim, hidden_dim, batch_first=True)
        self.out = nn.Linear(hidden_dim, vocab_size)

    def forward(self, tgt_in, decoder_state):
        """Predict the word after each word of tgt_in.

        tgt_in (batch, tgt_len), ids; decoder_state (batch, hidden). Return logits
        (batch, tgt_len, vocab) and the state after the last step, (batch, hidden),
        in this order. No step is treated as padding.
        """
        ### BEGIN SOLUTION
        states, last = self.rnn(self.embedding(tgt_in), decoder_state[None])
        return self.out(states), last[0]

        # Why: torch's GRU takes and returns its state as (layers, batch, hidden),
        # hence [None] on the way in and [0] on the way out. Without it, the GRU
        # starts from zeros and raises no error, and the decoder writes fluent text
        # that has nothing to do with its source. Logits stay as they are, because
        # the loss computes the softmax. Padding in tgt_in is at the end, where the
        # loss ignores it, so nothing has to be packed.
        ### END SOLUTION


# %% [markdown]
r"""
<details><summary>Hint 1</summary>

Three steps: embed, read, score. The GRU takes a second argument. Which of its two results do you turn into
logits?

</details>

<details><summary>Hint 2</summary>

A GRU's state has an extra axis in front for its layers, (1, batch, hidden): `decoder_state[None]` adds that
axis, and `last[0]` removes it.

</details>
"""

# %%
# Not graded: two sentences, three steps, before training.
decoder = Decoder(vocab_size=11, embed_dim=3, hidden_dim=4, pad_id=0)
[
    result.shape
    for result in decoder(torch.tensor([[1, 5, 6], [1, 7, 0]]), torch.zeros(2, 4))
]

# %% test="Decoder" points=2
import torch
from grading.checks import check

# Compare with the course's version on random inputs; known mistakes are named.
check("Decoder", Decoder, cases="visible")

# By hand: the GRU that counts, starting from the state 0.5, over two steps.
decoder = Decoder(vocab_size=2, embed_dim=3, hidden_dim=1, pad_id=0)
for parameter in decoder.rnn.parameters():
    parameter.data.zero_()
decoder.rnn.bias_ih_l0.data[-1] = 20.0  # pulls toward tanh(20) = 1
decoder.out.weight.data = torch.tensor([[1.0], [2.0]])
decoder.out.bias.data = torch.zeros(2)
logits, state = decoder(torch.tensor([[1, 1]]), torch.tensor([[0.5]]))

by_hand = torch.tensor([[[0.75, 1.5], [0.875, 1.75]]])
assert logits.shape == (1, 2, 2), (
    f"expected logits (1, 2, 2) first, got {tuple(logits.shape)}"
)
assert torch.allclose(logits, by_hand, atol=1e-3), (
    f"expected logits {by_hand.tolist()}, got {logits.tolist()}"
)
assert state.shape == (1, 1), (
    f"expected decoder_state (1, 1) second, got {tuple(state.shape)}"
)
assert abs(state.item() - 0.875) < 1e-3, (
    f"expected decoder_state 0.875, got {state.item():.4f}"
)

# Step by step: three calls with one word each must equal one call with three words.
decoder = Decoder(11, 3, 7, pad_id=0)
tgt_in, state = torch.tensor([[1, 5, 6], [1, 7, 8]]), torch.randn(2, 7)
together, last = decoder(tgt_in, state)
steps = []
for t in range(3):
    logits, state = decoder(tgt_in[:, t : t + 1], state)
    steps.append(logits)
assert torch.allclose(torch.cat(steps, 1), together, atol=1e-5), (
    "three calls with one word each differ from one call with three: "
    "start from the state that is passed in"
)
assert torch.allclose(state, last, atol=1e-5), (
    "return the state after the last step"
)
print("1.4: all visible tests pass")

### BEGIN HIDDEN TESTS
check("Decoder", Decoder)
### END HIDDEN TESTS

# %% [markdown]
r"""
### Exercise 1.5 · Translate, one word at a time

20 min · ●●● · 2 points

Points: 1 for ordinary input; 0.5 for stopping at max_len; 0.5 for dtype and device.

Now the correct translation isn't known, so the decoder reads what it has written itself. Take the likeliest
word at each step (**greedy** decoding), feed it back, and stop when every sentence has written its end token.

$$\hat y_0 = \text{begin}, \qquad (\text{logits}_t,\, s_t) = \mathrm{decoder}(\hat y_{t-1}, s_{t-1}), \qquad
\hat y_t = \arg\max \text{logits}_t$$

$s_0$ is the encoder's `decoder_state`. In code, $\hat y_t$ is `ids[b, t - 1]`.

| | |
| --- | --- |
| in: `encoder`, `decoder` | modules such as those of exercises 1.3 and 1.4 |
| in: `src`, `src_lengths` | the inputs of the encoder |
| in: `bos_id`, `eos_id` | the ids of the begin and the end token |
| in: `max_len` | the largest number of steps, at least 1 |
| out: `ids` | (batch, steps), whole numbers: all that was written, without the begin token |

The sentences of a batch don't end together. Keep decoding the finished ones beside the others: **whatever
follows a sentence's first end token doesn't matter**, because nobody reads it. Stop after the step in which
the last sentence ends, or after `max_len` steps.

**By hand.** Take a toy decoder whose state is the number of words still to write. It writes the id that
follows the one it reads, and the end token when nothing is left to write. Begin is 3, and end is 2. One
sentence has two words, the other has one.

| step | reads | state | writes | reads | state | writes |
| --- | --- | --- | --- | --- | --- | --- |
| 1 | 3 | 2 | **4** | 3 | 1 | **4** |
| 2 | 4 | 1 | **5** | 4 | 0 | **2** (end) |
| 3 | 5 | 0 | **2** (end) | 2 | −1 | *anything* |

So `ids` is `[[4, 5, 2], [4, 2, ...]]`, of shape (2, 3).
"""


# %% answer="greedy_decode"
def greedy_decode(encoder, decoder, src, src_lengths, bos_id, eos_id, max_len):
    """Translate a batch, taking the likeliest token at each step.

    encoder(src, src_lengths) returns encoder_states and decoder_state.
    decoder(tgt_in, decoder_state) returns logits (batch, tgt_len, vocab) and the
    new decoder_state; tgt_in is (batch, tgt_len). Return ids (batch, steps), on the
    device of `src`: without the begin token, with each sentence's first end token,
    and with anything after that. Stop after the step in which the last sentence
    ends, or after `max_len` steps.
    """
    ### BEGIN SOLUTION
    with torch.no_grad():
        _, decoder_state = encoder(src, src_lengths)
        token = torch.full((len(src), 1), bos_id, device=src.device)
        ended = torch.zeros(len(src), 1, dtype=torch.bool, device=src.device)
        ids = []
        while len(ids) < max_len and not ended.all():
            logits, decoder_state = decoder(token, decoder_state)
            token = logits.argmax(-1)  # (batch, 1)
            ids.append(token)
            ended = ended | (token == eos_id)
        return torch.cat(ids, dim=1)  # (batch, steps)

    # Why: two things go from step to step, the word just written and the state. If
    # you feed the begin token again, or keep the old state, the code runs without
    # an error and writes nonsense. The sentence is encoded once; after that,
    # everything the decoder knows about it is in that one state. Sentences end at
    # different steps, so `ended` must remember. Checking whether all sentences
    # write the end token *now* would wait for a coincidence. Nothing is learned
    # here, so no_grad saves memory and time.
    ### END SOLUTION


# %% [markdown]
r"""
<details><summary>Hint 1</summary>

Write down what the first step needs, and what the second step needs. Which two variables change from step to
step? Where does the first value of each come from?

</details>

<details><summary>Hint 2</summary>

The decoder expects ids of shape (batch, 1). For the first step, `torch.full((len(src), 1), bos_id)` creates
them (pass `device=src.device`). Later, `logits.argmax(-1)` has exactly this shape. Collect the ids in a list,
and join them with `torch.cat(..., dim=1)`.

</details>

<details><summary>Hint 3: when to stop</summary>

Keep one bool per sentence, False at first: `ended = ended | (token == eos_id)`. Continue while some are still
False and you have written fewer than `max_len` tokens.

</details>
"""


# %%
# Not graded: the toy decoder of the table. Change the lengths, or max_len.
class CountWords(nn.Module):
    def forward(self, src, src_lengths):
        return None, src_lengths[:, None].float()  # the state: words still to write


class CountUp(nn.Module):
    def forward(self, tgt_in, left):
        left = left - torch.arange(tgt_in.shape[1])
        token = torch.where(left == 0, 2, tgt_in + 1)
        return nn.functional.one_hot(token, 11).float(), left[:, -1:] - 1


src, src_lengths = torch.tensor([[7, 8], [9, 0]]), torch.tensor([2, 1])
greedy_decode(CountWords(), CountUp(), src, src_lengths, 3, 2, max_len=6)

# %% test="greedy_decode" points=2
import torch
from torch import nn

from grading.checks import check

# Compare with the course's version on random inputs; known mistakes are named.
check("greedy_decode", greedy_decode, cases="visible")


# By hand: the toy decoder. Its state is the number of words still to write.
class CountWords(nn.Module):
    def forward(self, src, src_lengths):
        return None, src_lengths[:, None].float()


class CountUp(nn.Module):
    def forward(self, tgt_in, left):
        left = left - torch.arange(tgt_in.shape[1])
        token = torch.where(left == 0, 2, tgt_in + 1)
        return nn.functional.one_hot(token, 11).float(), left[:, -1:] - 1


toys = CountWords(), CountUp()
src, src_lengths = torch.tensor([[7, 8], [9, 0]]), torch.tensor([2, 1])
ids = greedy_decode(*toys, src, src_lengths, bos_id=3, eos_id=2, max_len=6)
assert ids.shape == (2, 3), (
    f"both sentences end in three steps: expected (2, 3), got {tuple(ids.shape)}"
)
first, second = ids.tolist()
assert first == [4, 5, 2], (
    f"expected 4, 5 and the end, 2, for the first sentence, got {first}"
)
assert second[:2] == [4, 2], (
    f"expected 4 and the end, 2, for the second sentence, got {second}"
)

# Room for only two tokens: the first sentence is cut off.
ids = greedy_decode(*toys, src, src_lengths, bos_id=3, eos_id=2, max_len=2)
assert ids.tolist() == [[4, 5], [4, 2]], (
    f"with max_len=2, expected [[4, 5], [4, 2]], got {ids.tolist()}"
)

# One sentence that has nothing to say: it writes the end token at once.
ids = greedy_decode(
    *toys, src[:1], torch.tensor([0]), bos_id=3, eos_id=2, max_len=6
)
assert ids.tolist() == [[2]], (
    f"the first step writes the end token: expected [[2]], got {ids.tolist()}"
)
print("1.5: all visible tests pass")

### BEGIN HIDDEN TESTS
check("greedy_decode", greedy_decode)
### END HIDDEN TESTS

# %% [markdown]
r"""
### Exercise 1.6 · Measure by length

10 min · ●●○ · 2 points

Points: 1.25 for ordinary input; 0.25 for sentences at the edges of bins; 0.25 for punctuation; 0.25 for empty
bins.

A single score for a whole test set hides what you're looking for. Score short and long sentences separately.

**BLEU** compares a translation (the *hypothesis*) with a correct one (the *reference*). For $n = 1$ to 4, the
precision $p_n$ is the share of the hypothesis's runs of $n$ words that also occur in the reference. BLEU is
the geometric mean of the four precisions, times a factor below 1 if the hypotheses are too short. A perfect
match scores 100.

$$\text{BLEU} \;=\; 100 \cdot \min\left(1, e^{1 - r/h}\right) \cdot \left(p_1\, p_2\, p_3\, p_4\right)^{1/4}$$

$h$ and $r$ are the numbers of words in hypotheses and references. **Corpus** BLEU adds up the counts of all
sentences *before* it divides, so it isn't a mean of sentence scores. You don't have to write it:

`sacrebleu.corpus_bleu(hypotheses, [references], tokenize="none").score`

takes two lists of sentences. The references are in brackets because sacrebleu allows several sets of them.
`tokenize="none"` means that words are separated by spaces.

Sort the sentences into bins by the number of words of their **source**. Bin $i$ begins with the length
`edges[i]` and ends *before* `edges[i + 1]`.

| | |
| --- | --- |
| in: `sources`, `hypotheses`, `references` | three lists of sentences, words separated by spaces |
| in: `edges` | an increasing list of whole numbers |
| out: the rows | a list of `((first, last), score)`, one for each bin that has sentences, in order |

`first` and `last` are the smallest and the largest length in the bin, so `last` is `edges[i + 1] - 1`. Leave
out sentences that are in no bin.

**By hand.** The reference is "le service était très lent", and the hypothesis is "le service était très bon".
Four of five words match, three of four pairs, two of three triples, and one of two runs of four. The
hypothesis isn't too short, so

$$\text{BLEU} = 100 \cdot \left(\tfrac45 \cdot \tfrac34 \cdot \tfrac23 \cdot \tfrac12\right)^{1/4}
= 100 \cdot \left(\tfrac15\right)^{1/4} = \mathbf{66.9}$$

Its source, "the service was very slow", has 5 words. With `edges = [3, 5, 8]` it belongs to the second bin.
If there is no other sentence, the only row is `((5, 7), 66.87)`.
"""


# %% answer="bleu_by_length"
def bleu_by_length(sources, hypotheses, references, edges):
    """Return corpus BLEU for each bin of source lengths, in words.

    `sources`, `hypotheses` and `references` are lists of sentences, in the same
    order. Return a list of rows ((first, last), score), in the order of the bins
    and without empty bins. `first` and `last` are the smallest and the largest
    length of the bin, edges[i] and edges[i + 1] - 1. `score` is sacrebleu's, 0 to
    100, with tokenize="none". Papineni et al. 2002; Post 2018.
    """
    ### BEGIN SOLUTION
    rows = []
    for first, end in zip(edges[:-1], edges[1:], strict=True):
        chosen = [
            i
            for i, source in enumerate(sources)
            if first <= len(source.split()) < end
        ]
        if chosen:
            result = sacrebleu.corpus_bleu(
                [hypotheses[i] for i in chosen],
                [[references[i] for i in chosen]],
                tokenize="none",
            )
            rows.append(((first, end - 1), result.score))
    return rows

    # Why: the length must be that of the source. A translator that fails writes too
    # little or too much, and if its own length chose the bin, its failures would
    # move to other bins and hide there. Half-open bins count every sentence once.
    # Corpus BLEU adds up the counts before it divides: the score of a single
    # sentence depends on a handful of runs of four words and jumps with each of
    # them. An empty bin has no score, and a 0 in its place would look like a bad
    # one.
    ### END SOLUTION


# %% [markdown]
r"""
<details><summary>Hint 1</summary>

For one bin: which sentence numbers `i` belong to it? Select hypotheses and references by these numbers.

</details>

<details><summary>Hint 2</summary>

`len(source)` counts letters, `len(source.split())` counts words. `zip(edges[:-1], edges[1:])` yields the
bins.

</details>
"""

# %%
# Not graded: the sentence above. What's the score if the last word is right, too?
bleu_by_length(
    ["the service was very slow"],
    ["le service était très bon"],
    ["le service était très lent"],
    [3, 5, 8],
)

# %% test="bleu_by_length" points=2
from grading.checks import check

# Compare with the course's version on random inputs; known mistakes are named.
check("bleu_by_length", bleu_by_length, cases="visible")

# By hand: one sentence of 5 words, the first four correct, and two of 4 words, all
# correct.
sources = ["the service was very slow", "the soup was good", "the bread was cold"]
references = [
    "le service était très lent",
    "la soupe était bonne",
    "le pain était froid",
]
hypotheses = [
    "le service était très bon",
    "la soupe était bonne",
    "le pain était froid",
]
rows = bleu_by_length(sources, hypotheses, references, [2, 4, 5, 8])

bins = [(int(first), int(last)) for (first, last), _ in rows]
assert bins == [(4, 4), (5, 7)], f"expected the bins (4, 4) and (5, 7), got {bins}"
scores = [float(score) for _, score in rows]
assert abs(scores[0] - 100) < 0.01, (
    f"expected 100 for perfect sentences, got {scores[0]:.2f}"
)
assert abs(scores[1] - 66.87) < 0.01, (
    f"expected 66.87 for 5 words, got {scores[1]:.2f}"
)

# All in one bin: BLEU adds up the counts first, so this isn't the mean of three
# sentence scores.
score = float(bleu_by_length(sources, hypotheses, references, [4, 6])[0][1])
assert abs(score - 85.49) < 0.01, (
    f"expected 85.49 for the bin of 4 to 5 words, got {score:.2f}"
)
print("1.6: all visible tests pass")

### BEGIN HIDDEN TESTS
check("bleu_by_length", bleu_by_length)
### END HIDDEN TESTS

# %% [markdown]
r"""
### Put it together

5 min · no points

Now let your parts translate. The next cell joins your encoder and your decoder to a translator and trains
it on restaurant reviews of up to 20 words, in English and French. `train` is the course's own function. It
repeats three things 500 times: call both parts, compute the loss of exercise 1.2, and update the
parameters. This takes about ten seconds, longer on a busy machine.

If one of your parts isn't ready, use the course's own. For exercises 1.3, 1.4 and 1.5, import `Seq2Seq` from
`utils.models`, replace the line marked "yours" with
`model = Seq2Seq(src_size, tgt_size, "initial", 64, 128)`, and write
`ids = model.greedy(batch.src, batch.src_lengths, 60)[0]` in the cell after it. For 1.6, put this before the
last loop of that cell:

```python
from utils import metrics

def bleu_by_length(sources, hypotheses, references, edges):
    lengths = [len(source.split()) for source in sources]
    rows = metrics.bleu_by_length(lengths, hypotheses, references, edges, n_bootstrap=0)
    return [(row, result.score) for row, result in rows]
```
"""


# %%
class Translator(nn.Module):
    """An encoder and a decoder without attention, connected by one vector only."""

    def __init__(self, encoder, decoder):
        super().__init__()
        self.encoder, self.decoder = encoder, decoder

    def forward(self, src, src_lengths, tgt_in):
        _, decoder_state = self.encoder(src, src_lengths)
        logits, _ = self.decoder(tgt_in, decoder_state)
        return logits, None  # there are no attention weights


torch.set_num_threads(1)  # a model this small gains nothing from a second thread
reviews = load_reviews(train=8_000, valid=50, test=600, long=0)
encoded = EncodedCorpus(reviews, max_tokens=20)
src_size, tgt_size = len(encoded.src_vocab), len(encoded.tgt_vocab)

seed_everything(0)
model = Translator(  # yours
    Encoder(src_size, 64, 128, PAD_ID), Decoder(tgt_size, 64, 128, PAD_ID)
)
history = train(
    model, encoded, updates=500, batch_tokens=500, curriculum=0.6, progress=False
)
print("training loss:", [round(loss, 2) for loss in history.column("train_loss")])

# %% [markdown]
r"""
**Predict.** The model has seen reviews of all lengths up to 20 words. We translate other reviews and score
them in four bins: 3 to 6 words, 7 to 10, 11 to 14, and 15 to 20. Is the BLEU of the last bin about three
quarters of the first bin's, half of it, or less than half?
"""

# %%
sources, hypotheses, references = [], [], []
for batch in encoded.batches("test"):
    inputs = batch.src, batch.src_lengths
    ids = greedy_decode(model.encoder, model.decoder, *inputs, BOS_ID, EOS_ID, 60)
    hypotheses += [" ".join(encoded.tgt_vocab.decode(row)) for row in ids.tolist()]
    sources += [encoded.corpus["test"].src[row] for row in batch.rows]
    references += [encoded.corpus["test"].tgt[row] for row in batch.rows]

edges = [3, 7, 11, 15, 21]
for (first, last), score in bleu_by_length(sources, hypotheses, references, edges):
    print(
        f"{first:>2} to {last:>2} words: BLEU {score:4.1f} {'#' * round(score / 2)}"
    )

# %% [markdown]
r"""
<details><summary>What happened</summary>

BLEU falls from bin to bin, and the last bin has far less than half of the first one's. This short run does
*not* show how much of the fall is the vector's fault. Long sentences are also harder for other reasons, and
training has only just begun. The comparison in demo 01, with and without attention and with the same budget,
separates the two.

</details>

Here are a short and a long review. Look at what the model writes when it doesn't know: good French about
another meal.
"""

# %%
lengths = [len(source.split()) for source in sources]
for row in (lengths.index(5), lengths.index(17)):
    print(f"source      {sources[row]}\nreference   {references[row]}")
    print(f"hypothesis  {hypotheses[row]}\n")

# %% [markdown] written="why_one_vector" points=3
r"""
### Exercise 1.7 · Say it in words

10 min · ●●○ · 3 points

A classmate builds the same translator for weather reports: 5 to 40 words, all made from the same few dozen
phrases. Its BLEU is the same at all lengths. "So a single vector is enough", she says, and tries it on
novels, where BLEU falls with length. Answer three questions in five to eight sentences in all, one point
each. A person grades this answer; the check at the end only runs the tests.

1. What must `decoder_state` hold for a report of 40 words, and what for 40 words of a novel? Explain why one
   fits and the other doesn't, although both have the same length.
2. With a novel, mistakes also add up: the decoder reads its own words, and one wrong word misleads the next
   ones. How could she find out how much of the fall comes from this and how much from the vector, *without*
   training another model?
3. "Then make `hidden_dim` twice as large, and novels are solved." Are they? What would the curve of BLEU by
   length look like?

<!-- ### BEGIN SOLUTION -->
**A possible answer.** The decoder never sees the source, so its first state has to hold everything that the
translation needs. For a report, that's which of the known phrases come, in which order, and with which
numbers: little to remember, because the decoder knows the phrases by heart. In a novel nearly every word is
new information, so the amount to hold grows with the length, while the vector has `hidden_dim` numbers for
any sentence. To separate the two causes I would feed the decoder the correct words, as in training, so that
its own mistakes can't mislead it. Then I would plot the loss per word, or the share of correct words, by
the length of the source: what still gets worse with length isn't due to its own mistakes. (Or I would score
only the first five words of each translation: few mistakes have added up there, but the vector has had to
hold the whole source.) A wider vector helps, but it still has one size for all sentences: the curve falls
later, but it still falls.

**Rubric**, one point per question. Give half a point if half of the idea is missing.

1. Full: what counts is how much information there is (not the number of words), *and* the vector has a
   *fixed size*. Half: only one of the two. None: "novels are harder", or "it holds the context".
2. Full: a measurement that removes one of the two causes and keeps the other (correct words instead of its
   own; only the first words of each translation; the same output with more or less source to remember),
   *and* what it would tell. Half: the measurement without what it tells, or a comparison that needs another
   model. None: only repeats the two causes.
3. Full: no; the fall begins at longer sentences and doesn't go away (a price may be named). Half: "no" with
   only the price, or "it helps a little". None: yes.

Accept other correct reasons. Don't grade the language or the length.
<!-- ### END SOLUTION -->
"""

# %% [markdown]
r"""
When you're done, let the grader check the whole notebook.
"""

# %%
# Save the notebook, remove the first # of the next line, and run this cell.
# from grading import check_notebook; check_notebook("01_bottleneck.ipynb")

# %% [markdown]
r"""
### Looking back

- The encoder presses a sentence into one vector. The decoder writes from it, one word at a time, and reads
  what it wrote.
- Padding is everywhere and must count nowhere: not in the mask, not in the loss, not in the backward reading.
- One BLEU for all sentences would have hidden the fall. Sorted by the length of the source, it's obvious.

**One thing to try.** In "Put it together", change both 128 to 256, then train and translate again. Which bins
gain the largest share of their score? Does the first bin, with its short sentences, gain anything?

<details><summary>What we saw</summary>

We tried two seeds. With both, every bin gained, but which bin gained the largest share changed with the seed.
The short sentences, which need little memory, gained too. So this isn't only memory: a wider model also
learned more in its 500 updates. To see the effect of memory alone, you would have to train both until they
stop improving.

</details>

Which mistake in this exercise raised no error and still made everything wrong? Note how you found it. Then go
on to demo 02, where the book is opened.
"""
