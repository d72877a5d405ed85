"""The HTTP server that the trial server, the driver's metrics and the viewer share: one thread for all connections.

A connection costs a few KiB and no thread, also while its request is held back. Nobody may make the server keep much
without being admitted: a head has 8 KiB and a few seconds, a stranger's connection is closed when there are too many, and
a body is read only once the request is admitted, as far as its route allows.

``server`` listens and runs the thread, which waits in ``loop``. ``exchanges`` receives requests and sends the answers on
each ``connection``; ``connections`` bounds their number, and ``gate`` that of large bodies. ``messages`` has requests and
responses, ``head`` the parser. ``sockets`` and ``tls`` are the transports.
"""
