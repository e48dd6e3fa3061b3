package main

// Folders of the table.
const (
	pool    = "integration/procpool"
	box     = "integration/sandbox"
	grid    = "integration/faults"
	confine = "procpool/internal/confine"
)

// A section is one of the promises, in claims.
type section struct {
	number       int
	title, about string
	claims       []claim
}

var sections = []section{
	{2, "Evidence in the error", "`*WorkerCrashError` and its like tell what is known of a worker that was lost.", evidence},
	{3, "Poison", "A call that kills its worker harms nobody else, and workers that keep dying break the pool.", poison},
	{4, "Orphans and strangers", "Nothing is left of a worker, a host or a pool, and nobody else is harmed.", orphans},
	{5, "Limits", "What `procpool.Limits` and `MaxRSS` bound, and what is said of it.", limits},
	{6, "Sandbox", "What `procpool.Sandbox` stops.", sandbox},
	{6, "Hostile workers", "What a worker may say, and is not believed.", hostile},
}
