"""What is served is listed: complete or not at all, the same each time, in a form that others read."""

import json
import os
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL
from release_host import CONTENTS

from modelhostctl.errors import StepError
from modelhostctl.host.docker import Image
from modelhostctl.host.file_digests import Link, file_digests
from modelhostctl.host.image_contents import Distribution, Package, parse
from modelhostctl.host.plain_file import NotPlainError, digest_plain, read_plain
from modelhostctl.store.cyclonedx import sbom_of_image, sbom_of_release, text_of
from modelhostctl.store.release import Record

IMAGE = Image("modelhost-app:aaaaaaaaaaaa", "sha256:" + "ab" * 32, "modelhost-base:trixie-1-20260101")
APP, PROXY, BASE = "modelhost-app:aaaaaaaaaaaa", "modelhost-proxy:b", "modelhost-base:trixie-1-20260101"
OLD_APP = "modelhost-app:old"


def made(printed: str = CONTENTS) -> dict:
    return sbom_of_image(IMAGE, parse(IMAGE.name, printed))


def of_release(machine, files: dict[str, str]) -> dict:
    return sbom_of_release(machine.new, made(), {machine.bundles[0]["folder"]: files})


def problems(sbom: dict) -> list[str]:
    """What the schema of CycloneDX has against it."""
    found = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text_of(sbom), all_errors=True)
    return [str(one) for one in found or []]


def components(sbom: dict) -> dict[str, dict]:
    return {one["name"]: one for one in sbom["components"]}


def test_the_documents_keep_to_the_schema_and_the_schema_can_fail(machine):
    assert problems(made()) == []
    assert problems(of_release(machine, {"model.yaml": "ab" * 32})) == []
    assert problems({**made(), "components": [{"type": "library"}]})
    assert problems(of_release(machine, {"model.yaml": "no digest"}))


def test_an_image_lists_its_system_its_packages_and_its_distributions():
    found = components(made())
    assert found["debian"]["version"] == "13"
    assert list(found) == ["debian", "libssl3t64", "libstdc++6", "login", "flask", "orjson"], "nano is removed"
    assert found["login"]["purl"] == (
        "pkg:deb/debian/login@1:4.16.0-2%2Breally2.41-5?arch=amd64&distro=trixie&upstream=util-linux%402.41-5"
    )
    assert found["flask"]["purl"] == "pkg:pypi/flask@3.1.2"
    assert found["flask"]["licenses"] == [{"expression": "BSD-3-Clause"}]
    assert [one["license"]["name"] for one in found["orjson"]["licenses"]] == [
        "Apache Software License",
        "MIT License",
    ]


def test_every_purl_is_as_the_library_of_purls_would_write_it():
    purls = [one["purl"] for one in made()["components"] if "purl" in one]
    assert len(purls) == 5
    assert [PackageURL.from_string(purl).to_string() for purl in purls] == purls


def test_the_same_image_gives_the_same_bytes_and_another_one_another_number():
    begin, lines = CONTENTS.splitlines()[:3], CONTENTS.splitlines()[3:-1]
    turned = "\n".join([*begin, *reversed(lines), lines[0], "end"])
    assert text_of(made(turned)) == text_of(made())
    other = made(CONTENTS.replace("3.1.2", "3.1.3"))
    assert other["serialNumber"] != made()["serialNumber"]


def test_a_release_lists_its_models_with_each_file_its_image_and_what_is_in_that(machine):
    sbom = of_release(machine, {"model.onnx": "cd" * 32, "model.yaml": "ab" * 32})
    assert sbom["metadata"]["component"]["version"] == machine.new.id
    found = components(sbom)
    assert found["iris"]["type"] == "machine-learning-model"
    files = {one["name"]: one["hashes"] for one in found["iris"]["components"]}
    assert files["model.onnx"] == [{"alg": "SHA-256", "content": "cd" * 32}]
    assert found["modelhost-app"]["bom-ref"] == IMAGE.id
    assert {one["name"] for one in made()["components"]} <= set(found)
    references = {one["ref"]: one["dependsOn"] for one in sbom["dependencies"]}
    assert references[f"release:{machine.new.id}"] == [IMAGE.id, "model:iris@1"]
    assert found["flask"]["bom-ref"] in references[IMAGE.id]


@pytest.mark.parametrize(
    ("printed", "said"),
    [
        ("", "nothing"),
        (CONTENTS.removesuffix("end\n"), "could not be read to its end"),
        ("/bin/sh: 1: /usr/bin/dpkg-query: not found", "dpkg-query: not found"),
        ("os ID=debian\nend", "no Debian package"),
        (CONTENTS.replace("libssl3t64", "lib\x1b[2Jssl"), "cannot be one"),
        (CONTENTS.replace("|amd64|openssl|3.5.1-1", "|amd64"), "in a way that is not known"),
        (CONTENTS.replace('"3.1.2"', '"3.1.2\\nend"'), "version of Flask"),
        (CONTENTS.replace('"Flask"', '["Flask"]'), "name of a Python distribution"),
        (CONTENTS.replace('["Flask"', "[" * 100_000), "in a way that is not known"),
        (CONTENTS.replace('"Flask", ', ""), "in a way that is not known"),
    ],
)
def test_what_an_image_says_is_taken_whole_or_refused(printed, said):
    with pytest.raises(StepError, match=said) as refused:
        parse(IMAGE.name, printed)
    assert str(refused.value).isprintable()


def test_lines_of_others_between_those_that_are_asked_for_do_no_harm():
    found = parse(IMAGE.name, "WARNING: your kernel does not support something\n" + CONTENTS)
    assert found == parse(IMAGE.name, CONTENTS)
    assert found.packages[0] == Package("libssl3t64", "3.5.1-1", "amd64", "openssl", "3.5.1-1")
    assert found.distributions[0] == Distribution("Flask", "3.1.2", "BSD-3-Clause", ())


def test_a_whole_licence_text_is_no_licences_name():
    found = parse(IMAGE.name, CONTENTS.replace('"BSD-3-Clause", null', f'null, "{"word " * 50}"'))
    assert found.distributions[0] == Distribution("Flask", "3.1.2", "", ())


def test_files_of_a_bundle_are_read_and_nothing_else_is(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "model.onnx").write_bytes(b"")
    (tmp_path / "a").write_text("a")
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert list(file_digests(tmp_path).items())[1] == ("deep/model.onnx", empty)
    (tmp_path / "link").symlink_to("/etc/passwd")
    (tmp_path / "folder").symlink_to("deep")
    assert {name: one for name, one in file_digests(tmp_path).items() if isinstance(one, Link)} == {
        "link": Link("/etc/passwd"),
        "folder": Link("deep"),
    }
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(StepError, match="pipe is no plain file"):
        file_digests(tmp_path)
    with pytest.raises(StepError, match="gone cannot be read: No such file"):
        file_digests(tmp_path / "gone")


def test_no_more_is_read_of_a_file_than_it_had_at_first():
    with pytest.raises(NotPlainError, match="grows while it is read"):
        digest_plain(Path("/proc/self/status"))
    with pytest.raises(NotPlainError, match="grows while it is read"):
        read_plain(Path("/proc/self/status"), 10)


def has_images(machine, *names: str) -> None:
    machine.file("images").write_text(json.dumps(names))


def kept(machine) -> list[str]:
    """The images whose contents are kept, by their names."""
    files = sorted(machine.layout.sboms.glob("*"))
    return sorted(bytes.fromhex(file.name.removesuffix(".cdx.json")).decode() for file in files)


def prepare(machine, capsys, one) -> dict:
    options = {"content": machine.content(one), "lock": machine.lock(), "settings": machine.settings.__dict__}
    (machine.bin / "options.json").write_text(json.dumps(options))
    machine.type("prepare", "--options", str(machine.bin / "options.json"))
    return json.loads(capsys.readouterr().out)


def bundle_of_its_own(machine, tmp_path) -> None:
    """A bundle is a folder with nothing else in it; that of the machine lies among the engine's files."""
    folder = tmp_path / "bundle"
    folder.mkdir()
    (folder / "model.yaml").write_text("name: iris")
    machine.bundles[0]["folder"] = str(folder)


def test_a_release_is_listed_when_it_is_prepared_and_printed_byte_for_byte(machine, capsys, tmp_path):
    bundle_of_its_own(machine, tmp_path)
    assert prepare(machine, capsys, machine.new).get("progress") is None
    text = (Record.of(machine.layout, machine.new.id).folder / "sbom.cdx.json").read_text()
    asked = machine.file("log").read_text().count("run --rm")
    assert asked == 1
    assert prepare(machine, capsys, machine.new).get("progress") is None
    assert machine.file("log").read_text().count("run --rm") == asked, "what is kept is not asked again"
    assert machine.type("sbom") == 0
    assert capsys.readouterr().out == text
    assert machine.type("sbom", machine.new.id) == 0
    assert capsys.readouterr().out == text
    assert problems(json.loads(text)) == []


def test_what_was_prepared_by_an_older_version_is_listed_when_asked_for_and_nothing_is_written(
    machine, capsys, tmp_path
):
    bundle_of_its_own(machine, tmp_path)
    before = machine.tree()
    assert machine.type("sbom", machine.old.id, "--json") == 0
    assert json.loads(capsys.readouterr().out)["sbom"]["metadata"]["component"]["version"] == machine.old.id
    assert machine.tree() == before


def test_a_link_in_a_bundle_is_listed_as_one(machine):
    sbom = of_release(machine, {"model.onnx": Link("blobs/1"), "blobs/1": "ab" * 32})
    assert problems(sbom) == []
    by_hash, link = components(sbom)["iris"]["components"]
    assert (by_hash["name"], link["name"]) == ("blobs/1", "model.onnx")
    assert "hashes" not in link
    assert link["properties"] == [{"name": "modelhost:link", "value": "blobs/1"}]


@pytest.mark.parametrize("fails", ["a broken answer", "a bundle that holds a pipe"])
def test_a_release_that_cannot_be_listed_is_prepared_and_says_so(machine, capsys, tmp_path, fails):
    bundle_of_its_own(machine, tmp_path)
    if fails == "a broken answer":
        machine.file("contents").write_text("sh: \x1b[2Jno")
    else:
        os.mkfifo(Path(machine.bundles[0]["folder"], "more"))
    answer = prepare(machine, capsys, machine.new)
    assert answer.get("failed") is None
    (line,) = answer["progress"]
    assert line.startswith(f"what is in release {machine.new.id} is not listed: ")
    assert not list(machine.layout.releases.glob("*/sbom*"))
    assert machine.type("sbom") == 1
    assert capsys.readouterr().err


def configure(machine, capsys, *words: str) -> dict:
    options = {"lock": machine.lock(), "settings": machine.settings.__dict__}
    (machine.bin / "options.json").write_text(json.dumps(options))
    machine.type("configure", "--options", str(machine.bin / "options.json"), *words)
    return json.loads(capsys.readouterr().out)


def test_every_image_is_listed_and_that_on_which_they_stand_once(machine, capsys):
    has_images(machine, APP, PROXY, BASE)
    assert configure(machine, capsys)["changed"]
    assert kept(machine) == [APP, BASE, PROXY]
    assert not configure(machine, capsys)["changed"]
    for name in (PROXY, "modelhost-proxy", "modelhost-b"):
        assert machine.type("sbom", "--image", name) == 0
        assert json.loads(capsys.readouterr().out)["metadata"]["component"]["type"] == "container"
    assert machine.type("sbom", "--image", "modelhost") == 1
    assert f"one of those on this host: {APP}, {PROXY}, {BASE}" in capsys.readouterr().err
    assert machine.type("sbom", machine.new.id, "--image", PROXY) == 2
    capsys.readouterr()


def test_check_mode_says_that_lists_would_be_made_and_makes_none(machine, capsys):
    has_images(machine, APP)
    assert configure(machine, capsys, "--check")["changed"]
    assert kept(machine) == []
    assert "run --rm" not in machine.file("log").read_text()
    configure(machine, capsys)
    assert not configure(machine, capsys, "--check")["changed"]


def test_check_mode_does_without_an_engine_as_on_a_bare_host(machine, capsys):
    machine.program("docker", "#!/bin/sh\nexit 127\n")
    answer = configure(machine, capsys, "--check")
    assert not answer.get("failed")
    assert not answer["changed"]


def test_a_list_of_a_release_is_made_anew_where_its_image_is_another_one_now(machine, capsys, tmp_path):
    bundle_of_its_own(machine, tmp_path)
    prepare(machine, capsys, machine.new)
    file = Record.of(machine.layout, machine.new.id).folder / "sbom.cdx.json"
    right, other = file.read_text(), "sha256:" + "cd" * 32
    old = right.replace(json.loads(right)["components"][0]["bom-ref"], other)
    for text in (old, "{}", "[]", '{"components": [1]}'):
        file.write_text(text)
        assert machine.type("sbom") == 0
        assert capsys.readouterr().out == right
        assert file.read_text() == text, "who looks writes nothing"
        prepare(machine, capsys, machine.new)
        assert file.read_text() == right


def test_a_list_of_a_release_whose_image_is_gone_is_what_was_served(machine, capsys, tmp_path):
    bundle_of_its_own(machine, tmp_path)
    prepare(machine, capsys, machine.new)
    has_images(machine)
    assert machine.type("sbom") == 0
    assert json.loads(capsys.readouterr().out)["metadata"]["component"]["version"] == machine.new.id


def test_an_image_that_does_not_answer_is_named_and_nothing_is_kept_of_it(machine, capsys):
    has_images(machine, APP)
    machine.file("contents").write_text("os ID=debian")
    answer = configure(machine, capsys)
    assert not answer["changed"]
    assert answer["progress"][0].startswith(f"what is in image {APP} is not listed: ")
    assert kept(machine) == []


def test_a_list_goes_when_its_image_goes(machine, capsys):
    has_images(machine, APP, OLD_APP, PROXY, BASE)
    configure(machine, capsys)
    (machine.bin / "options.json").write_text(json.dumps({"lock": machine.lock(), "wanted": [PROXY]}))
    assert machine.type("prune", "--options", str(machine.bin / "options.json"), "--check") == 0
    assert len(kept(machine)) == 4
    assert machine.type("prune", "--options", str(machine.bin / "options.json")) == 0
    assert kept(machine) == [APP, BASE, PROXY]


def test_a_play_gets_each_as_a_file(machine, capsys, tmp_path):
    bundle_of_its_own(machine, tmp_path)
    has_images(machine, APP, PROXY, BASE)
    assert machine.type("sbom", "--all", "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert list(answer["files"]) == [
        f"modelhost-release-{machine.new.id}.cdx.json",
        "modelhost-app-aaaaaaaaaaaa.cdx.json",
        "modelhost-proxy-b.cdx.json",
        "modelhost-base-trixie-1-20260101.cdx.json",
    ]
    assert answer["lines"][1] == "modelhost-app-aaaaaaaaaaaa.cdx.json: 6 components"
    assert all(problems(json.loads(text)) == [] for text in answer["files"].values())


def test_what_cannot_be_listed_is_said_and_keeps_nothing_from_the_rest(machine, capsys, tmp_path):
    bundle_of_its_own(machine, tmp_path)
    os.mkfifo(Path(machine.bundles[0]["folder"], "more"))
    has_images(machine, APP, PROXY, BASE)
    assert machine.type("sbom", "--all", "--json") == 1
    answer = json.loads(capsys.readouterr().out)
    assert len(answer["files"]) == len(answer["lines"]) == 3
    (line,) = answer["unlisted"]
    assert line.startswith(f"what is in release {machine.new.id} is not listed: ")
    assert answer["msg"] == line
    machine.file("contents").write_text("no")
    assert machine.type("sbom", "--all", "--json") == 1
    answer = json.loads(capsys.readouterr().out)
    assert (answer["files"], len(answer["unlisted"])) == ({}, 4)
    assert all(line in answer["msg"] for line in answer["unlisted"])


def test_the_container_that_is_asked_has_no_network_and_no_rights_and_is_removed(machine, capsys):
    has_images(machine, APP)
    assert machine.type("sbom", "--image", APP) == 0
    capsys.readouterr()
    (asked,) = [line for line in machine.file("log").read_text().splitlines() if line.startswith("run --rm")]
    for word in (
        "--network=none", "--read-only", "--user=65534:65534", "--cap-drop=ALL", "--security-opt=no-new-privileges",
        "--pull=never", "--log-driver=none", "--memory=256m", "--pids-limit=32",
    ):  # fmt: skip
        assert word in asked
    assert f"rm --force asked-by-modelhostctl-{os.getpid()}" in machine.file("log").read_text()
