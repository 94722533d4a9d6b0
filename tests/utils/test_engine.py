"""The JavaScript translators in a real browser: equal to PyTorch for every model that the page has."""

import base64
import json
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch

from utils import pretrained
from utils.explorer import export, playground
from utils.models import translate
from utils.text import BOS_ID, EOS_ID, encoded_reviews

SHIPPED = [(context, None) for context in pretrained.MODELS]
SHIPPED += [("additive", update) for update in export.SNAPSHOTS]
TOLERANCE = 1e-4

TRANSLATE = """([name, sentences]) => {
    const base64 = (numbers) => {
        const bytes = new Uint8Array(Float32Array.from(numbers).buffer);
        let text = "";
        for (let i = 0; i < bytes.length; i += 8192)
            text += String.fromCharCode(...bytes.subarray(i, i + 8192));
        return btoa(text);
    };
    const model = models[name];
    return sentences.map((words) => {
        const steps = decode(model, model.encode(words));
        return [steps.map((step) => step.token), base64(steps.flatMap((step) => [...step.logits])),
            base64(steps.flatMap((step) => (step.heads || [step.weights || []]).flatMap((row) => [...row])))];
    });
}"""


@pytest.fixture(scope="module")
def engine(browser, scripts):
    """A page opened from a file, which has loaded every model."""
    loads = "".join(f'<script src="{file.name}"></script>' for file in sorted(scripts.glob("*.js")))
    encoded = encoded_reviews()
    words = json.dumps({"src": encoded.src_vocab.tokens, "tgt": encoded.tgt_vocab.tokens})
    arrived = (
        "const models = {}; const translatorArrived = async (name, text, length) => "
        f"(models[name] = await readModel(fromLetters(text, length), {words}));"
    )
    code = (Path(export.__file__).with_name("engine.js")).read_text("utf-8")
    (scripts / "page.html").write_text(
        f'<!doctype html><meta charset="utf-8"><script>{code}{arrived}</script>{loads}', "utf-8"
    )
    page = browser.new_page()
    page.goto((scripts / "page.html").as_uri())
    page.wait_for_function(f"Object.keys(models).length === {len(SHIPPED)}")
    yield page
    page.close()


def floats(text):
    return np.frombuffer(base64.b64decode(text), np.float32)


@pytest.mark.parametrize(("context", "update"), SHIPPED)
def test_engine_equals_pytorch_on_many_sentences(engine, context, update, pytestconfig):
    """On 40, with --slow on 200, and on 10 for a snapshot, which has the same parts as the finished model."""
    encoded, model = encoded_reviews(), pretrained.restore(*export.read(context, update))
    most = 200 if pytestconfig.getoption("slow") else 40
    sentences = encoded.tokens("test", "src")[: most if update is None else 10]
    name = context if update is None else f"{context}-{update}"
    found = engine.evaluate(TRANSLATE, [name, sentences])
    # A bad model doesn't stop before the limit, which is that of the longest sentence of a batch.
    expected = translate(model, encoded, sentences, batch_size=256 if update is None else 1)
    changed = 0
    for words, (ids, logits, maps), translation in zip(sentences, found, expected, strict=True):
        tokens = encoded.tgt_vocab.decode(ids)
        changed += tokens != translation.tokens
        src = torch.tensor([[*encoded.src_vocab.encode(words), EOS_ID]])
        with torch.no_grad():
            theirs, weights = model(src, torch.tensor([src.shape[1]]), torch.tensor([[BOS_ID, *ids[:-1]]]))
        theirs = theirs[0].numpy()
        logits = floats(logits).reshape(theirs.shape)
        assert np.isneginf(logits[:, : BOS_ID + 1]).all()
        assert abs(logits[:, BOS_ID + 1 :] - theirs[:, BOS_ID + 1 :]).max() < TOLERANCE
        if weights is None:
            assert not maps
        else:
            maps = floats(maps).reshape(len(ids), -1, src.shape[1])  # (tgt_len, heads, src_len)
            assert abs(maps.mean(1) - weights[0].numpy()).max() < TOLERANCE
            assert maps.sum(-1) == pytest.approx(1, abs=TOLERANCE)
    # Two words of an untrained model may be equally likely up to rounding.
    assert changed <= (0 if update is None else 2)


def test_each_head_of_the_transformer_equals_pytorch(engine):
    encoded, model = encoded_reviews(), pretrained.load("transformer")
    words = max(encoded.tokens("test", "src"), key=len)
    ((ids, _, maps),) = engine.evaluate(TRANSLATE, ["transformer", [words]])
    src = torch.tensor([[*encoded.src_vocab.encode(words), EOS_ID]])
    heads = []
    attention = model.decoder[-1].cross_block.attention
    attention.register_forward_hook(lambda _, args, result: heads.append(result[1]))
    with torch.no_grad():
        model(src, torch.tensor([src.shape[1]]), torch.tensor([[BOS_ID, *ids[:-1]]]))
    expected = heads[0][0].transpose(0, 1).numpy()  # (tgt_len, heads, src_len)
    assert floats(maps).reshape(expected.shape) == pytest.approx(expected, abs=TOLERANCE)


@pytest.mark.parametrize("context", ["dot", "bahdanau", "transformer"])
def test_replaced_weights_and_forced_words_change_what_follows(engine, context):
    """Weights that repeat the model's own change nothing; others move the context, as PyTorch does."""
    found = engine.evaluate(
        """(name) => {
            const model = models[name];
            const ids = model.encode("the soup was cold and the wine was good".split(" "));
            const plain = decode(model, ids), row = plain[3].heads ? null : plain[3].weights;
            const same = row ? decode(model, ids, { edits: { 3: row } }) : plain;
            const last = ids.map((_, i) => Number(i === 6));
            const moved = decode(model, ids, { edits: { 3: last } });
            const forced = decode(model, ids, { forced: { 1: plain[0].token } });
            const list = (steps) => steps.map((step) => step.token);
            return { plain: list(plain), same: list(same), moved: moved[3].weights, forced: list(forced),
                shift: Math.max(...moved[3].logits.slice(2).map((x, i) =>
                    Math.abs(x - plain[3].logits[i + 2]))),
                before: list(moved).slice(0, 3) };
        }""",
        context,
    )
    assert found["same"] == found["plain"]
    assert found["moved"] == pytest.approx([float(i == 6) for i in range(10)])
    assert found["shift"] > 1
    assert found["before"] == found["plain"][:3]
    assert found["forced"][:2] == [found["plain"][0]] * 2


def test_export_is_deterministic_and_exact(scripts, tmp_path, capsys):
    export.main([str(tmp_path)])
    assert f"{len(SHIPPED)}" == str(len(capsys.readouterr().out.splitlines()))
    for context, update in SHIPPED:
        name = f"{context if update is None else f'{context}-{update}'}.js"
        assert (tmp_path / name).read_bytes() == (scripts / name).read_bytes()
    data = zlib.decompress(export.pack(*export.read("additive")))
    size = int.from_bytes(data[:4], "little")
    header = json.loads(data[4 : 4 + size])
    assert {name for name, *_ in header["shapes"]} == set(pretrained.load("additive").state_dict())


def test_a_snapshot_is_the_checkpoint_rounded_to_seven_levels():
    stored = pretrained.load("additive", update=400).state_dict()
    rounded = pretrained.restore(*export.read("additive", 400)).state_dict()
    for name, weights in stored.items():
        step = weights.abs().amax(-1, keepdim=True) / export.LARGEST if weights.ndim == 2 else 0
        assert (abs(rounded[name] - weights) <= step / 2 + 1e-6).all(), name


def test_a_page_with_all_models_and_snapshots_fits_into_one_and_a_half_megabytes(scripts, tmp_path):
    page = playground(pretrained.MODELS, files="models/").save(tmp_path / "page.html")
    files = [page, *scripts.glob("*.js")]
    assert len(files) == 1 + len(SHIPPED)
    assert sum(file.stat().st_size for file in files) <= 1_500_000
