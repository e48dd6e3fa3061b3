package main

import (
	"bytes"
	"fmt"
	"strings"
)

// describe makes docs/claims.md.
func describe() []byte {
	var b bytes.Buffer
	b.WriteString(`# What is claimed, and the test that fails without it

This page is made from the table in ` + "`integration/claims`" + `, and a test fails if it is stale. Each row was seen to fail: ` + "`make claims`" + ` takes the code of one claim after the other out,
builds what is left and demands that the test fails by what it asserts, where untouched it passes. ` + "`make claims CLAIM=regexp`" + ` tries some of them.
`)
	for _, s := range sections {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n| claim | code taken out | test that fails |\n|---|---|---|\n", s.title, s.about)
		for _, c := range s.claims {
			by := ""
			if c.how != "" {
				by = fmt.Sprintf(" (it %s)", c.how)
			}
			fmt.Fprintf(&b, "| %s | %s: %s | %s %s%s |\n", cell(c.says), c.at, change(c), c.in, code(c.run), by)
		}
	}
	return b.Bytes()
}

// change shows what is taken out, and what stands in its place.
func change(c claim) string {
	if c.new == "" {
		return code(c.old)
	}
	return code(c.old) + " becomes " + code(c.new)
}

// code is text as code in a cell of a table.
func code(text string) string {
	fence := "`"
	if strings.Contains(text, "`") {
		fence = "``"
	}
	return fence + cell(strings.Join(strings.Fields(text), " ")) + fence
}

func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }
