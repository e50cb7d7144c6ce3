"""Which photos are reviewed together."""

from dataclasses import replace

import numpy as np

from geoloc.trips.review.groups import review_groups
from tests.geoloc.trips.made import LYON, make_trip


def test_photos_of_one_stay_and_kind_are_one_group():
    groups = review_groups(make_trip())
    assert [group.kind for group in groups] == [
        "measured", "interpolated", "guessed", "recognised", "not a place",
    ]  # fmt: skip
    assert [len(group.photos) for group in groups] == [2, 3, 3, 1, 1]
    assert (groups[2].lat, groups[2].lon, groups[2].radius_95_km) == (*LYON, 180.0)
    assert groups[4].lat is None


def test_every_photo_is_in_one_group():
    trip = make_trip()
    rows = [row for group in review_groups(trip) for row in group.photos]
    assert sorted(rows) == list(range(len(trip.photos)))


def test_alternating_cameras_do_not_make_many_groups():
    trip = make_trip()
    first, second = trip.photos[0], replace(trip.photos[2], stay=0)
    trip = replace(trip, photos=(first, second) * 50)
    assert [len(group.photos) for group in review_groups(trip)] == [50, 50]


def test_photos_that_lie_apart_are_divided():
    trip = make_trip()
    photo = trip.photos[2]
    walk = tuple(replace(photo, lat=48.8 + 0.001 * i) for i in range(60))
    groups = review_groups(replace(trip, photos=walk))
    assert len(groups) > 2
    for group in groups:
        spread = np.ptp([walk[row].lat for row in group.photos]) * 111.2
        assert spread <= 2 * photo.radius_80_km + 0.01


def test_a_days_way_of_unsure_places_is_one_group_and_sure_places_are_not_held_up():
    trip = make_trip()
    photo = replace(trip.photos[5], lat=48.0)
    way = [
        replace(photo, lat=48.0 + hour / 50, taken_at=f"2024-05-07T{8 + hour:02}:00:00+02:00")
        for hour in range(8)
    ]
    later = replace(photo, taken_at="2024-05-09T08:00:00+02:00")
    sure = replace(photo, radius_80_km=2.0)
    groups = review_groups(replace(trip, photos=(*way, sure, later)))
    assert [len(group.photos) for group in groups] == [8, 1, 1]


def test_a_group_is_no_wider_than_50_km_however_unsure_its_places_are():
    trip = make_trip()
    photo = replace(trip.photos[5], radius_80_km=400.0)
    way = tuple(replace(photo, lat=45.0 + i / 10) for i in range(20))
    groups = review_groups(replace(trip, photos=way))
    assert max(len(group.photos) for group in groups) == 5


def test_photos_without_a_time_are_grouped_by_folder():
    trip = make_trip()
    photo = replace(trip.photos[6], stay=None, taken_at=None)
    both = tuple(replace(photo, photo=f"{folder}/{i}.jpg") for folder in "ab" for i in range(3))
    assert [len(group.photos) for group in review_groups(replace(trip, photos=both))] == [3, 3]
