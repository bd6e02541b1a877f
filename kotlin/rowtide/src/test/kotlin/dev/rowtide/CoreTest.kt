package dev.rowtide

import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Test

class CoreTest {
    @Test
    fun `the core in the jar has the version of the jar`() {
        assertEquals("0.1.0", rowtideVersion)
    }
}
