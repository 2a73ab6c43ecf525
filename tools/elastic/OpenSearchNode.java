// One OpenSearch node from the jars of Maven Central, with the modules that its own distribution has.
// OpenSearchNode CONFIG_FOLDER: reads opensearch.yml there. Ends on SIGTERM.

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.codelibs.opensearch.runner.node.OpenSearchRunnerNode;
import org.opensearch.common.logging.LogConfigurator;
import org.opensearch.common.settings.Settings;
import org.opensearch.env.Environment;
import org.opensearch.node.InternalSettingsPreparer;
import org.opensearch.plugins.Plugin;

public class OpenSearchNode {
    // Without their ending: ...Plugin in OpenSearch 2, ...ModulePlugin in 3.
    static final List<String> MODULES = List.of(
        "org.opensearch.analysis.common.CommonAnalysis",
        "org.opensearch.index.mapper.MapperExtras",
        "org.opensearch.index.reindex.Reindex",
        "org.opensearch.ingest.common.IngestCommon",
        "org.opensearch.painless.Painless",
        "org.opensearch.script.expression.Expression",
        "org.opensearch.script.mustache.Mustache",
        "org.opensearch.search.aggregations.matrix.MatrixAggregation",
        "org.opensearch.transport.Netty4");

    public static void main(String[] words) throws Exception {
        Path config = Path.of(words[0]);
        Map<String, String> home = Map.of("path.home", config.getParent().toString());
        Environment environment =
            InternalSettingsPreparer.prepareEnvironment(Settings.EMPTY, home, config, () -> "glassfs");
        LogConfigurator.registerErrorListener();
        LogConfigurator.setNodeName("glassfs");
        LogConfigurator.configure(environment);
        OpenSearchRunnerNode node = new OpenSearchRunnerNode(environment, modules());
        Runtime.getRuntime().addShutdownHook(new Thread(() -> close(node)));
        node.start();
        Thread.currentThread().join();
    }

    static List<Class<? extends Plugin>> modules() throws ClassNotFoundException {
        List<Class<? extends Plugin>> found = new ArrayList<>();
        for (String module : MODULES) {
            found.add(either(module + "Plugin", module + "ModulePlugin").asSubclass(Plugin.class));
        }
        return found;
    }

    static Class<?> either(String one, String other) throws ClassNotFoundException {
        try {
            return Class.forName(one);
        } catch (ClassNotFoundException absent) {
            return Class.forName(other);
        }
    }

    static void close(OpenSearchRunnerNode node) {
        try {
            node.close();
        } catch (Exception problem) {
            problem.printStackTrace();
        }
    }
}
