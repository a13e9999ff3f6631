import java.io.*;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.util.*;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.common.*;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.message.*;
import org.apache.kafka.common.protocol.*;
import org.apache.kafka.common.record.internal.*;
import org.apache.kafka.common.requests.*;

/** Single requests, as no client would send them or in versions that Kafka's own client has left behind. */
class Frames {
    static <T extends ApiMessage> T ask(Node at, ApiMessage asked, int version, T answer) throws Exception {
        var key = ApiKeys.forId(asked.apiKey());
        var header = new RequestHeader(key, (short) version, "frames", 7);
        var request = RequestUtils.serialize(header.data(), header.headerVersion(), asked, (short) version);
        try (var socket = new Socket(at.host(), at.port())) {
            socket.setSoTimeout(60_000);
            var out = new DataOutputStream(socket.getOutputStream());
            out.writeInt(request.remaining());
            out.write(request.array(), request.arrayOffset() + request.position(), request.remaining());
            out.flush();
            var in = new DataInputStream(socket.getInputStream());
            var response = ByteBuffer.wrap(in.readNBytes(in.readInt()));
            ResponseHeader.parse(response, key.responseHeaderVersion((short) version));
            answer.read(new ByteBufferAccessor(response), (short) version);
            return answer;
        }
    }

    static Node any() {
        String[] first = Answers.servers.split(",")[0].split(":");
        return new Node(-1, first[0], Integer.parseInt(first[1]));
    }

    static Node coordinator(int type, String key) throws Exception {
        var asked = new FindCoordinatorRequestData().setKeyType((byte) type).setKey(key);
        for (int i = 0; i < 1_200; i++, Thread.sleep(50)) {
            var found = ask(any(), asked, 3, new FindCoordinatorResponseData());
            if (found.errorCode() == 0) return new Node(found.nodeId(), found.host(), found.port());
        }
        throw new AssertionError("nobody coordinates " + key);
    }

    static Node leader() throws Exception {
        return Answers.admin.describeTopics(List.of(topic())).topicNameValues().get(topic()).get().partitions().get(0).leader();
    }

    static String topic() { return Answers.name("frames"); }

    /** Until a coordinator or a transaction is ready. */
    static boolean passing(int error) { return Set.of(14, 15, 16, 51).contains(error); }

    static InitProducerIdResponseData begin(String id, int timeout, long producer, int epoch) throws Exception {
        var asked = new InitProducerIdRequestData().setTransactionalId(id).setTransactionTimeoutMs(timeout)
            .setProducerId(producer).setProducerEpoch((short) epoch);
        return ready(() -> ask(coordinator(1, id), asked, 4, new InitProducerIdResponseData()), InitProducerIdResponseData::errorCode);
    }

    static String add(String id, InitProducerIdResponseData session, String... topics) throws Exception {
        var asked = new AddPartitionsToTxnRequestData().setV3AndBelowTransactionalId(id)
            .setV3AndBelowProducerId(session.producerId()).setV3AndBelowProducerEpoch(session.producerEpoch());
        for (String topic : topics) {
            var added = new AddPartitionsToTxnRequestData.AddPartitionsToTxnTopic().setName(topic).setPartitions(List.of(0));
            asked.v3AndBelowTopics().add(added);
        }
        var errors = new HashMap<String, Integer>();
        ready(() -> ask(coordinator(1, id), asked, 3, new AddPartitionsToTxnResponseData()), answer -> {
            for (var each : answer.resultsByTopicV3AndBelow())
                errors.put(each.name(), (int) each.resultsByPartition().iterator().next().partitionErrorCode());
            return errors.get(topics[0]);
        });
        return Arrays.stream(topics).map(topic -> "" + errors.get(topic)).collect(Collectors.joining(" "));
    }

    static int produce(String id, long producer, int epoch, int version, long... timestamps) throws Exception {
        var records = new SimpleRecord[timestamps.length];
        for (int i = 0; i < records.length; i++) records[i] = new SimpleRecord(timestamps[i], "x".getBytes());
        var batch = id == null
            ? MemoryRecords.withRecords(Compression.NONE, records)
            : MemoryRecords.withTransactionalRecords(Compression.NONE, producer, (short) epoch, 0, records);
        var partition = new ProduceRequestData.PartitionProduceData().setIndex(0).setRecords(batch);
        var data = new ProduceRequestData.TopicProduceData().setName(topic()).setPartitionData(List.of(partition));
        var asked = new ProduceRequestData().setTransactionalId(id).setAcks((short) -1).setTimeoutMs(30_000);
        asked.topicData().add(data);
        return ask(leader(), asked, version, new ProduceResponseData())
            .responses().iterator().next().partitionResponses().get(0).errorCode();
    }

    static DescribeTransactionsResponseData.TransactionState described(String id) throws Exception {
        var asked = new DescribeTransactionsRequestData().setTransactionalIds(List.of(id));
        return ask(coordinator(1, id), asked, 0, new DescribeTransactionsResponseData()).transactionStates().get(0);
    }

    interface Question<T> { T ask() throws Exception; }

    /** Asks until the coordinator is ready. */
    static <T> T ready(Question<T> question, java.util.function.ToIntFunction<T> error) throws Exception {
        for (int i = 0; ; i++, Thread.sleep(50)) {
            T answer = question.ask();
            if (!passing(error.applyAsInt(answer)) || i == 1_200) return answer;
        }
    }

    static void say(String what, Object... answers) {
        Answers.say(what, Arrays.stream(answers).map(String::valueOf).collect(Collectors.joining(" ")));
    }

    static void times() throws Exception {
        say("a batch of three", produce(null, -1, -1, 9, 1_000_000, 1_001_000, 1_002_000));
        for (long time : new long[] {0, 1_000_001, 1_002_000, 1_002_001, -3}) {
            var partition = new ListOffsetsRequestData.ListOffsetsPartition().setPartitionIndex(0).setTimestamp(time);
            var asked = new ListOffsetsRequestData().setReplicaId(-1).setTopics(List.of(
                new ListOffsetsRequestData.ListOffsetsTopic().setName(topic()).setPartitions(List.of(partition))));
            var listed = ask(leader(), asked, 7, new ListOffsetsResponseData()).topics().get(0).partitions().get(0);
            say("offset at " + time, listed.errorCode(), listed.offset(), listed.timestamp());
        }
    }

    static void names() throws Exception {
        for (int type : new int[] {2, 9}) {
            var asked = new FindCoordinatorRequestData().setKeyType((byte) type).setCoordinatorKeys(List.of("x"));
            var found = ask(any(), asked, 4, new FindCoordinatorResponseData()).coordinators().get(0);
            say("coordinator of kind " + type, found.errorCode(), found.key());
        }
        var none = new InitProducerIdResponseData().setProducerId(1).setProducerEpoch((short) 0);
        say("no id: init", begin("", 60_000, -1, -1).errorCode());
        say("no id: add", add("", none, topic()));
        var offsets = new AddOffsetsToTxnRequestData().setTransactionalId("").setProducerId(1).setGroupId("g");
        say("no id: add offsets", ask(coordinator(1, ""), offsets, 3, new AddOffsetsToTxnResponseData()).errorCode());
        var end = new EndTxnRequestData().setTransactionalId("").setProducerId(1).setCommitted(true);
        say("no id: end", ask(coordinator(1, ""), end, 3, new EndTxnResponseData()).errorCode());
        say("no id: describe", described("").errorCode());
        var delete = new DeleteGroupsRequestData().setGroupsNames(List.of(""));
        say("no group: delete", ready(() -> ask(coordinator(0, ""), delete, 2, new DeleteGroupsResponseData()).results().iterator().next(),
            DeleteGroupsResponseData.DeletableGroupResult::errorCode).errorCode());
        var node = coordinator(0, "");
        for (int version : new int[] {0, 5, 6}) {
            var describe = new DescribeGroupsRequestData().setGroups(List.of(""));
            var group = ask(node, describe, version, new DescribeGroupsResponseData()).groups().get(0);
            say("no group: describe " + version, group.errorCode(), group.groupState());
        }
        var describe = new ConsumerGroupDescribeRequestData().setGroupIds(List.of(""));
        say("no group: describe as consumers", ask(node, describe, 0, new ConsumerGroupDescribeResponseData()).groups().get(0).errorCode());
        var heartbeat = new HeartbeatRequestData().setGroupId("").setMemberId("m").setGenerationId(1);
        say("no group: heartbeat", ask(node, heartbeat, 4, new HeartbeatResponseData()).errorCode());
        var list = new ListTransactionsRequestData().setStateFilters(List.of("Empty", "Asleep"));
        var listed = ask(coordinator(1, topic()), list, 1, new ListTransactionsResponseData());
        say("list by states", listed.errorCode(), listed.unknownStateFilters());
    }

    static ConsumerGroupHeartbeatResponseData beat(String group, String member, int epoch, int version) throws Exception {
        var asked = new ConsumerGroupHeartbeatRequestData().setGroupId(group).setMemberId(member).setMemberEpoch(epoch);
        if (epoch == 0)
            asked.setRebalanceTimeoutMs(60_000).setSubscribedTopicNames(List.of(topic())).setTopicPartitions(List.of());
        return ready(() -> ask(coordinator(0, group), asked, version, new ConsumerGroupHeartbeatResponseData()),
            ConsumerGroupHeartbeatResponseData::errorCode);
    }

    static void beats() throws Exception {
        String group = Answers.name("beats");
        var joined = beat(group, "", 0, 0);
        say("join without id", joined.errorCode(), !joined.memberId().isEmpty(), joined.memberEpoch() > 0);
        for (var refused : List.of(beat(group, "", 0, 1), beat("", "m", 0, 1), beat(group, "stranger", 3, 1),
                beat(group, joined.memberId(), 99, 1), beat(Answers.name("nobody"), "stranger", 3, 1)))
            say("refused heartbeat", refused.errorCode(), refused.errorMessage() != null);
        var asked = new ConsumerGroupDescribeRequestData().setGroupIds(List.of(group));
        var described = ask(coordinator(0, group), asked, 1, new ConsumerGroupDescribeResponseData()).groups().get(0);
        say("host of a consumer", described.members().get(0).clientHost(), described.members().get(0).clientId());
        say("leave", beat(group, joined.memberId(), -1, 0).errorCode());
    }

    static void classic() throws Exception {
        String group = Answers.name("classic");
        var asked = new JoinGroupRequestData().setGroupId(group).setSessionTimeoutMs(30_000).setRebalanceTimeoutMs(30_000)
            .setProtocolType("consumer");
        asked.protocols().add(new JoinGroupRequestData.JoinGroupRequestProtocol().setName("range").setMetadata(new byte[] {0, 0}));
        var joined = ready(() -> ask(coordinator(0, group), asked, 3, new JoinGroupResponseData()), JoinGroupResponseData::errorCode);
        Node node = coordinator(0, group);
        var described = ask(node, new DescribeGroupsRequestData().setGroups(List.of(group)), 5, new DescribeGroupsResponseData());
        var member = described.groups().get(0).members().get(0);
        say("host of a member", joined.errorCode(), member.clientHost(), member.clientId());
        var place = new OffsetCommitRequestData.OffsetCommitRequestPartition().setPartitionIndex(0).setCommittedOffset(1);
        var commit = new OffsetCommitRequestData().setGroupId(group).setGenerationIdOrMemberEpoch(joined.generationId())
            .setMemberId(joined.memberId()).setTopics(List.of(new OffsetCommitRequestData.OffsetCommitRequestTopic()
                .setName(topic()).setPartitions(List.of(place))));
        var committed = ask(node, commit, 6, new OffsetCommitResponseData());
        String nobody = Answers.name("nobody");
        Node theirs = coordinator(0, nobody);
        for (int version : List.of(8, 9))
            say("commit to no group", version, ask(theirs, commit.duplicate().setGroupId(nobody), version, new OffsetCommitResponseData())
                .topics().get(0).partitions().get(0).errorCode());
        var leave = new LeaveGroupRequestData().setGroupId(group).setMemberId(joined.memberId());
        say("leave at once", committed.topics().get(0).partitions().get(0).errorCode(),
            ask(node, leave, 1, new LeaveGroupResponseData()).errorCode());
        var delete = new OffsetDeleteRequestData().setGroupId(group);
        for (String topic : List.of(topic(), Answers.name("nowhere")))
            delete.topics().add(new OffsetDeleteRequestData.OffsetDeleteRequestTopic().setName(topic).setPartitions(List.of(
                new OffsetDeleteRequestData.OffsetDeleteRequestPartition().setPartitionIndex(0),
                new OffsetDeleteRequestData.OffsetDeleteRequestPartition().setPartitionIndex(9))));
        var deleted = ask(node, delete, 0, new OffsetDeleteResponseData());
        var errors = new TreeSet<String>();
        for (var topic : deleted.topics())
            for (var each : topic.partitions())
                errors.add(topic.name().replace(Answers.prefix, "") + "-" + each.partitionIndex() + " " + each.errorCode());
        say("delete offsets", deleted.errorCode(), errors);
    }

    static void operations() throws Exception {
        for (boolean asks : new boolean[] {true, false}) {
            String what = asks ? "operations" : "operations unasked";
            var topics = List.of(new MetadataRequestData.MetadataRequestTopic().setName(topic()),
                new MetadataRequestData.MetadataRequestTopic().setName(Answers.name("nowhere")));
            var metadata = new MetadataRequestData().setTopics(topics).setAllowAutoTopicCreation(false)
                .setIncludeClusterAuthorizedOperations(asks).setIncludeTopicAuthorizedOperations(asks);
            var known = ask(any(), metadata, 8, new MetadataResponseData());
            say(what + ": metadata", known.clusterAuthorizedOperations(),
                known.topics().find(topic()).topicAuthorizedOperations(),
                known.topics().find(Answers.name("nowhere")).topicAuthorizedOperations());
            var cluster = new DescribeClusterRequestData().setIncludeClusterAuthorizedOperations(asks);
            say(what + ": cluster", ask(any(), cluster, 1, new DescribeClusterResponseData()).clusterAuthorizedOperations());
            String group = Answers.name("classic");
            var classic = new DescribeGroupsRequestData().setGroups(List.of(group)).setIncludeAuthorizedOperations(asks);
            for (int version : new int[] {5, 6})
                say(what + ": groups " + version, ask(coordinator(0, group), classic, version, new DescribeGroupsResponseData()).groups().get(0)
                    .authorizedOperations());
            String beats = Answers.name("beats");
            var consumers = new ConsumerGroupDescribeRequestData().setGroupIds(List.of(beats)).setIncludeAuthorizedOperations(asks);
            var described = ask(coordinator(0, beats), consumers, 1, new ConsumerGroupDescribeResponseData()).groups().get(0);
            say(what + ": consumers", described.errorCode(), described.authorizedOperations());
            consumers.setGroupIds(List.of(Answers.name("nobody")));
            var nobody = ask(coordinator(0, Answers.name("nobody")), consumers, 1, new ConsumerGroupDescribeResponseData()).groups().get(0);
            say(what + ": nobody", nobody.errorCode(), nobody.authorizedOperations());
        }
    }

    static String marked(long producer, int epoch, int coordinator) throws Exception {
        var topic = new WriteTxnMarkersRequestData.WritableTxnMarkerTopic().setName(topic()).setPartitionIndexes(List.of(0));
        var marker = new WriteTxnMarkersRequestData.WritableTxnMarker().setProducerId(producer).setProducerEpoch((short) epoch)
            .setCoordinatorEpoch(coordinator).setTransactionResult(false).setTopics(List.of(topic));
        var asked = new WriteTxnMarkersRequestData().setMarkers(List.of(marker));
        var answer = ask(leader(), asked, 1, new WriteTxnMarkersResponseData());
        return "" + answer.markers().get(0).topics().get(0).partitions().get(0).errorCode();
    }

    static void transactions() throws Exception {
        String id = Answers.name("internal");
        var first = begin(id, 60_000, -1, -1);
        say("add internal topics", add(id, first, topic(), "__consumer_offsets", "__transaction_state", Answers.name("nowhere")));
        say("and nothing is added", described(id).transactionState());
        var second = begin(id, 60_000, -1, -1);
        say("add", add(id, second, topic()), produce(id, second.producerId(), second.producerEpoch(), 9, 1_000_000));
        say("stale marker of a new coordinator", marked(second.producerId(), 0, 5));
        say("stale marker of an old coordinator", marked(second.producerId(), 0, -5));
        say("marker of an old coordinator", marked(second.producerId(), 1, -5));
        var end = new EndTxnRequestData().setTransactionalId(id).setProducerId(second.producerId())
            .setProducerEpoch(second.producerEpoch()).setCommitted(true);
        say("end", ask(coordinator(1, id), end, 3, new EndTxnResponseData()).errorCode());
    }

    static void late(String what, boolean enrols) throws Exception {
        String id = Answers.name(what);
        var session = begin(id, 1_000, -1, -1);
        if (enrols) say(what + ": add", add(id, session, topic()));
        say(what + ": send", produce(id, session.producerId(), session.producerEpoch(), enrols ? 9 : 12, 1_000_000));
        for (int i = 0; i < 1_200 && !described(id).transactionState().equals("CompleteAbort"); i++) Thread.sleep(50);
        say(what + ": epoch after the timeout", described(id).producerEpoch());
        for (boolean commit : new boolean[] {true, false}) {
            var end = new EndTxnRequestData().setTransactionalId(id).setProducerId(session.producerId())
                .setProducerEpoch(session.producerEpoch()).setCommitted(commit);
            var ended = ask(coordinator(1, id), end, enrols ? 4 : 5, new EndTxnResponseData());
            say(what + (commit ? ": commit" : ": abort"), ended.errorCode(), ended.producerEpoch());
        }
        var resumed = begin(id, 60_000, session.producerId(), session.producerEpoch());
        say(what + ": resume", resumed.errorCode(), resumed.producerEpoch());
        var anew = begin(id, 60_000, -1, -1);
        say(what + ": begin anew", anew.errorCode(), anew.producerEpoch());
    }

    static void run() throws Exception {
        Answers.admin.createTopics(List.of(new NewTopic(topic(), 1, (short) 1))).all().get();
        Groups.until(() -> {
            try {
                return leader() != null;
            } catch (Exception error) {
                return false;
            }
        });
        times();
        names();
        beats();
        classic();
        operations();
        transactions();
        late("enrolled", true);
        late("enrolling", false);
    }
}
