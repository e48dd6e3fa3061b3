"""Functions for the tests of the Python worker, misbehaving ones among them."""
import os
import signal

from concurrent_worker import function, main


@function("trial.echo")
def echo(value):
    return value


@function("trial.typed", takes="int", returns="string")
def typed(number):
    return str(number)


@function("trial.double")
def double(number):
    return 2 * number


@function("trial.name_of_type")
def name_of_type(value):
    return type(value).__name__


@function("trial.pid")
def pid(_):
    return os.getpid()


@function("trial.fail")
def fail(message):
    raise ValueError(message)


@function("trial.read_file")
def read_file(path):
    with open(path) as file:
        return file.read()


@function("trial.leave")
def leave(code):
    raise SystemExit(code)


@function("trial.exit")
def exit_at_once(code):
    print("last words")
    os._exit(code)


@function("trial.kill")
def kill(number):
    os.kill(os.getpid(), number)
    signal.pause()


@function("trial.say")
def say(text):
    print(text, end="")
    return len(text)


@function("trial.hang")
def hang(fifo):
    with open(fifo, "w"):  # whoever reads it sees that this has started
        signal.pause()


@function("trial.meet")
def meet(fifo):
    """Returns once two calls, one with an end of the FIFO each, run at the same time."""
    path, mode = fifo
    with open(path, mode):
        return os.getpid()


@function("trial.result")
def result(name):
    return {"object": object(), "huge": 1 << 70, "text": "text", "none": None, "tuple": (1, 2)}[name]


@function("trial.garbage")
def garbage(data):
    os.write(4, data)
    signal.pause()


state = []


@function("trial.initialize")
def initialize(value):
    if value < 0:
        raise ValueError(f"{value} is negative")
    state.append(value)


@function("trial.connect")
def connect(host):
    import socket

    socket.create_connection((host, 9)).close()


@function("trial.state")
def get_state(_):
    return state


main()
