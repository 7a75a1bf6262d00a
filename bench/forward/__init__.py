"""What it costs to stand in the path: tripswitch and the Collector, in one paired run."""
