"""docs/templates.md keeps to the facts: its templates work, its vars are those that there are."""

import json
import re
from pathlib import Path

import pytest

from secretary.core.errors import TemplateError
from secretary.core.instance import Instance, State
from secretary.core.settings import Builtin, TemplateSettings
from secretary.renderer.outputs import output
from secretary.renderer.services import Roster
from secretary.renderer.site import Site
from tests.rendered import NOW
from tests.system.haproxy_bed import HaproxyBed
from tests.system.nginx_bed import NginxBed
from tests.unit.renderer.records import instance, keyed

PAGE = (Path(__file__).parents[2] / "docs" / "templates.md").read_text()
TEMPLATES = re.findall(r"```jinja\n\{# (\w+) #\}\n(.*?)```", PAGE, re.DOTALL)
MANY = (
    instance("api", "10.0.0.1", 8080, weight=7),
    instance("api", "2001:db8::5", 8080, state=State.DRAINING),
    instance("monitoring", "10.0.0.3", meta={"zone": 'a "b"; }'}),
    instance("web", "10.0.0.4", weight=60000, tags=("blue",)),
    instance("web", "10.0.0.5", weight=30000),
    instance("web", "10.0.0.6", weight=0),
)


def test_every_template_of_the_page_is_tried() -> None:
    assert PAGE.count("```jinja") == len(TEMPLATES) == 4


@pytest.mark.parametrize("records", [(), MANY], ids=["nothing", "many"])
@pytest.mark.parametrize(("kind", "source"), TEMPLATES)
def test_a_template_of_the_page_works(
    kind: str, source: str, records: tuple[Instance, ...], tmp_path: Path
) -> None:
    file = tmp_path / "own.j2"
    file.write_text(source)
    settings = TemplateSettings(template=str(file), dest="/a.cfg" if kind == "haproxy" else "/a")
    view = Roster().view(7, 0, keyed(records), ())
    text = output(settings, {}).template.render(view, NOW)
    if kind == "nginx":
        assert NginxBed(tmp_path, own=text).check() == ""
    elif kind == "haproxy":
        with HaproxyBed(tmp_path, text) as bed:
            weights = {name: found[1] for name, found in bed.servers("web").items()}
        expected = {"10.0.0.4:80": 256, "10.0.0.5:80": 128, "10.0.0.6:80": 0}
        assert weights == (expected if records else {})
    else:
        targets = [target for each in json.loads(text) for target in each["targets"]]
        assert targets == [record.addr for record in records]


def test_the_vars_are_all_there() -> None:
    told = re.findall(r"^\| `([a-z-]+(?:\.SERVICE)?)` \| (?:`(\S+)`)? ?\|", PAGE, re.MULTILINE)
    with pytest.raises(TemplateError) as caught:
        Site.of(Builtin.HAPROXY, {"nothing": ""})
    known = str(caught.value).partition("known are ")[2].replace("<service>", "SERVICE").split(", ")
    assert sorted(name for name, _ in told) == sorted(known)
    given = Site.of(Builtin.HAPROXY, {name: text for name, text in told if text})
    assert given == Site.of(Builtin.HAPROXY, {})
