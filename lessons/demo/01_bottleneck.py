# %% [markdown]
r"""
# 01 · The bottleneck

**Can one vector hold a whole sentence?**

A machine that translates can be built from two recurrent networks: an *encoder* reads the sentence and sums
it up in one vector, and a *decoder* writes the translation from that vector. It works, and it breaks, and
the way in which it breaks is the reason why attention was invented.

You will

- **measure** how translation falls apart as sentences grow, and that a wider vector does not mend it,
- **probe** the vector for the words that it has lost,
- **compare** it with a decoder that may look back at the sentence.

About 25 minutes. You need to know what a recurrent network and a training loss are; nothing about language
is assumed.
"""

# %% [markdown]
r"""
## The telephone game

Somebody listens to a whole story and whispers one sentence to the next person, who has to tell the story
again. With a short story this goes well. With a long one, details are gone for good, and nobody further
down the line can bring them back, however clever they are.

That is the situation of our decoder. Take

> the restaurant was amazing but the service was slow

To write *restaurant* it must know that the first half spoke of a restaurant. To write *lent*, "slow", it
must know that something was slow, and that this something was *le service*, which is masculine in French: a
slow soup would be *lente*. All that it ever gets is one vector, the same one for every word that it writes.
It sits a **closed-book exam**: it has read the text once, the text has been taken away, and now it must
write from memory.
"""

# %%
import torch

from utils.metrics import bleu_by_length
from utils.models import Seq2Seq, translate
from utils.plotting import Figure, plot_by_length, plot_curves
from utils.text import encoded_reviews
from utils.training import in_parallel, seed_everything, train

# %% [markdown]
r"""
## A small world

The course has a world of its own: restaurant reviews in English and French, made by a grammar. It is small
enough that a laptop can learn it in seconds, and it has what makes translation hard: adjectives that change
places, articles and adjectives that agree with a noun, *not* that becomes two words around the verb.
Sentences are built from clauses, joined by words such as *but* and *because*, so we can make them as long
as we like.
"""

# %%
encoded = encoded_reviews()
corpus = encoded.corpus
print(corpus, "\n")
for row in [i for i, clauses in enumerate(corpus["test"].clauses) if clauses == 2][:3]:
    print(corpus["test"].src[row], "\n  ", corpus["test"].tgt[row])

# %% [markdown]
r"""
`train` is what the models learn from, and `test` has other sentences of the same lengths. `long` has
sentences longer than any in `train`: we come back to it.

**Predict.** The encoder below reads a review of 3 words and one of 38. Its decoder state, 96 numbers, is
all that the decoder gets. How many numbers does the decoder get for the short review, and how many for the
long one?
"""

# %%
reviews = sorted(encoded.tokens("test", "src"), key=len)
model = Seq2Seq(len(encoded.src_vocab), len(encoded.tgt_vocab), "none", embed_dim=64, hidden_dim=96)

for tokens in (reviews[0], reviews[-1]):
    src = torch.tensor([encoded.src_vocab.encode(tokens)])
    _, decoder_state = model.encoder(src, torch.tensor([len(tokens)]))
    print(f"{len(tokens):>2} words -> a vector of {decoder_state.numel()} numbers")

# %% [markdown]
r"""
The same for both: this is the **bottleneck**. For the short review there are dozens of numbers a word, for
the long one a few. Whether that is too few is not a question of counting, though (a number can hold a lot),
but of what a network learns to do with them. So we measure it.

## The experiment

Two translators, as alike as we can make them: same encoder, same cells, same sizes, same training sentences
in the same order, same number of updates. They differ in one thing.

- **No attention**: the decoder gets the one vector, and nothing else.
- **Attention**: at each word that it writes, the decoder may also look back at the encoder's states of
  *all* source words, an **open-book exam**. How it looks is the subject of lesson 02; here it is a closed
  box.

We score translations with **BLEU**: it compares runs of one to four words with a reference translation, 100
is a perfect match. Each model is trained three times from other random numbers (*seeds*), so that we can
tell a finding from luck.
"""

# %%
BUDGET = {"updates": 600, "batch_tokens": 1_200, "learning_rate": 7e-3, "curriculum": 0.6}
BUDGET["validate_every"] = BUDGET["updates"]  # once, at the end


def run(attention, hidden_dim, seed):
    """Train one translator; return it with its translations of the splits test and long."""
    encoded = encoded_reviews()
    seed_everything(seed)
    model = Seq2Seq(len(encoded.src_vocab), len(encoded.tgt_vocab), attention, 64, hidden_dim)
    train(model, encoded, seed=seed, progress=False, **BUDGET)
    src = encoded.tokens("test", "src") + encoded.tokens("long", "src")
    return model, [" ".join(done.tokens) for done in translate(model, encoded, src)]


# %% [markdown]
r"""
**Predict.** For reviews of one clause, will the model without attention be as good as the one with it? And
at five clauses, within the lengths that both were trained on, what do you expect from each: above 90,
around 50, below 20?

The next cell trains these six models, and two more of other widths for a later question, two at a time. It
takes a minute or two.
"""

# %%
jobs = [{"attention": "bahdanau", "hidden_dim": 96, "seed": seed} for seed in range(3)]
jobs += [{"attention": "none", "hidden_dim": width, "seed": 0} for width in (96, 48, 24)]
jobs += [{"attention": "none", "hidden_dim": 96, "seed": seed} for seed in (1, 2)]
runs = in_parallel(run, jobs)

references = corpus["test"].tgt + corpus["long"].tgt
words = [len(sentence.split()) for sentence in corpus["test"].src + corpus["long"].src]
clauses = corpus["test"].clauses + corpus["long"].clauses


def chosen(attention, hidden_dim=96):
    """The runs of one kind, by seed."""
    kind = {"attention": attention, "hidden_dim": hidden_dim}
    return [run for run, job in zip(runs, jobs, strict=True) if kind.items() <= job.items()]


def by(lengths, edges, attention):
    """BLEU in each bin of length, for every seed."""
    return [
        bleu_by_length(lengths, written, references, edges, n_bootstrap=0) for _, written in chosen(attention)
    ]


# %%
edges = [3, 9, 17, 25, 32, 39, 51, 66, 81]
ax = plot_by_length({name: by(words, edges, name) for name in ("bahdanau", "none")}, trained_up_to=38)
Figure(
    ax,
    "BLEU against the number of source words. With attention the curve stays high up to 38 words, the "
    "longest in training, and falls beyond. Without attention it starts far lower and keeps falling.",
)

# %% [markdown]
r"""
*BLEU by length: the mean of three seeds, and a band from the worst to the best of them; n is the number of
sentences. (The legend names the kind of attention; lesson 02 says what it means.)*

The same by clauses, in numbers:
"""

# %%
bins = [1, 2, 3, 4, 5, 6, 7, 9, 13]
with_attention, without = by(clauses, bins, "bahdanau"), by(clauses, bins, "none")

print("clauses  sentences   no attention, 3 seeds   attention, 3 seeds")
for i, ((first, last), score) in enumerate(without[0]):
    label = f"{first}" if first == last else f"{first}-{last}"
    closed = "  ".join(f"{seed[i][1].score:5.1f}" for seed in without)
    opened = "  ".join(f"{seed[i][1].score:5.1f}" for seed in with_attention)
    longer = "   longer than trained" if first > 5 else ""
    print(f"{label:>7}{score.sentences:>11}{closed:>24}{opened:>21}{longer}")

# %% [markdown]
r"""
**Reflect.** Without attention, the translation of a five-clause review has little to do with its source,
although the model has seen thousands of such reviews; with attention, length hardly matters up to the
longest one in training. Beyond it, attention falls as well, only later: it removes the bottleneck, and not
every difficulty with length. What the curves do *not* show is that the one vector could never do it. With
this training, it does not.

How does it fail? Here is one review of five clauses, and what both models of the first seed make of it.
"""

# %%
row = clauses.index(5)
print("source       ", corpus["test"].src[row])
print("reference    ", references[row])
print("no attention ", chosen("none")[0][1][row])
print("attention    ", chosen("bahdanau")[0][1][row])

# %% [markdown]
r"""
The text without attention is good French and a plausible review. It is just not a translation of *this*
one: the decoder has learned how reviews go, and fills in what its memory does not hold.

## A wider vector only moves the cliff

**Predict.** An obvious remedy is a wider vector. Take vectors of 24, 48 and 96 numbers: does the curve
become flat, as with attention? Or does it keep its shape and shift?
"""

# %%
curves = {}
for attention, width in [("none", 24), ("none", 48), ("none", 96), ("bahdanau", 96)]:
    _, written = chosen(attention, width)[0]
    rows = bleu_by_length(clauses, written, references, bins, n_bootstrap=300)
    name = f"{'no attention' if attention == 'none' else 'attention'}, {width} wide"
    curves[name] = [rows]
    print(f"{name:<23}", "  ".join(f"{score.score:5.1f}" for _, score in rows))

# %%
ax = plot_by_length(curves, unit="clauses", trained_up_to=5)
Figure(
    ax,
    "BLEU against the number of clauses for vectors of 24, 48 and 96 numbers without attention, and a "
    "curve with attention. Without attention all three fall steeply from one clause to five.",
)

# %% [markdown]
r"""
*The same experiment with vectors of three widths, one seed each; bands are 95% intervals from resampling
the sentences.*

The widest vector does best, at the price of a larger model, and all three curves fall as sentences grow.
Sentences have no longest length, but a vector has a width: wherever we set it, there is a sentence just
beyond. (One seed each: the order of two neighbouring curves may be luck, their falling is not.)

## What did the vector lose?

We can ask the vector. A **probe** is a small classifier that gets only the vector and must say which word
stood at a given place of the source, say the third, or the third from the end. Ours is linear, one for each
place, fitted on 6,000 training reviews and scored on the test reviews. If the word can be read off, the
vector holds it in plain sight.

A probe can also be right without reading anything: the first word is often *the*. So it stands beside two
controls: the most frequent word of each place, and a probe of the same shape on the vectors of an
*untrained* encoder.
"""

# %%
PLACES = [*range(12), *range(-12, 0)]  # the first twelve words, and the last twelve


@torch.no_grad()
def vectors_and_words(model, split, rows):
    """The decoder's first state and a constant 1, (reviews, hidden + 1), and the words, (reviews, places)."""
    batch = encoded.batch(split, rows)
    _, decoder_state = model.encoder(batch.src, batch.src_lengths)
    ends = batch.src_lengths[:, None] - 1  # the end token is no word
    places = torch.tensor(PLACES)
    index = torch.where(places >= 0, places, ends + places)
    words = batch.src.gather(1, index.clamp(0)).masked_fill((index < 0) | (index >= ends), -1)
    return torch.cat([decoder_state, torch.ones(len(rows), 1)], dim=1), words


def recovered(model):
    """For each test review and place: 1 where a probe names the right word, else 0; NaN past its end."""
    train_vectors, train_words = vectors_and_words(model, "train", range(6_000))
    test_vectors, test_words = vectors_and_words(model, "test", range(len(corpus["test"])))
    right = torch.full(test_words.shape, torch.nan)
    for place in range(len(PLACES)):
        x = train_vectors[train_words[:, place] >= 0]
        word = torch.eye(len(encoded.src_vocab))[train_words[train_words[:, place] >= 0, place]]
        probe = torch.linalg.solve(x.T @ x + 0.1 * torch.eye(x.shape[1]), x.T @ word)  # ridge regression
        right[:, place] = ((test_vectors @ probe).argmax(-1) == test_words[:, place]).float()
    return right.masked_fill(test_words < 0, torch.nan)


# %% [markdown]
r"""
**Predict.** Think of a review of five clauses, 25 words or more. Which of its words will the trained vector
still hold: those at the beginning, in the middle, at the end, or a little of all?
"""

# %%
_, train_words = vectors_and_words(model, "train", range(6_000))
_, test_words = vectors_and_words(model, "test", range(len(corpus["test"])))
commonest = torch.stack([words[words >= 0].mode().values for words in train_words.T])
frequent = (test_words == commonest).float().masked_fill(test_words < 0, torch.nan)
found = {
    "trained": recovered(chosen("none")[0][0]),
    "untrained (control)": recovered(model),
    "most frequent word (control)": frequent,
}

five = torch.tensor(corpus["test"].clauses) == 5
print("words that can be read off the vector, in reviews of five clauses")
for name, right in found.items():
    first, middle, last = (right[five][:, at].nanmean() for at in ([0, 1, 2], range(9, 15), [-3, -2, -1]))
    print(f"{name:<30} first three {first:4.0%}   10th to 12th {middle:4.0%}   last three {last:4.0%}")

# %%
names = [str(place + 1) if place >= 0 else str(place) for place in PLACES]
ax = plot_curves(
    {name: right[five].nanmean(0) for name, right in found.items()},
    x=names,
    xlabel="place in the source: from the start, then from the end (-1 is the last word)",
    ylabel="words recovered (share)",
)
Figure(
    ax,
    "Share of words that a linear probe reads off the vector, by place in reviews of five clauses. Both the "
    "trained and the untrained vector give the first three or so, then both fall to the level of always "
    "guessing the most frequent word; at the end of the review only the untrained one rises again.",
)

# %% [markdown]
r"""
*Words recovered by place, in reviews of five clauses.*

**Reflect.** The first words are there, and a few places further on the probe knows no more than a guess. The
untrained encoder, whose memory is what any recurrent network has, holds the first words as well, and the
last ones too: here training has not made the memory larger, it has chosen the words that are needed first.
One limit: a linear probe sees only what lies in plain sight.

## Open the book

Nothing forces us to throw the encoder's states away. While reading, it made one for each word; the
closed-book decoder never sees them. Attention keeps them all and lets the decoder choose, anew for each
word it writes, which of them matter now. Imagine a writer who had been given a one-paragraph summary and
gets the whole book back.

That shortcut is what the upper curve above is made of, and how it works is the next lesson.
"""

# %% [markdown]
r"""
## In three lines

- A plain encoder-decoder squeezes every sentence into one vector of fixed size; long sentences lose words.
- A wider vector moves the point where it breaks, and does not remove it.
- Attention keeps all encoder states and looks back at them; within trained lengths, length stops mattering.

**One thing to try.** Set `"updates"` in `BUDGET` to 1,200 and run the notebook again. Which of the two
curves gains more, and at which lengths?

<details><summary><b>Check yourself:</b> why does more training not remove the bottleneck?</summary>

The vector keeps its width. Training can make better use of it, and the curve rises, but there is always a
length beyond which what must be remembered does not fit into what the network has learned to store.

</details>

<details><summary><b>Check yourself:</b> why must both models have the same sizes?</summary>

A larger model or a longer training improves both. If they differ too, we cannot say which difference made
the curves part. Here the two differ in attention only (and in the one small layer that merges the context
into the state).

</details>

Next: **lesson 02, the spotlight**, opens the box.
"""
