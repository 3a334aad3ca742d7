import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import java.io.File;
import java.io.FileReader;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Copies topics faithfully, but for the mistakes that it is told to make: it stands in for a relay
 * where the record checker itself is tested.
 *
 * <p>{@code --mutations} is a file with rows of kind, topic, partition, index (the how-manieth
 * record of the partition, from 0) and count. A mistake that this record does not allow, as a null
 * made empty, is made on the next one that does. Prints what was done with the offsets that it was
 * done to.
 */
public class RecordCopy {
  public static void main(String[] args) throws Exception {
    var output = System.out;
    // Libraries log to stdout by default; that is for the JSON alone.
    System.setOut(System.err);
    var options = new Options(args);
    var copier = new Copier(options);
    options.refuseUnknown();
    output.println(copier.copy());
    output.flush();
    System.exit(0);
  }

  /** One mistake, waiting for its record. */
  static final class Mutation {
    final String kind;
    final long index;
    final int count;
    final List<Long> offsets = new ArrayList<>();

    Mutation(JsonNode row) {
      kind = row.required("kind").asText();
      index = row.path("index").asLong(0);
      count = row.path("count").asInt(1);
    }

    boolean isDone() {
      return offsets.size() >= (kind.equals("drop") ? count : 1);
    }
  }

  /** A record on its way, free to be changed. */
  static final class Draft {
    byte[] key;
    byte[] value;
    long timestamp;
    List<Header> headers;

    Draft(ConsumerRecord<byte[], byte[]> record) {
      key = record.key();
      value = record.value();
      timestamp = record.timestamp();
      headers = new ArrayList<>(List.of(record.headers().toArray()));
    }
  }

  /** What one source partition still needs to remember. */
  static final class Lane {
    final String targetTopic;
    final int partition;
    final List<Mutation> mutations = new ArrayList<>();
    final ArrayDeque<ProducerRecord<byte[], byte[]>> recent = new ArrayDeque<>();
    int recentMax;
    long read;
    ProducerRecord<byte[], byte[]> heldBack;

    Lane(String targetTopic, int partition) {
      this.targetTopic = targetTopic;
      this.partition = partition;
    }
  }

  static final class Copier {
    private final ObjectMapper json = new ObjectMapper();
    private final KafkaConsumer<byte[], byte[]> consumer;
    private final KafkaProducer<byte[], byte[]> producer;
    private final Map<TopicPartition, Lane> lanes = new HashMap<>();
    private final AtomicReference<Exception> failure = new AtomicReference<>();
    private final boolean writesProvenance;
    private long copied;

    Copier(Options options) throws IOException {
      var source = options.properties("source-properties");
      source.put(ConsumerConfig.BOOTSTRAP_SERVERS_CONFIG, options.text("source", null));
      source.put(ConsumerConfig.ISOLATION_LEVEL_CONFIG,
          options.text("isolation", "read_committed"));
      source.put(ConsumerConfig.ENABLE_AUTO_COMMIT_CONFIG, "false");
      source.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "none");
      source.put(ConsumerConfig.MAX_POLL_RECORDS_CONFIG, "2000");
      consumer = new KafkaConsumer<>(source, new ByteArrayDeserializer(),
          new ByteArrayDeserializer());
      var target = options.properties("target-properties");
      target.put(ProducerConfig.BOOTSTRAP_SERVERS_CONFIG, options.text("target", null));
      target.put(ProducerConfig.ACKS_CONFIG, "all");
      target.put(ProducerConfig.COMPRESSION_TYPE_CONFIG, "lz4");
      target.put(ProducerConfig.LINGER_MS_CONFIG, "5");
      target.put(ProducerConfig.MAX_REQUEST_SIZE_CONFIG, Integer.toString(32 << 20));
      producer = new KafkaProducer<>(target, new ByteArraySerializer(), new ByteArraySerializer());
      writesProvenance = options.flag("provenance");
      String mapping = options.text("mapping", "{topic}");
      for (String topic : options.text("topics", null).split(",")) {
        for (var info : consumer.partitionsFor(topic)) {
          lanes.put(new TopicPartition(topic, info.partition()),
              new Lane(mapping.replace("{topic}", topic), info.partition()));
        }
      }
      readMutations(options.text("mutations", ""));
    }

    private void readMutations(String path) throws IOException {
      if (path.isEmpty()) {
        return;
      }
      for (JsonNode row : json.readTree(new File(path))) {
        var mutation = new Mutation(row);
        var lane = lanes.get(new TopicPartition(row.required("topic").asText(),
            row.required("partition").asInt()));
        lane.mutations.add(mutation);
        lane.recentMax =
            Math.max(lane.recentMax, mutation.kind.equals("duplicate") ? mutation.count : 0);
      }
    }

    String copy() throws Exception {
      consumer.assign(lanes.keySet());
      consumer.seekToBeginning(lanes.keySet());
      var ends = consumer.endOffsets(lanes.keySet());
      while (lanes.keySet().stream()
          .anyMatch(partition -> consumer.position(partition) < ends.get(partition))) {
        for (var record : consumer.poll(Duration.ofMillis(200))) {
          var partition = new TopicPartition(record.topic(), record.partition());
          if (record.offset() < ends.get(partition)) {
            carry(lanes.get(partition), record);
          }
        }
      }
      lanes.values().forEach(lane -> sendHeldBack(lane));
      producer.close();
      consumer.close();
      if (failure.get() != null) {
        throw failure.get();
      }
      return report();
    }

    private void carry(Lane lane, ConsumerRecord<byte[], byte[]> record) {
      long index = lane.read++;
      var draft = new Draft(record);
      Mutation due = null;
      for (var mutation : lane.mutations) {
        if (due == null && !mutation.isDone() && index >= mutation.index
            && alter(mutation, draft)) {
          due = mutation;
          mutation.offsets.add(record.offset());
        }
      }
      if (due != null && due.kind.equals("drop")) {
        return;
      }
      if (writesProvenance) {
        draft.headers.add(provenance(record));
      }
      var copy = new ProducerRecord<>(lane.targetTopic, lane.partition, draft.timestamp, draft.key,
          draft.value, draft.headers);
      if (due != null && due.kind.equals("swap")) {
        lane.heldBack = copy;
        return;
      }
      send(lane, copy);
      sendHeldBack(lane);
      if (due != null && due.kind.equals("duplicate")) {
        List.copyOf(lane.recent).forEach(this::send);
      }
      if (due != null && due.kind.equals("phantom")) {
        send(new ProducerRecord<>(lane.targetTopic, lane.partition, draft.timestamp + 1, draft.key,
            "nobody ever wrote this".getBytes(StandardCharsets.UTF_8)));
      }
    }

    private void sendHeldBack(Lane lane) {
      if (lane.heldBack != null) {
        send(lane, lane.heldBack);
        lane.heldBack = null;
      }
    }

    private void send(Lane lane, ProducerRecord<byte[], byte[]> copy) {
      lane.recent.add(copy);
      if (lane.recent.size() > lane.recentMax) {
        lane.recent.poll();
      }
      send(copy);
    }

    private void send(ProducerRecord<byte[], byte[]> copy) {
      if (failure.get() != null) {
        throw new IllegalStateException(failure.get());
      }
      copied++;
      producer.send(copy, (metadata, exception) -> {
        if (exception != null) {
          failure.compareAndSet(null, exception);
        }
      });
    }

    /** Makes the mistake in the draft; false if this record does not allow it. */
    private static boolean alter(Mutation mutation, Draft draft) {
      switch (mutation.kind) {
        case "drop", "swap", "duplicate", "phantom" -> {
          return true;
        }
        case "alter_timestamp" -> {
          draft.timestamp++;
          return true;
        }
        case "alter_key" -> {
          draft.key = withLastByteFlipped(draft.key);
          return draft.key != null;
        }
        case "alter_value" -> {
          // A short one might turn into that of a record beside it.
          if (draft.value == null || draft.value.length < 16) {
            return false;
          }
          draft.value = withLastByteFlipped(draft.value);
          return true;
        }
        case "null_key_to_empty" -> {
          boolean isNull = draft.key == null;
          draft.key = isNull ? new byte[0] : draft.key;
          return isNull;
        }
        case "null_value_to_empty" -> {
          boolean isNull = draft.value == null;
          draft.value = isNull ? new byte[0] : draft.value;
          return isNull;
        }
        case "empty_value_to_null" -> {
          boolean isEmpty = draft.value != null && draft.value.length == 0;
          draft.value = isEmpty ? null : draft.value;
          return isEmpty;
        }
        case "drop_header" -> {
          return !draft.headers.isEmpty() && draft.headers.remove(0) != null;
        }
        default -> {
          return alterHeader(mutation.kind, draft);
        }
      }
    }

    private static boolean alterHeader(String kind, Draft draft) {
      for (int i = 0; i < draft.headers.size(); i++) {
        var header = draft.headers.get(i);
        switch (kind) {
          case "alter_header" -> {
            byte[] changed = withLastByteFlipped(header.value());
            if (changed != null) {
              draft.headers.set(i, new RecordHeader(header.key(), changed));
              return true;
            }
          }
          case "null_header_to_empty" -> {
            if (header.value() == null) {
              draft.headers.set(i, new RecordHeader(header.key(), new byte[0]));
              return true;
            }
          }
          case "swap_headers" -> {
            if (i > 0 && !header.equals(draft.headers.get(i - 1))) {
              Collections.swap(draft.headers, i, i - 1);
              return true;
            }
          }
          default -> throw new IllegalArgumentException("no such mutation: " + kind);
        }
      }
      return false;
    }

    /** Null, too, if there is no byte to flip. */
    private static byte[] withLastByteFlipped(byte[] bytes) {
      if (bytes == null || bytes.length == 0) {
        return null;
      }
      byte[] changed = Arrays.copyOf(bytes, bytes.length);
      changed[changed.length - 1] ^= 1;
      return changed;
    }

    /** As a relay's: version, flags, cluster, epoch, partition, offset, topic. */
    private static Header provenance(ConsumerRecord<?, ?> record) {
      var fields = ByteBuffer.allocate(32).put((byte) 1).put((byte) 0).putLong(0x5EED)
          .putShort((short) 1)
          .putInt(record.partition()).putLong(record.offset()).putLong(record.topic().hashCode());
      return new RecordHeader("drawbridge", fields.array());
    }

    private String report() throws IOException {
      var report = json.createObjectNode().put("event", "copied").put("records", copied);
      ArrayNode rows = report.putArray("mutations");
      lanes.forEach((partition, lane) -> lane.mutations.forEach(mutation -> {
        var row = rows.addObject().put("kind", mutation.kind).put("topic", partition.topic())
            .put("partition", partition.partition());
        mutation.offsets.forEach(row.putArray("offsets")::add);
      }));
      return json.writeValueAsString(report);
    }
  }

  /** {@code --name value} and {@code --flag}. */
  static final class Options {
    private final Map<String, String> given = new HashMap<>();

    Options(String[] args) {
      for (int i = 0; i < args.length; i++) {
        if (!args[i].startsWith("--")) {
          throw new IllegalArgumentException("not an option: " + args[i]);
        }
        boolean hasValue = i + 1 < args.length && !args[i + 1].startsWith("--");
        given.put(args[i].substring(2), hasValue ? args[++i] : "");
      }
    }

    String text(String name, String otherwise) {
      String value = given.remove(name);
      if (value == null && otherwise == null) {
        throw new IllegalArgumentException("--" + name + " is missing");
      }
      return value == null ? otherwise : value;
    }

    boolean flag(String name) {
      return given.remove(name) != null;
    }

    Properties properties(String name) throws IOException {
      var properties = new Properties();
      String path = text(name, "");
      if (!path.isEmpty()) {
        try (var reader = new FileReader(path, StandardCharsets.UTF_8)) {
          properties.load(reader);
        }
      }
      return properties;
    }

    void refuseUnknown() {
      if (!given.isEmpty()) {
        throw new IllegalArgumentException("unknown options: " + given.keySet());
      }
    }
  }
}
