"""Places, maps, tournaments, and replays that can be scored again."""

import dataclasses
import json

import numpy as np
import pytest

from geocells.sphere import haversine_km
from geoloc.errors import TableError
from geoloc.game import replay
from geoloc.game.maps import draw_games, draw_pool, make_map, read_map
from geoloc.game.modes import MODES
from geoloc.game.places import GameError, read_places
from geoloc.game.report import headline, render
from geoloc.game.rules import RULES
from geoloc.game.standings import standings
from geoloc.game.tournament import run_tournament, score
from tests.geoloc.game.skilled import Skilled, places_at
from tests.geoloc.photos.samples import encoded, gps_exif, picture

FIELD = (("ann", 100.0), ("bob", 400.0), ("cat", 400.0), ("dan", 3000.0))


@pytest.fixture(autouse=True)
def _few_replicates(monkeypatch):
    """Reduce the bootstrap; the tests need no exact intervals."""
    monkeypatch.setattr("geoloc.game.standings.REPLICATES", 40)


def tournament(places, mode="duel", players=FIELD, seed=0, games=60, count=40, **kwargs):
    return run_tournament(
        make_map("world", places),
        [Skilled(name, typical, **kwargs) for name, typical in players],
        mode=mode, rules=RULES["ranked-2026"], views=1, places=count, games=games, seconds=15.0,
        seed=seed,
    )  # fmt: skip


@pytest.mark.parametrize("mode", list(MODES))
def test_standings_do_not_depend_on_the_order_of_players(earth, mode):
    one = standings(tournament(earth, mode))
    other = standings(tournament(earth, mode, players=FIELD[::-1]))
    assert one == other
    assert (one[0].name, one[-1].name) == ("ann", "dan")


def test_standings_do_not_depend_on_the_order_of_pairings(earth):
    """Other names change the order of players, and so of pairings."""
    renamed = tuple(("dcba"[number], skill) for number, (_, skill) in enumerate(FIELD))
    one = {standing.median_km: standing for standing in standings(tournament(earth))}
    for standing in standings(tournament(earth, players=renamed)):
        same = one[standing.median_km]
        assert (standing.won, standing.drawn, standing.lost) == (same.won, same.drawn, same.lost)
        assert standing.rating == pytest.approx(same.rating, abs=1e-6)
        assert standing.elo == pytest.approx(same.elo, abs=1e-3)
        assert standing.rating_interval == pytest.approx(same.rating_interval, abs=1e-6)


def test_same_seed_gives_the_same_standings(earth):
    assert standings(tournament(earth, seed=3)) == standings(tournament(earth, seed=3))
    assert standings(tournament(earth, seed=3)) != standings(tournament(earth, seed=4))
    alone = tournament(earth, seed=3, players=FIELD[:2])
    np.testing.assert_array_equal(alone.schedule, tournament(earth, seed=3).schedule)


def test_every_player_is_asked_once_about_each_place(earth):
    player = Skilled("ann", 100.0)
    game_map = make_map("world", earth)
    result = run_tournament(
        game_map, [player, Skilled("bob", 300.0)], mode="duel", rules=RULES["legacy"], views=1,
        places=40, games=500, seconds=15.0, seed=0,
    )  # fmt: skip
    assert player.asked == 40 == len(result.place)
    assert result.schedule.shape == (500, 30)
    assert all(len(set(game)) == 30 for game in result.schedule.tolist())


def test_standings_agree_with_a_direct_computation(earth):
    result = tournament(earth, mode="classic", refuses=0.2)
    answers = score(result)
    for row, player in enumerate(result.players):
        distance = haversine_km(player.latlon, result.latlon)
        with np.errstate(invalid="ignore"):
            points = np.round(5000 * np.exp(-10 * distance / 14_916.862))
        points = np.where(np.isnan(distance), 0, np.where(distance < 0.025, 5000, points))
        np.testing.assert_array_equal(answers.points[row], points)
    ranked = {standing.name: standing for standing in standings(result)}
    for row, player in enumerate(result.players):
        standing, mine = ranked[player.name], answers.points[row]
        assert standing.points == pytest.approx(mine[result.pool].mean())
        assert standing.game == pytest.approx(mine[result.schedule].sum(axis=1).mean())
        assert standing.no_pin == np.isnan(player.latlon[:, 0]).mean() > 0
        low, high = standing.points_interval
        assert low < standing.points < high
        assert standing.won + standing.drawn + standing.lost == 3 * 60
        assert "refused" in str(player.problem)


def test_intervals_depend_on_the_number_of_places_and_not_of_games(earth):
    def widths(**kwargs) -> np.ndarray:
        best = standings(tournament(earth, players=FIELD[:3], **kwargs))[0]
        return np.array([np.ptp(best.points_interval), np.ptp(best.rating_interval)])

    few = widths(count=30, games=300)
    assert widths(count=150, games=300)[0] < 0.7 * few[0]
    assert (widths(count=30, games=3000) > 0.7 * few).all()


def test_places_of_one_group_are_resampled_together(earth):
    alike = np.array([f"walk {i // 30}" for i in range(150)], dtype=object)
    grouped = dataclasses.replace(earth, group=alike)

    def width(places) -> float:
        low, high = standings(tournament(places, count=150))[1].points_interval
        return high - low

    players = tournament(grouped, count=150)
    assert set(players.group) == set(alike)
    assert width(grouped) != width(earth)


@pytest.mark.parametrize("mode", list(MODES))
def test_replay_gives_the_same_standings(earth, mode, tmp_path):
    result = tournament(earth, mode, refuses=0.1)
    ranked = standings(result)
    path = replay.write(result, ranked, tmp_path / "replay.json")
    again = replay.read(path)
    assert standings(again) == ranked
    record = json.loads(path.read_text())
    assert record["schema_version"] == 1
    assert record["standings"][0]["rating"] == ranked[0].rating
    second = replay.write(again, standings(again), tmp_path / "again.json")
    assert second.read_bytes() == path.read_bytes()
    other = dataclasses.replace(again, rules=RULES["legacy"])
    assert (standings(other) != ranked) == (mode in ("duel", "pigeon"))


def test_replay_of_an_older_version_is_read(earth, tmp_path):
    """Standings had an interval of the Elo rating before; they are computed again."""
    result = tournament(earth)
    path = replay.write(result, standings(result), tmp_path / "replay.json")
    record = json.loads(path.read_text())
    assert "elo_interval" not in record["standings"][0]
    for standing in record["standings"]:
        standing["elo_interval"] = [1400.0, 1600.0]
    path.write_text(json.dumps(record))
    assert standings(replay.read(path)) == standings(result)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda record: record | {"format": "other"}, "another kind of file"),
        (lambda record: record | {"schema_version": 2}, "version 2"),
        (lambda record: record | {"mode": "chess"}, "chess"),
        (lambda record: record | {"games": [[0, 10**6]]}, "not in the list of places"),
        (lambda record: record | {"rules": {}}, "healing_rounds"),
        (lambda record: record | {"players": [record["players"][0] | {"pins": []}]}, "pin"),
        (
            lambda record: record | {"places": record["places"][:-1]},
            "pin|not in the list",
        ),
        (lambda record: [], "TypeError"),
    ],
)
def test_unusable_replay_is_refused(earth, tmp_path, spoil, reason):
    result = tournament(earth)
    path = replay.write(result, [], tmp_path / "replay.json")
    path.write_text(json.dumps(spoil(json.loads(path.read_text()))))
    with pytest.raises(GameError, match=reason) as error:
        replay.read(path)
    assert str(path) in str(error.value)
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(GameError, match="not a replay"):
        replay.read(path)


def test_replay_contains_no_commands(tmp_path, earth):
    player = Skilled("bot", 100.0)
    player.command = "python bot.py --key=secret"
    result = run_tournament(
        make_map("world", earth), [player, Skilled("b", 1.0)], mode="duel", views=1, places=30,
        rules=RULES["legacy"], games=5, seconds=1.0, seed=0,
    )  # fmt: skip
    assert "secret" not in replay.write(result, [], tmp_path / "replay.json").read_text()


def test_map_with_too_few_places_is_refused(earth):
    with pytest.raises(GameError, match="4 different places were drawn, and a game needs 5"):
        tournament(earth.take(range(4)), mode="classic")


def test_weights_of_maps_by_country_and_population():
    paris, lyon, sydney, nowhere = (48.86, 2.35), (45.76, 4.84), (-33.87, 151.21), (-48.0, -120.0)
    places = places_at(np.array([*[paris] * 10, lyon, sydney, nowhere]))
    alike = make_map("m", places).weight
    assert alike == pytest.approx(np.full(13, 1 / 13))
    by_country = make_map("m", places, "country").weight
    assert by_country[:11].sum() == pytest.approx(0.5)
    assert by_country[11] == pytest.approx(0.5)
    assert by_country[12] == 0, "the open sea is no country"
    by_people = make_map("m", places, "population").weight
    assert by_people.sum() == pytest.approx(1)
    assert np.ptp(by_people[:10]) == 0, "equal places share their people"
    assert by_people[11] > by_people[0] > 0, "ten places share the people of Paris"


def test_places_are_drawn_in_proportion_to_their_weights():
    places = places_at(np.random.default_rng(0).uniform(-50, 50, (40, 2)))
    game_map = make_map("m", places)
    weight = np.arange(1.0, 41.0)
    game_map = dataclasses.replace(game_map, weight=weight / weight.sum())
    rng = np.random.default_rng(0)
    counts = np.zeros(40)
    for _ in range(500):
        pool = draw_pool(game_map, 20, rng)
        drawn = np.bincount(pool, minlength=40)
        assert (np.abs(drawn - 20 * game_map.weight) < 1).all()
        counts += drawn
    assert counts / 500 == pytest.approx(20 * game_map.weight, abs=0.08)
    assert len(set(draw_pool(make_map("m", places), 40, rng).tolist())) == 40


def test_games_repeat_no_place_and_use_all_places_equally():
    games = draw_games(13, 6000, 6, np.random.default_rng(0))
    assert all(len(set(game)) == 6 for game in games.tolist())
    assert games.shape == (6000, 6)
    assert np.bincount(games.ravel()) / 6000 == pytest.approx(6 / 13, abs=0.03)
    last = np.bincount(games[:, -1]) / 6000
    assert last == pytest.approx(1 / 13, abs=0.015), "the last round too"
    assert draw_games(7, 2, 7, np.random.default_rng(0)).shape == (2, 7)


def test_map_files_are_read_and_checked(tmp_path, earth):
    path = tmp_path / "alps.json"
    path.write_text(
        '{"name": "Alps", "maxErrorDistance": 800000, "places": ["place 3", "place 1"]}'
    )
    alps = read_map(path, earth)
    assert (alps.name, alps.max_error_km) == ("Alps", 800.0)
    assert alps.places.name.tolist() == ["place 1", "place 3"]
    path.write_text('{"maxErrorDistance": 14999250}')
    assert len(read_map(path, earth).places) == 150
    for text, reason in {
        "": "not a map", "[]": "not a map", "{}": "maxErrorDistance",
        '{"maxErrorDistance": 0}': "more than 0", '{"maxErrorDistance": NaN}': "more than 0",
        '{"maxErrorDistance": 1, "places": ["x"]}': "'x'",
        '{"maxErrorDistance": 1, "places": []}': "list of places is empty",
    }.items():  # fmt: skip
        path.write_text(text)
        with pytest.raises(GameError, match=reason):
            read_map(path, earth)


def test_rows_of_one_location_are_views_of_one_place(tmp_path):
    path = tmp_path / "panoramas.csv"
    rows = [f"{place}-{(h * 3) % 8}.jpg,{place},1,p{place},{(h * 3) % 8 * 45}"
            for place in range(3) for h in range(8)]  # fmt: skip
    header = "file,lat,lon,location,heading"
    path.write_text("\n".join([header, *rows, "bad.jpg,99,0,p9,0", "one.jpg,5,5,p5,0"]))
    for views, headings in {1: [0], 4: [0, 2, 4, 6], 8: list(range(8))}.items():
        places, problems = read_places(path, views)
        assert places.views[1] == tuple(tmp_path / f"1-{heading}.jpg" for heading in headings)
        assert places.name.tolist() == ["p0", "p1", "p2", *(["p5"] if views == 1 else [])]
        assert any("1 of 26 photos lie outside -90..90" in line for line in problems)
        assert any("bad.jpg" in line for line in problems)
        assert any("fewer than" in line for line in problems) == (views > 1)
    with pytest.raises(GameError, match="no place with 9 views"):
        read_places(path, 9)
    path.write_text("file,lat\na,1\n")
    with pytest.raises(TableError, match="column lon is missing"):
        read_places(path)


def test_folder_of_photos_with_exif_positions_is_read(photo_folder):
    places, problems = read_places(photo_folder)
    assert len(places) == 61, "the damaged one has a position, though it cannot be decoded"
    assert places.latlon[0] == pytest.approx((48.86, 2.35), abs=0.3)
    assert places.views[0] == (photo_folder / "00.jpg",)
    (line,) = problems
    assert "1 of 62 photos have no position in their metadata" in line
    assert "(without.jpg)" in line


def test_each_photo_that_is_left_out_is_named_once(tmp_path):
    for name, exif in {
        "good": gps_exif(48.5, 2.25),
        "null": gps_exif(0.0, 0.0),
        "none": b"",
    }.items():
        (tmp_path / f"{name}.jpg").write_bytes(encoded(picture(), "JPEG", exif=exif))
    (tmp_path / "bad.jpg").write_bytes(b"no picture")
    places, problems = read_places(tmp_path)
    assert places.name.tolist() == ["good.jpg"]
    assert [
        sum(f"{name}.jpg" in line for line in problems) for name in ("bad", "null", "none")
    ] == ([1, 1, 1])
    assert len(problems) == 3


def test_report_names_the_mode_and_the_reasons_for_missing_pins(earth):
    from rich.console import Console

    for mode, words in {
        "classic": ("simulated games of 5 rounds", "of 25,000"),
        "streak": ("simulated country streaks", "longest", "expected"),
        "duel": ("simulated duels, rules ranked-2026",),
        "pigeon": ("Champion 151 km", "only for the same places"),
    }.items():
        result = tournament(earth, mode, refuses=0.2)
        console = Console(width=200, record=True, file=open("/dev/null", "w"))
        console.print(render(result, standings(result)))
        text = console.export_text()
        for word in (*words, "40 places, world", "ann", "no pin: refused"):
            assert word in text, mode
        assert headline(result).splitlines()[0] in text
