"""What stands in a unit file is what systemd reads there."""

from string import printable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from secretary.cli.units import syntax
from tests.unit.cli import unit_reader

SPECIFIERS = {"i": "8080", "d": "/run/credentials/x"}
REFUSED = ["\0", "\ud800", "\ufdd0", "\uffff", "\U0001fffe"]
texts = st.text(
    st.one_of(
        st.sampled_from(printable + "%$\"'\\\a\x7f"),
        st.characters(exclude_categories=("Cs", "Cn"), exclude_characters="\0"),
    )
)


@given(texts)
@example("")
@example("%i %% $A ${A} $$")
@example("a \\\" ' \n\r\t\x01\x7f\\")
@example("é\u2028\x85\ufeff")
def test_a_variable_has_the_value_that_was_given(value: str) -> None:
    line = syntax.environment("SECRETARY_META", value)
    assert unit_reader.environment(line, SPECIFIERS) == {"SECRETARY_META": value}


@given(st.lists(texts))
@example([";", "\\;", "$A", "a$$b", "%i", "", "#", "-"])
def test_a_command_has_the_words_that_were_given(words: list[str]) -> None:
    words = [word.replace("{port}", "") for word in words]
    line = f"ExecStart={syntax.command(['/bin/app', *words])}"
    assert unit_reader.arguments(line, SPECIFIERS) == ["/bin/app", *words]


def test_a_program_may_have_what_a_shell_would_trip_over() -> None:
    words = ["/opt/my $app/50%/app", "x"]
    line = f"ExecStart={syntax.command(words)}"
    assert unit_reader.arguments(line, SPECIFIERS) == words


def test_the_port_in_a_command_is_the_instance() -> None:
    line = f"ExecStart={syntax.command(['/bin/app', '--at=:{port}', '%{port} $x'])}"
    assert unit_reader.arguments(line, SPECIFIERS) == ["/bin/app", "--at=:8080", "%8080 $x"]


@given(texts)
@example("x '$y' \"%z\" \\ `date` $(date)\n")
def test_a_shell_gets_the_script_that_was_given(script: str) -> None:
    line = f"ExecStart=/bin/sh -c '{syntax.shell(script)}'"
    assert unit_reader.arguments(line, SPECIFIERS) == ["/bin/sh", "-c", script]


@pytest.mark.parametrize("program", ["-app", "@app", ":app", "+app", "!app", "|app"])
def test_a_program_is_not_taken_for_a_prefix(program: str) -> None:
    with pytest.raises(ValueError, match="whole path"):
        syntax.command([program])


@pytest.mark.parametrize("character", ['"', "'", "\\", "\n", "\x7f"])
def test_a_program_that_systemd_would_not_run_is_refused(character: str) -> None:
    with pytest.raises(ValueError, match="in a program"):
        syntax.command([f"/bin/{character}app"])


@pytest.mark.parametrize("character", REFUSED)
def test_what_no_unit_file_can_hold_is_refused(character: str) -> None:
    for write in (syntax.word, syntax.shell):
        with pytest.raises(ValueError, match="a unit file cannot"):
            write(f"a{character}")


def test_a_file_that_is_handed_in_is_named_as_it_is() -> None:
    """The path of LoadCredential= knows specifiers, and neither quotes nor escapes."""
    line = syntax.credential("etcd-key", "/etc/a b/50%i\\n'k'.pem")
    assert line == "LoadCredential=etcd-key:/etc/a b/50%%i\\n'k'.pem"


@pytest.mark.parametrize("path", ["/a ", "/a\\", "/a\nb", "/a\x7f"])
def test_a_path_that_cannot_be_written_down_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="systemd takes no"):
        syntax.credential("etcd-key", path)
