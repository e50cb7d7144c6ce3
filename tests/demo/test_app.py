import subprocess
import sys
from pathlib import Path

import pytest

from demo import app
from geoloc.errors import GeolocError

pytest.importorskip("gradio", reason="the demo extra is not installed")


def test_uploads_are_deleted_within_minutes(geolocator):
    page = app.build({"fake": geolocator})
    assert page.delete_cache == (60, app.DELETED_AFTER_S)
    assert app.DELETED_AFTER_S <= 300
    assert not page.analytics_enabled


def test_a_taken_port_is_named(serve, geolocator):
    port = int(serve(geolocator).rstrip("/").rsplit(":", 1)[1])
    with pytest.raises(GeolocError, match=f"port {port} cannot be used; choose another"):
        app.launch(app.build({"fake": geolocator}), "127.0.0.1", port)


def test_photos_of_a_game_that_cannot_be_read_stop_the_start(geolocator, tmp_path):
    with pytest.raises(GeolocError, match=r"nowhere\.csv"):
        app.build({"fake": geolocator}, game_photos=tmp_path / "nowhere.csv")


def test_without_gradio_it_says_so_in_one_line():
    code = "import sys; sys.modules['gradio'] = None; from demo.app import main; main([])"
    refused = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(app.__file__).parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode == 2
    assert refused.stderr == (
        "geoloc-demo: gradio is not installed: run  pip install 'planet-geoloc[demo]'\n"
    )


@pytest.mark.parametrize("argv", [["--bundle", "no such bundle"], ["--port", "http"], ["--prot"]])
def test_wrong_options_are_explained(argv, capsys):
    with pytest.raises(SystemExit) as stopped:
        app.main(argv)
    assert stopped.value.code == 2
    said = capsys.readouterr()
    assert argv[0] in said.err + said.out or argv[1] in said.err + said.out
