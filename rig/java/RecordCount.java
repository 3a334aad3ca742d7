import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.File;
import java.io.FileReader;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.BitSet;
import java.util.HashMap;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import java.util.TreeSet;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteBufferDeserializer;

/**
 * Counts at a target what a run of OciLogs wrote to its source: arrived, missing, duplicate. Quick,
 * since it reads the target alone and looks at nothing but the hidden numbers; RecordChecker is the
 * judge.
 *
 * <p>{@code --summary} is the generator's last line as a file. Exit code 0: all acknowledged
 * records arrived.
 */
public class RecordCount {
  private static final byte[] FIELD = "\"drawbridgeseq\":\"".getBytes(StandardCharsets.US_ASCII);
  private static final int RANGES_MAX = 100;

  public static void main(String[] args) throws Exception {
    var output = System.out;
    // Libraries log to stdout by default; that is for the JSON alone.
    System.setOut(System.err);
    var options = new Options(args);
    var target = options.properties("target-properties");
    target.put(ConsumerConfig.BOOTSTRAP_SERVERS_CONFIG, options.text("target", null));
    String mapping = options.text("mapping", "{topic}");
    var json = new ObjectMapper();
    JsonNode summary = json.readTree(new File(options.text("summary", null)));
    options.refuseUnknown();

    var tally = new Tally(summary.required("run").asText());
    var topics = new TreeSet<String>();
    summary.required("partitions")
        .forEach(row -> topics.add(mapping.replace("{topic}", row.get("topic").asText())));
    read(target, topics, tally);
    ObjectNode counts = tally.compare(summary, json);
    output.println(json.writeValueAsString(counts));
    output.flush();
    System.exit(counts.get("missing").asLong() == 0 ? 0 : 1);
  }

  private static void read(Properties properties, TreeSet<String> topics, Tally tally) {
    properties.put(ConsumerConfig.ISOLATION_LEVEL_CONFIG, "read_committed");
    properties.put(ConsumerConfig.ENABLE_AUTO_COMMIT_CONFIG, "false");
    properties.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest");
    properties.put(ConsumerConfig.ALLOW_AUTO_CREATE_TOPICS_CONFIG, "false");
    properties.put(ConsumerConfig.MAX_POLL_RECORDS_CONFIG, "5000");
    try (var consumer = new KafkaConsumer<>(properties, new ByteBufferDeserializer(),
        new ByteBufferDeserializer())) {
      var partitions = new HashMap<TopicPartition, Long>();
      var existing = consumer.listTopics();
      for (String topic : topics) {
        if (existing.containsKey(topic)) {
          existing.get(topic)
              .forEach(info -> partitions.put(new TopicPartition(topic, info.partition()), 0L));
        }
      }
      partitions.putAll(consumer.endOffsets(partitions.keySet()));
      consumer.assign(partitions.keySet());
      consumer.seekToBeginning(partitions.keySet());
      while (partitions.keySet().stream()
          .anyMatch(partition -> consumer.position(partition) < partitions.get(partition))) {
        consumer.poll(Duration.ofMillis(200)).forEach(tally::count);
      }
    }
  }

  /** Which numbers came, per (producer, topic, partition). */
  static final class Tally {
    private final String runPrefix;
    private final Map<String, BitSet> seen = new HashMap<>();
    private long records;
    private long duplicates;
    private long foreign;

    Tally(String run) {
      runPrefix = run + "/";
    }

    void count(ConsumerRecord<ByteBuffer, ByteBuffer> record) {
      String name = nameOf(record);
      if (name == null || !name.startsWith(runPrefix)) {
        foreign++;
        return;
      }
      records++;
      int slash = name.lastIndexOf('/');
      var numbers = seen.computeIfAbsent(name.substring(0, slash), none -> new BitSet());
      int number = Integer.parseInt(name, slash + 1, name.length(), 10);
      if (numbers.get(number)) {
        duplicates++;
      }
      numbers.set(number);
    }

    private static String nameOf(ConsumerRecord<ByteBuffer, ByteBuffer> record) {
      var header = record.headers().lastHeader("drawbridge-test-seq");
      if (header != null && header.value() != null) {
        return new String(header.value(), StandardCharsets.UTF_8);
      }
      // The header did not come along: the same name is the last field of the JSON.
      ByteBuffer value = record.value();
      int start = value == null ? -1 : lastIndexOfField(value);
      if (start < 0) {
        return null;
      }
      byte[] name = new byte[value.limit() - start - FIELD.length - 2];
      value.get(start + FIELD.length, name);
      return new String(name, StandardCharsets.UTF_8);
    }

    private static int lastIndexOfField(ByteBuffer value) {
      int first = Math.max(value.position(), value.limit() - 500);
      for (int start = value.limit() - FIELD.length; start >= first; start--) {
        int same = 0;
        while (same < FIELD.length && value.get(start + same) == FIELD[same]) {
          same++;
        }
        if (same == FIELD.length) {
          return start;
        }
      }
      return -1;
    }

    ObjectNode compare(JsonNode summary, ObjectMapper json) {
      long missing = 0;
      long arrived = 0;
      long unacked = 0;
      var missingByTopic = new TreeMap<String, Long>();
      ArrayNode ranges = json.createArrayNode();
      for (JsonNode row : summary.get("partitions")) {
        String topic = row.get("topic").asText();
        String prefix = runPrefix + row.get("producer").asInt() + "/" + topic + "/"
            + row.get("partition").asInt();
        var numbers = seen.getOrDefault(prefix, new BitSet());
        arrived += numbers.cardinality();
        var wanted = new BitSet();
        wanted.set(0, row.get("numbered").asInt());
        for (JsonNode failed : row.get("failed")) {
          // Not acknowledged: it may have been written all the same. Neither wanted nor wrong.
          wanted.clear(failed.asInt());
          unacked += numbers.get(failed.asInt()) ? 1 : 0;
        }
        wanted.andNot(numbers);
        missing += wanted.cardinality();
        missingByTopic.merge(topic, (long) wanted.cardinality(), Long::sum);
        for (int from = wanted.nextSetBit(0); from >= 0 && ranges.size() < RANGES_MAX; ) {
          int to = wanted.nextClearBit(from);
          ranges.addObject().put("name", prefix).put("from", from).put("to", to);
          from = wanted.nextSetBit(to);
        }
      }
      var counts = json.createObjectNode().put("event", "count")
          .put("generated", summary.get("generated").asLong())
          .put("acked", summary.get("acked").asLong()).put("records", records)
          .put("arrived", arrived)
          .put("missing", missing).put("duplicates", duplicates).put("arrived_unacked", unacked)
          .put("foreign", foreign);
      missingByTopic.forEach(counts.putObject("missing_by_topic")::put);
      counts.set("missing_ranges", ranges);
      return counts;
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
