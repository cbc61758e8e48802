"""What labels say to the agent of a host; what is wrong with one concerns that container alone."""

import pytest

from secretary.core import record
from secretary.core.instance import Instance
from secretary.devetcd import DevEtcd
from tests.etcd_bed import Etcdctl
from tests.secretaries import Secretary, run
from tests.system.containers_bed import (
    PORT,
    Boxes,
    boxes,
    faults,
    host_agent,
    images,
    registers,
)
from tests.system.docker_bed import Docker
from tests.waiting import wait_for

__all__ = ["boxes", "images"]
pytestmark = [pytest.mark.docker, pytest.mark.root, pytest.mark.timeout(900)]


def instance(etcdctl: Etcdctl, key: str) -> Instance:
    return record.decode(key, wait_for(lambda: etcdctl.get(key), what=f"{key} was there").value)


def names(agent: Secretary) -> set[str]:
    return {service["name"] for service in agent.services() if service["registered"]}


def test_labels_that_are_wrong_concern_their_container_alone(
    docker: Docker, boxes: Boxes, etcd: DevEtcd, prefix: str
) -> None:
    """One line each, with the container and the label; the good one beside them is published."""
    port = boxes.publish()
    # fmt: off
    wrong = {
        "typo": ("secretary.prot", {".name": "x", ".prot": "80"}, port),
        "word": ("secretary.port", {".name": "x", ".port": "x"}, port),
        "unit": ("secretary.interval", {".name": "x", ".interval": "5 parsecs"}, port),
        "tags": ("secretary.tags", {".name": "x", ".tags": "a b"}, port),
        "heavy": ("secretary.weight", {".name": "x", ".weight": "-1"}, port),
        "else": ("secretary.probe", {".name": "x", ".probe": "http://10.0.0.1/"}, port),
        "exec": ("secretary.probe", {".name": "x", ".probe": "exec:/bin/true"}, port),
        "nocheck": ("secretary.probe", {".name": "x", ".probe": "docker"}, port),
        "hidden": ("not published", {".name": "x", ".port": "9090"}, port),
        "loop": ("127.0.0.1", {".name": "x", ".port": f"{PORT}"}, f"--publish=127.0.0.1::{PORT}"),
        "nameless": ("secretary.name", {".port": f"{PORT}"}, port),
    }
    # fmt: on
    good = boxes.start("good", {".name": "good"}, port)
    for short, (_, labels, published) in wrong.items():
        boxes.start(short, labels, published)
    with host_agent(docker, etcd.urls, prefix) as agent:
        registers(agent, 1)
        wait_for(lambda: len(faults(agent)) == len(wrong))
        found = faults(agent)
        for short, (words, _, _) in wrong.items():
            text = found[boxes.name(short)]
            assert text.startswith(f"container {boxes.name(short)}: "), text
            assert words in text
            assert "\n" not in text
            assert agent.log.count(text) == 1
        assert names(agent) == {"good"}
        assert len(agent.complaints) == len(wrong)
        assert f"secretary_faulty_containers {len(wrong)}" in agent.page("/metrics")[1]

        boxes.start("after", {".name": "after"}, port)
        wait_for(lambda: names(agent) == {"good", "after"})
        good("stop", "--time", "5")
        wait_for(lambda: names(agent) == {"after"})


def test_a_container_may_be_several_services(
    docker: Docker, boxes: Boxes, etcd: DevEtcd, etcdctl: Etcdctl, prefix: str
) -> None:
    # fmt: off
    box = boxes.start("several", {
        ".name": "web", ".port": f"{PORT}",
        ".admin.name": "admin", ".admin.port": "9090", ".admin.probe": f"http://:{PORT}/",
        ".admin.tags": "internal",
    }, boxes.publish(), boxes.publish(9090))
    # fmt: on
    with host_agent(docker, etcd.urls, prefix) as agent:
        assert instance(etcdctl, f"{prefix}/web/{box.addr()}").tags == ()
        assert instance(etcdctl, f"{prefix}/admin/{box.addr(9090)}").tags == ("internal",)
        registers(agent, 2)
        metrics = agent.page("/metrics")[1]
        for name, addr in (("web", box.addr()), ("admin", box.addr(9090))):
            labels = f'key="{prefix}/{name}/{addr}",service="{name}"'
            assert f"secretary_registered{{{labels}}} 1.0" in metrics


def test_what_registrators_users_have_is_understood(
    docker: Docker, boxes: Boxes, etcd: DevEtcd, etcdctl: Etcdctl, prefix: str
) -> None:
    """As variables or labels; several ports have names of their own; IGNORE is obeyed."""
    ports = boxes.publish(), boxes.publish(9090)
    # fmt: off
    variables = boxes.start(
        "variables", {}, boxes.publish(), "--env=SERVICE_NAME=shop", "--env=SERVICE_TAGS=a,b",
    )
    both = boxes.start("both", {"SERVICE_NAME": "api", "SERVICE_9090_NAME": "metrics"}, *ports)
    some = boxes.start(
        "some", {"SERVICE_NAME": "some", "SERVICE_9090_IGNORE": "1", "SERVICE_ZONE": "z1"}, *ports,
    )
    boxes.start("none", {"SERVICE_NAME": "none", "SERVICE_IGNORE": "true"}, *ports)
    # fmt: on
    probe = ("--probe", f"http://:{PORT}/")
    with host_agent(docker, etcd.urls, prefix, *probe) as agent:
        shop = instance(etcdctl, f"{prefix}/shop/{variables.addr()}")
        assert shop.tags == ("a", "b")
        instance(etcdctl, f"{prefix}/api-{PORT}/{both.addr()}")
        instance(etcdctl, f"{prefix}/metrics/{both.addr(9090)}")
        found = instance(etcdctl, f"{prefix}/some-{PORT}/{some.addr()}")
        assert dict(found.meta) == {"zone": "z1"}
        registers(agent, 4)
        assert faults(agent) == {}


def test_auto_publishes_what_has_a_published_port(
    docker: Docker, boxes: Boxes, etcd: DevEtcd, etcdctl: Etcdctl, prefix: str
) -> None:
    """By the name of its image; without a port, or with a word against it, nothing."""
    image = boxes.images.plain.partition(":")[0]
    plain = boxes.start("plain", {}, boxes.publish())
    labelled = boxes.start("labelled", {".name": "labelled"}, boxes.publish())
    boxes.start("silent")
    boxes.start("ignored", {"SERVICE_IGNORE": "yes"}, boxes.publish())
    with host_agent(docker, etcd.urls, prefix, "--auto") as agent:
        instance(etcdctl, f"{prefix}/{image}/{plain.addr()}")
        instance(etcdctl, f"{prefix}/labelled/{labelled.addr()}")
        registers(agent, 2)
    with host_agent(docker, etcd.urls, prefix, ttl="3s") as agent:
        registers(agent, 1)
        assert names(agent) == {"labelled"}


def test_the_network_is_chosen_by_a_label(
    docker: Docker, boxes: Boxes, etcd: DevEtcd, etcdctl: Etcdctl, prefix: str
) -> None:
    back, front = boxes.network("back"), boxes.network("front")
    labels = {".name": "web", ".port": f"{PORT}", ".advertise": "container"}
    boxes.start("torn", labels, f"--network={back}")
    chosen = boxes.start("chosen", {**labels, ".network": front}, f"--network={back}")
    for short in ("torn", "chosen"):
        docker("network", "connect", front, boxes.name(short))
    with host_agent(docker, etcd.urls, prefix) as agent:
        instance(etcdctl, f"{prefix}/web/{chosen.ip(front)}:{PORT}")
        text = wait_for(lambda: faults(agent).get(boxes.name("torn")))
        assert back in text
        assert front in text
        assert "secretary.network" in text
        assert len(agent.services()) == 1


def test_an_image_that_says_unhealthy_loses_its_record(
    docker: Docker, boxes: Boxes, etcd: DevEtcd, etcdctl: Etcdctl, prefix: str
) -> None:
    labels = {".name": "web", ".probe": "docker"}
    box = boxes.start("checked", labels, boxes.publish(), image=boxes.images.checked)
    key = f"{prefix}/web/{box.addr()}"
    with host_agent(docker, etcd.urls, prefix):
        instance(etcdctl, key)
        box.ask("/fail")
        wait_for(lambda: etcdctl.get(key) is None)
        assert box.told()["State"]["Health"]["Status"] == "unhealthy"
        box.ask("/recover")
        instance(etcdctl, key)


def test_check_tells_what_would_be_and_leaves_nothing_behind(
    docker: Docker, boxes: Boxes, own_etcd: DevEtcd, own_etcdctl: Etcdctl, prefix: str
) -> None:
    """It fails while anything is wrong with a container."""
    good = boxes.start("good", {".name": "good"}, boxes.publish())
    revision, leases = own_etcdctl.revision(), own_etcdctl.leases()
    asked = ("host", "--check", "--etcd", own_etcd.urls[0], "--prefix", prefix)
    told = run(*asked, timeout_s=30, **docker.environ())
    assert told.returncode == 0, told.stdout + told.stderr
    assert f"note  service: good at {good.addr()}, container {good.name}" in told.stdout

    boxes.start("wrong", {".name": "wrong", ".port": "x"}, boxes.publish())
    told = run(*asked, timeout_s=30, **docker.environ())
    assert told.returncode == 1
    assert f"{boxes.name('wrong')}: label secretary.port" in told.stdout
    assert own_etcdctl.revision() == revision
    assert own_etcdctl.leases() == leases
