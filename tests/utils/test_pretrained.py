import pytest
import torch

from benchmarks import harness
from utils import pretrained
from utils.metrics import bleu
from utils.models import RECURRENT, Seq2Seq, translate
from utils.text import encoded_reviews
from utils.transformer import Transformer

RECORD = harness.read("pretrained")
RUNS = RECORD["runs"]


def test_every_recorded_model_can_be_loaded_and_no_other():
    stored = {file.stem for file in pretrained.FOLDER.glob("*.npz")}
    names = {f"{context}-seed-{seed}" for context in pretrained.MODELS for seed in range(2)}
    snapshots = {
        f"{run['context']}-seed-{run['seed']}-update-{row['update']}"
        for run in RUNS
        for row in run["snapshots"]
    }
    assert stored == names | snapshots
    assert {f"{run['context']}-seed-{run['seed']}" for run in RUNS} >= names


def test_all_models_together_take_at_most_four_megabytes():
    assert sum(file.stat().st_size for file in pretrained.FOLDER.iterdir()) <= 4_000_000


def test_the_models_were_trained_with_the_vocabularies_of_today():
    assert RECORD["vocabulary"] == encoded_reviews().fingerprint


@pytest.mark.parametrize("context", pretrained.MODELS)
def test_a_model_translates_one_clause_as_well_as_its_record_says(context):
    encoded, model = encoded_reviews(), pretrained.load(context)
    assert not model.training
    assert (
        sum(p.numel() for p in model.parameters())
        == harness.of_kind(RECORD, "parameters", context=context, seed=0)[0]
    )
    test = encoded.corpus["test"]
    rows = [row for row, clauses in enumerate(test.clauses) if clauses == 1]
    tokens = encoded.tokens("test", "src")
    written = [" ".join(t.tokens) for t in translate(model, encoded, [tokens[row] for row in rows])]
    score = bleu(written, [test.tgt[row] for row in rows], n_bootstrap=0).score
    (recorded,) = harness.of_kind(RECORD, "bleu", "1", context=context, seed=0)
    assert score == pytest.approx(recorded, abs=0.5)  # another processor may round a tie the other way


def test_every_context_is_good_at_one_clause_and_attention_at_five():
    for run in RUNS:
        assert run["bleu"]["1"] >= 90, run["context"]
    fixed, additive = (harness.of_kind(RECORD, "bleu", "5", context=c) for c in ("fixed", "additive"))
    assert min(additive) - max(fixed) > 20


def test_snapshots_lead_to_the_finished_model():
    assert pretrained.snapshots("dot") == []
    updates = pretrained.snapshots("additive")
    assert updates[0] == 0 and len(updates) >= 5
    (rows,) = harness.of_kind(RECORD, "snapshots", context="additive", seed=0)
    assert [row["update"] for row in rows] == updates
    assert rows[0]["loss"] > 2 * rows[-1]["loss"] and rows[0]["error"] > rows[-1]["error"]
    first, last = (pretrained.load("additive", update=update) for update in (updates[0], updates[-1]))
    assert not torch.equal(first.decoder.out.weight, last.decoder.out.weight)


@pytest.mark.parametrize("context", [*RECURRENT, "transformer"])
def test_a_stored_model_is_the_saved_one_rounded_to_8_bits(context, tmp_path):
    model = Transformer(9, 11, 8, 2, 12, 1) if context == "transformer" else Seq2Seq(9, 11, context, 6, 8)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    pretrained.save(model, context, 3, folder=tmp_path)
    loaded = pretrained.load(context, 3, folder=tmp_path)
    assert loaded.config == model.config
    for (name, old), new in zip(model.state_dict().items(), loaded.state_dict().values(), strict=True):
        scale = old.abs().amax(-1, keepdim=True)
        bound = scale / 254 if old.dim() == 2 else scale / 1024
        assert ((old - new).abs() <= bound * 1.01).all(), name
    pretrained.save(loaded, context, 4, folder=tmp_path)
    again = pretrained.load(context, 4, folder=tmp_path)
    assert all(map(torch.equal, loaded.state_dict().values(), again.state_dict().values()))


def test_an_unknown_model_lists_those_that_exist(tmp_path):
    with pytest.raises(ValueError, match="no pretrained model dot-seed-99: choose one of .*additive-seed-0"):
        pretrained.load("dot", seed=99)
    with pytest.raises(ValueError, match="choose one of none"):
        pretrained.load("dot", folder=tmp_path)
