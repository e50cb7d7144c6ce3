"""Players of a tournament: bundles, programs, servers and recorded answers."""
