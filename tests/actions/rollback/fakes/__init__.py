"""Servers on loopback that speak the published APIs of rollback targets."""
