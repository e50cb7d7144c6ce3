"""Rules of duels, computed for many duels at once.

Both players see the same place; the one with fewer points loses health. The rule sets differ in how
the damage multipliers grow. The game's clock (15 s once the other player has guessed) is a time
limit for every answer here; see `Player.ask`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from geoloc.types import BoolArray, Float64Array, Int64Array

ONE = 10
"""Multipliers are integers in tenths, as in the game: 15 is x1.5."""


@dataclass(frozen=True)
class DuelRules:
    """One rule set; fields have the names of the game's options."""

    name: str
    initial_health: int = 6000
    round_win_multiplier_increment: int = 0
    """Tenths added to the multiplier of a round's winner; of both players after a tie."""
    multiplier_increment: int = 0
    """Tenths added to both multipliers after a round."""
    rounds_without_damage_multiplier: int = 0
    """Round after which multipliers begin to grow."""
    healing_rounds: tuple[int, ...] = ()
    """Rounds, counted from 1, in which players heal."""
    healing_share: float = 0.0
    """Share of a player's points added to the health in such a round, up to the initial health."""
    max_rounds: int = 0
    """Number of rounds after which the healthier player wins; 0 for no limit."""


RULES = {
    rules.name: rules
    for rules in (
        DuelRules(
            "ranked-2026", round_win_multiplier_increment=5, rounds_without_damage_multiplier=1
        ),
        DuelRules(
            "legacy",
            multiplier_increment=5,
            rounds_without_damage_multiplier=4,
            healing_rounds=(5,),
            healing_share=0.25,
        ),
        DuelRules("no-multiplier"),
    )
}
"""By name. "ranked-2026": ranked duels as recorded in 2026. "legacy": duels of 2023, which PIGEON
played, as players describe them: x1.5, x2, ... from round 5, which heals a quarter of the points.
"no-multiplier": damage is the difference of the points."""


@dataclass(frozen=True, eq=False)
class Round:
    """One round of G duels, two players each; all (G, 2)."""

    multiplier: Int64Array
    """Tenths, as applied in this round."""
    healed: Int64Array
    damage: Int64Array
    """Damage to each player by the formula; may exceed the remaining health."""
    health: Int64Array
    """After the round."""
    playing: BoolArray
    """(G,) duels that had not ended before this round; the others do not change."""


@dataclass(frozen=True, eq=False)
class Duels:
    """Results of G duels."""

    score: Float64Array
    """(G,) 1 if the first player won, 0 if the second, 0.5 for a draw."""
    rounds: Int64Array
    """(G,) rounds played."""
    health: Int64Array
    """(G, 2) at the end."""


def play_rounds(points: npt.ArrayLike, rules: DuelRules) -> Iterator[Round]:
    """Yield the rounds of duels until all have ended or no round is left.

    The damage is the difference of the points times the winner's multiplier, rounded half to even;
    a tie does no damage.

    Args:
        points: (G, R, 2) points of both players in each round.
        rules: the rule set.
    """
    scored = np.asarray(points, np.int64)
    count = scored.shape[0]
    health = np.full((count, 2), rules.initial_health, np.int64)
    multiplier = np.full((count, 2), ONE, np.int64)
    most = scored.shape[1] if rules.max_rounds == 0 else min(scored.shape[1], rules.max_rounds)
    for number in range(1, most + 1):
        playing = np.asarray((health > 0).all(axis=1))
        if not playing.any():
            return
        now = scored[:, number - 1] * playing[:, None]
        lead = now[:, :1] - now[:, 1:]
        heals = rules.healing_share if number in rules.healing_rounds else 0.0
        healed = np.rint(now * heals).astype(np.int64)
        healed = np.minimum(healed, rules.initial_health - health)
        behind = np.maximum(np.hstack([-lead, lead]), 0)
        # damage uses the opponent's multiplier; tenths are exact, and so are halves
        damage = np.rint(behind * multiplier[:, ::-1] / ONE).astype(np.int64)
        health = np.maximum(health + healed - damage, 0)
        yield Round(multiplier, healed, damage, health, playing)
        if number >= rules.rounds_without_damage_multiplier:
            won = (behind == 0) * rules.round_win_multiplier_increment
            multiplier = multiplier + won + rules.multiplier_increment


def simulate_duels(points: npt.ArrayLike, rules: DuelRules) -> Duels:
    """Return the results of duels.

    A duel that has not ended after the last round is won by the player with more health.

    Args:
        points: (G, R, 2) points of both players in each round.
        rules: the rule set.
    """
    count = np.shape(points)[0]
    health = np.full((count, 2), rules.initial_health, np.int64)
    rounds = np.zeros(count, np.int64)
    for played in play_rounds(points, rules):
        health = played.health
        rounds += played.playing
    score = (np.sign(health[:, 0] - health[:, 1]) + 1) / 2
    return Duels(score, rounds, health)
