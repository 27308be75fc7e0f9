"""Settings that a stage may change: those of memory, plans, vacuum, write-ahead log and what the server measures.

A list of the allowed, because a list of the forbidden forgets one: `archive_command` runs a program, `fsync` loses
rows, `hba_file` lets anybody in. Any other setting is changed by hand.
"""

SYSTEM = frozenset(
    """
    autovacuum autovacuum_analyze_scale_factor autovacuum_analyze_threshold autovacuum_max_workers autovacuum_naptime
    autovacuum_vacuum_cost_delay autovacuum_vacuum_cost_limit autovacuum_vacuum_insert_scale_factor
    autovacuum_vacuum_insert_threshold autovacuum_vacuum_scale_factor autovacuum_vacuum_threshold autovacuum_work_mem
    autovacuum_worker_slots backend_flush_after bgwriter_delay bgwriter_flush_after bgwriter_lru_maxpages
    bgwriter_lru_multiplier checkpoint_completion_target checkpoint_flush_after checkpoint_timeout
    client_connection_check_interval commit_delay commit_siblings compute_query_id cpu_index_tuple_cost
    cpu_operator_cost cpu_tuple_cost cursor_tuple_fraction deadlock_timeout default_statistics_target
    effective_cache_size effective_io_concurrency enable_async_append enable_bitmapscan enable_gathermerge
    enable_hashagg enable_hashjoin enable_incremental_sort enable_indexonlyscan enable_indexscan enable_material
    enable_memoize enable_mergejoin enable_nestloop enable_parallel_append enable_parallel_hash
    enable_partition_pruning enable_partitionwise_aggregate enable_partitionwise_join enable_seqscan enable_sort
    enable_tidscan from_collapse_limit gin_pending_list_limit hash_mem_multiplier huge_pages
    idle_in_transaction_session_timeout idle_session_timeout io_combine_limit io_max_combine_limit io_max_concurrency
    io_method io_workers jit jit_above_cost jit_inline_above_cost jit_optimize_above_cost join_collapse_limit
    lock_timeout log_autovacuum_min_duration log_checkpoints log_duration log_lock_waits log_min_duration_sample
    log_min_duration_statement log_statement_sample_rate log_temp_files log_transaction_sample_rate
    logical_decoding_work_mem maintenance_io_concurrency maintenance_work_mem max_connections
    max_locks_per_transaction max_parallel_maintenance_workers max_parallel_workers max_parallel_workers_per_gather
    max_pred_locks_per_transaction max_prepared_transactions max_replication_slots max_stack_depth max_wal_senders
    max_wal_size max_worker_processes min_parallel_index_scan_size min_parallel_table_scan_size min_wal_size
    parallel_leader_participation parallel_setup_cost parallel_tuple_cost plan_cache_mode random_page_cost
    recursive_worktable_factor seq_page_cost shared_buffers shared_preload_libraries statement_timeout
    stats_fetch_consistency tcp_keepalives_count tcp_keepalives_idle
    tcp_keepalives_interval tcp_user_timeout temp_buffers temp_file_limit track_activities
    track_activity_query_size track_commit_timestamp track_cost_delay_timing track_counts track_functions
    track_io_timing track_wal_io_timing transaction_timeout vacuum_buffer_usage_limit vacuum_cost_delay
    vacuum_cost_limit vacuum_cost_page_dirty vacuum_cost_page_hit vacuum_cost_page_miss wal_buffers wal_compression
    wal_skip_threshold wal_writer_delay wal_writer_flush_after work_mem
    """.split()  # noqa: SIM905 - a word a line would be pages
)
MODULES = ("pg_stat_statements.", "auto_explain.")
"""How the settings of modules begin that may be changed too."""
LISTS = frozenset({"shared_preload_libraries"})
"""Settings whose value is a list of names, each quoted by itself."""
LIBRARIES = frozenset({"pg_stat_statements", "auto_explain", "pg_prewarm", "pg_wait_sampling", "pgaudit", "pg_cron"})
"""The libraries that may be preloaded: a library is a program inside the server."""
_OBSERVING = ("track_", "log_", "pg_stat_statements.", "auto_explain.")
_OBSERVING_NAMES = frozenset({"compute_query_id", "shared_preload_libraries"})
OBSERVING_EXTENSIONS = frozenset({"pg_stat_statements", "pg_stat_kcache", "pg_wait_sampling", "pg_qualstats"})


def is_allowed(name: str) -> bool:
    """Whether a stage may change a setting."""
    return name in SYSTEM or name.startswith(MODULES)


def is_observing(name: str) -> bool:
    """Whether a setting makes the server measure or log more."""
    return name.startswith(_OBSERVING) or name in _OBSERVING_NAMES
