"""Rooms that run beside the tests with Linux (beside.py): nothing that a test says is lost there,
and --prepare's command has ended before they begin."""

import xml.etree.ElementTree as ElementTree

import pytest

from harness import beside
from harness.test_harness import Project

OTHERS = "def test_of_linux():\n    pass\n"
OUTCOMES = """
import os, sys
import pytest

@pytest.fixture
def broken():
    yield
    raise OSError("the fixture's end")

def test_good():
    pass

@pytest.mark.parametrize("which", ["a/b", "[c]"])
def test_bad(which):
    print("said by", which)
    assert which == "no"

def test_skipped():
    pytest.skip("not today")

def test_ends_badly(broken):
    pass
"""


@pytest.fixture
def project(tmp_path):
    made = Project(tmp_path)
    made.file("linux/test_linux.py", OTHERS)
    return made


def test_every_outcome_is_passed_on(project):
    project.file("boards/test_it.py", OUTCOMES)
    output = project.run("--junitxml=xml")
    assert project.status == 1
    assert "2 failed, 3 passed, 1 skipped, 1 error" in output
    assert "said by a/b" in output and "assert 'a/b' == 'no'" in output
    assert "OSError: the fixture's end" in output and "not today" in output
    cases = ElementTree.parse(project.folder / "xml").getroot().iter("testcase")
    assert sorted(case.get("name") for case in cases if case.find("failure") is not None) == [
        "test_bad[[c]]",
        "test_bad[a/b]",
    ]


def test_only_the_chosen_ones_are_run(project):
    project.file("shim/test_it.py", OUTCOMES)
    output = project.run("-k", "good or linux")
    assert project.status == 0 and "2 passed, 4 deselected" in output


def test_a_skip_is_a_failure_there_too(project):
    project.file("harness/test_it.py", "import pytest\ndef test_it():\n    pytest.skip('why')\n")
    output = project.run("--no-skips")
    assert project.status == 1 and "1 failed, 1 passed" in output and "why" in output


def test_a_process_that_ends_early_fails_those_it_did_not_run(project):
    text = "import os\ndef test_a():\n    pass\ndef test_b():\n    os._exit(3)\n"
    project.file("boards/test_it.py", text + "def test_c():\n    pass\n")
    output = project.run()
    assert project.status == 1 and "2 failed, 2 passed" in output
    assert "said nothing of this test" in output


def test_a_session_of_its_own_runs_them_itself(project):
    text = "def test_it(pytestconfig):\n    assert not pytestconfig.getoption('--reports-to')\n"
    project.file("boards/test_it.py", text)
    project.run("tests/boards")
    assert project.status == 0
    project.run()  # the room beside others
    assert project.status == 1


def test_files_of_the_talks_with_linux_that_may(project):
    text = "def test_it(pytestconfig):\n    assert pytestconfig.getoption('--reports-to')\n"
    for name in beside.FILES:
        project.file(name, text)
    output = project.run()
    assert project.status == 0 and f"{1 + len(beside.FILES)} passed" in output
    project.run(f"tests/{beside.FILES[0]}")
    assert project.status == 1  # alone it is run by the session itself


def test_they_wait_for_what_is_prepared(project):
    text = "from pathlib import Path\ndef test_it():\n    assert Path('made').exists()\n"
    project.file("boards/test_it.py", text)
    project.file("linux/test_linux.py", text)
    output = project.run("--prepare", "sh -c 'sleep 1; touch made'")
    assert project.status == 0 and "2 passed" in output
    output = project.run("--prepare", "sh -c 'rm made; echo no room; exit 7'")
    assert project.status == 1 and "--prepare: no room" in output and "exit status 7" in output
