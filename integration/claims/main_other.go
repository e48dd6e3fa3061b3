//go:build !linux

// Command claims needs Linux, where the tests are that it is about.
package main

func main() { panic("claims: it needs Linux") }
