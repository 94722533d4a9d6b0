# %% [markdown]
r"""
# 06 · Beyond translation

**What else can a model do that may look back at what it has read?**

Nothing in attention is about two languages. There is something that asks, there are places to look at, and
what is found there helps to write. So this demo takes the translator of demo 03, changes nothing in it, and
gives it other pairs to learn from: first questions about a review with their answers, then reviews with their
summaries.

You will

- **name** query, keys and values in two new tasks,
- **compare** a model with attention and one without on both, by length and with several seeds,
- **test** what pointing at the right place shows, and what it does not.

About 30 minutes. Running everything takes a minute or two, nearly all of it for four small models that
learn. Before each result there is a question: answer it before you run the cell.
"""

# %%
import json
from collections import Counter
from pathlib import Path

import torch

import utils
from utils.metrics import hard_alignment, overlap_f1
from utils.models import Seq2Seq, forced_weights, translate
from utils.plotting import NAMES, Figure, plot_attention, plot_intervals
from utils.text import BOS_ID, EOS_ID, PAD_ID, encoded_questions, encoded_summaries
from utils.training import in_parallel, seed_everything, train

# %% [markdown]
r"""
## Three tasks, one model

A translator, a pupil in a reading test and a journalist do something alike. Each has a text on the desk and
writes another, and before each word each asks: *which part of this text matters now?* What they ask for
differs.

| task | the text on the desk: keys and values | who asks: the query | what is written |
| --- | --- | --- | --- |
| translation | a state for each word of a review | the decoder, after each French word | French |
| **question answering** | the same | the decoder, after it has read the *question* | the answer |
| **summarisation** | the same | the decoder, after each word of the summary | a short text |

The model is `Seq2Seq`, the library's encoder and decoder of demo 03, and the loop that trains it is the same
too. One with attention scores by the additive rule of demo 02; one without has only the vector that the
encoder ends with, as its first state. Both get the same pairs in the same batches and the same number of
updates. Everything shown below is measured on test data.

In the notebook one model of each kind is trained for each task. What a difference is worth takes several
seeds, as in demo 03: three were trained once, with the functions of this notebook and the command printed
here, and kept in a file. Of these you will see the mean and, in brackets, the lowest and the highest seed.
"""

# %%
ATTENTIONS = ("additive", "initial")
SIZES = {"embed_dim": 48, "hidden_dim": 64}


def learn(encoded, attention, seed, budget):
    """Train one model on a task; the seed draws its first weights and its batches."""
    seed_everything(seed)
    model = Seq2Seq(len(encoded.src_vocab), len(encoded.tgt_vocab), attention, **SIZES)
    train(model, encoded, seed=seed, validate_every=budget["updates"], progress=False, **budget)
    return model


record = json.loads((Path(utils.__file__).parents[1] / "benchmarks" / "results" / "demo_06.json").read_text())
print(record["command"], record["machine"], sep="\n")


def recorded(task, attention, measure):
    """What was measured of one kind on one task, for each seed."""
    runs = [run for run in record["runs"] if (run["task"], run["attention"]) == (task, attention)]
    return [run[measure] for run in runs]


def seen_in(seeds):
    """The mean of several seeds with the lowest and the highest, as text in per cent."""
    low, mean, high = (100 * number for number in (min(seeds), sum(seeds) / len(seeds), max(seeds)))
    return f"{mean:4.0f}% [{low:.0f}, {high:.0f}]"


# %% [markdown]
r"""
## A reading test

Here is a review and a question about it:

> the restaurant was amazing but the service was slow
>
> how was the service ?

The answer, *slow*, is a word of the review. This is called **extractive** question answering: what is asked
for stands in the text, and the task is to find it. Our grammar writes such questions, and since it knows what
each clause says of what, it also knows the **gold place**: where in the review each word of the answer
stands. Half of the questions run the other way, from what was said to what it was said of.
"""

# %% claim
assert [sum(run["task"] == task and run["attention"] == attention for run in record["runs"])
        for task in ("questions", "summaries") for attention in ATTENTIONS] == [3] * 4  # fmt: skip

# %%
questions = encoded_questions()
exam = questions.corpus["test"]
print(questions.corpus, "\n")
for row in range(4):
    places = sorted(place + 1 for place, _ in exam.links[row])
    print(exam.src[row], "\n  ", exam.tgt[row], "  at", *places)

# %% [markdown]
r"""
Two things to note about how this fits into a decoder. The question comes *first in the target*: the decoder
reads "how was the service ?" as if it had just written it, and then goes on with the answer. So its state at
the question mark is made of the question, and with this state it asks. The question has become the **query**.
And since nobody can guess what will be asked, only the words after the question mark count in the loss.

**Predict.** A model without attention also reads the question before it answers. What can it not do, and
what must its one vector hold?

<details><summary>One answer</summary>

It cannot look again. It had to put the review into one vector *before* it knew the question, so that vector
must hold an answer to every question that might come: a closed-book exam. With attention the question comes
first and the look after it, as in an open-book exam.

</details>
"""

# %%
QUESTIONS = {"updates": 800, "batch_tokens": 600, "learning_rate": 1.5e-2, "curriculum": 0.6}


def pupil(attention, seed):
    return learn(encoded_questions(), attention, seed, QUESTIONS)


jobs = [{"attention": attention, "seed": 0} for attention in ATTENTIONS]
pupils = dict(zip(ATTENTIONS, in_parallel(pupil, jobs), strict=True))

# %% [markdown]
r"""
### One review, four questions

Before any scores, ask one model (seed 0) four questions about the same review, which is not in its training
data. The loop is a decoder's as in demo 03, except that its first input is a whole question.

**Predict.** The review never changes, so neither do keys and values. What does change from row to row, and
which column should each row light up?
"""


# %%
@torch.no_grad()
def ask(model, review, question, longest=6):
    """Answer a question about a review. Return the words of the answer, and each word's row of weights."""
    src = torch.tensor([[*questions.src_vocab.encode(review.split()), EOS_ID]])
    encoder_states, state, mask = model.encode(src, torch.tensor([src.shape[1]]))
    tokens = torch.tensor([[BOS_ID, *questions.tgt_vocab.encode(question.split())]])
    words, rows = [], []
    while len(words) < longest:
        logits, state, weights = model.decode(tokens, state, encoder_states, mask)
        tokens = logits[:, -1:].argmax(-1)
        if tokens.item() == EOS_ID:
            break
        words.append(questions.tgt_vocab.tokens[tokens.item()])
        rows.append(None if weights is None else weights[0, -1])
    return words, rows


# %%
REVIEW = "the restaurant was amazing but the service was slow"
ASKED = ("how was the restaurant ?", "how was the service ?", "what was amazing ?", "what was slow ?")
assert REVIEW not in questions.corpus["train"].src
source = [*REVIEW.split(), "(end)"]
rows = []
for question in ASKED:
    words, weights = ask(pupils["additive"], REVIEW, question)
    without, _ = ask(pupils["initial"], REVIEW, question)
    best = int(weights[0].argmax())
    rows.append(weights[0])
    print(f"{question:<26}{' '.join(words):<14}looks at {source[best]:<12}({best + 1})"
          f" {weights[0][best]:4.0%}   without attention: {' '.join(without)}")  # fmt: skip

# %%
ax = plot_attention(torch.stack(rows), source, ASKED, colour_bar=False, annotate=True)
ax.set_ylabel("")
Figure(ax, "A map with one row for each of four questions and a column for each word of the review. The two "
       "rows of how are nearly alike, with their light on amazing and slow; so are the two of what, with "
       "theirs on restaurant and service.", dpi=64)  # fmt: skip

# %% [markdown]
r"""
*The same review, four questions: where the model looks as it writes the first word of each answer.*

**What happened.** Only the query changes, and each row should light up its own answer: amazing, slow,
restaurant, service. With "how" the light is indeed on adjectives, with "what" on nouns. But the two rows of a
kind are nearly alike, as if *which* thing is asked about hardly mattered. Is it this review only, or a habit?
We come back to it below.
"""

# %% claim
how, also_how, what, also_what = rows
assert min(row[[3, 8]].sum() for row in (how, also_how)) > 0.7, "on adjectives"
assert min(row[[1, 2, 6, 7]].sum() for row in (what, also_what)) > 0.7, "on nouns"
assert max((how - also_how).abs().sum(), (what - also_what).abs().sum()) / 2 < 0.3, "nearly alike"

# %% [markdown]
r"""
### With and without, by length

An answer is **right** if all of its words are right and it ends where it should: this is called **exact
match**, and it is the usual measure where answers are short. It can be read off one pass over the right
answers: if each next word is the likeliest, the model writes exactly this answer.

Two baselines tell what a number is worth. One answers "how" with the commonest answer to "how" in training
and "what" and "who" likewise; it reads the question's first word only. The other reads all of the
question and none of the review: it gives the commonest answer to *this* question, if training had it.

**Predict.** For reviews of one clause there is little to mix up. Will the model without attention be nearly
as good there? And will the one with attention get worse as reviews grow, though it may look at every word?
"""


# %%
@torch.no_grad()
def right(model, seen=None, end=True):
    """For each question of the exam whether the answer is right, or without `end` whether its words are.

    `seen` says which words of the reviews may be looked at.
    """
    encoded = encoded_questions()
    done = torch.zeros(len(encoded.corpus["test"]), dtype=torch.bool)
    for batch in encoded.batches("test"):
        encoder_states, state, mask = model.encode(batch.src, batch.src_lengths)
        if seen is not None:
            mask = mask & seen[batch.rows, : mask.shape[1]]
        logits, _, _ = model.decode(batch.tgt_in, state, encoder_states, mask)
        free = (batch.tgt_out == PAD_ID) | ((batch.tgt_out == EOS_ID) & (not end))
        done[batch.rows] = ((logits.argmax(-1) == batch.tgt_out) | free).all(1)
    return done


def right_by_clauses(model):
    """The share of right answers for reviews of one to five clauses."""
    done, clauses = right(model), torch.tensor(encoded_questions().corpus["test"].clauses)
    return [done[clauses == n].float().mean().item() for n in range(1, 6)]


def guess(key):
    """The share of the exam that is right if each question gets the commonest answer to its `key`."""
    seen = {}
    for text in questions.corpus["train"].tgt:
        question, answer = text.split(" ? ")
        seen.setdefault(key(question), []).append(answer)
    common = {kind: max(sorted(set(answers)), key=answers.count) for kind, answers in seen.items()}
    pairs = [text.split(" ? ") for text in exam.tgt]
    return sum(common.get(key(question)) == answer for question, answer in pairs) / len(pairs)


# %%
def show(heading, labels, task, measure):
    """Print a line for each kind: the seeds, column by column."""
    print(f"{heading:<26}" + "".join(f"{label:<17}" for label in labels))
    for attention in ATTENTIONS:
        columns = zip(*recorded(task, attention, measure), strict=True)
        print(f"{NAMES[attention]:<25}" + "".join(f"{seen_in(column):<17}" for column in columns))


print(f"{'live, seed 0, clauses:':<26}" + "".join(f"{n:<17}" for n in range(1, 6)))
for attention, model in pupils.items():
    print(f"{NAMES[attention]:<25}" + "".join(f"{value:5.0%}{'':<12}" for value in right_by_clauses(model)))
print()
show("exact match, clauses:", range(1, 6), "questions", "right")
print(f"\n{guess(lambda question: question.split()[0]):.0%} by the first word of the question alone, "
      f"{guess(lambda question: question):.0%} by the question alone")  # fmt: skip

# %%
labels = [f"{n}\nn={exam.clauses.count(n)}" for n in range(1, 6)]
groups = {attention: recorded("questions", attention, "right") for attention in ATTENTIONS}
ax = plot_intervals(groups, labels, "exact match", dots=True)
ax.set(xlabel="clauses in the review", ylim=(-0.03, 1.05))
ax.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
Figure(ax, "Share of right answers for reviews of one to five clauses, with and without attention: means and "
       "three seeds each. Every seed with attention lies far above every seed without, at every "
       "length.")  # fmt: skip

# %% [markdown]
r"""
*Recorded: exact match by clauses. Large: the mean; small dots beside it: the three seeds. n is the number of
questions.*

**What happened.** Not even for one clause does a model without attention keep up: at every length its best
seed is below the worst with attention. Both get worse as reviews grow. Neither kind just guesses: both
baselines are far below.
"""

# %% claim
curves = {kind: [*zip(*recorded("questions", kind, "right"), strict=True)] for kind in ATTENTIONS}
assert all(min(ours) > max(theirs) for ours, theirs in zip(*curves.values(), strict=True)), "with every seed"
assert all(sum(curve[0]) > sum(curve[-1]) for curve in curves.values()), "both get worse"
weakest = min(sum(seed) / 5 for seed in recorded("questions", "initial", "right"))
assert max(guess(lambda question: question.split()[0]), guess(lambda question: question)) < weakest - 0.05

# %% [markdown]
r"""
### Does it point at the answer?

Now the weights. For each word of an answer, take the place with the largest weight and compare it with the
gold place. As in demo 04 we also shift all of them by one word to the left or right, to see whether the light
falls *next to* the answer. The baseline is a place drawn blindly.

**Predict.** Call an answer *pointed at* if the largest weight is on the gold place for all of its words. Will
more answers be pointed at than are right, about as many, or fewer?
"""


# %%
def hits(maps, links, shift=0):
    """For each target, whether each of its copied words has its largest weight on its gold place."""
    found = (hard_alignment(weights, shift) for weights in maps)
    return [[link in best for link in sorted(gold)] for best, gold in zip(found, links, strict=True)]


def share(rows):
    """The share of True in lists of lists."""
    flat = [one for row in rows for one in row]
    return sum(flat) / len(flat)


def pointing(model):
    """Shares of words with the largest weight on their gold place, at shifts -1, 0 and +1; and a table.

    The table has the shares of answers (wrong, right) whose words do not all point to their places, and of
    those whose words all do.
    """
    encoded = encoded_questions()
    maps, links = forced_weights(model, encoded, "test"), encoded.corpus["test"].links
    table = torch.zeros(2, 2)
    for found, done in zip(hits(maps, links), right(model), strict=True):
        table[int(all(found)), int(done)] += 1 / len(links)
    return [share(hits(maps, links, shift)) for shift in (-1, 0, 1)], table.tolist()


shares, _ = pointing(pupils["additive"])
print(f"{'words, largest weight on gold place':<36}live  several seeds")
for i, shift in enumerate((-1, 0, 1)):
    column = [seed[i] for seed in recorded("questions", "additive", "pointing")]
    print(f"{f'  at shift {shift}':<36}{shares[i]:4.0%}  {seen_in(column)}")
blind = sum(len(gold) / len(src.split()) for src, gold in zip(exam.src, exam.links, strict=True))
print(f"{'  a place drawn blindly':<36}{blind / sum(map(len, exam.links)):4.0%}")

# %%
tables = torch.tensor(recorded("questions", "additive", "table")).mean(0)
tables = torch.cat([tables, tables.sum(0, keepdim=True)])
print(f"{'answers, mean of seeds':<28}{'wrong':>10}{'right':>10}{'together':>10}")
for name, (wrong, done) in zip(("not pointed at", "pointed at", "together"), tables.tolist(), strict=True):
    print(f"{name:<28}{wrong:>10.1%}{done:>10.1%}{wrong + done:>10.1%}")

# %% [markdown]
r"""
**What happened.** The light falls on the right word {pointing[on]:.0f}% of the time, and rarely right beside
it. Fewer answers are pointed at than are right, and the two are different things: {pointing[elsewhere]:.0f}%
of the answers are right with the light of some word elsewhere, and now and then the place is right and the
answer is not.
"""

# %% claim
seeds = recorded("questions", "additive", "pointing")
left, on, beyond = (sum(column) / 3 for column in zip(*seeds, strict=True))
(_, elsewhere), (wrong, pointed) = torch.tensor(recorded("questions", "additive", "table")).mean(0).tolist()
numbers["pointing"] = {"on": 100 * on, "elsewhere": 100 * elsewhere}
assert on > 0.6 and max(left, beyond) < 0.15
assert wrong + pointed < elsewhere + pointed and 0 < wrong < 0.15 and pointed > 0.5
two = [torch.tensor([[0.1, 0.7, 0.2], [0.6, 0.3, 0.1]]), torch.tensor([[0.2, 0.8]])]
assert hits(two, [{(1, 0), (2, 1)}, {(0, 0)}]) == [[True, False], [False]]
assert hits(two, [{(1, 0), (2, 1)}, {(0, 0)}], shift=-1) == [[False, False], [True]]

# %% [markdown]
r"""
### A habit, suspected from the map

In the first map both adjectives can be said of both things: asked about the service, "amazing" would do as
well as "slow". Perhaps the model looks for *a word that would do*, and not for the clause that is asked
about. Call "amazing" a **rival** here: a word of the review that is not the answer, but was in training the
answer to a question that began with the same word (how) and asked about the same thing (service).

If it is a habit, rivals must cost answers. Long reviews have more of them, so we compare at a fixed number of
clauses. And there is a control: a model without attention does not look at all, so it cannot have the habit.

**Predict.** Which of the two will do worse where there is a rival than where there is none? And where there
is one and the answer is wrong, what words will each of them have said?
"""

# %%
fits = {}
for text in questions.corpus["train"].tgt:
    question, answer = (part.split() for part in text.split(" ? "))
    fits.setdefault((question[0], question[-1]), set()).add(answer[-1])


def rivals(row):
    """The rivals in the review of one question of the exam; of answers with several words the last counts."""
    question, answer = (part.split() for part in exam.tgt[row].split(" ? "))
    return fits.get((question[0], question[-1]), set()) & (set(exam.src[row].split()) - {answer[-1]})


rival, clauses = torch.tensor([bool(rivals(row)) for row in range(len(exam))]), torch.tensor(exam.clauses)
done = {attention: right(model) for attention, model in pupils.items()}
print(f"{'live, seed 0, clauses:':<28}" + "".join(f"{n:>12}" for n in range(2, 6)))
for attention in ATTENTIONS:
    for name, group in (("no rival", ~rival), ("a rival", rival)):
        cells = [done[attention][group & (clauses == n)].float() for n in range(2, 6)]
        print(f"{f'{NAMES[attention]}, {name}':<28}"
              + "".join(f"{f'{c.mean():.0%} of {len(c)}':>12}" for c in cells))  # fmt: skip

# %%
kinds = ("a rival", "another of its words", "none of its words")
print(f"{'wrong answers with a rival':<28}" + "".join(f"{kind:>22}" for kind in kinds))
said = {attention: Counter() for attention in pupils}
for attention, model in pupils.items():
    for row in (rival & ~done[attention]).nonzero().flatten().tolist():
        words, _ = ask(model, exam.src[row], exam.tgt[row].split(" ? ")[0] + " ?")
        last = words[-1] if words else None
        kind = kinds[0 if last in rivals(row) else 1 if last in exam.src[row].split() else 2]
        said[attention][kind] += 1
    print(f"{NAMES[attention]:<28}" + "".join(f"{said[attention][kind]:>22}" for kind in kinds))

# %% [markdown]
r"""
**What happened.** With a rival both do worse, in the mean of the lengths by {cost[additive]:.0f} points with
attention and by {cost[initial]:.0f} without. So the cost proves nothing about a habit of looking: the
control, which cannot have it, pays it too. The *kind* of mistake tells them apart. With attention a wrong
answer is nearly always read from the review, and mostly a rival; without, mostly a word that is not there.
That fits the suspicion, for one model of each kind.
"""

# %% claim
numbers["cost"] = {}
for kind in ATTENTIONS:
    by_rival = [[done[kind][group & (clauses == n)].float().mean().item() for n in range(2, 6)]
                for group in (~rival, rival)]  # fmt: skip
    numbers["cost"][kind] = 25 * (sum(by_rival[0]) - sum(by_rival[1]))
assert min(numbers["cost"].values()) > 3
shares = {kind: [said[kind][name] / said[kind].total() for name in kinds] for kind in ATTENTIONS}
assert shares["additive"][0] > 0.5 and shares["additive"][2] < 0.15, "read from the review, mostly a rival"
assert shares["initial"][2] > 0.5, "mostly a word that is not there"

# %% [markdown]
r"""
### What if the answer's place is covered?

A place with the largest weight is where most of the context *came from*. To learn whether the answer *needs*
that place, cover it: with the mask, the decoder may look at every word but the answer's own. Two controls
belong to it. One covers as many other places, drawn at random, to see what covering does by itself. The other
covers everything *but* the answer.

**Predict.** With the answer's own places covered, how many answers will still be right: nearly none, about a
third, or more than half? And if the answer is all there is to see, can anything still go wrong?
"""


# %%
def covers():
    """Which words may be looked at in each question's review, in four ways, by name."""
    exam = encoded_questions().corpus["test"]
    own = torch.zeros(len(exam), exam.words[1] + 1, dtype=torch.bool)
    others = own.clone()
    generator = torch.Generator().manual_seed(0)
    for row, (src, gold) in enumerate(zip(exam.src, exam.links, strict=True)):
        places = {place for place, _ in gold}
        own[row, list(places)] = True
        left = [place for place in range(len(src.split())) if place not in places]
        drawn = torch.randperm(len(left), generator=generator)[: len(places)]
        others[row, [left[i] for i in drawn]] = True
    return {"nothing is covered": None, "as many other places": ~others,
            "the answer's own places": ~own, "all but the answer's own": own}  # fmt: skip


def covered(model):
    """The share of right answers with each of the covers."""
    return [right(model, seen).float().mean().item() for seen in covers().values()]


print(f"{'answers right when covered is':<32}live  several seeds")
seeds = zip(*recorded("questions", "additive", "covered"), strict=True)
for name, live, column in zip(covers(), covered(pupils["additive"]), seeds, strict=True):
    print(f"{name:<32}{live:4.0%}  {seen_in(column)}")
*_, alone = covers().values()
print(f"{'  wherever it ends':<32}{right(pupils['additive'], alone, end=False).float().mean():4.0%}")

# %% [markdown]
r"""
**What happened.** With their own places covered nearly all answers are lost. The states beside them have read
the same words, but the decoder does not get the answer out of those. With other places covered none are lost
on balance. So *here* the model needs the place of its answer, which the weights could not have told. With the
answer alone in sight it nearly always says its words; but it may not know where to stop. And in training
nothing was covered: these are strange texts.
"""

# %% claim
for whole, others, without, alone in recorded("questions", "additive", "covered"):
    assert without < 0.25 < alone and others > whole - 0.03
_, others, own, alone = covers().values()
assert torch.equal(alone, ~own) and all((~others[row] & ~own[row]).sum() == 0 for row in range(len(exam)))
assert right(pupils["additive"], alone, end=False).float().mean() > 0.9, "it says the words"

# %% [markdown]
r"""
## Summing up a review

A **summary** says in few words what matters in a text. It is **extractive** if it is put together from pieces
of the text, as with scissors, and **abstractive** if it is written anew, in words the text need not have.

Ours are a little of both. A reader of many reviews wants to know what was good and what was bad:

> the lamb was not delicious because it was too salty . there was no music . we loved the tomato salad .
>
> pros : tomato salad ; cons : lamb

The rule, which the grammar follows and the models have to find out from examples: a thing is named if the
review says that it *was* so or so, or that a guest *liked, loved* or *hated* it. Praise goes to the pros and
complaints to the cons, each in the order of the review; a side with nothing on it is left out, and so is all
else. The names are copied. The verdict is not: "not delicious" is a complaint, and so is "a little cold".
"""

# %%
summaries = encoded_summaries()
desk = summaries.corpus["test"]
print(summaries.corpus, "\n")
for row in range(3):
    print(desk.src[row], "\n  ", desk.tgt[row])

# %% [markdown]
r"""
**Predict.** An answer takes a look at one place. At how many places does a summary with three names have to
look, and what must the decoder keep in mind that it did not need for an answer?

<details><summary>One answer</summary>

At least the three names, and for each the words that judge it. And it must know what it has written already:
its state has to keep the place, and the side, to go on from.

</details>
"""

# %%
SUMMARIES = {"updates": 900, "batch_tokens": 800, "learning_rate": 1.5e-2, "curriculum": 0.6}


def journalist(attention, seed):
    return learn(encoded_summaries(), attention, seed, SUMMARIES)


def write(model):
    """What a model writes for the test reviews, with its weights."""
    return translate(model, encoded_summaries(), encoded_summaries().tokens("test", "src"))


journalists = dict(zip(ATTENTIONS, in_parallel(journalist, jobs), strict=True))
written = {attention: write(model) for attention, model in journalists.items()}

# %% [markdown]
r"""
### How good is a summary?

The usual measure is **ROUGE**. Its simplest kind, ROUGE-1, counts the words that a summary shares with a
reference. Divided by the words written this is *precision*, by those of the reference *recall*, and **F1** is
the harmonic mean of the two: high only if both are.

ROUGE-1 was made for free text, and here it has a flaw that you can find before you see a number.

**Predict.** What ROUGE-1, out of 100%, does a writer get who names the right things, but each on the wrong
side? And one who always writes the summary that is commonest in training?

So we take F1 of **points**, a point being a side and a name, such as (pros, tomato salad): a name counts as
found only on its own side, and the words that every summary has count for nothing.
"""


# %%
def points(summary):
    """The points of a summary, (side, name), from its text; also of one that is not well formed."""
    found = []
    for part in summary.split(" ; "):
        side, _, names = part.partition(" : ")
        found += [(side, name) for name in names.split(" , ")]
    return found


def score(texts, n=None):
    """F1 of points, ROUGE-1 and exact match of summaries of the test reviews, or of those of n sentences."""
    desk = encoded_summaries().corpus["test"]
    rows = [row for row, src in enumerate(desk.src) if n is None or src.split().count(".") == n]
    chosen, gold = [texts[row] for row in rows], [desk.tgt[row] for row in rows]
    return [
        overlap_f1([points(text) for text in chosen], [points(text) for text in gold]),
        overlap_f1([text.split() for text in chosen], [text.split() for text in gold]),
        sum(ours == theirs for ours, theirs in zip(chosen, gold, strict=True)) / len(gold),
    ]


texts = {attention: [" ".join(done.tokens) for done in made] for attention, made in written.items()}
common = Counter(summaries.corpus["train"].tgt).most_common(1)[0][0]
swapped = [
    text.replace("pros :", "X").replace("cons :", "pros :").replace("X", "cons :") for text in desk.tgt
]
made = {NAMES[kind]: some for kind, some in texts.items()}
made |= {f"always {common}": [common] * len(desk), "right, with sides swapped": swapped}
measures = ("F1 of points", "ROUGE-1", "exact match")
print(f"{'live, seed 0':<26}" + "".join(f"{label:<17}" for label in measures))
for name, some in made.items():
    print(f"{name:<25}" + "".join(f"{value:5.0%}{'':<12}" for value in score(some)))
print()
show("several seeds", measures, "summaries", "overall")

# %% [markdown]
r"""
**What happened.** To swap all sides turns praise into complaint and costs ROUGE-1 only a fifth; to write
always the same gets nearly half. Models without attention get a ROUGE-1 of {without[rouge]:.0f}% in the mean
of the seeds, with an F1 of points of {without[points]:.0f}%.
"""

# %% claim
found, rouge, _ = score(swapped)
assert found == 0 and 0.7 < rouge < 0.9 and 0.4 < score([common] * len(desk))[1] < 0.55
assert score(desk.tgt) == [1, 1, 1] == score(desk.tgt, 3)
assert points("pros : view , onion soup ; cons : service") == [
    ("pros", "view"), ("pros", "onion soup"), ("cons", "service")]  # fmt: skip
f1, rouge, _ = (sum(column) / 3 for column in zip(*recorded("summaries", "initial", "overall"), strict=True))
numbers["without"] = {"points": 100 * f1, "rouge": 100 * rouge}
assert rouge > f1 + 0.05

# %%
lengths, sentences = range(1, 6), [src.split().count(".") for src in desk.src]
show("F1 of points, sentences:", lengths, "summaries", "by_sentences")
groups = {attention: recorded("summaries", attention, "by_sentences") for attention in ATTENTIONS}
ax = plot_intervals(groups, [f"{n}\nn={sentences.count(n)}" for n in lengths], "F1 of points", dots=True)
ax.set(xlabel="sentences in the review", ylim=(-0.03, 1.05))
ax.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
Figure(ax, "F1 of points for reviews of one to five sentences, with and without attention: means and three "
       "seeds each. With attention they hardly fall; without, they start nearly as high and fall "
       "far.")  # fmt: skip

# %% [markdown]
r"""
*Recorded: F1 of points by the number of sentences. Large: the mean; small dots beside it: the three seeds. n
is the number of reviews.*

**What happened.** Without attention each further sentence costs. With attention the seeds agree, and five
sentences still get {five:.0f}%.
"""

# %% claim
curves = {kind: [*zip(*recorded("summaries", kind, "by_sentences"), strict=True)] for kind in ATTENTIONS}
ours, theirs = ([sum(column) / 3 for column in curve] for curve in curves.values())
numbers["five"] = 100 * ours[-1]
assert all(a >= b for a, b in zip(ours, theirs, strict=True)) and theirs[0] > theirs[2] > theirs[4]
assert ours[-1] > 0.8 and ours[-1] > theirs[-1] + 0.1
assert max(max(column) - min(column) for column in curves["additive"]) < 0.15, "the seeds agree"

# %% [markdown]
r"""
## Which sentences feed the summary?

A map with forty columns is hard to read, and for a summary single words are too fine a grain: one wants to
know which *sentences* it draws on. Weights can be added up. The weights of a sentence's words sum to that
sentence's **share** of the look, and a map of words becomes a map of sentences.

$$\alpha_{t,S} = \sum_{i \in S} \alpha_{t,i}$$

This is the plainest **hierarchical** view: words within sentences within a review. (Some models have an
attention of their own for each level; ours has one, and we add.) The end token belongs to no sentence, so the
shares of a row may sum to a little less than one.

The example is the first test review that has five sentences and something on both sides, and whose summary
the model with attention (seed 0) got right.
"""


# %%
def by_sentence(weights, tokens):
    """Add up weights (tgt_len, src_len) over the words of each sentence: (tgt_len, sentences)."""
    ends = [place + 1 for place, token in enumerate(tokens) if token == "."]
    starts = [0, *ends[:-1]]
    return torch.stack([weights[:, a:b].sum(-1) for a, b in zip(starts, ends, strict=True)], dim=-1)


rows = [row for row, text in enumerate(desk.tgt) if sentences[row] == 5 and " ; " in text]
row = max(rows, key=lambda row: texts["additive"][row] == desk.tgt[row])  # the first that is right
example = written["additive"][row]
for number, sentence in enumerate(desk.src[row].removesuffix(" .").split(" . "), 1):
    print(number, sentence)

# %% [markdown]
r"""
**Predict.** Read the review. Which sentences will stay dark in every row of a name?
"""

# %%
print("with attention:   ", texts["additive"][row], "\nwithout attention:", texts["initial"][row])
sums = by_sentence(example.weights[:-1], example.src_tokens)
ax = plot_attention(sums, range(1, 6), example.tokens, colour_bar=False, annotate=True)
ax.set(xlabel="sentence", ylabel="word of the summary")
ax.tick_params(axis="x", rotation=0)
Figure(ax, "A map with a row for each word of the summary and a column for each of the five sentences of the "
       "review. Rows of names have most of their light in one column.", dpi=64)  # fmt: skip

# %% [markdown]
r"""
*How much each sentence of the review feeds each word of the summary: weights added up by sentence.*

**What happened.** Each name draws most of its light from the sentence it stands in. For the signs between the
names the light is less sharp. One review, chosen by the rule above, and a right summary.
"""

# %% claim
assert texts["additive"][row] == desk.tgt[row]
at = [example.src_tokens[:place].count(".") for place in range(len(example.src_tokens))]
assert sum(sums[word].argmax() == at[place] for place, word in desk.links[row]) > len(desk.links[row]) / 2
assert by_sentence(torch.arange(16.0).reshape(2, 8), [*"abcd.ef."]).tolist() == [[10, 18], [50, 42]]

# %% [markdown]
r"""
### Measured

For each word of a name, two questions: is the largest weight on the word it was copied from, and does the
largest *sum* belong to the sentence that it was copied from? The model is led along the right summaries here,
so that every word has its gold place. Two baselines read no word of the review: a sentence drawn blindly, and
always the longest sentence, for a spread-out light would give most to the longest.

Last, a sentence as a whole: add up what it gets from *all* words of the summary. Take one that is named
and another of the same review that is not. How often does the named one get more? A coin would say half of
the time.

**Predict.** The largest weight misses the copied word for {misses:.0f}% of the names. Will sums by sentence
save few of them, half, or most?
"""


# %%
def sentence_of(tokens):
    """For each place of a review the number of its sentence, from 0."""
    return [tokens[:place].count(".") for place in range(len(tokens))]


def feeding(model):
    """Shares of names found by word and by sentence, and of pairs in which the named sentence gets more."""
    encoded, found, pairs = encoded_summaries(), [], []
    maps, links = forced_weights(model, encoded, "test"), encoded.corpus["test"].links
    for weights, tokens, gold in zip(maps, encoded.tokens("test", "src"), links, strict=True):
        sums, at = by_sentence(weights, tokens), sentence_of(tokens)
        found.append([int(sums[word].argmax()) == at[place] for place, word in gold])
        named, total = {at[place] for place, _ in gold}, sums.sum(0)
        pairs.append([bool(total[one] > total[other]) for one in named for other in set(at) - named])
    return share(hits(maps, links)), share(found), share(pairs)


names = ("largest weight on the copied word", "largest sum on its sentence", "named sentence gets more")
print(f"{'':<36}live  several seeds")
seeds = zip(*recorded("summaries", "additive", "fed"), strict=True)
for name, live, column in zip(names, feeding(journalists["additive"]), seeds, strict=True):
    print(f"{name:<36}{live:4.0%}  {seen_in(column)}")

blind, longest = [], []
for tokens, gold in zip(summaries.tokens("test", "src"), desk.links, strict=True):
    at = sentence_of(tokens)
    longest.append([at[place] == max(range(at[-1] + 1), key=at.count) for place, _ in gold])
    blind += [1 / (at[-1] + 1)] * len(gold)
print(f"{'a sentence drawn blindly':<36}{sum(blind) / len(blind):4.0%}\n"
      f"{'always the longest sentence':<36}{share(longest):4.0%}")  # fmt: skip

# %% [markdown]
r"""
**What happened.** Most: a look that misses the word mostly stays in its sentence. And with all words of the
summary together, a named sentence gets more light than one that is not in nearly every pair. So on this task
the sums do tell which sentences a summary draws on. This is measured where gold exists; on another text, or
for a model that writes more freely, it would have to be measured again.
"""

# %% claim
seeds = recorded("summaries", "additive", "fed")
word, sentence, pair = (sum(column) / 3 for column in zip(*seeds, strict=True))
numbers["misses"] = 100 * (1 - word)
assert (sentence - word) / (1 - word) > 0.5 and sentence > 0.9 and pair > 0.9
assert max(sum(blind) / len(blind), share(longest)) < 0.65

# %% [markdown]
r"""
## Where else

The same three roles, filled by other things:

| task | the query asks from | keys and values are |
| --- | --- | --- |
| speech recognition (Chorowski et al. 2015) | the letters written so far | states for short slices of sound |
| image captions (Xu et al. 2015) | the words of the caption so far | features of the places of a picture |
| reading comprehension (Hermann et al. 2015) | a question | states for the words of an article |
| headlines (Rush et al. 2015) | the words of the headline so far | states for the words of a sentence |

For speech the map should be near a diagonal, since sound and letters come in one order. For a picture there
is no order at all: the "source" is a grid of places, and a row of weights can be laid over the picture as
light. Nothing in `attend` has to change. It never asked what its keys were made of.

One thing our models cannot do: write a word that was in no training target. They look at a place and then
choose from a fixed vocabulary. A **pointer network** (Vinyals et al. 2015) copies by taking the weights
themselves as the probabilities of the words they stand on, so a name that it has never seen can still be an
answer; for summaries the two ways have been mixed (See et al. 2017).

## What this does not show

Our reviews are small and clean, and the answer always stands in one piece in the text. Two models of one size
and one budget were compared, and the one without attention might do better with more of both. Our gold places
exist because a grammar wrote the text; for real text people have to mark them.
"""

# %% [markdown]
r"""
## Check yourself

Answer aloud, then unfold.

<details><summary>What is the query in question answering, and what does a model without attention
lack?</summary>

The query is the decoder's state after it has read the question. Without attention the review goes into one
vector before the question is known, and that vector would have to hold every answer.

</details>

<details><summary>The largest weight mostly stands on the answer. Does that show that the model answers
because of that word?</summary>

No. It shows where most of the context came from. Whether the answer needs that place has to be tested, by
covering it for instance; and the states next to it may hold the word as well.

</details>

<details><summary>Two different questions give nearly the same row of weights. What do you suspect, and what
do you do?</summary>

That the model does not use the part in which the questions differ. Say what this would change in the
answers, count it, and count the same in a control that cannot have the habit. What the control shows too is
no evidence.

</details>

<details><summary>Why F1 of points, and not ROUGE-1?</summary>

ROUGE-1 counts words wherever they stand. Words that every summary has earn points for nothing, and a name on
the wrong side counts as found.

</details>

<details><summary>How does a map of words become a map of sentences, and what should one watch for?</summary>

Add up the weights of each sentence's words. A long sentence has more words to add up, so compare with a
baseline that always takes the longest.

</details>

You should now be able to take a new task apart into query, keys and values, and to compare models on it with
and without attention by a measure that fits the task.

## Looking back

- One model does three tasks: what changes is the pairs it learns from, and with them what the query asks.
- With attention, questions are answered better at every length, with every seed. Short reviews are summed up
  well without it, too; each further sentence makes more of a difference.
- Weights often point at the answer and, added up, at the sentences that feed a summary. They can raise a
  suspicion; evidence took a control, and what an answer *needs* an experiment.

**One thing to try.** Ask your own questions with `ask`, also one whose answer is not in the review: "how was
the soup ?" of a review without soup. What does the model do, and where does it look?

No exercise belongs to this demo alone. **Exercise 04**, on reading maps, has the tools you need to look into
these models; **exercise 07** waits for the next demo, where the words of one sentence ask each other.
"""
