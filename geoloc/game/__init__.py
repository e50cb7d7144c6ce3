"""GeoGuessr-style evaluation, offline: rounds from photos, players of any kind, honest ratings."""

from geoloc.game.rules import RULES, DuelRules, Duels, simulate_duels

__all__ = ["RULES", "DuelRules", "Duels", "simulate_duels"]
