"""What the app's container answers is told to the client, and leads nginx nowhere."""

import time

import pytest
from proxied import ask, deploy

pytestmark = pytest.mark.usefixtures("stand_in")


@pytest.fixture(params=[0, 8], ids=["without a cache", "with a cache"])
def cache(request):
    if request.param:
        deploy(reverse_proxy_cache_mb=request.param)
    yield
    if request.param:
        deploy()


@pytest.mark.usefixtures("cache")
def test_no_header_of_the_app_leads_nginx_to_its_own_paths():
    for path in ["/.errors/429", "/nginx-healthz", "/.leaving/"]:
        assert ask("/", b"{}", answer={"headers": {"X-Accel-Redirect": path}}).told["path"] == "/"
    begun = time.monotonic()
    ask("/", b"{}", answer={"headers": {"X-Accel-Limit-Rate": "10"}, "bytes": 100})
    assert time.monotonic() - begun < 5
