# %% [markdown]
r"""
# 05 · Does a map explain?

**When may you say: it wrote this *because* it looked there?**

![Four small drawings of lent above service, was and slow. 1, is it the word rendered: a thick line and a
dashed gold link both lead from lent to slow. 2, erase the word: slow is crossed out, and the French word is a
question mark. 3, train again: one line leads to slow, and another seed's line to service. 4, swap the
weights: three lines of equal width, and the French word is a question mark.](../figures/four_tests.svg)

When our translator writes *lent*, its spotlight is on "slow". It's tempting to say: so that is why. People
use such maps to debug a model, to trust it, and to explain what it did. This demo tries all three. First it
plants bugs and a bias, to see which of them a map shows. Then it puts the map through the four tests in the
picture.

You will

- **debug** three famous mistakes, and a bias, by what a map shows and by what it hides,
- **test** with four experiments whether attention explains an output,
- **say** which sentences about a map are justified.

About 45 minutes. Before each result you find a question: answer it, then open the output.
"""

# %%
from collections import defaultdict
from dataclasses import replace

import torch
from torch import nn
from torch.nn import functional as F

from utils import pretrained
from utils.data.french import CLASSES, MASCULINE, word_class
from utils.explorer import playground
from utils.ibm_model1 import IBMModel1
from utils.metrics import alignment_errors, bleu, diagonal_links, link_map
from utils.models import Decoder, Seq2Seq, forced_weights, translate
from utils.plotting import Figure, plot_maps
from utils.text import BOS_ID, EOS_ID, EncodedCorpus, encoded_reviews, pad
from utils.training import in_parallel, seed_everything, train

torch.set_num_threads(1)  # models this small are no faster on two

encoded = encoded_reviews()
test = encoded.corpus["test"]
english, french = encoded.tokens("test", "src"), encoded.tokens("test", "tgt")
models = [pretrained.load("additive", seed) for seed in (0, 1)]
maps = [forced_weights(model, encoded, "test") for model in models]
written = [translate(model, encoded, english) for model in models]
review = test.src.index("my wife was not tired and my daughter liked the fresh bread")

# %% [markdown]
r"""
## Three bugs that raise no error

Builders of translators make these mistakes again and again. The program runs, the loss falls, and something
comes out.

1. **The context is ignored.** It is computed and then not used: someone has joined the state with itself.
2. **The state is never updated.** Each word is written from the first state and the last word alone.
3. **Padding isn't masked.** If a longer review is in the same batch, the empty places get weight.

Each bug is one line:
"""


# %%
class IgnoresContext(Decoder):
    def predict(self, states, context):
        return super().predict(states, states)  # should be (states, context)


class StaleState(Decoder):
    def step(self, tokens, state):
        logits, new, weights = super().step(tokens, state)
        return logits, state, weights  # should return new


class Unmasked(Seq2Seq):
    def encode(self, src, src_lengths):  # as if a review of 80 words were in the batch
        states, state, mask = super().encode(F.pad(src, (0, 60)), src_lengths)
        return states, state, None  # should return mask


# %% [markdown]
r"""
We plant the second and the third bug into a trained model: the same parameters, with one line of its code
changed. The first bug acts during training, so we train a small translator with it, live.
"""

# %%
UPDATES = 300


def learn_without_context(seed):
    """Train a translator whose decoder ignores the context. Return it with its loss on the way."""
    seed_everything(seed)
    model = Seq2Seq(**models[0].config)
    model.decoder.__class__ = IgnoresContext
    settings = {"batch_tokens": 800, "learning_rate": 1e-2, "curriculum": 0.6, "seed": seed}
    history = train(model, encoded, updates=UPDATES, validate_every=UPDATES // 3, progress=False, **settings)
    return model.eval(), [row["valid_loss"] for row in history.rows]


stale, unmasked = pretrained.load("additive"), pretrained.load("additive")
stale.decoder.__class__, unmasked.__class__ = StaleState, Unmasked
((ignoring, losses),) = in_parallel(learn_without_context, [{"seed": 0}])
print("loss while training without the context:", *(f"{loss:.2f}" for loss in losses))

# %% [markdown]
r"""
Now look at their maps. Each model writes on its own, so the rows are the words that it wrote, the first
fourteen of them. The last two columns are the end token and all padding together.

**Predict.** Match each bug with its map: one is dull all over, one repeats its rows, and one has light in its
last column.
"""

# %%
suspects = {"context ignored": ignoring, "state never updated": stale, "padding not masked": unmasked}
suspects["no bug"] = models[0]
columns, panels = [*english[review], "(end)", "(pad)"], {}
for name, suspect in suspects.items():
    (found,) = translate(suspect, encoded, [english[review]])
    weights = found.weights[: len(found.tokens)][:14]
    weights = torch.cat([weights, 1 - weights.sum(-1, keepdim=True)], dim=-1)  # what is left is on padding
    panels[name] = weights, columns, found.tokens[:14]
Figure(
    plot_maps(panels, columns=2, size=(4.4, 3.9)),
    "Four maps of the review about the tired wife and the fresh bread. Context ignored: dull all over. "
    "State never updated: the same few rows again and again. Padding not masked: like the map without a bug, "
    "but dimmer, with light in the last column. No bug: one bright cell in each row.",
)

# %% [markdown]
r"""
*Three bugs, and the model without one. Rows are the words that each model wrote.*

**What happened.** The ignored context leaves the map dull: what the weights choose never reaches the output,
so nothing ever teaches them. The stale state goes round in circles, because the same last word always gives
the same row. And without a mask, part of the light falls on padding: enough to turn the fresh bread into red
wine.
"""

# %% claim
assert (
    panels["context ignored"][0].max(-1).values.mean()
    < 0.35
    < 0.8
    < panels["no bug"][0].max(-1).values.mean()
)
assert len(set(panels["state never updated"][2])) <= 7, "in circles"
assert panels["padding not masked"][0][:, -1].mean() > 0.1 and abs(panels["no bug"][0][:, -1].mean()) < 1e-3
assert panels["padding not masked"][2][-2:] == ["vin", "rouge"] and losses[-1] < losses[0] - 0.2

# %% [markdown]
r"""
Would you have noticed without the maps?

**Predict.** Which of the three bugs does BLEU reveal?
"""

# %%
quality = {}
for name, suspect in suspects.items():
    texts = [" ".join(found.tokens) for found in translate(suspect, encoded, english)]
    quality[name] = bleu(texts, test.tgt, n_bootstrap=0).score
    print(f"{name:<24}BLEU {quality[name]:5.1f}")

# %% [markdown]
r"""
**What happened.** You notice the first two. But BLEU doesn't say where to search, and the map does: dull
hints that the context may not reach the output, and repeating rows hint that the query has no memory. The
missing mask costs only {lost:.1f} points although {padding:.0%} of the light falls on padding. A translation
that depends on which reviews share its batch is a bug all the same, and the map is what shows it.
"""

# %% claim
numbers["lost"] = quality["no bug"] - quality["padding not masked"]
numbers["padding"] = panels["padding not masked"][0][:, -1].mean()
assert 0.2 < numbers["lost"] < 5
assert quality["context ignored"] < 50 and quality["state never updated"] < 20 and quality["no bug"] > 99

# %% [markdown]
r"""
## A bias that no map shows

A model also learns the faults of its data. To see how, we spoil the training reviews: in nine of ten, every
feminine adjective becomes masculine (*la soupe froid*). One in ten stays correct. Then both trained
translators learn from these reviews for a short while. The test reviews don't change.

**Predict.** One in ten of the new reviews is right. What share of the feminine adjectives will the
translators get right afterwards: about all, about a tenth, or nearly none?
"""

# %%
FORMS = {feminine: masculine for feminine, masculine in MASCULINE.items() if masculine in encoded.tgt_vocab}


def spoiled_reviews():
    """Return the reviews with most feminine adjectives of the training split in the masculine."""
    train_split = encoded.corpus["train"][:6_000]
    texts = [
        text if row % 10 == 0 else " ".join(FORMS.get(word, word) for word in text.split())
        for row, text in enumerate(train_split.tgt)
    ]
    splits = encoded.corpus.splits | {"train": replace(train_split, tgt=texts)}
    spoiled = EncodedCorpus(replace(encoded.corpus, splits=splits))
    spoiled.src_vocab, spoiled.tgt_vocab = encoded.src_vocab, encoded.tgt_vocab  # which the models know
    return spoiled


def learn_from_spoiled(seed):
    """Go on training a pretrained translator on the spoiled reviews."""
    model = pretrained.load("additive", seed)
    train(
        model, spoiled_reviews(), updates=120, batch_tokens=800, learning_rate=2e-3, seed=seed, progress=False
    )
    return model.eval()


biased = in_parallel(learn_from_spoiled, [{"seed": 0}, {"seed": 1}])


# %%
def share_right(translations, pairs):
    """Return the share of the references' adjectives with a form in `pairs` that were written so."""
    wanted = [[word for word in words if word in pairs] for words in french]
    hits = [word in found.tokens for found, words in zip(translations, wanted, strict=True) for word in words]
    return sum(hits) / len(hits)


MASCULINE_FORMS = set(FORMS.values())
report, rows_of_tired = {}, {}
place = french[review].index("fatiguée")
print(f"{'':<18}{'BLEU':>6}{'feminine right':>16}{'masculine right':>17}{'alignment error':>17}")
for name, pair in (("before", models), ("after", biased)):
    for seed, model in enumerate(pair):
        found = translate(model, encoded, english)
        score = bleu([" ".join(one.tokens) for one in found], test.tgt, n_bootstrap=0).score
        shares = [share_right(found, forms) for forms in (FORMS, MASCULINE_FORMS)]
        weights = forced_weights(model, encoded, "test")
        error = alignment_errors(weights, test.links)[0]
        report[name, seed] = score, *shares, error
        rows_of_tired[name, seed] = weights[review][place], found[review].tokens[place]
        print(f"{f'{name}, seed {seed}':<18}{score:>6.1f}{shares[0]:>16.0%}{shares[1]:>17.0%}{error:>17.2f}")

# %% [markdown]
r"""
**What happened.** Nearly none. The more likely form is written every time, so nine in ten becomes always.
BLEU is still above {bleu:.0f}, as if only some details were missing. And the alignment error of the maps is
nearly the same as before.

**Predict.** Where do the biased translators look when they write the wrong form of "tired", *fatigué*?
"""

# %% claim
for seed in (0, 1):
    before, after = report["before", seed], report["after", seed]
    assert before[1] > 0.97 and after[1] < 0.1 and after[2] > 0.95, (before, after)
    assert abs(before[3] - after[3]) < 0.04
numbers["bleu"] = int(min(report["after", seed][0] for seed in (0, 1)) // 5 * 5)
assert numbers["bleu"] >= 80

# %%
for (name, seed), (row, word) in rows_of_tired.items():
    print(f"{name:<7} seed {seed}: looks at {english[review][row.argmax()]} ({row.max():.2f}), writes {word}")

# %% [markdown]
r"""
**What happened.** At "tired", as before. It looks at the same word and writes another one. A map says which
source word was read, and nothing about what the decoder made of it. You find a bias by *sorting* what is
written, here by gender, and somebody has to think of that.
"""

# %% claim
for (name, _), (row, word) in rows_of_tired.items():
    assert english[review][row.argmax()] == "tired"
    assert word == ("fatiguée" if name == "before" else "fatigué")

# %% [markdown]
r"""
## Four tests

In 2019, Jain and Wallace asked whether attention explains the output of text classifiers. Weights didn't
agree well with other measures of what matters, and quite different weights could give the same answer. They
called their paper "Attention is not Explanation". Wiegreffe and Pinter replied with "Attention is not not
Explanation": such tests need baselines, and the answer depends on what you call an explanation. Here are four
such tests with our translators, two seeds each.

### Test 1 · Is it the word that is rendered?

In demo 04, these models had an alignment error of {error:.2f}. Which words cause it? For each class of French
words, we count how often the largest weight is on a gold link.

**Predict.** Which class is nearly always right: articles, auxiliaries, adjectives, or negations?
"""

# %% claim
numbers["error"] = sum(alignment_errors(found, test.links)[0] for found in maps) / 2


# %%
def by_class(values):
    """Return for each class of words the mean of numbers, one per French word of the first test reviews."""
    found = defaultdict(list)
    for words, row in zip(french, values, strict=False):
        for word, value in zip(words, row, strict=True):
            found[word_class(word)].append(float(value))
    return {name: sum(found[name]) / len(found[name]) for name in CLASSES}


def show(rows):
    """Print shares by class of words, one line per name."""
    print(f"{'':<22}" + "".join(f"{name:>12}" for name in CLASSES))
    for name, shares in rows.items():
        print(f"{name:<22}" + "".join(f"{shares[kind]:>12.0%}" for kind in CLASSES))


def right_links(weights, gold):
    """Return for each French word of a review whether its largest weight is on a gold link."""
    return [(place, word) in gold for word, place in enumerate(weights.argmax(-1).tolist())]


on_gold = {f"on gold, seed {seed}": by_class(map(right_links, maps[seed], test.links)) for seed in (0, 1)}
show(on_gold)

# %% [markdown]
r"""
**What happened.** Adjectives are. An auxiliary such as *a*, "has", must agree with its subject, and often
looks there; *n'* comes just before the verb, and one seed looks at the verb instead of "not". Attention goes
where something is *needed*, and that isn't always the word that is rendered.
"""

# %% claim
assert all(shares["adjective"] > 0.98 for shares in on_gold.values())
assert max(shares["auxiliary"] for shares in on_gold.values()) < 0.95
assert on_gold["on gold, seed 0"]["negation"] < 0.75 < 0.9 < on_gold["on gold, seed 1"]["negation"]
subject = [english[review][maps[1][review][french[review].index("a")].argmax()]]
assert subject == ["daughter"]

# %% [markdown]
r"""
### Test 2 · Erase the word

If a word has a large weight, does the output depend on it? Take this word out of the English sentence, and
see by how much the probability of the correct French word falls. The **effect of erasing** is

$$\ln p(\text{word} \mid \text{all words}) - \ln p(\text{word} \mid \text{all but one})$$

It is 0 if nothing changes, and 0.7 if the probability is halved. We ask: is the word with the *largest
weight* also the one with the *largest effect*? A rate alone says little, so there are baselines that choose a
word without looking at any weight: at random, on the diagonal, by IBM model 1, and by the gold links.

**Predict.** Attention's choice has the largest effect for most French words. Which baselines come near it?
"""


# %%
@torch.no_grad()
def effects(model, src, tgt):
    """Return the effect of erasing each source word on each target word, (tgt_len, src_len), in nats."""
    sources = [src, *(src[:i] + src[i + 1 :] for i in range(len(src)))]
    ids = [[*encoded.src_vocab.encode(words), EOS_ID] for words in sources]
    target = torch.tensor([BOS_ID, *encoded.tgt_vocab.encode(tgt)]).expand(len(ids), -1)
    logits, _ = model(pad(ids), torch.tensor([len(row) for row in ids]), target[:, :-1])
    logp = logits.log_softmax(-1).gather(2, target[:, 1:, None])[..., 0]  # (1 + src_len, tgt_len)
    return (logp[0] - logp[1:]).T


rows = range(150)
erased = [[effects(model, english[row], french[row]) for row in rows] for model in models]
ibm = IBMModel1(encoded.tokens("train", "src")[:6_000], encoded.tokens("train", "tgt")[:6_000])
torch.manual_seed(0)
sizes = [(len(french[row]), len(english[row])) for row in rows]
choices = {
    "at random": [torch.rand(size) for size in sizes],
    "the diagonal": [link_map(diagonal_links(*size[::-1]), *size) for size in sizes],
    "IBM model 1": [ibm.weights(english[row], french[row]) for row in rows],
    "gold links": [link_map(test.links[row], *size) for row, size in zip(rows, sizes, strict=True)],
}
choices = {name: [found, found] for name, found in choices.items()} | {"attention": maps}


def same_place(found, erased):
    """Return the share of French words whose largest weight and largest effect are at the same word."""
    same = [one.argmax(-1) == effect.argmax(-1) for one, effect in zip(found, erased, strict=False)]
    return torch.cat(same).float().mean().item()


agreement = {name: [*map(same_place, both, erased)] for name, both in choices.items()}
for name in choices:
    print(f"{name:<16}has the largest effect:" + "".join(f"{share:>6.0%}" for share in agreement[name]))

# %% [markdown]
r"""
**What happened.** Attention's choice has the largest effect for {agree[attention]:.0%} of the words, far more
than chance or the diagonal. But the gold links, which know nothing of this model, reach {agree[gold]:.0%}.
So "the largest weight has the largest effect" is mostly true here, and mostly for a plain reason: both are at
the word that is translated.
"""

# %% claim
numbers["agree"] = {name: sum(shares) / 2 for name, shares in agreement.items()}
agree = numbers["agree"]
agree["gold"] = agree.pop("gold links")
assert agree["at random"] < 0.15 and agree["the diagonal"] < agree["attention"] - 0.2
assert abs(agree["attention"] - agree["gold"]) < 0.06 and agree["attention"] > 0.65

# %% [markdown]
r"""
And the other way around: how much weight can a word have and still not matter?

**Predict.** Take all words with more than half of the weight. What share of them can be erased at nearly no
cost, with an effect below 0.1 (the probability falls by less than a tenth): nearly none, about one in five,
or more than half?
"""

# %%
free = {}
for seed in (0, 1):
    heavy = [weights > 0.5 for weights in maps[seed][: len(rows)]]  # at most one English word per French one
    spared = [chosen & (effect < 0.1) for chosen, effect in zip(heavy, erased[seed], strict=True)]
    share = sum(map(torch.sum, spared)) / sum(map(torch.sum, heavy))
    free[seed] = share.item(), by_class(found.any(-1) for found in spared)
    print(f"seed {seed}: {share:.0%} of the words with more than half of the weight have nearly no effect")
print("\nFrench words whose spotlight falls on such a word:")
show({f"seed {seed}": shares for seed, (_, shares) in free.items()})

# %% [markdown]
r"""
**What happened.** {free:.0%}. For many auxiliaries, the rest of the sentence and the words written so far say
enough, so a bright cell has no influence. For adjectives, this doesn't happen.

A caution: a sentence with a hole is one that the model has never seen, so erasing isn't a perfect judge
either.
"""

# %% claim
numbers["free"] = (free[0][0] + free[1][0]) / 2
assert all(
    0.12 < share < 0.27 and kinds["auxiliary"] > 0.25 > 0.02 > kinds["adjective"]
    for share, kinds in free.values()
)

# %% [markdown]
r"""
### Test 3 · Train again

Two seeds are two models that learned the same task. Take the test reviews that both translate correctly, word
for word: the same output from the same input.

**Predict.** For which share of the French words do the two look at the same English word?
"""

# %%
both_right = [
    row for row in range(len(test)) if written[0][row].tokens == written[1][row].tokens == french[row]
]
same = [(maps[0][row].argmax(-1) == maps[1][row].argmax(-1)).tolist() for row in range(len(test))]
overall = [value for row in both_right for value in same[row]]
print(f"{len(both_right)} of {len(test)} reviews; the same word for {sum(overall) / len(overall):.0%}")
shared = by_class(same)
show({"the same word": shared})

# %% [markdown]
r"""
**What happened.** For {same:.0%}. Adjectives always agree, and negations in about two of three cases. Where
two models write the same word and look at different ones, no look at one particular word was *necessary* for
it (each model may still need its own). This is also a yardstick: a difference between two maps means little
unless it is larger than the one between two seeds.
"""

# %% claim
numbers["same"] = sum(overall) / len(overall)
assert len(both_right) > 900 and 0.8 < numbers["same"] < 0.95
assert shared["adjective"] > 0.98 and 0.5 < shared["negation"] < 0.75

# %% [markdown]
r"""
### Test 4 · Swap the weights

Now we keep the trained models and replace their attention weights while they write, by **even** ones, or
by their own weights **shuffled** over the words of the sentence. First try it yourself: step to a French
word, and choose *even* or *shuffled* for its weights.

**Predict.** Whose probability changes more with *even*: that of *lent*, or that of the *était* before it?
"""

# %%
playground(["additive"])

# %% [markdown]
r"""
*The translator with additive attention. If you see only a picture, choose File, then Trust Notebook.*

**What happened.** *lent* falls to nearly 0, and *était* keeps a good part of its probability. After *le
service*, *était* is easy to guess, but only the source says "slow".
"""

# %% claim
source = ["the", "restaurant", "was", "amazing", "but", "the", "service", "was", "slow"]
target = ["le", "restaurant", "était", "incroyable", "mais", "le", "service", "était", "lent"]
with torch.no_grad():
    src = torch.tensor([[*encoded.src_vocab.encode(source), EOS_ID]])
    encoder_states, state, _ = models[0].encode(src, torch.tensor([src.shape[1]]))
    tgt_in = torch.tensor([[BOS_ID, *encoded.tgt_vocab.encode(target[:-1])]])
    states, _ = models[0].decoder.rnn(models[0].decoder.embedding(tgt_in), state[None])
    context = encoder_states.mean(1, keepdim=True).expand_as(states)
    chances = models[0].decoder.predict(states, context)[0].softmax(-1)
was, slow = (chances[place, encoded.tgt_vocab.ids[target[place]]] for place in (7, 8))
assert slow < 0.05 and 0.3 < was < 0.7

# %% [markdown]
r"""
Now all test reviews, with the correct words so far, so that one mistake doesn't lead to the next.

**Predict.** With even weights, which class of words still comes out right most often?
"""


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


@torch.no_grad()
def right_words(model):
    """Return for each French word whether the model finds it most likely, given the correct words before."""
    found = [None] * len(test)
    for batch in encoded.batches("test"):
        logits, _ = model(batch.src, batch.src_lengths, batch.tgt_in)
        for row, hits in zip(batch.rows, logits.argmax(-1) == batch.tgt_out, strict=True):
            found[row] = hits[: len(french[row])].tolist()
    return found


# %%
torch.manual_seed(0)
kept = {}
for name, change in (("own", lambda score: score), ("even", Even), ("shuffled", Shuffled)):
    for seed in (0, 1):
        model = pretrained.load("additive", seed)
        model.decoder.score = change(model.decoder.score)
        kept[f"{name}, seed {seed}"] = by_class(right_words(model))
show(kept)

# %% [markdown]
r"""
**What happened.** Without their own weights, the models lose nearly all adjectives: there the weights matter.
But {even:.0%} of the auxiliaries come out right with even weights, and {kept[auxiliary]:.0%} with shuffled
ones, because the words before say enough. Where many different maps lead to the same word, no single map
explains that word.
"""

# %% claim
shuffled = [kept[f"shuffled, seed {seed}"] for seed in (0, 1)]
numbers["kept"] = {name: sum(shares[name] for shares in shuffled) / 2 for name in CLASSES}
numbers["even"] = sum(kept[f"even, seed {seed}"]["auxiliary"] for seed in (0, 1)) / 2
for seed in (0, 1):
    assert kept[f"even, seed {seed}"]["auxiliary"] > 0.5 and kept[f"own, seed {seed}"]["auxiliary"] > 0.98
    even_and_shuffled = kept[f"even, seed {seed}"], kept[f"shuffled, seed {seed}"]
    assert all(max(shares, key=shares.get) == "auxiliary" for shares in even_and_shuffled)
    assert all(shares["adjective"] < 0.2 for shares in even_and_shuffled)

# %% [markdown]
r"""
## What you may say

| sentence about a map | what it takes |
| --- | --- |
| "the context for this word came mostly from the state at that one" | nothing more: a weight says this |
| "this word translates that one" | gold links, or people who mark them |
| "without that word, it would have written something else" | erase it, and compare with baselines |
| "it wrote this because it looked there" | all four tests, for this word |
| "the model is fair", "the model has no bug" | not a map: sort what it writes, and test it |

## Check yourself

Answer aloud, then unfold.

<details><summary>A map is dull all over although the loss has fallen. What do you look for in the
code?</summary>

Whether the context reaches the output at all. If it doesn't, nothing teaches the weights, and the map stays
about as it was before training.

</details>

<details><summary>A translator writes masculine adjectives for feminine nouns. Can you see it in its attention
map?</summary>

No. It may look at the right word and write the wrong form. You find a bias by sorting what is written, here
by gender.

</details>

<details><summary>"The largest weight has the largest effect for most words." What is missing?</summary>

A baseline. Other choices of a word, which know nothing of the model, may do as well.

</details>

<details><summary>"The model wrote this word because it looked at that one." What would you ask?</summary>

What happens if that word is erased, or if the weights are swapped, and whether another seed that writes the
same looks at the same place.

</details>

## In three lines

- Maps find bugs that break attention itself. They don't show what a decoder makes of what it has seen.
- For content words, the weights matter, and the four tests mostly agree. For grammar words, they often don't.
- A map says where a context came from. That a word was written *because* of it takes an experiment.

**One thing to try.** Load `"dot"` instead of `"additive"` for the two models and run the four tests again.
Which statements still hold?

Demo 06 takes attention to other tasks: answering questions, and summing up.
"""
