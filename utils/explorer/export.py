"""Write trained translators for web pages: the weights that engine.js computes with.

    python -m utils.explorer.export build/playground

writes one script per model of `utils.pretrained`, which pages load when they need the model, from a server or
from a folder. The same checkpoints and the same zlib give the same bytes.
"""

import argparse
import json
import zlib
from pathlib import Path

import numpy as np

from utils import pretrained
from utils.data.reviews import CONNECTIVE, LEXICON, NOUN, STATE, WAS, join, load_reviews, noun_phrase, rule

DIGITS, FIRST = 46_341, 0x100  # two digits to this base hold 31 bits; engine.js explains the alphabet
SEED = 0  # of the models in the page
SNAPSHOTS = (200, 400, 800)  # updates of the additive model at which the page shows its training
LARGEST = 3  # with levels from -3 to 3, a snapshot has less than 3 bits per weight
CLAUSES = [  # connective, noun, adjective: the page begins with two of them and offers the others
    ("", "restaurant", "amazing"),
    ("but", "service", "slow"),
    ("and besides", "soup", "cold"),
    ("and", "terrace", "noisy"),
    (", yet", "bill", "reasonable"),
    (", and", "waiter", "polite"),
    ("while", "coffee", "bitter"),
    ("and", "kitchen", "clean"),
]


def pack(config, arrays):
    """Return a model as compressed bytes. `arrays` are those of `pretrained.quantize`.

    Inside are a length, a header in JSON, and the weights in the order of `shapes`: a matrix is its 8-bit
    integers and one float32 scale per row, a vector its float16 numbers. Each array is a block of its own,
    whose codes suit its numbers.
    """
    names = [name for name in arrays if not name.endswith(".scale")]
    header = {"config": config, "shapes": [[name, *arrays[name].shape] for name in names]}
    text = json.dumps(header, separators=(",", ":")).encode()
    parts = [len(text).to_bytes(4, "little") + text]
    for name in names:
        parts.append(arrays[name].tobytes())
        if arrays[name].ndim == 2:
            parts.append(arrays[f"{name}.scale"].tobytes())
    squeeze = zlib.compressobj(memLevel=9, strategy=zlib.Z_HUFFMAN_ONLY)
    return b"".join(squeeze.compress(part) + squeeze.flush(zlib.Z_BLOCK) for part in parts) + squeeze.flush()


def read(context, update=None):
    """Return a model of the page, as the arguments of `pretrained.restore`.

    A finished model has exactly the numbers of its checkpoint. A snapshot is rounded to `LARGEST` levels on
    each side of 0, so that its file is less than half as large.
    """
    if update is None:
        return pretrained.read(context, SEED)
    model = pretrained.load(context, SEED, update)
    return model.config, pretrained.quantize(model, LARGEST)


def letters(data):
    """Write bytes as text that is compact in UTF-16: 31 bits become two letters of the Basic Plane.

    None of them is a surrogate, a quotation mark, or a backslash.
    """
    bits = np.unpackbits(np.frombuffer(data, np.uint8))
    bits = np.pad(bits, (0, -len(bits) % 31)).reshape(-1, 31).astype(np.int64)
    values = bits @ (1 << np.arange(30, -1, -1, dtype=np.int64))
    digits = np.stack(np.divmod(values, DIGITS), 1) + FIRST
    return digits.astype("<u2").tobytes().decode("utf-16-le")


def write_models(folder):
    """Write a script for each model and each snapshot into `folder`. Returns their paths."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {context: (context, None) for context in pretrained.MODELS}
    wanted |= {f"additive-{update}": ("additive", update) for update in SNAPSHOTS}
    files = []
    for name, model in wanted.items():
        data = pack(*read(*model))
        script = f'translatorArrived("{name}", "{letters(data)}", {len(data)});\n'
        files.append(folder / f"{name}.js")
        files[-1].write_bytes(
            b"\xff\xfe" + script.encode("utf-16-le")
        )  # the mark tells browsers the encoding
    return files


def clauses():
    """Return the clauses of the page as (English, French, links), each with its connective."""
    adjectives = {adjective.en: adjective for adjective in LEXICON}
    found = []
    for connective, name, quality in CLAUSES:
        noun, adjective = NOUN[name], adjectives[quality]
        form = rule(quality, adjective.forms[noun.agreement])
        words = {"S": noun_phrase(noun), "BE": noun.be, "WAS": WAS[noun.person], "ADJ": form}
        found.append(_written(*join([CONNECTIVE[connective], rule(*STATE[""], **words)])))
    return found


def reviews(count, words=24):
    """Return the first test reviews of at most `words` words as (English, French, links)."""
    test = load_reviews(train=0)["test"]
    rows = zip(test.src, test.tgt, test.links, strict=True)
    return [_written(*row) for row in rows if len(row[0].split()) <= words][:count]


def _written(en, fr, links):
    return en, fr, " ".join(f"{i}-{j}" for i, j in sorted(links))


def main(args=None):
    """Write the models for a page and print their sizes."""
    parser = argparse.ArgumentParser(
        prog="python -m utils.explorer.export", description=__doc__.split("\n")[0]
    )
    parser.add_argument("folder", type=Path, help="where to write the scripts")
    for file in write_models(parser.parse_args(args).folder):
        print(f"{file}  {file.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
