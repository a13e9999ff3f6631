import java.time.Duration;
import java.util.*;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.*;
import org.apache.kafka.common.serialization.*;

/** Transactions: what they show and hide, who is fenced, offsets within them, and what administrators see of them. */
@SuppressWarnings("removal")
class Transactions {
    static class Writer implements AutoCloseable {
        final KafkaProducer<String, String> producer;
        final String topic;

        Writer(String topic, String id, Object... settings) {
            this.topic = topic;
            var all = Answers.settings(settings);
            all.put("transactional.id", Answers.name(id));
            all.putIfAbsent("transaction.timeout.ms", 60_000);
            all.put("max.block.ms", 30_000);
            producer = new KafkaProducer<>(all, new StringSerializer(), new StringSerializer());
        }

        Writer init() {
            producer.initTransactions();
            return this;
        }

        void send(String... values) throws Exception {
            int partition = 0;
            for (String value : values) producer.send(new ProducerRecord<>(Answers.name(topic), partition++, null, value));
            producer.flush();
        }

        void commit(String... values) throws Exception {
            producer.beginTransaction();
            send(values);
            producer.commitTransaction();
        }

        void abort(String... values) throws Exception {
            producer.beginTransaction();
            send(values);
            producer.abortTransaction();
        }

        public void close() {
            producer.close(Duration.ofSeconds(10));
        }
    }

    static TopicPartition place(String topic, int partition) {
        return new TopicPartition(Answers.name(topic), partition);
    }

    static long end(String topic, IsolationLevel isolation) throws Exception {
        var asked = Map.of(place(topic, 0), OffsetSpec.latest());
        return Answers.admin.listOffsets(asked, new ListOffsetsOptions(isolation)).partitionResult(place(topic, 0)).get().offset();
    }

    /** Offsets and values of partition 0 from an offset on, up to where a reader of that kind gets. */
    static List<String> read(String topic, long from, IsolationLevel isolation, Object... settings) throws Exception {
        var all = Answers.settings(settings);
        all.put("fetch.max.wait.ms", 50);
        all.put("isolation.level", isolation.toString().toLowerCase());
        var got = new ArrayList<String>();
        long end = end(topic, isolation);
        try (var consumer = new KafkaConsumer<>(all, new StringDeserializer(), new StringDeserializer())) {
            consumer.assign(List.of(place(topic, 0)));
            consumer.seek(place(topic, 0), from);
            for (int i = 0; i < 300 && consumer.position(place(topic, 0)) < end; i++)
                for (var record : consumer.poll(Duration.ofMillis(100))) got.add(record.offset() + " " + record.value());
        }
        return got;
    }

    /** A commit is answered before its markers are there. */
    static void settle(String topic) throws Exception {
        for (int i = 0; i < 600 && end(topic, IsolationLevel.READ_COMMITTED) < end(topic, IsolationLevel.READ_UNCOMMITTED); i++)
            Thread.sleep(50);
    }

    static void settled(String what, String topic) throws Exception {
        settle(topic);
        both(what, topic);
    }

    static void both(String what, String topic) throws Exception {
        Answers.say(what + ", committed", read(topic, 0, IsolationLevel.READ_COMMITTED));
        Answers.say(what + ", all", read(topic, 0, IsolationLevel.READ_UNCOMMITTED));
    }

    static void visible() throws Exception {
        Groups.create("visible", 2);
        try (Writer writer = new Writer("visible", "visible").init()) {
            writer.producer.beginTransaction();
            writer.send("a", "b");
            both("while open", "visible");
            writer.producer.commitTransaction();
            settled("after a commit", "visible");
            writer.abort("c", "d");
            settled("after an abort", "visible");
            writer.commit("e");
            writer.producer.beginTransaction();
            writer.producer.commitTransaction();
            writer.producer.beginTransaction();
            writer.producer.abortTransaction();
            settled("after empty ones", "visible");
            Answers.say("from within an aborted batch", read("visible", 2, IsolationLevel.READ_COMMITTED));
            Answers.say("in small pieces", read("visible", 0, IsolationLevel.READ_COMMITTED, "max.partition.fetch.bytes", 1, "fetch.max.bytes", 1));
            for (int i = 0; i < 30; i++) writer.commit("f" + i);
            settle("visible");
            Answers.say("thirty more", read("visible", 6, IsolationLevel.READ_COMMITTED).size() + " up to " + end("visible", IsolationLevel.READ_UNCOMMITTED));
        }
    }

    /** The first open transaction holds back what others have committed behind it. */
    static void held() throws Exception {
        Groups.create("held", 1);
        try (Writer first = new Writer("held", "first").init(); Writer second = new Writer("held", "second").init()) {
            first.producer.beginTransaction();
            first.send("a");
            second.commit("b");
            both("behind an open one", "held");
            first.producer.abortTransaction();
            settled("behind an aborted one", "held");
        }
    }

    static void fenced() throws Exception {
        Groups.create("fenced", 1);
        Writer zombie = new Writer("fenced", "fenced").init();
        zombie.producer.beginTransaction();
        zombie.send("a");
        Writer writer = new Writer("fenced", "fenced").init();
        Answers.say("zombie commits", Answers.thrown(zombie.producer::commitTransaction));
        Answers.say("zombie goes on", Answers.thrown(zombie.producer::beginTransaction));
        zombie.close();
        writer.commit("b");
        settled("after a zombie", "fenced");
        Writer silent = new Writer("fenced", "fenced").init();
        Answers.say("zombie sends", Answers.thrown(() -> writer.commit("c")));
        silent.commit("d");
        writer.close();
        Answers.say("fence producers", Answers.code(Answers.admin.fenceProducers(List.of(Answers.name("fenced"))).all()));
        Answers.say("after that", Answers.thrown(() -> silent.commit("e")));
        silent.close();
        settled("after fencing", "fenced");
        try (Writer patient = new Writer("fenced", "patient", "transaction.timeout.ms", 3_600_000)) {
            Answers.say("timeout too long", Answers.thrown(patient::init));
        }
        Writer late = new Writer("fenced", "late", "transaction.timeout.ms", 5_000).init();
        late.producer.beginTransaction();
        late.send("f");
        Groups.until(() -> state("late").equals("CompleteAbort"));
        Answers.say("commit after the timeout", Answers.thrown(late.producer::commitTransaction));
        late.close();
        settled("after a timeout", "fenced");
    }

    static String state(String id) {
        try {
            return Answers.admin.describeTransactions(List.of(Answers.name(id))).description(Answers.name(id)).get().state().toString();
        } catch (Exception error) {
            return "" + Answers.number(error);
        }
    }

    /** Stable ones are left out while they may change. */
    static List<String> committed(String group, boolean stable) throws Exception {
        var options = new ListConsumerGroupOffsetsOptions().requireStable(stable);
        var all = Answers.admin.listConsumerGroupOffsets(Answers.name(group), options).partitionsToOffsetAndMetadata().get();
        return all.values().stream().map(offset -> offset.offset() + " " + offset.metadata()).toList();
    }

    static List<String> decided(String group) throws Exception {
        List<String> offsets = committed(group, true);
        for (int i = 0; i < 600 && offsets.isEmpty(); i++) {
            Thread.sleep(50);
            offsets = committed(group, true);
        }
        return offsets;
    }

    static void offsets() throws Exception {
        Groups.create("offsets", 1);
        var alone = new ConsumerGroupMetadata(Answers.name("offsets"));
        try (Writer writer = new Writer("offsets", "offsets").init()) {
            writer.producer.beginTransaction();
            writer.producer.sendOffsetsToTransaction(Map.of(place("offsets", 0), new OffsetAndMetadata(7, "one")), alone);
            Answers.say("offsets while open", committed("offsets", false));
            Answers.say("stable offsets while open", committed("offsets", true));
            writer.producer.commitTransaction();
            Answers.say("offsets after a commit", decided("offsets"));
            writer.producer.beginTransaction();
            writer.producer.sendOffsetsToTransaction(Map.of(place("offsets", 0), new OffsetAndMetadata(9, "two")), alone);
            writer.producer.abortTransaction();
            Answers.say("offsets after an abort", decided("offsets"));
            try (var member = new Groups.Member("group.id", Answers.name("offsets")).subscribe("offsets")) {
                Groups.until(() -> member.holds.size() == 1);
                var is = member.ask(member.consumer::groupMetadata);
                var old = new ConsumerGroupMetadata(is.groupId(), is.generationId() - 1, is.memberId(), Optional.empty());
                var other = new ConsumerGroupMetadata(is.groupId(), is.generationId(), "other", Optional.empty());
                send("offsets of an old generation", writer, old);
                send("offsets of an unknown member", writer, other);
                send("offsets of nobody", writer, alone);
                send("offsets of a member", writer, is);
            }
            Answers.say("offsets at last", decided("offsets"));
        }
    }

    static void send(String what, Writer writer, ConsumerGroupMetadata by) throws Exception {
        writer.producer.beginTransaction();
        Object error = Answers.thrown(() -> {
            writer.producer.sendOffsetsToTransaction(Map.of(place("offsets", 0), new OffsetAndMetadata(20, what)), by);
            writer.producer.commitTransaction();
        });
        Answers.say(what, error);
        if (!error.equals(0)) writer.producer.abortTransaction();
    }

    static String producers(String topic) throws Exception {
        var states = Answers.admin.describeProducers(List.of(place(topic, 0))).partitionResult(place(topic, 0)).get().activeProducers();
        return states.stream().map(one -> one.producerEpoch() + " " + one.lastSequence() + " " + one.coordinatorEpoch().isPresent() + " "
            + one.currentTransactionStartOffset().orElse(-1)).sorted().toList().toString();
    }

    static void listed(String what, ListTransactionsOptions options) throws Exception {
        var all = Answers.admin.listTransactions(options).all().get().stream();
        Answers.say(what, all.filter(one -> one.transactionalId().startsWith(Answers.name("watched")))
            .map(one -> one.transactionalId().substring(Answers.prefix.length()) + " " + one.state()).sorted().toList());
    }

    static void watched() throws Exception {
        Groups.create("watched", 1);
        Answers.say("describe an unknown transaction", state("nobody"));
        try (Writer writer = new Writer("watched", "watched").init(); Writer other = new Writer("watched", "watched-too").init()) {
            Answers.say("describe before the first", state("watched"));
            writer.producer.beginTransaction();
            writer.send("a");
            var is = Answers.admin.describeTransactions(List.of(Answers.name("watched"))).description(Answers.name("watched")).get();
            Answers.say("describe an open one", is.state() + " " + is.producerEpoch() + " " + is.transactionTimeoutMs() + " "
                + is.topicPartitions().equals(Set.of(place("watched", 0))) + " " + is.transactionStartTimeMs().isPresent());
            Answers.say("producers while open", producers("watched"));
            listed("list all", new ListTransactionsOptions());
            listed("list ongoing", new ListTransactionsOptions().filterStates(Set.of(TransactionState.ONGOING)));
            listed("list by producer", new ListTransactionsOptions().filterProducerIds(Set.of(is.producerId())));
            listed("list old ones", new ListTransactionsOptions().filterOnDuration(3_600_000));
            writer.producer.commitTransaction();
            Groups.until(() -> state("watched").equals("CompleteCommit"));
            Answers.say("describe a committed one", state("watched"));
            Answers.say("producers after a commit", producers("watched"));
            writer.abort("b");
            Groups.until(() -> state("watched").equals("CompleteAbort"));
            Answers.say("describe an aborted one", state("watched"));
            Answers.say("producers after an abort", producers("watched"));
            // An administrator ends it in the partition, without its coordinator.
            other.producer.beginTransaction();
            other.send("c");
            var hanging = Answers.admin.describeProducers(List.of(place("watched", 0))).partitionResult(place("watched", 0)).get().activeProducers().stream()
                .filter(one -> one.currentTransactionStartOffset().isPresent()).findFirst().get();
            var abort = new AbortTransactionSpec(place("watched", 0), hanging.producerId(), (short) hanging.producerEpoch(), hanging.coordinatorEpoch().orElse(0));
            Answers.say("abort by hand", Answers.code(Answers.admin.abortTransaction(abort).all()));
            settled("after that", "watched");
            Answers.say("end by force", Answers.code(Answers.admin.forceTerminateTransaction(Answers.name("watched-too")).result()));
            Answers.say("commit what was ended", Answers.thrown(other.producer::commitTransaction));
        }
    }

    static void run() throws Exception {
        Answers.together(Transactions::visible, Transactions::held, Transactions::fenced, Transactions::offsets, Transactions::watched);
    }
}
