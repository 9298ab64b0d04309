"""The app answers on its socket, and a bundle that changed on the host is not served."""

import json


def ask(host, path: str, body: str | None = None) -> dict:
    data = f"--data '{body}'" if body else ""
    return json.loads(
        host.check_output(f"curl -s --unix-socket /srv/modelhost/run/active/server.sock {data} http://app{path}")
    )


def test_every_model_is_ready(host):
    assert ask(host, "/readyz")["ready"] is True


def test_the_first_model_of_the_list_answers_at_the_root(host):
    assert ask(host, "/", '{"index": 0}')["prediction"] == {"colour": "red"}


def test_a_model_has_what_its_bundle_requires_beside_the_servers_own_packages(host):
    assert ask(host, "/models/emoji/predict", '{"text": "\U0001f40d"}')["prediction"] == {"words": ":snake:"}
    where = "docker exec modelhost-blue python -c 'import %s; print(%s.__file__)'"
    assert host.check_output(where % ("emoji", "emoji")).startswith("/opt/requirements/")
    assert host.check_output(where % ("numpy", "numpy")).startswith("/opt/modelhost/")


def test_the_container_has_no_network(host):
    interfaces = host.check_output("docker exec modelhost-blue cat /proc/net/dev").splitlines()[2:]
    assert [line.split(":")[0].strip() for line in interfaces] == ["lo"]


def test_the_bundles_cannot_be_written_by_the_app(host):
    write = host.run("docker exec modelhost-blue touch /models/iris/1/written")
    assert write.rc != 0
    assert "Read-only file system" in write.stderr


def test_the_certificates_for_the_build_are_not_in_the_image(host):
    # Not in /opt: a library brings certificates for its own tests.
    look = "grep -rls 'BEGIN CERTIFICATE' /etc /home /root /run /srv /tmp /usr/local /var; echo looked"
    found = host.check_output("docker run --rm --network none --user 0 --entrypoint sh %s -c %s", image(host), look)
    assert found == "looked"


def test_pip_and_compilers_are_not_in_the_image(host):
    look = "for program in pip pip3 gcc curl python3; do command -v $program; done; true"
    found = host.check_output("docker run --rm --network none --entrypoint sh %s -c %s", image(host), look)
    assert found.splitlines() == ["/opt/modelhost/bin/python3"]


def test_a_container_that_dies_comes_back_and_answers(host):
    host.check_output("kill -KILL %s", host.check_output("docker inspect --format '{{.State.Pid}}' modelhost-blue"))
    ready = "curl -sf --unix-socket /srv/modelhost/run/active/server.sock http://app/readyz"
    host.check_output(f"timeout 30 sh -c 'until {ready}; do sleep 0.2; done'")
    assert ask(host, "/", '{"index": 2}')["prediction"] == {"colour": "blue"}


def image(host) -> str:
    return host.check_output("docker inspect --format '{{.Config.Image}}' modelhost-blue")


def test_a_master_that_hangs_is_noticed_and_replaced_within_a_minute(host):
    init = host.check_output("docker inspect --format '{{.State.Pid}}' modelhost-blue")
    master = host.check_output("cat /proc/%s/task/%s/children", init, init).split()[0]
    assert "gunicorn" in host.check_output("cat /proc/%s/cmdline", master)
    host.check_output("kill -STOP %s", master)
    # Its workers go on answering, so nobody who asks would see it.
    assert ask(host, "/", '{"index": 2}')["prediction"] == {"colour": "blue"}
    ready = "curl -sf --unix-socket /srv/modelhost/run/active/server.sock http://app/readyz"
    gone = f"while [ -e /proc/{master} ]; do sleep 0.2; done"
    host.check_output(f"timeout 60 sh -c '{gone}; until {ready}; do sleep 0.2; done'")
    assert ask(host, "/", '{"index": 2}')["prediction"] == {"colour": "blue"}
