package dev.rowtide

import kotlinx.coroutines.runBlocking
import kotlin.test.Test
import kotlin.test.assertEquals

class ScenarioTest {
    @Test
    fun `the scenario writes the log that every language writes in generation b`() = writesTheLog("b")

    @Test
    fun `the scenario writes the log that every language writes in generation a`() = writesTheLog("a")

    private fun writesTheLog(wire: String): Unit = runBlocking {
        val log = Scenario(
            file("tests/scenario/scenario.json"),
            environment("ROWTIDE_URL_${wire.uppercase()}"),
            environment("ROWTIDE_TOKEN_${wire.uppercase()}"),
        ) { device -> database("$wire-$device") }.run()
        assertEquals(file("tests/scenario/expected.log"), log)
    }
}
