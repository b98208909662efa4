"""What the documents repeat of the code is what the code says, and their links lead somewhere."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from bybit_exporter.cli import main
from bybit_exporter.web.server.web_config import MAKE_HASH
from tests.families import ALL_FAMILIES
from tools.__main__ import TABLES, current
from tools.documents import FAMILIES, ROOT, TROUBLESHOOTING

README = ROOT / "README.md"
CONFIGURATION = ROOT / "docs" / "configuration.md"
DOCUMENTS = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "tests" / "README.md"]

each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))


@pytest.mark.parametrize("document", TABLES, ids=lambda path: path.name)
def test_tables_of_a_document_are_those_of_the_code(document: Path) -> None:
    assert document.read_text() == current(document), "run: python -m tools"


def test_metrics_are_each_in_one_table() -> None:
    listed = Counter(family.name for families in FAMILIES.values() for family in families)
    assert listed == Counter(family.name for family in ALL_FAMILIES)


@pytest.mark.usefixtures("restored_process")
def test_flags_are_documented_with_their_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    sections = re.split(r"\n  (?=-)", capsys.readouterr().out)[1:]
    flags = [found[0] for section in sections if (found := re.search(r"--[a-z][a-z.-]+", section))]
    defaults = [found[1] if (found := re.search(r"\(default:\s+(.+?)\)", each)) else "" for each in sections]
    rows = dict(re.findall(r"^\| `(--[a-z.-]+)` \| (.*?) ?\|", CONFIGURATION.read_text(), re.MULTILINE))
    assert rows.keys() == set(flags)
    for flag, default in zip(flags, defaults, strict=True):
        if default not in ("", "None", "False"):
            assert rows[flag].strip("`") == default, flag


def test_advice_for_password_hashes_is_that_of_the_error_message() -> None:
    """Without `tr`, a colon stands before the hash, and the exporter refuses it."""
    text = "".join(document.read_text() for document in DOCUMENTS)
    assert text.count("htpasswd -n") == text.count(MAKE_HASH) >= 2


def test_messages_of_the_log_are_those_of_the_code() -> None:
    section = TROUBLESHOOTING.read_text().partition("## What the log says")[2].partition("## Report a fault")[0]
    rows = re.findall(r"^\| (`.*?`) \| ", section, re.MULTILINE)
    messages = re.findall(r"`([^`]+)`", " ".join(rows))
    assert len(messages) > 10
    code = "".join(path.read_text() for path in (ROOT / "bybit_exporter").rglob("*.py"))
    code = re.sub(r"\{\w+\}", "…", code)
    assert [each for each in messages if each not in code] == []


@each_document
def test_links_within_the_repository_lead_somewhere(document: Path) -> None:
    text = re.sub(r"^```.*?^```|`[^`\n]*`", "", document.read_text(), flags=re.MULTILINE | re.DOTALL)
    links = {link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text)}
    assert [link for link in links if link and "://" not in link and not (document.parent / link).exists()] == []


def test_readme_is_short() -> None:
    assert len(README.read_text().splitlines()) <= 150
