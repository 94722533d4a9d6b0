# %% [markdown]
r"""
# Exercise 08 · Language models that write and fill in

**What turns a stack of blocks into a GPT or a BERT?**

The block is the same. What differs is small, and you write it here: what the model must predict, and how
text comes out of its predictions. At the end, you have everything that demo 08 puts around the blocks.

You will

- **implement** the two training tasks (the next word, hidden words) and the two steps of writing,
- **predict** what temperature, top-k and hiding do, and run it to see,
- **explain** which of the two tasks fits which job.

About 85 minutes, 12 points: 2 each for exercises 8.1, 8.3 and 8.4, and 3 each for 8.2 and a written answer.
Every exercise stands alone: you can do them in any order. If one needs the result of another, use the
course's own version, such as `library.sample`: then a mistake in one costs nothing in the next.
"""

# %% [markdown]
r"""
### How an exercise works

Replace `raise NotImplementedError` with your answer, run the cell, then run the tests below it. If a test
fails, its message says what it checked. Grading runs more tests of the same kind on other inputs. The line
"Points" of an exercise says what each part of your answer is worth. An answer that fails in one part keeps
the points of the others, as long as it is right on ordinary input. If you're stuck, open the first hint, and
the next one only if you still need it.

A text is a row of **ids**, one whole number per word or mark; such a unit is called a **token**. `pad_id`
fills short texts up to the width of the batch (**padding**), and `eos_id` means "end". **Logits** are one
score per token of the vocabulary; a softmax turns them into probabilities.

| size | counts |
| --- | --- |
| `batch` | texts that are processed together |
| `length` | tokens per text, padding included |
| `vocab` | tokens that the model knows |

**Randomness.** Three of the functions draw at random. All their randomness must come from the argument
`generator`, a `torch.Generator`, so that a run can be repeated. Pass it to the function that draws, as in
`torch.rand(3, generator=generator)`. It may be `None`; torch then uses its own. The tests don't compare
your draws with ours. They draw thousands of times and compare how often each outcome comes up, so every
right way of drawing passes.

<details><summary>How to read a message of these tests</summary>

`draws` or `copies` says how often the test repeated its input, and **shares** say how often each outcome
came up. In exercise 8.3 the model is a `table` of logits, and `shares[t, v]` is how often new token `t` was
`v`, both counted from 0. The last column, beyond the vocabulary, is for texts that had already ended.

</details>
"""

# %%
import torch

from utils import language_models as library
from utils.plotting import plot_curves
from utils.text import BOS_ID, EOS_ID, PAD_ID, encoded_reviews, pad

# %% [markdown]
r"""
### Exercise 8.1 · A text is its own answer

10 min · ●○○ · 2 points

Points: 1 for ordinary input; 0.5 for another id for padding; 0.5 for dtype and device.

A language model reads a text and predicts, at every position, the token that comes **next**. So the targets
are the same text, one step later:

$$\text{input}_{b,t} = \text{token}_{b,t}, \qquad \text{target}_{b,t} = \text{token}_{b,t+1}$$

The last token has no next one, so both results are one shorter than the text. If a target is padding, the
model should not predict anything: write **-100** there, which `cross_entropy` ignores by default.

| | shape |
| --- | --- |
| in: `tokens` | (batch, length), ids, padded at the end |
| in: `pad_id` | the id of padding |
| out: `inputs`, `targets` | (batch, length - 1) each, ids |

**By hand.** With `pad_id` 0, begin 1 and end 2:

| | tokens | inputs | targets |
| --- | --- | --- | --- |
| the soup was hot | `1 5 6 7 8 2` | `1 5 6 7 8` | `5 6 7 8 2` |
| delicious | `1 9 2 0 0 0` | `1 9 2 0 0` | `9 2 -100 -100 -100` |

The end token is a target like any other, because the model must learn to stop.
"""


# %% answer="next_word_batch"
def next_word_batch(tokens, pad_id):
    """Split texts into inputs and targets: each target is the next token.

    tokens (batch, length), ids, padded at the end. Return inputs and targets,
    (batch, length - 1) each, in this order. A target that is padding is -100.
    `tokens` is not changed.
    """
    ### BEGIN SOLUTION
    inputs, targets = tokens[:, :-1], tokens[:, 1:]
    return inputs, targets.masked_fill(targets == pad_id, -100)

    # Why: two slices of the same tensor, one without its last column and one
    # without its first, put each token beside the one that follows it. It's the
    # *target* that must not be padding: the end token is an input in a short text,
    # and its target is padding. Slices are views, so writing -100 into one of them
    # would change the tokens; masked_fill makes a new tensor.
    ### END SOLUTION


# %% [markdown]
r"""
<details><summary>Hint 1</summary>

`tokens[:, :-1]` leaves out the last column. Which slice leaves out the first?

</details>

<details><summary>Hint 2</summary>

`x.masked_fill(condition, value)` returns a copy of `x` with `value` wherever the condition is True.

</details>
"""

# %% [markdown]
r"""
**Predict.** A batch holds two reviews of 20 and 5 words, each with a begin and an end token. How many
predictions does the model make for this batch, not counting padding?
"""

# %%
# Not graded: try things out.
REVIEWS = encoded_reviews()
reviews = REVIEWS.tokens("train", "src")
long, short = (next(words for words in reviews if len(words) == n) for n in (20, 5))
encode = REVIEWS.src_vocab.encode
batch = pad([[BOS_ID, *encode(words), EOS_ID] for words in (long, short)])
inputs, targets = next_word_batch(batch, PAD_ID)
print(tuple(inputs.shape), "inputs,", int((targets != -100).sum()), "predictions")

# %% [markdown]
r"""
<details><summary>What happened</summary>

21 and 6, which makes 27: every word once, and every end token. The translator of exercise 03 learned to
predict only its target side; a language model learns from every word it reads.

</details>
"""

# %% test="next_word_batch" points=2
import torch
from grading.checks import check

# Compare with the course's version on random inputs; known mistakes are named.
check("next_word_batch", next_word_batch, cases="visible")

# By hand: the two texts of the table.
tokens = torch.tensor([[1, 5, 6, 7, 8, 2], [1, 9, 2, 0, 0, 0]])
inputs, targets = next_word_batch(tokens, 0)
by_hand = [[1, 5, 6, 7, 8], [1, 9, 2, 0, 0]]
assert inputs.tolist() == by_hand, (
    f"expected inputs {by_hand}, got {inputs.tolist()}"
)
by_hand = [[5, 6, 7, 8, 2], [9, 2, -100, -100, -100]]
assert targets.tolist() == by_hand, (
    f"expected targets {by_hand}, got {targets.tolist()}"
)
unchanged = tokens[1].tolist() == [1, 9, 2, 0, 0, 0]
assert unchanged, (
    "your function changes tokens: make a new tensor, with masked_fill for instance"
)
print("8.1: all visible tests pass")

### BEGIN HIDDEN TESTS
check("next_word_batch", next_word_batch)
### END HIDDEN TESTS

# %% [markdown]
r"""
### Exercise 8.2 · Draw a token, timidly or boldly

25 min · ●●○ · 3 points

Points: 1.5 for ordinary input; 0.5 for top_k; 0.5 for temperature 0; 0.5 for a top_k beyond the vocabulary.

Turn logits into one token per row, drawn at random:

$$p_{b,v} = \frac{e^{z_{b,v} / \tau}}{\sum_u e^{z_{b,u} / \tau}}$$

In code, $z$ is `logits` and $\tau$ is `temperature`. A low temperature makes likely tokens even likelier,
and a high one evens out the probabilities. You can't divide by a temperature of **0**: take the most likely
token. With `top_k`, only the `top_k` most likely tokens of each row may be drawn, and their probabilities
keep their proportions (of equally likely ones, it doesn't matter which). If `top_k` is `None`, or larger
than the vocabulary, all tokens are allowed.

| | shape |
| --- | --- |
| in: `logits` | (batch, vocab) |
| in: `temperature` | a number, 0 or larger |
| in: `top_k` | a whole number of at least 1, or `None` |
| in: `generator` | a `torch.Generator`, or `None` |
| out: ids | (batch,), whole numbers |

**By hand.** Logits $(\ln 1, \ln 2, \ln 4)$, so the weights $e^z$ are 1, 2 and 4.

| | probabilities |
| --- | --- |
| temperature 1 | 1/7, 2/7, 4/7 |
| temperature ½: weights squared | 1/21, 4/21, 16/21 |
| temperature 1, `top_k` 2 | 0, 1/3, 2/3 |
| temperature 0 | 0, 0, 1 |
"""


# %% answer="sample"
def sample(logits, temperature, top_k, generator):
    """Draw one token per row from softmax(logits / temperature).

    logits (batch, vocab); temperature, a number: 0 takes the likeliest token;
    top_k, a whole number: only the top_k likeliest tokens of a row may be drawn;
    None, or more than the vocabulary, allows all. All randomness comes from
    `generator`. Return ids (batch,).
    """
    ### BEGIN SOLUTION
    if temperature == 0:
        return logits.argmax(-1)
    vocab = logits.shape[-1]
    values, candidates = logits.topk(min(top_k or vocab, vocab))  # (batch, k) each
    probabilities = (values / temperature).softmax(-1)
    drawn = torch.multinomial(probabilities, 1, generator=generator)  # (batch, 1)
    return candidates.gather(-1, drawn).squeeze(-1)

    # Why: topk returns the largest logits and their tokens. multinomial draws a
    # *position* among them, and gather looks up the token at that position. The
    # softmax of the k logits makes their probabilities sum to 1 again and keeps
    # their proportions, just like -inf for all others would. The temperature
    # divides logits: if you divided probabilities by a number, normalizing would
    # undo it.
    ### END SOLUTION


# %% [markdown]
r"""
<details><summary>Hint 1</summary>

Handle temperature 0 first. For the rest: which torch function draws positions, given their probabilities?

</details>

<details><summary>Hint 2</summary>

`torch.multinomial(probabilities, 1, generator=generator)` draws one position per row, (batch, 1).
`squeeze(-1)` removes the last axis; a bare `squeeze()` would also remove a batch of one.

</details>

<details><summary>Hint 3: top_k</summary>

`values, tokens = logits.topk(k)` returns the k largest logits of each row and their ids. Draw among the
values; `tokens.gather(1, position)` looks up the id. Or set all logits below the k-th value to -inf. k must
not be larger than the vocabulary.

</details>
"""

# %% [markdown]
r"""
**Predict.** For the logits of the table, the share of the likeliest token falls as the temperature rises
from 0.25 to 4. Toward which value does it fall?
"""

# %%
# Not graded: the share of the likeliest of three tokens, drawn 5,000 times per
# temperature.
generator = torch.Generator().manual_seed(0)
logits = torch.tensor([1.0, 2.0, 4.0]).log().expand(5_000, 3)
temperatures = [0.25, 0.5, 1.0, 2.0, 4.0]
shares = []
for temperature in temperatures:
    drawn = sample(logits, temperature, None, generator)
    shares.append((drawn == 2).float().mean().item())
curves = {"likeliest token": shares}
ax = plot_curves(curves, temperatures, "temperature", "share of draws")

# %% [markdown]
r"""
<details><summary>What happened</summary>

Toward 1/3. It starts near 0.94 (256 of 273). At a very high temperature all three tokens are equally
likely, whatever the model has learned.

</details>
"""

# %% test="sample" points=3
import torch
from grading.checks import check

# Compare with the course's version on random inputs; known mistakes are named.
check("sample", sample, cases="visible")

# By hand: weights 1, 2 and 4. In 5,000 draws, a share is right within a few
# hundredths.
logits, draws = torch.tensor([1.0, 2.0, 4.0]).log(), 5_000
by_hand = {(1, None): (1, 2, 4), (0.5, None): (1, 4, 16), (1, 2): (0, 1, 2)}
by_hand[0, None] = 0, 0, 1
for (temperature, top_k), weights in by_hand.items():
    generator = torch.Generator().manual_seed(1)
    ids = sample(logits.expand(draws, 3), temperature, top_k, generator)
    assert ids.shape == (draws,), (
        f"expected shape ({draws},), got {tuple(ids.shape)}"
    )
    shares = torch.bincount(ids, minlength=3) / draws
    wanted = torch.tensor(weights) / sum(weights)
    assert torch.allclose(shares, wanted, atol=0.05), (
        f"temperature {temperature}, top_k {top_k}: "
        f"expected shares {wanted.tolist()}, got {shares.tolist()}"
    )
print("8.2: all visible tests pass")

### BEGIN HIDDEN TESTS
check("sample", sample)
### END HIDDEN TESTS

# %% [markdown]
r"""
### Exercise 8.3 · Write, word by word

20 min · ●●○ · 2 points

Points: 1 for ordinary input; 0.5 for temperature and top_k; 0.5 for an end token in the prompt.

Continue a prompt: ask for the next token, draw it, append it, ask again. Each new token depends on **all**
tokens before it, including the prompt.

| | |
| --- | --- |
| in: `step` | a function: ids (batch, length) → logits (batch, vocab) of the token that follows |
| in: `prompt` | (batch, length), ids, at least one per row |
| in: `eos_id` | the id of the end token |
| in: `max_len` | the largest number of **new** tokens, at least 1 |
| in: `temperature`, `top_k`, `generator` | as in exercise 8.2 |
| out: ids | (batch, length + new tokens), the prompt included |

Stop as soon as **every** row has written an end token, or after `max_len` new tokens. A row that has ended
while others continue needs something in its place. Anything will do; `eos_id` is customary. Only *new* end
tokens count: a prompt may contain some, for instance between two reviews. Use `library.sample` to draw.

**By hand.** A model of three tokens, where 2 is the end, always writes 1 after 0, and 2 after 1. At
temperature 0:

| prompt | after one step | after two |
| --- | --- | --- |
| `0` | `0 1` | `0 1 2` |
| `1` | `1 2` (has ended) | `1 2` and anything |

Both rows have ended after two steps, so writing stops, even if `max_len` is 10.
"""


# %% answer="generate"
def generate(step, prompt, eos_id, max_len, temperature, top_k, generator):
    """Continue prompts token by token.

    step(ids) returns the logits (batch, vocab) of the token after ids
    (batch, length). prompt (batch, length) holds ids; end tokens in it do not
    count. Stop when every row has written eos_id, or after max_len new tokens.
    temperature, top_k and generator as in `sample`. Return ids
    (batch, length + new tokens), prompt included; what follows a new end token does
    not matter.
    """
    ### BEGIN SOLUTION
    ids = prompt
    ended = torch.zeros(len(prompt), dtype=torch.bool)
    for _ in range(max_len):
        token = library.sample(step(ids), temperature, top_k, generator)
        token = token.masked_fill(ended, eos_id)
        ids = torch.cat([ids, token[:, None]], dim=1)
        ended = ended | (token == eos_id)
        if ended.all():
            break
    return ids

    # Why: the loop never looks for eos_id in ids, only in new tokens, so the prompt
    # may contain any. A row that has written the end has ended: `ended` remembers
    # that, and all() waits for the slowest row. ids grows by one column per step,
    # so step always sees the whole text. A real model would keep the keys and
    # values of earlier tokens (a KV cache) instead of reading everything again.
    ### END SOLUTION


# %% [markdown]
r"""
<details><summary>Hint 1</summary>

Keep two things from step to step: the ids so far, and which rows have ended.

</details>

<details><summary>Hint 2</summary>

`torch.cat([ids, token[:, None]], dim=1)` appends one token per row. `ended = ended | (token == eos_id)`
remembers which rows have ended, and `ended.all()` says whether all have.

</details>
"""

# %% [markdown]
r"""
**Predict.** The cell below makes a model of pairs: it counts which word follows which in 20,000 reviews,
and knows nothing else. Will its reviews sound right for two words in a row, for five, or from start to end?
"""

# %%
# Not graded: the simplest language model. It looks one word back.
VOCAB = REVIEWS.src_vocab
counts = torch.zeros(len(VOCAB), len(VOCAB))
for words in REVIEWS.tokens("train", "src"):
    ids = torch.tensor([BOS_ID, *VOCAB.encode(words), EOS_ID])
    ones = torch.ones(len(ids) - 1)
    counts.index_put_((ids[:-1], ids[1:]), ones, accumulate=True)


def pairs(ids):
    """Return the logits of the token that follows the last one."""
    return (counts[ids[:, -1]] + 1e-9).log()


generator, prompts = torch.Generator().manual_seed(0), torch.full((4, 1), BOS_ID)
for ids in generate(pairs, prompts, EOS_ID, 25, 0.8, None, generator).tolist():
    print(" ".join(VOCAB.decode(ids)))

# %% [markdown]
r"""
<details><summary>What happened</summary>

Any two neighbors fit, but the whole soon loses its thread. The GPT of demo 08 is used in the same loop.
Only its `step` differs: it looks at all words.

</details>
"""

# %% test="generate" points=2
import torch
from grading.checks import check

# Compare with the course's version on random inputs; known mistakes are named.
check("generate", generate, cases="visible")


# By hand: 1 follows 0, and the end, 2, follows 1.
def after(ids):
    return torch.nn.functional.one_hot((ids[:, -1] + 1).clamp(max=2), 3) * 50.0


ids = generate(after, torch.tensor([[0], [1]]), 2, 10, 0, None, None)
assert ids.shape == (2, 3), (
    f"both rows end after two new tokens: expected (2, 3), got {tuple(ids.shape)}"
)
assert ids[0].tolist() == [0, 1, 2], f"0 should become 0 1 2, got {ids[0].tolist()}"
assert ids[1, :2].tolist() == [1, 2], f"1 should become 1 2, got {ids[1].tolist()}"

# max_len counts new tokens, and an end token in the prompt doesn't count.
ids = generate(after, torch.tensor([[2, 0, 0]]), 2, 1, 0, None, None)
assert ids.tolist() == [[2, 0, 0, 1]], (
    f"with max_len=1, 2 0 0 should become 2 0 0 1, got {ids.tolist()}"
)
print("8.3: all visible tests pass")

### BEGIN HIDDEN TESTS
check("generate", generate)
### END HIDDEN TESTS

# %% [markdown]
r"""
### Exercise 8.4 · Hide words, and ask for them

20 min · ●●○ · 2 points

Points: 1.5 for ordinary input; 0.5 for inputs unchanged.

A masked model gets a text with holes and predicts what was there. Make such a text: hide each ordinary
token with probability `share`, **independently** of all others, and never hide a special one.

$$\text{input}_{b,t} = \begin{cases} \text{mask\_id} & \text{if hidden} \\ \text{token}_{b,t} & \text{if not}
\end{cases} \qquad
\text{target}_{b,t} = \begin{cases} \text{token}_{b,t} & \text{if hidden} \\ -100 & \text{if not}
\end{cases}$$

| | shape |
| --- | --- |
| in: `tokens` | (batch, length), ids |
| in: `mask_id` | the id that stands for "hidden" |
| in: `special_ids` | a list of ids that are never hidden: padding, begin, end. `tokens` holds no `mask_id` |
| in: `share` | a probability, 0 to 1 |
| in: `generator` | a `torch.Generator`, or `None` |
| out: `inputs`, `targets` | (batch, length) each, ids |

**By hand.** With `mask_id` 4 and `special_ids` [0, 1, 2], suppose that the draw hides *soup* and *hot*:

| | begin | the | soup | was | hot | end | *padding* |
| --- | --- | --- | --- | --- | --- | --- | --- |
| tokens | 1 | 5 | 6 | 7 | 8 | 2 | 0 |
| inputs | 1 | 5 | **4** | 7 | **4** | 2 | 0 |
| targets | -100 | -100 | **6** | -100 | **8** | -100 | -100 |

(BERT leaves one in ten of its hidden words as it is and replaces another tenth with a random word, because
texts have no holes when the model is used. You don't have to do that.)
"""


# %% answer="mask_tokens"
def mask_tokens(tokens, mask_id, special_ids, share, generator):
    """Hide tokens at random, for a model that learns to fill them in.

    tokens (batch, length), ids. Each token that is not in `special_ids` is hidden
    with probability `share`, independently of all others; all randomness comes from
    `generator`. Return inputs, with `mask_id` at hidden tokens, and targets, with
    the hidden tokens and -100 elsewhere, (batch, length) each. `tokens` is not
    changed.
    """
    ### BEGIN SOLUTION
    hidden = torch.rand(tokens.shape, generator=generator) < share
    for special in special_ids:
        hidden = hidden & (tokens != special)
    return tokens.masked_fill(hidden, mask_id), tokens.masked_fill(~hidden, -100)

    # Why: rand draws a number from 0 to 1 for every token of every row, which is
    # below share with probability share. The same bool tensor makes both results,
    # so they can't disagree. Both start from the original tokens: taken from the
    # inputs, the targets would all be mask_id.
    ### END SOLUTION


# %% [markdown]
r"""
<details><summary>Hint 1</summary>

Make one bool tensor that says which tokens are hidden. Both results follow from it.

</details>

<details><summary>Hint 2</summary>

`torch.rand(tokens.shape, generator=generator) < share` is True with probability `share`, for each token
separately. `tokens != special` is False where a token is that special id.

</details>
"""

# %% [markdown]
r"""
**Predict.** At a share of 0.15, about 1.5 of 10 words are hidden. How often is *no* word hidden, so that
the model can't learn anything: in 1% of the texts, in 5%, or in 20%?
"""

# %%
# Not graded: how many of 10 words are hidden, in 10,000 copies.
copies = torch.arange(5, 15).expand(10_000, 10)
inputs, targets = mask_tokens(
    copies, 4, [0, 1, 2], 0.15, torch.Generator().manual_seed(0)
)
hidden = (targets != -100).sum(1)
none = (hidden == 0).float().mean()
print(f"hidden on average: {hidden.float().mean():.2f} of 10; none in {none:.0%}")

# %% [markdown]
r"""
<details><summary>What happened</summary>

In about 20%: 0.85 to the tenth power. A masked model learns from a few words per text, and a GPT learns
from all of them. That's one reason why a masked model needs more passes over the same text.

</details>
"""

# %% test="mask_tokens" points=2
import torch
from grading.checks import check

# Compare with the course's version on random inputs; known mistakes are named.
check("mask_tokens", mask_tokens, cases="visible")

# By hand: the sentence of the table. First everything is hidden, then nothing.
generator, special = torch.Generator().manual_seed(1), [0, 1, 2]
tokens = torch.tensor([[1, 5, 6, 7, 8, 2, 0]])
inputs, targets = mask_tokens(tokens, 4, special, 1.0, generator)
by_hand = [[1, 4, 4, 4, 4, 2, 0]]
assert inputs.tolist() == by_hand, (
    f"with share 1, expected inputs {by_hand}, got {inputs.tolist()}"
)
by_hand = [[-100, 5, 6, 7, 8, -100, -100]]
assert targets.tolist() == by_hand, (
    f"with share 1, expected targets {by_hand}, got {targets.tolist()}"
)
inputs, targets = mask_tokens(tokens, 4, special, 0.0, generator)
assert torch.equal(inputs, tokens), "with share 0, the inputs should be the tokens"
assert (targets == -100).all(), "with share 0, every target should be -100"

# Each token separately: in 5,000 rows, 30% of the words are hidden, and 9% of the
# pairs.
inputs, _ = mask_tokens(tokens.expand(5_000, 7), 4, special, 0.3, generator)
hidden = (inputs == 4).float()
share, both = hidden[:, 1:5].mean(), (hidden[:, 1] * hidden[:, 2]).mean()
assert abs(share - 0.3) < 0.04, (
    f"expected 0.3 of the words to be hidden, got {share:.3f}"
)
assert abs(both - 0.09) < 0.05, (
    f"expected two neighbors to be hidden in 0.09 of the rows, got {both:.3f}"
)
print("8.4: all visible tests pass")

### BEGIN HIDDEN TESTS
check("mask_tokens", mask_tokens)
### END HIDDEN TESTS

# %% [markdown] written="which_language_model" points=3
r"""
### Exercise 8.5 · Say it in words

10 min · ●●○ · 3 points

Three teams ask you for advice. Answer each in two or three sentences, one point each. A person grades this
answer; the check at the end only runs the tests.

1. **Keyboard.** A phone should suggest the next word while somebody types. Which of the two training tasks
   fits, next words or hidden words? What would go wrong with the other?
2. **Complaints.** A restaurant chain has ten million reviews without labels, and 200 that somebody marked
   "complaint" or "praise". Describe the two steps in which a language model can use both. What does the
   first step give to the second?
3. **Dull poems.** A poetry app writes at temperature 0, and users say that it repeats itself. Somebody
   proposes temperature 3. What will happen, and what do you propose instead?

<!-- ### BEGIN SOLUTION -->
**A possible answer.** The keyboard needs next words: at the position of the suggestion, only the words
before it exist. A masked model has learned to use both sides, and its right side would be empty, which it
never saw in training. For the complaints, pretrain on the ten million reviews (predict hidden words, or
next words: no label is needed), then fine-tune on the 200, or fit a small classifier on the states. After
the first step, words that are used alike have similar states, so a label for one review says something
about many others. Temperature 0 always takes the likeliest word, so the same beginnings lead to the same
loops. At 3, the probabilities come so close to each other that unlikely words follow each other and the
sentences fall apart. A temperature in between (about 0.7 to 1), with top-k to cut off the unlikely tail,
varies without falling apart.

**Rubric**, one point per question. Give half a point if half of the idea is missing.

1. Full: next words, *and* the right side doesn't exist yet. None: "GPT is newer" or "it is faster".
2. Full: pretraining without labels and then fine-tuning (or a classifier on the states) with them, *and*
   what the first step gives to the second (states that already group words or texts). Half: the two steps
   without a reason.
3. Full: temperature 3 makes nonsense because the distribution is nearly even, *and* a moderate temperature
   or top-k. Half: one of the two.

Accept other correct reasons. Don't grade the language.
<!-- ### END SOLUTION -->
"""

# %% [markdown]
r"""
When you're done, let the grader check the whole notebook.
"""

# %%
# Save the notebook, remove the first # of the next line, and run this cell.
# from grading import check_notebook; check_notebook("08_language_models.ipynb")

# %% [markdown]
r"""
### Looking back

- A text without labels provides its own targets: the next word at every position, or the hidden words.
- Writing is a loop around one question. Temperature and top-k decide how boldly each word is drawn.
- A masked model sees both sides but isn't made to write. A GPT writes but sees only one side.

**One thing to try.** In exercise 8.3, let `pairs` look two words back (count triples). How much better do
the reviews sound? How many of the possible rows of the table are empty?

<details><summary>What we saw</summary>

Most beginnings of a sentence sound right, and most rows are empty: of about 43,000 possible pairs of words,
only a few thousand ever occur. With three words back, even more rows are empty. A model that *computes* its
row from the words, as a Transformer does, can answer for pairs that it has never seen.

</details>

Then go on to demo 09, where attention meets real text.
"""
