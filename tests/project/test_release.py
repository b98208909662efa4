"""What a release is made of: the version, the documents in the wheel, the workflows."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from bybit_exporter import __version__
from tests.support import require_real

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
LINT = ROOT / "tests" / "actionlint"
DOCUMENTS = ROOT / "bybit_exporter" / "web" / "documents"


def test_changelog_begins_with_this_version() -> None:
    released = re.findall(r"^## (\d\S*) - \d{4}-\d\d-\d\d$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert released[0] == __version__


def test_documents_of_the_package_are_those_of_the_repository() -> None:
    """In a clone they are links. flit writes what they lead to into the wheel."""
    originals = [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "docs" / "images").glob("*.png")]
    links = [path for path in DOCUMENTS.rglob("*") if not path.is_dir()]
    for original in originals:
        link = DOCUMENTS / original.relative_to(ROOT)
        way = os.path.relpath(original, link.parent)
        assert link in links, f"ln -s {way} {link.relative_to(ROOT)}"
        assert link.resolve() == original
    assert len(links) == len(originals), "a link leads nowhere"


def test_workflows_satisfy_actionlint() -> None:
    node = shutil.which("node")
    require_real(node is not None, "nodejs npm (Debian)")
    require_real((LINT / "node_modules").is_dir(), "npm ci --prefix tests/actionlint")
    program = LINT / "node_modules" / "@tktco" / "node-actionlint" / "bin" / "node-actionlint.js"
    done = subprocess.run(
        [str(node), program, ".github/workflows/*.yml"], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"Checking {len(WORKFLOWS)} workflow" in done.stdout


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_actions_of_others_are_pinned_to_a_commit(workflow: Path) -> None:
    used = re.findall(r"uses: ([^.]\S*) *(.*)", workflow.read_text())
    assert used
    for action, comment in used:
        assert re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", action), action
        assert re.fullmatch(r"# v\d+\.\d+\.\d+", comment), f"{action} does not name its version"
