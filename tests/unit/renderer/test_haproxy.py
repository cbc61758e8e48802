"""A haproxy configuration is read as servers and structure, and plans lead from one to another."""

from dataclasses import replace
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secretary.renderer.haproxy import Config, Server, Words, parse
from secretary.renderer.haproxy_commands import (
    Add,
    Check,
    Disable,
    Enable,
    Key,
    Readdress,
    Remove,
    Replace,
    Weigh,
    escaped,
    is_busy,
    is_refusal,
)
from secretary.renderer.haproxy_plan import Plan, Running, plan, read_state

BEGINNING: Final = """\
global
    log stdout format raw local0

defaults
    mode http
"""
WEB: Final = "backend web\n    balance roundrobin\n"
KEY: Final = ("web", "a")
SERVER: Final = Server("a", "10.0.0.5", 8080, 100, arguments=("check", "inter", "2s"))
FOUND: Final = Running("1", "10.0.0.5", "8080", "100", "0", "6", "0", "2")
"""That server, as a running haproxy shows it."""


def servers(*lines: str, beginning: str = BEGINNING) -> dict[str, Server]:
    """Return the servers of a backend `web` that holds these lines."""
    text = beginning + WEB + "".join(f"    {line}\n" for line in lines)
    return dict(parse(text).backends["web"])


def of(*wanted: Server) -> Config:
    return Config((), {"web": {server.name: server for server in wanted}})


def planned(
    wanted: Config, found: dict[str, Running], arguments: Words | None = SERVER.arguments
) -> Plan:
    """Plan where every server of `web` was given the same arguments."""
    given_them = {} if arguments is None else {("web", name): arguments for name in found}
    return plan(wanted, {"web": found}, given_them)


# Reading a configuration


def test_a_server_is_its_name_address_weight_and_other_arguments() -> None:
    line = "server 10.0.0.5:8080 10.0.0.5:8080 weight 50 check inter 2s"
    assert servers(line) == {
        "10.0.0.5:8080": Server(
            "10.0.0.5:8080", "10.0.0.5", 8080, 50, arguments=("check", "inter", "2s")
        )
    }


@pytest.mark.parametrize(
    ("address", "ip"),
    [
        ("[2001:db8::5]:80", "2001:db8::5"),
        ("2001:db8::5:80", "2001:db8::5"),
        ("[2001:0DB8:0::5]:80", "2001:db8::5"),
        ("ipv6@[2001:db8::5]:80", "2001:db8::5"),
        ("ipv4@10.0.0.5:80", "10.0.0.5"),
    ],
)
def test_an_address_is_read_as_haproxy_reads_it(address: str, ip: str) -> None:
    (server,) = servers(f"server a {address}").values()
    assert (server.ip, server.port) == (ip, 80)


def test_what_default_server_says_comes_before_a_servers_own_words() -> None:
    found = servers(
        "server a 10.0.0.5:80 inter 1s",
        "default-server fall 3 weight 7 disabled",
        "server b 10.0.0.6:80 inter 1s",
        "server c 10.0.0.7:80 weight 9 enabled",
        beginning="defaults\n default-server check inter 5s\n default-server rise 1\n",
    )
    above = ("check", "inter", "5s", "rise", "1")
    assert found["a"] == Server("a", "10.0.0.5", 80, arguments=(*above, "inter", "1s"))
    mine = (*above, "fall", "3")
    assert found["b"] == Server("b", "10.0.0.6", 80, 7, True, (*mine, "inter", "1s"))
    assert found["c"] == Server("c", "10.0.0.7", 80, 9, False, mine)


def test_a_section_inherits_of_the_last_defaults_or_of_those_it_names() -> None:
    text = """
        defaults one
            default-server maxconn 1
        defaults two from one
            default-server maxqueue 2
        defaults
            default-server minconn 3
        backend a
            server s 10.0.0.5:80
        backend b from two
            server s 10.0.0.5:80
        defaults
            mode tcp
        listen c
            server s 10.0.0.5:80
    """
    found = {name: servers["s"].arguments for name, servers in parse(text).backends.items()}
    assert found == {"a": ("minconn", "3"), "b": ("maxconn", "1", "maxqueue", "2"), "c": ()}


def test_words_that_haproxy_adds_no_server_with_are_left_out_where_they_mean_nothing() -> None:
    beginning = "defaults\n default-server init-addr last,none resolvers dns check\n"
    assert servers("server a 10.0.0.5:80 no-check", beginning=beginning)["a"].arguments == ()
    assert servers("server a 10.0.0.5:80", beginning=beginning)["a"].arguments == ("check",)


def test_quotes_escapes_and_comments_are_read_as_haproxy_reads_them() -> None:
    line = r"""server 'a' 10.0.0.5:80 sni "str(a b)" x\ y \# "\"" '$' # check"""
    assert servers(line)["a"].arguments == ("sni", "str(a b)", "x y", "#", '"', "$")


names = st.from_regex(r"[a-z0-9.:-]{1,20}", fullmatch=True)
addresses = st.builds("{}:{}".format, st.ip_addresses(v=4), st.integers(1, 65535))


@given(st.dictionaries(names, addresses), st.dictionaries(names, addresses))
def test_configurations_that_differ_in_servers_have_the_same_structure(
    one: dict[str, str], other: dict[str, str]
) -> None:
    first, second = (
        parse(
            BEGINNING
            + WEB
            + "".join(f" server {name} {addr} check\n" for name, addr in them.items())
        )
        for them in (one, other)
    )
    assert first.changed_since(second.structure) is None
    assert first.backends["web"].keys() == one.keys()
    assert second.backends["web"].keys() == other.keys()


def test_comments_blank_lines_spaces_and_quotes_that_mean_nothing_are_no_structure() -> None:
    plain = BEGINNING + WEB + "    acl a path /x y\n"
    other = (
        "# made at revision 5\n\n"
        + BEGINNING.replace("    ", "\t  ")
        + "  backend   web # of the service\n balance\troundrobin\n\n"
        + " acl 'a' \"path\" /x y\n  # end"
    )
    assert parse(other).changed_since(parse(plain).structure) is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("roundrobin", "leastconn"), "`backend web` has changed in more than its servers"),
        (("mode http", "mode http\n timeout client 1s"), "`defaults` has changed"),
        (("global\n", "global\n maxconn 7\n"), "`global` has changed"),
        (("backend web", "backend other\nbackend web"), "`backend other` is new"),
        ((WEB, ""), "`backend web` is gone"),
        ((WEB, WEB + "  default-server check\n"), "`backend web` has changed"),
        ((WEB, WEB + "  server-template s 3 example.com:80\n"), "`backend web` has changed"),
        ((BEGINNING, "# nothing\n" + BEGINNING), None),
        ((BEGINNING + WEB, WEB + BEGINNING), "`backend web` has changed"),
    ],
)
def test_a_change_of_structure_is_told_by_its_section(
    change: tuple[str, str], reason: str | None
) -> None:
    before = BEGINNING + WEB
    said = parse(before.replace(*change)).changed_since(parse(before).structure)
    assert said is None if reason is None else said is not None and said.startswith(reason)


def test_a_change_of_a_password_is_told_without_it() -> None:
    before = BEGINNING + "userlist staff\n    user anna insecure-password hunter2\n"
    said = parse(before.replace("hunter2", "hunter3")).changed_since(parse(before).structure)
    assert said is not None
    assert "hunter" not in said


@pytest.mark.parametrize(
    "lines",
    [
        "server b example.com:80",
        "server b unix@/run/b.sock",
        "server b 10.0.0.6",
        "server b 10.0.0.6:+1",
        'server b "$ADDR"',
        "server b 10.0.0.6:80 weight",
        "server b",
        "server a 10.0.0.6:80",
        'default-server maxconn "${MOST}"\nserver b 10.0.0.6:80',
        "server-template b 1-3 example.com:80",
        ".if feature(X)\nserver b 10.0.0.6:80\n.endif",
        "disabled",
    ],
)
def test_what_the_socket_cannot_speak_of_leaves_its_backend_to_reloads(lines: str) -> None:
    other = "backend other\n  server o 10.0.0.9:80\n"
    one = parse(BEGINNING + WEB + f" server a 10.0.0.5:80\n{lines}\n" + other)
    two = parse(BEGINNING + WEB + f" server a 10.0.0.4:80\n{lines}\n" + other)
    assert one.backends.keys() == {"other"}
    assert one.proxies == {"web", "other"}
    assert one.changed_since(two.structure) is not None


def test_sections_within_a_condition_are_left_to_reloads() -> None:
    text = f".if feature(X)\n{WEB} server a 10.0.0.5:80\nbackend b\n server a 10.0.0.5:80\n.endif\n"
    assert parse(text + "backend c\n server a 10.0.0.5:80\n").backends.keys() == {"c"}
    assert "server a 10.0.0.5:80" in parse(text).structure


def test_servers_of_other_sections_are_structure() -> None:
    text = BEGINNING + "peers p\n server a 10.0.0.5:80\nring r\n server b 10.0.0.5:80\n"
    assert parse(text).structure[-4:] == (
        *("peers p", "server a 10.0.0.5:80", "ring r", "server b 10.0.0.5:80"),
    )


@given(st.text())
def test_any_text_can_be_read(text: str) -> None:
    parse(text)
    parse(WEB + text)


# Planning


def test_what_is_as_wanted_needs_no_plan() -> None:
    assert planned(of(SERVER), {"a": FOUND}) == Plan([], [], [], [])


def test_a_server_that_is_missing_is_added_with_its_check_and_made_ready() -> None:
    (add,) = planned(of(SERVER), {}).additions
    assert add.lines == (
        "add server web/a 10.0.0.5:8080 id 1 weight 100 pool-purge-delay 5s pool-max-conn -1"
        " check inter 2s",
        "enable health web/a",
        "set server web/a state ready",
    )


def test_a_disabled_server_is_added_and_stays_in_maintenance() -> None:
    server = Server("a", "2001:db8::5", 80, disabled=True, arguments=("agent-check", "id", "7"))
    (add,) = planned(of(server), {}).additions
    assert add.lines == (
        "add server web/a [2001:db8::5]:80 weight 1 pool-purge-delay 5s pool-max-conn -1"
        " agent-check id 7",
        "enable agent web/a",
    )


def test_no_two_servers_of_a_backend_get_the_same_id() -> None:
    news = [replace(SERVER, name=name) for name in "bcd"]
    todo = planned(of(SERVER, *news), {"a": FOUND._replace(srv_id="41")})
    assert [add.id for add in todo.additions] == [42, 43, 44]


@pytest.mark.parametrize(
    ("found", "step"),
    [
        ({"srv_uweight": "7"}, Weigh(KEY, 100)),
        ({"srv_addr": "10.0.0.6"}, Readdress(KEY, "10.0.0.5", 8080)),
        ({"srv_addr": "-"}, Readdress(KEY, "10.0.0.5", 8080)),
        ({"srv_port": "8081"}, Readdress(KEY, "10.0.0.5", 8080)),
        ({"srv_admin_state": "1"}, Enable(KEY)),
        ({"srv_admin_state": "5"}, Enable(KEY)),
        ({"srv_admin_state": "8"}, Enable(KEY)),
        ({"srv_check_state": "2"}, Check(KEY, "health")),
    ],
)
def test_what_was_changed_by_hand_is_changed_back(found: dict[str, str], step: object) -> None:
    assert planned(of(SERVER), {"a": FOUND._replace(**found)}).changes == [step]


@pytest.mark.parametrize(
    "found", [{"srv_admin_state": "4"}, {"srv_op_state": "0"}, {"srv_check_state": "15"}]
)
def test_what_only_haproxy_decides_is_left_to_it(found: dict[str, str]) -> None:
    assert planned(of(SERVER), {"a": FOUND._replace(**found)}) == Plan([], [], [], [])


def test_the_same_ipv6_address_may_be_written_in_two_ways() -> None:
    server = replace(SERVER, ip="::ffff:a00:5")
    assert not planned(of(server), {"a": FOUND._replace(srv_addr="::ffff:10.0.0.5")}).changes


def test_a_server_that_the_file_disables_goes_into_maintenance() -> None:
    assert planned(of(replace(SERVER, disabled=True)), {"a": FOUND}).changes == [Disable(KEY)]


def test_a_server_that_is_not_wanted_is_removed_and_one_on_its_way_out_again() -> None:
    todo = planned(of(), {"a": FOUND, "b": FOUND._replace(srv_admin_state="1")})
    assert todo.removals == [Remove(KEY, maintained=False), Remove(("web", "b"), maintained=True)]
    assert todo.removals[0].lines == ("set server web/a state maint",)
    assert todo.removals[1].lines == ()
    assert todo.first == KEY
    assert planned(of(), {"b": FOUND._replace(srv_admin_state="1")}).first is None


def test_a_server_that_is_wanted_again_while_it_leaves_is_made_ready_with_its_weight() -> None:
    leaving = FOUND._replace(srv_admin_state="1", srv_uweight="3")
    assert planned(of(SERVER), {"a": leaving}).changes == [Weigh(KEY, 100), Enable(KEY)]


@pytest.mark.parametrize("arguments", [("check", "inter", "5s"), None])
def test_other_or_unknown_arguments_are_replaced_where_others_take_the_requests(
    arguments: Words | None,
) -> None:
    other = replace(SERVER, name="b", arguments=arguments or ())
    found = {"a": FOUND, "b": FOUND._replace(srv_id="2")}
    todo = plan(
        of(SERVER, other),
        {"web": found},
        {("web", "b"): other.arguments} | ({} if arguments is None else {KEY: arguments}),
    )
    assert Replace(Remove(KEY, False), Add(KEY, SERVER, 1)) in todo.replacements


@pytest.mark.parametrize(
    "other",
    [{"srv_op_state": "0"}, {"srv_uweight": "0"}, {"srv_admin_state": "1"}, None],
)
def test_other_arguments_of_the_only_server_that_works_are_for_a_reload(
    other: dict[str, str] | None,
) -> None:
    found = {"a": FOUND} | ({"b": FOUND._replace(**other)} if other else {})
    wanted = of(SERVER, replace(SERVER, name="b", arguments=("check",)))
    todo = plan(wanted, {"web": found}, {KEY: (), ("web", "b"): ("check",)})
    assert todo == Plan(reload="web/a has other arguments, and nobody to take its requests")
    still = {name: server._replace(srv_op_state="0") for name, server in found.items()}
    assert plan(wanted, {"web": still}, {KEY: (), ("web", "b"): ("check",)}).replacements


def test_a_check_that_runs_and_is_not_configured_says_that_the_arguments_are_others() -> None:
    server = replace(SERVER, arguments=())
    found = FOUND._replace(srv_op_state="0")
    assert planned(of(server), {"a": found}, ()).replacements
    assert not planned(of(server), {"a": found._replace(srv_check_state="0")}, ()).replacements


def test_the_same_name_in_two_backends_is_two_servers() -> None:
    wanted = Config((), {"web": {"a": SERVER}, "db": {"a": replace(SERVER, weight=5)}})
    running = {"web": {"a": FOUND}, "db": {"a": FOUND}}
    todo = plan(wanted, running, {KEY: SERVER.arguments, ("db", "a"): SERVER.arguments})
    assert todo == Plan([], [Weigh(("db", "a"), 5)], [], [])


some_servers = st.dictionaries(
    st.sampled_from("abc"),
    st.builds(
        Server,
        name=st.just(""),
        ip=st.sampled_from(["10.0.0.5", "2001:db8::5"]),
        port=st.integers(1, 3),
        weight=st.integers(0, 2),
        disabled=st.booleans(),
        arguments=st.sampled_from([(), ("check",), ("check", "inter", "1s")]),
    ),
).map(lambda found: {name: replace(server, name=name) for name, server in found.items()})
some_state = st.builds(
    Running,
    srv_id=st.integers(1, 9).map(str),
    srv_addr=st.sampled_from(["10.0.0.5", "2001:db8::5", "-"]),
    srv_port=st.integers(0, 3).map(str),
    srv_uweight=st.integers(0, 2).map(str),
    srv_admin_state=st.sampled_from("01458"),
    srv_check_state=st.sampled_from(["0", "2", "6", "7"]),
    srv_agent_state=st.just("0"),
    srv_op_state=st.sampled_from("0123"),
)


@given(
    some_servers,
    st.dictionaries(st.sampled_from("abcd"), some_state),
    st.dictionaries(st.sampled_from("abcd"), st.sampled_from([(), ("check",)])),
)
def test_a_plan_that_is_carried_out_leaves_nothing_to_plan(
    wanted: dict[str, Server], found: dict[str, Running], remembered: dict[str, Words]
) -> None:
    config = Config((), {"web": wanted})
    arguments: dict[Key, Words] = {("web", name): words for name, words in remembered.items()}
    todo = plan(config, {"web": found}, arguments)
    if todo.reload is None:
        after = carried_out(todo, found, arguments)
        assert plan(config, {"web": after}, arguments) == Plan([], [], [], [])


def carried_out(
    todo: Plan, found: dict[str, Running], arguments: dict[Key, Words]
) -> dict[str, Running]:
    """Return what would be read back if all of it was done."""
    after = dict(found)
    for removal in (*todo.removals, *(step.removal for step in todo.replacements)):
        del after[removal.key[1]]
    for add in (*todo.additions, *(step.addition for step in todo.replacements)):
        server = add.server
        check = "6" if "check" in server.arguments else "0"
        admin = "1" if server.disabled else "0"
        after[add.key[1]] = Running(
            str(add.id), server.ip, str(server.port), str(server.weight), admin, check, "0", "2"
        )
        arguments[add.key] = server.arguments
    for step in todo.changes:
        changed: dict[str, str] = {}
        match step:
            case Weigh(_, weight):
                changed = {"srv_uweight": str(weight)}
            case Readdress(_, ip, port):
                changed = {"srv_addr": ip, "srv_port": str(port)}
            case Enable():
                changed = {"srv_admin_state": "0"}
            case Disable():
                changed = {"srv_admin_state": "1"}
            case Check():
                changed = {"srv_check_state": "6"}
        after[step.key[1]] = after[step.key[1]]._replace(**changed)
    return after


# What haproxy says

STATE: Final = """\
1
# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight \
srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state \
srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl \
srv_check_port srv_check_addr srv_agent_addr srv_agent_port
3 web 1 a 10.0.0.5 2 0 100 1 1 1 0 2 6 0 0 0 - 8080 - 0 0 - - 0
3 web 2 2001:db8::5:8080 2001:db8::5 0 5 0 256 1 1 0 2 7 0 0 0 - 8080 - 0 0 - - 0
4 other 1 a 10.0.0.6 2 0 1 1 1 1 0 2 0 0 0 0 - 80 - 0 0 - - 0

"""


def test_the_state_of_servers_is_read_by_the_titles_of_its_columns() -> None:
    assert read_state(STATE, ["web", "empty"]) == {
        "web": {
            "a": FOUND,
            "2001:db8::5:8080": Running("2", "2001:db8::5", "8080", "0", "5", "7", "0", "0"),
        },
        "empty": {},
    }


@pytest.mark.parametrize("text", ["", "Permission denied", "1\n# be_name srv_name", STATE[:100]])
def test_what_is_no_state_of_servers_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="not a state of servers"):
        read_state(text, ["web"])


@pytest.mark.parametrize(
    ("line", "answer", "refused"),
    [
        ("add server web/a 10.0.0.5:80", "New server registered.", False),
        ("add server web/a 10.0.0.5:80", "No such backend.", True),
        ("add server web/a 10.0.0.5:80", "", True),
        ("del server web/a", "Server deleted.", False),
        ("del server web/a", "No such server.", True),
        ("set server web/a weight 5", "", False),
        ("set server web/a weight 5", "No such server.", True),
        (
            "set server web/a addr 10.0.0.5 port 80",
            "IP changed from '10.0.0.4' to '10.0.0.5', no need to change the port by"
            " 'stats socket command'",
            False,
        ),
        ("set server web/a addr 10.0.0.5 port 80", "Invalid addr family or port", True),
        ("enable health web/a", "Health check was not configured on this server", True),
    ],
)
def test_an_answer_says_whether_it_was_done(line: str, answer: str, refused: bool) -> None:
    assert is_refusal(line, answer) is refused


def test_connections_that_are_open_are_told_from_other_obstacles() -> None:
    assert is_busy("Server still has connections attached to it, cannot remove it.")
    assert not is_busy("This server cannot be removed at runtime due to other configuration")


@given(st.text(st.sampled_from(" \\;\tab"), min_size=1))
def test_an_escaped_word_has_no_end_within_it(word: str) -> None:
    rest = escaped(word).replace("\\\\", "")
    for end in "; \t":
        rest = rest.replace(f"\\{end}", "")
    assert not set(rest) & set("\\; \t")
