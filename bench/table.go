package main

import (
	"io"
	"strings"
	"unicode/utf8"
)

var header = Row{"measure", "this project", "peer", "ratio", "must", "aim", "verdict", false}

func (r Row) cells() []string {
	return []string{r.Measure, r.Project, r.Peer, r.Ratio, r.Must, r.Aim, r.Verdict}
}

// printTable writes rows for a terminal.
func printTable(w io.Writer, rows []Row) error {
	rows = append([]Row{header}, rows...)
	widths := make([]int, len(header.cells()))
	for _, row := range rows {
		for i, cell := range row.cells() {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var text strings.Builder
	for _, row := range rows {
		var line strings.Builder
		for i, cell := range row.cells() {
			line.WriteString(cell)
			line.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)+2))
		}
		text.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	_, err := io.WriteString(w, text.String())
	return err
}

// markdown writes rows as a table of a Markdown document.
func markdown(rows []Row) string {
	var text strings.Builder
	line := func(cells []string) { text.WriteString("| " + strings.Join(cells, " | ") + " |\n") }
	line(header.cells())
	text.WriteString(strings.Repeat("| --- ", len(header.cells())) + "|\n")
	for _, row := range rows {
		line(row.cells())
	}
	return strings.TrimSuffix(text.String(), "\n")
}
