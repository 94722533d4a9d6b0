"""Training speed against other people's models: all take turns with the same batches, in one run.

    python -m benchmarks.speed.race [--rounds 6]

"recurrent" has hidden size 512 and reads Multi30K, German to English, in batches of 1,800 target tokens. The
course's additive and multiplicative attention race against the tutorials' loop of `teacher_forcing` and
against JoeyNMT's decoder with Luong's attention and input feeding (Kreutzer et al. 2019, Luong et al. 2015),
if `joeynmt` is installed. "Transformer" has the sizes of the preset tiny-transformer, English to German. The
course's model races against one around `torch.nn.Transformer`. The two have the same embeddings, output layer
and loss, and drop out in the same places; PyTorch's has biases in attention and returns no weights.
"""

import warnings
from functools import partial

import torch
from torch import nn

from benchmarks import harness
from benchmarks.speed.teacher_forcing import StepByStep, draw_batches, loop_step, take_turns
from utils.data import load_multi30k
from utils.models import Encoder, Seq2Seq
from utils.runs import PRESETS, RunConfig, encode_corpus, make_model
from utils.text import PAD_ID, EncodedCorpus, lengths_to_mask
from utils.training import seed_everything, train_step, tune_process
from utils.transformer import Transformer

EMBED, HIDDEN, BATCH_TOKENS = 256, 512, 1_800


class PyTorchTransformer(Transformer):
    """The course's embeddings and output layer around `torch.nn.Transformer`."""

    def __init__(self, hidden_dim, heads, ff_dim, layers, dropout, **options):
        super().__init__(
            hidden_dim=hidden_dim, heads=heads, ff_dim=ff_dim, layers=layers, dropout=dropout, **options
        )
        del self.encoder, self.decoder, self.encoder_norm, self.decoder_norm
        self.blocks = nn.Transformer(
            hidden_dim, heads, layers, layers, ff_dim, dropout, batch_first=True, norm_first=True
        )
        for layer in (*self.blocks.encoder.layers, *self.blocks.decoder.layers):
            layer.dropout = nn.Identity()  # between the feed-forward network's layers: ours has none
            for attention in (part for part in layer.children() if isinstance(part, nn.MultiheadAttention)):
                attention.dropout = 0.0

    def forward(self, src, src_lengths, tgt_in):
        """Return logits (batch, tgt_len, vocab), and None in place of attention weights."""
        padding = ~lengths_to_mask(src_lengths, src.shape[1])
        states = self.blocks(
            self._embed(self.src_embedding, src),
            self._embed(self.tgt_embedding, tgt_in),
            tgt_mask=nn.Transformer.generate_square_subsequent_mask(tgt_in.shape[1]),
            src_key_padding_mask=padding,
            memory_key_padding_mask=padding,
            tgt_is_causal=True,
        )
        return self.out(states), None


class JoeyNMT(nn.Module):
    """The course's encoder and embeddings with JoeyNMT's recurrent decoder. Needs `joeynmt`."""

    def __init__(self, src_vocab_size, tgt_vocab_size, embed_dim, hidden_dim):
        from joeynmt.decoders import RecurrentDecoder

        super().__init__()
        self.encoder = Encoder(src_vocab_size, embed_dim, hidden_dim, PAD_ID)
        self.encoder.output_size = hidden_dim  # the decoder reads it
        self.embedding = nn.Embedding(tgt_vocab_size, embed_dim, padding_idx=PAD_ID)
        self.decoder = RecurrentDecoder(
            "gru", embed_dim, hidden_dim, self.encoder, "luong", vocab_size=tgt_vocab_size
        )

    def forward(self, src, src_lengths, tgt_in):
        """Return logits (batch, tgt_len, vocab) and attention weights (batch, tgt_len, src_len)."""
        states, last = self.encoder(src, src_lengths)
        mask = lengths_to_mask(src_lengths, src.shape[1])[:, None]
        found = self.decoder(self.embedding(tgt_in), states, last, mask, unroll_steps=tgt_in.shape[1])
        return found[0], found[2]


def recurrent():
    """Return the recurrent models by name, and their text."""
    encoded = EncodedCorpus(load_multi30k(), 2)
    sizes = len(encoded.src_vocab), len(encoded.tgt_vocab), EMBED, HIDDEN
    models = {"tutorial": StepByStep(*sizes, 2 * HIDDEN)}
    try:
        models["JoeyNMT, multiplicative with input feeding"] = JoeyNMT(*sizes)
    except ImportError as error:
        print(f"JoeyNMT is left out: pip install joeynmt ({error})")
    for context in ("multiplicative", "additive"):
        models[context] = Seq2Seq(*sizes[:2], context, *sizes[2:])
    return models, encoded


def transformers():
    """Return the two Transformers by name, and their text."""
    config = RunConfig(**PRESETS["tiny-transformer"], src="en", tgt="de")
    encoded = encode_corpus(config)
    model = make_model(config, encoded)
    return {"torch.nn.Transformer": PyTorchTransformer(**model.config), "Transformer": model}, encoded


RACES = {"recurrent": recurrent, "Transformer": transformers}


def measure(race, rounds):
    """Train all models of a race in turns; return target tokens per second and parameters by model."""
    device = torch.device("cpu")
    seed_everything(0)
    models, encoded = RACES[race]()
    pairs, steps = draw_batches(encoded, rounds + 1, BATCH_TOKENS, device), {}
    for name, model in models.items():
        optimizer = torch.optim.Adam(model.parameters(), fused=True)
        step = loop_step if name == "tutorial" else partial(train_step, label_smoothing=0.1)
        steps[name] = partial(step, model, optimizer=optimizer)
    batches, seconds = take_turns(steps, pairs, device)
    speed = {}
    for name, model in models.items():
        tokens = sum(batch.target_tokens for batch in batches[name])
        parameters = sum(weights.numel() for weights in model.parameters())
        speed[name] = {"tokens_per_second": tokens / seconds[name], "parameters": parameters}
    return {"speed": speed}


def table(record):
    """Return each race as text: tokens per second, and how many times the first model's."""
    lines = []
    for run in record["runs"]:
        first = next(iter(run["speed"].values()))["tokens_per_second"]
        lines += [f"{run['race']:<42}  tokens/s  times  parameters"]
        lines += [
            f"{name:<42}{of['tokens_per_second']:>10,.0f}{of['tokens_per_second'] / first:>7.2f}"
            f"{of['parameters']:>12,}"
            for name, of in run["speed"].items()
        ]
        lines.append("")
    return "\n".join(lines[:-1])


def main():
    """Run the command line."""
    parser = harness.parser(__spec__.name, __doc__)
    parser.add_argument("--rounds", type=int, default=6, help="training steps per model")
    args = parser.parse_args()
    tune_process()
    warnings.filterwarnings("ignore", "enable_nested_tensor")  # PyTorch says that norms come first
    harness.run(args, measure, [{"race": race, "rounds": args.rounds} for race in RACES], table)


if __name__ == "__main__":
    main()
