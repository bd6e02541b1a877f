package dev.rowtide

import dev.rowtide.ffi.coreVersion

/** Version of the native core, as `major.minor.patch`. */
public val rowtideVersion: String
    get() = coreVersion()
