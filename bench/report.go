package main

import (
	_ "embed"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"text/template"
	"time"
)

//go:embed performance.md.tmpl
var reportText string

// A Report is what docs/performance.md is made of.
type Report struct {
	System    System
	Rows      []Row
	Latencies []Latencies
	Durations *Durations
	Rounds    int
	Quick     bool
	Took      time.Duration

	LatencyPlot, DurationPlot string
}

// write writes the document and its plots.
func (r Report) write(dir string) error {
	page, err := template.New("performance.md").Parse(reportText)
	if err != nil {
		return err
	}
	r.LatencyPlot, r.DurationPlot = latencyPlot, durationPlot
	var text strings.Builder
	if err := page.Execute(&text, r); err != nil {
		return err
	}
	return errors.Join(
		drawLatencies(dir, r.Latencies),
		drawDurations(dir, r.Durations),
		os.WriteFile(filepath.Join(dir, "performance.md"), []byte(text.String()), 0o644),
	)
}

// Table is all that was measured.
func (r Report) Table() string { return markdown(r.Rows) }

// Verdicts counts the rows that have this verdict.
func (r Report) Verdicts(verdict string) int {
	n := 0
	for _, row := range r.Rows {
		if row.Verdict == verdict {
			n++
		}
	}
	return n
}

// Missed are the rows whose must was not met.
func (r Report) Missed() []Row {
	return r.those(func(row Row) bool { return row.Verdict == mustMissed })
}

// Behind are the rows in which a peer was better.
func (r Report) Behind() []Row { return r.those(func(row Row) bool { return row.Behind }) }

func (r Report) those(are func(Row) bool) []Row {
	var rows []Row
	for _, row := range r.Rows {
		if are(row) {
			rows = append(rows, row)
		}
	}
	return rows
}

// Quantiles are the quantiles of the single call, a line of a table each.
func (l Latencies) Quantiles() string {
	var cells []string
	for _, q := range []float64{0.1, 0.5, 0.9, 0.99} {
		cells = append(cells, l.quantile(q).text(seconds))
	}
	return strings.Join(cells, " | ")
}

// Lines are the throughputs, a line of a table for each duration.
func (d *Durations) Lines() []string {
	var lines []string
	for i, duration := range d.durations {
		cells := []string{duration.String(), d.ideal[i].text(perSecond)}
		for _, way := range d.Ways {
			cells = append(cells, way.rates[i].text(perSecond))
		}
		lines = append(lines, "| "+strings.Join(cells, " | ")+" |")
	}
	return lines
}

// WorthIt is the shortest duration from which on a way keeps the workers busy.
func (d *Durations) WorthIt(way Way) string { return d.worthIt(way) }
