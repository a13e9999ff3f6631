import java.time.Duration;
import java.util.*;
import java.util.concurrent.*;
import java.util.function.BooleanSupplier;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.common.*;
import org.apache.kafka.common.serialization.*;

/** Groups of both protocols: assignors, rebalances, static members, commits, and what administrators see of them. */
class Groups {
    /** A member that polls all the time, on a thread of its own. */
    static class Member implements ConsumerRebalanceListener, AutoCloseable {
        final KafkaConsumer<String, String> consumer;
        final BlockingQueue<FutureTask<?>> tasks = new LinkedBlockingQueue<>();
        final Thread thread = new Thread(this::run);
        volatile Set<Integer> holds = Set.of();
        volatile int revoked, rebalances;
        volatile Exception failure;
        volatile boolean ends;

        Member(Object... settings) {
            var all = Answers.settings(settings);
            all.putIfAbsent("auto.offset.reset", "earliest");
            all.putIfAbsent("enable.auto.commit", false);
            if (!"consumer".equals(all.get("group.protocol"))) {
                all.putIfAbsent("heartbeat.interval.ms", 300);
                all.putIfAbsent("session.timeout.ms", 30_000);
            }
            consumer = new KafkaConsumer<>(all, new StringDeserializer(), new StringDeserializer());
        }

        Member subscribe(String topic) {
            consumer.subscribe(List.of(Answers.name(topic)), this);
            thread.start();
            return this;
        }

        void run() {
            try {
                while (!ends) {
                    consumer.poll(Duration.ofMillis(50));
                    for (FutureTask<?> task; (task = tasks.poll()) != null; ) task.run();
                    holds = partitions();
                }
            } catch (Exception error) {
                failure = error;
            }
            consumer.close();
        }

        Set<Integer> partitions() {
            return consumer.assignment().stream().map(TopicPartition::partition).collect(Collectors.toCollection(TreeSet::new));
        }

        public void onPartitionsAssigned(Collection<TopicPartition> some) {
            rebalances++;
        }

        public void onPartitionsRevoked(Collection<TopicPartition> some) {
            revoked += some.size();
        }

        <T> T ask(Callable<T> what) throws Exception {
            var task = new FutureTask<>(what);
            tasks.add(task);
            return task.get(30, TimeUnit.SECONDS);
        }

        public void close() throws Exception {
            ends = true;
            thread.join(30_000);
        }
    }

    static void until(BooleanSupplier settled) throws Exception {
        for (int i = 0; i < 600 && !settled.getAsBoolean(); i++) Thread.sleep(50);
    }

    static void create(String topic, int partitions) throws Exception {
        Answers.admin.createTopics(List.of(new NewTopic(Answers.name(topic), partitions, (short) 1))).all().get();
    }

    static Map<TopicPartition, OffsetAndMetadata> at(String topic, int partition, long offset, String note) {
        return Map.of(new TopicPartition(Answers.name(topic), partition), new OffsetAndMetadata(offset, note));
    }

    /** Two members share four partitions, and one of them leaves. */
    static void share(String how, boolean exact, Object... settings) throws Exception {
        String topic = "shared-by-" + how.replace(' ', '-');
        create(topic, 4);
        var all = new ArrayList<Object>(List.of(settings));
        all.addAll(List.of("group.id", Answers.name(topic)));
        // The names decide who comes first in a list of members.
        var more = new Object[][] {{"client.id", "a"}, {"client.id", "b"}};
        var both = new ArrayList<Member>();
        for (Object[] name : more) {
            var mine = new ArrayList<>(all);
            mine.addAll(List.of(name));
            both.add(new Member(mine.toArray()));
        }
        Member a = both.get(0).subscribe(topic);
        until(() -> a.holds.size() == 4);
        Answers.say(how + ", alone", a.holds);
        Answers.say(how + ", commit", Answers.thrown(() -> a.ask(() -> {
            a.consumer.commitSync(at(topic, 3, 33, "by a"));
            return 0;
        })));
        Member b = both.get(1).subscribe(topic);
        until(() -> a.holds.size() == 2 && b.holds.size() == 2);
        var union = new TreeSet<>(a.holds);
        union.addAll(b.holds);
        Answers.say(how + ", together", exact ? a.holds + " " + b.holds : a.holds.size() + " of " + union);
        Answers.say(how + ", revoked", a.revoked);
        var place = new TopicPartition(Answers.name(topic), 3);
        Answers.say(how + ", committed", b.ask(() -> b.consumer.committed(Set.of(place))).get(place).offset());
        a.close();
        until(() -> b.holds.size() == 4);
        Answers.say(how + ", left alone", b.holds);
        b.close();
        Answers.say(how + ", failures", Arrays.asList(a.failure, b.failure));
    }

    static void assignors() throws Exception {
        String of = "org.apache.kafka.clients.consumer.";
        var strategy = "partition.assignment.strategy";
        Answers.together(
            () -> share("range", true, strategy, of + "RangeAssignor"),
            () -> share("round robin", true, strategy, of + "RoundRobinAssignor"),
            () -> share("sticky", false, strategy, of + "StickyAssignor"),
            () -> share("cooperative sticky", false, strategy, of + "CooperativeStickyAssignor"),
            () -> share("uniform", false, "group.protocol", "consumer", "group.remote.assignor", "uniform"),
            () -> share("range of the coordinator", false, "group.protocol", "consumer", "group.remote.assignor", "range"));
    }

    static void members() throws Exception {
        create("static", 4);
        String group = Answers.name("static");
        Member first = new Member("group.id", group, "group.instance.id", "one").subscribe("static");
        Member other = new Member("group.id", group, "group.instance.id", "two").subscribe("static");
        until(() -> first.holds.size() == 2 && other.holds.size() == 2);
        int before = other.rebalances;
        first.close();
        Member again = new Member("group.id", group, "group.instance.id", "one").subscribe("static");
        until(() -> again.holds.size() == 2);
        // Several heartbeats, which would tell of a rebalance.
        Thread.sleep(1_000);
        Answers.say("static member back", again.holds.equals(first.holds));
        Answers.say("rebalances seen by the other", other.rebalances - before);
        Member twin = new Member("group.id", group, "group.instance.id", "one").subscribe("static");
        until(() -> again.failure != null && twin.holds.size() == 2);
        Answers.say("static member fenced", Answers.number(again.failure));
        Answers.say("its twin", twin.holds.equals(first.holds));
        var gone = admin().removeMembersFromConsumerGroup(group, new RemoveMembersFromConsumerGroupOptions(
            List.of(new MemberToRemove("one"), new MemberToRemove("nobody"))));
        Answers.say("remove a static member", Answers.code(gone.memberResult(new MemberToRemove("one"))));
        Answers.say("remove nobody", Answers.code(gone.memberResult(new MemberToRemove("nobody"))));
        again.close();
        twin.close();
        other.close();
    }

    static Admin admin() {
        return Answers.admin;
    }

    static void refused(String what, String group, String topic, Object... settings) throws Exception {
        var all = new ArrayList<Object>(List.of(settings));
        all.addAll(List.of("group.id", Answers.name(group)));
        Member member = new Member(all.toArray()).subscribe(topic);
        until(() -> member.failure != null);
        Answers.say(what, Answers.number(member.failure));
        member.close();
    }

    static void refusals() throws Exception {
        create("refused", 2);
        String group = Answers.name("refused"), of = "org.apache.kafka.clients.consumer.";
        Member member = new Member("group.id", group, "partition.assignment.strategy", of + "RangeAssignor").subscribe("refused");
        until(() -> member.holds.size() == 2);
        refused("join with another assignor", "refused", "refused", "partition.assignment.strategy", of + "RoundRobinAssignor");
        refused("join with a session too short", "short", "refused", "session.timeout.ms", 100, "heartbeat.interval.ms", 30);
        refused("join with an unknown assignor", "unknown", "refused", "group.protocol", "consumer", "group.remote.assignor", "none");
        Answers.say("long metadata", Answers.thrown(() -> member.ask(() -> {
            member.consumer.commitSync(at("refused", 0, 1, "x".repeat(5_000)));
            return 0;
        })));
        Answers.say("commit elsewhere", Answers.thrown(() -> member.ask(() -> {
            member.consumer.commitSync(at("refused", 7, 1, ""), Duration.ofSeconds(2));
            return 0;
        })));
        Answers.say("commit", Answers.thrown(() -> member.ask(() -> {
            member.consumer.commitSync(at("refused", 1, 7, "mine"));
            return 0;
        })));
        Answers.say("commit by a stranger", Answers.code(admin().alterConsumerGroupOffsets(group, at("refused", 0, 1, "")).all()));
        var place = new TopicPartition(Answers.name("refused"), 1);
        var deleted = admin().deleteConsumerGroupOffsets(group, Set.of(place));
        Answers.say("delete offsets of what is read", Answers.code(deleted.partitionResult(place)));
        Answers.say("delete a living group", Answers.code(admin().deleteConsumerGroups(List.of(group)).all()));
        describe("living", group);
        Answers.say("all offsets", offsets(group));
        member.close();
        until(() -> state(group).equals("Empty"));
        describe("empty", group);
        Answers.say("commit by an administrator", Answers.code(admin().alterConsumerGroupOffsets(group, at("refused", 0, 5, "set")).all()));
        Answers.say("all offsets then", offsets(group));
        Answers.say("delete offsets", Answers.code(admin().deleteConsumerGroupOffsets(group, Set.of(place)).partitionResult(place)));
        Answers.say("all offsets at last", offsets(group));
        for (String which : List.of(group, group, Answers.name("nobody")))
            Answers.say("delete " + which.substring(Answers.prefix.length()), Answers.code(admin().deleteConsumerGroups(List.of(which)).all()));
        Answers.say("describe nobody", Answers.code(admin().describeConsumerGroups(List.of(Answers.name("nobody"))).all()));
        Answers.say("offsets of nobody", offsets(Answers.name("nobody")));
    }

    static Object offsets(String group) throws Exception {
        var all = admin().listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get();
        var lines = new TreeMap<Integer, String>();
        all.forEach((place, offset) -> lines.put(place.partition(), offset.offset() + " " + offset.metadata()));
        return lines;
    }

    static String state(String group) {
        try {
            return admin().describeConsumerGroups(List.of(group)).all().get().get(group).groupState().toString();
        } catch (Exception error) {
            return error.toString();
        }
    }

    static void describe(String what, String group) throws Exception {
        var is = admin().describeConsumerGroups(List.of(group)).all().get().get(group);
        var members = is.members().stream().map(member -> member.assignment().topicPartitions().size()).toList();
        Answers.say("describe " + what, is.groupState() + " " + is.type() + " " + is.partitionAssignor() + " " + is.isSimpleConsumerGroup() + " " + members);
    }

    static Object listed(ListGroupsOptions options, String infix) throws Exception {
        return admin().listGroups(options).all().get().stream().filter(group -> group.groupId().startsWith(Answers.name(infix)))
            .map(group -> group.groupId().substring(Answers.prefix.length()) + " " + group.protocol() + " " + group.type().get() + " " + group.groupState().get())
            .sorted().toList();
    }

    static void consumers() throws Exception {
        create("consumers", 2);
        String group = Answers.name("consumers");
        Member member = new Member("group.id", group, "group.protocol", "consumer", "group.instance.id", "one").subscribe("consumers");
        until(() -> member.holds.size() == 2 && state(group).equals("Stable"));
        describe("consumers", group);
        refused("join as who is there", "consumers", "consumers", "group.protocol", "consumer", "group.instance.id", "one");
        Member classic = new Member("group.id", group, "partition.assignment.strategy", "org.apache.kafka.clients.consumer.RangeAssignor");
        classic.subscribe("consumers");
        until(() -> classic.failure != null || classic.holds.size() == 1);
        Answers.say("join consumers by the classic protocol", classic.failure == null ? classic.holds.size() : Answers.number(classic.failure));
        classic.close();
        until(() -> member.holds.size() == 2 && state(group).equals("Stable"));
        Answers.say("delete a living group of consumers", Answers.code(admin().deleteConsumerGroups(List.of(group)).all()));
        Answers.say("commit by a stranger to consumers", Answers.code(admin().alterConsumerGroupOffsets(group, at("consumers", 0, 1, "")).all()));
        Answers.say("commit by a consumer", Answers.thrown(() -> member.ask(() -> {
            member.consumer.commitSync(at("consumers", 1, 9, "new"));
            return 0;
        })));
        Answers.say("offsets of consumers", offsets(group));
        Answers.say("list consumers", listed(new ListGroupsOptions().withTypes(Set.of(GroupType.CONSUMER)), "consumers"));
        Answers.say("list classic ones", listed(new ListGroupsOptions().withTypes(Set.of(GroupType.CLASSIC)), "consumers"));
        Answers.say("list stable ones", listed(new ListGroupsOptions().inGroupStates(Set.of(GroupState.STABLE)), "consumers"));
        Answers.say("list empty ones", listed(new ListGroupsOptions().inGroupStates(Set.of(GroupState.EMPTY)), "consumers"));
        member.close();
    }

    static void run() throws Exception {
        Answers.together(Groups::assignors, Groups::members, Groups::refusals, Groups::consumers);
    }
}
