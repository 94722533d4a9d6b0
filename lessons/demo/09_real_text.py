# %% [markdown]
r"""
# 09 · Real text

**Does it still hold outside our small world?**

So far all sentences came from a grammar, with 201 English words and the right alignment of every pair. Nobody
writes like that. Here are captions that people wrote under photographs, and the commands for speeches, news
and films: more words than a model can know, and gold links for hardly any of them. What was true of attention
in the small world now has to show itself.

You will

- **describe** what makes real text harder, in numbers,
- **train** a translator with and without attention on captions, for a minute or two now and as long as you
  like later,
- **judge** the difference by length, and read maps of sentences that are in no corpus.

About 50 minutes. Running everything takes about two minutes, most of it for two models that learn. Before
each result there is a question: answer it before you run the cell.

The captions, **Multi30K** (Elliott et al. 2016), are downloaded on first use, 1.3 MB. They may be used for
research and teaching and not be passed on, so this page shows none of them: every sentence that you read here
was written for this course. Without a network, and without an earlier download, the lesson says so and goes
on with the reviews. Its numbers are then others than those that the text speaks of.
"""

# %%
import json
from collections import Counter
from pathlib import Path
from statistics import mean

import matplotlib.pyplot as plt
import torch

import utils
from utils.data import load_multi30k
from utils.data.download import DataError
from utils.metrics import bleu_by_length, compare_systems
from utils.models import translate
from utils.plotting import NAMES, Figure, plot_attention, plot_by_length, plot_curves
from utils.text import BOS_ID, EOS_ID, UNK_ID, EncodedCorpus, encoded_reviews, pad
from utils.runs import RunConfig, encode_corpus, evaluate, find_run, train_run
from utils.training import in_parallel

# %%
try:
    load_multi30k("de", "en", progress=False)
    NAME, TEST = "multi30k", "test_2016_flickr"
except DataError as error:
    print(f"Multi30K is missing: {error}\n\nThis lesson goes on with the reviews.\n")
    NAME, TEST = "reviews", "test"
SMALL = dict(corpus=NAME, embed_dim=96, hidden_dim=192, dropout=0.2, batch_tokens=900, learning_rate=5e-3,
             min_count=5, patience=0, validate_every=250, updates=500)  # fmt: skip
LABELS = NAMES | {"initial": "no attention"}
configs = {kind: RunConfig(**SMALL, model=kind) for kind in ("initial", "additive")}
encoded = encode_corpus(configs["initial"])
print(encoded.corpus)

# %% [markdown]
r"""
## What is different?

`RunConfig` holds everything that decides a training: corpus, model, sizes, seed. The model `"initial"` has no
attention: its decoder starts from the encoder's summary and sees nothing else of the source. With
`min_count=5`, a word that the training captions have fewer than five times is not in the vocabulary. When it
comes up, the model sees one sign for all such words: *unknown*.

**Predict.** The reviews have 201 English words. How many different words does the German side of 29,000
captions have: 1,000, 5,000 or 20,000? What share of them comes only once? And which share of the words of the
*test* captions will the model not know?
"""


# %%
def portrait(encoded, test, side="src"):
    """Print what the words of one side of a corpus are like, in a line of the table below."""
    vocab = encoded.src_vocab if side == "src" else encoded.tgt_vocab
    language = encoded.corpus.src_lang if side == "src" else encoded.corpus.tgt_lang
    train = encoded.tokens("train", side)
    counts = Counter(word for sentence in train for word in sentence)
    once = sum(count == 1 for count in counts.values()) / len(counts)
    tested = [word for sentence in encoded.tokens(test, side) for word in sentence]
    unknown = sum(word not in vocab for word in tested) / len(tested)
    long = sum(len(sentence) >= 30 for sentence in train) / len(train)
    print(f"{f'{encoded.corpus.name}, {language}':<20}{len(train):>7,}{len(counts):>9,}{once:>8.0%}"
          f"{len(vocab):>9,}{unknown:>9.1%}{long:>12.1%}")  # fmt: skip


HEAD = f"{'':<20}{'pairs':>7}{'words':>9}{'once':>8}{'kept':>9}{'unknown':>9}{'30 and more':>12}"
print(HEAD)
for side in ("src", "tgt"):
    portrait(encoded_reviews(), "test", side)
for side in ("src", "tgt"):
    portrait(encoded, TEST, side)

# %% [markdown]
r"""
**What happened.** (What is kept includes four signs of our own, such as the one for unknown words.) Captions
have a **long tail**: {german[words]:,d} German words, more than half of them seen once. English makes do with
about half as many: it writes most compounds as two words, and its words have fewer endings. Kept is a fifth
of the German words, and still only {german[unknown]:.0f}% of the words in the test are unknown: rare words
are many, but each of them is rare. And captions are short. Of every thousand, three have 30 words or more; of
the reviews, more than two hundred.

## Pieces of words

A word that was cut off at `min_count` is gone, and German makes new words by joining old ones. A way out is
to let the vocabulary hold **subwords**: pieces that are learned from the training text by joining, again and
again, the two neighbours that come most often (Sennrich et al. 2016). Frequent words stay whole, rare ones
are spelled in pieces, and nothing is unknown.

**Predict.** The sentence says that the dog of a fire brigade guards a purple garden gnome; *feuerwehrhund*
and *gartenzwerg* are one word each. Which words will be cut, and where?
"""

# %% claim
assert NAME == "multi30k", "the text speaks of Multi30K"
counts, other = (Counter(sum(encoded.tokens("train", side), [])) for side in ("src", "tgt"))
tested = sum(encoded.tokens(TEST, "src"), [])
unknown = sum(word not in encoded.src_vocab for word in tested) / len(tested)
numbers["german"] = {"words": len(counts), "unknown": 100 * unknown}
assert sum(count == 1 for count in counts.values()) > len(counts) / 2 and unknown < 0.1
assert 1.7 < len(counts) / len(other) < 2.3 and 4.5 < len(counts) / len(encoded.src_vocab) < 5.5
long = [sum(len(sentence) >= 30 for sentence in some.tokens("train", "src")) / len(some.corpus["train"])
        for some in (encoded, encoded_reviews())]  # fmt: skip
assert round(1000 * long[0]) == 3 and long[1] > 0.2
assert len({word for sentence in encoded_reviews().tokens("train", "src") for word in sentence}) == 201

# %%
STRANGE = {
    "multi30k": "der feuerwehrhund bewacht einen lila gartenzwerg .",
    "reviews": "the restaurants were unfriendly and the soups were coldest",
}[NAME]
pieces = EncodedCorpus(encoded.corpus, subwords=4_000)
known = ["<unknown>" if word not in encoded.src_vocab else word for word in encoded.tokenize(STRANGE)]
print("words   ", *known)
print("pieces  ", *pieces.tokenize(STRANGE))
print("together", *pieces.words(pieces.tokenize(STRANGE)))

# %% [markdown]
r"""
**What happened.** Three of six words would be one and the same sign. In pieces all of them can be told apart
and spelled (▁ marks where a word begins). Cuts follow frequency and not grammar: *feuerwehr* and *hund* is
how a German would cut, but it would be *be* and *wacht*, and *zwerg* would stay whole. For its short
training, this lesson stays with words.

## Train for a minute or two

Two small models, alike in all but their attention, learn side by side. `train_run` keeps what it does in a
folder of your cache, so that nothing is lost when you stop it. It takes at most `LIVE` updates in one call,
here all 500. Set `LIVE` to 100, and each run of the cell takes both models 100 updates further; once they are
finished, it finds them in the cache.

**Predict.** These models see every caption about once. A well-known tutorial (Ben Trevett's, on lower-cased
words) reports a BLEU of 28.3 with additive attention and 36.5 with a Transformer. What do you expect of ours,
with and without attention?
"""

# %% claim
assert known.count("<unknown>") == 3 and len(known) == 6 + 1, "six words and the full stop"
cut = " ".join(pieces.tokenize(STRANGE))
assert "▁feuerwehr hund" in cut and "▁bew acht" in cut and "z wer g" in cut
assert pieces.words(pieces.tokenize(STRANGE)) == STRANGE.split()

# %%
LIVE = 500


def go_on(kind):
    """Train one model for at most LIVE updates; give how many it has behind it."""
    return train_run(configs[kind], limit=LIVE, progress=False).update


done = in_parallel(go_on, [dict(kind=kind) for kind in configs])
runs = {kind: find_run(config) for kind, config in configs.items()}
for (kind, run), updates in zip(runs.items(), done, strict=True):
    print(f"{LABELS[kind]:<14}{updates:>5} of {run.config.updates} updates", end="")
    for row in run.history.rows[-1:]:
        print(f", {row['cpu_seconds']:.0f} s of one core, validation BLEU {row['valid_bleu']:.1f}", end="")
    print()

# %% [markdown]
r"""
## With and without

BLEU on the test captions, with its interval from drawing the sentences again, many times, with repetition
(the **bootstrap**). Trevett's figures are on lower-cased words, so that one stands beside it. Below them a
**paired test**, which you can build in exercise 09: of all such draws, in which share p would so large a
difference come from the draw alone? It cannot speak of the luck of the seed; that takes more runs.
"""

# %%
results = {kind: evaluate(run.model, run.encoded, TEST) for kind, run in runs.items()}
for kind, result in results.items():
    print(f"{LABELS[kind]:<14}{result.bleu}; on lower-cased words {result.tokenized_bleu.score:.1f}")
references = [sentence.lower() for sentence in encoded.corpus[TEST].tgt]
texts = [results[kind].translations for kind in configs]
found = compare_systems(references, *texts, tokenize="13a")
print(f"difference {found['difference']:.1f}, p = {found['p_value']:.3f}", end=": ")
print("within noise" if found["within_noise"] else "not luck of these sentences")

# %% [markdown]
r"""
**What happened.** After a single look at each caption, attention is worth {live[gap]:.0f} points: more than
twice the BLEU. (On words both score a little more: an unknown word is one wrong word there, and three wrong
signs, "<", "unk" and ">", in the text.) With other test sentences the difference would hardly change its
sign.

**Predict.** In the reviews the model without attention fell apart as sentences grew. Captions are short:
three in four have fewer than 15 words. Will the gap between the two curves widen with length here too?
"""

# %% claim
live = {kind: result.bleu.score for kind, result in results.items()}
numbers["live"] = {"gap": live["additive"] - live["initial"]}
assert live["additive"] > 2 * live["initial"] and numbers["live"]["gap"] > 5 and not found["within_noise"]
assert all(result.tokenized_bleu.score > result.bleu.score for result in results.values())
counts = Counter(len(sentence) < 15 for sentence in encoded.tokens(TEST, "src"))
assert 0.7 < counts[True] / counts.total() < 0.8, "three in four have fewer than 15 words"

# %%
words = [len(sentence) for sentence in encoded.tokens(TEST, "src")]
EDGES = [1, 10, 15, 20, 100]
curves = {
    LABELS[kind]: [bleu_by_length(words, result.translations, references, EDGES, tokenize="13a")]
    for kind, result in results.items()
}
for name, ((rows,)) in curves.items():
    by_length = (f"{first:>5}-{last}: {score.score:4.1f}" for (first, last), score in rows)
    print(f"{name:<14}" + "".join(by_length))
ax = plot_by_length(curves)
ax.set_ylim(0, 25)
Figure(ax, "BLEU of test sentences against the number of source words, with bands of 95%. The curve with "
       "attention is far above the other everywhere, and lowest from 20 words on.")  # fmt: skip

# %% [markdown]
r"""
*BLEU by length, one seed each; bands are 95% intervals from resampling the sentences.*

**What happened.** The gap is there at every length, and it does *not* widen. With attention, BLEU changes
little up to 19 words and is lowest for the 48 captions of 20 words and more. Without attention even the
shortest are too long for so short a training. From these two curves nobody could say that attention helps
most where sentences are long.

## Longer than a caption

Multi30K cannot show long sentences, for it has hardly any. One can put captions end to end, four neighbours
of the test set as one source. That is long, but it is not a long *sentence*: nothing in one caption depends
on the next. And no model has seen such a chain: both have learned that a text ends with its full stop, and
would stop there. So we do as in demo 01: give the right words so far, and count how often the **next word**
is right, in each caption of the chain. The control is again the same model with another chain's source, which
shows what guessing is worth.

**Predict.** In a caption by itself, {alone[initial]:.0f}% of the next words are right without attention, and
{alone[additive]:.0f}% with it. What becomes of that in the fourth caption of a chain? Is it still better than
guessing?
"""

# %% claim
without, with_ = ([score.score for _, score in rows] for ((rows,)) in curves.values())
gaps = [a - b for a, b in zip(with_, without, strict=True)]
assert min(gaps) > 3 and gaps[-1] < gaps[0] + 2, "at every length, and it does not widen"
assert min(with_) == with_[-1] and max(with_[:3]) - min(with_[:3]) < 5
assert max(without) < min(with_), "even the shortest are too long without attention"
assert sum(count >= 20 for count in words) == 48


# %%
@torch.no_grad()
def right_by_caption(model, count=4, shift=0):
    """Share of right next words in each caption of a chain; `shift` gives it the source of another one."""

    def chains(side):
        sentences = encoded.tokens(TEST, side)
        return [sentences[i : i + count] for i in range(0, len(sentences) - count + 1, count)]

    src = [[*encoded.src_vocab.encode(sum(chain, [])), EOS_ID] for chain in chains("src")]
    tgt = [[BOS_ID, *encoded.tgt_vocab.encode(sum(chain, []))] for chain in chains("tgt")]
    owner = [[k for k, sentence in enumerate(chain) for _ in sentence] for chain in chains("tgt")]
    src, right, words = src[shift:] + src[:shift], torch.zeros(count), torch.zeros(count)
    for i in range(0, len(src), 50):
        ids, place = pad(tgt[i : i + 50]), pad(owner[i : i + 50], -1)
        logits, _ = model(pad(src[i : i + 50]), torch.tensor([*map(len, src[i : i + 50])]), ids)
        hits = logits[:, :-1].argmax(-1) == ids[:, 1:]
        for k in range(count):
            counted = (place == k) & (ids[:, 1:] != UNK_ID)
            right[k] += hits[counted].sum()
            words[k] += counted.sum()
    return right / words


# %%
print(f"{'next words right':<42}" + "".join(f"{place:>8}" for place in ("alone", "1st", "2nd", "3rd", "4th")))
for kind, run in runs.items():
    for shift, name in ((0, LABELS[kind]), (1, f"{LABELS[kind]}, another source (control)")):
        shares = [*right_by_caption(run.model, 1, shift), *right_by_caption(run.model, 4, shift)]
        print(f"{name:<42}" + "".join(f"{share:>8.0%}" for share in shares))

# %% [markdown]
r"""
**What happened.** Without attention, the first caption of a chain goes about as well as one alone, and from
the second on the model knows no more than with a wrong source: all of it is guessed. Its one vector keeps
what the backward reader read last, which is the first caption, and not the rest: the bottleneck, in real
words. With attention each of the four stays above its control, so the model does find something of each; but
it finds far less than in a caption alone. Neither decoder has ever written past a full stop.

## Train for longer

A minute shows the direction, not what the model can do. In a terminal, in the course's folder, these commands
train for as long as it takes, with larger models that stop when validation BLEU no longer rises. Stop them
whenever you like; the same command goes on:

    .venv/bin/python -m utils.cli_train --corpus multi30k --label-smoothing 0.1 --model additive
    .venv/bin/python -m utils.cli_train --corpus multi30k --label-smoothing 0.1 --model initial

The next cell looks for them in your cache and takes the better model that is there for the maps below.
"""

# %% claim
right = {kind: [right_by_caption(run.model, 4, shift) for shift in (0, 1)] for kind, run in runs.items()}
alone = {kind: right_by_caption(run.model, 1)[0].item() for kind, run in runs.items()}
numbers["alone"] = {kind: 100 * share for kind, share in alone.items()}
source, wrong = right["initial"]
assert abs(source[0] - alone["initial"]) < 0.06 and source[0] > wrong[0] + 0.05
assert (source[1:] - wrong[1:]).abs().max() < 0.03, "from the second on, all is guessed"
source, wrong = right["additive"]
assert (source - wrong).min() > 0.02, "each of the four stays above its control"
assert source[1:].max() < 0.7 * alone["additive"], "far less than alone"

# %%
best = runs["additive"]
for kind in configs:
    long_run = find_run(RunConfig(model=kind, label_smoothing=0.1)) if NAME == "multi30k" else None
    if long_run is None:
        print(f"{LABELS[kind]:<14}no long run in your cache yet")
        continue
    state = "finished" if long_run.finished else "not finished"
    score = evaluate(long_run.model, long_run.encoded, TEST).bleu
    print(f"{LABELS[kind]:<14}{long_run.update:,} updates, {state}: {score}")
    best = long_run if kind == "additive" else best

# %% [markdown]
r"""
This is what `python -m benchmarks.quality.translation` measured with models of this size (a hidden size of
512, a beam of 5): first all kinds of attention and a small Transformer, German to English, after the same
1,200 batches, about five minutes of one core each, with three seeds; then up to half an hour with and without
attention, in three directions. These models are those of the first edition of this course, whose decoder
without attention was a smaller one; the same holds for the debates further down.

**Predict.** Which kinds learn most from the same batches? And how does the gap change with the length of a
caption, after a short training and after a long one?
"""

# %%
RESULTS = Path(utils.__file__).parents[1] / "benchmarks/results"
record = json.loads((RESULTS / "translation.json").read_text("utf-8"))
groups = {}
for row in record["runs"]:
    of = row["settings"]
    kind = of["updates"], f"{of['src']}→{of['tgt']}", LABELS[of["model"]]
    groups.setdefault(kind, []).append(row["scores"]["beam"])
print(f"{'BLEU, by words':<44} seeds    all    1-9  10-14  15-19    20-")
for (updates, direction, name), found in sorted(groups.items(), key=lambda item: item[0][:2]):
    means = [mean(one["text"]["score"] for one in found)]
    means += [mean(one["by_length"][part]["score"] for one in found) for part in range(4)]
    print(f"{updates:>5,} updates  {direction}  {name:<22}{len(found):>6}", end="")
    print("".join(f"{score:>7.1f}" for score in means))

# %% [markdown]
r"""
**What happened.** After 1,200 batches scaled dot and additive have twice the BLEU of the model without
attention. Dot and the Transformer follow; three seeds don't tell which of the two is ahead. Multiplicative
comes after them: so short a training rewards what learns quickly, and is no verdict on what each can become.
Length shows already. Without attention each group of longer captions is worse than the one before; with it
they are alike up to 19 words.

After half an hour (one seed each, which says nothing of another) attention is worth {gain[de→en]:.0f} points
between German and English, and {gain[en→fr]:.0f} into French. The gap goes with length as before: between
German and English it grows up to 19 words, and is about as small as at first in the last group, which has few
captions; into French it grows to the end.

## Read its maps

There are no gold links now, so nobody can say how right a map is; but you can read it. The sentences were
written for this page. If you do not read German: *ein kind mit einem roten hut füttert am see die enten* is,
word by word, "a child with a red hat feeds at the lake the ducks".

**Predict.** In a right translation, "feeds the ducks at the lake", which words would leave the diagonal? And
the model has learned for a minute: which words do you expect it to get wrong?
"""

# %% claim
from utils.metrics import mean_interval


def points(updates, direction, model):
    """BLEU of all captions, and of those of each length: means over the seeds."""
    found = groups[updates, direction, LABELS[model]]
    parts = [mean(one["by_length"][part]["score"] for one in found) for part in range(4)]
    return mean(one["text"]["score"] for one in found), *parts


short = {kind: points(1_200, "de→en", kind) for kind in LABELS if (1_200, "de→en", LABELS[kind]) in groups}
quick = [short[kind][0] for kind in ("scaled", "additive")]
middle = [short[kind][0] for kind in ("dot", "transformer")]
assert all(1.9 < score / short["initial"][0] < 2.1 for score in quick)
assert min(quick) - 3 > max(middle) and min(middle) - 3 > short["multiplicative"][0]
ranges = [[one["text"]["score"] for one in groups[1_200, "de→en", LABELS[kind]]]
          for kind in ("dot", "transformer")]  # fmt: skip
assert mean_interval(ranges[0])[1] < mean_interval(ranges[1])[2], "too close for three seeds"
assert list(short["initial"][2:]) == sorted(short["initial"][2:], reverse=True), "each longer group is worse"
assert max(short["additive"][1:4]) - min(short["additive"][1:4]) < 3, "alike up to 19 words"
numbers["gain"] = {}
for direction in ("de→en", "en→de", "en→fr"):
    with_, without = (points(5_000, direction, kind) for kind in ("additive", "initial"))
    numbers["gain"][direction], *gaps = (a - b for a, b in zip(with_, without, strict=True))
    assert gaps[2] > gaps[0] + 3, "the gap grows up to 19 words"
    assert gaps == sorted(gaps) if direction == "en→fr" else abs(gaps[3] - gaps[0]) < 2.5
assert abs(numbers["gain"]["de→en"] - numbers["gain"]["en→de"]) < 1
minutes = [row["cpu_seconds"] / 60 for row in record["runs"] if row["settings"]["updates"] == 1_200]
assert 4 < mean(minutes) < 6

# %%
OWN = {
    "multi30k": [
        "ein kind mit einem roten hut füttert am see die enten .",
        "zwei alte männer spielen im park schach .",
        "eine frau , die eine gelbe jacke trägt , wartet auf den bus .",
    ],
    "reviews": ["we did not like the cold soup", "the waiter was friendly", "the service was slow"],
}[NAME]
tokens = [best.encoded.tokenize(sentence) for sentence in OWN]
written = [best.encoded.on_words(done) for done in translate(best.model, best.encoded, tokens)]
figure, axes = plt.subplots(1, len(OWN), figsize=(15, 5), layout="constrained")
for ax, done in zip(axes, written, strict=True):
    weights = done.weights[: len(done.tokens), : len(done.src_tokens)]  # without the end tokens
    plot_attention(weights, done.src_tokens, done.tokens, ax=ax, annotate=False, colour_bar=False)
    looks = [done.src_tokens[place] for place in weights.argmax(-1)]  # where each weighs most
    print(*done.src_tokens, "\n    writes  ", *done.tokens, "\n    looks at", *looks)
Figure(axes[0], "Three attention maps of German sentences and what the model writes for them. Bright cells "
       "run near the diagonal at first; further on, several rows look at the same word.")  # fmt: skip

# %% [markdown]
r"""
*Three sentences of our own: what the model writes, and where it looks. (The end token's column is not
drawn.)*

**What happened.** "the ducks" would be read before "at the lake". But the model writes nothing of ducks: it
begins with what the sentence says, a child, and goes on with what captions often say. What so short a
training has not taught it, it fills in. Nor does it write of chess in the second, or of yellow in the third.
The words it makes up look somewhere, too: a bright cell doesn't mean that the word is right, as in demo 04.

## Speeches, news and films

The same code runs on two larger corpora. Only the words differ.

- **WMT14**: 4.5 million pairs from Parliament, web pages and news; the test is news. What is hard: rare words
  and names.
- **OpenSubtitles**: millions of pairs of what is said in films. What is hard: short lines that mean something
  only beside the line before, slang, and free translations.

A vocabulary of whole words would have hundreds of thousands of entries here, so both are cut into pieces:

    .venv/bin/python -m utils.cli_train --corpus wmt14 --pairs 100000 --subwords 8000 --max-tokens 60
    .venv/bin/python -m utils.cli_train --corpus opensubtitles --pairs 50000 --subwords 8000

**Predict.** Which of the three corpora has the largest share of sentences of 30 words and more? Set `FETCH`
to True to see; the first time this streams the pairs that are asked for and the test sets from their public
homes.
"""

# %% claim
child, men, woman = (done.tokens for done in written)
assert "child" in child and "ducks" not in child and "men" in men and "chess" not in men
assert "woman" in woman and "yellow" not in woman

# %%
FETCH = False
print(HEAD)
portrait(encoded, TEST)
for name in ("wmt14", "opensubtitles") if FETCH else ():
    portrait(encode_corpus(RunConfig(corpus=name, pairs=5_000, min_count=5)), "test")

# %% [markdown]
r"""
<details><summary>The answer, without fetching</summary>

WMT14, by far: in Parliament about one German sentence in four has 30 words and more, in the news of the test
set one in eight, punctuation not counted. What is said in films is as short as captions are: fewer than one
in a hundred. So it is WMT14 that can show what attention does for long sentences.

</details>
"""

# %% [markdown]
r"""
## Debates and news: long sentences, and gold links

Two questions are still open. What does length cost where sentences really are long? And are the maps of real
text *right*? In Parliament and in the news sentences are long, and for 150 sentences of Parliament people
have marked which word belongs to which, in **sure** links and in **possible** ones, which may be drawn or
left out.

`python -m benchmarks.quality.parliament --seeds 1` trains three translators on {debates[pairs]:,d} pairs of
debates and news, German to English, for {debates[least]:.0f} to {debates[most]:.0f} minutes of one core each.
That is far too little to translate news: validation BLEU stays below 3. But the models can be asked what the
chains of captions were asked: how many next words (here, pieces of words) are right, given those before? The
test is newstest2014; the control is once more another sentence's source, of about the same length.

**Predict.** How does each of the four lines go as sentences grow: with attention, without, and the two
controls?
"""

# %%
debates = json.loads((RESULTS / "parliament.json").read_text("utf-8"))
curves = {}
for run in debates["runs"]:
    if run["model"] != "bahdanau":
        curves[LABELS[run["model"]]] = [100 * share for _, _, share, _ in run["right"]]
        control = f"{LABELS[run['model']]}, another source (control)"
        curves[control] = [100 * share for _, _, share, _ in run["control"]]
spans = [f"{first}-{last}" for first, last, *_ in debates["runs"][0]["right"]]
print(f"{'next pieces right, in %, by source words':<42}" + "".join(f"{span:>8}" for span in spans))
for name, shares in curves.items():
    print(f"{name:<42}" + "".join(f"{share:>8.1f}" for share in shares))
print(f"{'sentences':<42}" + "".join(f"{count:>8,}" for *_, count in debates["runs"][0]["right"]))
ax = plot_curves(curves, spans, "source words", "next pieces right, in %")
ax.set_ylim(0, 35)
Figure(ax, "Share of right next pieces of words in news against the number of source words. With attention "
       "it falls from 31 to 23 percent, without from 26 to 20. The controls lie lower, between 17 and 22; "
       "without attention the line nearly meets its control from 30 words on.")  # fmt: skip

# %% [markdown]
r"""
*Right next pieces by length, with and without attention, with the right source and with another sentence's.*

**What happened.** All four fall. In longer sentences of the news even a guess is right less often, so a
falling line alone proves nothing. What counts is how much the right source adds to its control. With
attention that is {adds[with][0]:.0f} points for the shortest sentences and still {adds[with][4]:.0f} for
those of 40 to 59 words. Without, it is {adds[without][0]:.0f}, and then {adds[without][4]:.0f}: from 30 words
on, the vector of so small a model says next to nothing about its sentence. Side by side, though, the two
lines draw together, from {adds[apart][0]:.0f} points to {adds[apart][4]:.0f}. Both are true: attention loses
much to length here, and keeps a larger part of what it had. (Its control lies lower, for a model that looks
at a wrong source is misled. One seed.)

So three things have now shown length, and none of them all of it. Multi30K has real sentences and hardly any
long ones. Chains of captions are long, but no part depends on another, and no model has seen one in training.
The news has long sentences as people write them, but words that so few pairs do not teach; and as pairs of
more than 60 pieces were left out of training, its longest are new to these models too. (The last group has
nine sentences: too few to say anything.)

**Predict.** Now the maps, judged by the 150 sentences: the models write the references, and each word is
linked to the source word with the largest weight. IBM model 1, of demo 04, knows which words occur together
in the same pairs. Whose links are better, its or the attention's? And what if each word is linked by the row
before its own ("early"), or by the row after it ("late")?
"""

# %% claim
models = {run["model"]: run for run in debates["runs"]}
minutes = sorted(run["cpu_seconds"] / 60 for run in debates["runs"])
numbers["debates"] = {"pairs": debates["pairs"], "least": minutes[0], "most": minutes[-1]}
assert max(run["valid_bleu"] for run in debates["runs"]) < 3
right, control = ({kind: [100 * row[2] for row in models[kind][part]] for kind in ("additive", "initial")}
                  for part in ("right", "control"))  # fmt: skip
adds = {kind: [a - b for a, b in zip(right[kind], control[kind], strict=True)] for kind in right}
apart = [a - b for a, b in zip(right["additive"], right["initial"], strict=True)]
numbers["adds"] = {"with": adds["additive"], "without": adds["initial"], "apart": apart}
assert spans[4] == "40-59" and spans[3].startswith("30")
for kind in right:
    assert right[kind][0] > right[kind][4] + 5 and control[kind][0] > control[kind][4] + 1, "all four fall"
assert all(gain < 2 for gain in adds["initial"][3:]), "next to nothing from 30 words on"
assert adds["additive"][4] / adds["additive"][0] > adds["initial"][4] / adds["initial"][0]
assert 1 < apart[4] < apart[0] - 1, "the lines draw together"
assert all(a < b for a, b in zip(control["additive"][:5], control["initial"][:5], strict=True))
assert debates["runs"][0]["right"][-1][-1] == 9, "sentences in the last group"

# %%
print(f"{'alignment error':<42}{'early':>8}{'own row':>10}{'late':>8}   95% over sentences")
for name, (error, low, high) in debates["baselines"].items():
    print(f"{name:<50}{error:>10.2f}{'':>8}   [{low:.2f}, {high:.2f}]")
for run in debates["runs"]:
    if run["error"]:
        early, own, late = (run["error"][shift] for shift in ("-1", "0", "1"))
        print(f"{LABELS[run['model']]:<42}{early[0]:>8.2f}{own[0]:>10.2f}{late[0]:>8.2f}", end="   ")
        print(f"[{own[1]:.2f}, {own[2]:.2f}]")

# %% [markdown]
r"""
**What happened.** IBM model 1, which was made to find such links, has by far the best ones, {ibm[one]:.2f},
and {ibm[both]:.2f} where both directions agree. Its task is easier, though: it links a word that it is given,
and it has learned from these 150 pairs too, while a row of a map is made before its word is known. Additive
attention, {links[additive][1]:.2f}, is at least better than the diagonal, {ibm[diagonal]:.2f}; Bahdanau's,
{links[bahdanau][1]:.2f}, is worse. They were asked for the next word, and learned of a map only what that
needs.

And the rows? Koehn and Knowles (2017) met a translator from German whose whole map was off by one place. One
cause could lie where attention feeds the cell (Bahdanau): the query is then the state *before* the cell has
read the word just written. As far as that query knows, this word may still be open, so that the look for it
may come once more, a row late. In our two models there is no such shift. The additive one is at its best in
its own row; either way the error rises, to {links[additive][0]:.2f} and {links[additive][2]:.2f}. Bahdanau's
rows are nearly equally wrong wherever one reads them, {links[bahdanau][0]:.2f}, {links[bahdanau][1]:.2f} and
{links[bahdanau][2]:.2f}: this map is not moved but vague. Before you read a map word by word, measure whether
its rows stand where you think they do.
"""

# %% claim
links = {run["model"]: [run["error"][shift][0] for shift in ("-1", "0", "1")]
         for run in debates["runs"] if run["error"]}  # fmt: skip
numbers["links"], lines = links, debates["baselines"]
numbers["ibm"] = {"one": lines["IBM model 1"][0], "both": lines["IBM model 1, intersection"][0]}
numbers["ibm"]["diagonal"] = lines["diagonal"][0]
assert max(numbers["ibm"]["one"], numbers["ibm"]["both"]) < min(links["additive"]) - 0.1, "by far the best"
early, own, late = links["additive"]
assert lines["diagonal"][1] > own + 0.02 and links["bahdanau"][1] > own
assert min(early, late) > own + 0.1, "at its best in its own row"
assert max(links["bahdanau"]) < links["bahdanau"][1] + 0.05, "nearly equally wrong wherever"

# %% [markdown]
r"""
## Check yourself

Answer aloud, then unfold.

<details><summary>Name three ways in which real text is harder than the reviews.</summary>

There are far more words, many of them seen once or never, so that some of the test is unknown; a sentence may
be translated freely, so that a right translation scores less than 100; and there are gold links to judge a
map by for hardly any of it.

</details>

<details><summary>Subwords leave no word unknown. What is the price?</summary>

Sentences become longer, a map has rows and columns of pieces, which must be put together before it is read,
and the model has to learn how pieces make a word.

</details>

<details><summary>A difference is not luck of the test sentences. What else may it be?</summary>

Luck of the seed, of the training sentences, or of the hyperparameters. Only more runs can tell.

</details>

<details><summary>Why do captions put end to end not show how a model does with long sentences?</summary>

They are longer than anything the models were trained on, and their parts do not depend on each other. They
show whether a model keeps its place over a long source, not whether it can follow a long sentence.

</details>

<details><summary>How would you show that attention helps on long sentences of real text?</summary>

Train both models on text that has such sentences, several seeds each, with one budget; compare BLEU by length
with intervals; and report where they do not differ as well.

</details>

## Looking back

- Real text has a long tail of rare words; pieces of words give every one of them a spelling.
- On captions too, the model with attention translates better than the one without, from the first minute on.
- A map of real text can be read, but marked only with links that people drew. Measured on some, one of two
  attentions beat the diagonal, and neither beat IBM model 1.

**One thing to try.** Write a German sentence of your own in `OWN`, first one that could be a caption, then
one that could not. What does the model do with words that it has never seen?

Now search, compare and report for yourself, in **exercise 09**.
"""
