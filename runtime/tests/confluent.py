"""Produces and consumes with confluent-kafka while a leader is stopped; speaks to the test by lines."""
import sys
import time

from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

SERVERS, TOPIC, PARTITIONS, COUNT = sys.argv[1], "payments", 3, 300
CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]


def say(text):
    print(text, flush=True)


admin = AdminClient({"bootstrap.servers": SERVERS})
admin.create_topics([NewTopic(TOPIC, PARTITIONS, 3)])[TOPIC].result()

acked, sent = {}, {partition: [] for partition in range(PARTITIONS)}


def delivered(error, message):
    assert error is None, error
    acked[(message.partition(), message.offset())] = (message.key(), message.value())


for number, codec in enumerate(CODECS):
    producer = Producer({
        "bootstrap.servers": SERVERS, "enable.idempotence": True, "acks": "all",
        "compression.type": codec, "linger.ms": 2, "reconnect.backoff.max.ms": 200,
    })
    for i in range(COUNT):
        partition = i % PARTITIONS
        key = None if i % 11 == 0 else f"{codec}-{i}".encode()
        value = None if i % 7 == 0 else f"{codec}-{i}".encode()
        headers = [("codec", codec.encode()), ("i", str(i).encode()), ("null", None)]
        sent[partition].append((key, value, headers))
        producer.produce(TOPIC, value=value, key=key, partition=partition, headers=headers,
                         on_delivery=delivered)
        producer.poll(0)
        if i == COUNT // 2 and number % 2 == 1:
            leader = admin.list_topics(TOPIC).topics[TOPIC].partitions[0].leader
            say(f"stop {leader}")
        if i > COUNT // 2:
            time.sleep(0.005)
    assert producer.flush(60) == 0, "unanswered"
    if number % 2 == 1:
        say(f"start {leader}")
        assert sys.stdin.readline().strip() == "started"

assert len(acked) == COUNT * len(CODECS), len(acked)
consumer = Consumer({"bootstrap.servers": SERVERS, "group.id": "g", "enable.auto.commit": False,
                     "fetch.wait.max.ms": 100})
consumer.assign([TopicPartition(TOPIC, p, OFFSET_BEGINNING) for p in range(PARTITIONS)])
read, deadline = {partition: [] for partition in range(PARTITIONS)}, time.time() + 60
while sum(map(len, read.values())) < len(acked) and time.time() < deadline:
    message = consumer.poll(0.5)
    if message is None:
        continue
    assert not message.error(), message.error()
    place = (message.partition(), message.offset())
    assert acked[place] == (message.key(), message.value()), place
    read[message.partition()].append((message.key(), message.value(), message.headers()))
assert read == sent, "what was sent is read back in order, once"
assert consumer.poll(1) is None, "and nothing else"
consumer.close()
say("done")
