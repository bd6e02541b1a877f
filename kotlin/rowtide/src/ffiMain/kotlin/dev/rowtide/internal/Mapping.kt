package dev.rowtide.internal

import dev.rowtide.Activity
import dev.rowtide.Columns
import dev.rowtide.Connectivity
import dev.rowtide.Direction
import dev.rowtide.Health
import dev.rowtide.Outcome
import dev.rowtide.Page
import dev.rowtide.Phase
import dev.rowtide.Progress
import dev.rowtide.RefusedReason
import dev.rowtide.RefusedRow
import dev.rowtide.Report
import dev.rowtide.Row
import dev.rowtide.RowConflict
import dev.rowtide.State
import dev.rowtide.Status
import dev.rowtide.TokenReason
import dev.rowtide.ffi.RowValues
import dev.rowtide.packed
import kotlin.time.Duration.Companion.seconds
import dev.rowtide.ffi.Activity as FfiActivity
import dev.rowtide.ffi.Connectivity as FfiConnectivity
import dev.rowtide.ffi.Direction as FfiDirection
import dev.rowtide.ffi.Health as FfiHealth
import dev.rowtide.ffi.Outcome as FfiOutcome
import dev.rowtide.ffi.Phase as FfiPhase
import dev.rowtide.ffi.Progress as FfiProgress
import dev.rowtide.ffi.RefusedReason as FfiRefusedReason
import dev.rowtide.ffi.RefusedRow as FfiRefusedRow
import dev.rowtide.ffi.Report as FfiReport
import dev.rowtide.ffi.RowConflict as FfiRowConflict
import dev.rowtide.ffi.State as FfiState
import dev.rowtide.ffi.Status as FfiStatus
import dev.rowtide.ffi.TokenReason as FfiTokenReason

internal fun RowValues.toPublic() = Row(Columns(columns), Page(cells, rows = 1, width = columns.size), index = 0)

internal fun Map<String, Any?>.toFfi() = RowValues(keys.toList(), packed(values))

internal fun FfiRowConflict.toPublic() =
    RowConflict(table, key, base?.toPublic(), local?.toPublic(), server?.toPublic())

internal fun FfiRefusedRow.toPublic() =
    RefusedRow(table, key, reason.toPublic(), message, content?.toPublic(), inTable, refusedAtMs)

internal fun FfiReport.toPublic() = Report(
    outcome.toPublic(),
    pushedRows,
    pulledRows,
    pulledBundles,
    hydratedRows,
    conflicts,
    refusedRows,
    requests,
    bytesUp,
    bytesDown,
    paused.mapTo(mutableSetOf()) { it.toPublic() },
)

internal fun FfiStatus.toPublic() = Status(
    user,
    sourceId,
    generation,
    checkpoint,
    pendingRows,
    refusedRows,
    state.toPublic(),
    lastError,
    lastSuccessMs,
    health.toPublic(),
    automatic,
    paused.mapTo(mutableSetOf()) { it.toPublic() },
    connectivity.toPublic(),
    watching,
    nextAttemptMs,
    transactionOpen,
)

internal fun FfiProgress.toPublic() =
    Progress(activity.toPublic(), phase.toPublic(), rows, totalRows, bytes, totalBytes)

private fun FfiOutcome.toPublic(): Outcome = when (this) {
    FfiOutcome.Done -> Outcome.Done
    FfiOutcome.NoChange -> Outcome.NoChange
    FfiOutcome.Attached -> Outcome.Attached
    FfiOutcome.AlreadyAttached -> Outcome.AlreadyAttached
    is FfiOutcome.RetryLater -> Outcome.RetryLater(seconds.seconds)
    is FfiOutcome.BlockedUnsyncedData -> Outcome.BlockedUnsyncedData(rows)
    FfiOutcome.Detached -> Outcome.Detached
    is FfiOutcome.BudgetSpent -> Outcome.BudgetSpent(pendingRows, downloadLeft)
}

private fun FfiState.toPublic(): State = when (this) {
    FfiState.ANONYMOUS -> State.Anonymous
    FfiState.HYDRATING -> State.Hydrating
    FfiState.SEEDING -> State.Seeding
    FfiState.UPLOADING -> State.Uploading
    FfiState.REBUILDING -> State.Rebuilding
    FfiState.ATTACHED -> State.Attached
}

private fun FfiHealth.toPublic(): Health = when (this) {
    FfiHealth.WELL -> Health.Well
    FfiHealth.OFFLINE -> Health.Offline
    FfiHealth.AUTH_REQUIRED -> Health.AuthRequired
    FfiHealth.SERVER_TOO_OLD -> Health.ServerTooOld
    FfiHealth.TABLE_MISMATCH -> Health.TableMismatch
    FfiHealth.BLOCKED -> Health.Blocked
}

private fun FfiConnectivity.toPublic(): Connectivity = when (this) {
    FfiConnectivity.NONE -> Connectivity.None
    FfiConnectivity.METERED -> Connectivity.Metered
    FfiConnectivity.UNMETERED -> Connectivity.Unmetered
}

internal fun Connectivity.toFfi(): FfiConnectivity = when (this) {
    Connectivity.None -> FfiConnectivity.NONE
    Connectivity.Metered -> FfiConnectivity.METERED
    Connectivity.Unmetered -> FfiConnectivity.UNMETERED
}

private fun FfiDirection.toPublic(): Direction = when (this) {
    FfiDirection.UPLOADS -> Direction.Uploads
    FfiDirection.DOWNLOADS -> Direction.Downloads
}

internal fun Direction.toFfi(): FfiDirection = when (this) {
    Direction.Uploads -> FfiDirection.UPLOADS
    Direction.Downloads -> FfiDirection.DOWNLOADS
}

private fun FfiActivity.toPublic(): Activity = when (this) {
    FfiActivity.ATTACH -> Activity.Attach
    FfiActivity.SYNC -> Activity.Sync
    FfiActivity.PUSH -> Activity.Push
    FfiActivity.PULL -> Activity.Pull
    FfiActivity.REBUILD -> Activity.Rebuild
    FfiActivity.DETACH -> Activity.Detach
}

private fun FfiPhase.toPublic(): Phase = when (this) {
    FfiPhase.UPLOAD -> Phase.Upload
    FfiPhase.REPLAY -> Phase.Replay
    FfiPhase.PULL -> Phase.Pull
    FfiPhase.DOWNLOAD -> Phase.Download
    FfiPhase.APPLY -> Phase.Apply
}

private fun FfiRefusedReason.toPublic(): RefusedReason = when (this) {
    FfiRefusedReason.INVALID_VALUE -> RefusedReason.InvalidValue
    FfiRefusedReason.SERVER_REFUSED -> RefusedReason.ServerRefused
    FfiRefusedReason.REFUSED_TOGETHER -> RefusedReason.RefusedTogether
    FfiRefusedReason.PARENT_MISSING -> RefusedReason.ParentMissing
    FfiRefusedReason.UNIQUE_COLLISION -> RefusedReason.UniqueCollision
    FfiRefusedReason.INVALID_RESOLUTION -> RefusedReason.InvalidResolution
}

internal fun FfiTokenReason.toPublic(): TokenReason = when (this) {
    FfiTokenReason.FIRST_USE -> TokenReason.FirstUse
    FfiTokenReason.EXPIRING -> TokenReason.Expiring
    FfiTokenReason.REJECTED -> TokenReason.Rejected
}
