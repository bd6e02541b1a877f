//! Mistakes that other clients of this protocol make, each reproduced against this one. The numbers are those of
//! `docs/protocol.md`, "Mistakes to avoid".
//!
//! | mistake | test |
//! | --- | --- |
//! | 16 | `defect_16_blobs_survive_keep_local_byte_for_byte` |
//! | 16 | `defect_16_blobs_survive_source_recovery_and_rebuild_byte_for_byte` |
//! | 17 | `defect_17_rows_written_during_a_pull_are_still_pending_after_it` |
//! | 17 | `defect_17_rows_written_during_a_rebuild_or_a_source_recovery_are_still_pending_after_it` |
//! | 17 | `defect_17_rows_written_during_a_first_download_are_pending_after_it` |
//! | 18 | `defect_18_a_paused_download_neither_spins_nor_asks_and_goes_on_when_it_is_resumed` |
//! | 19 | `defect_19_a_frozen_bundle_counts_as_pending_and_blocks_detach` |
//! | 19 | `defect_19_rows_of_a_frozen_bundle_are_announced_when_the_database_connects_anew` |
//! | 20 | `defect_20_detach_while_anonymous_wipes_nothing` |
//! | 20 | `defect_20_the_checkpoint_and_the_source_do_not_survive_detach` |
//! | 21 | `defect_21_a_lost_commit_reply_is_settled_although_the_server_added_rows` |
//! | 21 | `defect_21_a_lost_commit_reply_is_settled_although_a_boolean_came_back_as_true` |
//! | 21 | `defect_21_a_lost_commit_reply_is_settled_although_a_column_was_filled_in` |
//! | 22 | `defect_22_the_watch_stream_is_not_ended_by_the_timeout_of_a_request` |
//! | 22 | `defect_22_no_request_asks_for_or_carries_more_rows_than_the_server_takes` |
//! | 23 | `defect_23_a_second_column_of_the_key_is_noticed_before_anything_is_written` |
//! | 24 | `defect_24_integers_above_two_to_the_53_go_up_digit_by_digit` |
//! | 25 | `defect_25_more_conflicting_rows_than_retries_are_resolved_by_one_sync` |
//! | 25 | `defect_25_a_thousand_conflicts_among_ten_thousand_rows_cost_at_most_two_more_pushes` |
//! | 26 | `defect_26_a_row_written_while_its_update_comes_down_is_decided_and_not_dropped` |
//! | 26 | `defect_26_rows_of_a_schema_or_table_that_is_not_configured_are_refused_whole` |
//! | 27 | `defect_27_a_row_written_right_after_its_freeze_is_pending_again` |
//! | 27 | `defect_27_no_write_is_lost_between_the_freezes_of_syncs_that_run_all_the_time` |
//! | 28 | `defect_28_a_restart_between_commit_and_replay_fetches_all_rows_that_the_server_committed` |
//! | 29 | `defect_29_a_lease_lost_to_a_device_that_seeded_leaves_no_bundle_that_blocks_everything` |
//! | 29 | `defect_29_a_database_that_lost_its_lease_attaches_to_a_scope_that_has_data_and_keeps_its_rows` |
//! | 30 | `defect_30_two_failures_of_the_server_at_any_step_of_a_download_are_not_told_the_host` |
//! | 30 | `defect_30_a_server_at_capacity_in_the_middle_of_a_download_is_waited_for_and_nothing_begins_anew` |
//! | 30 | `defect_30_a_wait_of_thirty_seconds_is_waited` |
//! | 30 | `defect_30_a_wait_beyond_the_patience_of_a_call_is_told_with_its_length_and_the_download_goes_on_later` |
//! | 31 | `defect_31_a_stream_that_was_healthy_is_opened_again_after_the_shortest_wait` |
//! | 31 | `defect_31_nothing_is_polled_while_a_stream_is_open` |
//! | 32 | `defect_32_blobs_of_a_merged_row_are_taken_as_bytes_and_not_guessed_to_be_hex_or_base64` |
//! | 33 | `defect_33_an_insert_on_a_tombstone_that_the_server_has_lost_goes_up_as_a_new_row` |
//! | 34 | `defect_34_columns_of_boolean_numeric_and_date_types_may_hold_numbers` |
//! | 34 | `defect_34_rows_that_a_replace_evicts_by_another_unique_column_are_deleted_elsewhere_too` |
//! | 34 | `defect_34_a_row_written_while_detach_runs_is_never_wiped_unseen` |
//! | 34 | `defect_34_tables_whose_references_restrict_deletes_are_cleared_children_first` |
//! | 34 | `defect_34_a_table_that_restricts_deletes_of_its_own_rows_is_cleared` |
//! | 34 | `defect_34_triggers_and_tables_of_the_app_keep_their_names_and_their_work` |
//! | 35 | `defect_35_committed_rows_in_another_order_are_paired_by_key` |
//! | 36 | `defect_36_rows_that_came_and_went_block_neither_pull_nor_detach` |
//! | 37 | `defect_37_accepting_that_a_row_never_existed_leaves_no_tombstone_of_version_zero` |
//! | 37 | `defect_37_keeping_a_local_change_settles_every_pair_of_operations_in_two_commits` |
//! | 37 | `defect_37_keeping_an_insert_over_a_tombstone_that_no_pull_brings_settles_in_two_commits` |
//! | 38 | `defect_38_a_conflict_about_a_row_that_was_not_sent_is_met_and_the_push_goes_on` |
//! | 38 | `defect_38_a_conflict_about_a_table_that_is_not_configured_is_an_error_and_the_rows_stay_pending` |
//! | 38 | `defect_38_rows_that_a_first_download_discards_do_not_stay_pending_not_even_when_it_is_interrupted` |
//! | 38 | `defect_38_a_lease_that_ends_during_a_push_loses_no_row_and_no_way_on` |
//! | 38 | `defect_38_two_failures_at_any_step_of_a_sync_are_not_told_the_host` |
#![allow(clippy::unwrap_used)]

mod automatic;
mod blobs;
mod capture;
mod conflicts;
mod downloads;
mod lifecycle;
mod list;
mod replay;
mod retries;
mod ruled;
mod schemas;

use rowtide::{Config, ConflictPolicy, SyncTable};
use rowtide_tests::{BOTH, Device, Endpoint, Exchange, NOTES, TestServer, converge, two_devices};
use tokio::runtime::Handle;

/// A device with notes and tags, not attached.
async fn notes(server: &TestServer, change: impl Fn(Config) -> Config + Send + 'static) -> Device {
    Device::new(server, "ada", NOTES, move |config| {
        change(config.table(SyncTable::new("notes").key("id")).table(SyncTable::new("tags").key("id")))
    })
    .await
}

/// A device whose conflicts are decided by one policy, attached.
async fn with_policy(server: &TestServer, policy: ConflictPolicy) -> Device {
    let device = Device::new(server, "ada", NOTES, move |config| {
        config
            .table(SyncTable::new("notes").key("id").policy(policy))
            .table(SyncTable::new("tags").key("id").policy(policy))
    })
    .await;
    device.attach().await;
    device
}

/// The app writes right before the next call of an endpoint is answered.
fn writes_during(server: &TestServer, endpoint: Endpoint, device: &Device, sql: &str) {
    let (client, runtime, sql) = (device.client().clone(), Handle::current(), sql.to_owned());
    server.before(endpoint, move || {
        runtime.block_on(client.execute_script(&sql)).unwrap();
    });
}

/// Another device syncs right before the next call of an endpoint is answered.
fn syncs_during(server: &TestServer, endpoint: Endpoint, device: &Device) {
    let (client, runtime) = (device.client().clone(), Handle::current());
    server.before(endpoint, move || {
        runtime.block_on(client.sync()).unwrap();
    });
}

fn count(exchanges: &[Exchange], endpoint: Endpoint) -> usize {
    exchanges.iter().filter(|exchange| exchange.endpoint == endpoint).count()
}
