"""Language models: what they learn from, how they write, how they are trained and probed.

A decoder-only model (GPT) predicts the next token from those before it; a masked model (BERT) predicts hidden
tokens from both sides. Targets are -100, which `cross_entropy` ignores, wherever nothing is to be predicted.
"""

import torch
from torch.nn.functional import cross_entropy

from utils.text import group_rows, pad

IGNORED = -100  # the default `ignore_index` of torch's cross_entropy


def next_word_batch(tokens, pad_id):
    """Split sentences into inputs and targets: at each position, the target is the next token.

    tokens (batch, length), ids that are padded at the end. Returns inputs and targets, (batch, length - 1)
    each; a target that is padding is -100. `tokens` stays as it is.
    """
    inputs, targets = tokens[:, :-1], tokens[:, 1:]
    return inputs, targets.masked_fill(targets == pad_id, IGNORED)


def sample(logits, temperature=1.0, top_k=None, generator=None):
    """Draw one token per row from softmax(logits / temperature).

    logits (batch, vocab). A temperature of 0 takes the most likely token. With `top_k`, only the `top_k` most
    likely tokens can be drawn; None, or a number beyond the vocabulary, allows all. All randomness comes from
    `generator`, a `torch.Generator`. Returns ids (batch,).
    """
    if temperature == 0:
        return logits.argmax(-1)
    logits, candidates = logits.topk(min(top_k or logits.shape[-1], logits.shape[-1]))
    drawn = torch.multinomial((logits / temperature).softmax(-1), 1, generator=generator)  # (batch, 1)
    return candidates.gather(-1, drawn).squeeze(-1)


def generate(step, prompt, eos_id, max_len, temperature=1.0, top_k=None, generator=None):
    """Continue prompts token by token.

    `step(ids)` returns the logits (batch, vocab) of the token that follows ids (batch, length). prompt
    (batch, length) holds ids. Each new token is drawn by `sample` and appended. Stops after `max_len` new
    tokens, or as soon as every row has written `eos_id`; an end token in the prompt does not count. Returns
    ids (batch, length + new tokens), prompt included. After its end token, a row holds `eos_id`.
    """
    ids, ended = prompt, torch.zeros(len(prompt), dtype=torch.bool, device=prompt.device)
    for _ in range(max_len):
        token = sample(step(ids), temperature, top_k, generator).masked_fill(ended, eos_id)
        ids = torch.cat([ids, token[:, None]], dim=1)
        ended = ended | (token == eos_id)
        if ended.all():
            break
    return ids


def mask_tokens(tokens, mask_id, special_ids, share, generator=None):
    """Hide tokens at random, for a model that learns to fill them in.

    Each token of tokens (batch, length) whose id is not in `special_ids` is hidden with probability `share`,
    independently of all others. Returns inputs, the tokens with `mask_id` in the place of the hidden ones,
    and targets, the hidden tokens, -100 elsewhere; (batch, length) each. `tokens` stays as it is. Devlin et
    al. 2019, section 3.1, without its random and unchanged tokens.
    """
    special = torch.isin(tokens, torch.as_tensor(list(special_ids), dtype=tokens.dtype))
    hidden = (torch.rand(tokens.shape, generator=generator) < share) & ~special
    return tokens.masked_fill(hidden, mask_id), tokens.masked_fill(~hidden, IGNORED)


def fit(model, texts, make_batch, updates, batch_tokens, rate=6e-3):
    """Train a language model with Adam on batches of texts of similar length, and return it.

    `texts` are lists of ids; `make_batch(ids)` returns the inputs and targets of a padded batch, which has at
    most `batch_tokens` tokens.
    `model(inputs)` returns logits (batch, length, vocab). The learning rate rises to `rate` and falls again.
    """
    texts = sorted(texts, key=len)
    rows = group_rows(range(len(texts)), [len(text) for text in texts], batch_tokens)
    batches = [pad([texts[row] for row in batch]) for batch in rows]
    optimizer = torch.optim.Adam(model.parameters(), lr=rate, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, updates, pct_start=0.1)
    for _ in range(updates):
        inputs, targets = make_batch(batches[torch.randint(len(batches), ())])
        loss = cross_entropy(model(inputs).flatten(0, 1), targets.flatten())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    return model.eval()


def probe(features, labels, groups, count, repeats=50):
    """Return how well a linear classifier that learns from few labels does on new groups, from 0 to 1.

    features (rows, hidden); labels (rows,), -1 or 1; `groups` names the group of each row. Learns from
    `count` random rows by ridge regression and is tested on the rows of all other groups; the mean of
    `repeats` choices.
    """
    generator, shares = torch.Generator().manual_seed(0), []
    x = torch.cat([features, torch.ones(len(features), 1)], dim=1)  # with a bias
    for _ in range(repeats):
        rows = torch.randperm(len(x), generator=generator)[:count].tolist()
        seen = {groups[row] for row in rows}
        test = [row for row, group in enumerate(groups) if group not in seen]
        kernel = x[rows] @ x[rows].T + torch.eye(count)
        predicted = x[test] @ x[rows].T @ torch.linalg.solve(kernel, labels[rows])
        shares.append((predicted.sign() == labels[test]).float().mean())
    return torch.stack(shares).mean().item()
