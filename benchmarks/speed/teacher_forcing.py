"""Training speed: all target steps in one call, against the step-by-step loop that most tutorials write.

    python -m benchmarks.speed.teacher_forcing [--hidden 64 512] [--batch-tokens 900] [--corpus multi30k]

All models take turns in one run: trust the ratios. The course's models train as `utils.cli_train` trains
them. The loop is written in the usual way: at each target step it repeats the query along the source,
projects query and keys together, attends, runs the cell for one step and computes one step's logits. "step by
step" has the sizes and the batches of the other models, so only the way of computing differs. "tutorial" is
the loop as tutorials set it up: an encoder of twice the width (`hidden` per direction) and batches of random
sentences. (Tutorials on Multi30K mostly take 128 sentences, some 1,800 target tokens; `utils.cli_train` takes
900, which teach more per token.)

The last columns compare the models with the machine. "of peak" is the speed of a step's matrix products,
which are counted, as a share of the speed of one large matrix product. "of limit" counts the products of GRUs
at the speed of a GRU alone, forward and backward, and only the others at that of the large product. The last
line says where the time of a step with additive attention goes, according to PyTorch's profiler. On a GPU the
models compute in bfloat16, and the additive model also runs compiled.
"""

from functools import partial
from itertools import product

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import harness
from benchmarks.profiling import best_seconds, matrix_product_flops, shares_in_words, time_parts, timed
from utils.data import load_multi30k
from utils.models import Encoder, Seq2Seq
from utils.text import PAD_ID, EncodedCorpus, encoded_reviews, lengths_to_mask
from utils.training import Batches, seed_everything, sequence_loss, train_step, tune_process

LOOPS = ("tutorial", "step by step")
MODELS = ("bahdanau", "additive", "multiplicative", "scaled", "dot", "fixed", "initial")


class StepByStep(nn.Module):
    """Additive attention as a loop over target steps that projects the keys again at every step."""

    def __init__(self, src_vocab_size, tgt_vocab_size, embed_dim, hidden_dim, encoder_dim):
        """Make the layers; `encoder_dim` is the hidden size of the encoder."""
        super().__init__()
        self.encoder = Encoder(src_vocab_size, embed_dim, encoder_dim, PAD_ID)
        self.first_state = nn.Linear(encoder_dim, hidden_dim)
        self.embedding = nn.Embedding(tgt_vocab_size, embed_dim, padding_idx=PAD_ID)
        self.energy = nn.Linear(encoder_dim + hidden_dim, hidden_dim)
        self.v = nn.Linear(hidden_dim, 1, bias=False)
        self.rnn = nn.GRU(embed_dim + encoder_dim, hidden_dim, batch_first=True)
        self.out = nn.Linear(embed_dim + encoder_dim + hidden_dim, tgt_vocab_size)

    def forward(self, src, src_lengths, tgt_in):
        """Return logits (batch, tgt_len, vocab), and None in place of attention weights."""
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
    """Update a loop model once, the way tutorials do."""
    logits, _ = model(batch.src, batch.src_lengths, batch.tgt_in)
    loss = sequence_loss(logits, batch.tgt_out)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return loss.item()


def flops_of_products(model, batch):
    """Count the floating-point operations of the matrix products in one training step.

    Return two numbers: those of GRUs and all others. PyTorch counts the forward pass; the backward pass takes
    twice as many.
    """
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(batch.src, batch.src_lengths, batch.tgt_in)
    grus = [name for name, part in model.named_modules() if isinstance(part, nn.GRU | nn.GRUCell)]
    counts = counter.get_flop_counts()
    of_grus = sum(sum(counts[f"{type(model).__name__}.{name}"].values()) for name in grus)
    return 3 * of_grus, 3 * (counter.get_total_flops() - of_grus)


def gru_flops(embed, hidden, device, dtype=None):
    """Return the floating-point operations per second of a GRU's products, forward and backward.

    It reads 64 sentences of 15 tokens, as in a batch of 900.
    """
    gru = nn.GRU(embed, hidden, batch_first=True).to(device)
    x = torch.randn(64, 15, embed, device=device, requires_grad=True)

    def forward_and_backward():
        gru.zero_grad(set_to_none=True)
        with torch.autocast(device.type, dtype, enabled=dtype is not None):
            states, _ = gru(x)
        states.backward(torch.ones_like(states))

    flops = 3 * 2 * 64 * 15 * (gru.weight_ih_l0.numel() + gru.weight_hh_l0.numel())
    return flops / best_seconds(forward_and_backward, device=device)


def make_steps(encoded, embed, hidden, device, autocast):
    """Return all models by name, and for each a function that takes a training step with a batch."""
    seed_everything(0)
    sizes = len(encoded.src_vocab), len(encoded.tgt_vocab)
    models = {
        "tutorial": StepByStep(*sizes, embed, hidden, 2 * hidden),
        "step by step": StepByStep(*sizes, embed, hidden, hidden),
        **{name: Seq2Seq(*sizes, name, embed, hidden) for name in MODELS},
    }
    calls = {name: model.to(device) for name, model in models.items()}
    if device.type == "cuda":
        models["additive, compiled"] = models["additive"]
        calls["additive, compiled"] = torch.compile(models["additive"], dynamic=True)
    steps = {}
    for name, model in models.items():
        optimizer = torch.optim.Adam(model.parameters(), fused=True)
        step = loop_step if name in LOOPS else partial(train_step, autocast=autocast)
        steps[name] = partial(step, calls[name], optimizer=optimizer)
    return models, steps


def draw_batches(encoded, count, batch_tokens, device):
    """Return pairs of batches with the same number of sentences: of like length, and of random ones."""
    buckets = Batches(encoded, count, batch_tokens, seed=0, curriculum=0.0)
    shuffled = [encoded.train_rows[row] for row in torch.randperm(len(encoded.train_rows)).tolist()]
    pairs = []
    for turn in range(count):
        size = len(buckets[turn].rows)
        rows, shuffled = shuffled[:size], shuffled[size:]
        pairs.append((buckets[turn].to(device), encoded.batch("train", rows).to(device)))
    return pairs


def take_turns(steps, pairs, device):
    """Train all models in turns. `steps` has a training step for each; `pairs` are those of `draw_batches`.

    Return, by model, the batches and the seconds that they took, without the first, which warms up.
    """
    batches = {name: [pair[name == "tutorial"] for pair in pairs] for name in steps}
    seconds = dict.fromkeys(steps, 0.0)
    for turn in range(len(pairs)):
        for name, step in steps.items():
            took = timed(partial(step, batch=batches[name][turn]), device)
            seconds[name] += took if turn else 0.0
    return {name: of[1:] for name, of in batches.items()}, seconds


def measure(hidden, batch_tokens, embed=256, steps=12, corpus="reviews"):
    """Train all models in turns; return figures per model, the machine's speed and `time_parts`.

    All models have tokens_per_second, times_tutorial and times_loop; the course's own also have
    flops_per_token, share_of_peak and share_of_limit.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    autocast = "bfloat16" if device.type == "cuda" else None
    dtype = torch.bfloat16 if autocast else None
    encoded = encoded_reviews() if corpus == "reviews" else EncodedCorpus(load_multi30k(), 2)
    models, step = make_steps(encoded, embed, hidden, device, autocast)
    pairs = draw_batches(encoded, steps + 1, batch_tokens, device)
    peak, gru_peak = matrix_product_flops(device, dtype), gru_flops(embed, hidden, device, dtype)
    batches, seconds = take_turns(step, pairs, device)
    peak = max(peak, matrix_product_flops(device, dtype))
    gru_peak = max(gru_peak, gru_flops(embed, hidden, device, dtype))
    tokens = {name: sum(batch.target_tokens for batch in batches[name]) for name in models}
    speed = {name: tokens[name] / seconds[name] for name in models}
    found = {
        name: {
            "tokens_per_second": speed[name],
            "times_tutorial": speed[name] / speed["tutorial"],
            "times_loop": speed[name] / speed["step by step"],
        }
        for name in models
    }
    for name in found.keys() - set(LOOPS):
        counts = [flops_of_products(models[name], batch) for batch in batches[name]]
        of_grus, others = map(sum, zip(*counts, strict=True))
        found[name] |= {
            "flops_per_token": (of_grus + others) / tokens[name],
            "share_of_peak": (of_grus + others) / seconds[name] / peak,
            "share_of_limit": (of_grus / gru_peak + others / peak) / seconds[name],
        }
    parts = time_parts(partial(step["additive"], batch=batches["additive"][-1]))
    return {"models": found, "products": peak, "gru": gru_peak, "parts": parts}


def figures(steps=8, hidden=512, batch_tokens=(900, 1_800)):
    """Return the short form: figures of each model by "NAME, FIGURE, BATCH TOKENS"."""
    tune_process()
    found = {}
    for size in batch_tokens:
        models = measure(hidden, size, steps=steps)["models"]
        found |= {f"{name}, {key}, {size}": row[key] for name, row in models.items() for key in row}
    speed = {name: row["tokens_per_second"] for name, row in models.items()}
    return found | {"additive for multiplicative": speed["multiplicative"] / speed["additive"]}


def table(record):
    """Return a table of text per hidden size and batch size."""
    lines = []
    for run in record["runs"]:
        products, gru = run["products"] / 1e9, run["gru"] / 1e9
        lines += [
            f"hidden {run['hidden']}, {run['batch_tokens']:,} target tokens per batch",
            f"GFLOP/s: matrix products {products:.0f}, a GRU alone {gru:.0f}",
            "",
            f"{'model':<20}  tokens/s  x tutorial  x loop  MFLOP/token  share of peak  of limit",
        ]
        for name, of in run["models"].items():
            cells = f"{of['tokens_per_second']:>10,.0f}{of['times_tutorial']:>12.1f}{of['times_loop']:>8.1f}"
            if name not in LOOPS:
                cells += f"{of['flops_per_token'] / 1e6:>13.1f}{of['share_of_peak']:>15.2f}"
                cells += f"{of['share_of_limit']:>10.2f}"
            lines.append(f"{name:<20}{cells}")
        lines += ["", f"additive: {shares_in_words(run['parts'])}", ""]
    return "\n".join(lines[:-1])


def main():
    """Run the command line."""
    parser = harness.parser(__spec__.name, __doc__)
    parser.add_argument("--hidden", type=int, nargs="+", default=[64, 256, 512], help="hidden sizes")
    parser.add_argument("--embed", type=int, default=256, help="size of the embeddings")
    parser.add_argument(
        "--batch-tokens", type=int, nargs="+", default=[900, 1_800], help="target tokens per batch"
    )
    parser.add_argument("--steps", type=int, default=12, help="training steps per model")
    parser.add_argument("--corpus", choices=["reviews", "multi30k"], default="reviews", help="training text")
    args = parser.parse_args()
    tune_process()
    fixed = {"embed": args.embed, "steps": args.steps, "corpus": args.corpus}
    sizes = product(args.hidden, args.batch_tokens)
    harness.run(args, measure, [{"hidden": h, "batch_tokens": b, **fixed} for h, b in sizes], table)


if __name__ == "__main__":
    main()
