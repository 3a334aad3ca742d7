import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.File;
import java.io.FileReader;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Properties;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicLong;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetOutOfRangeException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.record.FileRecords;
import org.apache.kafka.common.record.Record;
import org.apache.kafka.common.record.RecordBatch;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.serialization.Deserializer;

/**
 * Reads a source and a target cluster by itself and judges whether every record arrived as it was.
 *
 * <p>Every source offset from {@code --from} (else 0) to {@code --to} (else the last stable offset)
 * is accounted for as exactly one of: delivered, control (a transaction's marker), aborted,
 * compacted, gap (declared), or it is part of a finding. Findings have Jepsen's names: lost,
 * corrupt, phantom, reorder, duplicate, undeclared-gap; and overdeclared-gap for a declared gap
 * whose record arrived after all. Prints one JSON document. Exit code 0: clean. 1: findings. 2:
 * void, it could not be judged.
 *
 * <p>It keeps a 128-bit fingerprint per source record, not the record, and one partition per thread
 * at a time. The source must be at rest, or {@code --to} must say how far it is to be judged.
 */
public class RecordChecker {
  public static void main(String[] args) throws Exception {
    var output = System.out;
    // Libraries log to stdout by default; that is for the document alone.
    System.setOut(System.err);
    var json = new ObjectMapper();
    ObjectNode document;
    try {
      var settings = new Settings(new Options(args));
      document = new Judge(settings).judge();
    } catch (Exception e) {
      document = json.createObjectNode().put("verdict", "void");
      document.putArray("void_reasons").add(e.toString());
      e.printStackTrace();
    }
    output.println(json.writeValueAsString(document));
    output.flush();
    System.exit(switch (document.get("verdict").asText()) {
      case "clean" -> 0;
      case "findings" -> 1;
      default -> 2;
    });
  }

  /** The run cannot be judged, which is neither good nor bad news about the target. */
  static final class VoidException extends RuntimeException {
    VoidException(String reason) {
      super(reason);
    }
  }

  static final class Settings {
    final Properties source;
    final Properties target;
    final List<String> topics;
    final Pattern topicPattern;
    final String mapping;
    private final Map<TopicPartition, TreeMap<Long, Long>> gaps = new HashMap<>();
    final boolean startsAtLogStart;
    final Map<TopicPartition, Long> from;
    final Map<TopicPartition, Long> to;
    final Map<TopicPartition, Long> targetFrom;
    final boolean hasHeaders;
    final boolean hasTimestamps;
    final String timestampType;
    final boolean isOrdered;
    final boolean gapsMayArrive;
    final boolean checksProvenance;
    final long duplicatesMax;
    final long recordsMin;
    final List<File> sourceLogDirs = new ArrayList<>();
    final int threads;
    final int findingsMax;

    Settings(Options options) throws IOException {
      source = options.properties("source-properties");
      source.put(ConsumerConfig.BOOTSTRAP_SERVERS_CONFIG, options.text("source", null));
      target = options.properties("target-properties");
      target.put(ConsumerConfig.BOOTSTRAP_SERVERS_CONFIG, options.text("target", null));
      String named = options.text("topics", "");
      topics = named.isEmpty() ? List.of() : List.of(named.split(","));
      String regex = options.text("topic-regex", "");
      topicPattern = regex.isEmpty() ? null : Pattern.compile(regex);
      if (topics.isEmpty() == (topicPattern == null)) {
        throw new IllegalArgumentException("give either --topics or --topic-regex");
      }
      mapping = options.text("mapping", "{topic}");
      readGaps(options.text("gaps", ""));
      String start = options.text("from", "");
      startsAtLogStart = start.equals("log-start");
      from = readOffsets(startsAtLogStart ? "" : start);
      to = readOffsets(options.text("to", ""));
      targetFrom = readOffsets(options.text("target-from", ""));
      hasHeaders = options.choice("headers", "ordered", "none").equals("ordered");
      hasTimestamps = options.choice("timestamps", "exact", "ignore").equals("exact");
      timestampType = options.choice("timestamp-type", "create", "same", "ignore");
      isOrdered = options.choice("order", "first", "none").equals("first");
      gapsMayArrive = options.flag("gaps-may-arrive");
      checksProvenance = options.choice("provenance", "check", "ignore").equals("check");
      duplicatesMax = Long.parseLong(options.text("duplicates-max", Long.toString(Long.MAX_VALUE)));
      recordsMin = Long.parseLong(options.text("records-min", "1"));
      for (String dir : options.text("source-log-dirs", "").split(",")) {
        if (!dir.isEmpty()) {
          sourceLogDirs.add(new File(dir));
        }
      }
      threads = Integer.parseInt(options.text("threads", "2"));
      findingsMax = Integer.parseInt(options.text("findings-max", "1000"));
      options.refuseUnknown();
    }

    /** {"topic": {"partition": offset}} */
    private static Map<TopicPartition, Long> readOffsets(String path) throws IOException {
      var offsets = new HashMap<TopicPartition, Long>();
      if (!path.isEmpty()) {
        for (var topic : new ObjectMapper().readTree(new File(path)).properties()) {
          for (var partition : topic.getValue().properties()) {
            offsets.put(new TopicPartition(topic.getKey(), Integer.parseInt(partition.getKey())),
                partition.getValue().asLong());
          }
        }
      }
      return offsets;
    }

    /** [{"topic": , "partition": , "from": , "to": }], to being the first offset after the gap. */
    private void readGaps(String path) throws IOException {
      if (path.isEmpty()) {
        return;
      }
      for (JsonNode gap : new ObjectMapper().readTree(new File(path))) {
        var partition = new TopicPartition(gap.required("topic").asText(),
            gap.required("partition").asInt());
        gaps.computeIfAbsent(partition, none -> new TreeMap<>())
            .merge(gap.required("from").asLong(), gap.required("to").asLong(), Math::max);
      }
      gaps.values().forEach(Settings::mergeOverlaps);
    }

    private static void mergeOverlaps(TreeMap<Long, Long> ranges) {
      var merged = new TreeMap<Long, Long>();
      ranges.forEach((from, to) -> {
        var before = merged.lastEntry();
        if (before != null && from <= before.getValue()) {
          merged.put(before.getKey(), Math.max(before.getValue(), to));
        } else {
          merged.put(from, to);
        }
      });
      ranges.clear();
      ranges.putAll(merged);
    }

    boolean isDeclaredGap(TopicPartition partition, long offset) {
      var ranges = gaps.get(partition);
      var range = ranges == null ? null : ranges.floorEntry(offset);
      return range != null && offset < range.getValue();
    }
  }

  // The judge.

  /** Plans the work, shares it among threads and adds the verdicts up. */
  static final class Judge {
    private final Settings settings;
    private final ObjectMapper json = new ObjectMapper();
    private final TreeSet<String> voidReasons = new TreeSet<>();
    private final List<Finding> findings = new ArrayList<>();
    private final AtomicLong bytesRead = new AtomicLong();

    Judge(Settings settings) {
      this.settings = settings;
    }

    ObjectNode judge() throws Exception {
      long startNs = System.nanoTime();
      var books = new ArrayList<>(plan());
      // The longest first, so that no thread is left with it at the end.
      books.sort(Comparator.comparingLong((Book book) -> -(book.sourceEnd - book.sourceStart)));
      var queue = new ConcurrentLinkedQueue<>(books);
      var pool = Executors.newFixedThreadPool(settings.threads);
      var workers = new ArrayList<Future<Void>>();
      for (int thread = 0; thread < settings.threads; thread++) {
        workers.add(pool.submit((Callable<Void>) () -> {
          try (var auditor = new Auditor(settings, bytesRead)) {
            for (var book = queue.poll(); book != null; book = queue.poll()) {
              auditor.audit(book);
            }
          }
          return null;
        }));
      }
      for (var worker : workers) {
        try {
          worker.get();
        } catch (ExecutionException e) {
          e.getCause().printStackTrace();
          voidReasons.add(e.getCause().toString());
        }
      }
      pool.shutdownNow();
      return document(books, (System.nanoTime() - startNs) / 1e9);
    }

    /** One book per partition of every source topic, with the ends of both logs. */
    private List<Book> plan() throws Exception {
      try (var sourceAdmin = Admin.create(settings.source);
          var targetAdmin = Admin.create(settings.target);
          var source = Auditor.consumer(settings.source, "read_committed", 1 << 20);
          var uncommitted = Auditor.consumer(settings.source, "read_uncommitted", 1 << 20);
          var target = Auditor.consumer(settings.target, "read_committed", 1 << 20)) {
        Set<String> sourceTopics = selectTopics(sourceAdmin);
        Set<String> targetTopics = targetAdmin.listTopics().names().get();
        var books = new ArrayList<Book>();
        var mapped = new HashMap<String, String>();
        for (String topic : sourceTopics) {
          String targetTopic = settings.mapping.replace("{topic}", topic);
          String other = mapped.put(targetTopic, topic);
          if (other != null) {
            throw new VoidException(other + " and " + topic + " both map to " + targetTopic);
          }
          boolean targetExists = targetTopics.contains(targetTopic);
          int targetCount = targetExists ? target.partitionsFor(targetTopic).size() : 0;
          boolean sourceCompacts = compacts(sourceAdmin, topic);
          boolean targetCompacts = targetExists && compacts(targetAdmin, targetTopic);
          int sourceCount = source.partitionsFor(topic).size();
          for (int partition = 0; partition < Math.max(sourceCount, targetCount); partition++) {
            books.add(new Book(new TopicPartition(topic, partition),
                new TopicPartition(targetTopic, partition),
                partition < sourceCount, partition < targetCount, sourceCompacts, targetCompacts));
          }
        }
        // The target's ends first: what the target holds at that moment, the source held before.
        readTargetEnds(target, books);
        readSourceEnds(source, uncommitted, books);
        return books;
      }
    }

    private Set<String> selectTopics(Admin admin) throws Exception {
      Set<String> existing = admin.listTopics().names().get();
      var selected = new TreeSet<String>(settings.topics);
      if (settings.topicPattern != null) {
        existing.stream().filter(topic -> settings.topicPattern.matcher(topic).matches())
            .forEach(selected::add);
      }
      if (selected.isEmpty() || !existing.containsAll(selected)) {
        throw new VoidException("no such source topics: "
            + (selected.isEmpty() ? settings.topicPattern : selected));
      }
      return selected;
    }

    private static boolean compacts(Admin admin, String topic) throws Exception {
      var resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
      return admin.describeConfigs(List.of(resource)).all().get().get(resource)
          .get("cleanup.policy").value().contains("compact");
    }

    private void readTargetEnds(KafkaConsumer<Digest, Digest> consumer, List<Book> books) {
      var partitions = books.stream().filter(book -> book.hasTarget).map(book -> book.target)
          .toList();
      var starts = consumer.beginningOffsets(partitions);
      var ends = consumer.endOffsets(partitions);
      for (var book : books) {
        if (book.hasTarget) {
          long from = settings.targetFrom.getOrDefault(book.target, 0L);
          book.targetStart = Math.max(from, starts.get(book.target));
          book.targetEnd = ends.get(book.target);
          if (starts.get(book.target) > from && !book.targetCompacts) {
            voidReasons.add(book.target + " begins at " + starts.get(book.target)
                + ": what arrived before is gone");
          }
        }
      }
    }

    private void readSourceEnds(KafkaConsumer<Digest, Digest> committed,
        KafkaConsumer<Digest, Digest> uncommitted, List<Book> books) {
      var partitions = books.stream().filter(book -> book.hasSource).map(book -> book.source)
          .toList();
      var ends = committed.endOffsets(partitions);
      var highWatermarks = uncommitted.endOffsets(partitions);
      var starts = committed.beginningOffsets(partitions);
      for (var book : books) {
        if (book.hasSource) {
          book.sourceStart = starts.get(book.source);
          book.sourceEnd = ends.get(book.source);
          book.highWatermark = highWatermarks.get(book.source);
          book.from = settings.startsAtLogStart ? book.sourceStart
              : settings.from.getOrDefault(book.source, 0L);
          book.to = Math.min(settings.to.getOrDefault(book.source, book.sourceEnd), book.sourceEnd);
          book.from = Math.min(book.from, book.to);
        }
      }
    }

    private ObjectNode document(List<Book> books, double seconds) {
      var totals = new TreeMap<String, Long>();
      ArrayNode partitions = json.createArrayNode();
      books.sort(Comparator.comparing((Book book) -> book.source.topic())
          .thenComparing(book -> book.source.partition()));
      for (var book : books) {
        book.counts.forEach((name, count) -> totals.merge(name, count, Long::sum));
        findings.addAll(book.findings);
        voidReasons.addAll(book.voidReasons);
        partitions.add(book.toJson(json));
      }
      judgeTotals(totals);
      var document = json.createObjectNode();
      document.put("verdict",
          !voidReasons.isEmpty() ? "void" : findings.isEmpty() ? "clean" : "findings");
      voidReasons.forEach(document.putArray("void_reasons")::add);
      var totalsNode = document.putObject("totals");
      totals.forEach(totalsNode::put);
      document.put("findings_total", findings.size());
      ArrayNode listed = document.putArray("findings");
      findings.stream().limit(settings.findingsMax)
          .forEach(finding -> listed.add(finding.toJson(json)));
      document.set("partitions", partitions);
      return document.put("seconds", seconds).put("bytes_read", bytesRead.get());
    }

    private void judgeTotals(Map<String, Long> totals) {
      long duplicates = totals.getOrDefault("duplicate", 0L);
      if (duplicates > settings.duplicatesMax) {
        findings.add(new Finding("duplicate", null, duplicates, null, null,
            "more than " + settings.duplicatesMax));
      }
      long records = totals.getOrDefault("source_records", 0L)
          + totals.getOrDefault("unverifiable", 0L);
      if (records < settings.recordsMin) {
        voidReasons.add("only " + records + " records to judge by, wanted " + settings.recordsMin);
      }
    }
  }

  /** What is known and found about one partition. Runs on one thread at a time. */
  static final class Book {
    final TopicPartition source;
    final TopicPartition target;
    final boolean hasSource;
    final boolean hasTarget;
    final boolean sourceCompacts;
    final boolean targetCompacts;
    long sourceStart;
    long sourceEnd;
    long highWatermark;
    long from;
    long to;
    long targetStart;
    long targetEnd;
    final Map<String, Long> counts = new TreeMap<>();
    final List<Finding> findings = new ArrayList<>();
    final List<String> voidReasons = new ArrayList<>();
    final List<long[]> duplicateRuns = new ArrayList<>();

    Book(TopicPartition source, TopicPartition target, boolean hasSource, boolean hasTarget,
        boolean sourceCompacts,
        boolean targetCompacts) {
      this.source = source;
      this.target = target;
      this.hasSource = hasSource;
      this.hasTarget = hasTarget;
      this.sourceCompacts = sourceCompacts;
      this.targetCompacts = targetCompacts;
    }

    /** Forgets what was found, for another try on a log that begins later. */
    void restart(long newSourceStart) {
      sourceStart = Math.min(newSourceStart, sourceEnd);
      counts.clear();
      findings.clear();
      voidReasons.clear();
      duplicateRuns.clear();
    }

    void count(String name, long more) {
      counts.merge(name, more, Long::sum);
    }

    long counted(String name) {
      return counts.getOrDefault(name, 0L);
    }

    void find(String kind, long count, long[] sourceRange, long[] targetRange, String detail) {
      findings.add(new Finding(kind, this, count, sourceRange, targetRange, detail));
    }

    ObjectNode toJson(ObjectMapper json) {
      var node = json.createObjectNode().put("topic", source.topic())
          .put("partition", source.partition())
          .put("target_topic", target.topic()).put("from", from).put("to", to)
          .put("source_log_start", sourceStart)
          .put("source_stable_end", sourceEnd).put("source_high_watermark", highWatermark)
          .put("target_log_start", targetStart).put("target_log_end", targetEnd);
      var countsNode = node.putObject("counts");
      counts.forEach(countsNode::put);
      ArrayNode runs = node.putArray("duplicate_runs");
      for (long[] run : duplicateRuns) {
        runs.addObject().put("target_from", run[0]).put("target_to", run[1])
            .put("source_from", run[2])
            .put("source_to", run[3]).put("count", run[4]);
      }
      return node;
    }
  }

  /** Ranges are half open: [first, one after the last]. */
  record Finding(String kind, Book book, long count, long[] sourceRange, long[] targetRange,
      String detail) {
    ObjectNode toJson(ObjectMapper json) {
      var node = json.createObjectNode().put("class", kind).put("count", count);
      if (book != null) {
        node.put("topic", book.source.topic()).put("partition", book.source.partition());
      }
      if (sourceRange != null) {
        node.put("source_from", sourceRange[0]).put("source_to", sourceRange[1]);
      }
      if (targetRange != null) {
        node.put("target_from", targetRange[0]).put("target_to", targetRange[1]);
      }
      return node.put("detail", detail);
    }
  }

  // One partition after another.

  /** Judges partitions with its own consumers. Runs on its own thread only. */
  static final class Auditor implements AutoCloseable {
    private static final Duration PATIENCE = Duration.ofSeconds(60);
    private static final int ATTEMPTS_MAX = 10;
    private static final int BULK_BYTES = 8 << 20;
    private static final int SINGLE_BYTES = 32 << 10;

    private final Settings settings;
    private final AtomicLong bytesRead;
    private final Fingerprinter fingerprinter;
    private final Map<String, KafkaConsumer<Digest, Digest>> consumers = new HashMap<>();

    Auditor(Settings settings, AtomicLong bytesRead) {
      this.settings = settings;
      this.bytesRead = bytesRead;
      fingerprinter = new Fingerprinter(settings);
    }

    void audit(Book book) {
      for (int attempt = 1; ; attempt++) {
        try {
          auditOnce(book);
          return;
        } catch (OffsetOutOfRangeException e) {
          // Retention took the first records while they were read: judge what is left.
          if (attempt == ATTEMPTS_MAX || !e.partitions().contains(book.source)) {
            throw e;
          }
          var starts = consumers.get("source").beginningOffsets(List.of(book.source));
          book.restart(starts.get(book.source));
        }
      }
    }

    private void auditOnce(Book book) {
      if (!book.hasSource) {
        book.count("phantom", book.targetEnd - book.targetStart);
        if (book.targetEnd > book.targetStart) {
          book.find("phantom", book.targetEnd - book.targetStart, null,
              new long[] {book.targetStart, book.targetEnd},
              "the source has no such partition");
        }
        return;
      }
      var ledger = new SourceLedger(book);
      read("source", settings.source, "read_committed", book.source, book.sourceStart,
          book.sourceEnd, record -> ledger.add(fingerprinter.print(record), record));
      ledger.index();
      classifyHoles(book, ledger);
      var matcher = new Matcher(settings, book, ledger);
      if (book.hasTarget) {
        read("target", settings.target, "read_committed", book.target, book.targetStart,
            book.targetEnd, record -> matcher.accept(fingerprinter.print(record), record));
      }
      matcher.close();
      var missing = matcher.missing();
      var strangers = matcher.strangers();
      pairAltered(book, ledger, missing, strangers);
      new Verdict(settings, book, ledger, matcher).write(missing, strangers);
    }

    interface Visitor {
      void visit(ConsumerRecord<Digest, Digest> record);
    }

    private void read(String role, Properties client, String isolation, TopicPartition partition,
        long start, long end, Visitor visitor) {
      if (start >= end) {
        return;
      }
      var consumer = consumers.computeIfAbsent(role,
          none -> consumer(client, isolation, BULK_BYTES));
      consumer.assign(List.of(partition));
      consumer.seek(partition, start);
      long movedNs = System.nanoTime();
      for (long position = start; position < end; ) {
        long bytes = 0;
        for (var record : consumer.poll(Duration.ofMillis(500))) {
          if (record.offset() < end) {
            visitor.visit(record);
          }
          bytes += Math.max(0, record.serializedKeySize())
              + Math.max(0, record.serializedValueSize());
        }
        bytesRead.addAndGet(bytes);
        long now = consumer.position(partition);
        if (now > position) {
          position = now;
          movedNs = System.nanoTime();
        } else if (System.nanoTime() - movedNs > PATIENCE.toNanos()) {
          throw new VoidException(role + " " + partition + " does not move from " + position
              + " towards " + end);
        }
      }
      consumer.assign(List.of());
    }

    static KafkaConsumer<Digest, Digest> consumer(
        Properties client, String isolation, int partitionBytes) {
      var properties = new Properties();
      properties.putAll(client);
      properties.put(ConsumerConfig.ISOLATION_LEVEL_CONFIG, isolation);
      properties.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "none");
      properties.put(ConsumerConfig.ENABLE_AUTO_COMMIT_CONFIG, "false");
      properties.put(ConsumerConfig.ALLOW_AUTO_CREATE_TOPICS_CONFIG, "false");
      properties.put(ConsumerConfig.MAX_POLL_RECORDS_CONFIG, "10000");
      properties.put(ConsumerConfig.MAX_PARTITION_FETCH_BYTES_CONFIG,
          Integer.toString(partitionBytes));
      properties.put(ConsumerConfig.FETCH_MAX_BYTES_CONFIG, Integer.toString(partitionBytes));
      properties.put(ConsumerConfig.RECEIVE_BUFFER_CONFIG, "-1");
      // A partition's first fetch has to wait for the last one of the partition before, at its end.
      properties.put(ConsumerConfig.FETCH_MAX_WAIT_MS_CONFIG, "5");
      return new KafkaConsumer<>(properties, new DigestDeserializer(), new DigestDeserializer());
    }

    // Offsets that hold no record.

    /**
     * Sorts the offsets that a committed reader does not see into aborted, control and compacted.
     */
    private void classifyHoles(Book book, SourceLedger ledger) {
      if (ledger.visible.cardinality() == book.sourceEnd - book.sourceStart) {
        return;
      }
      File log = logFolder(book.source);
      if (log == null) {
        // Only a reader of uncommitted records tells aborted ones from the rest.
        read("source-uncommitted", settings.source, "read_uncommitted", book.source,
            book.sourceStart, book.sourceEnd, record -> {
          ledger.data.set(ledger.bit(record.offset()));
          if (!ledger.visible.get(ledger.bit(record.offset()))) {
            ledger.abortedPrints.add(fingerprinter.print(record));
          }
        });
      } else {
        readSegments(log, book, ledger);
      }
      ledger.knowsControl = log != null;
    }

    private File logFolder(TopicPartition partition) {
      for (File dir : settings.sourceLogDirs) {
        var folder = new File(dir, partition.topic() + "-" + partition.partition());
        if (folder.isDirectory()) {
          return folder;
        }
      }
      if (!settings.sourceLogDirs.isEmpty()) {
        throw new VoidException("no log folder of " + partition + " in " + settings.sourceLogDirs);
      }
      return null;
    }

    private static void readSegments(File folder, Book book, SourceLedger ledger) {
      File[] segments = folder.listFiles((dir, name) -> name.endsWith(".log"));
      for (File segment : segments == null ? new File[0] : segments) {
        try (var records = FileRecords.open(segment, false)) {
          for (var batch : records.batches()) {
            readBatch(batch, book, ledger);
          }
        } catch (IOException e) {
          throw new VoidException("the cleaner was faster than the reader: " + e);
        }
      }
    }

    private static void readBatch(RecordBatch batch, Book book, SourceLedger ledger) {
      long first = Math.max(batch.baseOffset(), book.sourceStart);
      long end = Math.min(batch.lastOffset() + 1, book.sourceEnd);
      if (first >= end) {
        return;
      }
      if (batch.isControlBatch()) {
        ledger.control.set(ledger.bit(first), ledger.bit(end));
        return;
      }
      book.count("batches_" + batch.compressionType().name, 1);
      Integer count = batch.countOrNull();
      if (count != null && count == batch.lastOffset() - batch.baseOffset() + 1) {
        ledger.data.set(ledger.bit(first), ledger.bit(end));
        return;
      }
      // The cleaner took records out of this batch: only its records say which are left.
      for (Record record : batch) {
        if (record.offset() >= first && record.offset() < end) {
          ledger.data.set(ledger.bit(record.offset()));
        }
      }
    }

    // Records that arrived otherwise.

    /**
     * Finds which stranger at the target is which missing record, altered: both are read once more
     * and compared part by part. What pairs up leaves both lists.
     */
    private void pairAltered(Book book, SourceLedger ledger, List<Integer> missing,
        List<Stranger> strangers) {
      if (missing.isEmpty() || strangers.isEmpty()) {
        return;
      }
      var lost = missing.subList(0, Math.min(missing.size(), settings.findingsMax));
      var found = strangers.subList(0, Math.min(strangers.size(), settings.findingsMax));
      var originals = readParts(settings.source, book.source,
          lost.stream().map(ledger::offset).collect(Collectors.toSet()));
      var arrivals = readParts(settings.target, book.target,
          found.stream().map(Stranger::targetOffset).collect(Collectors.toSet()));
      var pairs = new ArrayList<Pair>();
      for (int index : lost) {
        for (var stranger : found) {
          var pair = new Pair(index, ledger.offset(index), originals.get(ledger.offset(index)),
              stranger, arrivals.get(stranger.targetOffset()));
          if (pair.isLikely()) {
            pairs.add(pair);
          }
        }
      }
      pairs.sort(Comparator.comparingInt(pair -> -pair.likeness()));
      var takenIndexes = new HashSet<Integer>();
      var takenStrangers = new HashSet<Stranger>();
      for (var pair : pairs) {
        if (!takenIndexes.contains(pair.index()) && !takenStrangers.contains(pair.stranger())) {
          takenIndexes.add(pair.index());
          takenStrangers.add(pair.stranger());
          long there = pair.stranger().targetOffset();
          book.find("corrupt", 1, new long[] {pair.offset(), pair.offset() + 1},
              new long[] {there, there + 1}, pair.difference());
        }
      }
      book.count("corrupt", takenIndexes.size());
      missing.removeIf(takenIndexes::contains);
      strangers.removeIf(takenStrangers::contains);
    }

    private Map<Long, Parts> readParts(Properties client, TopicPartition partition,
        Set<Long> offsets) {
      var parts = new HashMap<Long, Parts>();
      try (var consumer = consumer(client, "read_committed", SINGLE_BYTES)) {
        consumer.assign(List.of(partition));
        for (long offset : new TreeSet<>(offsets)) {
          long startNs = System.nanoTime();
          if (!parts.containsKey(offset)) {
            consumer.seek(partition, offset);
          }
          while (!parts.containsKey(offset)) {
            for (var record : consumer.poll(Duration.ofMillis(500))) {
              if (offsets.contains(record.offset())) {
                parts.put(record.offset(), Parts.of(record, settings));
              }
            }
            if (System.nanoTime() - startNs > PATIENCE.toNanos()) {
              throw new VoidException(partition + " does not give offset " + offset + " again");
            }
          }
        }
      }
      return parts;
    }

    @Override
    public void close() {
      consumers.values().forEach(KafkaConsumer::close);
    }
  }

  // Fingerprints.

  /** A key or a value, without its bytes. A null one is a null Digest. */
  record Digest(long high, long low, int length) {}

  /**
   * Hashes as the client hands the bytes over, so that no record is kept. Runs on its consumer's
   * thread only.
   */
  static final class DigestDeserializer implements Deserializer<Digest> {
    private final MessageDigest md5 = newMd5();

    @Override
    public Digest deserialize(String topic, byte[] data) {
      return data == null ? null : digest(ByteBuffer.wrap(data));
    }

    @Override
    public Digest deserialize(String topic, Headers headers, ByteBuffer data) {
      return data == null ? null : digest(data);
    }

    private Digest digest(ByteBuffer data) {
      int length = data.remaining();
      md5.update(data);
      var hash = ByteBuffer.wrap(md5.digest());
      return new Digest(hash.getLong(), hash.getLong(), length);
    }
  }

  static MessageDigest newMd5() {
    try {
      return MessageDigest.getInstance("MD5");
    } catch (NoSuchAlgorithmException e) {
      throw new AssertionError(e);
    }
  }

  record Fingerprint(long high, long low) {}

  /** Everything of a record that must arrive, in 128 bits. Runs on one thread only. */
  static final class Fingerprinter {
    private final Settings settings;
    private final MessageDigest md5 = newMd5();
    private final ByteBuffer fixed = ByteBuffer.allocate(64);

    Fingerprinter(Settings settings) {
      this.settings = settings;
    }

    Fingerprint print(ConsumerRecord<Digest, Digest> record) {
      fixed.clear();
      fixed.putLong(settings.hasTimestamps ? record.timestamp() : 0);
      fixed.put((byte) (settings.timestampType.equals("same") ? record.timestampType().id : 0));
      put(record.key());
      put(record.value());
      md5.update(fixed.array(), 0, fixed.position());
      if (settings.hasHeaders) {
        for (Header header : record.headers()) {
          if (!header.key().equals(Provenance.HEADER)) {
            update(header.key().getBytes(StandardCharsets.UTF_8));
            update(header.value());
          }
        }
      }
      var hash = ByteBuffer.wrap(md5.digest());
      return new Fingerprint(hash.getLong(), hash.getLong());
    }

    /** The length keeps null (-1) apart from empty (0), and one field from the next. */
    private void put(Digest digest) {
      fixed.putInt(digest == null ? -1 : digest.length);
      fixed.putLong(digest == null ? 0 : digest.high).putLong(digest == null ? 0 : digest.low);
    }

    private void update(byte[] bytes) {
      int length = bytes == null ? -1 : bytes.length;
      for (int shift = 24; shift >= 0; shift -= 8) {
        md5.update((byte) (length >>> shift));
      }
      if (bytes != null) {
        md5.update(bytes);
      }
    }
  }

  /** What a relay's header claims about the origin of a record. */
  record Provenance(int partition, long offset, int hops) {
    static final String HEADER = "drawbridge";

    static Provenance of(ConsumerRecord<?, ?> record) {
      Header header = record.headers().lastHeader(HEADER);
      byte[] bytes = header == null ? null : header.value();
      if (bytes == null || bytes.length < 32 || bytes.length % 8 != 0 || bytes[0] != 1) {
        return null;
      }
      var fields = ByteBuffer.wrap(bytes);
      return new Provenance(fields.getInt(12), fields.getLong(16), (bytes.length - 32) / 8);
    }
  }

  // The source's side.

  /** The fingerprints of one source partition in offset order, and what its other offsets are. */
  static final class SourceLedger {
    private static final int ROWS_PER_CHUNK = 1 << 15;
    private static final int WORDS = 4;
    private static final long IS_TOMBSTONE = 1;
    private static final long HAS_PROVENANCE = 2;
    private static final long FLAGS = IS_TOMBSTONE | HAS_PROVENANCE;

    private final Book book;
    private final List<long[]> chunks = new ArrayList<>();
    private int size;
    private int[] table;
    /** Further records with a fingerprint that an earlier one has; by the earlier one's index. */
    private final Map<Integer, ArrayDeque<Integer>> twins = new HashMap<>();
    final BitSet visible = new BitSet();
    final BitSet data = new BitSet();
    final BitSet control = new BitSet();
    final Set<Fingerprint> abortedPrints = new HashSet<>();
    boolean knowsControl;
    /** By index: arrived as it was. */
    final BitSet seen = new BitSet();

    SourceLedger(Book book) {
      this.book = book;
    }

    void add(Fingerprint print, ConsumerRecord<Digest, Digest> record) {
      if (size % ROWS_PER_CHUNK == 0) {
        chunks.add(new long[ROWS_PER_CHUNK * WORDS]);
      }
      long[] chunk = chunks.get(size / ROWS_PER_CHUNK);
      int at = size % ROWS_PER_CHUNK * WORDS;
      chunk[at] = print.high();
      chunk[at + 1] = print.low();
      chunk[at + 2] = record.offset();
      chunk[at + 3] = (record.key() == null ? 0 : record.key().high() & ~FLAGS)
          | (record.value() == null ? IS_TOMBSTONE : 0)
          | (Provenance.of(record) != null ? HAS_PROVENANCE : 0);
      visible.set(bit(record.offset()));
      size++;
    }

    int size() {
      return size;
    }

    int bit(long offset) {
      return Math.toIntExact(offset - book.sourceStart);
    }

    long offset(int index) {
      return word(index, 2);
    }

    long keyHash(int index) {
      return word(index, 3) & ~FLAGS;
    }

    boolean isTombstone(int index) {
      return (word(index, 3) & IS_TOMBSTONE) != 0;
    }

    boolean hasProvenance(int index) {
      return (word(index, 3) & HAS_PROVENANCE) != 0;
    }

    private long word(int index, int word) {
      return chunks.get(index / ROWS_PER_CHUNK)[index % ROWS_PER_CHUNK * WORDS + word];
    }

    /** Builds the table from fingerprint to index: open addressing, at most half full. */
    void index() {
      table = new int[Math.max(16, Integer.highestOneBit(Math.max(1, size)) * 4)];
      for (int index = 0; index < size; index++) {
        int slot = slot(word(index, 0), word(index, 1));
        if (table[slot] == 0) {
          table[slot] = index + 1;
        } else {
          twins.computeIfAbsent(table[slot] - 1, none -> new ArrayDeque<>()).add(index);
          book.count("indistinguishable", 1);
        }
      }
    }

    private int slot(long high, long low) {
      int slot = (int) high & table.length - 1;
      while (table[slot] != 0 && (word(table[slot] - 1, 0) != high
          || word(table[slot] - 1, 1) != low)) {
        slot = slot + 1 & table.length - 1;
      }
      return slot;
    }

    /** The index of the record, preferably of one not seen yet, or -1. */
    int find(Fingerprint print) {
      int index = table[slot(print.high(), print.low())] - 1;
      if (index >= 0 && seen.get(index) && !twins.isEmpty()) {
        var others = twins.get(index);
        return others == null || others.isEmpty() ? index : others.poll();
      }
      return index;
    }

    /** True where the source cannot show any more what it once had. */
    boolean isUnreadable(long offset) {
      if (offset < book.sourceStart) {
        return true;
      }
      return book.sourceCompacts && offset < book.sourceEnd && !data.get(bit(offset))
          && !visible.get(bit(offset)) && !control.get(bit(offset));
    }
  }

  // The target's side.

  /**
   * A record at the target that equals none at the source. highest: the source index reached just
   * before it.
   */
  record Stranger(long targetOffset, Fingerprint print, Provenance claim, int highest) {}

  /** Takes the target's records in order and finds each among the source's. */
  static final class Matcher {
    private static final int STRANGERS_MAX = 200_000;
    private static final int RUNS_MAX = 1_000;

    private final Settings settings;
    private final Book book;
    private final SourceLedger ledger;
    private final List<Stranger> strangers = new ArrayList<>();
    private final Set<Fingerprint> strangerPrints = new HashSet<>();
    final Set<Long> claimsOfUnreadable = new HashSet<>();
    private long unverifiableBudget;
    private int highest = -1;
    private long reorderStart = -1;
    private long reorderSource;
    private long reorderCount;
    private long[] duplicateRun;
    private long wrongProvenance;
    private long wrongProvenanceAt;
    private long wrongType;
    private long wrongTypeAt;

    Matcher(Settings settings, Book book, SourceLedger ledger) {
      this.settings = settings;
      this.book = book;
      this.ledger = ledger;
      unverifiableBudget = book.sourceStart;
      if (book.sourceCompacts) {
        var gone = new BitSet();
        gone.set(0, (int) (book.sourceEnd - book.sourceStart));
        gone.andNot(ledger.visible);
        gone.andNot(ledger.data);
        gone.andNot(ledger.control);
        unverifiableBudget += gone.cardinality();
      }
    }

    void accept(Fingerprint print, ConsumerRecord<Digest, Digest> record) {
      book.count("target_records", 1);
      var claim = settings.checksProvenance ? Provenance.of(record) : null;
      if (settings.timestampType.equals("create")
          && record.timestampType() != TimestampType.CREATE_TIME && wrongType++ == 0) {
        wrongTypeAt = record.offset();
      }
      int index = ledger.find(print);
      if (index < 0) {
        endDuplicateRun();
        endReorder();
        meetStranger(print, record.offset(), claim);
        return;
      }
      checkClaim(index, claim, record.offset());
      if (ledger.seen.get(index)) {
        countDuplicate(index, record.offset());
        return;
      }
      endDuplicateRun();
      ledger.seen.set(index);
      if (index < highest) {
        countReorder(index, record.offset());
      } else {
        endReorder();
        highest = index;
      }
    }

    private void checkClaim(int index, Provenance claim, long targetOffset) {
      if (claim == null || ledger.hasProvenance(index) || claim.hops() > 0) {
        book.count(claim == null ? "provenance_absent" : "provenance_of_an_earlier_hop", 1);
      } else if (claim.partition() == book.source.partition()
          && claim.offset() == ledger.offset(index)) {
        book.count("provenance_right", 1);
      } else if (wrongProvenance++ == 0) {
        wrongProvenanceAt = targetOffset;
      }
    }

    private void countDuplicate(int index, long targetOffset) {
      book.count("duplicate", 1);
      long at = ledger.offset(index);
      // A replay rises; where the source's offset falls back another one has begun.
      if (duplicateRun != null && (duplicateRun[1] != targetOffset || duplicateRun[3] > at)) {
        endDuplicateRun();
      }
      if (duplicateRun == null) {
        duplicateRun = new long[] {targetOffset, targetOffset, at, at, 0};
      }
      duplicateRun[1] = targetOffset + 1;
      duplicateRun[3] = at + 1;
      duplicateRun[4]++;
    }

    private void endDuplicateRun() {
      if (duplicateRun != null && book.duplicateRuns.size() < RUNS_MAX) {
        book.duplicateRuns.add(duplicateRun);
      }
      if (duplicateRun != null) {
        book.count("duplicate_runs", 1);
      }
      duplicateRun = null;
    }

    private void countReorder(int index, long targetOffset) {
      if (settings.isOrdered) {
        book.count("reorder", 1);
        if (reorderCount++ == 0) {
          reorderStart = targetOffset;
          reorderSource = ledger.offset(index);
        }
      }
    }

    private void endReorder() {
      if (reorderCount > 0 && book.findings.size() < settings.findingsMax) {
        book.find("reorder", reorderCount, new long[] {reorderSource, reorderSource + 1},
            new long[] {reorderStart, reorderStart + 1},
            "first arrived after a later record, " + reorderCount + " in a row");
      }
      reorderCount = 0;
    }

    private void meetStranger(Fingerprint print, long targetOffset, Provenance claim) {
      if (!strangerPrints.add(print)) {
        book.count("duplicate", 1);
        return;
      }
      boolean isUnverifiable;
      if (claim != null && claim.hops() == 0) {
        isUnverifiable = claim.partition() == book.source.partition()
            && ledger.isUnreadable(claim.offset())
            && claimsOfUnreadable.add(claim.offset());
      } else {
        // Without a claim an expired record can only be told by its place: before all that is
        // still there.
        isUnverifiable = book.sourceCompacts || highest < 0;
      }
      if (isUnverifiable && unverifiableBudget > 0) {
        unverifiableBudget--;
        book.count("unverifiable", 1);
        if (claim == null) {
          book.count("unverifiable_unclaimed", 1);
        }
        return;
      }
      if (strangers.size() < STRANGERS_MAX) {
        strangers.add(new Stranger(targetOffset, print, claim, highest));
      } else {
        book.count("phantom", 1);
      }
    }

    void close() {
      endDuplicateRun();
      endReorder();
      if (wrongProvenance > 0) {
        book.count("provenance_wrong", wrongProvenance);
        book.find("corrupt", wrongProvenance, null,
            new long[] {wrongProvenanceAt, wrongProvenanceAt + 1},
            "the provenance header names another record");
      }
      if (wrongType > 0) {
        book.count("timestamp_type_wrong", wrongType);
        book.find("corrupt", wrongType, null,
            new long[] {wrongTypeAt, wrongTypeAt + 1}, "the timestamp type is not CreateTime");
      }
      book.count("source_records", ledger.size());
    }

    List<Stranger> strangers() {
      return strangers;
    }

    /** Indexes of the records that did not arrive as they were, though they had to. */
    List<Integer> missing() {
      var missing = new ArrayList<Integer>();
      var laterKeys = new HashSet<Long>();
      for (int index = ledger.size() - 1; index >= 0; index--) {
        long offset = ledger.offset(index);
        if (ledger.seen.get(index)) {
          if (book.targetCompacts) {
            laterKeys.add(ledger.keyHash(index));
          }
        } else if (offset >= book.to) {
          book.count("unseen", 1);
        } else if (offset < book.from || settings.isDeclaredGap(book.source, offset)) {
          continue;
        } else if (book.targetCompacts
            && (laterKeys.contains(ledger.keyHash(index)) || ledger.isTombstone(index))) {
          book.count("superseded", 1);
        } else {
          missing.add(index);
        }
      }
      java.util.Collections.reverse(missing);
      return missing;
    }

  }

  /** A record in the parts that must arrive; what the options leave out is equal in all. */
  record Parts(Digest key, Digest value, List<String> headers, String timestamp) {
    static Parts of(ConsumerRecord<Digest, Digest> record, Settings settings) {
      var headers = new ArrayList<String>();
      for (Header header : record.headers()) {
        if (settings.hasHeaders && !header.key().equals(Provenance.HEADER)) {
          headers.add(header.key() + "=" + (header.value() == null ? "null"
              : "'" + new String(header.value(), StandardCharsets.ISO_8859_1) + "'"));
        }
      }
      String timestamp = settings.hasTimestamps ? Long.toString(record.timestamp()) : "";
      return new Parts(record.key(), record.value(), headers,
          settings.timestampType.equals("same") ? timestamp + record.timestampType() : timestamp);
    }

    int equalTo(Parts other) {
      return (Objects.equals(key, other.key) ? 1 : 0) + (Objects.equals(value, other.value) ? 1 : 0)
          + (headers.equals(other.headers) ? 1 : 0) + (timestamp.equals(other.timestamp) ? 1 : 0);
    }

    String differenceTo(Parts other) {
      var differences = new ArrayList<String>();
      describe("key", describe(key), describe(other.key), differences);
      describe("value", describe(value), describe(other.value), differences);
      describe("headers", describe(headers), describe(other.headers), differences);
      describe("timestamp", timestamp, other.timestamp, differences);
      return String.join("; ", differences);
    }

    private static void describe(String part, String was, String is, List<String> differences) {
      if (!was.equals(is)) {
        differences.add(part + ": " + was + " became " + is);
      }
    }

    private static String describe(Digest digest) {
      if (digest == null) {
        return "null";
      }
      return digest.length() == 0 ? "empty"
          : digest.length() + " bytes (" + Long.toHexString(digest.high()) + ")";
    }

    private static String describe(List<String> headers) {
      return headers.stream()
          .map(text -> text.length() > 200 ? text.substring(0, 200) + "…" : text)
          .toList().toString();
    }
  }

  /** A missing record and a stranger that may be the same one, altered. */
  record Pair(int index, long offset, Parts original, Stranger stranger, Parts arrival) {
    boolean isLikely() {
      int equal = original.equalTo(arrival);
      boolean hasSameContent = original.value != null && original.value.length() > 0
          && original.value.equals(arrival.value);
      return isClaimed() || equal == 3 || (equal == 2 && hasSameContent && isInPlace());
    }

    /** The higher, the more likely. */
    int likeness() {
      return 2 * original.equalTo(arrival) + (isInPlace() ? 1 : 0) + (isClaimed() ? 10 : 0);
    }

    String difference() {
      return original.differenceTo(arrival);
    }

    private boolean isClaimed() {
      var claim = stranger.claim();
      return claim != null && claim.hops() == 0 && claim.offset() == offset;
    }

    private boolean isInPlace() {
      return Math.abs(index - (stranger.highest() + 1)) <= 8;
    }
  }

  // The verdict on one partition.

  /** Closes a partition's book: every offset in one class, and findings for what is in none. */
  static final class Verdict {
    /** Each offset is in exactly one of these. */
    private static final List<String> CLASSES = List.of("delivered", "control", "aborted",
        "compacted", "control_or_compacted", "gap", "superseded", "corrupt", "lost",
        "inconsistent_offset", "expired_delivered", "undeclared_gap", "expired_unknown");

    private final Settings settings;
    private final Book book;
    private final SourceLedger ledger;
    private final Matcher matcher;

    Verdict(Settings settings, Book book, SourceLedger ledger, Matcher matcher) {
      this.settings = settings;
      this.book = book;
      this.ledger = ledger;
      this.matcher = matcher;
    }

    void write(List<Integer> missing, List<Stranger> strangers) {
      writeLost(missing);
      writePhantoms(strangers);
      writeReadable();
      writeExpired();
      if (book.counted("indistinguishable") > 0 && book.counted("duplicate") > 0) {
        book.voidReasons.add(book.source
            + " has equal records, and duplicates arrived: which is which cannot be told");
      }
      long offsets = book.to - book.from;
      long accounted = 0;
      for (String name : CLASSES) {
        accounted += book.counted(name);
      }
      book.count("offsets", offsets);
      book.count("open", book.highWatermark - book.sourceEnd);
      if (accounted != offsets) {
        book.voidReasons.add(book.source + ": " + offsets + " offsets, but " + accounted
            + " are accounted for");
      }
    }

    private void writeLost(List<Integer> missing) {
      book.count("lost", missing.size());
      for (int i = 0; i < missing.size(); ) {
        int first = i;
        while (++i < missing.size() && missing.get(i) == missing.get(i - 1) + 1) {
          // The run goes on as long as no record between them arrived.
        }
        if (book.findings.size() < settings.findingsMax) {
          long from = ledger.offset(missing.get(first));
          long to = ledger.offset(missing.get(i - 1)) + 1;
          book.find("lost", i - first, new long[] {from, to}, null,
              "not at the target, not declared");
        }
      }
    }

    private void writePhantoms(List<Stranger> strangers) {
      book.count("phantom", strangers.size());
      for (var stranger : strangers) {
        if (book.findings.size() >= settings.findingsMax) {
          break;
        }
        String detail = ledger.abortedPrints.contains(stranger.print())
            ? "equals a record of an aborted transaction"
            : "equals no record of the source";
        book.find("phantom", 1, null,
            new long[] {stranger.targetOffset(), stranger.targetOffset() + 1},
            detail + (stranger.claim() == null ? "" : ", claims " + stranger.claim().offset()));
      }
      if (book.counted("phantom") > strangers.size()) {
        book.find("phantom", book.counted("phantom") - strangers.size(), null,
            null, "more of them, not listed");
      }
    }

    /** The offsets that the source can still show. */
    private void writeReadable() {
      int index = 0;
      long overdeclaredFrom = -1;
      for (long offset = book.sourceStart; offset < book.sourceEnd; offset++) {
        boolean isRecord = ledger.visible.get(ledger.bit(offset));
        int mine = isRecord ? index++ : -1;
        boolean hasArrived = isRecord && ledger.seen.get(mine);
        if (offset < book.from || offset >= book.to) {
          if (hasArrived) {
            book.count("beyond", 1);
          }
          continue;
        }
        boolean isDeclared = settings.isDeclaredGap(book.source, offset);
        overdeclaredFrom = trackOverdeclared(isDeclared && hasArrived, overdeclaredFrom, offset);
        if (hasArrived) {
          book.count("delivered", 1);
        } else if (isRecord && isDeclared) {
          book.count("gap", 1);
        } else if (!isRecord) {
          countHole(offset, isDeclared);
        }
      }
      trackOverdeclared(false, overdeclaredFrom, book.sourceEnd);
    }

    private long trackOverdeclared(boolean isOverdeclared, long from, long offset) {
      if (isOverdeclared) {
        book.count("overdeclared_gap", 1);
        return from < 0 ? offset : from;
      }
      if (from >= 0 && !settings.gapsMayArrive) {
        book.find("overdeclared-gap", offset - from, new long[] {from, offset},
            null, "declared as a gap, yet it arrived");
      }
      return -1;
    }

    private void countHole(long offset, boolean isDeclared) {
      int bit = ledger.bit(offset);
      if (ledger.data.get(bit)) {
        book.count("aborted", 1);
      } else if (ledger.control.get(bit)) {
        book.count("control", 1);
      } else if (!ledger.knowsControl) {
        // Only the cleaner takes other offsets away than those of markers.
        book.count(book.sourceCompacts ? "control_or_compacted" : "control", 1);
      } else if (book.sourceCompacts) {
        book.count("compacted", 1);
      } else if (isDeclared) {
        book.count("gap", 1);
      } else {
        book.count("inconsistent_offset", 1);
        book.find("inconsistent-offset", 1, new long[] {offset, offset + 1},
            null, "in no segment of a log that is not compacted");
      }
    }

    /**
     * The offsets that the source had once: each arrived, was declared, or is missing without a
     * word.
     */
    private void writeExpired() {
      long end = Math.min(book.sourceStart, book.to);
      long expired = end - book.from;
      if (expired <= 0) {
        return;
      }
      book.count("expired", expired);
      long declared = 0;
      long unclaimed = book.counted("unverifiable_unclaimed");
      long arrived = 0;
      var silent = new ArrayList<long[]>();
      for (long offset = book.from; offset < end; offset++) {
        if (matcher.claimsOfUnreadable.contains(offset)) {
          arrived++;
          if (settings.isDeclaredGap(book.source, offset) && !settings.gapsMayArrive) {
            book.find("overdeclared-gap", 1, new long[] {offset, offset + 1},
                null, "declared as a gap, yet it arrived");
          }
        } else if (settings.isDeclaredGap(book.source, offset)) {
          declared++;
        } else if (silent.isEmpty() || silent.get(silent.size() - 1)[1] != offset) {
          silent.add(new long[] {offset, offset + 1});
        } else {
          silent.get(silent.size() - 1)[1] = offset + 1;
        }
      }
      long missing = expired - declared - arrived;
      arrived += Math.min(unclaimed, missing);
      missing -= Math.min(unclaimed, missing);
      book.count("gap", declared);
      book.count("expired_delivered", arrived);
      // Where markers or the cleaner take offsets too, an expired one that did not arrive may have
      // held no record.
      boolean mayHaveHoles =
          book.sourceCompacts || book.counted("control") + book.counted("aborted") > 0;
      book.count(mayHaveHoles ? "expired_unknown" : "undeclared_gap", missing);
      if (missing > 0 && !mayHaveHoles) {
        if (unclaimed > 0) {
          silent.clear();
          silent.add(new long[] {book.from, end});
        }
        for (long[] range : silent) {
          book.find("undeclared-gap", Math.min(missing, range[1] - range[0]), range, null,
              "no longer at the source, not at the target, not declared");
        }
      }
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

    String choice(String name, String... choices) {
      String value = text(name, choices[0]);
      if (!List.of(choices).contains(value)) {
        throw new IllegalArgumentException("--" + name + " is one of " + List.of(choices));
      }
      return value;
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
