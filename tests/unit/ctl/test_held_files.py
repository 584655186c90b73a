"""Files that root alone may read can be used by orderctl once it is no longer root."""

import os

import pytest

from orderd.ctl.installed import _held
from orderd.runtime.tls import TlsFiles, client_context
from tests.support.authority import Authority

NOBODY = 65_534


@pytest.mark.skipif(os.geteuid() != 0, reason="gives up root")
def test_files_are_held_over_the_loss_of_root(tmp_path_factory: pytest.TempPathFactory) -> None:
    authority = Authority(tmp_path_factory.mktemp("authority"))
    pair = authority.issue("client", ["client"])
    paths = (authority.certificate, pair.certificate, pair.key)
    for path in paths:
        path.chmod(0o600)
    held = TlsFiles(*(_held(path.name, str(path)) for path in paths))

    child = os.fork()
    if child == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
        try:
            client_context(held)
        except BaseException:  # noqa: BLE001 - the status tells
            os._exit(1)
        os._exit(0)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
