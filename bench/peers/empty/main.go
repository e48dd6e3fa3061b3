// Command empty is a small Go program: what the start of a worker is compared with.
package main

func main() {}
