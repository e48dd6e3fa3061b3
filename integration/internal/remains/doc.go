// Package remains finds what a test leaves behind. The program of the tests must be the parent of every orphan (PR_SET_CHILD_SUBREAPER), and have one test
// run at a time.
package remains
