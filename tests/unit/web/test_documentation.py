"""The documents as pages: every link leads somewhere, every heading has its id, and no HTML gets through."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from bybit_exporter.web.documentation import Documents, documents, render

README = Path("README.md")
SITE_PATHS = {"README.md": "/-/documentation", "docs/a.md": "/-/documentation/a", "docs/images/x.png": "/x.png"}


class Page(HTMLParser):
    """The links and the ids of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.images: list[str] = []
        self.ids: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.ids += [given["id"] or ""] if "id" in given else []
        self.links += [given["href"] or ""] if tag == "a" else []
        self.images += [given["src"] or ""] if tag == "img" else []


PAGES = {url for path, url in documents().paths.items() if path.endswith(".md")}


def page(url: str) -> Page:
    html = documents().page(url)
    assert html
    return Page(html)


def test_documents_of_the_clone_are_all_served() -> None:
    assert {"/-/documentation", "/-/runbooks", "/-/documentation/security"} <= PAGES
    assert len(PAGES) == 1 + len(list(Path("docs").glob("*.md")))


def test_readme_says_which_documents_are_served() -> None:
    served = {path for path in documents().paths if path.endswith(".md")}
    assert served == {"README.md", *map(str, Path("docs").glob("*.md"))}
    assert "The exporter itself serves this README and all of `docs/` at `/-/documentation`." in README.read_text()


@pytest.mark.parametrize("url", sorted(PAGES))
def test_links_of_a_document_resolve(url: str) -> None:
    shown = page(url)
    assert len(shown.links) > len(PAGES), "the navigation, and links in the text"
    for link in shown.links:
        path, _, fragment = link.partition("#")
        if "://" in link or path == "/":
            continue
        target = page(path) if path else shown
        assert not fragment or fragment in target.ids, link
    assert all(documents().image(image) for image in shown.images)


def test_readme_shows_its_picture() -> None:
    assert page("/-/documentation").images
    assert (documents().image("/-/documentation/images/status-page.png") or b"").startswith(b"\x89PNG")


def test_runbooks_have_an_id_for_each_heading() -> None:
    headings = re.findall(r"^#+ (\w+)$", Path("docs/runbooks.md").read_text(), re.MULTILINE)
    assert len(headings) > 20
    assert "bybitaccountbanned" in page("/-/runbooks").ids
    assert {heading.lower() for heading in headings} <= set(page("/-/runbooks").ids)


def test_ids_of_headings_are_those_of_github() -> None:
    html, title = render("# The `--once` flag, explained\n## A_b & c!\n## Twice\n## Twice\n", "README.md", {})
    assert Page(html).ids == ["the---once-flag-explained", "a_b--c", "twice", "twice-1"]
    assert title == "The --once flag, explained"


@pytest.mark.parametrize(
    ("link", "source", "target"),
    [
        ("docs/a.md", "README.md", "/-/documentation/a"),
        ("docs/a.md#b", "README.md", "/-/documentation/a#b"),
        ("a.md", "docs/a.md", "/-/documentation/a"),
        ("../README.md#b", "docs/a.md", "/-/documentation#b"),
        ("#b", "docs/a.md", "#b"),
        ("https://example.com/a?b#c", "docs/a.md", "https://example.com/a?b#c"),
    ],
)
def test_link_to_a_document_leads_to_its_page(link: str, source: str, target: str) -> None:
    html, _ = render(f"[text]({link})", source, SITE_PATHS)
    assert Page(html).links == [target]


@pytest.mark.parametrize(
    "link", ["LICENSE", "../secrets.md", "docs/../../a.md", "docs/b.md", "/-/reload", "//[", "/a.md"]
)
def test_link_to_another_file_becomes_text(link: str) -> None:
    html, _ = render(f"before [*text*]({link}) after [a](docs/a.md)", "README.md", SITE_PATHS)
    assert Page(html).links in (["/-/documentation/a"], [link.replace("[", "%5B"), "/-/documentation/a"])
    assert "before <em>text</em> after" in html or "//[" in link


def test_image_that_is_not_served_becomes_its_description() -> None:
    html, _ = render(
        "![of it](docs/images/x.png) ![other](y.png) ![far](https://example.com/z.png)", "README.md", SITE_PATHS
    )
    assert Page(html).images == ["/x.png"]
    assert "other" in html
    assert "example.com" not in html


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "a <b onclick='x'>b</b>",
        "<img src=x onerror=y>",
        "[a](javascript:alert(1))",
        "[a](JavaScript:alert(1))",
        "[a](data:text/html,x)",
        "![a](javascript:x)",
        "<!-- --><script>x</script>",
        "# <b>a</b>",
        '[a](https://example.com "\\"><script>")',
        "<javascript:alert(1)>",
        "```<script>\n<script>\n```",
        "|<i>|\n|-|\n|<script>|",
    ],
)
def test_html_in_a_document_is_escaped(text: str) -> None:
    html, _ = render(text, "README.md", {})
    assert not re.search(r"<(script|b|i|img)\b|href=\"(javascript|data)", html, re.IGNORECASE), html


def test_comments_are_left_out() -> None:
    html, _ = render("<!-- metrics -->\na | b\n--|--\n1 | 2\n<!-- /metrics -->\n", "README.md", {})
    assert "metrics" not in html


def test_documents_of_a_package_are_read_from_it(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "README.md").write_text("[there](docs/runbooks.md#a)")
    (tmp_path / "docs" / "runbooks.md").write_text("# A")
    installed = Documents(tmp_path)
    assert "/-/runbooks#a" in Page(installed.page("/-/documentation") or "").links
    assert Page(installed.page("/-/runbooks") or "").ids == ["a"]
