"""Offline GeoGuessr: tournaments between geolocation systems, with ratings and intervals."""

from geoloc.game.rules import RULES, DuelRules, Duels, simulate_duels

__all__ = ["RULES", "DuelRules", "Duels", "simulate_duels"]
