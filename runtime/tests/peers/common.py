"""What the scripts share: the cluster, the names of what they make in it, and their answers."""
import logging
import sys
import threading
import time

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

SERVERS, PREFIX = sys.argv[1], sys.argv[2]
admin = AdminClient({"bootstrap.servers": SERVERS})
answers = threading.local()

# Errors are answers here: the client need not print them.
SILENT = logging.getLogger("silent")
SILENT.propagate = False
SILENT.addHandler(logging.NullHandler())


def name(topic):
    return PREFIX + topic


def say(what, answer):
    answers.lines.append(f"{what}: {answer}")


def together(*steps):
    """Runs all at once; their answers come in the order of the steps."""
    lines = [[] for _ in steps]
    failures = []

    def run(step, own):
        answers.lines = own
        try:
            step()
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=run, args=both) for both in zip(steps, lines)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    answers.__dict__.setdefault("lines", []).extend(line for own in lines for line in own)


def code(call):
    """0, or the number of the error of a call or of a future."""
    try:
        call() if callable(call) else call.result()
        return 0
    except KafkaException as error:
        return error.args[0].code()


def settled(true):
    """Answers come from brokers that hear of changes a little later. Gives what is true, or what is not after a minute."""
    deadline = time.time() + 60
    while not (answer := true()) and time.time() < deadline:
        time.sleep(0.05)
    return answer
