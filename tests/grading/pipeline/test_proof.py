"""A wrong check is noticed before it grades anybody."""

from dataclasses import replace

import pytest
import torch

from examples.make_class import ANSWERS, NAME, notebook
from grading.judge import recognize, registry
from grading.pipeline import executor, proof, result
from grading.pipeline.assignments import assignments
from grading.pipeline.run import Run, RunError
from tests.grading.pipeline.test_run import hand_in

ASSIGNMENT = assignments()[NAME]


@pytest.fixture
def problem(here):
    """What is wrong with the checks, proven in this process, where a test can break a check."""

    def problem():
        with here() as workers:
            return proof.problem(workers, ASSIGNMENT, result.version(ASSIGNMENT), 1)

    return problem


def made_on_the_cpu(query, keys):
    return query @ keys.transpose(1, 2) + torch.zeros(keys.size(1))


def test_the_checks_of_the_course_pass(problem):
    assert proof.given("solution", ASSIGNMENT).proven == {*ANSWERS}
    assert problem() is None


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        (lambda query, keys: 2 * query @ keys.transpose(1, 2), "dot_score refuses the solution: scores has"),
        (made_on_the_cpu, "failed on the solution: dot_score could not be judged: RuntimeError"),
    ],
)
def test_a_wrong_reference_is_named(problem, reference, said, monkeypatch):
    wrong = replace(registry.find_check("dot_score"), reference=reference)
    monkeypatch.setitem(registry._CHECKS, "dot_score", wrong)
    assert said in problem()


def test_a_bank_that_is_missing_is_named(problem, monkeypatch):
    monkeypatch.delattr(recognize, "mistakes_of")
    assert "failed on the starter: dot_score could not be judged" in problem()


def test_an_answer_that_is_trained_is_left_out():
    found = proof.given("solution", assignments()["03_translator"])
    assert "translate" in found.proven and "translator" not in found.proven
    assert b'"id": "translator"' not in found.data


def test_nobody_is_graded_with_a_wrong_check_and_a_right_one_is_proven_once(tmp_path, monkeypatch):
    asked = []

    def grade_all(client, name, queue, version, *how):
        asked.append([*queue])
        return iter(())

    hand_in(tmp_path, "ana", notebook())
    monkeypatch.setattr(proof, "PROVEN", tmp_path / "proven")
    monkeypatch.setattr(executor, "grade_all", grade_all)
    monkeypatch.setattr(proof, "problem", lambda *args: "the check of attend refuses the solution: no.")
    with pytest.raises(RunError, match="nobody was graded, because the check of attend refuses the solution"):
        Run(NAME, tmp_path).grade(1)
    assert asked == [] and not (tmp_path / "graded" / NAME / "ana.json").exists()
    monkeypatch.setattr(proof, "problem", lambda *args: None)
    Run(NAME, tmp_path).grade(1)
    monkeypatch.setattr(proof, "problem", lambda *args: pytest.fail("it was proven already"))
    Run(NAME, tmp_path).grade(1)
    assert len(asked) == 2
