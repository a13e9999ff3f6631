import java.util.*;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.common.*;

/**
 * Groups of both protocols and a transaction go on while each broker in turn is stopped, and so each coordinator; speaks to the
 * test by lines.
 */
@SuppressWarnings("removal")
public class Survive {
    static final int PARTITIONS = 4;
    interface Settled { boolean is() throws Exception; }

    static void settled(String what, Settled is) throws Exception {
        for (int i = 0; i < 1_200 && !is.is(); i++) Thread.sleep(50);
        Pipeline.check(is.is(), what);
    }

    static List<Groups.Member> join(String topic, Object... settings) throws Exception {
        var pair = new ArrayList<Groups.Member>();
        for (int i = 0; i < 2; i++) {
            var all = new ArrayList<>(List.of(settings));
            all.addAll(List.of("group.id", Answers.name(topic)));
            pair.add(new Groups.Member(all.toArray()).subscribe(topic));
        }
        settled("joined", () -> pair.get(0).holds.size() == 2 && pair.get(1).holds.size() == 2);
        return pair;
    }

    static void commit(String topic, List<Groups.Member> pair, long offset) throws Exception {
        for (var member : pair)
            for (int partition : member.holds)
                member.ask(() -> {
                    member.consumer.commitSync(Groups.at(topic, partition, offset, ""));
                    return 0;
                });
    }

    static Map<Integer, Long> committed(String group) throws Exception {
        var all = Answers.admin.listConsumerGroupOffsets(Answers.name(group)).partitionsToOffsetAndMetadata().get();
        return all.entrySet().stream().collect(Collectors.toMap(one -> one.getKey().partition(), one -> one.getValue().offset()));
    }

    static boolean whole() throws Exception {
        var names = Answers.admin.listTopics(new ListTopicsOptions().listInternal(true)).names().get();
        return Answers.admin.describeTopics(names).allTopicNames().get().values().stream().flatMap(topic -> topic.partitions().stream())
            .allMatch(partition -> partition.isr().size() == partition.replicas().size());
    }

    /** What administrators see of the transaction, at its coordinator and at the leader of its partition. */
    static boolean seen(TransactionState state, int partitions) throws Exception {
        String id = Answers.name("survivor");
        var described = Answers.admin.describeTransactions(List.of(id)).description(id).get();
        var place = Transactions.place("written", 0);
        var producers = Answers.admin.describeProducers(List.of(place)).partitionResult(place).get().activeProducers();
        var listed = Answers.admin.listTransactions(new ListTransactionsOptions().filterStates(Set.of(state))).all().get();
        return described.state() == state && described.topicPartitions().size() == partitions
            && described.topicPartitions().contains(place) == (partitions > 0)
            && described.transactionStartTimeMs().isPresent()
            && listed.stream().anyMatch(one -> one.transactionalId().equals(id) && one.producerId() == described.producerId())
            && producers.stream().anyMatch(one -> one.producerId() == described.producerId() && one.producerEpoch() == described.producerEpoch()
                && one.currentTransactionStartOffset().isPresent() == (partitions > 0));
    }

    public static void main(String[] args) throws Exception {
        Answers.servers = args[0];
        Answers.prefix = args[1];
        Answers.admin = Pipeline.admin();
        for (String topic : List.of("classic", "new", "written"))
            Answers.admin.createTopics(List.of(new NewTopic(Answers.name(topic), PARTITIONS, (short) 3))).all().get();
        var groups = Map.of("classic", join("classic", "session.timeout.ms", 45_000), "new", join("new", "group.protocol", "consumer"));
        var before = groups.values().stream().flatMap(List::stream).map(member -> member.rebalances).toList();
        var writer = new Transactions.Writer("written", "survivor", "transaction.timeout.ms", 600_000).init();
        for (int broker = 1; broker <= 3; broker++) {
            for (var group : groups.entrySet()) commit(group.getKey(), group.getValue(), broker * 10);
            writer.producer.beginTransaction();
            writer.send("record " + broker);
            writer.producer.sendOffsetsToTransaction(Groups.at("written", 0, broker, ""), new ConsumerGroupMetadata(Answers.name("alone")));
            Pipeline.tell("broker stop " + broker);
            // The old one holds on to leaders that it knew.
            Answers.admin.close();
            Answers.admin = Pipeline.admin();
            for (var group : groups.entrySet())
                for (long offset : new long[] {broker * 10, broker * 10 + 1}) {
                    if (offset % 10 == 1) commit(group.getKey(), group.getValue(), offset);
                    settled(group.getKey() + " " + offset, () -> committed(group.getKey()).equals(Map.of(0, offset, 1, offset, 2, offset, 3, offset)));
                }
            int hidden = broker - 1;
            Pipeline.check(Transactions.read("written", 0, IsolationLevel.READ_COMMITTED).size() == hidden, "it is open");
            settled("it is seen while open", () -> seen(TransactionState.ONGOING, 2));
            writer.producer.commitTransaction();
            settled("it is seen as committed", () -> seen(TransactionState.COMPLETE_COMMIT, 0));
            settled("it is committed", () -> Transactions.read("written", 0, IsolationLevel.READ_COMMITTED).size() == hidden + 1);
            settled("so is its offset", () -> committed("alone").equals(Map.of(0, hidden + 1L)));
            writer.abort("aborted");
            settled("it is seen as aborted", () -> seen(TransactionState.COMPLETE_ABORT, 0));
            Pipeline.tell("broker start " + broker);
            settled("it comes back to all that it holds", Survive::whole);
        }
        var after = groups.values().stream().flatMap(List::stream).map(member -> member.rebalances).toList();
        Pipeline.check(before.equals(after), before + " " + after);
        for (var pair : groups.values())
            for (var member : pair) {
                member.close();
                Pipeline.check(member.failure == null, member.failure);
            }
        Pipeline.tell("end");
        System.exit(0);
    }
}
