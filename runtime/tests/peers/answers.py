"""Asks a cluster what applications ask, with confluent-kafka, and prints the answers: error codes, offsets, values.

usage: answers.py BOOTSTRAP PREFIX (of all topics that it makes)
"""
import time

import common
import groups
import transactions
from common import SERVERS, SILENT, admin, code, name, say, settled, together
from confluent_kafka import Consumer, IsolationLevel, Producer, TopicCollection, TopicPartition
from confluent_kafka.admin import (AlterConfigOpType, ConfigEntry, ConfigResource, NewPartitions, NewTopic, OffsetSpec,
                                   ResourceType)


def create(what, topic, partitions=1, replicas=1, configs=None, assignment=None, validate_only=False):
    if assignment is None:
        new = NewTopic(topic, partitions, replicas, config=configs or {})
    else:
        new = NewTopic(topic, partitions, replica_assignment=assignment)
    say(what, code(admin.create_topics([new], validate_only=validate_only)[topic]))


def topics():
    # Some of its records will be years old.
    create("create", name("a"), 2, configs={"retention.ms": "-1"})
    create("create again", name("a"))
    create("create without partitions", name("b"), 0)
    create("create with too many replicas", name("b"), 1, 99)
    create("create with a bad name", name("b/c"))
    create("create with a bad name again", name("b c"))
    create("create with a name too long", name("b" * 249))
    create("create with a bad value", name("b"), configs={"retention.ms": "soon"})
    create("create with a value out of range", name("b"), configs={"min.insync.replicas": "0"})
    create("create with an unknown config", name("b"), configs={"retention.years": "1"})
    create("create with an unknown policy", name("b"), configs={"cleanup.policy": "keep"})
    create("create on an unknown broker", name("b"), assignment=[[77]])
    create("create on the same broker twice", name("b"), assignment=[[1, 1]])
    create("validate only", name("b"), validate_only=True)
    create("create what was only validated", name("b"))
    create("create compacted", name("compacted"), configs={"cleanup.policy": "compact"})
    create("create stamped", name("stamped"), configs={"message.timestamp.type": "LogAppendTime"})
    create("create small", name("small"), configs={"max.message.bytes": "1000"})


def grow(what, topic, total, assignment=None, validate_only=False):
    new = NewPartitions(topic, total) if assignment is None else NewPartitions(topic, total, assignment)
    say(what, code(admin.create_partitions([new], validate_only=validate_only)[topic]))


def described(topic):
    return admin.describe_topics(TopicCollection([name(topic)]))[name(topic)]


def partitions():
    grow("grow", name("b"), 3)
    grow("grow to the same", name("b"), 3)
    grow("grow to fewer", name("b"), 1)
    grow("grow what is not there", name("nowhere"), 3)
    grow("grow on an unknown broker", name("b"), 4, [[77]])
    grow("grow with too few assignments", name("b"), 6, [[1]])
    grow("grow only to validate", name("b"), 9, validate_only=True)
    settled(lambda: code(described("b")) == 0 and len(described("b").result().partitions) == 3)
    say("partitions", [p.id for p in described("b").result().partitions])
    say("describe what is not there", code(described("nowhere")))


def config(topic, *names):
    resource = ConfigResource(ResourceType.TOPIC, topic)
    future = admin.describe_configs([resource])[resource]
    if code(future):
        return code(future)
    entries = future.result()
    return {key: (entries[key].value, entries[key].source) for key in names}


def alter(what, topic, *changes, validate_only=False):
    changes = [ConfigEntry(key, value, incremental_operation=how) for key, how, value in changes]
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=changes)
    say(what, code(admin.incremental_alter_configs([resource], validate_only=validate_only)[resource]))


def configs():
    keys = ["cleanup.policy", "compression.type", "delete.retention.ms", "max.compaction.lag.ms", "max.message.bytes",
            "message.timestamp.type", "min.cleanable.dirty.ratio", "min.compaction.lag.ms", "min.insync.replicas",
            "retention.bytes", "retention.ms", "segment.bytes", "unclean.leader.election.enable"]
    settled(lambda: config(name("b"), *keys[:1]) != 3)
    described = admin.describe_configs([ConfigResource(ResourceType.TOPIC, name("b"))])
    entries = next(iter(described.values())).result()
    for key in keys:
        say(f"default {key}", entries[key].value if key in entries else "missing")
    put, delete = AlterConfigOpType.SET, AlterConfigOpType.DELETE
    append, subtract = AlterConfigOpType.APPEND, AlterConfigOpType.SUBTRACT
    alter("set", name("a"), ("delete.retention.ms", put, "60000"))
    alter("set to nonsense", name("a"), ("delete.retention.ms", put, "soon"))
    alter("set what is unknown", name("a"), ("retention.years", put, "1"))
    alter("set twice", name("a"), ("delete.retention.ms", put, "1"), ("delete.retention.ms", put, "2"))
    alter("set elsewhere", name("nowhere"), ("delete.retention.ms", put, "1"))
    alter("append", name("a"), ("cleanup.policy", append, "compact"))
    alter("append to no list", name("a"), ("delete.retention.ms", append, "1"))
    alter("set only to validate", name("a"), ("delete.retention.ms", put, "5"), validate_only=True)
    settled(lambda: config(name("a"), "delete.retention.ms")["delete.retention.ms"][0] == "60000")
    say("what was set", config(name("a"), "delete.retention.ms", "cleanup.policy"))
    alter("subtract", name("a"), ("cleanup.policy", subtract, "compact"))
    alter("delete", name("a"), ("delete.retention.ms", delete, None))
    settled(lambda: config(name("a"), "delete.retention.ms")["delete.retention.ms"][0] != "60000")
    say("what was deleted", config(name("a"), "delete.retention.ms", "cleanup.policy"))
    say("configs of what is not there", config(name("nowhere")))


def send(topic, values, partition=0, key=b"k", timestamp=0, **settings):
    producer = Producer({"bootstrap.servers": SERVERS, "linger.ms": 100, **settings})
    outcomes = []
    for i, value in enumerate(values):
        options = {"timestamp": timestamp + i} if timestamp else {}
        producer.produce(topic, value=value, key=key, partition=partition, **options,
                         on_delivery=lambda e, m: outcomes.append((e.code(), -1) if e else (0, m.offset())))
    producer.flush(120)
    return outcomes


def end(topic):
    partition = TopicPartition(topic, 0)
    return admin.list_offsets({partition: OffsetSpec.latest()})[partition].result().offset


def produce():
    for acks in ["0", "1", "all"]:
        answers = send(name("a"), [b"x"] * 3, acks=acks)
        if acks == "0":
            # Without acknowledgement nobody knows an offset, nor when the records are there.
            settled(lambda: end(name("a")) == 3)
            answers = [error for error, _ in answers]
        say(f"produce with acks={acks}", answers)
    for codec in ["gzip", "snappy", "lz4", "zstd"]:
        say(f"produce {codec}", send(name("a"), [b"x" * 100] * 3, **{"compression.type": codec}))
    say("produce idempotent", send(name("a"), [b"x"] * 3, **{"enable.idempotence": True}))
    say("produce too much", send(name("small"), [b"x" * 2000]))
    say("produce less", send(name("small"), [b"x" * 500]))
    say("produce without key", send(name("compacted"), [b"x"], key=None))
    say("produce with key", send(name("compacted"), [b"x"]))
    say("produce at times", send(name("a"), [b"x"] * 3, partition=1, timestamp=1_700_000_000_000))
    say("produce stamped", send(name("stamped"), [b"x"], timestamp=1_700_000_000_000))


def offsets():
    def listed(spec, topic=name("a"), partition=1, **options):
        future = next(iter(admin.list_offsets({TopicPartition(topic, partition): spec}, **options).values()))
        error = code(future)
        return (future.result().offset, future.result().timestamp) if not error else error

    at = OffsetSpec.for_timestamp
    say("earliest", listed(OffsetSpec.earliest()))
    say("latest", listed(OffsetSpec.latest()))
    say("latest committed", listed(OffsetSpec.latest(), isolation_level=IsolationLevel.READ_COMMITTED))
    say("greatest time", listed(OffsetSpec.max_timestamp()))
    say("greatest time of none", listed(OffsetSpec.max_timestamp(), name("b")))
    say("at a time", listed(at(1_700_000_000_001)))
    say("at a time before all", listed(at(1)))
    say("at a time after all", listed(at(1_800_000_000_000)))
    say("latest of a partition that is not there", listed(OffsetSpec.latest(), partition=9))
    consumer = Consumer({"bootstrap.servers": SERVERS, "group.id": "none"})
    say("watermarks", consumer.get_watermark_offsets(TopicPartition(name("a"), 0), timeout=60))
    consumer.close()


def delete_records():
    def delete(what, offset, topic=name("a"), partition=0):
        future = next(iter(admin.delete_records([TopicPartition(topic, partition, offset)]).values()))
        error = code(future)
        say(what, future.result().low_watermark if not error else error)

    delete("delete records", 4)
    delete("delete fewer", 2)
    delete("delete more than there are", 99)
    delete("delete before a negative offset", -7)
    delete("delete in a partition that is not there", 1, partition=9)
    delete("delete all records", -1, partition=1)


def read(what, topic, partition, offset, count, **settings):
    consumer = Consumer({"bootstrap.servers": SERVERS, "group.id": "none", "enable.auto.commit": False,
                         "fetch.wait.max.ms": 100, "auto.offset.reset": "error", "enable.partition.eof": True,
                         **settings}, logger=SILENT)
    consumer.assign([TopicPartition(topic, partition, offset)])
    got, deadline = [], time.time() + 60
    while len(got) < count and time.time() < deadline:
        message = consumer.poll(0.2)
        if message is None:
            continue
        if message.error():
            got.append({-191: "end", -140: "no such offset"}.get(message.error().code(), message.error().code()))
        else:
            kind, at = message.timestamp()
            at = at if kind == 1 and at < 1_800_000_000_000 - 1 and topic == name("a") and partition == 1 else ""
            got.append((message.offset(), kind, at))
    consumer.close()
    say(what, got)


def consume():
    read("read from the start", name("a"), 0, 4, 4)
    read("read to the end", name("a"), 0, 23, 2)
    read("read below the start", name("a"), 0, 0, 1)
    read("read above the end", name("a"), 0, 99, 1)
    read("read below the start and begin anew", name("a"), 0, 0, 2, **{"auto.offset.reset": "earliest"})
    read("read committed", name("a"), 0, 22, 3, **{"isolation.level": "read_committed"})
    read("read small pieces", name("a"), 0, 20, 5, **{"fetch.message.max.bytes": 1})
    read("read what is stamped", name("stamped"), 0, 0, 1)
    send(name("a"), [b"x"] * 2, partition=1, timestamp=1_700_000_000_500)
    read("read after all was deleted", name("a"), 1, 3, 3)


def delete():
    for what, topic in [("delete a topic", "a"), ("delete it again", "a"), ("delete what is not there", "nowhere")]:
        say(what, code(admin.delete_topics([name(topic)], operation_timeout=30)[name(topic)]))
    say("describe what was deleted", settled(lambda: code(described("a"))))
    create("create what was deleted", name("a"))
    settled(lambda: name("a") in admin.list_topics(timeout=60).topics)
    say("produce to the new one", send(name("a"), [b"x"]))
    for topic in ["a", "b", "compacted", "stamped", "small"]:
        code(admin.delete_topics([name(topic)])[name(topic)])


def run():
    for step in [topics, partitions, configs, produce, offsets, delete_records, consume, delete]:
        step()


together(run, groups.run, transactions.run)
print("\n".join(common.answers.lines))
