"""Points, duels, streaks and ratings: reference values, properties, a second implementation."""

from decimal import ROUND_HALF_EVEN, Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geoloc.game.modes import MODES, Scored, expected_streak, streaks, totals
from geoloc.game.ratings import PER_STRENGTH, START, bradley_terry, elo
from geoloc.game.rules import RULES, DuelRules, play_rounds, simulate_duels
from geoloc.metrics import geoguessr_points

RANKED, LEGACY, PLAIN = (RULES[name] for name in ("ranked-2026", "legacy", "no-multiplier"))


@pytest.mark.parametrize(
    ("max_error_km", "points"),
    [
        (14_916.862, [4917, 4373, 3024, 2558, 936]),
        (14_999.250, [4917, 4376, 3033, 2567, 944]),
        (14_927.0, [4917, 4373, 3025, 2559, 937]),
    ],
)
def test_points_agree_with_values_of_the_game(max_error_km, points):
    distances = [25, 200, 750, 1000, 2500]
    assert geoguessr_points(distances, max_error_km).tolist() == points


def test_points_of_near_guesses():
    assert geoguessr_points([0.0, 0.149, 0.151, 20_000.0]).tolist() == [5000, 5000, 4999, 0]
    small = geoguessr_points([0.0249, 0.0251, 0.1], max_error_km=1.0)
    assert small.tolist() == [5000, 3890, 1839], "within 25 m all points, whatever the map"


@given(
    st.lists(st.floats(0, 20_038), min_size=2, max_size=50),
    st.floats(0.01, 20_000),
)
def test_points_decrease_with_distance(distances, max_error_km):
    points = geoguessr_points(np.sort(distances), max_error_km)
    assert (np.diff(points) <= 0).all()
    assert 0 <= points.min() <= points.max() <= 5000


def played(rules: DuelRules, rounds: list[tuple[int, int]]) -> list[tuple[list, list, list]]:
    """Multipliers, damage and health of every round of one duel."""
    return [
        (round.multiplier[0].tolist(), round.damage[0].tolist(), round.health[0].tolist())
        for round in play_rounds([rounds], rules)
    ]


def test_ranked_2026_round_by_round():
    rounds = [(5000, 4000), (4000, 4501), (3000, 3000), (101, 100), (101, 100), (0, 3), (0, 1)]
    assert played(RANKED, rounds) == [
        ([10, 10], [0, 1000], [6000, 5000]),
        ([15, 10], [501, 0], [5499, 5000]),  # the multiplier of the winner, which is still 1
        ([15, 15], [0, 0], [5499, 5000]),  # a tie does no damage and raises both multipliers
        ([20, 20], [0, 2], [5499, 4998]),
        ([25, 20], [0, 2], [5499, 4996]),  # 2.5, half to even
        ([30, 20], [6, 0], [5493, 4996]),
        ([30, 25], [2, 0], [5491, 4996]),  # 2.5 again, of the other player
    ]


def test_halves_are_rounded_to_even_up_and_down():
    """1 x 2.5 is 2, 3 x 2.5 is 8."""
    rounds = [(9, 9), (9, 9), (9, 9), (1, 0), (0, 0)]
    assert played(RANKED, rounds)[3][:2] == ([25, 25], [0, 2])
    rounds[3] = (3, 0)
    assert played(RANKED, rounds)[3][:2] == ([25, 25], [0, 8])


def test_legacy_round_by_round():
    healed = [round.healed[0].tolist() for round in play_rounds([[(1000, 900)] * 7], LEGACY)]
    assert healed == [[0, 0]] * 4 + [[0, 225]] + [[0, 0]] * 2, "health is capped"
    assert played(LEGACY, [(1000, 900)] * 7) == [
        ([10, 10], [0, 100], [6000, 5900]),
        ([10, 10], [0, 100], [6000, 5800]),
        ([10, 10], [0, 100], [6000, 5700]),
        ([10, 10], [0, 100], [6000, 5600]),
        ([15, 15], [0, 150], [6000, 5675]),
        ([20, 20], [0, 200], [6000, 5475]),
        ([25, 25], [0, 250], [6000, 5225]),
    ]


def test_damage_without_multipliers_is_the_difference_of_points():
    assert [
        health for _, _, health in played(PLAIN, [(5000, 0), (5000, 4001), (1, 0), (9, 0)])
    ] == [
        [6000, 1000],
        [6000, 1],
        [6000, 0],
    ], "a duel ends when a health reaches 0"


def test_healthier_player_wins_after_the_last_round():
    assert simulate_duels([[(2, 1)] * 3, [(1, 1)] * 3], RANKED).score.tolist() == [1.0, 0.5]
    party = DuelRules("party", max_rounds=2)
    ended = simulate_duels([[(2, 1), (1, 1), (0, 5000)]], party)
    assert (ended.score.tolist(), ended.rounds.tolist()) == ([1.0], [2])


def play_one(points: list[tuple[int, int]], rules: DuelRules) -> tuple[float, int, list[int]]:
    """A second implementation of the rules: one duel at a time, with decimals."""
    health = [rules.initial_health] * 2
    multiplier = [Decimal(1), Decimal(1)]
    for number, scores in enumerate(points, start=1):
        if number in rules.healing_rounds:
            for player in (0, 1):
                gain = Decimal(scores[player]) * Decimal(str(rules.healing_share))
                healed = health[player] + int(gain.quantize(Decimal(1), ROUND_HALF_EVEN))
                health[player] = min(rules.initial_health, healed)
        best = max(scores)
        for player in (0, 1):
            other = 1 - player
            if scores[player] < scores[other]:
                damage = (scores[other] - scores[player]) * multiplier[other]
                lost = int(damage.quantize(Decimal(1), ROUND_HALF_EVEN))
                health[player] = max(0, health[player] - lost)
        if 0 in health:
            break
        if number >= rules.rounds_without_damage_multiplier:
            for player in (0, 1):
                won = rules.round_win_multiplier_increment * (scores[player] == best)
                multiplier[player] += Decimal(won + rules.multiplier_increment) / 10
    return (np.sign(health[0] - health[1]) + 1) / 2, number, health


rounds = st.integers(0, 5000).flatmap(
    lambda top: st.lists(
        st.tuples(*[st.integers(max(0, top - 400), top)] * 2), min_size=12, max_size=12
    )
)


@settings(deadline=None)
@given(st.lists(rounds, min_size=1, max_size=5), st.sampled_from(list(RULES.values())))
def test_duels_agree_with_an_independent_implementation(duels, rules):
    ended = simulate_duels(duels, rules)
    assert [
        (float(score), int(number), health.tolist())
        for score, number, health in zip(ended.score, ended.rounds, ended.health, strict=True)
    ] == [play_one(duel, rules) for duel in duels]


@settings(deadline=None)
@given(st.lists(rounds, min_size=1, max_size=5), st.sampled_from(list(RULES.values())))
def test_damage_equals_the_lost_health(duels, rules):
    health = np.full((len(duels), 2), rules.initial_health)
    for round in play_rounds(duels, rules):
        lost = np.minimum(round.damage, health + round.healed)
        np.testing.assert_array_equal(health + round.healed - lost, round.health)
        assert (np.minimum(*round.damage.T) == 0).all(), "one of two players at most"
        assert (round.damage[~round.playing] == 0).all()
        if rules is not LEGACY:
            assert (round.health <= health).all()
        health = round.health
    flipped = simulate_duels(np.asarray(duels)[..., ::-1], rules)
    np.testing.assert_array_equal(flipped.score, 1.0 - simulate_duels(duels, rules).score)


def scored(right: np.ndarray, points: np.ndarray | None = None) -> Scored:
    return Scored(
        np.ones(right.shape), np.zeros(right.shape, int) if points is None else points, right
    )


def test_streaks_end_with_the_first_wrong_country():
    right = np.array([[1, 1, 0, 1], [0, 1, 1, 1], [1, 1, 1, 1]], bool)
    games = np.array([[0, 1, 2, 3], [3, 1, 0, 2]])
    assert streaks(scored(right), games).tolist() == [[2, 3], [0, 2], [4, 4]]


@pytest.mark.parametrize("chance", [0.2, 0.5, 0.9])
def test_expected_streak_agrees_with_simulation(chance):
    rng = np.random.default_rng(0)
    right = rng.random((1, 200_000)) < chance
    games = rng.integers(0, 200_000, (20_000, 150))
    mean = streaks(scored(right), games).mean()
    assert mean == pytest.approx(expected_streak(chance), rel=0.04)
    assert expected_streak(1.0) == np.inf


def test_classic_game_is_won_by_the_higher_sum():
    points = np.array(
        [[5000, 0, 100, 100, 100], [1000, 1000, 1000, 1000, 1000], [5000, 0, 100, 99, 101]]
    )
    game = np.arange(5)[None]
    answers = scored(points > 0, points)
    assert totals(answers, game).ravel().tolist() == [5300, 5000, 5300]
    scores = MODES["classic"].scores(answers, game, RANKED)[..., 0]
    assert scores.tolist() == [[0.5, 1, 0.5], [0, 0.5, 0], [0.5, 1, 0.5]]


@given(st.lists(st.floats(-300, 300), min_size=2, max_size=6))
def test_bradley_terry_recovers_strengths_from_exact_results(strengths):
    rating = START + np.array(strengths) - np.mean(strengths)
    chance = 1 / (1 + 10 ** ((rating[None] - rating[:, None]) / 400))
    assert bradley_terry(100 * chance, prior=0) == pytest.approx(rating, abs=1e-6)


def test_bradley_terry_of_two_players_is_their_log_odds():
    won, lost = bradley_terry(np.array([[0, 30], [10, 0]]), prior=0)
    assert won - lost == pytest.approx(PER_STRENGTH * np.log(3))
    assert won + lost == pytest.approx(2 * START)
    unbeaten, beaten = bradley_terry(np.array([[0, 10], [0, 0]]))
    assert unbeaten - beaten == pytest.approx(PER_STRENGTH * np.log(21)), "finite"


def test_elo_recovers_the_same_ratings_as_bradley_terry():
    rating = np.array([1650.0, 1500.0, 1350.0])
    chance = 1 / (1 + 10 ** ((rating[None] - rating[:, None]) / 400))
    won = np.random.default_rng(0).random((3, 3, 6000)) < chance[..., None]
    upper = np.triu(np.ones((3, 3), bool), 1)[..., None]
    score = np.where(upper, won, ~np.swapaxes(won, 0, 1)).astype(float)
    assert elo(score) == pytest.approx(rating, abs=20)
    assert elo(score).mean() == pytest.approx(START)
