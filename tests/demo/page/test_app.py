import pytest

from demo.page import app
from geoloc.errors import GeolocError

pytest.importorskip("gradio", reason="the demo extra is not installed")


def test_uploads_are_deleted_within_minutes(geolocator):
    page = app.build({"fake": geolocator})
    assert page.delete_cache == (60, app.DELETED_AFTER_S)
    assert app.DELETED_AFTER_S <= 300
    assert not page.analytics_enabled


def test_photos_of_a_game_that_cannot_be_read_stop_the_start(geolocator, tmp_path):
    with pytest.raises(GeolocError, match=r"nowhere\.csv"):
        app.build({"fake": geolocator}, game_photos=tmp_path / "nowhere.csv")
