# %% [markdown]
r"""
# 01 · The bottleneck

**Can one vector hold a whole sentence?**

![A funnel. Nine English words, "the restaurant was amazing but the service was slow", enter an encoder that
narrows to a single small vector. A decoder widens from this vector to ten French words. The first six are
right, "le restaurant était incroyable mais le". The last four, in gray, are "pain était trop
cher".](../figures/funnel.svg)

The picture shows a real translation, by one of the models of this demo. It starts well, and then the slow
service turns into bread that costs too much. Nobody in this restaurant has mentioned bread. In this demo you
find out why that happens, and meet the idea that repairs it: **attention**.

You will

- **compare** three translators that differ in one thing only: what they may see of the source sentence,
- **locate** where a long sentence gets lost, word by word,
- **test** the obvious remedy, a wider vector.

About 40 minutes. You need to know what a recurrent network and a training loss are. Before each result you
find a question: answer it, then open the output. Terms are **bold** where we first explain them, and [the
glossary](../web/glossary.md) lists them all.
"""

# %% claim
from utils import pretrained
from utils.models import translate
from utils.text import encoded_reviews

pictured = ["the", "restaurant", "was", "amazing", "but", "the", "service", "was", "slow"]
(found,) = translate(pretrained.load("initial"), encoded_reviews(), [pictured])
assert " ".join(found.tokens) == "le restaurant était incroyable mais le pain était trop cher"

# %% [markdown]
r"""
## The telephone game

Somebody listens to a whole story and whispers one sentence to the next person, who has to tell the story
again. A short story survives this. A long one loses its details, and nobody further down the line can bring
them back.

A **sequence-to-sequence** model plays this game. An **encoder** reads the **source** sentence and sums it up
in one vector. A **decoder** writes the **target** sentence from that vector. Take

> the restaurant was amazing but the service was slow

To write *restaurant*, the decoder must know what was amazing. To write *lent*, "slow", it must know that
something was slow, and that this something was *le service*, a masculine noun. The ending depends on the
noun: a female cashier who is slow is *lente*. The decoder sits a **closed-book exam**. It has read the text
once, the text has been taken away, and now it must answer from memory.
"""

# %%
import json
from pathlib import Path

import torch

import utils
from utils import pretrained
from utils.explorer import playground
from utils.metrics import bleu_by_length
from utils.models import Seq2Seq, last_states, translate
from utils.plotting import Figure, plot_by_length, plot_curves
from utils.text import PAD_ID, encoded_reviews
from utils.training import in_parallel, seed_everything, train

# %% [markdown]
r"""
## A small world

The course has its own small world: restaurant reviews in English and French, written by a grammar. A laptop
can learn it in minutes, and it has much of what makes translation hard. Adjectives change places, articles
and adjectives agree with a noun, and *not* becomes two words around the verb. The grammar joins clauses with
words such as *but* and *because*, so we can make sentences as long as we like.
"""

# %%
encoded = encoded_reviews()
corpus = encoded.corpus
print(corpus, "\n")
for row in [i for i, clauses in enumerate(corpus["test"].clauses) if clauses == 2][:3]:
    print(corpus["test"].src[row], "\n  ", corpus["test"].tgt[row])

# %% [markdown]
r"""
Models learn from `train`, which has reviews of one to five clauses. We test them on other reviews: those in
`test` have the same lengths, and those in `long` have six to twelve clauses. (An alignment says which French
word translates which English word; demo 04 uses them.)

A network reads **tokens**, here words and punctuation marks. A recurrent network updates its **state**, a
vector (also called hidden state), after each token. Our encoder reads in both directions and has one state
per token and direction. Its summary of the sentence is the last state of each direction, side by side. Each
state has 48 numbers here.

**Predict.** One review has 3 words, and another has 38. How many numbers of the summary are there per word?
"""

# %%
reviews = sorted(encoded.tokens("test", "src"), key=len)
model = pretrained.load("fixed")
for tokens in (reviews[0], reviews[-1]):
    src = torch.tensor([encoded.src_vocab.encode(tokens)])
    encoder_states, _, mask = model.encode(src, torch.tensor([len(tokens)]))
    print(f"{len(tokens):>2} words -> a vector of {last_states(encoder_states, mask).numel()} numbers")

# %% [markdown]
r"""
**What happened.** Both get a vector of the same size. This is the **bottleneck**: the short review has dozens
of numbers per word, and the long one has two or three. One number can store a lot, so counting doesn't settle
whether that is enough. What counts is what a network learns to do with them, so we measure it.
"""

# %% [markdown]
r"""
## Three translators, one difference

A fair experiment changes one thing. Our three translators have the same encoder, the same decoder, the same
sizes and the same training. At each step $t$ the decoder updates its state $s_t$ and then chooses a word from
its state and a second vector, the **context**. Only this context differs:

![Three encoder-decoders side by side. In the first one, the last encoder state becomes the first decoder
state, and nothing else passes. In the second one, arrows also lead from the last encoder state to every
decoder step. In the third one, lines of different widths connect every decoder step with every encoder
state.](../figures/contexts.svg)

- **initial**: there is no context. The decoder's first state is made from the summary, and that is all it
  gets. The other two start in the same way (dashed lines).
- **fixed**: the context is the summary, the same vector at every step.
- **attention**: the context is a new blend of *all* encoder states at every step. This is an **open-book
  exam**. How the decoder chooses the blend is the subject of demo 02; for now it stays a closed box.

The picture draws one direction of the encoder. The other one reads from right to left, and its last state, at
the first word, is part of the summary too. Attention adds one small layer, which compares states. Nothing
else differs. All three trained long enough to translate short reviews well, twice each, with two **seeds**,
the numbers from which all random draws start. If both seeds agree, the result is less likely to be luck.
These models come with the course, so you see exactly the sentences that we discuss.
"""

# %%
CONTEXTS = {"initial": "initial", "fixed": "fixed", "additive": "attention"}  # "additive" is one kind of it
models = {name: [pretrained.load(context, seed) for seed in (0, 1)] for context, name in CONTEXTS.items()}
source, reference, clauses = (
    getattr(corpus["test"], part) + getattr(corpus["long"], part) for part in ("src", "tgt", "clauses")
)


def written(model):
    """Translate all test reviews."""
    done = translate(model, encoded, [sentence.split() for sentence in source])
    return [" ".join(translation.tokens) for translation in done]


translations = {name: [written(model) for model in seeds] for name, seeds in models.items()}

# %% [markdown]
r"""
We score translations with **BLEU**, which counts how many of their runs of one to four words occur in a
**reference**, a correct translation. A perfect match scores 100.

**Predict.** Every model scores above {one[least]:.0f} on reviews of one clause. What will each of them score
on five clauses, a length that all of them have seen thousands of times in training: above 90, around 50, or
below 30?
"""

# %%
bins = [1, 2, 3, 4, 5, 6, 7, 9, 13]
scores = {
    name: [bleu_by_length(clauses, texts, reference, bins, n_bootstrap=0) for texts in seeds]
    for name, seeds in translations.items()
}
ax = plot_by_length(scores, unit="clauses", trained_up_to=5)
Figure(
    ax,
    "BLEU against the number of clauses. All three curves start near 100. The initial context falls steeply "
    "after one clause, the fixed context after two, and attention stays near 100 up to five clauses. Beyond "
    "five clauses, longer than in training, all three fall.",
)

# %% [markdown]
r"""
*BLEU by number of clauses: the mean of two seeds, with a band from one seed to the other. n is the number of
reviews.*

**What happened.** One clause is easy for all three. At five clauses, *initial* scores {five[initial]:.0f},
*fixed* scores {five[fixed]:.0f}, and attention still scores {five[attention]:.0f}. Beyond the lengths of
training, attention falls too: it removes the bottleneck, but not every difficulty with length.
"""

# %% claim
mean_bleu = {
    name: {first: sum(seed[i][1].score for seed in seeds) / 2 for i, ((first, _), _) in enumerate(seeds[0])}
    for name, seeds in scores.items()
}
worst = {name: min(seed[0][1].score for seed in seeds) for name, seeds in scores.items()}
best = {name: [max(seed[i][1].score for seed in seeds) for i in range(5)] for name, seeds in scores.items()}
assert min(worst.values()) > 90
assert best["initial"][4] < 35 and best["fixed"][4] < 55 and mean_bleu["attention"][5] > 95
assert all(mean_bleu["initial"][n] < mean_bleu["fixed"][n] < mean_bleu["attention"][n] for n in range(2, 6))
assert mean_bleu["attention"][9] < mean_bleu["attention"][6] < mean_bleu["attention"][5] - 5
numbers["one"] = {"least": int(min(worst.values())) // 10 * 10}
numbers["five"] = {name: curve[5] for name, curve in mean_bleu.items()}

# %% [markdown]
r"""
## Fluent and wrong

**Predict.** Here is a review of five clauses. When a model without attention runs out of memory, what will it
write: broken French, very short sentences, or something else?
"""

# %%
row = clauses.index(5)
print(f"{'source':<10}", source[row])
print(f"{'reference':<10}", reference[row])
for name, seeds in translations.items():
    print(f"{name:<10}", seeds[0][row])

# %% [markdown]
r"""
**What happened.** It writes good French, and a plausible review, but of some other restaurant. The decoder
has learned how reviews usually go on, and it fills the gaps in its memory with that. Attention translates
every detail.
"""

# %% claim
assert [seeds[0][row] == reference[row] for seeds in translations.values()] == [False, False, True]
assert all(" ".join(seeds[0][row].split()[:2]) == "le thé" for seeds in translations.values())

# %% [markdown]
r"""
You can watch the memory fail. Below is the *fixed* model, running in this page, with a review of two clauses.

**Predict.** Add clauses to the review, one by one, until the first detail goes wrong. Will it be in the first
two clauses or in one that you added?
"""

# %%
playground(["fixed"], shown=["fixed"])

# %% [markdown]
r"""
*The translator with a fixed context. If you see only a picture, choose File, then Trust Notebook.*

**What happened.** In one that you added: this review keeps its beginning and loses what follows, in fluent
French. On average over the test reviews, little is lost with two clauses (a BLEU of {fixed[2]:.0f}) and a
good part with three ({fixed[3]:.0f}).
"""

# %% claim
numbers["fixed"] = {str(n): mean_bleu["fixed"][n] for n in (2, 3)}
assert numbers["fixed"]["2"] > 85 and 60 < numbers["fixed"]["3"] < 85

from utils.explorer import export

for more in (2, 3, 4, 5):
    parts = export.clauses()[:more]
    (found,) = translate(models["fixed"][0], encoded, [" ".join(en for en, _, _ in parts).split()])
    begun, whole = (" ".join(fr for _, fr, _ in some) for some in (parts[:2], parts))
    text = " ".join(found.tokens)
    assert text.startswith(begun) and (text == whole) == (more == 2)

# %% [markdown]
r"""
## Where does the sentence get lost?

In a free translation, one mistake leads to the next. So we separate the mistakes: before each word, we give
the decoder the correct words so far and ask only for the next one. (Training does the same and calls it
**teacher forcing**.) Then we count, for each place in the translation, how often the next word is right.

Grammar alone makes many words easy to guess. To see how much is guessing, we give the fixed model the source
of *another* review. What it still gets right, it gets right without reading.

**Predict.** Follow the *fixed* model from the first word to the thirtieth. Will its share of right words fall
all the way, fall and then stay level, or fall and recover at the end?
"""

# %%
five = [row for row, n in enumerate(corpus["test"].clauses) if n == 5]
batch = encoded.batch("test", five)


@torch.no_grad()
def next_word(model, shift=0):
    """Return the share of right next words by place; `shift` gives each review another one's source."""
    logits, _ = model(batch.src.roll(shift, 0), batch.src_lengths.roll(shift), batch.tgt_in)
    right = (logits.argmax(-1) == batch.tgt_out).float().masked_fill(batch.tgt_out == PAD_ID, torch.nan)
    return right[:, :30].nanmean(0)


def mean_of(shares):
    return torch.stack(list(shares)).mean(0)


found = {name: mean_of(map(next_word, seeds)) for name, seeds in models.items()}
found["fixed, wrong source"] = mean_of(next_word(model, shift=1) for model in models["fixed"])
ax = plot_curves(found, range(1, 31), "place in the translation (word)", "next word right (share)")
ax.set_ylim(0, 1.02)
Figure(
    ax,
    "Share of right next words by place, in reviews of five clauses. Attention stays near one. The fixed "
    "context starts near one, falls over the first ten words and stays well above the curve for a wrong "
    "source. The initial context falls lower.",
)

# %% [markdown]
r"""
*Right next words by place in the translation, for reviews of five clauses. Mean of two seeds.*

**What happened.** The beginning goes well for every model, and attention keeps that level. Without it, the
curves fall and then stay level: from the tenth word on, *fixed* gets {right[fixed]:.0%} right and *initial*
{right[initial]:.0%}, where guessing from the wrong source gets {right[guess]:.0%}. Much of what looks like
translation there is a **language model** at work: it guesses what usually comes next.
"""

# %% claim
late = {name: share[9:].mean().item() for name, share in found.items()}
early = {name: share[:3].mean().item() for name, share in found.items()}
assert all(early[name] > late[name] + 0.1 for name in ("fixed", "initial")) and late["attention"] > 0.97
assert late["fixed, wrong source"] < late["initial"] < late["fixed"] < 0.9
assert all((found[name][9:19].mean() - found[name][20:].mean()).abs() < 0.1 for name in ("fixed", "initial"))
numbers["right"] = {"guess": late["fixed, wrong source"]} | late

# %% [markdown]
r"""
## What does the vector still know?

We can also ask the vector itself. A **probe** is a small classifier that sees only the summary and must name
the word at one place of the *source*, such as the third or the third from the end. If a linear probe finds
the word, the vector holds it in plain sight.

A probe can be right without reading, since many reviews start with *the*. So we compare it with the most
frequent word of each place. And we probe an **untrained** encoder, to see what any recurrent network
remembers.
"""

# %%
PLACES = [*range(12), *range(-12, 0)]  # the first twelve words, and the last twelve


@torch.no_grad()
def vectors_and_words(model, split, rows):
    """Return summaries with a constant 1, (reviews, hidden + 1), and words, (reviews, places)."""
    batch = encoded.batch(split, rows)
    encoder_states, _, mask = model.encode(batch.src, batch.src_lengths)
    ends = batch.src_lengths[:, None] - 1  # the end token is no word
    places = torch.tensor(PLACES)
    index = torch.where(places >= 0, places, ends + places)
    words = batch.src.gather(1, index.clamp(0)).masked_fill((index < 0) | (index >= ends), -1)
    return torch.cat([last_states(encoder_states, mask), torch.ones(len(rows), 1)], dim=1), words


def recovered(model):
    """Return, for each place, the share of test reviews of five clauses whose word a probe names."""
    train_vectors, train_words = vectors_and_words(model, "train", range(6_000))
    test_vectors, test_words = vectors_and_words(model, "test", five)
    shares = []
    for place in range(len(PLACES)):
        known = train_words[:, place] >= 0
        x, word = train_vectors[known], torch.eye(len(encoded.src_vocab))[train_words[known, place]]
        probe = torch.linalg.solve(x.T @ x + 0.1 * torch.eye(x.shape[1]), x.T @ word)  # ridge regression
        shares.append(((test_vectors @ probe).argmax(-1) == test_words[:, place]).float().mean())
    return torch.stack(shares)


# %% [markdown]
r"""
**Predict.** Think of a review of five clauses, with 25 words or more. Which words will the trained summary
still hold: the first ones, those in the middle, or the last ones?
"""

# %%
seed_everything(0)
untrained = Seq2Seq(len(encoded.src_vocab), len(encoded.tgt_vocab), "fixed", embed_dim=32, hidden_dim=96)
_, train_words = vectors_and_words(untrained, "train", range(6_000))
_, test_words = vectors_and_words(untrained, "test", five)
commonest = torch.stack([words[words >= 0].mode().values for words in train_words.T])
held = {
    "trained": mean_of(map(recovered, models["fixed"])),
    "untrained": recovered(untrained),
    "most frequent word": (test_words == commonest).float().mean(0),
}
names = [str(place + 1) if place >= 0 else str(place) for place in PLACES]
ax = plot_curves(held, names, "place in the source: from the start, then from the end", "words found (share)")
ax.tick_params(axis="x", labelsize=7)
Figure(
    ax,
    "Share of source words that a probe finds in the summary, by place. The curves of the trained and the "
    "untrained encoder are high at both ends and low in the middle, near the curve of always "
    "guessing the most frequent word.",
)

# %% [markdown]
r"""
*Words that a linear probe finds in the summary, by place, for reviews of five clauses. −1 is the last word.*

**What happened.** The *ends* survive, the first words better than the last. Each direction of the encoder has
just read one end of the sentence when its last state is taken. Training has not made the words easier to
find: in the middle, the probe finds {held[trained]:.0%}, and always guessing the most frequent one finds
{held[guess]:.0%}. At the ends, training even hides words from this probe: it finds the last word in
{held[last]:.0%} of the reviews, and in the untrained summary in {held[last_untrained]:.0%}. (The vector holds
more than a linear probe finds: above, the decoder got {right[fixed]:.0%} right with this vector, and
{right[guess]:.0%} with that of another review.)
"""

# %% claim
middle = range(9, 15)
for name in ("trained", "untrained"):
    assert held[name][:2].mean() > held[name][middle].mean() + 0.3
    assert held[name][-2:].mean() > held[name][middle].mean() + 0.1
    assert held[name][:3].mean() > held[name][-3:].mean() + 0.05
assert abs(held["trained"][middle].mean() - held["untrained"][middle].mean()) < 0.1
numbers["held"] = {"trained": held["trained"][middle].mean().item()}
numbers["held"]["guess"] = held["most frequent word"][middle].mean().item()
numbers["held"]["last"] = held["trained"][-1].item()
numbers["held"]["last_untrained"] = held["untrained"][-1].item()
assert held["trained"][-1] < held["untrained"][-1] - 0.2

# %% [markdown]
r"""
## Would a wider vector help?

**Predict.** An obvious remedy is a wider vector. We train the *fixed* model with 24, 48 and 96 numbers. Will
the curve become flat, or only shift?

These models trained once, with the functions of this demo, by the command that is printed below. The last
cell of this section trains a small version of them live.
"""

# %%
BUDGET = {"updates": 6_000, "batch_tokens": 700, "learning_rate": 5e-3, "curriculum": 0.8}


def run(context, hidden_dim, seed, updates=BUDGET["updates"]):
    """Train a translator. Return it with its translations of the test reviews."""
    encoded = encoded_reviews()
    seed_everything(seed)
    sizes = len(encoded.src_vocab), len(encoded.tgt_vocab)
    model = Seq2Seq(*sizes, context, embed_dim=32, hidden_dim=hidden_dim)
    train(model, encoded, seed=seed, progress=False, **(BUDGET | {"updates": updates}))
    done = translate(model, encoded, encoded.tokens("test", "src"))
    return model, [" ".join(translation.tokens) for translation in done]


# %%
record = json.loads((Path(utils.__file__).parents[1] / "benchmarks/results/demo_01.json").read_text("utf-8"))
print(record["command"])
widths = {f"{run['context']}, {run['hidden_dim']}": list(run["bleu"].values()) for run in record["runs"]}
ax = plot_curves(
    {f"{name.replace('additive', 'attention')} numbers": bleu for name, bleu in widths.items()},
    ["1", "2", "3", "4", "5"],
    "clauses",
    "BLEU",
)
ax.set_ylim(0, 102)
Figure(
    ax,
    "BLEU against the number of clauses. With a fixed context, wider vectors give higher curves, but each of "
    "them falls. Attention with 48 numbers stays above all of them.",
)

# %% [markdown]
r"""
*The same experiment at several widths, one seed each.*

**What happened.** A wider vector moves the curve, but every curve without attention falls. (With 24 numbers,
even one clause fails: the whole model shrinks with its vector.) Attention with
only 48 numbers stays above a fixed context with 96. Sentences have no maximal length, but a vector has a
width. Wherever we set it, there is a sentence just beyond.
"""

# %% claim
assert record["settings"]["budget"] == BUDGET
assert all(a > b for a, b in zip(widths["additive, 48"], widths["fixed, 96"], strict=True))
for narrow, wide in (("fixed, 24", "fixed, 48"), ("fixed, 48", "fixed, 96")):
    assert all(a < b for a, b in zip(widths[narrow], widths[wide], strict=True))
assert all(widths[f"fixed, {width}"][4] < widths[f"fixed, {width}"][0] / 2 for width in (24, 48, 96))

# %% [markdown]
r"""
Now train two of them yourself, for a tenth of the time. It takes about half a minute.
"""

# %%
short = dict(hidden_dim=48, seed=0, updates=600)
runs = in_parallel(run, [dict(context="additive", **short), dict(context="fixed", **short)])

# %% [markdown]
r"""
**Predict.** After so short a training, which of the two will be better on one clause?
"""

# %%
reviews = corpus["test"]
print("clauses     1      2      3      4      5")
for name, (_, texts) in zip(("attention", "fixed"), runs, strict=True):
    by_clauses = bleu_by_length(reviews.clauses, texts, reviews.tgt, range(1, 7), n_bootstrap=0)
    print(f"{name:<10}" + "".join(f"{score.score:6.1f} " for _, score in by_clauses))

# %% [markdown]
r"""
**What happened.** Attention is ahead at every length, even at one clause. It also learns *faster*, because
the gradient of each mistake has a short way back to the source word that would have prevented it.
"""

# %% claim
ahead, behind = (
    [s.score for _, s in bleu_by_length(reviews.clauses, texts, reviews.tgt, range(1, 7), n_bootstrap=0)]
    for _, texts in runs
)
assert all(a > b for a, b in zip(ahead, behind, strict=True))

# %% [markdown]
r"""
## Open the book

Nothing forces us to throw the encoder's states away. The encoder has made one for each word, and the
closed-book decoder never sees them. Attention keeps them all and gives the decoder eyes: at each step it
decides which of them matter *now*. Imagine a writer who worked from a one-paragraph summary and then gets the
whole book back. It is also a shortcut: no word has to survive a long chain of states before it is used.

That is all that changes. The next demo shows how it works.

## Check yourself

Answer aloud, then unfold.

<details><summary>Why does attention solve the bottleneck? Use two sentences.</summary>

Without attention, everything that the decoder learns about the source passes through one vector of fixed
size. With attention, the decoder reads from all encoder states, as many as the sentence has words, and
chooses again at each step.

</details>

<details><summary>Why must the three models share all sizes and the training?</summary>

A larger model or a longer training helps any of them. If sizes or training differed too, you could not tell
which difference separates the curves.

</details>

<details><summary>A translation is fluent, and its BLEU is 8. How can that be?</summary>

The decoder is a good language model. Given the words so far, it writes what usually follows. It no longer
knows what the source said.

</details>

<details><summary>Why do both ends of a sentence survive, and not only the last words?</summary>

The encoder reads in both directions. One direction has just read the last words when it stops, and the other
has just read the first ones.

</details>

## In three lines

- A plain encoder-decoder squeezes every sentence into one vector of fixed size. The details of long ones get
  lost, and the decoder invents others.
- A wider vector moves the point where it breaks, but doesn't remove it.
- Attention keeps all encoder states and looks back at them at every step.

**One thing to try.** In the live training, set `hidden_dim` to 24. Which of the two models loses more?

Now build the closed book yourself in **exercise 01**: encoder, decoder, loss, and the curve that falls. Then
go on to **demo 02**, which opens the box.
"""
