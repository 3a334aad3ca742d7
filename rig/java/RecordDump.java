import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedOutputStream;
import java.io.DataOutputStream;
import java.io.FileReader;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * Writes the committed records of topics to stdout, for a program that judges them.
 *
 * <p>First a line of JSON: the cluster's id, and the partitions with the first offset and the one
 * after the last. Then per record, big-endian: the partition's place in that list (4 bytes), offset
 * (8), timestamp (8), length of the value (4; -1 is null), the value. A place of -1 ends it.
 */
public class RecordDump {
  public static void main(String[] args) throws Exception {
    var output = new DataOutputStream(new BufferedOutputStream(System.out, 1 << 20));
    // Libraries log to stdout by default; that is for the records alone.
    System.setOut(System.err);
    var options = new Options(args);
    var properties = options.properties("properties");
    properties.put(ConsumerConfig.BOOTSTRAP_SERVERS_CONFIG, options.text("bootstrap", null));
    var topics = List.of(options.text("topics", null).split(","));
    options.refuseUnknown();

    String cluster;
    try (var admin = Admin.create(properties)) {
      cluster = admin.describeCluster().clusterId().get();
    }
    properties.put(ConsumerConfig.ISOLATION_LEVEL_CONFIG, "read_committed");
    properties.put(ConsumerConfig.ENABLE_AUTO_COMMIT_CONFIG, "false");
    properties.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "none");
    properties.put(ConsumerConfig.ALLOW_AUTO_CREATE_TOPICS_CONFIG, "false");
    properties.put(ConsumerConfig.MAX_POLL_RECORDS_CONFIG, "5000");
    try (var consumer = new KafkaConsumer<>(properties, new ByteArrayDeserializer(),
        new ByteArrayDeserializer())) {
      var partitions = partitions(consumer, topics);
      Map<TopicPartition, Long> starts = consumer.beginningOffsets(partitions);
      Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
      writeHead(output, cluster, partitions, starts, ends);
      write(output, consumer, partitions, starts, ends);
    }
    output.writeInt(-1);
    output.flush();
    System.exit(0);
  }

  private static List<TopicPartition> partitions(KafkaConsumer<byte[], byte[]> consumer,
      List<String> topics) {
    var partitions = new ArrayList<TopicPartition>();
    for (String topic : topics) {
      var infos = consumer.partitionsFor(topic);
      if (infos == null || infos.isEmpty()) {
        throw new IllegalArgumentException("no topic " + topic);
      }
      infos.forEach(info -> partitions.add(new TopicPartition(topic, info.partition())));
    }
    partitions.sort(Comparator.comparing(TopicPartition::topic)
        .thenComparing(TopicPartition::partition));
    return partitions;
  }

  private static void writeHead(DataOutputStream output, String cluster,
      List<TopicPartition> partitions, Map<TopicPartition, Long> starts,
      Map<TopicPartition, Long> ends) throws IOException {
    var json = new ObjectMapper();
    var head = json.createObjectNode().put("cluster", cluster);
    var rows = head.putArray("partitions");
    for (var partition : partitions) {
      rows.addObject().put("topic", partition.topic()).put("partition", partition.partition())
          .put("start", starts.get(partition)).put("end", ends.get(partition));
    }
    output.write((json.writeValueAsString(head) + "\n").getBytes(StandardCharsets.UTF_8));
  }

  private static void write(DataOutputStream output, KafkaConsumer<byte[], byte[]> consumer,
      List<TopicPartition> partitions, Map<TopicPartition, Long> starts,
      Map<TopicPartition, Long> ends) throws IOException {
    var places = new HashMap<TopicPartition, Integer>();
    partitions.forEach(partition -> places.put(partition, places.size()));
    consumer.assign(partitions);
    starts.forEach(consumer::seek);
    while (partitions.stream()
        .anyMatch(partition -> consumer.position(partition) < ends.get(partition))) {
      for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(200))) {
        var partition = new TopicPartition(record.topic(), record.partition());
        // Written since: not asked for.
        if (record.offset() >= ends.get(partition)) {
          continue;
        }
        output.writeInt(places.get(partition));
        output.writeLong(record.offset());
        output.writeLong(record.timestamp());
        output.writeInt(record.value() == null ? -1 : record.value().length);
        if (record.value() != null) {
          output.write(record.value());
        }
      }
    }
  }

  /** {@code --name value}. */
  static final class Options {
    private final Map<String, String> given = new HashMap<>();

    Options(String[] args) {
      for (int i = 0; i + 1 < args.length; i += 2) {
        if (!args[i].startsWith("--")) {
          throw new IllegalArgumentException("not an option: " + args[i]);
        }
        given.put(args[i].substring(2), args[i + 1]);
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
      try (var reader = new FileReader(text(name, null), StandardCharsets.UTF_8)) {
        properties.load(reader);
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
