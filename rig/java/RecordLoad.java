import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.FileReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.SplittableRandom;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.producer.Callback;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.record.DefaultRecord;
import org.apache.kafka.common.record.DefaultRecordBatch;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Fills one topic with records that are hard to carry, or with many plain ones for a bench.
 *
 * <p>{@code --mode proof}: sizes from nothing to the topic's maximum; null and empty keys, values
 * and headers; binary; repeated headers; every codec; timestamps that jump, repeat and go back;
 * transactions of two producers that interleave, committed and aborted; with {@code --leave-open}
 * one that stays open until stdin says {@code commit} or {@code abort} (or ends, which aborts).
 * {@code --mode compacted}: few keys, many times. {@code --mode bench --shape
 * json1k|random1000|random120}: as fast as it goes.
 *
 * <p>No two records of a partition are equal: each has its number in a header or at the start of
 * its value, or else a timestamp that no other such record has. The last line is a manifest: what
 * each partition holds.
 */
public class RecordLoad {
  public static void main(String[] args) throws Exception {
    var output = System.out;
    // Libraries log to stdout by default; that is for the JSON lines alone.
    System.setOut(System.err);
    var options = new Options(args);
    var settings = new Settings(options);
    options.refuseUnknown();
    try {
      var manifest = new Manifest(settings, output);
      switch (settings.mode) {
        case "proof" -> new Proof(settings, manifest).write();
        case "compacted" -> new Compacted(settings, manifest).write();
        case "bench" -> new Bench(settings, manifest).write();
        default -> throw new IllegalArgumentException("--mode is proof, compacted or bench");
      }
      manifest.print();
      System.exit(0);
    } catch (Exception e) {
      e.printStackTrace();
      output.println(new ObjectMapper().createObjectNode().put("event", "error")
          .put("reason", e.toString()));
      System.exit(1);
    }
  }

  static final class Settings {
    final Properties client;
    final String mode;
    final String topic;
    final int partitions;
    final int batchBytesMax;
    final long records;
    final long seed;
    final String run;
    final double transactionShare;
    final boolean leavesOpen;
    final boolean hasOddHeaderNames;
    final int largest;
    final int keys;
    final String shape;
    final String compression;
    final int threads;

    Settings(Options options) throws Exception {
      client = options.properties("properties");
      client.put(ProducerConfig.BOOTSTRAP_SERVERS_CONFIG, options.text("bootstrap", null));
      topic = options.text("topic", null);
      shape = options.text("shape", "");
      mode = options.text("mode", shape.isEmpty() ? "proof" : "bench");
      records = Long.parseLong(options.text("records", "1000000"));
      seed = Long.parseLong(options.text("seed", "1"));
      run = options.text("run", Long.toString(System.currentTimeMillis(), 36));
      transactionShare = Double.parseDouble(options.text("transactions", "0.3"));
      leavesOpen = options.flag("leave-open");
      hasOddHeaderNames = options.flag("odd-header-names");
      largest = Integer.parseInt(options.text("largest", "6"));
      keys = Integer.parseInt(options.text("keys", "100"));
      compression = options.text("compression", "lz4");
      threads = Integer.parseInt(options.text("threads", "2"));
      try (var admin = Admin.create(client)) {
        partitions = admin.describeTopics(List.of(topic)).allTopicNames().get()
            .get(topic).partitions().size();
        var resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        batchBytesMax = Integer.parseInt(
            admin.describeConfigs(List.of(resource)).all().get().get(resource)
            .get("max.message.bytes").value());
      }
    }

    KafkaProducer<byte[], byte[]> producer(String codec, int batchBytes, String transactionalId) {
      var properties = new Properties();
      properties.putAll(client);
      properties.put(ProducerConfig.ACKS_CONFIG, "all");
      properties.put(ProducerConfig.ENABLE_IDEMPOTENCE_CONFIG, "true");
      properties.put(ProducerConfig.COMPRESSION_TYPE_CONFIG, codec);
      properties.put(ProducerConfig.LINGER_MS_CONFIG, "10");
      properties.put(ProducerConfig.BATCH_SIZE_CONFIG, Integer.toString(batchBytes));
      properties.put(ProducerConfig.BUFFER_MEMORY_CONFIG,
          Long.toString(Math.max(32L << 20, 4L * batchBytesMax)));
      properties.put(ProducerConfig.MAX_REQUEST_SIZE_CONFIG,
          Integer.toString(Math.max(1 << 20, 2 * batchBytesMax)));
      if (transactionalId != null) {
        properties.put(ProducerConfig.TRANSACTIONAL_ID_CONFIG, transactionalId);
        properties.put(ProducerConfig.TRANSACTION_TIMEOUT_CONFIG, "900000");
      }
      return new KafkaProducer<>(properties, new ByteArraySerializer(), new ByteArraySerializer());
    }
  }

  // What was written.

  /** Counts per partition. Written by the clients' I/O threads, read at the end; thread-safe. */
  static final class Manifest {
    private final Settings settings;
    private final PrintStream output;
    private final ObjectMapper json = new ObjectMapper();
    private final long startNs = System.nanoTime();
    private final long[] acked;
    private final long[] aborted;
    private final long[] open;
    private final long[] firstOffset;
    private final long[] lastOffset;
    private final AtomicReference<Exception> failure = new AtomicReference<>();
    private long bytes;
    private long largestBytes;
    private long ackedInAll;
    private long printedNs = startNs;
    long committedTransactions;
    long abortedTransactions;
    long openTransactions;

    Manifest(Settings settings, PrintStream output) {
      this.settings = settings;
      this.output = output;
      acked = new long[settings.partitions];
      aborted = new long[settings.partitions];
      open = new long[settings.partitions];
      firstOffset = new long[settings.partitions];
      lastOffset = new long[settings.partitions];
      java.util.Arrays.fill(firstOffset, -1);
      java.util.Arrays.fill(lastOffset, -1);
    }

    /**
     * A callback that counts a record as acknowledged in `counts`: its transaction's, or acked
     * itself.
     */
    Callback counting(long[] counts, int recordBytes) {
      return (metadata, exception) -> {
        if (exception != null) {
          failure.compareAndSet(null, exception);
          return;
        }
        synchronized (this) {
          int partition = metadata.partition();
          counts[partition]++;
          ackedInAll++;
          bytes += recordBytes;
          largestBytes = Math.max(largestBytes, recordBytes);
          if (metadata.hasOffset()) {
            firstOffset[partition] = firstOffset[partition] < 0 ? metadata.offset()
                : Math.min(firstOffset[partition], metadata.offset());
            lastOffset[partition] = Math.max(lastOffset[partition], metadata.offset());
          }
        }
      };
    }

    Callback countingAcked(int recordBytes) {
      return counting(acked, recordBytes);
    }

    synchronized void settle(long[] counts, boolean isCommitted) {
      add(counts, isCommitted ? acked : aborted);
      committedTransactions += isCommitted ? 1 : 0;
      abortedTransactions += isCommitted ? 0 : 1;
    }

    synchronized void noteOpen(long[] counts) {
      openTransactions = 1;
      System.arraycopy(counts, 0, open, 0, open.length);
    }

    synchronized void settleOpen(boolean isCommitted) {
      settle(open, isCommitted);
      openTransactions = 0;
      java.util.Arrays.fill(open, 0);
    }

    private static void add(long[] counts, long[] sums) {
      for (int partition = 0; partition < counts.length; partition++) {
        sums[partition] += counts[partition];
      }
    }

    void failIfAnyFailed() throws Exception {
      if (failure.get() != null) {
        throw failure.get();
      }
    }

    synchronized void printNowAndThen() throws IOException {
      if (System.nanoTime() - printedNs > 1_000_000_000L) {
        printedNs = System.nanoTime();
        output.println(json.writeValueAsString(json.createObjectNode().put("event", "second")
            .put("acked", ackedInAll)
            .put("bytes", bytes)));
        output.flush();
      }
    }

    synchronized void printOpen() throws IOException {
      output.println(json.writeValueAsString(toJson("open")));
      output.flush();
    }

    synchronized void print() throws IOException {
      output.println(json.writeValueAsString(toJson("manifest")));
      output.flush();
    }

    private ObjectNode toJson(String event) {
      var node = json.createObjectNode().put("event", event).put("run", settings.run)
          .put("topic", settings.topic)
          .put("mode", settings.mode).put("seed", settings.seed).put("records", sum(acked))
          .put("aborted", sum(aborted))
          .put("open", sum(open)).put("bytes", bytes).put("largest_bytes", largestBytes)
          .put("seconds", (System.nanoTime() - startNs) / 1_000_000 / 1000.0);
      node.putObject("transactions").put("committed", committedTransactions)
          .put("aborted", abortedTransactions)
          .put("open", openTransactions);
      var rows = node.putArray("partitions");
      for (int partition = 0; partition < acked.length; partition++) {
        rows.addObject().put("partition", partition).put("acked", acked[partition])
            .put("aborted", aborted[partition])
            .put("open", open[partition]).put("first_offset", firstOffset[partition])
            .put("last_offset", lastOffset[partition]);
      }
      return node;
    }

    private static long sum(long[] counts) {
      return java.util.Arrays.stream(counts).sum();
    }
  }

  // The hard load.

  /** A producer whose transactions come and go beside others'. Runs on the load's thread only. */
  static final class TransactionWriter {
    private final Settings settings;
    private final Manifest manifest;
    private final SplittableRandom random;
    private final KafkaProducer<byte[], byte[]> producer;
    private final int meanRecords;
    private long[] counts;
    private int left;

    TransactionWriter(Settings settings, Manifest manifest, SplittableRandom random, String name,
        String codec, int meanRecords) {
      this.settings = settings;
      this.manifest = manifest;
      this.random = random;
      this.meanRecords = meanRecords;
      producer = settings.producer(codec, 16 << 10, settings.run + "-" + name);
      producer.initTransactions();
    }

    void write(ProducerRecord<byte[], byte[]> record, int recordBytes) {
      if (left == 0) {
        begin(1 + random.nextInt(2 * meanRecords));
      }
      producer.send(record, manifest.counting(counts, recordBytes));
      if (--left == 0) {
        end(random.nextInt(5) > 0);
      }
    }

    void begin(int records) {
      producer.beginTransaction();
      counts = new long[settings.partitions];
      left = records;
    }

    void end(boolean isCommitted) {
      // An abort drops what is not sent yet; it shall lie in the log and be skipped by readers.
      producer.flush();
      if (isCommitted) {
        producer.commitTransaction();
      } else {
        producer.abortTransaction();
      }
      manifest.settle(counts, isCommitted);
      left = 0;
    }

    void close() {
      if (left > 0) {
        end(true);
      }
      producer.close();
    }
  }

  /** All that is hard, in one topic. */
  static final class Proof {
    private static final List<String> CODECS = List.of("none", "gzip", "snappy", "lz4", "zstd");

    private final Settings settings;
    private final Manifest manifest;
    private final SplittableRandom random;
    private final Composer composer;
    private final List<KafkaProducer<byte[], byte[]>> plain = new ArrayList<>();
    private final List<TransactionWriter> transactional = new ArrayList<>();
    private TransactionWriter leftOpen;

    Proof(Settings settings, Manifest manifest) {
      this.settings = settings;
      this.manifest = manifest;
      random = new SplittableRandom(settings.seed);
      composer = new Composer(settings, random);
      for (int codec = 0; codec < CODECS.size(); codec++) {
        plain.add(settings.producer(CODECS.get(codec), (8 << 10) << codec, null));
      }
      int meanRecords = (int) Math.max(3, Math.min(500, settings.records / 200));
      if (settings.transactionShare > 0) {
        transactional.add(new TransactionWriter(settings, manifest, random, "A", "lz4",
            meanRecords));
        transactional.add(new TransactionWriter(settings, manifest, random, "B", "zstd",
            meanRecords));
      }
    }

    void write() throws Exception {
      long largestEvery = settings.largest == 0 ? Long.MAX_VALUE
          : Math.max(1, settings.records / settings.largest);
      for (long number = 0; number < settings.records; number++) {
        if (settings.leavesOpen && number == settings.records * 9 / 10) {
          writeAndLeaveOpen();
        }
        if (number % largestEvery == largestEvery / 2) {
          writeLargest(number, (int) (number / largestEvery));
        } else {
          writeOne(number);
        }
        manifest.failIfAnyFailed();
        manifest.printNowAndThen();
      }
      plain.forEach(KafkaProducer::close);
      transactional.forEach(TransactionWriter::close);
      manifest.failIfAnyFailed();
      if (leftOpen != null) {
        endLeftOpen();
      }
    }

    private void writeOne(long number) {
      var record = composer.compose(number, random.nextInt(settings.partitions));
      int bytes = Composer.sizeOf(record);
      if (!transactional.isEmpty() && random.nextDouble() < settings.transactionShare) {
        transactional.get(random.nextInt(2)).write(record, bytes);
      } else {
        plain.get(random.nextInt(CODECS.size())).send(record, manifest.countingAcked(bytes));
      }
    }

    private void writeLargest(long number, int turn) {
      var producer = plain.get(turn % CODECS.size());
      var record = composer.composeLargest(number, (int) (number % settings.partitions),
          turn % CODECS.size() == 0);
      // Alone in its batch: with a neighbour the batch would be over the maximum.
      producer.flush();
      producer.send(record, manifest.countingAcked(Composer.sizeOf(record)));
      producer.flush();
    }

    private void writeAndLeaveOpen() {
      leftOpen = new TransactionWriter(settings, manifest, random, "open", "none", 1);
      int records = 50;
      leftOpen.begin(records + 1);
      for (int i = 0; i < records; i++) {
        // Some partitions only: the others must not be held up by it.
        var record = composer.compose(settings.records + i,
            random.nextInt(Math.max(1, settings.partitions / 4)));
        leftOpen.write(record, Composer.sizeOf(record));
      }
      leftOpen.producer.flush();
      manifest.noteOpen(leftOpen.counts);
    }

    private void endLeftOpen() throws IOException {
      manifest.printOpen();
      var input = new InputStreamReader(System.in, StandardCharsets.UTF_8);
      String word = new BufferedReader(input).readLine();
      boolean isCommitted = "commit".equals(word);
      if (isCommitted) {
        leftOpen.producer.commitTransaction();
      } else {
        leftOpen.producer.abortTransaction();
      }
      leftOpen.producer.close();
      manifest.settleOpen(isCommitted);
    }
  }

  /** Makes records of every awkward kind. Runs on the load's thread only. */
  static final class Composer {
    private static final byte[] EMPTY = {};
    private static final String WORDS =
        "the quick brown relay moves every record over the moat and counts it twice ";
    private static final long DAY_MS = 86_400_000L;

    private final Settings settings;
    private final SplittableRandom random;
    private final long nowMs = System.currentTimeMillis();
    private final byte[] words = WORDS.repeat(2_000).getBytes(StandardCharsets.UTF_8);
    private final byte[] noise = new byte[1 << 20];

    Composer(Settings settings, SplittableRandom random) {
      this.settings = settings;
      this.random = random;
      random.nextBytes(noise);
    }

    ProducerRecord<byte[], byte[]> compose(long number, int partition) {
      byte[] value = value();
      var headers = headers();
      boolean isNumberedByHeader = random.nextInt(10) < 6;
      boolean isNumberedByValue = !isNumberedByHeader && value != null && value.length >= 16;
      long timestamp = timestamp(number);
      if (isNumberedByHeader) {
        headers.add(random.nextInt(headers.size() + 1), numberHeader(number));
      } else if (isNumberedByValue) {
        ByteBuffer.wrap(value).putLong(number);
      } else {
        timestamp = nowMs - 2 * DAY_MS + number;
      }
      return new ProducerRecord<>(settings.topic, partition, timestamp, key(), value, headers);
    }

    /**
     * As large as a batch may be: to the byte without a codec, nearly with one (noise grows a
     * little).
     */
    ProducerRecord<byte[], byte[]> composeLargest(long number, int partition, boolean isExact) {
      byte[] key = "largest".getBytes(StandardCharsets.UTF_8);
      var headers = new ArrayList<Header>(List.of(numberHeader(number)));
      int size = settings.batchBytesMax - 512 - settings.batchBytesMax / 100;
      if (isExact) {
        // The lengths of lengths vary, so the fit is found by trying.
        size = settings.batchBytesMax;
        while (batchSize(key, size, headers) > settings.batchBytesMax) {
          size--;
        }
      }
      return new ProducerRecord<>(settings.topic, partition, timestamp(number), key, noise(size),
          headers);
    }

    private static int batchSize(byte[] key, int valueSize, List<Header> headers) {
      return DefaultRecordBatch.RECORD_BATCH_OVERHEAD
          + DefaultRecord.sizeInBytes(0, 0, key.length, valueSize, headers.toArray(Header[]::new));
    }

    static int sizeOf(ProducerRecord<byte[], byte[]> record) {
      return (record.key() == null ? 0 : record.key().length)
          + (record.value() == null ? 0 : record.value().length);
    }

    private Header numberHeader(long number) {
      return new RecordHeader("drawbridge-test-seq", (settings.run + "/"
          + number).getBytes(StandardCharsets.UTF_8));
    }

    private byte[] key() {
      return switch (random.nextInt(20)) {
        case 0, 1, 2, 3, 4 -> null;
        case 5 -> EMPTY;
        case 6, 7, 8 -> noise(8);
        case 9 -> noise(300);
        case 10 -> new byte[] {0, 0, (byte) 0xFF, 0};
        default -> ("host-" + random.nextInt(1_000)).getBytes(StandardCharsets.UTF_8);
      };
    }

    private byte[] value() {
      int drawn = random.nextInt(1_000);
      if (drawn < 30) {
        return null;
      }
      if (drawn < 80) {
        return EMPTY;
      }
      int size = drawn < 100 ? random.nextInt(1, 16)
          : drawn < 745 ? random.nextInt(16, 500)
          : drawn < 995 ? random.nextInt(500, 4_000)
          : random.nextInt(4_000, Math.min(65_536, settings.batchBytesMax / 2));
      return random.nextBoolean() ? text(size) : noise(size);
    }

    private List<Header> headers() {
      var headers = new ArrayList<Header>();
      int wanted = random.nextInt(4) > 0 ? 0 : random.nextInt(1, 6);
      for (int i = 0; i < wanted; i++) {
        headers.add(switch (random.nextInt(settings.hasOddHeaderNames ? 9 : 7)) {
          case 0 -> new RecordHeader("empty", EMPTY);
          case 1 -> new RecordHeader("null", (byte[]) null);
          case 2 -> new RecordHeader("zero", new byte[] {0, 1, 0, 2, 0});
          case 3, 4 -> new RecordHeader("repeated", noise(random.nextInt(4)));
          case 5 -> new RecordHeader("größe-尺寸", "ja".getBytes(StandardCharsets.UTF_8));
          case 6 -> new RecordHeader("trace-id", noise(16));
          case 7 -> new RecordHeader("", "a header without a name".getBytes(
              StandardCharsets.UTF_8));
          default -> new RecordHeader("zero\0inside", EMPTY);
        });
      }
      return headers;
    }

    private long timestamp(long number) {
      return switch (random.nextInt(10)) {
        case 0, 1 -> nowMs - DAY_MS;
        case 2, 3 -> nowMs - DAY_MS - random.nextLong(3 * DAY_MS);
        case 4 -> nowMs;
        default -> nowMs - DAY_MS + number;
      };
    }

    private byte[] text(int size) {
      return copy(words, size);
    }

    private byte[] noise(int size) {
      return copy(noise, size);
    }

    /** A piece from anywhere in the pool, which is gone through several times for a large one. */
    private byte[] copy(byte[] pool, int size) {
      byte[] bytes = new byte[size];
      for (int filled = 0; filled < size; ) {
        int from = random.nextInt(pool.length - 1);
        int length = Math.min(size - filled, pool.length - from);
        System.arraycopy(pool, from, bytes, filled, length);
        filled += length;
      }
      return bytes;
    }
  }

  // Few keys, many times.

  /**
   * Overwrites the same keys again and again, with a tombstone now and then, so that the cleaner
   * has work.
   */
  static final class Compacted {
    private final Settings settings;
    private final Manifest manifest;

    Compacted(Settings settings, Manifest manifest) {
      this.settings = settings;
      this.manifest = manifest;
    }

    void write() throws Exception {
      var random = new SplittableRandom(settings.seed);
      try (var producer = settings.producer(settings.compression, 16 << 10, null)) {
        for (long number = 0; number < settings.records; number++) {
          byte[] key = ("key-" + random.nextInt(settings.keys)).getBytes(StandardCharsets.UTF_8);
          byte[] value = random.nextInt(20) == 0 ? null : new byte[100 + random.nextInt(400)];
          if (value != null) {
            random.nextBytes(value);
            ByteBuffer.wrap(value).putLong(number);
          }
          List<Header> headers = value != null ? List.of()
              : List.of(new RecordHeader("drawbridge-test-seq", (settings.run + "/"
              + number).getBytes(StandardCharsets.UTF_8)));
          var record = new ProducerRecord<>(settings.topic, (int) (number % settings.partitions),
              null, key, value, headers);
          producer.send(record, manifest.countingAcked(Composer.sizeOf(record)));
          manifest.failIfAnyFailed();
          manifest.printNowAndThen();
        }
      }
      manifest.failIfAnyFailed();
    }
  }

  // Plain bytes, fast.

  /** One producer per thread, each with its share of the partitions. */
  static final class Bench {
    private static final int TURN_RECORDS = 500;
    private static final int POOL = 4_096;

    private final Settings settings;
    private final Manifest manifest;
    private final AtomicLong next = new AtomicLong();

    Bench(Settings settings, Manifest manifest) {
      this.settings = settings;
      this.manifest = manifest;
    }

    void write() throws Exception {
      int threads = Math.min(settings.threads, settings.partitions);
      var pool = Executors.newFixedThreadPool(threads);
      var workers = new ArrayList<Future<?>>();
      for (int thread = 0; thread < threads; thread++) {
        int first = thread;
        workers.add(pool.submit(() -> {
          writeShare(first, threads);
          return null;
        }));
      }
      for (var worker : workers) {
        try {
          worker.get();
        } catch (ExecutionException e) {
          throw new Exception(e.getCause());
        }
      }
      pool.shutdown();
      manifest.failIfAnyFailed();
    }

    /** Takes numbers in turns and writes each turn to one partition, so that its batches fill. */
    private void writeShare(int first, int step) throws Exception {
      byte[][] values = values(new SplittableRandom(settings.seed + first));
      int partition = first;
      try (var producer = settings.producer(settings.compression,
          Math.min(256 << 10, settings.batchBytesMax / 2), null)) {
        for (long from = next.getAndAdd(TURN_RECORDS); from < settings.records; from =
            next.getAndAdd(TURN_RECORDS)) {
          for (long number = from; number < Math.min(from + TURN_RECORDS,
              settings.records); number++) {
            byte[] value = values[(int) (number % POOL)].clone();
            writeNumber(value, number);
            producer.send(new ProducerRecord<>(settings.topic, partition, null, value),
                manifest.countingAcked(value.length));
          }
          manifest.failIfAnyFailed();
          manifest.printNowAndThen();
          partition = partition + step < settings.partitions ? partition + step : first;
        }
      }
    }

    private byte[][] values(SplittableRandom random) {
      byte[][] values = new byte[POOL][];
      for (int i = 0; i < POOL; i++) {
        values[i] = switch (settings.shape) {
          case "json1k" -> flowLog(random).getBytes(StandardCharsets.US_ASCII);
          case "random1000" -> new byte[1000];
          case "random120" -> new byte[120];
          default -> throw new IllegalArgumentException(
              "--shape is json1k, random1000 or random120");
        };
        if (!settings.shape.equals("json1k")) {
          random.nextBytes(values[i]);
        }
      }
      return values;
    }

    /** The number in 16 digits, from byte 7: in JSON that is the value of "id". */
    private static void writeNumber(byte[] value, long number) {
      for (int digit = 22; digit >= 7; digit--) {
        value[digit] = (byte) ('0' + number % 10);
        number /= 10;
      }
    }

    /** A VCN flow log of about 1 KB that compresses as real ones do. */
    private static String flowLog(SplittableRandom random) {
      String vnic = Long.toString(Math.abs(random.nextLong()) % 200 * 7_919 + 1_000_000, 36);
      return "{\"id\":\"0000000000000000\",\"data\":{\"action\":\"ACCEPT\",\"bytesOut\":"
          + random.nextInt(60_000)
          + ",\"destinationAddress\":\"147.154." + random.nextInt(256) + "." + random.nextInt(256)
          + "\",\"destinationPort\":443,"
          + "\"endTime\":" + (1_700_000_000 + random.nextInt(1_000_000)) + ",\"flowid\":\""
          + Integer.toHexString(random.nextInt())
          + "\",\"packets\":" + random.nextInt(60)
          + ",\"protocol\":6,\"protocolName\":\"TCP\",\"sourceAddress\":\"10.0."
          + random.nextInt(4) + "." + random.nextInt(256) + "\",\"sourcePort\":"
          + random.nextInt(32_768, 61_000)
          + ",\"startTime\":" + (1_700_000_000 + random.nextInt(1_000_000))
          + ",\"status\":\"OK\",\"version\":\"2\"},"
          + "\"oracle\":{\"compartmentid\":\"ocid1.compartment.oc1..aaaaaaaa4x7fzqpb2k3m6n5wq\",\"ingestedtime\":\"2025-07-22T08:36:04."
          + random.nextInt(100, 1_000)
          + "Z\",\"loggroupid\":\"ocid1.loggroup.oc1.fra.amaaaaaavcnflow\",\"logid\":\"ocid1.log.oc1.fra.amaaaaaavcnflow2\","
          + "\"tenantid\":\"ocid1.tenancy.oc1..aaaaaaaaq3hulfjvrouw3e6qx2ncxtp256aq7etiabqqtzunnhxjslzkfyxq\",\"vcnOcid\":\"ocid1.vcn.oc1.fra.amaaaaaa" + vnic
          + "\",\"vniccompartmentocid\":\"ocid1.compartment.oc1..aaaaaaaa4x7fzqpb2k3m6n5wq\",\"vnicocid\":\"ocid1.vnic.oc1.fra.abtheljr" + vnic
          + "\",\"vnicsubnetocid\":\"ocid1.subnet.oc1.fra.aaaaaaaa" + vnic
          + "\"},\"source\":\"-\",\"specversion\":\"1.0\",\"subject\":\"-\","
          + "\"time\":\"2025-07-22T08:34:" + random.nextInt(10, 60)
          + ".000Z\",\"type\":\"com.oraclecloud.vcn.flowlogs.DataEvent\"}";
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
