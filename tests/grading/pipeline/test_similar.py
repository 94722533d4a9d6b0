"""Pairs whose answers are alike and wrong in the same rare way are listed; short or common ones are not."""

from dataclasses import replace

import pytest

from grading.cli import main
from grading.pipeline import result
from grading.pipeline.result import GRADED, CheckResult, Result
from grading.pipeline.similar import GRAM, LEAST, given, grams, pairs

NAME = "02_attention"
LONG = """def attend(query, keys, values, mask, score):
    '''A docstring.'''
    first = score(query, keys).clamp(min=-30, max=30)  # a comment
    second = torch.stack([row / row.norm() for row in first])
    third = second.exp() / second.exp().sum(dim=1, keepdim=True).sqrt()
    return third @ values, third
"""
RENAMED = (
    LONG.replace("first", "a").replace("second", "b").replace("third", "query2").replace("  # a comment", "")
)
OTHER = """def attend(query, keys, values, mask, score):
    if mask is None:
        mask = torch.ones(keys.shape[:2])
    out = []
    for number, sentence in enumerate(query):
        weight = (sentence @ keys[number].T) * mask[number]
        out.append(weight.softmax(0) @ values[number])
    return torch.stack(out), None
"""
SHORT = "def attend(query, keys, values, mask, score):\n    return query @ keys.transpose(1, 2), mask\n"


def student(name, source, *behavior):
    cells = ({"kind": "code", "name": "attend", "source": source},)
    return Result(GRADED, NAME, name, checks=(CheckResult("attend", 0, 3, behavior=behavior),), cells=cells)


def listed(*students):
    others = [student(f"other {i}", "", f"another {i}") for i in range(10)]
    starter = grams("def attend(query, keys, values, mask, score):\n    raise NotImplementedError\n")
    return [pair.students for pair in pairs([*students, *others], {"attend": starter})]


def test_other_names_comments_and_layout_make_no_difference():
    assert grams(LONG) == grams(RENAMED) == grams(RENAMED.replace("\n    b", "\n\n    b"))
    assert len(grams(LONG)) > LEAST and not grams(LONG) & grams("x = 1")
    assert grams("x = f(1, 2, (") and len(grams("1 + 2 * 3")) <= GRAM


@pytest.mark.parametrize(
    ("one", "other", "found"),
    [
        ((LONG, "a", "b"), (RENAMED, "a", "b"), True),
        ((LONG, "a", "b"), (RENAMED, "c", "d"), False),
        ((LONG, "a", "b"), (OTHER, "a", "b"), False),
        ((SHORT, "a", "b"), (SHORT, "a", "b"), False),
        ((LONG,), (RENAMED,), False),
    ],
    ids=["copy", "other results", "twin", "short", "right"],
)
def test_a_pair_needs_alike_code_and_the_same_rare_results(one, other, found):
    assert listed(student("ana", *one), student("bo", *other)) == [("ana", "bo")] * found


def test_what_everybody_got_or_many_share_is_no_evidence():
    assert pairs([student(str(i), LONG, "a") for i in range(9)], {}) == []
    two = [student("ana", LONG, "a"), student("bo", LONG, "a")]
    assert pairs([*two, *(student(str(i), "") for i in range(9))], {"attend": grams(LONG)}) == []
    assert listed(*two[:1], replace(two[1], status="not gradable")) == []
    solution, starter = given(NAME)["attend"], grams("x = 1")
    assert len(solution) > LEAST and not solution & starter


def test_the_command_says_what_its_list_is_and_is_not(tmp_path, capsys):
    assert main(["similar", NAME, "--course", str(tmp_path)]) == 2
    assert "grade the class first" in capsys.readouterr().err
    for i, (name, source) in enumerate(
        [("ana", LONG), ("bo", RENAMED), *((f"o{i}", OTHER) for i in range(8))]
    ):
        found = student(name, source, "a" if i < 2 else f"{i}")
        result.write(tmp_path / "graded" / NAME / f"{name}.json", found)
    assert main(["similar", NAME, "--course", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "evidence for a conversation, and not a verdict" in said and "1 pairs among 10 students" in said
    assert "ana and bo\n  alike code: attend 100%\n  the same wrong results: attend (1 in 5 students)" in said
