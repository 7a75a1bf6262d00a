"""The words everyone uses. This room imports nothing of ours and does no I/O."""
