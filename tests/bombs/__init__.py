"""Requests and connections made to do harm, against the whole program."""
