import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.ListOffsetsResult.ListOffsetsResultInfo;
import org.apache.kafka.clients.admin.NewPartitionReassignment;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.admin.ScramCredentialInfo;
import org.apache.kafka.clients.admin.ScramMechanism;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.admin.UserScramCredentialAlteration;
import org.apache.kafka.clients.admin.UserScramCredentialDeletion;
import org.apache.kafka.clients.admin.UserScramCredentialUpsertion;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.ElectionType;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.TopicPartitionInfo;
import org.apache.kafka.common.acl.AccessControlEntry;
import org.apache.kafka.common.acl.AclBinding;
import org.apache.kafka.common.acl.AclBindingFilter;
import org.apache.kafka.common.acl.AclOperation;
import org.apache.kafka.common.acl.AclPermissionType;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.quota.ClientQuotaAlteration;
import org.apache.kafka.common.quota.ClientQuotaEntity;
import org.apache.kafka.common.resource.PatternType;
import org.apache.kafka.common.resource.ResourcePattern;
import org.apache.kafka.common.resource.ResourceType;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Administers one Kafka cluster for as long as its stdin is open, so that a test pays for one JVM
 * and not for one per call. Each line of stdin is a request {"id": n, "op": "...", ...}; each line
 * of stdout answers one, in the order in which they get done: {"id": n, "result": ...} or {"id": n,
 * "error": "ExceptionClass", "message": "..."}. rig/admin.py is its only caller and says what each
 * request means.
 */
public class ClusterAdmin {
    // Records of tens of megabytes come as base64, which is more than a string may have by itself.
    private static final ObjectMapper JSON = new ObjectMapper(JsonFactory.builder()
            .streamReadConstraints(
                    StreamReadConstraints.builder().maxStringLength(256 << 20).build())
            .build());

    private final PrintStream answers;
    private Map<String, Object> properties = Map.of();
    private Admin admin;
    private KafkaProducer<byte[], byte[]> producer;

    public static void main(String[] arguments) throws Exception {
        PrintStream answers = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        // Whatever a library prints must not look like an answer.
        System.setOut(System.err);
        new ClusterAdmin(answers).serve();
        // A request that still waits for a dead broker must not keep the process.
        Runtime.getRuntime().halt(0);
    }

    private ClusterAdmin(PrintStream answers) {
        this.answers = answers;
    }

    private void serve() throws Exception {
        ExecutorService workers = Executors.newCachedThreadPool();
        BufferedReader requests =
                new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = requests.readLine(); line != null; line = requests.readLine()) {
            JsonNode request = JSON.readTree(line);
            workers.execute(() -> answer(request));
        }
    }

    private void answer(JsonNode request) {
        ObjectNode answer = JSON.createObjectNode();
        answer.set("id", request.get("id"));
        try {
            answer.set("result", run(request));
        } catch (Throwable error) {
            Throwable cause = error;
            while ((cause instanceof ExecutionException || cause instanceof CompletionException)
                    && cause.getCause() != null) {
                cause = cause.getCause();
            }
            answer.put("error", cause.getClass().getSimpleName());
            answer.put("message", String.valueOf(cause.getMessage()) + reason(cause));
        }
        synchronized (answers) {
            answers.println(answer);
        }
    }

    /** The client library hides why a login failed one level down. */
    private static String reason(Throwable error) {
        return error.getCause() == null ? "" : ": " + error.getCause();
    }

    private JsonNode run(JsonNode request) throws Exception {
        String op = request.get("op").asText();
        switch (op) {
            case "format":
                return format(request);
            case "connect":
                return connect(request);
            case "login":
                return login(request);
            case "describe_cluster":
                return describeCluster(admin);
            case "list_topics":
                return JSON.valueToTree(admin.listTopics().names().get());
            case "create_topic":
                return createTopic(request);
            case "delete_topic":
                admin.deleteTopics(List.of(text(request, "topic"))).all().get();
                return null;
            case "describe_topic":
                return describeTopic(request);
            case "create_partitions":
                admin.createPartitions(
                             Map.of(text(request, "topic"),
                                     NewPartitions.increaseTo(request.get("total").asInt())))
                        .all()
                        .get();
                return null;
            case "alter_configs":
                return alterConfigs(request);
            case "describe_configs":
                return describeConfigs(request);
            case "delete_records":
                return deleteRecords(request);
            case "list_offsets":
                return listOffsets(request);
            case "elect_leaders":
                return electLeaders(request);
            case "reassign_partitions":
                return reassignPartitions(request);
            case "create_acl":
                admin.createAcls(List.of(acl(request))).all().get();
                return null;
            case "delete_acl":
                AclBindingFilter filter = acl(request).toFilter();
                return JSON.valueToTree(admin.deleteAcls(List.of(filter)).all().get().size());
            case "list_acls":
                return listAcls();
            case "alter_scram_user":
                return alterScramUser(request);
            case "alter_quotas":
                return alterQuotas(request);
            case "produce":
                return produce(request);
            case "read":
                return read(request);
            default:
                throw new IllegalArgumentException("no such op: " + op);
        }
    }

    // --- The cluster

    /**
     * Formats a broker's storage; here because a JVM for StorageTool alone costs more than the
     * formatting.
     */
    private JsonNode format(JsonNode request) {
        List<String> arguments = new ArrayList<>(List.of("format", "--config",
                text(request, "configuration"), "--cluster-id", text(request, "cluster_id")));
        request.path("scram").forEach(
                user -> Collections.addAll(arguments, "--add-scram", user.asText()));
        int code = kafka.tools.StorageTool.execute(arguments.toArray(String[] ::new), System.err);
        if (code != 0) {
            throw new IllegalStateException(
                    "StorageTool ended with " + code + "; its output is in the log");
        }
        return null;
    }

    private synchronized JsonNode connect(JsonNode request) {
        properties = stringMap(request.get("properties"));
        admin = Admin.create(properties);
        return null;
    }

    /** What a client with these properties is told about the cluster. */
    private JsonNode login(JsonNode request) throws Exception {
        try (Admin client = Admin.create(stringMap(request.get("properties")))) {
            return describeCluster(client);
        }
    }

    private static JsonNode describeCluster(Admin client) throws Exception {
        var cluster = client.describeCluster();
        ObjectNode result = JSON.createObjectNode();
        result.put("cluster_id", cluster.clusterId().get());
        Node controller = cluster.controller().get();
        result.put("controller", controller == null ? -1 : controller.id());
        ArrayNode brokers = result.putArray("brokers");
        for (Node node : cluster.nodes().get()) {
            brokers.addObject()
                    .put("id", node.id())
                    .put("host", node.host())
                    .put("port", node.port());
        }
        return result;
    }

    // --- Topics

    private JsonNode createTopic(JsonNode request) throws Exception {
        String name = text(request, "topic");
        NewTopic topic;
        if (request.hasNonNull("replicas")) {
            topic = new NewTopic(name, replicas(request));
        } else {
            Optional<Short> factor = request.hasNonNull("replication_factor")
                    ? Optional.of((short) request.get("replication_factor").asInt())
                    : Optional.empty();
            topic = new NewTopic(name, Optional.of(request.get("partitions").asInt()), factor);
        }
        Map<String, String> configs = new HashMap<>();
        request.path("configs").fields().forEachRemaining(
                entry -> configs.put(entry.getKey(), entry.getValue().asText()));
        var created = admin.createTopics(List.of(topic.configs(configs)));
        return JSON.valueToTree(created.topicId(name).get().toString());
    }

    private JsonNode describeTopic(JsonNode request) throws Exception {
        String name = text(request, "topic");
        TopicDescription topic =
                admin.describeTopics(List.of(name)).allTopicNames().get().get(name);
        ObjectNode result = JSON.createObjectNode();
        result.put("topic_id", topic.topicId().toString());
        ArrayNode partitions = result.putArray("partitions");
        for (TopicPartitionInfo partition : topic.partitions()) {
            Node leader = partition.leader();
            ObjectNode row = partitions.addObject();
            row.put("partition", partition.partition());
            row.put("leader", leader == null || leader.isEmpty() ? -1 : leader.id());
            row.set("replicas",
                    JSON.valueToTree(partition.replicas().stream().map(Node::id).toList()));
            row.set("in_sync", JSON.valueToTree(partition.isr().stream().map(Node::id).toList()));
        }
        return result;
    }

    private JsonNode alterConfigs(JsonNode request) throws Exception {
        List<AlterConfigOp> changes = new ArrayList<>();
        request.get("changes").fields().forEachRemaining(entry -> {
            boolean isRemoved = entry.getValue().isNull();
            String value = isRemoved ? null : entry.getValue().asText();
            changes.add(new AlterConfigOp(new ConfigEntry(entry.getKey(), value),
                    isRemoved ? AlterConfigOp.OpType.DELETE : AlterConfigOp.OpType.SET));
        });
        admin.incrementalAlterConfigs(
                     Map.of(configResource(request), (Collection<AlterConfigOp>) changes))
                .all()
                .get();
        return null;
    }

    private JsonNode describeConfigs(JsonNode request) throws Exception {
        ConfigResource resource = configResource(request);
        ObjectNode result = JSON.createObjectNode();
        for (ConfigEntry entry :
                admin.describeConfigs(List.of(resource)).all().get().get(resource).entries()) {
            result.put(entry.name(), entry.value());
        }
        return result;
    }

    private JsonNode deleteRecords(JsonNode request) throws Exception {
        Map<TopicPartition, RecordsToDelete> before = new HashMap<>();
        request.get("before").fields().forEachRemaining(entry
                -> before.put(partition(request, entry.getKey()),
                        RecordsToDelete.beforeOffset(entry.getValue().asLong())));
        ObjectNode lowWatermarks = JSON.createObjectNode();
        for (var entry : admin.deleteRecords(before).lowWatermarks().entrySet()) {
            lowWatermarks.put(String.valueOf(entry.getKey().partition()),
                    entry.getValue().get().lowWatermark());
        }
        return lowWatermarks;
    }

    private JsonNode listOffsets(JsonNode request) throws Exception {
        String topic = text(request, "topic");
        OffsetSpec at = offsetSpec(request.get("at"));
        Map<TopicPartition, OffsetSpec> wanted = new HashMap<>();
        TopicDescription description =
                admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic);
        description.partitions().forEach(
                info -> wanted.put(new TopicPartition(topic, info.partition()), at));
        ObjectNode result = JSON.createObjectNode();
        for (Map.Entry<TopicPartition, ListOffsetsResultInfo> entry :
                admin.listOffsets(wanted).all().get().entrySet()) {
            result.put(String.valueOf(entry.getKey().partition()), entry.getValue().offset());
        }
        return result;
    }

    private static OffsetSpec offsetSpec(JsonNode at) {
        if (at.isNumber()) {
            return OffsetSpec.forTimestamp(at.asLong());
        }
        switch (at.asText()) {
            case "earliest":
                return OffsetSpec.earliest();
            case "latest":
                return OffsetSpec.latest();
            case "max_timestamp":
                return OffsetSpec.maxTimestamp();
            default:
                throw new IllegalArgumentException(
                        "at: earliest, latest, max_timestamp or milliseconds, not " + at);
        }
    }

    private JsonNode electLeaders(JsonNode request) throws Exception {
        ElectionType type = request.get("is_unclean").asBoolean() ? ElectionType.UNCLEAN
                                                                  : ElectionType.PREFERRED;
        Set<TopicPartition> partitions = new HashSet<>();
        request.get("partitions")
                .forEach(number -> partitions.add(partition(request, number.asText())));
        ObjectNode refused = JSON.createObjectNode();
        admin.electLeaders(type, partitions)
                .partitions()
                .get()
                .forEach((partition, error)
                                 -> error.ifPresent(why
                                         -> refused.put(String.valueOf(partition.partition()),
                                                 why.getClass().getSimpleName())));
        return refused;
    }

    private JsonNode reassignPartitions(JsonNode request) throws Exception {
        Map<TopicPartition, Optional<NewPartitionReassignment>> wanted = new HashMap<>();
        replicas(request).forEach(
                (number, brokers)
                        -> wanted.put(new TopicPartition(text(request, "topic"), number),
                                Optional.of(new NewPartitionReassignment(brokers))));
        admin.alterPartitionReassignments(wanted).all().get();
        while (!admin.listPartitionReassignments(wanted.keySet()).reassignments().get().isEmpty()) {
            Thread.sleep(50);
        }
        return null;
    }

    // --- Who may do what

    private static AclBinding acl(JsonNode request) {
        return new AclBinding(
                new ResourcePattern(ResourceType.fromString(text(request, "resource")),
                        text(request, "name"),
                        PatternType.fromString(text(request, "pattern").toUpperCase(Locale.ROOT))),
                new AccessControlEntry(text(request, "principal"), "*",
                        AclOperation.fromString(text(request, "operation")),
                        AclPermissionType.fromString(text(request, "permission"))));
    }

    private JsonNode listAcls() throws Exception {
        ArrayNode result = JSON.createArrayNode();
        for (AclBinding binding : admin.describeAcls(AclBindingFilter.ANY).values().get()) {
            result.addObject()
                    .put("principal", binding.entry().principal())
                    .put("operation", lower(binding.entry().operation()))
                    .put("permission", lower(binding.entry().permissionType()))
                    .put("resource", lower(binding.pattern().resourceType()))
                    .put("name", binding.pattern().name())
                    .put("pattern", lower(binding.pattern().patternType()));
        }
        return result;
    }

    private JsonNode alterScramUser(JsonNode request) throws Exception {
        String user = text(request, "user");
        ScramMechanism mechanism = ScramMechanism.fromMechanismName(text(request, "mechanism"));
        UserScramCredentialAlteration change = request.get("password").isNull()
                ? new UserScramCredentialDeletion(user, mechanism)
                : new UserScramCredentialUpsertion(
                        user, new ScramCredentialInfo(mechanism, 4096), text(request, "password"));
        admin.alterUserScramCredentials(List.of(change)).all().get();
        return null;
    }

    private JsonNode alterQuotas(JsonNode request) throws Exception {
        // A null value means the default entity, so Map.of does not do.
        Map<String, String> entity = new HashMap<>();
        request.get("entity").fields().forEachRemaining(entry
                -> entity.put(entry.getKey(),
                        entry.getValue().isNull() ? null : entry.getValue().asText()));
        List<ClientQuotaAlteration.Op> changes = new ArrayList<>();
        request.get("changes").fields().forEachRemaining(entry
                -> changes.add(new ClientQuotaAlteration.Op(entry.getKey(),
                        entry.getValue().isNull() ? null : entry.getValue().asDouble())));
        admin.alterClientQuotas(
                     List.of(new ClientQuotaAlteration(new ClientQuotaEntity(entity), changes)))
                .all()
                .get();
        return null;
    }

    // --- A few records

    private JsonNode produce(JsonNode request) throws Exception {
        KafkaProducer<byte[], byte[]> to = producer();
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        for (JsonNode row : request.get("records")) {
            List<Header> headers = new ArrayList<>();
            for (JsonNode header : row.path("headers")) {
                headers.add(new RecordHeader(header.get(0).asText(), bytes(header.get(1))));
            }
            Integer partition = row.hasNonNull("partition") ? row.get("partition").asInt() : null;
            Long timestamp = row.hasNonNull("timestamp") ? row.get("timestamp").asLong() : null;
            sent.add(to.send(new ProducerRecord<>(text(request, "topic"), partition, timestamp,
                    bytes(row.get("key")), bytes(row.get("value")), headers)));
        }
        ArrayNode result = JSON.createArrayNode();
        for (Future<RecordMetadata> record : sent) {
            result.addArray().add(record.get().partition()).add(record.get().offset());
        }
        return result;
    }

    private synchronized KafkaProducer<byte[], byte[]> producer() {
        if (producer == null) {
            Map<String, Object> settings = new HashMap<>(properties);
            settings.put("acks", "all");
            settings.put("max.request.size", 64 << 20);
            settings.put("request.timeout.ms", 10000);
            settings.put("delivery.timeout.ms", 120000);
            producer = new KafkaProducer<>(
                    settings, new ByteArraySerializer(), new ByteArraySerializer());
        }
        return producer;
    }

    private JsonNode read(JsonNode request) throws Exception {
        TopicPartition partition = partition(request, text(request, "partition"));
        Map<String, Object> settings = new HashMap<>(properties);
        settings.put("isolation.level", text(request, "isolation"));
        settings.put("auto.offset.reset", "none");
        int limit = request.get("limit").asInt();
        ArrayNode result = JSON.createArrayNode();
        try (var consumer = new KafkaConsumer<>(
                     settings, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            consumer.assign(List.of(partition));
            long end = consumer.endOffsets(List.of(partition)).get(partition);
            if (request.hasNonNull("offset")) {
                consumer.seek(partition, request.get("offset").asLong());
            } else {
                consumer.seekToBeginning(List.of(partition));
            }
            while (result.size() < limit && consumer.position(partition) < end) {
                for (ConsumerRecord<byte[], byte[]> record :
                        consumer.poll(Duration.ofMillis(500)).records(partition)) {
                    if (result.size() < limit) {
                        result.add(row(record));
                    }
                }
            }
        }
        return result;
    }

    private static ObjectNode row(ConsumerRecord<byte[], byte[]> record) {
        ObjectNode row = JSON.createObjectNode();
        row.put("offset", record.offset()).put("timestamp", record.timestamp());
        row.put("key", record.key()).put("value", record.value());
        ArrayNode headers = row.putArray("headers");
        record.headers().forEach(
                header -> headers.addArray().add(header.key()).add(header.value()));
        return row;
    }

    // --- Reading requests

    private static String text(JsonNode request, String field) {
        JsonNode value = request.get(field);
        if (value == null || value.isNull()) {
            throw new IllegalArgumentException("the request lacks " + field);
        }
        return value.asText();
    }

    private static byte[] bytes(JsonNode base64) throws java.io.IOException {
        return base64 == null || base64.isNull() ? null : base64.binaryValue();
    }

    private static TopicPartition partition(JsonNode request, String number) {
        return new TopicPartition(text(request, "topic"), Integer.parseInt(number));
    }

    private static Map<Integer, List<Integer>> replicas(JsonNode request) {
        Map<Integer, List<Integer>> replicas = new HashMap<>();
        request.get("replicas").fields().forEachRemaining(entry -> {
            List<Integer> brokers = new ArrayList<>();
            entry.getValue().forEach(broker -> brokers.add(broker.asInt()));
            replicas.put(Integer.valueOf(entry.getKey()), brokers);
        });
        return replicas;
    }

    private static ConfigResource configResource(JsonNode request) {
        return new ConfigResource(
                ConfigResource.Type.valueOf(text(request, "type").toUpperCase(Locale.ROOT)),
                text(request, "name"));
    }

    private static Map<String, Object> stringMap(JsonNode node) {
        Map<String, Object> map = new HashMap<>();
        node.fields().forEachRemaining(entry -> map.put(entry.getKey(), entry.getValue().asText()));
        return map;
    }

    private static String lower(Enum<?> value) {
        return value.name().toLowerCase(Locale.ROOT);
    }
}
