package dev.rowtide;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The same from Java: futures, listeners, blocking SQL. */
class JavaTest {
    private static final String NOTES =
        "CREATE TABLE IF NOT EXISTS notes (id TEXT PRIMARY KEY NOT NULL, title TEXT NOT NULL)";

    @TempDir Path folder;

    private CompletableFuture<JavaClient> open(String name, TestServer server) {
        String token = server.token("ada");
        return RowtideJava.open(folder.resolve(name).toString(), config -> {
            config.server(server.getUrl(), "business");
            config.prepare(NOTES);
            config.table("notes", table -> {
                table.key("id");
                table.setPolicy(ConflictPolicy.Callback);
            });
            config.tokens(reason -> CompletableFuture.completedFuture(token));
            config.resolver(conflicts -> CompletableFuture.completedFuture(
                conflicts.stream().map(conflict -> Decision.KeepLocal.INSTANCE).collect(Collectors.toList())));
        });
    }

    @Test
    void twoDevicesAgreeAndAConflictIsDecided() throws Exception {
        try (TestServer server = new TestServer("b");
            JavaClient a = open("a.db", server).join();
            JavaClient b = open("b.db", server).join()) {
            a.getSql().execute("INSERT INTO notes VALUES (?, ?)", "n1", "from Java");
            a.attach("ada").thenCompose(attached -> a.sync()).join();
            assertEquals(Outcome.Attached.INSTANCE, b.attach("ada").join().getOutcome());
            List<Row> rows = b.getSql().query("SELECT id, title FROM notes");
            assertEquals("from Java", rows.get(0).string("title"));

            BlockingQueue<Long> conflicts = new LinkedBlockingQueue<>();
            a.getSql().execute("UPDATE notes SET title = 'a'");
            b.getSql().execute("UPDATE notes SET title = 'b'");
            a.sync().thenCompose(report -> b.sync()).thenAccept(report -> conflicts.add(report.getConflicts())).join();
            assertEquals(1L, conflicts.take());
            a.sync().join();
            assertEquals("b", a.getSql().query("SELECT title FROM notes").get(0).string(0));
        }
    }

    @Test
    void changesReachAListenerAndFailuresAreTyped() throws Exception {
        try (TestServer server = new TestServer("b"); JavaClient client = open("a.db", server).join()) {
            BlockingQueue<Object> heard = new LinkedBlockingQueue<>();
            try (AutoCloseable listening = client.onTablesChanged(List.of("notes"), heard::add)) {
                assertEquals(java.util.Set.of("notes"), heard.take());
                client.getSql().execute("INSERT INTO notes VALUES ('n1', 'heard')");
                assertEquals(java.util.Set.of("notes"), heard.take());
                assertTrue(listening != null);
            }
            CompletionException failure = assertThrows(CompletionException.class, () -> client.sync().join());
            assertInstanceOf(RowtideException.Attachment.class, failure.getCause());
            assertEquals(1L, client.status().join().getPendingRows());
            assertThrows(RowtideException.Database.class, () -> client.getSql().execute("SELEC"));
        }
    }
}
