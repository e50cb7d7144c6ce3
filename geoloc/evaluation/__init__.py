"""How good a system is: published benchmarks, scores with intervals, leaks, a report."""
