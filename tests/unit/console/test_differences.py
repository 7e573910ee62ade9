"""Two texts side by side: put together, the pieces are each of them."""

from service.console.differences import Piece, pieces


def test_pieces_put_together_are_both_texts() -> None:
    old, new = "先交保证金，拨96110", "先交解冻费，请拨96110核实"
    found = pieces(old, new)
    assert "".join(p.text for p in found if p.kind != "added") == old
    assert "".join(p.text for p in found if p.kind != "gone") == new
    assert Piece("same", "先交") in found
    assert pieces("一样", "一样") == [Piece("same", "一样")]
