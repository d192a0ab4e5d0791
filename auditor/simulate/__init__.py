"""The simulator: worlds whose every interleaving follows from a seed, and faults that break them on purpose."""
