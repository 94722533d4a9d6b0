# %% [markdown]
r"""
# 03 · A translator that looks

**How is attention put into a translator, and what does it buy?**

![An encoder-decoder, unrolled. Below, four encoder states read The restaurant was amazing. Above, four
decoder states write Le restaurant était incroyable. Lines join each decoder state with the encoder states. At
the second word, restaurant, the weights are 0.05, 0.80, 0.05 and 0.10.](../figures/unrolled.svg)

In demo 02 you computed one look at the source by hand. A translator looks again before *every* word. This
demo puts the look into a decoder, and then asks what every new idea has to answer: is it better, by how much,
and for what?

You will

- **follow** a decoder word by word as it thinks, looks and writes,
- **test** where a French ending comes from, the source or the decoder,
- **compare** translators with and without attention: by length, for rare words, and for words that change
  places.

About 35 minutes. Before most results you find a question: answer it, then open the output.
"""

# %%
from collections import Counter
from itertools import pairwise

import torch

from utils import pretrained
from utils.attention import attend
from utils.explorer import explore
from utils.metrics import bleu_by_length, mean_interval, ngram_recall
from utils.models import translate
from utils.plotting import NAMES, Figure, plot_attention, plot_by_length, plot_curves
from utils.text import BOS_ID, EOS_ID, encoded_reviews

encoded = encoded_reviews()
test = encoded.corpus["test"]
CONTEXTS = ("initial", "fixed", "dot", "scaled", "multiplicative", "additive")
models = {context: [pretrained.load(context, seed) for seed in (0, 1)] for context in CONTEXTS}

# %% [markdown]
r"""
## It works

These are the models of demo 01, and one more for each of the other scores. They have the same decoder, data
and budget, and differ only in the context. Here are three of them, and the sentence that turned slow service
into expensive bread.
"""

# %%
SENTENCE = "the restaurant was amazing but the service was slow"
for context in ("initial", "fixed", "dot"):
    print(f"{NAMES[context]:<20}", *translate(models[context][0], encoded, [SENTENCE.split()])[0].tokens)

# %% [markdown]
r"""
The translator with attention gets it right. The one with a fixed context can do that, too: two clauses are
not yet long. So try one that surprises.

**Predict.** Reviews often say that a soup is cold, and none of them says that a soup is slow. What will the
two write for "the soup was slow"?
"""

# %%
SOUP = ["the", "soup", "was", "slow"]
for context in ("fixed", "dot"):
    for seed, model in enumerate(models[context]):
        print(f"{NAMES[context]:<20}seed {seed}  ", *translate(model, encoded, [SOUP])[0].tokens)

# %% [markdown]
r"""
**What happened.** With a fixed context, the decoder writes what soups usually are: *froide*, cold. With
attention it writes what the source says: *lente*, slow. It can look, so it need not guess.
"""

# %% claim
soup = {c: [translate(m, encoded, [SOUP])[0].tokens[-1] for m in models[c]] for c in CONTEXTS}
assert soup["fixed"] == ["froide", "froide"] and soup["dot"] == soup["additive"] == ["lente", "lente"]
assert not any("soup was slow" in text for text in encoded.corpus["train"].src)

# %% [markdown]
r"""
## One loop: think, look, write

Here is the whole decoder at work. In each round it **thinks**: a recurrent cell, a GRU, reads the last word
and updates the state $s_t$. It **looks**: this state is the query, and `attend` from demo 02 returns the
context $c_t$. Then it **writes**: a layer combines the two, and the most likely word is next.

$$s_t = \text{GRU}(y_{t-1}, s_{t-1}) \qquad c_t = \sum_i \alpha_{t,i}\, h_i \qquad y_t = f([s_t;\, c_t])$$
"""


# %%
@torch.no_grad()
def write(model, sentence, look_again=True, longest=60):
    """Translate one sentence. Return the words, and each word's row of attention weights."""
    src = torch.tensor([[*encoded.src_vocab.encode(sentence.split()), EOS_ID]])
    encoder_states, state, mask = model.encode(src, torch.tensor([src.shape[1]]))  # once, before the loop
    decoder, token, words, rows = model.decoder, torch.tensor([[BOS_ID]]), [], []
    while len(words) < longest:
        query, last = decoder.rnn(decoder.embedding(token), state[None])  # think
        state = last[0]
        if look_again or not rows:
            context, weights = attend(query, encoder_states, encoder_states, mask, decoder.score)  # look
        combined = torch.tanh(decoder.combine(torch.cat([context, query], dim=-1)))
        token = decoder.out(combined).argmax(-1)  # write
        if token.item() == EOS_ID:
            break
        words.append(encoded.tgt_vocab.tokens[token.item()])
        rows.append(weights[0, 0])
    return words, rows


# %% [markdown]
r"""
Compared with a fixed context, one line is new: the one that calls `attend`.

**Predict.** The decoder writes *était* twice, the same word from the same source. Will both look at the first
"was", both half at each "was", or each at its own?
"""

# %%
dot = models["dot"][0]
words, rows = write(dot, SENTENCE)
source = [*SENTENCE.split(), "(end)"]
Figure(
    plot_attention(torch.stack(rows), source, words, colour_bar=False, annotate=True),
    "A map of the nine French words, in rows, by the English words and the end token, in columns. Each row "
    "has one bright cell, on the diagonal.",
)

# %% [markdown]
r"""
*Where the decoder looks for each word that it writes.*

**What happened.** Each *était* looks at its own "was". The encoder states are the same at every step, but the
query isn't: it depends on what has been written so far.
"""

# %% claim
looks = [row.argmax().item() for word, row in zip(words, rows, strict=True) if word == "était"]
assert looks == [place for place, word in enumerate(source) if word == "was"]
assert words == translate(dot, encoded, [SENTENCE.split()])[0].tokens

# %% [markdown]
r"""
### What if it may look only once?

The loop has a switch. With `look_again=False`, the decoder looks before its first word and keeps that
context.

**Predict.** What will be left of the translation: all of it, the beginning, or nothing?
"""

# %%
print("looks again  ", *words)
print("looks once   ", *write(dot, SENTENCE, look_again=False, longest=12)[0], "...")

# %% [markdown]
r"""
**What happened.** Nothing, apart from the first word. The states are all there, but the question is never
asked again. (This model was trained to look each time. One that is trained with a single context does better:
it is the *fixed* model.)
"""

# %% claim
once = write(dot, SENTENCE, look_again=False, longest=12)[0]
assert once[0] == words[0] and "restaurant" not in once

# %% [markdown]
r"""
## Where does the ending come from?

To write *lent*, a decoder must know two things. The *meaning*, slow, is in the source. The *ending*
depends on the noun: *le service* is masculine (*lent*), *la soupe* is feminine (*lente*), and *les serveurs*
are plural (*lents*). When the decoder writes *lent*, its spotlight is on "slow". So how does it know the
noun?

There are two ways. The encoder state at "slow" may know about "service", since the encoder reads in both
directions. Or the decoder remembers that it has just written *le service*. An experiment can tell: we let the
source say "service" and put another noun into the decoder's mouth.

**Predict.** The source is "the service was slow", and we make the decoder write *la soupe était*. What does
it write next: *lent*, like the source, or *lente*, like its own words?
"""


# %%
@torch.no_grad()
def next_words(model, sentence, written):
    """Return the two most likely next words after `written`, with their probabilities."""
    src = torch.tensor([[*encoded.src_vocab.encode(sentence.split()), EOS_ID]])
    tgt_in = torch.tensor([[BOS_ID, *encoded.tgt_vocab.encode(written.split())]])
    logits, _ = model(src, torch.tensor([src.shape[1]]), tgt_in)
    best = logits[0, -1].softmax(0).topk(2)
    return {encoded.tgt_vocab.tokens[i]: round(p.item(), 3) for p, i in zip(*best, strict=True)}


for written in ("le service était", "la soupe était", "les serveurs étaient"):
    print(f"the service was slow   {written:<24}", next_words(dot, "the service was slow", written))

# %% [markdown]
r"""
**What happened.** It writes *lente*, like its own words. So the two sources of information divide the work:
the context brings the *meaning* from the source, and the state brings the *ending* from what has been
written. That is why the decoder combines both, $[c_t; s_t]$. It is also why a spotlight on "slow" doesn't
tell you everything about *lent*.
"""

# %% claim
for context in ("dot", "additive", "multiplicative"):
    for model in models[context]:
        for written, word in (("le service était", "lent"), ("la soupe était", "lente")):
            assert next_words(model, "the service was slow", written)[word] > 0.9

# %% [markdown]
r"""
## Luong's decoder and Bahdanau's

The decoder above is **Luong's** (2015): it thinks first and then looks, with its new state as the query. The
oldest decoder with attention, **Bahdanau's** (2015, first published in 2014), does it the other way around.

![Two decoders side by side. Luong: the GRU reads the last state and the last word, its new state attends to
the encoder states, and state and context are combined to write a word. Bahdanau: the last state attends to
the encoder states, the GRU reads the last word and the context, and word, state and context are
combined.](../figures/decoders.svg)

| | Luong | Bahdanau |
| --- | --- | --- |
| query | the new state $s_t$ | the old state $s_{t-1}$ |
| the GRU reads | the last word | the last word and the context |
| score | dot, multiplicative | additive |

Bahdanau's decoder can *remember* what it has seen, since the context enters its state. Luong's can compute
all its looks at once in training, since no step waits for a context. You build both in exercise 03. The
comparison below puts all four scores into Luong's decoder, so that nothing but the context differs.
"""

# %% [markdown]
r"""
## Watch them side by side

This **explorer** goes word by word. Move over the French words, or click one and use the arrow keys. "now" is
the row of this step, and "so far" adds up all rows until now.
"""

# %%
shown = {NAMES[context]: models[context][0] for context in ("initial", "dot", "additive")}
explore(
    {name: translate(model, encoded, [SENTENCE.split()])[0] for name, model in shown.items()},
    alt="Two maps of the translations with dot and additive attention, in rows, by the English words, in "
    "columns, and the words of the translator that has only an initial state.",
)

# %% [markdown]
r"""
*One review, three translators. Where no script may run, you see a picture with the numbers below it.*
"""

# %% [markdown]
r"""
## What it buys: length

Demo 01 showed this curve for one kind of attention. Here it is for all four scores, two seeds each.
"""

# %%
sentences = encoded.tokens("test", "src")
translations = {
    context: [[" ".join(t.tokens) for t in translate(model, encoded, sentences)] for model in seeds]
    for context, seeds in models.items()
}
scores = {
    context: [bleu_by_length(test.clauses, texts, test.tgt, range(1, 7), n_bootstrap=0) for texts in seeds]
    for context, seeds in translations.items()
}
bleu = {c: [[score.score for _, score in seed] for seed in seeds] for c, seeds in scores.items()}
Figure(
    plot_by_length(scores, unit="clauses"),
    "BLEU at one to five clauses. The curves of the four kinds of attention lie on top of each other near "
    "100. The fixed context falls steadily, and the initial state falls faster.",
)

# %% [markdown]
r"""
*BLEU by number of clauses: means of two seeds, with a band from one to the other.*

All four stay above {least:.0f}, while the fixed context falls to {fixed:.0f}. *Whether* a decoder may look
matters far more than *how* it scores.
"""

# %% claim
least = min(min(seed) for context in CONTEXTS[2:] for seed in bleu[context])
assert least > 97 and max(seed[4] for seed in bleu["fixed"] + bleu["initial"]) < 50
numbers |= {"least": int(least), "fixed": sum(seed[4] for seed in bleu["fixed"]) / 2}

# %% [markdown]
r"""
## What it buys: rare words

It is often said that attention helps with **rare words**. In our small world even the rarest words occur more
than twenty times in the 20,000 training reviews (demo 09 has truly rare ones), but some are a hundred times
more frequent than others. We ask for **recall**: what share of the words in the reference translations did
the model write?

**Predict.** For which words is the gap between the fixed context and attention narrowest: the rarest or the
most frequent ones?
"""

# %%
BANDS = (0, 150, 400, 1_600, 10**9)
seen = Counter(word for text in encoded.corpus["train"].tgt for word in text.split())
middle = [f"{a:,} to {b - 1:,}" for a, b in pairwise(BANDS[1:-1])]
labels = [f"below {BANDS[1]}", *middle, f"{BANDS[-2]:,} or more"]


def recall(texts, low, high):
    """Return the share of the reference's words in a band of frequency that the translations have."""
    wanted = [[(word,) for word in text.split() if low <= seen[word] < high] for text in test.tgt]
    return ngram_recall(texts, wanted)


recalled = {
    context: [sum(recall(texts, *band) for texts in seeds) / len(seeds) for band in pairwise(BANDS)]
    for context, seeds in translations.items()
}
ax = plot_curves(recalled, labels, "occurrences in the training reviews", "share recalled", legend=None)
ax.set_ylim(0, 1.03)
for context, label in {**NAMES, "dot": "attention, all four scores"}.items():
    if context in CONTEXTS[:3]:
        ax.annotate(label, (0, recalled[context][0]), (8, -4), textcoords="offset points", va="top")
Figure(
    ax,
    "Share of words recalled in four bands of training frequency. All kinds of attention stay near one. The "
    "fixed context recalls fewer of the rarest words than of the most frequent ones, and the initial state "
    "fewer still.",
)

# %% [markdown]
r"""
*Words recalled, by how often training shows them; means of two seeds. The kinds of attention lie on top of
each other.*

**What happened.** The gap is narrowest for the most frequent words. Many of them (*le*, *était*, *et*) can be
guessed from how reviews go. Rare words can't: with a fixed context, {rare[fixed]:.0%} of the rarest are
recalled, with dot attention {rare[dot]:.0%}.
"""

# %% claim
for context in CONTEXTS[2:]:
    gaps = [a - b for a, b in zip(recalled[context], recalled["fixed"], strict=True)]
    assert min(gaps) == gaps[-1] and gaps[0] > gaps[-1] + 0.1 and recalled[context][0] > 0.95
assert min(seen[word] for text in test.tgt for word in text.split()) > 20
numbers["rare"] = {context: recalled[context][0] for context in ("fixed", "dot")}

# %% [markdown]
r"""
## What it buys: words that change places

French puts most adjectives behind their noun: "the cold soup" is *la soupe froide*.

**Predict.** "cold onion soup" becomes *soupe à l' oignon froide*. In which order will *soupe*, *oignon* and
*froide* look at the three English words?
"""

# %%
REVIEW = "we hated the cold onion soup"
words, rows = write(models["additive"][0], REVIEW)
Figure(
    plot_attention(torch.stack(rows), [*REVIEW.split(), "(end)"], words, colour_bar=False, annotate=False),
    "A map of nous avons détesté la soupe à l' oignon froide, in rows, by the English words. The rows of "
    "soupe, oignon and froide are bright at soup, onion and cold, from right to left.",
)

# %% [markdown]
r"""
*The translator with additive attention, on a review that changes the order.*

**What happened.** From right to left: "soup", "onion", "cold". The decoder looks ahead for *soupe* and then
back for *froide*. No rule about French adjectives was programmed.

### Pairs that keep the order, and pairs that change places

How general is that? Take all pairs of neighboring words in the reference translations. The grammar knows
which English words they come from, so we can tell pairs that keep the English order from pairs that **change
places**. (We leave out negation: *n'* and *pas* stand on both sides of a verb.)
"""

# %% claim
order = [[*REVIEW.split(), "(end)"][row.argmax()] for row in rows]
assert " ".join(words) == "nous avons détesté la soupe à l' oignon froide"
assert [order[words.index(word)] for word in ("soupe", "oignon", "froide")] == ["soup", "onion", "cold"]


# %%
def neighbors(src, tgt, links):
    """Return neighboring target words that keep the order of the source, and those that change places."""
    kept, swapped = [], []
    origins = [{place for place, word in links if word == i} for i in range(len(tgt))]
    for i, (first, second) in enumerate(pairwise(origins)):
        if {src[place] for place in first | second} & {"not", "never", "no"}:
            continue
        if max(first) < min(second):
            kept.append((tgt[i], tgt[i + 1]))
        elif min(first) > max(second):
            swapped.append((tgt[i], tgt[i + 1]))
    return kept, swapped


lines = zip(test.src, test.tgt, test.links, strict=True)
kept, swapped = zip(*(neighbors(src.split(), tgt.split(), links) for src, tgt, links in lines), strict=True)
common = Counter(pair for row in swapped for pair in row).most_common(5)
print("change places:", ", ".join(" ".join(pair) for pair, _ in common), "...")

# %% [markdown]
r"""
**Predict.** Does attention help more with pairs that keep the order, or with those that change places?
"""

# %%
print(f"{'pairs recalled':<24}{'order kept':>12}{'places changed':>16}")
pairs = {}
for context, seeds in translations.items():
    pairs[context] = [sum(ngram_recall(texts, kind) for texts in seeds) / 2 for kind in (kept, swapped)]
    print(f"{NAMES[context]:<24}{pairs[context][0]:>12.0%}{pairs[context][1]:>16.0%}")

# %% [markdown]
r"""
**What happened.** It helps with both alike. A caution: many of the pairs that change places are names of
dishes, such as *vin rouge*, which a decoder can learn as one piece. So this is a mild test of reordering.
"""

# %% claim
assert all(min(pairs[context]) > 0.97 for context in CONTEXTS[2:])
assert all(max(pairs[context]) < 0.75 for context in CONTEXTS[:2])
assert all(abs(pairs[context][1] - pairs[context][0]) < 0.1 for context in CONTEXTS)

# %% [markdown]
r"""
## Check yourself

Answer aloud, then unfold.

<details><summary>Which line turns a decoder with a fixed context into one with attention?</summary>

The one that calls `attend`, with the new state as the query and the encoder states as keys and values. The
encoder must hand over all its states, not only the last ones.

</details>

<details><summary>The encoder states never change. Why does the context?</summary>

It is a blend of these states, and the query sets the shares. The query is the decoder's state, which has read
one more word at each step.

</details>

<details><summary>For "lent", the decoder looks at "slow" only. How does it know the ending?</summary>

From its own state: it has just written *le service*. The context brings the meaning of the adjective, and the
state its ending.

</details>

<details><summary>Why does a fixed context turn a slow soup into a cold one?</summary>

Its memory of the source is weak, so it falls back on what usually follows *la soupe était*.

</details>

## In three lines

- A decoder with attention thinks, looks and writes. It looks again before every word.
- Context and state divide the work: an adjective's meaning comes from the source, its ending from the words
  written so far.
- Attention helps most with long sentences and rare words, and with changed order as much as with kept order.
  Which score it uses matters little here.

**One thing to try.** Write a review of your own for `SENTENCE` and guess each row of its map before you look.

Now build it yourself in **exercise 03**: both decoders, the training step, and a translator that has to pass
a test. Demo 04 asks how far you can trust such maps.
"""

# %% [markdown]
r"""
## Appendix · Is a difference real?

At five clauses, *dot* and *scaled dot* differ. Is dot the better score? Both models of one seed saw the same
batches, so compare them *seed by seed*, and take the mean $m$ of the $n$ differences with its 95% interval,
$m \pm t\,s/\sqrt n$. Here $s$ is their standard deviation, and $t$ a factor that is large when $n$ is small.
"""

# %%
differences = [a[4] - b[4] for a, b in zip(bleu["dot"], bleu["scaled"], strict=True)]
mean, low, high = mean_interval(differences)
print("dot minus scaled dot, per seed:", ", ".join(f"{d:.1f}" for d in differences))
print(f"mean {mean:.1f}, 95% interval from {low:.1f} to {high:.1f}")

# %% [markdown]
r"""
The interval contains 0, so these seeds can't tell which score is better. That is no proof that they are
equal: with two seeds, Student's factor $t$ is 12.7, and the interval is very wide. For a claim about scores
you would train five seeds or more. The difference between attention and a fixed context needs no such care.
It is far larger than anything that changes with the seed.
"""

# %% claim
assert low < 0 < high
