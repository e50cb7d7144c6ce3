"""UTC offsets on a date agree with the tz database."""

import zoneinfo
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geocells.attributes import _time_zones
from geocells.time_zones import EARLIEST, utc_offset_min

# Governments change the rules of later years: they differ between versions of the tz database.
FIRST_S, LAST_S = 8 * 10**8, 17 * 10**8
ZONES = _time_zones()[1].tolist()


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(ZONES), st.integers(FIRST_S, LAST_S))
def test_offsets_agree_with_the_tz_database_but_for_the_hour_of_a_change(zone, second):
    when = datetime.fromtimestamp(second, UTC)
    near = [when + timedelta(hours=shift) for shift in (-1, 0, 1)]
    expected = {t.astimezone(zoneinfo.ZoneInfo(zone)).utcoffset().total_seconds() for t in near}
    assert 60 * utc_offset_min([zone], when)[0] in {round(each / 60) * 60 for each in expected}


def test_summer_time_and_history():
    zones = ["Europe/Berlin", "Asia/Kathmandu", "Australia/Lord_Howe", "Europe/Berlin"]
    july, january = datetime(2024, 7, 1, tzinfo=UTC), datetime(2024, 1, 1, tzinfo=UTC)
    assert utc_offset_min(zones, july).tolist() == [120, 345, 630, 120]
    assert utc_offset_min(zones, january).tolist() == [60, 345, 660, 60]
    moscow = [
        utc_offset_min(["Europe/Moscow"], datetime(y, 1, 1, tzinfo=UTC))[0] for y in (2012, 2020)
    ]
    assert moscow == [240, 180]


def test_before_the_table_the_first_offset_counts_and_unknown_zones_are_errors():
    old = datetime(1970, 1, 1, tzinfo=UTC)
    assert utc_offset_min(["Asia/Tokyo"], old).tolist() == [540]
    assert old.year < EARLIEST
    with pytest.raises(KeyError):
        utc_offset_min(np.array(["Mars/Olympus"]), old)
