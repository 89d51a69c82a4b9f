"""The key tree, which forgets: logic without I/O, the ports it stands on, and true fakes of them.

Only `tree` combines logic and ports; nothing here opens a socket, a file or a database.
"""
