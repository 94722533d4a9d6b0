# %% [markdown]
r"""
# 02 · The spotlight

**Which words matter now?**

![A stage with four words: The, restaurant, was, amazing. A decoder that is about to write restaurant shines a
spotlight on them. Most of the light falls on restaurant. The numbers below read 0.05, 0.80, 0.05 and
0.10.](../figures/spotlight.svg)

In demo 01, one decoder was allowed to look back at its source, and long sentences stopped falling apart. How
it looks stayed in a closed box. This demo opens the box.

You will

- **look up** values softly, from an exact dictionary to attention,
- **compute** one step of attention by hand: scores, weights, context, output,
- **see** what a trained model looks at, and what a mask is for.

About 45 minutes, without the two appendices. Before each result you find a question: answer it, then open the
output.
"""

# %%
import json
import math
from pathlib import Path

import matplotlib.pyplot as plt
import torch

import utils
from utils import attention as library
from utils import pretrained
from utils.explorer import playground
from utils.models import translate
from utils.plotting import NAMES, Figure, finish, plot_attention, plot_curves, plot_maps
from utils.text import BOS_ID, EOS_ID, encoded_reviews

# %% [markdown]
r"""
## A spotlight and a highlighter

Picture the source sentence as actors on a stage. A decoder without attention holds one blurred photo of the
whole stage. A decoder with attention has a **spotlight** and can point it at different actors at different
moments.

Or picture a human translator at work on "Je suis étudiant", from French into English for once, with a
highlighter in hand. For "I" the pen marks *Je*, for "am" it marks *suis*, and for "student" *étudiant*. The
decoder's pen has shades: it spreads one unit of ink over all the source words. These shares are the
**attention weights**. In the picture above they are 0.05, 0.80, 0.05 and 0.10, made up for the example. In a
real model they are *learned*: nobody tells it where to look.
"""

# %% [markdown]
r"""
## Start with a dictionary

Attention is a way to look something up. You know another way, Python's dictionary. It has **keys** to compare
with and **values** to return. What you ask for is the **query**.

**Predict.** What happens when we ask for "puppy"?
"""

# %%
french = {"cat": "chat", "dog": "chien", "bread": "pain"}
print(french["dog"])
try:
    print(french["puppy"])
except KeyError as error:
    print("KeyError:", error)

# %% [markdown]
r"""
**What happened.** A dictionary needs an exact match, and a puppy isn't one. But it is *nearly* a dog. If
words are vectors, we can say how near: the dot product of two vectors is large if they point in the same
direction.
"""

# %% [markdown]
r"""
## From the nearest key to all keys

Here are made-up vectors of two numbers: how much the word is about animals, and how much about barking.
"puppy" is (1, 0.8). Its dot product with a key is the **score** of the key, and the nearest key is the one
with the highest score. A **soft lookup** turns the scores into shares with a softmax, and blends the values.

**Predict.** The key "bread" is (0, 0), so its score is 0. Does its value get a share?
"""

# %%
keys = torch.tensor([[2.0, 0.0], [2.0, 2.0], [0.0, 0.0]])  # cat, dog, bread
values = torch.eye(3)  # one number per French word: chat, chien, pain
puppy = torch.tensor([1.0, 0.8])

scores = keys @ puppy  # how near is each key?
print("scores        ", [round(score, 2) for score in scores.tolist()])
print("nearest key   ", list(french)[scores.argmax()])

weights = scores.softmax(0)  # positive, and they sum to 1
blend = weights @ values
print("soft lookup   ", {word: round(w.item(), 2) for word, w in zip(french.values(), blend, strict=True)})

# %% [markdown]
r"""
**What happened.** It does, a small one. The nearest key is "dog", but a soft lookup doesn't choose: it takes
a share of *every* value, and keys that are near get large shares.

![Three lookups. In a dictionary, the query dog finds the key dog and returns chien. With the nearest key, the
query puppy finds the key dog and returns chien. In a soft lookup, the query puppy is connected with all three
keys by lines of different widths, and the result is a blend.](../figures/lookup.svg)

Why give up a clear answer for a blend? Because a choice cannot be trained. If the query moves a little, the
nearest key stays the same, so the gradient is zero. The shares of a soft lookup change with every small
change of the query, and so the model can learn what to ask.
"""

# %% claim
assert list(french)[scores.argmax()] == "dog"
assert [round(w, 2) for w in weights.tolist()] == [0.16, 0.81, 0.02], "as in the figure"

# %% [markdown]
r"""
## An average that learns whom to average

Here is a second way to arrive at the same idea. What if the decoder simply took the **mean** of all encoder
states as its context? That uses every word, but it is the blurred photo again: each word counts the same, at
every step. A mean is a weighted sum in which all weights are equal. Attention keeps the sum and lets the
*query* set the weights.

**Predict.** Which scores turn attention into a plain mean?
"""

# %%
torch.manual_seed(0)
states = torch.randn(4, 3)  # four words, three numbers each
equal = torch.full((4,), 0.0).softmax(0)
print("weights       ", equal.tolist())
print("plain mean?   ", torch.allclose(equal @ states, states.mean(0)))

# %% [markdown]
r"""
**What happened.** Equal scores give equal weights, and the result is the plain mean. So an average is
attention that doesn't care.
"""

# %% [markdown]
r"""
## The dot product as an angle

The dot product asks how well two arrows agree. Below, three keys are fixed arrows. We turn the query once
around and watch the three weights.

**Predict.** At which angle of the query does *étudiant*, the key that points to the right, get its largest
weight: when the query points the same way, or somewhere else?
"""

# %%
words, keys = ["Je", "suis", "étudiant"], torch.tensor([[0.0, 2.0], [2.0, 1.0], [1.0, 0.0]])
angles = torch.linspace(-180, 180, 121)
queries = torch.stack([angles.deg2rad().cos(), angles.deg2rad().sin()], dim=1) * math.sqrt(2)
weights = (queries @ keys.T).softmax(1)  # (angles, words)

figure, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.2), layout="constrained", width_ratios=(1, 1.7))
curves = dict(zip(words, weights.T, strict=True))
plot_curves(curves, angles, "angle of the query (degrees)", "weight", ax=right)
for line, word, key in zip(right.lines, words, keys.tolist(), strict=True):
    left.annotate("", key, (0, 0), arrowprops={"arrowstyle": "-|>", "color": line.get_color(), "lw": 2})
    left.annotate(word, key, (4, 4), textcoords="offset points", color=line.get_color())
left.annotate("", (1, 1), (0, 0), arrowprops={"arrowstyle": "-|>", "color": "black", "ls": "--"})
left.annotate("query", (0.45, 0.75), rotation=45)
left.set(xlim=(-0.5, 2.6), ylim=(-0.4, 2.4), aspect="equal")
right.axvline(45, color="0.6", lw=1, ls="--")
Figure(
    finish(left),
    "Left: three arrows from the origin. Je points up, suis to the right and up, étudiant to the right; a "
    "dashed query lies between Je and suis. Right: the three weights against the angle of the query. Suis "
    "leads from -45 to about 60 degrees, Je from there to 180 degrees and beyond. Étudiant has its largest "
    "weight near -105 degrees, where the query points down and to the left.",
)

# %% [markdown]
r"""
*Left: three keys and one query, at 45 degrees. Right: the weights while the query turns once around.*

**What happened.** Somewhere else! Where the query points to the right, *suis* wins, because its arrow is
longer. A dot product measures the angle *and* the length. *étudiant* leads only where the query points away
from the other two.
"""

# %% claim
first = {word: angles[weights[:, i].argmax()].item() for i, word in enumerate(words)}
assert abs(first["étudiant"]) > 60 and weights[60].argmax() == 1
assert weights[75].argmax() == 1 and angles[75] == 45

# %% [markdown]
r"""
## Four steps by hand

Now the real thing. Our translator with the highlighter has written "I" and asks for the next word. Three
names from above are used in every paper:

- the **query** is the decoder's state $s$: what it looks for now,
- the **keys** are the encoder's states $h_1, h_2, h_3$, one per source word,
- the **values** are what gets blended. In our translators they are the encoder's states again.

The query is $s = (1, 1)$, and these are the states of the source:

| source word | encoder state $h_i$, its key and its value |
| --- | --- |
| Je | (0, 2) |
| suis | (2, 1) |
| étudiant | (1, 0) |

**Predict.** Use pen and paper. The score is the dot product $s \cdot h_i$. Which word, if
any, gets more than half of the weight?
"""

# %%
states = torch.tensor([[0.0, 2.0], [2.0, 1.0], [1.0, 0.0]])  # Je, suis, étudiant
query = torch.tensor([1.0, 1.0])

scores = states @ query  # 1. compare
weights = scores.exp() / scores.exp().sum()  # 2. share out
context = weights @ states  # 3. blend
both = torch.cat([context, query])  # 4. combine
for word, score, weight in zip(words, scores, weights, strict=True):
    print(f"{word:<9} score {score:.0f}   exp {score.exp():6.2f}   weight {weight:.2f}")
print("context  ", [round(c, 2) for c in context.tolist()])
print("combined ", [round(b, 2) for b in both.tolist()])

# %% [markdown]
r"""
**What happened.** *suis* gets two thirds of the weight, and the context is a blend in which its state counts
most.

![The four steps. Step 1, compare: the query (1, 1) and the states (0, 2), (2, 1), (1, 0) give the scores 2,
3, 1. Step 2, share out: a softmax gives the weights 0.24, 0.67, 0.09. Step 3, blend: the context is (1.42,
1.15). Step 4, combine: context and query stand side by side, and a layer writes the word
am.](../figures/four_steps.svg)

As formulas, with scores $e$, weights $\alpha$ and the context $c$, for the output word at step $t$:

$$e_{t,i} = \text{score}(s_t, h_i) \qquad
\alpha_{t,i} = \frac{\exp(e_{t,i})}{\sum_j \exp(e_{t,j})} \qquad
c_t = \sum_i \alpha_{t,i}\, h_i \qquad
\text{output}_t = f([c_t;\, s_t])$$

$[c_t; s_t]$ means that the two vectors stand side by side, and $f$ is a layer that turns them into a number
for every word of the vocabulary. The word with the highest number is written. At the next step the query is
another one, so scores, weights and context are new, too. This is a **dynamic context**.
"""

# %% claim
assert scores.tolist() == [2, 3, 1] and abs(weights[1].item() - 2 / 3) < 0.01

# %% [markdown]
r"""
## All words of all sentences at once

Nothing in the four steps says that there is only one query. In training the correct words are known, so all
queries of a sentence can be made first. With them as the rows of a matrix, the first three steps are three
lines, for a whole batch of sentences. The shorter ones are filled up with padding, which the mask hides. This
function is the heart of the course.

| | shape |
| --- | --- |
| `query` | (batch, tgt_len, hidden) |
| `keys`, `values` | (batch, src_len, hidden) |
| `scores`, `weights` | (batch, tgt_len, src_len) |
| `context` | (batch, tgt_len, hidden) |
"""


# %%
def dot_score(query, keys):
    return query @ keys.transpose(1, 2)  # (batch, tgt_len, src_len)


def attend(query, keys, values, mask, score):
    scores = score(query, keys)  # 1. compare
    if mask is not None:
        scores = scores.masked_fill(~mask.unsqueeze(1), -math.inf)  # hide padding, see below
    weights = torch.softmax(scores, dim=-1)  # 2. share out
    context = weights @ values  # 3. blend, (batch, tgt_len, hidden)
    return context, weights


# %% [markdown]
r"""
Does it do what we did by hand, and what the course's library does?
"""

# %%
ours, _ = attend(query[None, None], states[None], states[None], None, dot_score)
print("as by hand:      ", torch.allclose(ours[0, 0], context))

query, keys = torch.randn(5, 4, 7), torch.randn(5, 3, 7)
mask = torch.tensor([[True, True, True]] * 4 + [[True, False, False]])
ours = attend(query, keys, keys, mask, dot_score)
theirs = library.attend(query, keys, keys, mask, library.dot_score)
print("as in the library:", all(torch.allclose(a, b, atol=1e-6) for a, b in zip(ours, theirs, strict=True)))

# %% [markdown]
r"""
The library version also raises readable errors, and it returns zeros for a row without a real token.
"""

# %% claim
assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(ours, theirs, strict=True))

# %% [markdown]
r"""
## The map you wish for

The weights of all output words form the **attention map**: one row per target word, one column per source
word. Before you look at any model, decide what you *want* to see.

**Predict.** Take "She loves cats" and *Elle aime les chats*. Where should *les* look, for which English has
no word?

<details><summary>One answer</summary>

![Elle aime les chats above She loves cats. A thick line joins Elle and She, another one aime and loves. Both
les and chats have a thick line to cats.](../figures/elle_aime.svg)

*les* looks at "cats": English has no article here, and the plural of "cats" decides
that it is *les*. One source word may serve more than one target word.

</details>

Here is a wish for a longer sentence: "The cat sat on the mat", *Le chat était assis sur le tapis*.

**Predict.** French has two words, *était assis*, where English has "sat". Which columns should these two rows
light up?
"""

# %%
english = ["The", "cat", "sat", "on", "the", "mat"]
translation = ["Le", "chat", "était", "assis", "sur", "le", "tapis"]
wish = torch.tensor(
    [
        [0.9, 0.0, 0.0, 0.0, 0.0, 0.1],  # Le
        [0.0, 0.9, 0.0, 0.0, 0.0, 0.1],  # chat
        [0.0, 0.1, 0.8, 0.1, 0.0, 0.0],  # était
        [0.0, 0.2, 0.8, 0.0, 0.0, 0.0],  # assis: from "sat", masculine like the cat
        [0.0, 0.0, 0.1, 0.7, 0.0, 0.2],  # sur: "on", but what does the cat sit on?
        [0.0, 0.0, 0.0, 0.0, 0.7, 0.3],  # le: masculine like the mat
        [0.0, 0.0, 0.0, 0.0, 0.1, 0.9],  # tapis
    ]
)
Figure(
    plot_attention(wish, english, translation, colour_bar=False),
    "A map drawn by hand, 7 French by 6 English words. Bright cells run down the diagonal, except that both "
    "était and assis are bright at sat. Sur is bright at on and fainter at mat; the second le is bright at "
    "the second the and fainter at mat.",
)

# %% [markdown]
r"""
*A first draft, drawn by hand: where we would like each French word to look.*

**What happened.** Both look at "sat". Some rows also have a second, fainter light. The article *le* needs to
know whether its noun is masculine, and "the" doesn't say that, so it also looks at "mat".

**Think.** *Le*, the first word, gives a tenth of its weight to "mat". Is that well placed?

<details><summary>One answer</summary>

Its gender comes from "cat", so it should rather look there. Keep this in mind: a map that *looks* reasonable
is not yet right. Demo 04 measures maps.

</details>
"""

# %% claim
assert torch.allclose(wish.sum(-1), torch.ones(len(translation)))
assert wish[2].argmax() == wish[3].argmax() == 2

# %% [markdown]
r"""
## Four ways to score

Only one part of attention leaves a choice: the score. Four scores have become classics.

![Four panels. Dot: s times h. Scaled dot: the same, divided by the root of d. Multiplicative: s times the
product of a matrix W and h. Additive: W s and U h are added, pass a tanh, and v turns the result into one
number.](../figures/four_scores.svg)

- **dot** is the one you know. It learns nothing itself: query and key must learn to speak one language.
- **scaled dot** divides by $\sqrt d$, where $d$ is the number of numbers per vector. The first appendix shows
  why. Transformers use it (Vaswani et al. 2017).
- **multiplicative** learns a matrix $W$, which says which numbers of a key matter to which numbers of a query
  (Luong et al. 2015).
- **additive** is a small network, and the oldest of the four (Bahdanau et al. 2015, first published in 2014).
  It makes a vector for every *pair* of a query and a key, so it needs the most memory and time.

You will write all four in exercise 02.

**Predict.** Vectors have 96 numbers. How many parameters does each score have?
"""

# %%
SCORES = ("dot", "scaled", "multiplicative", "additive")
results = Path(utils.__file__).parents[1] / "benchmarks" / "results"
record = json.loads((results / "pretrained.json").read_text("utf-8"))
print(f"{'':<24}parameters of the score    BLEU on five clauses, per seed")
for context in SCORES:
    score = library.make_score(context, 96, 96, 96)
    learned = sum(p.numel() for p in score.parameters()) if isinstance(score, torch.nn.Module) else 0
    bleu = [run["bleu"]["5"] for run in record["runs"] if run["context"] == context]
    print(f"{NAMES[context]:<24}{learned:>16,}{'':<20}" + "  ".join(f"{score:.1f}" for score in bleu))

# %% [markdown]
r"""
**What happened.** $W$ has $96^2$ parameters; the additive score has twice as many, and 96 more for $v$. In
translators like those of demo 01 all four do about equally well. That is typical: the choice of the score
matters less than having attention at all.
"""

# %% claim
five = [run["bleu"]["5"] for run in record["runs"] if run["context"] in SCORES]
assert min(five) > 97

# %% [markdown]
r"""
## Padding: who else is on the stage?

The sentences of a batch share one tensor, so "she loves cats" is filled up to the length of its longest
neighbor. This **padding** has no meaning. Its encoder states are zeros, so its dot products are 0.

**Predict.** Three words score 2, 3 and 1, and there are two tokens of padding. Does padding get any weight?

<details><summary>The answer</summary>

![Two rows of bars. Without a mask, the scores 2, 3, 1, 0, 0 give the weights 0.23, 0.62, 0.08, 0.03, 0.03.
With a mask, the scores of padding are minus infinity, and the weights are 0.24, 0.67, 0.09, 0,
0.](../figures/masking.svg)

A score of 0 is a score like any other, and $\exp(0) = 1$. So we set these scores to $-\infty$ *before* the
softmax: $\exp(-\infty) = 0$, and the real words still sum to one.

</details>

How much would we lose without the mask? That depends on the neighbors.
"""

# %%
words_only = torch.tensor([2.0, 3.0, 1.0])
for pads in (0, 2, 12, 36):
    weights = torch.cat([words_only, torch.zeros(pads)]).softmax(0)
    print(f"{pads:>2} tokens of padding get {weights[3:].sum():.0%} of the weight")

# %% [markdown]
r"""
Without a mask, a translation would depend on which sentences happen to share its batch. This is a common bug,
and it is quiet: nothing raises an error, and many translations are still right. Demo 05 hunts it.
"""

# %% claim
assert weights[3:].sum() > 0.5

# %% [markdown]
r"""
## Now a real one

Enough of made-up vectors. The next picture shows the same translator twice: before training, and after it.
Both are fed the correct translation, word by word, so the rows are the same.

**Predict.** What does the map look like *before* training?
"""

# %%
encoded = encoded_reviews()
sentence = ["the", "restaurant", "was", "amazing", "but", "the", "service", "was", "slow"]
right = ["le", "restaurant", "était", "incroyable", "mais", "le", "service", "était", "lent"]
panels = {}
for name, update in (("untrained", 0), ("trained", None)):
    model = pretrained.load("additive", update=update)
    src = torch.tensor([[*encoded.src_vocab.encode(sentence), EOS_ID]])
    tgt_in = torch.tensor([[BOS_ID, *encoded.tgt_vocab.encode(right[:-1])]])
    with torch.no_grad():
        _, weights = model(src, torch.tensor([len(sentence) + 1]), tgt_in)
    panels[name] = weights[0, :, :-1], sentence, right  # without the column of the end token
print("the trained model writes:", *translate(model, encoded, [sentence])[0].tokens)
Figure(
    plot_maps(panels, columns=2, size=(4.8, 3.8)),
    "Two maps of 9 French by 9 English words on one color scale. Untrained, each row is nearly even. "
    "Trained, each row has one bright cell, on the diagonal.",
)

# %% [markdown]
r"""
*"the restaurant was amazing but the service was slow", before and after training.*

**What happened.** Before training, every row is nearly even: the model averages. Afterwards it has a
spotlight. Nobody told this model where to look. It was only ever told which French word comes next.

**Think.** Does a bright cell prove that the model *used* this word for that reason?

<details><summary>One answer</summary>

No. It shows where the context came from, which is more than a single vector ever showed. Whether the model
would have written another word without it is a different question. Demos 04 and 05 ask it.

</details>
"""

# %% claim
before, after = (panels[name][0] for name in ("untrained", "trained"))
assert before.max() < 0.3 < 0.5 < after.max(-1).values.mean()
assert translate(model, encoded, [sentence])[0].tokens == right

# %% [markdown]
r"""
## Check yourself

Answer aloud, then unfold.

<details><summary>What are query, keys and values in our translators?</summary>

The query is the decoder's state at one output word. Keys and values are the same vectors, the encoder's
states, one per source word: as keys they are compared with the query, and as values they are blended.

</details>

<details><summary>What weights do equal scores give? And what changes if you add 5 to every score?</summary>

Equal scores give equal weights. Adding the same number to all scores changes nothing, because a softmax
reacts to differences only.

</details>

<details><summary>Why is the dot product divided by √d, and not by d? (First appendix.)</summary>

With independent numbers of spread (standard deviation) 1, a dot product of d of them has spread √d. Dividing
by d would make the scores of long vectors nearly equal, and the weights flat.

</details>

<details><summary>Padding has states of zeros. Why does it need a mask?</summary>

Its score is 0, and exp(0) is 1, so it takes a share like any word. Only a score of −∞ gives a weight of
exactly 0.

</details>

## In three lines

- Attention is a soft lookup: compare a query with all keys, share out one unit of weight, blend the values.
- It is also an average that learns whom to average.
- The four scores differ in what they learn, and a mask removes padding.

**One thing to try.** In the four steps, make the query twice as long: (2, 2). Which temperature would do the
same? (The second appendix is about temperature.)

Now build it yourself in **exercise 02**. Then **demo 03** puts it into a translator. And a question to take
along: what if the words of *one* sentence asked each other which of them matter? That is self-attention, in
demo 07.
"""

# %% [markdown]
r"""
## Appendix · What is √d for?

A dot product of long vectors sums up many terms, so it spreads further from zero. Why is that a problem? A
softmax reacts to *differences* of scores. If one score towers above the rest, it takes all the weight, and
then a small change of the scores changes nothing:

$$\frac{\partial \alpha_i}{\partial e_j} \;=\; \alpha_i\,(1_{i=j} - \alpha_j)$$

Here $1_{i=j}$ is 1 if $i = j$, and 0 otherwise. If one weight is 1 and the others are 0, every entry of this
matrix is 0, and the model can't learn.

**Predict.** We draw random vectors with $d = 16$ and with $d = 1024$, a factor of 64. By which factor does
the spread of their dot products grow?
"""


# %%
def saturation(scores):
    """Return the spread of scores, the mean largest weight, and the mean norm of the softmax's gradient."""
    weights = torch.softmax(scores, dim=-1)  # (queries, keys)
    jacobian = torch.diag_embed(weights) - weights[:, :, None] * weights[:, None, :]
    return scores.std(), weights.max(-1).values.mean(), torch.linalg.matrix_norm(jacobian).mean()


torch.manual_seed(0)
sizes, found = [4, 16, 64, 256, 1024], {"dot": [], "scaled": []}
for d in sizes:
    query, keys = torch.randn(500, 1, d), torch.randn(500, 10, d)
    scores = dot_score(query, keys)[:, 0]
    found["dot"].append(saturation(scores))
    found["scaled"].append(saturation(scores / math.sqrt(d)))

figure, axes = plt.subplots(1, 3, figsize=(9, 2.8), layout="constrained")
labels = "spread of the scores", "mean largest weight of ten", "size of the gradient"
for i, (ax, label) in enumerate(zip(axes, labels, strict=True)):
    curves = {name: [row[i] for row in rows] for name, rows in found.items()}
    plot_curves(curves, sizes, "d", label, ax, legend=None if i else "inside")
    ax.set(xscale="log", ylim=(0, None))
    ax.set_xticks(sizes, sizes)
    ax.minorticks_off()
Figure(
    axes[0],
    "Three panels against d from 4 to 1024. For plain dot products, the spread grows, the largest weight "
    "rises towards 1, and the gradient shrinks. For scaled ones, all three stay level.",
)

# %% [markdown]
r"""
*Plain dot products of long vectors saturate the softmax, and scaled ones don't.*

**What happened.** The spread grows by a factor of 8, the root of 64. The largest weight comes close to 1, and
the gradient shrinks to about a fifth. After dividing by $\sqrt d$, nothing changes with $d$. (These are
random vectors, as at the start of training. A trained model can adapt their lengths.)
"""

# %% claim
plain, scaled = (dict(zip(sizes, torch.tensor(rows), strict=True)) for rows in found.values())
assert 7 < plain[1024][0] / plain[16][0] < 9 and plain[1024][1] > 0.85
assert 0.15 < plain[1024][2] / plain[16][2] < 0.25
assert all(abs(a - b) < 0.1 for a, b in zip(scaled[16], scaled[1024], strict=True))

# %% [markdown]
r"""
## Appendix · Temperature: sharp or soft

A number $T$ by which we divide the scores is called a **temperature**. You will meet it again in demo 08,
when a language model writes. Here are the scores worked out by hand above, 2, 3 and 1.

**Predict.** What do the three weights become when $T$ is very large?
"""

# %%
temperatures = torch.logspace(-1.3, 2, 60)
weights = torch.softmax(torch.tensor([2.0, 3.0, 1.0]) / temperatures[:, None], dim=-1)  # (60, 3)
curves = dict(zip(words, weights.T, strict=True))
ax = plot_curves(curves, temperatures, "temperature T (log axis)", "weight")
ax.axvline(1, color="0.6", lw=1)
ax.set(xscale="log", ylim=(-0.03, 1.03))
Figure(
    ax,
    "Three weights against temperature. At low temperature suis has weight 1 and the others 0. With rising "
    "temperature they approach each other and meet at one third.",
)

# %% [markdown]
r"""
*From a spotlight to a floodlight. The gray line marks the plain softmax.*

**What happened.** Cold picks the best word, like a hard choice. Hot gives the same weight to all, like a
plain mean. The order never changes.
"""

# %% claim
assert weights[0, 1] > 0.99 and weights[-1].min() > 0.32
assert (weights.argsort(-1) == torch.tensor([2, 0, 1])).all()

# %% [markdown]
r"""
The trained translator below has this knob too, under *Settings and saving*.
"""

# %%
playground(["additive"])

# %% [markdown]
r"""
**Predict.** Set the temperature to 4, so the lines blur. Then add clauses until there are five. At which of
the two lengths does the translation survive?

**What happened.** A short review survives: the right word still has the largest part of a blurred blend. A
long one doesn't. The average over all test reviews of one clause is a BLEU of {hot[1]:.0f}, and with five
clauses it is {hot[5]:.0f}, where the plain softmax has {hot[plain]:.0f}. The more words share the light, the
less of it falls on the right one: under a blurred spotlight, details get lost again, as in demo 01.
"""

# %% claim
from utils.metrics import bleu

softmax, additive, test = library.masked_softmax, pretrained.load("additive"), encoded.corpus["test"]
numbers["hot"] = {}
for name, temperature, clauses in (("1", 4, 1), ("5", 4, 5), ("plain", 1, 5)):
    library.masked_softmax = lambda scores, mask, t=temperature: softmax(scores / t, mask)
    rows = [row for row, number in enumerate(test.clauses) if number == clauses]
    found = translate(additive, encoded, [test.src[row].split() for row in rows])
    written = [" ".join(translation.tokens) for translation in found]
    numbers["hot"][name] = bleu(written, [test.tgt[row] for row in rows], n_bootstrap=0).score
library.masked_softmax = softmax
assert numbers["hot"]["1"] > 85 and numbers["hot"]["5"] < 60 and numbers["hot"]["plain"] > 95
