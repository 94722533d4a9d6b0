# %% [markdown]
r"""
# 08 · From the Transformer to GPT and BERT

**How does a translator become a model that talks?**

The Transformer of 2017 was built to translate. Today the same block writes answers, code and poems. Nothing
about the block had to change for that: only *who may look at whom*, and *what is predicted*.

| model | a word may look at | and predicts | good at |
| --- | --- | --- | --- |
| encoder-decoder (T5) | all of the source, the target so far | the next target word | translating |
| decoder-only (GPT) | itself and the words before it | the next word | writing |
| masked (BERT) | all words | words that are hidden | understanding |

In this lesson you will

- **read** a Transformer block, 20 lines of code, and turn it into all three models with a mask,
- **train** a small GPT that writes restaurant reviews and a small BERT that fills in blanks,
- **explain** what pretraining, prompts and scale add, and what is still the attention of lesson 02.

About 40 minutes. Running everything takes about two minutes, most of it for training three small models. You
need self-attention, heads and positions from lesson 07. Answer each question before you open its result.
"""

# %%
import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn import functional as F

from utils.data.reviews import nouns
from utils.language_models import generate, mask_tokens, next_word_batch
from utils.metrics import bleu
from utils.plotting import Figure, finish, plot_attention, plot_curves, plot_maps
from utils.text import BOS_ID, EOS_ID, PAD_ID, SPECIALS, Vocabulary, encoded_reviews, group_rows, pad
from utils.training import in_parallel, seed_everything
from utils.transformer import causal_mask, positional_encoding

torch.set_num_threads(1)  # models as small as these gain nothing from a second thread

# %% [markdown]
r"""
## The block: a vector goes straight through, and two parts add to it

Each word has one vector, and the vector keeps its size from the first block to the last. Think of it as a
**residual stream**: a line that runs straight through the model. A block never replaces what is on the line.
It reads a copy, works on it, and *adds* the result, twice:

$$x \leftarrow x + \operatorname{attention}(\operatorname{norm}(x)) \qquad
x \leftarrow x + \operatorname{network}(\operatorname{norm}(x))$$

**Attention** is the only place where words exchange information: the four steps of lesson 02. The
**network** works on each word by itself, the same network for every word. A **layer norm** brings the numbers
of a vector to one scale before each part reads them.

Where the norm stands has changed. The Transformer of 2017 normalized after the sum,
$x \leftarrow \operatorname{norm}(x + \operatorname{part}(x))$, which is called **post-norm**. It interrupts
the line, and deep stacks trained that way need a slow start of the learning rate. With **pre-norm**, as
above, the line runs through untouched, and training is steadier (Xiong et al. 2020). GPT-2 and most
large models since then use pre-norm.
"""


# %%
class Block(nn.Module):
    """A Transformer block: attention between words, then a network for each word. Both add to x."""

    def __init__(self, hidden, heads):
        super().__init__()
        self.heads = heads
        self.norm_1, self.norm_2 = nn.LayerNorm(hidden), nn.LayerNorm(hidden)
        self.query, self.key, self.value, self.mix = (nn.Linear(hidden, hidden, bias=False) for _ in range(4))
        self.network = nn.Sequential(nn.Linear(hidden, 4 * hidden), nn.ReLU(), nn.Linear(4 * hidden, hidden))

    def forward(self, x, mask):
        query, keys, values = (
            part(self.norm_1(x)).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in (self.query, self.key, self.value)
        )  # (batch, heads, length, head_dim) each
        scores = query @ keys.mT / query.shape[-1] ** 0.5  # (batch, heads, length, length)
        weights = scores.masked_fill(~mask, -torch.inf).softmax(-1)
        context = (weights @ values).transpose(1, 2).flatten(2)  # (batch, length, hidden)
        x = x + self.mix(context)
        return x + self.network(self.norm_2(x)), weights


# %% [markdown]
r"""
**Predict.** Attention has four matrices of `hidden` × `hidden` numbers. The network widens each vector to
four times its size and brings it back. Which of the two has more parameters, and what share of the block?
"""

# %%
block = Block(hidden=64, heads=4)
attention, network = (
    sum(p.numel() for part in parts for p in part.parameters())
    for parts in ((block.query, block.key, block.value, block.mix), (block.network,))
)
print(f"attention {attention:,}, network {network:,}: {network / (attention + network):.0%} in the network")

# %% [markdown]
r"""
**What happened.** The network has two thirds: $8h^2$ numbers against $4h^2$, and a few biases. It is as true
of the largest models that keep these proportions. Attention decides where information flows; most numbers
sit in the part that works on one word at a time.

## One block, three masks

Now the only thing that differs between the three models: a mask, bool, True = may be looked at. Here are the
three masks for the text *the soup was cold*, followed by a separator and its translation.
"""

# %% claim
assert network > attention and round(network / (attention + network), 2) == 0.67


# %%
def everyone(length):
    """Return the mask in which every word sees every word."""
    return torch.ones(length, length, dtype=torch.bool)


TEXT = ["the", "soup", "was", "cold", "<sep>", "la", "soupe", "était", "froide"]
source = everyone(9) & (torch.arange(9) < 5)  # every word sees the source
panels = {
    "encoder-decoder": causal_mask(9) | source,
    "decoder-only (GPT)": causal_mask(9),
    "masked (BERT)": everyone(9),
}
ax = plot_maps({name: (mask.float(), TEXT, TEXT) for name, mask in panels.items()}, size=(3.6, 3.8),
               xlabel="is looked at (key)", ylabel="looks (query)")  # fmt: skip
Figure(ax, "Three masks of nine words by nine words. Encoder-decoder: the five source columns are allowed "
       "for all, then a triangle. Decoder-only: the lower triangle. Masked: all allowed.")  # fmt: skip

# %% [markdown]
r"""
*Yellow: may be looked at. Left, an encoder-decoder drawn as one map: the source sees all of the source, the
target sees the source and itself up to now.*

A real encoder-decoder keeps two stacks of blocks, with matrices of their own for source and target. But who
sees whom is the picture on the left. GPT drops the encoder and treats everything as one text. BERT drops the
decoder: it sees everything at once and so cannot write from left to right.

The rest of the model is small: embeddings plus positions at the bottom, a layer that scores the vocabulary
at the top, and one more norm before it, since nothing normalizes the end of the line.
"""


# %%
class LanguageModel(nn.Module):
    """Two blocks with a mask: `causal_mask` makes it a small GPT, `everyone` a small BERT."""

    def __init__(self, vocab_size, mask, hidden=64, heads=4, blocks=2, longest=100):
        super().__init__()
        self.mask = mask
        self.embedding = nn.Embedding(vocab_size, hidden)
        self.register_buffer("positions", positional_encoding(longest, hidden))
        self.blocks = nn.ModuleList(Block(hidden, heads) for _ in range(blocks))
        self.norm, self.out = nn.LayerNorm(hidden), nn.Linear(hidden, vocab_size)

    def states(self, ids):
        """Return the vectors at the end of the stream (batch, length, hidden), and the last weights."""
        length = ids.shape[1]
        mask = self.mask(length) & (ids != PAD_ID)[:, None, None]  # (batch, 1, length, length)
        x = self.embedding(ids) + self.positions[:length]
        for block in self.blocks:
            x, weights = block(x, mask)
        return self.norm(x), weights

    def forward(self, ids):
        return self.out(self.states(ids)[0])  # (batch, length, vocab)


# %% [markdown]
r"""
## Train all three at once

The text is the small world of this course: 20,000 restaurant reviews.

- The **GPT** reads English reviews, and its target at every position is the next word. One review of 20 words
  gives 21 predictions (the last is "end"), all made in one pass, because the causal mask hides each answer.
- The **BERT** reads the same reviews with 30% of the words hidden, and its targets are the hidden words.
  (Devlin et al. hid 15%. With so little text, more blanks per review help.)
- The **translator** is a GPT as well. It reads *English, separator, French*. We come back to it below.

Nobody labels anything for the first two: the text is its own answer. This is called **self-supervised**
learning, and it is why such models can learn from nearly all text there is. `next_word_batch` and
`mask_tokens` prepare inputs and targets; you write both in exercise 08.
"""

# %%
REVIEWS = encoded_reviews()
ENGLISH, FRENCH = REVIEWS.tokens("train", "src"), REVIEWS.tokens("train", "tgt")
WORDS = Vocabulary(["<mask>", *REVIEWS.src_vocab.tokens[len(SPECIALS) :]])
BOTH = Vocabulary(["<sep>", *sorted({word for review in ENGLISH + FRENCH for word in review})])
KINDS = {
    "GPT": {"mask": causal_mask, "updates": 1_500},
    "BERT": {"mask": everyone, "updates": 2_000},
    "translator": {"mask": causal_mask, "updates": 1_200},
}


def documents(name):
    """Return the ids of all training texts of a model, from the begin to the end token."""
    if name == "translator":
        texts = (BOTH.encode([*en, "<sep>", *fr]) for en, fr in zip(ENGLISH, FRENCH, strict=True))
    else:
        texts = map(WORDS.encode, ENGLISH)
    return [[BOS_ID, *ids, EOS_ID] for ids in texts]


def inputs_and_targets(name, ids):
    """Prepare a batch for one model."""
    if name == "BERT":
        special = (PAD_ID, BOS_ID, EOS_ID)
        return mask_tokens(ids, WORDS.ids["<mask>"], special, share=0.3)
    return next_word_batch(ids, PAD_ID)


# %%
def learn(name, mask, updates, seed=0, rate=6e-3):
    """Train one model on batches of texts of similar length."""
    seed_everything(seed)
    texts = sorted(documents(name), key=len)
    rows = group_rows(range(len(texts)), [len(text) for text in texts], batch_tokens=1_400)
    batches = [pad([texts[row] for row in batch]) for batch in rows]
    model = LanguageModel(len(BOTH if name == "translator" else WORDS), mask)
    optimizer = torch.optim.Adam(model.parameters(), lr=rate, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, updates, pct_start=0.1)
    for _ in range(updates):
        inputs, targets = inputs_and_targets(name, batches[torch.randint(len(batches), ())])
        loss = F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())  # ignores targets of -100
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    return model.eval()


models = dict(zip(KINDS, in_parallel(learn, [{"name": n, **kind} for n, kind in KINDS.items()]), strict=True))
gpt, bert, translator = models.values()

# %% [markdown]
r"""
## GPT: a next word, again and again

A language model gives a probability to every word of its vocabulary. Here is what our GPT expects after
three beginnings.

**Predict.** After *the waiters broke the*, how many of the {words:d} words get more than 5%? And which
pronoun will come first after *the waiters were bad because*?
"""

# %% claim
numbers["words"] = len(REVIEWS.src_vocab) - len(SPECIALS)


# %%
@torch.no_grad()
def next_word(beginning):
    """Return the probabilities (vocab,) of the word that follows."""
    ids = torch.tensor([[BOS_ID, *WORDS.encode(beginning.split())]])
    return gpt(ids)[0, -1].softmax(-1)


for beginning in "the waiters broke the", "the waiters were bad because", "the soup was":
    probabilities = next_word(beginning)
    top = probabilities.topk(5)
    words = [f"{WORDS.tokens[i]} {p:.0%}" for p, i in zip(*top, strict=True)]
    print(f"{beginning:<30} {int((probabilities > 0.05).sum())} above 5%:  {', '.join(words)}")

# %% [markdown]
r"""
**What happened.** Two things can be broken in our small world, a plate and a glass, and GPT has found both.
After *because* it writes *they*, since it has seen that the subject was plural. *The soup was* leaves many
words open: a good model is only as sure as the text allows.

### Too cold, too hot

To write, draw a word, append it, and ask again. How boldly to draw is up to us. The **temperature** τ divides
the scores before the softmax, and **top-k** allows only the $k$ most likely words:

$$p_w = \frac{e^{z_w / \tau}}{\sum_v e^{z_v / \tau}}$$

With τ below 1, likely words become likelier; as τ approaches 0, only the first is left. With τ above 1, the
probabilities move toward each other.

**Predict.** We draw three reviews at each of τ = 0.1, 1 and 2. What will be wrong at 0.1, and what at 2?
"""

# %% claim
broken, pronoun = next_word("the waiters broke the"), next_word("the waiters were bad because")
assert set(WORDS.tokens[i] for i in broken.topk(2).indices) == {"plate", "glass"}
assert (broken > 0.05).sum() == 2 and WORDS.tokens[pronoun.argmax()] == "they"
assert (next_word("the soup was") > 0.02).sum() > 5, "many words are open"


# %%
@torch.no_grad()
def write(beginning="", temperature=1.0, top_k=None, reviews=3, seed=0):
    """Continue a beginning several times; return the reviews as lists of words."""
    prompt = torch.tensor([[BOS_ID, *WORDS.encode(beginning.split())]] * reviews)
    generator = torch.Generator().manual_seed(seed)
    step = lambda ids: gpt(ids)[:, -1]  # noqa: E731
    return list(map(WORDS.decode, generate(step, prompt, EOS_ID, 40, temperature, top_k, generator).tolist()))


for temperature in 0.1, 1, 2:
    print(f"temperature {temperature}")
    for review in write(temperature=temperature):
        print("   ", " ".join(review))

# %% [markdown]
r"""
**What happened.** At 0.1 the reviews sound alike: safe words, over and over. At 2 the sentences fall apart.
At 1 the model talks like the reviews it has read, mistakes included. Is it only reciting them? Let us measure
100 reviews per temperature: the share that stands in the training text word for word, the share of three
words in a row that occur in it (**fluency**), and how many different words are used (**variety**).
"""

# %%
SEEN = set(map(tuple, ENGLISH))
TRIPLES = {triple for review in ENGLISH for triple in zip(review, review[1:], review[2:], strict=False)}
TEMPERATURES = [0.1, 0.4, 0.7, 1.0, 1.4, 2.0]


def fluency_and_variety(reviews):
    """Return the share of known triples and the share of the vocabulary that is used."""
    triples = [t for review in reviews for t in zip(review, review[1:], review[2:], strict=False)]
    used = {word for review in reviews for word in review}
    known = sum(triple in TRIPLES for triple in triples) / max(1, len(triples))
    return known, len(used) / (len(WORDS) - len(SPECIALS) - 1)


drawn = {t: write(temperature=t, reviews=100) for t in TEMPERATURES}
curves = torch.tensor([fluency_and_variety(reviews) for reviews in drawn.values()]).T
copied = sum(tuple(review) in SEEN for review in drawn[1.0])
print(f"at temperature 1, {copied} of 100 reviews stand in the training text")
rates = dict(zip(("fluency", "variety"), 100 * curves, strict=True))
ax = plot_curves(rates, TEMPERATURES, "temperature", "percent")
Figure(ax, "Fluency falls and variety rises with the temperature.")

# %% [markdown]
r"""
*Fluency (known triples) and variety (words used) of 100 reviews at each temperature.*

Fluency falls and variety rises, so there is no best temperature, only a choice. And the model doesn't recite:
most reviews at temperature 1 are new. With a **prompt**, we decide how a review begins:
"""

# %% claim
assert curves[0, 0] > 0.9 and curves[0, -1] < curves[0, 3] - 0.1, "too hot: sentences fall apart"
assert curves[1, 0] < 0.5 * curves[1, 3], "too cold: few words"
assert copied < 50

# %%
for beginning in "the soup was delicious but", "we waited", "my daughter loved the":
    print(" ".join(write(beginning, temperature=0.8, top_k=10, reviews=1)[0]))

# %% [markdown]
r"""
## BERT: a blank, from both sides

A masked model cannot continue a text, but it can look at both sides of a gap.

**Predict.** What will BERT put into *the \_\_\_ broke a glass*? And what does GPT expect at the same place,
when it has read *the* and nothing else?
"""


# %%
@torch.no_grad()
def fill_in(sentence):
    """Return BERT's probabilities (vocab,) at the blank, ___."""
    words = ["<mask>" if word == "___" else word for word in sentence.split()]
    ids = torch.tensor([[BOS_ID, *WORDS.encode(words), EOS_ID]])
    return bert(ids)[0, 1 + words.index("<mask>")].softmax(-1)


def best(probabilities, count=5):
    return ", ".join(f"{WORDS.tokens[i]} {p:.0%}" for p, i in zip(*probabilities.topk(count), strict=True))


for sentence in "the ___ broke a glass", "we ___ the bill", "the waiters were bad because ___ were slow":
    before, _ = sentence.split(" ___")
    print(f"{sentence}\n    BERT  {best(fill_in(sentence))}\n    GPT   {best(next_word(before))}")

# %% [markdown]
r"""
**What happened.** Only staff breaks a glass, and BERT reads that on the right of the blank. GPT, which has
read *the*, spreads its bet over the whole menu. Is this so in general? We hide one word in each of 500 test
reviews. BERT sees the rest; GPT sees the words before it.

**Predict.** Which of the two finds more of the hidden words?
"""

# %% claim
STAFF = {"waiter", "waitress", "waiters", "chef", "owner"}
filled = fill_in("the ___ broke a glass")
assert sum(filled[WORDS.ids[word]] for word in STAFF) > 0.8
assert next_word("the").max() < 0.3


# %%
@torch.no_grad()
def found():
    """Hide one word per test review; return whether GPT and BERT find it, (2, reviews)."""
    generator, right = torch.Generator().manual_seed(0), []
    for words in REVIEWS.tokens("test", "src")[:500]:
        ids = torch.tensor([[BOS_ID, *WORDS.encode(words), EOS_ID]])
        place = int(torch.randint(1, len(words) + 1, (), generator=generator))
        hidden = ids[0, place].item()
        blank = ids.clone()
        blank[0, place] = WORDS.ids["<mask>"]
        guesses = gpt(ids[:, :place])[0, -1].argmax(), bert(blank)[0, place].argmax()
        right.append([guess.item() == hidden for guess in guesses])
    return torch.tensor(right).T.float()


hits = found()
print(f"found: GPT {hits[0].mean():.0%}, BERT {hits[1].mean():.0%}")

# %% [markdown]
r"""
**What happened.** BERT finds more: {hits[bert]:.0f}% against {hits[gpt]:.0f}% in this run. Two sides say more
than one. That is why models of this kind are used where a whole text is there from the start: to search, to
sort, to find names and answers. To *write*, the right side is missing, and GPT's way is the one that works.

### What pretraining adds: few labels go far

Both models have learned from text without labels. Does this help with a task that has labels, but few? Here
is one: *does this review speak of something you can eat or drink?* We take reviews such as *the lamb was very
dry*, give some of them a label, and test on reviews whose noun has **never had a label**. Three readers turn
a review into numbers, and the same linear classifier learns from each:

- **bag of words**: which words occur;
- **untrained**: the states of a model of BERT's size with random weights, averaged over the words;
- **pretrained**: the same with our BERT, whose weights stay as they are.

**Predict.** With 10 labels, how often will each be right? A coin is right half of the time.
"""

# %% claim
numbers["hits"] = {"gpt": 100 * hits[0].mean(), "bert": 100 * hits[1].mean()}
assert hits[1].mean() > hits[0].mean() + 0.05

# %%
EDIBLE = {noun.en.split()[-1] for noun in nouns("order", "drink", "meal")}
SHORT = [r for r in ENGLISH if len(r) <= 7 and r[0] == "the" and r[2] in ("was", "were")][:600]
LABELS = torch.tensor([1.0 if review[1] in EDIBLE else -1.0 for review in SHORT])


@torch.no_grad()
def averages(model):
    """Return a model's states, averaged over the words of each review: (reviews, hidden)."""
    rows = [torch.tensor([[BOS_ID, *WORDS.encode(review), EOS_ID]]) for review in SHORT]
    return torch.stack([model.states(ids)[0][0].mean(0) for ids in rows])


seed_everything(1)
READERS = {
    "bag of words": torch.tensor([[float(word in review) for word in WORDS.tokens] for review in SHORT]),
    "untrained": averages(LanguageModel(len(WORDS), everyone)),
    "pretrained": averages(bert),
}


# %%
def accuracy(features, count, repeats=50):
    """Learn from `count` labels, test on reviews with other nouns; return the mean over random choices."""
    generator, shares = torch.Generator().manual_seed(0), []
    x = torch.cat([features, torch.ones(len(features), 1)], 1)
    for _ in range(repeats):
        rows = torch.randperm(len(SHORT), generator=generator)[:count]
        labeled = {SHORT[row][1] for row in rows}
        test = [row for row, review in enumerate(SHORT) if review[1] not in labeled]
        kernel = x[rows] @ x[rows].T + torch.eye(count)  # ridge regression
        predicted = x[test] @ x[rows].T @ torch.linalg.solve(kernel, LABELS[rows])
        shares.append((predicted.sign() == LABELS[test]).float().mean())
    return 100 * torch.stack(shares).mean().item()


COUNTS = [5, 10, 20, 40]
few = {name: [accuracy(features, count) for count in COUNTS] for name, features in READERS.items()}
ax = plot_curves(few, COUNTS, "reviews with a label", "percent right, new nouns")
ax.axhline(50, color="0.6", lw=1, ls=":")
Figure(ax, "Accuracy against the number of labels. Pretrained is far above the other two, which stay near "
       "50%.")  # fmt: skip

# %% [markdown]
r"""
*Percent right on reviews whose noun never had a label, by the number of labeled reviews. Dotted: a coin.*

**What happened.** With 10 labels the pretrained states are right {few[10]:.0f}% of the time. The bag of words
and the untrained model hardly beat the coin, because a noun without a label says nothing to them. BERT has
met every noun in thousands of blanks, so it already knows that *lamb* and *omelette* turn up in the same
places. A label for one teaches the other.

This is the recipe of 2018: **pretrain** once on much text, then **fine-tune** on a few labels. GPT
(Radford et al. 2018) and BERT (Devlin et al. 2019) did it with the weights learning on, and set the state of
the art on task after task.

## A translator without an encoder

GPT-2 and GPT-3 went a step further: no labels and no training for the task, only a **prompt**. Write
"English sentence =" and a model that has read such pairs continues in French (Radford et al. 2019). Our
translator is a GPT that has read nothing but *English \<sep\> French*. To translate, give it everything up
to the separator and let it continue.

**Predict.** It has no encoder, and self-attention is all it has. What BLEU will it reach on test reviews:
below 50, around 70, or above 90?
"""

# %% claim
numbers["few"] = {str(count): value for count, value in zip(COUNTS, few["pretrained"], strict=True)}
assert few["pretrained"][1] > 70 and max(few["untrained"][1], few["bag of words"][1]) < 60
assert all(p > b + 15 for p, b in zip(few["pretrained"], few["bag of words"], strict=True))


# %%
@torch.no_grad()
def translate(sentences):
    """Translate lists of words: continue each prompt with the likeliest words."""
    written = {}
    for length in {len(words) for words in sentences}:
        same = [words for words in sentences if len(words) == length]
        prompt = torch.tensor([[BOS_ID, *BOTH.encode([*words, "<sep>"])] for words in same])
        step = lambda ids: translator(ids)[:, -1]  # noqa: E731
        done = generate(step, prompt, EOS_ID, max_len=55, temperature=0)[:, length + 2 :]
        written |= {tuple(words): BOTH.decode(ids) for words, ids in zip(same, done.tolist(), strict=True)}
    return [written[tuple(words)] for words in sentences]


TEST = REVIEWS.corpus["test"][:150]
sources, references = [s.split() for s in TEST.src], [t.split() for t in TEST.tgt]
translations = translate(sources)
score = bleu([" ".join(t) for t in translations], TEST.tgt, n_bootstrap=0).score
print(f"BLEU {score:.1f}")
for words in "the waitress was slow", "the soup was hot but the chef forgot the bread":
    print(f"{words}\n    {' '.join(translate([words.split()])[0])}")

# %% [markdown]
r"""
**What happened.** Above 90. Lesson 03 needed an encoder, a decoder and an attention between them; here one
stack does both, because the words of the source are simply *earlier words*.

Then the alignments of lesson 04 must be somewhere in its self-attention. A row of its map is a position, and
at a position the model predicts the **next** word. So to see where it looked to write *soupe*, take the row
of the word *before* it. Here are the columns of the source, last block, mean of the heads.

**Predict.** Will the brightest cell of each row lie on the gold link (framed)? Always, mostly, or seldom?
"""

# %% claim
assert score > 90


# %%
@torch.no_grad()
def map_of(source, target):
    """Return the weights (tgt_len, src_len) at the positions that predict the target's words."""
    ids = torch.tensor([[BOS_ID, *BOTH.encode([*source, "<sep>", *target])]])
    _, weights = translator.states(ids)  # (1, heads, length, length)
    return weights[0].mean(0)[len(source) + 1 : -1, 1 : len(source) + 1]


row = next(row for row, words in enumerate(sources) if 8 <= len(words) <= 10)
ax = plot_attention(map_of(sources[row], references[row]), sources[row], references[row], TEST.links[row])
Figure(ax, "An attention map of French words by English words, with frames at the gold links. Many of the "
       "brightest cells are framed; several are one word to the right of a frame.")  # fmt: skip


# %%
def where_it_looks():
    """Return percentages: brightest on a linked word, on the word after one; and linked on the diagonal."""
    rows = []
    for source, target, links in zip(sources, references, TEST.links, strict=True):
        for j, i in enumerate(map_of(source, target).argmax(-1).tolist()):
            even = round(j * (len(source) - 1) / max(1, len(target) - 1))
            after = (i, j) not in links and (i - 1, j) in links
            rows.append([(i, j) in links, after, (even, j) in links])
    return (100 * torch.tensor(rows).float().mean(0)).tolist()


linked, after, diagonal = where_it_looks()
print(f"brightest on a linked word {linked:.0f}%, on the word after {after:.0f}%; diagonal {diagonal:.0f}%")

# %% [markdown]
r"""
**What happened.** Mostly: {look[linked]:.0f}% of the words have their brightest cell on a linked word, more
than a diagonal would get ({look[diagonal]:.0f}%), and in {look[after]:.0f}% more it lies on the word right
after. Nobody told the model to align, and the map is far from clean. One reason it can't be read as easily as
that of lesson 04: in the last block a position no longer holds one word. The first block has already mixed in
its neighbors, so a look at the word *after* can bring home the word itself.

## What it costs

**The cache.** Each new word asks all earlier words. Must their keys and values be computed again?

**Predict.** Append three words to a text of five. Which of the vectors at the first five positions change, in
GPT and in BERT?
"""

# %% claim
numbers["look"] = {"linked": linked, "after": after, "diagonal": diagonal}
assert linked > diagonal + 3 and after > 8 and linked < 90

# %%
text = torch.tensor([[BOS_ID, *WORDS.encode(["the", "soup", "was", "cold", "but", "we", "liked"])]])
with torch.no_grad():
    for name in "GPT", "BERT":
        short, long = models[name].states(text[:, :5])[0], models[name].states(text)[0][:, :5]
        changed = int(((short - long).abs().amax(-1) > 1e-4).sum())
        print(f"{name}: {changed} of 5 vectors change")

# %% [markdown]
r"""
**What happened.** In GPT none, in BERT all. Behind a causal mask nothing that comes later can reach back. So
GPT computes the keys and values of a word **once** and keeps them: the **KV cache**. Without it, $n$ words
cost $1 + 2 + \dots + n$ passes of one word through the model, with it $n$. What stays is the comparison of
each word with all before it, about $n^2/2$ in all, and the memory of the cache. For GPT-3 (96 blocks, vectors
of 12,288 numbers, 2 bytes each), every word of the text holds
"""

# %% claim
with torch.no_grad():
    assert torch.allclose(gpt.states(text[:, :5])[0], gpt.states(text)[0][:, :5], atol=1e-4)
    assert ((bert.states(text[:, :5])[0] - bert.states(text)[0][:, :5]).abs().amax(-1) > 1e-4).all()

# %%
per_token = 2 * 96 * 12_288 * 2  # keys and values, blocks, numbers, bytes
print(f"{per_token / 1e6:.1f} MB in the cache; 2,048 of them {2_048 * per_token / 1e9:.1f} GB")

# %% [markdown]
r"""
Much of what distinguishes today's blocks from yours makes this smaller: several heads share their keys and
values (Shazeer 2019; Ainslie et al. 2023), or keys and values are stored compressed (DeepSeek-AI 2024).

## Scale, and how we got here

**Predict.** From the LSTM translator of 2014 to GPT-3 in 2020, by what factor did the number of parameters
grow?
"""

# %%
MODELS = [  # year, name, parameters, on a line of its own: the source
    (2014.7, "LSTM translator", 384e6),  # Sutskever et al. 2014, section 3.4
    (2017.5, "Transformer (big)", 213e6),  # Vaswani et al. 2017, table 3
    (2018.5, "GPT", 117e6),  # Radford et al. 2019, table 2
    (2018.8, "BERT (large)", 340e6),  # Devlin et al. 2019, section 3
    (2019.1, "GPT-2", 1.5e9),  # Radford et al. 2019
    (2019.8, "T5", 11e9),  # Raffel et al. 2020
    (2020.4, "GPT-3", 175e9),  # Brown et al. 2020, table 2.1
    (2022.3, "PaLM", 540e9),  # Chowdhery et al. 2022
    (2024.6, "Llama 3.1", 405e9),  # Llama Team 2024
    (2025.0, "DeepSeek-V3", 671e9),  # DeepSeek-AI 2024; 37e9 of them per token
    (2025.5, "Kimi K2", 1.04e12),  # Kimi Team 2025; 32e9 of them per token
]
_, ax = plt.subplots(figsize=(8, 4), layout="constrained")
for year, name, parameters in MODELS:
    ax.plot(year, parameters, "o", color="#0173b2")
    ax.annotate(name, (year, parameters), xytext=(5, -10), textcoords="offset points", size=8)
ours = sum(p.numel() for p in gpt.parameters())
ax.axhline(ours, color="#d55e00", lw=1, ls=":")
ax.annotate(f"our GPT: {ours:,}", (2014.5, 1.3 * ours), size=8)
ax.set(yscale="log", xlabel="year", ylabel="parameters", xlim=(2014, 2027))
Figure(finish(ax), "Parameters of published models by year on a logarithmic axis: from 384 million in 2014 "
       "to a trillion in 2025. Our GPT has about a hundred thousand.")  # fmt: skip

# %% [markdown]
r"""
*Published numbers of parameters; many companies no longer publish theirs. In DeepSeek-V3 and Kimi K2 each
token uses only a part: 37 and 32 billion.*

**What happened.** From 384 million to 175 billion: a factor of about 450 in six years. Then size alone
stopped being the story.

| year | step | source |
| --- | --- | --- |
| 2014 | attention: the decoder looks back at the source | Bahdanau et al. 2015 |
| 2017 | the Transformer: no recurrence, "Attention Is All You Need" | Vaswani et al. 2017 |
| 2018 | pretraining: GPT from the left, BERT from both sides | Radford et al.; Devlin et al. 2019 |
| 2020 | loss falls predictably with size, data and computing | Kaplan et al. 2020 |
| 2020 | GPT-3 learns a task from examples in its prompt | Brown et al. 2020 |
| 2022 | data should grow as fast as size | Hoffmann et al. 2022 |
| 2022 | training on instructions and human preferences; ChatGPT | Ouyang et al. 2022 |
| 2023 | weights that anybody can download: Llama | Touvron et al. 2023 |
| 2024 | experts, of which each token uses a few | DeepSeek-AI 2024 |
| 2025 | reinforcement learning teaches models to reason before they answer | DeepSeek-AI 2025 |

A GPT that has only read continues text: ask it a question, and it may answer with more questions. What made
it an assistant is the step of 2022: fine-tuning on examples of instructions and answers, then on what people
prefer (Ouyang et al. 2022). The block stayed.

**What stayed since lesson 02:** compare a query with keys, softmax, blend the values, use the result. In
seq2seq, attention was a turning point. In the Transformer it is all that is left of the recurrence, and it is
the basis of GPT and BERT.

## Check yourself

Answer aloud, then unfold.

**Think.** A friend trains a GPT and forgets the causal mask. Its training loss is nearly zero, and what it
writes is noise. Why?

<details><summary>One answer</summary>

Each position could see its own target, the next word, and learned to copy it. When it writes, the next word
isn't there yet, and it has learned nothing else.

</details>

**Think.** You want to find all reviews that complain about the service. GPT or BERT?

<details><summary>One answer</summary>

The whole review is there, so a model that sees both sides gives better states per parameter, and a few labels
are enough to fine-tune it. A large GPT with a prompt can do it as well, at a higher cost.

</details>

**Think.** Our translator has never seen a French text alone. Which sentence could it not write?

<details><summary>One answer</summary>

Nearly any that isn't a restaurant review: its words are those of the small world. Large models translate from
a prompt because the web holds many languages, and pages in two of them.

</details>

## Looking back

- One block, and a residual stream it only adds to. A mask and a target turn it into an encoder-decoder, a GPT
  or a BERT.
- GPT predicts the next word, so it can write; temperature and top-k decide how boldly. BERT sees both sides,
  so it understands more of a text that is already there.
- Pretraining on plain text makes few labels go far. With a prompt, the text itself becomes the task.
- Writing is cheap per word thanks to the cache, and long texts stay expensive: $n^2$.

**One thing to try.** Give `LanguageModel` one block instead of two and train the translator again. Does the
BLEU fall, and what happens to the map?

Now write the four functions yourself, in **exercise 08**. Then real text, in lesson 09.
"""
