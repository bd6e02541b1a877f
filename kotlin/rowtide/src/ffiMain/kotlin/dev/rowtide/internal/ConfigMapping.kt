package dev.rowtide.internal

import dev.rowtide.AnonymousRows
import dev.rowtide.ClientConfig
import dev.rowtide.ColumnRule
import dev.rowtide.ConflictPolicy
import dev.rowtide.Hydrate
import dev.rowtide.LogLevel
import dev.rowtide.LoopOptions
import dev.rowtide.MeteredUse
import dev.rowtide.SyncTable
import dev.rowtide.TransferLimits
import dev.rowtide.UnknownColumns
import dev.rowtide.ffi.MergeRule
import dev.rowtide.ffi.defaultLoopOptions
import dev.rowtide.ffi.defaultTransferLimits
import dev.rowtide.ffi.tablesOfSchema
import dev.rowtide.ffi.AnonymousRows as FfiAnonymousRows
import dev.rowtide.ffi.ClientConfig as FfiClientConfig
import dev.rowtide.ffi.ColumnRule as FfiColumnRule
import dev.rowtide.ffi.ConflictPolicy as FfiConflictPolicy
import dev.rowtide.ffi.Hydrate as FfiHydrate
import dev.rowtide.ffi.LogLevel as FfiLogLevel
import dev.rowtide.ffi.LoopOptions as FfiLoopOptions
import dev.rowtide.ffi.MeteredUse as FfiMeteredUse
import dev.rowtide.ffi.SyncTable as FfiSyncTable
import dev.rowtide.ffi.TransferLimits as FfiTransferLimits
import dev.rowtide.ffi.UnknownColumns as FfiUnknownColumns

internal fun ClientConfig.toFfi() = FfiClientConfig(
    url = url,
    schema = schema,
    tables = tables.map { it.toFfi() } + annotatedSchemas.flatMap { tablesOfSchema(it) },
    anonymousRows = when (anonymousRows) {
        AnonymousRows.Keep -> FfiAnonymousRows.KEEP
        AnonymousRows.Discard -> FfiAnonymousRows.DISCARD
        AnonymousRows.Refuse -> FfiAnonymousRows.REFUSE
    },
    hydrate = when (hydrate) {
        Hydrate.AtOnce -> FfiHydrate.AT_ONCE
        Hydrate.Progressive -> FfiHydrate.PROGRESSIVE
    },
    unknownColumns = when (unknownColumns) {
        UnknownColumns.Refuse -> FfiUnknownColumns.REFUSE
        UnknownColumns.Keep -> FfiUnknownColumns.KEEP
    },
    installation = installation,
    limits = limits.toFfi(),
    extraRoots = roots,
)

private fun SyncTable.toFfi() = FfiSyncTable(
    name = name,
    key = key,
    policy = when (policy) {
        ConflictPolicy.ServerWins -> FfiConflictPolicy.SERVER_WINS
        ConflictPolicy.ClientWins -> FfiConflictPolicy.CLIENT_WINS
        ConflictPolicy.Merge -> FfiConflictPolicy.MERGE
        ConflictPolicy.Callback -> FfiConflictPolicy.CALLBACK
    },
    rules = rules.map { (column, rule) -> MergeRule(column, rule.toFfi()) },
    keepBase = keepBase,
)

private fun ColumnRule.toFfi() = when (this) {
    ColumnRule.Theirs -> FfiColumnRule.THEIRS
    ColumnRule.Mine -> FfiColumnRule.MINE
    ColumnRule.Max -> FfiColumnRule.MAX
    ColumnRule.Min -> FfiColumnRule.MIN
    ColumnRule.SumOfDeltas -> FfiColumnRule.SUM_OF_DELTAS
    ColumnRule.SetUnion -> FfiColumnRule.SET_UNION
}

private fun TransferLimits.toFfi(): FfiTransferLimits {
    val usual = defaultTransferLimits()
    return FfiTransferLimits(
        uploadRows = uploadRows ?: usual.uploadRows,
        uploadBytes = uploadBytes ?: usual.uploadBytes,
        downloadRows = downloadRows ?: usual.downloadRows,
        downloadBytes = downloadBytes ?: usual.downloadBytes,
        pullBundles = pullBundles ?: usual.pullBundles,
        responseBytes = responseBytes ?: usual.responseBytes,
    )
}

internal fun LoopOptions.toFfi(): FfiLoopOptions {
    val usual = defaultLoopOptions()
    return FfiLoopOptions(
        debounceMs = debounce?.inWholeMilliseconds ?: usual.debounceMs,
        pollIntervalMs = pollInterval?.inWholeMilliseconds ?: usual.pollIntervalMs,
        watch = watch,
        watchIdleMs = watchIdle?.inWholeMilliseconds ?: usual.watchIdleMs,
        backoffLeastMs = backoffLeast?.inWholeMilliseconds ?: usual.backoffLeastMs,
        backoffMostMs = backoffMost?.inWholeMilliseconds ?: usual.backoffMostMs,
        metered = when (metered) {
            MeteredUse.Everything -> FfiMeteredUse.EVERYTHING
            MeteredUse.UploadsOnly -> FfiMeteredUse.UPLOADS_ONLY
            MeteredUse.Nothing -> FfiMeteredUse.NOTHING
        },
    )
}

internal fun LogLevel.toFfi(): FfiLogLevel = when (this) {
    LogLevel.Off -> FfiLogLevel.OFF
    LogLevel.Error -> FfiLogLevel.ERROR
    LogLevel.Warn -> FfiLogLevel.WARN
    LogLevel.Info -> FfiLogLevel.INFO
    LogLevel.Debug -> FfiLogLevel.DEBUG
    LogLevel.Trace -> FfiLogLevel.TRACE
}

internal fun FfiLogLevel.toPublic(): LogLevel = when (this) {
    FfiLogLevel.OFF -> LogLevel.Off
    FfiLogLevel.ERROR -> LogLevel.Error
    FfiLogLevel.WARN -> LogLevel.Warn
    FfiLogLevel.INFO -> LogLevel.Info
    FfiLogLevel.DEBUG -> LogLevel.Debug
    FfiLogLevel.TRACE -> LogLevel.Trace
}
