"""The whole program under load from real exporters, killed, cut off and damaged meanwhile."""
