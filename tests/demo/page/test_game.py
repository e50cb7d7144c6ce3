import numpy as np
import pytest

from demo.page.game import photos, view
from demo.page.game import rounds as game
from demo.page.game.photos import LocatedPhoto
from geoloc.errors import GeolocError
from geoloc.metrics import score

EXAMPLES = photos.read(photos.EXAMPLES)


def test_there_are_five_small_example_photos():
    assert len(EXAMPLES) == 5
    assert all(item.file.stat().st_size < 150_000 for item in EXAMPLES)


def test_points_equal_the_geoscore_metric():
    rng = np.random.default_rng(0)
    guesses, truths = (rng.uniform((-89, -179), (89, 179), (200, 2)) for _ in range(2))
    rounds = [
        game.Round(LocatedPhoto(photos.EXAMPLES, *truth), tuple(guess), (0.0, 0.0))
        for guess, truth in zip(guesses.tolist(), truths.tolist(), strict=True)
    ]
    mean = np.mean([finished.points[0] for finished in rounds])
    assert mean == pytest.approx(score(guesses, truths).geoscore)


def test_a_game_number_always_gives_the_same_photos_once_each():
    many = EXAMPLES * 3
    first = game.new_game(many, 7)
    assert first == game.new_game(many, 7)
    assert len(first.photos) == game.ROUNDS
    assert {game.new_game(EXAMPLES, seed).photos for seed in range(20)} != {first.photos}
    assert sorted(p.lat for p in game.new_game(EXAMPLES, 3).photos) == sorted(
        p.lat for p in EXAMPLES
    )
    assert len(game.new_game(EXAMPLES[:2], 0).photos) == 2


def test_the_higher_total_wins():
    played = game.new_game(EXAMPLES, 1)
    while played.photo:
        played = played.with_guesses((played.photo.lat, played.photo.lon), (0.0, 0.0))
    assert len(played.rounds) == 5
    assert played.totals[0] == 5 * game.MAX_POINTS > played.totals[1]
    assert "You win: 25,000 to" in view.result(played)
    assert played.with_guesses((0.0, 0.0), (0.0, 0.0)) == played  # it is over
    assert view.scores(played).count("<td>5,000 <small>0 m") == 5


def test_the_map_shows_the_true_place_only_after_the_guess():
    assert view.open_map()["pins"] == []
    played = game.new_game(EXAMPLES, 1).with_guesses((1.0, 2.0), (3.0, 4.0))
    after = view.closed_map(played.rounds[0])
    assert [pin["kind"] for pin in after["pins"]] == ["other", "truth", "yours"]
    assert [line["kind"] for line in after["lines"]] == ["yours", "other"]
    south, west, north, east = after["window"]
    assert all(south < lat < north and west < lon < east for lat, lon in ((1.0, 2.0), (3.0, 4.0)))
    assert not after["open"]


def test_bad_rows_are_left_out_with_a_notice_for_each_kind(tmp_path, caplog):
    manifest = tmp_path / "game.csv"
    manifest.write_text("file,lat,lon\na.jpg,1,2\nb.jpg,0,0\nnowhere.jpg,1,2\n")
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).touch()
    assert [photo.file.name for photo in photos.read(manifest)] == ["a.jpg"]
    assert "1 of 3 rows are at 0,0" in caplog.text
    assert "1 of 3 rows name no file beside the table and are left out (nowhere.jpg)" in caplog.text


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ("file,lat,lon\n", "no photos in it"),
        ("file,lat,lon\nx.jpg,91,0\n", "1 of 1 rows lie outside"),
        ("file,lat,lon\nx.jpg,north,0\n", "1 of 1 rows have no number"),
        ("file,lat\nx.jpg,1\n", "column lon is missing"),
        ("file,lat,lon\nnowhere.jpg,1,2\n", "1 of 1 rows name no file"),
    ],
)
def test_an_invalid_table_is_an_error(table, problem, tmp_path):
    manifest = tmp_path / "game.csv"
    manifest.write_text(table)
    with pytest.raises(GeolocError, match=r"game\.csv") as refused:
        photos.read(manifest)
    assert problem in str(refused.value)
