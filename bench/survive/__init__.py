"""The whole program under load from real exporters, killed, cut off, damaged and out of disk."""
