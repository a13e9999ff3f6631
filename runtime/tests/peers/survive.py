"""Groups of both protocols and a transaction go on while each broker in turn is stopped, and so each coordinator; speaks to the
test by lines.

usage: survive.py BOOTSTRAP PREFIX
"""
import sys

from common import SERVERS, SILENT, admin, name, settled
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient
from groups import Member, create, offsets
from transactions import Writer, outcome

PARTITIONS = 4


def tell(line):
    print(line, flush=True)
    assert sys.stdin.readline().strip() == "done"


def join(topic, **settings):
    pair = [Member(topic, group_id=name(topic), **settings) for _ in range(2)]
    assert settled(lambda: sum(len(member.holds()) for member in pair) == PARTITIONS and all(member.holds() for member in pair))
    return pair


def commit(topic, pair, offset):
    """Each member commits what it holds; what a client gives up on it may try again, but it must not be refused."""
    for member in pair:
        for partition in member.holds():
            answers = []
            assert settled(lambda: answers.append(member.commit(topic, partition, offset)) or answers[-1] == 0), answers


def committed(group):
    # A new client each time: librdkafka holds on to a coordinator that is down for as long as its request may take.
    return [(partition, offset) for partition, offset, _ in offsets(name(group), AdminClient({"bootstrap.servers": SERVERS}, logger=SILENT))]


def whole():
    topics = admin.list_topics(timeout=60).topics.values()
    return all(len(partition.isrs) == len(partition.replicas) for topic in topics for partition in topic.partitions.values())


for topic in ["classic", "new", "written"]:
    create(topic, PARTITIONS, replicas=3)
groups = {"classic": join("classic", session_timeout_ms=45000), "new": join("new", group_protocol="consumer")}
alone = Consumer({"bootstrap.servers": SERVERS, "group.id": name("alone")}, logger=SILENT)
before = {topic: [member.rebalances for member in pair] for topic, pair in groups.items()}
reader = Consumer({"bootstrap.servers": SERVERS, "group.id": "none", "isolation.level": "read_committed", "fetch.wait.max.ms": 100},
                  logger=SILENT)
reader.assign([TopicPartition(name("written"), 0, 0)])

for broker in [1, 2, 3]:
    for topic, pair in groups.items():
        commit(topic, pair, broker * 10)
    writer = Writer("written", "survivor", transaction_timeout_ms=600000).init()
    writer.producer.begin_transaction()
    writer.send(f"record {broker}")
    place = TopicPartition(name("written"), 0, broker)
    writer.producer.send_offsets_to_transaction([place], alone.consumer_group_metadata(), 60)
    tell(f"broker stop {broker}")
    for topic, pair in groups.items():
        expected = [(partition, broker * 10) for partition in range(PARTITIONS)]
        assert settled(lambda: committed(topic) == expected), committed(topic)
        commit(topic, pair, broker * 10 + 1)
        expected = [(partition, broker * 10 + 1) for partition in range(PARTITIONS)]
        assert settled(lambda: committed(topic) == expected), committed(topic)
    assert reader.poll(0.5) is None, "it is open"
    answer = outcome(lambda: writer.producer.commit_transaction(60))
    assert answer == 0, answer
    message = reader.poll(60)
    assert message.value().decode() == f"record {broker}", message.value()
    assert settled(lambda: committed("alone") == [(0, broker)]), committed("alone")
    tell(f"broker start {broker}")
    assert settled(whole), "it comes back to all that it holds"

after = {topic: [member.rebalances for member in pair] for topic, pair in groups.items()}
assert before == after, (before, after)
for pair in groups.values():
    for member in pair:
        assert member.failure is None, member.failure
        member.close()
tell("end")
