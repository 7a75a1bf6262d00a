"""Requests and connections made to do harm, all of them, against the whole program."""
