"""Room for what is received at the same time."""

from hypothesis import given
from hypothesis import strategies as st

from llm_monitor.base.upstream.room import Room


def test_each_has_its_own_whatever_the_others_take() -> None:
    room = Room(each=10, common=20)
    greedy, modest = room.share(), room.share()
    assert greedy.take(25)
    assert greedy.take(5)
    assert not greedy.take(1)
    assert modest.take(10)
    assert not modest.take(1)


def test_what_is_given_back_is_there_for_others() -> None:
    room = Room(each=10, common=20)
    with room.share() as greedy:
        assert greedy.take(30)
    assert room.common == 20
    again = room.share()
    assert again.take(30)
    again.give_back(15)
    assert room.share().take(25)


Steps = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 12), st.booleans()), max_size=50)


@given(Steps)
def test_all_together_never_take_more_than_there_is(steps: list[tuple[int, int, bool]]) -> None:
    room = Room(each=5, common=10)
    shares, taken = [room.share() for _ in range(4)], [0] * 4
    for number, size, back in steps:
        if back:
            returned = min(size, taken[number])
            shares[number].give_back(returned)
            taken[number] -= returned
        elif shares[number].take(size):
            taken[number] += size
        assert room.common == 10 - sum(max(0, one - 5) for one in taken) >= 0
