"""The tests of the tests tell red from green, and both from a sabotage that cannot be tried."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.sabotage import Mutant, run
from tests.mutants import MUTANTS

CODE = "def double(x):\n    return 2 * x\n"
TEST = """
import sys
sys.path.insert(0, ".")
from code_under_test import double
def test_double(): assert double(3) == 6
def test_nothing(): pass
def test_red(): assert 0
"""


@pytest.fixture
def project(tmp_path):
    root = tmp_path / "project"
    (root / "tests").mkdir(parents=True)
    (root / "code_under_test.py").write_text(CODE)
    (root / "tests" / "test_it.py").write_text(TEST)
    return root


def mutant(old="2 * x", new="3 * x", test="test_double", file="code_under_test.py") -> Mutant:
    return Mutant("tripled", file, old, new, f"tests/test_it.py::{test}")


@pytest.mark.parametrize(
    "tried, verdict, bad",
    [
        (mutant(), "red", 0),
        (mutant(new="x + x"), "survived", 1),
        (mutant(test="test_nothing"), "survived", 1),
        (mutant(test="test_red"), "red before", 1),
        (mutant(test="test_absent"), "red before", 1),
        (mutant(old="4 * x"), "not found", 1),
        (mutant(old="x"), "not found", 1),
        (mutant(file="absent.py"), "not found", 1),
        (mutant(new="2 *"), "exit 4", 1),
    ],
    ids=["red", "harmless", "blind test", "red test", "no test", "no text", "twice", "no file", "broken"],
)  # fmt: skip
def test_verdicts(project, capsys, tried, verdict, bad):
    assert run([tried], project, project) == bad
    line, _, last = capsys.readouterr().out.splitlines()
    assert verdict in line
    assert last == f"{1 - bad} of 1 sabotages turn their test red"
    assert (project / "code_under_test.py").read_text() == CODE


def test_one_sabotage_leaves_nothing_for_the_next(project, capsys):
    assert run([mutant(), mutant(new="x * 4"), mutant()], project, project) == 0
    assert capsys.readouterr().out.count(" red ") == 3


def test_every_sabotage_still_fits_its_file_and_names_a_test():
    root = Path(__file__).resolve().parents[2]
    assert len(MUTANTS) >= 18
    for mutant in MUTANTS:
        assert (root / mutant.file).read_text(encoding="utf-8").count(mutant.old) == 1, mutant.name
        file, *_, test = mutant.test.split("::")
        assert f"def {test.partition('[')[0]}(" in (root / file).read_text(encoding="utf-8"), mutant.name
