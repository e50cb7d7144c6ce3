"""Parts of a batch: what is stored comes back, and damage is found."""

from hypothesis import given, settings
from hypothesis import strategies as st

from geoloc.batch.answers import Failure, decode, encode, line
from geoloc.errors import GeolocError
from geoloc.output.formats import Record, to_json, with_columns
from tests.geoloc.output.records import COLUMNS, NAMES, make_guess, records

FAILURES = st.builds(Failure, NAMES, NAMES, COLUMNS, st.booleans())


@given(st.lists(records() | FAILURES, max_size=4))
@settings(max_examples=40, deadline=None)
def test_stored_entries_come_back(entries):
    found = list(decode(encode([line(each) for each in entries]), "part"))
    assert len(found) == len(entries)
    for before, after in zip(entries, found, strict=True):
        assert str(dict(after.columns)) == str(dict(before.columns)), "NaN as well"
        if isinstance(before, Failure):
            assert (after.photo, after.error, after.again) == (
                before.photo, before.error, before.again
            )  # fmt: skip
            continue
        assert (after.guess, after.source) == (before.guess, before.source)
        assert with_columns(after.answer, after.columns) == to_json(before.guess, before.columns)


def test_a_changed_byte_is_found_or_has_no_effect():
    lines = [line(Record(make_guess(photo=f"{n}.jpg"), {}, None)) for n in range(30)]
    whole = encode(lines)
    damaged = 0
    for at in range(5, len(whole), len(whole) // 40):
        changed = whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :]
        try:
            found = [line(each) for each in decode(changed, "p/7.zst")]
        except GeolocError as error:
            found = [*lines] if str(error).startswith("p/7.zst: damaged part of a batch; d") else []
            damaged += 1
        assert found == lines
    assert damaged > 20
