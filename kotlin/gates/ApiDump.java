import java.io.File;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.jetbrains.kotlin.abi.tools.AbiFilters;
import org.jetbrains.kotlin.abi.tools.AbiTools;

/**
 * The public API of a module as text, so that a change of it shows in a diff.
 *
 * <p>usage: java ApiDump.java check|update CLASSES FILE
 */
final class ApiDump {
    public static void main(String[] arguments) throws Exception {
        String mode = arguments[0];
        File classes = new File(arguments[1]);
        Path file = Path.of(arguments[2]);
        AbiTools tools = AbiTools.Companion.getInstance(ApiDump.class.getClassLoader());
        StringBuilder dump = new StringBuilder();
        tools.printJvmDump(dump, classFiles(classes), AbiFilters.Companion.getEMPTY());
        String now = dump.toString();
        String before = Files.exists(file) ? Files.readString(file) : "";
        if (now.equals(before)) {
            return;
        }
        if (mode.equals("update")) {
            Files.createDirectories(file.getParent());
            Files.writeString(file, now);
            return;
        }
        Path current = Files.createTempFile("current", ".api");
        Files.writeString(current, now);
        System.err.println("The public API is not the one of " + file.getFileName() + ":");
        System.err.println(tools.filesDiff(file.toFile(), current.toFile()));
        System.err.println("If that is meant: scripts/test-kotlin --update-api");
        System.exit(1);
    }

    private static List<File> classFiles(File folder) throws Exception {
        try (var paths = Files.walk(folder.toPath())) {
            return paths.filter(path -> path.toString().endsWith(".class")).sorted().map(Path::toFile).toList();
        }
    }
}
