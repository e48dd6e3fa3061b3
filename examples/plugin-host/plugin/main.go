// Command markup is a plugin by somebody else: it turns a little markup into HTML, and has three bugs. It knows nothing of
// the program that will run it; what both know is a name, markup.Render, and that it takes a string and returns one.
package main

import (
	"context"
	"errors"
	"fmt"
	"html"
	"os"
	"regexp"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/worker"
)

func main() { worker.Main(futures.NewFunc("markup.Render", render)) }

// pages is a cache. First bug: nothing ever leaves it.
var pages = map[string]string{}

func render(_ context.Context, text string) (string, error) {
	if !utf8.ValidString(text) {
		return "", errors.New("the text is not UTF-8")
	}
	paragraphs := strings.Split(strings.TrimSpace(text), "\n\n")
	var wg sync.WaitGroup
	for i := range paragraphs {
		wg.Go(func() { paragraphs[i] = paragraph(html.EscapeString(paragraphs[i])) })
	}
	wg.Wait()
	page := strings.Join(paragraphs, "")
	pages[text] = page
	fmt.Fprintf(os.Stderr, "markup: pages in the cache: %d\n", len(pages))
	return page, nil
}

var emphasis = regexp.MustCompile(`\*([^*]+)\*`)

func paragraph(p string) string {
	// Second bug: an empty paragraph has no first byte. The panic is in a goroutine of its own, so nobody can contain it.
	if p[0] == '#' {
		return "<h1>" + strings.TrimSpace(p[1:]) + "</h1>"
	}
	// Third bug: a star without its partner stays where it is, and this for ever.
	for strings.Contains(p, "*") {
		p = emphasis.ReplaceAllString(p, "<em>$1</em>")
	}
	return "<p>" + p + "</p>"
}
