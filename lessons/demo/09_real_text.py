# %% [markdown]
r"""
# 09 · Real text

**Does it hold outside our small world?**

![The German line "Sie ist schön." twice. After the line "Kennst du meine Schwester?", do you know my sister,
it means she is beautiful. After "Kennst du diese Stadt?", do you know this town, it means it is
beautiful.](../figures/dialogue.svg)

So far, a grammar wrote all sentences, with 201 English words. Real text has more words than a model can know,
and sometimes one sentence isn't enough, as in the picture. What was true of attention in the small world now
has to prove itself on three corpora: **Multi30K**, captions that people wrote under photographs;
**OpenSubtitles**, what is said in films; and **WMT14**, debates of Parliament and news.

You will

- **read** translations of sentences that are in no corpus,
- **describe** in numbers what makes real text harder,
- **judge** what attention buys there, and what it doesn't.

About 50 minutes. Before each result you find a question: answer it, then open the output.

These corpora may be used for research and teaching, but not passed on. So this page shows none of their text:
every sentence that you read here was written for this course. All results but the last are recorded, so you
need no network to read them. Each comes with the command that repeats it.
"""

# %%
import json
from collections import Counter
from pathlib import Path
from statistics import mean

import torch

import utils
from utils.data.download import DataError
from utils.models import translate
from utils.plotting import NAMES, Figure, plot_attention, plot_curves, plot_intervals
from utils.runs import RunConfig, encode_corpus, evaluate, find_run, train_run
from utils.text import encoded_reviews
from utils.training import in_parallel

RESULTS = Path(utils.__file__).parents[1] / "benchmarks/results"
captions, presets, debates, aligned, record = (
    json.loads((RESULTS / f"{name}.json").read_text("utf-8"))
    for name in ("translation", "presets", "parliament", "alignment", "demo_09")
)

# %% [markdown]
r"""
## It knows chess, but not ducks

Two translators from German to English learned from the captions, one with additive attention and one whose
decoder gets only its initial state, each for a quarter of an hour or so. Here are three sentences that are in
no corpus. If you don't read German: a child with a red hat feeds the ducks at the lake (*am see die enten*),
two old men play chess in the park (*im park schach*), and a woman in a yellow jacket (*eine gelbe jacke*)
waits for the bus.

**Predict.** What will the translator without attention do with the ducks, the chess and the yellow jacket?
"""

# %%
OWN = {
    "multi30k": [
        "ein kind mit einem roten hut füttert am see die enten .",
        "zwei alte männer spielen im park schach .",
        "eine frau , die eine gelbe jacke trägt , wartet auf den bus .",
    ],
    "opensubtitles": ["sie ist schön .", "kennst du meine schwester ?", "kennst du diese stadt ?"],
}
LONG = {"label_smoothing": 0.1, "updates": 2_000}
SMALL = {"embed_dim": 96, "hidden_dim": 192, "dropout": 0.2, "learning_rate": 5e-3, "min_count": 5,
         "patience": 0, "validate_every": 250, "updates": 500}  # fmt: skip
FILM = {"corpus": "opensubtitles", "pairs": 30_000, "subwords": 4_000, "max_tokens": 40}
CONFIGS = {
    "with attention": RunConfig(model="additive", **LONG),
    "without attention": RunConfig(model="initial", **LONG),
    "films": RunConfig(**FILM, hidden_dim=256, dropout=0.3, label_smoothing=0.1, updates=1_000),
    "a minute, with attention": RunConfig(model="additive", **SMALL),
    "a minute, without attention": RunConfig(model="initial", **SMALL),
}


def translations(run):
    """Return what a trained model writes for our own sentences, as words, with its weights."""
    tokens = [run.encoded.tokenize(sentence) for sentence in OWN[run.config.corpus]]
    found = map(run.encoded.on_words, translate(run.model, run.encoded, tokens, beam_size=5))
    return [
        {
            "src": one.src_tokens,
            "tgt": one.tokens,
            "weights": None if one.weights is None else one.weights.mul(1_000).round().div(1_000).tolist(),
        }
        for one in found
    ]


print(record["command"])
runs = {run["kind"]: run for run in record["runs"]}
for number, sentence in enumerate(OWN["multi30k"]):
    print(f"\n{sentence}")
    for kind in ("with attention", "without attention"):
        print(f"    {kind:<20}", *runs[kind]["own"][number]["tgt"])

# %% [markdown]
r"""
**What happened.** With attention, the red hat, the chess and the yellow jacket are there, though a child that
feeds the *ocean* is strange. Without, the translation begins with what the sentence says and goes on with
what captions often say. You know this from the small world: fluent, and wrong.
"""

# %% claim
wanted = ("red", "chess", "yellow")
for word, with_, without in zip(
    wanted, runs["with attention"]["own"], runs["without attention"]["own"], strict=True
):
    assert word in with_["tgt"] and word not in without["tgt"]

# %% [markdown]
r"""
In the terminal, these commands train the same two models on your computer. If you stop them, the same command
resumes:

    .venv/bin/python -m utils.cli_train --label-smoothing 0.1 --updates 2000
    .venv/bin/python -m utils.cli_train --label-smoothing 0.1 --updates 2000 --model initial

Then you also see what *your* translators write, which may differ in a word or two.
"""

# %%
for kind in ("with attention", "without attention"):
    try:
        run = find_run(CONFIGS[kind])
    except DataError:
        run = None
    if run is None or not run.finished:
        print(f"no finished run {kind} in your cache yet")
        continue
    for one in translations(run):
        print(f"{kind:<20}", *one["tgt"])

# %% [markdown]
r"""
These sentences have no gold links, so we can't measure how right a map is. But you can read it.

**Predict.** In the map of the first sentence, which words leave the diagonal?
"""

# %%
ducks = runs["with attention"]["own"][0]
weights = torch.tensor(ducks["weights"])[: len(ducks["tgt"]), : len(ducks["src"])]  # without the end tokens
Figure(
    plot_attention(weights, ducks["src"], ducks["tgt"], annotate=False),
    "An attention map of the English translation, in rows, by the German words, in columns. Bright cells run "
    "along the diagonal up to feeding. Then ocean is bright at enten, and lake at see, which comes before.",
    dpi=110,
)

# %% [markdown]
r"""
*Where the translator with attention looks for each word of the first sentence.*

**What happened.** German has the lake before the ducks, and English the other way around. The map follows:
for what is fed it looks ahead to *enten*, and for "lake" back to *see*. So it looked at the right word, the
ducks, and still wrote "ocean". A map shows where a model looks, and not whether it knows what it sees there.
"""

# %% claim
looks = {word: ducks["src"][row.argmax()] for word, row in zip(ducks["tgt"], weights, strict=True)}
assert looks["ocean"] == "enten" and looks["lake"] == "see"
assert ducks["tgt"].index("ocean") < ducks["tgt"].index("lake")

# %% [markdown]
r"""
## The long tail

What makes real text harder? First of all its words. For each corpus we count the different words in training,
the share of them that occurs only once, and the share of words in the *test* that the model doesn't know. (A
word that occurs fewer than twice in training is left out of the vocabulary.) The last column is the share of
sentences with 30 words or more.

**Predict.** The reviews have 201 English words. How many has the German side of 29,000 captions: 1,000, 5,000
or 20,000?
"""


# %%
def portrait(encoded, test, side="src"):
    """Return numbers of words, and shares, that describe one side of a corpus."""
    vocabulary = encoded.src_vocab if side == "src" else encoded.tgt_vocab
    sentences = encoded.tokens("train", side)
    counts = Counter(word for sentence in sentences for word in sentence)
    tested = [word for sentence in encoded.tokens(test, side) for word in sentence]
    return {
        "words": len(counts),
        "once": mean(count == 1 for count in counts.values()),
        "unknown": mean(word not in vocabulary for word in tested),
        "long": mean(len(sentence) >= 30 for sentence in sentences),
    }


RARE = "enten"  # ducks
portraits = {"reviews, English": portrait(encoded_reviews(), "test")}
portraits |= {
    "captions, German": runs["with attention"]["portraits"]["src"],
    "captions, English": runs["with attention"]["portraits"]["tgt"],
    "films, German": runs["films"]["portraits"]["src"],
}
print(f"{'':<22}{'words':>8}{'once':>8}{'unknown':>10}{'30 or more':>12}")
for name, found in portraits.items():
    print(
        f"{name:<22}{found['words']:>8,}{found['once']:>8.0%}{found['unknown']:>10.1%}{found['long']:>12.1%}"
    )

# %% [markdown]
r"""
**What happened.** Captions have a **long tail**: {german[words]:,d} German words, and more than half of them
occur only once. Still, only {german[unknown]:.0%} of the words in the test are unknown: there are many rare
words, but each of them is rare. *Enten* is one, in {seen:d} of 29,000 captions: too few to learn that it
means ducks, but probably enough to learn that it has to do with water. English has about half as many words.
One reason is that German writes compounds as one word, and another is that it has more endings. And captions
are short: hardly any has 30 words.

A word outside the vocabulary is lost, and our two translators know whole words only. A remedy is to build
words from **subwords**: pieces that are learned from the training text by joining, again and again, the two
neighbors that occur together most often (Sennrich et al. 2016). Frequent words stay whole, and rare ones are
spelled in pieces.

We learn 4,000 subwords from the same captions, which our two translators don't use.

**Predict.** In the next sentence, the dog of a fire brigade guards a purple garden gnome: *feuerwehrhund* and
*gartenzwerg* are one word each. Which words will be cut, and where?
"""

# %% claim
german, english = portraits["captions, German"], portraits["captions, English"]
numbers |= {"german": german, "seen": runs["with attention"]["seen"]}
assert numbers["seen"] < 10
assert german["once"] > 0.5 and german["unknown"] < 0.1 and german["words"] > 15_000 and german["long"] < 0.01
assert 1.7 < german["words"] / english["words"] < 2.3 and portraits["reviews, English"]["words"] == 201

# %%
STRANGE = "der feuerwehrhund bewacht einen lila gartenzwerg ."
print(STRANGE)
print(*runs["with attention"]["pieces"])

# %% [markdown]
r"""
**What happened.** Frequency decides, not grammar (▁ marks the beginning of a word). *feuerwehr* and *hund* is
where a German would cut, too, but *bewacht* would be *be* and *wacht*, and *zwerg* would stay whole.
"""

# %% claim
cut = " ".join(runs["with attention"]["pieces"])
assert "▁feuerwehr hund" in cut and "▁bew acht" in cut and "z wer g" in cut

# %% [markdown]
r"""
## What attention buys on captions

In the reviews, the translator without attention fell apart as sentences grew. Captions are short: three of
four have fewer than 15 words. The next plot shows longer trainings of half an hour each. They are from the
first edition of this course, where the decoder without attention was a little smaller. To repeat them with
today's models:

    python -m benchmarks.quality.translation --only budget long

**Predict.** Will the gap between the two curves be there for the shortest captions, too?
"""


# %%
def by_length(updates, model, direction=("de", "en")):
    """Return BLEU by length of the recorded runs of a model, one list per seed."""
    return [
        [part["score"] for part in run["scores"]["beam"]["by_length"]]
        for run in captions["runs"]
        if run["settings"]["updates"] == updates
        and (run["settings"]["model"], run["settings"]["src"], run["settings"]["tgt"]) == (model, *direction)
    ]


SPANS = ["1–9", "10–14", "15–19", "20–"]
gap = {NAMES[model]: by_length(5_000, model)[0] for model in ("additive", "initial")}
ax = plot_curves(gap, SPANS, "German words", "BLEU")
ax.set_ylim(0, 45)
Figure(
    ax,
    "BLEU of test captions against their number of words. With attention it rises a little "
    "up to 19 words and is lowest from 20 words on. Without, it starts ten points lower and falls.",
    dpi=110,
)

# %% [markdown]
r"""
*BLEU of the test captions by number of German words, one seed each.*

**What happened.** It is there at every length, and it grows from {first:.0f} points for the shortest to
{third:.0f} for those of 15 to 19 words. The last group has only 48 captions, too few for a verdict. In
these captions, the gap grows up to 19 words, but attention helps everywhere.
"""

# %% claim
with_, without = gap.values()
gaps = [a - b for a, b in zip(with_, without, strict=True)]
numbers |= {"first": gaps[0], "third": gaps[2]}
assert min(gaps) > 5 and gaps[2] > gaps[0] + 3 and gaps[0] < gaps[1] < gaps[2]

# %% [markdown]
r"""
And which attention? Here are all kinds after a short training of five minutes, with three seeds each.

**Predict.** In the reviews, the four scores were equally good. Will they be here?
"""

# %%
kinds = ["initial", "dot", "scaled", "multiplicative", "additive", "transformer"]
scores = {
    model: [
        run["scores"]["beam"]["text"]["score"]
        for run in captions["runs"]
        if (run["settings"]["model"], run["settings"]["updates"]) == (model, 1_200)
    ]
    for model in kinds
}
seeds = {"three seeds": [list(seed) for seed in zip(*scores.values(), strict=True)]}
ax = plot_intervals(seeds, [NAMES[kind].replace(" ", "\n", 1) for kind in kinds], "BLEU", dots=True)
ax.set_ylim(0, 38)
Figure(
    ax,
    "BLEU after 1,200 batches, three seeds each: initial state only 17, dot 28, scaled dot 33, "
    "multiplicative 22, additive 33, Transformer 26.",
    dpi=110,
)

# %% [markdown]
r"""
*BLEU after 1,200 batches: the mean of three seeds, and each seed as a small dot.*

**What happened.** No. Scaled dot and additive attention have twice the BLEU of the model without attention,
and the others lie in between. But so short a training rewards what learns *quickly*. It is no verdict on what
each of them can become.
"""

# %% claim
average = {model: mean(values) for model, values in scores.items()}
assert all(len(values) == 3 for values in scores.values())
assert all(1.9 < average[model] / average["initial"] < 2.1 for model in ("scaled", "additive"))
middle = [average[model] for model in ("dot", "multiplicative", "transformer")]
assert average["initial"] + 3 < min(middle) and max(middle) < min(average["scaled"], average["additive"]) - 3

# %% [markdown]
r"""
So here are two of them with more time, from English to German: the translator with additive attention, for an
hour, and a small Transformer, for two. The Transformer has {weights:.1f} million parameters, fewer than half
as many as the other. Both read the same subwords. Every few minutes, they translated captions for validation,
greedily: the likeliest word at each step. In the terminal:

    .venv/bin/python -m utils.cli_train --preset attention-rnn --src en --tgt de
    .venv/bin/python -m utils.cli_train --preset tiny-transformer --src en --tgt de

**Predict.** After the short training, the Transformer was behind. After how many minutes will it overtake, if
at all?
"""

# %%
long = [run for run in presets["runs"] if (run["settings"]["src"], run["settings"]["tgt"]) == ("en", "de")]
trained = {run["settings"]["model"]: run for run in long if run["settings"]["seed"] == 0}
ax = None
for model, run in trained.items():
    _, seconds, bleu = zip(*run["curve"], strict=True)
    ax = plot_curves({NAMES[model]: bleu}, [s / 60 for s in seconds], "minutes of one core", "BLEU", ax)
Figure(
    ax,
    "BLEU of validation captions against minutes of training on one core. Additive attention rises steeply "
    "for 20 minutes, to 33, and ends at 36 after 67. The Transformer rises more slowly, crosses it at about "
    "45 minutes, and ends at 40 after 129.",
    dpi=110,
)

# %% [markdown]
r"""
*BLEU of validation captions, translated greedily, against minutes of training on one core. One seed each.*

**What happened.** It overtakes after about {overtakes:.0f} minutes. Until then, you would call the recurrent
network with attention the better translator. But it has learned all that it can, and the Transformer goes on.
In the end, with a beam of 5 (the search keeps the five best beginnings), it has a BLEU of {transformer:.1f}
on the test captions, and the other one {rnn:.1f} (means of {transformers:d} and {rnns:d} seeds). "Which model
is better?" has no answer without "After how long a training?"
"""

# %% claim
def best(model, seconds):
    """Return the largest BLEU of a model's validations in its first `seconds` of training."""
    return max((bleu for _, spent, bleu in trained[model]["curve"] if spent <= seconds), default=0.0)


ends = trained["transformer"]["curve"][-1][1]
behind = [s for _, s, _ in trained["transformer"]["curve"] if best("transformer", s) < best("additive", s)]
final = {model: [] for model in trained}
for run in long:
    final[run["settings"]["model"]].append(run["scores"]["beam"]["tokens"]["score"])
numbers |= {"weights": trained["transformer"]["parameters"] / 1e6, "overtakes": max(behind) / 60}
numbers |= {"rnn": mean(final["additive"]), "rnns": len(final["additive"])}
numbers |= {"transformer": mean(final["transformer"]), "transformers": len(final["transformer"])}
assert best("transformer", 900) < best("additive", 900) - 5
assert 0.3 * ends < max(behind) < 0.7 * ends and best("transformer", ends) > best("additive", ends) + 1.5
assert min(final["transformer"]) > max(final["additive"]) + 1

# %% [markdown]
r"""
## One line isn't enough

Now films. Our third translator learned from {pairs:,d} lines of film dialogue. Like every translator in this
course, it reads one line at a time.

**Predict.** The picture at the top shows one line after two different lines. What will this translator write
for it, in each of the two scenes?
"""

# %% claim
numbers["pairs"] = runs["films"]["pairs"]

# %%
for one in runs["films"]["own"]:
    print(f"{' '.join(one['src']):<32}", *one["tgt"])

# %% [markdown]
r"""
**What happened.** It writes the same words in both scenes, because it sees the same input. Here they fit
neither: film dialogue is hard, and its training was short. But however long it trains, one translation can't
fit both scenes. No attention can look at what isn't there. The answer is in the line *before*, which has to
become part of the source.

**Think.** You give the translator both lines as one source. What does its attention have to do for *sie*?

<details><summary>One answer</summary>

It has to find *Schwester* or *Stadt* in the line before. This is a look at another word that decides what a
word means, as in demo 07. Translators of whole documents work like that, and so does every language model
with a long prompt.

</details>
"""

# %% claim
line = runs["films"]["own"][0]
assert line["src"][:3] == ["sie", "ist", "schön"] and not {"she", "it", "beautiful"} & set(line["tgt"])

# %% [markdown]
r"""
## Long sentences, and real gold links

Multi30K can't show long sentences, because it has hardly any. Debates and news can: in Parliament about one
German sentence in four has 30 words or more, and in the news about one in eight. Two small translators, with
and without attention, learned from {debates[pairs]:,d} pairs of debates and news. That is far too little to
translate news. But we can count how often the next piece of a word is right, given the correct pieces before
it.

A falling line alone would prove nothing, since in long sentences even a guess is right less often. So there
is a control: the same model with the source of *another* sentence. To repeat it, with text of your own:

    python -m benchmarks.quality.parliament --text FOLDER --gold FOLDER

**Predict.** How does the distance between each line and its control change as sentences grow?
"""

# %% claim
numbers["debates"] = {"pairs": debates["pairs"]}
models = {run["model"]: run for run in debates["runs"]}

# %%
curves = {}
for model in ("additive", "initial"):
    (run,) = (run for run in debates["runs"] if run["model"] == model)
    curves[NAMES[model]] = [100 * share for _, _, share, _ in run["right"][:5]]
    curves[f"{NAMES[model]}, another source"] = [100 * share for _, _, share, _ in run["control"][:5]]
spans = [f"{first}–{last}" for first, last, *_ in run["right"][:5]]
ax = plot_curves(curves, spans, "source words", "next pieces right (percent)")
ax.set_ylim(0, 35)
Figure(
    ax,
    "Share of right next pieces in news by the number of source words. With attention it falls from 31 to "
    "23 percent, far above its control. Without, it falls from 26 to 20, near its control from 30 words on.",
    dpi=110,
)

# %% [markdown]
r"""
*Right next pieces in news by sentence length, with the right source and with another one. One seed.*

**What happened.** With attention, the right source adds {adds[with][0]:.0f} points to the control for the
shortest sentences and still {adds[with][4]:.0f} for those of 40 to 59 words. Without, it adds
{adds[without][0]:.0f}, and then {adds[without][4]:.0f}: from 30 words on, the vector says next to nothing
about its sentence. This is the bottleneck of demo 01, in the news.
"""

# %% claim
adds = {
    name: [100 * (a[2] - b[2]) for a, b in zip(models[model]["right"], models[model]["control"], strict=True)]
    for name, model in (("with", "additive"), ("without", "initial"))
}
numbers["adds"] = adds
assert all(gain < 2 for gain in adds["without"][3:5]) and adds["with"][4] > 4
assert max(run["valid_bleu"] for run in debates["runs"]) < 3

# %% [markdown]
r"""
For 150 sentences of Parliament, people have marked which words belong together. So here we can measure maps
of real text: those of the translator with additive attention, and of a third one with Bahdanau's decoder from
demo 03. IBM model 1 can link from either language to the other; its *intersection* keeps the links that both
directions share.

**Predict.** In the small world, trained attention was clearly better than IBM model 1. And here?
"""

# %%
errors = {name: error for name, (error, _, _) in debates["baselines"].items()}
errors |= {NAMES[run["model"]]: run["error"]["0"][0] for run in debates["runs"] if run["error"]}
for name, error in errors.items():
    print(f"{name:<28}alignment error {error:.2f}")

# %% [markdown]
r"""
**What happened.** Here IBM model 1 has by far the better links, and Bahdanau's attention is even worse than
the diagonal. With so little training, these maps are only beginning to form, as in the early snapshots of
demo 04. And IBM model 1 has an easier task: it links a word that it is given, while a row of a map is made
before its word is known. A nice map in one corpus doesn't promise one in another. Measure before you read.
"""

# %% claim
assert errors["IBM model 1"] < errors["additive"] - 0.1 and errors["additive"] < errors["diagonal"] - 0.05
assert errors["Bahdanau"] > errors["diagonal"]

# %% [markdown]
r"""
Can a map do better on the same text? (The maps above are of the first edition's decoder. Today's, trained as
long, has a slightly better one.) Three tries. Train a second translator, for the other direction, and average
the two maps. Take a better aligner than IBM model 1, eflomal (Östling and Tiedemann 2016), and reward the map
in training for looking where eflomal's links point (Chen et al. 2016, Garg et al. 2019). And reward it one
row later, where the word has just been written and is what the decoder reads (compare Chen et al. 2020).

    python -m benchmarks.quality.alignment --seeds 1

**Predict.** Which of the three helps most?
"""

# %%
tries = {name: error for run in aligned["runs"] for name, (error, _, _) in run["errors"].items()}
tries["eflomal"] = aligned["baselines"]["eflomal, joined"][0]
shown = {
    "own": "additive, without help",
    "both": "mean of both directions",
    "guided": "guided",
    "guided_late": "guided, one row later",
    "eflomal": "eflomal",
}
for name, meaning in shown.items():
    print(f"{meaning:<28}alignment error {tries[name]:.2f}")

# %% [markdown]
r"""
**What happened.** A second opinion helps, and so does a teacher. But most of all it matters when the map is
made. Before a word is written, the map has to guess it, and even a good teacher can't change that. One row
later the word is known, and the guided map gets much closer to its teacher. So a map of attention *can* hold
good links, if training asks for them. If it doesn't, attention looks where it helps to write the next word.
(One seed.)
"""

# %% claim
assert errors["additive"] > tries["own"] > tries["both"] + 0.05
assert abs(tries["guided"] - tries["both"]) < 0.05
assert tries["eflomal"] < tries["guided_late"] < tries["guided"] - 0.1
assert tries["guided_late"] < tries["eflomal"] + 0.15 and len(aligned["runs"]) == 3

# %% [markdown]
r"""
## A minute of your own

Now train on captions yourself: two smaller models, with and without attention, for a minute or two. This
needs the captions, a download of 1.3 MB on first use. Without a network, and without an earlier download, the
cell prints what we recorded for the same training. (In brackets: the 95% interval of BLEU.)

Training is kept in your cache folder. `LIVE` is the number of updates per call: set it to 100, and each run
of the cell continues by 100 updates.

**Predict.** The models see each caption about once. Which BLEU do you expect, with attention and without?
"""

# %%
LIVE = 500


def go_on(kind):
    """Train one model for at most LIVE updates. Return how many it has done."""
    return train_run(CONFIGS[kind], limit=LIVE, progress=False).update


live = [kind for kind in CONFIGS if kind.startswith("a minute")]
try:
    encode_corpus(CONFIGS[live[0]])
except DataError as error:
    print(f"The captions can't be reached, so these are recorded results. ({error})\n")
    for kind in live:
        print(f"{kind:<28} BLEU {runs[kind]['bleu']:.1f} (recorded)")
else:
    for kind, updates in zip(live, in_parallel(go_on, [{"kind": kind} for kind in live]), strict=True):
        found = find_run(CONFIGS[kind])
        score = evaluate(found.model, found.encoded, "test_2016_flickr").bleu
        print(f"{kind:<28} {updates} of {found.config.updates} updates, {score}")

# %% [markdown]
r"""
**What happened.** After one look at each caption, the model with attention is already far ahead of the other
one. The translator that knew chess was trained with four times as many updates, and is more than twice as
wide.

**Think.** In the long training, attention reached a BLEU of {best:.0f}. A Transformer with billions of
parameters would be better. Which of its advantages is attention, and which is something else?

<details><summary>One answer</summary>

Attention lets it look back at everything, as ours does. But most of the gain comes from scale: a thousand
times more text, so that the tail is no longer rare, sources of many sentences, so that the line before is in
view, and parallel training that makes both possible.

</details>
"""

# %% claim
recorded = [runs[kind]["bleu"] for kind in live]
numbers["best"] = next(
    run["scores"]["beam"]["text"]["score"] for run in captions["runs"] if run["settings"]["updates"] == 5_000
)
assert recorded[0] > 1.7 * recorded[1] and recorded[0] < runs["with attention"]["bleu"] / 1.5

# %% [markdown]
r"""
## Check yourself

Answer aloud, then unfold.

<details><summary>Name three ways in which real text is harder than the reviews.</summary>

There are far more words, many of them seen once or never. A sentence may be translated freely, so a right
translation scores less than 100. And what a sentence means may depend on the one before it.

</details>

<details><summary>Subwords leave no word unknown. What is the price?</summary>

Sentences become longer, a map has rows and columns of pieces, and the model has to learn how pieces make a
word.

</details>

<details><summary>Two curves fall with sentence length. Why do you need a control?</summary>

Because longer sentences are also harder to guess. Only the distance to a control shows what the source
contributes.

</details>

<details><summary>Why can't more training fix the line from the film?</summary>

The translator gets the same input in both scenes, so it gives the same output. What decides is in a line that
it doesn't see.

</details>

## In three lines

- Real text has a long tail of rare words. Subwords can spell every one of them.
- On real text, too, attention translates what a single vector loses, at every length.
- A map of real text has to be measured before it is read, and no look finds what isn't in the source.

**One thing to try.** Write a German sentence of your own for `OWN` and train the two models. What do they do
with a word that they have never seen?

Now search, compare and report for yourself, in **exercise 09**.
"""
