"""tripswitch between clients and a Collector that nobody here wrote."""
