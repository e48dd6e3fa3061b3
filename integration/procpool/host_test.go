//go:build linux

package procpool_test

const hostVar = "PROCPOOL_TEST_HOST"

func beHost(string) {}
