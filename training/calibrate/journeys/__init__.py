"""The model of `geoloc trip`, fitted on held-out walks and on simulated journeys."""
