"""The configuration file: its model, its loading, its reload."""
