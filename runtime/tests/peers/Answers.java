import java.time.Duration;
import java.util.*;
import java.util.concurrent.*;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.*;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.protocol.Errors;
import org.apache.kafka.common.serialization.*;

/** Asks a cluster what applications ask, with Kafka's own client, and prints the answers: error codes, offsets, values. */
public class Answers {
    static String servers, prefix;
    static Admin admin;

    static String name(String topic) { return prefix + topic; }

    /** What a thread answers, in its order. */
    static final ThreadLocal<List<String>> lines = ThreadLocal.withInitial(ArrayList::new);

    static void say(String what, Object answer) { lines.get().add(what + ": " + answer); }

    interface Step { void run() throws Exception; }

    /** Runs all at once; their answers come in the order of the steps. */
    static void together(Step... steps) throws Exception {
        var pool = Executors.newCachedThreadPool();
        var running = new ArrayList<Future<List<String>>>();
        for (Step step : steps)
            running.add(pool.submit(() -> {
                step.run();
                return lines.get();
            }));
        pool.shutdown();
        for (var answers : running) lines.get().addAll(answers.get());
    }

    /** An error's number, or the name of one that only the client knows. */
    static Object number(Throwable error) {
        for (Throwable cause = error; cause != null; cause = cause.getCause()) {
            int number = Errors.forException(cause).code();
            if (number > 0) return number;
        }
        return error.getClass().getSimpleName();
    }

    /** 0, or the number of what a call throws. */
    static Object thrown(Step call) {
        try {
            call.run();
            return 0;
        } catch (ExecutionException error) {
            return number(error.getCause());
        } catch (Exception error) {
            return number(error);
        }
    }

    /** 0, or the error's number. */
    static Object code(KafkaFuture<?> future) throws Exception {
        try {
            future.get();
            return 0;
        } catch (ExecutionException error) {
            return (int) Errors.forException(error.getCause()).code();
        }
    }

    static Properties settings(Object... pairs) {
        Properties all = new Properties();
        all.put("bootstrap.servers", servers);
        for (int i = 0; i < pairs.length; i += 2) all.put(pairs[i], pairs[i + 1]);
        return all;
    }

    static void create(String what, NewTopic topic, boolean validateOnly) throws Exception {
        var result = admin.createTopics(List.of(topic), new CreateTopicsOptions().validateOnly(validateOnly));
        say(what, code(result.all()));
    }

    static void topics() throws Exception {
        var made = admin.createTopics(List.of(new NewTopic(name("a"), 2, (short) 1).configs(Map.of("retention.ms", "-1"))));
        say("create", code(made.all()));
        say("partitions made", made.numPartitions(name("a")).get());
        say("replicas made", made.replicationFactor(name("a")).get());
        say("config made", made.config(name("a")).get().get("retention.ms").value());
        say("id made", !made.topicId(name("a")).get().equals(Uuid.ZERO_UUID));
        create("create again", new NewTopic(name("a"), 1, (short) 1), false);
        create("create without partitions", new NewTopic(name("b"), 0, (short) 1), false);
        create("create with too many replicas", new NewTopic(name("b"), 1, (short) 99), false);
        create("create with a bad name", new NewTopic(name("b/c"), 1, (short) 1), false);
        create("create with a bad value", new NewTopic(name("b"), 1, (short) 1).configs(Map.of("retention.ms", "soon")), false);
        create("create on an unknown broker", new NewTopic(name("b"), Map.of(0, List.of(77))), false);
        create("create on the same broker twice", new NewTopic(name("b"), Map.of(0, List.of(1, 1))), false);
        create("create from partition 1 on", new NewTopic(name("b"), Map.of(1, List.of(1))), false);
        create("validate only", new NewTopic(name("b"), 1, (short) 1), true);
        create("create what was only validated", new NewTopic(name("b"), 1, (short) 1), false);
        create("create small", new NewTopic(name("small"), 1, (short) 1).configs(Map.of("max.message.bytes", "1000")), false);
        create("create compacted", new NewTopic(name("compacted"), 1, (short) 1).configs(Map.of("cleanup.policy", "compact")), false);
    }

    static Map<String, KafkaFuture<TopicDescription>> described() {
        return admin.describeTopics(List.of(name("b"), name("nowhere"))).topicNameValues();
    }

    static void partitions() throws Exception {
        say("grow", code(admin.createPartitions(Map.of(name("b"), NewPartitions.increaseTo(3))).all()));
        say("grow to fewer", code(admin.createPartitions(Map.of(name("b"), NewPartitions.increaseTo(1))).all()));
        say("grow what is not there", code(admin.createPartitions(Map.of(name("nowhere"), NewPartitions.increaseTo(2))).all()));
        // Brokers hear of it a little later.
        for (int i = 0; i < 1_200 && described().get(name("b")).get().partitions().size() < 3; i++) Thread.sleep(50);
        var described = described();
        say("partitions", described.get(name("b")).get().partitions().size());
        say("describe what is not there", code(described.get(name("nowhere"))));
        var byId = TopicCollection.ofTopicIds(List.of(described.get(name("b")).get().topicId()));
        say("describe by id", code(admin.describeTopics(byId).allTopicIds()));
        var unknown = TopicCollection.ofTopicIds(List.of(Uuid.randomUuid()));
        say("describe by unknown id", code(admin.describeTopics(unknown).allTopicIds()));
    }

    static void alter(String what, String topic, AlterConfigOp.OpType how, String key, String value) throws Exception {
        var change = List.of(new AlterConfigOp(new ConfigEntry(key, value), how));
        var resource = new ConfigResource(ConfigResource.Type.TOPIC, name(topic));
        say(what, code(admin.incrementalAlterConfigs(Map.of(resource, change)).all()));
    }

    static String config(String topic, String key) throws Exception {
        var resource = new ConfigResource(ConfigResource.Type.TOPIC, name(topic));
        var entry = admin.describeConfigs(List.of(resource)).all().get().get(resource).get(key);
        return entry.value() + " " + entry.source();
    }

    static void configs() throws Exception {
        alter("set", "a", AlterConfigOp.OpType.SET, "delete.retention.ms", "60000");
        alter("set to nonsense", "a", AlterConfigOp.OpType.SET, "delete.retention.ms", "soon");
        alter("set what is unknown", "a", AlterConfigOp.OpType.SET, "retention.years", "1");
        alter("set elsewhere", "nowhere", AlterConfigOp.OpType.SET, "delete.retention.ms", "1");
        alter("append to no list", "a", AlterConfigOp.OpType.APPEND, "delete.retention.ms", "1");
        for (int i = 0; i < 1_200 && !config("a", "delete.retention.ms").startsWith("60000"); i++) Thread.sleep(50);
        say("what was set", config("a", "delete.retention.ms"));
        alter("delete", "a", AlterConfigOp.OpType.DELETE, "delete.retention.ms", null);
        for (int i = 0; i < 1_200 && config("a", "delete.retention.ms").startsWith("60000"); i++) Thread.sleep(50);
        say("what was deleted", config("a", "delete.retention.ms"));
        say("untouched", config("a", "cleanup.policy"));
    }

    static List<String> send(String topic, int partition, String key, int count, int size, Object... more) {
        var settings = settings(more);
        settings.putIfAbsent("acks", "all");
        settings.put("linger.ms", 50);
        var answers = new ArrayList<String>();
        try (var producer = new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer())) {
            for (int i = 0; i < count; i++) {
                var record = new ProducerRecord<>(name(topic), partition, 1_700_000_000_000L + i, key, "x".repeat(size));
                producer.send(record, (metadata, error) -> {
                    synchronized (answers) {
                        answers.add(error == null ? "" + metadata.offset() : "error " + Errors.forException(error).code());
                    }
                });
            }
        }
        return answers;
    }

    static long end(String topic) throws Exception {
        var partition = new TopicPartition(name(topic), 0);
        return admin.listOffsets(Map.of(partition, OffsetSpec.latest())).partitionResult(partition).get().offset();
    }

    static void produce() throws Exception {
        say("produce with acks=0", send("a", 0, "k", 3, 1, "acks", "0", "enable.idempotence", false));
        // Nobody tells when unacknowledged records are there.
        for (int i = 0; i < 1_200 && end("a") < 3; i++) Thread.sleep(50);
        say("produce with acks=1", send("a", 0, "k", 3, 1, "acks", "1", "enable.idempotence", false));
        for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd"))
            say("produce " + codec, send("a", 0, "k", 3, 100, "compression.type", codec));
        say("produce too much", send("small", 0, "k", 1, 2000));
        say("produce many into small batches", send("small", 0, "k", 10, 300).stream().sorted().collect(Collectors.toList()));
        say("produce without key", send("compacted", 0, null, 1, 1));
        say("produce with key", send("compacted", 0, "k", 1, 1));
        say("produce elsewhere", send("a", 1, "k", 3, 1));
    }

    static Object listed(int partition, OffsetSpec spec) throws Exception {
        var future = admin.listOffsets(Map.of(new TopicPartition(name("a"), partition), spec))
            .partitionResult(new TopicPartition(name("a"), partition));
        Object error = code(future);
        return error.equals(0) ? future.get().offset() + " " + future.get().timestamp() : error;
    }

    static void offsets() throws Exception {
        say("earliest", listed(1, OffsetSpec.earliest()));
        say("latest", listed(1, OffsetSpec.latest()));
        say("greatest time", listed(1, OffsetSpec.maxTimestamp()));
        say("at a time", listed(1, OffsetSpec.forTimestamp(1_700_000_000_001L)));
        say("at a time after all", listed(1, OffsetSpec.forTimestamp(1_800_000_000_000L)));
        for (long before : new long[] {4, 2, 99, -7}) {
            var place = new TopicPartition(name("a"), 0);
            var future = admin.deleteRecords(Map.of(place, RecordsToDelete.beforeOffset(before))).lowWatermarks().get(place);
            Object error = code(future);
            say("delete records before " + before, error.equals(0) ? future.get().lowWatermark() : "error " + error);
        }
    }

    static void read(String what, long offset, int count, Object... more) {
        var settings = settings(more);
        settings.putIfAbsent("auto.offset.reset", "none");
        settings.put("fetch.max.wait.ms", 50);
        var got = new ArrayList<Object>();
        try (var consumer = new KafkaConsumer<>(settings, new StringDeserializer(), new StringDeserializer())) {
            var place = new TopicPartition(name("a"), 0);
            consumer.assign(List.of(place));
            consumer.seek(place, offset);
            for (int i = 0; i < 300 && got.size() < count; i++)
                for (var record : consumer.poll(Duration.ofMillis(200)))
                    got.add(record.offset() + " " + record.value().length());
        } catch (OffsetOutOfRangeException error) {
            got.add("out of range");
        }
        say(what, got);
    }

    static void consume() {
        read("read from the start", 4, 17);
        read("read below the start", 0, 1);
        read("read above the end", 99, 1);
        read("read below the start and begin anew", 0, 17, "auto.offset.reset", "earliest");
        read("read committed", 19, 2, "isolation.level", "read_committed");
        read("read small pieces", 15, 6, "max.partition.fetch.bytes", 1, "fetch.max.bytes", 1);
    }

    static void cluster() throws Exception {
        var cluster = admin.describeCluster();
        say("has a controller", cluster.nodes().get().contains(cluster.controller().get()));
        say("has an id", !cluster.clusterId().get().isEmpty());
    }

    static void delete() throws Exception {
        for (String topic : List.of("a", "a", "nowhere"))
            say("delete " + topic, code(admin.deleteTopics(List.of(name(topic))).all()));
        var rest = List.of(name("b"), name("small"), name("compacted"));
        say("delete the rest", code(admin.deleteTopics(rest).all()));
    }

    public static void main(String[] args) throws Exception {
        servers = args[0];
        prefix = args[1];
        try (Admin opened = Admin.create(settings())) {
            admin = opened;
            together(Answers::run, Groups::run, Transactions::run, Frames::run);
        }
        lines.get().forEach(System.out::println);
    }

    static void run() throws Exception {
        topics();
        partitions();
        configs();
        produce();
        offsets();
        consume();
        cluster();
        delete();
    }
}
