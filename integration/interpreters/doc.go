// Package interpreters is for the tests in this folder, which run guests in interpreters.
package interpreters
