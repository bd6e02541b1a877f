package dev.rowtide

import kotlinx.coroutines.runBlocking
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.io.TempDir
import org.junit.jupiter.params.ParameterizedTest
import org.junit.jupiter.params.provider.ValueSource
import java.nio.file.Path
import kotlin.io.path.createDirectory
import kotlin.io.path.readText

class ScenarioTest {
    private val folder = Path.of("../../tests/scenario")

    @ParameterizedTest
    @ValueSource(strings = ["b", "a"])
    fun `the scenario writes the log that every language writes`(wire: String, @TempDir work: Path): Unit =
        runBlocking {
            val log = TestServer(wire).use { server ->
                Scenario(folder.resolve("scenario.json").readText(), server.url, server.token("ada")) { device ->
                    work.resolve(device).createDirectory().resolve("app.db").toString()
                }.run()
            }
            assertEquals(folder.resolve("expected.log").readText(), log)
        }
}
