"""A worker for the process pool in plain Python 3, after PROTOCOL.md. It needs msgpack (Debian: python3-msgpack).

    from concurrent_worker import function, main

    @function("text.Words", takes="string", returns="int")
    def words(text):
        return len(text.split())

    main()

It offers no features, so the host sends it one call at a time and kills it where another worker would be asked to stop.
"""
import os
import queue
import sys
import threading
import traceback

import msgpack

VERSION = 1
COOKIE = ("CONCURRENT_WORKER", "f9c1b2c7-8f3b-4a57-9a51-6f0c3f0d8a11")
HANDSHAKE = "1|1|unix|descriptors-3-and-4|netrpc"
MAGIC = b"\xc1cf\x01"
REQUEST, RESPONSE, NOTIFICATION = 0, 1, 2
MAX_TEXT = 64 << 10  # of a failure
RESULT_HEAD = 12  # the most that a response has before its result

# What a caller finds with errors.Is in the error of a function that raised one of these.
CODES = {FileNotFoundError: "fs.ErrNotExist", FileExistsError: "fs.ErrExist", PermissionError: "fs.ErrPermission",
         NotImplementedError: "errors.ErrUnsupported", TimeoutError: "context.DeadlineExceeded"}

functions, offers = {}, []


def function(name, takes="", returns=""):
    """Offers a function of one argument. takes and returns are fingerprints of Go types; the host checks those given."""
    def register(body):
        if name in functions:
            raise ValueError(f"two functions are named {name!r}")
        functions[name] = body
        offers.append({"name": name, "in": takes, "out": returns})
        return body
    return register


def main():
    """Serves the host that started this process. It never returns."""
    if os.environ.get(COOKIE[0]) != COOKIE[1]:
        print(f"{sys.argv[0]} is a worker: start it from Go, with procpool.Command(\"python3\", {sys.argv[0]!r}).\n"
              f"It offers {', '.join(functions)}.", file=sys.stderr)
        sys.exit(2)
    versions = os.environ.get("PLUGIN_PROTOCOL_VERSIONS", "")
    for name in [name for name in os.environ if name == COOKIE[0] or name.startswith("PLUGIN_")]:
        del os.environ[name]  # what the functions start is no worker
    if str(VERSION) not in versions.split(","):
        die(f"the host speaks version {versions!r} of the protocol, this worker version {VERSION}")
    sys.stdout.reconfigure(line_buffering=True)  # what was printed survives a crash
    os.set_inheritable(3, False)
    os.set_inheritable(4, False)
    requests, responses = open(3, "rb"), open(4, "wb")
    print(HANDSHAKE, flush=True)
    send(responses, pack([NOTIFICATION, "hello", [{
        "protocol": VERSION, "pid": os.getpid(), "build": f"{sys.argv[0]} Python {sys.version.split()[0]}",
        "features": [], "functions": offers}]]))
    welcome = msgpack.unpackb(receive(requests, 1 << 20))
    if welcome[:2] != [NOTIFICATION, "welcome"] or welcome[2][0]["protocol"] != VERSION:
        die(f"this is no welcome: {welcome}")
    max_body = welcome[2][0]["max_body"]
    max_result = min(welcome[2][0].get("max_result") or max_body, max_body - RESULT_HEAD)
    calls = queue.Queue()
    threading.Thread(target=read, args=(requests, max_body, calls), daemon=True).start()
    while True:
        send(responses, answer(calls.get(), max_result))


def read(requests, max_body, calls):
    """Takes in calls while another runs, so that the end of the requests ends the process whatever it is doing."""
    while True:
        message = msgpack.Unpacker(max_buffer_size=0, strict_map_key=False, timestamp=3, unicode_errors="surrogateescape")
        message.feed(receive(requests, max_body))
        message.read_array_header()
        if message.unpack() == REQUEST:  # notifications are not for this worker
            calls.put(message)


def answer(message, max_result):
    """Runs one call and returns the body of its response."""
    number, name = message.unpack(), message.unpack()
    message.skip()  # meta: the host keeps the time
    if name not in functions:
        return failure(number, "function", message="it has other functions")
    try:
        argument = message.unpack()
    except Exception as e:
        return failure(number, "argument", message=str(e))
    try:
        result = functions[name](argument)
    except BaseException as e:  # sys.exit in a function as well
        codes = [code for kind, code in CODES.items() if isinstance(e, kind)]
        return failure(number, "task", type(e).__qualname__, str(e), "".join(traceback.format_exception(type(e), e, e.__traceback__)), codes)
    try:
        value = pack(result)
    except Exception as e:
        return failure(number, "result", message=str(e))
    if len(value) > max_result:
        return failure(number, "result", message=f"it takes {len(value)} bytes, and the host takes results of up to {max_result} (Config.MaxResult)")
    return b"\x94" + pack(RESPONSE) + pack(number) + pack(None) + value


def failure(number, kind, type="", message="", stack="", codes=()):
    return pack([RESPONSE, number, {"kind": kind, "type": type, "message": message[:MAX_TEXT], "stack": stack[-MAX_TEXT:], "codes": codes}, None])


def pack(value):
    return msgpack.packb(value, datetime=True, unicode_errors="surrogateescape")


def send(responses, body):
    responses.write(MAGIC + len(body).to_bytes(4, "big") + body)
    responses.flush()


def receive(requests, max_body):
    """Reads the body of the next frame. The process ends when there is none."""
    head = requests.read(8)
    if not head:
        leave(0)  # the host is gone, or wants this worker gone
    size = int.from_bytes(head[4:], "big")
    body = requests.read(size) if head[:4] == MAGIC and size <= max_body else b""
    if len(head) < 8 or head[:4] != MAGIC or len(body) < size:
        die(f"this is no frame: {head}")
    return body


def die(why):
    print(f"worker: {why}", file=sys.stderr)
    leave(3)


def leave(code):
    try:
        sys.stdout.flush()
    finally:
        os._exit(code)
