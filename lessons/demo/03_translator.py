# %% [markdown]
r"""
# 03 · Translation with attention

**How is attention put into a translator, and what does it buy?**

Demo 01 showed what goes wrong when a decoder writes from one vector, and demo 02 how one look at the source
works. Here the look becomes a part of a whole translator, which looks again before each word. Then comes the
question that every new idea has to answer: is it *better*, by how much, and how do we know that it was not
luck?

You will

- **follow** a decoder word by word as it asks, looks and writes,
- **compare** five translators fairly, with the same cells, the same budget and several seeds,
- **judge** which differences are real: by length, for rare words, and for words that change places.

About 30 minutes. Running everything takes a minute or two, most of it for three small models that learn.
Before each result there is a question: answer it before you run the cell.
"""

# %%
import json
from collections import Counter
from itertools import combinations, pairwise
from pathlib import Path

import torch

import utils
from utils.attention import attend
from utils.explorer import explore
from utils.metrics import bleu, bleu_by_length, mean_interval, ngram_recall
from utils.models import Seq2Seq, translate
from utils.plotting import NAMES, Figure, plot_attention, plot_intervals
from utils.text import BOS_ID, EOS_ID, encoded_reviews
from utils.training import in_parallel, seed_everything, train

# %% [markdown]
r"""
## One glance, or one before each word

Think of two interpreters. The first listens to a speech, writes a summary on a card, and then speaks from
that card alone. The second keeps all notes on the desk, and before each word asks: *which of my notes matter
now?* The notes never change. What changes is the question, since it depends on what has been said so far.

In a translator, the first one's card is a **fixed context**: one vector $c$, the same for every word, as in
demo 01. The second one has a **dynamic context**: a vector $c_t$ for each output word $t$, a new blend of the
same encoder states $h_i$ every time.

$$\text{fixed:} \quad p(y_t) = f(s_t, c) \qquad\qquad
\text{dynamic:} \quad p(y_t) = f(s_t, c_t), \quad c_t = \sum_i \alpha_{t,i}\, h_i$$

$s_t$ is the decoder's state and $y_t$ the word it writes. The fixed $c$ is the encoder's last state of each
direction, side by side.

Here is the whole loop of a decoder with attention. Each round **thinks** (the recurrent cell, a GRU, reads
the last word), **asks and looks** (`attend`, from demo 02), and **writes** (a layer for state and context,
then the likeliest word). The argument `ask` is for an experiment later on.
"""


# %%
@torch.no_grad()
def write(model, sentence, ask="anew", longest=60):
    """Translate one sentence word by word. Return the words, and each word's row of attention weights."""
    src = torch.tensor([[*encoded.src_vocab.encode(sentence.split()), EOS_ID]])
    encoder_states, state, mask = model.encode(src, torch.tensor([src.shape[1]]))
    decoder, token, words, rows = model.decoder, torch.tensor([[BOS_ID]]), [], []
    while len(words) < longest:
        query, last = decoder.rnn(decoder.embedding(token), state[None])  # think
        state = last[0]
        if ask == "anew" or not rows:
            context, weights = attend(query, encoder_states, encoder_states, mask, decoder.score)  # ask, look
        both = torch.cat([context, query], dim=-1)  # (1, 1, 2 * hidden)
        token = decoder.out(torch.tanh(decoder.combine(both))).argmax(-1)  # write
        if token.item() == EOS_ID:
            break
        words.append(encoded.tgt_vocab.tokens[token.item()])
        rows.append(weights[0, 0])
    return words, rows


# %% [markdown]
r"""
Compared with a decoder that has a fixed context, one line is new: the one that calls `attend`. The next line
lays the context beside the state, for a small layer, `combine`, to merge, whatever the context is.
`encoder_states` are made once, before the loop. The weights and the blend are computed again in each round.

## A fair experiment

To learn what attention buys, all else must be alike. Our five translators share

- the encoder, the decoder's cell (a GRU), and the sizes: 64 numbers for a word, 96 for a state;
- the training reviews, and for each seed the very same batches in the same order;
- the **budget**: 400 updates each, with one learning rate for all.

They differ only in the context: a fixed one, or attention with one of four scores. Two of the scores have
parameters. They are counted below, so that you can judge whether size alone could explain the result.
(Bahdanau's decoder of demo 02 also feeds its context into the cell. That is another decoder, so it is not in
this comparison.)
"""

# %%
CONTEXTS = ("fixed", "dot", "scaled", "multiplicative", "additive")
SIZES = {"embed_dim": 64, "hidden_dim": 96}
BUDGET = {"updates": 400, "batch_tokens": 1_500, "learning_rate": 1e-2, "curriculum": 0.6}


def learn(context, seed):
    """Train one translator; the seed draws its first weights and its batches."""
    encoded = encoded_reviews()
    seed_everything(seed)
    model = Seq2Seq(len(encoded.src_vocab), len(encoded.tgt_vocab), context, **SIZES)
    train(model, encoded, seed=seed, validate_every=BUDGET["updates"], progress=False, **BUDGET)
    return model


def translations(model):
    """What a model writes for the test reviews, as sentences."""
    encoded = encoded_reviews()
    return [" ".join(done.tokens) for done in translate(model, encoded, encoded.tokens("test", "src"))]


def run(context, seed):
    model = learn(context, seed)
    return model, translations(model)


# %%
encoded = encoded_reviews()
test = encoded.corpus["test"]
for context in CONTEXTS:
    model = Seq2Seq(len(encoded.src_vocab), len(encoded.tgt_vocab), context, **SIZES)
    print(f"{NAMES[context]:<24}{sum(p.numel() for p in model.parameters()):>9,} parameters")

# %% [markdown]
r"""
**Predict.** The reviews have one to five clauses ("the soup was cold" is one). Which of the five translators
will be best for one clause, and which for five? And if dot comes out two points of BLEU above additive, would
you bet that it does so again with other random numbers?

The next cell trains three of them, two at a time: fixed, dot and additive. It takes about a minute. All five,
with several seeds, come further down.
"""

# %% claim
size = {}
for context in CONTEXTS:
    model = Seq2Seq(len(encoded.src_vocab), len(encoded.tgt_vocab), context, **SIZES)
    size[context] = sum(p.numel() for p in model.parameters())
assert size["fixed"] == size["dot"] == size["scaled"] < size["multiplicative"] < size["additive"]

# %%
LIVE = ("additive", "dot", "fixed")  # the slowest first, so that no core waits at the end
runs = in_parallel(run, [{"context": context, "seed": 0} for context in LIVE])
learned = dict(reversed([*zip(LIVE, runs, strict=True)]))

# %% [markdown]
r"""
## Watch it at work

Before any scores, look over the shoulder of one of them: the translator with the dot product, the loop above,
and a review that is not in its training data. Numbers in brackets are places in the source.

**Predict.** For "the restaurant was amazing but the service was slow", the decoder writes *était* twice, the
same word from the same source. Will both look at the first "was", both half at each "was", or each at its
own?
"""

# %%
SENTENCE = "the restaurant was amazing but the service was slow"
words, rows = write(learned["dot"][0], SENTENCE)
assert words == translate(learned["dot"][0], encoded, [SENTENCE.split()])[0].tokens, "as the library does"
source = [*SENTENCE.split(), "(end)"]
for step, (word, row) in enumerate(zip(words, rows, strict=True), 1):
    first, second = row.topk(2).indices
    print(f"{step:>2}  {word:<12} looks at {source[first]:<11}({first + 1}) {row[first]:5.0%}"
          f"   then {source[second]:<11}({second + 1}) {row[second]:5.0%}")  # fmt: skip

# %%
ax = plot_attention(torch.stack(rows), source, words, colour_bar=False, annotate=True)
Figure(ax, "A map of the French words that were written, in rows, by the English words and the end token, in "
       "columns. The bright cells move from the left to the right, row by row.", dpi=64)  # fmt: skip

# %% [markdown]
r"""
*The same source at every step, another question each time: one row a written word.*

**What happened.** Each *était* looks at its own "was", since each asks from where the sentence has got to:
the query is new at every word, so the weights and the context are too. No rule about position was programmed.
Demo 04 asks what you may read from such weights. And one sentence shows how it works, not how well.
"""

# %% claim
looks = [row.argmax().item() for word, row in zip(words, rows, strict=True) if word == "était"]
assert looks == [place for place, word in enumerate(source) if word == "was"]

# %% [markdown]
r"""
Now all three live translators, beside each other. This **explorer** goes word by word: move over the French
words, or click one and use the arrow keys. "now" is the row of this step, and "so far" adds up the rows until
now, so it shows what has been looked at.

**Predict.** The additive one has the same kind of states, and may look at all of them, too. Does it write the
same words? And what will the one with a fixed context make of the review?
"""

# %%
models = {NAMES[context]: model for context, (model, _) in learned.items()}
explore({name: translate(model, encoded, [SENTENCE.split()])[0] for name, model in models.items()},
        alt="Two maps of what the translators with dot and additive attention wrote for the review, in rows, "
        "by its English words, in columns, and the words of the one with a fixed context.")  # fmt: skip

# %% [markdown]
r"""
*One review, three translators. Where no script may run there is a picture, with the numbers below it.*

**What happened.** Read each translation to its end, and check each clause against the source: a translator
may be fluent and wrong. This is one review and one seed; the scores come below.
"""

# %% [markdown]
r"""
### What if it may ask only once?

The loop has a switch. With `ask="once"` the decoder asks before its first word, and works with that one
context to the end: attention in name, with a fixed context.

**Predict.** On the test reviews of two clauses this translator's BLEU is {anew:.0f}. What remains of it when
it may ask only once: about 80, about 50, or less than 30?
"""

# %%
two = [row for row, clauses in enumerate(test.clauses) if clauses == 2]
references = [test.tgt[row] for row in two]
for ask in ("anew", "once"):
    written = [" ".join(write(learned["dot"][0], test.src[row], ask)[0]) for row in two]
    print(f"dot, asks {ask:<14}{bleu(written, references)}")
print(f"{NAMES['fixed']:<24}{bleu([learned['fixed'][1][row] for row in two], references)}")

# %% [markdown]
r"""
**What happened.** The states are all there, and the weights are as learned. What is missing is only that the
question is asked *again*. Be careful with the other half of the comparison. This model was trained to ask
each time, and a model trained with one context would have learned to put more into it; the last line is such
a model. So *this* translator needs its dynamic context. Only the fair experiment can say whether a translator
should have one.
"""

# %% claim
asked = {}
for ask in ("anew", "once"):
    written = [" ".join(write(learned["dot"][0], test.src[row], ask)[0]) for row in two]
    asked[ask] = bleu(written, references, n_bootstrap=0).score
assert asked["anew"] > 80 and asked["once"] < 30
numbers |= asked

# %% [markdown]
r"""
## One seed: what the live models say

BLEU again (out of 100), of the three models that were just trained. The interval in brackets resamples the
test reviews: it says how much the score could move with *other sentences*.

**Predict.** If the intervals of two such models do not overlap: does that prove that one *score function* is
better?
"""

# %%
print(f"{'live, seed 0':<24}{'BLEU, one clause':^24}{'BLEU, five clauses':^24}")
for context, (_, written) in learned.items():
    rows = dict(bleu_by_length(test.clauses, written, test.tgt, range(1, 7)))
    cells = (f"{s.score:.1f} [{s.low:.1f}, {s.high:.1f}]" for s in (rows[1, 1], rows[5, 5]))
    print(f"{NAMES[context]:<24}" + "".join(f"{cell:^24}" for cell in cells))

# %% [markdown]
r"""
**What happened.** It does not. Such an interval is about *these three models*. Another seed is another model,
with other first weights and other batches, and one of them can't show how much seeds differ. That takes
several seeds.

## Several seeds: what is real

Training so many models takes longer than a minute. They were trained once, by the command that is printed
below, with the functions of this notebook, and their scores are kept in a file. The cell reads it.

For $n$ seeds with mean $m$ and standard deviation $s$, the **95% interval** of the mean is
$m \pm t\, s / \sqrt n$. The factor $t$ is Student's, made for few measurements: 4.303 for three seeds, 3.182
for four, 2.776 for five. The interval is about seeds; all of them are tested on the same sentences.

**Predict.** The fixed context and attention: will the intervals over seeds overlap at one clause? And at
five?
"""


# %%
results = Path(utils.__file__).parents[1] / "benchmarks" / "results"
record = json.loads((results / "demo_03.json").read_text())


def recorded(context, *path):
    """What was measured of one kind, for each seed, as in recorded("dot", "bleu", "5")."""
    found = [run for run in record["runs"] if run["context"] == context]
    for key in path:
        found = [run[key] for run in found]
    return found


print(record["command"], record["machine"], sep="\n")
print(f"\n{len(recorded('dot'))} seeds of each kind, mean ± half of the 95% interval")
print(f"{'BLEU at this many clauses':<24}" + "".join(f"{n:^15}" for n in range(1, 6)))
for context in CONTEXTS:
    cells = (mean_interval(recorded(context, "bleu", str(n))) for n in range(1, 6))
    print(f"{NAMES[context]:<24}" + "".join(f"{m:6.1f} ± {high - m:<6.1f}" for m, _, high in cells))
for name, pick, kinds in ("best seed without", max, CONTEXTS[:1]), ("worst seed with", min, CONTEXTS[1:]):
    seeds = [seed.values() for kind in kinds for seed in recorded(kind, "bleu")]
    print(f"{name:<24}" + "".join(f"{pick(column):6.1f}{'':<9}" for column in zip(*seeds, strict=True)))

# %%
sentences = Counter(test.clauses)
labels = [f"{n}\nn={sentences[n]}" for n in range(1, 6)]
ax = plot_intervals({name: [[*seed.values()] for seed in recorded(name, "bleu")] for name in CONTEXTS},
                    labels, "BLEU", legend="above")  # fmt: skip
ax.set(xlabel="clauses", ylim=(-6, 106))
Figure(ax, "BLEU at one to five clauses, five points side by side with their intervals. The point of the "
       "fixed context sinks from one clause to five. The four with attention lie above it at every number of "
       "clauses and fall much less.")  # fmt: skip

# %% [markdown]
r"""
*Recorded, not run here: mean BLEU of {seeds:d} seeds, and its 95% interval; n is the number of test reviews.
The interval ignores the ends of the scale, so some may reach above 100.*

**What happened.** With a fixed context the mean is {fixed[1]:.0f} for one clause and {fixed[5]:.0f} for five.
The last two lines compare single seeds: at every length, the worst one with attention is above the best one
without. Attention loses some points as reviews grow, too: at five clauses the means of the four scores go
from {lowest:.0f} to {highest:.0f}.
"""

# %% claim
assert record["settings"] == {"sizes": SIZES, "budget": BUDGET}
mean_bleu = {c: [mean_interval(recorded(c, "bleu", n))[0] for n in "12345"] for c in CONTEXTS}
for n in "12345":
    assert max(recorded("fixed", "bleu", n)) < min(min(recorded(c, "bleu", n)) for c in CONTEXTS[1:])
assert all(mean_bleu[c][4] < mean_bleu[c][0] for c in CONTEXTS)
assert all(mean_bleu[c][4] > mean_bleu["fixed"][4] + 30 for c in CONTEXTS[1:])
five = [mean_bleu[context][4] for context in CONTEXTS[1:]]
numbers |= {"seeds": len(recorded("fixed")), "lowest": min(five), "highest": max(five)}
numbers["fixed"] = {1: mean_bleu["fixed"][0], 5: mean_bleu["fixed"][4]}

# %% [markdown]
r"""
### Real, or within noise?

To compare two kinds, take their difference *seed by seed*, since both models of a seed saw the same batches,
and the interval of these differences. If it contains 0, the difference is **within noise**: with these
seeds we cannot tell which is better. That is no proof that they are equal.

**Predict.** Five kinds make ten pairs. In which of them is the difference surely real? And among the four
kinds with attention: in how many of their six pairs is the difference at five clauses within noise?
"""

# %%
print(f"{'first minus second':<40}{'one clause':^30}{'five clauses':^30}")
for first, second in combinations(CONTEXTS, 2):
    line = f"{NAMES[first]} - {NAMES[second]}"
    print(f"{line:<40}", end="")
    for n in "15":
        pairs = zip(recorded(first, "bleu", n), recorded(second, "bleu", n), strict=True)
        mean, low, high = mean_interval([a - b for a, b in pairs])
        verdict = "noise" if low <= 0 <= high else "real"
        print(f"{mean:>7.1f} [{low:6.1f},{high:6.1f}] {verdict:<6}", end="")
    print()
    if (first, second) == (CONTEXTS[0], CONTEXTS[-1]):
        print("and among those with attention:")
pairs = zip(recorded("dot", "bleu", "5"), recorded("additive", "bleu", "5"), strict=True)
print("\ndot minus additive at five clauses, seed by seed:", ", ".join(f"{a - b:.1f}" for a, b in pairs))

# %% [markdown]
r"""
**What happened.** Every difference to the fixed context is real at five clauses. Among the four scores, read
the verdicts line by line: where it says noise, these seeds show no winner. And with so many intervals in one
table, one in twenty may mislead. A sentence such as "dot is best" would need a list of conditions longer than
itself: this corpus, this size, this budget, this learning rate.
"""

# %% claim
for context in CONTEXTS[1:]:
    pairs = zip(recorded("fixed", "bleu", "5"), recorded(context, "bleu", "5"), strict=True)
    assert mean_interval([fixed - attention for fixed, attention in pairs])[2] < 0

# %% [markdown]
r"""
## Rare words

It is often said that attention helps with **rare words**. "Rare" needs a meaning before it can be measured:
here, how often the French word stands in the 20,000 training reviews. We ask for **recall**: of all words of
one band of frequency in the reference translations, which share did the model write? The section after this
one asks about words that change places. The next two cells only do the counting for both: you may skip their
code.
"""

# %%
BANDS = (0, 150, 400, 1_600, 10**9)


def neighbours(src, tgt, links):
    """Neighbouring target words in the order of the source, and those that have changed places."""
    kept, swapped = [], []
    origins = [{place for place, word in links if word == i} for i in range(len(tgt))]
    for i, (first, second) in enumerate(pairwise(origins)):
        if {src[place] for place in first | second} & {"not", "never", "no"}:
            continue  # a negation stands around its verb: neither kept nor swapped
        if max(first) < min(second):
            kept.append((tgt[i], tgt[i + 1]))
        elif min(first) > max(second):
            swapped.append((tgt[i], tgt[i + 1]))
    return kept, swapped


# %%
def judge(written):
    """BLEU by clauses, recall by training frequency, and recall of neighbours, of the test translations."""
    corpus = encoded_reviews().corpus
    test, seen = corpus["test"], Counter(word for text in corpus["train"].tgt for word in text.split())
    by_length = bleu_by_length(test.clauses, written, test.tgt, range(1, 7), n_bootstrap=0)
    rare = [
        ngram_recall(written, [[(w,) for w in text.split() if low <= seen[w] < high] for text in test.tgt])
        for low, high in pairwise(BANDS)
    ]
    rows = zip(test.src, test.tgt, test.links, strict=True)
    pairs = [neighbours(src.split(), tgt.split(), links) for src, tgt, links in rows]
    kept, swapped = zip(*pairs, strict=True)
    return {
        "bleu": {str(first): round(score.score, 2) for (first, _), score in by_length},
        "rare": rare,
        "order": [ngram_recall(written, kept), ngram_recall(written, swapped)],
    }


# %% [markdown]
r"""
**Predict.** The words are put into four bands, from the rarest to the most frequent. In which band will the
gap between the fixed context and attention be narrowest? And will it be widest for the rarest?
"""

# %% claim
source_words = ["the", "cold", "soup", "was", "not", "hot"]
target_words = ["la", "soupe", "froide", "n'", "était", "pas", "chaude"]
gold = {(0, 0), (2, 1), (1, 2), (3, 4), (4, 3), (4, 5), (5, 6)}
assert neighbours(source_words, target_words, gold) == ([("la", "soupe")], [("soupe", "froide")])
assert judge(test.tgt) == {"bleu": {n: 100.0 for n in "12345"}, "rare": [1.0] * 4, "order": [1.0, 1.0]}
assert max(judge(test.src)["bleu"].values()) < 1

# %%
seen = Counter(word for text in encoded.corpus["train"].tgt for word in text.split())
names = [f"below {BANDS[1]:,}", *(f"{a:,} to {b - 1:,}" for a, b in pairwise(BANDS[1:-1])),
         f"{BANDS[-2]:,} and more"]  # fmt: skip
print("French words by how often they stand in the training reviews")
for name, (low, high) in zip(names, pairwise(BANDS), strict=True):
    band = [word for word in seen if low <= seen[word] < high]
    count = sum(low <= seen[word] < high for text in test.tgt for word in text.split())
    print(f"{name:<16}{len(band):>4} words, {count:>6,} times in the test: {', '.join(band[:6])}, ...")

print(f"\n{'share recalled':<24}" + "".join(f"{name:^17}" for name in names))
for context in CONTEXTS:
    cells = map(mean_interval, zip(*recorded(context, "rare"), strict=True))
    print(f"{NAMES[context]:<24}" + "".join(f"{m:7.0%} ± {high - m:<7.1%}" for m, _, high in cells))

# %%
groups = {name: recorded(name, "rare") for name in CONTEXTS}
ax = plot_intervals(groups, names, "share recalled", legend="above")
ax.set(xlabel="times in the training reviews", ylim=(0, 1.03))
Figure(ax, "Share of words recalled in four bands of training frequency. The fixed context recalls few of "
       "the rare words and more of the frequent ones. The four with attention lie far above it in every "
       "band.")  # fmt: skip

# %% [markdown]
r"""
*Recorded: the share of the reference's words that were written, by how often training shows them; the mean
of {seeds:d} seeds with its 95% interval.*

**What happened.** The fixed context finds {rare[fixed][0]:.0%} of the rarest words, and dot finds
{rare[dot][0]:.0%}. The gap is narrowest for the most frequent words, since many of these (*le*, *était*,
*et*) can be guessed from how reviews go, without reading this one. So attention does help with rare words
here, and for a plain reason: nobody can guess them.
"""

# %% claim
rare = {c: [mean_interval(band)[0] for band in zip(*recorded(c, "rare"), strict=True)] for c in CONTEXTS}
for context in CONTEXTS[1:]:
    gaps = [a - b for a, b in zip(rare[context], rare["fixed"], strict=True)]
    assert min(gaps) == gaps[-1] > 0.1 and gaps[0] > 0.3
numbers["rare"] = rare

# %% [markdown]
r"""
## Words that change places

French puts most adjectives behind their noun: "the cold soup" is *la soupe froide*. A decoder with attention
can look ahead, write *soupe*, and go back for *froide*. To measure it, take each pair of neighbouring words
of a reference translation. The gold links say which English words they render: either these stand in the same
order, as for *la soupe*, or they have **changed places**, as for *soupe froide*. A pair is recalled where the
translation has the two words side by side and in French order.

(Negation is left out: *n'* and *pas* stand on both sides of the verb, so neither order would be right.)

**Predict.** Does attention help more for pairs that keep the order, or for those that change places?
"""

# %%
rows = zip(test.src, test.tgt, test.links, strict=True)
pairs = [neighbours(src.split(), tgt.split(), links) for src, tgt, links in rows]
kept, swapped = (Counter(pair for row in column for pair in row) for column in zip(*pairs, strict=True))
print(f"{kept.total():,} pairs keep the order; {swapped.total():,} change places, such as "
      + ", ".join(" ".join(pair) for pair, _ in swapped.most_common(5)))  # fmt: skip
print(f"\n{'share of pairs recalled':<24}{'order kept':^17}{'places changed':^17}{'difference':^17}")
for context in CONTEXTS:
    order = recorded(context, "order")
    columns = [*zip(*order, strict=True), [same - changed for same, changed in order]]
    cells = map(mean_interval, columns)
    print(f"{NAMES[context]:<24}" + "".join(f"{m:7.1%} ± {high - m:<7.1%}" for m, _, high in cells))

# %% [markdown]
r"""
**What happened.** It helps with both. The share of changed pairs rises from {order[fixed][1]:.0%} with a
fixed context to {order[dot][1]:.0%} with dot, and the share of pairs in order from {order[fixed][0]:.0%} to
{order[dot][0]:.0%}. One caution: many of these pairs belong to names of dishes, such as *vin rouge*, which a
decoder may learn as one piece. So this is a mild test of reordering.
"""

# %% claim
order = {c: [mean_interval(pairs)[0] for pairs in zip(*recorded(c, "order"), strict=True)] for c in CONTEXTS}
assert all(order[c][i] > order["fixed"][i] + 0.25 for c in CONTEXTS[1:] for i in (0, 1))
numbers["order"] = order

# %% [markdown]
r"""
Here is one review where it matters. "cold onion soup" becomes *soupe à l' oignon froide*: three things, and
the order is turned round.

**Predict.** If all goes well, *soupe*, *oignon* and *froide* look at three columns one after the other. In
which order? And will the two translators with attention, trained for so short a time, get it right?
"""

# %%
REVIEW = "the service was slow and we hated the cold onion soup"
RIGHT = "le service était lent et nous avons détesté la soupe à l' oignon froide"
print(f"{'right':<24}{RIGHT}")
for context, (model, _) in learned.items():
    print(f"{NAMES[context]:<24}" + " ".join(translate(model, encoded, [REVIEW.split()])[0].tokens))

# %%
words, rows = write(learned["dot"][0], REVIEW)
ax = plot_attention(torch.stack(rows), [*REVIEW.split(), "(end)"], words, colour_bar=False, annotate=False)
Figure(ax, "A map of the French words that the dot product's translator wrote for the review, in rows, by "
       "its English words and the end token, in columns.", dpi=64)  # fmt: skip

# %% [markdown]
r"""
*The dot product's translator at work on the same review; its words are the rows.*

**What happened.** In the right translation they go from right to left: "soup", "onion", "cold". Compare with
what was written and where each row of the map is bright: a word that no row looked at can't be translated.
Attention lets a decoder go back; it does not make it do so. One review shows what can happen, not how often:
for that there is the table above.
"""

# %% [markdown]
r"""
## Check yourself

Answer aloud, then unfold.

<details><summary>Which line turns a decoder with a fixed context into one with attention?</summary>

The one that calls `attend`, with the new state as the query and the encoder states as keys and values. The
next line lays the context beside the state, as with a fixed context. The encoder has to hand over all of its
states, not only the last ones.

</details>

<details><summary>The encoder states never change. Why does the context?</summary>

It is a blend of these states, and the shares come from the query. The query is the decoder's state, which has
read one more word at each step.

</details>

<details><summary>A colleague has trained dot and scaled dot once each, and scaled is 2 BLEU better. What do
you ask for?</summary>

Several seeds of each, with the same batches and the same budget, and the interval of the difference. Then,
whether the order stays with more training, since a quicker start is not a better end.

</details>

<details><summary>One interval comes from resampling sentences, another from several seeds. What does each
say?</summary>

The first: how much the score of *this model* could change with other test sentences. The second: how much the
mean of *such trainings* could change with other seeds, on the same sentences. Neither says anything about
another language or a larger model.

</details>

<details><summary>Ten pairs are compared, each with a 95% interval. What may go wrong even if all is done
right?</summary>

About one interval in twenty misses the truth by luck. With many comparisons, a lone one that just excludes 0
is weak evidence.

</details>

You should now be able to say what attention changes inside a decoder, and to compare translation with and
without it so that another person believes you.

## Looking back

- A decoder with attention asks anew before each word: the encoder's states stay, the question moves on, and
  so does the context.
- With the same decoder and budget, each kind of attention beats a fixed context: at every length with every
  seed, for rare words, and for words that change places.
- Between kinds, a difference counts only where its interval over seeds leaves 0 out, and even then for this
  budget only.

**One thing to try.** Set `"updates"` in `BUDGET` to 200 and run the live part again. Which of the three loses
most?

Now build it yourself, in **exercise 03**: both decoders, the training step, and a translator that has to pass
a test.
"""
