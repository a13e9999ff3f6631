"""Consumes, transforms and produces in transactions, and counts what came of it.

usage: pipeline.py BOOTSTRAP PREFIX fill | copy WORKER | watch
"""
import os
import sys
import threading
import time

from common import SERVERS, SILENT, name, settled
from confluent_kafka import Consumer, IsolationLevel, KafkaException, Producer, TopicPartition
from groups import create, offsets
from transactions import end

PARTITIONS, RECORDS = 4, 100_000
COMMON = {"bootstrap.servers": SERVERS, "reconnect.backoff.max.ms": 500}


def say(text):
    print(text, flush=True)


def tell(text):
    say(text)
    assert sys.stdin.readline() == "done\n"


def fill():
    for topic in ["in", "out"]:
        create(topic, PARTITIONS, replicas=3)
    producer = Producer({**COMMON, "linger.ms": 20, "enable.idempotence": True})
    for i in range(RECORDS):
        producer.produce(name("in"), value=str(i), partition=i % PARTITIONS)
        producer.poll(0)
    assert producer.flush(120) == 0
    say("filled")


def rewind(consumer):
    """What an aborted transaction took is taken again."""
    for place in consumer.committed(consumer.assignment(), timeout=60):
        consumer.seek(TopicPartition(place.topic, place.partition, max(place.offset, 0)))


def end_if_stuck(moved):
    """librdkafka waits on for brokers that are down, even when it is told to end: the process ends as in a crash."""
    while time.time() - moved[0] < 8:
        time.sleep(0.2)
    os._exit(1)


def copy(worker):
    """Ends with an error when its transactions cannot go on, or when nothing moves; the test starts it again."""
    moved = [time.time()]
    threading.Thread(target=end_if_stuck, args=(moved,), daemon=True).start()
    consumer = Consumer({**COMMON, "group.id": name("pipeline"), "group.instance.id": worker, "auto.offset.reset": "earliest",
                         "enable.auto.commit": False, "isolation.level": "read_committed", "fetch.wait.max.ms": 100,
                         "session.timeout.ms": 6000, "heartbeat.interval.ms": 500}, logger=SILENT)
    producer = Producer({**COMMON, "transactional.id": name(worker), "transaction.timeout.ms": 10000, "linger.ms": 5}, logger=SILENT)
    consumer.subscribe([name("in")])
    producer.init_transactions(60)
    while True:
        messages = consumer.consume(250, 0.2)
        for message in messages:
            # What ends a consumer ends the process.
            if message.error():
                os._exit(1)
        if not messages:
            continue
        moved[0] = time.time()
        producer.begin_transaction()
        try:
            for message in messages:
                producer.produce(name("out"), value=b"<" + message.value() + b">", partition=message.partition())
            producer.send_offsets_to_transaction(consumer.position(consumer.assignment()), consumer.consumer_group_metadata(), 15)
            producer.commit_transaction(30)
        except KafkaException as failure:
            if not failure.args[0].txn_requires_abort():
                os._exit(1)
            producer.abort_transaction(30)
            rewind(consumer)


def watch():
    """Tells how many outputs are there, and at the end whether each is there once."""
    consumer = Consumer({**COMMON, "group.id": "none", "isolation.level": "read_committed", "fetch.wait.max.ms": 100,
                         "enable.partition.eof": True}, logger=SILENT)
    consumer.assign([TopicPartition(name("out"), partition, 0) for partition in range(PARTITIONS)])
    seen, told, ended = set(), 0, set()
    deadline = time.time() + 300
    while (len(seen) < RECORDS or len(ended) < PARTITIONS) and time.time() < deadline:
        for message in consumer.consume(1000, 0.2):
            if message.error():
                ended.add(message.partition())
                continue
            ended.discard(message.partition())
            assert message.value() not in seen, f"{message.value()} twice"
            seen.add(message.value())
        if len(seen) // 5000 > told:
            told = len(seen) // 5000
            tell(f"seen {len(seen)}")
    assert seen == {f"<{i}>".encode() for i in range(RECORDS)}, len(seen)
    tell("all seen")
    # Nothing is left open: what a process left behind is aborted when the next one comes, or in time.
    ends = [lambda isolation=isolation: [end("out", isolation, partition) for partition in range(PARTITIONS)]
            for isolation in [IsolationLevel.READ_COMMITTED, IsolationLevel.READ_UNCOMMITTED]]
    assert settled(lambda: ends[0]() == ends[1]()), [read() for read in ends]
    committed = offsets(name("pipeline"))
    assert sum(offset for _, offset, _ in committed) == RECORDS, committed
    say("end")


{"fill": fill, "copy": lambda: copy(sys.argv[4]), "watch": watch}[sys.argv[3]]()
