"""What Gunicorn's workers import; with gunicorn_conf the one module that acts when imported."""

import logging
import sys
import time

from modelhost.bundle.bundle import BundleError
from modelhost.models.readiness import Readiness
from modelhost.settings import Settings
from modelhost.web.app import create_app
from modelhost.web.asgi import Application

# Gunicorn's master stops the server when a worker ends with this status before it has booted;
# after any other status it starts a new worker, for ever. But a second worker that ends with it
# while the server stops makes the master fail with a traceback: so only the first one does.
WORKER_BOOT_ERROR = 3
SECONDS_BEFORE_ANOTHER = 2

log = logging.getLogger(__name__)


def boot() -> Application:
    """The application, or the end of the whole server with one line that says why."""
    settings = Settings.from_environment()
    try:
        return create_app(settings)
    except Exception as error:
        readiness, unforeseen = Readiness.of(settings), not isinstance(error, BundleError)
        if readiness.was_complete:
            log.critical("this worker does not start, and is tried again: %s", error, exc_info=unforeseen)
            time.sleep(SECONDS_BEFORE_ANOTHER)  # the others serve
            sys.exit(1)
        if not readiness.first_failure():
            sys.exit(1)
        log.critical("refusing to start: %s", error, exc_info=unforeseen)
        sys.exit(WORKER_BOOT_ERROR)


app = boot()
