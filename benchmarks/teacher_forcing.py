"""Training speed: every target step in one call, against the step-by-step loop most tutorials write.

    python -m benchmarks.teacher_forcing [--hidden 64 256 512] [--batch-tokens 900 1800] [--corpus multi30k]

All models take turns in one run: trust the ratios. The course's models take the steps that `utils.cli_train`
takes. The loop is written here the usual way: at each target step it repeats the query along the source,
projects query and keys together, attends, runs its cell for one step and makes one step's logits. "step by
step" has the sizes of the other models and sees the same batches, so that only the way of computing differs.
"tutorial" is that loop as it is commonly set up: an encoder of twice the width (`hidden` in each direction),
and batches of as many sentences in random order. (Tutorials on Multi30K mostly take 128 sentences, some 1,800
target tokens; `utils.cli_train` takes 900, which learn more a token.) All run in a process that is set up as
`train` sets it up.

Beside them stands what the machine allows. "share of peak" is the floating-point operations of the step's
matrix products, which are counted, a second, by those of one large matrix product on the same threads.
"share of limit" sets the part that GRUs do against the speed of a GRU alone, forward and backward, and only
the rest against the large product. Below is where the time of a step with additive attention goes, by
PyTorch's profiler. On a GPU the models compute in bfloat16, and the additive one is tried compiled as well.
The tables are also written to benchmarks/results/teacher_forcing.txt.
"""

import argparse
import time
from itertools import product
from pathlib import Path

import torch
from torch import nn

from benchmarks.machine import describe, matrix_product_flops, shares_in_words, time_parts, wait_for
from utils.data import load_multi30k, load_reviews
from utils.models import Encoder, Seq2Seq
from utils.text import PAD_ID, EncodedCorpus, lengths_to_mask
from utils.training import Batches, seed_everything, sequence_loss, train_step, tune_process

RESULTS = Path(__file__).parent / "results" / "teacher_forcing.txt"
LOOPS = ("tutorial", "step by step")
MODELS = ("bahdanau", "additive", "multiplicative", "scaled", "dot", "none")


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


def loop_step(model, batch, optimizer):
    """Update a loop model once, as the loops in tutorials are trained."""
    logits, _ = model(batch.src, batch.src_lengths, batch.tgt_in)
    loss = sequence_loss(logits, batch.tgt_out)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return loss.item()


def flops_of_products(model, batch):
    """Floating-point operations of the matrix products in one training step, counted, not timed.

    Give two numbers: those of GRUs, and all others. Linear layers and GRUs: two for each weight and token
    forward, twice that backward; the products of attention itself, between queries and keys and between
    weights and values, likewise.
    """
    of_grus = others = 0

    def count(module, inputs, output):
        nonlocal of_grus, others
        if isinstance(module, nn.Linear):
            others += 2 * output.numel() * module.in_features
        elif isinstance(module, nn.GRU):
            packed = isinstance(inputs[0], nn.utils.rnn.PackedSequence)
            positions = inputs[0].data.shape[0] if packed else inputs[0].shape[:-1].numel()
            weights = sum(w.numel() for name, w in module.named_parameters() if "weight" in name)
            of_grus += 2 * positions * weights
        elif isinstance(module, nn.GRUCell):
            of_grus += 2 * len(output) * (module.weight_ih.numel() + module.weight_hh.numel())

    kinds = (nn.Linear, nn.GRU, nn.GRUCell)
    hooks = [m.register_forward_hook(count) for m in model.modules() if isinstance(m, kinds)]
    with torch.no_grad():
        _, weights = model(batch.src, batch.src_lengths, batch.tgt_in)
    for hook in hooks:
        hook.remove()
    if weights is not None:
        others += 2 * 2 * weights.numel() * model.encoder.to_decoder.in_features
    return 3 * of_grus, 3 * others


def gru_flops(embed, hidden, device, autocast, seconds=1.0):
    """Floating-point operations a second in a GRU's products, forward and backward: the best of those tried.

    64 sentences of 15 tokens, as they are in a batch of 900.
    """
    gru = nn.GRU(embed, hidden, batch_first=True).to(device)
    x = torch.randn(64, 15, embed, device=device, requires_grad=True)
    flops = 3 * 2 * 64 * 15 * (gru.weight_ih_l0.numel() + gru.weight_hh_l0.numel())
    best, end = 0.0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        wait_for(device)
        started = time.perf_counter()
        with torch.autocast(device.type, autocast, enabled=autocast is not None):
            states, _ = gru(x)
        states.backward(torch.ones_like(states))
        wait_for(device)
        best = max(best, flops / (time.perf_counter() - started))
        gru.zero_grad(set_to_none=True)
    return best


def measure(encoded, hidden, embed=256, batch_tokens=900, steps=12):
    """Train all models in turns: figures of each by its name, those of the machine, and `time_parts`.

    Of a model: tokens_per_second, times_tutorial and times_loop; of the course's own also flops_per_token,
    share_of_peak and share_of_limit.
    """
    tune_process()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    autocast = torch.bfloat16 if device.type == "cuda" else None
    sizes = len(encoded.src_vocab), len(encoded.tgt_vocab)
    seed_everything(0)
    models = {
        "tutorial": StepByStep(*sizes, embed, hidden, 2 * hidden),
        "step by step": StepByStep(*sizes, embed, hidden, hidden),
    }
    models |= {name: Seq2Seq(*sizes, name, embed, hidden) for name in MODELS}
    for model in models.values():
        model.to(device)
    calls = dict(models)
    if device.type == "cuda":
        models["additive, compiled"] = models["additive"]
        calls["additive, compiled"] = torch.compile(models["additive"], dynamic=True)
    optimizers = {name: torch.optim.Adam(model.parameters(), fused=True) for name, model in models.items()}

    def step(name, batch):
        if name in LOOPS:
            return loop_step(calls[name], batch, optimizers[name])
        return train_step(calls[name], batch, optimizers[name], autocast=autocast)

    peak = matrix_product_flops(device, autocast)
    gru_peak = gru_flops(embed, hidden, device, autocast)
    seconds, tokens = dict.fromkeys(models, 0.0), dict.fromkeys(models, 0)
    flops = {name: [0, 0] for name in models}
    batches = Batches(encoded, steps + 1, batch_tokens, seed=0, curriculum=0.0)
    shuffled = torch.randperm(len(encoded.train_rows)).tolist()
    for turn in range(steps + 1):
        bucketed = batches[turn].to(device)
        rows, shuffled = shuffled[: len(bucketed.rows)], shuffled[len(bucketed.rows) :]
        random = encoded.batch("train", [encoded.train_rows[row] for row in rows]).to(device)
        for name, model in models.items():
            batch = random if name == "tutorial" else bucketed
            wait_for(device)
            started = time.perf_counter()
            step(name, batch)
            wait_for(device)
            if turn:  # the first one warms up
                seconds[name] += time.perf_counter() - started
                tokens[name] += int((batch.tgt_out != PAD_ID).sum())
                if name not in LOOPS:
                    done = flops_of_products(model, batch)
                    flops[name] = [sum(pair) for pair in zip(flops[name], done, strict=True)]
    peak = max(peak, matrix_product_flops(device, autocast))
    gru_peak = max(gru_peak, gru_flops(embed, hidden, device, autocast))
    speed = {name: tokens[name] / seconds[name] for name in models}
    found = {}
    for name in models:
        found[name] = {
            "tokens_per_second": speed[name],
            "times_tutorial": speed[name] / speed["tutorial"],
            "times_loop": speed[name] / speed["step by step"],
        }
        if name not in LOOPS:
            of_grus, others = flops[name]
            found[name] |= {
                "flops_per_token": (of_grus + others) / tokens[name],
                "share_of_peak": (of_grus + others) / seconds[name] / peak,
                "share_of_limit": (of_grus / gru_peak + others / peak) / seconds[name],
            }
    return found, {"products": peak, "gru": gru_peak}, time_parts(lambda: step("additive", bucketed))


def table(found, speed, parts):
    """The lines of one hidden size."""
    lines = [
        f"GFLOP/s: matrix products {speed['products'] / 1e9:.0f}, a GRU alone {speed['gru'] / 1e9:.0f}",
        "",
        f"{'model':<20}  tokens/s  x tutorial  x loop  MFLOP/token  share of peak  of limit",
    ]
    for name, of in found.items():
        cells = f"{of['tokens_per_second']:>10,.0f}{of['times_tutorial']:>12.1f}{of['times_loop']:>8.1f}"
        if name not in LOOPS:
            cells += f"{of['flops_per_token'] / 1e6:>13.1f}{of['share_of_peak']:>15.2f}"
            cells += f"{of['share_of_limit']:>10.2f}"
        lines.append(f"{name:<20}{cells}")
    return [*lines, "", f"additive: {shares_in_words(parts)}"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--hidden", type=int, nargs="+", default=[64, 256, 512])
    parser.add_argument("--embed", type=int, default=256)
    parser.add_argument("--batch-tokens", type=int, nargs="+", default=[900, 1_800])
    parser.add_argument("--steps", type=int, default=12, help="training steps a model (default %(default)s)")
    parser.add_argument("--corpus", choices=["reviews", "multi30k"], default="reviews")
    args = parser.parse_args()

    encoded = EncodedCorpus(load_reviews()) if args.corpus == "reviews" else EncodedCorpus(load_multi30k(), 2)
    sizes = [" ".join(map(str, numbers)) for numbers in (args.hidden, args.batch_tokens)]
    command = f"python -m benchmarks.teacher_forcing --corpus {args.corpus} --hidden {sizes[0]}"
    command += f" --embed {args.embed} --batch-tokens {sizes[1]} --steps {args.steps}"
    lines = [describe(), command]
    for hidden, batch_tokens in product(args.hidden, args.batch_tokens):
        found = measure(encoded, hidden, args.embed, batch_tokens, args.steps)
        lines += ["", f"hidden {hidden}, {batch_tokens:,} target tokens a batch", *table(*found)]
    print("\n".join(lines))
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text("\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    main()
