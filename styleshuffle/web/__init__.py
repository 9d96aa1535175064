"""A page to paint in, and an HTTP interface for scripts: a server for this machine.

`app.make_app` is the ASGI application, `server.serve` runs it. `painter.py` is the only file that knows what the library
can paint; the other files know pages, pictures, jobs and HTTP. Nothing is imported here: the web packages are an extra.
"""
