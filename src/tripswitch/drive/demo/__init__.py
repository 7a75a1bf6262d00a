"""The demo: one rollout that goes wrong, on loopback, in story time, over real sockets."""
