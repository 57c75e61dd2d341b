// Package sim proves docs/states.md under fire: the real rules (broadcast),
// use cases, consumer and sweeper (control) and lease code (lease) run on
// simulated time, store, queue, workers and publishers. One seed is one
// history, always the same. After every write the invariants are checked, and
// when the faults stop, the state must be the truth within 45 s.
//
// Real: broadcast.Step, control.Service with its consumer, sweeper and jobs,
// lease.Take, Keep, Release, Tell and Log. Modelled: store and queue (both
// under the contract of storetest and the words of control.Queue), the wire
// between publisher and worker, and the order in which a session tells its
// events, as workers/ingest/session does. Media are a counter; objects are not
// simulated.
package sim
