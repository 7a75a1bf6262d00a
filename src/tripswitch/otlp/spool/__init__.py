"""The spool: requests that wait on disk until the upstream takes them.

Segments hold records one after the other and are only ever appended to; beside each stands a log
of the records in it that are done. A segment whose records are all done is deleted whole. What
expired or was refused for good moves to the segments of the dead letters.
"""
