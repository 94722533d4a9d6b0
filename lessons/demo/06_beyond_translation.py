# %% [markdown]
r"""
# 06 · Beyond translation

**What else can a model do if it can look back?**

![The review "the soup was cold but the waiters were friendly", twice. For the question "how was the soup?", a
thick line leads from the answer, cold, to the word cold, which is shaded. For "who was friendly?", it leads
from waiters to the shaded word waiters.](../figures/question.svg)

Nothing in attention is about two languages. There is a query, there are places to look at, and the model
uses what it finds to write. So in this demo the translator of demo 03 doesn't change, and only the pairs that
it learns from do: questions about a review with their answers, and reviews with their summaries.

You will

- **name** query, keys and values in two new tasks,
- **compare** models with and without attention on both,
- **find** a question that fools the look, and test what fooled it.

About 45 minutes. Training three small models takes about a minute. Before each result you find a question:
answer it, then open the output.
"""

# %%
import json
from collections import Counter
from pathlib import Path

import torch

import utils
from utils.metrics import hard_alignment, overlap_f1
from utils.models import Seq2Seq, forced_weights, translate
from utils.plotting import NAMES, Figure, plot_attention, plot_intervals, plot_shaded
from utils.text import BOS_ID, EOS_ID, PAD_ID, encoded_questions, encoded_summaries
from utils.training import in_parallel, seed_everything, train

# %% [markdown]
r"""
## Three tasks, one model

A translator, a student in a reading test and a journalist do the same thing. Each has a text on the desk and
writes another one, and before each word each of them asks: *which part of this text matters now?*

| task | keys and values | the query comes from | what is written |
| --- | --- | --- | --- |
| translation | a state per word of a review | the decoder, after each French word | French |
| **question answering** | the same | the decoder, after it has read the *question* | the answer |
| **summarization** | the same | the decoder, after each word of the summary | a short text |

An answer like "cold" is a word of the review. This is **extractive** question answering: the task is to find
the answer in the text. Our grammar writes such questions, and it knows the **gold place** of every answer.
"""

# %%
exam = encoded_questions().corpus["test"]
for row in range(4):
    places = sorted(place + 1 for place, _ in exam.links[row])
    print(exam.src[row], "\n  ", exam.tgt[row], "  at word", *places)

# %% [markdown]
r"""
How does a question fit into a decoder? It comes *first in the target*. The decoder reads "how was the soup ?"
as if it had just written it, and then goes on with the answer. After the question mark, its state holds the
question, and this state is the query. Only the words after the question mark count in the loss, because
nobody can guess what will be asked.

**Think.** A model without attention reads the question, too, before it answers. What must its one vector
hold?

<details><summary>One answer</summary>

The review had to go into that vector *before* the question was known. So the vector must hold the answer to
every possible question: a closed-book exam. With attention, the question comes first and the look after it.

</details>

We train three models: for the questions one with attention and one without, and for the summaries one with
attention.
"""

# %%
ATTENTIONS = ("additive", "initial")
SIZES = {"embed_dim": 48, "hidden_dim": 64}
CORPORA = {"questions": encoded_questions, "summaries": encoded_summaries}
BUDGETS = {
    "questions": {"updates": 800, "batch_tokens": 600, "learning_rate": 1.5e-2, "curriculum": 0.6},
    "summaries": {"updates": 900, "batch_tokens": 800, "learning_rate": 1.5e-2, "curriculum": 0.6},
}


def learn(task, attention, seed):
    """Train one model on a task."""
    encoded, budget = CORPORA[task](), BUDGETS[task]
    seed_everything(seed)
    model = Seq2Seq(len(encoded.src_vocab), len(encoded.tgt_vocab), attention, **SIZES)
    train(model, encoded, seed=seed, validate_every=budget["updates"], progress=False, **budget)
    return model.eval()


kinds = [("summaries", "additive"), ("questions", "additive"), ("questions", "initial")]
jobs = [{"task": task, "attention": attention, "seed": 0} for task, attention in kinds]
models = dict(zip(kinds, in_parallel(learn, jobs), strict=True))

# %% [markdown]
r"""
## A question lights up its answer

Here is a review with two questions. The loop is the decoder's loop of demo 03, except that its first input
is a whole question.

**Predict.** The review never changes, so neither do keys and values. The picture above is drawn by hand. Will
each row of the real map have nearly all of its light on the answer, too?
"""


# %%
@torch.no_grad()
def ask(model, review, question, longest=6):
    """Answer a question about a review. Return the words of the answer, and each word's row of weights."""
    encoded = encoded_questions()
    src = torch.tensor([[*encoded.src_vocab.encode(review.split()), EOS_ID]])
    encoder_states, state, mask = model.encode(src, torch.tensor([src.shape[1]]))
    tokens = torch.tensor([[BOS_ID, *encoded.tgt_vocab.encode(question.split())]])
    words, rows = [], []
    while len(words) < longest:
        logits, state, weights = model.decode(tokens, state, encoder_states, mask)
        rows.append(None if weights is None else weights[0, -1])
        tokens = logits[:, -1:].argmax(-1)
        if tokens.item() == EOS_ID:
            break
        words.append(encoded.tgt_vocab.tokens[tokens.item()])
    return words, rows


def interview(review, questions):
    """Ask both models, print their answers, and draw where the one with attention looked first."""
    rows = []
    for question in questions:
        words, weights = ask(models["questions", "additive"], review, question)
        without, _ = ask(models["questions", "initial"], review, question)
        print(f"{question:<26}with attention: {' '.join(words):<14}without: {' '.join(without)}")
        rows.append(weights[0])
    ax = plot_attention(
        torch.stack(rows), [*review.split(), "(end)"], questions, colour_bar=False, annotate=True
    )
    ax.set(ylabel="")
    return rows, ax


# %%
REVIEW = "the soup was cold but the waiters never brought the bread"
QUESTIONS = ("how was the soup ?", "what was cold ?")
rows, ax = interview(REVIEW, QUESTIONS)
Figure(
    ax,
    "A map with one row per question and one column per word of the review. Each row has its light on the "
    "answer: cold, and soup.",
)

# %% [markdown]
r"""
*Where the model looks as it writes the first word of each answer.*

**What happened.** Yes: the answers "cold" and "soup" get nearly all of it. Only the query changed.
"""

# %% claim
answers = ("cold", "soup")
assert REVIEW not in encoded_questions().corpus["train"].src
for question, answer, row in zip(QUESTIONS, answers, rows, strict=True):
    assert ask(models["questions", "additive"], REVIEW, question)[0] == [answer]
    assert row.argmax() == REVIEW.split().index(answer) and row.max() > 0.75

# %% [markdown]
r"""
## Short reviews and long ones

An answer is **right** if all of its words are right and it ends where it should. This is called **exact
match**. For this comparison we trained three models of each kind in advance, with the functions of this demo
and the command that is printed below.

Two baselines tell what a number is worth. One reads only the first word of the question and gives the most
common answer to it. The other reads the whole question, but not the review.

**Predict.** In a review of one clause there is little to mix up. Will the gap be small there and grow with
length, as it did for translations in demo 01?
"""

# %%
record = json.loads((Path(utils.__file__).parents[1] / "benchmarks/results/demo_06.json").read_text("utf-8"))


def recorded(task, attention, measure):
    """Return what was measured of one kind of model on one task, for each seed."""
    runs = [run for run in record["runs"] if (run["task"], run["attention"]) == (task, attention)]
    return [run[measure] for run in runs]


def guess(key):
    """Return the share of test questions that are right with the most common answer to their `key`."""
    seen = {}
    for text in encoded_questions().corpus["train"].tgt:
        question, answer = text.split(" ? ")
        seen.setdefault(key(question), Counter())[answer] += 1
    pairs = [text.split(" ? ") for text in exam.tgt]
    best = {kind: answers.most_common(1)[0][0] for kind, answers in seen.items()}
    return sum(best.get(key(question)) == answer for question, answer in pairs) / len(pairs)


print(record["command"])
print(f"baseline, first word of the question: {guess(lambda question: question.split()[0]):.0%}")
print(f"baseline, the whole question:         {guess(lambda question: question):.0%}")
groups = {NAMES[attention]: recorded("questions", attention, "right") for attention in ATTENTIONS}
labels = [f"{n}\nn={exam.clauses.count(n)}" for n in range(1, 6)]
ax = plot_intervals(groups, labels, "exact match", dots=True)
ax.set(xlabel="clauses in the review", ylim=(-0.03, 1.05))
Figure(
    ax,
    "Share of right answers for reviews of one to five clauses, with and without attention: means and three "
    "seeds each. With attention it falls from 1 to 0.7, without from 0.4 to 0.2.",
)

# %% [markdown]
r"""
*Exact match by number of clauses: the mean of three seeds, and each seed as a small dot. "additive" is the
model with attention.*

**What happened.** No: the gap is large from the start and doesn't grow. At every length, the worst seed with
attention beats the best one without. A model without attention has to squeeze the review into a vector before
it knows what will be asked. But it does read: the baselines, which guess without the review, get only
{guess[first]:.0%} and {guess[whole]:.0%}. (It may also need more training, as in demo 01.) And attention
isn't perfect either: it gets worse as reviews grow. Why?
"""

# %% claim
curves = {kind: [*zip(*recorded("questions", kind, "right"), strict=True)] for kind in ATTENTIONS}
assert all(min(ours) > max(theirs) for ours, theirs in zip(*curves.values(), strict=True))
assert all(sum(curve[0]) > sum(curve[-1]) + 0.3 for curve in curves.values()), "both get worse"
gaps = [sum(ours) - sum(theirs) for ours, theirs in zip(*curves.values(), strict=True)]
assert gaps[-1] < gaps[0] + 0.15, "the gap, summed over three seeds, does not grow"
weakest = min(sum(seed) / 5 for seed in recorded("questions", "initial", "right"))
numbers["guess"] = {"first": guess(lambda question: question.split()[0]), "whole": guess(lambda q: q)}
assert max(numbers["guess"].values()) < weakest - 0.05

# %% [markdown]
r"""
## A rival draws the look

Now a review in which both judgments would suit both things: a restaurant can be slow, and a service can be
amazing.

**Predict.** We ask "how was the restaurant?" and "how was the service?", then "what was amazing?" and "what
was slow?". Will the rows of the first two have their light on different words, or on the same ones?
"""

# %%
RIVALS = "the restaurant was amazing but the service was slow"
FOOLED = ("how was the restaurant ?", "how was the service ?", "what was amazing ?", "what was slow ?")
rows, ax = interview(RIVALS, FOOLED)
Figure(
    ax,
    "A map with one row per question and one column per word of the review. The two rows of how are nearly "
    "alike, with their light on amazing and slow; so are the two of what, on restaurant and service.",
)

# %% [markdown]
r"""
*The same model, another review.*

**What happened.** The two rows of a kind are nearly alike. It seems that the model looks for *a word that
would do*, and hardly for the clause that is asked about. In the first review, only one word would do for each
question. Here, right or wrong hangs on small differences.
"""

# %% claim
how, also_how, what, also_what = rows
assert min(row[[3, 8]].sum() for row in (how, also_how)) > 0.7, "on adjectives"
assert min(row[[1, 2, 6, 7]].sum() for row in (what, also_what)) > 0.7, "on nouns"
assert max((how - also_how).abs().sum(), (what - also_what).abs().sum()) / 2 < 0.3, "nearly alike"

# %% [markdown]
r"""
One map raises a suspicion, and a count can test it. A **rival** is a word of the review that isn't the
answer, but in training it was the answer to the same kind of question about the same thing. For "how was the
service?", "amazing" is one. If the model looks for any word that would do, then rivals must cost it answers.
Long reviews have more rivals, so we compare at the same number of clauses. And we need a **control**: a model
without attention doesn't look at all, so it can't have this habit. The output has two parts: how many answers
are right, without and with a rival, and what the models say instead where there is a rival.

**Predict.** When it is wrong, what does each of the two models mostly say: the rival, another word of the
review, or a word that isn't in the review?
"""


# %%
def rivals():
    """Return the rivals in the review of each test question, a set of words."""
    corpus, fits, found = encoded_questions().corpus, {}, []
    for text in corpus["train"].tgt:
        question, answer = (part.split() for part in text.split(" ? "))
        fits.setdefault((question[0], question[-1]), set()).add(answer[-1])
    for review, text in zip(corpus["test"].src, corpus["test"].tgt, strict=True):
        question, answer = (part.split() for part in text.split(" ? "))
        found.append(fits.get((question[0], question[-1]), set()) & (set(review.split()) - {answer[-1]}))
    return found


@torch.no_grad()
def right(model):
    """Return for each test question whether the model's answer is right, bool (questions,)."""
    encoded = encoded_questions()
    done = torch.zeros(len(encoded.corpus["test"]), dtype=torch.bool)
    for batch in encoded.batches("test"):
        logits, _ = model(batch.src, batch.src_lengths, batch.tgt_in)
        done[batch.rows] = ((logits.argmax(-1) == batch.tgt_out) | (batch.tgt_out == PAD_ID)).all(1)
    return done


def right_by_clauses(model):
    """Return the share of right answers for reviews of one to five clauses."""
    done, clauses = right(model), torch.tensor(encoded_questions().corpus["test"].clauses)
    return [done[clauses == n].float().mean().item() for n in range(1, 6)]


def fooled(model):
    """Return the shares of right answers without and with a rival, and of three kinds of wrong answers.

    The first two are means over reviews of two to five clauses. The kinds are a rival, another word of the
    review, and none of its words, where there is a rival.
    """
    test, found, done = encoded_questions().corpus["test"], rivals(), right(model)
    rival, clauses = torch.tensor([bool(words) for words in found]), torch.tensor(test.clauses)
    shares = [
        sum(done[group & (clauses == n)].float().mean().item() for n in range(2, 6)) / 4
        for group in (~rival, rival)
    ]
    said = Counter()
    for row in (rival & ~done).nonzero().flatten().tolist():
        words, _ = ask(model, test.src[row], test.tgt[row].split(" ? ")[0] + " ?")
        last = words[-1] if words else None
        said[0 if last in found[row] else 1 if last in test.src[row].split() else 2] += 1
    return shares, [said[kind] / said.total() for kind in range(3)]


print(f"{'live, seed 0':<22}{'right: no rival':>16}{'a rival':>9}", end="")
print(f"{'wrong: the rival':>20}{'other word':>12}{'not in review':>15}")
outcome = {attention: fooled(models["questions", attention]) for attention in ATTENTIONS}
for attention, (shares, said) in outcome.items():
    print(f"{NAMES[attention]:<22}{shares[0]:>16.0%}{shares[1]:>9.0%}", end="")
    print(f"{said[0]:>20.0%}{said[1]:>12.0%}{said[2]:>15.0%}")

# %% [markdown]
r"""
**What happened.** Both models lose answers where there is a rival. So the cost alone proves nothing: the
control, which cannot have the habit, loses answers, too. The *kind* of mistake tells them apart. With
attention, a wrong answer is nearly always read from the review, and mostly it is the rival. Without, it is
mostly a word that isn't in the review at all. This fits the suspicion, for one model of each kind.
"""

# %% claim
assert all(shares[0] > shares[1] + 0.03 for shares, _ in outcome.values())
assert outcome["additive"][1][0] > 0.5 and outcome["additive"][1][2] < 0.15
assert outcome["initial"][1][2] > 0.5

# %% [markdown]
r"""
**Think.** Which change of the task would teach the model to look at the right clause?

<details><summary>One answer</summary>

More training questions in which the review contains a rival. Where any suitable word is the right one,
nothing in the loss asks for more.

</details>

## Summing up a review

A **summary** says in few words what matters in a text. It is **extractive** if it is put together from pieces
of the text, and **abstractive** if it uses words of its own. Ours are a little of both:

> the lamb was not delicious because it was too salty . there was no music . we loved the tomato salad .
>
> pros : tomato salad ; cons : lamb

The names are copied, and the verdict is not: "not delicious" is a complaint, and so is "a little cold". What
was merely there, such as the missing music, is left out.

To score a summary we count its **points**, such as (pros, tomato salad), and take their **F1**, the harmonic
mean of how many of the written points are right and how many of the right points are written.

**Predict.** The usual score for summaries, **ROUGE-1**, counts the words that a summary shares with a
reference, wherever they stand. How much does a summary score if it puts every name on the wrong side: nearly
0, about half, or most of it?
"""

# %%
desk = encoded_summaries().corpus["test"]


def points(summary):
    """Return the points of a summary, (side, name)."""
    found = []
    for part in summary.split(" ; "):
        side, _, names = part.partition(" : ")
        found += [(side, name) for name in names.split(" , ")]
    return found


def score(texts, n=None):
    """Return F1 of points, and ROUGE-1, for summaries of the test reviews, or of those with n sentences."""
    desk = encoded_summaries().corpus["test"]
    rows = [row for row, src in enumerate(desk.src) if n is None or src.split().count(".") == n]
    chosen, gold = [texts[row] for row in rows], [desk.tgt[row] for row in rows]
    return [
        overlap_f1([points(text) for text in chosen], [points(text) for text in gold]),
        overlap_f1([text.split() for text in chosen], [text.split() for text in gold]),
    ]


swapped = [text.replace("pros", "X").replace("cons", "pros").replace("X", "cons") for text in desk.tgt]
for name, texts in (("right", desk.tgt), ("right, with sides swapped", swapped)):
    print(f"{name:<28}F1 of points {score(texts)[0]:4.0%}   ROUGE-1 {score(texts)[1]:4.0%}")

# %% [markdown]
r"""
**What happened.** It still gets {swapped:.0%}: nearly every word is there, although the summary says the
opposite. So we use F1 of points.
"""

# %% claim
numbers["swapped"] = score(swapped)[1]
assert score(swapped)[0] == 0 and 0.7 < numbers["swapped"] < 0.9 and score(desk.tgt) == [1, 1]

# %% [markdown]
r"""
**Predict.** Without attention, each question needed the whole review in one vector. A summary leaves most of
the review out. Will the gap be as large as for questions?
"""


# %%
def write(model):
    """Return what a model writes for the test reviews, with its weights."""
    return translate(model, encoded_summaries(), encoded_summaries().tokens("test", "src"))


sentences = [src.split().count(".") for src in desk.src]
groups = {NAMES[attention]: recorded("summaries", attention, "by_sentences") for attention in ATTENTIONS}
ax = plot_intervals(groups, [f"{n}\nn={sentences.count(n)}" for n in range(1, 6)], "F1 of points", dots=True)
ax.set(xlabel="sentences in the review", ylim=(-0.03, 1.05))
Figure(
    ax,
    "F1 of points for reviews of one to five sentences, with and without attention: three seeds each. With "
    "attention it stays near 1; without it starts nearly as high and falls to about 0.6.",
)

# %% [markdown]
r"""
*F1 of points by number of sentences: the mean of three seeds, and each seed as a small dot.*

**What happened.** No. One sentence can be summed up nearly as well without attention. Each further sentence
then costs a lot without attention, and hardly anything with it.
"""

# %% claim
curves = {kind: [*zip(*recorded("summaries", kind, "by_sentences"), strict=True)] for kind in ATTENTIONS}
ours, theirs = ([sum(column) / 3 for column in curve] for curve in curves.values())
assert all(a >= b for a, b in zip(ours, theirs, strict=True)) and theirs[0] > 0.95 > theirs[2] > theirs[4]
assert ours[-1] > 0.85 and ours[-1] > theirs[-1] + 0.15

# %% [markdown]
r"""
## Which part of the review feeds the summary?

A map with forty columns is hard to read. So we print the review itself and shade its words, once for each
name that the model wrote. The review is the first one in the test with five sentences, two sides, and a
correct summary.

**Predict.** Will the sentences that the summary leaves out stay white?
"""

# %%
texts = [" ".join(one.tokens) for one in write(models["summaries", "additive"])]
long = [row for row, text in enumerate(desk.tgt) if sentences[row] == 5 and " ; " in text]
row = max(long, key=lambda row: texts[row] == desk.tgt[row])  # the first that is right
print("the summary:", texts[row])
words, review = desk.tgt[row].split(), desk.src[row].split()
weights = forced_weights(models["summaries", "additive"], encoded_summaries(), "test")[row]
names = {
    words[place]: (weights[place], review) for _, place in sorted(desk.links[row], key=lambda link: link[1])
}
Figure(plot_shaded(names), "The review, once for each word of a name in its summary. Each time, "
       "the word itself is shaded, and most other words are white.")  # fmt: skip

# %% [markdown]
r"""
*The review, shaded by the weights with which the model wrote each name of the summary.*

**What happened.** For each name, the darkest shade is on that name or in its sentence. The other names of the
summary may get a faint shade, and what it leaves out stays white.
"""

# %% claim
assert texts[row] == desk.tgt[row]
for place, word in desk.links[row]:
    assert review[: weights[word].argmax()].count(".") == review[:place].count(".")

# %% [markdown]
r"""
Is it always so? For each name we ask two questions. Is the largest weight on the word that was copied? And if
we add up the weights of each sentence, does the largest *sum* belong to the sentence that it was copied from?
Adding up turns a map of words into a map of sentences, the simplest **hierarchical** view.

**Predict.** The largest weight is on the copied word for {word:.0%} of the names. How many of the others will
still be found in the right sentence: few, half, or most of them?
"""


# %%
def by_sentence(weights, tokens):
    """Add up weights (tgt_len, src_len) over the words of each sentence: (tgt_len, sentences)."""
    ends = [place + 1 for place, token in enumerate(tokens) if token == "."]
    starts = [0, *ends[:-1]]
    return torch.stack([weights[:, a:b].sum(-1) for a, b in zip(starts, ends, strict=True)], dim=-1)


def feeding(model):
    """Return the shares of names whose copied word, and whose sentence, has the most weight."""
    encoded, hits = encoded_summaries(), []
    maps, links = forced_weights(model, encoded, "test"), encoded.corpus["test"].links
    for weights, tokens, gold in zip(maps, encoded.tokens("test", "src"), links, strict=True):
        best, sums = hard_alignment(weights), by_sentence(weights, tokens)
        hits += [(link in best, int(sums[link[1]].argmax()) == tokens[: link[0]].count(".")) for link in gold]
    return torch.tensor(hits).float().mean(0).tolist()


longest, blind = [], []
for tokens, gold in zip(encoded_summaries().tokens("test", "src"), desk.links, strict=True):
    at = [tokens[:place].count(".") for place in range(len(tokens))]
    longest += [at[place] == max(range(at[-1] + 1), key=at.count) for place, _ in gold]
    blind += [1 / (at[-1] + 1)] * len(gold)
fed = torch.tensor(recorded("summaries", "additive", "fed"))[:, :2]
for name, seeds in zip(
    ("largest weight on the copied word", "largest sum on its sentence"), fed.T, strict=True
):
    print(f"{name:<40}{seeds.mean():.0%}, three seeds: {', '.join(f'{share:.0%}' for share in seeds)}")
print(f"baseline, a sentence at random          {sum(blind) / len(blind):.0%}")
print(f"baseline, always the longest sentence   {sum(longest) / len(longest):.0%}")

# %% [markdown]
r"""
**What happened.** Most of them. A look that misses the word usually stays in its sentence, so on this task
the sums do tell where a summary comes from. We could measure that only because the grammar marks the gold
places.
"""

# %% claim
numbers["word"], sentence = fed.mean(0).tolist()
assert (sentence - numbers["word"]) / (1 - numbers["word"]) > 0.5 and sentence > 0.9
assert max(sum(blind) / len(blind), sum(longest) / len(longest)) < 0.65
assert by_sentence(torch.arange(16.0).reshape(2, 8), [*"abcd.ef."]).tolist() == [[10, 18], [50, 42]]

# %% [markdown]
r"""
## Where else

The same three roles, filled by other things:

| task | the query comes from | keys and values are |
| --- | --- | --- |
| speech recognition (Chorowski et al. 2015) | the phonemes written so far | states for slices of sound |
| image captions (Xu et al. 2015) | the words of the caption so far | features of the places of a picture |
| reading comprehension (Hermann et al. 2015) | a question | states for the words of an article |
| headlines (Rush et al. 2015) | the words of the headline so far | states for the words of a sentence |

For speech, the map should be near a diagonal, because sounds and phonemes come in one order. For a picture,
the "source" is a grid of places, and a row of weights can be laid over the picture as light. Nothing in
`attend` has to change: it never asked what its keys are made of.

Our models can't write a word that is in no training target. A **pointer network** can (Vinyals et al. 2015):
it takes the weights themselves as the probabilities of the words that they stand on. For summaries, the two
ways have been combined (See et al. 2017).

## Check yourself

Answer aloud, then unfold.

<details><summary>What is the query in question answering, and what does a model without attention
lack?</summary>

The query is the decoder's state after it has read the question. Without attention, the review goes into one
vector before the question is known, and that vector would have to hold every answer.

</details>

<details><summary>Two questions give nearly the same row of weights. What do you suspect, and what do you
do?</summary>

That the model doesn't use the part in which the questions differ. Say what this would change in the answers,
count it, and count the same in a control that can't have the habit.

</details>

<details><summary>Why F1 of points, and not ROUGE-1?</summary>

ROUGE-1 counts words wherever they stand. A name on the wrong side counts as found.

</details>

## In three lines

- One architecture does three tasks. What changes is the pairs that it learns from, and so what the query
  asks.
- With attention, questions are answered better at every length, and long reviews are summed up better.
- A look can be fooled by a rival. A map raises the suspicion; a count with a control tests it.

**One thing to try.** Ask your own questions with `interview`, and one whose answer isn't in the review: "how
was the soup ?" of a review without soup. What does the model do, and where does it look?

No exercise belongs to this demo. In **demo 07**, the words of *one* sentence ask each other.
"""
