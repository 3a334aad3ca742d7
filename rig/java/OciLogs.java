import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.FileReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.time.LocalDateTime;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.errors.InterruptException;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Writes logs as Oracle Cloud Infrastructure would stream them, at a chosen rate, until it is told
 * to stop.
 *
 * <p>Every record carries a number that is dense from 0 per (producer, topic, partition), once as
 * the header {@code drawbridge-test-seq} and once as the CloudEvents attribute {@code
 * drawbridgeseq} of the JSON, both {@code run/producer/topic/partition/number}. What was
 * acknowledged is in the summary, so that whoever reads the far end can say exactly which records
 * are missing or came twice.
 *
 * <p>Prints one JSON line at the start, one per second and one at the end. With {@code --start-ms}
 * time is virtual and the same seed, rate and topics give the same bytes; without it only the times
 * differ.
 */
public class OciLogs {
  public static void main(String[] args) throws Exception {
    var output = System.out;
    // Libraries log to stdout by default; that is for the JSON lines alone.
    System.setOut(System.err);
    var options = new Options(args);
    var settings = new Settings(options);
    options.refuseUnknown();

    var stop = new CountDownLatch(1);
    var printed = new CountDownLatch(1);
    Runtime.getRuntime().addShutdownHook(new Thread(() -> {
      stop.countDown();
      // The JVM halts once its hooks have returned; the summary must be out by then.
      awaitQuietly(printed, settings.flush.plusSeconds(5));
    }));

    var pace = new Pace(settings.rate);
    var finished = new CountDownLatch(settings.producers);
    var writers = new ArrayList<Writer>();
    for (int producer = 0; producer < settings.producers; producer++) {
      writers.add(new Writer(settings, producer, pace, stop, finished));
    }
    if (settings.stopsWithStdin) {
      obeyStdin(pace, stop);
    }
    var report = new Report(settings, writers, output);
    report.printStart();
    for (var writer : writers) {
      writer.start();
    }
    while (!finished.await(1, TimeUnit.SECONDS)) {
      report.printSecond();
      if (stop.getCount() == 0) {
        // A writer that hangs in send() before a dead cluster does not look at the latch.
        writers.forEach(Writer::interruptWriting);
      }
    }
    for (var writer : writers) {
      writer.join();
    }
    boolean isWhole = report.printSummary();
    printed.countDown();
    System.exit(isWhole ? 0 : 1);
  }

  private static void awaitQuietly(CountDownLatch latch, Duration limit) {
    try {
      latch.await(limit.toMillis(), TimeUnit.MILLISECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /**
   * Lines on stdin steer: {@code rate N}; its end stops, so that a generator never outlives its
   * caller.
   */
  private static void obeyStdin(Pace pace, CountDownLatch stop) {
    var thread = new Thread(() -> {
      try (var input = new InputStreamReader(System.in, StandardCharsets.UTF_8);
          var lines = new BufferedReader(input)) {
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
          if (line.startsWith("rate ")) {
            pace.change(Double.parseDouble(line.substring(5).trim()));
          }
        }
      } catch (IOException | NumberFormatException e) {
        System.err.println("stdin: " + e);
      }
      stop.countDown();
    }, "stdin");
    thread.setDaemon(true);
    thread.start();
  }

  /** The kinds of log and their share of the stream. */
  enum Kind {
    FLOW("flow", 0.60), CUSTOM("custom", 0.25), SERVICE("service", 0.10), AUDIT("audit", 0.05);

    final String label;
    final double share;

    Kind(String label, double share) {
      this.label = label;
      this.share = share;
    }

    static Kind of(String label) {
      for (var kind : values()) {
        if (kind.label.equals(label)) {
          return kind;
        }
      }
      throw new IllegalArgumentException("no such kind of log: " + label);
    }
  }

  static final class Settings {
    final Properties client;
    final Map<Kind, List<String>> topics = new TreeMap<>();
    final double rate;
    final Duration duration;
    final long count;
    final long seed;
    final String run;
    final int producers;
    final double badShare;
    final boolean hasBadLarge;
    final boolean isSpreadEven;
    final Long startMs;
    final Duration flush;
    final boolean stopsWithStdin;

    Settings(Options options) throws IOException {
      client = options.properties("properties");
      client.put(ProducerConfig.BOOTSTRAP_SERVERS_CONFIG, options.text("bootstrap", null));
      client.put(ProducerConfig.ACKS_CONFIG, "all");
      client.put(ProducerConfig.ENABLE_IDEMPOTENCE_CONFIG, "true");
      client.put(ProducerConfig.LINGER_MS_CONFIG, options.text("linger-ms", "20"));
      client.put(ProducerConfig.BATCH_SIZE_CONFIG, "65536");
      client.put(ProducerConfig.COMPRESSION_TYPE_CONFIG, options.text("compression", "none"));
      client.put(ProducerConfig.MAX_REQUEST_SIZE_CONFIG, "4194304");
      // A source that is down for minutes must not make the generator give records up: it waits
      // with it.
      client.put(ProducerConfig.MAX_BLOCK_MS_CONFIG, "3600000");
      client.put(ProducerConfig.DELIVERY_TIMEOUT_MS_CONFIG, "3600000");
      // New partitions are written to as soon as they appear.
      client.put(ProducerConfig.METADATA_MAX_AGE_CONFIG, "5000");
      for (String pair : options.text("topics", null).split(",")) {
        int colon = pair.indexOf(':');
        topics.computeIfAbsent(Kind.of(pair.substring(0, colon)), kind -> new ArrayList<>())
            .add(pair.substring(colon + 1));
      }
      rate = Double.parseDouble(options.text("rate", "1000"));
      duration = seconds(options.text("duration", "0"));
      count = Long.parseLong(options.text("count", "0"));
      seed = Long.parseLong(options.text("seed", "1"));
      run = options.text("run", Long.toString(System.currentTimeMillis(), 36));
      producers = Integer.parseInt(options.text("producers", "1"));
      badShare = Double.parseDouble(options.text("bad", "0"));
      hasBadLarge = options.flag("bad-large");
      isSpreadEven = options.text("spread", "skewed").equals("even");
      String start = options.text("start-ms", "");
      startMs = start.isEmpty() ? null : Long.valueOf(start);
      flush = seconds(options.text("flush-seconds", "30"));
      stopsWithStdin = options.flag("until-stdin-closes");
    }

    private static Duration seconds(String text) {
      return Duration.ofMillis((long) (1000 * Double.parseDouble(text)));
    }
  }

  /** The rate that all writers share; 0 is as fast as it goes. Thread-safe. */
  static final class Pace {
    private volatile double rate;

    Pace(double rate) {
      this.rate = rate;
    }

    void change(double recordsPerSecond) {
      rate = recordsPerSecond;
    }

    double rate() {
      return rate;
    }
  }

  /**
   * The numbers of one (producer, topic, partition). Written by the writer and its client's I/O
   * thread.
   */
  static final class Numbering {
    long next;
    final AtomicLong acked = new AtomicLong();
    final AtomicLong bytes = new AtomicLong();
    final List<Long> failed = new ArrayList<>();

    synchronized void fail(long number) {
      failed.add(number);
    }
  }

  /** One producer with its own part of the population, its own numbers and its own thread. */
  static final class Writer extends Thread {
    private final Settings settings;
    private final int producer;
    private final Pace pace;
    private final CountDownLatch stop;
    private final CountDownLatch finished;
    private final KafkaProducer<byte[], byte[]> client;
    private final Composer composer;
    private final Map<String, Integer> partitionCounts = new HashMap<>();
    final Map<String, List<Numbering>> numberings = new TreeMap<>();
    final AtomicLong generated = new AtomicLong();
    volatile String error;
    private long partitionsReadNs;
    private boolean isWriting = true;

    Writer(Settings settings, int producer, Pace pace, CountDownLatch stop,
        CountDownLatch finished) {
      super("producer-" + producer);
      this.settings = settings;
      this.producer = producer;
      this.pace = pace;
      this.stop = stop;
      this.finished = finished;
      client = new KafkaProducer<>(settings.client, new ByteArraySerializer(),
          new ByteArraySerializer());
      composer = new Composer(settings, producer);
      for (var topics : settings.topics.values()) {
        for (String topic : topics) {
          numberings.put(topic, new ArrayList<>());
        }
      }
      readPartitions();
    }

    @Override
    public void run() {
      try {
        write();
      } catch (InterruptException e) {
        error = "stopped while it waited for the cluster";
      } catch (RuntimeException e) {
        error = e.toString();
      }
      endWriting();
      flush();
      client.close(Duration.ZERO);
      finished.countDown();
    }

    synchronized void interruptWriting() {
      if (isWriting) {
        interrupt();
      }
    }

    private synchronized void endWriting() {
      isWriting = false;
      Thread.interrupted();
    }

    private void write() {
      long mine = settings.count == 0 ? Long.MAX_VALUE
          : settings.count / settings.producers
          + (producer < settings.count % settings.producers ? 1 : 0);
      long endNs = settings.duration.isZero() ? Long.MAX_VALUE
          : System.nanoTime() + settings.duration.toNanos();
      double due = 0;
      long beforeNs = System.nanoTime();
      while (mine > 0 && stop.getCount() > 0) {
        long nowNs = System.nanoTime();
        if (nowNs >= endNs) {
          return;
        }
        double rate = pace.rate() / settings.producers;
        // What could not be sent while the client blocked is not made up for beyond a second's
        // worth.
        due = rate <= 0 ? 100 : Math.min(due + rate * (nowNs - beforeNs) / 1e9, Math.max(rate, 1));
        beforeNs = nowNs;
        readPartitionsNowAndThen(nowNs);
        for (; due >= 1 && mine > 0; due--, mine--) {
          send(composer.next());
        }
        if (rate > 0) {
          LockSupport.parkNanos(2_000_000);
        }
      }
    }

    private void send(Entry entry) {
      var topics = settings.topics.get(entry.kind);
      String topic = topics.get(Math.floorMod(entry.entity, topics.size()));
      int count = partitionCounts.get(topic);
      long turn = generated.getAndIncrement();
      long place = settings.isSpreadEven ? turn : spread(entry.entity / topics.size());
      int partition = (int) Math.floorMod(place, (long) count);
      var numbering = numberings.get(topic).get(partition);
      long number = numbering.next++;
      String name = settings.run + "/" + producer + "/" + topic + "/" + partition + "/" + number;
      byte[] value = entry.finish(name);
      List<Header> headers = List.of(new RecordHeader("drawbridge-test-seq",
          name.getBytes(StandardCharsets.UTF_8)));
      Long timestamp = settings.startMs == null ? null : entry.sentMs;
      var record = new ProducerRecord<>(topic, partition, timestamp, entry.key, value, headers);
      try {
        client.send(record, (metadata, failure) -> {
          if (failure == null) {
            numbering.acked.incrementAndGet();
            numbering.bytes.addAndGet(value.length);
          } else {
            numbering.fail(number);
          }
        });
      } catch (InterruptException e) {
        // Thrown before the record was accepted, so no callback will account for its number.
        numbering.fail(number);
        throw e;
      }
    }

    private static long spread(long entity) {
      long mixed = (entity + 1) * 0x9E3779B97F4A7C15L;
      return mixed >>> 33;
    }

    private void readPartitionsNowAndThen(long nowNs) {
      if (nowNs - partitionsReadNs > 1_000_000_000L) {
        readPartitions();
      }
    }

    private void readPartitions() {
      partitionsReadNs = System.nanoTime();
      for (var numbering : numberings.entrySet()) {
        int count = client.partitionsFor(numbering.getKey()).size();
        partitionCounts.put(numbering.getKey(), count);
        synchronized (numbering.getValue()) {
          while (numbering.getValue().size() < count) {
            numbering.getValue().add(new Numbering());
          }
        }
      }
    }

    /**
     * Waits for what is on its way, but not for ever: what is unconfirmed then counts as failed.
     */
    private void flush() {
      var flushing = new Thread(client::flush, "flush-" + producer);
      flushing.setDaemon(true);
      flushing.start();
      try {
        flushing.join(settings.flush.toMillis());
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
      if (flushing.isAlive()) {
        error = "not all records were acknowledged within " + settings.flush;
      }
    }
  }

  /** Turns the writers' counters into JSON lines. */
  static final class Report {
    private final ObjectMapper json = new ObjectMapper();
    private final Settings settings;
    private final List<Writer> writers;
    private final PrintStream output;
    private final long startNs = System.nanoTime();
    private long ackedBefore;
    private long beforeNs = startNs;

    Report(Settings settings, List<Writer> writers, PrintStream output) {
      this.output = output;
      this.settings = settings;
      this.writers = writers;
    }

    void printStart() throws IOException {
      print(json.createObjectNode().put("event", "start").put("run", settings.run)
          .put("seed", settings.seed)
          .put("producers", settings.producers));
    }

    void printSecond() throws IOException {
      long nowNs = System.nanoTime();
      var line = totals("second");
      long acked = line.get("acked").asLong();
      line.put("acked_per_second", Math.round((acked - ackedBefore) * 1e9 / (nowNs - beforeNs)));
      ackedBefore = acked;
      beforeNs = nowNs;
      var topics = line.putObject("topics");
      for (var writer : writers) {
        writer.numberings.forEach((topic, numberings) -> {
          synchronized (numberings) {
            long sum = numberings.stream().mapToLong(numbering -> numbering.acked.get()).sum();
            topics.put(topic, topics.path(topic).asLong() + sum);
          }
        });
      }
      print(line);
    }

    /** True if every record that was made was also acknowledged. */
    boolean printSummary() throws IOException {
      var line = totals("summary");
      line.put("run", settings.run).put("seed", settings.seed).put("producers", settings.producers);
      line.put("acked_per_second",
          Math.round(line.get("acked").asLong() * 1e9 / (System.nanoTime() - startNs)));
      ArrayNode errors = line.putArray("errors");
      ArrayNode partitions = line.putArray("partitions");
      for (var writer : writers) {
        if (writer.error != null) {
          errors.add(writer.getName() + ": " + writer.error);
        }
        writer.numberings.forEach((topic, numberings) -> {
          for (int partition = 0; partition < numberings.size(); partition++) {
            partitions.add(row(writer.producer, topic, partition, numberings.get(partition)));
          }
        });
      }
      print(line);
      return errors.isEmpty() && line.get("acked").asLong() == line.get("generated").asLong();
    }

    private ObjectNode row(int producer, String topic, int partition, Numbering numbering) {
      var row = json.createObjectNode().put("producer", producer).put("topic", topic)
          .put("partition", partition)
          .put("numbered", numbering.next).put("acked", numbering.acked.get());
      synchronized (numbering) {
        numbering.failed.forEach(row.putArray("failed")::add);
      }
      return row;
    }

    private ObjectNode totals(String event) {
      long generated = 0;
      long acked = 0;
      long failed = 0;
      long bytes = 0;
      for (var writer : writers) {
        generated += writer.generated.get();
        for (var numberings : writer.numberings.values()) {
          synchronized (numberings) {
            for (var numbering : numberings) {
              acked += numbering.acked.get();
              bytes += numbering.bytes.get();
              synchronized (numbering) {
                failed += numbering.failed.size();
              }
            }
          }
        }
      }
      return json.createObjectNode().put("event", event)
          .put("seconds", (System.nanoTime() - startNs) / 1_000_000 / 1000.0)
          .put("generated", generated).put("acked", acked).put("failed", failed)
          .put("bytes", bytes);
    }

    private void print(ObjectNode line) throws IOException {
      output.println(json.writeValueAsString(line));
      output.flush();
    }
  }

  /** One log entry, complete but for its number. */
  static final class Entry {
    Kind kind;
    byte[] key;
    int entity;
    long sentMs;
    boolean isBrokenUtf8;
    final StringBuilder text = new StringBuilder(8192);

    byte[] finish(String name) {
      text.append(",\"drawbridgeseq\":\"").append(name).append("\"}");
      byte[] bytes = text.toString().getBytes(StandardCharsets.UTF_8);
      if (isBrokenUtf8) {
        int at = text.indexOf("%BROKEN%");
        bytes[at] = (byte) 0xC3;
        bytes[at + 1] = (byte) 0x28;
        bytes[at + 2] = (byte) 0xFF;
      }
      return bytes;
    }
  }

  /**
   * Makes entries of all kinds from one stream of random numbers. Runs on its writer's thread only.
   */
  static final class Composer {
    private static final int VNICS = 200;
    private static final int HOSTS = 40;
    private static final String TENANCY = "ocid1.tenancy.oc1..aaaaaaaaq3hulfjvrouw3e6qx2ncxtp256aq7etiabqqtzunnhxjslzkfyxq";
    private static final String REGION = "eu-frankfurt-1";

    private final Settings settings;
    private final int producer;
    private final SplittableRandom random;
    private final Zipf vnics;
    private final Zipf hosts;
    private final double[] kindBounds = new double[Kind.values().length];
    private final long[] flowSeenMs;
    private final String[] flowIds;
    private final int[] flowWindowsLeft;
    private final IsoTime isoTime = new IsoTime();
    private final Entry entry = new Entry();
    private StringBuilder out;
    private long made;
    private long nowMs;
    private long idleMinute;
    private int idleNext;

    Composer(Settings settings, int producer) {
      this.settings = settings;
      this.producer = producer;
      random = new SplittableRandom(settings.seed * 1_000_003 + producer);
      // Each producer logs for VNICs and hosts of its own, as agents do.
      vnics = new Zipf(Math.max(1, VNICS / settings.producers));
      hosts = new Zipf(Math.max(1, HOSTS / settings.producers));
      flowSeenMs = new long[vnics.size()];
      flowIds = new String[vnics.size()];
      flowWindowsLeft = new int[vnics.size()];
      idleNext = vnics.size();
      double sum = 0;
      for (var kind : Kind.values()) {
        sum += settings.topics.containsKey(kind) ? kind.share : 0;
        kindBounds[kind.ordinal()] = sum;
      }
    }

    /** The next entry; the object is used again by the call after. */
    Entry next() {
      nowMs = settings.startMs == null ? System.currentTimeMillis()
          : settings.startMs
          + (long) (made * 1000.0 * settings.producers / Math.max(settings.rate, 1));
      made++;
      entry.text.setLength(0);
      entry.key = null;
      entry.isBrokenUtf8 = false;
      entry.sentMs = nowMs;
      out = entry.text;
      int idle = settings.topics.containsKey(Kind.FLOW) ? nextIdleVnic() : -1;
      if (idle >= 0) {
        entry.kind = Kind.FLOW;
        flowWithoutData(idle);
        return entry;
      }
      entry.kind = drawKind();
      boolean isBad = settings.badShare > 0 && random.nextDouble() < settings.badShare;
      switch (entry.kind) {
        case FLOW -> flow(isBad);
        case CUSTOM -> custom(isBad);
        case SERVICE -> service(isBad);
        case AUDIT -> audit(isBad);
      }
      return entry;
    }

    private Kind drawKind() {
      double drawn = random.nextDouble() * kindBounds[kindBounds.length - 1];
      for (var kind : Kind.values()) {
        if (drawn < kindBounds[kind.ordinal()]) {
          return kind;
        }
      }
      throw new AssertionError("the shares do not add up");
    }

    // VCN flow.

    private void flow(boolean isBad) {
      int local = vnics.draw(random);
      int vnic = local * settings.producers + producer;
      entry.entity = vnic;
      flowSeenMs[local] = nowMs;
      // A long flow keeps its id over several one-minute windows.
      if (flowWindowsLeft[local] > 0) {
        flowWindowsLeft[local]--;
      } else {
        flowIds[local] = hex(8);
        flowWindowsLeft[local] = random.nextInt(10) < 3 ? random.nextInt(1, 6) : 0;
      }
      long endS = nowMs / 1000 - random.nextInt(70, 86);
      boolean isTcp = random.nextInt(10) < 8;
      out.append("{\"data\":{\"action\":\"").append(random.nextInt(100) < 2 ? "REJECT" : "ACCEPT")
          .append("\",\"bytesOut\":").append(40 + random.nextInt(60_000))
          .append(",\"destinationAddress\":\"");
      address(true);
      out.append("\",\"destinationPort\":");
      if (isBad) {
        out.append("\"https\"");
      } else {
        out.append(pick(443, 443, 443, 80, 22, 1522, 53, 6443, 9092));
      }
      out.append(",\"endTime\":").append(endS).append(",\"flowid\":\"").append(flowIds[local])
          .append("\",\"packets\":").append(random.nextInt(1, 60)).append(",\"protocol\":")
          .append(isTcp ? 6 : 17)
          .append(",\"protocolName\":\"").append(isTcp ? "TCP" : "UDP")
          .append("\",\"sourceAddress\":\"10.0.")
          .append(vnic / 50).append('.').append(2 + vnic % 250).append("\",\"sourcePort\":")
          .append(random.nextInt(32_768, 61_000)).append(",\"startTime\":")
          .append(endS - random.nextInt(1, 60))
          .append(",\"status\":\"OK\",\"version\":\"2\"},\"id\":\"").append(flowIds[local])
          .append("\",");
      flowOrigin(vnic, endS, "DataEvent");
    }

    /**
     * The next VNIC that was idle through the whole last minute, or -1: each gets one NODATA a
     * minute.
     */
    private int nextIdleVnic() {
      long minute = nowMs / 60_000;
      if (minute != idleMinute) {
        idleNext = idleMinute == 0 ? vnics.size() : 0;
        idleMinute = minute;
      }
      while (idleNext < vnics.size()) {
        int local = idleNext++;
        if (flowSeenMs[local] < nowMs - 60_000) {
          return local;
        }
      }
      return -1;
    }

    private void flowWithoutData(int local) {
      int vnic = local * settings.producers + producer;
      entry.entity = vnic;
      long endS = nowMs / 1000 - 75;
      boolean isSkipped = random.nextInt(50) == 0;
      out.append("{\"data\":{\"action\":null,\"bytesOut\":null,\"destinationAddress\":null,\"destinationPort\":null,")
          .append("\"endTime\":").append(endS)
          .append(",\"flowid\":null,\"packets\":null,\"protocol\":null,")
          .append("\"protocolName\":null,\"sourceAddress\":null,\"sourcePort\":null,\"startTime\":")
          .append(endS - 60)
          .append(",\"status\":\"").append(isSkipped ? "SKIPDATA" : "NODATA")
          .append("\",\"version\":\"2\"},\"id\":\"")
          .append(hex(8)).append("\",");
      flowOrigin(vnic, endS, isSkipped ? "QualityEvent.SkipData" : "QualityEvent.NoData");
    }

    private void flowOrigin(int vnic, long endS, String type) {
      out.append("\"oracle\":{");
      origin("fra", "vcnflow");
      if (vnic % 4 == 0) {
        // A service manages this VNIC: only then the log names the resource.
        out.append(",\"managed\":\"true\",\"publicIpv4\":\"150.136.").append(vnic % 256).append('.')
            .append(vnic % 200)
            .append("\",\"resourceId\":\"");
        ocid("networkloadbalancer", vnic);
        out.append("\",\"resourceType\":\"networkloadbalancer\"");
      }
      out.append(",\"vcnOcid\":\"");
      ocid("vcn", vnic / 50);
      out.append("\",\"vniccompartmentocid\":\"");
      ocid("compartment", vnic % 5);
      out.append("\",\"vnicocid\":\"");
      ocid("vnic", vnic);
      out.append("\",\"vnicsubnetocid\":\"");
      ocid("subnet", vnic / 20);
      out.append("\"},\"source\":\"-\",\"specversion\":\"1.0\",\"subject\":\"-\",\"time\":\"");
      isoTime.append(out, endS * 1000);
      out.append("\",\"type\":\"com.oraclecloud.vcn.flowlogs.").append(type).append('"');
    }

    // Custom logs of hosts.

    private void custom(boolean isBad) {
      int host = hosts.draw(random) * settings.producers + producer;
      entry.entity = host;
      entry.key = ("web-" + host).getBytes(StandardCharsets.UTF_8);
      long timeMs = nowMs - random.nextInt(800, 4_301);
      int app = random.nextInt(3);
      String path = switch (app) {
        case 0 -> "/var/log/nginx/access.log";
        case 1 -> "/var/log/secure";
        default -> "/opt/shop/logs/orders.log";
      };
      out.append("{\"data\":{\"message\":\"");
      if (isBad) {
        badMessage();
      } else {
        customMessage(app, timeMs);
      }
      out.append("\",\"tailed_path\":\"").append(path).append("\"},\"id\":\"");
      uuid();
      out.append("\",\"oracle\":{");
      origin("fra", "custom");
      out.append(",\"instanceid\":\"");
      ocid("instance", host);
      out.append("\"},\"source\":\"web-").append(host)
          .append("\",\"specversion\":\"1.0\",\"subject\":\"").append(path)
          .append("\",\"time\":\"");
      isoTime.append(out, timeMs);
      out.append("\",\"type\":\"com.oraclecloud.logging.custom.application\"");
    }

    private void customMessage(int app, long timeMs) {
      switch (app) {
        case 0 -> {
          address(true);
          out.append(" - - [");
          isoTime.append(out, timeMs);
          out.append("] \\\"").append(pick("GET", "GET", "GET", "POST", "PUT")).append(" /shop/v1/")
              .append(pick("items", "cart", "orders", "users", "search?q=%C3%BCber")).append('/')
              .append(random.nextInt(100_000)).append(" HTTP/1.1\\\" ")
              .append(pick(200, 200, 200, 201, 304, 404, 500))
              .append(' ').append(random.nextInt(20_000))
              .append(" \\\"-\\\" \\\"Mozilla/5.0 (X11; Linux x86_64)\\\" ")
              .append(random.nextInt(2_000) / 1000.0);
        }
        case 1 -> {
          out.append("sshd[").append(random.nextInt(1_000, 32_000))
              .append("]: Failed password for invalid user ")
              .append(pick("admin", "oracle", "root", "test", "jürgen")).append(" from ");
          address(true);
          out.append(" port ").append(random.nextInt(1_024, 65_536)).append(" ssh2");
        }
        default -> {
          out.append("WARN  [worker-").append(random.nextInt(16)).append("] OrderService: payment ")
              .append(hex(16))
              .append(" retried ").append(random.nextInt(1, 5)).append(" times\\n");
          for (int line = random.nextInt(2, 14); line > 0; line--) {
            out.append("\\tat com.example.shop.").append(pick("orders", "payments", "stock"))
                .append(".Handler$")
                .append(random.nextInt(9)).append(".invoke(Handler.java:")
                .append(random.nextInt(20, 900)).append(")\\n");
          }
        }
      }
    }

    private void badMessage() {
      int drawn = random.nextInt(settings.hasBadLarge ? 3 : 2);
      if (drawn == 0) {
        entry.isBrokenUtf8 = true;
        out.append("bytes of a latin-1 terminal: %BROKEN%");
      } else if (drawn == 1) {
        out.append("\",\"nested\":").append("[".repeat(1001)).append("]".repeat(1001))
            .append(",\"more\":\"");
      } else {
        out.append("core dump follows ");
        while (out.length() < 1_500_000) {
          out.append(hex(16));
        }
      }
    }

    // Service logs.

    private void service(boolean isBad) {
      int which = random.nextInt(10);
      entry.entity = random.nextInt(12);
      long timeMs = nowMs - random.nextInt(800, 4_301);
      String type;
      String source;
      out.append("{\"data\":{");
      if (which < 6) {
        type = "functions.application.functioninvoke";
        source = "shop-functions";
        out.append("\"applicationId\":\"");
        ocid("fnapp", entry.entity);
        out.append("\",\"containerId\":\"n/a\",\"functionId\":\"");
        ocid("fnfunc", entry.entity);
        out.append("\",\"message\":\"resized image ").append(random.nextInt(1_000_000))
            .append(" in ")
            .append(random.nextInt(900)).append(" ms\",\"opcRequestId\":\"/").append(hex(16))
            .append('/').append(hex(16))
            .append("\",\"requestId\":\"/").append(hex(16)).append('/').append(hex(16))
            .append("\",\"src\":\"stdout\"");
      } else if (which < 9) {
        type = "networkfirewall.traffic";
        source = "edge-firewall";
        out.append("\"action\":\"").append(pick("allow", "allow", "drop"))
            .append("\",\"device_name\":\"PA-VM\",\"dport\":");
        // The same notion is a string here and an integer in flow logs: a trap that real indices
        // have.
        out.append(isBad ? "443" : "\"" + pick(443, 80, 22) + "\"").append(",\"dst\":\"");
        address(false);
        out.append("\",\"firewall-id\":\"");
        ocid("networkfirewall", 0);
        out.append("\",\"proto\":\"tcp\",\"src\":\"");
        address(true);
        out.append('"');
      } else {
        type = "goldengate.deployment.restapi_logs";
        source = "replication";
        out.append("\"message\":\"GET /services/v2/deployments ").append(pick(200, 200, 401))
            .append("\",\"duration\":")
            .append(random.nextInt(5_000));
      }
      out.append("},\"id\":\"");
      uuid();
      out.append("\",\"oracle\":{");
      origin("fra", "service");
      out.append("},\"source\":\"").append(source)
          .append("\",\"specversion\":\"1.0\",\"subject\":\"schedule\",\"time\":\"");
      isoTime.append(out, timeMs);
      out.append("\",\"type\":\"com.oraclecloud.").append(type).append('"');
    }

    // Audit.

    private void audit(boolean isBad) {
      entry.entity = random.nextInt(1 << 20);
      long timeMs = nowMs - random.nextInt(5_000, 7_001);
      String event =
          pick("computeapi.LaunchInstance.begin", "computeapi.LaunchInstance.end", "virtualNetwork.UpdateVnic",
          "bastion.ListSessions", "queueapi.CreateQueue.begin", "Audit.ListEvents");
      String name = event.substring(event.indexOf('.') + 1);
      String user = pick("jane", "omar", "terraform", "svc-backup", "mei");
      String request = hex(32).toUpperCase();
      out.append("{\"data\":{\"additionalDetails\":{\"X-Real-Port\":")
          .append(isBad ? "\"unknown\"" : random.nextInt(1_024, 65_536))
          .append("},\"availabilityDomain\":\"AD").append(random.nextInt(1, 4))
          .append("\",\"compartmentId\":\"");
      ocid("compartment", random.nextInt(5));
      out.append("\",\"compartmentName\":\"prod\",\"definedTags\":");
      out.append(random.nextInt(4) == 0 ? "{\"Oracle-Tags\":{\"CreatedBy\":\"" + user
          + "\",\"CostCenter\":\"42\"}}" : "null");
      out.append(",\"freeformTags\":null,\"eventGroupingId\":\"").append(request)
          .append("\",\"eventName\":\"").append(name)
          .append("\",\"identity\":{\"authType\":\"natv\",\"callerId\":null,\"callerName\":null,\"consoleSessionId\":null,")
          .append("\"credentials\":\"").append(TENANCY).append('/');
      ocid("user", user.length());
      out.append("/").append(hex(32)).append("\",\"ipAddress\":\"");
      address(true);
      out.append("\",\"principalId\":\"");
      ocid("user", user.length());
      out.append("\",\"principalName\":\"").append(user).append("\",\"tenantId\":\"")
          .append(TENANCY)
          .append("\",\"userAgent\":\"Oracle-JavaSDK/3.63.2 (Linux/5.15.0; Java/17.0.9; OpenJDK 64-Bit Server VM)\"},")
          .append("\"message\":\"").append(name)
          .append(" succeeded\",\"request\":{\"action\":\"GET\",\"headers\":{");
      auditHeaders();
      out.append("},\"id\":\"").append(request).append('/').append(hex(32).toUpperCase())
          .append("\",\"parameters\":{\"compartmentId\":[\"");
      ocid("compartment", random.nextInt(5));
      out.append("\"],\"startTime\":[\"");
      isoTime.append(out, timeMs - 3_600_000);
      out.append("\"]},\"path\":\"/20190901/").append(name)
          .append("\"},\"resourceId\":null,\"response\":{\"headers\":{")
          .append("\"Content-Type\":[\"application/json\"],\"opc-request-id\":[\"").append(request)
          .append("\"],\"Date\":[\"Tue, 22 Jul 2025 08:35:57 GMT\"],\"X-Content-Type-Options\":[\"nosniff\"]},")
          .append("\"message\":null,\"payload\":{},\"responseTime\":\"");
      isoTime.append(out, timeMs + 1);
      out.append("\",\"status\":\"").append(pick("200", "200", "200", "404", "409"))
          .append("\"},\"stateChange\":{\"current\":");
      if (random.nextInt(3) == 0) {
        out.append("null");
      } else {
        auditState(random.nextInt(6, 14));
      }
      out.append(",\"previous\":null}},\"dataschema\":\"2.0\",\"id\":\"");
      uuid();
      out.append("\",\"oracle\":{\"compartmentid\":\"").append(TENANCY)
          .append("\",\"ingestedtime\":\"");
      isoTime.append(out, nowMs);
      out.append("\",\"loggroupid\":\"_Audit\",\"tenantid\":\"").append(TENANCY)
          .append("\"},\"source\":\"\",\"specversion\":\"1.0\",\"time\":\"");
      isoTime.append(out, timeMs);
      out.append("\",\"type\":\"com.oraclecloud.").append(event).append('"');
    }

    private void auditHeaders() {
      out.append("\"Authorization\":[\"Signature headers=\\\"date (request-target) host\\\",keyId=\\\"").append(TENANCY).append('/');
      ocid("user", 7);
      out.append('/').append(hex(32))
          .append("\\\",algorithm=\\\"rsa-sha256\\\",signature=\\\"*****\\\",version=\\\"1\\\"\"],")
          .append("\"User-Agent\":[\"Oracle-JavaSDK/3.63.2\"],\"Accept\":[\"application/json\"],\"Accept-Encoding\":[\"gzip\"],")
          .append("\"opc-client-info\":[\"Oracle-JavaSDK/3.63.2\"],\"opc-request-id\":[\"")
          .append(hex(32).toUpperCase())
          .append("\"],\"X-Forwarded-For\":[\"");
      address(true);
      out.append("\"],\"oci-original-url\":[\"https://iaas.").append(REGION)
          .append(".oraclecloud.com/20160918/instances?limit=100\"]");
    }

    private void auditState(int tags) {
      out.append("{\"displayName\":\"web-").append(random.nextInt(HOSTS))
          .append("\",\"lifecycleState\":\"PROVISIONING\",\"metadata\":{");
      for (int tag = 0; tag < tags; tag++) {
        // With its number: an object that names a member twice is refused by search engines.
        out.append(tag == 0 ? "" : ",").append("\"label-").append(tag).append('-').append(hex(4))
            .append("\":\"")
            .append(hex(16)).append(hex(16)).append('"');
      }
      out.append("}}");
    }

    // Pieces.

    private void origin(String region, String group) {
      out.append("\"compartmentid\":\"");
      ocid("compartment", group.length());
      out.append("\",\"ingestedtime\":\"");
      isoTime.append(out, nowMs);
      out.append("\",\"loggroupid\":\"ocid1.loggroup.oc1.").append(region).append(".amaaaaaa")
          .append(group)
          .append("\",\"logid\":\"ocid1.log.oc1.").append(region).append(".amaaaaaa").append(group)
          .append("2\",\"tenantid\":\"")
          .append(TENANCY).append('"');
    }

    private void ocid(String type, int number) {
      out.append("ocid1.").append(type).append(".oc1.").append(REGION).append(".aaaaaaaa");
      long digits = (number + 1L) * 0x9E3779B97F4A7C15L;
      for (int i = 0; i < 12; i++) {
        out.append((char) ('a' + (digits >>> (5 * i) & 15)));
      }
    }

    private void address(boolean isPublic) {
      out.append(isPublic ? pick("147.154", "18.118", "203.0", "198.51", "150.136") : "10.0")
          .append('.')
          .append(random.nextInt(256)).append('.').append(random.nextInt(1, 255));
    }

    private void uuid() {
      out.append(hex(8)).append('-').append(hex(4)).append("-4").append(hex(3)).append("-a")
          .append(hex(3)).append('-').append(hex(12));
    }

    private String hex(int digits) {
      var text = new StringBuilder(digits);
      while (text.length() < digits) {
        long drawn = random.nextLong();
        for (int i = 0; i < 16 && text.length() < digits; i++, drawn >>>= 4) {
          text.append(Character.forDigit((int) (drawn & 15), 16));
        }
      }
      return text.toString();
    }

    @SafeVarargs
    private <T> T pick(T... choices) {
      return choices[random.nextInt(choices.length)];
    }
  }

  /** Draws ranks of which the first are by far the most frequent. */
  static final class Zipf {
    private final double[] bounds;

    Zipf(int size) {
      bounds = new double[size];
      double sum = 0;
      for (int rank = 0; rank < size; rank++) {
        sum += 1.0 / (rank + 1);
        bounds[rank] = sum;
      }
    }

    int size() {
      return bounds.length;
    }

    int draw(SplittableRandom random) {
      int at = java.util.Arrays.binarySearch(bounds,
          random.nextDouble() * bounds[bounds.length - 1]);
      return Math.min(at < 0 ? -at - 1 : at, bounds.length - 1);
    }
  }

  /** ISO 8601 with milliseconds; keeps the last seconds' text, since most entries share them. */
  static final class IsoTime {
    private final long[] seconds = new long[256];
    private final String[] texts = new String[256];

    void append(StringBuilder out, long ms) {
      long second = Math.floorDiv(ms, 1000L);
      int slot = (int) (second & 255);
      if (texts[slot] == null || seconds[slot] != second) {
        seconds[slot] = second;
        texts[slot] = String.format("%tFT%<tT.",
            LocalDateTime.ofInstant(Instant.ofEpochSecond(second), ZoneOffset.UTC));
      }
      int rest = (int) (ms - second * 1000);
      out.append(texts[slot]).append((char) ('0' + rest / 100))
          .append((char) ('0' + rest / 10 % 10))
          .append((char) ('0' + rest % 10)).append('Z');
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
