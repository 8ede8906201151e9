"""Tests that neither need the machine's clock nor a network of their own run beside those that do.

A session that has tests in tests/linux leaves the processor idle half of the time. Meanwhile the
files of the rooms in ROOMS, and those of FILES, which judge what Linux said and not when, are each
run by a pytest process of its own, which writes its reports to a file (`--reports-to`); this
session reads them and passes them on as if it had run the tests, so nobody who reads the outcome,
the XML or the exit status sees a difference. A session that has only such files runs them itself:
then -x, -s and --pdb do what they always do.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

ROOMS = ("boards", "harness", "pico", "shim")
FILES = ("linux/test_esp32.py", "linux/test_examples.py", "linux/test_mqtt.py")
NICE = "10"  # below the tests with Linux, above the emulated boards' unit tests
LIMIT = 1500.0  # seconds for a file: each test has limits of its own


def room(path, tests):
    """The room of a test file, below the folder `tests`; "" of one elsewhere."""
    return path.relative_to(tests).parts[0] if tests in path.parents else ""


def is_beside(path, tests):
    """Does the test file `path` belong to those that run beside the others?"""
    return room(path, tests) in ROOMS or path in [tests / name for name in FILES]


def choose(items, tests):
    """{file: its items} for those that run beside the others; {} if there are no others."""
    files = {}
    others = False
    for item in items:
        name = room(item.path, tests)
        if is_beside(item.path, tests):
            files.setdefault(item.path, []).append(item)
        elif name != "unit":
            others = True
    return files if others else {}


def run_file(items, options, root, processes):
    """Run the items of one file: ({nodeid: [serialized reports]}, what the process printed)."""
    with tempfile.TemporaryDirectory(prefix="smolmp-beside-") as folder:
        reports = Path(folder) / "reports"
        # The nodeids go by a file: there are more of them than a command line likes.
        chosen = Path(folder) / "chosen"
        chosen.write_text("\n".join(item.nodeid for item in items))
        pytest_ = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        command = ["nice", "-n", NICE, *pytest_, *options, "--reports-to", str(reports)]
        process = processes.start([*command, f"@{chosen}"], None, root)
        try:
            output, _ = process.communicate(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            output = f"no end after {LIMIT:g} s".encode()
        finally:
            processes.end(process)
        found = {}
        for line in reports.read_text().splitlines() if reports.exists() else []:
            report = json.loads(line)
            found.setdefault(report["nodeid"], []).append(report)
    return found, output.decode(errors="replace")


def pass_on(item, future):
    """Hand the reports of an item to this session's own readers."""
    found, output = future.result()
    hook = item.ihook
    hook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    reports = [_report(item.config, data) for data in found.get(item.nodeid, ())]
    if "teardown" not in [report.when for report in reports]:
        reports.append(_lost(item, output))
    for report in reports:
        hook.pytest_runtest_logreport(report=report)
    hook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)


def _report(config, data):
    report = config.hook.pytest_report_from_serializable(config=config, data=data)
    if isinstance(report.longrepr, list):  # a skip's (path, line, reason): JSON has no tuples
        report.longrepr = tuple(report.longrepr)
    return report


def _lost(item, output):
    tail = "\n".join(output.splitlines()[-40:])
    return pytest.TestReport(
        item.nodeid,
        item.location,
        {},
        "failed",
        f"the process of {item.path.name} said nothing of this test; its last words:\n{tail}",
        "call",
    )


class Writer:
    """Writes every report of a session into a file, a line of JSON each."""

    def __init__(self, config, path):
        self.config = config
        self.file = open(path, "w")

    def pytest_runtest_logreport(self, report):
        data = self.config.hook.pytest_report_to_serializable(config=self.config, report=report)
        self.file.write(json.dumps(data) + "\n")
        self.file.flush()

    def pytest_unconfigure(self):
        self.file.close()
