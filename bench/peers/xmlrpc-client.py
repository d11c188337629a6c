"""Python's xmlrpc.client on an answer of the XenAPI: xmlrpc-client.py FILE ROUNDS. Prints seconds a reading, a line each."""

import sys
import time
import xmlrpc.client

with open(sys.argv[1], "rb") as file:
    text = file.read()
for _ in range(int(sys.argv[2])):
    begin = time.process_time()
    xmlrpc.client.loads(text)
    print(time.process_time() - begin)
