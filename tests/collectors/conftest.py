"""IMAP servers for whoever reads mailboxes: one in this process, and a real Dovecot where there is one."""

import pytest

from monitor.demo.servers.imap import ImapServer
from tests.servers.dovecot import Dovecot


@pytest.fixture
def server():
    with ImapServer("fbl", Dovecot.password) as running:
        yield running


@pytest.fixture(scope="module")
def running_dovecot():
    with Dovecot() as running:
        yield running


@pytest.fixture(params=["pymap", pytest.param("dovecot", marks=pytest.mark.real("dovecot"))])
def any_server(request):
    if request.param == "pymap":
        return request.getfixturevalue("server")
    running = request.getfixturevalue("running_dovecot")
    running.new_user()
    return running
