"""Consumes, transforms and produces in transactions, and counts what came of it.

usage: pipeline.py BOOTSTRAP PREFIX fill RECORDS PER_SECOND | copy BATCH WORKER | watch RECORDS
"""
import os
import sys
import threading
import time

from common import SERVERS, SILENT, name, settled
from confluent_kafka import Consumer, IsolationLevel, KafkaException, Producer, TopicPartition
from groups import create, offsets
from transactions import end

PARTITIONS = 4
COMMON = {"bootstrap.servers": SERVERS, "reconnect.backoff.max.ms": 500}


def say(text):
    print(text, flush=True)


def tell(text):
    say(text)
    assert sys.stdin.readline() == "done\n"


def fill(records, per_second):
    """Writes so many records: as fast as it can, if none are to come in a second."""
    for topic in ["in", "out"]:
        create(topic, PARTITIONS, replicas=3)
    say("created")
    producer = Producer({**COMMON, "linger.ms": 20, "enable.idempotence": True}, logger=SILENT)
    start = time.time()
    for i in range(records):
        if per_second:
            time.sleep(max(0, start + i / per_second - time.time()))
        producer.produce(name("in"), value=str(i), partition=i % PARTITIONS)
        producer.poll(0)
    assert producer.flush(120) == 0
    say("filled")


def rewind(consumer):
    """What an aborted transaction took is taken again."""
    for place in consumer.committed(consumer.assignment(), timeout=60):
        consumer.seek(TopicPartition(place.topic, place.partition, max(place.offset, 0)))


def end_if_stuck(moved):
    """A process that stands still ends as in a crash, even when the client cannot be told to end.

    librdkafka since 2.10 ends the thread of a broker that Metadata does not name any more, but keeps it as a group's coordinator
    (confluentinc/librdkafka#5511): send_offsets_to_transaction then waits, far beyond its timeout, until some other broker comes or
    goes. With 2.16, two workers and brokers down for six to eight seconds it stood still four times in 28 stops on seedlog, for 10 to
    28 s, and twice in 3 stops on Apache Kafka 4.3, for more than 40 s: Kafka's Metadata leaves out a broker that is down as well.
    """
    while time.time() - moved[0] < 8:
        time.sleep(0.2)
    os._exit(1)


def copy(batch, worker):
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
        messages = consumer.consume(batch, 0.2)
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


def watch(records):
    """Tells how many outputs are there, and at the end whether each is there once."""
    consumer = Consumer({**COMMON, "group.id": "none", "isolation.level": "read_committed", "fetch.wait.max.ms": 100,
                         "enable.partition.eof": True}, logger=SILENT)
    consumer.assign([TopicPartition(name("out"), partition, 0) for partition in range(PARTITIONS)])
    seen, told, ended = set(), 0, set()
    deadline = time.time() + 300
    while (len(seen) < records or len(ended) < PARTITIONS) and time.time() < deadline:
        for message in consumer.consume(1000, 0.2):
            if message.error():
                ended.add(message.partition())
                continue
            ended.discard(message.partition())
            assert message.value() not in seen, f"{message.value()} twice"
            seen.add(message.value())
        if len(seen) // (records // 20) > told:
            told = len(seen) // (records // 20)
            tell(f"seen {len(seen)}")
    assert seen == {f"<{i}>".encode() for i in range(records)}, len(seen)
    tell("all seen")
    # Nothing is left open: what a process left behind is aborted when the next one comes, or in time.
    ends = [lambda isolation=isolation: [end("out", isolation, partition) for partition in range(PARTITIONS)]
            for isolation in [IsolationLevel.READ_COMMITTED, IsolationLevel.READ_UNCOMMITTED]]
    assert settled(lambda: ends[0]() == ends[1]()), [read() for read in ends]
    committed = offsets(name("pipeline"))
    assert sum(offset for _, offset, _ in committed) == records, committed
    say("end")


WHAT, *HOW = sys.argv[3:]
if WHAT == "copy":
    copy(int(HOW[0]), HOW[1])
else:
    {"fill": fill, "watch": watch}[WHAT](*map(int, HOW))
