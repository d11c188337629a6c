"""A client by Debian's XenAPI.py, unmodified: lifecycle.py URL USER PASSWORD. Prints what it sees, a line each."""

import ssl
import sys

from os_xenapi.client import XenAPI

# The server's certificate is of its own making.
ssl._create_default_https_context = ssl._create_unverified_context

url, user, password = sys.argv[1:4]


def refused(action, *expected):
    try:
        action()
    except XenAPI.Failure as failure:
        assert failure.details[: len(expected)] == list(expected), failure.details
        print("refused", failure.details[0])
    else:
        raise AssertionError("not refused: %s" % (expected,))


refused(lambda: XenAPI.Session(url).login_with_password(user, "wrong"), "SESSION_AUTHENTICATION_FAILED", user)

session = XenAPI.Session(url)
session.login_with_password(user, password, "1.0", "lifecycle.py")
xenapi = session.xenapi
print("version", session.API_version)

hosts = xenapi.host.get_all_records()
print("hosts", len(hosts))

vms = xenapi.VM.get_all_records()
templates = [
    ref for ref, vm in vms.items() if vm["is_a_template"] and not vm["is_a_snapshot"] and vm["PV_kernel"]
]
name = "from Python; \"'\n\u00fc"
vm = xenapi.VM.clone(templates[0], name)
xenapi.VM.provision(vm)
assert xenapi.VM.get_by_name_label(name) == [vm]
print("state", xenapi.VM.get_power_state(vm))


def events_from(token):
    return getattr(xenapi.event, "from")(["VM/" + vm], token, 5.0)


batch = events_from("")
assert [event["operation"] for event in batch["events"]] == ["add"], batch
for step, expected in [
    (lambda: xenapi.VM.start(vm, False, False), "Running"),
    (lambda: xenapi.VM.pause(vm), "Paused"),
    (lambda: xenapi.VM.unpause(vm), "Running"),
    (lambda: xenapi.VM.suspend(vm), "Suspended"),
    (lambda: xenapi.VM.resume(vm, False, False), "Running"),
    (lambda: xenapi.VM.clean_reboot(vm), "Running"),
    (lambda: xenapi.VM.clean_shutdown(vm), "Halted"),
]:
    step()
    assert xenapi.VM.get_power_state(vm) == expected
    batch = events_from(batch["token"])
    assert batch["events"][-1]["snapshot"]["power_state"] == expected, batch
    print("state", expected)

refused(lambda: xenapi.VM.unpause(vm), "VM_BAD_POWER_STATE", vm)
refused(lambda: xenapi.VM.get_record("OpaqueRef:none"), "HANDLE_INVALID", "VM", "OpaqueRef:none")
refused(lambda: xenapi.VM.set_name_label(vm), "MESSAGE_PARAMETER_COUNT_MISMATCH", "VM.set_name_label", "2", "1")
refused(lambda: xenapi.VM.nonsense(), "MESSAGE_METHOD_UNKNOWN", "VM.nonsense")

task = xenapi.Async.VM.start(vm, False, False)
while xenapi.task.get_status(task) == "pending":
    pass
print("task", xenapi.task.get_status(task))
xenapi.task.destroy(task)
xenapi.VM.hard_shutdown(vm)
xenapi.VM.destroy(vm)
assert vm not in xenapi.VM.get_all()
session.logout()
print("done")
