package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/seed7d1be1d5/concurrent/internal/harmless"
)

// A table is the closing account on standard error: a name and a value in each row.
type table struct{ rows [][2]string }

func (t *table) add(name, format string, args ...any) {
	t.rows = append(t.rows, [2]string{name, fmt.Sprintf(format, args...)})
}

func (t *table) writeTo(w io.Writer) {
	// Nobody can be told that standard error is gone.
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range t.rows {
		_, _ = fmt.Fprintf(tw, "%s\t%s\n", row[0], row[1])
	}
	_ = tw.Flush()
}

// addItems tells how many items there were and what went wrong with them, the most frequent first.
func (t *table) addItems(name string, tally *tally) {
	t.add(name, "%s", grouped(tally.items))
	t.add("failed", "%s", grouped(tally.failed))
	groups := make([]*failures, 0, len(tally.groups))
	for _, g := range tally.groups {
		groups = append(groups, g)
	}
	slices.SortFunc(groups, func(a, b *failures) int { return cmp.Or(b.count-a.count, a.first-b.first) })
	for i, g := range groups {
		if i == maxGroups {
			t.add("  ...", "and %d more kinds of failure", len(groups)-i)
			break
		}
		t.add("  "+g.name, "%s, first in line %d: %s", grouped(g.count), g.first+1, g.text)
	}
}

const maxGroups = 12

// brief is the first line of a text of a worker's, and not too much of it.
func brief(text string) string {
	text, _, _ = strings.Cut(text, "\n")
	return harmless.Line(text, 120)
}

// addTimes tells what the batch took.
func (t *table) addTimes(c *cost, items int) {
	t.add("workers", "%d (%d started, %d crashed)", c.workers, c.stats.Started, c.stats.Crashed)
	t.add("wall time", "%s (%s items/s)", seconds(c.wall), rate(items, c.wall))
	t.add("CPU time", "%s in the workers, %s in procpool", seconds(c.workersCPU), seconds(c.ownCPU))
}

func seconds(d time.Duration) string {
	if d < 10*time.Second {
		return fmt.Sprintf("%.2f s", d.Seconds())
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

func rate(n int, d time.Duration) string {
	perSecond := float64(n) / max(d.Seconds(), 1e-9)
	if perSecond < 100 {
		return fmt.Sprintf("%.1f", perSecond)
	}
	return grouped(int(perSecond))
}

// grouped writes a number with a comma before every three digits.
func grouped(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }
