# %% [markdown]
r"""
# 07 · Self-attention: words that look at each other

**Which words of this sentence matter for this word?**

![The sentence "The animal didn't cross the street because it was too tired". Arcs lead from "it" to every
word; the thick one ends at "animal".](../figures/arcs.svg)

In "The animal didn't cross the street because it was too tired", who is "it"? Make the last word *wide*, and
the answer changes. A translator into French must know: the animal is *il*, the street is *elle*. The clue
is in the same sentence, a few words away, and attention can fetch it.

You will

- **follow** "it" to the noun that it stands for, in small models that have learned to do so,
- **predict** what a second look, positions and heads are good for, and take each away to see,
- **measure** what is gained and what is paid when a sentence is read all at once.

About 45 minutes. Running everything takes about a minute and a half, most of it for training small models.
You need queries, keys and values from demo 02. Answer each question before you open its result.
"""

# %%
import time

import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn import functional as F

from utils import pretrained
from utils.data.coreference import load_coreference, make_sentence
from utils.explorer import playground
from utils.plotting import Figure, plot_curves, plot_maps
from utils.text import BOS_ID, EOS_ID, PAD_ID, Vocabulary, encoded_reviews, pad
from utils.training import in_parallel, seed_everything
from utils.transformer import TransformerBlock, positional_encoding

torch.set_num_threads(1)  # models as small as these gain nothing from a second thread

# %% [markdown]
r"""
## Turn the spotlight around

So far attention joined two sentences, in four steps: compare, share out, blend, and combine the context with
the vector that asked. None of these steps says where queries, keys and values come from. Take all three from
the *same* sentence:

| | in a translator | self-attention |
| --- | --- | --- |
| question | which input words matter for this output? | which words of this sentence matter for this word? |
| query | the decoder, about to write a word | each word of the sentence |
| keys, values | the words of the source | all words of that same sentence |

The steps stay the same. (Early papers call this *intra-attention*.) Try the first two steps on three words.
Each has two numbers: how much it has to do with living beings, and how much with places.

| word | vector: its query, key and value |
| --- | --- |
| animal | (2, 0) |
| street | (0, 2) |
| tired | (1, 0) |

**Predict.** The score is the dot product. Which word gets the largest weight from "animal"?
"""

# %%
words = ["animal", "street", "tired"]
x = torch.tensor([[2.0, 0.0], [0.0, 2.0], [1.0, 0.0]])
weights = (x @ x.T).softmax(-1)  # all three queries with all three keys
for word, row in zip(words, weights, strict=True):
    print(f"{word:<7} looks at", ", ".join(f"{w} {share:.2f}" for w, share in zip(words, row, strict=True)))

# %% [markdown]
r"""
**What happened.** "tired" looks at "animal", which fits: a street is not tired. But "animal" looks at itself.
If only likeness counts, a long vector is most like itself, and a word learns little from its neighbors.
"""

# %% claim
assert weights.argmax(-1).tolist() == [0, 1, 0], "tired and animal look at animal"

# %% [markdown]
r"""
So a word should be able to *ask* for something other than what it *is*. Three learned matrices make three
vectors of each word: what it asks for, what it offers, and what it hands over.

$$q_t = x_t W_q \qquad k_i = x_i W_k \qquad v_i = x_i W_v$$

$$\alpha_{ti} = \operatorname{softmax}_i\left(\frac{q_t \cdot k_i}{\sqrt d}\right) \qquad
c_t = \sum_i \alpha_{ti} v_i$$

Here $t$ is the word that asks, $i$ runs over all words of the sentence, and $d$ is the size of a key.
"""


# %%
def self_attention(x, w_query, w_key, w_value):
    query, keys, values = x @ w_query, x @ w_key, x @ w_value
    scores = query @ keys.mT / keys.shape[-1] ** 0.5  # (batch, length, length)
    weights = scores.softmax(-1)
    return weights @ values, weights


# %% [markdown]
r"""
## Who is "it"?

Can a model find out what "it" stands for? A small grammar writes sentences whose answer is known, of two
kinds:

- **sense**: an animal and a place. "The animal didn't cross the street because it was too *tired*" means the
  animal, and *wide* the street. What the words mean decides.
- **role**: two animals. "The dog didn't catch the cat because it was too *slow*" means the dog, which should
  have caught; with *fast* it is the cat. Who did what to whom decides.

A fifth of all pairs of nouns is kept for the test, among them *animal* and *street*: no model has seen these
two in one sentence.
"""

# %%
TRAINING, _, TESTING = load_coreference()
VOCAB = Vocabulary.from_sentences(sentence.tokens for sentence in TRAINING)
for sentence in TESTING[:4]:
    print(f"{sentence.kind:<6}{sentence}  ->  {sentence.tokens[sentence.antecedent]}")
print(f"{len(TRAINING):,} sentences to learn from, {len(TESTING):,} to test with, {len(VOCAB)} words")


# %% [markdown]
r"""
The model is a stack of **Transformer blocks**; demo 08 shows their inside. In each block every word *looks*
at the whole sentence (self-attention). It combines by adding: the context that it found is added to its own
vector. Then a small network changes each vector by itself. A model of two blocks looks twice. It sees the
sentence and must name the noun that "it" stands for, read off at the place of "it". Nobody tells it where to
look.
"""


# %%
class Reader(nn.Module):
    """Read a sentence, and say which noun the word at one place of it stands for."""

    def __init__(self, blocks=2, positions=True, hidden=32):
        super().__init__()
        self.positions, self.embedding = positions, nn.Embedding(len(VOCAB), hidden)
        self.blocks = nn.ModuleList(TransformerBlock(hidden, 1, 2 * hidden, 0.0) for _ in range(blocks))
        self.out = nn.Sequential(nn.LayerNorm(hidden), nn.Linear(hidden, len(VOCAB)))

    def forward(self, ids, place):
        x = self.embedding(ids)  # (batch, length, hidden)
        if self.positions:
            x = x + positional_encoding(*x.shape[1:])
        maps = []
        for block in self.blocks:
            x, weights = block(x, ids != PAD_ID)
            maps.append(weights[:, 0])
        logits = self.out(x[torch.arange(len(x)), place])  # (batch, vocab)
        return logits, torch.stack(maps, 1)  # (batch, blocks, length, length)


def tensors(sentences):
    """Return ids and the places of "it", of the meant noun and of the other noun."""
    places = torch.tensor([(s.it, s.antecedent, s.other) for s in sentences])
    return pad([VOCAB.encode(s.tokens) for s in sentences]), *places.T


def learn(seed, updates=1_200, rate=3e-3, **changes):
    """Train one reader on sentences and nouns, 128 at a time."""
    seed_everything(seed)
    reader, (ids, it, meant, _) = Reader(**changes), tensors(TRAINING)
    optimizer = torch.optim.AdamW(reader.parameters(), lr=rate, weight_decay=0.1, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, updates, pct_start=0.2)
    for _ in range(updates):
        rows = torch.randint(len(ids), (128,))
        loss = F.cross_entropy(reader(ids[rows], it[rows])[0], ids[rows, meant[rows]])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return reader.eval()


# %% [markdown]
r"""
We train three kinds of reader, and we open them one by one: with two looks, with one, and without positions.
Each is trained with two random seeds. If both agree, the result is unlikely to be luck.

**Predict.** On pairs of nouns that it has never seen together, how often will a reader with two looks be
right?
"""

# %%
SEEDS = 2, 0
KINDS = {"two looks": {}, "one look": {"blocks": 1}, "no positions": {"positions": False}}
jobs = [{"seed": seed, **changes} for changes in KINDS.values() for seed in SEEDS]
readers = dict(zip([(kind, seed) for kind in KINDS for seed in SEEDS], in_parallel(learn, jobs), strict=True))
IDS, IT, MEANT, OTHER = tensors(TESTING)
IS_ROLE = torch.tensor([sentence.kind == "role" for sentence in TESTING])


# %%
@torch.no_grad()
def right(kind):
    """Return percentages of right answers, {"sense": one per seed, "role": one per seed}."""
    found = [
        (readers[kind, seed](IDS, IT)[0].argmax(-1) == IDS[torch.arange(len(IDS)), MEANT]) for seed in SEEDS
    ]
    return {
        name: [100 * answers[rows].float().mean().item() for answers in found]
        for name, rows in (("sense", ~IS_ROLE), ("role", IS_ROLE))
    }


def compare(*kinds):
    for kind in kinds:
        for name, shares in right(kind).items():
            print(f"{kind:<14}{name:<7}" + " and ".join(f"{share:.0f}%" for share in shares))


compare("two looks")
first = [100 * (MEANT < OTHER)[rows].float().mean().item() for rows in (~IS_ROLE, IS_ROLE)]
print(f"always the first noun: sense {first[0]:.0f}%, role {first[1]:.0f}%")

# %% [markdown]
r"""
**What happened.** The first noun is right half of the time, by design. The readers are nearly always right,
with both seeds, on nouns that they have never met together: they have learned a rule. It is the rule of this
small grammar; real sentences ask for more knowledge than 6,000 sentences hold.
"""

# %% claim
two = right("two looks")
assert min(*two["sense"], *two["role"]) > 95
assert 45 < min(first) < max(first) < 55, "the first noun is right half of the time"

# %% [markdown]
r"""
### Where does "it" look?

Now the sentence of the picture and its twin with *wide*. A reader has two maps: the words look at each other
once, add what they found to their vectors, and look again. We draw one of the two readers, the one whose
second look has more of its weight on the right nouns.

**Predict.** When *tired* becomes *wide*, in which of the two looks does "it" jump from one noun to the other?
"""

# %%
PAIR = [make_sentence("animal", "cross", "street", adjective) for adjective in ("tired", "wide")]
panels, weight = {seed: {} for seed in SEEDS}, dict.fromkeys(SEEDS, 0.0)
for seed in SEEDS:
    with torch.no_grad():
        logits, maps = readers["two looks", seed](*tensors(PAIR)[:2])
    for sentence, answer, looks in zip(PAIR, logits.argmax(-1), maps, strict=True):
        rows = looks[:, sentence.it]  # (looks, length)
        adjective, word = sentence.tokens[-1], sentence.tokens[rows[1].argmax()]
        print(f"seed {seed}, {adjective}: answers {VOCAB.tokens[answer]}, second look brightest at {word}")
        panels[seed][adjective] = rows, sentence.tokens, ["first look", "second look"]
        weight[seed] += rows[1, sentence.antecedent].item()
drawn = max(SEEDS, key=weight.get)
ax = plot_maps(panels[drawn], columns=1, size=(8, 2.2), xlabel="word that is asked (key)", ylabel='"it" asks')
Figure(ax, "Two maps, with tired and with wide, of the weights of it. The first look is spread over several "
       "words in both. The second has one bright cell: the animal, then the street.")  # fmt: skip

# %% [markdown]
r"""
*The weights of "it" in both looks, for "tired" and for "wide".*

**What happened.** In the second. In the first look "it" asks the same question in both sentences, since its
query is made of the word "it" and its position; only the key of the last word differs. In the second look it
asks with what it has found, and jumps from noun to noun.
"""

# %% claim
rows = maps[:, 0, PAIR[0].it, :-1]
rows = rows / rows.sum(-1, keepdim=True)
assert torch.allclose(rows[0], rows[1], atol=1e-4), "all but the last word keep their proportions"
for sentence in PAIR:
    assert panels[drawn][sentence.tokens[-1]][0][1].argmax() == sentence.antecedent

# %% [markdown]
r"""
A picture of one sentence is an anecdote. With another seed, the brightest word need not even be a noun: by
the second look, the vector of each word also holds what that word found in the first. So here are the mean
weights of "it" over all test sentences, on the noun that is meant and on the other one, and how often the
meant one is the brighter of the two.
"""


# %%
@torch.no_grad()
def weights_on_nouns(seed):
    """Return the weights of "it" on the meant and on the other noun, (sentences, looks, 2)."""
    _, maps = readers["two looks", seed](IDS, IT)
    rows = maps[torch.arange(len(IDS)), :, IT]  # (sentences, looks, length)
    return torch.stack([rows[torch.arange(len(IDS)), :, place] for place in (MEANT, OTHER)], -1)


shares, brighter = {}, {}
for seed in SEEDS:
    found = weights_on_nouns(seed)
    shares[seed], brighter[seed] = found.mean(0), (found[..., 0] > found[..., 1]).float().mean(0)
    for look, (meant, other), share in zip(("first", "second"), shares[seed], brighter[seed], strict=True):
        print(
            f"seed {seed}, {look} look: meant {meant:.2f}, other {other:.2f}, meant brighter in {share:.0%}"
        )

# %% [markdown]
r"""
In the first look "it" has no preference for the *right* noun, which is the brighter one in half of the
sentences: it cannot know yet which one it will need. In the second, the right noun gets nearly all of the
weight that nouns get on average, although it is not the brighter one in every sentence.

### Why two looks?

**Predict.** For which of the two kinds of sentence, *sense* or *role*, is a reader with a single look no
better than a coin?
"""

# %% claim
for seed in SEEDS:
    assert 0.43 < brighter[seed][0] < 0.57, "no preference in the first look"
    assert shares[seed][1, 0] > 5 * shares[seed][1, 1], "the right noun in the second"

# %%
compare("two looks", "one look")

# %% [markdown]
r"""
**What happened.** For *role*. For *sense*, one look can do more, and how much depends on the seed: the blend
that "it" gets holds an animal, a place and *tired*, and from these the noun can be worked out. But *slow*
asks for the one that should have caught. Which noun that is must be found out first, from the words around
it. Then "it" can ask for it. This is why Transformers stack blocks.
"""

# %% claim
one = right("one look")
assert max(one["role"]) < 60 and min(one["sense"]) > max(one["role"]) - 5 and max(one["sense"]) > 65

# %% [markdown]
r"""
## Positions: who did what to whom

A recurrent network reads word by word, so it knows the order. Attention compares every word with every other,
and a score depends on the two vectors alone.

**Predict.** Shuffle the words of a sentence that goes through `self_attention`. What happens to the contexts?
"""

# %%
torch.manual_seed(0)
x, matrices, order = torch.randn(1, 7, 16), torch.randn(3, 16, 16) / 4, torch.randperm(7)
context, _ = self_attention(x, *matrices)
shuffled, _ = self_attention(x[:, order], *matrices)
print("the same contexts, shuffled alike:", torch.allclose(shuffled, context[:, order], atol=1e-5))
compare("two looks", "no positions")

# %% [markdown]
r"""
**What happened.** Each word gets the very same context. To such a model a sentence is a bag of words: "the
dog didn't catch the cat" is "the cat didn't catch the dog". The reader without positions does well when the
*meaning* of the words decides, and is a coin when it matters who did what to whom.
"""

# %% claim
unordered = right("no positions")
assert torch.allclose(shuffled, context[:, order], atol=1e-5)
assert max(unordered["role"]) < 60 and min(unordered["sense"]) > 70

# %% [markdown]
r"""
The remedy is to write the place into the vector: add a pattern of numbers that belongs to the position. The
Transformer's patterns are waves, fast ones and slow ones, like the hands of a clock:

$$p_{t,2j} = \sin\!\left(t / 10000^{2j/d}\right) \qquad p_{t,2j+1} = \cos\!\left(t / 10000^{2j/d}\right)$$

Here $t$ is the position, $d$ the size of a vector, and $j$ counts its pairs of numbers. Each pair is a hand:
sine and cosine say where it points. The first hand turns fast and tells neighbors apart, the last one hardly
moves and tells the beginning from the end.
"""

# %%
patterns = positional_encoding(41, 32)  # (positions, hidden)
figure, axes = plt.subplots(1, 2, figsize=(9.5, 3.2), layout="constrained", width_ratios=(1.5, 1))
picture = axes[0].imshow(patterns.T, cmap="coolwarm", aspect="auto")
axes[0].set(xlabel="position", ylabel="number in the vector")
figure.colorbar(picture, ax=axes[0])
for hand, size in (0, 1.0), (2, 0.8), (4, 0.6):
    for place in range(4):
        cosine, sine = patterns[place, [2 * hand + 1, 2 * hand]].tolist()
        axes[1].plot(
            [place, place + 0.4 * size * sine],
            [0, 0.4 * size * cosine],
            lw=1 + 3 * size / 2,
            color=f"C{hand}",
        )
axes[1].set(xlabel="position", xticks=range(4), yticks=[], xlim=(-0.6, 3.6), ylim=(-0.5, 0.5), aspect="equal")
Figure(axes[0], "Left, the patterns of 41 positions as a heat map: the upper rows change from position to "
       "position, the lower ones slowly. Right, three clock hands at positions 0 to 3: the first turns fast, "
       "the last hardly.")  # fmt: skip

# %% [markdown]
r"""
*Left: what is added at each position, one column per position. Right: pairs 0, 2 and 4 as clock hands; the
longest is pair 0.*

## Heads: several looks at the same time

In one look, a word has one unit of weight to share out. If it needs four things, it gets a blend of all four.
**Heads** are several small attentions side by side, each with its own three matrices, its own map and its own
context. The contexts are laid end to end, and one more matrix mixes them. Four heads of a quarter of the size
have as many parameters as one large head.

Here is a task that needs four looks at once: four random letters and a question mark. At the question mark,
one block must name all four letters *in their order*.

**Predict.** With one head, the blend holds all four letters. How many of them will be named right: all, half,
or none?
"""


# %%
def learn_letters(heads, seed=0, updates=1_000, letters=4, kinds=20, hidden=32):
    """Train one block to name four letters at the place behind them; return the share and the weights."""
    seed_everything(seed)
    embedding, block = nn.Embedding(kinds + 1, hidden), TransformerBlock(hidden, heads, 2 * hidden, 0.0)
    out = nn.Sequential(nn.LayerNorm(hidden), nn.Linear(hidden, letters * kinds))
    parameters = nn.ModuleList([embedding, block, out]).parameters()
    optimizer = torch.optim.Adam(parameters, lr=3e-3)

    def read(text):
        ids = F.pad(text, (0, 1), value=kinds)  # the question mark
        x, weights = block(embedding(ids) + positional_encoding(letters + 1, hidden))
        return out(x[:, -1]).view(-1, letters, kinds), weights[:, :, -1]

    for _ in range(updates):
        text = torch.randint(kinds, (64, letters))
        loss = F.cross_entropy(read(text)[0].flatten(0, 1), text.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        text = torch.randint(kinds, (2_000, letters))
        logits, weights = read(text)
    return 100 * (logits.argmax(-1) == text).float().mean().item(), weights.mean(0)


found = {heads: learn_letters(heads) for heads in (1, 2, 4)}
print(
    *(f"{heads} head{'s' * (heads > 1)}: {share:.0f}% right" for heads, (share, _) in found.items()), sep=", "
)
places = ["1st", "2nd", "3rd", "4th", "?"]
panels = {
    f"{h} head{'s' * (h > 1)}": (w, places, [f"head {i + 1}" for i in range(h)])
    for h, (_, w) in found.items()
}
ax = plot_maps(
    panels, columns=3, size=(3.2, 2.6), xlabel="letter that is asked", ylabel="the question mark asks"
)
Figure(ax, "The mean weights of the question mark on the four letters. One head spreads them evenly. Each "
       "of two or four heads prefers some letters, and several heads may prefer the same ones.")  # fmt: skip

# %% [markdown]
r"""
*Mean weights of the question mark, for one, two and four heads.*

**What happened.** With one head about half: it looks at all four evenly, and from the sum of four vectors it
is hard to tell which letter stood where. With more heads the maps differ: the heads divide the places among
them, though not always neatly: two may look at the same letters. Far more letters are right. Nothing tells a
head what to look for; the task does.
"""

# %% claim
assert 30 < found[1][0] < 65 and found[2][0] > found[1][0] + 10 and found[4][0] > found[1][0] + 20

# %% [markdown]
r"""
A trained translator has heads, too. A small Transformer that comes with the course has four where it looks
from the French words back at the English ones. It translates "the restaurant was amazing but the service was
slow", and we print where each head looks most.

**Predict.** To write the first *le*, do all four heads look at the same English word?
"""

# %%
encoded, translator, maps = encoded_reviews(), pretrained.load("transformer"), []
english = ["the", "restaurant", "was", "amazing", "but", "the", "service", "was", "slow"]
french = ["le", "restaurant", "était", "incroyable"]
translator.decoder[-1].cross_block.attention.register_forward_hook(lambda *call: maps.append(call[2][1]))
ids = torch.tensor([[*encoded.src_vocab.encode(english), EOS_ID]])
written = torch.tensor([[BOS_ID, *encoded.tgt_vocab.encode(french[:-1])]])
translator(ids, torch.tensor([ids.shape[1]]), written)
looks = maps[0][0].argmax(-1).T  # (tgt_len, heads)
for place in 3, 0:
    print(f"{french[place]:<12}looks most at", ", ".join(english[i] for i in looks[place]))

# %% [markdown]
r"""
**What happened.** For *incroyable* all four look most at "amazing". For *le* they divide the work: some look
at "the", and some at "restaurant", because the noun decides between *le* and *la*.
"""

# %% claim
assert set(looks[3].tolist()) == {english.index("amazing")} and set(looks[0].tolist()) == {0, 1}

# %% [markdown]
r"""
Here is the same Transformer to play with. Open *Settings and saving*, choose one head after another, and step
through the sentence.
"""

# %%
playground(["transformer"], shown=["transformer"])

# %% [markdown]
r"""
## Don't look ahead

A model that *writes* must not see the words to come. A **causal mask** hides them: each word may look at
itself and at those before it.

![A grid of words that look by words that are looked at. Cells on and below the diagonal are colored; those
above hold minus infinity.](../figures/causal.svg)

Thanks to the mask, all words of a known text can be learned in one pass, and none is seen too early. Demo 08
builds a model with it that writes.

## All words at once

Why did this replace recurrence? Think of how a sentence of $n$ words is read.

| | recurrent network | self-attention |
| --- | --- | --- |
| steps that must wait for each other | $n$ | 1: all pairs at once |
| steps from the first word to the last | $n - 1$ | 1: it looks there directly |
| comparisons, and weights to keep | none | $n^2$: every word with every word |

The first row suits hardware that does many things at once. The second helps with *long-range dependencies*,
words that need each other over a distance. The last is the price. Let us measure one training step of a GRU,
the recurrent network of our translators, and of a Transformer block, for one sentence of growing length.

**Predict.** At which of these lengths is the block faster: 16 words, 256, 2,048?
"""


# %%
def seconds(step, length):
    """Return the least time of a training step: other work on this computer only adds to it."""
    x, times = torch.randn(1, length, 64), []
    for _ in range(max(3, 2_000 // length)):
        started = time.perf_counter()
        step(x).sum().backward()
        times.append(time.perf_counter() - started)
    return min(times)


torch.manual_seed(0)
LENGTHS = [2**power for power in range(4, 12)]
gru, block = nn.GRU(64, 64, batch_first=True), TransformerBlock(64, 4, 128, 0.0)
times = {
    "GRU": [1000 * seconds(lambda x: gru(x)[0], length) for length in LENGTHS],
    "Transformer block": [1000 * seconds(lambda x: block(x)[0], length) for length in LENGTHS],
}
ax = plot_curves(times, LENGTHS, "words", "milliseconds per training step")
ax.set(xscale="log", yscale="log")
ax.set_xticks(LENGTHS[::2], LENGTHS[::2])
ax.minorticks_off()
Figure(ax, "Milliseconds against words, both axes logarithmic: the line of the GRU rises steadily, that of "
       "the block stays flat for a while and then rises more steeply.")  # fmt: skip

# %% [markdown]
r"""
*Time of a training step against length, on one core, in this run.*

**What happened.** At 16 words and, by far, at 256: the GRU's steps wait for each other, while the block does
a few large products. By 2,048 words $n^2$ has eaten up that lead, or nearly all of it, depending on the
computer. Thousands of cores move the turning point to the right but cannot remove it, so very long texts are
costly.
"""

# %% claim
ratio = [gru / block for gru, block in zip(*times.values(), strict=True)]
assert ratio[4] > 3 and ratio[-1] < ratio[4] / 2, "far ahead at 256, less so at 2,048"

# %% [markdown]
r"""
**Think.** Does a Transformer also *write* all words at once?

<details><summary>One answer</summary>

No. In training the text is known, so all its words are learned at once behind a causal mask. In use, each
word must be written before the next can look at it.

</details>

## Check yourself

Answer aloud, then unfold.

<details><summary>Where do query, keys and values come from in self-attention?</summary>

From the words of one and the same sentence. Three learned matrices make them: what a word asks for, what it
offers, and what it hands over.

</details>

<details><summary>Why can one look not find out who was too slow to catch whom?</summary>

"it" would have to ask for the one that should have caught. Which noun that is must be found out first, so a
second look has to ask with what the first one found.

</details>

<details><summary>Without positions, which sentences does a model confuse?</summary>

Those of the same words in another order. A score depends on two vectors, and nothing in them says where they
stand.

</details>

<details><summary>Why is one large head not as good as four small ones?</summary>

One head has one set of weights, so it returns one blend. Four heads return four, and each can be about other
words.

</details>

<details><summary>What does the causal mask hide, and when is it needed?</summary>

The words to come. A model that learns to write needs it, because these words aren't there yet when it writes.

</details>

## In three lines

- Self-attention asks which words of a sentence matter for each of its words, and blends an answer into each.
- It sees all words at once and in no order: positions bring the order, heads let a word look at several
  things, and a second look can ask with what the first has found.
- It waits for nothing and reaches anywhere in one step, and it pays with a number for every pair of words.

**One thing to try.** In `learn`, set `updates` to 400 and compare *sense* and *role* again. Which is learned
first?

Now build the parts yourself, in **exercise 07**: self-attention, the causal mask, heads, positions, a block.
Then see what became of them, in demo 08.
"""
