"""The drill: a game-day through the very same engine, on simulated time."""
