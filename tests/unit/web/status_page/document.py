"""The status page of a site, taken apart into its elements."""

from __future__ import annotations

from html.parser import HTMLParser

from bybit_exporter.web.status_page.page import render
from bybit_exporter.web.status_page.query import Query
from tests.browser.site import Site

VOID = {"meta", "link", "input", "use", "path", "circle", "rect", "br"}


class Document(HTMLParser):
    """The elements of a page, each with its attributes and all the text within. Fails on tags that do not match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None], list[str]]] = []
        self._open: list[tuple[str, list[str]]] = []
        self.feed(text)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        texts: list[str] = []
        self.found.append((tag, dict(attrs), texts))
        if tag not in VOID:
            self._open.append((tag, texts))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self._open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        for _, texts in self._open:
            texts.append(data)

    def texts(self, tag: str, css_class: str = "") -> list[str]:
        return [
            " ".join("".join(texts).split())
            for name, attributes, texts in self.found
            if name == tag and css_class in (attributes.get("class") or "")
        ]

    def attributes(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes, _ in self.found if name == tag]


def page(site: Site, demo: bool = False, **parameters: str) -> Document:
    return Document(render(site.store, Query.of(parameters), demo=demo, now=site.clock).html)


def section(site: Site, name: str) -> str:
    """The text of an account's part."""
    return next(text for text in page(site).texts("section") if text.startswith(f"{name} "))
