"""Training speed: every target step in one call, against the step-by-step loop most tutorials write.

    python -m benchmarks.teacher_forcing [--hidden 512] [--batch-tokens 1800] [--corpus reviews|multi30k]

All models take turns in one run: trust the ratios. The loop is written here the usual way: at each target
step it repeats the query along the source, projects query and keys together, attends, runs its cell for
one step and makes one step's logits. "step by step" has the sizes of the other models and sees the same
batches, so that only the way of computing differs. "tutorial" is that loop as it is commonly set up: an
encoder of twice the width (`hidden` in each direction), and batches of as many sentences in random order. The
table is also written to benchmarks/results/teacher_forcing.txt.
"""

import argparse
import time
from pathlib import Path

import torch
from torch import nn

from benchmarks.machine import describe, matrix_product_flops
from utils.data import load_multi30k, load_reviews
from utils.models import Encoder, Seq2Seq
from utils.text import PAD_ID, EncodedCorpus, lengths_to_mask
from utils.training import Batches, seed_everything, sequence_loss

RESULTS = Path(__file__).parent / "results" / "teacher_forcing.txt"


class StepByStep(nn.Module):
    """Additive attention as a loop over target steps that projects the keys anew at every step."""

    def __init__(self, src_vocab_size, tgt_vocab_size, embed_dim, hidden_dim, encoder_dim):
        super().__init__()
        self.encoder = Encoder(src_vocab_size, embed_dim, encoder_dim, PAD_ID)
        self.first_state = nn.Linear(encoder_dim, hidden_dim)
        self.embedding = nn.Embedding(tgt_vocab_size, embed_dim, padding_idx=PAD_ID)
        self.energy = nn.Linear(encoder_dim + hidden_dim, hidden_dim)
        self.v = nn.Linear(hidden_dim, 1, bias=False)
        self.rnn = nn.GRU(embed_dim + encoder_dim, hidden_dim, batch_first=True)
        self.out = nn.Linear(embed_dim + encoder_dim + hidden_dim, tgt_vocab_size)

    def forward(self, src, src_lengths, tgt_in):
        encoder_states, summary = self.encoder(src, src_lengths)
        state = torch.tanh(self.first_state(summary))
        mask = lengths_to_mask(src_lengths, src.shape[1])
        logits = []
        for t in range(tgt_in.shape[1]):
            embedded = self.embedding(tgt_in[:, t : t + 1])
            query = state[:, None].repeat(1, src.shape[1], 1)
            energy = torch.tanh(self.energy(torch.cat([query, encoder_states], dim=-1)))
            scores = self.v(energy)[..., 0].masked_fill(~mask, float("-inf"))
            context = torch.softmax(scores, dim=-1)[:, None] @ encoder_states
            output, last = self.rnn(torch.cat([embedded, context], dim=-1), state[None])
            state = last[0]
            logits.append(self.out(torch.cat([output, context, embedded], dim=-1)))
        return torch.cat(logits, dim=1), None


def one_step(model, optimizer, batch):
    """Train on one batch and return the seconds it took."""
    started = time.perf_counter()
    logits, _ = model(batch.src, batch.src_lengths, batch.tgt_in)
    optimizer.zero_grad(set_to_none=True)
    sequence_loss(logits, batch.tgt_out).backward()
    optimizer.step()
    return time.perf_counter() - started


def flops_of_products(model, batch):
    """Floating-point operations of the matrix products in one training step, counted, not timed.

    Linear layers and GRUs: two for each weight and token forward, twice that backward; the products
    of attention itself, between queries and keys and between weights and values, likewise.
    """
    counts = 0

    def count(module, inputs, output):
        nonlocal counts
        if isinstance(module, nn.Linear):
            counts += 2 * output.numel() * module.in_features
        elif isinstance(module, nn.GRU):
            packed = isinstance(inputs[0], nn.utils.rnn.PackedSequence)
            positions = inputs[0].data.shape[0] if packed else inputs[0].shape[:-1].numel()
            weights = sum(w.numel() for name, w in module.named_parameters() if "weight" in name)
            counts += 2 * positions * weights
        elif isinstance(module, nn.GRUCell):
            counts += 2 * len(output) * (module.weight_ih.numel() + module.weight_hh.numel())

    kinds = (nn.Linear, nn.GRU, nn.GRUCell)
    hooks = [m.register_forward_hook(count) for m in model.modules() if isinstance(m, kinds)]
    _, weights = model(batch.src, batch.src_lengths, batch.tgt_in)
    for hook in hooks:
        hook.remove()
    if weights is not None:
        counts += 2 * 2 * weights.numel() * model.encoder.to_decoder.in_features
    return 3 * counts


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--hidden", type=int, default=512)
    parser.add_argument("--embed", type=int, default=256)
    parser.add_argument("--batch-tokens", type=int, default=1_800)
    parser.add_argument("--steps", type=int, default=12, help="training steps a model (default %(default)s)")
    parser.add_argument("--corpus", choices=["reviews", "multi30k"], default="reviews")
    args = parser.parse_args()

    encoded = EncodedCorpus(load_reviews()) if args.corpus == "reviews" else EncodedCorpus(load_multi30k(), 2)
    sizes = len(encoded.src_vocab), len(encoded.tgt_vocab)
    seed_everything(0)
    models = {
        "tutorial": StepByStep(*sizes, args.embed, args.hidden, 2 * args.hidden),
        "step by step": StepByStep(*sizes, args.embed, args.hidden, args.hidden),
    }
    for name in ("bahdanau", "additive", "multiplicative", "scaled", "dot", "none"):
        models[name] = Seq2Seq(*sizes, name, args.embed, args.hidden)
    optimizers = {name: torch.optim.Adam(model.parameters(), fused=True) for name, model in models.items()}

    seconds = dict.fromkeys(models, 0.0)
    tokens, flops = dict.fromkeys(models, 0), dict.fromkeys(models, 0)
    peak = matrix_product_flops()
    batches = Batches(encoded, args.steps + 1, args.batch_tokens, seed=0, curriculum=0.0)
    shuffled = torch.randperm(len(encoded.train_rows)).tolist()
    for step in range(-1, args.steps):
        bucketed = batches[step + 1]
        rows, shuffled = shuffled[: len(bucketed.rows)], shuffled[len(bucketed.rows) :]
        random = encoded.batch("train", [encoded.train_rows[row] for row in rows])
        for name, model in models.items():
            batch = random if name == "tutorial" else bucketed
            took = one_step(model, optimizers[name], batch)
            if step >= 0:  # the first turn warms up
                seconds[name] += took
                tokens[name] += int((batch.tgt_out != PAD_ID).sum())
                flops[name] += flops_of_products(model, batch) if isinstance(model, Seq2Seq) else 0
    peak = max(peak, matrix_product_flops())

    lines = [
        f"{describe()}; matrix products {peak / 1e9:.0f} GFLOP/s",
        f"{encoded.corpus.name}, embedding {args.embed}, hidden {args.hidden}, "
        f"{args.batch_tokens} target tokens a batch, {args.steps} steps a model",
        "",
        f"{'model':<16}  tokens/s  x tutorial  x loop  MFLOP/token  share of peak",
    ]
    speed = {name: tokens[name] / seconds[name] for name in models}
    for name in models:
        ratios = f"{speed[name] / speed['tutorial']:>12.1f}{speed[name] / speed['step by step']:>8.1f}"
        work = f"{flops[name] / tokens[name] / 1e6:>13.1f}{flops[name] / seconds[name] / peak:>15.2f}"
        lines.append(f"{name:<16}{speed[name]:>10,.0f}{ratios}{work if flops[name] else ''}")
    print("\n".join(lines))
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text("\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    main()
