"""Strict YAML: scalars stay texts, duplicate keys are problems, and no message quotes the file."""

from __future__ import annotations

import contextlib

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from bybit_exporter.config import strict_yaml
from bybit_exporter.config.strict_yaml import Plain


def parse(text: str) -> tuple[Plain, list[str]]:
    """Returns the document and the reported problems."""
    problems: list[str] = []
    return strict_yaml.parse(text, lambda path, problem: problems.append(f"{path}: {problem}")), problems


@pytest.mark.parametrize(
    "text", ["NO", "yes", "true", "010", "1:30", "1e3", "0x10", "2024-01-01", "1_000", ".inf", "a b"]
)
def test_scalar_is_its_text(text: str) -> None:
    assert parse(f"key: {text}") == ({"key": text}, [])


@pytest.mark.parametrize("text", ["", "~", "null"])
def test_empty_tilde_and_null_are_none(text: str) -> None:
    assert parse(f"key: {text}") == ({"key": None}, [])


@pytest.mark.parametrize("text", ["''", '""', "'null'", '"~"', "|\n  null", "Null", "NULL"])
def test_quoted_scalar_is_a_text(text: str) -> None:
    document, _ = parse(f"key: {text}")
    assert isinstance(document["key"], str)


@pytest.mark.parametrize("text", ["", "\n", "# a comment\n", "---\n", "--- ~\n"])
def test_empty_document_is_none(text: str) -> None:
    assert parse(text) == (None, [])


def test_lists_and_mappings_are_read() -> None:
    assert parse("a: [1, {b: c}]\nd:\n  - e\n") == ({"a": ["1", {"b": "c"}], "d": ["e"]}, [])


def test_key_given_twice_is_reported_with_both_lines() -> None:
    document, problems = parse("a: 1\nb:\n- c: 2\n  d: 3\n  c: 4\na: 5\na: 6\n")
    assert document == {"a": "1", "b": [{"c": "2", "d": "3"}]}
    assert problems == [
        "b[0].c: given twice, in lines 3 and 5",
        "a: given twice, in lines 1 and 6",
        "a: given twice, in lines 1 and 7",
    ]


def test_tags_are_reported() -> None:
    assert parse("a: !!python/object:os.system x\nb: !!int 1\n")[1] == [
        "a: line 1: tags are not supported",
        "b: line 2: tags are not supported",
    ]


def test_anchor_is_resolved() -> None:
    assert parse("a: &x [1]\nb: *x\n") == ({"a": ["1"], "b": ["1"]}, [])


def test_nested_aliases_need_little_time_and_memory() -> None:
    bombs = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 200)]
    document, _ = parse("\n".join(bombs))
    assert document["a199"][0] is document["a198"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\n---\nb: 2\n", "must be a single YAML document"),
        ("a: [1", "not valid YAML: did not find expected"),
        ("a: *b\n", "line 1: not valid YAML: found an alias without its anchor"),
        ("a: &x [*x]\n", "line 1: not valid YAML: found an alias without its anchor"),
        ("a: 1\n? [b]\n: c\n", "line 2: a key must be a word"),
        ("a: \x07\n", "contains characters that YAML does not allow"),
        ("a:\n\t- b\n", "line 2: not valid YAML: "),
        ("[" * 5000 + "]" * 5000, "line 1: nested too deeply"),
        ("[" * 5000, "line 1: nested too deeply"),
        ("{a: " * 60 + "}" * 60, "line 1: nested too deeply"),
    ],
)
def test_text_that_is_not_a_document_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the text is what matters
        parse(text)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "api_key: CANARY: x",
        "api_key: @CANARY",
        "api_key: 'CANARY",
        'api_key: "\\CANARY"',
        "api_key: *CANARY",
        "api_key: !CANARY! x",
        "%CANARY\n---\n",
        "api_key:CANARY: x",
        "api_key: [CANARY",
        "? {CANARY: x}\n: y",
        "!<tag:CANARY a",
        "!CANARY!a b",
    ],
)
@pytest.mark.parametrize("loader", ["CBaseLoader", "BaseLoader"])
def test_error_message_does_not_quote_the_file(text: str, loader: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With libyaml and without: the two word their messages differently."""
    monkeypatch.setattr(strict_yaml, "_Loader", getattr(yaml, loader))
    try:
        _, problems = parse(text)
    except ValueError as error:
        problems = [str(error)]
    assert "CANARY" not in "".join(problems)


@given(st.text())
@example("&a a: *a")
@example("? ")
@example("\ufeff")
def test_any_text_is_a_document_or_a_value_error(text: str) -> None:
    with contextlib.suppress(ValueError):
        parse(text)


@given(st.text(alphabet="ab:-?[]{},&*!|>'\"%#~ \n", max_size=40))
def test_any_punctuation_is_a_document_or_a_value_error(text: str) -> None:
    with contextlib.suppress(ValueError):
        parse(text)
