# %% [markdown]
r"""
# 04 · Reading attention

**What does an attention map tell about a translator, and what does it not?**

A map of attention weights looks like an X-ray: here is what the model saw when it wrote this word. People
look at such maps to find faults, to trust a model, and to explain it. This demo reads maps with numbers
beside them, and then asks how far the X-ray can be believed.

You will

- **measure** maps against gold links and two baselines: their error, how sharp they are, what they cover,
- **debug** three famous bugs and a bias by what the maps show, and by what they hide,
- **judge** by experiment what a map explains, and what it does not.

About 60 minutes. Running everything takes a minute or two, most of it for six small models that learn. Before
each result there is a question: answer it before you run the cell.
"""

# %%
import copy
from collections import Counter, defaultdict
from dataclasses import replace

import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn import functional as F

from utils.ibm_model1 import IBMModel1
from utils.data import reviews as grammar
from utils.explorer import explore
from utils.metrics import (
    alignment_errors,
    attention_entropy,
    bleu,
    coverage,
    diagonal_links,
    hard_alignment,
    link_map,
    resampled_interval,
)
from utils.models import Decoder, Seq2Seq, forced_weights, initialize, translate
from utils.plotting import PALETTE, Figure, finish, plot_curves, plot_intervals, plot_maps
from utils.text import BOS_ID, EOS_ID, PAD_ID, EncodedCorpus, encoded_reviews, pad
from utils.training import in_parallel, seed_everything, train, validation_loss

torch.set_num_threads(1)  # models this small are no faster on two

# %% [markdown]
r"""
## Two translators to look into

Our translator reads restaurant reviews of one to three clauses ("the soup was cold" is one) and writes them
in French. Its attention has the additive score of demo 02. We train it twice, with two **seeds**: the same
recipe, other random first weights and other batches. While the first one learns, `snapshot` keeps one map
and two numbers, which are explained below.
"""

# %%
SIZES = {"context": "additive", "embed_dim": 64, "hidden_dim": 96}
BUDGET = {"updates": 250, "batch_tokens": 800, "learning_rate": 1e-2, "curriculum": 0.6}
CLAUSES = 3
SENTENCE = "my wife was not tired and my daughter liked the fresh bread"


def new(encoded, kind=Seq2Seq, decoder=Decoder):
    """An untrained translator; further below, `kind` and `decoder` bring mistakes on purpose."""
    model = kind(len(encoded.src_vocab), len(encoded.tgt_vocab), **SIZES)
    if decoder is not Decoder:
        sizes = SIZES["embed_dim"], SIZES["hidden_dim"]
        model.decoder = decoder(len(encoded.tgt_vocab), *sizes, PAD_ID, context=SIZES["context"])
        initialize(model)
    return model


@torch.no_grad()
def row_by_row(model, corpus=encoded_reviews, all_columns=False):
    """The weights of one test review, SENTENCE, while the model writes its right translation."""
    encoded = corpus(CLAUSES)
    batch = encoded.batch("test", [encoded.corpus["test"].src.index(SENTENCE)])
    _, weights = model(batch.src, batch.src_lengths, batch.tgt_in)
    columns = None if all_columns else len(SENTENCE.split())
    return weights[0, :-1, :columns]  # without the end token's row


def snapshot(model):
    """What is kept of a model in training: alignment error and entropy on validation data, and one map."""
    encoded = encoded_reviews(CLAUSES)
    maps = forced_weights(model, encoded, "valid")
    entropy = torch.cat([attention_entropy(weights[None])[0] for weights in maps])
    error = alignment_errors(maps, encoded.corpus["valid"].links)[0]
    return {"error": error, "entropy": entropy.mean().item(), "map": row_by_row(model)}


# %%
def learn(seed, decoder=Decoder, corpus=encoded_reviews, evaluate=None):
    """Train one translator. Return it, and its history from before the first update on."""
    encoded = corpus(CLAUSES)
    seed_everything(seed)
    model = new(encoded, decoder=decoder)
    start = evaluate(model) if evaluate else {}
    first = {"update": 0, "valid_loss": validation_loss(model, encoded)} | start
    every = 50 if evaluate else BUDGET["updates"]
    training = {"seed": seed, "validate_every": every, "evaluate": evaluate, "progress": False}
    history = train(model, encoded, **training, **BUDGET)
    return model.eval(), [first, *history.rows]


encoded = encoded_reviews(CLAUSES)
test = encoded.corpus["test"]
english, french = encoded.tokens("test", "src"), encoded.tokens("test", "tgt")
jobs = [{"seed": 0, "evaluate": snapshot}, {"seed": 1}]
(model, history), (other, _) = in_parallel(learn, jobs)
done = {"seed 0": translate(model, encoded, english), "seed 1": translate(other, encoded, english)}
for name, translations in done.items():
    print(name, " ", bleu([" ".join(t.tokens) for t in translations], test.tgt))

# %% [markdown]
r"""
## A map beside the truth

The grammar that wrote the reviews knows which French word renders which English one. These **gold links**
are the white frames below. The review is "my wife was not tired and my daughter liked the fresh bread". It
was chosen for what is in it: a negation, which French puts around the verb; "liked", which becomes two words;
and "fresh bread", which becomes *pain frais*.

Three maps on one colour scale. In each the model writes the *right* translation, word by word, so that all
have the same rows. A decoder with no attention has no map; what comes nearest is one with equal weights, the
same mixture of all words at every step.

**Predict.** Where do the white frames leave the diagonal? And before training, is the map even, or is it
already a pattern?
"""

# %%
review = test.src.index(SENTENCE)
pair = english[review], french[review], test.links[review]
seed_everything(0)
untrained = new(encoded)
even = torch.full((len(pair[1]), len(pair[0])), 1 / len(pair[0]))
panels = {"no attention": even, "untrained": row_by_row(untrained), "trained": row_by_row(model)}
print("the trained model itself writes:", *done["seed 0"][review].tokens)
looks = hard_alignment(panels["trained"])  # each French word with the English one of its largest weight
print(f"{len(looks & pair[2])} of {len(looks)} French words have their largest weight in a frame")
Figure(plot_maps({title: (weights, *pair) for title, weights in panels.items()}),
       "Three maps of 14 French by 12 English words on one colour scale, with gold frames. No attention: "
       "the same dark colour everywhere. Untrained: nearly the same, with faint stripes. Trained: bright "
       "cells, most of them inside their frames.", dpi=66)  # fmt: skip

# %% [markdown]
r"""
*One review, three maps, one colour scale; frames are gold links.*

**What happened.** Before training the look is nearly even; learning makes a spotlight of it, and no rule told
it where to point. *pain* and *frais* cross over, as their frames do, and most rows are brightest inside a
frame. Is the map always that good? One picture cannot say; a number can.
"""

# %% claim
height = {name: weights.max(-1).values.mean() for name, weights in panels.items()}
assert height["untrained"] < 0.25 and height["trained"] > 0.5
brightest = dict(zip(pair[1], (pair[0][place] for place in panels["trained"].argmax(-1)), strict=True))
assert brightest["frais"] == "fresh" and len(looks & pair[2]) > len(looks) / 2

# %% [markdown]
r"""
## How wrong is it?

Link each French word to the English word with its largest weight. The **alignment error rate** (Och and Ney
2003) is 0 where these links are the gold ones, and 1 where none is. A number needs rivals:

- the **diagonal** links places at the same pace and looks at no word;
- **IBM model 1** (Brown et al. 1993) is a classic from the time before neural networks. It knows nothing of
  order or grammar, and learns from the same training pairs which words come together. Say "the bread" is *le
  pain* and "the wine" is *le vin*. At first each French word is shared out evenly over the English words of
  its pair. But *le* is met with "the" in both, so "the" takes more of *le*, *pain* is left to "bread", and so
  on in rounds;
- **one right link a word** is the best that one link for each French word can do, since some have two.

**Predict.** Order these four by their error: the trained map, the untrained map, the diagonal, IBM model 1.
"""

# %%
lengths = [(len(tgt), len(src)) for tgt, src in zip(french, english, strict=True)]
ibm = IBMModel1(encoded.tokens("train", "src"), encoded.tokens("train", "tgt"))
maps, others = forced_weights(model, encoded, "test"), forced_weights(other, encoded, "test")
readings = {
    "untrained": forced_weights(untrained, encoded, "test"),
    "the diagonal": [link_map(diagonal_links(*size[::-1]), *size) for size in lengths],
    "IBM model 1": [ibm.weights(*words) for words in zip(english, french, strict=True)],
    "attention, seed 0": maps,
    "attention, seed 1": others,
    "one right link a word": [link_map(gold, *size) for gold, size in zip(test.links, lengths, strict=True)],
}
for name, found in readings.items():
    print(f"{name:<24}alignment error {alignment_errors(found, test.links)[0]:.2f}")

# %% [markdown]
r"""
**What happened.** In both seeds trained attention beats the diagonal clearly. It is about as good as a table
of word pairs from 1993 or better, though to align was never its task: it was only ever told which word comes
next. The two seeds give {errors[0]:.2f} and {errors[1]:.2f}, so one training is not enough for a number.
"""

# %% claim
errors = {name: alignment_errors(found, test.links)[0] for name, found in readings.items()}
both = [errors["attention, seed 0"], errors["attention, seed 1"]]
numbers["errors"] = both
assert max(both) < errors["the diagonal"] - 0.03 < errors["untrained"]
assert max(both) < errors["IBM model 1"] + 0.08 and errors["one right link a word"] < 0.03

# %% [markdown]
r"""
## How a map emerges

While the model learned, it was looked at every 50 updates, always at the same review.

**Predict.** In the first 50 updates the loss falls by more than a third. Does the alignment error fall by as
much in that time, by more, or by less?
"""

# %%
moments = {row["update"]: row["map"] for row in history}
for update, weights in moments.items():
    count = len(set(weights.argmax(-1).tolist()))
    print(f"{update:>4} updates: its rows look most at {count:>2} of the 12 English words")
panels = {f"{update} updates": (weights, *pair) for update, weights in moments.items()}
Figure(plot_maps(panels, size=(3.6, 3.3)), "Six maps of the same review after 0, 50, 100, 150, 200 and 250 "
       "updates. At 0 all is dark. At 50 all rows have the same faint columns. At 100 first cells near the "
       "frames are brighter, and from 150 on most rows have one bright cell, many of them in their frames.",
       dpi=72)  # fmt: skip

# %% [markdown]
r"""
*The same review while the model learns. At 0 all rows are nearly even, so it is chance which word is a hair
ahead. At 50 all look at the same word or two: the look hardly depends yet on the word to be written.*

Now the numbers, on validation reviews: the loss, the alignment error, and the **entropy** of the rows, which
says how widely a row spreads its weight: $H_t = -\sum_i \alpha_{t,i} \ln \alpha_{t,i}$, in nats. A single
look at one word has 0, and an even look at $n$ words has $\ln n$. So $e^H$ says how many words wide it is.
"""

# %% claim
counts = {update: len(set(weights.argmax(-1).tolist())) for update, weights in moments.items()}
assert counts[50] <= 4 and counts[250] >= 8

# %%
columns = {"valid_loss": "loss, nats a word", "error": "alignment error", "entropy": "entropy, nats"}
updates = [row["update"] for row in history]
figure, axes = plt.subplots(1, 3, figsize=(11, 3), layout="constrained")
for ax, (key, label) in zip(axes, columns.items(), strict=True):
    plot_curves({SIZES["context"]: [row[key] for row in history]}, updates, "updates", label, ax)
    ax.set_ylim(0, None)
print(f"{'updates':>8}" + "".join(f"{label:>20}" for label in columns.values()))
for row in history:
    print(f"{row['update']:>8}" + "".join(f"{row[key]:>20.2f}" for key in columns))
Figure(axes[0], "Three curves over 250 updates, all falling. The loss falls steeply from the start; the "
       "alignment error stays high for 50 updates and drops steeply until 150; "
       "so does the entropy.")  # fmt: skip

# %% [markdown]
r"""
*Loss, alignment error and entropy while the model learns, on validation reviews.*

**What happened.** By less: at 50 updates the map is still mostly wrong. Part of the loss needs no
source, such as which French words are frequent. Then, mostly from 50 to 150, the map forms, while the loss
falls on. All of it came from the loss alone.
"""

# %% claim
loss, error = ([row[key] for row in history] for key in ("valid_loss", "error"))
assert loss[1] < loss[0] * 2 / 3 and error[1] > error[0] * 0.7, "the loss falls first"
assert error[1] - error[3] > (error[0] - error[-1]) / 2, "the map forms mostly from 50 to 150"

# %% [markdown]
r"""
## Who looks sharply?

Words differ. The lists of the grammar sort French words into classes: *soupe* is a noun, *froide* an
adjective, *aimé* a participle, *était* an auxiliary, *pas* belongs to a negation, *la* is an article.

**Predict.** Which class has the widest look, and which the narrowest? And does the look widen from step to
step of a sentence, narrow, or neither?
"""

# %%
ADJECTIVES = {form: word.forms["m"] for word in grammar.LEXICON for form in word.forms.values()}
ARTICLES = {"l'"} | {form for forms in grammar.ARTICLES.values() for form in forms.values()}
SMALL_WORDS = {"je", "j'", "nous", "ce", "c'", "à", "au", "aux", "de", "d'", "du", "des"}
CLASSES = {
    "noun": {word for noun in grammar.NOUN.values() for word in noun.phrase.fr} - SMALL_WORDS - ARTICLES,
    "adjective": set(ADJECTIVES),
    "participle": {verb.participle for verb in (*grammar.GUEST, *grammar.RESULT, *grammar.STAFF)},
    "auxiliary": {form for be in (grammar.WAS, grammar.IS, grammar.HAS) for form in be.values()},
    "negation": {"n'", "ne", "pas", "jamais"},
    "article": ARTICLES,
    "other": set(),
}  # fmt: skip


def word_class(word):
    return next((name for name, words in CLASSES.items() if word in words), "other")


def by_class(per_word, rows=None):
    """The mean of numbers, one for each French word of some test reviews (all), by word class."""
    found = defaultdict(list)
    for row, numbers in zip(range(len(test)) if rows is None else rows, per_word, strict=True):
        for word, number in zip(french[row], numbers, strict=True):
            found[word_class(word)].append(float(number))
    return {name: sum(found[name]) / len(found[name]) for name in CLASSES}


# %%
entropy = [attention_entropy(weights[None])[0] for weights in maps]
classes = by_class(entropy)
counts = Counter(word_class(word) for words in french for word in words)
for name, mean in classes.items():
    print(f"{name:<12}{mean:5.2f} nats, {counts[name]:>5,} words")
long = [row[:20].tolist() for row in entropy if len(row) >= 20]  # the same reviews at each step
by_step = [resampled_interval(step) for step in zip(*long, strict=True)]
print(f"by step, {len(long)} reviews of 20 French words or more:", *(f"{mean:.2f}" for mean, _, _ in by_step))
print("95% intervals:", *(f"{low:.2f}-{high:.2f}" for _, low, high in by_step))
reviews = [[[number for word, number in zip(words, row.tolist(), strict=True) if word_class(word) == name]
            for name in CLASSES] for words, row in zip(french, entropy, strict=True)]  # fmt: skip
figure, (left, right) = plt.subplots(1, 2, figsize=(12, 3.4), layout="constrained")
labels = [f"{name}\nn={counts[name]:,}" for name in CLASSES]
for ax, values, names in (left, reviews, labels), (right, long, range(1, 21)):
    values = {SIZES["context"]: values}
    plot_intervals(values, names, "mean entropy, nats", ax, interval=resampled_interval).set_ylim(0, None)
right.set_xlabel(f"step: the number of the French word ({len(long)} reviews)")
Figure(left, "Left, mean entropy by word class: adjectives and participles have the lowest, articles and "
       "auxiliaries the highest. Right, by step: highest at the start, then up and down.")  # fmt: skip

# %% [markdown]
r"""
*Left: how wide the rows of each word class are; n is the number of words. Right: the same by step, in reviews
of 20 words or more. The bars are 95% intervals over reviews, all of one trained model.*

**What happened.** Content words look narrowly, adjectives and participles most of all; articles and
auxiliaries look widely. By step it is neither: the first words have the widest look, and then the curve goes
up and down. Entropy knows nothing of right and wrong: a narrow look may be at the wrong word.
"""

# %% claim
assert max(classes["adjective"], classes["participle"]) < classes["article"]
assert max(classes["noun"], classes["adjective"], classes["participle"]) < classes["auxiliary"]
steps = torch.tensor([mean for mean, _, _ in by_step])
assert steps.argmax() < 4 and steps.argmin() > 2
# Every word has one class.
assert sum(len(words) for words in CLASSES.values()) == len(set.union(*CLASSES.values()))
some = {"la": "article", "soupe": "noun", "n'": "negation", "froide": "adjective", "avons": "auxiliary"}
assert {word: word_class(word) for word in some} == some and word_class("aimé") == "participle"

# %% [markdown]
r"""
## Coverage: not written, or said twice?

Now let the model write on its own, and add up the weight that each English word receives over all steps, its
**coverage** (Tu et al. 2016). If attention were a pointing finger, a word that is not translated should have
coverage near 0, and one that is translated twice should have too much.

We follow the English words that are rendered by one noun, adjective or participle, and count that French
word in the translation; all forms of an adjective (*froid*, *froide*) count as one.

**Predict.** Is the coverage of a word that is rendered once about 1? Is that of a word not written 0?
"""


# %%
CUT = {"l'": "le", "d'": "de", "j'": "je", "c'": "ce", "n'": "ne", "qu'": "que"}
ONE_FORM = {form: forms["m"] for forms in grammar.ARTICLES.values() for form in forms.values()}
LEMMAS = ADJECTIVES | ONE_FORM | CUT


def lemma(word):
    """One form for all forms of an adjective, an article, or a word that loses its vowel."""
    return LEMMAS.get(word, word)


fate = {"not written": [], "once": [], "more than once": []}
for found, right, gold in zip(done["seed 0"], french, test.links, strict=True):
    received = coverage(found.weights[None])[0]
    wanted, written = (Counter(map(lemma, words)) for words in (right, found.tokens))
    for place in range(len(found.src_tokens)):
        content = {right[t] for s, t in gold if s == place} & set.union(*[*CLASSES.values()][:3])
        if len(content) == 1 and wanted[word := lemma(content.pop())] == 1:
            fate[[*fate][min(2, written[word])]].append(received[place].item())
fate = {name: values for name, values in fate.items() if values}
for name, values in fate.items():
    low, middle, high = torch.tensor(values).quantile(torch.tensor([0.25, 0.5, 0.75])).tolist()
    print(f"{name:<16}{len(values):>5,} words, coverage: median {middle:.2f}, "
          f"half of them from {low:.2f} to {high:.2f}")  # fmt: skip

# %%
_, ax = plt.subplots(figsize=(6.4, 2.6), layout="constrained")
ax.boxplot(list(fate.values())[::-1], orientation="horizontal", whis=(5, 95), showfliers=False, widths=0.6,
           medianprops={"color": PALETTE[1], "lw": 2})  # fmt: skip
labels = [f"{name} (n={len(values):,})" for name, values in reversed(fate.items())]
ax.set_yticks(range(1, len(fate) + 1), labels)
ax.set(xlabel="coverage of the English word")
Figure(ax, "Three boxes of coverage. Not written: mostly below 1, with a long whisker upwards. Once: a "
       "little above 1. More than once: far above.")  # fmt: skip

# %% [markdown]
r"""
*Coverage of English words by what became of them. The line in a box is the median; the whiskers hold 90%.*

**What happened.** Coverage tells the three apart in the middle: a word that is said again and again soaks up
weight. In the single case it proves nothing: the whiskers overlap. And a word rendered once often has more
than 1: the rows of its neighbours look at it, too.
"""

# %% claim
out, once, more = (torch.tensor(found).quantile(torch.tensor([0.05, 0.5, 0.95])) for found in fate.values())
assert out[1] < 0.8 * once[1] and 1 < once[1] < 2 and more[1] > 1.5 * once[1], "apart in the middle"
assert out[2] > once[0], "the whiskers overlap"

# %% [markdown]
r"""
## Step through it yourself

All of these numbers for one review: the **explorer** below has seed 0 at every moment that was kept, and seed
1 at its end. Move over the French words, or click one and use the arrow keys. Each step shows its row
("now"), its entropy, and the coverage up to this step ("so far"). The slider goes back in training. The
temperature makes all rows sharper (below 1) or flatter, as if every score had been divided by it.

**Predict.** French renders all twelve English words of this review. Which of them has the least coverage at
the last step, in each seed? And while seed 0 learns, which row is the first with an entropy below 0.1?
"""

# %%
words = pair[:2]
kept = {update: (weights, *words) for update, weights in moments.items()}
explore({"seed 0": kept, "seed 1": (row_by_row(other), *words)}, links=pair[2], epochs="updates",
        alt="Two maps of the review with gold frames, of seed 0 and of seed 1 after 250 updates, alike in "
        "most rows.")  # fmt: skip

# %% [markdown]
r"""
*The review of above, step by step. Where no script may run there is a picture, with the numbers below it.*

**What happened.** In seed 0 it is "{least[0]:s}", with {least[1]:.2f}, and in seed 1 "{least[2]:s}", with
{least[3]:.2f}. The first sharp row is *{sharp[0]:s}*, after {sharp[1]:d} updates. In {apart:d} of the 14 rows
the two seeds have their largest weight at different words.
"""

# %% claim
seen = [coverage(row_by_row(one)[None])[0] for one in (model, other)]
numbers["least"] = [x for row in seen for x in (pair[0][row.argmin()], row.min().item())]
sharp = [(update, row) for update, weights in moments.items()
         for row in (attention_entropy(weights[None])[0] < 0.1).nonzero()[:, 0].tolist()]  # fmt: skip
numbers["sharp"] = [pair[1][sharp[0][1]], sharp[0][0]]
numbers["apart"] = int((row_by_row(model).argmax(-1) != row_by_row(other).argmax(-1)).sum())
assert max(row.min() for row in seen) < 0.8 and numbers["apart"] > 0 and len(pair[1]) == 14

# %% [markdown]
r"""
## A gallery of errors, by a rule

Examples picked by hand show what the picker likes. So here a rule picks. Each wrong translation of a test
review is of one of four kinds: words are only **left out**; words are **repeated**, perhaps in place of
others; **other words** come in; or all words are there, in a **wrong form or order**. Of each kind the case
with the fewest words is shown, English and written ones together (of equals, the first).

**Predict.** Which of the four kinds is the most frequent?
"""


# %%
def fault(written, right):
    """The kind of error of a translation, with all forms of a word as one."""
    want, have = Counter(map(lemma, right)), Counter(map(lemma, written))
    missing, extra = want - have, have - want
    if not missing and not extra:
        return "no error" if written == right else "wrong form or order"
    if not extra:
        return "left out"
    return "repeated" if set(extra) <= set(want) else "other words"


def size(row):
    return len(english[row]) + len(done["seed 0"][row].tokens)


faults = [fault(found.tokens, right) for found, right in zip(done["seed 0"], french, strict=True)]
gallery = {}
for kind, count in Counter(faults).most_common():
    print(f"{kind:<20}{count:>4} of {len(test)} reviews")
    if kind != "no error":
        row = min((row for row, found in enumerate(faults) if found == kind), key=size)
        found = done["seed 0"][row]
        gallery[kind] = found.weights[: len(found.tokens), :-1], found.src_tokens, found.tokens
        print(f"    {test.src[row]}\n    right    {test.tgt[row]}\n    written  {' '.join(found.tokens)}")

# %%
ax = plot_maps(gallery, columns=2, size=(4.6, 3.8))
Figure(ax, "Four maps of wrong translations, the written words in rows and the English words in columns. "
       "Most rows have one bright cell, also those of wrong words.", dpi=64)  # fmt: skip

# %% [markdown]
r"""
*The shortest review of each kind of error; rows are the words that were written.*

**What happened.** In this run it is "{fault:s}". Words are missing although some row gave light to the
English word: to be seen is not to be written. A word that is repeated, or comes from nowhere, looks somewhere
too, and its row may be as sharp as a right one. A word in a wrong form may look at its one right word: of the
ending the map says nothing. So a map tells where to search; whether the guess was right takes another
experiment.
"""

# %% claim
numbers["fault"] = next(iter(gallery))
assert len(gallery) == 4
wanted = ["la", "soupe", "était", "froide", "et", "le", "vin", "était", "bon"]
for words, kind in {
    "la soupe était froide et le vin était bon": "no error",
    "le soupe était froid et le vin était bon": "wrong form or order",
    "la soupe était bonne et le vin était froid": "wrong form or order",
    "la soupe était froide": "left out",
    "la soupe était froide et la soupe était froide": "repeated",
    "la soupe était chaude et le vin était bon": "other words",
}.items():
    assert fault(words.split(), wanted) == kind

# %% [markdown]
r"""
## Debug the famous bug

Builders of such translators make three mistakes again and again. None raises an error: the program runs, the
loss falls, and something comes out. We make each on purpose.

1. **The context is ignored.** It is computed and then not used: where it should be joined to the state,
   someone has written the state twice. All that the decoder has of the review is the state it starts from.
2. **A decoder state never updated.** The state after each word is thrown away, so that every word is written
   from the first state and the last word alone.
3. **Padding not masked.** Whoever shares a batch with a longer review looks at its empty places.

Read the code: each bug is one line. (`forward` in `StaleState` takes the steps of a search in training, too.)
"""


# %%
class IgnoresContext(Decoder):
    def predict(self, states, context):
        return super().predict(states, states)  # the bug: (states, context) was meant


class StaleState(Decoder):
    def step(self, tokens, state):
        logits, _, weights = super().step(tokens, state)
        return logits, state, weights  # the bug: the old state is returned, not the new one

    def forward(self, tgt_in, decoder_state, encoder_states, src_mask):
        state, steps = self.start(decoder_state, encoder_states, src_mask), []
        for tokens in tgt_in.split(1, dim=1):
            logits, state, weights = self.step(tokens, state)
            steps.append((logits, weights))
        logits, weights = (torch.cat(parts, dim=1) for parts in zip(*steps, strict=True))
        return logits, decoder_state, weights


class BesideLongReview(Seq2Seq):
    padding, masked = 60, False

    def encode(self, src, src_lengths):
        states, state, mask = super().encode(F.pad(src, (0, self.padding)), src_lengths)
        return states, state, mask if self.masked else None  # the bug: no mask


# %% [markdown]
r"""
The first two are *trained* with their bug, as it would happen. The second is also, and the third only,
*planted* into the trained model: `plant` gives its weights to the buggy class. For the third, each review
gets 60 tokens of padding, as if a review of some 80 words were in its batch.

**Predict.** Of the two trained with their bug, which has the lower BLEU? And of the two planted? To which bug
belongs a map with the same row twice, to which one that is dull all over, to which one whose light falls off
the right edge?
"""


# %%
def plant(**bug):
    """The trained model with a bug."""
    buggy = new(encoded, **bug).eval()
    buggy.load_state_dict(model.state_dict())
    return buggy


jobs = [{"seed": 0, "decoder": decoder} for decoder in (IgnoresContext, StaleState)]
trained = [found for found, _ in in_parallel(learn, jobs)]
mended = plant(kind=BesideLongReview)
mended.masked = True
suspects = {"context ignored, trained so": trained[0], "state never updated, trained so": trained[1],
            "state never updated, planted": plant(decoder=StaleState), "padding not masked, planted":
            plant(kind=BesideLongReview), "padding masked": mended, "no bug": model}  # fmt: skip

# %% [markdown]
r"""
First the scores: BLEU, alignment error, and how many test reviews are translated otherwise than without a
bug. Then the maps, of the review of above.
"""

# %%
scores = {}
print(f"{'':<34}{'BLEU':>8}{'alignment error':>18}{'not as without a bug':>25}")
for name, suspect in suspects.items():
    texts = [found.tokens for found in translate(suspect, encoded, english)]
    quality = bleu(map(" ".join, texts), test.tgt, n_bootstrap=0).score
    error = alignment_errors(forced_weights(suspect, encoded, "test"), test.links)[0]
    changed = sum(found.tokens != text for found, text in zip(done["seed 0"], texts, strict=True))
    scores[name] = quality, error, changed
    print(f"{name:<34}{quality:>8.1f}{error:>18.2f}{changed:>17} reviews")

# %%
panels, words = {}, [*english[review], "(end)", "(pad)"]
for name in [*suspects][0], *[*suspects][2:4], [*suspects][-1]:
    weights = row_by_row(suspects[name], all_columns=True)
    real, padding = weights[:, : len(words) - 1], weights[:, len(words) - 1 :].sum(1, keepdim=True)
    panels[name] = torch.cat([real, padding], dim=1), words, french[review]
    tokens = translate(suspects[name], encoded, english[review : review + 1])[0].tokens
    print(f"{name}: {padding.mean():.0%} of the weight on padding\n    writes", *tokens[:14])
ax = plot_maps(panels, columns=2, size=(4.6, 3.8))
Figure(ax, "Four maps of the review, with a last column for all padding. Context ignored: dull all over. "
       "State never updated: bright cells in wrong places, the rows of femme and fille alike. Padding not "
       "masked: as without a bug, but dimmer, with light in the column of padding. No bug: bright single "
       "cells.", dpi=64)  # fmt: skip

# %% [markdown]
r"""
*The three bugs, and the model without one. The last column adds up all padding.*

**What happened.** Of the two trained with their bug, the ignored context costs more; planted, the stale state
costs nearly everything and the missing mask least.

- **Context ignored**: as dull as before training. What the weights choose never reaches the output, so
  nothing ever taught them. The beginning is right, thanks to the first state; the rest is good French about
  something else.
- **State never updated**: *femme* and *fille* have the same row, for both follow *ma*, and the decoder knows
  no more than that. Planted, it goes round in circles. Trained so, it does better, yet far from well, and its
  alignment error is higher than without a bug.
- **Padding not masked**: {padding:.0f}% of the light falls on padding, and some translations change. The
  alignment error does not notice, since it compares real words only. This bug sleeps as long as the reviews
  of a batch are alike in length.

With the mask back, not one translation differs. The other two must be trained again.
"""

# %% claim
ignored, stale, circles, crowded, whole, sound = scores.values()
assert ignored[0] < stale[0] - 3 and stale[0] < sound[0] - 20, "the ignored context costs more"
assert circles[0] < 15 and circles[0] < crowded[0] - 30 and crowded[0] > ignored[0], "planted"
assert ignored[1] > 0.85 and stale[1] > sound[1] and abs(crowded[1] - sound[1]) < 0.03
assert whole[2] == 0 and abs(whole[0] - sound[0]) < 0.1 and crowded[2] > 0
tokens = translate(trained[0], encoded, english[review : review + 1])[0].tokens
assert tokens[:2] == french[review][:2] and tokens != french[review], "only the beginning is right"
rows = row_by_row(plant(decoder=StaleState))
assert torch.allclose(rows[french[review].index("femme")], rows[french[review].index("fille")], atol=1e-5)
tokens = translate(plant(decoder=StaleState), encoded, english[review : review + 1])[0].tokens
assert len(set(tokens)) < len(tokens) / 2, "in circles"
rows = row_by_row(plant(kind=BesideLongReview), all_columns=True)
numbers["padding"] = 100 * rows[:, len(pair[0]) + 1 :].sum(1).mean()
assert 5 < numbers["padding"] < 70

# %% [markdown]
r"""
## A bias, built on purpose

A model learns what its data show most. To see what that does, we spoil the training reviews: in nine of ten,
every feminine or feminine plural adjective becomes masculine (*la soupe froid*). One in ten stays as it was,
so the model does get to see *froide*. Nothing else changes, and the test reviews are untouched.

**Predict.** One in ten training reviews is right. In which share of its feminine adjectives will the
translator be right: about 10%, about 50%, or nearly none?
"""

# %%
FEMININE = {a.forms[f]: a.forms[m] for a in grammar.LEXICON for f, m in (("f", "m"), ("fp", "mp"))
            if a.forms[f] != a.forms[m]}  # fmt: skip


def in_masculine(text):
    return " ".join(FEMININE.get(word, word) for word in text.split())


def mostly_masculine(clauses):
    """The reviews, with the adjectives of nine of ten training reviews always in the masculine."""
    corpus = encoded_reviews(clauses).corpus
    texts = [text if row % 10 == 0 else in_masculine(text) for row, text in enumerate(corpus["train"].tgt)]
    return EncodedCorpus(
        replace(corpus, splits=corpus.splits | {"train": replace(corpus["train"], tgt=texts)})
    )


# %%
biased = in_parallel(learn, [{"seed": seed, "corpus": mostly_masculine} for seed in (0, 1)])
spoiled = mostly_masculine(CLAUSES)
done["biased, seed 0"], done["biased, seed 1"] = (translate(found, spoiled, english) for found, _ in biased)
for name, translations in done.items():
    print(f"{name:<16}{bleu([' '.join(t.tokens) for t in translations], test.tgt)}")
print(f"{'all masculine':<16}{bleu(map(in_masculine, test.tgt), test.tgt)}")
row = next(row for row, words in enumerate(french) if set(words) & set(FEMININE))
print("\nthe first test review with such an adjective:", test.src[row], sep="\n    ")
for name, words in ("right", french[row]), ("biased, seed 0", done["biased, seed 0"][row].tokens):
    print(f"    {name:<16}{' '.join(words)}")

# %% [markdown]
r"""
The scores alone would alarm nobody: the biased models are some points below the sound ones, and a shorter
training can do that as well. "All masculine" says why: the right translations with only this wrong lose
{lost:.0f} points. To find a bias one has to *look*, and to sort what one sees: by gender, here. For each
adjective of a reference translation, is the right form in what was written, or the form of the other gender?
"""

# %% claim
score = {name: bleu([" ".join(t.tokens) for t in found], test.tgt, n_bootstrap=0).score
         for name, found in done.items()}  # fmt: skip
numbers["lost"] = 100 - bleu(map(in_masculine, test.tgt), test.tgt, n_bootstrap=0).score
assert 5 < numbers["lost"] < 9 and min(score.values()) > 60
assert all(score[f"biased, seed {seed}"] < score[f"seed {seed}"] for seed in (0, 1))
before, after = (some.corpus["train"] for some in (encoded, spoiled))
assert spoiled.corpus["test"] == test and before.links == after.links
assert after.tgt[::10] == before.tgt[::10] and after.tgt[1] == in_masculine(before.tgt[1])
assert not set(FEMININE) & set(FEMININE.values())


# %%
def agreement(translations, pairs):
    """Of adjectives that should have the first form of a pair: the share written so, or in the second."""
    found = Counter()
    for translation, right in zip(translations, french, strict=True):
        for word in right:
            if word in pairs:
                found["all"] += 1
                found["right"] += word in translation.tokens
                found["twin"] += word not in translation.tokens and pairs[word] in translation.tokens
    return found["right"] / found["all"], found["twin"] / found["all"]


MASCULINE = {masculine: feminine for feminine, masculine in FEMININE.items()}
counts = [sum(word in pairs for words in french for word in words) for pairs in (FEMININE, MASCULINE)]
print("adjectives of the test reviews: {} should be feminine, {} masculine\n".format(*counts))
print(f"{'':<16}{'should be feminine':^30}{'should be masculine':^30}")
print(f"{'':<16}" + f"{'right':>12}{'masculine':>12}{'':6}" + f"{'right':>12}{'feminine':>12}")
for name, translations in done.items():
    shares = [agreement(translations, pairs) for pairs in (FEMININE, MASCULINE)]
    print(f"{name:<16}" + "".join(f"{right:>12.0%}{twin:>12.0%}{'':6}" for right, twin in shares))

# %%
guilty = biased[0][0]
panels = {"sound": (row_by_row(model), *pair), "biased": (row_by_row(guilty, mostly_masculine), *pair)}
for name, found in ("sound", maps), ("biased", forced_weights(guilty, spoiled, "test")):
    print(f"{name:<10}alignment error {alignment_errors(found, test.links)[0]:.2f}")
print("biased, seed 0 writes:", *done["biased, seed 0"][review].tokens)
ax = plot_maps(panels, columns=2)
Figure(ax, "Two maps of the review, of a sound and of the biased translator, much alike: bright cells along "
       "the gold frames, fatiguée at tired in both.", dpi=66)  # fmt: skip

# %% [markdown]
r"""
*The same review read by a sound and by the biased translator; both must write the right words here.*

**What happened.** One in ten training reviews was right, and hardly one word in the test is: the likelier
form is written each time, so nine in ten becomes always. BLEU did not show what was wrong. Nor does the map:
*fatiguée* looks at "tired" in both, and what is written for it is another question. The bias was found by
sorting what is written, by somebody who thought of gender.
"""

# %% claim
for name, translations in done.items():
    (right, twin), (masculine, _) = (agreement(translations, pairs) for pairs in (FEMININE, MASCULINE))
    assert (right < 0.1 and twin > 0.7) if name.startswith("biased") else right > 0.7
    assert masculine > 0.7
rows = [row_by_row(model), row_by_row(guilty, mostly_masculine)]
word = pair[1].index("fatiguée")
assert all(pair[0][weights[word].argmax()] == "tired" for weights in rows), "it looks at tired in both"

# %% [markdown]
r"""
## What a map does not show

In 2019 Jain and Wallace tested this X-ray for classifiers of text: weights did not agree well with other
measures of what matters, and quite different weights could give the same answer. Their title was "Attention
is not Explanation". Wiegreffe and Pinter answered, in "Attention is not not Explanation", that such tests
need baselines, such as two seeds or even weights, and that it depends on what one calls an explanation. Here
are four such experiments with our translator.

### 1. Attention is not alignment

Move all links by one English word, to the left (−1) or to the right (+1), and compare again. A map that fits
best when it is moved would be off by one: one whose light lies a word too far right, at −1. Below it, by
class of words: where is the largest weight, seen from the nearest gold word?

**Predict.** Which class of French words looks one word after the right one most often? Do the two seeds
agree?
"""


# %%
def distance(weights, words, gold):
    """For each French word, how many words right of the nearest gold word its largest weight lies."""
    best = weights.argmax(-1).tolist()
    return [min((best[t] - s for s, tgt in gold if tgt == t), key=abs) for t in range(len(words))]


print(f"{'alignment error':<24}" + "".join(f"{f'shift {shift:+}':>12}" for shift in (-1, 0, 1)))
for name in ("the diagonal", "IBM model 1", "attention, seed 0", "attention, seed 1"):
    errors = alignment_errors(readings[name], test.links).values()
    print(f"{name:<24}" + "".join(f"{error:>12.2f}" for error in errors))
looks = [(-1,), (0,), (1,), {*range(-40, 40)} - {-1, 0, 1}]
for seed, found in enumerate((maps, others)):
    print(f"\n{f'seed {seed} looks':<16}{'one before':>12}{'right':>12}{'one after':>12}{'farther':>12}")
    away = [distance(*row) for row in zip(found, french, test.links, strict=True)]
    tables = [by_class([[d in places for d in row] for row in away]) for places in looks]
    for name in CLASSES:
        print(f"{name:<16}" + "".join(f"{table[name]:>12.0%}" for table in tables))

# %% [markdown]
r"""
**What happened.** As a whole no map is off by one: shift 0 is best for all. But some words look one word
after theirs, such as an article at its noun, and how many do depends on the seed. For translating that is
wise, since "the" does not say whether *le* or *la* is needed; the gold links call it wrong. An alignment asks
which word this one *renders*, attention what is *needed* to write it.

### 2. Weight is not influence

If a word has a large weight, does the output depend on it? We can ask directly: take the English word out of
the sentence, let the model read again, and see by how much the probability of each right French word falls.
This **effect of erasing** is $\ln p(\text{word} \mid \text{all}) - \ln p(\text{word} \mid \text{rest})$, in
nats: 0 where nothing changes, 0.7 where the probability is halved.

**Predict.** For how many French words is the English word with the largest weight also the one whose erasing
hurts most: nearly all, about three in four, or half?
"""

# %% claim
for name in ("the diagonal", "IBM model 1", "attention, seed 0", "attention, seed 1"):
    errors = alignment_errors(readings[name], test.links)
    assert errors[0] < min(errors[-1], errors[1]), "shift 0 is best"
assert tables[2]["article"] > 0.05, "some articles look one word after"
weights = torch.eye(5)[[0, 3, 4, 1]]
assert distance(weights, "abcd", {(0, 0), (1, 1), (2, 1), (4, 2), (3, 3)}) == [0, 1, 0, -2]


# %%
@torch.no_grad()
def effects(src, tgt):
    """Effect of erasing each source word on each target word, (tgt_len, src_len), in nats."""
    sources = [src, *(src[:i] + src[i + 1 :] for i in range(len(src)))]
    ids = [[*encoded.src_vocab.encode(words), EOS_ID] for words in sources]
    target = torch.tensor([BOS_ID, *encoded.tgt_vocab.encode(tgt)]).expand(len(ids), -1)
    logits, _ = model(pad(ids), torch.tensor([len(row) for row in ids]), target[:, :-1])
    chances = logits.log_softmax(-1).gather(2, target[:, 1:, None])[..., 0]  # (1 + src_len, tgt_len)
    return (chances[0] - chances[1:]).T


rows = sorted(range(len(test)), key=lambda row: faults[row] != "no error")[:100]  # right ones first
erased = {row: effects(english[row], french[row]) for row in rows}
agree = [(maps[row].argmax(-1) == effect.argmax(-1)).float() for row, effect in erased.items()]
print(f"the largest weight is the largest effect for {torch.cat(agree).mean():.0%} of the French words")
print("   ".join(f"{name} {share:.0%}" for name, share in by_class(agree, rows).items()))
weights = torch.cat([maps[row].flatten() for row in rows])
effect = torch.cat([effect.flatten() for effect in erased.values()])
print(f"weight above 0.5, yet an effect below 0.1 nats: {(effect[weights > 0.5] < 0.1).float().mean():.0%}")
free = [one.gather(1, maps[row].argmax(-1, keepdim=True)) < 0.1 for row, one in erased.items()]
print("the English word with the largest weight has an effect below 0.1 nats for")
print("   ".join(f"{name} {share:.0%}" for name, share in by_class(free, rows).items()))
print(f"effect above 1 nat, yet a weight below 0.1: {(weights[effect > 1] < 0.1).float().mean():.0%}")

# %%
gold = torch.cat([link_map(test.links[row], *erased[row].shape).flatten() for row in rows]) > 0
_, ax = plt.subplots(figsize=(6, 3.6), layout="constrained")
for label, chosen, colour, marker in ("not linked", ~gold, 1, "."), ("gold link", gold, 0, "+"):
    label = f"{label}, n={chosen.sum():,}"
    ax.plot(weights[chosen], effect[chosen], marker, color=PALETTE[colour], alpha=0.35, label=label)
ax.set(xlabel="attention weight", ylabel="effect of erasing, nats")
finish(ax, legend="above")
Figure(ax, "Scatter of effect against weight. Large effects are more frequent at large weights, but points "
       "with large weight lie at effect 0, and points of large effect at weight 0.")  # fmt: skip

# %% [markdown]
r"""
*Each point is one English and one French word of the first 100 reviews that are translated right.*

**What happened.** Weight and effect go together, loosely. For {largest:.0f}% of the words the largest weight
is also the largest effect. Of the words with more than half of the weight, {free:.0f}% can be erased at next
to no cost: the rest says enough, for many an auxiliary and hardly ever for an adjective. And many a word with
little weight cannot. Erasing is no perfect judge either: a sentence with a hole is one that the model has
never seen.

### 3. Another seed, another map

**Predict.** Take the test reviews that both seeds translate right, word for word. Two models that write the
same from the same: for which share of the words do they look at the same place?
"""

# %% claim
numbers["largest"] = 100 * torch.cat(agree).mean()
numbers["free"] = 100 * (effect[weights > 0.5] < 0.1).float().mean()
assert 40 < numbers["largest"] < 95 and 5 < numbers["free"] < 50
spared = by_class(free, rows)
assert spared["auxiliary"] > 0.2 and spared["adjective"] < 0.1
assert (weights[effect > 1] < 0.1).float().mean() > 0.1

# %%
both = [row for row in range(len(test))
        if done["seed 0"][row].tokens == done["seed 1"][row].tokens == french[row]] or [review]  # fmt: skip
same = [(maps[row].argmax(-1) == others[row].argmax(-1)).float() for row in both]
moved = torch.cat([(maps[row] - others[row]).abs().sum(-1) / 2 for row in both])
print(f"{len(both)} reviews that both translate right: same largest weight for {torch.cat(same).mean():.0%}, "
      f"{moved.mean():.0%} of the weight elsewhere")  # fmt: skip
print("   ".join(f"{name} {share:.0%}" for name, share in by_class(same, both).items()))

# %% [markdown]
r"""
**What happened.** Most looks are shared, nearly all of the adjectives'. But {elsewhere:.0f}% are elsewhere,
above all those of articles and negations: there the row depends on the seed too, not on the sentence alone.
This is also a yardstick. A difference between two maps means little unless it is larger than that between two
seeds.

### 4. Other weights at test time

We leave the trained model as it is, and replace its weights while it writes: by **even** ones, or by its own
weights **shuffled** over the words of the sentence, drawn again for every row.

**Predict.** What becomes of the BLEU? And with the right words before: in which class of words
does the likeliest one stay the same most often under shuffled weights?
"""

# %% claim
numbers["elsewhere"] = 100 * (1 - torch.cat(same).mean())
shared = by_class(same, both)
assert 5 < numbers["elsewhere"] < 50 and shared["adjective"] > 0.85
assert max(shared["article"], shared["negation"]) < 1 - numbers["elsewhere"] / 100


# %%
class Even(nn.Module):
    def __init__(self, score):
        super().__init__()
        self.score = score

    def forward(self, query, keys):
        return 0 * self.score(query, keys)


class Shuffled(Even):
    def forward(self, query, keys):
        scores, real = self.score(query, keys), keys.ne(0).any(-1)  # states are zero at padding
        order = torch.rand(scores.shape).masked_fill(~real[:, None], 2).argsort(-1)  # padding stays behind
        return scores.gather(-1, order)


def tampered(change):
    """The trained model with another score: a copy."""
    changed = copy.deepcopy(model)
    changed.decoder.score = change(changed.decoder.score)
    return changed


# %%
@torch.no_grad()
def choices(model):
    """The word that a model finds likeliest at each place, given the right words before it."""
    found = [None] * len(test)
    for batch in encoded.batches("test"):
        logits, _ = model(batch.src, batch.src_lengths, batch.tgt_in)
        for row, ids in zip(batch.rows, logits.argmax(-1), strict=True):
            found[row] = ids[: len(french[row])]
    return found


torch.manual_seed(0)
before = choices(model)
print(f"{'':<12}{'BLEU':>6}   the same word is likeliest, given the right words before")
print(f"{'own':<12}{bleu([' '.join(t.tokens) for t in done['seed 0']], test.tgt, n_bootstrap=0).score:>6.1f}")
for name, change in ("even", Even), ("shuffled", Shuffled):
    changed = tampered(change)
    texts = [" ".join(found.tokens) for found in translate(changed, encoded, english)]
    kept = by_class([a == b for a, b in zip(before, choices(changed), strict=True)])
    shares = "   ".join(f"{name} {share:.0%}" for name, share in kept.items())
    print(f"{name:<12}{bleu(texts, test.tgt, n_bootstrap=0).score:>6.1f}   {shares}")

# %% [markdown]
r"""
**What happened.** Without its own weights this translator is lost, unlike many a classifier of Jain and
Wallace: it needs them. But not for each word. Under shuffled weights {kept[article]:.0f}% of the articles and
{kept[auxiliary]:.0f}% of the auxiliaries are chosen as before, for the words before them tell enough. If
almost any map leads to the same word, its map does not explain that word. For adjectives it is another
matter.
"""

# %% claim
numbers["kept"] = {name: 100 * share for name, share in kept.items()}
assert bleu(texts, test.tgt, n_bootstrap=0).score < 30
assert kept["auxiliary"] > 0.5 and kept["article"] > 0.3 and kept["adjective"] < 0.3

# %% [markdown]
r"""
## Check yourself

Answer aloud, then unfold.

<details><summary>Why does an alignment error need a baseline?</summary>

Because word order alone gives many links right: a diagonal that has never seen a word gets a good part of
them. And a table of word pairs, IBM model 1, does about as well as our attention.

</details>

<details><summary>A row has entropy 0. Is the model certain of its word? Is the link right?</summary>

Neither follows. The look is sharp, that is all: it may be sharp and wrong, and how sure the model is of its
word stands in the output's probabilities, not in the weights.

</details>

<details><summary>A source word has coverage 4. What may have happened, and what must you check?</summary>

It may have been translated again and again. Or its neighbours, such as an article, look at it too. The
translation itself tells.

</details>

<details><summary>A model's map is dull all over although its loss has fallen. What do you look for in its
code?</summary>

Whether the context reaches the output at all. If it does not, nothing teaches the weights, and the map stays
about as it was before training.

</details>

<details><summary>A translator writes the masculine for women. Can you see it in its attention map?</summary>

No: it may look at the right words and write the wrong form. A bias is found by sorting what is written, here
by gender.

</details>

<details><summary>"The model wrote this word because it looked at that one." What would you ask?</summary>

What happens if that word is erased, if the weights are replaced, and whether another seed that writes the
same looks at the same place. Only then do you know whether the look mattered.

</details>

You should now be able to read a map with numbers beside it, to use it for debugging, and to say which
sentences about it are justified.

## Looking back

- Maps form by themselves and come near a word alignment, about as near as IBM model 1 or nearer. To align is
  not their aim: some words look at the word after theirs.
- Entropy, coverage and a map find faults, once you know what each is blind to: a bias was in none of them.
- Without its weights this translator fails, so they matter; but weight is not influence, and two seeds that
  write the same look elsewhere for {elsewhere:.0f}% of the words. A map says where a context came from, not
  why a word was written.

**One thing to try.** Set `"context"` in `SIZES` to `"dot"` and run everything again. Which of the
statements above still hold?

Now measure maps yourself, in **exercise 04**: heat map, links, error rate, entropy and coverage.
"""
