import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import java.util.zip.ZipInputStream;

/**
 * Unpacks the classes of all AARs of a folder.
 *
 * <p>usage: java AarClasses.java AARS CLASSES
 */
final class AarClasses {
    public static void main(String[] arguments) throws IOException {
        List<Path> aars;
        try (var files = Files.list(Path.of(arguments[0]))) {
            aars = files.sorted().toList();
        }
        for (Path aar : aars) {
            try (ZipFile zip = new ZipFile(aar.toFile())) {
                ZipEntry classes = zip.getEntry("classes.jar");
                if (classes != null) {
                    unpack(zip.getInputStream(classes), Path.of(arguments[1]));
                }
            }
        }
    }

    private static void unpack(InputStream jar, Path folder) throws IOException {
        try (ZipInputStream entries = new ZipInputStream(jar)) {
            for (ZipEntry entry = entries.getNextEntry(); entry != null; entry = entries.getNextEntry()) {
                Path file = folder.resolve(entry.getName()).normalize();
                if (!entry.isDirectory() && file.startsWith(folder) && !Files.exists(file)) {
                    Files.createDirectories(file.getParent());
                    Files.copy(entries, file);
                }
            }
        }
    }
}
