import java.io.*;
import java.time.Duration;
import java.util.*;
import java.util.stream.IntStream;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.*;
import org.apache.kafka.common.errors.*;
import org.apache.kafka.common.serialization.*;

/** Consumes, transforms and produces in transactions, and counts what came of it: BOOTSTRAP PREFIX fill RECORDS PER_SECOND | copy BATCH WORKER | watch RECORDS */
public class Pipeline {
    static final int PARTITIONS = 4;

    static void say(String line) {
        System.out.println(line);
        System.out.flush();
    }

    static final BufferedReader input = new BufferedReader(new InputStreamReader(System.in));

    static void tell(String line) throws Exception {
        say(line);
        check("done".equals(input.readLine()), line);
    }

    /** An administrator who does not wait long for a broker that is down. */
    static Admin admin() {
        return Admin.create(Answers.settings("request.timeout.ms", 3_000, "default.api.timeout.ms", 60_000));
    }

    /** Writes so many records: as fast as it can, if none are to come in a second. */
    static void fill(int records, int perSecond) throws Exception {
        for (String topic : List.of("in", "out"))
            Answers.admin.createTopics(List.of(new NewTopic(Answers.name(topic), PARTITIONS, (short) 3))).all().get();
        say("created");
        try (var producer = new KafkaProducer<>(Answers.settings("linger.ms", 20), new StringSerializer(), new StringSerializer())) {
            long start = System.currentTimeMillis();
            for (int i = 0; i < records; i++) {
                if (perSecond > 0) Thread.sleep(Math.max(0, start + i * 1000L / perSecond - System.currentTimeMillis()));
                producer.send(new ProducerRecord<>(Answers.name("in"), i % PARTITIONS, null, "" + i));
            }
        }
        say("filled");
    }

    /** What an aborted transaction took is taken again. */
    static void rewind(KafkaConsumer<String, String> consumer) {
        consumer.committed(consumer.assignment()).forEach((place, offset) -> consumer.seek(place, offset == null ? 0 : offset.offset()));
    }

    /** Ends with an error when its transactions cannot go on; the test starts it again. */
    static void copy(int batch, String worker) {
        var in = Answers.settings("group.id", Answers.name("pipeline"), "group.instance.id", worker, "auto.offset.reset", "earliest",
            "enable.auto.commit", false, "isolation.level", "read_committed", "fetch.max.wait.ms", 100, "max.poll.records", batch,
            "session.timeout.ms", 6000, "heartbeat.interval.ms", 500);
        var out = Answers.settings("transactional.id", Answers.name(worker), "transaction.timeout.ms", 10000);
        var consumer = new KafkaConsumer<>(in, new StringDeserializer(), new StringDeserializer());
        var producer = new KafkaProducer<>(out, new StringSerializer(), new StringSerializer());
        consumer.subscribe(List.of(Answers.name("in")));
        producer.initTransactions();
        while (true) {
            var records = consumer.poll(Duration.ofMillis(200));
            if (records.isEmpty()) continue;
            producer.beginTransaction();
            try {
                for (var record : records)
                    producer.send(new ProducerRecord<>(Answers.name("out"), record.partition(), null, "<" + record.value() + ">"));
                producer.sendOffsetsToTransaction(records.nextOffsets(), consumer.groupMetadata());
                producer.commitTransaction();
            } catch (ProducerFencedException | InvalidProducerEpochException | FencedInstanceIdException error) {
                throw error;
            } catch (KafkaException error) {
                producer.abortTransaction();
                rewind(consumer);
            }
        }
    }

    static List<Long> ends(IsolationLevel isolation) throws Exception {
        var ends = new ArrayList<Long>();
        for (int i = 0; i < PARTITIONS; i++) {
            var place = new TopicPartition(Answers.name("out"), i);
            var all = Answers.admin.listOffsets(Map.of(place, OffsetSpec.latest()), new ListOffsetsOptions(isolation));
            ends.add(all.partitionResult(place).get().offset());
        }
        return ends;
    }

    static void check(boolean holds, Object what) {
        if (!holds) throw new AssertionError(what);
    }

    /** Tells how many outputs are there, and at the end whether each is there once. */
    static void watch(int records) throws Exception {
        var settings = Answers.settings("isolation.level", "read_committed", "fetch.max.wait.ms", 100, "max.poll.records", 1000);
        var seen = new HashSet<String>();
        int told = 0;
        long deadline = System.currentTimeMillis() + 300_000;
        try (var consumer = new KafkaConsumer<>(settings, new StringDeserializer(), new StringDeserializer())) {
            var all = IntStream.range(0, PARTITIONS).mapToObj(i -> new TopicPartition(Answers.name("out"), i)).toList();
            consumer.assign(all);
            consumer.seekToBeginning(all);
            boolean over = false;
            while (!over && System.currentTimeMillis() < deadline) {
                var batch = consumer.poll(Duration.ofMillis(200));
                for (var record : batch) check(seen.add(record.value()), record.value() + " twice");
                over = seen.size() == records && batch.isEmpty();
                if (seen.size() / (records / 20) > told) {
                    told = seen.size() / (records / 20);
                    tell("seen " + seen.size());
                }
            }
        }
        check(seen.size() == records, seen.size());
        for (int i = 0; i < records; i++) check(seen.contains("<" + i + ">"), i);
        tell("all seen");
        Answers.admin = admin();
        // Nothing is left open: what a process left behind is aborted when the next one comes, or in time.
        for (int i = 0; i < 1_200 && !ends(IsolationLevel.READ_COMMITTED).equals(ends(IsolationLevel.READ_UNCOMMITTED)); i++)
            Thread.sleep(50);
        check(ends(IsolationLevel.READ_COMMITTED).equals(ends(IsolationLevel.READ_UNCOMMITTED)), "something is left open");
        var open = Answers.admin.listTransactions(new ListTransactionsOptions().filterStates(Set.of(TransactionState.ONGOING))).all().get();
        check(open.stream().noneMatch(one -> one.transactionalId().startsWith(Answers.name("worker-"))), open);
        var committed = Answers.admin.listConsumerGroupOffsets(Answers.name("pipeline")).partitionsToOffsetAndMetadata().get();
        check(committed.values().stream().mapToLong(OffsetAndMetadata::offset).sum() == records, committed);
        say("end");
    }

    public static void main(String[] args) throws Exception {
        Answers.servers = args[0];
        Answers.prefix = args[1];
        Answers.admin = admin();
        switch (args[2]) {
            case "fill" -> fill(Integer.parseInt(args[3]), Integer.parseInt(args[4]));
            case "copy" -> copy(Integer.parseInt(args[3]), args[4]);
            case "watch" -> watch(Integer.parseInt(args[3]));
        }
        System.exit(0);
    }
}
