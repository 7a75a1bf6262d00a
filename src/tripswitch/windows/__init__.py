"""Ring buffers per scope and signal, bounded."""
