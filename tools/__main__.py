"""Writes the generated tables of the documents: ``python -m tools``.

Each is between ``<!-- name -->`` and ``<!-- /name -->``. A test compares them with what this writes.
"""

from __future__ import annotations

from pathlib import Path

from tools import alerts, documents, scaling

TABLES = {**documents.TABLES, **alerts.TABLES, **scaling.TABLES}


def current(document: Path) -> str:
    """The text of a document with every table as it should be."""
    text = document.read_text()
    for name, make in TABLES[document].items():
        before, begin, rest = text.partition(f"<!-- {name} -->\n")
        _, end, after = rest.partition(f"<!-- /{name} -->")
        assert end, f"there is no place for the table {name}"
        text = f"{before}{begin}\n{make()}\n\n{end}{after}"
    return text


if __name__ == "__main__":
    for path in TABLES:
        path.write_text(current(path))
