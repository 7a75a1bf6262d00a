"""The shells around the engine: live, replay, demo."""
