"""``styleshuffle-web``: a page to paint in, on this machine.

Exit codes: 2 the command line is wrong, or a package is missing; 130 stopped by Ctrl-C; 143 stopped by SIGTERM.
"""

from __future__ import annotations

import secrets
import threading
import webbrowser
from importlib.util import find_spec
from pathlib import Path

import click

from .. import __version__
from .console import Command, Console
from .options import check_loudness, device_option, quiet_option, verbose_option

_PACKAGES = {"starlette": "starlette", "uvicorn": "uvicorn", "python_multipart": "python-multipart"}


@click.command(cls=Command, context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option(
    "--host", default="127.0.0.1", help="Address to listen at. 0.0.0.0 lets other machines in; it needs --token."
)
@click.option("--port", default=7860, type=click.IntRange(0, 65535), help="Port; 0 takes any free port.")
@click.option(
    "--token",
    is_flag=False,
    flag_value="",
    metavar="[WORD]",
    help="A secret that the page asks for; without WORD, a new secret.",
)
@click.option("--browser/--no-browser", default=True, help="Open the page in the browser.")
@click.option(
    "--styles",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder with pictures to offer as styles, at most 500.",
)
@device_option
@quiet_option
@verbose_option("Show the traceback of an unexpected error.")
@click.version_option(__version__, prog_name="styleshuffle-web", message="%(prog)s %(version)s")
@click.pass_obj
def main(
    console: Console,
    /,
    host: str,
    port: int,
    token: str | None,
    browser: bool,
    styles: Path | None,
    device: str,
    quiet: bool,
    verbose: bool,
) -> None:
    """Open a page to paint in. The server runs on this machine, and no picture leaves it.

    \b
    Examples:
      styleshuffle-web
      styleshuffle-web --styles paintings/ --no-browser
      styleshuffle-web --host 0.0.0.0 --token
    """
    check_loudness(quiet, verbose)
    missing = [name for module, name in _PACKAGES.items() if find_spec(module) is None]
    if missing:
        raise click.UsageError(f"the page needs {', '.join(missing)}; pip install 'styleshuffle[web]'")
    from ..web.server import Address, serve

    address = Address(host, port, secrets.token_urlsafe(16) if token == "" else token)

    def ready(url: str) -> None:
        click.echo(url)
        if not address.local:
            console.note(
                "Other machines can reach this server. The address holds the token: give it only to those who may use "
                "it. The connection is not encrypted."
            )
        console.note("Ctrl-C stops the server.")
        if browser:
            threading.Thread(target=webbrowser.open, args=[url], daemon=True).start()

    serve(address, styles, device, ready)


if __name__ == "__main__":
    main()
