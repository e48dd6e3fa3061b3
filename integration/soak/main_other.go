//go:build !linux

// Command soak needs Linux, where it can see what is left.
package main

func main() { panic("soak: it needs Linux") }
