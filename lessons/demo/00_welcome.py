# %% [markdown]
r"""
# 00 · Welcome

**Watch three translators at work, and move the attention of one yourself.**

Five minutes, and you need to know nothing. The cell below opens three small translators, which run inside
this page. They were trained on restaurant reviews, from English to French. One of them can look back at the
English sentence while it writes. That is **attention**, the subject of this course.
"""

# %%
from utils.explorer import playground

playground()

# %% [markdown]
r"""
*If you see only a picture in a notebook, choose File, then Trust Notebook, or run the cell.*

## Three things to try

**1. Watch.** The translator *additive* uses attention. Press play, or step through the sentence with the
arrow keys. The lines show where the translator looks for each French word, and a thicker line means more
attention. For which word does it look at "slow"?

**2. Make it longer.** Choose the translator *initial state only*. It reads the whole sentence first and then
writes from memory. A clause is a part of a sentence with its own verb. This review has two, one before and
one after *but*. Add more, one by one.

**Predict.** When its memory fails, does the translator leave words out or invent things?

<details><summary>What you should see</summary>

It invents: from two or three clauses on, it writes good French about some other restaurant. Give the same
review to *additive*, the one with attention. It mostly stays with the source, up to five clauses, the longest
reviews in its training. Demo 01 measures this.

</details>

**3. Take the spotlight.** Go back to *additive* and the first two clauses. Go to the step that writes *lent*
and drag the attention from "slow" to "amazing". Let the translator go on from there.

**Predict.** What will it write instead of *lent*?

<details><summary>What you should see</summary>

*incroyable*, "amazing". Nothing else has changed, only the place where the translator looks. Attention
decides which part of the source reaches the next word. Demo 02 shows how it is computed.

</details>

## Where to go from here

| if you want to | go to |
| --- | --- |
| understand why attention was invented | [demo 01](01_bottleneck.ipynb), the bottleneck |
| compute it by hand | [demo 02](02_attention.ipynb), the spotlight |
| see where language models come from | demos [07](07_self_attention.ipynb) and [08](08_gpt_and_bert.ipynb) |
| program it yourself | the exercises, one beside most demos |

Before most results you find a question, **Predict**. Answer it first, then open the output. You will remember
more.
"""

# %% claim
import torch

from utils import pretrained
from utils.text import BOS_ID, EOS_ID, encoded_reviews

encoded, model = encoded_reviews(), pretrained.load("additive")
source = ["the", "restaurant", "was", "amazing", "but", "the", "service", "was", "slow"]
written = ["le", "restaurant", "était", "incroyable", "mais", "le", "service", "était"]
with torch.no_grad():
    src = torch.tensor([[*encoded.src_vocab.encode(source), EOS_ID]])
    encoder_states, state, _ = model.encode(src, torch.tensor([10]))
    tgt_in = torch.tensor([[BOS_ID, *encoded.tgt_vocab.encode(written)]])
    states, _ = model.decoder.rnn(model.decoder.embedding(tgt_in), state[None])
    for word, expected in (("slow", "lent"), ("amazing", "incroyable")):
        place = source.index(word)
        logits = model.decoder.predict(states[:, -1:], encoder_states[:, place : place + 1])
        assert encoded.tgt_vocab.tokens[logits.argmax()] == expected
