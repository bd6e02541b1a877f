package dev.rowtide;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Everything that is public, called from Java: no name of it is Kotlin's own. */
class JavaApiTest {
    private static final String NOTES = "CREATE TABLE IF NOT EXISTS notes "
        + "(id TEXT PRIMARY KEY NOT NULL, title TEXT NOT NULL, stars INTEGER, body BLOB)";

    @TempDir Path folder;

    private String path(String name) {
        return folder.resolve(name + ".db").toString();
    }

    private JavaClient open(String name, TestServer server, Consumer<JavaClientBuilder> more) {
        String token = server.token("ada");
        return RowtideJava.open(path(name), config -> {
            config.server(server.getUrl(), "business");
            config.prepare(NOTES);
            config.tokens(reason -> {
                assertNotNull(TokenReason.valueOf(reason.name()));
                return CompletableFuture.completedFuture(token);
            });
            more.accept(config);
        }).join();
    }

    private static void counted(JavaClientBuilder config) {
        config.table("notes", table -> {
            table.key("id");
            table.merge("stars", ColumnRule.SumOfDeltas);
        });
    }

    @Test
    void statementsBatchesCursorsAndTransactions() {
        RowtideDatabase database = Rowtide.openDatabaseBlocking(path("a"));
        assertFalse(Rowtide.getVersion().isEmpty());
        RowtideJava.executeScript(database, NOTES).join();
        BlockingDatabase sql = database.getBlocking();
        Execution inserted = sql.execute("INSERT INTO notes VALUES (?, ?, ?, ?)", "n1", "one", 1, new byte[] {7});
        assertEquals(1L, inserted.getChangedRows());
        assertEquals(1L, inserted.getLastInsertRowid());
        assertEquals(2L, sql.executeBatch(
            "INSERT INTO notes (id, title) VALUES (?, ?)", List.of(List.of("n2", "two"), List.of("n3", "three"))));

        Rows rows = sql.query("SELECT * FROM notes ORDER BY id");
        assertEquals(List.of("id", "title", "stars", "body"), rows.getColumns());
        Row first = rows.get(0);
        assertEquals(1L, first.asLong("stars"));
        assertEquals(1.0, first.asDouble("stars"));
        assertTrue(first.asBoolean("stars"));
        assertArrayEquals(new byte[] {7}, first.bytes("body"));
        assertEquals("one", first.get("title"));
        assertNull(rows.get(1).longOrNull("stars"));
        assertNull(rows.get(1).doubleOrNull(2));
        assertNull(rows.get(1).bytesOrNull("body"));
        assertTrue(rows.get(1).isNull("body"));
        assertEquals("new", first.with(Map.of("title", "new")).get("title"));
        assertThrows(IllegalStateException.class, () -> first.string("body"));

        try (RowCursor cursor = sql.cursor("SELECT id FROM notes ORDER BY id")) {
            assertTrue(cursor.next());
            assertEquals("n1", cursor.getRow().string(0));
            assertEquals(List.of("id"), cursor.getColumns());
        }
        try (BlockingTransaction transaction = RowtideJava.begin(sql, Duration.ofSeconds(5))) {
            transaction.execute("DELETE FROM notes WHERE id = ?", "n3");
            transaction.executeBatch("UPDATE notes SET stars = ? WHERE id = ?", List.of(List.of(5, "n1")));
            assertEquals(2, transaction.query("SELECT * FROM notes").size());
            try (RowCursor cursor = transaction.cursor("SELECT stars FROM notes WHERE id = 'n1'")) {
                assertTrue(cursor.next());
                assertEquals(5L, cursor.getRow().asLong(0));
            }
            transaction.commit();
        }
        try (BlockingTransaction left = sql.begin()) {
            left.execute("DELETE FROM notes");
        }
        assertEquals(2, sql.query("SELECT * FROM notes").size());
        RowtideJava.migrate(database, "ALTER TABLE notes ADD COLUMN tag TEXT").join();
        assertEquals(5, sql.query("SELECT * FROM notes").getColumns().size());
        database.close();
    }

    @Test
    void aDatabaseOutlivesItsClient() {
        try (TestServer server = new TestServer("b")) {
            RowtideDatabase database = Rowtide.openDatabaseBlocking(path("a"));
            JavaClient client = RowtideJava.connect(database, config -> {
                ClientBuilder options = config.getOptions();
                options.setAnonymousRows(AnonymousRows.Refuse);
                options.setHydrate(Hydrate.Progressive);
                options.setUnknownColumns(UnknownColumns.Keep);
                options.setInstallation("this phone");
                options.setLimits(new TransferLimits(100L, null, null, null, null, null));
                config.server(server.getUrl(), "business");
                config.prepare(NOTES);
                counted(config);
            }).join();
            assertThrows(IllegalStateException.class, database::close);
            client.close();
            assertTrue(RowtideJava.uninstallSync(database).join());
            database.close();
        }
    }

    @Test
    void operationsReportsAndStatus() {
        try (TestServer server = new TestServer("b");
            JavaClient client = open("a", server, JavaApiTest::counted)) {
            assertEquals("b", client.checkServer().join());
            client.getSql().execute("INSERT INTO notes VALUES ('n1', 'one', 1, NULL)");
            assertTrue(client.whyStuck().join().contains("no user is attached"));
            assertEquals(Outcome.Attached.INSTANCE, client.attach("ada").join().getOutcome());
            Report report = client.push().join();
            assertEquals(1L, report.getPushedRows());
            assertEquals(Set.of(), report.getPaused());
            assertEquals(Outcome.NoChange.INSTANCE, client.pull().join().getOutcome());
            assertEquals(1L, client.rebuild().join().getHydratedRows());

            Status status = client.status().join();
            assertEquals(State.Attached, status.getState());
            assertEquals(Health.Well, status.getHealth());
            assertEquals(Connectivity.Unmetered, status.getConnectivity());
            assertEquals("ada", status.getUser());
            SourceInfo source = client.sourceInfo().join();
            assertEquals(status.getSourceId(), source.getSourceId());
            assertTrue(source.getNextSourceBundleId() > 0);

            client.getSql().execute("UPDATE notes SET title = 'unsynced'");
            Outcome blocked = client.detach().join().getOutcome();
            assertEquals(1L, assertInstanceOf(Outcome.BlockedUnsyncedData.class, blocked).getRows());
            Outcome spent = client.syncFor(Duration.ofMinutes(1), 1).join().getOutcome();
            assertTrue(assertInstanceOf(Outcome.BudgetSpent.class, spent).getPendingRows() > 0);
            assertEquals(1L, client.syncFor(Duration.ofMinutes(1)).join().getPushedRows());
            assertEquals(Outcome.Detached.INSTANCE, client.syncThenDetach().join().getOutcome());
        }
    }

    @Test
    void theLoopTakesItsOptions() throws Exception {
        try (TestServer server = new TestServer("b");
            JavaClient client = open("a", server, JavaApiTest::counted)) {
            client.attach("ada").join();
            LoopOptions options = RowtideJava.loopOptions(loop -> {
                loop.debounce(Duration.ofMillis(1));
                loop.pollInterval(Duration.ofHours(1));
                loop.watch(false);
                loop.watchIdle(Duration.ofMinutes(2));
                loop.backoff(Duration.ofSeconds(1), Duration.ofMinutes(1));
                loop.metered(MeteredUse.UploadsOnly);
            });
            assertFalse(options.getWatch());
            assertEquals(MeteredUse.UploadsOnly, options.getMetered());
            BlockingQueue<Status> heard = new LinkedBlockingQueue<>();
            BlockingQueue<Progress> steps = new LinkedBlockingQueue<>();
            RowtideClient loop = client.getClient();
            try (AutoCloseable status = client.onStatus(heard::add);
                AutoCloseable progress = client.onProgress(steps::add)) {
                assertNotNull(status);
                assertNotNull(progress);
                loop.pause(Direction.Downloads);
                loop.setConnectivity(Connectivity.Metered);
                loop.credentialsChanged();
                loop.start(options);
                client.getSql().execute("INSERT INTO notes VALUES ('n1', 'by itself', 1, NULL)");
                Progress step = steps.take();
                assertNotNull(Activity.valueOf(step.getActivity().name()));
                assertNotNull(Phase.valueOf(step.getPhase().name()));
                while (heard.take().getLastSuccessMs() == null || client.status().join().getPendingRows() > 0) {
                    continue;
                }
                loop.resume(Direction.Downloads);
                loop.stop();
            }
        }
    }

    @Test
    void aRefusedRowIsMendedOrGivenUp() {
        try (TestServer server = new TestServer("b");
            JavaClient client = open("a", server, JavaApiTest::counted)) {
            client.attach("ada").join();
            client.getSql().executeBatch("INSERT INTO notes VALUES (?, 'infinite', ?, NULL)",
                List.of(List.of("n1", Double.POSITIVE_INFINITY), List.of("n2", Double.POSITIVE_INFINITY)));
            client.sync().join();
            RefusedRow refused = client.refusedRows().join().get(0);
            assertEquals(RefusedReason.InvalidValue, refused.getReason());
            assertEquals("notes", refused.getTable());
            assertEquals("infinite", refused.getContent().string("title"));
            assertTrue(client.retryRefused("notes", "n1", Map.of("stars", 5)).join());
            assertEquals(1L, client.sync().join().getPushedRows());
            assertTrue(client.discardRefused("notes", "n2").join());
            assertEquals(0L, client.retryRefused().join());
            assertEquals(0L, client.discardRefused().join());
            assertEquals(List.of(), client.refusedRows().join());
        }
    }

    @Test
    void aConflictIsMergedByAResolver() {
        Consumer<JavaClientBuilder> asked = config -> {
            config.table("notes", table -> {
                table.key("id");
                table.setPolicy(ConflictPolicy.Callback);
                table.keepBase();
            });
            config.resolver(conflicts -> {
                RowConflict conflict = conflicts.get(0);
                String both = conflict.getBase().string("title") + conflict.getLocal().string("title")
                    + conflict.getServer().string("title");
                return CompletableFuture.completedFuture(List.of(
                    new Decision.KeepMerged(conflict.getServer().with(Map.of("title", both)))));
            });
        };
        try (TestServer server = new TestServer("b");
            JavaClient a = open("a", server, asked);
            JavaClient b = open("b", server, asked)) {
            a.getSql().execute("INSERT INTO notes VALUES ('n1', '0', 1, NULL)");
            a.attach("ada").thenCompose(attached -> a.sync()).thenCompose(synced -> b.attach("ada")).join();
            a.getSql().execute("UPDATE notes SET title = 'a'");
            b.getSql().execute("UPDATE notes SET title = 'b'");
            a.sync().join();
            assertEquals(1L, b.sync().join().getConflicts());
            assertEquals("0ba", b.getSql().query("SELECT title FROM notes").get(0).string(0));
        }
    }

    @Test
    void aListenerThatThrowsIsLoggedAndGoesOnListening() throws Exception {
        BlockingQueue<String> lines = new LinkedBlockingQueue<>();
        Rowtide.log(LogLevel.Warn, (level, target, message) -> lines.add(level + " " + message));
        try (TestServer server = new TestServer("b");
            JavaClient client = open("a", server, JavaApiTest::counted)) {
            BlockingQueue<Set<String>> heard = new LinkedBlockingQueue<>();
            try (AutoCloseable listening = client.onTablesChanged(List.of("notes"), tables -> {
                heard.add(tables);
                throw new IllegalStateException("not this time");
            })) {
                assertNotNull(listening);
                assertEquals(Set.of("notes"), heard.take());
                assertEquals("Warn a listener of the app failed: not this time", lines.take());
                client.getSql().execute("INSERT INTO notes VALUES ('n1', 'heard', 1, NULL)");
                assertEquals(Set.of("notes"), heard.take());
                assertEquals("Warn a listener of the app failed: not this time", lines.take());
            }
        } finally {
            Rowtide.log(LogLevel.Off, null);
        }
    }

    @Test
    void aProviderWithoutATokenIsTypedByWhatItThrows() {
        try (TestServer server = new TestServer("b")) {
            JavaClient offline = open("a", server, config -> {
                counted(config);
                config.tokens(reason -> CompletableFuture.failedFuture(new TokenUnavailable("no route", null)));
            });
            CompletionException failure = assertThrows(CompletionException.class, () -> offline.attach("ada").join());
            RowtideException.Network network = assertInstanceOf(RowtideException.Network.class, failure.getCause());
            assertTrue(network.isRetryable());
            offline.close();
        }
    }
}
