import secrets
from datetime import datetime, timedelta

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


def test_little_is_kept_of_a_visitor_and_nothing_of_an_idle_one(geolocator):
    from fastapi.testclient import TestClient

    from demo.api import application
    from demo.api.limits import Limits
    from demo.page.locate import SESSION_S

    page = app.build({"fake": geolocator})
    service = application.create({"fake": geolocator}, limits=Limits(), page=page)
    with TestClient(service) as client:
        locate = next(event for event in page.fns.values() if "_example" in str(event.fn))
        chained = next(event for event in page.fns.values() if event.trigger_after == locate._id)
        defaults = [getattr(component, "value", None) for component in chained.inputs]

        def visit():
            """Locate the first example, as a new visitor."""
            body = {
                "data": [0, *defaults[1:]],
                "fn_index": chained._id,
                "session_hash": secrets.token_hex(8),
            }
            answer = client.post("/gradio_api/run/predict", json=body)
            assert "Sydney" in answer.text

        visit()
        visit()
        sessions = page.state_holder.session_data
        assert [session.state_data != {} for session in sessions.values()] == [True, True]
        app.release_sessions(page)
        assert [len(session.config_values) for session in sessions.values()] == [0, 0]
        for session in sessions.values():  # no copies of components
            assert session.blocks_config.blocks == page.default_config.blocks
        assert [session.state_data != {} for session in sessions.values()] == [True, True]
        app.release_sessions(page, datetime.now() + timedelta(seconds=SESSION_S + 1))
        assert sessions == {}
        visit()  # goes on as before
    assert page.state_holder.capacity == app.SESSIONS
