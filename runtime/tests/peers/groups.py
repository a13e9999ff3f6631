"""Groups of both protocols: assignors, rebalances, static members, commits, and what administrators see of them."""
import threading
import time

from common import SERVERS, SILENT, admin, code, name, say, settled, together
from confluent_kafka import (Consumer, ConsumerGroupState, ConsumerGroupTopicPartitions, ConsumerGroupType, KafkaError,
                             TopicCollection, TopicPartition)
from confluent_kafka.admin import NewTopic


class Member:
    """Polls all the time, on a thread of its own, and does between polls what it is asked for: the client takes one call at a time."""

    def __init__(self, topic, **settings):
        settings = {key.replace("_", "."): value for key, value in settings.items()}
        if settings.get("group.protocol") != "consumer":
            settings = {"heartbeat.interval.ms": 300, "session.timeout.ms": 30000, **settings}
        self.consumer = Consumer({"bootstrap.servers": SERVERS, "auto.offset.reset": "earliest", "enable.auto.commit": False,
                                  "fetch.wait.max.ms": 100, **settings}, logger=SILENT)
        self.revoked, self.rebalances, self.held, self.failure, self.ends, self.tasks = 0, 0, [], None, False, []
        self.consumer.subscribe([name(topic)], on_assign=self.assigned, on_revoke=self.lost, on_lost=self.lost)
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while not self.ends:
            message = self.consumer.poll(0.05)
            error = message.error() if message is not None else None
            # A topic may be unknown just after it was made.
            if error is not None and error.code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                # What is fatal keeps its number to itself.
                self.failure = error.str().split(": ")[1:3] if error.code() == KafkaError._FATAL else error.code()
            while self.tasks:
                self.tasks.pop()()
            self.held = sorted(place.partition for place in self.consumer.assignment())

    def assigned(self, _consumer, _partitions):
        self.rebalances += 1

    def lost(self, _consumer, partitions):
        self.revoked += len(partitions)

    def holds(self):
        return self.held

    def ask(self, what):
        answer = []
        self.tasks.append(lambda: answer.append(what()))
        return settled(lambda: answer)[0]

    def commit(self, topic, partition, offset, metadata=""):
        place = TopicPartition(name(topic), partition, offset, metadata)
        return self.ask(lambda: code(lambda: self.consumer.commit(offsets=[place], asynchronous=False)))

    def committed(self, topic, partition):
        return self.ask(lambda: self.consumer.committed([TopicPartition(name(topic), partition)], timeout=60)[0].offset)

    def close(self):
        self.ends = True
        self.thread.join()
        self.consumer.close()


def create(topic, partitions, replicas=1):
    admin.create_topics([NewTopic(name(topic), partitions, replicas)])[name(topic)].result()
    described = lambda: admin.describe_topics(TopicCollection([name(topic)]))[name(topic)]
    assert settled(lambda: code(described()) == 0), "brokers hear of it a little later"


def share(how, exact, **settings):
    """Two members share four partitions, and one of them leaves."""
    topic = "shared-by-" + how.replace(" ", "-")
    create(topic, 4)
    settings["group_id"] = name(topic)
    # The names decide who comes first in a list of members.
    a = Member(topic, client_id="a", **settings)
    settled(lambda: len(a.holds()) == 4)
    say(f"{how}, alone", a.holds())
    say(f"{how}, commit", a.commit(topic, 3, 33))
    b = Member(topic, client_id="b", **settings)
    settled(lambda: len(a.holds()) == len(b.holds()) == 2)
    say(f"{how}, together", [a.holds(), b.holds()] if exact else sorted(a.holds() + b.holds()))
    say(f"{how}, revoked", a.revoked)
    say(f"{how}, committed", b.committed(topic, 3))
    a.close()
    settled(lambda: len(b.holds()) == 4)
    say(f"{how}, left alone", b.holds())
    b.close()
    say(f"{how}, failures", [a.failure, b.failure])


def assignors():
    strategy = "partition_assignment_strategy"
    together(lambda: share("range", True, **{strategy: "range"}),
             lambda: share("round robin", True, **{strategy: "roundrobin"}),
             lambda: share("cooperative sticky", False, **{strategy: "cooperative-sticky"}),
             lambda: share("uniform", False, group_protocol="consumer", group_remote_assignor="uniform"),
             lambda: share("range of the coordinator", False, group_protocol="consumer", group_remote_assignor="range"))


def static(how, **settings):
    topic = "static-" + how
    create(topic, 4)
    settings["group_id"] = name(topic)
    first = Member(topic, group_instance_id="one", **settings)
    other = Member(topic, group_instance_id="two", **settings)
    settled(lambda: len(first.holds()) == len(other.holds()) == 2)
    before, held = other.rebalances, first.holds()
    first.close()
    again = Member(topic, group_instance_id="one", **settings)
    settled(lambda: len(again.holds()) == 2)
    # Several heartbeats, which would tell of a rebalance.
    time.sleep(2)
    say(f"{how} static member back", again.holds() == held)
    say(f"{how} rebalances seen by the other", other.rebalances - before)
    twin = Member(topic, group_instance_id="one", **settings)
    settled(lambda: again.failure or twin.failure)
    say(f"{how} static twins", [again.failure, twin.failure])
    for member in [again, twin, other]:
        member.close()


def refused(what, **settings):
    member = Member("refused", **settings)
    settled(lambda: member.failure)
    say(what, member.failure)
    member.close()


def offsets(group, by=admin):
    result = by.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])[group].result()
    return sorted((place.partition, place.offset, place.metadata) for place in result.topic_partitions)


def describe(group):
    return admin.describe_consumer_groups([group])[group]


def listed(prefix, **filters):
    found = admin.list_consumer_groups(**filters).result().valid
    return sorted((group.group_id[len(name("")):], group.is_simple_consumer_group, group.state.name, group.type.name)
                  for group in found if group.group_id.startswith(name(prefix)))


def administer(how, **settings):
    topic = "group-" + how
    group = name(topic)
    create(topic, 2)
    member = Member(topic, group_id=group, **settings)
    settled(lambda: len(member.holds()) == 2 and describe(group).result().state == ConsumerGroupState.STABLE)
    is_ = describe(group).result()
    members = [len(member.assignment.topic_partitions) for member in is_.members]
    say(f"{how}, described", [is_.state.name, is_.type.name, is_.partition_assignor, is_.is_simple_consumer_group, members])
    say(f"{how}, long metadata", member.commit(topic, 0, 1, "x" * 5000))
    say(f"{how}, commit elsewhere", member.commit(topic, 7, 1))
    say(f"{how}, commit", member.commit(topic, 1, 7, "mine"))

    def alter():
        change = ConsumerGroupTopicPartitions(group, [TopicPartition(name(topic), 0, 5)])
        done = admin.alter_consumer_group_offsets([change])[group].result()
        return [place.error.code() if place.error else 0 for place in done.topic_partitions]

    say(f"{how}, commit by a stranger", alter())
    say(f"{how}, delete while alive", code(admin.delete_consumer_groups([group])[group]))
    say(f"{how}, offsets", offsets(group))
    for state in [ConsumerGroupState.STABLE, ConsumerGroupState.EMPTY]:
        say(f"{how}, listed as {state.name}", listed(topic, states={state}))
    for kind in [ConsumerGroupType.CLASSIC, ConsumerGroupType.CONSUMER]:
        say(f"{how}, listed as {kind.name}", listed(topic, types={kind}))
    member.close()
    settled(lambda: describe(group).result().state == ConsumerGroupState.EMPTY)
    say(f"{how}, empty", describe(group).result().state.name)
    say(f"{how}, commit by an administrator", alter())
    say(f"{how}, offsets then", offsets(group))
    say(f"{how}, delete", [code(admin.delete_consumer_groups([group])[group]) for _ in range(2)])
    say(f"{how}, offsets at last", offsets(group))


def refusals():
    create("refused", 2)
    group = name("refused")
    member = Member("refused", group_id=group, partition_assignment_strategy="range")
    settled(lambda: len(member.holds()) == 2)
    refused("join with another assignor", group_id=group, partition_assignment_strategy="roundrobin")
    refused("join with a session too short", group_id=name("short"), session_timeout_ms=100, heartbeat_interval_ms=30)
    refused("join with an unknown assignor", group_id=name("unknown"), group_protocol="consumer", group_remote_assignor="none")
    member.close()
    say("describe nobody", describe(name("nobody")).result().state.name)


def run():
    together(assignors, lambda: static("classic"), lambda: static("new", group_protocol="consumer"),
             lambda: administer("classic"), lambda: administer("new", group_protocol="consumer"), refusals)
