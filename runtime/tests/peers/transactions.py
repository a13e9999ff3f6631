"""Transactions: what they show and hide, who is fenced, and offsets within them."""
import time

from common import SERVERS, SILENT, admin, name, say, settled, together
from confluent_kafka import Consumer, IsolationLevel, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import OffsetSpec
from groups import Member, create


class Writer:
    def __init__(self, topic, transactional_id, **settings):
        self.topic = name(topic)
        settings = {key.replace("_", "."): value for key, value in settings.items()}
        self.producer = Producer({"bootstrap.servers": SERVERS, "transactional.id": name(transactional_id), "linger.ms": 20,
                                  **settings}, logger=SILENT)

    def init(self):
        self.producer.init_transactions(60)
        return self

    def send(self, *values):
        for partition, value in enumerate(values):
            self.producer.produce(self.topic, value=value, partition=partition)
        self.producer.flush(60)

    def commit(self, *values):
        self.producer.begin_transaction()
        self.send(*values)
        self.producer.commit_transaction(60)

    def abort(self, *values):
        self.producer.begin_transaction()
        self.send(*values)
        self.producer.abort_transaction(60)


def outcome(call):
    """0, or the error's number and what it means to a transaction."""
    try:
        call()
        return 0
    except KafkaException as failure:
        error = failure.args[0]
        kinds = [("fatal", error.fatal()), ("abortable", error.txn_requires_abort()), ("retriable", error.retriable())]
        return error.code(), *(kind for kind, is_ in kinds if is_)


def end(topic, isolation, partition=0):
    place = TopicPartition(name(topic), partition)
    return admin.list_offsets({place: OffsetSpec.latest()}, isolation_level=isolation)[place].result().offset


def read(topic, start, isolation):
    """Offsets and values of partition 0 from an offset on, up to where a reader of that kind gets."""
    committed = isolation == IsolationLevel.READ_COMMITTED
    consumer = Consumer({"bootstrap.servers": SERVERS, "group.id": "none", "enable.auto.commit": False, "enable.partition.eof": True,
                         "fetch.wait.max.ms": 100, "isolation.level": "read_committed" if committed else "read_uncommitted"})
    last = end(topic, isolation)
    consumer.assign([TopicPartition(name(topic), 0, start)])
    got, deadline, ended = [], time.time() + 60, last <= start
    while not ended and time.time() < deadline:
        message = consumer.poll(0.2)
        if message is None:
            continue
        if message.error():
            ended = message.offset() >= last
        else:
            got.append((message.offset(), message.value().decode()))
    consumer.close()
    return got


def both(what, topic):
    say(f"{what}, committed", read(topic, 0, IsolationLevel.READ_COMMITTED))
    say(f"{what}, all", read(topic, 0, IsolationLevel.READ_UNCOMMITTED))


def settle(topic):
    """A commit is answered before its markers are there."""
    settled(lambda: end(topic, IsolationLevel.READ_COMMITTED) == end(topic, IsolationLevel.READ_UNCOMMITTED))


def visible():
    create("visible", 2)
    writer = Writer("visible", "visible").init()
    writer.producer.begin_transaction()
    writer.send("a", "b")
    both("while open", "visible")
    writer.producer.commit_transaction(60)
    settle("visible")
    both("after a commit", "visible")
    writer.abort("c", "d")
    settle("visible")
    both("after an abort", "visible")
    writer.commit("e")
    writer.commit()
    writer.abort()
    settle("visible")
    both("after empty ones", "visible")
    say("from within an aborted batch", read("visible", 2, IsolationLevel.READ_COMMITTED))
    for i in range(30):
        writer.commit(f"f{i}")
    settle("visible")
    say("thirty more", (len(read("visible", 6, IsolationLevel.READ_COMMITTED)), end("visible", IsolationLevel.READ_UNCOMMITTED)))


def held():
    """The first open transaction holds back what others have committed behind it."""
    create("held", 1)
    first, second = Writer("held", "first").init(), Writer("held", "second").init()
    first.producer.begin_transaction()
    first.send("a")
    second.commit("b")
    both("behind an open one", "held")
    first.producer.abort_transaction(60)
    settle("held")
    both("behind an aborted one", "held")


def fenced():
    create("fenced", 1)
    zombie = Writer("fenced", "fenced").init()
    zombie.producer.begin_transaction()
    zombie.send("a")
    writer = Writer("fenced", "fenced").init()
    say("zombie commits", outcome(lambda: zombie.producer.commit_transaction(60)))
    say("zombie goes on", outcome(zombie.producer.begin_transaction))
    writer.commit("b")
    settle("fenced")
    both("after a zombie", "fenced")
    silent = Writer("fenced", "fenced").init()
    say("zombie sends", outcome(lambda: writer.commit("c")))
    silent.commit("d")
    settle("fenced")
    both("after fencing", "fenced")
    patient = Writer("fenced", "patient", transaction_timeout_ms=3600000)
    say("timeout too long", outcome(patient.init))


def late():
    create("late", 1)
    writer = Writer("late", "late", transaction_timeout_ms=5000, message_timeout_ms=5000).init()
    writer.producer.begin_transaction()
    writer.send("a")
    settled(lambda: end("late", IsolationLevel.READ_COMMITTED) > 0)
    say("commit after the timeout", outcome(lambda: writer.producer.commit_transaction(60)))
    settle("late")
    both("after a timeout", "late")


def offsets():
    create("offsets", 1)
    group, topic = name("offsets"), name("offsets")
    writer = Writer("offsets", "offsets").init()
    member = Member("offsets", group_id=group)
    settled(lambda: member.holds() == [0])

    def send(offset, commit, by):
        writer.producer.begin_transaction()
        place = [TopicPartition(topic, 0, offset)]
        answer = outcome(lambda: writer.producer.send_offsets_to_transaction(place, by, 60))
        end = writer.producer.commit_transaction if commit and answer == 0 else writer.producer.abort_transaction
        return answer, outcome(lambda: end(60))

    say("offsets before", member.committed("offsets", 0))
    present = member.ask(member.consumer.consumer_group_metadata)
    say("offsets of a member", send(7, True, present))
    say("offsets after a commit", member.committed("offsets", 0))
    say("offsets aborted", send(9, False, present))
    say("offsets after an abort", member.committed("offsets", 0))
    # Another member makes a new generation of the group.
    other = Member("offsets", group_id=group)
    settled(lambda: member.rebalances + other.rebalances >= 3 and len(member.holds() + other.holds()) == 1)
    say("offsets of an old generation", send(11, True, present))
    say("offsets at last", member.committed("offsets", 0))
    member.close()
    other.close()
    say("offsets of who left", send(13, True, present))


def run():
    together(visible, held, fenced, late, offsets)
