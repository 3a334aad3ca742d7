import java.io.FileReader;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.TimeUnit;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.env.Environment;
import org.elasticsearch.index.mapper.MapperExtrasPlugin;
import org.elasticsearch.index.reindex.ReindexPlugin;
import org.elasticsearch.ingest.common.IngestCommonPlugin;
import org.elasticsearch.node.InternalSettingsPreparer;
import org.elasticsearch.node.Node;
import org.elasticsearch.painless.PainlessPlugin;
import org.elasticsearch.plugins.Plugin;
import org.elasticsearch.transport.Netty4Plugin;

/**
 * Runs one node of Elasticsearch in this process, until SIGTERM.
 *
 * <p>The only argument is a properties file with the node's settings.
 */
public class SearchNode extends Node {
  private static final List<Class<? extends Plugin>> MODULES = List.of(Netty4Plugin.class,
      IngestCommonPlugin.class, PainlessPlugin.class, MapperExtrasPlugin.class,
      ReindexPlugin.class);

  private SearchNode(Environment environment) {
    super(environment, MODULES, true);
  }

  public static void main(String[] args) throws Exception {
    Thread.setDefaultUncaughtExceptionHandler(SearchNode::dieOfErrors);
    var settings = new Properties();
    try (var reader = new FileReader(args[0], StandardCharsets.UTF_8)) {
      settings.load(reader);
    }
    var builder = Settings.builder();
    settings.forEach((name, value) -> builder.put((String) name, (String) value));
    var node = new SearchNode(InternalSettingsPreparer.prepareEnvironment(builder.build(), Map.of(),
        null, () -> "rig"));
    Runtime.getRuntime().addShutdownHook(new Thread(() -> close(node)));
    node.start();
    // All threads of the node are daemons.
    Thread.currentThread().join();
  }

  /** As the engine's own launcher does: a stack that overflows takes the node with it. */
  private static void dieOfErrors(Thread thread, Throwable error) {
    System.err.println("uncaught in " + thread.getName());
    error.printStackTrace();
    if (error instanceof Error) {
      Runtime.getRuntime().halt(126);
    }
  }

  private static void close(Node node) {
    try {
      node.close();
      node.awaitClose(20, TimeUnit.SECONDS);
    } catch (Exception e) {
      e.printStackTrace();
    }
  }
}
