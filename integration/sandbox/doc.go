// Package sandbox holds hostile workers against the limits and sandboxes of procpool, with real processes.
package sandbox
