"""Renders the documents of this version as web pages, also for networks without access to other sites."""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files
from importlib.resources.abc import Traversable
from itertools import pairwise
from typing import Any
from urllib.parse import urlsplit

import jinja2
from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup, escape

from .theme import THEME, csp_hash

DOCUMENTATION = "/-/documentation"
RUNBOOKS = "/-/runbooks"
README = "README.md"

_TEMPLATES = files(__package__) / "templates"
_STYLE = THEME + (_TEMPLATES / "document.css").read_text("utf-8")

CONTENT_SECURITY_POLICY = (
    f"default-src 'none'; style-src {csp_hash(_STYLE)}; img-src 'self' data:; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)

_environment = jinja2.Environment(
    loader=jinja2.PackageLoader("bybit_exporter.web"), autoescape=True, trim_blocks=True, lstrip_blocks=True
)


@dataclass(frozen=True)
class Documents:
    """The documents (README.md, docs/*.md) below a directory, rendered as pages."""

    root: Traversable

    @cached_property
    def paths(self) -> dict[str, str]:
        """By path in the repository, the path of the page or image on this site."""
        paths = {README: DOCUMENTATION}
        for name in self._names("docs", ".md"):
            paths[f"docs/{name}"] = RUNBOOKS if name == "runbooks.md" else f"{DOCUMENTATION}/{name.removesuffix('.md')}"
        for name in self._names("docs/images", ".png"):
            paths[f"docs/images/{name}"] = f"{DOCUMENTATION}/images/{name}"
        return paths

    def page(self, url_path: str) -> str | None:
        """Renders the document at a path of this site. Returns `None` if there is none."""
        source = self._source(url_path, ".md")
        return source and _page(self, source, self._file(source).read_text("utf-8"))

    def image(self, url_path: str) -> bytes | None:
        """Reads the image at a path of this site. Returns `None` if there is none."""
        source = self._source(url_path, ".png")
        return self._file(source).read_bytes() if source else None

    def _source(self, url_path: str, suffix: str) -> str | None:
        return next((path for path, url in self.paths.items() if url == url_path and path.endswith(suffix)), None)

    def _file(self, path: str) -> Traversable:
        return self.root.joinpath(*path.split("/"))

    def _names(self, directory: str, suffix: str) -> list[str]:
        found = self._file(directory)
        return sorted(file.name for file in found.iterdir() if file.name.endswith(suffix)) if found.is_dir() else []


@cache
def documents() -> Documents:
    """Returns the documents of this version. In a clone the directory has links to them."""
    return Documents(files(__package__) / "documents")


@cache
def _page(all_documents: Documents, source: str, text: str) -> str:
    content, title = render(text, source, all_documents.paths)
    pages = {path: url for path, url in all_documents.paths.items() if path.endswith(".md")}
    template = _environment.get_template("document.html")
    return template.render(style=Markup(_STYLE), content=Markup(content), title=title, pages=pages, source=source)  # noqa: S704


def render(text: str, source: str, paths: dict[str, str]) -> tuple[str, str]:
    """Renders Markdown. Returns HTML, in which any HTML of the text is escaped, and the title.

    ``source`` is the document's path in the repository, ``paths`` gives the path on this site of every document and
    image. Relative links to other files of the repository become plain text.
    """
    markdown = MarkdownIt("commonmark").enable("table")
    for rule in ("html_block", "html_inline"):
        markdown.add_render_rule(rule, _escape_html)
    markdown.add_render_rule("table_open", lambda *_: '<div class="table" tabindex="0"><table>\n')
    markdown.add_render_rule("table_close", lambda *_: "</table></div>\n")
    tokens = markdown.parse(text)
    title = _add_heading_ids(tokens)
    _remove_empty_header_cells(tokens)
    for token in tokens:
        token.children = token.children and _rewrite_links(token.children, source, paths)
    return markdown.renderer.render(tokens, markdown.options, {}), title


def _escape_html(_: Any, tokens: Sequence[Token], index: int, *__: Any) -> str:
    """Escapes HTML, without its comments: they mark the tables that a program writes."""
    return str(escape(re.sub(r"<!--.*?-->\n?", "", tokens[index].content, flags=re.DOTALL)))


def _add_heading_ids(tokens: Sequence[Token]) -> str:
    """Gives each heading the id that GitHub gives it. Returns the text of the first heading."""
    seen: Counter[str] = Counter()
    title = ""
    for opening, content in pairwise(tokens):
        if opening.type != "heading_open":
            continue
        text = "".join(child.content for child in content.children or ())
        title = title or text
        slug = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
        opening.attrSet("id", f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return title


def _remove_empty_header_cells(tokens: Sequence[Token]) -> None:
    """Makes a header cell without text a plain cell, so that a screen reader announces no header."""
    for opening, content, closing in zip(tokens, tokens[1:], tokens[2:], strict=False):
        if opening.type == "th_open" and not content.content:
            opening.tag = closing.tag = "td"


def _rewrite_links(tokens: Sequence[Token], source: str, paths: dict[str, str]) -> list[Token]:
    """Points links and images to this site. Those of files that it does not have become plain text."""
    rewritten = []
    is_text = False
    for token in tokens:
        if token.type == "link_open":
            target = _target(str(token.attrs["href"]), source, paths)
            is_text = target is None
            token.attrs |= {"href": target or "", "rel": "noreferrer"}
        elif token.type == "image":
            target = _target(str(token.attrs["src"]), source, paths)
            token.attrs["src"] = target or ""
            if target is None or "://" in target:
                token = Token("text", "", 0, content=token.content)
        if not (is_text and token.type in ("link_open", "link_close")):
            rewritten.append(token)
    return rewritten


def _target(link: str, source: str, paths: dict[str, str]) -> str | None:
    """The target of a document's link on this site. Returns `None` if this site does not have the file."""
    url = urlsplit(link)
    if url.scheme or url.netloc or not url.path:
        return link
    path = posixpath.normpath(posixpath.join(posixpath.dirname(source), url.path))
    fragment = f"#{url.fragment}" if url.fragment else ""
    return paths[path] + fragment if path in paths else None
