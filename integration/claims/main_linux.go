// Command claims takes the code of one claim after the other out of the tree and demands that a test fails: make claims.
//
// What is promised to users is a table: a claim, the text that is taken out of the code, what stands in its place, and the test that notices. The tree
// is not touched: the changed copy takes its place by go's -overlay, for the workers that tests build as well. docs/claims.md is made from the table.
package main

import (
	"flag"
	"fmt"
	"os"
	"regexp"

	"golang.org/x/sys/unix"
)

func main() {
	only := flag.String("claim", "", "try those whose section, words, folder or test match this regexp")
	flag.Parse()
	which, err := regexp.Compile(*only)
	var good bool
	if err == nil {
		good, err = prove(which)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "claims:", err)
		os.Exit(2)
	}
	if !good {
		os.Exit(1)
	}
}

// prove tries the claims that match, and reports whether each was seen to fail. It is called in the root of the tree.
func prove(which *regexp.Regexp) (good bool, err error) {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil { // so that what a mutant leaves can be ended
		return false, err
	}
	temp, err := os.MkdirTemp("", "c") // short: paths of sockets may be in it
	if err != nil {
		return false, err
	}
	defer func() { _ = os.RemoveAll(temp) }() // it is temporary
	b := bench{temp: temp}
	var chosen []claim
	for _, c := range claims() {
		if which.MatchString(fmt.Sprint(c.section, " ", c.says, " ", c.at, " ", c.in, " ", c.run)) {
			chosen = append(chosen, c)
		}
	}
	untouched := b.untouched(chosen)
	account := make(map[verdict]int)
	for _, c := range chosen {
		r := report{verdict: untouched[c.test]}
		if r.verdict == passes {
			r = b.try(c)
		}
		account[r.verdict]++
		fmt.Printf("%-16s %d  %s: %s %s (%.1f s)\n", r.verdict, c.section, c.says, c.in, c.run, r.took.Seconds())
		if r.verdict != fails {
			fmt.Print(r.said)
		}
	}
	fmt.Printf("%d claims:", len(chosen))
	for _, v := range verdicts {
		if account[v] > 0 {
			fmt.Printf(" %d %s.", account[v], v)
		}
	}
	fmt.Println()
	return account[fails] == len(chosen), nil
}
