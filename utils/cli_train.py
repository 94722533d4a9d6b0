"""Train any translator of the course on any of its corpora, or resume a training that was stopped.

    python -m utils.cli_train --corpus multi30k --src de --tgt en --model additive
    python -m utils.cli_train --corpus multi30k --src en --tgt de --preset tiny-transformer
    python -m utils.cli_train --help

Ctrl-C, a kill, and `--limit` are safe: the same command resumes, with the same result. Several processes, on
one machine or many, train one model under torchrun, with the same result up to rounding and dropout:

    torchrun --nproc-per-node 2 -m utils.cli_train --corpus multi30k
"""

import argparse
import os

import torch
from torch import distributed

from utils.data.download import DataError, disk_errors, replacing
from utils.runs import PRESETS, RunConfig, default_device, encode_corpus, evaluate, setting_types, train_run
from utils.training import tune_process


def main():
    """Train from the command line. Once the training is finished, translate and print the scores."""
    parser = _parser()
    args = vars(parser.parse_args())
    settings = {name: args.pop(name) for name in RunConfig.__dataclass_fields__ if name in args}
    tune_process()
    try:
        if min(args["beam_size"]) < 1:
            raise ValueError(f"beam-size: expected a number of at least 1, got {min(args['beam_size'])}")
        if not 0 <= args["length_penalty"] <= 10:
            raise ValueError(f"length-penalty: expected a number from 0 to 10, got {args['length_penalty']}")
        config = RunConfig(**_with_preset(args["preset"], settings))
        for split in args["split"]:
            _check_split(config, split)
        if run := _train(config, args["limit"], args["bf16"]):
            _report(run, args)
    except (ValueError, DataError) as error:
        parser.exit(2, f"{parser.prog}: {error}\n")
    except KeyboardInterrupt:
        parser.exit(130, "stopped: run the same command to resume\n")


def _parser():
    parser = argparse.ArgumentParser(
        prog="python -m utils.cli_train",
        description="Train a translator, or resume its training, then translate with it.",
    )
    for setting, kind in setting_types().items():
        how = {"action": argparse.BooleanOptionalAction} if kind is bool else {"type": kind}
        default = "" if setting.default is None else f" (default: {setting.default})"
        help_ = setting.metadata["help"] + default
        parser.add_argument(_option(setting.name), **how, default=argparse.SUPPRESS, help=help_)
    add, default = parser.add_argument, "(default: %(default)s)"
    add("--preset", choices=PRESETS, help="settings that translate well for their cost")
    add("--limit", type=int, help="stop after this many updates; the same command resumes")
    by_hardware = "compute in bfloat16 (default: on GPUs that support it)"
    add("--bf16", action=argparse.BooleanOptionalAction, help=by_hardware)
    add("--split", nargs="+", default=["valid"], help=f"splits to translate in the end {default}")
    add("--beam-size", nargs="+", type=int, default=[1, 5], help=f"beam sizes; 1 is greedy {default}")
    add("--length-penalty", type=float, default=1.0, help=f"length penalty of the beam search {default}")
    return parser


def _option(name):
    return f"--{name.replace('_', '-')}"


def _with_preset(preset, settings):
    """Return the settings that were given together with those of a preset, which must not contradict."""
    chosen = PRESETS.get(preset, {})
    for name, value in settings.items():
        if value != chosen.get(name, value):
            raise ValueError(
                f"{_option(name)} {value} contradicts --preset {preset}, which sets {chosen[name]}: "
                "leave out one of the two"
            )
    return chosen | settings


def _check_split(config, split):
    """Raise `ValueError` for a split that doesn't exist, before the training and not after it."""
    try:
        encode_corpus(config).corpus[split]
    except KeyError as error:
        raise ValueError(error.args[0]) from error


def _train(config, limit, bf16):
    """Train in this process, together with others if torchrun has started it."""
    together = "TORCHELASTIC_RUN_ID" in os.environ
    if together:
        if torch.cuda.is_available():
            torch.cuda.set_device(default_device())
        distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    try:
        return train_run(config, limit, bf16=bf16)
    finally:
        if together:
            distributed.destroy_process_group()


def _report(run, args):
    """Print the progress of a run. If it is finished, translate, store the translations, and print scores."""
    folder, updates = run.config.folder, run.config.updates
    print(f"{folder}\n{run.update:,} of {updates:,} updates", end="")
    print(f", best BLEU {run.best['valid_bleu']:.1f} after {run.best['update']:,}" if run.best else "")
    if not run.finished:
        print("not finished: run the same command to resume")
        return
    for split in args["split"]:
        for beam_size in args["beam_size"]:
            result = evaluate(run.model, run.encoded, split, beam_size, args["length_penalty"])
            path = folder / f"{split}.beam-{beam_size}.txt"
            with disk_errors(f"{path.name} could not be stored", folder), replacing(path) as partial:
                partial.write_text("".join(f"{sentence}\n" for sentence in result.translations), "utf-8")
            print(f"\n{split}, {'greedy' if beam_size == 1 else f'beam size {beam_size}'}, in {path.name}")
            print(f"  text:  {result.bleu}; {result.bleu.signature}")
            print(f"  words: {result.tokenized_bleu}; {result.tokenized_bleu.signature}")


if __name__ == "__main__":
    main()
