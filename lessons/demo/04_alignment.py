# %% [markdown]
r"""
# 04 · Reading attention

**How right is an attention map?**

![Left: la, soupe and froide are written above the, cold and soup. Thick lines lead from la to soup, from
soupe to soup and from froide to cold, and a thinner one from la to the. Dashed gold links join la with the,
soupe with soup, and froide with cold. Right: the same weights as a map of three rows, with dashed frames at
the gold links.](../figures/alignment.svg)

An attention map looks like an X-ray of a translator: here is what it saw when it wrote this word. It always
looks meaningful. In the small world of this course, we can check it: the grammar that wrote the reviews knows
which English word each French word comes from.

You will

- **measure** maps against the truth, and against three simple baselines,
- **watch** a map emerge while a translator learns,
- **find** what a map's sharpness and its coverage tell you about a translation.

About 35 minutes. Before each result you find a question: answer it, then open the output.
"""

# %%
from collections import defaultdict

import matplotlib.pyplot as plt
import torch

from utils import pretrained
from utils.data.french import CLASSES, CONTENT, lemma, word_class
from utils.explorer import explore
from utils.ibm_model1 import IBMModel1
from utils.metrics import alignment_errors, attention_entropy, coverage, diagonal_links, hard_alignment
from utils.metrics import bleu, link_map
from utils.models import forced_weights, translate
from utils.plotting import PALETTE, Figure, finish, plot_curves, plot_maps
from utils.text import encoded_reviews
from utils.training import validation_loss

# %% [markdown]
r"""
## Count the links that are right

A **gold link** joins two words that translate each other. (*Gold* as in "gold standard": it isn't a color.)
The picture above has three, drawn as dashed lines and as dashed frames. To compare them with a map, we turn
the map into links as well: each French word is linked to the English word with its largest weight. Then we
count. With $A$ the links of the map and $G$ the gold links, the **alignment error rate** is

$$1 - \frac{2\,|A \cap G|}{|A| + |G|}$$

It is 0 if both sets agree, and 1 if they share nothing (Och and Ney 2003).

**Predict.** How large is the error of the map in the picture?
"""

# %%
weights = torch.tensor([[0.30, 0.10, 0.60], [0.10, 0.10, 0.80], [0.05, 0.90, 0.05]])  # la, soupe, froide
gold = {(0, 0), (2, 1), (1, 2)}  # (place in English, place in French), counted from 0
links = hard_alignment(weights)
print("links of the map:", sorted(links), "  right:", len(links & gold))
print(f"alignment error: {1 - 2 * len(links & gold) / (len(links) + len(gold)):.2f}")

# %% [markdown]
r"""
**What happened.** The error is one third, because *la* is linked to "soup" and not to "the".

**Think.** Is this look a mistake of the model?

<details><summary>One answer</summary>

Not for its task. English "the" doesn't say whether French needs *le* or *la*: the noun does. A gold link says
which word is *rendered*. Attention goes where something is *needed* to write the next word. Mostly these are
the same place, and sometimes they aren't. Demo 05 comes back to this.

</details>
"""

# %% claim
assert abs(1 - 2 * len(links & gold) / (len(links) + len(gold)) - 1 / 3) < 1e-6

# %% [markdown]
r"""
## A map beside the truth

Now a real translator: the additive attention of the earlier demos, before and after its training. The review
was chosen for what is in it: a negation, which French puts around the verb; "liked", which becomes two words;
and "fresh bread", which becomes *pain frais*. For comparison, another map spreads the weight evenly. The rows
of all three are the words of the *correct* translation. White frames mark the gold links.

**Predict.** For how many of the 14 French words will the trained model look inside a frame: about a third,
half of them, or nearly all?
"""

# %%
encoded = encoded_reviews()
test = encoded.corpus["test"]
english, french = encoded.tokens("test", "src"), encoded.tokens("test", "tgt")
models = {"untrained": pretrained.load("additive", update=0)}
models |= {f"trained, seed {seed}": pretrained.load("additive", seed) for seed in (0, 1)}
maps = {name: forced_weights(model, encoded, "test") for name, model in models.items()}
maps["even"] = [
    torch.full((len(tgt), len(src)), 1 / len(src)) for src, tgt in zip(english, french, strict=True)
]

review = test.src.index("my wife was not tired and my daughter liked the fresh bread")
pair = english[review], french[review], test.links[review]
panels = {name: (maps[name][review], *pair) for name in ("even", "untrained", "trained, seed 0")}
Figure(
    plot_maps(panels),
    "Three maps of 14 French by 12 English words on one color scale, with gold frames. Even: the "
    "same dark color everywhere. Untrained: nearly the same. Trained: one bright cell per row, nearly all of "
    "them inside their frames.",
)

# %% [markdown]
r"""
*One review, three maps, one color scale. Frames are gold links.*

**What happened.** For nearly all: only *n'* is brightest outside its frame, at "was". (A possible reason: it
is *n'*, and not *ne*, because *était* follows.) Training turned an even look into a spotlight, and no one
told the model where to look: it was only ever told which word comes next.
"""

# %% claim
for seed in (0, 1):
    assert len(hard_alignment(maps[f"trained, seed {seed}"][review]) & pair[2]) >= 12
outside = hard_alignment(maps["trained, seed 0"][review]) - pair[2]
assert [(pair[0][s], pair[1][t]) for s, t in outside] == [("was", "n'")]
assert maps["untrained"][review].max() < 0.3
assert maps["trained, seed 0"][review].max(-1).values.mean() > 0.8

# %% [markdown]
r"""
## An error means little without baselines

One review proves little, so we take all 1,000 test reviews. And an error needs **baselines**, simple methods
that tell us what it is worth:

- **even weights** know nothing, so each French word gets a link that is chosen at random,
- the **diagonal** links words at the same relative place in both sentences, whatever the words are,
- **IBM model 1** (Brown et al. 1993) is a classic from the time before neural networks. It learns from
  sentence pairs which words occur together, and knows nothing of order or grammar. Say "the bread" is *le
  pain* and "the wine" is *le vin*. At first, every French word is shared evenly among the English words of
  its pair. But *le* meets "the" in both pairs. So with each pass over the pairs "the" takes more of *le*, and
  *pain* is left to "bread".

Some French words have two gold links, and all these methods link each word only once. The last line of the
output shows how little that costs.

**Predict.** Order these by their error: even weights, the diagonal, IBM model 1, and trained attention.
"""

# %%
sizes = [(len(tgt), len(src)) for tgt, src in zip(french, english, strict=True)]
ibm = IBMModel1(encoded.tokens("train", "src")[:6_000], encoded.tokens("train", "tgt")[:6_000])
torch.manual_seed(0)
readings = {
    "even weights, at random": [torch.rand(size) for size in sizes],
    "untrained attention": maps["untrained"],
    "the diagonal": [link_map(diagonal_links(*size[::-1]), *size) for size in sizes],
    "IBM model 1": [ibm.weights(*words) for words in zip(english, french, strict=True)],
    "trained attention, seed 0": maps["trained, seed 0"],
    "trained attention, seed 1": maps["trained, seed 1"],
    "one gold link per word": [link_map(gold, *size) for gold, size in zip(test.links, sizes, strict=True)],
}
errors = {name: alignment_errors(found, test.links)[0] for name, found in readings.items()}
for name, error in errors.items():
    print(f"{name:<28}{error:.2f}")

# %% [markdown]
r"""
**What happened.** Both trained models have errors of about {error[trained]:.2f}. That is far better than the
diagonal's {error[diagonal]:.2f}, and clearly better than the {error[ibm]:.2f} of a method that was made for
aligning. Untrained attention is as bad as chance, so the map is *learned*. It didn't come with the
architecture.
"""

# %% claim
trained = [errors[f"trained attention, seed {seed}"] for seed in (0, 1)]
numbers["error"] = {
    "trained": sum(trained) / 2,
    "diagonal": errors["the diagonal"],
    "ibm": errors["IBM model 1"],
}
assert max(trained) < errors["IBM model 1"] - 0.05 and errors["IBM model 1"] < errors["the diagonal"] - 0.05
assert abs(errors["untrained attention"] - errors["even weights, at random"]) < 0.05
assert abs(trained[0] - trained[1]) < 0.01 and errors["one gold link per word"] < 0.02

# %% [markdown]
r"""
## How a map emerges

The course has snapshots of one training: before it, after 50, 100, 200, 400 and 800 updates, and at its end.
For each of them we compute three numbers. The **loss** says how well the model predicts the next word. The
**alignment error** says how right its map is. And the **entropy** says how widely a row spreads its weight:

$$H_t = -\sum_i \alpha_{t,i} \ln \alpha_{t,i}$$

A row with all of its weight on one word has $H = 0$. A row that spreads it evenly over $n$ words has $H = \ln
n$. So $e^H$ is the width of the look, in words. With the natural logarithm, the unit is called *nat*.

**Predict.** In the first 200 updates, the loss falls by more than a quarter. How far does the alignment error
fall in that time: by about as much, by more, or not at all?
"""

# %%
STEPS = [*pretrained.snapshots("additive"), None]  # None: the end of the training
learning = {"loss": [], "alignment error": [], "entropy": []}
moments = {}
for update in STEPS:
    model = pretrained.load("additive", update=update)
    found = forced_weights(model, encoded, "valid")
    learning["loss"].append(validation_loss(model, encoded))
    learning["alignment error"].append(alignment_errors(found, encoded.corpus["valid"].links)[0])
    learning["entropy"].append(torch.cat([attention_entropy(w[None])[0] for w in found]).mean().item())
    moments["end" if update is None else str(update)] = forced_weights(model, encoded, "test")[review]

figure, axes = plt.subplots(1, 3, figsize=(9, 2.8), layout="constrained")
units = ("loss (nats per word)", "alignment error", "entropy (nats)")
for ax, (name, values), unit in zip(axes, learning.items(), units, strict=True):
    plot_curves({name: values}, list(moments), "updates", unit, ax).set_ylim(0, None)
Figure(
    axes[0],
    "Three curves at 0, 50, 100, 200, 400 and 800 updates and at the end. The loss falls all the time. The "
    "alignment error stays near 0.95 up to 200 updates and then falls steeply. The entropy falls, rises "
    "again, and then falls to the end.",
)

# %% [markdown]
r"""
*Loss, alignment error and entropy on validation reviews, during one training.*

**What happened.** Not at all. Up to 200 updates, the error stays where it was. The model first learns what
needs no source, such as which French words are frequent and which ones follow each other. Then, from 200 to
800, loss and error fall together: to predict better, the model now has to look at the right word.
"""

# %% claim
loss, error, entropy = learning.values()
assert loss[3] < 0.75 * loss[0] and max(error[:4]) - min(error[:4]) < 0.03 and error[0] > 0.9
assert loss[5] < loss[3] / 4 and error[5] < 0.4 and error[6] < error[5] and loss[6] < loss[5]
assert entropy[2] < entropy[0] - 0.5 and entropy[3] > entropy[2] + 0.3

# %% [markdown]
r"""
One thing in these curves is odd. At 100 updates, the entropy has fallen by nearly half, so the rows are
already narrower. But their error is as bad as ever.

**Predict.** What does a map look like whose rows are narrow and wrong?
"""

# %%
Figure(
    plot_maps({f"{update} updates": (moments[update], *pair) for update in ("50", "100", "400")}),
    "Maps of the review after 50, 100 and 400 updates, with gold frames. After 50 and 100, "
    "the column of 'the' is the brightest in all rows, faintly and then strongly. After 400, the rows "
    "differ, and several of them are brightest inside a frame.",
)

# %% [markdown]
r"""
*The review from above, at three moments of the training.*

**What happened.** At 100 updates, all rows look at the same word, "the": the look is sharp, but it doesn't
yet depend on the word that is being written. Later the rows separate, and each finds its own word.

Here are all seven moments: move the slider, and step through the words with the arrow keys.
"""

# %% claim
rows = {update: len(set(weights.argmax(-1).tolist())) for update, weights in moments.items()}
assert rows["end"] >= 9 and pair[0][moments["100"][0].argmax()] == "the"
assert {"50", "100"} <= {update for update, found in rows.items() if found == 1}
assert 4 <= len(hard_alignment(moments["400"]) & pair[2]) <= 10

# %%
explore(
    {"additive": {update: (weights, *pair[:2]) for update, weights in moments.items()}},
    links=pair[2],
    epochs="updates",
    alt="The map of the review at the end of training, with gold frames: one bright cell in most rows, "
    "nearly all of them framed.",
)

# %% [markdown]
r"""
*One review, seven moments. Where no script may run, you see a picture of the last one.*
"""

# %% [markdown]
r"""
## Which words look sharply?

A narrow row isn't a right row, as you have just seen. What then does entropy tell? Let's compare classes of
words. *Soupe* is a noun, *froide* an adjective, *aimé* a participle, *était* an auxiliary, *la* an article,
and *n'* and *pas* form a negation.

**Predict.** Which class has the narrowest look in both seeds?
"""

# %%
entropies = {}
for seed in (0, 1):
    found = defaultdict(list)
    for weights, words in zip(maps[f"trained, seed {seed}"], french, strict=True):
        for word, entropy in zip(words, attention_entropy(weights[None])[0].tolist(), strict=True):
            found[word_class(word)].append(entropy)
    entropies[f"seed {seed}"] = {name: sum(found[name]) / len(found[name]) for name in CLASSES}

order = sorted(CLASSES, key=lambda name: entropies["seed 0"][name])
curves = {seed: [means[name] for name in order] for seed, means in entropies.items()}
ax = plot_curves(curves, order, "", "mean entropy (nats)")
ax.set_ylim(0, None)
Figure(
    ax,
    "Mean entropy by class of words for two seeds. Adjectives have the lowest in both and auxiliaries nearly "
    "the highest. The second seed lies higher, above all for articles and negations.",
)

# %% [markdown]
r"""
*Mean entropy of the rows of each class, in both seeds.*

**What happened.** Adjectives look most narrowly in both seeds, and auxiliaries more widely. A likely reason:
one English word gives an adjective its meaning, but no single word settles an auxiliary. *a* belongs to
"liked", and its form depends on the subject. For articles and negations the two seeds differ, so about these,
one training tells you little.
"""

# %% claim
for means in entropies.values():
    assert min(means, key=means.get) == "adjective"
    assert means["auxiliary"] > 1.5 * means["adjective"] and means["auxiliary"] > means["noun"] + 0.05
    assert means["auxiliary"] > means["participle"] + 0.05
seed_0, seed_1 = entropies.values()
assert min(seed_1["article"] - seed_0["article"], seed_1["negation"] - seed_0["negation"]) > 0.1

# %% [markdown]
r"""
## Left out, or said twice

So far we asked how each *row* spreads its weight. Now we add up each *column*: the weight that an English
word gets from all the French words together is its **coverage** (Tu et al. 2016).

For this we need translations with mistakes. Our models make nearly none up to five clauses, so we let them
write freely on the `long` reviews, with six to twelve clauses. (The output shows their BLEU and, in brackets,
its 95% interval: how much the score depends on which reviews were drawn.) We take English words that should
become one French noun, adjective or participle, and count how often the model wrote that French word.

**Predict.** A word that is rendered once should get a coverage of about 1. From the coverage alone, can you
tell which words were left out: always, mostly, or hardly?
"""

# %%
long = encoded.corpus["long"]
found = translate(models["trained, seed 0"], encoded, encoded.tokens("long", "src"))
print(bleu([" ".join(one.tokens) for one in found], long.tgt))
fates = {"left out": [], "once": [], "twice or more": []}
for one, right, gold in zip(found, encoded.tokens("long", "tgt"), long.links, strict=True):
    received = coverage(one.weights[None])[0].tolist()
    wanted, written = ([lemma(word) for word in words] for words in (right, one.tokens))
    for place in range(len(one.src_tokens)):
        words = {right[t] for s, t in gold if s == place and word_class(right[t]) in CONTENT}
        if len(words) == 1 and wanted.count(word := lemma(words.pop())) == 1:
            fates[[*fates][min(2, written.count(word))]].append(received[place])

_, ax = plt.subplots(figsize=(6.4, 2.4), layout="constrained")
labels = [f"{name}, n={len(values):,}" for name, values in fates.items()]
ax.boxplot(
    list(fates.values()), tick_labels=labels, orientation="horizontal", whis=(5, 95), showfliers=False,
    widths=0.6, medianprops={"color": PALETTE[1], "lw": 2},
)  # fmt: skip
ax.invert_yaxis()
ax.set(xlabel="coverage of the English word")
Figure(
    finish(ax),
    "Three boxes of coverage. Left out: mostly below 0.4, with a whisker to 0.7. Once: a narrow box at 1. "
    "Twice or more: from 1 to 5, with a whisker to 12.",
)

# %% [markdown]
r"""
*Coverage of English words by what became of them. The line in a box is the median; the whiskers hold 90%.*

**What happened.** Mostly. A word that is rendered once has a coverage near 1, a word that is left out gets
little light, and a word that is said again and again soaks it up. But the whiskers overlap: coverage raises a
suspicion, and only the translation settles it.
"""

# %% claim
out, once, more = (
    torch.tensor(values).quantile(torch.tensor([0.05, 0.5, 0.95])) for values in fates.values()
)
assert out[1] < 0.5 < 0.9 < once[1] < 1.1 and more[1] > 1.3, "apart in the middle"
assert out[2] > once[0] and once[2] > more[0], "the whiskers overlap"
assert len(fates["left out"]) > 1_000

# %% [markdown]
r"""
## Check yourself

Answer aloud, then unfold.

<details><summary>Why does an alignment error need baselines?</summary>

Word order alone gives many links right: a diagonal, which has never seen a word, gets about half of them. A
number says something only beside what simple methods reach.

</details>

<details><summary>A row has an entropy of 0. Is the link right? Is the model certain of its word?</summary>

Neither follows. The look is sharp, that is all. At 100 updates, the rows were narrow and wrong. You read
how certain a model is of its word from its output probabilities, not from its attention weights.

</details>

<details><summary>The loss has fallen, and the map is still wrong. Must there be a bug?</summary>

No. A decoder first learns what needs no source. Only then does it pay to look at the right place.

</details>

<details><summary>A source word has a coverage of 4. What may have happened, and what do you check?</summary>

It may have been translated several times. Or its neighbors, such as an article, look at it, too. Read the
translation.

</details>

## In three lines

- Turn a map into links and compare them with gold links and with baselines: then you know how right it is.
- The map is learned from the loss alone, and it comes late: first the language, then where to look.
- Entropy says how sharp a look is and coverage how much light a word got. Neither says that a word is right.

**One thing to try.** Replace `"additive"` by `"multiplicative"` where the two trained models are loaded. Is
its error lower, and do its seeds agree as well?

Now measure maps yourself in **exercise 04**: heat map, links, error rate, entropy and coverage. Then **demo
05** asks a harder question: does a right map *explain* a translation?
"""
