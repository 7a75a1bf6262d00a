"""The wire: receivers, the forwarder, the tap and the reader of requests."""
