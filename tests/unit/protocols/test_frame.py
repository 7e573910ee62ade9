import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.protocols.frame import BadLength, Frames


def framed(body: bytes) -> bytes:
    return (len(body) + 4).to_bytes(4, "big") + body


@given(st.lists(st.binary(max_size=40), max_size=12), st.lists(st.integers(1, 30)))
def test_any_cutting_gives_the_same_frames(bodies: list[bytes], sizes: list[int]) -> None:
    stream = b"".join(framed(body) for body in bodies)
    frames = Frames(minimum=4, maximum=64)
    found = []
    for size in [*sizes, len(stream)]:
        frames.feed(stream[:size])
        stream = stream[size:]
        found += list(frames)
    assert found == [framed(body) for body in bodies]


@pytest.mark.parametrize("length", [0, 3, 11, 65, 0xFFFFFFFF])
def test_a_bad_length_is_told_after_the_frames_before_it(length: int) -> None:
    frames = Frames(minimum=12, maximum=64)
    frames.feed(framed(b"12345678") + length.to_bytes(4, "big"))
    found = iter(frames)
    assert next(found) == framed(b"12345678")
    with pytest.raises(BadLength, match=str(length)):
        next(found)


def test_frames_not_taken_wait_for_the_next_look() -> None:
    frames = Frames(minimum=4, maximum=64)
    frames.feed(framed(b"a") + framed(b"b"))
    assert next(iter(frames)) == framed(b"a")
    frames.feed(framed(b"c"))
    assert list(frames) == [framed(b"b"), framed(b"c")]
