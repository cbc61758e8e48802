"""How busy a machine is, from its cores at two moments."""

from hypothesis import given
from hypothesis import strategies as st

from secretary.scaler.providers.openstack_answers import Core
from secretary.scaler.providers.openstack_cpu import Loads


def cores(*seconds: float) -> list[Core]:
    return [Core(time=int(each * 1e9)) for each in seconds]


def test_one_look_tells_nothing_where_only_time_is_told() -> None:
    assert Loads().percent("a", cores(10), 0.0) is None


def test_the_load_is_the_mean_of_all_cores_between_two_looks() -> None:
    loads = Loads()
    loads.percent("a", cores(100, 200), 0.0)
    assert loads.percent("a", cores(110, 205), 10.0) == 75.0
    assert loads.percent("a", cores(110, 205), 20.0) == 0.0


def test_machines_are_not_mixed_up() -> None:
    loads = Loads()
    loads.percent("a", cores(0), 0.0)
    assert loads.percent("b", cores(10), 10.0) is None
    assert loads.percent("a", cores(1), 10.0) == 10.0


def test_two_looks_at_once_tell_what_the_last_one_did() -> None:
    loads = Loads()
    loads.percent("a", cores(0), 0.0)
    assert loads.percent("a", cores(0), 0.0) is None
    assert loads.percent("a", cores(5), 10.0) == 50.0
    assert loads.percent("a", cores(5.1), 10.1) == 50.0


def test_a_machine_that_was_restarted_or_resized_begins_anew() -> None:
    loads = Loads()
    loads.percent("a", cores(100), 0.0)
    assert loads.percent("a", cores(1), 10.0) is None
    assert loads.percent("a", cores(2), 20.0) == 10.0
    assert loads.percent("a", cores(3, 1), 30.0) is None


def test_a_look_of_long_ago_tells_nothing_of_now() -> None:
    loads = Loads()
    loads.percent("a", cores(0), 0.0)
    assert loads.percent("a", cores(100), 1000.0) is None
    assert loads.percent("a", cores(101), 1010.0) == 10.0


def test_what_the_hypervisor_tells_in_percent_is_taken() -> None:
    told = [Core(time=1, utilisation=10), Core(time=1, utilisation=30)]
    assert Loads().percent("a", told, 0.0) == 20.0


def test_nothing_is_made_of_what_is_not_told() -> None:
    loads = Loads()
    assert loads.percent("a", [], 0.0) is None
    assert loads.percent("a", [Core(time=1), Core()], 0.0) is None


def test_a_machine_that_is_not_asked_for_is_forgotten() -> None:
    loads = Loads()
    loads.percent("a", cores(0), 0.0)
    loads.forget_all_but(["b"])
    assert loads.percent("a", cores(5), 10.0) is None


@given(
    st.lists(
        st.tuples(
            st.lists(st.integers(0, 10**15), min_size=1, max_size=4),
            st.floats(0, 1e6, allow_nan=False),
        )
    )
)
def test_whatever_is_told_the_load_is_a_percentage(looks: list[tuple[list[int], float]]) -> None:
    loads = Loads()
    for times, at_s in looks:
        percent = loads.percent("a", [Core(time=each) for each in times], at_s)
        assert percent is None or 0 <= percent <= 100
