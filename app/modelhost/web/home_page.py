"""The page a browser sees at GET /: self-contained, without scripts."""

import base64
import functools
import hashlib
from importlib import resources

from flask import Response, render_template
from markupsafe import Markup

from modelhost.models.registry import Registry
from modelhost.protocols import native
from modelhost.web import metadata


@functools.cache
def _style() -> tuple[str, str]:
    """The page's style sheet, and the policy under which a browser applies it and nothing else."""
    style = (resources.files("modelhost.web") / "templates" / "style.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return style, policy


def render(registry: Registry, host_url: str) -> Response:
    """What each model takes, where, and a curl command for it; `host_url` ends with a slash."""
    style, policy = _style()
    default = registry.find()
    host = host_url.rstrip("/")
    models = [registry.find(name) for name in registry.models]
    # The style's hash covers every byte between its tags, so it goes in unescaped.
    html = render_template(
        "index.html",
        style=Markup(style),
        default=default,
        default_curl=metadata.curl(host, "/", default),
        models=[
            {
                "model": model,
                "url": native.PREDICT.url(model),
                "fields": metadata.fields(model),
                "curl": metadata.curl(host, native.PREDICT.url(model), model),
                "curl_file": metadata.curl_file(host, native.PREDICT.url(model), model),
            }
            for model in models
        ],
    )
    response = Response(html, mimetype="text/html")
    response.headers["Content-Security-Policy"] = policy
    return response
