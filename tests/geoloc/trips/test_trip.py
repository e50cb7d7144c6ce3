import json

from geoloc.guess import Place
from geoloc.trips.trip import Clock, PlacedPhoto, Stay, Trip


def test_a_trip_survives_a_round_trip_through_json():
    place = Place("FR", "France", "Île-de-France", "Paris", 1.2)
    when = "2024-03-05T10:00:00+01:00"
    trip = Trip(
        "library",
        "starter",
        (
            PlacedPhoto(
                "a.jpg",
                "00",
                "C",
                when,
                "guessed",
                1.0,
                2.0,
                1.0,
                2.0,
                3.0,
                0.4,
                "by sight",
                place,
                0,
            ),
            PlacedPhoto(
                "b.jpg", "01", "", None, "not a place", *[None] * 5, 0.0, "a document", None, None
            ),
        ),
        (Stay(0, 1.0, 2.0, 3.0, when, when, 1, False),),
        (Clock("C", 60.0, 30.0, 90.0, 0.0, True, "one track"),),
        (((1.0, 2.0), (1.5, 2.5)),),
        ("c.jpg: unreadable",),
    )
    assert Trip.from_dict(json.loads(json.dumps(trip.to_dict()))) == trip
