# %% [markdown]
r"""
# 01 · The bottleneck

**Can one vector hold a whole sentence?**

A machine that translates can be built from two recurrent networks: an **encoder** reads the sentence and sums
it up in one vector, and a **decoder** writes the translation from that vector. From the **source** sentence
to the **target** sentence: such a pair is called a **sequence-to-sequence** model. It works, and it breaks,
and the way in which it breaks is the reason why attention was invented.

You will

- **measure** how translation falls apart as sentences grow, and where along the sentence,
- **probe** the vector for the words that it has lost, and make it wider,
- **compare** it with a decoder that may look back at the sentence.

About 30 minutes. Running everything takes a minute or two, most of it for training four models. You need
to know what a recurrent network and a training loss are; nothing about language is assumed. Terms stand in
**bold** where they are first explained, and [the glossary](../web/glossary.md) has them all. Before each
result there is a question: answer it before you run the cell.
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
import json
from pathlib import Path

import torch

import utils
from utils.metrics import bleu_by_length, mean_interval
from utils.models import Seq2Seq, last_states, translate
from utils.plotting import NAMES, Figure, plot_by_length, plot_curves, plot_intervals
from utils.text import PAD_ID, encoded_reviews
from utils.training import in_parallel, seed_everything, sequence_loss, train

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
sentences longer than any in `train`: we come back to it. A network reads **tokens**, here the words and signs
between spaces, each as a number, its place in a list of all that it knows, the **vocabulary**.

A recurrent network reads one token after the other and keeps a **state**, a vector that it updates at each.
The encoder's last state sums up the sentence. (Ours reads in both directions, so its summary is the last
state of each direction, side by side.) The decoder starts from this summary, and sees it again at every word
that it writes.

**Predict.** The encoder below reads a review of 3 words and one of 38. How many numbers does its summary have
for the short review, and how many for the long one?
"""

# %%
reviews = sorted(encoded.tokens("test", "src"), key=len)
model = Seq2Seq(len(encoded.src_vocab), len(encoded.tgt_vocab), "fixed", embed_dim=64, hidden_dim=96)

for tokens in (reviews[0], reviews[-1]):
    src = torch.tensor([encoded.src_vocab.encode(tokens)])
    encoder_states, _, mask = model.encode(src, torch.tensor([len(tokens)]))
    print(f"{len(tokens):>2} words -> a vector of {last_states(encoder_states, mask).numel()} numbers")

# %% [markdown]
r"""
The same for both: this is the **bottleneck**. For the short review there are dozens of numbers per word, for
the long one a few. Whether that is too few is not a question of counting, though (a number can hold a lot),
but of what a network learns to do with them. So we measure it.

## The experiment

Two translators, as alike as we can make them: same encoder, same decoder, same sizes, same training sentences
in the same order, same number of updates. At each word, the decoder puts a second vector beside its own
state, the **context**, and chooses the word from both. The two translators differ only in what the context
is.

- **Fixed context**, without attention: the encoder's summary, the same vector at every word.
- **Attention**: a new vector at every word, made by looking back at the encoder's states of *all* source
  words, an **open-book exam**. How it looks is the subject of lesson 02; here it is a closed box. The layer
  that does the looking is the only one that the other translator lacks.

We score translations with **BLEU**: it compares runs of one to four words with a **reference**, a right
translation, and 100 is a perfect match. We train each model with two random **seeds**, which draw its
first weights and its batches. If both agree, the result is unlikely to be luck.
"""

# %%
BUDGET = {"updates": 500, "batch_tokens": 1_400, "learning_rate": 1e-2, "curriculum": 0.6}
BUDGET["validate_every"] = BUDGET["updates"]  # once, at the end; a curriculum has shorter reviews first


def new_model(context, hidden_dim, seed):
    """A translator that has learned nothing; the seed draws its first weights."""
    encoded = encoded_reviews()
    seed_everything(seed)
    return Seq2Seq(len(encoded.src_vocab), len(encoded.tgt_vocab), context, 64, hidden_dim)


def learn(model, seed):
    """Train a translator; return it with its translations of the splits test and long."""
    encoded = encoded_reviews()
    train(model, encoded, seed=seed, progress=False, **BUDGET)
    src = encoded.tokens("test", "src") + encoded.tokens("long", "src")
    return model, [" ".join(done.tokens) for done in translate(model, encoded, src)]


def run(context, hidden_dim, seed):
    return learn(new_model(context, hidden_dim, seed), seed)


# %% [markdown]
r"""
**Predict.** For reviews of one clause, will the model with a fixed context be as good as the one with
attention? And at five clauses, within the lengths that both were trained on, what do you expect from each:
above 90, around 50, below 20?

The next cell trains these four models, two at a time. It takes about a minute.
"""

# %%
jobs = [dict(context=kind, hidden_dim=96, seed=seed) for kind in ("additive", "fixed") for seed in range(2)]
runs = in_parallel(run, jobs)
runs = {"additive": runs[:2], "fixed": runs[2:]}

references = corpus["test"].tgt + corpus["long"].tgt
words = [len(sentence.split()) for sentence in corpus["test"].src + corpus["long"].src]
clauses = corpus["test"].clauses + corpus["long"].clauses


def by(lengths, edges, context):
    """BLEU in each bin of length, for every seed."""
    texts = [written for _, written in runs[context]]
    return [bleu_by_length(lengths, written, references, edges, n_bootstrap=0) for written in texts]


# %%
edges = [3, 9, 17, 25, 32, 39, 51, 66, 81]
ax = plot_by_length({name: by(words, edges, name) for name in ("additive", "fixed")}, trained_up_to=38)
Figure(
    ax,
    "BLEU against the number of source words. With attention the curve lies far above the other one. It "
    "falls beyond 38 words, the longest in training. With a fixed context it starts lower and falls at once.",
)

# %% [markdown]
r"""
*BLEU by length: the mean of two seeds, and a band from the one to the other; n is the number of
sentences. ("additive" is the kind of attention; lesson 02 says what it means.)*

The same by clauses, in numbers:
"""

# %%
bins = [1, 2, 3, 4, 5, 6, 7, 9, 13]
with_attention, without = by(clauses, bins, "additive"), by(clauses, bins, "fixed")

print("clauses  sentences  fixed context, 2 seeds   attention, 2 seeds")
for i, ((first, last), score) in enumerate(without[0]):
    label = f"{first}" if first == last else f"{first}-{last}"
    closed = "  ".join(f"{seed[i][1].score:5.1f}" for seed in without)
    opened = "  ".join(f"{seed[i][1].score:5.1f}" for seed in with_attention)
    longer = "   longer than trained" if first > 5 else ""
    print(f"{label:>7}{score.sentences:>11}{closed:>24}{opened:>21}{longer}")

# %% [markdown]
r"""
**What happened.** With a fixed context, BLEU falls from {fixed[1]:.0f} at one clause to {fixed[5]:.0f} at
five, although the model has seen thousands of reviews with five clauses. Attention loses much less: it goes
from {attention[1]:.0f} to {attention[5]:.0f}. Beyond the longest review in training, attention falls as well.
It removes the bottleneck, but not every difficulty with length. The curves do *not* show that one vector
could never do it. With this training, it does not.

"""

# %% claim
closed, opened = (
    [sum(seed[i][1].score for seed in seeds) / len(seeds) for i in range(len(bins) - 1)]
    for seeds in (without, with_attention)
)
assert all(
    max(seed[i][1].score for seed in without) < min(seed[i][1].score for seed in with_attention)
    for i in range(len(bins) - 1)
)
assert closed[4] < closed[0] / 2 and opened[4] > 75 and opened[4] - closed[4] > 40
assert opened[5] < opened[4] - 10
numbers |= {"fixed": {1: closed[0], 5: closed[4]}, "attention": {1: opened[0], 5: opened[4]}}

# %% [markdown]
r"""
How does it fail? Here is one review of five clauses, and what both models of the first seed make of it.
"""

# %%
row = clauses.index(5)
print("source       ", corpus["test"].src[row])
print("reference    ", references[row])
print("fixed context", runs["fixed"][0][1][row])
print("attention    ", runs["additive"][0][1][row])

# %% [markdown]
r"""
The fixed context gives good French and a plausible review. But it soon stops being a translation of *this*
one: the decoder has learned how reviews go, and fills in what its memory does not hold.
"""

# %% claim
assert all(written[row] != references[row] for _, written in runs["fixed"])

# %% [markdown]
r"""
## Where along the sentence?

A sterner test: give the decoder the right words so far, and ask for the next one only. (This is how it was
trained: **teacher forcing**.) Then one mistake does not lead to the next, and we can count, for each place in
the translation, how often its next word is right.

A third curve tells us what is *guessing*: the same model with a fixed context, but with the source of
**another** review. What it still gets right, it gets right without knowing its source.

**Predict.** A review of five clauses has about 30 words. At which word of the translation will the model
with a fixed context come near the level of guessing: at the 5th, the 15th, or the end?
"""

# %%
five = [row for row, n in enumerate(corpus["test"].clauses) if n == 5]
batch = encoded.batch("test", five)


@torch.no_grad()
def next_word(model, shift=0):
    """Share of right next words by place in the translation; `shift` gives each review another's source."""
    src, src_lengths = batch.src.roll(shift, 0), batch.src_lengths.roll(shift)
    logits, _ = model(src, src_lengths, batch.tgt_in)
    right = (logits.argmax(-1) == batch.tgt_out).float().masked_fill(batch.tgt_out == PAD_ID, torch.nan)
    return right[:, :30].nanmean(0)


def mean_of(shares):
    return torch.stack(list(shares)).mean(0)


# %%
found = {
    "additive": mean_of(next_word(model) for model, _ in runs["additive"]),
    "fixed": mean_of(next_word(model) for model, _ in runs["fixed"]),
    "fixed context, another source (control)": mean_of(
        next_word(model, shift=1) for model, _ in runs["fixed"]
    ),
}
for name, share in found.items():
    first, next_, rest = share[:3].mean(), share[3:6].mean(), share[6:].mean()
    print(f"{NAMES.get(name, name):<40} words 1-3 {first:4.0%}   4-6 {next_:4.0%}   7-30 {rest:4.0%}")
ax = plot_curves(
    found, x=range(1, 31), xlabel="place in the translation (word)", ylabel="next word right (share)"
)
ax.set_ylim(0, 1.02)
Figure(
    ax,
    "Share of right next words by place in the translation of reviews of five clauses, up to the 30th. With "
    "attention it stays near one. With a fixed context it falls over the first six words, and then stays a "
    "little above the curve of the same model with another review's source.",
)

# %% [markdown]
r"""
*Right next words by place in the translation, reviews of five clauses, mean of two seeds.*

**What happened.** At the first three words the source is worth a lot: {own[first]:.0%} are right, against
{other[first]:.0%} with another review's source. From the 7th word on the two are closer, {own[rest]:.0%}
against {other[rest]:.0%}: most of what is right there could be guessed by a language model that knows how
reviews go, since grammar makes many words easy to guess; that is why a translation with a low BLEU can look
fluent. The curve does not say whether the words were never stored or could not be read out any more. For that
we ask the vector itself.
"""

# %% claim
own, other = found["fixed"], found["fixed context, another source (control)"]
parts = {"first": slice(3), "rest": slice(6, 30)}
own, other = ({part: float(share[at].mean()) for part, at in parts.items()} for share in (own, other))
assert own["first"] - other["first"] > max(0.4, 2 * (own["rest"] - other["rest"]))
assert other["rest"] > own["rest"] / 2 and found["additive"].mean() > 0.9
numbers |= {"own": own, "other": other}

# %% [markdown]
r"""
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
    """The fixed context and a constant 1, (reviews, hidden + 1), and the words, (reviews, places)."""
    batch = encoded.batch(split, rows)
    encoder_states, _, mask = model.encode(batch.src, batch.src_lengths)
    ends = batch.src_lengths[:, None] - 1  # the end token is no word
    places = torch.tensor(PLACES)
    index = torch.where(places >= 0, places, ends + places)
    words = batch.src.gather(1, index.clamp(0)).masked_fill((index < 0) | (index >= ends), -1)
    return torch.cat([last_states(encoder_states, mask), torch.ones(len(rows), 1)], dim=1), words


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
untrained = new_model("fixed", 96, seed=0)
_, train_words = vectors_and_words(untrained, "train", range(6_000))
_, test_words = vectors_and_words(untrained, "test", range(len(corpus["test"])))
commonest = torch.stack([words[words >= 0].mode().values for words in train_words.T])
frequent = (test_words == commonest).float().masked_fill(test_words < 0, torch.nan)
found = {
    "trained": recovered(runs["fixed"][0][0]),
    "untrained (control)": recovered(untrained),
    "most frequent word (control)": frequent,
}

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
ax.tick_params(axis="x", labelsize=7)
Figure(
    ax,
    "Share of words that a linear probe reads off the vector, by place in reviews of five clauses. Both the "
    "trained and the untrained vector give the first three or so, then both fall to the level of always "
    "guessing the most frequent word; at the end of the review both rise again, the untrained one higher.",
)

# %% [markdown]
r"""
*Words recovered by place, in reviews of five clauses, one seed.*

**What happened.** The trained vector gives {held[trained][0]:.0%} of the first three words, and
{held[trained][1]:.0%} of the 10th to 12th, where always guessing the most frequent word gives {guess:.0%}.
The untrained encoder, whose memory is what any recurrent network has, holds the words near both ends too. So
training has not made the memory larger. One limit: a linear probe sees only what lies in plain sight.
"""

# %% claim
at = [0, 1, 2], range(9, 15), [-3, -2, -1]
held = {name: [right[five][:, places].nanmean().item() for places in at] for name, right in found.items()}
assert held["trained"][0] > 0.6 and held["untrained (control)"][0] > 0.8
assert held["trained"][1] < 0.4 and held["untrained (control)"][1] < 0.25
assert held["untrained (control)"][2] > max(0.5, held["trained"][2])
numbers |= {"held": held, "guess": held["most frequent word (control)"][1]}

# %% [markdown]
r"""
## Whom does learning reach?

A network learns from its mistakes by **gradients**: for each source word, the gradient of the loss says how a
change of its vector would change the mistake. Where it is nearly zero, the mistake teaches nothing about that
word. With a fixed context, a gradient has one way back: into the one vector, and from there step by step
through the encoder.

**Predict.** Take models that have learned nothing yet, and the words in the middle of a long review. With a
fixed context, is their gradient about as large as that of the first words, a few times smaller, or more than
ten times smaller? And with attention?
"""


# %%
def gradients(model):
    """Length of the loss's gradient at each source word's vector: mean over reviews, for each of PLACES."""
    vectors = []
    hook = model.encoder.embedding.register_forward_hook(lambda *call: vectors.append(call[-1]))
    logits, _ = model(batch.src, batch.src_lengths, batch.tgt_in)
    hook.remove()
    loss = sequence_loss(logits, batch.tgt_out) * (batch.tgt_out != PAD_ID).sum()  # summed over all words
    norms = torch.autograd.grad(loss, vectors[0])[0].norm(dim=-1)  # (batch, src_len)
    places, ends = torch.tensor(PLACES), batch.src_lengths[:, None] - 1
    return norms.gather(1, torch.where(places >= 0, places, ends + places)).mean(0)


reach = {
    "additive": mean_of(gradients(model) for model, _ in runs["additive"]),
    f"{NAMES['additive']}, untrained": gradients(new_model("additive", 96, seed=0)),
    "fixed": mean_of(gradients(model) for model, _ in runs["fixed"]),
    f"{NAMES['fixed']}, untrained": gradients(untrained),
}
for name, norms in reach.items():
    first, tenth = norms[:3].mean(), norms[9:12].mean()
    print(f"{NAMES.get(name, name):<49} first three {first:.4f}   10th to 12th {tenth:.4f}")

# %%
ax = plot_curves(
    reach, x=names, xlabel="place in the source, as above", ylabel="length of the gradient", legend="above"
)
ax.figure.set_size_inches(7.6, 3.8)
ax.set_yscale("log")
ax.tick_params(axis="x", labelsize=7)
Figure(
    ax,
    "Length of the loss's gradient at each source word on a logarithmic axis, by place in reviews of five "
    "clauses. Untrained: with attention it is even; with a fixed context it falls from both ends to its "
    "lowest in the middle. Trained, the places differ less.",
)

# %% [markdown]
r"""
*How strongly each source word is told about the mistakes, trained (two seeds) and untrained (one).*

**What happened.** Look at the untrained models first (hollow markers), since that is where learning begins.
With a fixed context, what a word is told about the mistakes shrinks at each step from either end: the
**vanishing gradient**. The 10th to 12th words get less than a tenth of what the first three get. With
attention each source word has its own short way to every target word, and all are told alike. Training makes
up for some of it: in the trained model with a fixed context, the middle hears more.
"""

# %% claim
kept = {name: (norms[9:12].mean() / norms[:3].mean()).item() for name, norms in reach.items()}
assert kept[f"{NAMES['fixed']}, untrained"] < min(0.1, kept["fixed"] / 2)
assert 0.7 < kept[f"{NAMES['additive']}, untrained"] < 1.3

# %% [markdown]
r"""
## Would a wider vector do?

**Predict.** An obvious remedy is a wider vector. Take vectors of 24, 48, 96 and 192 numbers: does the curve
become flat, as with attention? Or does it keep its shape and shift?

Training each of them several times takes longer than a lesson should. It was done once with this lesson's own
functions, by the command in the first line, on the machine in the second.
"""

# %%
record = json.loads((Path(utils.__file__).parents[1] / "benchmarks/results/demo_01.json").read_text("utf-8"))
print(record["command"], record["machine"], sep="\n")


def recorded(**kind):
    """BLEU by clauses of each seed of one kind."""
    return [list(run["bleu"].values()) for run in record["runs"] if kind.items() <= run.items()]


def show_recorded(curves):
    print(f"\n{'BLEU +- half its 95% interval':<47}" + "".join(f"{n:>5} clauses" for n in "12345"))
    for name, seeds in curves.items():
        columns = [mean_interval(column) for column in zip(*seeds, strict=True)]
        print(f"{name:<47}" + "".join(f"{mean:6.1f} +-{high - mean:4.1f}" for mean, _, high in columns))
    ax = plot_intervals(curves, ["1", "2", "3", "4", "5"], "BLEU", legend="above")
    ax.set(xlabel="clauses", ylim=(0, 102))
    return ax


# %%
widths = {f"{NAMES['fixed']}, {width} wide": recorded(context="fixed", hidden_dim=width)
          for width in (24, 48, 96, 192)}  # fmt: skip
ax = show_recorded(widths | {f"{NAMES['additive']}, 96 wide": recorded(context="additive")})
Figure(
    ax,
    "BLEU against the number of clauses with a fixed context, for vectors of 24, 48, 96 and 192 numbers, and "
    "with attention. At every width the points of the fixed context fall from one clause to five; wider is "
    "higher. The points with attention stay above all of them.",
)

# %% [markdown]
r"""
*The same experiment with vectors of four widths: means of {seeds:d} seeds with their 95% intervals.*

**What happened.** Wider is better, but no curve becomes flat: even 192 numbers lose more than half of their
BLEU on the way from one clause to five ({wide[0]:.0f} to {wide[4]:.0f}). And width costs: that model has
{size[wide]:,d} parameters, while the one with attention, far ahead of it on long reviews, has
{size[attention]:,d}. Sentences have no longest length, but a vector has a width. Wherever we set it, there is
a sentence just beyond.
"""

# %% claim
def mean_bleu(**kind):
    return [sum(column) / len(column) for column in zip(*recorded(**kind), strict=True)]


by_width = {width: mean_bleu(context="fixed", hidden_dim=width) for width in (24, 48, 96, 192)}
best = mean_bleu(context="additive")
assert all(bleu[4] < bleu[0] / 2 for bleu in by_width.values())
for narrow, wide in ((24, 48), (48, 96), (96, 192)):
    assert all(a < b for a, b in zip(by_width[narrow], by_width[wide], strict=True))
assert all(a < b for a, b in zip(by_width[192], best, strict=True)) and best[4] > by_width[192][4] + 30
sizes = {(run["context"], run["hidden_dim"]): run["parameters"] for run in record["runs"]}
assert record["settings"]["budget"].items() <= BUDGET.items()
numbers |= {
    "seeds": len(recorded(context="additive")),
    "wide": by_width[192],
    "size": {"wide": sizes["fixed", 192], "attention": sizes["additive", 96]},
}

# %% [markdown]
r"""
## Open the book

Nothing forces us to throw the encoder's states away. While reading, it made one for each word; the
closed-book decoder never sees them. Attention keeps them all and lets the decoder choose, anew for each
word it writes, which of them matter now. Imagine a writer who had been given a one-paragraph summary and
gets the whole book back.

That shortcut is what the upper curve above is made of, and how it works is the next lesson.
"""

# %% [markdown]
r"""
## Check yourself

Answer aloud, then unfold.

<details><summary>Why does attention solve the bottleneck, in two sentences?</summary>

Without it, all that the decoder learns of the source passes through one vector of fixed size, whatever the
length of the sentence. With it, the decoder reads from all the encoder's states, as many as the sentence has
words, and chooses anew for each word that it writes.

</details>

<details><summary>More training raises the lower curve. Why does that not remove the bottleneck?</summary>

The vector keeps its width. Training makes better use of it, but the number of words that a sentence may have
is not bounded, and the vector's is. (Measured here is less: within one budget, a wider vector raised the
curve and did not make it flat.)

</details>

<details><summary>Why must both models have the same sizes?</summary>

A larger model or a longer training improves both. If they differ too, we cannot say which difference made the
curves part. Here the two differ only in the context, and in the small layer with which attention scores the
source words.

</details>

<details><summary>A translation is fluent and its BLEU is 8. How can that be?</summary>

The decoder is a good language model: given the words so far it writes what usually follows. It just no longer
knows what the source said.

</details>

<details><summary>What were the two controls of the probe for?</summary>

A probe can be right without reading the vector, by always naming the most frequent word of a place; and a
vector can hold words that nobody trained it to hold. Only what goes beyond both was put there by training.

</details>

## In three lines

- A plain encoder-decoder squeezes every sentence into one vector of fixed size; long sentences lose words.
- A wider vector moves the point where it breaks, and does not remove it.
- Attention keeps all encoder states and looks back at them; within trained lengths much less is lost.

**One thing to try.** Set `"updates"` in `BUDGET` to 1,000 and run the notebook again. Which of the two
curves gains more, and at which lengths?

Now build the closed book yourself, in **exercise 01**: encoder, decoder, loss, and the curve that falls.

Next: **lesson 02, the spotlight**, opens the box.
"""
