"""Whatever stands in a record, it adds no directive to a proxy's configuration."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secretary.core.snapshot import Change, Snapshot
from secretary.renderer.services import Roster
from secretary.renderer.template import Facts, Template

NOW = datetime(2026, 11, 21, tzinfo=UTC)
NGINX = """\
{% for s in services %}{% for i in s %}
upstream {{ s.name }} { server {{ i.addr }} weight={{ i.weight }}; }
add_header X-Host {{ i.host }}-{{ i.id }}-{{ i.tags | join(".") }};
{% for key, value in i.meta.items() %}
add_header X-{{ key }} {{ value | nginx_quote }};
# {{ value | comment }}
add_header X-Word {{ value | word("none") }};
{% endfor %}{% endfor %}{% endfor %}
"""
HAPROXY = """\
{% for s in services %}
backend {{ s.name }}
{% for i in s %}
    server {{ i.ip }}:{{ i.port }} {{ i.addr }} weight {{ i.weight }}
    http-response set-header X-Host {{ i.host }}-{{ i.id }}-{{ i.tags | join(".") }}
{% for key, value in i.meta.items() %}
    http-response set-header X-{{ key }} {{ value | haproxy_format }}
    http-request set-header X-{{ key }} {{ value | haproxy_quote }}
    # {{ value | comment }}
    http-request set-header X-Word {{ value | word("none") }}
{% endfor %}{% endfor %}{% endfor %}
"""
ATTACKS = [
    '"; } server { listen 1; } #',
    "x\n}\nserver { listen 1; }",
    "x\r\nbackend evil",
    "x\\",
    '\\"; evil on; #',
    "$(id) `id` ${HOME} $http_cookie",
    "%[env(HOME)] %{+Q}r",
    "'; evil 'x",
    "#}{{ config }}{% raw %}",
    "{{ 1 / 0 }}",
    "\u2028evil;\u2029\x85evil;",
    "x\x00evil;",
    " evil;",
]
GOOD: dict[str, Any] = {
    "host": "node-1", "ipv4_addr": "10.0.0.5", "port": 80, "addr": "10.0.0.5:80", "name": "web",
    "id": "i1", "weight": 1, "tags": ["blue"], "meta": {"zone": "a"}, "state": "up",
    "since": "2026-11-21T02:00:00Z", "schema": 1,
}  # fmt: skip


def rendered(source: str, key: str, record: dict[str, Any]) -> str:
    seen = Snapshot().apply(1, [Change(key, json.dumps(record).encode())])
    view = Roster().view(1, 1, seen.instances, ())
    return Template("t", {"t": source}.get, "nginx", Facts({}, {})).render(view, NOW)


def nginx_directives(text: str) -> Iterator[list[str]]:
    """Yield the words of each directive, as nginx reads a file: quotes, comments, ; and braces."""
    token = re.compile(r'\s+|#[^\n]*|([{};])|("(?:[^"\\]|\\.)*")|([^\s{};"\']+)', re.DOTALL)
    words: list[str] = []
    at = 0
    while at < len(text):
        match = token.match(text, at)
        assert match, f"a stray quote at {text[at : at + 40]!r}"
        at = match.end()
        if match[1]:
            if words:
                yield words
            words = []
        elif match[2] or match[3]:
            words.append(match[0])


def haproxy_lines(text: str) -> Iterator[list[str]]:
    """Yield the words of each line, as HAProxy reads a file: quotes, backslashes, comments."""
    for line in text.split("\n"):
        words, word, quoted, at = [], "", False, 0
        while at < len(line):
            letter = line[at]
            if letter == "\\":
                at += 1
                word += line[at]  # one at the end of a line is an error, here as there
            elif letter == '"':
                quoted = not quoted
                word += "\0"
            elif not quoted and letter == "#":
                break
            elif not quoted and letter in " \t\r":
                words += [word] if word else []
                word = ""
            else:
                assert letter != "'" or quoted, "a stray quote"
                assert letter != "$" or not quoted, "the environment would be expanded"
                word += letter
            at += 1
        assert not quoted
        words += [word] if word else []
        if words:
            yield words


def directives(words: Iterator[list[str]]) -> list[tuple[str, int]]:
    return [(each[0], len(each)) for each in words]


def hostile_fields() -> st.SearchStrategy[tuple[str, Any]]:
    text = st.one_of(st.sampled_from(ATTACKS), st.text(max_size=40))
    fields = st.sampled_from(["host", "ipv4_addr", "addr", "name", "id", "state", "since"])
    return st.one_of(
        st.tuples(fields, text),
        st.tuples(st.just("port"), st.one_of(text, st.integers(), st.floats())),
        st.tuples(st.just("weight"), st.one_of(text, st.integers())),
        st.tuples(st.just("tags"), st.lists(text, max_size=2)),
        st.tuples(st.just("meta"), st.dictionaries(text, text, max_size=2)),
        st.tuples(st.just("meta"), text.map(lambda value: {"zone": value})),
        st.tuples(text, text),
    )


@given(hostile_fields())
def test_no_field_of_a_record_adds_a_directive(field: tuple[str, Any]) -> None:
    name, value = field
    record = GOOD | {name: value}
    key = f"/services/{record['name']}/{record['ipv4_addr']}"
    for source, parse in ((NGINX, nginx_directives), (HAPROXY, haproxy_lines)):
        expected = directives(parse(rendered(source, "/services/web/10.0.0.5", GOOD)))
        text = rendered(source, key, record)
        found = directives(parse(text))
        # Nothing at all when the record is refused; else the same, with or without its meta.
        kinds = set(expected)
        assert set(found) <= kinds, text
        assert len(found) <= max(len(expected), 4 + 4 * len(record.get("meta") or ())), text


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_attack_in_free_text_gets_out_of_its_word(attack: str) -> None:
    record = GOOD | {"meta": {"zone": attack}}
    for source, parse in ((NGINX, nginx_directives), (HAPROXY, haproxy_lines)):
        text = rendered(source, "/services/web/10.0.0.5", record)
        if not attack.isprintable():
            assert text.strip() == ""  # the record is refused as a whole
            continue
        expected = directives(parse(rendered(source, "/services/web/10.0.0.5", GOOD)))
        assert directives(parse(text)) == expected


def test_a_template_inside_a_record_is_not_a_template() -> None:
    record = GOOD | {"meta": {"zone": "{{ 7 * 191 }}"}}
    assert "1337" not in rendered(NGINX, "/services/web/10.0.0.5", record)
