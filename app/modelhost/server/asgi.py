"""What Gunicorn's workers import; with gunicorn_conf the one module that acts when imported."""

import logging
import sys

from modelhost.bundle.bundle import BundleError
from modelhost.models.readiness import Readiness
from modelhost.settings import Settings
from modelhost.web.app import create_app
from modelhost.web.asgi import Application

# Gunicorn's master stops the server when a worker ends with this status before it has booted;
# after any other status it starts a new worker, for ever. But a second worker that ends with it
# while the server stops makes the master fail with a traceback: so only the first one does.
WORKER_BOOT_ERROR = 3

log = logging.getLogger(__name__)


def boot() -> Application:
    """The application, or the end of the whole server with one line that says why."""
    logging.basicConfig(
        level=logging.INFO,
        format="[%(asctime)s] [%(process)d] [%(levelname)s] %(message)s",
        datefmt="%Y-%m-%d %H:%M:%S %z",
        stream=sys.stderr,
    )
    settings = Settings.from_environment()
    try:
        return create_app(settings)
    except Exception as error:
        if not Readiness.of(settings).first_failure():
            sys.exit(1)
        unforeseen = not isinstance(error, BundleError)
        log.critical("refusing to start: %s", error, exc_info=unforeseen)
        sys.exit(WORKER_BOOT_ERROR)


app = boot()
