"""What the image is made of."""

import json
import shutil
import tarfile
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import pytest

from orderd import __version__
from tests.container.conftest import IMAGE, LABEL, LABELS, REVISION
from tools.images import build
from tools.podman import Podman

pytestmark = pytest.mark.container

LAYER_BYTES_MAX: Final = 60_000_000
# The header of a .pyc: magic number, flags. Hash-based is 1, to be checked against it is 2.
PYC_FLAGS: Final = slice(4, 8)
PYC_FOR_GOOD: Final = (1).to_bytes(4, "little")
BUILDERS: Final = {"pip", "setuptools", "hatchling", "wheel"}


def test_the_image_tells_how_to_run_it(podman: Podman, image: str, base_image: str) -> None:
    told = podman.inspect("image", image)

    config = told["Config"]
    assert config["User"] == "10001:10001"
    assert config["Entrypoint"] == ["orderd-entrypoint"]
    assert config["StopSignal"] == "SIGTERM"
    assert (
        config["Labels"]
        | {
            f"{LABEL}.title": "orderd",
            f"{LABEL}.version": __version__,
            f"{LABEL}.revision": REVISION,
            f"{LABEL}.base.name": base_image,
            f"{LABEL}.licenses": "Apache-2.0",
            f"{LABEL}.vendor": "The orderd developers",
        }
        == config["Labels"]
    )
    assert config["Labels"][f"{LABEL}.description"]
    assert told["Healthcheck"]["Test"] == ["CMD", "orderctl", "health"]


def test_the_application_adds_no_more_than_60_mb(
    podman: Podman, image: str, base_image: str
) -> None:
    layers, below = (_layers(podman, name) for name in (image, base_image))

    added = podman.inspect("image", image)["Size"] - podman.inspect("image", base_image)["Size"]

    assert layers[: len(below)] == below
    assert len(layers) == len(below) + 1
    assert 10_000_000 < added <= LAYER_BYTES_MAX


def test_the_same_source_gives_the_same_image(
    podman: Podman, image: str, base_image: str, source: Path, tmp_path: Path
) -> None:
    # Elsewhere and with other times, its files are still the same source.
    elsewhere = shutil.copytree(source, tmp_path / "elsewhere", copy_function=shutil.copyfile)
    again = f"{IMAGE}:again"

    build(
        podman,
        elsewhere,
        base_image,
        *("--no-cache", "--layers=false", f"--tag={again}", *LABELS),
    )

    try:
        if _layers(podman, again) != _layers(podman, image):
            contents = [_contents(podman, name, tmp_path) for name in (image, again)]
            assert contents[0] == contents[1]
        assert _layers(podman, again) == _layers(podman, image)
    finally:
        podman.run("rmi", again)


def test_nothing_that_builds_it_is_left_in_the_image(
    podman: Podman, image: str, tmp_path: Path
) -> None:
    contents = _contents(podman, image, tmp_path)
    history = podman.run("history", "--no-trunc", "--format=json", image)

    packages = {Path(name).name.split("-")[0] for name in contents if "site-packages/" in name}
    assert "orderd" in packages
    assert not packages & BUILDERS
    assert {Path(name).parts[0] for name in contents} == {"opt"}
    assert "pip.conf" not in history


def test_all_modules_are_compiled_for_good(podman: Podman, image: str, tmp_path: Path) -> None:
    with _application_layer(podman, image, tmp_path) as layer:
        files = {member.name: member for member in layer if member.isfile()}
        sources = {name for name in files if name.endswith(".py") and "/site-packages/" in name}
        compiled = [name for name in files if name.endswith(".pyc")]
        flags = {layer.extractfile(files[name]).read(8)[PYC_FLAGS] for name in compiled}  # type: ignore[union-attr]

    assert len(sources) == len(compiled) > 500
    assert flags == {PYC_FOR_GOOD}


def test_orderctl_in_the_image_migrates_an_empty_database(
    podman: Podman, image: str, empty_database_url: str
) -> None:
    run = ("run", "--rm", "--read-only", f"--env=ORDERD_DATABASE_URL={empty_database_url}")

    first = podman.run(*run, image, "orderctl", "migrate")
    check = podman.run(*run, image, "orderctl", "migrate", "--check")

    assert "0001_create_shop" in first
    assert "0001_create_shop" not in check


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--version",), f"orderd {__version__}"),
        (("orderd", "--version"), f"orderd {__version__}"),
        (("orderd-notify", "--version"), f"orderd-notify {__version__}"),
        (("orderctl", "--version"), f"orderctl {__version__}"),
    ],
)
def test_the_first_word_may_be_a_program_and_else_orderd_runs(
    podman: Podman, image: str, arguments: tuple[str, ...], said: str
) -> None:
    assert podman.run("run", "--rm", image, *arguments).strip() == said


def _layers(podman: Podman, name: str) -> list[str]:
    layers = podman.inspect("image", name)["RootFS"]["Layers"]
    assert isinstance(layers, list)
    return layers


def _contents(podman: Podman, name: str, place: Path) -> dict[str, Any]:
    """Return what the application's layer holds: path to everything about it."""
    with _application_layer(podman, name, place) as layer:
        return {member.name: _about(layer, member) for member in layer}


def _about(layer: tarfile.TarFile, member: tarfile.TarInfo) -> tuple[object, ...]:
    content = layer.extractfile(member) if member.isfile() else None
    file_hash = None if content is None else sha256(content.read()).hexdigest()
    return (member.type, member.mode, member.uid, member.gid, member.linkname, file_hash)


def _application_layer(podman: Podman, name: str, place: Path) -> tarfile.TarFile:
    archive = place / "image.tar"
    archive.unlink(missing_ok=True)
    podman.run("save", "--quiet", "--format=docker-archive", f"--output={archive}", name)
    with tarfile.open(archive) as image:
        manifest = image.extractfile("manifest.json")
        assert manifest is not None
        (told,) = json.load(manifest)
        image.extract(told["Layers"][-1], place, filter="data")
        return tarfile.open(place / told["Layers"][-1])
