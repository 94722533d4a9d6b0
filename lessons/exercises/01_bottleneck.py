# %% [markdown]
r"""
# Exercise 01 · Build the translator that has one vector

**What does it take to translate with a single vector, and where does it fail?**

Think of a closed-book exam: you read a text once, it is taken away, and you write from memory. Or of the
telephone game, in which somebody hears a whole story and may whisper one sentence to the next. The
translator of this exercise works like that. An **encoder** reads the sentence and keeps one vector; a
**decoder** gets this vector, and nothing else, and writes the translation. You saw it fail on long
sentences in demo 01. Here you build it, and the ruler that shows the failure: without both, nobody can tell
what attention is good for.

You will

- **implement** the parts of a translator without attention: mask, loss, encoder, decoder, decoding,
- **measure** translations by the length of their source,
- **explain** what a fall of the curve shows, and what it does not.

About 100 minutes, 15 points: 2 each for exercises 1.1 to 1.6, and 3 for a written answer. Every exercise
stands alone: you can do them in any order, and a mistake in one costs nothing in the next.
"""

# %% [markdown]
r"""
### How an exercise works

Replace `raise NotImplementedError` by your answer, run the cell, then run the tests below it. They say in
words what they check. When the work is graded, more tests of the same kind run on other numbers: other
sizes, padding, single words, zeros. If you are stuck, open the first hint, and the next one only if you
need it.

A few words are used throughout. A sentence comes as a row of **ids**, one whole number for each word; such
a unit, a word or a mark, is called a **token**. Three ids are not words: `pad_id` fills a short sentence up
to the width of its batch (**padding**), `bos_id` stands for "begin" and `eos_id` for "end". An
**embedding** is a table with a vector for each id. A **GRU** is a recurrent layer: it reads one vector
after the other and keeps a **state**, of which each new vector changes a part.

| size | counts |
| --- | --- |
| `batch` | sentences that are worked on together |
| `src_len`, `tgt_len` | places in a source or target sentence, padding included |
| `vocab` | ids that a model knows |
| `embed` | numbers in the vector of a word |
| `hidden` | numbers in a state |

Models learn *through* these functions, so keep to torch operations, and let results keep the dtype and the
device of what came in. Everything has the batch on its first axis.
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

Sentences of one batch differ in length and the shorter ones are filled up, so we need to know which places
are real.

$$m_{b,s} \;=\; \text{True where } s < \text{length}_b, \text{ else False}$$

In code, $m_{b,s}$ is `mask[b, s]`, and places are counted from 0.

| | shape |
| --- | --- |
| in: `lengths` | (batch,), whole numbers |
| in: `max_len` | a number, at least the largest length |
| out: `mask` | (batch, max_len), bool |

**By hand.** Two sentences, of 4 and of 1 tokens, in a batch that is 5 wide:

| | | | | | | mask |
| --- | --- | --- | --- | --- | --- | --- |
| the | service | was | slow | *padding* | | `[True, True, True, True, False]` |
| delicious | *padding* | *padding* | *padding* | *padding* | | `[True, False, False, False, False]` |
"""


# %% answer="lengths_to_mask"
def lengths_to_mask(lengths, max_len):
    """Mark the real tokens of each sentence.

    lengths (batch,) and the number max_len give a mask (batch, max_len), bool, True where the place,
    counted from 0, is below the sentence's length. It is on the device of `lengths`.
    """
    ### BEGIN SOLUTION
    return torch.arange(max_len, device=lengths.device) < lengths[:, None]  # (batch, max_len)

    # Why so: the places 0, 1, 2, ... are a row and the lengths a column, so the comparison stretches both and
    # each place meets each length: no loop is needed. A sentence of n words has the places 0 to n - 1, hence
    # < and not <=. The width is max_len, not the longest length: a mask must fit the tensor that it masks.
    # torch.arange makes its numbers on the CPU unless it is told where the lengths are.
    ### END SOLUTION


# %% [markdown]
r"""
<details><summary>Hint 1</summary>

`torch.arange(5)` gives the places 0 to 4. What do you have to compare them with?

</details>

<details><summary>Hint 2</summary>

`lengths[:, None]` is a column, (batch, 1). A row compared with a column gives a table: torch stretches both.

</details>

<details><summary>Hint 3: "would fail on a GPU"</summary>

A tensor that you make yourself starts out on the CPU. Say where it should be:
`torch.arange(5, device=lengths.device)`.

</details>
"""

# %%
# A free cell: try things out. Nothing here is graded.
lengths_to_mask(torch.tensor([4, 1]), 5)

# %% test="lengths_to_mask" points=2
import torch
from grading.checks import check

# On random numbers, beside the course's own: a mistake that it knows is named.
check("lengths_to_mask", lengths_to_mask, cases="visible")

# By hand: sentences of 4 and of 1 tokens, in a batch that is 5 wide.
mask = lengths_to_mask(torch.tensor([4, 1]), 5)
by_hand = [[True, True, True, True, False], [True, False, False, False, False]]
assert mask.dtype == torch.bool, f"the mask should be of type torch.bool, but is {mask.dtype}"
assert mask.tolist() == by_hand, f"the mask should be {by_hand}, but is {mask.tolist()}"

# Shapes: 3 sentences in a batch that is 7 wide, although the longest has 5 tokens.
mask = lengths_to_mask(torch.tensor([2, 5, 3]), 7)
assert mask.shape == (3, 7), f"the shape should be (3, 7), but is {tuple(mask.shape)}"
assert mask.sum(1).tolist() == [2, 5, 3], f"each row has as many True as tokens, not {mask.sum(1).tolist()}"
print("1.1: all tests that you can see pass")

### BEGIN HIDDEN TESTS
check("lengths_to_mask", lengths_to_mask)
### END HIDDEN TESTS

# %% [markdown]
r"""
### Exercise 1.2 · A loss that ignores padding

15 min · ●●○ · 2 points

How surprised is the model, on average, by a word of the right translation? At each step it gives a number
to every word of the vocabulary, the **logits**; a softmax makes them probabilities; the loss of a step is
minus the log of the probability of the right word. Average over the **real** tokens of the whole batch.

$$\mathcal{L} \;=\; -\,\frac{1}{N} \sum_{b,t \text{ real}} \log p_{b,t},
\qquad p_{b,t} = \text{the softmax of the logits at } (b, t), \text{ at the right word } y_{b,t}$$

In code, $y_{b,t}$ is `targets[b, t]`, the softmax is that of `logits[b, t]`, a place is real where its target
is not `pad_id`, and $N$ counts the real places.

| | shape |
| --- | --- |
| in: `logits` | (batch, tgt_len, vocab) |
| in: `targets` | (batch, tgt_len), ids |
| in: `pad_id` | the id of padding |
| out: the loss | (), a single number |

Logits may lie hundreds apart, and the loss must stay finite: `log_softmax` and `cross_entropy` of torch can
deal with that, the log of a softmax cannot. Mind the axes: `cross_entropy` wants the vocabulary on axis 1,
right behind the batch, and ours is the last axis.

**By hand.** A vocabulary of four, and `pad_id` 0. The first sentence has two real tokens. At each, the right
word has the logit $\ln 3$ and the other three have 0, so its probability is $3 / (3+1+1+1) = \tfrac12$. The
second sentence has one real token with four logits of 0, a probability of $\tfrac14$, and one padding.

| | 1st token | 2nd token |
| --- | --- | --- |
| first sentence | $-\ln\tfrac12 = 0.693$ | $-\ln\tfrac12 = 0.693$ |
| second sentence | $-\ln\tfrac14 = 1.386$ | *padding, does not count* |

The loss is (0.693 + 0.693 + 1.386) / 3 = **0.924**. (If each sentence were averaged on its own first, it
would be 1.040: the short sentence would weigh too much.)
"""


# %% answer="sequence_loss"
def sequence_loss(logits, targets, pad_id):
    """Mean cross-entropy over the real tokens of a batch, in nats: with the natural log.

    logits (batch, tgt_len, vocab) and targets (batch, tgt_len) give a tensor with a single number, shape
    (), in the logits' dtype. Places where the target is `pad_id` do not count; at least one target is real.
    """
    ### BEGIN SOLUTION
    return nn.functional.cross_entropy(
        logits.flatten(0, 1),  # (batch * tgt_len, vocab)
        targets.flatten(),  # (batch * tgt_len,)
        ignore_index=pad_id,
    )

    # Why so: for the loss all tokens of the batch are one long list, so batch and steps become one axis and
    # the vocabulary stays the last. cross_entropy takes the softmax and the log in one go, which stays finite
    # where a probability is too small to be written down, and ignore_index leaves padding out of the sum
    # *and* out of the count. Summing instead would make the gradient grow with the batch; counting padding
    # would reward a model for predicting it.
    ### END SOLUTION


# %% [markdown]
r"""
<details><summary>Hint 1</summary>

Is a batch of sentences, for this loss, anything else than one long list of tokens? Which places of the list
should not count, neither above nor below the fraction?

</details>

<details><summary>Hint 2</summary>

`nn.functional.cross_entropy(numbers, classes)` wants (n, vocab) and (n,), and takes the softmax itself.
`tensor.flatten(0, 1)` makes one axis of the first two. With more axes the vocabulary must be on axis 1:
"Expected target size ..." says that it is not. Look up the argument `ignore_index`.

</details>
"""

# %%
# A free cell: the two sentences above. What changes if the logits of the padding do?
logits = torch.zeros(2, 2, 4)
logits[0, 0, 1] = logits[0, 1, 2] = torch.log(torch.tensor(3.0))
logits[1, 1, 1] = 9.0
sequence_loss(logits, torch.tensor([[1, 2], [3, 0]]), 0)

# %% test="sequence_loss" points=2
import math

import torch
from grading.checks import check

# On random numbers, beside the course's own: a mistake that it knows is named.
check("sequence_loss", sequence_loss, cases="visible")

# By hand: probabilities 1/2, 1/2 and 1/4, and one padding whose logits must not count.
logits, targets = torch.zeros(2, 2, 4), torch.tensor([[1, 2], [3, 0]])
logits[0, 0, 1] = logits[0, 1, 2] = math.log(3)
logits[1, 1, 1] = 9.0
loss = sequence_loss(logits, targets, pad_id=0)
assert loss.shape == (), f"the loss should be a single number, but has the shape {tuple(loss.shape)}"
assert abs(loss.item() - 0.9242) < 1e-3, f"the loss should be 0.9242, but is {loss.item():.4f}"

# Zeros: equal logits are a blind guess, and a guess among 7 words costs ln 7, however much is padded.
loss = sequence_loss(torch.zeros(3, 5, 7), torch.tensor([[4, 4, 0, 0, 0]] * 3), pad_id=0)
assert abs(loss.item() - math.log(7)) < 1e-4, (
    f"a guess among 7 words costs ln 7 = 1.946, not {loss.item():.4f}"
)

# Learning: a gradient reaches the logits of real tokens, and none those of padding.
logits = torch.randn(2, 2, 4, requires_grad=True)
sequence_loss(logits, targets, pad_id=0).backward()
assert logits.grad is not None and logits.grad[0].any(), "no gradient reaches the logits: no .item() here"
assert not logits.grad[1, 1].any(), "a gradient reaches the logits of padding: leave it out"
print("1.2: all tests that you can see pass")

### BEGIN HIDDEN TESTS
check("sequence_loss", sequence_loss)
### END HIDDEN TESTS

# %% [markdown]
r"""
### Exercise 1.3 · Read a sentence in both directions

20 min · ●●● · 2 points

Read the words forward and backward, keep a state for every place, and make one vector of what both
directions know at their end.

$$\overrightarrow{h}_s = \mathrm{GRU}(\overrightarrow{h}_{s-1}, x_s), \qquad
\overleftarrow{h}_s = \mathrm{GRU}(\overleftarrow{h}_{s+1}, x_s), \qquad
h_s = [\overrightarrow{h}_s ; \overleftarrow{h}_s]$$

$$\text{decoder\_state} \;=\; \tanh\left(W\,[\overrightarrow{h}_n ; \overleftarrow{h}_1] + b\right)$$

$x_s$ is the embedded word, $n$ is the sentence's length, and $[\,;\,]$ joins two vectors. In code, $h_s$ is
`encoder_states[b, s]`, and $W$ and $b$ belong to `self.to_decoder`. The forward direction has read all when
it is at the last word, and the backward direction when it is at the *first* one.

| | shape |
| --- | --- |
| in: `src` | (batch, src_len), ids, padded at the end |
| in: `src_lengths` | (batch,), the real tokens of each sentence, in any order, at least 1 |
| out: `encoder_states` | (batch, src_len, hidden), zero at padding |
| out: `decoder_state` | (batch, hidden) |

**Padding must not be read.** Above all the backward direction would come through it *before* it meets the
sentence. torch has a pair of functions for this: `pack_padded_sequence` makes a bundle that holds the real
words only, a GRU reads such a bundle like any other input, and `pad_packed_sequence` turns the bundle of
states that comes out into a padded tensor again. They were imported above:

`bundle = pack_padded_sequence(embedded, src_lengths, batch_first=True, enforce_sorted=False)`

`states, _ = pad_packed_sequence(bundle, batch_first=True, total_length=src.shape[1])`

`enforce_sorted=False` says that the sentences need not come in order of length, and `total_length` that the
result is as wide as `src` also where no sentence is.

**By hand.** Make a GRU that counts: with all weights 0 and one bias very large, its state goes half of the
way to 1 at each word, whatever the word is: 0.5, 0.75, 0.875. Let each direction have one such number, let
$W$ change nothing (the identity), and let $b$ be 0.

| | the | service | was | ends | decoder_state |
| --- | --- | --- | --- | --- | --- |
| forward | 0.5 | 0.75 | 0.875 | 0.875 | tanh(0.875) = 0.704 |
| backward | 0.875 | 0.75 | 0.5 | 0.875 | tanh(0.875) = 0.704 |

| | delicious | *padding* | *padding* | ends | decoder_state |
| --- | --- | --- | --- | --- | --- |
| forward | 0.5 | 0 | 0 | 0.5 | tanh(0.5) = 0.462 |
| backward | 0.5 | 0 | 0 | 0.5 | tanh(0.5) = 0.462 |

`__init__` is given, so write `forward` only.
"""


# %% answer="Encoder"
class Encoder(nn.Module):
    """Read a sentence in both directions with a GRU (Cho et al. 2014; Bahdanau et al. 2015, section 3.2).

    `hidden_dim` is even: each direction has half of it.
    """

    def __init__(self, vocab_size, embed_dim, hidden_dim, pad_id):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, embed_dim, padding_idx=pad_id)
        self.rnn = nn.GRU(embed_dim, hidden_dim // 2, batch_first=True, bidirectional=True)
        self.to_decoder = nn.Linear(hidden_dim, hidden_dim)

    def forward(self, src, src_lengths):
        """Read a batch of sentences.

        src (batch, src_len), ids, and src_lengths (batch,), on the CPU and in any order, give encoder_states
        (batch, src_len, hidden), forward half first and zero at padding, and decoder_state (batch, hidden),
        in this order.
        """
        ### BEGIN SOLUTION
        packed = pack_padded_sequence(
            self.embedding(src), src_lengths, batch_first=True, enforce_sorted=False
        )
        packed_states, last = self.rnn(packed)  # last: (2, batch, hidden / 2)
        encoder_states, _ = pad_packed_sequence(packed_states, batch_first=True, total_length=src.shape[1])
        both_ends = torch.cat([last[0], last[1]], dim=-1)  # (batch, hidden)
        return encoder_states, torch.tanh(self.to_decoder(both_ends))

        # Why so: with packed sentences each direction starts and stops at real words, so `last` is what it
        # knows after the whole sentence: last[0] forward, at the last word; last[1] backward, at the first.
        # encoder_states[:, -1] is not that: its backward half has read a single word, and in short sentences
        # it is padding. last.reshape(batch, hidden) runs but joins numbers of different sentences, because
        # its first axis counts directions. total_length keeps the states as wide as src, also where every
        # sentence of the batch is shorter. tanh puts the vector where a GRU's states live, in -1 to 1.
        ### END SOLUTION


# %% [markdown]
r"""
<details><summary>Hint 1</summary>

Four steps: embed, pack, read, unpack. The GRU returns two things: the states of all places, as a bundle,
and the state of each direction at its end. Which of the two is the decoder's state made of?

</details>

<details><summary>Hint 2: what goes into what</summary>

`self.rnn(bundle)` returns two things. The first is a bundle again: it goes into `pad_packed_sequence`, which
fills up with zeros. The second is a plain tensor, of sentences in the order in which they came.

</details>

<details><summary>Hint 3: the two ends</summary>

The GRU's second result, say `last`, is (2, batch, hidden / 2): `last[0]` is the forward direction at its end
and `last[1]` the backward one. `torch.cat([..., ...], dim=-1)` joins them, sentence by sentence.

</details>
"""

# %%
# A free cell: the shapes for two sentences, before anything is learned.
encoder = Encoder(vocab_size=11, embed_dim=3, hidden_dim=4, pad_id=0)
[result.shape for result in encoder(torch.tensor([[5, 6, 7], [8, 0, 0]]), torch.tensor([3, 1]))]

# %% test="Encoder" points=2
import torch
from torch import nn

from grading.checks import check

# On random numbers, beside the course's own: a mistake that it knows is named.
check("Encoder", Encoder, cases="visible")

# By hand: the GRU that counts, "the service was" and "delicious".
encoder = Encoder(vocab_size=11, embed_dim=3, hidden_dim=2, pad_id=0)
for name, parameter in encoder.rnn.named_parameters():
    parameter.data.zero_()
    if name.startswith("bias_ih"):
        parameter.data[-1] = 20.0  # pulls towards tanh(20) = 1
encoder.to_decoder.weight.data, encoder.to_decoder.bias.data = torch.eye(2), torch.zeros(2)
src, src_lengths = torch.tensor([[8, 0, 0], [5, 6, 7]]), torch.tensor([1, 3])
states, decoder_state = encoder(src, src_lengths)

by_hand = torch.tensor([[[0.5, 0.5], [0, 0], [0, 0]], [[0.5, 0.875], [0.75, 0.75], [0.875, 0.5]]])
assert states.shape == (2, 3, 2), f"encoder_states (2, 3, 2) come first, but they are {tuple(states.shape)}"
right = torch.allclose(states, by_hand, atol=1e-3)
assert right, f"encoder_states should be {by_hand.tolist()}, but are {states.tolist()}"
right = torch.allclose(decoder_state, torch.tensor([[0.4621] * 2, [0.7039] * 2]), atol=1e-3)
assert right, f"decoder_state should be tanh of 0.5 and of 0.875, but is {decoder_state.tolist()}"

# Company: a short sentence reads the same alone as beside a longer one, where it is padded.
encoder = Encoder(vocab_size=11, embed_dim=3, hidden_dim=14, pad_id=0)
beside, alone = encoder(src, src_lengths)[1], encoder(src[:1, :1], src_lengths[:1])[1]
assert beside.shape == (2, 14), f"decoder_state should be (2, 14), but is {tuple(beside.shape)}"
assert torch.allclose(beside[:1], alone, atol=1e-5), "the padding of a short sentence changes its vector"

# Learning: gradients reach every parameter.
encoder(src, src_lengths)[1].square().sum().backward()
for name, parameter in encoder.named_parameters():
    assert parameter.grad is not None, f"no gradient reaches {name}: is it used?"
print("1.3: all tests that you can see pass")

### BEGIN HIDDEN TESTS
check("Encoder", Encoder)
### END HIDDEN TESTS

# %% [markdown]
r"""
### Exercise 1.4 · Write from one vector

10 min · ●●○ · 2 points

Start from the vector, read the words written so far, and give a number to every word that could come next.

$$s_t = \mathrm{GRU}(s_{t-1}, y_{t-1}), \qquad \text{logits}_t = W s_t + b$$

$s_0$ is `decoder_state`, the vector from the encoder; $y_{t-1}$ is the embedded word `tgt_in[b, t]`, the one
*before* the word to predict; $W$ and $b$ belong to `self.out`. In training `tgt_in` is the right translation,
moved by one place: begin token, first word, second word, ... That is called **teacher forcing**, and it lets
the GRU read all steps in one call. When the model translates, the same function is called with one word at
a time; therefore it also returns the state, so that the next call can go on from there.

| | shape |
| --- | --- |
| in: `tgt_in` | (batch, tgt_len), ids |
| in: `decoder_state` | (batch, hidden) |
| out: `logits` | (batch, tgt_len, vocab) |
| out: `decoder_state` | (batch, hidden), after the last step |

**By hand.** The GRU that counts again, one number wide, given the state 0.5. Let $W$ have the rows (1) and
(2), for a vocabulary of two, and $b = 0$.

| step | state | logits |
| --- | --- | --- |
| 1 | halfway from 0.5 to 1: 0.75 | (0.75, 1.5) |
| 2 | halfway from 0.75 to 1: 0.875 | (0.875, 1.75) |

The state that comes back is **0.875**. `__init__` is given, so write `forward` only.
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

        tgt_in (batch, tgt_len), ids, and decoder_state (batch, hidden) give logits (batch, tgt_len, vocab)
        and the state after the last step, (batch, hidden), in this order. No step is treated as padding.
        """
        ### BEGIN SOLUTION
        states, last = self.rnn(self.embedding(tgt_in), decoder_state[None])  # last: (1, batch, hidden)
        return self.out(states), last[0]

        # Why so: torch's GRU wants its first state as (layers, batch, hidden) and returns the last one so,
        # hence [None] on the way in and [0] on the way out. Left out, the GRU starts from zeros without any
        # complaint, and the decoder writes fluent text that has nothing to do with its source. Logits are
        # left as they are, because the loss takes the softmax. Padding in tgt_in stands at the end, where
        # the loss ignores it, so nothing has to be packed here.
        ### END SOLUTION


# %% [markdown]
r"""
<details><summary>Hint 1</summary>

Three steps: embed, read, give numbers. The GRU takes a second argument. And which of its two results are
the logits made of?

</details>

<details><summary>Hint 2</summary>

A GRU's state has an axis for its layers in front, (1, batch, hidden): `decoder_state[None]` adds that axis,
and `last[0]` drops it.

</details>
"""

# %%
# A free cell: two sentences, three steps, before anything is learned.
decoder = Decoder(vocab_size=11, embed_dim=3, hidden_dim=4, pad_id=0)
[result.shape for result in decoder(torch.tensor([[1, 5, 6], [1, 7, 0]]), torch.zeros(2, 4))]

# %% test="Decoder" points=2
import torch
from grading.checks import check

# On random numbers, beside the course's own: a mistake that it knows is named.
check("Decoder", Decoder, cases="visible")

# By hand: the GRU that counts, given the state 0.5, over two steps.
decoder = Decoder(vocab_size=2, embed_dim=3, hidden_dim=1, pad_id=0)
for parameter in decoder.rnn.parameters():
    parameter.data.zero_()
decoder.rnn.bias_ih_l0.data[-1] = 20.0  # pulls towards tanh(20) = 1
decoder.out.weight.data, decoder.out.bias.data = torch.tensor([[1.0], [2.0]]), torch.zeros(2)
logits, state = decoder(torch.tensor([[1, 1]]), torch.tensor([[0.5]]))

by_hand = torch.tensor([[[0.75, 1.5], [0.875, 1.75]]])
assert logits.shape == (1, 2, 2), f"logits (1, 2, 2) come first, but they are {tuple(logits.shape)}"
assert torch.allclose(logits, by_hand, atol=1e-3), f"should be {by_hand.tolist()}, not {logits.tolist()}"
assert state.shape == (1, 1), f"decoder_state (1, 1) comes second, but it is {tuple(state.shape)}"
assert abs(state.item() - 0.875) < 1e-3, f"decoder_state should be 0.875, but is {state.item():.4f}"

# Step by step: three calls with one word each give what one call with three words gives.
decoder, tgt_in, state = Decoder(11, 3, 7, pad_id=0), torch.tensor([[1, 5, 6], [1, 7, 8]]), torch.randn(2, 7)
together, last = decoder(tgt_in, state)
steps = []
for t in range(3):
    logits, state = decoder(tgt_in[:, t : t + 1], state)
    steps.append(logits)
assert torch.allclose(torch.cat(steps, 1), together, atol=1e-5), "go on from the state that you returned"
assert torch.allclose(state, last, atol=1e-5), "the state that comes back should be that of the last step"
print("1.4: all tests that you can see pass")

### BEGIN HIDDEN TESTS
check("Decoder", Decoder)
### END HIDDEN TESTS

# %% [markdown]
r"""
### Exercise 1.5 · Translate, one word at a time

20 min · ●●● · 2 points

No right translation is known now, so the decoder reads what it has written itself: take the likeliest word
at each step (**greedy**), feed it back, and stop when every sentence has written its end token.

$$\hat y_0 = \text{begin}, \qquad (\text{logits}_t,\, s_t) = \mathrm{decoder}(\hat y_{t-1}, s_{t-1}), \qquad
\hat y_t = \arg\max \text{logits}_t$$

$s_0$ is the encoder's `decoder_state`, and in code $\hat y_t$ is `ids[b, t - 1]`.

| | |
| --- | --- |
| in: `encoder`, `decoder` | modules such as those of exercises 1.3 and 1.4 |
| in: `src`, `src_lengths` | what the encoder takes |
| in: `bos_id`, `eos_id` | the begin and the end token |
| in: `max_len` | so many steps at most, at least 1 |
| out: `ids` | (batch, steps), whole numbers, without the begin token, with the end token |

The sentences of a batch do not end together. One that has ended goes on being decoded beside the others,
and **what stands behind its first end token is of no interest**: it is never read, so it may be anything.
The step in which the last sentence ends is the last one, or else step number `max_len`.

**By hand.** Take a toy decoder whose state is the number of words still to write. It writes the id that
follows the one it was fed, and the end token when nothing is left to write. Begin is 3, end is 2. One
sentence has two words, the other one has one.

| step | fed | state | writes | fed | state | writes |
| --- | --- | --- | --- | --- | --- | --- |
| 1 | 3 | 2 | **4** | 3 | 1 | **4** |
| 2 | 4 | 1 | **5** | 4 | 0 | **2** (end) |
| 3 | 5 | 0 | **2** (end) | 2 | −1 | *anything* |

So `ids` is `[[4, 5, 2], [4, 2, ...]]`, of shape (2, 3).
"""


# %% answer="greedy_decode"
def greedy_decode(encoder, decoder, src, src_lengths, bos_id, eos_id, max_len):
    """Translate a batch by the likeliest token at each step.

    encoder(src, src_lengths) gives encoder_states and decoder_state; decoder(tgt_in, decoder_state) gives
    logits (batch, tgt_len, vocab) and the new decoder_state; tgt_in is (batch, tgt_len). Return ids
    (batch, steps), a tensor on the device of `src`: without the begin token, with each sentence's first end
    token, and with anything behind that. The last step is the one in which the last sentence ends, or
    number `max_len`, whichever comes first.
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

    # Why so: two things travel from step to step, the word just written and the state. Feeding the begin
    # token again, or keeping the old state, runs without an error and writes nonsense. The sentence is
    # encoded once, and then the book is closed: all that the decoder will ever know about it is in that one
    # state. Sentences end at different steps, so `ended` must remember; to ask whether all write the end
    # token *now* would wait for a coincidence. Nothing is learned here, and no_grad saves memory and time.
    ### END SOLUTION


# %% [markdown]
r"""
<details><summary>Hint 1</summary>

Write down what the first step needs and what the second one needs. Which two variables change from step to
step? Where does the first value of each come from?

</details>

<details><summary>Hint 2</summary>

The decoder wants ids of shape (batch, 1). For the first step, `torch.full((len(src), 1), bos_id)` makes them
(give it `device=src.device`), and later `logits.argmax(-1)` has just this shape. Collect them in a list, and
put them side by side with `torch.cat(..., dim=1)`.

</details>

<details><summary>Hint 3: when to stop</summary>

Keep one bool a sentence, False at first: `ended = ended | (token == eos_id)`. Go on while some are still
False and fewer than `max_len` tokens are written.

</details>
"""


# %%
# A free cell: the toy of the table. Change the lengths, or max_len.
class CountWords(nn.Module):
    def forward(self, src, src_lengths):
        return None, src_lengths[:, None].float()  # the state: how many words are still to write


class CountUp(nn.Module):
    def forward(self, tgt_in, left):
        left = left - torch.arange(tgt_in.shape[1])
        token = torch.where(left == 0, 2, tgt_in + 1)
        return nn.functional.one_hot(token, 11).float(), left[:, -1:] - 1


greedy_decode(CountWords(), CountUp(), torch.tensor([[7, 8], [9, 0]]), torch.tensor([2, 1]), 3, 2, max_len=6)

# %% test="greedy_decode" points=2
import torch
from torch import nn

from grading.checks import check

# On random numbers, beside the course's own: a mistake that it knows is named.
check("greedy_decode", greedy_decode, cases="visible")


# By hand: the toy that counts. Its state says how many words are still to write.
class CountWords(nn.Module):
    def forward(self, src, src_lengths):
        return None, src_lengths[:, None].float()


class CountUp(nn.Module):
    def forward(self, tgt_in, left):
        left = left - torch.arange(tgt_in.shape[1])
        token = torch.where(left == 0, 2, tgt_in + 1)
        return nn.functional.one_hot(token, 11).float(), left[:, -1:] - 1


toys, src, src_lengths = (CountWords(), CountUp()), torch.tensor([[7, 8], [9, 0]]), torch.tensor([2, 1])
ids = greedy_decode(*toys, src, src_lengths, bos_id=3, eos_id=2, max_len=6)
assert ids.shape == (2, 3), f"ids should be (2, 3): all have ended after three steps, not {tuple(ids.shape)}"
assert ids[0].tolist() == [4, 5, 2], f"the first sentence should be 4, 5 and the end, not {ids[0].tolist()}"
assert ids[1, :2].tolist() == [4, 2], f"the second should begin with 4 and the end, not {ids[1].tolist()}"

# Room for two tokens only: the first sentence is cut off.
ids = greedy_decode(*toys, src, src_lengths, bos_id=3, eos_id=2, max_len=2)
assert ids.tolist() == [[4, 5], [4, 2]], f"with max_len 2, ids should be [[4, 5], [4, 2]], not {ids.tolist()}"

# A batch of one that has nothing to say: the end token at once.
ids = greedy_decode(*toys, src[:1], torch.tensor([0]), bos_id=3, eos_id=2, max_len=6)
assert ids.tolist() == [[2]], f"an end token in the first step is all there is: [[2]], not {ids.tolist()}"
print("1.5: all tests that you can see pass")

### BEGIN HIDDEN TESTS
check("greedy_decode", greedy_decode)
### END HIDDEN TESTS

# %% [markdown]
r"""
### Exercise 1.6 · Measure by length

10 min · ●●○ · 2 points

One number for a whole test set hides what we are looking for, so score short and long sentences apart.

**BLEU** compares a translation (the *hypothesis*) with a right one (the *reference*). For $n = 1$ to 4 it
asks what share of the runs of $n$ words of the hypothesis stands in the reference too, the precision $p_n$;
it takes the geometric mean of the four, and a factor below 1 where hypotheses are too short. 100 is a
perfect match.

$$\text{BLEU} \;=\; 100 \cdot \min\left(1, e^{1 - r/h}\right) \cdot \left(p_1\, p_2\, p_3\, p_4\right)^{1/4}$$

$h$ and $r$ are the numbers of words in hypotheses and references. **Corpus** BLEU counts over all sentences
together *before* it divides. It is not a mean of sentence scores, and you need not write it:

`sacrebleu.corpus_bleu(hypotheses, [references], tokenize="none").score`

takes two lists of sentences, the second in brackets, because sacrebleu allows several sets of references.
`tokenize="none"` says that spaces alone part the words.

Sort sentences by the number of words of their **source** into bins. Bin $i$ begins with the length `edges[i]`
and ends *before* `edges[i + 1]`.

| | |
| --- | --- |
| in: `sources`, `hypotheses`, `references` | three lists of sentences, words parted by spaces |
| in: `edges` | a rising list of whole numbers |
| out: the rows | a list of `((first, last), score)`, one for each bin that has sentences, in order |

`first` and `last` are the smallest and the largest length that belong to the bin, so `last` is
`edges[i + 1] - 1`. Sentences outside all bins are left out.

**By hand.** The reference is "le service était très lent", and the hypothesis "le service était très bon".
Four of five words are right, three of four pairs, two of three triples, one of two runs of four. Nothing is
too short, so

$$\text{BLEU} = 100 \cdot \left(\tfrac45 \cdot \tfrac34 \cdot \tfrac23 \cdot \tfrac12\right)^{1/4}
= 100 \cdot \left(\tfrac15\right)^{1/4} = \mathbf{66.9}$$

Its source "the service was very slow" has 5 words. With `edges = [3, 5, 8]` it belongs to the second bin, and
if no other sentence is there, the only row is `((5, 7), 66.87)`.
"""


# %% answer="bleu_by_length"
def bleu_by_length(sources, hypotheses, references, edges):
    """Corpus BLEU of the sentences whose source has a length in each bin [edges[i], edges[i + 1]), in words.

    `sources`, `hypotheses` and `references` are lists of sentences, in the same order. Return a list of rows
    ((first, last), score), in the order of the bins and without the empty ones: `first` and `last` are the
    smallest and the largest length of the bin, edges[i] and edges[i + 1] - 1, and `score` is sacrebleu's,
    from 0 to 100, with tokenize="none" (Papineni et al. 2002; Post 2018).
    """
    ### BEGIN SOLUTION
    rows = []
    for first, end in zip(edges[:-1], edges[1:], strict=True):
        chosen = [i for i, source in enumerate(sources) if first <= len(source.split()) < end]
        if chosen:
            result = sacrebleu.corpus_bleu(
                [hypotheses[i] for i in chosen], [[references[i] for i in chosen]], tokenize="none"
            )
            rows.append(((first, end - 1), result.score))
    return rows

    # Why so: the length must be that of the source. A translator that breaks down writes too short or too
    # long, and if its own length chose the bin, failures would move to other bins and hide there. Half-open
    # bins count every sentence once. Corpus BLEU adds the counts up before dividing: the score of a single
    # sentence rests on a handful of runs of four words, and jumps with each of them. An empty bin has no
    # score, and a 0 in its place would look like a bad one.
    ### END SOLUTION


# %% [markdown]
r"""
<details><summary>Hint 1</summary>

For one bin: which sentence numbers `i` belong to it? Choose hypotheses and references by the same numbers.

</details>

<details><summary>Hint 2</summary>

`len(source)` counts letters, `len(source.split())` words. `zip(edges[:-1], edges[1:])` walks over the bins.

</details>
"""

# %%
# A free cell: the sentence above. Which score do you get if the last word is right, too?
bleu_by_length(
    ["the service was very slow"], ["le service était très bon"], ["le service était très lent"], [3, 5, 8]
)

# %% test="bleu_by_length" points=2
from grading.checks import check

# On random sentences, beside the course's own: a mistake that it knows is named.
check("bleu_by_length", bleu_by_length, cases="visible")

# By hand: one sentence of 5 words, the first four right, and two of 4 words, both wholly right.
sources = ["the service was very slow", "the soup was good", "the bread was cold"]
references = ["le service était très lent", "la soupe était bonne", "le pain était froid"]
hypotheses = ["le service était très bon", "la soupe était bonne", "le pain était froid"]
rows = bleu_by_length(sources, hypotheses, references, [2, 4, 5, 8])

bins = [(int(first), int(last)) for (first, last), _ in rows]
assert bins == [(4, 4), (5, 7)], f"the bins with sentences are (4, 4) and (5, 7), not {bins}"
scores = [float(score) for _, score in rows]
assert abs(scores[0] - 100) < 0.01, f"sentences that are wholly right score 100, not {scores[0]:.2f}"
assert abs(scores[1] - 66.87) < 0.01, f"the sentence of 5 words should score 66.87, not {scores[1]:.2f}"

# Together in one bin: counts are added up first, so this is not the mean of the scores of three sentences.
score = float(bleu_by_length(sources, hypotheses, references, [4, 6])[0][1])
assert abs(score - 85.49) < 0.01, f"in one bin of 4 to 5 words they should score 85.49, not {score:.2f}"
print("1.6: all tests that you can see pass")

### BEGIN HIDDEN TESTS
check("bleu_by_length", bleu_by_length)
### END HIDDEN TESTS

# %% [markdown]
r"""
### Put it together

5 min · nothing to write, no points

Now let your parts translate. The next cell joins your encoder and your decoder to a translator and trains it
for a short time, on restaurant reviews of up to 20 words, in English and French. `train` is the course's: it
repeats a call of both parts, the loss of exercise 1.2, and a step of an optimizer, 500 times. It takes about
ten seconds, longer on a busy machine.

If one of your parts isn't ready, the course's own can do its work. For exercises 1.3, 1.4 and 1.5, import
`Seq2Seq` from `utils.models`, write `model = Seq2Seq(src_size, tgt_size, "initial", 64, 128)` in the line
marked "yours", and `ids = model.greedy(batch.src, batch.src_lengths, 60)[0]` in the cell after it. For 1.6,
put this before the last loop of that cell:

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
    """An encoder and a decoder without attention: all that passes between them is one vector."""

    def __init__(self, encoder, decoder):
        super().__init__()
        self.encoder, self.decoder = encoder, decoder

    def forward(self, src, src_lengths, tgt_in):
        _, decoder_state = self.encoder(src, src_lengths)
        logits, _ = self.decoder(tgt_in, decoder_state)
        return logits, None  # there are no attention weights


torch.set_num_threads(1)  # a model as small as this gains nothing from a second one
encoded = EncodedCorpus(load_reviews(train=8_000, valid=50, test=600, long=0), max_tokens=20)
src_size, tgt_size = len(encoded.src_vocab), len(encoded.tgt_vocab)

seed_everything(0)
model = Translator(Encoder(src_size, 64, 128, PAD_ID), Decoder(tgt_size, 64, 128, PAD_ID))  # yours
history = train(model, encoded, updates=500, batch_tokens=500, curriculum=0.6, progress=False)
print("loss on the training sentences:", [round(loss, 2) for loss in history.column("train_loss")])

# %% [markdown]
r"""
**Predict.** The model has seen reviews of all lengths up to 20 words. We translate other reviews and score
them in four bins: 3 to 6 words, 7 to 10, 11 to 14, and 15 to 20. Will the last bin have three quarters of the
first one's BLEU, half of it, or less than a third?
"""

# %%
sources, hypotheses, references = [], [], []
for batch in encoded.batches("test"):
    ids = greedy_decode(model.encoder, model.decoder, batch.src, batch.src_lengths, BOS_ID, EOS_ID, 60)
    hypotheses += [" ".join(encoded.tgt_vocab.decode(row)) for row in ids.tolist()]
    sources += [encoded.corpus["test"].src[row] for row in batch.rows]
    references += [encoded.corpus["test"].tgt[row] for row in batch.rows]

for (first, last), score in bleu_by_length(sources, hypotheses, references, [3, 7, 11, 15, 21]):
    print(f"{first:>2} to {last:>2} words: BLEU {score:4.1f} {'#' * round(score / 2)}")

# %% [markdown]
r"""
<details><summary>Reflect</summary>

BLEU falls from bin to bin, and the last bin has between a quarter and a third of the first one's. What this
short run does *not* show is how much of the fall is the vector's fault. Long sentences are also harder for
other reasons, and training had only begun; the comparison in demo 01, with and without attention at the same
budget, is what separates the two.

</details>

Here are a short and a long one. Look at what the model writes where it does not know: good French, about
another meal.
"""

# %%
lengths = [len(source.split()) for source in sources]
for row in (lengths.index(5), lengths.index(17)):
    print(f"source      {sources[row]}\nreference   {references[row]}\nhypothesis  {hypotheses[row]}\n")

# %% [markdown] written="why_one_vector" points=3
r"""
### Exercise 1.7 · Say it in words

10 min · ●●○ · 3 points

A classmate builds the same translator for weather reports: 5 to 40 words, all put together from the same few
dozen phrases. Its BLEU is the same at all lengths. "So a single vector is enough", she says, and lets it
translate novels, where BLEU falls with length. Answer three questions, in five to eight sentences in all, one
point each. The check at the end counts the tests only; a person grades this answer.

1. What must `decoder_state` hold for a report of 40 words, and what for 40 words of a novel? Say why the one
   fits and the other does not, though both have the same length.
2. With a novel, mistakes also add up: the decoder reads its own words, and one wrong word misleads the next
   ones. How could she find out how much of the fall comes from this and how much from the vector, *without*
   training another model?
3. "Then make `hidden_dim` twice as large, and novels are solved." Are they? Say what the curve of BLEU by
   length would look like.

<!-- ### BEGIN SOLUTION -->
**A possible answer.** The decoder never sees the source, so its first state has to hold all that the
translation needs. For a report that is which of the known phrases come, in which order, with which numbers:
little to remember, since the decoder knows the phrases themselves by heart. In a novel nearly every word is
news, so what must be held grows with the length, while the vector has `hidden_dim` numbers for any sentence.
To separate the two causes I would feed the decoder the right words, as in training, so that no mistake of its
own can mislead it, and look at the loss of a word, or the share of words it gets right, by the length of the
source: what still becomes worse with length is not due to its own mistakes. (Or I would score only the first
five words of each translation: few mistakes have added up there, but the vector has had to hold the whole
source.) A wider vector helps, but it is still of one size for all sentences: the curve falls later, and it
falls.

**Rubric**, one point a question. Half a point where the idea is there but half of it is missing.

1. Full: what counts is how much there is to know (not the number of words), *and* that the vector is of
   *fixed size*. Half: only one of the two. None: "novels are harder", or "it holds the context".
2. Full: a measurement that switches one of the two causes off and leaves the other (right words fed instead
   of its own; only the first words of each translation; the same output with more or less source to
   remember), *with* what it would tell. Half: the measurement without what it tells, or a comparison that
   needs another model. None: only repeats the two causes.
3. Full: no; the fall begins at longer sentences and does not go away (a price may be named). Half: "no" with
   the price only, or "it helps a little". None: yes.

Other correct reasons count as much as these. Language is not graded; more than ten sentences lose nothing.
<!-- ### END SOLUTION -->
"""

# %% [markdown]
r"""
When you have written all that you want to hand in, let the grader look at the whole notebook.
"""

# %%
# Save the notebook, take away the # of the next line and run this cell: all tests grade the saved file.
# from grading import check_notebook; check_notebook("01_bottleneck.ipynb")

# %% [markdown]
r"""
### Looking back

- The encoder presses a sentence into one vector; the decoder writes from it, one word at a time, and feeds
  itself what it wrote.
- Padding is everywhere and must count nowhere: not in the mask, not in the loss, not in the backward reading.
- One BLEU for all sentences would have hidden the fall. Sorted by the length of the source, it is plain.

**One thing to try.** In "Put it together", make both 128 into 256, then train and translate again. Which bins
gain the largest part of their score? And does the first bin, with its short sentences, gain nothing?

<details><summary>What we saw</summary>

With one seed, BLEU rose from 63 to 83, 45 to 61, 28 to 35, and 18 to 25. The longest sentences gained 40%,
but the shortest ones also gained a third. So this isn't memory alone: a wider model also learned more in its
500 updates. To see memory alone, you would have to train both for as long as it helps.

</details>

Which mistake in this exercise raised no error and still made everything wrong? Write yourself a line about
how you found it. Then go on to lesson 02, where the book is opened.
"""
