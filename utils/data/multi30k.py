"""Multi30K: captions of photographs in English, German and French."""

import gzip
import os
import zlib

from utils.data.corpus import Corpus, Split
from utils.data.download import DataError, fetch

HOME = "https://github.com/multi30k/dataset"
COMMIT = "a3d2e0d26b56f3846f66a952536ffed4e401d05a"
URL = f"https://raw.githubusercontent.com/multi30k/dataset/{COMMIT}/data/task1/raw"

# split: (file name, number of sentence pairs)
SPLITS = {
    "train": ("train", 29_000),
    "valid": ("val", 1_014),
    "test_2016_flickr": ("test_2016_flickr", 1_000),
    "test_2017_flickr": ("test_2017_flickr", 1_000),
    "test_2017_mscoco": ("test_2017_mscoco", 461),
    "test_2018_flickr": ("test_2018_flickr", 1_071),
}
# SHA-256 of every file at that commit
CHECKSUMS = """
train.de.gz 726e39b2fa9eb9ffb6dc763fb35a179f80fae06ffc5d28b6ace5faa883de28a6
train.en.gz d79cfa999dd4c51d2cb42499b6796d5a882c3a8a961923c25a898c90f8bbd56f
train.fr.gz 622e75069e9f4c577425c4f277116ce66e63a2401c0a2312d90073cb12379a3c
val.de.gz f0cba2f995189cf5770f29a8a9a537a3ad3f51657ad873405082ff6863a5e75a
val.en.gz 14f7d25ddd868909a9213e361768460edcacdd6ab9d1e77b92560dc10c10dc28
val.fr.gz ca3106f1a72390591d25f6c45cb4cd39dec4cd3f123e099748a3ce5256c160e9
test_2016_flickr.de.gz 9204244e408ccb38d2a55cfcd344df15005fc42a07a6e55ca6c52b6ababb8cc8
test_2016_flickr.en.gz 611d361c6334bc7246101d48097c13cf5c4413c5befc793cc629934359d532d9
test_2016_flickr.fr.gz 6d326e188d259fb1d04ac19eae3af956559b3a0b93d7635e56c90987c40c8b90
test_2017_flickr.de.gz a2c89666db00c495cd8513b9d708d5a3acc205d7de312ef2bf5fb7ebc1540aee
test_2017_flickr.en.gz 76a444ee25172e72695cddb13ae4a3bda59430617be88e0bb46b60504f054074
test_2017_flickr.fr.gz 3ba671ceb2299f3304ffafefea7a833d08632fbaf0ba18546f8a2ec2391af496
test_2017_mscoco.de.gz 799e4854c25d601cb6cb6be29eabe5667734c61ace2f495e03e429031a0bc338
test_2017_mscoco.en.gz aab300bfb4427697987e02cd0aacd44bfe8aa50456231b6474c08038bbed2b58
test_2017_mscoco.fr.gz 754f3072ba9f124569ba5258b32730fc1d214bbf8e0c6dfb2b74401676220db0
test_2018_flickr.de.gz ddd0130c7d97482dc5197a02141dae8dd79f20f03586c480d675c09a32daf608
test_2018_flickr.en.gz ef4f4844037d4c5dea75c9a8ed5fd78905967a26f67c255e230cc9780032654d
test_2018_flickr.fr.gz fb2b83fcceb937a4f7e3e93c1c51c22aba92f1e342391e6b5ba392b16a920501
"""
SHA256 = dict(map(str.split, CHECKSUMS.strip().splitlines()))
LANGUAGES = ("de", "en", "fr")


def load_multi30k(
    src="de", tgt="en", splits=("train", "valid", "test_2016_flickr", "test_2017_flickr"), progress=True
):
    """Load Multi30K between two of its languages ("de", "en", "fr") as a `Corpus` of raw text.

    More `splits` are "test_2017_mscoco" and "test_2018_flickr". The default splits download 1.3 MB, which
    are cached. The environment variable ATTENTION_MULTI30K_URL names a mirror with the same files.

    Raises ValueError for an unknown language or split, and DataError if the data is unavailable. Elliott et
    al. 2016; the French is from Elliott et al. 2017, "Findings of the Second Shared Task on Multimodal
    Machine Translation and Multilingual Image Description".
    """
    for language in (src, tgt):
        if language not in LANGUAGES:
            raise ValueError(f"expected a language of Multi30K, {', '.join(LANGUAGES)}, got {language!r}")
    if src == tgt:
        raise ValueError(f"expected two different languages, got {src!r} twice")
    if isinstance(splits, str):
        raise ValueError(f"expected a sequence of splits, got a string: write ({splits!r},)")
    for split in splits:
        if split not in SPLITS:
            raise ValueError(f"expected a split of Multi30K, {', '.join(SPLITS)}, got {split!r}")
    return Corpus(
        name="Multi30K",
        src_lang=src,
        tgt_lang=tgt,
        splits={
            split: Split(*(_sentences(split, lang, progress) for lang in (src, tgt))) for split in splits
        },
        tokenization="moses",
        license=(
            "no license file; its README provides the data for non-commercial research and educational "
            "purposes, on the terms of Flickr30K: do not redistribute"
        ),
        citation=(
            "Elliott, Frank, Sima'an and Specia (2016), Multi30K: Multilingual English-German Image "
            "Descriptions, 5th Workshop on Vision and Language"
        ),
        home=HOME,
    )


def _sentences(split, language, progress):
    """Return the sentences of one language of a split, from the cache or from the server."""
    stem, count = SPLITS[split]
    name = f"{stem}.{language}.gz"
    base = os.environ.get("ATTENTION_MULTI30K_URL") or URL
    path = fetch(name, f"{base.rstrip('/')}/{name}", SHA256[name], "multi30k", progress)
    try:
        text = gzip.decompress(path.read_bytes()).decode("utf-8")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise DataError(f"{path} is not gzipped UTF-8 text: delete it, then run this again") from error
    sentences = text.removesuffix("\n").split("\n")  # splitlines() would split at other characters, too
    if len(sentences) != count:
        raise DataError(
            f"{path} has {len(sentences):,} lines instead of {count:,}: delete it, then run this again"
        )
    return sentences
