"""XenAPI as Ansible's modules import it, which is Debian's os_xenapi.client.XenAPI.

xenserver_facts speaks to the host that it runs on, over a socket that only root may use and without a password. Here that
"host" is the server of the test, over TCP, with the login of the environment.
"""

import os

from os_xenapi.client.XenAPI import *  # noqa: F401,F403
from os_xenapi.client import XenAPI as _library


class _Local(_library.Session):
    def _login(self, method, _nobody):
        _library.Session._login(self, method, (os.environ["XENOLITH_USER"], os.environ["XENOLITH_PASSWORD"]))


def xapi_local():
    return _Local(os.environ["XENOLITH_URL"])
