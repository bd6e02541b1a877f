package dev.rowtide.test;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.rowtide.JavaClient;
import dev.rowtide.RowtideJava;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The test server in an app's tests in Java. */
class JavaTest {
    @TempDir Path folder;

    private JavaClient open(TestServer server) {
        return RowtideJava.open(folder.resolve("a.db").toString(), config -> {
            config.server(server.getUrl(), "business");
            config.prepare("CREATE TABLE IF NOT EXISTS notes (id TEXT PRIMARY KEY NOT NULL, title TEXT NOT NULL)");
            config.table("notes", table -> table.key("id"));
            config.tokens(reason -> CompletableFuture.completedFuture(server.tokenExpiringIn("ada", Duration.ofHours(1))));
        }).join();
    }

    @Test
    void aServerFailsAsItIsToldAndTheClientGetsThere() {
        try (TestServer server = TestServer.start(Map.of("notes", "id"));
            JavaClient client = open(server)) {
            server.putRows("ada", "notes", "[{\"id\": \"n1\", \"title\": \"seed\"}]");
            client.attach("ada").join();
            client.getSql().execute("INSERT INTO notes VALUES ('n2', 'from Java')");
            Fault late = new Fault.Delay(Duration.ofMillis(1));
            Fault busy = new Fault.AnswerRetryAfter(429, Duration.ofSeconds(7));
            server.failNext(Endpoint.PUSH_CREATE, late);
            server.fail(Endpoint.PUSH_CHUNK, 0, 1, busy);
            assertEquals(1L, client.push().join().getPushedRows());
            assertEquals(
                List.of(new StruckFault(Endpoint.PUSH_CREATE, late), new StruckFault(Endpoint.PUSH_CHUNK, busy)),
                server.takeStruck());
            server.failNext(Endpoint.PUSH_COMMIT, new Fault.Answer(500, "{}"));
            server.heal();
            // The token has expired on the server's clock, and is asked for anew.
            server.advance(Duration.ofHours(2));
            client.getSql().execute("INSERT INTO notes VALUES ('n3', 'later')");
            assertEquals(1L, client.sync().join().getPushedRows());
            assertEquals("[{\"id\":\"n1\",\"title\":\"seed\"},{\"id\":\"n2\",\"title\":\"from Java\"},"
                + "{\"id\":\"n3\",\"title\":\"later\"}]",
                server.rows("ada", "notes"));
        }
    }

    @Test
    void whatCannotBeIsRefusedAndABackupIsPutBack() {
        try (TestServer server = TestServer.start(Map.of("notes", "id"), WireGeneration.A, TestStore.FILE)) {
            assertThrows(TestServerException.class, () -> server.rows("ada", "nowhere"));
            server.putRows("ada", "notes", "[{\"id\": \"n1\", \"title\": \"kept\"}]");
            try (Backup backup = server.backup()) {
                server.reset();
                assertEquals("[]", server.rows("ada", "notes"));
                server.restore(backup);
            }
            assertEquals("[{\"id\":\"n1\",\"title\":\"kept\"}]", server.rows("ada", "notes"));
        }
    }
}
