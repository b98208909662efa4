"""What README.md repeats of the code is what the code says."""

from __future__ import annotations

from pathlib import Path

from bybit_exporter.cli import _parser
from tools import readme

TEXT = readme.README.read_text()


def test_its_tables_are_current() -> None:
    assert readme.current(TEXT) == TEXT, "run: python -m tools.readme"


def test_it_names_every_flag() -> None:
    flags = {action.option_strings[0] for action in _parser()._actions}
    assert {flag for flag in flags if f"`{flag}`" not in TEXT} == {"-h"}


def test_its_links_within_the_repository_lead_somewhere() -> None:
    links = {part.split(")")[0].split("#")[0] for part in TEXT.split("](")[1:]}
    local = {link for link in links if link and "://" not in link}
    assert len(local) > 5
    assert {link for link in local if not (readme.README.parent / Path(link)).exists()} == set()
