# Runs a program on a pseudo-terminal: on-terminal.py ANSWER PROGRAM ARG… Types ANSWER (with \n, \x03, \x04) when it is asked something,
# and prints what the terminal showed as JSON: { code, output, asked }.
import json
import os
import pty
import select
import sys
import time

answer = sys.argv[1].encode().decode("unicode_escape").encode()
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(sys.argv[2], sys.argv[2:])

output = b""
asked = False
deadline = time.monotonic() + 50
while time.monotonic() < deadline:
    ready, _, _ = select.select([terminal], [], [], 1)
    if not ready:
        continue
    try:
        chunk = os.read(terminal, 65536)
    except OSError:
        break
    if not chunk:
        break
    output += chunk
    if not asked and b"[y/N]" in output:
        asked = True
        os.write(terminal, answer)
else:
    os.kill(pid, 9)
code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
print(json.dumps({"code": code, "output": output.decode("utf-8", "replace"), "asked": asked}))
