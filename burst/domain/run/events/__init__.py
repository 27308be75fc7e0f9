"""Events: everything that can stand in a run's journal, a class each, and what each changes of the run.

A run is what its events made of it, one after the other. `journals` reads and writes lines, `codec` turns the fields of
a line into an event and back; an event's class says its name, its fields and its change.

    launch_events                                        changes
    run-created             RunCreated                   execution_id, created_at, deadline, early_stop_allowed, barrier
    resumed                 Resumed                      resumed_at, asked_last_at
    taken-over              TakenOver                    launching_at, unaccounted, asked_last_at
    journal-recovered       JournalRecovered             journal_size
    layer-arming            LayerArming                  nothing
    layer-armed             LayerArmed                   layers
    layer-failed            LayerFailed                  layers
    launch-intended         LaunchIntended               launching_at, unaccounted, attempts, asked_last_at
    launch-failed           LaunchFailed                 launch_failed, asked_last_at
    tasks-launched          TasksLaunched                truths, attempts
    launch-answered         LaunchAnswered               truths, unaccounted, attempts
    tasks-found             TasksFound                   truths, unaccounted, attempts, found_at
    task-ready              TaskReady                    ready
    task-withdrawn          TaskWithdrawn                withdrawn
    claims-read             ClaimsRead                   claims, claims_read_at, claims_closed
    shard-freed             ShardFreed                   freed, ready
    go-intended             GoIntended                   nothing
    go-given                GoGiven                      go_at, go_tasks, dropped

    watch_events
    task-seen               TaskSeen                     truths, claims
    blind                   Blind                        outages
    sight-regained          SightRegained                outages
    counted                 Counted                      polls, counted_to, count_blindnesses
    count-blind             CountBlind                   count_blindnesses
    load-counted            LoadCounted                  loads
    sample-taken            SampleTaken                  observed
    lease-unreadable        LeaseUnreadable              nothing
    lease-unwritable        LeaseUnwritable              lease_lost
    lease-writable          LeaseWritable                lease_lost
    driver-counted          DriverCounted                driver
    superseded              Superseded                   superseded
    operator-stop           OperatorStop                 operator_stop, operator_stop_at
    halted                  Halted                       halt
    stop-sign-met           StopSignMet                  stop_sign
    stop-sign-unclear       StopSignUnclear              unclear_signs
    stop-sign-clear         StopSignClear                unclear_signs
    interrupted             Interrupted                  interruptions

    errand_events
    services-intended       ServicesIntended             scaling
    services-found          ServicesFound                scaling
    definition-intended     DefinitionIntended           nothing
    definition-made         DefinitionMade               nothing
    services-scaled         ServicesScaled               nothing
    services-up             ServicesUp                   scaling
    services-failed         ServicesFailed               scaling_failed
    services-restoring      ServicesRestoring            scaling
    services-restored       ServicesRestored             scaling
    one-shot-intended       OneShotIntended              shots
    one-shot-started        OneShotStarted               shots
    one-shot-unanswered     OneShotUnanswered            nothing
    one-shot-refused        OneShotRefused               shots
    one-shot-seen           OneShotSeen                  shots
    one-shot-stop-intended  OneShotStopIntended          shots
    one-shot-stop-unsent    OneShotStopUnsent            nothing

    drill_events
    drill-intended          DrillIntended                strikes
    drill-found             DrillFound                   strikes
    drill-struck            DrillStruck                  strikes
    drill-unanswered        DrillUnanswered              nothing
    drill-refused           DrillRefused                 strikes
    drill-seen              DrillSeen                    strikes

    ending_events
    stop-intended           StopIntended                 stopping, early_stop
    stop-each-intended      StopEachIntended             stopping
    stop-sent               StopSent                     stopping
    stop-unsent             StopUnsent                   stopping, withdrawn
    measure-intended        MeasureIntended              nothing
    disarm-failed           DisarmFailed                 nothing
    measured                Measured                     measured, settled_counts
    measure-failed          MeasureFailed                measured, count_problem
    document-intended       DocumentIntended             nothing
    document-written        DocumentWritten              nothing
    publish-intended        PublishIntended              nothing
    publish-failed          PublishFailed                nothing
    publication-committed   PublicationCommitted         nothing
    published               Published                    published
    run-finished            RunFinished                  exit_code

To add an event, write its class, its line here, and raise `document_names.JOURNAL_MINOR`, so that an older burst can
tell a journal it does not know from one that was changed. A field that is added raises it too, and stands in `added`.
"""
