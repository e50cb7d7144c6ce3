"""The REST API: routes, models, batches, limits and batched inference."""
