"""Fixtures of the container tests: podman, the image of this tree, containers of it."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Protocol

import pytest

from orderd import __version__
from tests.acceptance.shop import Shop
from tests.conftest import DAEMONS, RUN_NAME, SERIAL
from tests.support.container import Container
from tools.daemon import EVENT_TIMEOUT_S, DaemonProcess
from tools.debian_root import MakingFailed
from tools.guest import Guest, trial
from tools.images import build, python_base, source_copy
from tools.podman import Podman, PodmanFailed, obstacle
from tools.podman_guest import PACKAGES, podman_guest

IMAGE = "localhost/orderd-test"
REVISION = "test"
LABEL = "org.opencontainers.image"
LABELS = (f"--label={LABEL}.version={__version__}", f"--label={LABEL}.revision={REVISION}")


class StartContainer(Protocol):
    """What the fixture `container` gives: starts one more container for this test."""

    def __call__(
        self,
        *,
        ready: bool = True,
        timeout_s: float = EVENT_TIMEOUT_S,
        args: Sequence[str] = (),
        options: Sequence[str] = (),
        **orderd_settings: object,
    ) -> Container: ...


@pytest.fixture(scope="session")
def podman() -> Iterator[Podman]:
    """The engine, after it has run a container; skips where that cannot be."""
    reason = obstacle()
    if reason is not None:
        pytest.skip(f"podman cannot run here: {reason}")
    engine = Podman()
    try:
        engine.run("run", "--rm", python_base(engine), "true")
    except (PodmanFailed, MakingFailed) as error:
        pytest.skip(f"podman cannot run here: {error}")
    yield engine
    engine.attempt("rm", "--force", "--time=0", f"--filter=name={RUN_NAME}")
    # All but the images that have a name, and what they were made from.
    engine.attempt("image", "prune", "--force")


@pytest.fixture(scope="session")
def base_image(podman: Podman) -> str:
    """The stand-in for the public image of Python."""
    return python_base(podman)


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the image is made of, as the tree has it when the first test asks."""
    return source_copy(tmp_path_factory.mktemp("image") / "source")


@pytest.fixture(scope="session")
def image(podman: Podman, base_image: str, source: Path) -> str:
    """The image of this tree."""
    # Named, so that it is kept for the next run.
    build(podman, source, base_image, "--target=dependencies", f"--tag={IMAGE}:dependencies")
    build(podman, source, base_image, f"--tag={IMAGE}:latest", *LABELS)
    return f"{IMAGE}:latest"


@pytest.fixture
def container(
    request: pytest.FixtureRequest,
    podman: Podman,
    image: str,
    database_url: str,
    vhost_url: str,
) -> Iterator[StartContainer]:
    """Start containers on this test's database and virtual host; none of them outlives it.

    `container(batch_max=1)` sets ORDERD_BATCH_MAX; it returns when orderd consumes, or, with
    `ready=False`, at once.
    """
    started: list[DaemonProcess] = request.node.stash.setdefault(DAEMONS, [])
    with ExitStack() as stack:

        def start(
            *,
            ready: bool = True,
            timeout_s: float = EVENT_TIMEOUT_S,
            args: Sequence[str] = (),
            options: Sequence[str] = (),
            **orderd_settings: object,
        ) -> Container:
            settings = {"database_url": database_url, "rabbitmq_url": vhost_url}
            settings |= {key: str(orderd_settings[key]) for key in orderd_settings}
            name = f"{RUN_NAME}_{next(SERIAL)}"
            one = Container(podman, image, name, settings, args=args, options=options)
            stack.callback(one.kill)
            started.append(one)
            if ready:
                one.wait_ready(timeout_s=timeout_s)
            return one

        yield start


@pytest.fixture
def shop(vhost_url: str, database_url: str) -> Iterator[Shop]:
    """The virtual host and the database of a test, from outside."""
    with closing(Shop(vhost_url, database_url)) as one:
        yield one


@pytest.fixture(scope="session")
def guest(podman: Podman, image: str) -> Iterator[Guest]:
    """A booted Debian with podman, which has this image; its own two servers run as well."""
    assert podman.has_image(image)
    if reason := trial(PACKAGES):
        pytest.skip(f"no guest can be booted here: {reason}")
    with podman_guest(podman) as booted:
        yield booted
