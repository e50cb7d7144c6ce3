import pytest

from demo.page import app
from geoloc.errors import GeolocError

pytest.importorskip("gradio", reason="the demo extra is not installed")


def test_uploads_are_deleted_within_minutes(geolocator):
    page = app.build({"fake": geolocator})
    assert page.delete_cache == (60, app.UPLOADS_KEPT_S)
    assert app.UPLOADS_KEPT_S <= 300
    assert not page.analytics_enabled


def test_no_event_waits_in_the_queue_of_gradio_which_loses_events(geolocator):
    events = app.build({"fake": geolocator}).fns.values()
    assert len(events) > 20
    assert [event.name for event in events if event.queue is not False] == []


def test_an_unreadable_game_table_is_an_error(geolocator, tmp_path):
    with pytest.raises(GeolocError, match=r"nowhere\.csv"):
        app.build({"fake": geolocator}, game_photos=tmp_path / "nowhere.csv")
