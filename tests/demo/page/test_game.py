from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from demo.page.game import photos, tab, view
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
    assert first.length == game.ROUNDS
    assert set(first.photos[:5]) == set(EXAMPLES)  # the same place only when no other is left
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
    assert ", at sea." in view.result(played)
    assert played.with_guesses((0.0, 0.0), (0.0, 0.0)) == played  # it is over
    assert view.scores(played).count("<td>5,000 <small>0 m") == 5
    assert "South Dakota, United States" in view.scores(played)
    assert view.share_text(played).startswith(
        "Where was this photo taken? Game 1: I got 25,000 of 25,000 points, the model"
    )
    assert [view.scores(played).count(f'data-index="{index}"') for index in range(7)] == [1] * 6 + [
        0
    ]


def test_the_map_shows_the_true_place_only_after_the_guess():
    assert view.open_map()["pins"] == []
    played = game.new_game(EXAMPLES, 1).with_guesses((1.0, 2.0), (3.0, 4.0))
    after = view.closed_map(played.rounds)
    assert [pin["kind"] for pin in after["pins"]] == ["other", "truth", "yours"]
    assert [line["kind"] for line in after["lines"]] == ["yours", "other"]
    south, west, north, east = after["window"]
    assert all(south < lat < north and west < lon < east for lat, lon in ((1.0, 2.0), (3.0, 4.0)))
    assert not after["open"]
    far = game.Round(LocatedPhoto(photos.EXAMPLES, 50.0, -3.0), (-40.0, 174.0), (-40.0, -176.0))
    _, west, _, east = view.closed_map([far])["window"]
    assert (west, east) == pytest.approx((-181.0, 179.0))  # the whole world, and both guesses


def test_a_streak_ends_with_the_first_wrong_country():
    played = game.new_game(EXAMPLES, 3, is_streak=True)
    for _ in range(2):
        at = played.photo.lat + 0.01, played.photo.lon
        played = played.with_guesses(at, (0.0, 0.0))
    assert played.photo
    assert played.totals == (2, 0)
    lost = played.with_guesses((0.0, 0.0), (played.photo.lat, played.photo.lon))
    assert lost.photo is None
    assert lost.totals == (2, 0)  # what the model guesses right later does not count
    assert "You win: 2 to 0 countries in a row" in view.result(lost)
    assert "In a row" in view.scores(lost)
    assert "Country streak 3: I got 2 in a row, the model 0." in view.share_text(lost)


def test_photos_of_a_game_lie_apart_as_long_as_there_are_such():
    near = [LocatedPhoto(photos.EXAMPLES, 48.0 + number / 1000, 2.0) for number in range(300)]
    far = [LocatedPhoto(photos.EXAMPLES, -30.0 + 10 * number, 20.0) for number in range(4)]
    for seed in range(5):
        chosen = game.new_game([*near, *far], seed).photos[: game.ROUNDS]
        assert {photo.lon for photo in chosen} == {2.0, 20.0}
        assert sum(photo in far for photo in chosen) == 4


def test_photos_that_the_model_was_made_from_and_unreadable_ones_are_no_rounds(
    geolocator, tmp_path
):
    table = ["file,lat,lon"]
    for number in range(4):
        Image.new("RGB", (40, 30), (number, 0, 0)).save(tmp_path / f"{number}.png")
        table.append(f"{number}.png,{10 * number},20")
    (tmp_path / "4.png").write_bytes(b"no picture")
    (tmp_path / "game.csv").write_text("\n".join([*table, "4.png,50,20", ""]))
    locate = geolocator.locate

    def knowing(file):
        guess = locate(file)
        copy = guess.neighbours[0] if file.name in ("1.png", "2.png") else None
        return replace(guess, copy_of=copy)

    geolocator.locate = knowing
    controller = tab.GameController({"fake": geolocator}, lambda g: g, tmp_path / "game.csv")
    played = controller.start(1, tab.POINTS, "fake")[0]
    seen = [played.photo.file.name]
    second = controller.submit(played, "fake", "10", "20")[0]
    seen.append(second.photo.file.name)
    ended, *_ = last = controller.submit(second, "fake", "10", "20")
    assert sorted(seen) == ["0.png", "3.png"]
    assert ended.photo is None
    assert len(last[3]["pins"]) == 6  # the map of all rounds
    photo, result, shown = controller.show_again(ended, 0)
    assert "data:image/jpeg" in photo
    assert "points for you" in result
    assert len(shown["pins"]) == 3
    assert len(controller.show_again(ended, 2)[2]["pins"]) == 6
    geolocator.locate = lambda file: replace(locate(file), copy_of=locate(file).neighbours[0])
    assert tab.ALL_KNOWN in controller.start(1, tab.POINTS, "fake")[2]


def test_a_set_of_geoloc_game_plays_held_out_answers_and_names_authors(geolocator, tmp_path):
    header = "file,lat,lon,author,licence,source,predicted_lat,predicted_lon"
    rows = ["1.png,10,20,An Author,CC BY 4.0,https://example.org/1,12,25", "2.png,-10,70,,,,,"]
    (tmp_path / "game.csv").write_text("\n".join([header, *rows, ""]))
    for number in (1, 2):
        Image.new("RGB", (40, 30), (number, 0, 0)).save(tmp_path / f"{number}.png")
    locate = geolocator.locate
    geolocator.locate = lambda file: replace(locate(file), copy_of=locate(file).neighbours[0])
    controller = tab.GameController({"fake": geolocator}, lambda g: g, tmp_path)
    played = controller.start(1, tab.POINTS, "fake")[0]
    assert played.photo.file.name == "1.png"  # the model knows both, and has an answer to one
    ended, _, result, *_ = controller.submit(played, "fake", "10", "20")
    assert ended.rounds[0].bundle == (12.0, 25.0)
    assert "Photo: An Author, CC BY 4.0, <a" in result
    assert 'href="https://example.org/1"' in result
    nasty = replace(ended.rounds[0].photo, source="javascript:alert(1)", author="<b>")
    told = view.result(replace(ended, rounds=(replace(ended.rounds[0], photo=nasty),)))
    assert "href" not in told
    assert "&lt;b&gt;" in told


def test_a_folder_of_photos_with_positions_is_a_set(photo, plain):
    (found,) = photos.read(photo.parent)
    assert found.file.name == photo.name
    assert (found.lat, found.lon) == pytest.approx((-42.88, 147.33), abs=0.01)


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
