"""Expressions that give nothing back match the same texts in both of their forms, and end on hostile ones."""

import importlib.util
import re
import sys
from types import ModuleType

import pytest

from auditor.evidence import expressions
from auditor.evidence.containers import exports
from auditor.evidence.sql import grammar
from auditor.evidence.sql.rows import COLUMNS
from auditor.model.vocabulary import EvidenceKind

STATEMENTS = (
    b"SET NAMES 'utf8';",
    b"CREATE TABLE a (b text DEFAULT 'x;''y\\'; z', \"c;\" int, `d;` int);",
    b"CREATE FUNCTION f() AS $body$ a; b $$ ; $body$ LANGUAGE sql;",
    b"SELECT '$', $1;",
    b"SET a = 'never closed;",
    b"DROP TABLE a",
)
ROWS = (
    b"(1,'/registry/a',1,0,0,0,0,'k8s\\0''x',NULL)",
    b" ( 1 , '/a' , 0,0,0,0,0, x'00ff', _binary '\\'' )",
    b"(NULL, 'a''b', f(1, ')'), -1.5e3)",
    b"(1,'never closed",
    b"(1,2",
)
HEADS = (
    b"--\n-- PostgreSQL database dump\n--\n",
    b"\n--\r\n--\n\n-- PostgreSQL database dump\n",
    b"-- MySQL dump 10.13\n",
    b"SET x;\n/* a */;\n-- b\nINSERT INTO `kine` VALUES (1)",
    b"/* a */ /* b */ DROP TABLE x; /* c */; COPY public.kine (id) FROM stdin;",
    b"-- a text, and no dump\n",
)
HOSTILE = (b"NULL," * 4000, b"'a'," * 4000, b"$a$" * 4000, b"/**/" * 4000, b"''" * 8000, b"((" * 4000, b"\\'" * 8000)


@pytest.fixture
def older(monkeypatch: pytest.MonkeyPatch) -> tuple[ModuleType, ModuleType]:
    """grammar and exports as Python before 3.11.5 has them."""
    monkeypatch.setattr(expressions, "POSSESSIVE", False)
    modules = []
    for module in (grammar, exports):
        spec = importlib.util.spec_from_file_location(f"{module.__name__}_older", module.__file__ or "")
        assert spec is not None
        assert spec.loader is not None
        made = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(made)
        modules.append(made)
    return modules[0], modules[1]


def span(pattern: re.Pattern[bytes], text: bytes) -> tuple[int, int] | None:
    match = pattern.match(text)
    return match.span() if match is not None else None


def test_both_forms_match_the_same(older: tuple[ModuleType, ModuleType]) -> None:
    other, dumps = older
    # Python before 3.11.5 has the older form alone
    assert (other.STATEMENT.pattern != grammar.STATEMENT.pattern) is (sys.version_info >= (3, 11, 5))
    for text in STATEMENTS:
        assert span(other.STATEMENT, text) == span(grammar.STATEMENT, text), text
    for kind in (EvidenceKind.MYSQL_DUMP, EvidenceKind.POSTGRES_DUMP, EvidenceKind.SQLITE_DUMP):
        for text in ROWS:
            assert span(other.row(kind, COLUMNS), text) == span(grammar.row(kind, COLUMNS), text), text
            assert span(other.other_row(kind), text) == span(grammar.other_row(kind), text), text
    for head in HEADS:
        assert dumps.sql_dump(head) == exports.sql_dump(head), head
    assert exports.sql_dump(HEADS[1]) is EvidenceKind.POSTGRES_DUMP


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: text[:4].decode())
def test_the_older_form_ends_on_hostile_texts(text: bytes, older: tuple[ModuleType, ModuleType]) -> None:
    """Were one given back in every way, none of these would end in a lifetime."""
    other, dumps = older
    assert other.STATEMENT.match(b"SET " + text) is None
    assert other.other_row(EvidenceKind.MYSQL_DUMP).match(b"(" + text) is None
    assert other.row(EvidenceKind.POSTGRES_DUMP, COLUMNS).match(b"(" + text) is None
    assert dumps.sql_dump(text) is None
