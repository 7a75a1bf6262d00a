"""The story on real servers, read back by their own clients."""
