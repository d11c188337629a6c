"""libvirt's test driver under the measures of `npm run bench -- api-peers`: api-libvirt.py VMS READS POWERS."""

import json
import sys
import time

import libvirt

vms, reads, powers = map(int, sys.argv[1:4])
connection = libvirt.open("test:///default")
begin = time.monotonic()
for i in range(vms):
    connection.defineXML(
        "<domain type='test'><name>b%d</name><memory>8192</memory><os><type>hvm</type></os></domain>" % i
    )
built = time.monotonic() - begin
print(json.dumps({"builtMs": built * 1000, "vms": vms}), flush=True)
for _line in sys.stdin:
    domains = [connection.lookupByName("b%d" % i) for i in range(vms)]
    begin = time.monotonic()
    for i in range(reads):
        domains[i % vms].XMLDesc()
    read = time.monotonic() - begin
    begin = time.monotonic()
    for i in range(powers):
        domains[i % vms].create()
        domains[i % vms].destroy()
    power = time.monotonic() - begin
    print(json.dumps({"readsPerSecond": reads / read, "powersPerSecond": 2 * powers / power}), flush=True)
