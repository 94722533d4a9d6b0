# %% [markdown]
r"""
# 08 · From the Transformer to GPT and BERT

**How does a translator become a model that talks?**

The Transformer of 2017 was built to translate. Today nearly the same block writes answers, code and poems.
What changed is *who may look at whom* (the grids below) and *what is predicted*.

![Three models side by side, each with its mask. Encoder-decoder: two stacks of blocks, the first sees all of
the source, the second only earlier target words. Decoder-only: one stack, each word sees itself and earlier
words. Masked: one stack, every word sees every word.](../figures/three_models.svg)

You will

- **read** a Transformer block, 20 lines of code, and turn it into a GPT and a BERT with a mask,
- **train** a small GPT that writes restaurant reviews and a small BERT that fills in blanks,
- **explain** what pretraining, prompts and scale add, and what is still the attention of demo 02.

About 45 minutes. Running everything takes about two minutes, most of it for training three small models. You
need self-attention, heads and positions from demo 07. Answer each question before you open its result.
"""

# %%
import torch
from torch import nn

from utils.data.reviews import nouns
from utils.language_models import fit, generate, mask_tokens, next_word_batch, probe
from utils.metrics import bleu
from utils.plotting import Figure, plot_attention, plot_curves
from utils.text import BOS_ID, EOS_ID, PAD_ID, SPECIALS, Vocabulary, encoded_reviews
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

![One vector per word runs straight up: the residual stream. On its way, attention reads a normalized copy and
adds its result, then the feed-forward network does the same.](../figures/block.svg)

**Attention** is the only place where words exchange information: the four steps of demo 02. The
**feed-forward network** works on each word by itself, the same network for every word. A **layer norm**
brings the numbers of a vector to one scale before each part reads them.

Where the norm stands has changed. The Transformer of 2017 normalized after the sum, $x \leftarrow
\operatorname{norm}(x + \operatorname{part}(x))$, which is called **post-norm**. It interrupts the line, and
deep stacks trained that way need a learning rate that starts small (*warm-up*). With **pre-norm**, as above,
the line runs through untouched, and training is steadier (Xiong et al. 2020). GPT-2 and most large models
since then use pre-norm.
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
four times its size and brings it back. What share of the block's parameters does the network have?
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
**What happened.** The network has two thirds: $8h^2$ numbers against $4h^2$, and a few biases. The same holds
for large models with these proportions. Attention decides where information flows; most numbers sit in the
part that works on one word at a time.
"""

# %% claim
assert network > attention and round(network / (attention + network), 2) == 0.67

# %% [markdown]
r"""
## One block, three masks

In their self-attention, the blocks of the three models differ in one thing only: the mask, drawn as a grid in
the picture above. A row is a word that looks, and the colored cells are those it may look at.

An **encoder-decoder** has two stacks. The blocks of the second one also look from the target at the source,
the orange arrow. **GPT** drops the encoder and treats everything as one text. **BERT** drops the decoder: it
sees everything at once, and so it cannot write from left to right.

The rest of the model is small: embeddings plus positions at the bottom, a layer that scores the vocabulary
at the top, and one more norm before it, since nothing normalizes the end of the line.
"""


# %%
def everyone(length):
    """Return the mask in which every word sees every word. (`causal_mask` was imported.)"""
    return torch.ones(length, length, dtype=torch.bool)


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
## Train two GPTs and a BERT

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
    "GPT": {"mask": causal_mask, "updates": 1_500, "batch_tokens": 700},
    "BERT": {"mask": everyone, "updates": 2_000, "batch_tokens": 1_400},
    "translator": {"mask": causal_mask, "updates": 1_200, "batch_tokens": 1_400},
}


def texts_and_batches(name):
    """Return the ids of all training texts of a model, and what makes inputs and targets of a batch."""
    if name == "translator":
        pairs = zip(ENGLISH, FRENCH, strict=True)
        texts = [[BOS_ID, *BOTH.encode([*en, "<sep>", *fr]), EOS_ID] for en, fr in pairs]
    else:
        texts = [[BOS_ID, *WORDS.encode(review), EOS_ID] for review in ENGLISH]
    if name == "BERT":
        special = PAD_ID, BOS_ID, EOS_ID
        return texts, lambda ids: mask_tokens(ids, WORDS.ids["<mask>"], special, share=0.3)
    return texts, lambda ids: next_word_batch(ids, PAD_ID)


def learn(name, mask, updates, batch_tokens, seed=0):
    """Train one model."""
    seed_everything(seed)
    model = LanguageModel(len(BOTH if name == "translator" else WORDS), mask)
    return fit(model, *texts_and_batches(name), updates, batch_tokens)


# %%
models = dict(zip(KINDS, in_parallel(learn, [{"name": n, **kind} for n, kind in KINDS.items()]), strict=True))
gpt, bert, translator = models.values()

# %% [markdown]
r"""
## GPT: a next word, again and again

A language model gives a probability to every word of its vocabulary. Here is what our GPT expects after
three beginnings.

**Predict.** After *the waiters broke the*, how many of the {words:d} words get more than 5%?
"""

# %% claim
numbers["words"] = len(REVIEWS.src_vocab) - len(SPECIALS)


# %%
@torch.no_grad()
def next_word(beginning):
    """Return the probabilities (vocab,) of the word that follows."""
    ids = torch.tensor([[BOS_ID, *WORDS.encode(beginning.split())]])
    return gpt(ids)[0, -1].softmax(-1)


def best(probabilities):
    """Name the five likeliest words."""
    return ", ".join(f"{WORDS.tokens[i]} {p:.0%}" for p, i in zip(*probabilities.topk(5), strict=True))


for beginning in "the waiters broke the", "the waiters were bad because", "the soup was":
    probabilities = next_word(beginning)
    print(f"{beginning:<30}{int((probabilities > 0.05).sum())} above 5%:  {best(probabilities)}")

# %% [markdown]
r"""
**What happened.** Two things can be broken in our small world, a plate and a glass, and GPT has found both.
After *because* it writes *they*, since the subject was plural. *The soup was* leaves many words open: a good
model is only as sure as the text allows.
"""

# %% claim
broken, pronoun = next_word("the waiters broke the"), next_word("the waiters were bad because")
assert set(WORDS.tokens[i] for i in broken.topk(2).indices) == {"plate", "glass"}
assert (broken > 0.05).sum() == 2 and WORDS.tokens[pronoun.argmax()] == "they"
assert (next_word("the soup was") > 0.02).sum() > 5, "many words are open"

# %% [markdown]
r"""
### Temperature decides how boldly to write

To write, draw a word, append it, and ask again. **Top-k** allows only the $k$ most likely words, and the
**temperature** τ (the $T$ of demo 02) divides the scores before the softmax:

$$p_w = \frac{e^{z_w / \tau}}{\sum_v e^{z_v / \tau}}$$

**Predict.** We draw three reviews at each of τ = 0.1, 1 and 2. What will be wrong at 0.1, and what at 2?
"""


# %%
@torch.no_grad()
def write(beginning="", temperature=1.0, top_k=None, reviews=3):
    """Continue a beginning several times; return the reviews as lists of words."""
    prompt = torch.tensor([[BOS_ID, *WORDS.encode(beginning.split())]] * reviews)
    generator = torch.Generator().manual_seed(0)
    ids = generate(lambda ids: gpt(ids)[:, -1], prompt, EOS_ID, 40, temperature, top_k, generator)
    return [WORDS.decode(row) for row in ids.tolist()]


for temperature in 0.1, 1, 2:
    print(f"temperature {temperature}")
    for review in write(temperature=temperature):
        print("   ", " ".join(review))

# %% [markdown]
r"""
**What happened.** At 0.1 the reviews sound alike: safe words, over and over. At 2 the sentences fall apart.
At 1 the model talks like the reviews it has read.
"""

# %% [markdown]
r"""
Is it reciting them? We draw 100 reviews per temperature and measure **fluency**, the share of three words in
a row that occur in the training text, and **variety**, the share of the vocabulary that is used.
"""

# %%
SEEN = set(map(tuple, ENGLISH))
TRIPLES = {triple for review in ENGLISH for triple in zip(review, review[1:], review[2:], strict=False)}
TEMPERATURES = [0.1, 0.4, 0.7, 1.0, 1.4, 2.0]
drawn = [write(temperature=temperature, reviews=100) for temperature in TEMPERATURES]
rates = {"fluency": [], "variety": []}
for reviews in drawn:
    triples = [t for review in reviews for t in zip(review, review[1:], review[2:], strict=False)]
    rates["fluency"].append(100 * sum(t in TRIPLES for t in triples) / max(1, len(triples)))
    rates["variety"].append(100 * len({word for review in reviews for word in review}) / len(WORDS))
copied = sum(tuple(review) in SEEN for review in drawn[3])
print(f"at temperature 1, {copied} of 100 reviews occur in the training text")
ax = plot_curves(rates, TEMPERATURES, "temperature", "percent")
Figure(
    ax,
    "Two curves against temperature from 0.1 to 2. Fluency stays near 100 percent up to 1 and then falls "
    "steeply. Variety rises steeply up to 1 and then stays nearly level.",
)

# %% [markdown]
r"""
*Fluency (known triples) and variety (words used) of 100 reviews at each temperature.*

Up to a temperature of 1, variety rises and costs little fluency. Beyond 1, fluency falls and variety gains
little. And the model doesn't recite: most reviews at temperature 1 are new. With a **prompt**, we decide how
a review begins:
"""

# %% claim
fluency, variety = rates.values()
assert fluency[0] > 90 and fluency[-1] < fluency[3] - 10, "too hot: sentences fall apart"
assert variety[0] < 0.5 * variety[3], "too cold: few words"
assert copied < 50

# %%
for beginning in "the soup was delicious but", "we waited", "my daughter loved the":
    print(" ".join(write(beginning, temperature=0.8, top_k=10, reviews=1)[0]))

# %% [markdown]
r"""
## BERT: a blank, from both sides

A masked model can't continue a text, but it sees both sides of a gap.

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


for sentence in "the ___ broke a glass", "we ___ the bill", "the waiters were bad because ___ were slow":
    print(sentence)
    print("    BERT", best(fill_in(sentence)))
    print("    GPT ", best(next_word(sentence.split(" ___")[0])))

# %% [markdown]
r"""
**What happened.** In our small world, only the staff breaks glasses, and BERT sees the glass to the right of
the blank. GPT has read nothing but *the*, and spreads its bet over many words.
"""

# %% claim
STAFF = {"waiter", "waitress", "waiters", "chef", "owner"}
filled = fill_in("the ___ broke a glass")
assert sum(filled[WORDS.ids[word]] for word in STAFF) > 0.8
assert next_word("the").max() < 0.3

# %% [markdown]
r"""
Is this so in general? We hide one word in each of 500 test reviews. BERT sees the rest; GPT sees the words
before it.
"""

# %%
generator, found = torch.Generator().manual_seed(0), []
for words in REVIEWS.tokens("test", "src")[:500]:
    ids = torch.tensor([[BOS_ID, *WORDS.encode(words), EOS_ID]])
    place = int(torch.randint(1, len(words) + 1, (), generator=generator))
    blank = ids.clone()
    blank[0, place] = WORDS.ids["<mask>"]
    with torch.no_grad():
        guesses = gpt(ids[:, :place])[0, -1].argmax(), bert(blank)[0, place].argmax()
    found.append([int(guess == ids[0, place]) for guess in guesses])
hits = 100 * torch.tensor(found).float().mean(0)
print(f"found: GPT {hits[0]:.0f}%, BERT {hits[1]:.0f}%")

# %% [markdown]
r"""
BERT finds {hits[bert]:.0f}% and GPT {hits[gpt]:.0f}%: two sides say more than one. That is why such models
are used where the whole text is there from the start: to search, to classify, to find names. To *write*, the
right side is missing, and GPT's way is the one that works.

### What pretraining adds: few labels go far

Both have learned from text without labels. Does this help with a task that has labels, but few? Here is one:
*does this review speak of something you can eat or drink?* We take reviews such as *the lamb was very dry*,
label some of them, and test on reviews whose noun has **never had a label**. Three readers turn a review into
numbers, and the same linear classifier (`probe`) learns from each:

- **bag of words**: which words occur;
- **untrained**: the states of a model of BERT's size with random parameters, averaged over the words;
- **pretrained**: the same with our BERT, whose parameters don't change.

**Predict.** With 10 labels, how often will each be right? A coin is right half of the time.
"""

# %% claim
numbers["hits"] = {"gpt": hits[0], "bert": hits[1]}
assert hits[1] > hits[0] + 5

# %%
EDIBLE = {noun.en.split()[-1] for noun in nouns("order", "drink", "meal")}
SHORT = [r for r in ENGLISH if len(r) <= 7 and r[0] == "the" and r[2] in ("was", "were")][:600]
LABELS = torch.tensor([1.0 if review[1] in EDIBLE else -1.0 for review in SHORT])
NOUNS, COUNTS = [review[1] for review in SHORT], [5, 10, 20, 40]


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
few = {name: [100 * probe(x, LABELS, NOUNS, n) for n in COUNTS] for name, x in READERS.items()}
ax = plot_curves(few, COUNTS, "reviews with a label", "percent right, new nouns")
Figure(
    ax, "Accuracy against the number of labels. Pretrained is far above the other two, which stay near half."
)

# %% [markdown]
r"""
*Percent right on nouns without a label, by the number of labels.*

**What happened.** With 10 labels the pretrained states are right {few[10]:.0f}% of the time. The other two
hardly beat the coin: a noun without a label says nothing to them. BERT has met every noun in hundreds of
blanks, so it knows that *lamb* and *omelette* turn up in the same places, and a label for one teaches the
other.
"""

# %% claim
numbers["few"] = {str(count): value for count, value in zip(COUNTS, few["pretrained"], strict=True)}
assert few["pretrained"][1] > 70 and max(few["untrained"][1], few["bag of words"][1]) < 60
assert all(p > b + 15 for p, b in zip(few["pretrained"], few["bag of words"], strict=True))

# %% [markdown]
r"""
This is the recipe of 2018: **pretrain** once on much text, then **fine-tune** on few labels. GPT (Radford et
al. 2018) and BERT (Devlin et al. 2019) set the state of the art on task after task. Unlike in our experiment,
their parameters went on learning in the second step.

## A translator without an encoder

GPT-2 and GPT-3 went further: no training for the task, only a **prompt**. Write "English sentence =", and a
model that has read such pairs may continue in French (Radford et al. 2019). Our translator is a GPT that has
read nothing but *English \<sep\> French*. Give it everything up to the separator and let it continue.

**Predict.** It has no encoder, and self-attention is all it has. What BLEU will it reach on test reviews:
below 50, around 70, or above 90?
"""


# %%
@torch.no_grad()
def translate(words):
    """Continue the prompt *words <sep>* with the likeliest words."""
    prompt = torch.tensor([[BOS_ID, *BOTH.encode([*words, "<sep>"])]])
    ids = generate(lambda ids: translator(ids)[:, -1], prompt, EOS_ID, max_len=55, temperature=0)
    return BOTH.decode(ids[0, prompt.shape[1] :].tolist())


TEST = REVIEWS.corpus["test"][:150]
sources, references = ([s.split() for s in side] for side in (TEST.src, TEST.tgt))
score = bleu([" ".join(translate(words)) for words in sources], TEST.tgt, n_bootstrap=0).score
print(f"BLEU {score:.1f}")
for sentence in "the waitress was slow", "the soup was hot but the chef forgot the bread":
    print(f"{sentence}\n    {' '.join(translate(sentence.split()))}")

# %% [markdown]
r"""
**What happened.** Above 90. Demo 03 needed an encoder, a decoder and an attention between them. Here one
stack does it all, because the words of the source are simply *earlier words*.
"""

# %% claim
assert score > 90

# %% [markdown]
r"""
Then the alignments of demo 04 must be somewhere in its self-attention. At a position the model predicts the
**next** word, so to see where it looked to write *soupe*, take the row of the word *before* it. We draw these
rows with the columns of the source: last block, mean of the heads. The rest of each row's weight lies outside
the picture.

**Predict.** Will the brightest cell of each row lie on the gold link (framed)? Always, mostly, or rarely?
"""


# %%
@torch.no_grad()
def map_of(source, target):
    """Return the weights (tgt_len, src_len) at the positions that predict the target's words."""
    ids = torch.tensor([[BOS_ID, *BOTH.encode([*source, "<sep>", *target])]])
    _, weights = translator.states(ids)  # (1, heads, length, length)
    return weights[0].mean(0)[len(source) + 1 : -1, 1 : len(source) + 1]


rows = []  # per target word: is its brightest cell on a link, or right after one; is the diagonal on a link
for source, target, links in zip(sources, references, TEST.links, strict=True):
    for j, i in enumerate(map_of(source, target).argmax(-1).tolist()):
        even = round(j * (len(source) - 1) / max(1, len(target) - 1))
        rows.append([(i, j) in links, (i - 1, j) in links and (i, j) not in links, (even, j) in links])
linked, after, diagonal = (100 * torch.tensor(rows).float().mean(0)).tolist()
print(f"brightest on a linked word {linked:.0f}%, on the word after {after:.0f}%; diagonal {diagonal:.0f}%")

# %%
row = next(row for row, words in enumerate(sources) if 8 <= len(words) <= 10)
ax = plot_attention(map_of(sources[row], references[row]), sources[row], references[row], TEST.links[row])
Figure(ax, "An attention map of French words by English words, with frames at the gold links. Most of the "
       "brightest cells are framed; some are one word to the right of a frame.")  # fmt: skip

# %% [markdown]
r"""
**What happened.** Mostly: {look[linked]:.0f}% of the words have their brightest cell on a linked word, more
than a diagonal would get ({look[diagonal]:.0f}%), and in {look[after]:.0f}% it lies on the word right after.
Nobody told the model to align. A bright cell elsewhere need not be a mistake: *il* or *elle* depends on the
noun behind "it". And in the last block, a position holds more than one word: the first block has mixed in its
neighbors, so a look at the word *after* can still fetch the word itself.
"""

# %% claim
numbers["look"] = {"linked": linked, "after": after, "diagonal": diagonal}
assert linked > diagonal and linked + after > diagonal + 10 and linked < 90

# %% [markdown]
r"""
## What it costs

Each new word asks all earlier words. Must their keys and values be computed again?

**Predict.** Append words to a text of five. Which of the vectors at the first five positions change, in GPT
and in BERT?
"""

# %%
text = torch.tensor([[BOS_ID, *WORDS.encode(["the", "soup", "was", "cold", "but", "we", "liked"])]])
with torch.no_grad():
    for name in "GPT", "BERT":
        short, long = models[name].states(text[:, :5])[0], models[name].states(text)[0][:, :5]
        print(f"{name}: {int(((short - long).abs().amax(-1) > 1e-4).sum())} of 5 vectors change")

# %% [markdown]
r"""
**What happened.** In GPT none, in BERT all. With a causal mask, later words can't change the vectors of
earlier ones. So GPT computes the keys and values of a word **once** and keeps them: the **KV cache**. Without
it, writing $n$ words takes $1 + 2 + \dots + n$ passes of one word through the model, with it $n$.
"""

# %% claim
per_word = 2 * 96 * 12_288 * 2  # keys and values, blocks, numbers, bytes
numbers["cache"] = {"word": per_word / 1e6, "text": 2_048 * per_word / 1e9}
numbers["ours"] = sum(p.numel() for p in gpt.parameters())
with torch.no_grad():
    assert torch.allclose(gpt.states(text[:, :5])[0], gpt.states(text)[0][:, :5], atol=1e-4)
    assert ((bert.states(text[:, :5])[0] - bert.states(text)[0][:, :5]).abs().amax(-1) > 1e-4).all()

# %% [markdown]
r"""
Two costs stay: each word is still compared with all those before it, about $n^2/2$ comparisons in all, and
the cache takes memory. GPT-3 has 96 blocks and vectors of 12,288 numbers; with 2 bytes per number, the keys
and values of one token take {cache[word]:.1f} MB, and those of its 2,048 tokens {cache[text]:.1f} GB. Today's
blocks make this smaller: heads share their keys and values (Shazeer 2019), or store them in compressed form
(DeepSeek-AI 2024).

## How we got here, and what stayed

![Timeline. 2014: encoder-decoder, one vector for a sentence. 2014: attention, look back at all states. 2015:
dot-product attention. 2017: Transformer, attention without recurrence. 2018: GPT and BERT, pretrain on raw
text, then adapt. 2020: GPT-3, 175 billion parameters, learns from a prompt. 2022: ChatGPT, trained to follow
instructions. Today: large language models, the same four steps many times over.](../figures/timeline.svg)

| year | step | parameters | source |
| --- | --- | --- | --- |
| 2014 | sequence to sequence, one vector | 384 million | Sutskever et al. 2014 |
| 2014 | attention: the decoder looks back | | Bahdanau et al. 2015 |
| 2017 | "Attention Is All You Need" | 213 million | Vaswani et al. 2017 |
| 2018 | GPT: pretrain from the left, fine-tune | 117 million | Radford et al. 2018; size: 2019 |
| 2018 | BERT: pretrain from both sides, fine-tune | 340 million | Devlin et al. 2019 |
| 2019 | GPT-2: tasks as prompts | 1.5 billion | Radford et al. 2019 |
| 2020 | loss falls predictably with size, data and compute | | Kaplan et al. 2020 |
| 2020 | GPT-3: learns from examples in its prompt | 175 billion | Brown et al. 2020 |
| 2022 | Chinchilla: data should grow as fast as size | 70 billion | Hoffmann et al. 2022 |
| 2022 | InstructGPT: learns from instructions; soon after, ChatGPT | 175 billion | Ouyang et al. 2022 |
| 2024 | Llama 3.1: weights anybody can download | 405 billion | Llama Team 2024 |
| 2024 | DeepSeek-V3: experts, 37 billion parameters per token | 671 billion | DeepSeek-AI 2024 |
| 2025 | Kimi K2: experts, 32 billion parameters per token | 1.04 trillion | Kimi Team 2025 |
| today | our GPT, above | {ours:,d} | |

Years are those of the first publication, so a few papers carry a later one. Sizes are those of the largest
model of each paper. With *experts*, a block has many feed-forward networks and sends each token through a few
of them only. And size is only half of the story. A GPT that has only been pretrained continues a text: ask it
a question, and it may go on with more questions. What made it an assistant was the step of 2022, fine-tuning
on instructions with their answers and then on what people prefer. Since 2024, reinforcement learning also
trains models to reason at length before they answer (DeepSeek-AI 2025).

**What stayed since demo 02:** compare a query with keys, share out the weight, blend the values, combine.
In sequence-to-sequence models attention was the turning point. It began as an addition to recurrent
translators; the Transformer kept it and dropped the recurrence. GPT comes from its decoder, and BERT from its
encoder.

**Think.** A friend trains a GPT and forgets the causal mask. Its training loss is nearly zero, and what it
writes is noise. Why?

<details><summary>One answer</summary>

Each position could see its own target, the next word, and learned to copy it. When the model writes, the next
word isn't there yet, and it has learned nothing else.

</details>

## Check yourself

Answer aloud, then unfold.

<details><summary>How do GPT and BERT come from the Transformer?</summary>

GPT is its decoder, without the look at a source: with a causal mask, it predicts the next word. BERT is its
encoder: every word sees every word, and it predicts the words that are hidden.

</details>

<details><summary>Where in a block do words exchange information?</summary>

Only in attention. The feed-forward network and the norms work on each word by itself.

</details>

<details><summary>Why does GPT write, and not BERT?</summary>

When you write, there is nothing to the right yet. GPT has learned to do without it.

</details>

<details><summary>Why does pretraining help when labels are few?</summary>

The text has already taught the model which words are used alike. A label for one of them then says something
about the others.

</details>

<details><summary>Why can GPT keep the keys and values of earlier words?</summary>

With a causal mask, later words can't change the vectors of earlier ones, so their keys and values stay the
same.

</details>

## In four lines

- One block, and a residual stream that it only adds to. A mask and a target turn it into a GPT or a BERT; for
  an encoder-decoder, a look at the source comes on top.
- GPT predicts the next word, so it can write; temperature and top-k decide how boldly. BERT sees both sides,
  so it gets more out of a text that is already there.
- Pretraining on plain text makes few labels go far. With a prompt, the text itself becomes the task.
- With the cache, each word is computed only once, but still compared with all those before it: $n^2$.

**One thing to try.** Give `LanguageModel` one block instead of two and train the translator again. Does BLEU
fall, and what happens to the map?

Now write the four functions yourself, in **exercise 08**. Then real text, in demo 09.
"""
