"""Templates are strict, say where they are wrong, and render again only what changed."""

from datetime import UTC, datetime
from typing import Any

import pytest

from secretary.core.errors import TemplateError
from secretary.core.instance import Instance
from secretary.renderer.services import Roster, View
from secretary.renderer.template import Facts, Template
from tests.unit.renderer.records import instance, keyed

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def template(source: str, **more: Any) -> Template:
    sources = {"t.j2": source, **more.pop("others", {})}
    facts = Facts(more.pop("vars", {}), more.pop("environ", {}))
    return Template("t.j2", sources.get, more.pop("syntax", "nginx"), facts, frozenset(), **more)


def view(*records: Instance, revision: int = 7, roster: Roster | None = None) -> View:
    return (roster or Roster()).view(revision, 0, keyed(records), ())


def render(source: str, *records: Instance, **more: Any) -> str:
    return template(source, **more).render(view(*records), NOW)


def test_the_context_is_as_documented() -> None:
    source = (
        "{{ revision }} {{ now.year }} {{ env.HOME }} {{ vars.zone }} {{ services | length }} "
        "{% for i in services.web %}{{ i.addr }},{{ i.ip }},{{ i.port }},{{ i.host }},"
        "{{ i.weight }},{{ i.state }},{{ i.tags | join('+') }},{{ i.meta.zone | word }}{% endfor %}"
    )
    record = instance(tags=("blue", "fast"), meta={"zone": "a1"})
    said = render(source, record, vars={"zone": "z"}, environ={"HOME": "/h"})
    assert said == "7 2026 /h z 1 10.0.0.1:80,10.0.0.1,80,node-1,100,up,blue+fast,a1"


def test_a_service_that_nobody_has_seen_is_empty() -> None:
    assert render("{{ services['my-app'] | length }} {{ 'my-app' in services }}") == "0 False"


def test_a_service_may_be_called_like_a_method() -> None:
    assert render("{{ services.items | length }}", instance("items")) == "1"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("a\n{{ services.web.nothing }}", "template t.j2, line 2: "),
        ("{{ nothing }}", "'nothing' is undefined"),
        ("a\n{% for %}", "template t.j2, line 2: "),
        ("{% include 'other.j2' %}", "other.j2"),
        ("{{ fail('give --var x=y') }}", "template t.j2, line 1: give --var x=y"),
        ("{% for i in services.web %}{{ i.meta.x | quote }}{% endfor %}", "no attribute 'x'"),
        ("{% for i in services.web %}{{ i.meta.zone }}{% endfor %}", "needs a filter"),
        ("{% for i in services.web %}{{ i.meta.zone ~ 'x' }}{% endfor %}", "needs a filter"),
        ("{% for i in services.web %}{{ i.meta.zone | upper }}{% endfor %}", "needs a filter"),
        ("{% for i in services.web %}{{ i.meta }}{% endfor %}", "needs a filter"),
        ("{% for i in services.web %}{{ '%s' % i.meta.zone }}{% endfor %}", "needs a filter"),
        ("{% for i in services.web %}{{ i.meta.values() | join }}{% endfor %}", "needs a filter"),
    ],
)
def test_what_is_wrong_is_one_line_that_names_the_place(source: str, message: str) -> None:
    with pytest.raises(TemplateError) as caught:
        render(source, instance(meta={"zone": "a"}))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_fault_in_an_included_template_names_that_one() -> None:
    with pytest.raises(TemplateError, match=r"template part\.j2, line 2: 'x' is undefined"):
        render("{% include 'part.j2' %}", others={"part.j2": "\n{{ x }}"})


@pytest.mark.parametrize(
    ("filter_", "text", "quoted"),
    [
        ("nginx_quote", 'a" b\\; $x {', r'"a\" b\\; _x {"'),
        ("haproxy_quote", 'a" b\\ $x #', r'"a\" b\\ \$x #"'),
        ("haproxy_format", "%[env(X)] 5%", '"%%[env(X)] 5%%"'),
        ("json", 'a"b', '"a\\"b"'),
        ("word", "a/b-c.d:1@e_f", "a/b-c.d:1@e_f"),
        ("word('none')", "a b", "none"),
        ("word", "a;b", ""),
        ("comment", "a # b", "a # b"),
    ],
)
def test_free_text_is_quoted_by_the_filters(filter_: str, text: str, quoted: str) -> None:
    source = f"{{{{ services.web.instances[0].meta.k | {filter_} }}}}"
    assert render(source, instance(meta={"k": text})) == quoted


def test_quote_is_of_the_template_s_own_syntax() -> None:
    source, record = "{{ services.web.instances[0].meta.k | quote }}", instance(meta={"k": "$"})
    assert render(source, record) == '"_"'
    assert render(source, record, syntax="haproxy") == '"\\$"'


def test_free_text_can_be_compared_and_tested() -> None:
    source = (
        "{% for i in services.web if i.meta.zone == 'a' and i.meta.zone in ['a'] %}x{% endfor %}"
    )
    assert render(source, instance(meta={"zone": "a"})) == "x"


def test_only_what_was_looked_at_makes_a_template_render_again() -> None:
    roster, counted = Roster(), template("{{ services.web | length }} {{ revision }}")
    web = instance()
    assert counted.render(view(web, revision=1, roster=roster), NOW) == "1 1"
    assert counted.render(view(web, instance("db"), revision=2, roster=roster), NOW) == "1 1"
    more = view(web, instance(ip="10.0.0.2"), revision=3, roster=roster)
    assert counted.render(more, NOW) == "2 3"


def test_a_template_that_looks_at_all_sees_a_new_service() -> None:
    roster = Roster()
    names = template("{% for s in services %}{{ s.name }} {% endfor %}")
    assert names.render(view(instance(), roster=roster), NOW) == "web "
    assert names.render(view(instance(), instance("db"), roster=roster), NOW) == "db web "


def test_only_the_services_asked_for_are_seen() -> None:
    sources = {"t.j2": "{% for s in services %}{{ s.name }}:{{ s | length }} {% endfor %}"}
    only = Template("t.j2", sources.get, "nginx", Facts({}, {}), frozenset({"web", "api"}))
    assert only.render(view(instance(), instance("db")), NOW) == "api:0 web:1 "


def test_what_is_remembered_is_made_anew_when_its_instance_changes() -> None:
    source = (
        "{% macro line(i, w) %}{{ i.addr }}={{ w }} {% endmacro %}"
        "{% macro block(s) %}{{ for_each(line, s, 256) }}{% endmacro %}"
        "{% for s in services %}{{ remembered(block, s) }}{% endfor %}"
    )
    roster, kept = Roster(), template(source)
    others = [instance(ip="10.0.0.2", weight=256), instance("db", weight=3)]
    first = kept.render(view(instance(weight=1), *others, roster=roster), NOW)
    assert first == "10.0.0.1:80=3 10.0.0.1:80=1 10.0.0.2:80=256 "
    heavy = [instance(ip="10.0.0.2", weight=512), others[1]]
    second = kept.render(view(instance(weight=100), *heavy, roster=roster), NOW)
    assert second == "10.0.0.1:80=3 10.0.0.1:80=50 10.0.0.2:80=256 "


def test_what_is_remembered_does_not_pile_up() -> None:
    source = "{% macro line(i, w) %}{{ w }}{% endmacro %}{{ for_each(line, services.web, 99) }}"
    roster, kept = Roster(), template(source)
    for weight in range(3000):
        kept.render(view(instance(weight=weight % 60000 + 1), roster=roster), NOW)
    assert len(kept._kept) < 1100


def test_macros_of_one_name_in_two_files_are_two() -> None:
    source = (
        "{% import 'a' as a %}{% import 'b' as b %}"
        "{{ remembered(a.m, 1) }}{{ remembered(b.m, 1) }}{{ remembered(a.m, true) }}"
    )
    others = {"a": "{% macro m(x) %}A{{ x }} {% endmacro %}"}
    others["b"] = others["a"].replace("A", "B")
    assert render(source, others=others) == "A1 B1 ATrue "


def test_a_template_that_asks_whether_a_service_is_there_is_told_when_it_is() -> None:
    roster = Roster()
    asking = template("{{ 'web' in services }}")
    assert asking.render(view(roster=roster), NOW) == "False"
    view(instance(), roster=roster)
    assert asking.render(view(roster=roster), NOW) == "True"
