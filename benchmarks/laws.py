"""The laws of scripts and of the memory bank on 10,000 random cases each, where the tests take a hundred.

    run.py bench laws [CASES]

Scripts: the round trip, seeds that stay with their shots, no error but ours, no hang. The bank: any sequence
of shots, saves and changes keeps its capacity, its order and its sink, beside a plain list that does the
same.
"""

from __future__ import annotations

import os
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from runner.benchmark import report
from runner.installation import ROOT
from runner.rings import run_pytest

CASES = 10_000
LAWS = ("tests/core/test_script_laws.py", "tests/core/test_memory_machine.py")


def main() -> int:
    cases = int(sys.argv[1]) if len(sys.argv) > 1 else CASES
    with tempfile.TemporaryDirectory() as folder:
        junit = Path(folder, "laws.xml")
        words = [*LAWS, "-q", "--hypothesis-profile=thorough", f"--junit-xml={junit}"]
        code = run_pytest(ROOT, Path(os.environ["COMFYUI_PATH"]), words, STORYMEM_EXAMPLES=str(cases))
        tests = [*ElementTree.parse(junit).getroot().iter("testcase")]
    rows = [
        {
            "law": f"{test.get('classname', '').rpartition('.')[2]}: {test.get('name')}",
            "cases": cases,
            "holds": "yes" if test.find("failure") is None and test.find("error") is None else "NO",
            "seconds": float(test.get("time", 0)),
        }
        for test in tests
    ]
    report("laws", rows, cases_each=cases)
    return code


if __name__ == "__main__":
    sys.exit(main())
