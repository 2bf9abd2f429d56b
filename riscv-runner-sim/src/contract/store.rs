//! What every store must do for the engine. The checks know the port alone; each gets a store that is
//! empty, and nobody else writes to it.

mod deliveries;
mod demand;
mod events;
mod evidence;
mod expiring;
mod fixture;
mod installing;
mod leadership;
mod ordering;
mod reporting;
mod reserving;
mod sums;
mod workers;

use futures::future::BoxFuture;
use riscv_runner_core::ports::Store;

pub use self::events::{EVENT_CHECKS, EventCheck, LoggingStore};

/// One law; it panics when it is broken.
pub type Check = for<'a> fn(&'a dyn Store) -> BoxFuture<'a, ()>;

/// Every law with its name. Each needs an empty store of its own.
pub const CHECKS: &[(&str, Check)] = &[
    ("any_order_of_deliveries_ends_in_the_same_row", deliveries::any_order_ends_in_the_same_row),
    ("events_of_one_job_fold_within_a_batch", deliveries::events_of_one_job_fold_within_a_batch),
    ("a_late_queued_is_no_phantom_demand", deliveries::a_late_queued_is_no_phantom_demand),
    ("a_guid_is_logged_once", deliveries::a_guid_is_logged_once),
    ("events_of_jobs_never_accepted_make_no_row", deliveries::events_of_jobs_never_accepted_make_no_row),
    ("every_detail_of_a_job_is_read_back", deliveries::every_detail_of_a_job_is_read_back),
    ("deliveries_without_a_job_are_logged", deliveries::deliveries_without_a_job_are_logged),
    ("demand_counts_what_waits_and_runs", demand::demand_counts_what_waits_and_runs),
    ("heads_are_the_oldest", demand::heads_are_the_oldest),
    ("held_back_repositories_are_left_out", demand::held_back_repositories_are_left_out),
    ("no_more_is_read_than_a_pool_can_serve", demand::no_more_is_read_than_a_pool_can_serve),
    ("a_share_may_be_that_of_one_account", demand::a_share_may_be_that_of_one_account),
    ("a_key_may_wait_for_two_pools", demand::a_key_may_wait_for_two_pools),
    ("repositories_of_a_person_are_different_keys", demand::repositories_of_a_person_are_different_keys),
    ("caps_hold_within_a_batch", reserving::caps_hold_within_a_batch),
    ("caps_hold_when_reservers_meet", reserving::caps_hold_when_reservers_meet),
    ("a_name_is_reserved_once", reserving::a_name_is_reserved_once),
    ("spent_workers_are_no_supply", reserving::spent_workers_are_no_supply),
    ("warm_runners_go_beyond_the_demand", reserving::warm_runners_go_beyond_the_demand),
    ("a_worker_is_followed_to_its_end", workers::a_worker_is_followed_to_its_end),
    ("a_change_planned_from_another_status_is_stale", workers::a_change_from_another_status_is_stale),
    ("a_failure_keeps_its_reason_and_its_consequences", workers::a_failure_keeps_its_consequences),
    ("a_worker_knows_the_job_that_names_it", workers::a_worker_knows_the_job_that_names_it),
    ("a_runner_of_another_account_is_not_the_worker", workers::a_runner_of_another_account_is_not_the_worker),
    ("a_pod_without_a_row_is_adopted_once", workers::a_pod_without_a_row_is_adopted_once),
    ("scopes_of_recent_workers_are_found", workers::scopes_of_recent_workers_are_found),
    ("what_holds_is_replaced_and_forgotten", workers::what_holds_is_replaced_and_forgotten),
    ("a_requeued_job_waits_again", evidence::a_requeued_job_waits_again),
    ("a_lost_job_is_no_demand_until_it_revives", evidence::a_lost_job_is_no_demand_until_it_revives),
    ("a_listed_job_is_inserted_or_joined", evidence::a_listed_job_is_inserted_or_joined),
    ("doubtful_jobs_are_those_unchanged_for_long", evidence::doubtful_jobs_are_those_unchanged_for_long),
    (
        "doubtful_jobs_are_read_on_from_where_it_ended",
        evidence::doubtful_jobs_are_read_on_from_where_it_ended,
    ),
    ("jobs_are_found_by_id_and_repository", evidence::jobs_are_found),
    ("any_order_of_news_of_installations_ends_in_the_same", installing::any_order_of_news_ends_in_the_same),
    ("one_holder_leads_at_a_time", leadership::one_holder_leads_at_a_time),
    ("a_lease_that_is_over_is_taken_in_a_new_epoch", leadership::a_lease_that_is_over_is_taken),
    ("a_released_lease_is_free_at_once", leadership::a_released_lease_is_free_at_once),
    ("a_leader_that_was_succeeded_writes_nothing", leadership::a_succeeded_leader_writes_nothing),
    ("pages_are_disjoint_and_newest_first", reporting::pages_are_disjoint_and_newest_first),
    ("a_filter_shows_what_is_asked_for", reporting::a_filter_shows_what_is_asked_for),
    ("a_list_has_no_logs", reporting::a_list_has_no_logs),
    ("places_are_counted_among_those_that_wait", reporting::places_are_counted_among_those_that_wait),
    ("usage_counts_by_account_pool_and_labels", reporting::usage_counts_by_account_pool_and_labels),
    ("every_order_is_in_force_until_taken_back", ordering::every_order_is_in_force_until_it_is_taken_back),
    ("a_repository_is_meant_in_any_spelling", ordering::a_repository_is_meant_in_any_spelling),
    (
        "an_order_that_changes_nothing_leaves_no_trace",
        ordering::an_order_that_changes_nothing_leaves_no_trace,
    ),
    ("a_revocation_ends_with_its_worker", ordering::a_revocation_ends_with_its_worker),
    ("accounts_are_known_by_their_newest_name", ordering::accounts_are_known_by_their_newest_name),
    ("what_is_over_goes_and_what_lives_stays", expiring::what_is_over_goes_and_what_lives_stays),
    ("events_and_orders_go_by_their_age", expiring::events_and_orders_go_by_their_age),
    ("what_is_kept_stays_until_it_is_let_go", expiring::what_is_kept_stays_until_it_is_let_go),
    ("only_the_leader_of_the_day_removes", expiring::only_the_leader_of_the_day_removes),
    ("nothing_goes_by_a_clock_that_is_far_ahead", expiring::nothing_goes_by_a_clock_that_is_far_ahead),
    ("weeks_hold_what_was_lived_in_them", sums::weeks_hold_what_was_lived_in_them),
    ("the_last_day_is_counted", sums::the_last_day_is_counted),
    ("a_worker_is_found_by_its_name", sums::a_worker_is_found_by_its_name),
    ("unrouted_labels_are_those_that_nobody_took", sums::unrouted_labels_are_those_that_nobody_took),
];
