// Package chaos runs the built roomcast while it is killed, stopped and cut
// off, and holds what is left against docs/states.md: real processes, real
// publishers, LocalStack behind toxiproxy, SQLite under kill -9.
package chaos
