"""What is known about the photos of a library: times, positions, cameras, tracks."""
